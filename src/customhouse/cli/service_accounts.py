"""`customhouse iam service-accounts`: what programs sign in as."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from customhouse.cli import credentials, policies
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, Grant, ProjectOption, QuietOption, chosen
from customhouse.cli.output import Format, ask, notes, print_json, print_table
from customhouse.cli.resources import address, everything, print_fields

app = App(name="service-accounts", help="What programs sign in as.")
app.command("customhouse.cli.service_account_keys:app", name="keys", help="Keys to sign in with.")


@app.command
def create(
    name: str,
    /,
    *,
    display_name: str = "",
    description: str = "",
    project: ProjectOption = "",
    format_: FormatOption = Format.TABLE,
) -> None:
    """Create a service account.

    Args:
        name: What stands before the @ of its address: 6 to 30 letters, digits and dashes.
        display_name: A name for people.
        description: What it is for.
        project: The project that owns it.
        format_: How to print.
    """
    body = {
        "accountId": name,
        "serviceAccount": {"displayName": display_name, "description": description},
    }
    place = policies.project(chosen(project))
    with Client(credentials.current()) as client:
        created = client.request("POST", f"{place.path}/serviceAccounts", json=body).json()
    if format_ is Format.JSON:
        print_json(created)
    else:
        print(f"Created service account [{created['email']}].")


@app.command(name="list")
def list_(*, project: ProjectOption = "", format_: FormatOption = Format.TABLE) -> None:
    """List the service accounts of a project.

    Args:
        project: The project.
        format_: How to print.
    """
    place = policies.project(chosen(project))
    with Client(credentials.current()) as client:
        found = everything(client, f"{place.path}/serviceAccounts", "accounts")
    if format_ is Format.JSON:
        print_json(found)
    elif not found:
        notes().print("None yet. Create one: customhouse iam service-accounts create NAME")
    else:
        print_table(
            ["EMAIL!", "DISPLAY NAME", "STATE!"],
            [
                [
                    address(each["email"]),
                    each.get("displayName", ""),
                    "off" if each.get("disabled") else "on",
                ]
                for each in found
            ],
        )


@app.command
def describe(account: str, /, *, format_: FormatOption = Format.TABLE) -> None:
    """Describe a service account.

    Args:
        account: Its e-mail address or number.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        _print(_find(client, account), format_)


@app.command
def update(
    account: str,
    /,
    *,
    display_name: str | None = None,
    description: str | None = None,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Change what people see of a service account.

    Args:
        account: Its e-mail address or number.
        display_name: A name for people.
        description: What it is for.
        format_: How to print.
    """
    texts = {"displayName": display_name, "description": description}
    about = {key: text for key, text in texts.items() if text is not None}
    path = policies.service_account(account).path
    body = {"serviceAccount": about, "updateMask": ",".join(about)}
    with Client(credentials.current()) as client:
        _print(client.request("PATCH", path, json=body).json(), format_)


@app.command
def enable(account: str, /) -> None:
    """Open a service account again.

    Args:
        account: Its e-mail address or number.
    """
    with Client(credentials.current()) as client:
        client.request("POST", f"{policies.service_account(account).path}:enable")
    print(f"Enabled service account [{account}].")


@app.command
def disable(account: str, /) -> None:
    """Shut a service account: its keys and tokens are good for nothing until it is enabled.

    Args:
        account: Its e-mail address or number.
    """
    with Client(credentials.current()) as client:
        client.request("POST", f"{policies.service_account(account).path}:disable")
    print(f"Disabled service account [{account}].")


@app.command
def delete(account: str, /, *, quiet: QuietOption = False) -> None:
    """Delete a service account with its keys. For thirty days it can be had back.

    Args:
        account: Its e-mail address or number.
        quiet: Do not ask.
    """
    with Client(credentials.current()) as client:
        found = _find(client, account)
        question = f"This deletes service account [{found['email']}] and its keys. Continue"
        if not ask(question, quiet=quiet):
            raise SystemExit(1)
        client.request("DELETE", policies.service_account(account).path)
    print(
        f"Deleted service account [{found['email']}].\n"
        "For thirty days you can have it back: "
        f"customhouse iam service-accounts undelete {found['uniqueId']}"
    )


@app.command
def undelete(account: str, /) -> None:
    """Have a deleted service account back, with its keys.

    Args:
        account: Its number, which delete has told, or its e-mail address.
    """
    path = policies.service_account(account).path
    with Client(credentials.current()) as client:
        back = client.request("POST", f"{path}:undelete").json()["restoredAccount"]
    print(f"Restored service account [{back['email']}].")


@app.command
def get_iam_policy(account: str, /, *, format_: FormatOption = Format.TABLE) -> None:
    """Show who may speak for a service account.

    Args:
        account: Its e-mail address.
        format_: How to print.
    """
    policies.get(policies.service_account(account), format_)


@app.command
def add_iam_policy_binding(
    account: str, /, *, grant: Grant, format_: FormatOption = Format.TABLE
) -> None:
    """Give a role on a service account to a member, as roles/iam.serviceAccountTokenCreator.

    Args:
        account: Its e-mail address.
        grant: The role and the member.
        format_: How to print.
    """
    policies.add(policies.service_account(account), grant, format_)


@app.command
def remove_iam_policy_binding(
    account: str,
    /,
    *,
    grant: Grant,
    all_: bool = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Take a role on a service account from a member.

    Args:
        account: Its e-mail address.
        grant: The role and the member.
        all_: Whatever the condition.
        format_: How to print.
    """
    policies.remove(policies.service_account(account), grant, format_, all_=all_)


def _find(client: Client, account: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(policies.service_account(account).path).json()
    return found


def _print(account: dict[str, Any], format_: Format) -> None:
    names = ("email", "displayName", "description", "projectId", "uniqueId")
    fields = {name: account.get(name, "") for name in names}
    state = {"state": "off" if account.get("disabled") else "on"}
    print_fields(fields | state, format_, account)
