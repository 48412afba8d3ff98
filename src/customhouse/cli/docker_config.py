"""Docker's configuration file: which credential helper is asked about which registry.

`credHelpers` of `config.json`, as Docker's reference of `docker login` describes it. The file
belongs to other programs: what is added stands in between, all other bytes stay.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

HELPER = "customhouse"
PROGRAM = f"docker-credential-{HELPER}"

_KEY = "credHelpers"
_MAX_BYTES = 4 * 1024 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done for one host.

    Attributes:
        host: as it stands before the repository in an image's name.
        before: the helper that Docker asked about it until now; empty if none.
    """

    host: str
    before: str


def path() -> Path:
    """The file, in `$DOCKER_CONFIG` or `~/.docker`."""
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    return Path(folder) / "config.json"


def configure(hosts: Sequence[str]) -> list[Outcome]:
    """Have Docker ask this credential helper about these hosts.

    The file is replaced in one step, its mode and the links that lead to it stay. It is not
    touched when it says so already.

    Raises:
        Failure: DOCKER_CONFIG_INVALID.
        OSError: the file cannot be read or written.
    """
    file = Path(os.path.realpath(path()))
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        content = b""
    try:
        changed, outcomes = _with_helpers(content, hosts)
    except (ValueError, RecursionError) as error:
        raise Failure(Code.DOCKER_CONFIG_INVALID, file=path()) from error
    if any(outcome.before != HELPER for outcome in outcomes):
        _replace(file, changed)
    return outcomes


def _with_helpers(content: bytes, hosts: Sequence[str]) -> tuple[bytes, list[Outcome]]:
    """The file with the hosts added; ValueError if it is no JSON object."""
    if len(content) > _MAX_BYTES:
        raise ValueError("too long")
    # Docker takes an empty file for one that says nothing.
    text = content.decode() if content.strip() else "{}\n"
    document: Any = json.loads(text)
    helpers = document.get(_KEY) if isinstance(document, dict) else ""
    helpers = {} if helpers is None else helpers
    if not isinstance(helpers, dict):
        raise ValueError("no object")  # noqa: TRY004 -- the caller takes every ValueError for this
    outcomes = [Outcome(host, str(helpers.get(host) or "")) for host in dict.fromkeys(hosts)]
    helpers |= dict.fromkeys(hosts, HELPER)
    return _with_member(text, _KEY, helpers).encode(), outcomes


def _with_member(text: str, key: str, value: object) -> str:
    """The text of an object with one member set, written as the others are."""
    members, begin, end = _members(text)
    gap = text[begin : _skip(text, begin)] if members else "\n\t"
    if "\n" in gap:
        unit = gap.rpartition("\n")[2]
        rendered = json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", f"\n{unit}")
    else:
        unit = ""
        rendered = json.dumps(value, ensure_ascii=False)
    for name, start, stop in reversed(members):
        if name == key:
            return text[:start] + rendered + text[stop:]
    if members:
        last = members[-1][2]
        return f'{text[:last]},{gap}"{key}": {rendered}{text[last:]}'
    return f'{text[:begin]}{gap}"{key}": {rendered}\n{text[end:]}'


def _members(text: str) -> tuple[list[tuple[str, int, int]], int, int]:
    """Where the values of an object stand, and where its braces open (after) and close (before).

    Args:
        text: a valid JSON object.
    """
    decoder = json.JSONDecoder()
    begin = _skip(text, 0) + 1
    members = []
    at = _skip(text, begin)
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + len(":"))
        _, stop = decoder.raw_decode(text, start)
        members.append((name, start, stop))
        at = _skip(text, stop)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return members, begin, at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _replace(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            with suppress(FileNotFoundError):
                before = file.stat()
                os.fchmod(stream.fileno(), before.st_mode & 0o7777)
                with suppress(PermissionError):
                    os.fchown(stream.fileno(), before.st_uid, before.st_gid)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
