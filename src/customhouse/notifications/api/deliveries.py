"""Deliveries over REST: what became of messages, and having them sent again."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from customhouse.errors import Code, Failure
from customhouse.iam.api.documents import Document
from customhouse.iam.api.guard import permitted
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, listing
from customhouse.iam.permissions import Permission
from customhouse.names import project_name
from customhouse.notifications import deliveries, documents, publishing, subscriptions

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase, Transaction
    from customhouse.notifications.deliveries import Delivery
    from customhouse.notifications.subscriptions import Subscription

_ONE = "/v1/projects/{project}/subscriptions/{subscription}"
_STEP = 1000
_DIGITS = 18

Found = tuple["Subscription", list["Delivery"]]


def _needs(permission: Permission) -> Any:
    return Depends(permitted(permission, "project"))


def router(database: LoopDatabase) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["notifications"])

    @routes.get(f"{_ONE}/deliveries", dependencies=[_needs(Permission.SUBSCRIPTIONS_GET)])
    async def list_deliveries(
        project: str,
        subscription: str,
        state: Literal["", "PENDING", "DELIVERED", "DEAD"] = "",
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)] = "",
    ) -> dict[str, Any]:
        """What is and was to be delivered, the oldest first."""
        count, after = count_of(page_size), _number(key_of(page_token) or "0", "pageToken")
        owner, found = await database.query(
            _page, project_name(project), subscription, after, count + 1, state
        )
        return listing(
            "deliveries",
            found,
            count,
            lambda each: documents.delivery_to_json(owner, each),
            lambda each: str(each.number),
        )

    @routes.get(
        f"{_ONE}/deliveries/{{delivery}}", dependencies=[_needs(Permission.SUBSCRIPTIONS_GET)]
    )
    async def get_delivery(project: str, subscription: str, delivery: str) -> dict[str, Any]:
        """One delivery."""
        number = _number(delivery, "the delivery")
        return await database.query(_get, project_name(project), subscription, number)

    @routes.post(f"{_ONE}:test", dependencies=[_needs(Permission.SUBSCRIPTIONS_UPDATE)])
    async def send_ping(project: str, subscription: str) -> dict[str, Any]:
        """Have a message sent, once, that says nothing; its delivery tells what was answered."""
        name = project_name(project)
        number = await database.write(_ping, name, subscription)
        return await database.query(_get, name, subscription, number)

    @routes.post(f"{_ONE}:replay", dependencies=[_needs(Permission.SUBSCRIPTIONS_CONSUME)])
    async def replay(project: str, subscription: str, document: Document) -> dict[str, Any]:
        """Have deliveries sent again: since a `time`, of a `messageId`, or the `deadLetters`."""
        wanted = _wanted(document)
        name = project_name(project)
        owner = await database.read(subscriptions.get, name, subscription)
        count, last = await database.write(deliveries.replay, owner.id, 0, _STEP, **wanted)
        while last:
            more, last = await database.write(deliveries.replay, owner.id, last, _STEP, **wanted)
            count += more
        if not count and "identifier" in wanted:
            raise Failure(Code.THING_UNKNOWN, kind="message", name=wanted["identifier"][:80])
        return {"replayed": count}

    return routes


def _page(tx: Transaction, project: str, name: str, after: int, count: int, state: str) -> Found:
    owner = subscriptions.get(tx, project, name)
    return owner, deliveries.page(tx, owner.id, after, count, state)


def _get(tx: Transaction, project: str, name: str, number: int) -> dict[str, Any]:
    owner = subscriptions.get(tx, project, name)
    return documents.delivery_to_json(owner, deliveries.get(tx, owner.id, number))


def _ping(tx: Transaction, project: str, name: str) -> int:
    owner = subscriptions.get(tx, project, name)
    if owner.state == subscriptions.PAUSED:
        reason = owner.state_reason
        raise Failure(Code.SUBSCRIPTION_PAUSED, subscription=owner.name, reason=reason)
    return publishing.ping(tx, owner)


def _wanted(document: dict[str, Any]) -> dict[str, Any]:
    """What is to be sent again, as `deliveries.replay` takes it.

    Raises:
        Failure: REQUEST_INVALID.
    """
    match document:
        case {"time": str(text), **rest} if not rest:
            return {"since": _microseconds(text)}
        case {"messageId": str(text), **rest} if text and not rest:
            return {"identifier": text}
        case {"deadLetters": True, **rest} if not rest:
            return {"state": deliveries.DEAD}
    reason = "say one of time, messageId and deadLetters"
    raise Failure(Code.REQUEST_INVALID, reason=reason)


def _microseconds(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
        seconds = moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise Failure(Code.REQUEST_INVALID, reason="time is one of RFC 3339") from error
    return max(1, int(seconds * 1_000_000))


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise Failure(Code.REQUEST_INVALID, reason=f"{name} is no number")
    return int(text)
