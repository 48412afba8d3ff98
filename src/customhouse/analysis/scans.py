"""Scans that somebody asks for, of images that are stored: some, or all of a project."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from customhouse.analysis import images
from customhouse.analysis.images import Status
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.events import ImagesScanAsked, ProjectScanAsked
from customhouse.iam import projects
from customhouse.names import parse_image, split_project
from customhouse.workflows import operations, outbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from customhouse.analysis.analyse import Analyst
    from customhouse.database import Database, Transaction
    from customhouse.workflows.subscription import Step

KIND = "images.scan"

MAX_IMAGES = 100
"""Images that one request may name."""

_PAGE = 100
_PROGRESS_SECONDS = 1.0
_SHOWN_FAILURES = 20

# What came of an image, and how an operation calls the number of those.
_SCANNED, _KNOWN, _FAILED, _UNSUPPORTED = "done", "alreadyScanned", "failed", "unsupported"
_OUTCOMES = {
    Status.FINISHED_SUCCESS: _SCANNED,
    Status.FINISHED_FAILED: _FAILED,
    Status.FINISHED_UNSUPPORTED: _UNSUPPORTED,
}


def resource(project: str, uri: str) -> tuple[str, str]:
    """The repository and the digest of an image, as `https://HOST/PROJECT/IMAGE@DIGEST`.

    Raises:
        Failure: REQUEST_INVALID if it is no image of the project with its digest,
            REFERENCE_INVALID.
    """
    name = uri.removeprefix("https://").removeprefix("http://")
    image = parse_image(name, has_host=name != uri)
    if not image.digest or split_project(image.repository)[0] != project:
        reason = f"{uri[:300]!r} is no image of project {project} with its digest"
        raise Failure(Code.REQUEST_INVALID, reason=reason)
    return image.repository, image.digest


def request(
    tx: Transaction, project: str, uris: Sequence[str], principal: str, *, is_forced: bool
) -> str:
    """Ask for a scan; returns the operation's identifier.

    Args:
        tx: the transaction.
        project: the project that the images are in, as it stands in their names.
        uris: the images, as of `resource`; none for all of the project.
        principal: who asks.
        is_forced: whether images are read again that have been read.

    Raises:
        Failure: as `resource`, MANIFEST_UNKNOWN, and PROJECT_UNKNOWN.
    """
    projects.get(tx, project)
    for uri in uris:
        images.runnable(tx, *resource(project, uri))
    identifier = operations.new_identifier()
    metadata = {"project": project, "resourceUris": list(uris), "force": is_forced}
    operations.create(tx, identifier, KIND, principal, metadata | _Tally().counts())
    asked = ImagesScanAsked if uris else ProjectScanAsked
    outbox.append(tx, asked(identifier))
    return identifier


def get(tx: Transaction, project: str, identifier: str) -> dict[str, Any]:
    """An operation that a project's scan is.

    Raises:
        Failure: OPERATION_UNKNOWN, also for an operation of another kind or project.
    """
    operation = operations.get(tx, identifier)
    if operation["metadata"].get("project") != project:
        raise Failure(Code.OPERATION_UNKNOWN, operation=identifier[:64])
    return operation


@dataclass(slots=True)
class _Tally:
    """How many images were asked for and what came of them."""

    outcomes: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((_SCANNED, _KNOWN, _FAILED, _UNSUPPORTED), 0)
    )
    failures: list[dict[str, str]] = field(default_factory=list)

    def take(self, name: str, outcome: str, reason: str) -> None:
        self.outcomes[outcome] += 1
        if outcome == _FAILED and len(self.failures) < _SHOWN_FAILURES:
            self.failures.append({"image": name, "reason": reason})

    def counts(self) -> dict[str, int]:
        return {"asked": sum(self.outcomes.values()), **self.outcomes}


@dataclass(frozen=True, slots=True)
class Scanner:
    """Does the scans that were asked for, one image after the other."""

    database: Database
    analyst: Analyst

    def run(self, step: Step, identifier: str) -> None:
        """The workflow. Each page of a listing and each image is a step.

        Every transaction is that of one image or one page, so pushes go on meanwhile.
        """
        try:
            self._run(step, identifier)
        except Exception as error:
            # The engine logs it; whoever waits for the scan is told as well.
            reason = f"the scan failed ({type(error).__name__}); see the server's log"
            step("give up", self._fail, identifier, reason)
            raise

    def give_up(self, identifier: str) -> None:
        """Say that a scan ended the worker each time and is tried no more."""
        self._fail(identifier, "the scan ended its process each time")

    def _run(self, step: Step, identifier: str) -> None:
        project, uris, asked_at, is_forced = step("begin", self._begin, identifier)
        found = self._named(step, project, uris) if uris else self._all(step, project, asked_at)
        since = asked_at if is_forced else 0
        tally = _Tally()
        told = time.monotonic()
        for repository, digest in found:
            name = f"{repository}@{digest}"
            outcome, reason = step(f"scan {name}", self._scan, repository, digest, since)
            if outcome:
                tally.take(name, outcome, reason)
            if time.monotonic() - told > _PROGRESS_SECONDS:
                told = time.monotonic()
                self.database.write(operations.progress, identifier, **tally.counts())
        step("succeed", self.database.write, _succeed, identifier, tally)

    def _begin(self, identifier: str) -> tuple[str, list[str], int, bool]:
        """The project, the images, what time it is, and whether all is read again."""
        asked = self.database.read(operations.get, identifier)["metadata"]
        return asked["project"], asked["resourceUris"], now(), asked["force"]

    def _named(self, step: Step, project: str, uris: list[str]) -> Iterator[tuple[str, str]]:
        for uri in uris:
            repository, digest = resource(project, uri)
            for each in step(f"look into {uri}", self._parts, repository, digest):
                yield repository, each

    def _parts(self, repository: str, digest: str) -> list[str]:
        try:
            return self.database.read(images.runnable, repository, digest)
        except Failure:
            return []  # it was deleted meanwhile

    def _all(self, step: Step, project: str, until: int) -> Iterator[tuple[str, str]]:
        after = ("", 0)
        while page := step(
            f"list after {after[0]} {after[1]}",
            self.database.read,
            images.of_project,
            project,
            until,
            after,
            _PAGE,
        ):
            for held in page:
                yield held.repository, held.digest
            after = page[-1].repository, page[-1].number

    def _scan(self, repository: str, digest: str, since: int) -> tuple[str, str]:
        """What came of an image, and why; nothing if it is none that runs, or gone."""
        if not self._parts(repository, digest):
            return "", ""
        analysis = self.analyst.scan(repository, digest, since)
        if analysis is None:
            return _KNOWN, ""
        return _OUTCOMES.get(analysis.status, ""), analysis.error

    def _fail(self, identifier: str, message: str) -> None:
        self.database.write(operations.fail, identifier, message)


def _succeed(tx: Transaction, identifier: str, tally: _Tally) -> None:
    operations.progress(tx, identifier, **tally.counts())
    operations.succeed(tx, identifier, {**tally.counts(), "failures": tally.failures})
