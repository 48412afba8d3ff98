"""`customhouse feeds update`, `status` and `export`, and the import of bundles."""

from __future__ import annotations

import secrets
from pathlib import Path  # noqa: TC003  - cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.feed_progress import bar, follow
from customhouse.cli.output import Format, notes, plural, print_json, print_table, safe, size
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST = b"customhouse-feeds.json\0"
"""How a bundle begins: with the name of its first member."""

_CHUNK = 1024 * 1024
_STYLES = {"CURRENT": "green", "FAILING": "yellow3", "TOO_OLD": "bold red"}


def update(
    *names: str,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    allow_shrink: bool = False,
    async_: Annotated[bool, Parameter(name="--async")] = False,
    format_: Annotated[Format, Parameter(name="--format")] = Format.TABLE,
) -> None:
    """Fetch feeds from their sources; the server does so regularly from then on.

    Args:
        names: The feeds; those that are updated regularly if none is named.
        all_: Update every source that is on.
        allow_shrink: Load feeds even if they have lost many advisories.
        async_: Do not wait for the end.
        format_: How to print the outcome.
    """
    if names and all_:
        raise Failure(Code.USAGE_INVALID, reason="--all and names of feeds exclude each other")
    body = {"names": list(names), "all": all_, "allowShrink": allow_shrink}
    with Client(credentials.current()) as client:
        asked = client.request("POST", "/v1/feeds:update", json=body).json()["operations"]
        if not asked:
            notes().print(
                "No feed is updated regularly yet. Begin with customhouse feeds update --all,"
                " or name some of customhouse feeds list --sources"
            )
        ended = asked if async_ else follow(client, asked)
    if format_ is Format.JSON:
        print_json(ended)
    else:
        for operation in ended:
            print(_told(operation))
    if any("error" in operation for operation in ended):
        raise SystemExit(1)


def status(*, format_: Annotated[Format, Parameter(name="--format")] = Format.TABLE) -> None:
    """Tell how the feeds are: how old, and what went wrong. Exits with 1 if one needs attention.

    Args:
        format_: How to print it.
    """
    with Client(credentials.current()) as client:
        answer = client.feeds()
    known = [
        feed
        for feed in answer["feeds"]
        if feed["condition"] not in {"NEVER_FETCHED", "OFF"}
        or "dataTime" in feed
        or "updateTime" in feed
    ]
    if format_ is Format.JSON:
        print_json(answer | {"feeds": known})
    else:
        if known:
            _print_status(known)
        _explain(answer, known)
    if any(feed["alarming"] for feed in known):
        raise SystemExit(1)


def export(file: Path, /, *names: str, force: bool = False) -> None:
    """Write feeds to a bundle, which customhouse feeds import takes on another server.

    Args:
        file: Where to write it.
        names: The feeds; all if none is named.
        force: Replace a file that is there.
    """
    if file.exists() and not force:
        raise Failure(Code.FILE_EXISTS, file=str(file))
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with Client(credentials.current()) as client, part.open("xb") as target:
            with bar(f"Writing {file.name}", None) as advance:
                client.save("/v1/feeds:export", target, advance, names=list(names))
            written = target.tell()
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    print(f"{file}: {size(written)}. Load it elsewhere: customhouse feeds import {file.name}")


def is_bundle(path: Path) -> bool:
    """Tell whether a file is a bundle."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_FIRST)) == _FIRST


def import_bundle(client: Client, path: Path, format_: Format, *, allow_shrink: bool) -> None:
    """Load the feeds of a bundle, and tell what came of each.

    Args:
        client: of the server.
        path: of the bundle.
        format_: how to print the outcome.
        allow_shrink: whether feeds may lose any number of their advisories.
    """
    parameters = {"source": path.name, "allowShrink": str(allow_shrink).lower()}
    with path.open("rb") as stream, bar(f"Sending {path.name}", path.stat().st_size) as advance:

        def chunks() -> Iterator[bytes]:
            while chunk := stream.read(_CHUNK):
                yield chunk
                advance(stream.tell())

        operation = client.request(
            "POST",
            "/upload/v1/feeds:importBundle",
            params=parameters,
            content=chunks(),
            headers={"content-type": "application/octet-stream"},
        ).json()
    (ended,) = follow(client, [operation])
    if "error" in ended:
        prefix = "the bundle of feeds cannot be read: "
        reason = ended["error"]["message"].removeprefix(prefix)
        raise Failure(Code.FEED_BUNDLE_INVALID, reason=reason)
    feeds = ended["response"]["feeds"]
    if format_ is Format.JSON:
        print_json(ended)
    else:
        for feed in feeds:
            print(f"{safe(feed['name'])}: {_outcome(feed)}")
    if any("error" in feed for feed in feeds):
        raise SystemExit(1)


def _told(operation: dict[str, Any]) -> str:
    feed = safe(operation["metadata"]["feed"])
    if "error" in operation:
        return f"{feed}: {safe(operation['error']['message'])}"
    if not operation["done"]:
        return f"{feed}: {operation['name']}"
    return f"{feed}: {_outcome(operation['response'])}"


def _outcome(response: dict[str, Any]) -> str:
    if "error" in response:
        return safe(response["error"])
    if "advisories" not in response:
        return "nothing has changed since the last time"
    read = plural(response["advisories"], "advisory").replace("advisorys", "advisories")
    more = [f"{response['changed']:,} new or changed", f"{response['removed']:,} removed"]
    if response["rejected"]:
        more.append(f"{response['rejected']:,} rejected")
    return ", ".join([f"{read} read", *more])


def _print_status(feeds: list[dict[str, Any]]) -> None:
    print_table(
        ["NAME", "STATE", "AGE#", "ADVISORIES#", "LAST TRY", "ERROR"],
        [
            [
                feed["name"],
                Text(feed["condition"], style=_STYLES.get(feed["condition"], "")),
                _age(feed.get("ageSeconds")),
                f"{feed['advisories']:,}" if "advisories" in feed else "",
                feed.get("tryTime", "").removesuffix("Z"),
                feed["error"],
            ]
            for feed in feeds
        ],
    )


def _explain(answer: dict[str, Any], known: list[dict[str, Any]]) -> None:
    """Say what is fetched, and what is not."""
    if answer["offline"]:
        notes().print("This server fetches nothing (feeds.offline); import bundles instead.")
    elif not known and not answer["automatic"]:
        notes().print(
            "Nothing is fetched until it is asked for: customhouse feeds update --all"
            " (or set feeds.automatic in the settings of the server)"
        )


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
