"""Distribution spec: "Determining Support", "Error Codes", and whom a 401 sends where."""

from __future__ import annotations

import re

import pytest

from tests.wire.calls import Call, Case, Registry, case

LONG = "a" * 5000
REALM = 'Bearer realm="<server>/token",service="customhouse"'

SUPPORT = (
    case("slash", Call("GET /v2/", 200, json={}, answer={"Content-Type": "application/json"})),
    case("no slash", Call("GET /v2", 200, json={})),
    case(
        "version", Call("GET /v2/", 200, answer={"Docker-Distribution-API-Version": "registry/2.0"})
    ),
    case("head", Call("HEAD /v2/", 200, body=b"")),
    case("front", Call("GET /", 303, auth="", answer={"Location": "/auth/"})),
    case("healthz", Call("GET /healthz", 200, auth="", body=b"ok\n")),
    case("readyz", Call("GET /readyz", 200, auth="", json={"ready": True})),
    case(
        "metrics",
        Call("GET /metrics", 200, auth="", answer={"Content-Type": re.compile("text/plain;.*")}),
    ),
)

CHALLENGES = (
    case(
        "base",
        Call("GET /v2/", 401, "UNAUTHORIZED", auth="", answer={"WWW-Authenticate": REALM}),
        Call("GET /v2", 401, "UNAUTHORIZED", auth="", answer={"WWW-Authenticate": REALM}),
    ),
    case(
        "every resource names its scope",
        *(
            Call(
                f"{method} {target}",
                401,
                "" if method == "HEAD" else "UNAUTHORIZED",
                auth="",
                answer={"WWW-Authenticate": f'{REALM},scope="{scope}"'},
            )
            for method, target, scope in (
                ("GET", "/v2/_catalog", "registry:catalog:*"),
                ("GET", "/v2/<project>/tags/list", "repository:<project>:pull"),
                ("GET", "/v2/<name>/tags/list", "repository:<name>:pull"),
                ("GET", "/v2/<name>/manifests/v1", "repository:<name>:pull"),
                ("HEAD", "/v2/<name>/manifests/v1", "repository:<name>:pull"),
                ("PUT", "/v2/<name>/manifests/v1", "repository:<name>:pull,push"),
                ("DELETE", "/v2/<name>/manifests/v1", "repository:<name>:delete"),
                ("GET", "/v2/<name>/blobs/<hello>", "repository:<name>:pull"),
                ("HEAD", "/v2/<name>/blobs/<hello>", "repository:<name>:pull"),
                ("DELETE", "/v2/<name>/blobs/<hello>", "repository:<name>:delete"),
                ("GET", "/v2/<name>/referrers/<hello>", "repository:<name>:pull"),
                ("POST", "/v2/<name>/blobs/uploads/", "repository:<name>:pull,push"),
                ("GET", "/v2/<name>/blobs/uploads/x", "repository:<name>:pull,push"),
                ("PATCH", "/v2/<name>/blobs/uploads/x", "repository:<name>:pull,push"),
                ("PUT", "/v2/<name>/blobs/uploads/x", "repository:<name>:pull,push"),
                ("DELETE", "/v2/<name>/blobs/uploads/x", "repository:<name>:pull,push"),
            )
        ),
    ),
    case(
        "a token for something else steps up",
        Call(
            "GET /v2/elsewhere/app/tags/list",
            401,
            "UNAUTHORIZED",
            answer={
                "WWW-Authenticate": f'{REALM},scope="repository:elsewhere/app:pull"'
                ',error="insufficient_scope"'
            },
        ),
    ),
    case(
        "a token that is none",
        *(
            Call(
                "GET /v2/<name>/tags/list",
                401,
                "UNAUTHORIZED",
                auth=auth,
                answer={
                    "WWW-Authenticate": f'{REALM},scope="repository:<name>:pull"'
                    ',error="invalid_token"'
                },
            )
            for auth in ("Bearer garbage", "Bearer a.b.c", "Bearer", "Negotiate YII=", "x")
        ),
    ),
    case(
        "a wrong password",
        *(
            Call("GET /v2/", 401, "UNAUTHORIZED", auth=auth, answer={"WWW-Authenticate": REALM})
            for auth in (
                "Basic YWRtaW46d3Jvbmc=",  # admin:wrong
                "Basic bm9ib2R5OndybZw=",  # a user that is not there
                "Basic YWRtaW4=",  # no colon
                "Basic OnB3",  # no user
                "Basic 4",  # not base64
                "Basic //8=",  # not UTF-8
                "Basic YQA6Yg==",  # a zero byte
                "Basic",
            )
        ),
    ),
)

UNKNOWN = (
    case(
        "paths",
        *(
            Call(f"GET {path}", 404, "NAME_UNKNOWN")
            for path in (
                "/v1",
                "/v2x",
                "/v3/",
                "/v2/_catalog/",
                "/v2/<name>",
                "/v2/<name>/",
                "/v2/<name>/tags",
                "/v2/<name>/tags/list/",
                "/v2/<name>/manifests",
                "/v2/<name>/manifests/",
                "/v2/<name>/manifests/a/b",
                "/v2/<name>/referrers/",
                "/v2/<name>/blobs/",
                "/v2/tags/list",
                "/favicon.ico",
                "/v2/p/a%0Ab/manifests/v1",
                "/v2/%2e%2e/%2e%2e/etc/passwd",
            )
        ),
    ),
    case(
        "zero bytes",
        *(
            Call(f"{method} {target}", 400, "UNSUPPORTED")
            for method, target in (
                ("GET", "/%00"),
                ("GET", "/v1/operations/%00"),
                ("GET", "/v2/p/a%00b/manifests/v1"),
                ("GET", "/v2/<name>/manifests/%00"),
                ("PUT", "/v2/<name>/manifests/v1?tag=%00"),
                ("GET", "/v2/<name>/blobs/uploads/%00"),
                ("GET", "/v2/<name>/tags/list?last=%00"),
                ("GET", "/v2/<name>/referrers/<hello>?artifactType=a%00b"),
                ("GET", "/v2/_catalog?last=%00"),
                ("GET", "/token?scope=repository:%00:pull"),
            )
        ),
    ),
    case(
        "methods",
        *(
            Call(f"{method} {path}", 405, code, answer={"Allow": allow})
            for method, path, allow, code in (
                ("POST", "/v2/", "GET, HEAD", "UNSUPPORTED"),
                ("OPTIONS", "/v2/", "GET, HEAD", "UNSUPPORTED"),
                ("POST", "/v2/_catalog", "GET, HEAD", "UNSUPPORTED"),
                ("DELETE", "/v2/<name>/tags/list", "GET, HEAD", "UNSUPPORTED"),
                ("POST", "/v2/<name>/manifests/v1", "GET, HEAD, PUT, DELETE", "UNSUPPORTED"),
                ("PATCH", "/v2/<name>/blobs/<hello>", "GET, HEAD, DELETE", "UNSUPPORTED"),
                ("GET", "/v2/<name>/blobs/uploads/", "POST", "UNSUPPORTED"),
                (
                    "POST",
                    "/v2/<name>/blobs/uploads/x",
                    "GET, HEAD, PATCH, PUT, DELETE",
                    "UNSUPPORTED",
                ),
                ("BREW", "/v2/<name>/referrers/<hello>", "GET, HEAD", "UNSUPPORTED"),
                ("PUT", "/token", "GET, POST", "UNSUPPORTED"),
            )
        ),
    ),
    case(
        "repository names",
        *(
            Call(f"GET /v2/{name}/manifests/v1", 400, "NAME_INVALID")
            for name in (
                "Upper/case",
                "p/-dash",
                "p/dash-",
                "p/.dot",
                "p/a..b",
                "p/a___b",
                "p//a",
                "p/a/",
                "/p/a",
                "p/a%20b",
                "p/%C3%A9",
                "p/%FF%FE",
                "p/%2e%2e/a",
                "p/a%3Fb",
                f"p/{LONG}",
                "only-a-project",
                "example.com/only-a-project",
            )
        ),
        Call("GET /v2/Upper/tags/list", 400, "NAME_INVALID"),
        Call(f"GET /v2/p/{'a' * 253}/manifests/v1", 401, "UNAUTHORIZED"),
        Call(f"GET /v2/p/{'a' * 254}/manifests/v1", 400, "NAME_INVALID"),
    ),
    case(
        "digests",
        *(
            Call(f"GET /v2/<name>/{kind}/{digest}", 400, "DIGEST_INVALID")
            for kind in ("blobs", "manifests", "referrers")
            for digest in (
                "sha256:",
                "sha256:0",
                f"sha256:{'A' * 64}",
                f"sha256:{'0' * 63}",
                f"sha256:{'0' * 65}",
                f"sha512:{'0' * 64}",
                f"md5:{'0' * 32}",
                f"sha256:{'0' * 64}%0A",
                ":",
                f"{LONG}:{LONG}",
            )
        ),
        Call("GET /v2/<name>/blobs/latest", 400, "DIGEST_INVALID"),
        Call("GET /v2/<name>/referrers/latest", 400, "DIGEST_INVALID"),
    ),
    case(
        "tags",
        *(
            Call(f"{method} /v2/<name>/manifests/{tag}", status, code)
            for method, status, code in (
                ("GET", 404, "MANIFEST_UNKNOWN"),
                ("PUT", 400, "MANIFEST_INVALID"),
                ("DELETE", 400, "MANIFEST_INVALID"),
            )
            for tag in ("-dash", ".dot", "a%20b", "%C3%A9", "a" * 129, LONG, "%F0%9F%90%B3")
        ),
    ),
    case(
        "uploads",
        *(
            Call(f"{method} /v2/<name>/blobs/uploads/{upload}{query}", 404, "BLOB_UPLOAD_UNKNOWN")
            for method, query in (
                ("GET", ""),
                ("PATCH", ""),
                ("PUT", "?digest=<hello>"),
                ("DELETE", ""),
            )
            for upload in ("x", "0" * 32, "..%5C..", "%C3%A9", LONG)
        ),
    ),
)


@pytest.mark.parametrize("table_case", [*SUPPORT, *CHALLENGES, *UNKNOWN])
def test_calls(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)
