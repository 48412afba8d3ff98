"""The workflows that bills of materials are read and written by.

Most manifests have none and want none; a look at the database, before a workflow is started, tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from customhouse.analysis.sbom import attached, publishing, reading

if TYPE_CHECKING:
    from customhouse.analysis.sbom.publishing import Publisher
    from customhouse.analysis.sbom.reading import Reader
    from customhouse.database import Database, Transaction
    from customhouse.events import ImageAnalysed, ManifestDeleted, ManifestPushed, TagDeleted
    from customhouse.workflows.subscription import Step


@dataclass(frozen=True, slots=True)
class Attendant:
    """Reads and writes bills of materials as images come, are analysed, and go."""

    database: Database
    reader: Reader
    publisher: Publisher

    def pushed(self, step: Step, repository: str, digest: str, tags: list[str]) -> None:
        """A manifest was pushed: it may be a bill, or an image that wants one."""
        self.reader.pushed(step, repository, digest, tags)
        self.publisher.pushed(step, repository, digest)

    def analysed(self, step: Step, digest: str) -> None:
        """An image was analysed."""
        self.reader.analysed(step, digest)
        self.publisher.analysed(step, digest)

    def removed(self, step: Step, repository: str, digest: str, tag: str) -> None:
        """A manifest was deleted or, if a tag is named, that tag alone."""
        self.reader.removed(step, repository, digest, tag)
        if not tag:
            self.publisher.deleted(step, repository, digest)

    def is_about_push(self, event: ManifestPushed) -> bool:
        """Whether `pushed` has something to do."""
        return self.database.read(_is_about_push, event)

    def is_about_image(self, event: ImageAnalysed) -> bool:
        """Whether `analysed` has something to do."""
        return self.database.read(_is_about_image, event.digest)

    def is_about_removal(self, event: ManifestDeleted | TagDeleted) -> bool:
        """Whether `removed` has something to do."""
        return self.database.read(_is_about_removal, event.repository, event.digest)


def _is_about_push(tx: Transaction, event: ManifestPushed) -> bool:
    return bool(reading.links(tx, event.repository, event.digest, event.tags)) or publishing.lacks(
        tx, event.repository, event.digest
    )


def _is_about_image(tx: Transaction, digest: str) -> bool:
    return bool(attached.of_image(tx, digest)) or bool(publishing.holders(tx, digest))


def _is_about_removal(tx: Transaction, repository: str, digest: str) -> bool:
    return attached.is_known(tx, repository, digest) or publishing.is_known(tx, repository, digest)
