"""Projects: names, numbers, labels, deletion; and what each is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from customhouse.errors import Code
from customhouse.iam import policies, projects, service_accounts, services
from customhouse.iam.permissions import ANONYMOUS, Permission, Principal, Resource
from tests.iam.places import DOWNLOAD, Place, check_refused

if TYPE_CHECKING:
    from customhouse.database import Database


@pytest.fixture
def place(database: Database) -> Place:
    """Two projects and some accounts."""
    return Place(database)


def create(place: Place, project: str, who: str = "user:ana", **about: object) -> None:
    """Create a project with everything that it is given."""
    place.database.write(place.provisioner.create, project, Principal(who), **about)  # type: ignore[arg-type]


@pytest.mark.parametrize("project", ["acme", "a", "example.com/other", "a-1"])
def test_what_a_project_is_given(place: Place, project: str) -> None:
    create(place, project, name="A name", labels={"team": "web"})
    made = place.database.read(projects.get, project)
    assert (made.id, made.name, made.labels) == (project, "A name", {"team": "web"})
    assert len(str(made.number)) == 12
    assert place.database.read(projects.get, str(made.number)) == made
    image = Resource(project, "repositories", "a")
    assert place.allows("ana", image, Permission.UPLOAD)
    assert place.allows("ana", Resource(project), Permission.PROJECTS_SET_POLICY)
    assert not place.allows("ben", image)
    compute = f"serviceAccount:{made.number}-compute@developer.iam.test"
    assert place.allows(Principal(compute), image)
    assert not place.allows(Principal(compute), image, Permission.UPLOAD)
    agent = f"serviceAccount:service-{made.number}@gcp-sa-containerscanning.iam.test"
    assert place.allows(Principal(agent), Resource(project), Permission.OCCURRENCES_CREATE)
    on = place.database.read(services.enabled, project)
    assert on == {service.name for service in services.SERVICES.values() if service.default}
    check_refused(Code.PROJECT_EXISTS, create, place, project, "user:ben")
    assert not place.allows("ben", image)


@pytest.mark.parametrize(
    "project",
    [
        *("", "P", "1a", "a/b", "a.b", "-a", "a-", "a" * 31, "a_b", "example.com/", "/a", "a//b"),
        *("\0", "é", "example.com/proj/x", "1.2/a", "organizations", "developer")[:-2],
        # The addresses of agents and default accounts would be those of its own accounts.
        *("developer", "gcp-sa-containerscanning", "gcp-sa-cloudbuild"),
    ],
)
def test_no_names(place: Place, project: str) -> None:
    check_refused(Code.PROJECT_INVALID, create, place, project)


def test_no_account_is_taken_for_an_agent(place: Place) -> None:
    """Somebody who makes the agent of a service before the service does would be given its role."""
    number = place.database.read(projects.get, "p").number
    for project in ("gcp-sa-cloudbuild", "developer"):
        check_refused(Code.PROJECT_INVALID, create, place, project)
    agent = f"service-{number}@gcp-sa-cloudbuild.iam.test"
    check_refused(Code.THING_UNKNOWN, place.database.read, service_accounts.get, agent)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("x" * 101, {}),
        ("a\nb", {}),
        ("\ud800", {}),
        ("a\0", {}),
        ("a", {"": "x"}),
        ("a", {"k" * 64: "x"}),
        ("a", {"k": "x" * 64}),
        ("a", {"k": "\0"}),
        ("a", {f"k{number}": "" for number in range(65)}),
    ],
)
def test_what_it_cannot_be_called(place: Place, name: str, labels: dict[str, str]) -> None:
    check_refused(Code.THING_INVALID, create, place, "acme", name=name, labels=labels)
    update = projects.update
    write = place.database.write
    check_refused(Code.THING_INVALID, write, update, "p", name=name, labels=labels)


def test_deletion(place: Place) -> None:
    write = place.database.write
    write(projects.delete, "p")
    assert place.database.read(projects.exists, "p")
    assert not place.database.read(projects.is_active, "p")
    assert not place.allows("root", "projects/p/repositories/a")
    check_refused(Code.PROJECT_UNKNOWN, write, projects.delete, "p")
    check_refused(Code.PROJECT_EXISTS, create, place, "p", "user:ben")
    assert place.database.read(projects.expired, 10) == []
    write(projects.undelete, "p")
    check_refused(Code.PROJECT_UNKNOWN, write, projects.undelete, "p")
    assert place.allows("root", "projects/p/repositories/a")
    # A month has gone by.
    write(projects.delete, "p")
    old = projects.PROJECT.update().values(deleted_at=1).where(projects.PROJECT.c.id == "p")
    write(lambda tx: tx.execute(old) and None)
    assert place.database.read(projects.expired, 10) == ["p"]


@pytest.mark.parametrize("number", ["0", "9" * 12, "9" * 400, "²", "٣٣٣", "-1", "1e3"])
def test_numbers_of_none(place: Place, number: str) -> None:
    check_refused(Code.PROJECT_UNKNOWN, place.database.read, projects.get, number)


def test_pages(place: Place) -> None:
    found = place.database.read(projects.page, "", 10)
    assert [project.id for project in found] == ["example.com/proj", "p"]
    assert [project.id for project in place.database.read(projects.page, "f", 10)] == ["p"]


def test_who_may_push_first(place: Place) -> None:
    """Into a project that is there, and into one that is not."""
    place.give("projects/p", "roles/artifactregistry.writer", "user:ana")
    place.give("projects/p", "roles/artifactregistry.createOnPushWriter", "user:ben")
    place.give("organizations/customhouse", "roles/resourcemanager.projectCreator", "user:eve")
    admit, write = place.provisioner.admit_first_push, place.database.write
    write(admit, "p", place.principal("ben"))
    for name in ("ana", "eve"):
        check_refused(Code.DENIED, write, admit, "p", place.principal(name))
        if name == "ana":
            check_refused(Code.PROJECT_UNKNOWN, write, admit, "new", place.principal(name))
    check_refused(Code.UNAUTHORIZED, write, admit, "p", ANONYMOUS)
    write(admit, "new", place.principal("eve"))
    assert place.allows("eve", Resource("new"), DOWNLOAD)
    assert any(
        binding.members == ("user:eve",)
        for binding in place.database.read(policies.get, Resource("new")).bindings
    )
