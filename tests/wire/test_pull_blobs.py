"""Distribution spec: "Pulling blobs"; RFC 9110, sections 13 and 14: conditions and ranges."""

from __future__ import annotations

import pytest

from tests.wire.calls import Call, Case, Registry, case
from tests.wire.contents import BLOBS

GET = "GET /v2/<name>/blobs/<alphabet>"
HEAD = "HEAD /v2/<name>/blobs/<alphabet>"
ETAG = '"<alphabet>"'
FACTS = {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": "<alphabet>",
    "ETag": ETAG,
    "Accept-Ranges": "bytes",
    "Cache-Control": "max-age=31536000, private, immutable",
}
LARGE = len(BLOBS["large"])


def part(text: str, first: int, last: int) -> Call:
    """A row whose Range header asks for the letters from `first` to `last`."""
    return Call(
        GET,
        206,
        headers={"Range": text},
        answer=FACTS
        | {"Content-Range": f"bytes {first}-{last}/26", "Content-Length": str(last - first + 1)},
        body=BLOBS["alphabet"][first : last + 1],
    )


CALLS = (
    case(
        "whole",
        Call(GET, 200, answer=FACTS | {"Content-Length": "26"}, body="alphabet"),
        given=("alphabet",),
    ),
    case(
        "head",
        Call(HEAD, 200, answer=FACTS | {"Content-Length": "26"}, body=b""),
        Call(HEAD, 200, headers={"Range": "bytes=0-4"}, answer={"Content-Length": "26"}),
        given=("alphabet",),
    ),
    case(
        "empty blob",
        Call("GET /v2/<name>/blobs/<empty>", 200, answer={"Content-Length": "0"}, body=b""),
        Call("HEAD /v2/<name>/blobs/<empty>", 200, answer={"Content-Length": "0"}),
        Call("GET /v2/<name>/blobs/<empty>", 416, "SIZE_INVALID", headers={"Range": "bytes=0-"}),
        given=("empty",),
    ),
    case(
        "large blob",
        Call(
            "GET /v2/<name>/blobs/<large>",
            200,
            answer={"Content-Length": str(LARGE)},
            body="large",
        ),
        Call(
            "GET /v2/<name>/blobs/<large>",
            206,
            headers={"Range": "bytes=1000-"},
            answer={
                "Content-Range": f"bytes 1000-{LARGE - 1}/{LARGE}",
                "Content-Length": str(LARGE - 1000),
            },
            body=BLOBS["large"][1000:],
        ),
        given=("large",),
    ),
    case(
        "by another algorithm",
        Call(
            "POST /v2/<name>/blobs/uploads/?digest=<alphabet|sha512>",
            201,
            send="alphabet",
            answer={"Docker-Content-Digest": "<alphabet|sha512>"},
        ),
        Call(
            "GET /v2/<name>/blobs/<alphabet|sha512>",
            200,
            answer={"Docker-Content-Digest": "<alphabet|sha512>", "ETag": '"<alphabet|sha512>"'},
            body="alphabet",
        ),
    ),
    case(
        "unknown",
        Call(GET, 404, "BLOB_UNKNOWN"),
        Call(HEAD, 404),
        Call("GET /v2/<other>/blobs/<alphabet>", 404, "BLOB_UNKNOWN"),
    ),
    case(
        "of another repository",
        Call("GET /v2/<other>/blobs/<alphabet>", 404, "BLOB_UNKNOWN"),
        given=("alphabet",),
    ),
    case(
        "a manifest is no blob",
        Call("GET /v2/<name>/blobs/<image>", 404, "BLOB_UNKNOWN"),
        given=("config", "layer", "image"),
    ),
    case(
        "one range",
        part("bytes=0-0", 0, 0),
        part("bytes=0-4", 0, 4),
        part("bytes=5-9", 5, 9),
        part("bytes=20-", 20, 25),
        part("bytes=0-", 0, 25),
        part("bytes=20-1000", 20, 25),
        part("bytes=25-25", 25, 25),
        part("bytes=-3", 23, 25),
        part("bytes=-26", 0, 25),
        part("bytes=-1000", 0, 25),
        part("bytes= 3-4", 3, 4),
        given=("alphabet",),
    ),
    case(
        "outside the blob",
        *(
            Call(
                GET,
                416,
                "SIZE_INVALID",
                headers={"Range": text},
                answer={"Content-Range": "bytes */26"},
            )
            for text in ("bytes=26-", "bytes=26-30", "bytes=999999999999-", "bytes=-0")
        ),
        given=("alphabet",),
    ),
    case(
        "what is no single range of bytes is answered whole",
        *(
            Call(GET, 200, headers={"Range": text}, answer={"Content-Range": None}, body="alphabet")
            for text in (
                "bytes=0-1,3-4",
                "bytes=0-0,-1",
                "bytes=",
                "bytes=-",
                "bytes=a-b",
                "bytes=1-2-3",
                "bytes=+1-2",
                "bytes=1-99999999999999999999",
                "letters=0-4",
                "0-4",
                "x" * 4000,
            )
        ),
        given=("alphabet",),
    ),
    case(
        "if range",
        Call(
            GET,
            206,
            headers={"Range": "bytes=0-4", "If-Range": ETAG},
            body=b"abcde",
        ),
        *(
            Call(GET, 200, headers={"Range": "bytes=0-4", "If-Range": text}, body="alphabet")
            for text in ('"<hello>"', "Tue, 15 Nov 1994 12:45:26 GMT", f"W/{ETAG}")
        ),
        given=("alphabet",),
    ),
    case(
        "if none match",
        *(
            Call(
                f"{method} /v2/<name>/blobs/<alphabet>",
                304,
                headers={"If-None-Match": text},
                answer={"ETag": ETAG, "Docker-Content-Digest": "<alphabet>"},
                body=b"",
            )
            for method in ("GET", "HEAD")
            for text in (ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*")
        ),
        # A length of 0 would be a false statement about the blob (RFC 9110, section 8.6).
        Call(GET, 304, headers={"If-None-Match": ETAG}, answer={"Content-Length": None}),
        Call(GET, 200, headers={"If-None-Match": '"<hello>"'}, body="alphabet"),
        Call(GET, 200, headers={"If-None-Match": "<alphabet>"}, body="alphabet"),
        given=("alphabet",),
    ),
)


@pytest.mark.parametrize("table_case", CALLS)
def test_calls(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)
