"""`customhouse feeds`: the advisories that images are matched with."""

from __future__ import annotations

import re
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from cyclopts import App, Parameter, validators

from customhouse.cli import credentials, feed_updates
from customhouse.cli.client import Client
from customhouse.cli.feed_progress import bar
from customhouse.cli.output import Format, notes, plural, print_json, print_table, safe
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

app = App(name="feeds", help="Advisories that images are matched with.")
app.command(feed_updates.update)
app.command(feed_updates.status)
app.command(feed_updates.export)

_POLL_SECONDS = 0.2


@app.command(name="import")
def import_(
    source: str,
    /,
    *,
    name: str | None = None,
    add: Annotated[bool, Parameter(negative=())] = False,
    max_shrink: Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))] = 0.2,
    ecosystem: str = "",
    format_: Annotated[Format, Parameter(name="--format")] = Format.TABLE,
) -> None:
    """Load a feed: a file, a folder, a zip or a bundle, in place of what was loaded of it before.

    It may be written as OSV, Red Hat's VEX (CSAF), Alpine's secdb, Debian's security tracker or
    Amazon's updateinfo; EPSS scores and CISA's KEV catalogue are feeds too. A bundle that
    customhouse feeds export has made may have several.

    Args:
        source: A path, or an http or https address that the server fetches.
        name: The name under which the feed is listed; the file's name by default. The feeds of a
            bundle have their names in it.
        add: Add and replace records; those that are not in it stay.
        max_shrink: The share of the feed's records that may be gone, 0 to 1. If more are, nothing
            is loaded.
        ecosystem: What updateinfo.xml is about, such as "Amazon Linux:2023".
        format_: How to print the outcome.
    """
    options = {"add": add, "maxShrink": max_shrink, "ecosystem": ecosystem}
    with Client(credentials.current()) as client:
        if feed_updates.is_bundle(Path(source)):
            feed_updates.import_bundle(client, Path(source), format_, allow_shrink=max_shrink >= 1)
            return
        if re.match(r"https?://", source):
            file = urlsplit(source).path.rstrip("/").rpartition("/")[2]
            body = {"name": name or _name_of(file), "uri": source, **options}
            operation = client.request("POST", "/v1/feeds:import", json=body).json()
        else:
            operation = _upload(client, Path(source), name, options)
        outcome = _follow(client, operation)
    if format_ is Format.JSON:
        print_json(outcome)
        return
    response = outcome["response"]
    print(
        f"{plural(response['advisories'], 'advisory').replace('advisorys', 'advisories')} read, "
        f"{response['changed']:,} new or changed, {plural(response['ranges'], 'affected range')}."
    )
    if response["removed"]:
        print(f"{plural(response['removed'], 'record')} gone, which the feed no longer has.")
    if response["skippedByEcosystem"]:
        skipped = ", ".join(
            f"{ecosystem} ({count:,})"
            for ecosystem, count in sorted(response["skippedByEcosystem"].items())
        )
        print(f"Left out, because they are matched with nothing here: {skipped}.")
    if response["rejected"]:
        print(f"{plural(response['rejected'], 'record')} rejected:")
        for reject in response["rejects"]:
            print(f"  {safe(reject['name'])}: {safe(reject['reason'])}")


@app.command(name="list")
def list_(
    *,
    sources: bool = False,
    format_: Annotated[Format, Parameter(name="--format")] = Format.TABLE,
) -> None:
    """List the feeds that are loaded, or the sources there are.

    Args:
        sources: List the sources instead: where feeds can be fetched from.
        format_: How to print the list.
    """
    with Client(credentials.current()) as client:
        found = client.feeds()["feeds"]
    feeds = [feed for feed in found if ("on" if sources else "updateTime") in feed]
    if sources and format_ is Format.TABLE:
        _print_sources(feeds)
        return
    if format_ is Format.JSON:
        print_json(feeds)
    elif not feeds:
        notes().print(
            "No advisories are loaded. Load some: customhouse feeds update --all,"
            " or customhouse feeds import PATH"
        )
    else:
        print_table(
            ["NAME", "ADVISORIES#", "RANGES#", "REJECTED#", "UPDATED!", "ECOSYSTEMS"],
            [
                [
                    feed["name"],
                    f"{feed['advisories']:,}",
                    f"{feed['ranges']:,}",
                    f"{feed['rejected']:,}",
                    feed["updateTime"].removesuffix("Z"),
                    _shortened(feed["ecosystems"]),
                ]
                for feed in feeds
            ],
        )


def _print_sources(feeds: list[dict[str, Any]]) -> None:
    print_table(
        ["NAME", "TITLE", "ON", "EVERY#", "ADDRESS"],
        [
            [
                feed["name"],
                feed["title"],
                "yes" if feed["on"] else "no",
                f"{feed['intervalSeconds'] / 3600:g} h",
                feed["mirrors"][0] if feed["mirrors"] else "",
            ]
            for feed in feeds
        ],
    )


def _shortened(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _name_of(text: str) -> str:
    """A feed's name from a file's: without endings, of the characters that a name may have."""
    stem = re.sub(r"(\.all)?\.(zip|jsonl?|tar)$", "", text)
    return re.sub(r"[^A-Za-z0-9._:-]+", "-", stem).strip("-._:")[:100] or "feed"


def _upload(
    client: Client, path: Path, name: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    if not path.exists():
        raise Failure(Code.FEED_INVALID, reason=f"there is no {path}")
    parameters = {"name": name or _name_of(path.name), "source": path.name, **options}
    with _as_file(path) as file:
        size = file.stat().st_size
        with file.open("rb") as stream, bar(f"Sending {path.name}", size) as advance:

            def chunks() -> Iterator[bytes]:
                while chunk := stream.read(1024 * 1024):
                    yield chunk
                    advance(stream.tell())

            response = client.request(
                "POST",
                "/upload/v1/feeds:import",
                params=parameters,
                content=chunks(),
                headers={"content-type": "application/octet-stream"},
            )
    operation: dict[str, Any] = response.json()
    return operation


@contextmanager
def _as_file(path: Path) -> Iterator[Path]:
    """The path itself, or a temporary zip of it when it is a folder."""
    if not path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "feed.zip"
        with zipfile.ZipFile(
            packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False
        ) as archive:
            for file in sorted(path.rglob("*.json")):
                if file.is_file() and not file.is_symlink():
                    archive.write(file, file.relative_to(path))
        yield packed


def _follow(client: Client, operation: dict[str, Any]) -> dict[str, Any]:
    """Wait for an operation to end, showing how far it is.

    Raises:
        Failure: FEED_INVALID, when it failed.
    """
    with bar("Loading advisories", None) as advance:
        while not operation["done"]:
            time.sleep(_POLL_SECONDS)
            operation = client.get(f"/v1/{operation['name']}").json()
            metadata = operation["metadata"]
            advance(metadata["read"], metadata["total"] or None)
    if "error" in operation:
        reason = operation["error"]["message"].removeprefix("the feed cannot be read: ")
        raise Failure(Code.FEED_INVALID, reason=reason)
    return operation
