"""Services of projects, and their agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.errors import Code
from customhouse.iam import projects, service_accounts, services
from customhouse.iam.permissions import Permission, Principal, Resource
from tests.iam.places import DOWNLOAD, PROJECTS, Place, check_refused

if TYPE_CHECKING:
    from customhouse.database import Database

BUILD = services.SERVICES["cloudbuild.googleapis.com"]


@pytest.mark.parametrize("project", PROJECTS)
def test_on_and_off(database: Database, project: str) -> None:
    place = Place(database)
    number = database.read(projects.get, project).number
    agent = f"service-{number}@gcp-sa-cloudbuild.iam.test"
    check_refused(Code.THING_UNKNOWN, database.read, service_accounts.get, agent)
    for _ in range(2):
        database.write(services.enable, project, BUILD, "iam.test")
        assert database.read(services.is_enabled, project, BUILD.name)
        assert database.read(service_accounts.get, agent).project == project
        who, image = Principal(f"serviceAccount:{agent}"), Resource(project, "repositories", "a")
        assert place.allows(who, image, Permission.UPLOAD)
        assert not place.allows(who, image, Permission.DELETE)
        others = [Resource(other, "repositories", "a") for other in PROJECTS if other != project]
        assert not any(place.allows(who, other, DOWNLOAD) for other in others)
    for _ in range(2):
        database.write(services.disable, project, BUILD)
        assert not database.read(services.is_enabled, project, BUILD.name)
    # What it wrote keeps its author.
    assert database.read(service_accounts.get, agent).email == agent


@pytest.mark.parametrize("name", ["containerscanning", "containerscanning.googleapis.com"])
def test_names(name: str) -> None:
    assert services.parse(name).name == services.SCANNING


@pytest.mark.parametrize("name", ["", "x", "containerscanning.example.com", "x" * 10_000, "\0"])
def test_names_of_none(name: str) -> None:
    failure = check_refused(Code.THING_UNKNOWN, services.parse, name)
    assert len(failure.message) < 300


def test_of_no_project(database: Database) -> None:
    Place(database)
    check_refused(Code.PROJECT_UNKNOWN, database.write, services.enable, "none", BUILD, "iam.test")
