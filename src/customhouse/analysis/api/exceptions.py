"""Exceptions over REST: list, make, change and revoke them; hand in what a VEX document says."""

from __future__ import annotations

import asyncio
import datetime
import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from customhouse.analysis import vex
from customhouse.analysis.exceptions import people, statements, table
from customhouse.analysis.exceptions.model import Origin, State, invalid, place_of
from customhouse.analysis.exceptions.model import Query as Wanted
from customhouse.analysis.exceptions.shown import to_json
from customhouse.analysis.exceptions.statements import Source
from customhouse.analysis.feeds.document import MAX_DOCUMENT, TOO_LARGE
from customhouse.analysis.vex.statement import Justification, name_of
from customhouse.analysis.vex.statement import invalid as invalid_document
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.iam.api.documents import Document
from customhouse.iam.api.guard import permitted
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, listing
from customhouse.iam.permissions import Permission, Principal
from customhouse.names import project_name

if TYPE_CHECKING:
    from customhouse.analysis.exceptions.model import VulnerabilityException
    from customhouse.database import LoopDatabase

_MAX_FILTER = 2048
_MAX_NUMBER = 18
_TERM = re.compile(
    r'\s*(?P<field>vulnerability|image|state)\s*=\s*"(?P<value>[^"]*)"\s*(?:AND\b|$)'
)
_MAY_CREATE = Depends(permitted(Permission.EXCEPTIONS_CREATE, "project"))
_MAY_UPDATE = Depends(permitted(Permission.EXCEPTIONS_UPDATE, "project"))
_MAY_DELETE = Depends(permitted(Permission.EXCEPTIONS_DELETE, "project"))


def router(database: LoopDatabase, longest: int) -> APIRouter:
    """The routes.

    Args:
        database: the database.
        longest: how many days an exception may last; 0 for any number.
    """
    routes = APIRouter(tags=["exceptions"])

    @routes.get(
        "/v1/projects/{project}/exceptions",
        dependencies=[Depends(permitted(Permission.EXCEPTIONS_LIST, "project"))],
    )
    async def list_exceptions(
        project: str,
        filter_: Annotated[str, Query(alias="filter", max_length=_MAX_FILTER)] = "",
        page_size: Annotated[int, Query(alias="pageSize", ge=0)] = 0,
        page_token: Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)] = "",
    ) -> dict[str, Any]:
        """The exceptions of a project, those that ended or were revoked too.

        The filter has the form `vulnerability="CVE-2024-1234" AND image="PROJECT/IMAGE@sha256:..."
        AND state="ACTIVE"`; the states are ACTIVE, EXPIRED and REVOKED.
        """
        name = project_name(project)
        wanted = parse_filter(filter_, name)
        count, after = count_of(page_size), _number(key_of(page_token) or "0")
        moment = now()
        found = await database.query(table.page, name, wanted, after, count + 1, moment)
        return listing(
            "exceptions",
            found,
            count,
            lambda each: to_json(each, moment),
            lambda each: str(each.id),
        )

    @routes.get(
        "/v1/projects/{project}/exceptions/{exception}",
        dependencies=[Depends(permitted(Permission.EXCEPTIONS_GET, "project"))],
    )
    async def get_exception(project: str, exception: str) -> dict[str, Any]:
        """One exception."""
        name, number = project_name(project), _known(project, exception)
        found = await database.read(table.get, name, number)
        return to_json(found, now(), len(found.packages))

    @routes.post("/v1/projects/{project}/exceptions")
    async def create_exception(
        request: Request,
        project: str,
        document: Document,
        principal: Annotated[Principal, _MAY_CREATE],
    ) -> dict[str, Any]:
        """Make an exception, which the caller then owns.

        The body has `vulnerability` and `reason`, and may have `image` (`PROJECT/IMAGE[@DIGEST]`;
        none for the whole project), `packages` (names or package URLs), `expireTime`, and
        `justification`: with one it says that nothing is affected, without that the risk is
        accepted.
        """
        word = _text(document, "justification")
        made = await database.write(
            people.create,
            place_of(project_name(project), _text(document, "image")),
            _text(document, "vulnerability"),
            owner=principal.name,
            reason=_text(document, "reason"),
            packages=_texts(document, "packages"),
            justification=_justification(word) if word else None,
            expires_at=_moment(_text(document, "expireTime")),
            longest=longest,
        )
        return _noted(request, made)

    @routes.patch("/v1/projects/{project}/exceptions/{exception}", dependencies=[_MAY_UPDATE])
    async def update_exception(
        request: Request, project: str, exception: str, document: Document
    ) -> dict[str, Any]:
        """Change `reason` or `expireTime` of a person's exception; null takes its end away."""
        name, number = project_name(project), _known(project, exception)
        is_endless = "expireTime" in document and document["expireTime"] is None
        changed = await database.write(
            people.update,
            name,
            number,
            reason=_text(document, "reason") if "reason" in document else None,
            expires_at=None if is_endless else _moment(_text(document, "expireTime")),
            is_endless=is_endless,
            longest=longest,
        )
        return _noted(request, changed)

    @routes.delete("/v1/projects/{project}/exceptions/{exception}")
    async def delete_exception(
        request: Request,
        project: str,
        exception: str,
        principal: Annotated[Principal, _MAY_DELETE],
    ) -> dict[str, Any]:
        """Revoke an exception, or a statement of a document. It stays readable."""
        name, number = project_name(project), _known(project, exception)
        revoked = await database.write(people.revoke, name, number, principal.name)
        return _noted(request, revoked)

    @routes.post("/upload/v1/projects/{project}/exceptions:import")
    async def import_exceptions(
        request: Request,
        project: str,
        principal: Annotated[Principal, _MAY_CREATE],
        image: Annotated[str, Query(max_length=_MAX_FILTER)] = "",
    ) -> dict[str, Any]:
        """Take a VEX document as the body, in place of what it said before.

        With an `image` it is read as being about that, without one its products tell what it is
        about. Answers with how many exceptions were made and how many statements were left out.
        """
        place = place_of(project_name(project), image)
        document = await asyncio.to_thread(vex.parse, await _body(request))
        source = Source(place, Origin.DOCUMENT, principal.name)
        outcome = await database.write(statements.replace, [document], source, now())
        request.scope["customhouse.detail"] = {"document": document.id, "image": str(place)}
        return {
            "document": document.id,
            "author": document.author,
            "exceptions": outcome.stored,
            "skipped": outcome.skipped,
        }

    return routes


def parse_filter(text: str, project: str) -> Wanted:
    """What a filter asks for.

    Raises:
        Failure: REQUEST_INVALID, with the position of what is not understood; EXCEPTION_INVALID.
    """
    found: dict[str, str] = {}
    position = 0
    while text[position:].strip():
        match = _TERM.match(text, position)
        if match is None:
            shown = repr(text[position:][:40])
            reason = f"the filter is not understood at character {position}: {shown}"
            raise Failure(Code.REQUEST_INVALID, reason=reason)
        found[match["field"]] = match["value"]
        position = match.end()
    try:
        state = State(found["state"]) if "state" in found else None
    except ValueError as error:
        reason = "state is ACTIVE, EXPIRED or REVOKED"
        raise Failure(Code.REQUEST_INVALID, reason=reason) from error
    name = found.get("vulnerability", "")
    return Wanted(
        vulnerability=name_of(name) or name,
        place=place_of(project, found["image"]) if "image" in found else None,
        state=state,
    )


def _noted(request: Request, found: VulnerabilityException) -> dict[str, Any]:
    """An exception as it is answered, and as the audit log has it."""
    document = to_json(found, now())
    request.scope["customhouse.detail"] = {"exception": document}
    return document


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_DOCUMENT:
            raise invalid_document(TOO_LARGE)
    return bytes(body)


def _known(project: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_NUMBER:
        raise Failure(Code.EXCEPTION_UNKNOWN, exception=text[:40], project=project)
    return int(text)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_NUMBER:
        raise Failure(Code.REQUEST_INVALID, reason="pageToken is not one that was given out")
    return int(text)


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        raise Failure(Code.REQUEST_INVALID, reason=f"{key} is a text")
    return value


def _texts(document: dict[str, Any], key: str) -> list[str]:
    values = document.get(key, [])
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise Failure(Code.REQUEST_INVALID, reason=f"{key} is a list of texts")
    return values


def _justification(word: str) -> Justification:
    try:
        return Justification(word.upper())
    except ValueError as error:
        words = ", ".join(each.value for each in Justification)
        raise invalid(f"the justification is none of {words}") from error


def _moment(text: str) -> int | None:
    """A time of RFC 3339 in microseconds since 1970; None if there is none."""
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        # One that is out of range in UTC could not be written.
        return int(moment.astimezone(datetime.UTC).timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        reason = "expireTime is a time as 2027-01-31T00:00:00Z"
        raise Failure(Code.REQUEST_INVALID, reason=reason) from error
