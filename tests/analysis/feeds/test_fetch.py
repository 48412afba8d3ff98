"""Fetching: what mirrors may answer, and what comes of it."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
import zipfile
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
import zstandard

from customhouse.analysis.feeds import kept
from customhouse.analysis.feeds.download import Limits
from customhouse.analysis.feeds.fetch import fetch
from customhouse.analysis.feeds.kept import File, Kept
from customhouse.analysis.feeds.sources import BUILT_IN, Layout, Source, configured
from customhouse.errors import Code, Failure
from customhouse.settings import FeedSettings, FeedSourceSettings
from tests.analysis.feeds.mirrors import Answer, Mirrors, mirrors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = b'{"id": "X-1"}' * 1000
LIMITS = Limits(max_bytes=100_000, seconds=20, pause=0.3, attempts=3, back_off=0.01)


@pytest.fixture(scope="module")
def running() -> Iterator[Mirrors]:
    """One server for all the tests."""
    with mirrors() as made:
        yield made


@pytest.fixture
def mirror(running: Mirrors) -> Mirrors:
    """The mirrors, which have nothing yet."""
    running.answers.clear()
    running.seen.clear()
    return running


def source(*urls: str, files: tuple[str, ...] = ("feed.json",), **fields: object) -> Source:
    """A source with these mirrors."""
    made = Source("feed", "Feed", "x", urls, files)
    return replace(made, **fields)  # type: ignore[arg-type]  # of whichever type each has


def get(
    folder: Path, wanted: Source, limits: Limits = LIMITS, known: tuple[Path, Kept] | None = None
) -> tuple[File, ...] | None:
    """Fetch into a folder."""
    folder.mkdir(exist_ok=True)
    return fetch(wanted, folder, known, limits, lambda _done, _total: None)


def as_kept(files: tuple[File, ...]) -> Kept:
    """What is known of files that were fetched."""
    return Kept(
        name="feed",
        form="",
        ecosystem="",
        is_whole=True,
        source="",
        data_at=0,
        encoding=0,
        files=files,
    )


def refusal(folder: Path, wanted: Source, limits: Limits = LIMITS) -> str:
    """Why a fetch fails; nothing is left of it."""
    with pytest.raises(Failure) as caught:
        get(folder, wanted, limits)
    assert caught.value.code is Code.FEED_UNREACHABLE
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    return caught.value.message


def test_a_file_comes_whole(mirror: Mirrors, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    (file,) = (
        fetch(
            source(mirror.put("/all.json", BODY)),
            tmp_path,
            None,
            LIMITS,
            lambda done, total: told.append((done, total)),
        )
        or ()
    )
    assert (tmp_path / "files" / "feed.json").read_bytes() == BODY
    assert (file.size, file.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert told[-1] == (len(BODY), len(BODY))
    assert mirror.seen[0][1]["accept-encoding"] == "identity"
    assert "if-none-match" not in mirror.seen[0][1]


@pytest.mark.parametrize("mark", ["etag", "last-modified"])
def test_what_has_not_changed_is_not_sent_again(mirror: Mirrors, tmp_path: Path, mark: str) -> None:
    value = '"a1"' if mark == "etag" else formatdate(0, usegmt=True)
    marked = Answer(BODY, headers={mark: value})
    wanted = source(mirror.put("/f", marked, Answer(status=304)))
    files = get(tmp_path / "one", wanted)
    assert files is not None
    assert get(tmp_path / "two", wanted, known=(tmp_path / "one", as_kept(files))) is None
    header = "if-none-match" if mark == "etag" else "if-modified-since"
    assert mirror.seen[1][1][header] == value
    assert (tmp_path / "two" / "files" / "feed.json").read_bytes() == BODY


def test_marks_of_one_mirror_are_not_shown_to_another(mirror: Mirrors, tmp_path: Path) -> None:
    marked = Answer(BODY, headers={"etag": '"a1"'})
    first, second = mirror.put("/f", marked), mirror.put("/g", marked)
    files = get(tmp_path / "one", source(first))
    assert files is not None
    known = (tmp_path / "one", as_kept(files))
    # Its content is the same all the same.
    assert get(tmp_path / "two", source(second), known=known) is None
    assert "if-none-match" not in mirror.seen[-1][1]


def test_of_several_files_only_what_has_changed_is_sent(mirror: Mirrors, tmp_path: Path) -> None:
    mirror.put("/db/a/main.json", Answer(b"one", headers={"etag": '"1"'}))
    mirror.put("/db/b.json", Answer(b"two", headers={"etag": '"2"'}))
    names = ("a/main.json", "b.json", "later.json")
    wanted = source(mirror.url("/db/"), files=names, optional=frozenset({"later.json"}))
    files = get(tmp_path / "one", wanted)
    assert files is not None
    assert [file.name for file in files] == ["a/main.json", "b.json"]
    mirror.put("/db/b.json", Answer(b"three", headers={"etag": '"3"'}))
    again = get(tmp_path / "two", wanted, known=(tmp_path / "one", as_kept(files)))
    assert again is not None
    found = {file.name: (tmp_path / "two" / "files" / file.name).read_bytes() for file in again}
    assert found == {"a/main.json": b"one", "b.json": b"three"}
    mirror.put("/db/later.json", b"four")
    more = get(tmp_path / "three", wanted, known=(tmp_path / "two", as_kept(again)))
    assert more is not None
    assert len(more) == 3


def test_a_file_that_is_needed_is_missing(mirror: Mirrors, tmp_path: Path) -> None:
    mirror.put("/db/a.json", b"one")
    said = refusal_after(tmp_path, source(mirror.url("/db/"), files=("a.json", "b.json")))
    assert said.endswith("/db/: it answers 404")


def refusal_after(folder: Path, wanted: Source) -> str:
    """Why a fetch fails that has got some of its files."""
    with pytest.raises(Failure) as caught:
        get(folder, wanted)
    return caught.value.message


TEMPORARY = {
    "server error": Answer(status=500),
    "bad gateway": Answer(status=502),
    "truncated": Answer(BODY[:500], stated=len(BODY)),
    "slow": Answer(BODY, pause=0.6),
    "a web page": Answer(b"<!DOCTYPE html><html>Please sign in</html>"),
}


@pytest.mark.parametrize("name", TEMPORARY)
def test_it_is_tried_again(mirror: Mirrors, tmp_path: Path, name: str) -> None:
    url = mirror.put("/f", TEMPORARY[name], BODY)
    files = get(tmp_path, source(url))
    assert files is not None
    assert files[0].size == len(BODY)
    assert mirror.paths() == ["/f", "/f"]


@pytest.mark.parametrize("name", TEMPORARY)
def test_it_is_not_tried_for_ever(mirror: Mirrors, tmp_path: Path, name: str) -> None:
    refusal(tmp_path, source(mirror.put("/f", TEMPORARY[name])))
    assert mirror.paths() == ["/f"] * LIMITS.attempts


def test_the_wait_that_a_mirror_asks_for_is_kept(mirror: Mirrors, tmp_path: Path) -> None:
    busy = Answer(status=429, headers={"retry-after": "1"})
    url = mirror.put("/f", busy, BODY)
    began = time.monotonic()
    assert get(tmp_path, source(url)) is not None
    assert 1.0 <= time.monotonic() - began < 5.0


def test_another_mirror_is_not_kept_waiting(mirror: Mirrors, tmp_path: Path) -> None:
    busy = mirror.put("/busy", Answer(status=503, headers={"retry-after": "30"}))
    good = mirror.put("/good", BODY)
    began = time.monotonic()
    assert get(tmp_path, source(busy, good)) is not None
    assert time.monotonic() - began < 5.0
    assert mirror.paths() == ["/busy", "/good"]


def test_a_wait_that_is_too_long_is_not_kept(mirror: Mirrors, tmp_path: Path) -> None:
    said = refusal(
        tmp_path, source(mirror.put("/f", Answer(status=503, headers={"retry-after": "9999"})))
    )
    assert said.endswith("it answers 503")
    date = formatdate(time.time() + 9999, usegmt=True)
    refusal(tmp_path, source(mirror.put("/f", Answer(status=503, headers={"retry-after": date}))))
    assert mirror.paths() == ["/f", "/f"]


def test_mirrors_are_tried_in_turn_and_named(mirror: Mirrors, tmp_path: Path) -> None:
    gone = mirror.put("/gone", Answer(status=404))
    ill = mirror.put("/ill", Answer(status=500))
    with_secrets = ill.replace("http://", "http://ana:secret@") + "?token=secret"
    mirror.put("/ill?token=secret", Answer(status=500))
    said = refusal(tmp_path, source(gone, with_secrets))
    assert mirror.paths() == ["/gone", *["/ill?token=secret"] * LIMITS.attempts]
    assert mirror.seen[1][1]["authorization"].startswith("Basic ")
    assert said == (f"feed feed cannot be fetched: {gone}: it answers 404; {ill}: it answers 500")
    mirror.seen.clear()
    good = mirror.put("/good", BODY)
    assert get(tmp_path, source(gone, ill, good)) is not None
    assert mirror.paths() == ["/gone", "/ill", "/good"]


FINAL = {
    "not there": (Answer(status=404), "it answers 404"),
    "forbidden": (Answer(status=403), "it answers 403"),
    "too large": (Answer(bytes(100_001)), "it has more than 100000 bytes"),
    "larger than it says": (
        Answer(bytes(100_001), headers={"x": "y"}),
        "it has more than 100000 bytes",
    ),
    "redirect loop": (Answer(status=302, headers={"location": "/f"}), "it redirects too often"),
    "a file": (
        Answer(status=302, headers={"location": "file:///etc/passwd"}),
        "it leads to what is neither http nor https",
    ),
    "compressed": (
        Answer(BODY, headers={"content-encoding": "gzip"}),
        "it compresses what was asked for as it is",
    ),
    "not modified of nothing": (Answer(status=304), "it answers 304"),
    "empty": (Answer(status=204), "it answers 204"),
    "part": (Answer(BODY, status=206), "it answers 206"),
    "a cloud's credentials": (
        Answer(status=302, headers={"location": "http://169.254.169.254/latest/meta-data/"}),
        "its address is link-local or serves a cloud's metadata",
    ),
    "a cloud's credentials, by IPv6": (
        Answer(status=307, headers={"location": "http://[::ffff:169.254.169.254]/"}),
        "its address is link-local or serves a cloud's metadata",
    ),
    "address that is none": (
        Answer(status=302, headers={"location": "http://[::1"}),
        "it leads to an address that is none",
    ),
}


@pytest.mark.parametrize("name", FINAL)
def test_it_is_not_tried_again(mirror: Mirrors, tmp_path: Path, name: str) -> None:
    answer, reason = FINAL[name]
    said = refusal(tmp_path, source(mirror.put("/f", answer)))
    assert said.endswith(f"/f: {reason}")
    assert len(mirror.paths()) == (6 if name == "redirect loop" else 1)


def test_nobody_listens(tmp_path: Path) -> None:
    said = refusal(tmp_path, source("http://127.0.0.1:1/f"))
    assert said.endswith("http://127.0.0.1:1/f: it cannot be connected to")


def test_redirects_are_followed(mirror: Mirrors, tmp_path: Path) -> None:
    url = mirror.put("/f", Answer(status=302, headers={"location": "/g"}))
    mirror.put("/g", BODY)
    assert get(tmp_path, source(url)) is not None


def test_all_of_it_has_a_time(mirror: Mirrors, tmp_path: Path) -> None:
    url = mirror.put("/f", Answer(status=500))
    began = time.monotonic()
    limits = replace(LIMITS, seconds=0.5, attempts=20, back_off=0.2)
    assert refusal(tmp_path, source(url), limits).endswith("it answers 500")
    assert time.monotonic() - began < 2.0


REPOMD = """<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo">
<data type="primary"><checksum type="sha256">00</checksum><location href="x"/></data>
<data type="updateinfo"><checksum type="sha256">{}</checksum>
<open-checksum type="sha256">11</open-checksum><location href="repodata/u.xml.gz"/></data>
</repomd>"""


def test_advisories_of_a_repository(mirror: Mirrors, tmp_path: Path) -> None:
    url = mirror.put("/mirror.list", mirror.url("/core/$basearch").encode() + b"\n")
    metadata = "/core/x86_64/repodata/repomd.xml"
    digest = hashlib.sha256(BODY).hexdigest()
    mirror.put(metadata, REPOMD.format(digest).encode())
    mirror.put("/core/x86_64/repodata/u.xml.gz", BODY)
    wanted = source(url, files=("updateinfo.xml.gz",), layout=Layout.REPOSITORY)
    files = get(tmp_path / "one", wanted)
    assert files is not None
    assert files[0].sha256 == digest
    mirror.seen.clear()
    assert get(tmp_path / "two", wanted, known=(tmp_path / "one", as_kept(files))) is None
    assert mirror.paths() == ["/mirror.list", metadata]


WRONG = {
    "checksum": (REPOMD.format("0" * 64), "the file has another checksum than its repository says"),
    "no XML": ("<repomd", "its repomd.xml is not XML"),
    "nothing": ("<repomd/>", "its repomd.xml names no advisories"),
    "elsewhere": (
        REPOMD.format("0" * 64).replace("repodata/u.xml.gz", "../../u"),
        "its repomd.xml names no advisories",
    ),
    "entities": (
        f'<!DOCTYPE x [<!ENTITY a "b">]>{REPOMD.format("0" * 64)[21:]}',
        "its repomd.xml declares a document type",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_repository_that_is_wrong(mirror: Mirrors, tmp_path: Path, name: str) -> None:
    content, reason = WRONG[name]
    mirror.put("/r/repodata/repomd.xml", content.encode())
    mirror.put("/r/repodata/u.xml.gz", BODY)
    wanted = source(mirror.url("/r/"), files=("u.gz",), layout=Layout.REPOSITORY)
    assert refusal_after(tmp_path, wanted).endswith(reason)


def tar(**files: bytes) -> bytes:
    """A tar compressed by zstd."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as result:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(content)
            result.addfile(member, io.BytesIO(content))
    return zstandard.compress(packed.getvalue())


def test_an_archive_becomes_a_zip(mirror: Mirrors, tmp_path: Path) -> None:
    mirror.put("/vex/archive_latest.txt", b"csaf_vex_2026-01-01.tar.zst\n")
    mirror.put("/vex/csaf_vex_2026-01-01.tar.zst", tar(a_json=b"{}", b_txt=b"no", c_json=b"[]"))
    wanted = source(mirror.url("/vex/"), files=("vex.zip",), layout=Layout.ARCHIVE)
    files = get(tmp_path / "one", wanted)
    assert files is not None
    with zipfile.ZipFile(tmp_path / "one" / "files" / "vex.zip") as result:
        assert {name: result.read(name) for name in result.namelist()} == {
            "a.json": b"{}",
            "c.json": b"[]",
        }
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["files"]
    mirror.seen.clear()
    assert get(tmp_path / "two", wanted, known=(tmp_path / "one", as_kept(files))) is None
    assert mirror.paths() == ["/vex/archive_latest.txt"]


@pytest.mark.parametrize("latest", ["../x.tar.zst", "x.zip", "", "x.tar.zst"])
def test_an_archive_that_is_wrong(mirror: Mirrors, tmp_path: Path, latest: str) -> None:
    mirror.put("/vex/archive_latest.txt", latest.encode())
    mirror.put("/vex/x.tar.zst", b"no tar")
    wanted = source(mirror.url("/vex/"), files=("vex.zip",), layout=Layout.ARCHIVE)
    said = refusal_after(tmp_path, wanted)
    assert said.endswith("names no archive") or "its archive cannot be read" in said


def test_sources_that_are_built_in() -> None:
    assert len({each.name for each in BUILT_IN}) == len(BUILT_IN)
    for each in BUILT_IN:
        assert all(url.startswith("https://") for url in each.mirrors)
        assert all(url.endswith("/") for url in each.mirrors) or len(each.files) == 1
        assert each.optional <= set(each.files)
        assert 0 < each.interval < each.max_age


def test_settings_of_sources() -> None:
    own = FeedSourceSettings(urls=("https://example.org/a/all.zip?x=1",), form="documents")
    settings = FeedSettings(
        on=("alpine-secdb",),
        off=("osv-alpine",),
        mirrors={"osv-pypi": ("https://mirror.example.org/pypi.zip",)},
        sources={"mine": own},
        interval_hours=1,
        max_age_hours=2,
    )
    found = configured(settings)
    assert found["alpine-secdb"].is_on
    assert not found["osv-alpine"].is_on
    assert found["osv-pypi"].mirrors == ("https://mirror.example.org/pypi.zip",)
    assert (found["mine"].files, found["mine"].form) == (("all.zip",), "documents")
    assert {(each.interval, each.max_age) for each in found.values()} == {(3600, 7200)}
    with pytest.raises(Failure, match="there is no source nowhere"):
        configured(FeedSettings(off=("nowhere",)))


def test_a_name_that_leads_elsewhere(tmp_path: Path) -> None:
    for name in ("../x", "/x", "a/../../x", "", "x\0", "x" * 300):
        with pytest.raises(Failure) as caught:
            kept.place(tmp_path, name)
        assert caught.value.code is Code.FEED_BUNDLE_INVALID


def zipped(**records: str) -> bytes:
    """An export of OSV."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as result:
        for name, text in records.items():
            result.writestr(f"{name}.json", record(name, text))
    return packed.getvalue()


def record(name: str, text: str) -> bytes:
    """A record of OSV."""
    return f'{{"id": "{name}", "summary": "{text}"}}'.encode()


def index(**times: str) -> bytes:
    """The list of the records of an export."""
    return "".join(f"2026-01-0{time}T00:00:00Z,{name}\n" for name, time in times.items()).encode()


def records(folder: Path) -> dict[str, bytes]:
    """The records of an export that was fetched."""
    with zipfile.ZipFile(folder / "files" / "all.zip") as result:
        assert result.testzip() is None
        assert len(set(result.namelist())) == len(result.namelist())
        return {name.removesuffix(".json"): result.read(name) for name in result.namelist()}


def test_of_an_export_only_what_has_changed_is_fetched(mirror: Mirrors, tmp_path: Path) -> None:
    wanted = source(mirror.url("/osv/"), files=("all.zip",), layout=Layout.EXPORT)
    mirror.put("/osv/all.zip", zipped(A="1", B="1", C="1"))
    mirror.put("/osv/modified_id.csv", index(A="1", B="1", C="1"))
    files = get(tmp_path / "one", wanted)
    assert files is not None
    assert mirror.paths() == ["/osv/modified_id.csv", "/osv/all.zip"]

    mirror.seen.clear()
    known = (tmp_path / "one", as_kept(files))
    assert get(tmp_path / "two", wanted, known=known) is None
    assert mirror.paths() == ["/osv/modified_id.csv"]

    # One has changed, one is new, one is gone; one is new but not there yet.
    mirror.seen.clear()
    mirror.put("/osv/modified_id.csv", index(D="2", B="2", A="1", E="2"))
    mirror.put("/osv/B.json", record("B", "2"))
    mirror.put("/osv/D.json", record("D", "1"))
    files = get(tmp_path / "three", wanted, known=known)
    assert files is not None
    assert mirror.paths() == [
        f"/osv/{name}" for name in ("modified_id.csv", "B.json", "D.json", "E.json")
    ]
    content = (tmp_path / "three" / "files" / "all.zip").read_bytes()
    assert files[0].sha256 == hashlib.sha256(content).hexdigest()
    assert records(tmp_path / "three") == {
        "A": record("A", "1"),
        "B": record("B", "2"),
        "D": record("D", "1"),
    }
    assert records(tmp_path / "one").keys() == {"A", "B", "C"}, "what is kept is as it was"

    # Nothing is new but one is gone; what was not there is asked for again.
    mirror.seen.clear()
    mirror.put("/osv/modified_id.csv", index(B="2", A="1", E="2"))
    known = (tmp_path / "three", as_kept(files))
    assert get(tmp_path / "four", wanted, known=known) is not None
    assert mirror.paths() == ["/osv/modified_id.csv", "/osv/E.json"]
    assert records(tmp_path / "four").keys() == {"A", "B"}


def test_an_export_with_many_changes_is_fetched_as_a_whole(mirror: Mirrors, tmp_path: Path) -> None:
    wanted = source(mirror.url("/osv/"), files=("all.zip",), layout=Layout.EXPORT)
    mirror.put("/osv/all.zip", zipped(A="1"))
    mirror.put("/osv/modified_id.csv", index(A="1"))
    files = get(tmp_path / "one", wanted)
    assert files is not None
    many = {f"X-{number}": "2" for number in range(501)}
    mirror.put("/osv/modified_id.csv", index(**many))
    mirror.put("/osv/all.zip", zipped(**many))
    mirror.seen.clear()
    assert get(tmp_path / "two", wanted, known=(tmp_path / "one", as_kept(files))) is not None
    assert mirror.paths() == ["/osv/modified_id.csv", "/osv/all.zip"]
    assert len(records(tmp_path / "two")) == 501


@pytest.mark.parametrize("content", [b"", b"<html>", b"a,b\n", b"\xff\n"], ids=repr)
def test_a_list_that_is_wrong_is_not_believed(
    mirror: Mirrors, tmp_path: Path, content: bytes
) -> None:
    wanted = source(mirror.url("/osv/"), files=("all.zip",), layout=Layout.EXPORT)
    mirror.put("/osv/all.zip", zipped(A="1"))
    mirror.put("/osv/modified_id.csv", index(A="1"))
    files = get(tmp_path / "one", wanted)
    assert files is not None
    mirror.put("/osv/modified_id.csv", content)
    assert get(tmp_path / "two", wanted, known=(tmp_path / "one", as_kept(files))) is None
    assert records(tmp_path / "one").keys() == {"A"}


@pytest.mark.parametrize("content", [record("B", "x"), b"{", b"<html>"], ids=repr)
def test_a_record_that_is_wrong(mirror: Mirrors, tmp_path: Path, content: bytes) -> None:
    wanted = source(mirror.url("/osv/"), files=("all.zip",), layout=Layout.EXPORT)
    mirror.put("/osv/all.zip", zipped(A="1"))
    mirror.put("/osv/modified_id.csv", index(A="1"))
    files = get(tmp_path / "one", wanted)
    assert files is not None
    mirror.put("/osv/modified_id.csv", index(A="2"))
    mirror.put("/osv/A.json", content)
    with pytest.raises(Failure) as caught:
        get(tmp_path / "two", wanted, known=(tmp_path / "one", as_kept(files)))
    assert "record" in caught.value.message


def test_an_export_without_a_list(mirror: Mirrors, tmp_path: Path) -> None:
    wanted = source(mirror.url("/osv/"), files=("all.zip",), layout=Layout.EXPORT)
    mirror.put("/osv/all.zip", Answer(zipped(A="1"), headers={"etag": '"1"'}))
    files = get(tmp_path / "one", wanted)
    assert files is not None
    assert get(tmp_path / "two", wanted, known=(tmp_path / "one", as_kept(files))) is None
    direct = replace(wanted, mirrors=(mirror.url("/osv/all.zip"),))
    assert get(tmp_path / "three", direct, known=(tmp_path / "one", as_kept(files))) is None
