"""`customhouse notifications`: who is told of what happens to images, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from cyclopts import App

from customhouse.cli import credentials, subscriptions
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, ProjectOption, chosen
from customhouse.cli.output import Format, notes, print_json, print_table
from customhouse.cli.resources import everything, moment, moment_cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

app = App(name="notifications", help="Who is told of what happens to images.")
topics = App(name="topics", help="What there is to be told of.")
deliveries = App(name="deliveries", help="What became of each message.")
app.command(topics)
app.command(subscriptions.app)
app.command(deliveries)


@topics.command(name="list")
def list_topics(*, project: ProjectOption = "", format_: FormatOption = Format.TABLE) -> None:
    """List the topics, which are the same in every project.

    Args:
        project: The project.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        path = f"/v1/projects/{quote(chosen(project), safe='')}/topics"
        found = everything(client, path, "topics")
    if format_ is Format.JSON:
        print_json(found)
    else:
        rows = [[subscriptions.last(each), each["type"], each["description"]] for each in found]
        print_table(["TOPIC!", "TYPE!", "DESCRIPTION"], rows)


@deliveries.command(name="list")
def list_deliveries(
    subscription: str,
    /,
    *,
    state: Literal["pending", "delivered", "dead"] | None = None,
    project: ProjectOption = "",
    format_: FormatOption = Format.TABLE,
) -> None:
    """List the messages of a subscription, the oldest first, each with its last answer.

    Args:
        subscription: Its name.
        state: Only those that wait, were taken, or were given up.
        project: The project.
        format_: How to print.
    """
    with Client(credentials.current()) as client:
        path = f"{subscriptions.path(project, subscription)}/deliveries"
        wanted = {"state": state.upper()} if state else {}
        found = everything(client, path, "deliveries", **wanted)
    if format_ is Format.JSON:
        print_json(found)
        return
    if not found:
        notes().print("There are none.")
        return
    columns = ["MESSAGE!", "PUBLISHED!", "STATE!", "ANSWER"]
    print_table(columns, [_row(each) for each in found])
    if any(each["state"] == "DEAD" for each in found):
        command = "customhouse notifications subscriptions replay"
        notes().print(
            f"Have the dead letters sent again: {command} {subscription} --dead-letters"
            f" --project {chosen(project)}",
            markup=False,
            soft_wrap=True,
        )


def _row(delivery: Mapping[str, Any]) -> list[str | Text]:
    tries = delivery["attempts"]
    said = [subscriptions.answered(delivery)]
    if tries > 1:
        said.append(f"{tries} tries")
    if delivery["state"] == "PENDING" and tries:
        said.append(f"next {moment(delivery['nextAttemptTime'])}")
    return [
        delivery["messageId"],
        moment_cell(delivery["publishTime"]),
        delivery["state"],
        "; ".join(filter(None, said)),
    ]
