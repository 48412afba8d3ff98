"""Red Hat's VEX documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import rpm
from customhouse.analysis.feeds import csaf
from customhouse.analysis.feeds.advisory import UNFIXED, Advisory, Affected
from customhouse.analysis.feeds.csaf import purls
from customhouse.analysis.feeds.document import Document, Rejected
from customhouse.analysis.severity import Severity
from customhouse.errors import Failure

if TYPE_CHECKING:
    from pathlib import Path

EL9 = "cpe:/o:redhat:enterprise_linux:9::baseos"


def document(
    fixed: tuple[str, ...] = (), affected: tuple[str, ...] = (), cpe: str = EL9, **more: Any
) -> bytes:
    """A document about one product whose packages are known by their package URLs."""
    every = dict.fromkeys((*fixed, *affected))
    products = [{"product_id": "P", "product_identification_helper": {"cpe": cpe}}]
    products += [
        {"product_id": each, "product_identification_helper": {"purl": each}} for each in every
    ]
    return json.dumps(
        {
            "document": {
                "category": "csaf_vex",
                "title": "t",
                "aggregate_severity": {"text": "Important"},
                "publisher": {"namespace": "https://www.redhat.com"},
                "tracking": {"current_release_date": "2024-01-02T03:04:05+00:00"},
            },
            "product_tree": {
                "branches": [{"branches": [{"product": each} for each in products]}],
                "relationships": [
                    {
                        "full_product_name": {"product_id": f"P:{each}"},
                        "product_reference": each,
                        "relates_to_product_reference": "P",
                    }
                    for each in every
                ],
            },
            "vulnerabilities": [
                {
                    "cve": "CVE-2024-1234",
                    "product_status": {
                        "fixed": [f"P:{each}" for each in fixed],
                        "known_affected": [f"P:{each}" for each in affected],
                    },
                    **more,
                }
            ],
        }
    ).encode()


def rows(content: bytes) -> list[tuple[str, str | None, tuple[str, ...]]]:
    return [(row.name, row.fixed_version, row.arches) for row in csaf.parse(content).affected]


def real(folder: Path, name: str) -> Advisory:
    content = (folder / "redhat" / name).read_bytes()
    assert csaf.recognises(content)
    (found,) = csaf.read([Document(name, content)])
    assert isinstance(found, Advisory)
    return found


def of(advisory: Advisory, ecosystem: str) -> dict[str, Affected]:
    return {row.name: row for row in advisory.affected if row.ecosystem == ecosystem}


@pytest.mark.parametrize(
    ("cpe", "ecosystem"),
    [
        (EL9, "Red Hat:9"),
        ("cpe:/a:redhat:enterprise_linux:9::appstream", "Red Hat:9"),
        ("cpe:/o:redhat:enterprise_linux:10.0", "Red Hat:10"),
        ("cpe:/a:redhat:rhel_eus:9.2::crb", "Red Hat:rhel_eus:9.2"),
        ("cpe:/a:redhat:openshift:4.13::el8", "Red Hat:openshift:4.13"),
        ("cpe:/a:redhat:ansible_automation_platform", None),
        ("cpe:/a:redhat", None),
        ("cpe:/o:suse:sles:15", None),
        ("", None),
    ],
)
def test_platforms(cpe: str, ecosystem: str | None) -> None:
    assert purls.home(cpe) == ecosystem


@pytest.mark.parametrize(
    ("purl", "expected"),
    [
        ("pkg:rpm/redhat/a@1-2.el9?arch=x86_64", ("a", "1-2.el9", ("x86_64",))),
        ("pkg:rpm/redhat/a@1-2?arch=x86_64&epoch=1", ("a", "1:1-2", ("x86_64",))),
        ("pkg:rpm/redhat/a@1-2?arch=x86_64&epoch=0", ("a", "1-2", ("x86_64",))),
        ("pkg:rpm/redhat/a@1-2?arch=noarch", ("a", "1-2", ())),
        ("pkg:rpm/redhat/a@1-2?arch=src&epoch=1", ("src:a", "1-2", ())),
        (
            "pkg:rpm/redhat/libstdc%2B%2B@1-2.module%2Bel8?arch=s390x&rpmmod=m:1:8100:abc",
            ("m:1::libstdc++", "1-2.module+el8", ("s390x",)),
        ),
        ("pkg:rpm/redhat/a@1-2?arch=src&rpmmod=m:rhel8", ("m:rhel8::src:a", "1-2", ())),
    ],
)
def test_fixed_packages(purl: str, expected: tuple[str, str, tuple[str, ...]]) -> None:
    assert rows(document((purl,))) == [expected]
    (row,) = csaf.parse(document((purl,))).affected
    assert row.fixed == rpm.key(expected[1])


def test_highest_fix_of_each_architecture() -> None:
    fixes = ("a@1-3?arch=x86_64", "a@1-10?arch=x86_64", "a@1-3?arch=s390x", "a@1-10?arch=aarch64")
    purls_ = tuple(f"pkg:rpm/redhat/{each}" for each in fixes)
    assert rows(document(purls_)) == [
        ("a", "1-10", ("aarch64", "x86_64")),
        ("a", "1-3", ("s390x",)),
    ]
    everywhere = (*purls_, "pkg:rpm/redhat/a@1-4?arch=noarch")
    assert rows(document(everywhere)) == [("a", "1-10", ())]


def test_contexts_of_one_build_of_a_module_are_one_fix() -> None:
    def fix(version: str, build: str) -> str:
        return f"pkg:rpm/redhat/a@{version}?arch=x86_64&rpmmod=m:1:{build}"

    same = (fix("1-2.bb", "80:bb"), fix("1-2.aa", "80:aa"), fix("1-2.cc", "80:cc"))
    assert rows(document(same)) == [("m:1::a", "1-2.aa", ("x86_64",))]
    later = (*same, fix("1-3.aa", "81:aa"))
    assert rows(document(later)) == [("m:1::a", "1-3.aa", ("x86_64",))]


@pytest.mark.parametrize(
    ("category", "details", "status"),
    [
        ("none_available", "Affected", "affected"),
        ("none_available", "Fix deferred", "deferred"),
        ("no_fix_planned", "Will not fix", "will not fix"),
        ("no_fix_planned", "Out of support scope", "out of support scope"),
        ("workaround", "Will not fix", "affected"),
    ],
)
def test_unfixed_packages(category: str, details: str, status: str) -> None:
    purl = "pkg:rpm/redhat/a"
    remedy = {"category": category, "details": details, "product_ids": [f"P:{purl}"]}
    (row,) = csaf.parse(document((), (purl,), remediations=[remedy])).affected
    assert (row.name, row.fixed, row.fixed_version, row.status, row.arches) == (
        "a",
        UNFIXED,
        None,
        status,
        (),
    )


def test_what_is_fixed_is_not_unfixed_too() -> None:
    """Products of older minor releases are one ecosystem with those that have the fix."""
    content = document(
        ("pkg:rpm/redhat/a@1-2?arch=x86_64",),
        ("pkg:rpm/redhat/a?arch=src", "pkg:rpm/redhat/a", "pkg:rpm/redhat/b?arch=src"),
    )
    assert rows(content) == [("a", "1-2", ("x86_64",)), ("src:b", None, ())]


def test_severity_of_each_product() -> None:
    low, high = "pkg:rpm/redhat/a", "pkg:rpm/redhat/b"
    threats = [
        {"category": "impact", "details": "Low"},
        {"category": "impact", "details": "Critical", "product_ids": [f"P:{high}"]},
    ]
    found = csaf.parse(document((), (low, high), threats=threats))
    assert [(row.severity, row.severity_source) for row in found.affected] == [
        (Severity.LOW, "Red Hat severity Low"),
        (Severity.CRITICAL, "Red Hat severity Critical"),
    ]
    assert (found.severity, found.severity_source) == (Severity.HIGH, "Red Hat severity Important")


@pytest.mark.parametrize(
    ("purl", "reason"),
    [
        ("pkg:oci/image?repository_url=r", "a container image"),
        ("pkg:maven/org.apache.camel/camel-http", "not a package of rpm"),
        ("nothing", "no package is named"),
    ],
)
def test_what_is_left_out(purl: str, reason: str) -> None:
    found = csaf.parse(document((), (purl,)))
    assert found.affected == ()
    assert [(each.ecosystem, each.reason, each.count) for each in found.skipped] == [
        ("Red Hat:9", reason, 1)
    ]


@pytest.mark.parametrize(
    ("purl", "reason"),
    [
        ("pkg:rpm/redhat/a@1?arch=x86_64", "not a version"),
        ("pkg:rpm/redhat/a@?arch=x86_64", "not a version"),
        ("pkg:rpm/redhat/a@1-2?arch=x86_64&epoch=x", "not a version"),
        ("pkg:rpm/redhat/a@1-2?arch=x86_64&rpmmod=rhel10", "not a module with its stream"),
    ],
)
def test_what_is_malformed(purl: str, reason: str) -> None:
    found = csaf.parse(document((purl, "pkg:rpm/redhat/b@1-2?arch=x86_64")))
    assert [row.name for row in found.affected] == ["b"]
    assert [(each.reason, each.count) for each in found.rejected] == [(reason, 1)]


def test_a_module_between_package_and_platform() -> None:
    content = json.loads(document(("pkg:rpm/redhat/a@1-2?arch=x86_64",)))
    tree = content["product_tree"]
    module = {
        "product_id": "M",
        "product_identification_helper": {"purl": "pkg:rpmmod/redhat/m@1:80:aa"},
    }
    tree["branches"].append({"product": module})
    tree["relationships"][0]["relates_to_product_reference"] = "P:M"
    tree["relationships"].append(
        {
            "full_product_name": {"product_id": "P:M"},
            "product_reference": "M",
            "relates_to_product_reference": "P",
        }
    )
    assert rows(json.dumps(content).encode()) == [("m:1::a", "1-2", ("x86_64",))]


def test_a_relation_to_itself_ends() -> None:
    content = json.loads(document(("pkg:rpm/redhat/a@1-2?arch=x86_64",)))
    relation = content["product_tree"]["relationships"][0]
    relation["relates_to_product_reference"] = relation["full_product_name"]["product_id"]
    assert rows(json.dumps(content).encode()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"document":{"tracking":{"id":"CVE-2023-0118","status":"deleted"}}}',
        document().replace(b"csaf_vex", b"csaf_security_advisory"),
        document().replace(b"CVE-2024-1234", b"CVE-1"),
    ],
)
def test_bad_documents_do_not_stop_a_feed(content: bytes) -> None:
    found = list(csaf.read([Document("bad", content), Document("good", document())]))
    assert isinstance(found[0], Rejected)
    assert found[0].name == "bad"
    assert isinstance(found[1], Advisory)


def test_a_rejected_cve_affects_nothing() -> None:
    notes = [{"category": "description", "text": "** REJECT ** a mistake"}]
    found = csaf.parse(document((), ("pkg:rpm/redhat/a",), notes=notes))
    assert found.withdrawn == found.modified
    assert found.affected == ()


@given(st.text(max_size=80), st.text(max_size=40))
def test_any_package_url_is_read_or_left_out(purl: str, tail: str) -> None:
    urls = (f"{purl}1", f"pkg:rpm/redhat/{purl}@{tail}?arch={tail}&rpmmod={purl}")
    try:
        found = csaf.parse(document(tuple(dict.fromkeys(urls))))
    except Failure:
        return
    assert all(row.fixed < UNFIXED for row in found.affected)


def test_openssl(shared_data: Path) -> None:
    found = real(shared_data, "csaf-vex/cve-2024-0727-openssl.json")
    assert found.id == "REDHAT-CVE-2024-0727"
    assert found.cves == ("CVE-2024-0727",)
    assert found.summary == "openssl: denial of service via null dereference"
    assert (found.severity, found.severity_source) == (Severity.LOW, "Red Hat severity Low")
    assert [score.score for score in found.scores] == [5.5]
    urls = [each.url for each in found.references]
    assert "https://access.redhat.com/errata/RHSA-2024:2447" in urls
    nine, eight = of(found, "Red Hat:9"), of(found, "Red Hat:8")
    assert len(found.affected) == 39
    assert {name: len(of(found, f"Red Hat:{name}")) for name in "6789"} == {
        "6": 5,
        "7": 6,
        "8": 11,
        "9": 17,
    }
    libs = nine["openssl-libs"]
    assert libs.fixed_version == "1:3.0.7-27.el9"
    assert libs.arches == ("aarch64", "i686", "ppc64le", "s390x", "x86_64")
    assert nine["src:openssl"].fixed_version == "3.0.7-27.el9"
    assert nine["edk2-ovmf"].arches == ()
    assert not [name for name in nine if "shim" in name or "fips" in name]  # not affected
    assert eight["openssl"].status == "deferred"
    assert eight["edk2-ovmf"].status == "will not fix"
    assert of(found, "Red Hat:6")["src:openssl"].status == "out of support scope"


def test_modules(shared_data: Path) -> None:
    redis = real(shared_data, "csaf-vex/cve-2022-24834.json")
    assert of(redis, "Red Hat:8")["redis:6::redis"].fixed_version is not None
    assert set(of(redis, "Red Hat:9")) >= {"redis", "src:redis"}
    assert [each.count for each in redis.skipped if each.reason == "a container image"] == [2]
    perl = real(shared_data, "csaf-vex/cve-2025-40907-perl.json")
    fixes = of(perl, "Red Hat:8")
    assert len(fixes) == 4
    source = fixes["perl-FCGI:0.78::src:perl-FCGI"]
    # The lowest of one build's four contexts: rpm puts letters before digits.
    assert source.fixed_version == "0.78-12.module+el8.10.0+23147+df114ff4"


def test_older_minor_releases(shared_data: Path) -> None:
    found = real(shared_data, "csaf-vex-v2/cve-2023-6228.json")
    assert set(of(found, "Red Hat:9")) == {"libtiff"}
    assert of(found, "Red Hat:rhel_els:7")["src:libtiff"].fixed == UNFIXED


def test_all_documents(shared_data: Path) -> None:
    """Every document that is recognised is read; parts are rejected in the made-up ones only."""
    found = [
        real(shared_data, str(path.relative_to(shared_data / "redhat")))
        for folder in ("csaf-vex", "csaf-vex-v2")
        for path in sorted((shared_data / "redhat" / folder).glob("*.json"))
        if csaf.recognises(path.read_bytes())
    ]
    assert len(found) == 31
    rows = [(each.id, row) for each in found for row in each.affected]
    assert len(rows) == 684
    assert sum(row.fixed == UNFIXED for _, row in rows) == 379
    assert {each.id for each in found if each.rejected} == {
        "REDHAT-CVE-2026-7323",
        "REDHAT-CVE-2024-24786",
    }
