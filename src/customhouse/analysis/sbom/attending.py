"""The workflows that bills of materials are read and written by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from customhouse.analysis.sbom.publishing import Publisher
    from customhouse.analysis.sbom.reading import Reader
    from customhouse.workflows.subscription import Step


@dataclass(frozen=True, slots=True)
class Attendant:
    """Reads and writes bills of materials as images come, are analysed, and go."""

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
