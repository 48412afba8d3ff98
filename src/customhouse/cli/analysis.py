"""`customhouse analysis`: what is in all images together, and how versions compare."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from customhouse.analysis.ecosystems import SCHEMES, version_key
from customhouse.cli.output import notes, safe
from customhouse.errors import Failure

app = App(name="analysis", help="Find images by what is in them; compare versions.")
app.command(
    "customhouse.cli.find:find",
    name="find",
    help="Find the images that hold a package or have a vulnerability.",
)


def _known(_: object, scheme: str) -> None:
    if scheme not in SCHEMES:
        raise ValueError(f"Choose from: {', '.join(sorted(SCHEMES))}.")


@app.command
def compare(
    scheme: Annotated[str, Parameter(validator=_known)],
    /,
    *,
    input_: Annotated[Path | None, Parameter(name="--input")] = None,
) -> None:
    """Compare versions: reads two a line, with blanks between, and prints <, = or >.

    For a line that has not two valid versions it prints ? and says why; the exit status is 1 then.

    Args:
        scheme: How versions are ordered: apk, dpkg, go, maven, nuget, packagist, pep440, rpm,
            rubygems or semver.
        input_: File to read; standard input by default.
    """
    failed = False
    with input_.open("rb") if input_ else nullcontext(sys.stdin.buffer) as lines:
        for line in lines:
            try:
                print(_compared(scheme, line.decode("utf-8", "replace")))
            except Failure as failure:
                failed = True
                print("?", flush=True)
                notes().print(safe(failure.message), style="red", markup=False)
    if failed:
        sys.exit(1)


def _compared(scheme: str, line: str) -> str:
    """How the versions of a line compare.

    Raises:
        Failure: VERSION_INVALID.
    """
    first, second = [*line.strip().split(maxsplit=1), "", ""][:2]
    one, other = (version_key(scheme, version) for version in (first, second))
    return "<" if one < other else ">" if one > other else "="
