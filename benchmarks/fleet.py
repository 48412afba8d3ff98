"""A fleet and what is known about it, always the same: images, their packages, and a feed.

Three systems with three releases each. A package of a release has a new version now and then; an
image has those of the day on which it was built. A record of the feed is about one source package
in all releases of a system, and says in which of these versions it was fixed: mostly in one that is
older than the images, some in a newer one, a few in none.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from random import Random

from benchmarks.image import MANIFEST_TYPE
from customhouse.analysis import findings, packages
from customhouse.analysis.contents import IMAGE_CONTENT
from customhouse.analysis.ecosystems import Package
from customhouse.analysis.images import IMAGE_ANALYSIS, Status
from customhouse.analysis.inventory import Inventory, InventoryPackage
from customhouse.analysis.layers import READER_VERSION
from customhouse.analysis.systems import System
from customhouse.database import Database, Transaction, insert_many, now
from customhouse.iam import projects
from customhouse.oci import Kind
from customhouse.registry.manifests import MANIFEST, REPOSITORY_MANIFEST
from customhouse.registry.repositories import REPOSITORY
from customhouse.registry.tags import TAG

RANGES_A_RECORD = 3
_PACKAGES = 150
_BASE = 60  # of them are in every image of the release
_SOURCES = 20_000  # of a system
_POPULAR = 7  # the sources next to the most popular ones are those that images have
_INSTALLED_EVERY = 50
_BINARIES = 2  # of a source
_DAYS = 400  # from the first to the last image
_BEFORE = 2000  # days in which vulnerabilities were fixed before that
_UNFIXED = 0.04
_LAYERS = tuple(f"sha256:{number:064x}" for number in range(1, 11))
_BATCH = 10_000
_BATCH_INVENTORIES = 50


@dataclass(frozen=True, slots=True)
class _System:
    id: str
    name: str
    prefix: str  # of records
    releases: tuple[tuple[str, str], ...]  # version, ecosystem
    kind: str  # of database
    share: int


_SYSTEMS = (
    _System(
        "debian",
        "Debian GNU/Linux",
        "DEBIAN-",
        (("11", "Debian:11"), ("12", "Debian:12"), ("13", "Debian:13")),
        "dpkg",
        4,
    ),
    _System(
        "ubuntu",
        "Ubuntu",
        "UBUNTU-",
        (
            ("20.04", "Ubuntu:20.04:LTS"),
            ("22.04", "Ubuntu:22.04:LTS"),
            ("24.04", "Ubuntu:24.04:LTS"),
        ),
        "dpkg",
        3,
    ),
    _System(
        "alpine",
        "Alpine Linux",
        "ALPINE-",
        (("3.20", "Alpine:v3.20"), ("3.21", "Alpine:v3.21"), ("3.22", "Alpine:v3.22")),
        "apk",
        3,
    ),
)
_WORDS = ["overflow", "remote", "attacker", "crafted", "heap", "through", "before", "memory"]
_VECTORS = (
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N",
    "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N",
)


def write_feed(path: Path, records: int) -> None:
    """Write the records as a zip, as osv.dev publishes an ecosystem.

    Args:
        path: the file.
        records: how many; each has `RANGES_A_RECORD` ranges.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in _records(records):
            archive.writestr(f"{name}.json", content)


def common_package() -> str:
    """The name of a source package that all images have."""
    return f"source-{_installed(0)}"


def changed_record(number: int) -> tuple[str, bytes]:
    """A record about a package that all Debian images have, unlike any of the feed.

    Args:
        number: of its edition; each says something else about the fix.

    Returns:
        The vulnerability's name, and the record.
    """
    name = "CVE-3000-1000"
    fixes = [None if is_vulnerable(number) else number] * RANGES_A_RECORD
    return name, _record(f"DEBIAN-{name}", _SYSTEMS[0], _installed(0), fixes, number)


def is_vulnerable(number: int) -> bool:
    """Whether the package is vulnerable by that edition of the changed record, in every image."""
    return number % 2 == 0


def store_images(database: Database, inventories: int, count: int) -> None:
    """Store images with their inventories, spread over repositories and projects.

    Args:
        database: an empty one with all tables.
        inventories: how many distinct ones.
        count: of images.
    """
    random = Random("inventories")
    numbers: list[int] = []
    found = _inventories(random, inventories)
    while batch := list(islice(found, _BATCH_INVENTORIES)):
        numbers += database.write(_put, batch)
    for start in range(0, count, _BATCH):
        database.write(_put_images, range(start, min(count, start + _BATCH)), numbers)


def _put(tx: Transaction, inventories: list[Inventory]) -> list[int]:
    numbers = [packages.put(tx, inventory) for inventory in inventories]
    for number in numbers:
        findings.match_inventory(tx, number)
    return numbers


def _records(count: int) -> Iterator[tuple[str, str]]:
    random = Random("records")
    weights = list(accumulate(1 / (rank + 10) for rank in range(_SOURCES)))
    shares = [system.share for system in _SYSTEMS]
    of_system = random.choices(range(len(_SYSTEMS)), shares, k=count)
    sources = random.choices(range(_SOURCES), cum_weights=weights, k=count)
    serial = [0] * len(_SYSTEMS)
    for at, source in zip(of_system, sources, strict=True):
        system = _SYSTEMS[at]
        serial[at] += 1
        # The systems write about the same vulnerabilities.
        name = f"{system.prefix}CVE-{2005 + serial[at] % 20}-{10_000 + serial[at]}"
        day = random.randrange(-_BEFORE, _DAYS)
        fixes = [
            None if random.random() < _UNFIXED else _version_of(source, day + release * 3)
            for release in range(len(system.releases))
        ]
        yield name, _record(name, system, source, fixes, random.randrange(1 << 30)).decode()


def _record(name: str, system: _System, source: int, fixes: list[int | None], salt: int) -> bytes:
    text = " ".join(_WORDS[(salt >> at) % len(_WORDS)] for at in range(20))
    affected = []
    for (_, ecosystem), fix in zip(system.releases, fixes, strict=True):
        events = [{"introduced": "0"}]
        if fix is not None:
            events.append({"fixed": _version(system, fix)})
        affected.append(
            {
                "package": {
                    "ecosystem": ecosystem,
                    "name": f"source-{source}",
                    "purl": f"pkg:{system.kind}/{system.id}/source-{source}?arch=source",
                },
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        )
    record = {
        "schema_version": "1.7.0",
        "id": name,
        "published": f"20{salt % 15 + 10}-0{salt % 9 + 1}-1{salt % 10}T08:15:27Z",
        "modified": f"2026-0{salt % 9 + 1}-1{salt % 10}T19:20:3{salt % 7}.{salt % 999999:06}Z",
        "upstream": [name.removeprefix(system.prefix)],
        "details": f"In source-{source} {text}; {salt} of them are in {text}.",
        "severity": [{"type": "CVSS_V3", "score": _VECTORS[salt % len(_VECTORS)]}],
        "affected": affected,
        "references": [
            {"type": "ADVISORY", "url": f"https://security.example.org/tracker/{name}"},
            {"type": "WEB", "url": f"https://lists.example.org/{salt}/msg{salt % 90000}.html"},
        ],
    }
    return json.dumps(record, separators=(",", ":")).encode()


def _installed(number: int) -> int:
    return _POPULAR + number * _INSTALLED_EVERY


def _version_of(source: int, day: int) -> int:
    """Which version a source package has on a day; each has its own pace."""
    return max(0, (day + _BEFORE) // (40 + source % 160))


def _version(system: _System, number: int) -> str:
    return f"{1 + number // 10}.{number % 10}.2-{'r' if system.kind == 'apk' else ''}{number % 7}"


def _inventories(random: Random, count: int) -> Iterator[Inventory]:
    names = _SOURCES // _INSTALLED_EVERY * _BINARIES
    shares = [system.share for system in _SYSTEMS]
    for number in range(count):
        (system,) = random.choices(_SYSTEMS, shares)
        version, ecosystem = random.choice(system.releases)
        day = random.randrange(_DAYS)
        more = random.sample(range(_BASE, names), k=_PACKAGES - _BASE)
        listed = tuple(_package(system, name, day) for name in (*range(_BASE), *sorted(more)))
        found = System(system.id, version, f"{system.name} {version}", ecosystem)
        yield Inventory(found, listed, (listed[0].path,), f"sha256:{number:064x}")


def _package(system: _System, number: int, day: int) -> InventoryPackage:
    source = _installed(number // _BINARIES)
    version = _version(system, _version_of(source, day))
    package = Package(f"binary-{number}", version, "amd64", f"source-{source}", version)
    path = "var/lib/dpkg/status" if system.kind == "dpkg" else "lib/apk/db/installed"
    layer = 0 if number < _BASE else 1 + number % (len(_LAYERS) - 1)
    return InventoryPackage(package, system.kind, path, _LAYERS[layer], layer)


def _put_images(tx: Transaction, numbers: range, inventories: list[int]) -> None:
    """Repositories of 100 images, projects of 1,000."""
    moment = now()
    for project in range(numbers.start // 1000, -(-numbers.stop // 1000)):
        projects.create(tx, f"fleet-{project}", "benchmark")
    insert_many(
        tx,
        REPOSITORY,
        ["id", "name", "project", "created_at"],
        [
            (each + 1, f"fleet-{each // 10}/image-{each}", f"fleet-{each // 10}", moment)
            for each in range(numbers.start // 100, -(-numbers.stop // 100))
        ],
    )
    digests = {number: f"sha256:{number:064x}" for number in numbers}
    insert_many(
        tx,
        MANIFEST,
        [column.name for column in MANIFEST.c],
        [
            (
                number + 1,
                digest,
                MANIFEST_TYPE,
                Kind.IMAGE.value,
                "",
                None,
                "{}",
                80 << 20,
                moment,
                "linux/amd64",
                b"{}",
            )
            for number, digest in digests.items()
        ],
    )
    insert_many(
        tx,
        REPOSITORY_MANIFEST,
        ["repository_id", "manifest_id", "pushed_at", "pushed_by"],
        [(number // 100 + 1, number + 1, moment, "benchmark") for number in numbers],
    )
    insert_many(
        tx,
        TAG,
        ["repository_id", "name", "manifest_id", "updated_at"],
        [(number // 100 + 1, f"v{number}", number + 1, moment) for number in numbers],
    )
    insert_many(
        tx,
        IMAGE_ANALYSIS,
        [column.name for column in IMAGE_ANALYSIS.c],
        [
            (
                digest,
                Status.FINISHED_SUCCESS.value,
                "",
                READER_VERSION,
                inventories[number % len(inventories)],
                moment,
                moment,
            )
            for number, digest in digests.items()
        ],
    )
    insert_many(
        tx,
        IMAGE_CONTENT,
        ["manifest_id", "inventory_id", "base_id"],
        [(number + 1, inventories[number % len(inventories)], 0) for number in numbers],
    )
