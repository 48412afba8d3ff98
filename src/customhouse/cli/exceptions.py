"""`customhouse exceptions`: vulnerabilities that are accepted, or do no harm, and until when."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from customhouse.analysis.vex.statement import Justification
from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.exemption import in_words
from customhouse.cli.options import FormatOption, ProjectOption, QuietOption, chosen
from customhouse.cli.output import (
    Format,
    ask,
    console,
    notes,
    plural,
    print_json,
    print_table,
    safe,
)
from customhouse.cli.resources import everything, print_fields
from customhouse.errors import Code, Failure
from customhouse.names import parse_image, project_id, split_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

app = App(name="exceptions", help="Vulnerabilities that are accepted, or do no harm.")

_DAYS = re.compile(r"(?P<count>[1-9][0-9]{0,4})d")
_ENDLESS = "never"
_SHOWN = 3
# Of a digest, where somebody reads it: the algorithm and twelve digits, as Docker shows.
_LONG = 19


def _expiry(_: Any, tokens: Sequence[Token]) -> str:
    """A time as the API has it; `never` for none."""
    text = tokens[0].value
    try:
        if text == _ENDLESS:
            return text
        if match := _DAYS.fullmatch(text):
            moment = datetime.datetime.now(datetime.UTC)
            moment += datetime.timedelta(days=int(match["count"]))
        else:
            moment = datetime.datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is neither days, as 90d, nor a date, as 2027-01-31") from error
    return moment.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")


ExpiryOption = Annotated[str, Parameter(converter=_expiry, n_tokens=1, show_default=False)]


@app.command
def create(
    vulnerability: str,
    /,
    *,
    reason: str,
    project: ProjectOption = "",
    image: str = "",
    package: tuple[str, ...] = (),
    expires: ExpiryOption = "",
    justification: Justification | None = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Accept a vulnerability, or say with a justification why it does no harm.

    The finding is still shown, with what is said here.

    Args:
        vulnerability: Its name, as CVE-2024-1234.
        reason: Why.
        project: The project; that of the image by default.
        image: HOST/PROJECT/IMAGE or HOST/PROJECT/IMAGE@DIGEST; every image of the project by
            default.
        package: The only package that is meant, by its name or package URL; once for each. Any by
            default.
        expires: When it ends: days, as 90d, or a date, as 2027-01-31.
        justification: Why nothing is affected.
        format_: How to print.
    """
    host, project, image = _place(project, image)
    body = {
        "vulnerability": vulnerability,
        "reason": reason,
        "image": image,
        "packages": list(package),
        "expireTime": "" if expires == _ENDLESS else expires,
        "justification": justification.value if justification else "",
    }
    with Client(credentials.current(host)) as client:
        made = client.request("POST", _path(project), json=body).json()
    if format_ is Format.JSON:
        print_json(made)
        return
    print(f"Created exception [{_number(made)}] for {made['vulnerability']}: {in_words(made)}.")
    if "expireTime" not in made:
        notes().print(
            "It has no end. Give it one, so that somebody looks again:"
            f" customhouse exceptions update {_number(made)} --project {project} --expires 90d"
        )


@app.command(name="list")
def list_(
    *,
    project: ProjectOption = "",
    image: str = "",
    vulnerability: str = "",
    state: Literal["active", "expired", "revoked"] | None = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """List exceptions, those that ended or were revoked too.

    Args:
        project: The project; that of the image by default.
        image: Only those about HOST/PROJECT/IMAGE, or about one digest of it.
        vulnerability: Only those of this vulnerability.
        state: Only those that count, have ended, or were revoked.
        format_: How to print the list.
    """
    host, project, image = _place(project, image)
    terms = {
        "image": image,
        "vulnerability": vulnerability,
        "state": state.upper() if state else "",
    }
    filter_ = " AND ".join(f'{key}="{value}"' for key, value in terms.items() if value)
    with Client(credentials.current(host)) as client:
        found = everything(client, _path(project), "exceptions", filter=filter_)
    if format_ is Format.JSON:
        print_json(found)
    elif not found:
        notes().print(
            "No such exceptions. Make one: customhouse exceptions create CVE --project"
            f" {project} --reason REASON --expires 90d"
        )
    else:
        print_table(
            ["ID#", "VULNERABILITY!", "STATE!", "ABOUT", "ASSESSMENT"],
            [
                [
                    _number(each),
                    each["vulnerability"],
                    each["state"],
                    _about(each),
                    in_words(each),
                ]
                for each in found
            ],
        )


@app.command
def describe(
    exception: int, /, *, project: ProjectOption = "", format_: FormatOption = Format.TABLE
) -> None:
    """Describe an exception.

    Args:
        exception: Its number.
        project: The project.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        _print(client.get(f"{_path(chosen(project))}/{exception}").json(), format_)


@app.command
def update(
    exception: int,
    /,
    *,
    project: ProjectOption = "",
    reason: str = "",
    expires: ExpiryOption = "",
    format_: FormatOption = Format.TABLE,
) -> None:
    """Change the reason or the end of an exception.

    Args:
        exception: Its number.
        project: The project.
        reason: The new reason.
        expires: When it ends: days from now, as 90d, a date, as 2027-01-31, or never.
        format_: How to print.
    """
    if not reason and not expires:
        raise Failure(Code.USAGE_INVALID, reason="nothing was named to change")
    body: dict[str, Any] = {"reason": reason} if reason else {}
    if expires:
        body["expireTime"] = None if expires == _ENDLESS else expires
    with Client(credentials.current()) as client:
        path = f"{_path(chosen(project))}/{exception}"
        _print(client.request("PATCH", path, json=body).json(), format_)


@app.command
def delete(exception: int, /, *, project: ProjectOption = "", quiet: QuietOption = False) -> None:
    """Revoke an exception. It stays in the list, and counts no longer.

    Args:
        exception: Its number.
        project: The project.
        quiet: Do not ask.
    """
    name = chosen(project)
    if not ask(f"This revokes exception [{exception}] in project [{name}]. Continue", quiet=quiet):
        raise SystemExit(1)
    with Client(credentials.current()) as client:
        revoked = client.request("DELETE", f"{_path(name)}/{exception}").json()
    print(f"Revoked exception [{exception}] for {revoked['vulnerability']}.")


@app.command(name="import")
def import_(
    file: Path,
    /,
    *,
    project: ProjectOption = "",
    image: str = "",
    format_: FormatOption = Format.TABLE,
) -> None:
    """Take what a VEX document says: OpenVEX, CSAF, or an attestation of OpenVEX.

    What the document said when it was imported before is replaced.

    Args:
        file: The document.
        project: The project; that of the image by default.
        image: HOST/PROJECT/IMAGE or HOST/PROJECT/IMAGE@DIGEST that it is about; by default its
            products tell.
        format_: How to print the outcome.
    """
    host, project, image = _place(project, image)
    if not file.is_file():
        raise Failure(Code.VEX_INVALID, reason=f"there is no file {file}")
    with Client(credentials.current(host)) as client:
        outcome = client.request(
            "POST",
            f"/upload{_path(project)}:import",
            params={"image": image},
            content=file.read_bytes(),
            headers={"content-type": "application/json"},
        ).json()
    if format_ is Format.JSON:
        print_json(outcome)
        return
    print(f"{plural(outcome['exceptions'], 'exception')} by {safe(outcome['author'] or file.name)}")
    if outcome["skipped"]:
        print(
            f"{plural(outcome['skipped'], 'statement')} left out:"
            " about something else, or about something that nothing identifies."
        )


def _place(project: str, image: str) -> tuple[str, str, str]:
    """The server, the project and the image that were named, the image without the server.

    Raises:
        Failure: PROJECT_MISSING, PROJECT_INVALID, REFERENCE_INVALID.
    """
    if not image:
        return "", chosen(project), ""
    reference = parse_image(image)
    name = project_id(split_project(reference.repository)[0])
    text = str(reference).removeprefix(f"{reference.host}/") if reference.host else str(reference)
    return reference.host, chosen(project) if project else name, text


def _path(project: str) -> str:
    return f"/v1/projects/{quote(project, safe='')}/exceptions"


def _number(exception: dict[str, Any]) -> str:
    return str(exception["name"].rpartition("/")[2])


def _about(exception: dict[str, Any]) -> str:
    """The image and the packages that are meant, in a cell of a table."""
    image = exception.get("image", "") or "every image"
    name, at, digest = image.partition("@")
    if console().is_terminal and len(digest) > _LONG:
        image = f"{name}{at}{digest[:_LONG]}\N{HORIZONTAL ELLIPSIS}"
    packages = _packages(exception)
    return f"{image}, {packages}" if packages else image


def _packages(exception: dict[str, Any]) -> str:
    shown: list[str] = exception.get("packages", [])[:_SHOWN]
    more = exception.get("packageCount", 0) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _print(document: dict[str, Any], format_: Format) -> None:
    aliases = ", ".join(document.get("aliases", ()))
    packages = ", ".join(document.get("packages", ()))
    shown = document | {"aliases": aliases, "packages": packages}
    print_fields(shown, format_, document)
