"""Policies on the command line: read one, change it, write it, and again if somebody was faster."""

from __future__ import annotations

import json
import secrets
import shlex
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from customhouse.cli import credentials
from customhouse.cli.client import Client, ServerError
from customhouse.cli.output import Format, console, notes, print_json, safe
from customhouse.errors import Code, Failure
from customhouse.names import check_name, parse_project, project_id, project_name, split_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from customhouse.cli.options import Grant

_ATTEMPTS = 10
_PAUSE_MILLISECONDS = 50
_MAX_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """What a policy stands on.

    Attributes:
        resource: its name in the API, as `projects/acme/repositories/web`.
        shown: what people are told.
        group: the words of the commands that change its policy, up to the verb.
        name: what these commands call it; empty for the server.
    """

    resource: str
    shown: str
    group: str
    name: str = ""

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/v1/{quote(self.resource, safe='/*')}"

    def command(self, verb: str) -> str:
        """The command that does something with its policy: `get`, `add` or `remove`."""
        words = {"get": "get-iam-policy", "add": "add-iam-policy-binding"}
        if not self.name:
            words = {"get": "get-policy", "add": "add-binding"}
        word = words.get(verb) or words["add"].replace("add", "remove")
        command = f"customhouse {self.group} {word}"
        return f"{command} {shlex.quote(self.name)}" if self.name else command


SERVER = Place("organizations/customhouse", "the server", "iam")


def project(text: str) -> Place:
    """A project.

    Raises:
        Failure: PROJECT_INVALID.
    """
    name = project_id(parse_project(text))
    return Place(f"projects/{name}", f"project [{name}]", "projects", name)


def repository(text: str) -> Place:
    """A repository `P/IMAGE`, or all below a prefix: `P/team-a/**`, `P/**`.

    Raises:
        Failure: NAME_INVALID, PROJECT_INVALID.
    """
    first, slash, path = text.partition("/")
    if ":" in path:
        reason = f"{text!r} names a tag, and roles are given for all of an image"
        raise Failure(Code.NAME_INVALID, reason=reason)
    owner, rest = split_project(parse_project(first) + slash + path if ":" in first else text)
    if not rest:
        reason = f"{text!r} names a project but no image in it"
        raise Failure(Code.NAME_INVALID, reason=reason)
    if rest != "**":
        check_name(rest.removesuffix("/**"))
    name = project_id(parse_project(owner))
    shown = f"{owner}/{rest}"
    return Place(f"projects/{name}/repositories/{rest}", f"[{shown}]", "repositories", shown)


def service_account(email: str) -> Place:
    """A service account, by its address or number."""
    resource = f"projects/-/serviceAccounts/{quote(email, safe='@')}"
    return Place(resource, f"service account [{email}]", "iam service-accounts", email)


def find(text: str, host: str) -> Place:
    """What a person means by `P`, `P/IMAGE` or a name as the API has them.

    Args:
        text: what was written.
        host: of the server, with which a repository may be named.

    Raises:
        Failure: NAME_INVALID, PROJECT_INVALID.
    """
    if text in {SERVER.resource, "/"}:
        return SERVER
    text = text.removeprefix(f"{host}/")
    if text.startswith("projects/"):
        owner, rest = split_project(text.removeprefix("projects/"))
        kind, _, name = rest.partition("/")
        if kind == "serviceAccounts" and name:
            resource = f"projects/{project_id(owner)}/serviceAccounts/{name}"
            return Place(resource, service_account(name).shown, "iam service-accounts", name)
        text = f"{owner}/{name}" if kind == "repositories" and name else text
        text = owner if not rest else text
    return repository(text) if split_project(project_name(text))[1] else project(text)


def get(place: Place, format_: Format) -> None:
    """Print the policy of a place."""
    with Client(credentials.current()) as client:
        show(_read(client, place), format_)


def put(place: Place, file: Path, format_: Format) -> None:
    """Replace the policy of a place by what a JSON file has.

    Raises:
        Failure: POLICY_INVALID; any of the server, when the file has an old etag.
    """
    with file.open("rb") as stream:
        text = stream.read(_MAX_FILE + 1)
    try:
        if len(text) > _MAX_FILE:
            raise ValueError(f"it has more than {_MAX_FILE} bytes")  # noqa: TRY301  - as json's are
        policy = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure(Code.POLICY_INVALID, reason=f"{file}: {str(error)[:200]}") from error
    with Client(credentials.current()) as client:
        written = _write(client, place, policy)
    notes().print(f"Updated the policy of {place.shown}.", markup=False, soft_wrap=True)
    show(written, format_)


def add(place: Place, grant: Grant, format_: Format) -> None:
    """Give a role to a member."""
    condition = grant.fields()

    def edit(bindings: list[dict[str, Any]]) -> None:
        for binding in bindings:
            if binding["role"] == grant.role and _same(binding, condition):
                if grant.member not in binding["members"]:
                    binding["members"].append(grant.member)
                return
        binding = {"role": grant.role, "members": [grant.member]}
        bindings.append(binding | ({"condition": condition} if condition else {}))

    _change_and_show(place, edit, format_)


def remove(place: Place, grant: Grant, format_: Format, *, all_: bool) -> None:
    """Take a role from a member.

    Args:
        place: where.
        grant: which.
        format_: how to print the policy.
        all_: whatever the condition.

    Raises:
        Failure: BINDING_UNKNOWN.
    """
    condition = grant.fields()

    def edit(bindings: list[dict[str, Any]]) -> None:
        having = [b for b in bindings if b["role"] == grant.role and grant.member in b["members"]]
        meant = [b for b in having if all_ or _same(b, condition)]
        if not meant:
            hint = f"List what there is: {place.command('get')}"
            if having:
                hint = "It has it under a condition: add --condition-expression, or --all."
            raise Failure(
                Code.BINDING_UNKNOWN,
                member=grant.member,
                role=grant.role,
                resource=place.shown,
                todo=hint,
            )
        for binding in meant:
            binding["members"].remove(grant.member)

    _change_and_show(place, edit, format_)


def change(
    client: Client, place: Place, edit: Callable[[list[dict[str, Any]]], None]
) -> tuple[dict[str, Any], bool]:
    """Change the bindings of a place.

    Args:
        client: of the server.
        place: where.
        edit: changes the bindings that it is given; called again when somebody was faster.

    Returns:
        The policy, and whether it was changed.

    Raises:
        Failure: any of the server, and of `edit`.
    """
    for attempt in range(_ATTEMPTS):
        policy = _read(client, place)
        bindings = policy.setdefault("bindings", [])
        before = json.dumps(bindings)
        edit(bindings)
        policy["bindings"] = [binding for binding in bindings if binding["members"]]
        if json.dumps(policy["bindings"]) == before:
            return policy, False
        try:
            return _write(client, place, policy), True
        except ServerError as error:
            if error.status != HTTPStatus.CONFLICT or attempt == _ATTEMPTS - 1:
                raise
        time.sleep(secrets.randbelow(_PAUSE_MILLISECONDS * (attempt + 1)) / 1000)
    raise AssertionError("the last attempt returns or raises")


def show(policy: dict[str, Any], format_: Format) -> None:
    """Print a policy: each role with its members below."""
    if format_ is Format.JSON:
        print_json(policy)
        return
    out = console()
    bindings = sorted(policy.get("bindings", []), key=lambda binding: str(binding["role"]))
    if not bindings:
        notes().print("There are no bindings.")
    for binding in bindings:
        out.print(safe(binding["role"]), markup=False, soft_wrap=True, style="bold")
        condition = binding.get("condition")
        if condition:
            title = f"  ({condition['title']})" if condition.get("title") else ""
            line = f"  if {condition['expression']}{title}"
            out.print(safe(line), markup=False, soft_wrap=True, style="yellow3")
        for member in binding["members"]:
            out.print(f"  {safe(member)}", markup=False, soft_wrap=True)


def _change_and_show(
    place: Place, edit: Callable[[list[dict[str, Any]]], None], format_: Format
) -> None:
    with Client(credentials.current()) as client:
        policy, changed = change(client, place, edit)
    told = "Updated the policy of" if changed else "Nothing to change in the policy of"
    notes().print(f"{told} {place.shown}.", markup=False, soft_wrap=True)
    show(policy, format_)


def _read(client: Client, place: Place) -> dict[str, Any]:
    options = {"options": {"requestedPolicyVersion": 3}}
    response = client.request("POST", f"{place.path}:getIamPolicy", json=options)
    policy: dict[str, Any] = response.json()
    return policy


def _write(client: Client, place: Place, policy: object) -> dict[str, Any]:
    response = client.request("POST", f"{place.path}:setIamPolicy", json={"policy": policy})
    written: dict[str, Any] = response.json()
    return written


def _same(binding: dict[str, Any], condition: dict[str, str]) -> bool:
    """Whether a binding has this condition: the expression tells them apart, the title does not."""
    own = binding.get("condition", {}).get("expression", "")
    return bool(own == condition.get("expression", ""))
