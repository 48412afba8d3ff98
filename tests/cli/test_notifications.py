"""`customhouse notifications`: from a subscription to what the endpoint was told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from tests.cli.program import CommandLine, signed_in
from tests.notifications.receiver import Receiver, Reply, receiving
from tests.support.administration import Administration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.images import Image
    from tests.support.servers import CustomhouseServer


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in as the administrator."""
    return signed_in(server, tmp_path)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with receiving() as running:
        yield running


def secret_in(text: str) -> str:
    """The secret that a command printed."""
    return next(word for word in text.split() if word.startswith("whsec_"))


def test_a_push_is_told(
    server: CustomhouseServer, cli: CommandLine, receiver: Receiver, small_image: Image
) -> None:
    of = ("--project", "told")
    group = ("notifications", "subscriptions")
    cli("projects", "create", "told")
    assert cli("notifications", "topics", "list", *of).row(
        "gcr", "customhouse.registry.image.changed.v1"
    )
    made = cli(*group, "create", "hook", "--topic", "gcr", "--push-endpoint", receiver.url, *of)
    secret = secret_in(made.out)
    Administration(server).push(small_image, "told/web", "1.0")
    (received,) = receiver.wait_for(1)
    received.verify(secret)
    image = f"{server.host}/told/web"
    assert received.event.get_data() == {
        "action": "INSERT",
        "digest": f"{image}@{small_image.digest}",
        "tag": f"{image}:1.0",
    }
    cli("images", "delete", f"{image}:1.0", "--force-delete-tags", "--quiet")
    received_all = receiver.wait_for(3)
    assert sorted(json.dumps(each.event.get_data()) for each in received_all[1:]) == [
        json.dumps({"action": "DELETE", "digest": f"{image}@{small_image.digest}"}),
        json.dumps({"action": "DELETE", "tag": f"{image}:1.0"}),
    ]
    listed = cli("notifications", "deliveries", "list", "hook", "--format", "json", *of).document
    assert listed[0]["messageId"] == received.id
    shown = cli(*group, "describe", "hook", *of).out
    assert receiver.url in shown
    everything = shown + cli(*group, "list", "--format", "json", *of).out
    assert "whsec" not in everything
    assert secret.removeprefix("whsec_") not in everything + server.log.read_text()


def test_a_test_tells_what_was_answered(cli: CommandLine, receiver: Receiver) -> None:
    of = ("--project", "tried")
    group = ("notifications", "subscriptions")
    cli("projects", "create", "tried")
    endpoint = ("--push-endpoint", receiver.url)
    create = ("create", "hook", "--topic", "findings", *endpoint, "--push-format", "binary")
    secret = secret_in(cli(*group, *create, *of).out)
    receiver.replies = [Reply(500, body=b"out of \x1b[1morder"), Reply(200, body=b"thanks")]
    said = cli(*group, "test", "hook", *of, status=1)
    assert "500 out of [1morder" in said.out
    assert "200 thanks" in cli(*group, "test", "hook", *of).out
    assert receiver.received[-1].headers["ce-type"] == "customhouse.ping.v1"
    Webhook(secret).verify(receiver.received[-1].body, receiver.received[-1].headers)
    dead = cli("notifications", "deliveries", "list", "hook", "--state", "dead", *of)
    assert dead.row("DEAD", "500")
    assert "--dead-letters" in dead.err
    assert "0 to be sent" in cli(*group, "replay", "hook", "--dead-letters", *of).out
    new = secret_in(cli(*group, "rotate-secret", "hook", "--overlap", "1h", *of).out)
    cli(*group, "test", "hook", *of)
    for key in (secret, new):
        receiver.received[-1].verify(key)


def test_update_and_delete(cli: CommandLine, receiver: Receiver) -> None:
    of = ("--project", "changed")
    group = ("notifications", "subscriptions")
    cli("projects", "create", "changed")
    endpoint = ("--push-endpoint", receiver.url)
    more = ("--max-delivery-attempts", "5", "--min-retry-delay", "30s", "--labels", "team=web")
    cli(*group, "create", "hook", "--topic", "gcr", *endpoint, *more, *of)
    cli(*group, "update", "hook", "--message-filter", 'attributes.action = "DELETE"', *of)
    cli(*group, "update", "hook", "--push-format", "pubsub", "--max-retry-delay", "1h", *of)
    cli(*group, "update", "hook", "--push-endpoint", f"{receiver.url}/new", "--pause", *of)
    found = cli(*group, "describe", "hook", "--format", "json", *of).document
    assert found["pushConfig"] == {"pushEndpoint": f"{receiver.url}/new", "pubsubWrapper": {}}
    assert found["filter"] == 'attributes.action = "DELETE"'
    assert found["deadLetterPolicy"] == {"maxDeliveryAttempts": 5}
    assert found["retryPolicy"] == {"minimumBackoff": "30s", "maximumBackoff": "3600s"}
    assert found["labels"] == {"team": "web"}
    assert found["state"] == "PAUSED"
    said = cli(*group, "test", "hook", *of, status=1)
    assert "--resume" in said.err
    cli(*group, "update", "hook", "--resume", *of)
    cli(*group, "test", "hook", *of)
    assert json.loads(receiver.received[-1].body)["subscription"].endswith("/hook")
    cli(*group, "delete", "hook", "--quiet", *of)
    cli(*group, "describe", "hook", *of, status=4)


def test_mistakes(cli: CommandLine) -> None:
    of = ("--project", "mistaken-hooks")
    cli("projects", "create", "mistaken-hooks")
    create = ("notifications", "subscriptions", "create", "hook", *of, "--topic")
    to = "--push-endpoint"
    for endpoint, word in (
        ("http://169.254.169.254/latest", "link-local"),
        ("http://[fd00:ec2::254]/", "link-local"),
        ("https://ana:secret@example.com/", "credentials"),
        ("ftp://example.com/", "no http"),
    ):
        said = cli(*create, "gcr", to, endpoint, status=1)
        assert word in said.err
        assert "secret@" not in said.err
    assert "topic" in cli(*create, "nothing", to, "https://example.com", status=4).err
    filtered = ("--message-filter", "attributes.x ~ 1")
    assert "filter" in cli(*create, "gcr", to, "https://example.com", *filtered, status=1).err
