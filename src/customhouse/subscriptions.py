"""Which event starts which workflow: the one table of what happens by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from customhouse.analysis.analyse import Analyst
from customhouse.analysis.bundles import BundleImporter
from customhouse.analysis.exceptions.attachments import Attachments
from customhouse.analysis.imports import Importer
from customhouse.analysis.notices.notifier import Notifier
from customhouse.analysis.sbom.attending import Attendant
from customhouse.analysis.sbom.publishing import Publisher
from customhouse.analysis.sbom.reading import Reader
from customhouse.analysis.scans import Scanner
from customhouse.analysis.shelf import Shelf, adopt
from customhouse.analysis.updates import Updater
from customhouse.blobstore import FileBlobStore
from customhouse.events import (
    AnalysisOutdated,
    FeedBundleUploaded,
    FeedUpdateAsked,
    FeedUploaded,
    FindingsChanged,
    ImageAnalysed,
    ImagesScanAsked,
    ManifestDeleted,
    ManifestPushed,
    ProjectScanAsked,
    TagDeleted,
)
from customhouse.workflows.subscription import Subscription, Workflow

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Database
    from customhouse.settings import Settings


def incoming(settings: Settings) -> Path:
    """The folder of files that were handed in and wait for the worker."""
    return settings.data / "incoming"


def shelf(settings: Settings) -> Shelf:
    """The sources of feeds and what is kept of them.

    Raises:
        Failure: SETTINGS_INVALID.
    """
    return Shelf(settings.feeds, settings.data / "feeds")


def subscriptions(settings: Settings, database: Database) -> tuple[Subscription, ...]:
    """The table of which event starts which workflow, with which arguments."""
    store = FileBlobStore(settings.data)
    analyst = Analyst(database, store, settings.analysis)
    publisher = Publisher(database, store, settings.server.public_url, settings.iam.domain)
    sboms_of = Attendant(database, Reader(database, store), publisher)
    attachments = Attachments(database, store)
    notifier = Notifier(database, urlsplit(settings.server.public_url).netloc)
    kept = shelf(settings)
    importer = Importer(database, incoming(settings), partial(adopt, kept), settings.feeds.offline)
    updater = Updater(database, kept)
    bundle_importer = BundleImporter(database, kept, incoming(settings))
    analyse = Workflow("analyse", analyst.run, concurrency=2, abandoned=analyst.give_up)
    pushed = Workflow("sboms-of-push", sboms_of.pushed, concurrency=2)
    analysed = Workflow("sboms-of-image", sboms_of.analysed, concurrency=2)
    removed = Workflow("forget-sboms", sboms_of.removed)
    read_vex = Workflow("read-vex", attachments.run, concurrency=4)
    load_feed = Workflow("load-feed", importer.run, abandoned=importer.give_up)
    # Two, so that a slow mirror does not hold up all others.
    update_feed = Workflow("update-feed", updater.run, concurrency=2, abandoned=updater.give_up)
    load_bundle = Workflow("load-bundle", bundle_importer.run, abandoned=bundle_importer.give_up)
    tell_load = Workflow("tell-load", notifier.loaded)
    tell_image = Workflow("tell-image", notifier.analysed, concurrency=2)
    tell_push = Workflow("tell-push", notifier.pushed, concurrency=2)
    # Of two kinds, so that whoever asks for one image does not wait for all of another project.
    scanner = Scanner(database, analyst)
    scan_images = Workflow("scan-images", scanner.run, abandoned=scanner.give_up)
    scan_project = Workflow("scan-project", scanner.run, abandoned=scanner.give_up)
    return (
        Subscription(ManifestPushed, analyse, lambda event: (event.repository, event.digest)),
        Subscription(AnalysisOutdated, analyse, lambda event: (event.repository, event.digest)),
        *(
            Subscription(
                event,
                read_vex,
                lambda event: (event.repository, event.digest),
                attachments.is_about,
            )
            for event in (ManifestPushed, ManifestDeleted)
        ),
        Subscription(
            ManifestPushed,
            pushed,
            lambda event: (event.repository, event.digest, event.tags),
            sboms_of.is_about_push,
        ),
        Subscription(
            ImageAnalysed, analysed, lambda event: (event.digest,), sboms_of.is_about_image
        ),
        Subscription(
            ManifestDeleted,
            removed,
            lambda event: (event.repository, event.digest, ""),
            sboms_of.is_about_removal,
        ),
        Subscription(
            TagDeleted,
            removed,
            lambda event: (event.repository, event.digest, event.tag),
            sboms_of.is_about_removal,
        ),
        Subscription(
            FindingsChanged,
            tell_load,
            lambda event: (event.feed, event.after, event.last),
            notifier.is_about_load,
        ),
        Subscription(
            ImageAnalysed,
            tell_image,
            lambda event: (event.digest, event.inventory, event.before),
            notifier.is_about_image,
        ),
        Subscription(
            ManifestPushed,
            tell_push,
            lambda event: (event.repository, event.digest),
            notifier.is_about_push,
        ),
        Subscription(FeedUploaded, load_feed, lambda event: (event.operation,)),
        Subscription(FeedUpdateAsked, update_feed, lambda event: (event.operation,)),
        Subscription(FeedBundleUploaded, load_bundle, lambda event: (event.operation,)),
        Subscription(ImagesScanAsked, scan_images, lambda event: (event.operation,)),
        Subscription(ProjectScanAsked, scan_project, lambda event: (event.operation,)),
    )
