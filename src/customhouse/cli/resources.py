"""Listings and descriptions of what the control plane has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from customhouse.cli.output import Format, console, print_json, safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.cli.client import Client

_FOREVER = "9999"
_LONG = 44
_PAGE = 1000


def everything(client: Client, path: str, key: str, **parameters: Any) -> list[Any]:
    """All pages of a listing together.

    Args:
        client: of the server.
        path: below the server's URL.
        key: of the entries in each page.
        parameters: of the query.

    Raises:
        Failure: any of the server.
    """
    found: list[Any] = []
    token = ""
    while True:
        document = client.get(path, **parameters, pageToken=token).json()
        found += document.get(key, [])
        token = document.get("nextPageToken", "")
        if not token:
            return found


def pages(client: Client, path: str, key: str, limit: int, **parameters: Any) -> dict[str, Any]:
    """The first entries of a listing, with what its first page tells beside them.

    Args:
        client: of the server.
        path: below the server's URL.
        key: of the entries in each page.
        limit: how many entries at most.
        parameters: of the query.

    Returns:
        The first page with the entries of all; `nextPageToken` is there if there are more.

    Raises:
        Failure: any of the server.
    """
    document: dict[str, Any] = {}
    token = ""
    while len(found := document.get(key, [])) < limit:
        size = min(limit - len(found), _PAGE)
        page = client.get(path, **parameters, pageSize=size, pageToken=token).json()
        document = page | document | {key: found + page.get(key, [])}
        document.pop("nextPageToken", None)
        token = page.get("nextPageToken", "")
        if not token:
            return document
    return document | {"nextPageToken": token}


def print_fields(
    fields: Mapping[str, Any], format_: Format, document: object | None = None
) -> None:
    """Print one thing, a field in each line.

    Args:
        fields: by name; those that are empty are left out.
        format_: how to print.
        document: what JSON has, if that is something else than the fields.
    """
    if format_ is Format.JSON:
        print_json(fields if document is None else document)
        return
    out = console()
    shown = {key: value for key, value in fields.items() if value not in {"", None}}
    width = max(map(len, shown), default=0) + 2
    for key, value in shown.items():
        out.print(f"{key + ':':<{width}}{safe(str(value))}", markup=False, soft_wrap=True)


def day(timestamp: str) -> str:
    """The day of a time as the API writes it; `never` for what has no end."""
    return "never" if timestamp.startswith(_FOREVER) else timestamp[:10]


def moment(timestamp: str) -> str:
    """A time as the API writes it, to the second, UTC."""
    return timestamp[:19]


def moment_cell(timestamp: str) -> Text:
    """The same for a table: day and hour are on lines of their own where somebody reads it."""
    text = moment(timestamp)
    return Text(text.replace("T", "\n") if console().is_terminal else text)


def address(email: str) -> Text:
    """An e-mail address for a table: a long one is broken after the @ where somebody reads it."""
    name, at, host = email.partition("@")
    if console().is_terminal and len(email) > _LONG:
        return Text(f"{safe(name)}{at}\n{safe(host)}")
    return Text(safe(email))
