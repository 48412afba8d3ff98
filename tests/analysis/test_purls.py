"""Package URLs, held to what the `packageurl-python` library makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from customhouse.analysis.purls import MAX_PURL, Purl, parse

TEXT = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)
# Parts of one dot or two are no names anywhere.
SEGMENT = TEXT.filter(lambda it: "/" not in it and it.strip(".") == it)
KEY = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
PURLS = st.builds(
    Purl,
    st.sampled_from(["apk", "deb", "gem", "generic", "maven", "rpm"]),
    st.lists(SEGMENT.map(str.lower), max_size=3).map("/".join),
    SEGMENT.map(str.lower),
    st.just("") | TEXT,
    st.dictionaries(KEY, TEXT, max_size=3),
)


@given(PURLS)
def test_what_is_written_is_read(purl: Purl) -> None:
    text = str(purl)
    assert parse(text) == purl
    library = PackageURL.from_string(text)
    assert (library.type, library.namespace or "", library.name, library.version or "") == purl[:4]
    assert library.qualifiers == purl.qualifiers


@pytest.mark.parametrize(
    "text",
    [
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12",
        "pkg:npm/%40angular/cli@17.0.0",
        "pkg:golang/github.com/go-chi/chi/v5@v5.0.8",
        "pkg:oci/web@sha256:abc?arch=amd64&repository_url=localhost:5000/acme/web",
        "pkg:rpm/redhat/openssl@1.1.1k-9.el8_7?arch=x86_64&epoch=1",
        "pkg:generic/x",
    ],
)
def test_the_canonical_form(text: str) -> None:
    assert str(parse(text)) == text == PackageURL.from_string(text).to_string()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pkg:npm/@angular/cli", ("npm", "@angular", "cli", "")),
        ("pkg:npm/@angular/cli@1.0", ("npm", "@angular", "cli", "1.0")),
        ("pkg://DEB//debian//sed@4.9#a/b", ("deb", "debian", "sed", "4.9")),
        ("pkg:deb/sed@1%3A4.9?", ("deb", "", "sed", "1:4.9")),
        ("pkg:deb/sed@4.9?arch", ("deb", "", "sed", "4.9")),
    ],
)
def test_lenient(text: str, parts: tuple[str, ...]) -> None:
    purl = parse(text)
    assert purl
    assert purl[:4] == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pkg:",
        "pkg:deb",
        "pkg:deb/",
        "pkg:/sed",
        "deb/sed",
        "pkg:d b/sed",
        "pkg:deb/@1",
        "pkg:deb/a%00b@1",
        "pkg:deb/a@1%1B[2J",
        "pkg:deb/a@1?arch=%0A",
        "pkg:deb/" + "a" * MAX_PURL,
    ],
)
def test_none(text: str) -> None:
    assert parse(text) is None


@given(st.text(max_size=200) | st.text("pkg:/@?#&=%0a.", max_size=200).map("pkg:{}".format))
def test_any_text(text: str) -> None:
    purl = parse(text)
    if purl is not None:
        assert purl.name
        assert str(purl).startswith(f"pkg:{purl.type}/")
