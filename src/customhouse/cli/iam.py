"""`customhouse iam`: roles, service accounts, and who may do what and why."""

from __future__ import annotations

from cyclopts import App

from customhouse.cli import credentials, policies
from customhouse.cli.client import Client
from customhouse.cli.explain import explain
from customhouse.cli.options import FormatOption, Grant
from customhouse.cli.output import Format, print_json, print_table

app = App(name="iam", help="Roles, service accounts, and who may do what and why.")
app.command(
    "customhouse.cli.service_accounts:app",
    name="service-accounts",
    help="What programs sign in as.",
)
app.command("customhouse.cli.roles:app", name="roles", help="Names for sets of permissions.")
app.command(
    "customhouse.cli.pools:app", name="pools", help="Keyless sign-in for CI, from trusted issuers."
)
app.command(explain)

_DENIED = 3


@app.command
def get_policy(*, format_: FormatOption = Format.TABLE) -> None:
    """Show who may do what on the whole server.

    Args:
        format_: How to print.
    """
    policies.get(policies.SERVER, format_)


@app.command
def add_binding(*, grant: Grant, format_: FormatOption = Format.TABLE) -> None:
    """Give a role on the whole server to a member.

    Args:
        grant: The role and the member.
        format_: How to print.
    """
    policies.add(policies.SERVER, grant, format_)


@app.command
def remove_binding(
    *, grant: Grant, all_: bool = False, format_: FormatOption = Format.TABLE
) -> None:
    """Take a role on the whole server from a member.

    Args:
        grant: The role and the member.
        all_: Whatever the condition.
        format_: How to print.
    """
    policies.remove(policies.SERVER, grant, format_, all_=all_)


@app.command(name="test-permissions")
def check_permissions(
    resource: str, permission: str, /, *permissions: str, format_: FormatOption = Format.TABLE
) -> None:
    """Tell which of some permissions you have. Exits with 0 if all, with 3 if not.

    Args:
        resource: PROJECT, PROJECT/IMAGE, or a name as projects/P/serviceAccounts/EMAIL.
        permission: As artifactregistry.repositories.downloadArtifacts.
        permissions: More of them.
        format_: How to print.
    """
    asked = list(dict.fromkeys((permission, *permissions)))
    with Client(credentials.current()) as client:
        place = policies.find(resource, client.host)
        path = f"{place.path}:testIamPermissions"
        document = client.request("POST", path, json={"permissions": asked}).json()
    held = document.get("permissions", [])
    if format_ is Format.JSON:
        print_json(document)
    else:
        rows = [[name, "yes" if name in held else "no"] for name in asked]
        print_table(["PERMISSION", "HELD"], rows)
    if set(asked) - set(held):
        raise SystemExit(_DENIED)
