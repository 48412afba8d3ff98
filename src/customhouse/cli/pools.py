"""`customhouse iam pools`: keyless sign-in for CI, from issuers that are trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, ProjectOption, chosen
from customhouse.cli.output import Format, print_json, print_table
from customhouse.cli.resources import everything
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

app = App(name="pools", help="Keyless sign-in for CI, from issuers that are trusted.")
providers = App(name="providers", help="The issuers of a pool, and what is made of their tokens.")
app.command(providers)

Mapping = Annotated[tuple[str, ...], Parameter(name="--map", negative=())]


@app.command
def create(pool: str, /, *, project: ProjectOption = "", description: str = "") -> None:
    """Create a pool of identities from outside.

    Args:
        pool: Its id: 4 to 32 lower-case letters, digits and dashes.
        project: The project that trusts them.
        description: What it is for.
    """
    with Client(credentials.current()) as client:
        path, body = _pools(project), {"description": description}
        client.request("POST", path, params={"workloadIdentityPoolId": pool}, json=body)
    print(f"Created pool [{pool}].")


@app.command(name="list")
def list_(*, project: ProjectOption = "", format_: FormatOption = Format.TABLE) -> None:
    """List the pools of a project.

    Args:
        project: The project.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        found = everything(client, _pools(project), "workloadIdentityPools")
    if format_ is Format.JSON:
        print_json(found)
    else:
        rows = [[_id(each), _state(each), each.get("description", "")] for each in found]
        print_table(["POOL!", "STATE", "DESCRIPTION"], rows)


@app.command
def delete(pool: str, /, *, project: ProjectOption = "") -> None:
    """Delete a pool, whose identities may do nothing from then on.

    Args:
        pool: Its id.
        project: The project.
    """
    with Client(credentials.current()) as client:
        client.request("DELETE", f"{_pools(project)}/{pool}")
    print(f"Deleted pool [{pool}]. Its id stays taken for 30 days.")


@providers.command(name="create")
def create_provider(
    provider: str,
    /,
    *,
    pool: str,
    issuer: str,
    map_: Mapping = ("google.subject=assertion.sub",),
    condition: str = "",
    audience: tuple[str, ...] = (),
    project: ProjectOption = "",
) -> None:
    """Trust an issuer of OpenID Connect tokens.

    Args:
        provider: An id for it.
        pool: The pool.
        issuer: Its URL, as https://token.actions.githubusercontent.com.
        map_: What a claim becomes, as attribute.repository=assertion.repository.
        condition: What must be true of a token, as assertion.repository_owner == 'acme'.
        audience: What the token must be for.
        project: The project.
    """
    body = {
        "attributeMapping": dict(_pairs(map_)),
        "attributeCondition": condition,
        "oidc": {"issuerUri": issuer, "allowedAudiences": list(audience)},
    }
    query = {"workloadIdentityPoolProviderId": provider}
    with Client(credentials.current()) as client:
        path = f"{_pools(project)}/{pool}/providers"
        made = client.request("POST", path, params=query, json=body).json()["response"]["name"]
    of_pool = made.partition("/providers/")[0]
    print(f"Created provider [{provider}]. Jobs ask for a token with the audience")
    print(f"  //iam.googleapis.com/{made}")
    print("and are members such as")
    print(f"  principalSet://iam.googleapis.com/{of_pool}/attribute.NAME/VALUE")


@providers.command(name="list")
def list_providers(
    *, pool: str, project: ProjectOption = "", format_: FormatOption = Format.TABLE
) -> None:
    """List the issuers that a pool trusts.

    Args:
        pool: The pool.
        project: The project.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        path = f"{_pools(project)}/{pool}/providers"
        found = everything(client, path, "workloadIdentityPoolProviders")
    if format_ is Format.JSON:
        print_json(found)
    else:
        rows = [
            [_id(each), _state(each), each["oidc"]["issuerUri"], each.get("attributeCondition", "")]
            for each in found
        ]
        print_table(["PROVIDER!", "STATE", "ISSUER", "CONDITION"], rows)


@providers.command(name="delete")
def delete_provider(provider: str, /, *, pool: str, project: ProjectOption = "") -> None:
    """Trust an issuer no longer.

    Args:
        provider: Its id.
        pool: The pool.
        project: The project.
    """
    with Client(credentials.current()) as client:
        client.request("DELETE", f"{_pools(project)}/{pool}/providers/{provider}")
    print(f"Deleted provider [{provider}]. Its id stays taken for 30 days.")


def _pools(project: str) -> str:
    return f"/v1/projects/{chosen(project)}/locations/global/workloadIdentityPools"


def _pairs(texts: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            reason = f"{text!r} is not NAME=EXPRESSION"
            raise Failure(Code.THING_INVALID, kind="attribute mapping", reason=reason)
        pairs.append((name.strip(), value.strip()))
    return pairs


def _id(thing: dict[str, Any]) -> str:
    return str(thing["name"].rpartition("/")[2])


def _state(thing: dict[str, Any]) -> str:
    return "disabled" if thing.get("disabled") else str(thing["state"]).lower()
