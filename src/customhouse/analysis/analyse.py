"""The analysis of an image: read its layers, take the inventory, match it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from customhouse.analysis import contents, findings, images, origins, packages, readings
from customhouse.analysis.archive import Limits
from customhouse.analysis.images import Status
from customhouse.analysis.inventory import Inventory, merge
from customhouse.analysis.layers import READER_VERSION, LayerReading, read_layer
from customhouse.errors import Failure
from customhouse.events import ImageAnalysed
from customhouse.iam import services
from customhouse.names import split_project
from customhouse.oci import Kind, Manifest, parse_manifest
from customhouse.registry import manifests
from customhouse.workflows import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from customhouse.blobstore import BlobStore
    from customhouse.database import Database, Transaction
    from customhouse.oci import Descriptor
    from customhouse.settings import AnalysisSettings
    from customhouse.workflows.subscription import P, R, Step

_log = structlog.get_logger()

# No image that runs has more: file systems are laid over one another at most 500 times.
_MAX_LAYERS = 500


class KeyedLock:
    """A lock for each key, for as long as somebody holds or awaits it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Hold the lock of a key."""
        with self._guard:
            lock, users = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                users = self._locks[key][1] - 1
                if users:
                    self._locks[key] = lock, users
                else:
                    del self._locks[key]


@dataclass(frozen=True, slots=True)
class Analyst:
    """Analyses images that were pushed."""

    database: Database
    store: BlobStore
    settings: AnalysisSettings
    _reading: KeyedLock = field(default_factory=KeyedLock)

    def run(self, step: Step, repository: str, digest: str) -> None:
        """The workflow: analyse one manifest, unless that was done.

        Each layer is a step, so that a crash costs the layer that was being read and no other. An
        analysis that failed is begun anew when the image is pushed again.
        """
        try:
            self._run(step, repository, digest)
        except Exception as error:
            # The engine logs it; whoever looks at the image is told as well.
            step("give up", self._note, digest, Status.FINISHED_FAILED.value, _reason(error))
            raise

    def scan(self, repository: str, digest: str, since: int) -> images.ImageAnalysis | None:
        """Analyse an image now, whether or not its project has scanning switched on.

        Args:
            repository: where it is.
            digest: of its manifest.
            since: from which time on an analysis and readings of layers are good, in microseconds;
                0 takes any of the present reader that did not fail.

        Returns:
            How the analysis ended; None if the present one is good.
        """
        analysis = self._analysis(digest)
        if analysis.is_current and analysis.updated_at >= since:
            return None
        try:
            self._run(_at_once, repository, digest, since, is_asked=True)
        except Exception as error:  # noqa: BLE001  - one image must not end the scan of the others
            _log.exception("the analysis of an image failed", digest=digest)
            self._note(digest, Status.FINISHED_FAILED.value, _reason(error))
        return self._analysis(digest)

    def _analysis(self, digest: str) -> images.ImageAnalysis:
        return self.database.read(images.get, [digest])[digest]

    def give_up(self, repository: str, digest: str) -> None:
        """Say that an analysis ended the worker each time and is tried no more."""
        del repository
        self._note(digest, Status.FINISHED_FAILED.value, "the analysis ended its process each time")

    def _run(
        self, step: Step, repository: str, digest: str, since: int = 0, *, is_asked: bool = False
    ) -> None:
        layers = step("begin", self._begin, repository, digest, since, is_asked=is_asked)
        for layer in layers or ():
            reason = step(f"read {layer}", self._read, layer, since)
            if reason:
                step("fail", self._note, digest, Status.FINISHED_FAILED.value, reason)
                return
        if layers is not None:
            step("finish", self._finish, digest, layers)

    def _begin(
        self, repository: str, digest: str, since: int, *, is_asked: bool
    ) -> list[str] | None:
        """The layers to read, or None when there is nothing to do."""
        manifest = self.database.read(_find, repository, digest)
        if manifest is None or manifest.kind is Kind.INDEX:
            return None
        project = split_project(repository)[0]
        is_on = self.database.read(services.is_enabled, project, services.SCANNING)
        analysis = self._analysis(digest)
        # What was analysed once is kept up to date, whoever asked for it.
        if not (is_asked or is_on or analysis.inventory_id is not None):
            return None
        if analysis.is_current and analysis.updated_at >= since:
            return None
        if not manifest.is_runnable:
            self._note(digest, Status.FINISHED_UNSUPPORTED.value, "it is no image that runs")
            return None
        if len(manifest.layers) > _MAX_LAYERS:
            reason = f"it has {len(manifest.layers)} layers, more than {_MAX_LAYERS}"
            self._note(digest, Status.FINISHED_FAILED.value, reason)
            return None
        encrypted = [layer for layer in manifest.layers if layer.is_encrypted]
        if encrypted:
            reason = f"layer {encrypted[0].digest} is encrypted"
            self._note(digest, Status.FINISHED_UNSUPPORTED.value, reason)
            return None
        missing = [layer for layer in manifest.layers if not self._is_here(layer)]
        if missing:
            reason = f"layer {missing[0].digest} stays with its publisher and is not stored here"
            self._note(digest, Status.FINISHED_UNSUPPORTED.value, reason)
            return None
        self._note(digest, Status.SCANNING.value, "")
        return [layer.digest for layer in manifest.layers]

    def _is_here(self, layer: Descriptor) -> bool:
        if not layer.is_foreign:
            return True
        try:
            self.store.open(layer.digest).close()
        except Failure:
            return False
        return True

    def _read(self, layer: str, since: int) -> str:
        """Read a layer unless that was done; returns why it cannot be read, or nothing."""
        try:
            if self.database.read(readings.find, layer, since) is not None:
                return ""
            with self.store.open(layer) as stream:
                reading = read_layer(stream, self._limits())
            self.database.write(readings.put, layer, reading)
        except Failure as failure:
            return f"{failure.message} ({layer})"
        except OSError as error:
            return f"the layer's content cannot be read: {error.strerror} ({layer})"
        return ""

    def _limits(self) -> Limits:
        return Limits(
            uncompressed_bytes=self.settings.max_layer_bytes,
            entries=self.settings.max_layer_entries,
            seconds=self.settings.max_layer_seconds,
        )

    def _finish(self, digest: str, layers: list[str]) -> None:
        def found() -> Iterator[tuple[str, LayerReading]]:
            # One at a time: what layers hold may be large, what they hold together larger.
            for layer in layers:
                reading = self.database.read(readings.find, layer)
                if reading is not None:
                    yield layer, reading

        try:
            inventory = merge(found())
        except Failure as failure:
            self._note(digest, Status.FINISHED_FAILED.value, failure.message)
            return
        diff_ids = self.database.read(origins.diff_ids, self.store, digest)
        self.database.write(_store, digest, inventory, diff_ids)

    def _note(self, digest: str, status: str, error: str) -> None:
        self.database.write(images.note, digest, Status(status), reader=READER_VERSION, error=error)


def _at_once(name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """A step that is not recorded."""
    del name
    return function(*args, **kwargs)


def _reason(error: Exception) -> str:
    return f"the analysis itself failed ({type(error).__name__}); see the server's log"


def _find(tx: Transaction, repository: str, digest: str) -> Manifest | None:
    row = manifests.get(tx, repository, digest)
    return None if row is None else parse_manifest(row[2], row[1], digest)


def _store(tx: Transaction, digest: str, inventory: Inventory, diff_ids: list[str]) -> None:
    before = images.get(tx, [digest])[digest].inventory_id
    number = packages.put(tx, inventory)
    findings.match_inventory(tx, number)
    contents.put(tx, digest, number, diff_ids)
    reason = unsupported(inventory)
    images.note(
        tx,
        digest,
        Status.FINISHED_UNSUPPORTED if reason else Status.FINISHED_SUCCESS,
        reader=READER_VERSION,
        error=reason,
        inventory_id=number,
    )
    outbox.append(tx, ImageAnalysed(digest, number, before or 0))


def unsupported(inventory: Inventory) -> str:
    """Why nothing can be said of an image or of its system, or the empty string."""
    if not inventory.databases:
        if inventory.packages:
            return ""
        return (
            "it has no package database that is known: those of dpkg, apk and rpm were looked for,"
            " and packages of languages"
        )
    if inventory.system is None:
        return "nothing in it tells which system it is"
    if inventory.system.ecosystem is None:
        return f"there are no advisories for {inventory.system.name}"
    return ""
