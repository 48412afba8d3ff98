"""`customhouse iam explain`: why somebody may do something, or what is missing."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from customhouse.cli import credentials, policies
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption  # noqa: TC001  - cyclopts reads annotations
from customhouse.cli.output import Format, console, print_json, safe

if TYPE_CHECKING:
    from customhouse.cli.policies import Place

_DENIED = 3
_MANY = 3


def explain(
    principal: str,
    permission: str,
    resource: str,
    /,
    *,
    tag: str = "",
    address: str = "",
    format_: FormatOption = Format.TABLE,
) -> None:
    """Say why somebody may do something, or what is missing. Exits with 0 if so, with 3 if not.

    Args:
        principal: user:NAME, serviceAccount:EMAIL, or allUsers for who has not signed in.
        permission: As artifactregistry.repositories.downloadArtifacts.
        resource: PROJECT, PROJECT/IMAGE, or a name as projects/P/serviceAccounts/EMAIL.
        tag: The tag that a condition would look at.
        address: The address that a condition would look at.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        place = policies.find(resource, client.host)
        answer = ask_server(client, principal, permission, place.resource, tag, address)
    granted = answer["access"] == "GRANTED"
    if format_ is Format.JSON:
        print_json(answer)
    elif granted:
        _say(f"{principal} may {permission} on {place.shown}.")
        for binding in answer["bindings"]:
            if binding["verdict"] == "allows":
                _say(f"Allowed by {_described(binding)}")
    else:
        _tell_missing(answer, principal, permission, place)
    if not granted:
        raise SystemExit(_DENIED)


def ask_server(
    client: Client, principal: str, permission: str, resource: str, tag: str = "", address: str = ""
) -> dict[str, Any]:
    """What the server answers, in the form of `POST /v1/iam:troubleshoot`.

    Raises:
        Failure: any of the server.
    """
    asked = {
        "principal": principal,
        "permission": permission,
        "fullResourceName": resource,
        "tag": tag,
        "address": address,
    }
    response = client.request("POST", "/v1/iam:troubleshoot", json={"accessTuple": asked})
    answer: dict[str, Any] = response.json()
    return answer


def _tell_missing(answer: dict[str, Any], principal: str, permission: str, place: Place) -> None:
    _say(f"{principal} may not {permission} on {place.shown}.")
    if answer["problem"]:
        # What the account is refused, it is refused whatever its roles.
        _say(f"Why: {answer['problem'].removeprefix('the token is not valid: ')}.")
        return
    if answer["bindings"]:
        _say("What it has does not help:")
        for binding in answer["bindings"]:
            _say(f"  {_described(binding)}: {binding['verdict']}")
    else:
        _say("It has no role there.")
    roles = answer["roles"]
    if not roles:
        return
    more = f" and {len(roles) - _MANY} more" if len(roles) > _MANY else ""
    _say(f"Roles that have the permission: {', '.join(roles[:_MANY])}{more}.")
    _say("To give the narrowest:")
    member = shlex.quote(principal)
    _say(f"  {place.command('add')} --member {member} --role {roles[0]}")


def _described(binding: dict[str, Any]) -> str:
    where = policies.find(binding["resource"], "").shown
    condition = f" if {binding['condition']}" if binding["condition"] else ""
    return f"{binding['role']} of {binding['member']} on {where}{condition}"


def _say(text: str) -> None:
    console().print(safe(text), markup=False, soft_wrap=True)
