"""The messages of Container Registry's topic `gcr`.

The data is what Google documents ("Configuring Pub/Sub notifications"): `action` is INSERT or
DELETE; `digest` and `tag` are full references, and one may be missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from customhouse.names import split_project
from customhouse.notifications.publishing import publish
from customhouse.notifications.topics import GCR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from customhouse.database import Transaction

INSERT, DELETE = "INSERT", "DELETE"


def pushed(tx: Transaction, host: str, repository: str, digest: str, tags: Sequence[str]) -> None:
    """Tell that a manifest was pushed: once for each tag, or by its digest alone.

    Args:
        tx: the transaction.
        host: what stands before the repository in an image's name.
        repository: `PROJECT/IMAGE`.
        digest: the manifest's.
        tags: those that were set by the push.
    """
    image = f"{host}/{repository}"
    for tag in tags or ("",):
        data = {"action": INSERT, "digest": f"{image}@{digest}"}
        _publish(tx, repository, data | {"tag": f"{image}:{tag}"} if tag else data)


def untagged(tx: Transaction, host: str, repository: str, tag: str) -> None:
    """Tell that a tag was deleted; its manifest stays."""
    _publish(tx, repository, {"action": DELETE, "tag": f"{host}/{repository}:{tag}"})


def deleted(tx: Transaction, host: str, repository: str, digest: str, tags: Sequence[str]) -> None:
    """Tell that a manifest was deleted, and before that the tags that went with it."""
    for tag in tags:
        untagged(tx, host, repository, tag)
    _publish(tx, repository, {"action": DELETE, "digest": f"{host}/{repository}@{digest}"})


def _publish(tx: Transaction, repository: str, data: dict[str, str]) -> None:
    subject = data.get("digest") or data["tag"]
    attributes = {"action": data["action"]}
    project = split_project(repository)[0]
    publish(tx, GCR.id, project, GCR.type, subject, data, attributes)
