"""Distribution spec: "Listing Tags", with Google's extension; the catalog."""

from __future__ import annotations

import time

import pytest

from tests.wire.calls import BASIC, Call, Case, Registry, case
from tests.wire.contents import (
    BLOBS,
    CONTENTS,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    blob,
    digest_of,
    image,
)

TAGS = "GET /v2/<name>/tags/list"
PARTS = ("config", "layer")
# In the order of their bytes, which is the order of every listing.
NAMES = ("1.0", "1.0.0", "10", "9", "A", "Z", "_", "a", "b", "b-c", "b.c", "b_c", "latest")
UNORDERED = ("b_c", "10", "a", "latest", "A", "b", "9", "b.c", "1.0.0", "_", "Z", "1.0", "b-c")
TAGGED = (*PARTS, *(f"{name}=image" for name in UNORDERED))


def listed(names: tuple[str, ...], query: str, next_query: str | None = None) -> Call:
    """A row: the tags of a page, and the link to the next one."""
    link = f'</v2/<name>/tags/list?{next_query}>; rel="next"' if next_query else None
    return Call(f"{TAGS}?{query}", 200, answer={"Link": link}, has={"tags": list(names)})


PAGES = (
    case("all", listed(NAMES, ""), given=TAGGED),
    case(
        "n",
        listed(NAMES[:1], "n=1", "last=1.0&n=1"),
        listed(NAMES[:5], "n=5", "last=A&n=5"),
        listed(NAMES[:12], "n=12", "last=b_c&n=12"),
        listed(NAMES, "n=13"),
        listed(NAMES, "n=14"),
        listed(NAMES, "n=999999999"),
        listed((), "n=0"),
        given=TAGGED,
    ),
    case(
        "last",
        listed(NAMES[5:], "last=A"),
        listed(NAMES[5:7], "last=A&n=2", "last=_&n=2"),
        listed(NAMES[12:], "last=b_c&n=2"),
        listed((), "last=latest"),
        listed((), "last=zzz&n=5"),
        listed(NAMES, "last="),
        # It need not be a tag that is there.
        listed(NAMES[9:], "last=b-"),
        listed((), "last=%F0%9F%90%B3"),
        given=TAGGED,
    ),
    case(
        "bad n",
        *(
            Call(f"{target}?n={text}", 400, "PAGINATION_NUMBER_INVALID")
            for target in (TAGS, "GET /v2/_catalog")
            for text in ("-1", "x", "1.5", "", "%D9%A1", "1e3", "9999999999", "0x10")
        ),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "bad query",
        *(
            Call(f"{TAGS}?{query}", 400, "UNSUPPORTED")
            for query in ("last=%FF", "last=%C3%28", "&".join(["a=b"] * 1001))
        ),
        given=(*PARTS, "v1=image"),
    ),
    case(
        "unknown",
        Call(TAGS, 404, "NAME_UNKNOWN"),
        Call("GET /v2/<project>/tags/list", 404, "NAME_UNKNOWN"),
        Call("HEAD /v2/<name>/tags/list", 404),
    ),
    case(
        "no tags",
        Call(TAGS, 200, json={"name": "<name>", "tags": [], "child": [], "manifest": {}}),
        given=("hello",),
    ),
    case("head", Call("HEAD /v2/<name>/tags/list", 200, body=b""), given=("hello",)),
)


@pytest.mark.parametrize("table_case", PAGES)
def test_tags(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)


CATALOG = (
    case(
        "pages",
        Call("POST /v2/<project>/b/c/blobs/uploads/", 202, auth=BASIC),
        Call("POST /v2/<project>/b-c/blobs/uploads/", 202, auth=BASIC),
        Call("POST /v2/<project>/b/blobs/uploads/", 202, auth=BASIC),
        Call(
            "GET /v2/_catalog?n=2&last=<project>/",
            200,
            has={"repositories": ["<project>/b", "<project>/b-c"]},
            answer={"Link": '</v2/_catalog?last=<project>%2Fb-c&n=2>; rel="next"'},
        ),
        Call(
            "GET /v2/_catalog?last=<project>%2Fb-c&n=1",
            200,
            has={"repositories": ["<project>/b/c"]},
        ),
        Call("GET /v2/_catalog?n=0", 200, json={"repositories": []}, answer={"Link": None}),
        Call("GET /v2/_catalog?last=zzz", 200, json={"repositories": []}, answer={"Link": None}),
        Call("HEAD /v2/_catalog", 200, body=b""),
    ),
    case(
        "a project lists what lies below it",
        *(
            Call(f"POST /v2/<project>/{name}/blobs/uploads/", 202, auth=BASIC)
            for name in ("b", "b/c", "b/d/e", "b-c", "a/x", "a")
        ),
        Call(
            "GET /v2/<project>/tags/list",
            200,
            json={
                "name": "<project>",
                "tags": [],
                "child": ["a", "app", "b", "b-c"],
                "manifest": {},
            },
        ),
        Call("GET /v2/<project>/b/tags/list", 200, has={"child": ["c", "d"]}, auth=BASIC),
        # No repository has this name, but some lie below it.
        Call("GET /v2/<project>/b/d/tags/list", 200, has={"child": ["e"], "tags": []}, auth=BASIC),
        Call("GET /v2/<project>/b/d/f/tags/list", 404, "NAME_UNKNOWN", auth=BASIC),
        given=("hello",),
    ),
    case(
        "a project whose name has a domain",
        Call("POST /v2/example.com/<project>/app/blobs/uploads/", 202, auth=BASIC),
        Call("GET /v2/example.com/<project>/tags/list", 200, has={"child": ["app"]}, auth=BASIC),
    ),
)


@pytest.mark.parametrize("table_case", CATALOG)
def test_catalog(table_case: Case, registry: Registry) -> None:
    registry.run(table_case)


def test_following_the_links_of_the_catalog_gives_every_name_once(registry: Registry) -> None:
    talk = registry.conversation()
    talk.given("hello")
    talk.given("hello", repository="<other>")
    names: list[str] = []
    target: str | None = "/v2/_catalog?n=3"
    while target:
        response = talk.make(Call(f"GET {target}", 200))
        names += response.json()["repositories"]
        target = response.links["next"]["url"] if "next" in response.links else None
    assert names == sorted(set(names))
    assert {talk.words["name"], talk.words["other"]} <= set(names)
    assert talk.make(Call("GET /v2/_catalog", 200)).json()["repositories"] == names


def test_extension_describes_manifests(registry: Registry) -> None:
    talk = registry.conversation()
    before = time.time() * 1000 - 5_000
    talk.given(*PARTS, "v2=image", "v1=image", "docker", "all=index")
    document = talk.make(Call(TAGS, 200)).json()
    assert document["tags"] == ["all", "v1", "v2"]
    size = str(len(BLOBS["config"]) + len(BLOBS["layer"]))
    created = str(1709210096789)  # 2024-02-29T12:34:56.789Z, as the config says
    expected = {
        "image": (OCI_MANIFEST, ["v1", "v2"], size, created),
        "docker": (DOCKER_MANIFEST, [], size, created),
        "index": (OCI_INDEX, ["all"], "0", "0"),
    }
    assert len(document["manifest"]) == len(expected)
    for name, (media_type, tags, image_size, image_created) in expected.items():
        entry = document["manifest"][digest_of(CONTENTS[name])]
        uploaded = int(entry.pop("timeUploadedMs"))
        assert before < uploaded < time.time() * 1000 + 5_000
        assert entry == {
            "imageSizeBytes": image_size,
            "layerId": "",
            "mediaType": media_type,
            "tag": tags,
            "timeCreatedMs": image_created,
        }


def test_extension_pages_with_the_tags(registry: Registry) -> None:
    talk = registry.conversation()
    talk.given(*PARTS, "a=image", "b=second", "c=image", "docker")
    first = talk.make(Call(f"{TAGS}?n=2", 200)).json()
    second = talk.make(Call(f"{TAGS}?n=2&last=b", 200)).json()
    image, other, untagged = (digest_of(CONTENTS[name]) for name in ("image", "second", "docker"))
    assert {key: value["tag"] for key, value in first["manifest"].items()} == {
        image: ["a"],
        other: ["b"],
    }
    assert {key: value["tag"] for key, value in second["manifest"].items()} == {
        image: ["c"],
        untagged: [],
    }
    assert talk.make(Call(f"{TAGS}?n=0", 200)).json()["manifest"] == {}


@pytest.mark.parametrize("name", ["strange config", "wrong config", "hello", "empty"])
def test_a_config_that_says_nothing_sensible_is_no_failure(registry: Registry, name: str) -> None:
    talk = registry.conversation()
    talk.given(name, "layer")
    body = image(config=blob(OCI_CONFIG, name))
    talk.make(
        Call("PUT /v2/<name>/manifests/v1", 201, headers={"Content-Type": OCI_MANIFEST}, send=body)
    )
    document = talk.make(Call(TAGS, 200)).json()
    assert document["manifest"][digest_of(body)]["timeCreatedMs"] == "0"
