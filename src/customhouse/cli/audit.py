"""`customhouse audit`: the log of who did what."""

from __future__ import annotations

import csv
import json
import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from cyclopts import App, Parameter

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import ProjectOption, chosen
from customhouse.cli.output import notes, print_table, safe

if TYPE_CHECKING:
    from collections.abc import Iterator

app = App(name="audit", help="The log of who did what.")

_PAGE = 1000
_COLUMNS = ("time", "principal", "method", "resource", "granted", "status", "address", "permission")


class Export(Enum):
    """How to print: CSV and JSON lines have everything, for other programs."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


FormatOption = Annotated[Export, Parameter(name="--format", help="How to print.")]


@app.command(name="list")
def list_(
    *,
    project: ProjectOption = "",
    principal: str = "",
    resource: str = "",
    method: str = "",
    denied: bool = False,
    since: str = "",
    until: str = "",
    limit: int = 100,
    format_: FormatOption = Export.TABLE,
) -> None:
    """List what was done and what was refused, the newest first.

    Args:
        project: The project; without one, the whole server.
        principal: Who, as user:ana.
        resource: What the resource's name begins with, as projects/acme/repositories/web.
        method: The method, as SetIamPolicy or Docker-PutManifest.
        denied: Only what was refused.
        since: The earliest time, as 2026-11-25 or 2026-11-25T10:00:00Z.
        until: The time before which it was.
        limit: How many entries at most; 0 for all.
        format_: How to print. JSON is one entry of Cloud Logging a line.
    """
    wanted = {
        "principal": principal,
        "resource": resource,
        "method": method,
        "since": since,
        "until": until,
    }
    query = {name: value for name, value in wanted.items() if value}
    if denied:
        query["granted"] = "false"
    place = f"/v1/projects/{quote(chosen(project), safe='')}" if project else "/v1"
    with Client(credentials.current()) as client:
        found = _entries(client, f"{place}/auditLogs", query, limit)
        if format_ is Export.JSON:
            for entry in found:
                print(json.dumps(entry, ensure_ascii=False))
        elif format_ is Export.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(_row(entry) for entry in found)
        else:
            _print(list(found), project)


def _print(entries: list[dict[str, Any]], project: str) -> None:
    if not entries:
        where = f" of project [{safe(project)}]" if project else ""
        notes().print(f"Nothing of that kind is in the log{where}.", markup=False)
        return
    print_table(
        ["TIME!", "PRINCIPAL", "METHOD", "RESOURCE", "OUTCOME", "FROM"],
        [
            [time[:19], principal, method, resource, _verdict(granted), address]
            for time, principal, method, resource, granted, _, address, _ in map(_row, entries)
        ],
    )


def _verdict(granted: str) -> str:
    return "ok" if granted == "true" else "refused"


def _row(entry: dict[str, Any]) -> list[str]:
    said = entry["protoPayload"]
    asked = (said.get("authorizationInfo") or [{}])[0]
    who = said.get("authenticationInfo", {})
    metadata = said.get("requestMetadata", {})
    return [
        entry["timestamp"],
        who.get("principalSubject") or who.get("principalEmail") or "allUsers",
        said["methodName"],
        said["resourceName"],
        "true" if asked.get("granted", not said.get("status")) else "false",
        str(said.get("status", {}).get("code", 0)),
        metadata.get("callerIp", ""),
        asked.get("permission", ""),
    ]


def _entries(
    client: Client, path: str, query: dict[str, str], limit: int
) -> Iterator[dict[str, Any]]:
    token, count = "", 0
    while True:
        size = min(_PAGE, limit - count) if limit else _PAGE
        page = client.get(path, pageSize=size, pageToken=token, **query).json()
        yield from page["entries"]
        count += len(page["entries"])
        token = page.get("nextPageToken", "")
        if not token or (limit and count >= limit):
            return
