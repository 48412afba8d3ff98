"""Recognise the operating system of an image from a few of its files.

`files` describes them in the terms of os-release(5), `names` has what the advisories call them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from customhouse.analysis.ecosystems.package import shown
from customhouse.analysis.systems import names
from customhouse.analysis.systems.files import (
    FILES,
    MAX_BYTES,
    PRO,
    RELEASES,
    older,
    text,
    variables,
)
from customhouse.analysis.systems.streams import streams

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["FILES", "MAX_BYTES", "System", "recognise"]


@dataclass(frozen=True, slots=True)
class System:
    """The operating system of an image.

    Attributes:
        id: identifier in the form of os-release(5), such as `debian`; `linux` if not stated.
        version: such as `12`, `22.04`, `3.19.1`, or the codename where there is no number; may be
            empty.
        name: for people, such as `Debian GNU/Linux 12 (bookworm)`.
        ecosystem: OSV ecosystem of its packages, such as `Debian:12`; None if there are no
            advisories in that form for it, or its release is not known. A rebuild of a known
            system, as `ID_LIKE` tells, is not taken for it.
        also: further ecosystems whose advisories count, such as `Ubuntu:Pro:22.04:LTS`; those of a
            stream of Red Hat's, as `Red Hat:rhel_eus:8.4`, before those of `ecosystem`.
        caveat: a sentence about how far the advisories fit, or empty.
    """

    id: str
    version: str
    name: str
    ecosystem: str | None
    also: tuple[str, ...] = ()
    caveat: str = ""


def recognise(files: Mapping[str, bytes], content_sets: Iterable[str] = ()) -> System | None:
    """Tell which system an image has; None if nothing says so.

    `etc/os-release` decides, else `usr/lib/os-release`, if it has an `ID`; else the older files of
    the distributions; else an os-release without an `ID`.

    Args:
        files: contents of those of `FILES` that exist. Any bytes are fine.
        content_sets: names of Red Hat's repositories that packages are from. Any texts are fine.
    """
    texts = {path: text(files[path]) for path in FILES if path in files}
    releases = [variables(texts.get(path, "")) for path in RELEASES]
    release = next((release for release in releases if release.get("ID")), None) or older(texts)
    if release is None:
        unnamed = next((release for release in releases if "NAME" in release), None)
        if unnamed is None:
            return None
        release = {**unnamed, "ID": "linux"}
    system = _system(release, texts, files.get(PRO, b""))
    if system.id == "rhel" and system.ecosystem:
        return replace(system, also=streams(content_sets, system.version))
    return system


_NOT_IN_ID = re.compile(r"[^a-z0-9._-]+").sub
_STREAM = "CentOS Stream is ahead of the Red Hat Enterprise Linux that its advisories are about."


def _system(release: Mapping[str, str], texts: Mapping[str, str], status: bytes) -> System:
    id_ = _NOT_IN_ID("-", release["ID"].lower()).strip("-") or "linux"
    name = release.get("NAME", "")
    version = release.get("VERSION_ID", "")
    pretty_name = release.get("PRETTY_NAME", "")
    ecosystem: str | None
    also: tuple[str, ...] = ()
    if id_ == "debian":
        number = shown(texts.get("etc/debian_version", ""))
        codename = release.get("VERSION_CODENAME", "")
        stated = (version, number, codename, pretty_name)
        found = next(filter(None, map(names.debian_release, stated)), None)
        ecosystem = found and f"Debian:{found}"
        version = version or number or codename
    elif id_ == "ubuntu":
        ecosystem = names.ubuntu(version)
        if ecosystem and ecosystem.endswith(":LTS") and _has_pro(status):
            also = (ecosystem.replace("Ubuntu:", "Ubuntu:Pro:", 1),)
    elif id_ == "alpine":
        version = version or shown(texts.get("etc/alpine-release", ""))
        branch = names.alpine(version, texts.get("etc/apk/repositories", ""))
        ecosystem = branch and f"Alpine:{branch}"
    else:
        ecosystem = (
            names.ROLLING.get(id_)
            or names.by_major(id_, version)
            or names.suse(id_, name, version, pretty_name)
        )
        also = names.suse_modules(ecosystem or "")
    return System(
        id=id_,
        version=version,
        name=pretty_name or " ".join(filter(None, (name or id_, version))),
        ecosystem=ecosystem,
        also=also,
        caveat=_STREAM if id_ == "centos" and name.startswith("CentOS Stream") else "",
    )


class _Service(msgspec.Struct):
    name: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    services: list[_Service] = []


def _has_pro(status: bytes) -> bool:
    """Tell whether Ubuntu Pro's security updates are switched on; not if its file is damaged."""
    try:
        services = msgspec.json.decode(status[:MAX_BYTES], type=_Status).services
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return any(it.status == "enabled" and it.name in {"esm-infra", "esm-apps"} for it in services)
