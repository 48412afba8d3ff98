"""Packages of .NET, as the SDK lists them, and shared frameworks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import Listing, dotnet
from customhouse.analysis.ecosystems.package import MAX_PACKAGES

TARGET = ".NETCoreApp,Version=v8.0/linux-x64"
PACKAGE = {"type": "package", "serviceable": True, "sha512": "sha512-x"}
FILES = {"runtime": {"lib/x.dll": {"assemblyVersion": "1.0.0.0"}}}
PROGRAM = {
    "runtimeTarget": {"name": TARGET, "signature": ""},
    "targets": {
        ".NETCoreApp,Version=v8.0": {},
        TARGET: {
            "App/1.0.0": FILES,
            "Newtonsoft.Json/13.0.1": FILES,
            "SQLite.Native/2.1.0-beta.1+g12": {"native": {"x.so": {}}},
            "Humanizer.Core.de/2.14.1": {"resources": {"de/x.dll": {"locale": "de"}}},
            "System.Net.Http/4.3.0": {"dependencies": {"System.Runtime": "4.3.0"}},
            "NETStandard.Library/2.0.0": {},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": FILES,
        },
    },
    "libraries": {
        "App/1.0.0": {"type": "project", "sha512": ""},
        "Lib.Reference/1.0.0.0": {"type": "reference", "sha512": ""},
        "Newtonsoft.Json/13.0.1": PACKAGE,
        "SQLite.Native/2.1.0-beta.1+g12": PACKAGE,
        "Humanizer.Core.de/2.14.1": PACKAGE,
        "System.Net.Http/4.3.0": PACKAGE,
        "NETStandard.Library/2.0.0": PACKAGE,
        "Not.In.The.Target/1.0.0": PACKAGE,
        "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {
            "type": "runtimepack",
            "sha512": "",
        },
    },
}


def read(value: Any, path: str = "app/App.deps.json") -> Listing:
    return dotnet.parse(path, json.dumps(value).encode())


def named(listing: Listing) -> set[tuple[str, str]]:
    return {(each.name, each.version) for each in listing.packages}


def test_a_program_with_a_framework_of_its_own() -> None:
    found = read(PROGRAM)
    assert named(found) == {
        ("Newtonsoft.Json", "13.0.1"),
        ("SQLite.Native", "2.1.0-beta.1+g12"),
        ("Humanizer.Core.de", "2.14.1"),
        ("Not.In.The.Target", "1.0.0"),
        ("Microsoft.NETCore.App.Runtime.linux-x64", "8.0.1"),
    }
    assert {each.ecosystem for each in found.packages} == {"NuGet"}
    assert all((p.source, p.source_version) == (p.name, p.version) for p in found.packages)
    assert found.unreadable == 0


def test_a_file_without_targets_lists_all_its_packages() -> None:
    found = read({"libraries": PROGRAM["libraries"]})
    assert ("System.Net.Http", "4.3.0") in named(found)
    assert len(found.packages) == 7


def framework(runtime: str, library: str) -> dict[str, Any]:
    target = f".NETCoreApp,Version=v5.0/{runtime}"
    return {
        "runtimeTarget": {"name": target, "signature": ""},
        "targets": {
            target: {
                "Microsoft.Build.Tasks.Git/1.1.0": {},
                "Microsoft.Extensions.Caching.Memory/2.1.2": FILES,
                library: FILES,
                "System.Runtime/4.2.1": FILES,
            }
        },
        "libraries": {
            "Microsoft.Build.Tasks.Git/1.1.0": PACKAGE,
            "Microsoft.Extensions.Caching.Memory/2.1.2": PACKAGE,
            library: PACKAGE,
            "System.Runtime/4.2.1": {"type": "package", "sha512": ""},
        },
    }


@pytest.mark.parametrize(
    ("path", "runtime", "library", "expected"),
    [
        (
            "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json",
            "linux-musl-x64",
            "Microsoft.NETCore.App.Runtime.linux-musl-x64/8.0.1",
            ("Microsoft.NETCore.App.Runtime.linux-musl-x64", "8.0.1"),
        ),
        (
            "shared/Microsoft.NETCore.App/5.0.13/Microsoft.NETCore.App.deps.json",
            "linux-x64",
            "runtime.linux-x64.Microsoft.NETCore.App/5.0.13-servicing.21565.16",
            ("Microsoft.NETCore.App.Runtime.linux-x64", "5.0.13"),
        ),
        (
            "shared/Microsoft.NETCore.App/2.1.30/Microsoft.NETCore.App.deps.json",
            "linux-x64",
            "runtime.linux-x64.microsoft.netcore.app/2.1.30",
            ("Microsoft.NETCore.App", "2.1.30"),
        ),
        (
            "shared/Microsoft.AspNetCore.App/9.0.0-rc.1/Microsoft.AspNetCore.App.deps.json",
            "linux-arm64",
            "Microsoft.AspNetCore.App.Runtime.linux-arm64/9.0.0-rc.1",
            ("Microsoft.AspNetCore.App.Runtime.linux-arm64", "9.0.0-rc.1"),
        ),
    ],
)
def test_shared_frameworks(
    path: str, runtime: str, library: str, expected: tuple[str, str]
) -> None:
    found = read(framework(runtime, library), path)
    assert named(found) == {expected, ("Microsoft.Extensions.Caching.Memory", "2.1.2")}
    assert found.unreadable == 0


def test_a_shared_framework_that_tells_nothing_is_listed_all_the_same() -> None:
    path = "shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json"
    assert named(read({"libraries": {}}, path)) == {("Microsoft.NETCore.App", "8.0.1")}
    assert read({"libraries": {}}) == Listing((), 0)


@pytest.mark.parametrize(
    ("key", "library"),
    [
        ("A", PACKAGE),
        ("A/", PACKAGE),
        ("/1", PACKAGE),
        ("A/1 2", PACKAGE),
        ("A/" + "1" * 251, PACKAGE),
        ("../A/1", PACKAGE),
        ("Ä/1", PACKAGE),
        ("a" * 101 + "/1", PACKAGE),
        ("A/1", None),
        ("A/1", []),
        ("A/1", {}),
        ("A/1", {"type": 7}),
    ],
)
def test_what_is_no_library_is_counted_and_harms_no_other(key: str, library: Any) -> None:
    found = read({"libraries": {key: library, "B/2": PACKAGE}})
    assert named(found) == {("B", "2")}
    assert found.unreadable == 1


@pytest.mark.parametrize("loose", [None, 7, "x", [], {}, {"name": 7}, {"name": "x"}])
def test_targets_may_be_anything(loose: Any) -> None:
    document = {"libraries": {"B/2": PACKAGE}}
    assert named(read(document | {"runtimeTarget": loose})) == {("B", "2")}
    assert named(read(document | {"runtimeTarget": TARGET, "targets": loose})) == {("B", "2")}
    targets = {TARGET: loose}
    assert named(read(document | {"runtimeTarget": TARGET, "targets": targets})) == {("B", "2")}
    targets = {TARGET: {"B/2": loose}}
    found = read(document | {"runtimeTarget": TARGET, "targets": targets})
    assert named(found) == (set() if isinstance(loose, dict) else {("B", "2")})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"libraries": []}',
        b'{"libraries": null}',
        b'{"libraries": ' * 10_000,
        b'{"libraries": {"A/1": ' + b"[" * 100_000,
        b'{"libraries": {"A/1": 1e999999999999}}x',
        b"\xff\xfe{\0}\0",
        b'{"libraries": {' + b" " * dotnet.MAX_BYTES + b"}}",
    ],
)
def test_what_lists_no_libraries(content: bytes) -> None:
    assert dotnet.parse("x.deps.json", content) == Listing((), 1)


def test_limits() -> None:
    libraries = {f"{number:x}/1": {"type": "package"} for number in range(MAX_PACKAGES + 5)}
    found = read({"libraries": libraries})
    assert (len(found.packages), found.unreadable) == (MAX_PACKAGES, 5)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("app/App.deps.json", True),
        ("App.deps.json", True),
        ("app/.deps.json", False),
        ("app/deps.json", False),
        ("app/App.deps.json.bak", False),
        ("app/App.runtimeconfig.json", False),
    ],
)
def test_paths(path: str, is_one: bool) -> None:
    assert dotnet.matches(path) is is_one


LOOSE = st.recursive(
    st.none() | st.integers() | st.floats() | st.sampled_from(["package", TARGET, "A/1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["libraries", "runtimeTarget", "targets", "name", TARGET, "A/1"]), inner
        )
    ),
    max_leaves=15,
)


@given(
    content=st.binary(max_size=300) | LOOSE.map(lambda value: json.dumps(value).encode()),
    path=st.sampled_from(["x.deps.json", "shared/A/1.0/A.deps.json", "shared/A/9999.0/x"]),
)
def test_anything_gives_a_listing(content: bytes, path: str) -> None:
    found = dotnet.parse(path, content)
    assert all(f"{each.name}{each.version}".isascii() for each in found.packages)
