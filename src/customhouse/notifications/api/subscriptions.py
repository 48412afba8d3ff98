"""Topics and subscriptions over REST, as Google's Pub/Sub v1 has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query

from customhouse.errors import Code, Failure
from customhouse.iam.api.documents import Document
from customhouse.iam.api.guard import permitted
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, listing
from customhouse.iam.permissions import Permission
from customhouse.names import project_name
from customhouse.notifications import addresses, deliveries, documents, subscriptions, topics

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase, Transaction
    from customhouse.notifications.subscriptions import Subscription
    from customhouse.notifications.topics import Topic
    from customhouse.settings import NotificationSettings

_PROJECT = "/v1/projects/{project}"
_ONE = _PROJECT + "/subscriptions/{subscription}"


def _needs(permission: Permission) -> Any:
    return Depends(permitted(permission, "project"))


def router(database: LoopDatabase, settings: NotificationSettings) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["notifications"])

    @routes.get(f"{_PROJECT}/topics", dependencies=[_needs(Permission.TOPICS_LIST)])
    async def list_topics(project: str) -> dict[str, Any]:
        """Every topic; they are the same in every project."""
        return {"topics": [_topic(project, topic) for topic in topics.TOPICS.values()]}

    @routes.get(f"{_PROJECT}/topics/{{topic}}", dependencies=[_needs(Permission.TOPICS_GET)])
    async def get_topic(project: str, topic: str) -> dict[str, Any]:
        """One topic."""
        return _topic(project, topics.parse(project_name(project), topic))

    @routes.get(
        f"{_PROJECT}/topics/{{topic}}/subscriptions",
        dependencies=[_needs(Permission.TOPICS_GET)],
    )
    async def list_topic_subscriptions(
        project: str,
        topic: str,
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)] = "",
    ) -> dict[str, Any]:
        """The names of a topic's subscriptions, in order."""
        name, count, after = project_name(project), count_of(page_size), key_of(page_token)
        wanted = topics.parse(name, topic).id
        found = await database.read(subscriptions.page, name, after, count + 1, wanted)
        return listing(
            "subscriptions", found, count, lambda each: each.full_name, lambda each: each.name
        )

    @routes.get(f"{_PROJECT}/subscriptions", dependencies=[_needs(Permission.SUBSCRIPTIONS_LIST)])
    async def list_subscriptions(
        project: str,
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)] = "",
    ) -> dict[str, Any]:
        """The subscriptions of a project, in order of their names."""
        count, after = count_of(page_size), key_of(page_token)
        found = await database.read(subscriptions.page, project_name(project), after, count + 1)
        return listing("subscriptions", found, count, documents.to_json, lambda each: each.name)

    @routes.put(
        _ONE,
        dependencies=[
            _needs(Permission.TOPICS_ATTACH),
            _needs(Permission.SUBSCRIPTIONS_CREATE),
        ],
    )
    async def create_subscription(
        project: str, subscription: str, document: Document
    ) -> dict[str, Any]:
        """Create a subscription. Its secret is in this answer and in no other."""
        wanted = documents.new(project_name(project), subscription, document)
        addresses.check_url(wanted.endpoint, allow_private=settings.allow_private)
        secret = await database.write(subscriptions.create, wanted)
        made = await database.read(subscriptions.get, wanted.project, wanted.name)
        return documents.to_json(made) | {"signingSecret": secret}

    @routes.get(_ONE, dependencies=[_needs(Permission.SUBSCRIPTIONS_GET)])
    async def get_subscription(project: str, subscription: str) -> dict[str, Any]:
        """One subscription."""
        found = await database.read(subscriptions.get, project_name(project), subscription)
        return documents.to_json(found)

    @routes.patch(_ONE, dependencies=[_needs(Permission.SUBSCRIPTIONS_UPDATE)])
    async def update_subscription(
        project: str, subscription: str, document: Document
    ) -> dict[str, Any]:
        """Change what `updateMask` names; the state ACTIVE resumes it."""
        name = project_name(project)
        return documents.to_json(
            await database.write(_update, name, subscription, document, settings)
        )

    @routes.delete(_ONE, dependencies=[_needs(Permission.SUBSCRIPTIONS_DELETE)])
    async def delete_subscription(project: str, subscription: str) -> dict[str, Any]:
        """Delete a subscription, with what was to be delivered."""
        await database.write(deliveries.unsubscribe, project_name(project), subscription)
        return {}

    @routes.post(f"{_ONE}:rotateSecret", dependencies=[_needs(Permission.SUBSCRIPTIONS_UPDATE)])
    async def rotate_secret(project: str, subscription: str, document: Document) -> dict[str, Any]:
        """Replace the secret; for `overlapSeconds`, a day by default, both sign."""
        overlap = document.get("overlapSeconds", subscriptions.OVERLAP_SECONDS)
        if not isinstance(overlap, int) or not 0 <= overlap <= 30 * 24 * 3600:
            reason = "overlapSeconds is a number of seconds, at most 30 days"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        name = project_name(project)
        secret = await database.write(subscriptions.rotate_secret, name, subscription, overlap)
        found = await database.read(subscriptions.get, name, subscription)
        return documents.to_json(found) | {"signingSecret": secret}

    return routes


def _update(
    tx: Transaction,
    project: str,
    name: str,
    document: dict[str, Any],
    settings: NotificationSettings,
) -> Subscription:
    changed = documents.changed(subscriptions.get(tx, project, name, hold=True), document)
    addresses.check_url(changed.endpoint, allow_private=settings.allow_private)
    return subscriptions.update(tx, changed)


def _topic(project: str, topic: Topic) -> dict[str, Any]:
    return {
        "name": topics.name(project, topic.id),
        "type": topic.type,
        "description": topic.description,
    }
