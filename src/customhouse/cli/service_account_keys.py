"""`customhouse iam service-accounts keys`: keys to sign in with."""

from __future__ import annotations

import base64
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from cyclopts import App, Parameter

from customhouse.cli import credentials, policies
from customhouse.cli.client import Client
from customhouse.cli.options import DurationOption, FormatOption, QuietOption
from customhouse.cli.output import Format, ask, notes, print_json, print_table
from customhouse.cli.resources import day, everything
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

app = App(name="keys", help="Keys to sign in with.")

Account = Annotated[str, Parameter(name="--iam-account")]

_MAX_PEM = 64 * 1024


@app.command
def create(
    file: Path,
    /,
    *,
    iam_account: Account,
    expires_in: DurationOption = None,
    force: bool = False,
) -> None:
    """Make a key and write it to a file that you alone can read. It is kept nowhere else.

    Args:
        file: Where to write it, in Google's format.
        iam_account: The service account's e-mail address.
        expires_in: How long it is good for, as 90d or 12h; for ever by default.
        force: Replace a file that is there.
    """
    body = {}
    if expires_in is not None:
        try:
            until = datetime.now(UTC) + timedelta(seconds=expires_in)
        except OverflowError as error:
            reason = "it would expire too late"
            raise Failure(Code.THING_INVALID, kind="duration", reason=reason) from error
        body["validBeforeTime"] = until.isoformat(timespec="seconds").replace("+00:00", "Z")
    made: dict[str, Any] = {}

    def make() -> bytes:
        with Client(credentials.current()) as client:
            made.update(client.request("POST", _path(iam_account), json=body).json())
        return base64.b64decode(made["privateKeyData"])

    _write(file, make, force=force)
    print(f"Created key [{_id(made)}] of [{iam_account}] in [{file}].")
    if expires_in is not None:
        print(f"It expires on {day(made['validBeforeTime'])}.")


@app.command(name="list")
def list_(*, iam_account: Account, format_: FormatOption = Format.TABLE) -> None:
    """List the keys of a service account.

    Args:
        iam_account: The service account's e-mail address.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        found = everything(client, _path(iam_account), "keys")
    if format_ is Format.JSON:
        print_json(found)
    elif not found:
        notes().print(
            "No keys. Make one: customhouse iam service-accounts keys create FILE --iam-account"
            f" {iam_account}",
            markup=False,
            soft_wrap=True,
        )
    else:
        now = datetime.now(UTC).isoformat()
        print_table(
            ["KEY_ID!", "CREATED", "EXPIRES", "STATE"],
            [
                [
                    _id(key),
                    day(key["validAfterTime"]),
                    day(key["validBeforeTime"]),
                    _state(key, now),
                ]
                for key in found
            ],
        )


@app.command
def delete(key: str, /, *, iam_account: Account, quiet: QuietOption = False) -> None:
    """Delete a key for good; what it has signed in ends.

    Args:
        key: Its id.
        iam_account: The service account's e-mail address.
        quiet: Do not ask.
    """
    if not ask(f"This deletes key [{key}] for good. Continue", quiet=quiet):
        raise SystemExit(1)
    with Client(credentials.current()) as client:
        client.request("DELETE", _path(iam_account, key))
    print(f"Deleted key [{key}] of [{iam_account}].")


@app.command
def disable(key: str, /, *, iam_account: Account) -> None:
    """Shut a key; what it has signed in ends.

    Args:
        key: Its id.
        iam_account: The service account's e-mail address.
    """
    with Client(credentials.current()) as client:
        client.request("POST", f"{_path(iam_account, key)}:disable")
    print(f"Disabled key [{key}] of [{iam_account}].")


@app.command
def enable(key: str, /, *, iam_account: Account) -> None:
    """Open a key again.

    Args:
        key: Its id.
        iam_account: The service account's e-mail address.
    """
    with Client(credentials.current()) as client:
        client.request("POST", f"{_path(iam_account, key)}:enable")
    print(f"Enabled key [{key}] of [{iam_account}].")


@app.command
def upload(file: Path, /, *, iam_account: Account) -> None:
    """Register the public half of a key that was made elsewhere.

    Args:
        file: An RSA public key or a certificate, in PEM.
        iam_account: The service account's e-mail address.
    """
    with file.open("rb") as stream:
        pem = stream.read(_MAX_PEM)
    if b"PRIVATE KEY" in pem:
        # It must not leave this machine.
        reason = f"{file} has a private key; give the public half"
        raise Failure(Code.THING_INVALID, kind="service account key", reason=reason)
    body = {"publicKeyData": base64.b64encode(pem).decode()}
    with Client(credentials.current()) as client:
        added = client.request("POST", f"{_path(iam_account)}:upload", json=body).json()
    print(f"Registered key [{_id(added)}] of [{iam_account}].")


def _path(account: str, key: str = "") -> str:
    path = f"{policies.service_account(account).path}/keys"
    return f"{path}/{quote(key, safe='')}" if key else path


def _id(key: dict[str, Any]) -> str:
    return str(key["name"].rpartition("/")[2])


def _state(key: dict[str, Any], now: str) -> str:
    if key["validBeforeTime"] < now:
        return "expired"
    return "off" if key.get("disabled") else "on"


def _write(file: Path, make: Callable[[], bytes], *, force: bool) -> None:
    """Write a secret to a file of its owner's alone, which is opened before the secret is made.

    Raises:
        Failure: FILE_EXISTS, and any of `make`.
    """
    target = file.with_name(f".{file.name}.{secrets.token_hex(8)}") if force else file
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Failure(Code.FILE_EXISTS, file=str(file)) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(make())
        if force:
            target.replace(file)
    except BaseException:
        target.unlink()
        raise
