"""What can be permitted, and who is permitted what.

The names are Google's (Artifact Registry, Container Analysis, Resource Manager). Every route of
every API carries one of them as data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Permission(Enum):
    """Every permission there is."""

    REPOSITORIES_LIST = "artifactregistry.repositories.list"
    REPOSITORIES_CREATE = "artifactregistry.repositories.createOnPush"
    DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"
    UPLOAD = "artifactregistry.repositories.uploadArtifacts"
    DELETE = "artifactregistry.repositories.deleteArtifacts"
    TAGS_LIST = "artifactregistry.tags.list"
    OCCURRENCES_LIST = "containeranalysis.occurrences.list"
    FEEDS_LIST = "customhouse.feeds.list"
    FEEDS_IMPORT = "customhouse.feeds.import"
    OPERATIONS_GET = "customhouse.operations.get"


# What a Docker token scope calls each permission on a repository.
DOCKER_ACTIONS = {
    Permission.DOWNLOAD: "pull",
    Permission.TAGS_LIST: "pull",
    Permission.UPLOAD: "push",
    Permission.DELETE: "delete",
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `name` is in Google's form: `user:ana`, or `allUsers` for nobody in particular."""

    name: str
    is_administrator: bool = False


ANONYMOUS = Principal("allUsers")


def may(principal: Principal, permission: Permission, resource: str) -> bool:
    """Whether the principal has the permission on the resource.

    Args:
        principal: who asks.
        permission: what for.
        resource: the repository or project it is about; empty for the server as a whole.
    """
    del permission, resource  # bindings will look at them; an administrator has everything
    return principal.is_administrator
