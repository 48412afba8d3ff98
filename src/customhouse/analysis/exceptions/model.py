"""An exception as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from customhouse.errors import Code, Failure
from customhouse.names import parse_image, project_id, split_project

if TYPE_CHECKING:
    from customhouse.analysis.vex.statement import Assessment, Justification


class Origin(Enum):
    """Where it comes from."""

    USER = "USER"
    REFERRER = "REFERRER"
    DOCUMENT = "DOCUMENT"


class State(Enum):
    """Whether it counts."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class Place(NamedTuple):
    """What an exception is about.

    Attributes:
        project: the project as it stands in image names.
        repository: `PROJECT/IMAGE`; empty for the whole project.
        digest: of the image; empty for every one in the repository.
    """

    project: str
    repository: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else self.repository


@dataclass(frozen=True, slots=True)
class VulnerabilityException:
    """One exception, or one statement of a VEX document; times in microseconds since 1970.

    Attributes:
        place: what it is about.
        names: of the vulnerability, the main one first.
        packages: names or package URLs of those that are meant; empty for any.
        assessment: what is held.
        justification: why there is no risk, if that is said.
        reason: why, in words.
        action: what to do, in words.
        owner: the principal behind it.
        origin: where it comes from.
        source: the digest of the referrer, or what the document calls itself; empty for a person.
        author: who speaks in the document.
        stated_at: when it was said.
        expires_at: when it ends; None for never.
        id: its number; 0 before it is stored.
        created_at: when it was stored.
        updated_at: when it last changed.
        revoked_at: when it was revoked, if it was.
        revoked_by: who did.
    """

    place: Place
    names: tuple[str, ...]
    packages: tuple[str, ...]
    assessment: Assessment
    justification: Justification | None
    reason: str
    action: str
    owner: str
    origin: Origin
    source: str
    author: str
    stated_at: int
    expires_at: int | None = None
    id: int = 0
    created_at: int = 0
    updated_at: int = 0
    revoked_at: int | None = None
    revoked_by: str = ""

    def state(self, at: int) -> State:
        """Whether it counts at a time."""
        if self.revoked_at is not None:
            return State.REVOKED
        ended = self.expires_at is not None and self.expires_at <= at
        return State.EXPIRED if ended else State.ACTIVE


class Query(NamedTuple):
    """Which exceptions to list; what is empty or None does not matter.

    Attributes:
        vulnerability: one of its names.
        place: the repository that they name and, if it has one, the digest.
        state: whether they count.
    """

    vulnerability: str = ""
    place: Place | None = None
    state: State | None = None


def place_of(project: str, image: str) -> Place:
    """What an image's name stands for in a project: `PROJECT/IMAGE[@DIGEST]`, empty for all.

    Raises:
        Failure: REFERENCE_INVALID, EXCEPTION_INVALID.
    """
    if not image:
        return Place(project)
    reference = parse_image(image)
    found, rest = split_project(reference.repository)
    if found != project or not rest:
        raise invalid(f"{image[:300]!r} is no image of project {project_id(project)}")
    if reference.tag:
        raise invalid("a tag may be moved; name the image without one, or by its digest")
    return Place(project, reference.repository, reference.digest)


def invalid(reason: str) -> Failure:
    """The failure of an exception, with the reason as a part of a sentence."""
    return Failure(Code.EXCEPTION_INVALID, reason=reason)
