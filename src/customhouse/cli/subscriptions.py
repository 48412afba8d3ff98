"""`customhouse notifications subscriptions`: endpoints that are told of messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cyclopts import App

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import (
    DurationOption,
    FormatOption,
    ProjectOption,
    QuietOption,
    chosen,
)
from customhouse.cli.output import Format, ask, notes, print_json, print_table, safe
from customhouse.cli.push_options import PushOptions, format_of
from customhouse.cli.resources import everything, print_fields
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

app = App(name="subscriptions", help="Endpoints that are told of a topic's messages.")

_USUAL = PushOptions()
_POLL_SECONDS = 0.2
_TEST_SECONDS = 150.0


@app.command
def create(
    subscription: str,
    /,
    *,
    topic: str,
    push_endpoint: str,
    options: PushOptions = _USUAL,
    project: ProjectOption = "",
    format_: FormatOption = Format.TABLE,
) -> None:
    """Have messages of a topic sent to an endpoint. Prints the secret that signs them, this once.

    Args:
        subscription: A name for it.
        topic: The topic: gcr or findings.
        push_endpoint: The http or https URL that messages are posted to.
        options: How and how often.
        project: The project.
        format_: How to print.
    """
    name = chosen(project)
    body = options.fields() | {"pushConfig": options.push_config(push_endpoint, {})}
    body["topic"] = topic if "/" in topic else f"projects/{name}/topics/{topic}"
    with Client(credentials.current()) as client:
        made = client.request("PUT", path(project, subscription), json=body).json()
    if format_ is Format.JSON:
        print_json(made)
        return
    print(f"Created subscription [{subscription}].")
    print(f"Secret (shown this once): {made['signingSecret']}")
    notes().print(
        f"Try it out: customhouse notifications subscriptions test {subscription} --project {name}",
        markup=False,
        soft_wrap=True,
    )


@app.command(name="list")
def list_(*, project: ProjectOption = "", format_: FormatOption = Format.TABLE) -> None:
    """List the subscriptions of a project.

    Args:
        project: The project.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        where = f"/v1/projects/{quote(chosen(project), safe='')}/subscriptions"
        found = everything(client, where, "subscriptions")
    if format_ is Format.JSON:
        print_json(found)
        return
    rows = [
        [
            last(each),
            each["topic"].rpartition("/")[2],
            each["state"],
            each["pushConfig"]["pushEndpoint"],
            each.get("filter", ""),
        ]
        for each in found
    ]
    print_table(["SUBSCRIPTION!", "TOPIC", "STATE", "ENDPOINT", "FILTER"], rows)


@app.command
def describe(
    subscription: str, /, *, project: ProjectOption = "", format_: FormatOption = Format.TABLE
) -> None:
    """Show a subscription.

    Args:
        subscription: Its name.
        project: The project.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        found = client.get(path(project, subscription)).json()
    print_fields(_fields(found), format_, found)


@app.command
def update(
    subscription: str,
    /,
    *,
    push_endpoint: str = "",
    options: PushOptions = _USUAL,
    pause: bool = False,
    resume: bool = False,
    project: ProjectOption = "",
) -> None:
    """Change what is named; everything else stays as it is.

    Args:
        subscription: Its name.
        push_endpoint: The URL.
        options: How and how often.
        pause: Let messages wait.
        resume: Send what has waited.
        project: The project.
    """
    if pause and resume:
        raise Failure(Code.USAGE_INVALID, reason="--pause and --resume exclude each other")
    body = options.fields()
    if pause or resume:
        body["state"] = "PAUSED" if pause else "ACTIVE"
    has_push = bool(push_endpoint or options.push_format)
    if not body and not has_push:
        raise Failure(Code.USAGE_INVALID, reason="nothing was named to change")
    mask = [name for name in body if name != "retryPolicy"]
    mask += [f"retryPolicy.{name}" for name in body.get("retryPolicy", {})]
    where = path(project, subscription)
    with Client(credentials.current()) as client:
        if has_push:
            known = client.get(where).json()["pushConfig"]
            body["pushConfig"] = options.push_config(push_endpoint, known)
            mask.append("pushConfig")
        document = {"subscription": body, "updateMask": ",".join(mask)}
        client.request("PATCH", where, json=document)
    print(f"Updated subscription [{subscription}].")


@app.command
def delete(
    subscription: str, /, *, project: ProjectOption = "", quiet: QuietOption = False
) -> None:
    """Delete a subscription, with the messages that wait for it.

    Args:
        subscription: Its name.
        project: The project.
        quiet: Do not ask.
    """
    where = path(project, subscription)
    question = f"Delete subscription [{safe(subscription)}], with the messages that wait for it"
    if not ask(question, quiet=quiet):
        raise SystemExit(1)
    with Client(credentials.current()) as client:
        client.request("DELETE", where)
    print(f"Deleted subscription [{subscription}].")


@app.command(name="test")
def send_test(
    subscription: str, /, *, project: ProjectOption = "", format_: FormatOption = Format.TABLE
) -> None:
    """Send a message that says nothing, once, and show what the endpoint answers.

    Args:
        subscription: Its name.
        project: The project.
        format_: How to print.
    """
    deadline = time.monotonic() + _TEST_SECONDS
    with Client(credentials.current()) as client:
        found = client.request("POST", f"{path(project, subscription)}:test").json()
        while found["state"] == "PENDING" and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            found = client.get(f"/v1/{found['name']}").json()
    if format_ is Format.JSON:
        print_json(found)
    elif found["state"] == "PENDING":
        print("Nothing was answered yet.")
    else:
        print(f"The endpoint answered: {safe(answered(found))}")
    if found["state"] != "DELIVERED":
        raise SystemExit(1)


@app.command
def replay(
    subscription: str,
    /,
    *,
    since: str | None = None,
    message: str | None = None,
    dead_letters: bool = False,
    project: ProjectOption = "",
) -> None:
    """Have messages sent again, each with the identifier that it had.

    Args:
        subscription: Its name.
        since: All that were published since a time, as 2026-01-31T12:00:00Z.
        message: The one with this identifier.
        dead_letters: Those that were given up.
        project: The project.
    """
    wanted = {"time": since, "messageId": message, "deadLetters": dead_letters}
    body = {name: value for name, value in wanted.items() if value}
    if len(body) != 1:
        reason = "name one of --since, --message and --dead-letters"
        raise Failure(Code.USAGE_INVALID, reason=reason)
    with Client(credentials.current()) as client:
        where = f"{path(project, subscription)}:replay"
        count = client.request("POST", where, json=body).json()["replayed"]
    print(f"{count:,} to be sent again by subscription [{subscription}].")


@app.command
def rotate_secret(
    subscription: str,
    /,
    *,
    overlap: DurationOption = None,
    project: ProjectOption = "",
    format_: FormatOption = Format.TABLE,
) -> None:
    """Replace the secret that signs messages. Prints the new one, this once.

    Args:
        subscription: Its name.
        overlap: For how long both sign; 24h by default.
        project: The project.
        format_: How to print.
    """
    body = {} if overlap is None else {"overlapSeconds": overlap}
    with Client(credentials.current()) as client:
        where = f"{path(project, subscription)}:rotateSecret"
        made = client.request("POST", where, json=body).json()
    if format_ is Format.JSON:
        print_json(made)
    else:
        print(f"Secret (shown this once): {made['signingSecret']}")


def path(project: str, subscription: str) -> str:
    """Where the API has a subscription."""
    name = quote(chosen(project), safe="")
    return f"/v1/projects/{name}/subscriptions/{quote(subscription, safe='')}"


def last(thing: Mapping[str, Any]) -> str:
    """The last part of a thing's name."""
    return str(thing["name"].rpartition("/")[2])


def answered(delivery: Mapping[str, Any]) -> str:
    """The last answer to a delivery, as people read it."""
    answer = delivery["answer"]
    status = str(answer["status"] or "")
    return f"{status} {answer['text']}".strip()


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    push, retry = found["pushConfig"], found["retryPolicy"]
    return {
        "name": found["name"],
        "topic": found["topic"],
        "endpoint": push["pushEndpoint"],
        "format": format_of(push),
        "filter": found.get("filter", ""),
        "attempts": found["deadLetterPolicy"]["maxDeliveryAttempts"],
        "backoff": f"{retry['minimumBackoff']} to {retry['maximumBackoff']}",
        "labels": ",".join(f"{key}={text}" for key, text in found.get("labels", {}).items()),
        "state": found["state"],
        "reason": found.get("stateReason", ""),
        "created": found["createTime"],
    }
