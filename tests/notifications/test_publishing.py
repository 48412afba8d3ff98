"""Publishing: in the caller's transaction, for those who subscribe, and what images tell."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from customhouse.errors import Code, Failure
from customhouse.iam import projects
from customhouse.notifications import deliveries, gcr, messages, subscriptions
from customhouse.notifications.messages import MESSAGE
from customhouse.notifications.publishing import publish
from customhouse.notifications.subscriptions import Subscription
from customhouse.notifications.topics import FINDINGS, GCR
from customhouse.registry import purge
from tests.notifications.conftest import DATA, IMAGE, PROJECT, Post

if TYPE_CHECKING:
    from customhouse.database import Database, Transaction

HOST = "registry.example.com"
DIGEST = f"sha256:{'d' * 64}"
REPOSITORY = f"{PROJECT}/web"


def count(database: Database) -> int:
    """How many messages are stored."""
    return database.read(lambda tx: tx.scalar(select(func.count()).select_from(MESSAGE)) or 0)


def test_without_a_subscription_nothing_is_stored(post: Post) -> None:
    post.publish()
    assert count(post.database) == 0


def test_what_does_not_come_to_pass_is_not_told(post: Post) -> None:
    post.subscribe("https://example.com")

    def fail(tx: Transaction) -> None:
        publish(tx, FINDINGS.id, PROJECT, FINDINGS.type, IMAGE, DATA, {})
        raise Failure(Code.STORAGE_FULL)

    with pytest.raises(Failure):
        post.database.write(fail)
    assert count(post.database) == 0


def test_one_message_for_all_subscriptions_of_the_topic(post: Post) -> None:
    post.subscribe("https://example.com", "one")
    post.subscribe("https://example.com", "two")
    post.subscribe("https://example.com", "other-topic", topic=GCR.id)
    post.subscribe("https://example.com", "filtered", filter='attributes.severity = "LOW"')
    post.database.write(projects.create, "elsewhere", "user:bo")
    elsewhere = Subscription("elsewhere", "one", FINDINGS.id, "https://example.com")
    post.database.write(subscriptions.create, elsewhere)
    post.publish(severity="HIGH")
    assert count(post.database) == 1
    (one,), (two,) = post.deliveries("one"), post.deliveries("two")
    assert one.message == two.message
    assert json.loads(data_of(post, one.number, "one")) == DATA
    assert one.message.data == b""
    assert post.deliveries("other-topic") == post.deliveries("filtered") == []


@pytest.mark.parametrize("name", ["Severity", "a-b", "", "id", "data", "sequence", "a" * 21])
def test_attributes_that_no_cloud_event_can_have(post: Post, name: str) -> None:
    with pytest.raises(ValueError, match="attribute"):
        post.publish(1, **{name: "x"})


def test_a_topic_that_is_none(database: Database) -> None:
    with pytest.raises(ValueError, match="topic"):
        database.write(publish, "nothing", PROJECT, "x", "x", {}, {})


@pytest.fixture
def told(post: Post) -> Post:
    """The project, with a subscription of its topic `gcr`."""
    post.subscribe("https://example.com", topic=GCR.id)
    return post


def data_of(post: Post, number: int, name: str = "sub") -> bytes:
    """The data of a delivery's message."""
    return post.database.read(deliveries.get, post.get(name).id, number).message.data


def said(post: Post) -> list[object]:
    """The data of all messages."""
    return [json.loads(data_of(post, each.number)) for each in post.deliveries()]


def test_a_push_by_digest(told: Post) -> None:
    told.database.write(gcr.pushed, HOST, REPOSITORY, DIGEST, [])
    assert said(told) == [{"action": "INSERT", "digest": f"{HOST}/{REPOSITORY}@{DIGEST}"}]
    assert told.deliveries()[0].message.attributes == {"action": "INSERT"}


def test_a_push_with_tags(told: Post) -> None:
    told.database.write(gcr.pushed, HOST, REPOSITORY, DIGEST, ["1.0", "latest"])
    digest = f"{HOST}/{REPOSITORY}@{DIGEST}"
    assert said(told) == [
        {"action": "INSERT", "digest": digest, "tag": f"{HOST}/{REPOSITORY}:{tag}"}
        for tag in ("1.0", "latest")
    ]


def test_deletions(told: Post) -> None:
    told.database.write(gcr.untagged, HOST, REPOSITORY, "old")
    told.database.write(gcr.deleted, HOST, REPOSITORY, DIGEST, ["1.0"])
    assert said(told) == [
        {"action": "DELETE", "tag": f"{HOST}/{REPOSITORY}:old"},
        {"action": "DELETE", "tag": f"{HOST}/{REPOSITORY}:1.0"},
        {"action": "DELETE", "digest": f"{HOST}/{REPOSITORY}@{DIGEST}"},
    ]


def test_a_project_of_a_domain(database: Database) -> None:
    project = "example.com/proj"
    database.write(projects.create, project, "user:ana")
    wanted = Subscription(project, "sub", GCR.id, "https://example.com")
    database.write(subscriptions.create, wanted)
    database.write(gcr.pushed, HOST, f"{project}/app", DIGEST, [])
    number = database.read(subscriptions.get, project, "sub").id
    (delivery,) = database.read(deliveries.page, number, 0, 10)
    assert delivery.message.project == project


def test_a_project_that_ends_takes_its_subscriptions_along(told: Post) -> None:
    told.database.write(gcr.pushed, HOST, REPOSITORY, DIGEST, [])
    number = told.get().id
    while told.database.write(purge.step, PROJECT):
        pass
    with pytest.raises(Failure):
        told.get()
    assert told.database.read(deliveries.page, number, 0, 10) == []


def test_subscriptions_are_bounded(post: Post) -> None:
    for number in range(100):
        post.subscribe("https://example.com", f"sub-{number}")
    with pytest.raises(Failure) as caught:
        post.subscribe("https://example.com", "one-more")
    assert caught.value.code is Code.LIMIT_REACHED


def test_a_subscription_is_changed_and_deleted(post: Post) -> None:
    subscription, _ = post.subscribe("https://example.com", labels={"team": "web"})
    changed = replace(subscription, endpoint="https://example.org", max_attempts=3)
    assert post.database.write(subscriptions.update, changed) == changed
    with pytest.raises(Failure) as caught:
        post.subscribe("https://example.com")
    assert caught.value.code is Code.THING_EXISTS
    post.publish()
    post.database.write(deliveries.unsubscribe, PROJECT, "sub")
    for function in (subscriptions.get, deliveries.unsubscribe):
        with pytest.raises(Failure) as caught:
            post.database.write(function, PROJECT, "sub")
        assert caught.value.code is Code.THING_UNKNOWN
    assert len(post.database.read(messages.before, 1 << 62, 10)) == 1


def test_a_subscription_that_is_deleted_while_a_message_is_published(post: Post) -> None:
    post.subscribe("https://example.com")
    published, deleting = threading.Event(), threading.Event()

    def push(tx: Transaction) -> None:
        publish(tx, FINDINGS.id, PROJECT, FINDINGS.type, IMAGE, DATA, {})
        published.set()
        assert deleting.wait(10)
        time.sleep(0.2)

    with ThreadPoolExecutor(2) as threads:
        pushing = threads.submit(post.database.write, push)
        assert published.wait(10)
        deletion = threads.submit(post.database.write, deliveries.unsubscribe, PROJECT, "sub")
        deleting.set()
        pushing.result(10)
        deletion.result(10)
    with pytest.raises(Failure):
        post.get()
    assert count(post.database) == 1


@pytest.mark.parametrize("name", ["ab", "1ab", "goog-x", "a b", "a/b", "a" * 256, "näme"])
def test_names_that_are_none(post: Post, name: str) -> None:
    with pytest.raises(Failure) as caught:
        post.subscribe("https://example.com", name)
    assert caught.value.code is Code.THING_INVALID
