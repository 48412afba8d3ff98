"""What can happen, as values.

An event is stored in the transaction that made it true (`workflows.outbox`); the table
`customhouse.subscriptions` says which workflows it starts.
"""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, tag=True):
    """Base of all events; the name of the subclass is stored with it."""


class ManifestPushed(Event, frozen=True):
    """A manifest came into a repository, or came again.

    Attributes:
        repository: its name, `PROJECT/IMAGE`.
        digest: the manifest's digest.
        tags: the tags that were set by the same request.
        principal: who pushed.
        is_new: whether the repository did not have this manifest before.
    """

    repository: str
    digest: str
    tags: list[str]
    principal: str
    is_new: bool


class ManifestDeleted(Event, frozen=True):
    """A manifest left a repository, with the tags that pointed at it."""

    repository: str
    digest: str
    tags: list[str]
    principal: str


class TagDeleted(Event, frozen=True):
    """A tag was removed; its manifest stays."""

    repository: str
    tag: str
    digest: str
    principal: str


class FeedUploaded(Event, frozen=True):
    """Advisories were handed in and wait to be loaded by the operation named here."""

    operation: str


class FeedUpdateAsked(Event, frozen=True):
    """A feed is to be fetched from its source and loaded, by the operation named here."""

    operation: str


class FeedBundleUploaded(Event, frozen=True):
    """A bundle of feeds was handed in and waits to be loaded by the operation named here."""

    operation: str


class AdvisoriesChanged(Event, frozen=True):
    """A feed was loaded and something in it had changed."""

    feed: str
    changed: int


class FindingsChanged(Event, frozen=True):
    """Findings came, went or changed, because a feed did; a load may tell several times.

    Attributes:
        feed: the feed.
        after: the number of the last change before (`findings.FINDING_CHANGE`).
        last: the number of the last one.
    """

    feed: str
    after: int
    last: int


class ImagesScanAsked(Event, frozen=True):
    """Somebody asked to have some images analysed; the operation named here says which."""

    operation: str


class ProjectScanAsked(Event, frozen=True):
    """Somebody asked to have all images of a project analysed, in the operation named here."""

    operation: str


class AnalysisOutdated(Event, frozen=True):
    """An image was analysed by a version that found less in it than this one does."""

    repository: str
    digest: str


class ImageAnalysed(Event, frozen=True):
    """The inventory of an image was taken, or taken anew; it may be in several repositories.

    Attributes:
        digest: of the image's manifest.
        inventory: the number of the inventory; 0 in an event of before this was told.
        before: that of the one that it had before; 0 if it had none.
    """

    digest: str
    inventory: int = 0
    before: int = 0


AnyEvent = (
    ManifestPushed
    | ManifestDeleted
    | TagDeleted
    | FeedUploaded
    | FeedUpdateAsked
    | FeedBundleUploaded
    | AdvisoriesChanged
    | FindingsChanged
    | AnalysisOutdated
    | ImageAnalysed
    | ImagesScanAsked
    | ProjectScanAsked
)
