"""The API: Pub/Sub's forms, pages, masks; and that a secret is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.notifications.receiver import Reply, receiving
from tests.support.administration import Administration

if TYPE_CHECKING:
    from tests.support.servers import CustomhouseServer

ENDPOINT = "https://receiver.example.com/hook"


class Project:
    """A project's part of the API."""

    def __init__(self, server: CustomhouseServer, name: str) -> None:
        self.server, self.name = server, name
        Administration(server).project(name)

    def call(
        self, method: str, path: str, document: object = None, **query: Any
    ) -> httpx2.Response:
        """Call it."""
        url = f"{self.server.url}/v1/projects/{self.name}/{path}"
        return httpx2.request(method, url, json=document, params=query, auth=self.server.auth)

    def create(self, name: str, endpoint: str = ENDPOINT, **more: object) -> dict[str, Any]:
        """Create a subscription of the topic `gcr`."""
        topic = f"projects/{self.name}/topics/gcr"
        body = {"topic": topic, "pushConfig": {"pushEndpoint": endpoint}, **more}
        answer = self.call("PUT", f"subscriptions/{name}", body)
        assert answer.is_success, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def patch(self, name: str, mask: str, **wanted: object) -> httpx2.Response:
        """Change one."""
        body = {"subscription": wanted, "updateMask": mask}
        return self.call("PATCH", f"subscriptions/{name}", body)


def test_a_subscription_as_pubsub_has_it(server: CustomhouseServer) -> None:
    project = Project(server, "forms")
    made = project.create("sub", labels={"team": "web"}, filter='attributes.action = "INSERT"')
    secret = made.pop("signingSecret")
    assert secret.startswith("whsec_")
    assert made.pop("createTime")
    assert made == {
        "name": "projects/forms/subscriptions/sub",
        "topic": "projects/forms/topics/gcr",
        "pushConfig": {"pushEndpoint": ENDPOINT},
        "filter": 'attributes.action = "INSERT"',
        "deadLetterPolicy": {"maxDeliveryAttempts": 10},
        "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "21600s"},
        "labels": {"team": "web"},
        "state": "ACTIVE",
    }
    found = project.call("GET", "subscriptions/sub")
    assert found.json().items() >= made.items()
    texts = [found.text, project.call("GET", "subscriptions").text]
    texts.append(project.patch("sub", "labels", labels={}).text)
    texts.append(project.call("PUT", "subscriptions/sub", {"topic": "gcr"}).text)
    rotated = project.call("POST", "subscriptions/sub:rotateSecret", {}).json()["signingSecret"]
    assert rotated != secret
    texts.append(project.call("GET", "subscriptions/sub").text)
    texts.append(server.log.read_text())
    texts.append(project.call("GET", "auditLogs").text)
    assert "CreateSubscription" in texts[-1]
    for key in (secret, rotated):
        assert not [text for text in texts if key.removeprefix("whsec_") in text]


def test_pages(server: CustomhouseServer) -> None:
    project = Project(server, "pages")
    for number in range(5):
        project.create(f"sub-{number}")
    for path in ("subscriptions", "topics/gcr/subscriptions"):
        first = project.call("GET", path, pageSize=3).json()
        token = first["nextPageToken"]
        second = project.call("GET", path, pageSize=3, pageToken=token).json()
        assert len(first["subscriptions"]) == 3
        assert len(second["subscriptions"]) == 2
        assert "nextPageToken" not in second
    assert project.call("GET", "topics/findings/subscriptions").json() == {"subscriptions": []}
    assert len(project.call("GET", "topics").json()["topics"]) == 2
    project.call("POST", "subscriptions/sub-0:test")
    project.call("POST", "subscriptions/sub-0:test")
    path = "subscriptions/sub-0/deliveries"
    first = project.call("GET", path, pageSize=1).json()
    second = project.call("GET", path, pageSize=1, pageToken=first["nextPageToken"]).json()
    names = [page["deliveries"][0]["name"] for page in (first, second)]
    assert len(set(names)) == 2
    assert project.call("GET", path, pageToken="eA==").status_code == 400
    assert project.call("GET", path, state="LOST").status_code == 400
    assert project.call("GET", names[0].partition("pages/")[2]).json()["name"] == names[0]


def test_a_change_is_what_the_mask_names(server: CustomhouseServer) -> None:
    project = Project(server, "masks")
    project.create("sub", labels={"a": "b"}, filter="attributes:action")
    changed = project.patch(
        "sub",
        "retryPolicy.minimumBackoff,filter",
        retryPolicy={"minimumBackoff": "1.5s", "maximumBackoff": "2s"},
        labels={},
    ).json()
    assert changed["retryPolicy"] == {"minimumBackoff": "1.5s", "maximumBackoff": "21600s"}
    assert "filter" not in changed
    assert changed["labels"] == {"a": "b"}
    moved = project.patch("sub", "pushConfig", pushConfig={"noWrapper": {}}).json()
    assert moved["pushConfig"] == {"pushEndpoint": ENDPOINT, "noWrapper": {}}
    paused = project.patch("sub", "state", state="PAUSED").json()
    assert paused["stateReason"]
    assert project.call("POST", "subscriptions/sub:test").status_code == 412
    assert "stateReason" not in project.patch("sub", "state", state="ACTIVE").json()


@pytest.mark.parametrize(
    "more",
    [
        {"pushConfig": {}},
        {"pushConfig": {"pushEndpoint": 7}},
        {"pushConfig": {"pushEndpoint": "http://169.254.169.254/"}},
        {"pushConfig": {"pushEndpoint": ENDPOINT, "oidcToken": {}}},
        {"pushConfig": {"pushEndpoint": ENDPOINT, "noWrapper": {}, "pubsubWrapper": {}}},
        {"bigqueryConfig": {}},
        {"enableMessageOrdering": True},
        {"deadLetterPolicy": {"deadLetterTopic": "x"}},
        {"deadLetterPolicy": {"maxDeliveryAttempts": 0}},
        {"deadLetterPolicy": {"maxDeliveryAttempts": True}},
        {"deadLetterPolicy": {"maxDeliveryAttempts": 10**30}},
        {"retryPolicy": {"minimumBackoff": "1m"}},
        {"retryPolicy": {"minimumBackoff": "20s", "maximumBackoff": "10s"}},
        {"retryPolicy": {"maximumBackoff": "999999s"}},
        {"retryPolicy": []},
        {"labels": {"a": 1}},
        {"labels": {"": "x"}},
        {"filter": "nonsense"},
        {"state": "LOST"},
    ],
    ids=str,
)
def test_what_is_refused(server: CustomhouseServer, more: dict[str, Any]) -> None:
    path = f"{server.url}/v1/projects/refused/subscriptions/sub"
    body = {"topic": "gcr", "pushConfig": {"pushEndpoint": ENDPOINT}} | more
    answer = httpx2.put(path, json=body, auth=server.auth)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"time": "yesterday"},
        {"time": 7},
        {"time": "99999-01-01T00:00:00Z"},
        {"messageId": ""},
        {"deadLetters": False},
        {"deadLetters": True, "messageId": "x"},
    ],
    ids=str,
)
def test_what_cannot_be_replayed(server: CustomhouseServer, body: dict[str, Any]) -> None:
    path = f"{server.url}/v1/projects/refused/subscriptions/sub:replay"
    assert httpx2.post(path, json=body, auth=server.auth).status_code == 400


def test_replay(server: CustomhouseServer) -> None:
    project = Project(server, "replayed")
    with receiving() as receiver:
        receiver.replies = [Reply(500)]
        project.create("sub", receiver.url, deadLetterPolicy={"maxDeliveryAttempts": 1})
        Administration(server).call("POST", "/v1/projects/replayed/subscriptions/sub:test")
        receiver.wait_for(1)
        replay = "subscriptions/sub:replay"
        # A message that only tried the endpoint out is not sent again.
        assert project.call("POST", replay, {"time": "2020-01-01T00:00:00Z"}).json() == {
            "replayed": 0
        }
        assert project.call("POST", replay, {"messageId": "msg_x"}).status_code == 404
