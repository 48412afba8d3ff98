"""oras for Python: artifacts that are not container images."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.support.images import noise
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from pathlib import Path

    from oras.client import OrasClient  # type: ignore[import-untyped]  # it ships no types

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.client("oras")


def client(server: CustomhouseServer, password: str = PASSWORD) -> OrasClient:
    """A client that signs in with a password."""
    from oras.client import OrasClient

    made = OrasClient(hostname=server.host, insecure=True)
    made.auth.set_basic_auth(USER, password)
    return made


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that no registry has, in the working folder: oras takes no other."""
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("report.txt").write_bytes(noise(100_000, tmp_path))
    return tmp_path / "report.txt"


@pytest.mark.parametrize("chunked", [False, True])
def test_push_and_pull(server: CustomhouseServer, file: Path, chunked: bool) -> None:
    name = f"{server.host}/acme/report:{'chunked' if chunked else 'whole'}"
    answer = client(server).push(
        name, files=[file.name], do_chunked=chunked, chunk_size=30_000, quiet=True
    )
    digest = answer.headers["Docker-Content-Digest"]
    for reference in (name, f"{server.host}/acme/report@{digest}"):
        target = file.parent / digest.replace(":", "-") / reference.rpartition("/")[2]
        [pulled] = client(server).pull(reference, outdir=str(target))
        assert target.joinpath(file.name).read_bytes() == file.read_bytes(), pulled


def test_second_push_sends_nothing(server: CustomhouseServer, file: Path) -> None:
    with server.traffic() as first:
        client(server).push(f"{server.host}/acme/twice:1", files=[file.name], quiet=True)
    with server.traffic() as second:
        client(server).push(f"{server.host}/acme/twice:2", files=[file.name], quiet=True)
    assert first.uploaded == 2  # the file and an empty configuration
    assert second.uploaded == 0


def test_list_and_delete(server: CustomhouseServer, file: Path) -> None:
    name = f"{server.host}/acme/listed"
    for tag in ("b", "a"):
        client(server).push(f"{name}:{tag}", files=[file.name], quiet=True)
    assert client(server).get_tags(name) == ["a", "b"]
    assert client(server).delete_tag(name, "a")
    assert client(server).get_tags(name) == [], "oras deletes the manifest, and so all of its tags"


def test_wrong_password(
    server: CustomhouseServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = client(server, "wrong")
    # oras tries five times, with two minutes of pauses in all.
    monkeypatch.setattr("oras.decorator.time", SimpleNamespace(sleep=lambda _seconds: None))
    with pytest.raises(ValueError, match="authentication"):
        stranger.push(f"{server.host}/acme/no:1", files=[file.name], quiet=True)
