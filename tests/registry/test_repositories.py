"""Repositories: created by a push, listed in pages and as a tree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from customhouse.errors import Code, Failure
from customhouse.iam import projects
from customhouse.iam.permissions import ANONYMOUS
from customhouse.registry import repositories
from tests.registry.conftest import ANA, PROVISIONER, make_repository

if TYPE_CHECKING:
    from customhouse.database import Database

TREE = ("p/a", "p/a-b", "p/a-b/c", "p/a/x", "p/a/y/z", "p/a.b/c", "p/a_b", "p/ab", "p/b/c/d/e")
ELSEWHERE = ("p-q/a", "p.example/q/a", "p0/a", "o/a", "q/p/a", "pp/a")


def make(database: Database, *names: str) -> None:
    """Make repositories, the last first."""
    for name in reversed(names):
        database.write(make_repository, name)


CHILDREN = {
    "p": ["a", "a-b", "a.b", "a_b", "ab", "b"],
    "p/a": ["x", "y"],
    "p/a/y": ["z"],
    "p/a-b": ["c"],
    "p/a.b": ["c"],
    "p/a_b": [],
    "p/b": ["c"],
    "p/b/c/d": ["e"],
    "p/b/c/d/e": [],
    "p-q": ["a"],
    "p.example": ["q"],
    "p.example/q": ["a"],
    "nowhere": [],
    "": [],
    "p/": [],
}


def test_children(database: Database) -> None:
    make(database, *TREE, *ELSEWHERE)
    assert {name: database.read(repositories.children, name) for name in CHILDREN} == CHILDREN


def test_children_of_a_crowd(database: Database) -> None:
    """A child with many repositories below it costs no more than one with a single one."""

    def fill(count: int) -> None:
        for n in range(count):
            database.write(make_repository, f"p/crowd/{n}")
            database.write(make_repository, f"p/crowd-{n % 3}/{n}")

    fill(40)
    database.write(make_repository, "p/crowd")
    children = database.read(repositories.children, "p")
    assert children == ["crowd", "crowd-0", "crowd-1", "crowd-2"]
    assert len(database.read(repositories.children, "p/crowd")) == 40


def test_pages(database: Database) -> None:
    make(database, *TREE, *ELSEWHERE)
    everything = sorted((*TREE, *ELSEWHERE), key=str.encode)
    found: list[str] = []
    while page := database.read(repositories.page, found[-1] if found else "", 4):
        assert len(page) == 4 or len(found) + len(page) == len(everything)
        found += page
    assert found == everything
    assert database.read(repositories.page, "p/a-a", 1) == ["p/a-b"]
    assert database.read(repositories.page, "", 0) == []


def test_a_repository_is_made_once(database: Database) -> None:
    first = database.write(make_repository, "p/a")
    assert database.write(make_repository, "p/a") == first
    assert database.read(repositories.find, "p/a") == first
    assert database.read(repositories.find, "p/A") is None
    assert database.read(repositories.find, "p") is None


def test_a_push_makes_the_project(database: Database) -> None:
    for name, project in (
        ("p/a", "p"),
        ("q/a/b/c", "q"),
        ("example.com/q/a", "example.com/q"),
        ("p-q/a", "p-q"),
    ):
        assert not database.read(projects.exists, project)
        database.write(make_repository, name)
        assert database.read(projects.exists, project)


def test_a_project_is_not_made_by_everybody(database: Database) -> None:
    quiet = replace(PROVISIONER, on_push=False)
    for principal, how in ((ANONYMOUS, PROVISIONER), (ANA, quiet), (ANONYMOUS, quiet)):
        with pytest.raises(Failure) as caught:
            database.write(repositories.ensure, "p/a", principal, how)
        assert caught.value.code is Code.PROJECT_UNKNOWN
    assert not database.read(projects.exists, "p")
    assert database.read(repositories.find, "p/a") is None


def test_in_a_project_that_is_there_repositories_are_made(database: Database) -> None:
    assert database.write(projects.create, "p", ANA.name) is True
    assert database.write(projects.create, "p", ANA.name) is False
    database.write(repositories.ensure, "p/a", ANA, replace(PROVISIONER, on_push=False))
    assert database.read(repositories.page, "", 10) == ["p/a"]
