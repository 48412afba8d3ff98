"""The end of a project: what is left of one that was deleted thirty days ago is forgotten.

The content of its images goes with the collection of what no repository holds any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from customhouse.iam import provisioning
from customhouse.notifications import deliveries
from customhouse.registry import repositories
from customhouse.registry.blobs import REPOSITORY_BLOB
from customhouse.registry.manifests import REPOSITORY_MANIFEST
from customhouse.registry.repositories import REPOSITORY
from customhouse.registry.tags import TAG, TAG_HISTORY

if TYPE_CHECKING:
    from customhouse.database import Transaction


def step(tx: Transaction, project: str) -> bool:
    """Forget one repository of a project, or the project when it has none; whether more is left."""
    number = repositories.any_of(tx, project)
    if number is None:
        deliveries.delete_within(tx, project)
        provisioning.forget(tx, project)
        return False
    for table in (TAG, TAG_HISTORY, REPOSITORY_MANIFEST, REPOSITORY_BLOB):
        tx.execute(delete(table).where(table.c.repository_id == number))
    tx.execute(delete(REPOSITORY).where(REPOSITORY.c.id == number))
    return True
