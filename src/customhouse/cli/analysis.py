"""`customhouse analysis`: how images are analysed, without a server."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from customhouse.analysis.ecosystems import SCHEMES, version_key
from customhouse.cli.output import notes, safe
from customhouse.errors import Failure

app = App(name="analysis", help="How versions are compared.")


def _known(_: object, scheme: str) -> None:
    if scheme not in SCHEMES:
        raise ValueError(f"Choose from: {', '.join(sorted(SCHEMES))}.")


@app.command
def compare(scheme: Annotated[str, Parameter(validator=_known)], /) -> None:
    """Compare versions: reads two a line, with a blank between, and prints <, = or >.

    For a line that has not two valid versions it prints ? and says why; the exit status is 1 then.

    Args:
        scheme: How versions are ordered: apk, dpkg, pep440, rpm or semver.
    """
    failed = False
    for line in sys.stdin:
        try:
            print(_compared(scheme, line))
        except Failure as failure:
            failed = True
            print("?", flush=True)
            notes().print(safe(failure.message), style="red")
    if failed:
        sys.exit(1)


def _compared(scheme: str, line: str) -> str:
    """How the versions of a line compare.

    Raises:
        Failure: VERSION_INVALID.
    """
    first, _, second = line.strip().partition(" ")
    one, other = (version_key(scheme, version.strip()) for version in (first, second))
    return "<" if one < other else ">" if one > other else "="
