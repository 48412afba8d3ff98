"""Whatever is asked for is answered: never by a 500, and an error always in the spec's form."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.calls import BASIC, Call, Registry, check_error
from tests.wire.contents import BLOBS, MANIFESTS, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    import httpx2

EXAMPLES = settings(max_examples=120, deadline=None)
FEW_EXAMPLES = settings(max_examples=40, deadline=None)

DIGESTS = (digest_of(b"x"), digest_of(b"x", "sha512"), "sha256:", "sha256:0", "md5:0", ":")
WORDS = (
    *("v2", "_catalog", "tags", "list", "manifests", "blobs", "uploads", "referrers", "token"),
    *("p", "app", "p.q", "a-b", "A", ".", "..", "", "latest", "v1", "0" * 32, "healthz", "metrics"),
    *DIGESTS,
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "get")
NEVER_SENT = digest_of(bytes(5000))
PARAMETERS = (
    *("n", "last", "digest", "mount", "from", "tag", "digest-algorithm", "artifactType"),
    *("scope", "service", "offline_token", "x"),
)

anything = st.text(st.characters(exclude_categories=()), max_size=20).map(
    lambda text: quote(text.encode(errors="surrogatepass"), safe="")
)
raw_bytes = st.binary(max_size=8).map(lambda content: quote(content, safe=""))
segment = st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), anything, raw_bytes)
path = st.one_of(
    st.lists(segment, max_size=7).map(lambda parts: "/" + "/".join(parts)),
    st.lists(segment, max_size=6).map(lambda parts: "/v2/p/app/" + "/".join(parts)),
)
value = st.one_of(st.sampled_from([*WORDS, "-1", "0", "3", "9" * 30]), anything, raw_bytes)
query = st.lists(st.tuples(st.sampled_from(PARAMETERS), value), max_size=4).map(
    lambda pairs: "&".join(f"{name}={text}" for name, text in pairs)
)
header_value = st.one_of(
    st.sampled_from(
        ["bytes=0-0", "0-4", "bytes 0-4/5", "*", "gzip", "Basic x", "Bearer x", OCI_MANIFEST, "q=1"]
    ),
    st.text(string.printable.strip(), max_size=30),
    st.text(st.characters(min_codepoint=0xA1, max_codepoint=0xFF), min_size=1, max_size=8),
)
headers = st.dictionaries(
    st.sampled_from(
        [
            *("range", "content-range", "content-type", "accept", "if-none-match", "if-range"),
            *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "content-encoding"),
            *("user-agent", "origin", "cookie", "authorization"),
        ]
    ).map(str.encode),
    header_value.map(lambda text: text.encode("latin-1")),
    max_size=4,
)
body = st.one_of(
    st.just(b""), st.binary(max_size=200), st.sampled_from([MANIFESTS["image"][1], b"{}", b"[]"])
)


def check(response: httpx2.Response) -> None:
    """Check that a request was answered as it should be."""
    target = response.request.url.raw_path.decode()
    said = f"{response.request.method} {target} -> {response.status_code} {response.text[:500]}"
    assert response.status_code < 500, said
    if not response.is_error or response.request.method == "HEAD":
        return
    if target.startswith(("/v1/", "/upload/")) and "%00" not in target:
        assert response.json()["error"]["code"] == response.status_code, said
    else:
        check_error(response)


@EXAMPLES
@given(st.sampled_from(METHODS), path, query, headers, body, st.booleans())
def test_any_request(
    registry: Registry,
    method: str,
    path: str,
    query: str,
    headers: dict[bytes, bytes],
    body: bytes,
    signed_in: bool,
) -> None:
    target = f"{path}?{query}" if query else path
    url = registry.http.base_url.copy_with(raw_path=target.encode("ascii"))
    credentials = registry.server.auth if signed_in else None
    check(
        registry.http.request(method, url, headers=headers, content=body or None, auth=credentials)
    )


control_path = st.lists(
    st.one_of(
        st.sampled_from(["feeds", "feeds:import", "operations", "projects", "occurrences", "p"]),
        segment,
    ),
    max_size=5,
).map("/".join)
control_query = st.lists(
    st.tuples(st.sampled_from(["filter", "pageSize", "pageToken", "name", "source"]), value),
    max_size=3,
).map(lambda pairs: "&".join(f"{name}={text}" for name, text in pairs))


@FEW_EXAMPLES
@given(
    st.sampled_from(METHODS),
    st.sampled_from(["/v1/", "/upload/v1/"]),
    control_path,
    control_query,
    body,
)
def test_any_request_of_the_control_plane(
    registry: Registry, method: str, root: str, path: str, query: str, body: bytes
) -> None:
    url = registry.http.base_url.copy_with(raw_path=f"{root}{path}?{query}".encode("ascii"))
    check(registry.http.request(method, url, content=body or None, auth=registry.server.auth))


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
strange_descriptor = st.fixed_dictionaries(
    {
        "digest": st.sampled_from([digest_of(BLOBS["hello"]), *DIGESTS]) | json_value,
        "size": st.integers(-1, 1 << 64) | json_value,
    },
    optional={
        "mediaType": st.sampled_from([OCI_MANIFEST, "a/b"]) | json_value,
        "data": json_value,
        "urls": json_value,
        "platform": json_value,
        "annotations": json_value,
    },
)
strange_manifest = st.fixed_dictionaries(
    {"schemaVersion": st.just(2) | json_value},
    optional={
        "mediaType": st.sampled_from([kind for kind, _ in MANIFESTS.values()]) | json_value,
        "artifactType": json_value,
        "config": strange_descriptor | json_value,
        "layers": st.lists(strange_descriptor, max_size=3) | json_value,
        "manifests": st.lists(strange_descriptor, max_size=3) | json_value,
        "subject": strange_descriptor | json_value,
        "annotations": json_value,
    },
)


@EXAMPLES
@given(strange_manifest, st.sampled_from([kind for kind, _ in MANIFESTS.values()] + ["", "x"]))
def test_any_manifest(registry: Registry, document: object, content_type: str) -> None:
    response = registry.http.put(
        "/v2/strange/manifests/manifests/v1",
        content=json.dumps(document).encode(),
        headers={"Content-Type": content_type},
        auth=registry.server.auth,
    )
    check(response)


@FEW_EXAMPLES
@given(st.binary(max_size=300))
def test_any_bytes_as_a_manifest(registry: Registry, content: bytes) -> None:
    response = registry.http.put(
        "/v2/strange/manifests/manifests/v1", content=content, auth=registry.server.auth
    )
    check(response)
    assert response.is_client_error


@FEW_EXAMPLES
@given(st.lists(st.tuples(st.sampled_from(["PATCH", "PUT", "GET", "HEAD"]), headers, body)))
def test_any_treatment_of_an_upload(
    registry: Registry, treatment: list[tuple[str, dict[bytes, bytes], bytes]]
) -> None:
    talk = registry.conversation()
    talk.make(Call("POST /v2/<name>/blobs/uploads/", 202))
    location = talk.words["location"]
    for method, sent, content in treatment:
        query = f"?digest={NEVER_SENT}" if method == "PUT" else ""
        check(
            registry.http.request(
                method,
                location + query,
                headers=sent,
                content=content or None,
                auth=registry.server.auth,
            )
        )
    # Whatever was tried, it can be given up.
    talk.make(Call("DELETE <location>", 204, auth=BASIC))
