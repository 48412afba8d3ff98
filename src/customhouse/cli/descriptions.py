"""How an image is described: where its analysis stands, what is vulnerable in it."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from customhouse.cli.exemption import exempted, in_words, of_packages
from customhouse.cli.output import SEVERITIES, console, plural, print_table, safe, severity

_MAX_COMMAND = 60


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Occurrences by severity, the worst first, as gcloud has them.

    Of one severity those come first that are known to be exploited.
    """
    grouped: dict[str, list[dict[str, Any]]] = {}
    for name in SEVERITIES:
        of_severity = [each for each in found if each["vulnerability"]["effectiveSeverity"] == name]
        if of_severity:
            grouped[name] = sorted(
                of_severity, key=lambda each: (not _is_exploited(each), _title(each))
            )
    return {
        "vulnerabilities": grouped,
        "total_vulnerability_found": len(found),
        "not_fixed_vulnerability_count": sum(
            not each["vulnerability"]["fixAvailable"] for each in found
        ),
        "exception_count": sum("exceptions" in each["vulnerability"] for each in found),
        "known_exploited_count": sum(map(_is_exploited, found)),
    }


def _is_exploited(occurrence: dict[str, Any]) -> bool:
    """Whether CISA's catalogue has it."""
    return "knownExploited" in occurrence["vulnerability"]


def _marked(occurrence: dict[str, Any]) -> Text:
    """The name of a vulnerability, with a mark if it is known to be exploited."""
    text = Text(safe(_title(occurrence)))
    return text.append(" exploited", style="bold red") if _is_exploited(occurrence) else text


def _probability(occurrence: dict[str, Any]) -> str:
    """How likely it is exploited within 30 days, in percent; empty if nobody says."""
    epss = occurrence["vulnerability"].get("epss")
    return f"{epss['probability']:.1%}" if epss else ""


def _fix(issue: dict[str, Any]) -> str:
    """The version with the fix; else what the distribution says will come of it."""
    status = issue.get("status", "affected")
    unfixed = "not fixed" if status == "affected" else f"not fixed ({status})"
    return str(issue["fixedVersion"].get("fullName") or unfixed)


def _title(occurrence: dict[str, Any]) -> str:
    return str(occurrence["noteName"].rpartition("/")[2])


def print_description(document: dict[str, Any], *, show_layers: bool = False) -> None:
    """Print a description, of which `package_vulnerability_summary` may be a part.

    Args:
        document: in the form that `images describe --format json` prints.
        show_layers: whether it is shown which layer brought each package.
    """
    out = console()
    for key, value in document["image_summary"].items():
        out.print(f"{key + ':':<24}{value}", soft_wrap=True, markup=False)
    if "package_vulnerability_summary" not in document:
        return
    for occurrence in document["discovery_summary"]["discovery"]:
        _print_discovery(occurrence["discovery"])
    found = document["package_vulnerability_summary"]
    excepted = found["exception_count"]
    by_severity = found["vulnerabilities"]
    has_epss = any(
        "epss" in each["vulnerability"] for some in by_severity.values() for each in some
    )
    columns = ["SEVERITY", *["EPSS#"] * has_epss, "VULNERABILITY", "PACKAGE", "INSTALLED"]
    columns += ["FIXED IN"] + ["LAYER"] * show_layers + ["EXCEPTION"] * bool(excepted)
    rows: list[list[str | Text]] = [
        [
            exempted(severity(name), exception),
            *([_probability(occurrence)] if has_epss else []),
            _marked(occurrence),
            issue["affectedPackage"],
            issue["affectedVersion"]["fullName"],
            _fix(issue),
            *([layer(issue["fileLocation"])] if show_layers else []),
            *([in_words(exception)] if excepted else []),
        ]
        for name, occurrences in by_severity.items()
        for occurrence in occurrences
        for issue, exception in of_packages(occurrence["vulnerability"])
    ]
    states = [each["discovery"] for each in document["discovery_summary"]["discovery"]]
    if not rows and all(_is_clear(discovery) for discovery in states):
        out.print("No known vulnerabilities.")
    elif not rows and any(each["analysisStatus"] == "FINISHED_SUCCESS" for each in states):
        out.print("Nothing was found, which the warnings above limit.")
    if rows:
        print_table(columns, rows)
        counts = ", ".join(
            f"{len(occurrences)} {name.removeprefix('SEVERITY_').lower()}"
            for name, occurrences in by_severity.items()
        )
        total = plural(found["total_vulnerability_found"], "vulnerability")
        total = total.replace("vulnerabilitys", "vulnerabilities")
        more = f", {excepted} with an exception" if excepted else ""
        if exploited := found["known_exploited_count"]:
            more += f", {exploited} known to be exploited"
        unfixed = found["not_fixed_vulnerability_count"]
        out.print(f"{total}: {counts}. {unfixed} without a fix{more}.")


def _is_clear(discovery: dict[str, Any]) -> bool:
    """Whether finding nothing means that nothing is known, rather than that nobody looked."""
    return discovery["analysisStatus"] == "FINISHED_SUCCESS" and "analysisError" not in discovery


def _print_discovery(discovery: dict[str, Any]) -> None:
    out = console()
    out.print(f"{'analysis:':<24}{discovery['analysisStatus']}")
    if "operatingSystem" in discovery:
        out.print(f"{'system:':<24}{safe(discovery['operatingSystem'])}", markup=False)
    if "analysisStatusError" in discovery:
        message = discovery["analysisStatusError"]["message"]
        out.print(f"{'reason:':<24}{safe(message)}", soft_wrap=True, markup=False)
    for error in discovery.get("analysisError", ()):
        out.print(f"{'warning:':<24}{safe(error['message'])}", soft_wrap=True, markup=False)


def layer(locations: list[dict[str, Any]]) -> str:
    """The layer of the first place of a package: its index and what made it, shortened."""
    details = next((place["layerDetails"] for place in locations if "layerDetails" in place), None)
    if details is None:
        return ""
    command = str(details.get("command", ""))
    if len(command) > _MAX_COMMAND:
        command = f"{command[: _MAX_COMMAND - 1]}\N{HORIZONTAL ELLIPSIS}"
    return f"{details['index']} {command}".rstrip()
