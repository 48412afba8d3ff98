"""PHP's versions: the order of Composer.

Sources: Composer's documentation, "Versions and constraints"; composer/semver's `VersionParser`,
which brings versions into one form; PHP's manual, `version_compare`, which orders these.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEME = "packagist"

_METADATA = r"(?:\+[!-~]+)?"
_STABILITY = r"[._-]?(?:(stable|beta|b|rc|alpha|a|patch|pl|p)((?:[.-]?[0-9]++)*+))?([.-]?dev)?"


def _form(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(f"v?{pattern}{_METADATA}", re.IGNORECASE | re.ASCII).fullmatch


_CLASSIC = _form(rf"([0-9]{{1,5}}(?:\.[0-9]+){{0,3}}){_STABILITY}")
_DATE = _form(rf"([0-9]{{4}}(?:[.:-]?[0-9]{{2}}){{1,6}}(?:[.:-]?[0-9]{{1,3}}){{0,2}}){_STABILITY}")
_BRANCH = _form(r"([0-9]+(?:\.(?:[0-9]+|[x*])){0,3})[.-]?dev")
_LONG = _form(rf"([0-9]+(?:\.[0-9]+){{0,3}}){_STABILITY}")
_DIGITS = re.compile(r"[0-9]+").findall
_NUMBERS = 4
_ANY = "9999999"  # what Composer has for `x`: the branch is above all its releases

# In the order of `version_compare`; that of a release is the end.
_DEV, _ALPHA, _BETA, _CANDIDATE, _END, _NUMBER, _PATCH = (chr(tag) for tag in range(1, 8))
_TAGS = {
    "alpha": _ALPHA,
    "a": _ALPHA,
    "beta": _BETA,
    "b": _BETA,
    "rc": _CANDIDATE,
    "patch": _PATCH,
    "pl": _PATCH,
    "p": _PATCH,
}


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes in the order of Composer.

    A leading `v` and build metadata count for nothing. A version has four numbers, of which missing
    ones are zero, or is a date; then may follow a stability, where dev < alpha < beta < RC < none =
    stable < patch, with numbers, and `dev`. A numeric branch (`1.x-dev`) is one too, where `x` is
    9999999. Other branches (`dev-main`) have no order, and so are invalid.

    A key is each part as one byte (dev, alpha, beta, RC, the end, number, patch; 0x01 to 0x07),
    after that of a number the count of its digits and the digits.

    Beyond Composer, the first number may have more than five digits where it is no date.

    Raises:
        Failure: `VERSION_INVALID`, also for more than `MAX_VERSION` characters.
    """
    if len(version) > MAX_VERSION:
        raise invalid(version, SCHEME)
    match = _CLASSIC(version)
    if not match:
        if date := _DATE(version):
            return _encoded(_DIGITS(date[1]), *date.groups()[1:])
        if branch := _BRANCH(version):
            parts = [_ANY if part in "xX*" else part for part in branch[1].split(".")]
            return _encoded(parts + [_ANY] * (_NUMBERS - len(parts)), "", "", "dev")
        match = _LONG(version)
    if not match:
        raise invalid(version, SCHEME)
    numbers = match[1].split(".")
    return _encoded(numbers + ["0"] * (_NUMBERS - len(numbers)), *match.groups()[1:])


def _encoded(
    numbers: list[str], stability: str | None, counts: str | None, dev: str | None
) -> bytes:
    parts = list(map(_number, numbers))
    stability = (stability or "").lower()
    if stability != "stable":
        if stability:
            parts += (_TAGS[stability], *map(_number, _DIGITS(counts or "")))
        if dev:
            parts.append(_DEV)
    parts.append(_END)
    return "".join(parts).encode("latin-1")


def _number(digits: str) -> str:
    digits = digits.lstrip("0")
    return f"{_NUMBER}{chr(len(digits))}{digits}"
