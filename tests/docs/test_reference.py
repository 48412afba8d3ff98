"""The reference pages say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from customhouse.errors import Code, Failure

DOCS = Path(__file__).parents[2] / "docs"
PAGES = runpy.run_path(str(DOCS / "make_reference.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / "reference" / name).read_text() == PAGES[name](), "run `make docs`"


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_error_is_complete(code: Code) -> None:
    entry = code.value
    assert 400 <= entry.status < 600
    assert entry.wire.isupper()
    assert entry.message
    assert not entry.message.endswith(".")
    # A command at the end can be copied.
    assert entry.hint.endswith((".", "{todo}"))


def test_failure_shows_what_it_was_told() -> None:
    failure = Failure(Code.BLOB_UNKNOWN, digest="sha256:0")
    assert failure.message == "blob sha256:0 is not in this repository"
    assert Failure(Code.BLOB_UNKNOWN).message == "blob ? is not in this repository"
