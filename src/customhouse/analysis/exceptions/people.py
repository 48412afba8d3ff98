"""Exceptions that people make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import update as update_rows

from customhouse.analysis.exceptions.model import (
    Origin,
    Place,
    VulnerabilityException,
    invalid,
)
from customhouse.analysis.exceptions.table import EXCEPTION, get, put
from customhouse.analysis.feeds.texts import plain
from customhouse.analysis.vex import purls
from customhouse.analysis.vex.statement import MAX_TEXT, Assessment, Justification, name_of
from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.names import project_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from customhouse.database import Transaction

DAY: Final = 24 * 3600 * 1_000_000
"""A day in microseconds."""

_MAX_PACKAGE: Final = 512
_MAX_PACKAGES: Final = 100


def create(
    tx: Transaction,
    place: Place,
    vulnerability: str,
    *,
    owner: str,
    reason: str,
    packages: Sequence[str] = (),
    justification: Justification | None = None,
    expires_at: int | None = None,
    longest: int = 0,
    at: int | None = None,
) -> VulnerabilityException:
    """Make a person's exception.

    With a justification it says that the image is not affected, without one that the risk is
    accepted.

    Args:
        tx: the transaction.
        place: what it is about.
        vulnerability: a name of the vulnerability.
        owner: who makes it.
        reason: why.
        packages: the names or package URLs of the only packages that are meant.
        justification: why there is no risk.
        expires_at: when it ends.
        longest: how many days an exception may last; 0 for any number.
        at: the present time.

    Raises:
        Failure: EXCEPTION_INVALID.
    """
    at = now() if at is None else at
    name = name_of(vulnerability)
    if not name:
        raise invalid(f"{vulnerability[:100]!r} is no name of a vulnerability, as CVE-2024-1234")
    if len(packages) > _MAX_PACKAGES:
        raise invalid(f"it names more than {_MAX_PACKAGES} packages")
    for package in packages:
        if not _is_package(package):
            raise invalid(f"{package[:100]!r} is neither a package's name nor a package URL")
    _check_expiry(expires_at, at, at, longest)
    made = VulnerabilityException(
        place=place,
        names=(name,),
        packages=tuple(dict.fromkeys(packages)),
        assessment=Assessment.NOT_AFFECTED if justification else Assessment.ACCEPTED,
        justification=justification,
        reason=_checked_reason(reason),
        action="",
        owner=owner,
        origin=Origin.USER,
        source="",
        author="",
        stated_at=at,
        expires_at=expires_at,
    )
    (number,) = put(tx, [made], at)
    return get(tx, place.project, number)


def update(
    tx: Transaction,
    project: str,
    number: int,
    *,
    reason: str | None = None,
    expires_at: int | None = None,
    is_endless: bool = False,
    longest: int = 0,
    at: int | None = None,
) -> VulnerabilityException:
    """Change the reason or the end of a person's exception; what is None stays.

    Args:
        tx: the transaction.
        project: the project as it stands in image names.
        number: of the exception.
        reason: the new reason.
        expires_at: the new end. One that has ended counts again.
        is_endless: that it shall have no end.
        longest: how many days an exception may last from when it was made; 0 for any number.
        at: the present time.

    Raises:
        Failure: EXCEPTION_UNKNOWN, EXCEPTION_INVALID.
    """
    at = now() if at is None else at
    known = get(tx, project, number)
    if known.origin is not Origin.USER:
        raise invalid("it is what a document says; revoke it, and make one of your own")
    if known.revoked_at is not None:
        raise invalid("it is revoked; make a new one")
    values: dict[str, Any] = {"updated_at": at}
    if reason is not None:
        values["reason"] = _checked_reason(reason)
    if expires_at is not None or is_endless:
        _check_expiry(expires_at, at, known.created_at, longest)
        values["expires_at"] = expires_at
    tx.execute(update_rows(EXCEPTION).where(EXCEPTION.c.id == number).values(values))
    return get(tx, project, number)


def revoke(
    tx: Transaction, project: str, number: int, by: str, at: int | None = None
) -> VulnerabilityException:
    """Let an exception count no longer; it stays readable.

    Raises:
        Failure: EXCEPTION_UNKNOWN; EXCEPTION_REVOKED, if it was already.
    """
    at = now() if at is None else at
    if get(tx, project, number).revoked_at is not None:
        raise Failure(Code.EXCEPTION_REVOKED, exception=number, project=project_id(project))
    tx.execute(
        update_rows(EXCEPTION)
        .where(EXCEPTION.c.id == number)
        .values(revoked_at=at, revoked_by=by, updated_at=at)
    )
    return get(tx, project, number)


def _is_package(text: str) -> bool:
    if not 0 < len(text) <= _MAX_PACKAGE or not text.isprintable() or " " in text:
        return False
    return not text.startswith("pkg:") or purls.parse(text) is not None


def _checked_reason(reason: str) -> str:
    kept = plain(reason, MAX_TEXT)
    if not kept:
        raise invalid("it has no reason")
    if len(reason.strip().encode(errors="replace")) > MAX_TEXT:
        raise invalid(f"its reason has more than {MAX_TEXT} bytes")
    return kept


def _check_expiry(expires_at: int | None, at: int, since: int, longest: int) -> None:
    if expires_at is None:
        if longest:
            raise invalid(f"it has no end, and must have one within {longest} days")
        return
    if expires_at <= at:
        raise invalid("it would have ended already")
    if longest and expires_at > since + longest * DAY:
        raise invalid(f"it would last longer than {longest} days")
