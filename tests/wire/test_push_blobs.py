"""Distribution spec: "Pushing blobs", "Mounting a blob from another repository"."""

from __future__ import annotations

import re

import pytest

from tests.wire.calls import Answer, Call, Case, Registry, case
from tests.wire.conftest import BLOB_LIMIT
from tests.wire.contents import BLOBS

START = "POST /v2/<name>/blobs/uploads/"
FIRST, SECOND, THIRD = b"abcde", b"fghij", b"klmnopqrstuvwxyz"
ZEROS = f"sha256:{'0' * 64}"

BEGUN: Answer = {
    "Location": re.compile(r"/v2/[^?]+/blobs/uploads/[0-9a-f]{32}"),
    "Range": "0-0",
    "Docker-Upload-UUID": re.compile("[0-9a-f]{32}"),
    "Content-Length": "0",
}


def stands_at(size: int) -> dict[str, str]:
    """The headers of an answer that says how far an upload is."""
    return {
        "Location": "<location>",
        "Range": f"0-{size - 1}",
        "Docker-Upload-UUID": "<upload>",
    }


def created(name: str) -> dict[str, str]:
    """The headers of the answer to a blob that is whole."""
    return {"Location": f"/v2/<name>/blobs/<{name}>", "Docker-Content-Digest": f"<{name}>"}


def pulls(name: str) -> Call:
    """The blob is there, whole."""
    return Call(f"GET /v2/<name>/blobs/<{name}>", 200, body=name)


WHOLE = (
    case(
        "one POST",
        *(
            call
            for name in ("hello", "empty", "large")
            for call in (
                Call(f"{START}?digest=<{name}>", 201, send=name, answer=created(name)),
                pulls(name),
            )
        ),
    ),
    case(
        "POST then PUT",
        Call(START, 202, answer=BEGUN),
        Call("PUT <location>?digest=<hello>", 201, send="hello", answer=created("hello")),
        pulls("hello"),
    ),
    case(
        "POST then PUT of nothing",
        Call(START, 202, answer=BEGUN),
        Call("PUT <location>?digest=<empty>", 201, answer=created("empty")),
        pulls("empty"),
    ),
    case("POST without a slash", Call("POST /v2/<name>/blobs/uploads", 202, answer=BEGUN)),
    case(
        "again",
        Call(f"{START}?digest=<hello>", 201, send="hello", answer=created("hello")),
        pulls("hello"),
        given=("hello",),
    ),
    case(
        "wrong digest in one POST",
        Call(f"{START}?digest=<hello>", 400, "DIGEST_INVALID", send=b"other bytes"),
        Call("GET /v2/<name>/blobs/<hello>", 404, "BLOB_UNKNOWN"),
    ),
    case(
        "wrong digest in PUT leaves the upload as it was",
        Call(START, 202),
        Call("PATCH <location>", 202, send=FIRST),
        Call("PUT <location>?digest=<alphabet>", 400, "DIGEST_INVALID", send=b"wrong"),
        Call("GET <location>", 204, answer=stands_at(5)),
        Call("PUT <location>?digest=<alphabet>", 201, send=SECOND + THIRD),
        pulls("alphabet"),
    ),
    case(
        "no digest that could be checked",
        Call(START, 202),
        Call("PUT <location>", 400, "DIGEST_INVALID", send="hello"),
        Call("PUT <location>?digest=", 400, "DIGEST_INVALID", send="hello"),
        Call("PUT <location>?digest=hello", 400, "DIGEST_INVALID", send="hello"),
        Call("PUT <location>?digest=md5:0", 400, "DIGEST_INVALID", send="hello"),
        Call(f"{START}?digest=md5:0", 400, "DIGEST_INVALID", send="hello"),
        Call(f"{START}?digest={'a' * 5000}", 400, "DIGEST_INVALID", send="hello"),
        Call("PUT <location>?digest=<hello>", 201, send="hello"),
    ),
    case(
        "too large",
        Call(
            f"{START}?digest={ZEROS}",
            413,
            "SIZE_INVALID",
            send=bytes(BLOB_LIMIT + 1),
        ),
        Call(START, 202),
        Call("PATCH <location>", 202, send=bytes(BLOB_LIMIT - 1)),
        Call("PATCH <location>", 413, "SIZE_INVALID", send=(b"ab", b"cd")),
        Call("GET <location>", 204, answer=stands_at(BLOB_LIMIT - 1)),
    ),
)

CHUNKED = (
    case(
        "in order",
        Call(START, 202, answer=BEGUN),
        *(
            Call(
                "PATCH <location>",
                202,
                headers={
                    "Content-Range": f"{begin}-{begin + len(chunk) - 1}",
                    "Content-Type": "application/octet-stream",
                },
                send=chunk,
                answer=stands_at(begin + len(chunk)),
            )
            for begin, chunk in ((0, FIRST), (5, SECOND), (10, THIRD))
        ),
        Call("GET <location>", 204, answer=stands_at(26)),
        Call("PUT <location>?digest=<alphabet>", 201, answer=created("alphabet")),
        pulls("alphabet"),
    ),
    case(
        "without Content-Range",
        Call(START, 202),
        Call("PATCH <location>", 202, send=FIRST, answer=stands_at(5)),
        Call("PATCH <location>", 202, send=SECOND, answer=stands_at(10)),
        Call("PATCH <location>", 202, answer=stands_at(10)),
        Call("PUT <location>?digest=<alphabet>", 201, send=THIRD),
        pulls("alphabet"),
    ),
    case(
        "the last chunk in the PUT",
        Call(START, 202),
        Call("PATCH <location>", 202, headers={"Content-Range": "0-9"}, send=FIRST + SECOND),
        Call(
            "PUT <location>?digest=<alphabet>",
            201,
            headers={"Content-Range": "10-25"},
            send=THIRD,
            answer=created("alphabet"),
        ),
        pulls("alphabet"),
    ),
    case(
        "streamed",
        Call(START, 202),
        Call("PATCH <location>", 202, send=(FIRST, SECOND, THIRD), answer=stands_at(26)),
        Call("PUT <location>?digest=<alphabet>", 201),
        Call(START, 202),
        Call("PUT <location>?digest=<alphabet>", 201, send=(FIRST, SECOND, THIRD)),
        Call(f"{START}?digest=<alphabet>", 201, send=(FIRST, SECOND, THIRD)),
        pulls("alphabet"),
    ),
    case(
        "streamed in chunks of 32 KiB",
        Call(START, 202),
        Call(
            "PATCH <location>",
            202,
            send=tuple(BLOBS["large"][i : i + 32768] for i in range(0, 3_000_000, 32768)),
            answer=stands_at(3_000_000),
        ),
        Call("PUT <location>?digest=<large>", 201),
        pulls("large"),
    ),
    case(
        "out of order",
        Call(START, 202),
        Call(
            "PATCH <location>",
            416,
            "BLOB_UPLOAD_INVALID",
            headers={"Content-Range": "5-9"},
            send=SECOND,
            answer={"Range": "0-0", "Location": "<location>"},
        ),
        Call("PATCH <location>", 202, headers={"Content-Range": "0-4"}, send=FIRST),
        *(
            Call(
                "PATCH <location>",
                416,
                "BLOB_UPLOAD_INVALID",
                headers={"Content-Range": text},
                send=SECOND,
                answer=stands_at(5),
            )
            for text in ("0-4", "4-8", "6-10", "99999-100003", "x", "5", "-5-9", "bytes */26", "5-")
        ),
        Call(
            "PUT <location>?digest=<alphabet>",
            416,
            "BLOB_UPLOAD_INVALID",
            headers={"Content-Range": "10-25"},
            send=THIRD,
            answer=stands_at(5),
        ),
        Call("GET <location>", 204, answer=stands_at(5)),
        Call("PATCH <location>", 202, headers={"Content-Range": "5-9"}, send=SECOND),
        Call("PUT <location>?digest=<alphabet>", 201, send=THIRD),
        pulls("alphabet"),
    ),
    case(
        "another length than Content-Range says",
        Call(START, 202),
        Call("PATCH <location>", 202, headers={"Content-Range": "0-4"}, send=FIRST),
        *(
            Call(
                "PATCH <location>",
                400,
                "SIZE_INVALID",
                headers={"Content-Range": text},
                send=content,
            )
            for text in ("5-8", "5-10", "5-4", "5-3", "5-0")
            for content in (SECOND, (SECOND,))
        ),
        Call("GET <location>", 204, answer=stands_at(5)),
        Call("PUT <location>?digest=<alphabet>", 201, send=SECOND + THIRD),
        pulls("alphabet"),
    ),
    case(
        "other forms of Content-Range that clients send",
        Call(START, 202),
        Call("PATCH <location>", 202, headers={"Content-Range": "bytes 0-4/26"}, send=FIRST),
        Call("PATCH <location>", 202, headers={"Content-Range": "bytes=5-9"}, send=SECOND),
        Call("PATCH <location>", 202, headers={"Content-Range": "10-25/*"}, send=THIRD),
        Call("PUT <location>?digest=<alphabet>", 201),
    ),
)

LIFE = (
    case(
        "status",
        Call(START, 202, answer=BEGUN),
        Call("GET <location>", 204, answer={"Range": "0-0", "Docker-Upload-UUID": "<upload>"}),
        Call("PATCH <location>", 202, send=FIRST),
        Call("GET <location>", 204, answer=stands_at(5), body=b""),
        Call("HEAD <location>", 204, answer=stands_at(5)),
    ),
    case(
        "cancelled",
        Call(START, 202),
        Call("PATCH <location>", 202, send=FIRST),
        Call("DELETE <location>", 204, body=b""),
        *(
            Call(f"{method} <location>{query}", 404, "BLOB_UPLOAD_UNKNOWN", send=SECOND)
            for method, query in (
                ("GET", ""),
                ("PATCH", ""),
                ("PUT", "?digest=<hello>"),
                ("DELETE", ""),
            )
        ),
    ),
    case(
        "finished once",
        Call(START, 202),
        Call("PUT /v2/<name>/blobs/uploads/<upload>?digest=<hello>", 201, send="hello"),
        Call("GET /v2/<name>/blobs/uploads/<hello>", 404, "BLOB_UPLOAD_UNKNOWN"),
    ),
    case(
        "belongs to one repository",
        Call(START, 202),
        *(
            Call(f"{method} /v2/<other>/blobs/uploads/<upload>{query}", 404, "BLOB_UPLOAD_UNKNOWN")
            for method, query in (
                ("GET", ""),
                ("PATCH", ""),
                ("PUT", "?digest=<hello>"),
                ("DELETE", ""),
            )
        ),
        Call("PUT <location>?digest=<hello>", 201, send="hello"),
    ),
)

MOUNT = (
    case(
        "from",
        Call(
            "POST /v2/<other>/blobs/uploads/?mount=<hello>&from=<name>",
            201,
            answer={
                "Location": "/v2/<other>/blobs/<hello>",
                "Docker-Content-Digest": "<hello>",
            },
        ),
        Call("GET /v2/<other>/blobs/<hello>", 200, body="hello"),
        given=("hello",),
    ),
    case(
        "from with its slash and colon escaped",
        Call("POST /v2/<other>/blobs/uploads/?from=<project>%2Fapp&mount=<layer>", 201),
        given=("layer",),
    ),
    case(
        "without from",
        Call("POST /v2/<other>/blobs/uploads/?mount=<config>", 201),
        Call("GET /v2/<other>/blobs/<config>", 200, body="config"),
        given=("config",),
    ),
    case(
        "falls back to an upload",
        *(
            call
            for query in (
                f"mount={ZEROS}&from=<other>",
                f"mount={ZEROS}",
                "mount=<large>&from=<other>",
                "mount=<large>&from=nowhere/app",
                "mount=<large>&from=Not%20A%20Name",
                "mount=<large>&from=",
                "mount=md5:0&from=<other>",
                "mount=",
                "from=<other>",
            )
            for call in (
                Call(f"{START}?{query}", 202, answer=BEGUN),
                Call("PUT <location>?digest=<hello>", 201, send="hello"),
            )
        ),
    ),
)


@pytest.mark.parametrize("table_case", [*WHOLE, *CHUNKED, *LIFE, *MOUNT])
def test_calls(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)
