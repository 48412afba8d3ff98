"""Malformed requests: each is answered with a status of 4xx and, where it got so far, a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bad_input.raw import connection, exchange, head, receive
from tests.faults.registry import OCI_MANIFEST

if TYPE_CHECKING:
    from tests.faults.registry import Registry
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("bad-input")

MIB = 1024 * 1024
ZEROS = b"sha256:" + b"0" * 64

# Request line, status, code in the answer of the distribution API.
LINES = {
    "name that is not UTF-8": (b"GET /v2/a/b%ff%fe/tags/list", 400, "NAME_INVALID"),
    "name with a zero byte": (b"GET /v2/a/b%00c/tags/list", 400, "UNSUPPORTED"),
    "name with a line break": (b"GET /v2/a/b%0ac/tags/list", 404, "NAME_UNKNOWN"),
    "name of 5,000 characters": (b"GET /v2/" + b"a/" * 2500 + b"b/tags/list", 400, "NAME_INVALID"),
    "push to it": (b"POST /v2/" + b"a/" * 2500 + b"b/blobs/uploads/", 400, "NAME_INVALID"),
    "tag of 5,000 characters": (b"PUT /v2/a/b/manifests/" + b"t" * 5000, 400, "MANIFEST_INVALID"),
    "tag that is not UTF-8": (b"PUT /v2/a/b/manifests/%ff", 400, "MANIFEST_INVALID"),
    "pull of it": (b"GET /v2/a/b/manifests/%ff", 404, "MANIFEST_UNKNOWN"),
    "digest of 5,000": (b"GET /v2/a/b/blobs/sha256:" + b"0" * 5000, 400, "DIGEST_INVALID"),
    "digest that is not UTF-8": (b"GET /v2/a/b/blobs/sha256:%ff", 400, "DIGEST_INVALID"),
    "digest of another kind": (b"GET /v2/a/b/blobs/md5:00", 400, "DIGEST_INVALID"),
    "upload that leads out": (b"GET /v2/a/b/blobs/uploads/..%2f..%2fx", 404, "NAME_UNKNOWN"),
    "upload of dots": (b"GET /v2/a/b/blobs/uploads/..", 404, "BLOB_UPLOAD_UNKNOWN"),
    "path that leads out": (b"GET /v2/../../etc/passwd", 404, "NAME_UNKNOWN"),
    "query that is not UTF-8": (b"GET /v2/good/image/tags/list?last=%ff", 400, "UNSUPPORTED"),
    "query of 1,500 fields": (b"GET /v2/_catalog?" + b"a=b&" * 1500, 400, "UNSUPPORTED"),
    "page of 400 digits": (b"GET /v2/_catalog?n=" + b"9" * 400, 400, "PAGINATION_NUMBER_INVALID"),
    "page below zero": (b"GET /v2/_catalog?n=-1", 400, "PAGINATION_NUMBER_INVALID"),
    "made-up method": (b"BREW /v2/", 405, "UNSUPPORTED"),
    "two slashes": (b"GET //v2//", 404, "NAME_UNKNOWN"),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_request_line(server: CustomhouseServer, name: str) -> None:
    line, status, code = LINES[name]
    answer = exchange(server, head(server, line, b"Content-Length: 0"))
    assert (answer.status, answer.code) == (status, code)
    assert len(answer.body) < 2000
    (error,) = answer.document["errors"]
    assert error["message"]
    assert error["detail"]["hint"]


# What the HTTP library below the application refuses; such an answer has no body.
REFUSED = {
    "path of raw bytes": (b"GET /v2/a/b\xff/tags/list", b"X: y"),
    "query of raw bytes": (b"GET /v2/a/b/tags/list?last=\xff", b"X: y"),
    "line of 100 KB": (b"GET /v2/" + b"a" * 100_000, b"X: y"),
    "header of 1 MB": (b"GET /v2/", b"X: " + b"y" * 1_000_000),
    "2,000 headers": (b"GET /v2/", b"\r\n".join(b"X-%d: y" % n for n in range(2000))),
    "length below zero": (b"PUT /v2/a/b/manifests/x", b"Content-Length: -2"),
    "two lengths": (b"PUT /v2/a/b/manifests/x", b"Content-Length: 2\r\nContent-Length: 3"),
    "header without a name": (b"GET /v2/", b": y"),
    "folded header": (b"GET /v2/", b"X: y\r\n z"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_http(server: CustomhouseServer, name: str) -> None:
    answer = exchange(server, head(server, *REFUSED[name]))
    assert answer.status in {400, 414, 431}
    assert answer.headers["connection"] == "close"


def test_no_request_at_all(server: CustomhouseServer) -> None:
    for garbage in (
        b"\x00\x01\x02\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-x\r\n\r\n",
    ):
        with connection(server) as opened:
            opened.sendall(garbage)
            assert opened.recv(1000)[:12] in {b"HTTP/1.1 400", b""}


HEADERS = {
    "100 KB that nobody reads": (b"X: " + b"y" * 100_000, 200),
    "bytes that nobody reads": (b"X: \xff\xfe", 200),
    "agent that is not UTF-8": (b"User-Agent: \xff\x80", 200),
    "Accept of 50 KB": (b"Accept: " + b"a/b," * 12_500, 200),
    "If-None-Match of bytes": (b"If-None-Match: \xff", 200),
}


@pytest.mark.parametrize("name", HEADERS)
def test_header_that_does_no_harm(server: CustomhouseServer, name: str) -> None:
    header, status = HEADERS[name]
    answer = exchange(server, head(server, b"GET /v2/good/image/manifests/1", header))
    assert answer.status == status


SIGN_INS = {
    "no base64": b"Basic \xff\xff",
    "no colon": b"Basic YWRtaW4=",
    "no UTF-8": b"Basic //86eA==",
    "zero byte": b"Basic YQA6Yg==",
    "password of 50 KB": b"Basic " + b"YWRtaW46" + b"eHh4" * 12_500,
    "token of 40 KB": b"Bearer " + b"a." * 20_000,
    "token of nothing": b"Bearer",
    "token without an algorithm": b"Bearer e30.e30.e30",
    "token of algorithm none": b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyOmFkbWluIn0.",
    "token of brackets": b"Bearer " + b"W1tb" * 1000 + b".e30.e30",
    "another scheme": b"Negotiate x",
}


@pytest.mark.parametrize("name", SIGN_INS)
@pytest.mark.parametrize("path", [b"/v2/", b"/v1/feeds"])
def test_sign_in(server: CustomhouseServer, name: str, path: bytes) -> None:
    lines = (b"GET " + path + b" HTTP/1.1", b"Host: x", b"Authorization: " + SIGN_INS[name])
    answer = exchange(server, b"\r\n".join(lines) + b"\r\n\r\n")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith(("Bearer realm=", "Basic realm="))
    assert b"error" in answer.body


@pytest.mark.parametrize("host", [b"", b"Host: \xff", b"Host: <script>", b"Host: " + b"h" * 5000])
def test_host_is_not_put_into_the_challenge(server: CustomhouseServer, host: bytes) -> None:
    lines = [line for line in (b"GET /v2/ HTTP/1.1", host) if line]
    answer = exchange(server, b"\r\n".join(lines) + b"\r\n\r\n")
    assert answer.status == 400


CONTROL = {
    "project of 5,000": b"/v1/projects/" + b"a" * 5000 + b"/occurrences?filter=x",
    "filter that is not UTF-8": b"/v1/projects/a/occurrences?filter=%ff",
    "filter with a zero byte": b"/v1/projects/a/occurrences?filter=kind%00",
    "filter of 50 KB": b"/v1/projects/a/occurrences?filter=" + b"x" * 50_000,
    "no filter": b"/v1/projects/a/occurrences",
    "page size below zero": b"/v1/projects/a/occurrences?filter=x&pageSize=-1",
    "page size of 400 digits": b"/v1/projects/a/occurrences?filter=x&pageSize=" + b"9" * 400,
    "operation that is not UTF-8": b"/v1/operations/%ff",
    "operation of 5,000": b"/v1/operations/" + b"a" * 5000,
    "no such path": b"/v1/nothing",
}


@pytest.mark.parametrize("name", CONTROL)
def test_control_plane(server: CustomhouseServer, name: str) -> None:
    answer = exchange(server, head(server, b"GET " + CONTROL[name]))
    assert answer.status in {400, 404}
    assert len(answer.body) < 3000
    if "error" in answer.document:  # that a target has a zero byte is told in the other form
        assert answer.document["error"]["status"] in {"INVALID_ARGUMENT", "NOT_FOUND"}
        assert answer.document["error"]["message"]


def config_of(registry: Registry) -> bytes:
    """An empty config that is in `a/b`, as the beginning of a manifest."""
    digest = registry.upload("a/b", b"{}").encode()
    return (
        b'{"schemaVersion":2,"mediaType":"' + OCI_MANIFEST.encode() + b'","layers":[],"config":'
        b'{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"'
        + digest
        + b'"}'
    )


MANIFESTS = {
    "empty": b"",
    "no JSON": b"\x1f\x8b\x08\x00",
    "null": b"null",
    "100,000 brackets": b"[" * 100_000,
    "50,000 objects": b'{"a":' * 50_000,
    "UTF-16": '{"schemaVersion":2}'.encode("utf-16"),
    "number that is none": b'{"schemaVersion":NaN}',
    "version of 400 digits": b'{"schemaVersion":' + b"2" * 400 + b"}",
    "nothing but a version": b'{"schemaVersion":2}',
    "schema 1": b'{"schemaVersion":1,"fsLayers":[]}',
    "two kinds at once": b'{"schemaVersion":2,"config":{"mediaType":"a","size":2,"digest":"'
    + ZEROS + b'"},"layers":[],"manifests":[]}',
    "size below zero": b'{"schemaVersion":2,"config":{"mediaType":"a","size":-1,"digest":"'
    + ZEROS + b'"},"layers":[]}',
    "digest of another kind": b'{"schemaVersion":2,"config":{"mediaType":"a","size":1,'
    b'"digest":"md5:00"},"layers":[]}',
}  # fmt: skip

ENDINGS = {
    "annotation that is not UTF-8": b',"annotations":{"a":"\xff"}}',
    "lone surrogate": b',"annotations":{"a":"\\ud800"}}',
    "unknown field that is not UTF-8": b',"x":"\xff"}',
    "annotations that are none": b',"annotations":[1]}',
    "cut short": b',"annotations":{"a":"',
}


@pytest.mark.parametrize("name", [*MANIFESTS, *ENDINGS])
def test_manifest(server: CustomhouseServer, registry: Registry, name: str) -> None:
    content = MANIFESTS.get(name, b"")
    if name in ENDINGS:
        content = config_of(registry) + ENDINGS[name]
    length = b"Content-Length: %d" % len(content)
    answer = exchange(server, head(server, b"PUT /v2/a/b/manifests/x", length) + content)
    assert answer.status == 400
    assert answer.code in {"MANIFEST_INVALID", "DIGEST_INVALID"}
    assert registry.manifest("a/b", "x") is None


@pytest.mark.parametrize("is_chunked", [False, True])
def test_manifest_of_5_mib(server: CustomhouseServer, registry: Registry, is_chunked: bool) -> None:
    content = config_of(registry) + b',"x":"' + b"y" * (5 * MIB) + b'"}'
    length = b"Content-Length: %d" % len(content)
    if is_chunked:
        length, content = (
            b"Transfer-Encoding: chunked",
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content),
        )
    answer = exchange(server, head(server, b"PUT /v2/a/b/manifests/big", length) + content)
    assert (answer.status, answer.code) == (413, "MANIFEST_INVALID")
    assert registry.manifest("a/b", "big") is None


def test_manifest_of_4_mib_is_taken(registry: Registry) -> None:
    start = config_of(registry) + b',"x":"'
    content = start + b"y" * (4 * MIB - len(start) - 2) + b'"}'
    digest = registry.put_manifest("a/b", "four", content)
    assert registry.manifest("a/b", digest) == content


@pytest.mark.parametrize(
    "body",
    [b"5\r\nabcde\r\nzz\r\n\r\n", b"-5\r\n", b"ffffffffffffffffff\r\n", b"5;" + b"x" * 50_000],
    ids=["no number", "below zero", "too large", "extension"],
)
def test_malformed_chunks(server: CustomhouseServer, body: bytes) -> None:
    with connection(server) as opened:
        opened.sendall(head(server, b"PUT /v2/a/b/manifests/x", b"Transfer-Encoding: chunked"))
        opened.sendall(body)
        answer = receive(opened, "PUT")
    assert answer.status == 400
