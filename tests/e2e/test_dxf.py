"""python-dxf: a store of blobs by name; it refuses to sign in without TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.images import digest_of, noise
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dxf import DXF, DXFBase
    from requests import Response

    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.client("dxf")


def sign_in(password: str) -> Callable[[DXFBase, Response], None]:
    """What dxf calls when the server asks who it is."""

    def answer(client: DXFBase, response: Response) -> None:
        client.authenticate(USER, password, response=response)

    return answer


def repository(server: CustomhouseServer, name: str, password: str = PASSWORD) -> DXF:
    """A client for one repository."""
    from dxf import DXF

    assert server.certificate is not None
    return DXF(server.host, name, sign_in(password), tlsverify=str(server.certificate.chain))


def pulled(client: DXF, digest: str) -> bytes:
    """The content of a blob."""
    chunks = client.pull_blob(digest)
    assert not isinstance(chunks, tuple)
    return b"".join(chunks)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that no registry has."""
    tmp_path.joinpath("report.txt").write_bytes(noise(100_000, tmp_path))
    return tmp_path / "report.txt"


def test_push_and_pull(tls_server: CustomhouseServer, file: Path) -> None:
    with repository(tls_server, "acme/report") as reports:
        digest = reports.push_blob(str(file))
        reports.set_alias("latest", digest)
        assert digest == digest_of(file.read_bytes())
        assert reports.get_alias("latest") == [digest]
        assert reports.blob_size(digest) == file.stat().st_size
        assert pulled(reports, digest) == file.read_bytes()


def test_second_push_sends_nothing(tls_server: CustomhouseServer, file: Path) -> None:
    with repository(tls_server, "acme/twice") as reports:
        with tls_server.traffic() as first:
            reports.push_blob(str(file))
        with tls_server.traffic() as second:
            reports.push_blob(str(file))
    assert first.uploaded == 1
    assert second.uploaded == 0


def test_mount(tls_server: CustomhouseServer, file: Path) -> None:
    with repository(tls_server, "acme/original") as original:
        digest = original.push_blob(str(file))
    with repository(tls_server, "other/copy") as copy, tls_server.traffic() as traffic:
        copy.mount_blob("acme/original", digest)
        assert pulled(copy, digest) == file.read_bytes()
    assert traffic.mounted == 1
    assert traffic.uploaded == 0


def test_list_and_delete(tls_server: CustomhouseServer, file: Path) -> None:
    with repository(tls_server, "acme/listed") as listed:
        digest = listed.push_blob(str(file))
        for alias in ("b", "a", "c"):
            listed.set_alias(alias, digest)
        assert listed.list_aliases() == ["a", "b", "c"]
        assert listed.list_aliases(batch_size=2) == ["a", "b", "c"]
        listed.del_alias("a")
        assert "a" not in listed.list_aliases()
        listed.del_blob(digest)


def test_catalog_page_by_page(tls_server: CustomhouseServer, file: Path) -> None:
    from dxf import DXFBase

    names = [f"catalog/r{n}" for n in range(5)]
    for name in names:
        with repository(tls_server, name) as one:
            one.set_alias("latest", one.push_blob(str(file)))
    assert tls_server.certificate is not None
    with DXFBase(
        tls_server.host, sign_in(PASSWORD), tlsverify=str(tls_server.certificate.chain)
    ) as registry:
        found = [name for name in registry.list_repos(batch_size=2) if name in names]
    assert found == names


def test_wrong_password(tls_server: CustomhouseServer, file: Path) -> None:
    from dxf.exceptions import DXFUnauthorizedError
    from requests import HTTPError

    with (
        repository(tls_server, "acme/no", "wrong") as reports,
        pytest.raises((DXFUnauthorizedError, HTTPError), match=r"401|unauthorized"),
    ):
        reports.push_blob(str(file))
