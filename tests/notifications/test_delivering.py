"""From publishing to an endpoint: signed, tried again, given up, had again, and never lost."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import WebhookVerificationError

from customhouse.database import now
from customhouse.iam import projects
from customhouse.notifications import claims, deliveries, subscriptions
from customhouse.notifications.deliveries import DEAD, DELIVERED, PENDING
from customhouse.notifications.delivering import backoff
from customhouse.notifications.subscriptions import (
    BINARY,
    DAY,
    PAUSED,
    PUBSUB,
    SECOND,
    Subscription,
)
from customhouse.notifications.topics import FINDINGS
from tests.faults.processes import wait_until
from tests.notifications.conftest import DATA, IMAGE, PROJECT, Post, delivering
from tests.notifications.receiver import Receiver, Reply

if TYPE_CHECKING:
    from customhouse.database import Database


def test_a_cloud_event_is_delivered_and_signed(post: Post, receiver: Receiver) -> None:
    _, secret = post.subscribe(f"{receiver.url}/hook?team=a")
    post.publish(severity="HIGH")
    with delivering(post.database):
        (received,) = receiver.wait_for(1)
        (delivery,) = post.wait_for(DELIVERED)
    received.verify(secret)
    with pytest.raises(WebhookVerificationError):
        received.verify("whsec_" + "A" * 43)
    assert received.path == "/hook?team=a"
    assert received.headers["content-type"] == "application/cloudevents+json"
    event = received.event
    assert event.get_type() == "customhouse.findings.changed.v1"
    assert event.get_source() == "//customhouse/projects/acme/topics/findings"
    assert event.get_subject() == IMAGE
    assert event.get_id() == received.id == delivery.message.identifier
    assert event.get_data() == DATA
    assert event.get_extension("severity") == "HIGH"
    assert int(event.get_extension("sequence")) == delivery.message.number
    assert abs(event.get_time().timestamp() - time.time()) < 60
    assert (delivery.attempts, delivery.status, delivery.next_at) == (1, 204, None)


def test_binary_mode(post: Post, receiver: Receiver) -> None:
    _, secret = post.subscribe(receiver.url, format=BINARY)
    post.publish(team='a "b" 100% ü')
    with delivering(post.database):
        (received,) = receiver.wait_for(1)
    received.verify(secret)
    assert json.loads(received.body) == DATA
    assert received.event.get_data() == DATA
    assert received.event.get_subject() == IMAGE
    assert received.event.get_extension("team") == 'a "b" 100% ü'


def test_the_envelope_of_pubsub(post: Post, receiver: Receiver) -> None:
    _, secret = post.subscribe(receiver.url, format=PUBSUB)
    post.publish(severity="LOW")
    with delivering(post.database):
        (received,) = receiver.wait_for(1)
    received.verify(secret)
    document = json.loads(received.body)
    assert document["subscription"] == "projects/acme/subscriptions/sub"
    assert document["message"]["messageId"] == received.id
    assert document["message"]["attributes"] == {"severity": "LOW"}


def test_a_failure_is_tried_again_with_the_same_id(post: Post, receiver: Receiver) -> None:
    _, secret = post.subscribe(receiver.url)
    receiver.replies = [Reply(500, body=b"not \x1b[31m now\n" * 100), Reply(302), Reply(404)]
    post.publish()
    with delivering(post.database):
        received = receiver.wait_for(4)
        (delivery,) = post.wait_for(DELIVERED)
    assert len({each.id for each in received}) == 1
    assert len({each.body for each in received}) == 1
    gaps = [b.at - a.at for a, b in pairwise(received)]
    assert gaps[0] > 0.1
    assert gaps[1] > 0.4
    assert gaps[2] > 1.6
    assert delivery.attempts == 4
    for each in received:
        each.verify(secret)


def test_what_was_answered_is_kept_in_part(post: Post, receiver: Receiver) -> None:
    post.subscribe(receiver.url, max_attempts=1)
    receiver.usual = Reply(500, body=b"not \x1b[31m now\x00\n" * 1000)
    post.publish()
    with delivering(post.database):
        (delivery,) = post.wait_for(DEAD)
    assert delivery.status == 500
    assert delivery.answer.startswith("not [31m now not")
    assert len(delivery.answer) == 200
    assert delivery.answer.isprintable()


def test_a_dead_letter_can_be_replayed(post: Post, receiver: Receiver) -> None:
    post.subscribe(receiver.url, max_attempts=2, max_backoff=SECOND // 10)
    receiver.usual = Reply(500)
    post.publish(2)
    with delivering(post.database):
        dead = post.wait_for(DEAD, 2)
        assert len(receiver.received) == 4
        receiver.usual = Reply()
        assert post.replay(0, 1, state=DEAD) == (1, dead[0].number)
        assert post.replay(dead[0].number, 5, state=DEAD) == (1, 0)
        post.wait_for(DELIVERED, 2)
    ids = [each.id for each in receiver.received]
    assert {ids.count(name) for name in ids} == {3}


def test_replay_by_time_and_by_message(post: Post, receiver: Receiver) -> None:
    post.subscribe(receiver.url)
    post.publish()
    moment = now()
    post.publish(2)
    with delivering(post.database):
        first, second, third = post.wait_for(DELIVERED, 3)
        assert post.replay(since=moment) == (2, 0)
        receiver.wait_for(5)
        assert post.replay(identifier=first.message.identifier) == (1, 0)
        receiver.wait_for(6)
        post.wait_for(DELIVERED, 3)
        assert post.replay(identifier="msg_none") == (0, 0)
    ids = [each.id for each in receiver.received]
    assert [ids.count(each.message.identifier) for each in (first, second, third)] == [2, 2, 2]


def test_gone_pauses_and_nothing_is_lost(post: Post, receiver: Receiver) -> None:
    post.subscribe(receiver.url)
    receiver.replies = [Reply(410)]
    post.publish()
    with delivering(post.database):
        wait_until(lambda: post.get().state == PAUSED, 10, "it is paused")
        assert "410" in post.get().state_reason
        post.publish()
        time.sleep(0.6)
        assert len(receiver.received) == 1
        assert len(post.deliveries(state=PENDING)) == 2
        post.database.write(subscriptions.update, replace(post.get(), state="ACTIVE"))
        post.wait_for(DELIVERED, 2)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(post: Post, receiver: Receiver, status: int) -> None:
    post.subscribe(receiver.url)
    receiver.replies = [Reply(status, {"Retry-After": "2"})]
    post.publish()
    with delivering(post.database):
        first, second = receiver.wait_for(2)
    assert 1.9 < second.at - first.at < 6


def test_retry_after_a_date_far_away(post: Post, receiver: Receiver) -> None:
    post.subscribe(receiver.url)
    receiver.replies = [Reply(503, {"Retry-After": "Fri, 31 Dec 2399 23:59:59 GMT"})]
    post.publish()
    with delivering(post.database):
        receiver.wait_for(1)
        wait_until(lambda: post.deliveries()[0].status == 503, 10, "it is noted")
    (delivery,) = post.deliveries()
    assert delivery.next_at is not None
    assert 0.9 * DAY < delivery.next_at - now() <= DAY


def test_a_slow_endpoint_holds_up_nobody(post: Post, receiver: Receiver) -> None:
    post.subscribe(f"{receiver.url}/slow", "slow")
    post.subscribe(f"{receiver.url}/fast", "fast")
    receiver.at["/slow"] = Reply(pause=1.5)
    post.publish(60)
    with delivering(post.database):
        began = time.monotonic()
        post.wait_for(DELIVERED, 60, "fast")
        seconds = time.monotonic() - began
        slow = sum(each.path == "/slow" for each in receiver.received)
    # One after the other these would have taken 90 s.
    assert seconds < 8
    assert 0 < slow < 60


def test_a_project_of_slow_endpoints_holds_up_no_other(post: Post, receiver: Receiver) -> None:
    receiver.at["/slow"] = Reply(pause=6.0)
    post.database.write(projects.create, "crowd", "user:bob")
    crowd = replace(post, project="crowd")
    for number in range(20):
        crowd.subscribe(f"{receiver.url}/slow", f"slow-{number}")
    crowd.publish(8)
    with delivering(post.database, timeout_seconds=10.0):
        receiver.wait_for(64)
        post.subscribe(f"{receiver.url}/quick")
        post.publish(10)
        post.wait_for(DELIVERED, 10)
        # Not because the others had ended.
        assert crowd.deliveries("slow-0", DELIVERED) == []
        assert len(receiver.received) == 64 + 10


def test_a_dead_endpoint_holds_up_nobody(post: Post, receiver: Receiver) -> None:
    for number in range(9):
        post.subscribe("http://127.0.0.1:9/", f"dead-{number}")
        post.subscribe(f"{receiver.url}/{number}", f"live-{number}")
    post.publish(20)
    with delivering(post.database):
        began = time.monotonic()
        receiver.wait_for(9 * 20)
        assert time.monotonic() - began < 12
        for number in range(9):
            post.wait_for(DELIVERED, 20, f"live-{number}")
    assert not post.deliveries("dead-0", DELIVERED)
    assert len({each.id for each in receiver.received}) == 20


def test_an_endpoint_that_does_not_answer(post: Post, receiver: Receiver) -> None:
    post.subscribe(receiver.url, max_attempts=1)
    receiver.usual = Reply(pause=3.0)
    post.publish()
    with delivering(post.database, timeout_seconds=0.5):
        (delivery,) = post.wait_for(DEAD)
    assert delivery.answer == "no answer within 0.5 s"


def test_a_private_endpoint_is_refused_where_the_settings_say_so(
    post: Post, receiver: Receiver
) -> None:
    post.subscribe(receiver.url, max_attempts=1)
    post.publish()
    with delivering(post.database, allow_private=False):
        (delivery,) = post.wait_for(DEAD)
    assert "allow_private" in delivery.answer
    assert not receiver.received


def test_two_loops_send_each_message_once(post: Post, receiver: Receiver) -> None:
    post.subscribe(receiver.url)
    post.publish(60)
    with delivering(post.database), delivering(post.database):
        post.wait_for(DELIVERED, 60)
    ids = [each.id for each in receiver.received]
    assert len(ids) == len(set(ids)) == 60


def test_what_was_claimed_by_one_that_died_is_sent_when_the_claim_ends(
    post: Post, receiver: Receiver
) -> None:
    post.subscribe(receiver.url)
    post.publish()
    (claimed,) = post.claim(1.5)
    assert post.claim(1.5) == []
    with delivering(post.database):
        time.sleep(0.7)
        assert receiver.received == []
        receiver.wait_for(1)
        (delivery,) = post.wait_for(DELIVERED)
    assert delivery.attempts == 2
    # The one that had died comes back: it is told that it has come too late.
    late = post.database.write(claims.note, claimed.delivery, DEAD, None, 500, "")
    assert not late
    assert post.deliveries()[0].state == DELIVERED


def test_both_secrets_sign_while_they_overlap(post: Post, receiver: Receiver) -> None:
    _, old = post.subscribe(receiver.url)
    new = post.database.write(subscriptions.rotate_secret, PROJECT, "sub", 3600)
    post.publish()
    with delivering(post.database):
        (both,) = receiver.wait_for(1)
        post.wait_for(DELIVERED)
        newest = post.database.write(subscriptions.rotate_secret, PROJECT, "sub", 0)
        post.publish()
        *_, one = receiver.wait_for(2)
    both.verify(old)
    both.verify(new)
    assert len(one.headers["webhook-signature"].split()) == 1
    one.verify(newest)
    with pytest.raises(WebhookVerificationError):
        one.verify(new)


def test_a_filter(post: Post, receiver: Receiver) -> None:
    post.subscribe(receiver.url, filter='attributes.severity = "HIGH"')
    post.publish(severity="LOW")
    post.publish(severity="HIGH")
    with delivering(post.database):
        post.wait_for(DELIVERED)
    assert [each.event.get_extension("severity") for each in receiver.received] == ["HIGH"]


def test_the_back_off_takes_about_a_day() -> None:
    usual = Subscription(PROJECT, "sub", FINDINGS.id, "https://example.com")
    waits = [backoff(usual, attempts) for attempts in range(1, usual.max_attempts)]
    assert waits[:4] == [10 * SECOND, 40 * SECOND, 160 * SECOND, 640 * SECOND]
    assert waits[-1] == usual.max_backoff
    assert 0.75 * DAY < sum(waits) < 1.1 * DAY
    assert backoff(replace(usual, min_backoff=0, max_backoff=0), 100) == SECOND // 10


def test_what_has_had_its_time_is_forgotten(database: Database) -> None:
    post = Post(database)
    subscription, _ = post.subscribe("https://example.com")
    post.publish(3)
    moment = now()
    post.publish()
    assert database.write(deliveries.prune, moment, 2) == 2
    assert database.write(deliveries.prune, moment, 2) == 1
    assert database.write(deliveries.prune, moment, 2) == 0
    assert len(post.deliveries()) == 1
    database.write(deliveries.unsubscribe, PROJECT, subscription.name)
    assert database.write(deliveries.prune, now() + 1, 2) == 1
