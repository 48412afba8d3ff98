"""Records of rpm's distributions: which packages they are about."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from customhouse.analysis.feeds import load, osv
from customhouse.analysis.feeds.advisory import Advisory
from customhouse.analysis.feeds.osv.rpm_names import ecosystem_of, is_source, module_of, named

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Red Hat:enterprise_linux:9::appstream", "Red Hat:9"),
        ("Red Hat:enterprise_linux:8", "Red Hat:8"),
        ("Red Hat:rhel_eus:9.2::baseos", "Red Hat:rhel_eus:9.2"),
        ("Red Hat:openshift:4.15::el9", "Red Hat:openshift:4.15"),
        ("AlmaLinux:9", "AlmaLinux:9"),
    ],
)
def test_ecosystems(given: str, expected: str) -> None:
    assert ecosystem_of(given) == expected


@pytest.mark.parametrize(
    ("summary", "module"),
    [
        ("Moderate: nodejs:14 security update", "nodejs:14"),
        (
            "Important: container-tools:rhel8 security, bug fix, and enhancement",
            "container-tools:rhel8",
        ),
        ("Important: httpd:2.4/mod_http2 security update", "httpd:2.4"),
        ("Important: varnish security update", ""),
        ("Red Hat Security Advisory: podman security update", ""),
        ("", ""),
    ],
)
def test_modules(summary: str, module: str) -> None:
    assert module_of(summary) == module


@pytest.mark.parametrize(
    ("is_source", "fixed", "module", "expected"),
    [
        (False, "1-1.el8", "", "npm"),
        (False, "1-1.el8", "nodejs:14", "npm"),
        (False, "1-1.module_el8.6.0+1", "nodejs:14", "nodejs:14::npm"),
        (False, "1-1.module_el8.6.0+1", "", None),
        (False, None, "nodejs:14", "npm"),
        (True, "1-1.el8", "", "src:npm"),
        (True, "1-1.module+el8.3.0+74", "nodejs:14", "nodejs:14::src:npm"),
        (True, "1-1.module+el8.3.0+74", "", None),
    ],
)
def test_names(*, is_source: bool, fixed: str | None, module: str, expected: str | None) -> None:
    assert named("npm", is_source=is_source, fixed=fixed, summary=module) == expected


@pytest.mark.parametrize(
    ("ecosystem", "expected"),
    [
        ("AlmaLinux:8", False),
        ("Red Hat:9", False),
        ("Rocky Linux:8", True),
        ("SUSE:Linux Enterprise Server 15 SP5", True),
        ("openSUSE:Leap 15.5", True),
    ],
)
def test_sources(*, ecosystem: str, expected: bool) -> None:
    assert is_source(ecosystem) is expected


def test_all_of_almalinux(shared_data: Path) -> None:
    """Counts that a reader can check: only ALSA records have ranges, modular ones with a module."""
    path = shared_data / "almalinux" / "AlmaLinux-8.all.zip"
    found = {each.id: each for each in load(path) if isinstance(each, Advisory)}
    with zipfile.ZipFile(path) as archive:
        records = [json.loads(archive.read(name)) for name in archive.namelist()]
    assert set(found) == {record["id"] for record in records}
    about = {record["id"] for record in records if record["id"].startswith("ALSA")}
    assert len(about) == 2040
    assert {name for name, each in found.items() if each.affected} <= about
    empty = {name for name in about if not found[name].affected}
    assert len(empty) == 7  # whose summary names a module without its stream
    for name in empty:
        assert {each.reason for each in found[name].skipped} == {
            "built for a module that is not named"
        }
    for name in about - empty:
        for affected in found[name].affected:
            modular = ".module" in (affected.fixed_version or "")
            assert modular == ("::" in affected.name), (name, affected)
            assert affected.ecosystem.startswith("AlmaLinux:")


@pytest.mark.parametrize("folder", ["rocky", "redhat", "suse"])
def test_other_distributions(shared_data: Path, folder: str) -> None:
    names: set[tuple[str, bool]] = set()
    for path in sorted((shared_data / folder / "osv").glob("*.json")):
        content = path.read_bytes()
        if "affected" not in json.loads(content):
            continue
        advisory = osv.parse(content)
        assert advisory.affected, path.name
        assert not advisory.rejected
        names.update(
            (each.ecosystem.partition(":")[0], "src:" in each.name) for each in advisory.affected
        )
    expected = {"rocky": ("Rocky Linux", True), "redhat": ("Red Hat", False)}
    assert names == {expected.get(folder, ("SUSE", True))}
