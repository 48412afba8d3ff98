"""The workflows that tell of changed findings, one message about each image.

A message is published in small transactions, each of which may come again after a crash: its
identity is that of what it tells, so it is stored once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from customhouse.analysis.notices import audience, changes
from customhouse.analysis.notices.changes import Change, Range
from customhouse.notifications.publishing import publish
from customhouse.notifications.topics import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from customhouse.analysis.notices.audience import Image
    from customhouse.database import Database, Transaction
    from customhouse.events import FindingsChanged, ImageAnalysed, ManifestPushed
    from customhouse.workflows.subscription import Step

FEED, PUSH = "FEED", "PUSH"

_PAGE: Final = 500
# A transaction that writes holds up pushes on SQLite.
_BATCH: Final = 20
# What is changed while an image is pushed is told twice rather than not at all.
_OVERLAP: Final = 60 * 1_000_000


class _Notice(NamedTuple):
    """What is to be told of an image; `identity` is of this notice alone."""

    image: Image
    changes: list[Change]
    reason: dict[str, str]
    identity: str


@dataclass(frozen=True, slots=True)
class Notifier:
    """Tells of changed findings.

    Args:
        database: where they are.
        host: what stands before the repository in an image's name; may be empty.
    """

    database: Database
    host: str = ""

    def is_about_load(self, event: FindingsChanged) -> bool:
        """Whether anybody is to be told of what a feed changed."""
        del event
        return self.database.read(audience.is_there)

    def is_about_image(self, event: ImageAnalysed) -> bool:
        """Whether somebody is to be told of what was found in an image."""
        return event.inventory != event.before and self._is_held(event.digest)

    def is_about_push(self, event: ManifestPushed) -> bool:
        """Whether an image came into a repository that was analysed already in another."""
        return event.is_new and self._is_held(event.digest, event.repository)

    def loaded(self, step: Step, feed: str, after: int, last: int) -> None:
        """The workflow: tell of what a feed changed, in every project that subscribes."""
        made = Range(feed, after, last)
        # Numbers of changes come again when a backup is restored, and this does not.
        token = step("begin", secrets.token_hex, 16)
        project = step("project", self.database.read, audience.next_project, "")
        while project:
            position: tuple[str, int] | None = ("", 0)
            while position is not None:
                position = step("tell", self._tell_page, made, token, project, position)
            project = step("project", self.database.read, audience.next_project, project)

    def analysed(self, step: Step, digest: str, inventory: int, before: int) -> None:
        """The workflow: tell of what an image has, wherever it is, or has since it is read anew."""
        after: str | None = ""
        while after is not None:
            after = step("tell", self._tell_holders, digest, inventory, before, after)

    def pushed(self, step: Step, repository: str, digest: str) -> None:
        """The workflow: tell of what an image has that came into one more repository."""
        step("tell", self._tell_push, repository, digest)

    def _is_held(self, digest: str, repository: str = "") -> bool:
        found = self.database.read(audience.holding, digest, "", 1, repository=repository)
        return bool(found) and bool(found[0].inventory)

    def _tell_page(
        self, made: Range, token: str, project: str, position: tuple[str, int]
    ) -> tuple[str, int] | None:
        """Tell of the images of a page; returns where it ended, None when it was the last."""
        images, changed = self.database.read(_changed, project, position, made)
        for start in range(0, len(changed), _BATCH):
            self._publish(
                self.database.read(_of_load, changed[start : start + _BATCH], made, token)
            )
        return (images[-1].repository, images[-1].number) if len(images) == _PAGE else None

    def _tell_holders(self, digest: str, inventory: int, before: int, after: str) -> str | None:
        images = self.database.read(audience.holding, digest, after, _BATCH)
        self._tell_of(images, inventory, before)
        return images[-1].repository if len(images) == _BATCH else None

    def _tell_push(self, repository: str, digest: str) -> None:
        images = self.database.read(audience.holding, digest, "", 1, repository=repository)
        if images:
            self._tell_of(images, images[0].inventory, 0)

    def _tell_of(self, images: Sequence[Image], inventory: int, before: int) -> None:
        found = self.database.read(changes.between, before, inventory)
        self._publish(
            [
                _Notice(
                    image,
                    found,
                    {"kind": PUSH},
                    f"{PUSH} {image.repository}@{image.digest} {image.pushed_at} {inventory}",
                )
                for image in images
            ]
        )

    def _publish(self, notices: Sequence[_Notice]) -> None:
        if notices:
            self.database.write(_publish, self.host, notices)


def _changed(
    tx: Transaction, project: str, after: tuple[str, int], made: Range
) -> tuple[list[Image], list[tuple[Image, set[int]]]]:
    """A page of images, and those of them that have changes, with their inventories."""
    images = audience.page(tx, project, after, _PAGE)
    known = audience.inventories(tx, images)
    changed = changes.changed_inventories(tx, set().union(*known.values()), made)
    return images, [(image, numbers) for image, numbers in known.items() if numbers & changed]


def _of_load(
    tx: Transaction, images: Sequence[tuple[Image, set[int]]], made: Range, token: str
) -> list[_Notice]:
    return [
        _Notice(
            image,
            changes.of_load(tx, numbers, made, image.pushed_at - _OVERLAP),
            {"kind": FEED, "feed": made.feed},
            f"{FEED} {token} {image.repository}@{image.digest}",
        )
        for image, numbers in images
    ]


def _publish(tx: Transaction, host: str, notices: Sequence[_Notice]) -> None:
    for image, found, reason, identity in notices:
        name = f"{image.repository}@{image.digest}"
        data: dict[str, Any] = {
            "image": f"{host}/{name}" if host else name,
            "tags": audience.tags(tx, image),
            "reason": reason,
        }
        for number, part in enumerate(changes.split(found)):
            publish(
                tx,
                FINDINGS.id,
                image.project,
                FINDINGS.type,
                data["image"],
                data | {"changes": part},
                {
                    "reason": reason["kind"],
                    "repository": image.repository,
                    # They are sorted: the worst is the first.
                    "severity": part[0].severity,
                },
                f"{identity} {number}",
            )
