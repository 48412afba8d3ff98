"""Who is told of what when findings change, on both engines."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from customhouse.analysis import findings, images
from customhouse.analysis.notices import changes
from customhouse.analysis.notices.changes import Change
from customhouse.analysis.notices.notifier import Notifier
from customhouse.analysis.sbom import attached
from customhouse.analysis.sbom.attached import Link
from customhouse.events import FindingsChanged, ImageAnalysed, ManifestPushed
from customhouse.notifications import deliveries, subscriptions
from customhouse.notifications.messages import MESSAGE
from customhouse.notifications.subscriptions import Subscription
from customhouse.notifications.topics import FINDINGS, GCR
from customhouse.registry import repositories, tags
from customhouse.registry.manifests import MANIFEST, REPOSITORY_MANIFEST
from tests.analysis.sbom.places import Place, step, taken
from tests.analysis.sbom.test_attached import DEBIAN
from tests.analysis.stored import advisory, affects, inventory, load, package
from tests.registry.conftest import ANA

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.analysis.inventory import Inventory
    from customhouse.database import Database, Transaction

HOST = "registry.example.com"
FROM_THE_FIRST = {"introduced": "0"}
SED = inventory(package("sed=4.9-1"))
_PAST = 3600 * 1_000_000


class Crash(Exception):  # noqa: N818  - it is no error of the program
    """The worker ended."""


@dataclass
class Steps:
    """Runs steps as the engine does: what was recorded is not run again.

    Args:
        dies_after: the number of the step that is done and not recorded; 0 for none.
    """

    dies_after: int = 0
    recorded: list[Any] = field(default_factory=list)
    at: int = 0

    def __call__(self, name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a step, or return what it returned."""
        assert name
        self.at += 1
        if self.at <= len(self.recorded):
            return self.recorded[self.at - 1]
        found = function(*args, **kwargs)
        if self.at == self.dies_after:
            raise Crash
        self.recorded.append(found)
        return found

    def again(self) -> Steps:
        """The steps of the next run."""
        return Steps(recorded=self.recorded)


class Told(Place):
    """A registry whose images are analysed and told of."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder)
        self.notifier = Notifier(database, HOST)

    def subscribe(self, project: str = "acme", topic: str = FINDINGS.id, text: str = "") -> None:
        """Subscribe to a topic."""
        wanted = Subscription(project, "sub", topic, "https://example.com", filter=text)
        self.database.write(subscriptions.create, wanted)

    def has(self, repository: str, found: Inventory, *names: str, salt: str = "") -> str:
        """Let a repository have held an image for an hour; returns the digest."""
        digest = self.image(repository, salt)
        self.analysed(digest, found)
        self.tag(repository, digest, *names)

        def age(tx: Transaction) -> None:
            past = REPOSITORY_MANIFEST.c.pushed_at - _PAST
            tx.execute(update(REPOSITORY_MANIFEST).values(pushed_at=past))

        self.database.write(age)
        return digest

    def tag(self, repository: str, digest: str, *names: str) -> None:
        """Set tags."""

        def put(tx: Transaction) -> None:
            number = repositories.find(tx, repository)
            row = tx.execute(select(manifest_number(digest))).scalar_one()
            for name in names:
                tags.put(tx, number or 0, name, row, ANA.name)

        self.database.write(put)

    def load(self, *documents: bytes, feed: str = "debian", steps: Any = step) -> None:
        """Load advisories and tell of what that changes."""
        event = self.loaded(*documents, feed=feed)
        self.notifier.loaded(steps, event.feed, event.after, event.last)

    def loaded(self, *documents: bytes, feed: str = "debian") -> FindingsChanged:
        """Load advisories; what happened."""
        after = self.database.read(findings.last_change)
        load(self.database, *documents, feed=feed)
        return FindingsChanged(feed, after, self.database.read(findings.last_change))

    def said(self) -> list[Any]:
        """The data of all messages in order, each only once."""
        rows = self.database.read(
            lambda tx: list(tx.execute(select(MESSAGE.c.data).order_by(MESSAGE.c.id)).scalars())
        )
        return [json.loads(row) for row in rows]

    def new(self) -> list[Any]:
        """The data of all messages; they are forgotten."""
        found = self.said()
        self.database.write(deliveries.prune, 1 << 62, 10_000)
        return found


def manifest_number(digest: str) -> Any:
    """The number of a manifest."""
    return select(MANIFEST.c.id).where(MANIFEST.c.digest == digest).scalar_subquery()


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Told:
    """A registry."""
    return Told(database, tmp_path / "store")


def sed(severity: str, fixed: str = "", **fields: Any) -> bytes:
    """One version of an advisory about sed."""
    events = (FROM_THE_FIRST, {"fixed": fixed}) if fixed else (FROM_THE_FIRST,)
    return advisory(
        "DSA-1",
        affects("sed", *events),
        upstream=["CVE-2024-1"],
        database_specific={"severity": severity},
        **fields,
    )


def test_every_change_of_a_finding(place: Told) -> None:
    digest = place.has("acme/web", SED, "1.0", "latest")
    place.subscribe()
    change = {
        "change": "NEW",
        "vulnerability": "CVE-2024-1",
        "aliases": ["DSA-1"],
        "package": "sed",
        "version": "4.9-1",
        "severity": "LOW",
    }
    message = {
        "image": f"{HOST}/acme/web@{digest}",
        "tags": ["1.0", "latest"],
        "reason": {"kind": "FEED", "feed": "debian"},
        "changes": [change],
    }
    place.load(sed("LOW"))
    assert place.new() == [message]
    place.load(sed("LOW"))
    assert place.new() == []
    place.load(sed("HIGH"))
    change |= {"change": "SEVERITY", "severity": "HIGH", "previousSeverity": "LOW"}
    assert place.new() == [message]
    place.load(sed("HIGH", "4.9-2"))
    del change["previousSeverity"]
    change |= {"change": "FIXABLE", "fixedVersion": "4.9-2"}
    assert place.new() == [message]
    place.load(sed("HIGH", "4.9-1"))
    # What is gone has no advisory that would be its alias.
    change |= {"change": "GONE", "aliases": []}
    assert place.new() == [message]


def test_worse_and_fixed_at_once_are_two_changes(place: Told) -> None:
    place.has("acme/web", SED)
    place.subscribe()
    place.load(sed("LOW"))
    place.new()
    place.load(sed("HIGH", "4.9-2"))
    (message,) = place.new()
    assert [each["change"] for each in message["changes"]] == ["SEVERITY", "FIXABLE"]
    assert {each["fixedVersion"] for each in message["changes"]} == {"4.9-2"}


def test_of_what_changed_twice_the_first_and_the_last_are_told(place: Told) -> None:
    place.has("acme/web", SED)
    place.subscribe()
    first = place.loaded(sed("LOW"))
    last = place.loaded(sed("HIGH"))
    place.notifier.loaded(step, "debian", first.after, last.last)
    (message,) = place.new()
    (change,) = message["changes"]
    assert (change["change"], change["severity"]) == ("NEW", "HIGH")
    assert "previousSeverity" not in change
    place.loaded(sed("HIGH", "4.9-1"))
    back = place.loaded(sed("HIGH"))
    # It went and came again, as it was.
    place.notifier.loaded(step, "debian", last.last, back.last)
    assert place.new() == []


def test_only_what_the_feed_itself_changed(place: Told) -> None:
    place.has("acme/web", SED)
    place.subscribe()
    first = place.loaded(sed("LOW"))
    last = place.loaded(advisory("DSA-2", affects("sed", FROM_THE_FIRST)), feed="other")
    place.notifier.loaded(step, "debian", first.after, last.last)
    (message,) = place.new()
    assert [each["vulnerability"] for each in message["changes"]] == ["CVE-2024-1"]


def test_images_of_every_repository_that_subscribes(place: Told) -> None:
    same = [place.has(name, SED, "1") for name in ("acme/a", "acme/b", "quiet/a")]
    assert len(set(same)) == 1
    other = place.has("acme/a", SED, "2", salt="other")
    place.has("acme/c", inventory(package("bash=5")), "1", salt="without")
    place.has("gcr/a", SED, salt="of another topic")
    place.subscribe()
    place.subscribe("gcr", GCR.id)
    place.load(sed("LOW"))
    told = [(each["image"], each["tags"]) for each in place.new()]
    assert told == [
        (f"{HOST}/acme/a@{same[0]}", ["1"]),
        (f"{HOST}/acme/a@{other}", ["2"]),
        (f"{HOST}/acme/b@{same[0]}", ["1"]),
    ]


def test_without_a_subscription_nothing_is_started(place: Told) -> None:
    digest = place.has("acme/web", SED)
    place.subscribe("acme", GCR.id)
    event = place.loaded(sed("LOW"))
    push = ManifestPushed("acme/web", digest, [], ANA.name, is_new=True)
    assert not place.notifier.is_about_load(event)
    assert not place.notifier.is_about_image(ImageAnalysed(digest, 1))
    assert not place.notifier.is_about_push(push)
    place.notifier.loaded(step, "debian", event.after, event.last)
    assert place.said() == []


def test_tags_of_an_index_are_those_of_its_images(place: Told) -> None:
    digest = place.has("acme/web", SED)
    index = place.index("acme/web", place.child("acme/web", digest))
    place.tag("acme/web", index, "multi")
    place.subscribe()
    place.load(sed("LOW"))
    (message,) = place.new()
    assert (message["image"], message["tags"]) == (f"{HOST}/acme/web@{digest}", ["multi"])


def test_bills_count_in_their_repository(place: Told) -> None:
    digests = [place.has(name, inventory(package("bash=5")), "1") for name in ("acme/a", "acme/b")]
    bill = place.bill("acme/b", b"{}", subject=digests[0])
    place.database.write(attached.put, Link("acme/b", digests[0], bill), SED)
    place.subscribe()
    place.load(sed("LOW"))
    (message,) = place.new()
    assert message["image"] == f"{HOST}/acme/b@{digests[0]}"


def test_what_was_changed_before_the_push_is_left_to_the_push(place: Told) -> None:
    place.has("acme/old", SED)
    place.subscribe()
    event = place.loaded(sed("LOW"))

    def push_later(tx: Transaction) -> None:
        number = repositories.find(tx, "acme/new")
        tx.execute(
            update(REPOSITORY_MANIFEST)
            .where(REPOSITORY_MANIFEST.c.repository_id == number)
            .values(pushed_at=REPOSITORY_MANIFEST.c.pushed_at + 2 * _PAST)
        )

    place.has("acme/new", SED)
    place.database.write(push_later)
    place.notifier.loaded(step, event.feed, event.after, event.last)
    assert [each["image"].partition("@")[0] for each in place.new()] == [f"{HOST}/acme/old"]


@pytest.mark.parametrize("dies_after", range(1, 8))
def test_a_crash_in_between_tells_once(
    place: Told, monkeypatch: pytest.MonkeyPatch, dies_after: int
) -> None:
    monkeypatch.setattr("customhouse.analysis.notices.notifier._PAGE", 2)
    monkeypatch.setattr("customhouse.analysis.notices.notifier._BATCH", 1)
    for number in range(3):
        place.has("acme/web", SED, salt=str(number))
        place.has("beta/web", SED, salt=str(number))
    place.subscribe("acme")
    place.subscribe("beta")
    steps = Steps(dies_after)
    with pytest.raises(Crash):
        place.load(sed("LOW"), steps=steps)
    event = FindingsChanged("debian", 0, place.database.read(findings.last_change))
    place.notifier.loaded(steps.again(), event.feed, event.after, event.last)
    assert len({each["image"] for each in place.said()}) == len(place.said()) == 6


def test_many_changes_are_split_the_worst_first(place: Told) -> None:
    place.has("acme/web", SED)
    place.subscribe()
    documents = [
        advisory(
            f"DSA-{number}",
            affects("sed", FROM_THE_FIRST),
            database_specific={"severity": "HIGH" if number % 3 else "LOW"},
        )
        for number in range(2 * changes.MAX_OF_MESSAGE + 1)
    ]
    place.load(*documents)
    said = place.new()
    assert [len(each["changes"]) for each in said] == [200, 200, 1]
    flat = [change for each in said for change in each["changes"]]
    assert len({each["vulnerability"] for each in flat}) == len(flat)
    order = [each["severity"] for each in flat]
    assert order == sorted(order)  # HIGH, LOW
    assert len({each["image"] for each in said}) == 1


def test_parts_are_small() -> None:
    long = [Change("NEW", f"CVE-{n}", (), "p" * 30_000, "1", "LOW") for n in range(7)]
    assert [len(part) for part in changes.split(long)] == [3, 3, 1]
    huge = Change("NEW", "CVE-1", (), "p" * 2 * changes.MAX_BYTES, "1", "LOW")
    assert [*changes.split([huge, huge])] == [[huge], [huge]]
    assert [*changes.split([])] == []


def test_filters(place: Told) -> None:
    place.has("acme/web", SED)
    place.subscribe(text='attributes.severity = "HIGH" AND attributes.reason = "FEED"')
    place.load(sed("LOW"))
    assert place.new() == []
    place.load(sed("HIGH"))
    assert len(place.new()) == 1


def test_a_pushed_image_tells_what_it_has(place: Told) -> None:
    digest = place.image("acme/web")
    place.subscribe()
    load(place.database, sed("LOW"))
    number = place.analysed(digest, SED)
    event = ImageAnalysed(digest, number, 0)
    assert place.notifier.is_about_image(event)
    for _ in range(2):
        place.notifier.analysed(step, digest, number, 0)
    (message,) = place.said()
    assert message["reason"] == {"kind": "PUSH"}
    assert [each["change"] for each in message["changes"]] == ["NEW"]


def test_an_image_that_has_nothing_is_not_told_of(place: Told) -> None:
    digest = place.image("acme/web")
    place.subscribe()
    number = place.analysed(digest, SED)
    place.notifier.analysed(step, digest, number, 0)
    assert place.said() == []


def test_an_image_that_comes_into_another_repository(place: Told) -> None:
    load(place.database, sed("LOW"))
    digest = place.has("quiet/web", SED)
    place.has("acme/web", SED)
    place.subscribe()
    push = ManifestPushed("acme/web", digest, [], ANA.name, is_new=True)
    again = ManifestPushed("acme/web", digest, [], ANA.name, is_new=False)
    assert place.notifier.is_about_push(push)
    assert not place.notifier.is_about_push(again)
    place.notifier.pushed(step, "acme/web", digest)
    number = place.database.read(images.inventories, [digest])[0]
    # The analysis was about to tell the same.
    place.notifier.analysed(step, digest, number, 0)
    (message,) = place.said()
    assert message["image"] == f"{HOST}/acme/web@{digest}"


def test_an_image_that_is_not_analysed_yet_is_left_to_its_analysis(place: Told) -> None:
    digest = place.image("acme/web")
    place.subscribe()
    push = ManifestPushed("acme/web", digest, [], ANA.name, is_new=True)
    assert not place.notifier.is_about_push(push)


def test_a_renewal_tells_what_differs(place: Told) -> None:
    digest = place.image("acme/web")
    place.subscribe()
    load(place.database, sed("LOW"), advisory("DSA-2", affects("bash", FROM_THE_FIRST)))
    before = place.analysed(digest, SED)
    assert not place.notifier.is_about_image(ImageAnalysed(digest, before, before))
    # Another reader finds one package more.
    more = place.analysed(digest, inventory(package("sed=4.9-1"), package("bash=5")))
    assert place.notifier.is_about_image(ImageAnalysed(digest, more, before))
    place.notifier.analysed(step, digest, more, before)
    place.notifier.analysed(step, digest, before, more)
    came, went = place.said()
    assert [(each["change"], each["package"]) for each in came["changes"]] == [("NEW", "bash")]
    assert [(each["change"], each["package"]) for each in went["changes"]] == [("GONE", "bash")]


def test_events_of_before_the_upgrade_tell_nothing(place: Told) -> None:
    digest = place.has("acme/web", taken(DEBIAN))
    place.subscribe()
    assert not place.notifier.is_about_image(ImageAnalysed(digest))


def test_without_a_host(place: Told) -> None:
    digest = place.has("acme/web", SED)
    place.subscribe()
    event = place.loaded(sed("LOW"))
    Notifier(place.database).loaded(step, event.feed, event.after, event.last)
    assert place.said()[0]["image"] == f"acme/web@{digest}"
