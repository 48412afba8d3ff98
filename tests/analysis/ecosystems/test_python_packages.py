"""Which files are packages of Python, and metadata of odd forms."""

from __future__ import annotations

import pytest

from customhouse.analysis.ecosystems import Listing, python


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA", True),
        ("usr/lib/python3/dist-packages/six.egg-info/PKG-INFO", True),
        ("usr/lib/python3/dist-packages/lazr-1.0.egg-info", True),
        ("opt/eggs/six-1.16.0-py3.11.egg/EGG-INFO/PKG-INFO", True),
        ("six-1.dist-info/METADATA", True),
        ("usr/lib/python3/dist-packages/six-1.16.0.dist-info/RECORD", False),
        ("usr/lib/python3/dist-packages/six-1.16.0.dist-info/sub/METADATA", False),
        ("usr/lib/python3/dist-packages/six/METADATA", False),
        ("src/six-1.16.0/PKG-INFO", False),
        ("usr/lib/python3/dist-packages/.egg-info", False),
    ],
)
def test_paths(path: str, is_one: bool) -> None:
    assert python.matches(path) is is_one


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ("License: BSD\nLicense-Expression: BSD-3-Clause\n", "BSD-3-Clause"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n", "MIT License"),
        (
            "License: The whole\n        text\nClassifier: License :: OSI Approved :: X\n",
            "X",
        ),
        ("License: UNKNOWN\nClassifier: Topic :: Software\n", ""),
        (f"License: {'x' * 1000}\n", "x" * 256),
    ],
)
def test_licences(fields: str, licence: str) -> None:
    content = f"Metadata-Version: 1.1\nName: A.b\nVersion: 1\n{fields}\nLicense: body\n"
    for text in (content, content.replace("\n", "\r\n")):
        (package,) = python.parse("x.egg-info", text.encode()).packages
        assert (package.name, package.version, package.licence) == ("a-b", "1", licence)


@pytest.mark.timeout(20)
def test_hostile_metadata_take_no_time() -> None:
    for line in (b"Name: a\n", b" x\n", b"x:\n", b":", b"Classifier: License :: x\n", b"\r"):
        assert python.parse("x", line * (1_000_000 // len(line))) == Listing((), 1)
