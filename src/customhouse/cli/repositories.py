"""`customhouse repositories`: who may do what with some images of a project."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from customhouse.cli import credentials, policies
from customhouse.cli.client import Client, ServerError
from customhouse.cli.explain import ask_server
from customhouse.cli.options import FormatOption, Grant
from customhouse.cli.output import Format, notes
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from customhouse.cli.policies import Place

app = App(name="repositories", help="Who may do what with images; public and private.")

_READER = "roles/artifactregistry.reader"
_EVERYBODY = ("allUsers", "allAuthenticatedUsers")
_PULL = "artifactregistry.repositories.downloadArtifacts"


@app.command
def get_iam_policy(repository: str, /, *, format_: FormatOption = Format.TABLE) -> None:
    """Show the bindings that stand on a repository. Those of its project count as well.

    Args:
        repository: PROJECT/IMAGE, or PROJECT/PREFIX/** for all below a prefix.
        format_: How to print.
    """
    policies.get(_place(repository), format_)


@app.command
def set_iam_policy(repository: str, file: Path, /, *, format_: FormatOption = Format.TABLE) -> None:
    """Replace the policy of a repository.

    Args:
        repository: PROJECT/IMAGE, or PROJECT/PREFIX/** for all below a prefix.
        file: JSON, as get-iam-policy --format json prints it. With its etag, changes of others
            since then are not lost.
        format_: How to print.
    """
    policies.put(_place(repository), file, format_)


@app.command
def add_iam_policy_binding(
    repository: str, /, *, grant: Grant, format_: FormatOption = Format.TABLE
) -> None:
    """Give a role in a repository to a member.

    Args:
        repository: PROJECT/IMAGE, or PROJECT/PREFIX/** for all below a prefix.
        grant: The role and the member.
        format_: How to print.
    """
    policies.add(_place(repository), grant, format_)


@app.command
def remove_iam_policy_binding(
    repository: str,
    /,
    *,
    grant: Grant,
    all_: bool = False,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Take a role in a repository from a member.

    Args:
        repository: PROJECT/IMAGE, or PROJECT/PREFIX/** for all below a prefix.
        grant: The role and the member.
        all_: Whatever the condition.
        format_: How to print.
    """
    policies.remove(_place(repository), grant, format_, all_=all_)


@app.command
def make_public(repository: str, /) -> None:
    """Let everybody pull, without signing in.

    Args:
        repository: PROJECT/IMAGE, or PROJECT/** for all images of a project.
    """
    place = _place(repository)

    def edit(bindings: list[dict[str, Any]]) -> None:
        for binding in bindings:
            if binding["role"] == _READER and not binding.get("condition"):
                if _EVERYBODY[0] not in binding["members"]:
                    binding["members"].append(_EVERYBODY[0])
                return
        bindings.append({"role": _READER, "members": [_EVERYBODY[0]]})

    with Client(credentials.current()) as client:
        policies.change(client, place, edit)
    print(f"{place.shown} is public: everybody can pull.")


@app.command
def make_private(repository: str, /) -> None:
    """Take from everybody what make-public gave. Members that are named keep their roles.

    Fails, with the command that helps, if a binding on the project or a prefix keeps it public.

    Args:
        repository: PROJECT/IMAGE, or PROJECT/** for all images of a project.
    """
    place = _place(repository)

    def edit(bindings: list[dict[str, Any]]) -> None:
        for binding in bindings:
            binding["members"] = [each for each in binding["members"] if each not in _EVERYBODY]

    with Client(credentials.current()) as client:
        policies.change(client, place, edit)
        answer: dict[str, Any] = {}
        try:
            answer = ask_server(client, _EVERYBODY[0], _PULL, place.resource)
        except ServerError as error:
            # One who looks after a repository alone may not read what stands on the project.
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            notes().print("Whether the project makes it public is not yours to see.")
        if answer.get("access") == "GRANTED":
            allowing = next(each for each in answer["bindings"] if each["verdict"] == "allows")
            where = policies.find(allowing["resource"], client.host)
            which = f"--member {allowing['member']} --role {allowing['role']}"
            todo = f"{where.command('remove')} {which}"
            raise Failure(Code.STILL_PUBLIC, resource=place.shown, where=where.shown, todo=todo)
    print(f"{place.shown} is private.")


def _place(text: str) -> Place:
    """What a person names, perhaps with the server in front, as Docker has it."""
    host = credentials.host_of(credentials.current().url)
    return policies.repository(text.removeprefix(f"{host}/"))
