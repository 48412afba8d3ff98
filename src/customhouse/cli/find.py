"""`customhouse analysis find`: which images hold a package, or have a vulnerability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from cyclopts import ArgumentCollection, Group, Parameter, validators
from rich.text import Text

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, chosen
from customhouse.cli.output import (
    SEVERITIES,
    Format,
    console,
    notes,
    plural,
    print_json,
    print_table,
    safe,
    severity,
)
from customhouse.cli.resources import pages
from customhouse.cli.scans import Level  # noqa: TC001  - read when it is called

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SHOWN_NAMES = 3
_MAX_COMMAND = 100
_SHOWN_VERSIONS = 15

_SUBJECT = Group("What to find", validator=validators.LimitedChoice(1, 1))


def _check_options(arguments: ArgumentCollection) -> None:
    given = {argument.name for argument in arguments if argument.tokens}
    if "--package" not in given and given & {"--version", "--ecosystem"}:
        raise ValueError("--version and --ecosystem go with --package.")
    if "--vulnerability" not in given and given & {"--severity", "--fixable"}:
        raise ValueError("--severity and --fixable go with --vulnerability.")


_OPTIONS = Group("Options", show=False, validator=_check_options)


def find(
    *,
    package: Annotated[str, Parameter(group=(_SUBJECT, _OPTIONS))] = "",
    vulnerability: Annotated[str, Parameter(group=(_SUBJECT, _OPTIONS))] = "",
    version: Annotated[str, Parameter(group=("Parameters", _OPTIONS))] = "",
    ecosystem: Annotated[str, Parameter(group=("Parameters", _OPTIONS))] = "",
    severity: Annotated[Level | None, Parameter(group=("Parameters", _OPTIONS))] = None,
    fixable: Annotated[bool, Parameter(group=("Parameters", _OPTIONS))] = False,
    project: str = "",
    summary: bool = False,
    limit: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 100,
    format_: FormatOption = Format.TABLE,
) -> None:
    """Find images that hold a package or have a vulnerability, in all projects that you may see.

    Args:
        package: The name of a package, or of the source package that it was built from.
        vulnerability: Any name of a vulnerability, as CVE-... or GHSA-...; not one of an advisory.
        version: Only versions such as '<1.2.3': with <, <=, =, >= or > before it, in the order
            that the package's ecosystem has for versions.
        ecosystem: Only packages of an ecosystem such as Debian, Debian:12, Alpine, PyPI or npm.
        severity: Only where the vulnerability is that severe or worse.
        fixable: Only where there is a version with the fix.
        project: Only in this project.
        summary: Show how many images there are of which version, and which base images they have
            in common, instead of the images.
        limit: How many images to show at most.
        format_: How to print.
    """
    parameters: dict[str, Any] = {
        "package": package,
        "version": version,
        "ecosystem": ecosystem,
        "vulnerability": vulnerability,
        "severity": severity.value if severity else "",
        "fixable": fixable,
    }
    where = f"/v1/projects/{quote(chosen(project), safe='')}" if project else "/v1"
    with Client(credentials.current()) as client:
        if summary:
            document = client.get(f"{where}/images:summarize", **parameters).json()
        else:
            document = pages(client, f"{where}/images:search", "images", limit, **parameters)
    if format_ is Format.JSON:
        print_json(document)
    elif summary:
        _print_summary(document, package or vulnerability)
    else:
        _print_images(document, limit)
    if format_ is Format.TABLE:
        _print_remarks(document, package, is_empty=not _count(document))


def _count(document: dict[str, Any]) -> int:
    return int(document["imageCount"] if "imageCount" in document else len(document["images"]))


def _print_remarks(document: dict[str, Any], package: str, *, is_empty: bool) -> None:
    out = notes()
    told = document.get("vulnerability")
    if told and not told["known"]:
        out.print(
            f"No feed tells of a vulnerability called {safe(told['name'])}."
            " See the feeds: customhouse feeds list",
            markup=False,
            soft_wrap=True,
        )
    elif told and is_empty:
        out.print(f"{safe(told['name'])} is known, and no such image has it.", markup=False)
    elif is_empty:
        out.print(f"No such image holds {safe(package)}.", markup=False)
    if ecosystems := document.get("uncomparedEcosystems"):
        names = ", ".join(each or "no known ecosystem" for each in ecosystems)
        out.print(
            f"Left out are packages of {safe(names)}, whose versions do not compare with that one.",
            markup=False,
            soft_wrap=True,
        )


def _print_images(document: dict[str, Any], limit: int) -> None:
    images = document["images"]
    if not images:
        return
    if "vulnerability" in document:
        columns = ["SEVERITY!", "IMAGE", "PACKAGE", "INSTALLED", "FIXED IN"]
        print_table(columns, [row for image in images for row in _vulnerable(image)])
    else:
        columns = ["IMAGE", "PACKAGE", "VERSION", "LAYER#", "PUSHED!"]
        print_table(columns, [row for image in images for row in _holding(image)])
    if "nextPageToken" in document:
        notes().print(f"More are left out; see them with --limit {limit * 10}, or --summary.")


def _holding(image: dict[str, Any]) -> list[list[str | Text]]:
    """The rows of an image: packages of one version share one."""
    groups = _grouped(image["packages"], _layer)
    return [
        [*_once(n, _named(image)), _names(packages), version, layer, *_once(n, _pushed(image))]
        for n, ((version, layer), packages) in enumerate(groups.items())
    ]


def _vulnerable(image: dict[str, Any]) -> list[list[str | Text]]:
    """The rows of an image: packages of one version, severity and fix share one."""
    worst = min((each["effectiveSeverity"] for each in image["packages"]), key=SEVERITIES.index)
    groups = _grouped(image["packages"], _fix)
    return [
        [*_once(n, severity(worst), _named(image)), _names(packages), version, fix]
        for n, ((version, fix), packages) in enumerate(groups.items())
    ]


def _once(number: int, *cells: str | Text) -> Sequence[str | Text]:
    """What stands in the first row of an image and in no other."""
    return cells if not number else [""] * len(cells)


def _grouped(
    packages: list[dict[str, Any]], key: Callable[[dict[str, Any]], str]
) -> dict[tuple[str, str], list[str]]:
    """The names of packages by their version and something else."""
    groups: dict[tuple[str, str], list[str]] = {}
    for package in packages:
        groups.setdefault((package["version"], key(package)), []).append(package["package"])
    return groups


def _names(names: list[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    shown = ", ".join(names[:_SHOWN_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown


def _layer(package: dict[str, Any]) -> str:
    """Where the layer stands that brought a package; empty for what a bill tells of."""
    index = int(package["fileLocation"]["layerDetails"]["index"])
    return str(index) if index >= 0 else ""


def _pushed(image: dict[str, Any]) -> str:
    return str(image["uploadTime"][:10])


def _named(image: dict[str, Any]) -> str:
    """An image by a name that other commands take, and how many other tags it has."""
    uri, _, digest = image["resourceUri"].removeprefix("https://").partition("@")
    name = uri.partition("/")[2]
    if "." in name.partition("/")[0]:
        name = uri  # without its host the project would be taken for one
    tags = image["tags"]
    if not tags:
        return f"{name}@{digest}"
    return f"{name}:{tags[0]}" + (f" (+{len(tags) - 1})" if len(tags) > 1 else "")


def _fix(package: dict[str, Any]) -> str:
    """The version with the fix; else what the distribution says will come of it."""
    status = package.get("status", "affected")
    unfixed = "not fixed" if status == "affected" else f"not fixed ({status})"
    return str(package.get("fixedVersion") or unfixed)


def _print_summary(document: dict[str, Any], subject: str) -> None:
    if not document["imageCount"]:
        return
    out = console()
    told = document.get("vulnerability", {})
    verb = ("has", "have") if told else ("holds", "hold")
    has = f"{verb[document['imageCount'] != 1]} {told.get('name', subject)}"
    where = plural(document["repositoryCount"], "repository").replace("ys", "ies")
    projects = plural(document["projectCount"], "project")
    images = plural(document["imageCount"], "image")
    out.print(f"{images} in {where} of {projects} {safe(has)}.", markup=False, soft_wrap=True)
    if severities := document.get("severities"):
        counts = ", ".join(f"{count:,} {name.lower()}" for name, count in severities.items())
        out.print(f"{counts.replace('severity_', '')}.", markup=False)
    versions = document["versions"][:_SHOWN_VERSIONS]
    columns = ["IMAGES#", "PACKAGE", "VERSION", "ECOSYSTEM", *["FIXED IN"] * bool(told)]
    out.print()
    print_table(columns, [_version(each, has_fix=bool(told)) for each in versions])
    if left := document["versionCount"] - len(versions):
        out.print(f"and {plural(left, 'version')} more.")
    if bases := document["bases"]:
        out.print("\nBase images that they stand on:\n")
        print_table(["IMAGES#", "LAYERS#", "BASE"], [_base(each) for each in bases])


def _version(version: dict[str, Any], *, has_fix: bool) -> Sequence[str]:
    cells = [
        f"{version['imageCount']:,}",
        version["package"],
        version["version"],
        version.get("ecosystem", ""),
    ]
    return [*cells, _fix(version)] if has_fix else cells


def _base(base: dict[str, Any]) -> Sequence[str | Text]:
    known = [_named(image) for image in base["knownImages"]]
    if known:
        shown = Text("\n".join(map(safe, known)))
    else:
        top = base["topLayer"]
        made = safe(top.get("command", ""))[:_MAX_COMMAND]
        digest = top.get("layerDigest") or top.get("diffId", "")
        shown = Text("no image here; its top layer is ", style="dim")
        shown.append(digest.partition(":")[2][:12]).append(f" {made}" if made else "")
    return [f"{base['imageCount']:,}", str(base["layerCount"]), shown]
