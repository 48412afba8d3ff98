"""Topics: what there is to be told of. They are the same in every project."""

from __future__ import annotations

from dataclasses import dataclass

from customhouse.errors import Code, Failure
from customhouse.names import project_id


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic.

    Attributes:
        id: its name within a project.
        type: the CloudEvents type of its messages.
        description: for people.
    """

    id: str
    type: str
    description: str


GCR = Topic(
    "gcr",
    "customhouse.registry.image.changed.v1",
    "Images pushed and deleted, in the form of Container Registry's topic.",
)
FINDINGS = Topic(
    "findings",
    "customhouse.findings.changed.v1",
    "Vulnerabilities of an image that are new, gone, fixable or of another severity.",
)
TOPICS = {topic.id: topic for topic in (GCR, FINDINGS)}

# The type of the message that tries a subscription out; it belongs to the subscription's topic.
PING = "customhouse.ping.v1"


def name(project: str, topic: str) -> str:
    """The full name of a topic.

    Args:
        project: the project as it stands in image names.
        topic: the topic's id.
    """
    return f"projects/{project_id(project)}/topics/{topic}"


def parse(project: str, text: str) -> Topic:
    """The topic of a full name, which must be of this project, or of an id.

    Raises:
        Failure: THING_UNKNOWN.
    """
    found = TOPICS.get(text.removeprefix(name(project, "")))
    if found is None:
        raise Failure(Code.THING_UNKNOWN, kind="topic", name=text[:120])
    return found
