"""Python's versions: the order of PEP 440.

Source: the Python Packaging User Guide's "Version specifiers", sections "Public version
identifiers", "Local version identifiers", "Summary of permitted suffixes and relative ordering".
"""

from __future__ import annotations

import re

from customhouse.analysis.ecosystems.encoding import MAX_VERSION, invalid

SCHEME = "pep440"

_VERSION = re.compile(
    r"""\s*v?
    (?:([0-9]+)!)?
    ([0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]+)?)?
    (?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]+)?)?
    (?:[-_.]?(dev)[-_.]?([0-9]+)?)?
    (?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?
    \s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
).fullmatch
_SEPARATORS = re.compile(r"[-_.]").split
_PHASES = {"a": "\x01", "alpha": "\x01", "b": "\x02", "beta": "\x02"}
_CANDIDATE = "\x03"
_ONLY_DEV, _NO_PRE, _NO_POST, _POST, _DEV, _NO_DEV = "\x00", "\x09", "\x00", "\x01", "\x01", "\x09"
_END, _NUMBER, _TEXT, _NUMERIC = "\x01", "\x02", "\x02", "\x03"


def key(version: str) -> bytes:
    """Encode a version so that keys compare as bytes in the order of PEP 440.

    Spellings that mean the same have equal keys: `1.0` and `v1.0.0`, `1.0-alpha.1` and `1.0a1`.

    A key is the number of the epoch; each number of the release without trailing zeros, 0x02
    before it, 0x01 after the last; the phase (0x00 for a development release of the final one,
    alpha, beta, candidate 0x01 to 0x03 with a number, 0x09 for none); 0x01 and a number for a
    post-release, 0x00 for none; 0x01 and a number for a development release, 0x09 for none; the
    parts of the local version (0x02 and a text and 0x00, 0x03 and a number) and 0x01. A number is
    its length in one byte and its digits without leading zeros.

    Raises:
        Failure: `VERSION_INVALID`, also for more than `MAX_VERSION` characters.
    """
    match = _VERSION(version) if len(version) <= MAX_VERSION else None
    if not match:
        raise invalid(version, SCHEME)
    epoch, release, phase, phase_number, implicit, post, post_number, dev, dev_number, local = (
        match.groups()
    )
    numbers = [digits.lstrip("0") for digits in release.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    is_post = bool(post or implicit is not None)
    parts = [_number(epoch), *(f"{_NUMBER}{_number(digits)}" for digits in numbers), _END]
    if phase:
        parts += (_PHASES.get(phase.lower(), _CANDIDATE), _number(phase_number))
    else:
        parts.append(_ONLY_DEV if dev and not is_post else _NO_PRE)
    parts += (_POST, _number(implicit or post_number)) if is_post else (_NO_POST,)
    parts += (_DEV, _number(dev_number)) if dev else (_NO_DEV,)
    for part in _SEPARATORS(local.lower()) if local else ():
        parts.append(f"{_NUMERIC}{_number(part)}" if part.isdigit() else f"{_TEXT}{part}\x00")
    parts.append(_END)
    return "".join(parts).encode("latin-1")


def _number(digits: str | None) -> str:
    digits = (digits or "").lstrip("0")
    return chr(len(digits)) + digits
