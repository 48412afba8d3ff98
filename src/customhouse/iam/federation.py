"""Federation: pools of identities that other issuers vouch for, and the issuers they trust.

Google Cloud's workload identity federation: a project has pools, a pool has providers, and a
token of a provider's issuer is exchanged (RFC 8693, `exchange`) for one of this server.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text, func, select

from customhouse.database import METADATA, Name, insert, lock, now
from customhouse.errors import Code, Failure
from customhouse.iam import state
from customhouse.iam.pools import (
    POOL,
    PROVIDER,
    UNDELETE_DAYS,
    Pool,
    Provider,
    checked_pool,
    checked_provider,
)
from customhouse.iam.projects import ACTIVE, PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Row

    from customhouse.database import Transaction


def _common() -> list[Column[Any]]:
    return [
        Column("display_name", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("is_disabled", Boolean, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("deleted_at", BigInteger),
    ]


IDENTITY_POOL = Table(
    "identity_pool",
    METADATA,
    Column("project", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    *_common(),
    Index("ix_identity_pool_deleted_at", "deleted_at"),
)
IDENTITY_PROVIDER = Table(
    "identity_provider",
    METADATA,
    Column("project", Name, primary_key=True),
    Column("pool", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("issuer", Text, nullable=False),
    # JSON: a list of texts, an object of texts.
    Column("audiences", Text, nullable=False),
    Column("attribute_mapping", Text, nullable=False),
    Column("attribute_condition", Text, nullable=False),
    # A JWK Set where the issuer cannot be reached; empty where its keys are fetched.
    Column("jwks", Text, nullable=False),
    *_common(),
    Index("ix_identity_provider_deleted_at", "deleted_at"),
)

_MICROSECONDS_A_DAY = 24 * 3600 * 1_000_000
_MAX_POOLS = 100
_MAX_PROVIDERS = 50
_PRINCIPAL = re.compile(
    r"principal://iam\.googleapis\.com/projects/([0-9]{1,18})/locations/global"
    r"/workloadIdentityPools/([a-z0-9-]{4,32})/subject/."
)
_KINDS = {IDENTITY_POOL.name: POOL, IDENTITY_PROVIDER.name: PROVIDER}


def create_pool(tx: Transaction, pool: Pool) -> Pool:
    """Create a pool in a project that is there; its times are set here.

    Raises:
        Failure: THING_INVALID, THING_EXISTS.
    """
    made = replace(checked_pool(pool), created_at=now(), deleted_at=None)
    _insert(tx, IDENTITY_POOL, made, IDENTITY_POOL.c.project == pool.project, _MAX_POOLS)
    return made


def get_pool(tx: Transaction, project: str, pool: str) -> Pool:
    """A pool, also a deleted one.

    Raises:
        Failure: THING_UNKNOWN.
    """
    row = tx.execute(select(IDENTITY_POOL).where(_is_pool(project, pool))).one_or_none()
    if row is None:
        raise _unknown(IDENTITY_POOL, pool)
    return _pool(row)


def page_pools(
    tx: Transaction, project: str, after: str, count: int, *, deleted: bool = False
) -> list[Pool]:
    """The first `count` pools of a project after `after`, in order, perhaps with deleted ones."""
    owner = IDENTITY_POOL.c.project == project
    return [_pool(row) for row in _page(tx, IDENTITY_POOL, owner, after, count, deleted=deleted)]


def patch_pool(tx: Transaction, project: str, pool: str, changes: Mapping[str, Any]) -> Pool:
    """Change fields of a pool, other than its names and times, by the names they have in `Pool`.

    Raises:
        Failure: THING_UNKNOWN, THING_INVALID.
    """
    lock(tx, f"{POOL}s of {project}")
    changed = checked_pool(replace(get_pool(tx, project, pool), **changes))
    _update(tx, IDENTITY_POOL, _is_pool(project, pool), pool, _row(changed))
    return changed


def set_pool_deleted(tx: Transaction, project: str, pool: str, *, deleted: bool) -> Pool:
    """Delete a pool, whose identities may do nothing then, or have it back within thirty days.

    Raises:
        Failure: THING_UNKNOWN, also when it is deleted already, or is not.
    """
    values = {"deleted_at": now() if deleted else None}
    _update(tx, IDENTITY_POOL, _is_pool(project, pool), pool, values, deleted=not deleted)
    return get_pool(tx, project, pool)


def create_provider(tx: Transaction, provider: Provider) -> Provider:
    """Create a provider in a pool; its times are set here.

    Raises:
        Failure: THING_UNKNOWN if there is no such pool, THING_INVALID, THING_EXISTS.
    """
    checked = checked_provider(provider)
    if get_pool(tx, provider.project, provider.pool).deleted_at is not None:
        raise _unknown(IDENTITY_POOL, provider.pool)
    made = replace(checked, created_at=now(), deleted_at=None)
    owner = _is_in(provider.project, provider.pool)
    _insert(tx, IDENTITY_PROVIDER, made, owner, _MAX_PROVIDERS)
    return made


def get_provider(tx: Transaction, project: str, pool: str, provider: str) -> Provider:
    """A provider, also a deleted one.

    Raises:
        Failure: THING_UNKNOWN.
    """
    where = _is_provider(project, pool, provider)
    row = tx.execute(select(IDENTITY_PROVIDER).where(where)).one_or_none()
    if row is None:
        raise _unknown(IDENTITY_PROVIDER, provider)
    return _provider(row)


def page_providers(
    tx: Transaction, project: str, pool: str, after: str, count: int, *, deleted: bool = False
) -> list[Provider]:
    """The first `count` providers of a pool after `after`, in order, perhaps with deleted ones."""
    rows = _page(tx, IDENTITY_PROVIDER, _is_in(project, pool), after, count, deleted=deleted)
    return [_provider(row) for row in rows]


def patch_provider(
    tx: Transaction, project: str, pool: str, provider: str, changes: Mapping[str, Any]
) -> Provider:
    """Change fields of a provider, other than its names and times, by their names in `Provider`.

    Raises:
        Failure: THING_UNKNOWN, THING_INVALID.
    """
    lock(tx, f"{PROVIDER}s of {project}")
    changed = checked_provider(replace(get_provider(tx, project, pool, provider), **changes))
    where = _is_provider(project, pool, provider)
    _update(tx, IDENTITY_PROVIDER, where, provider, _row(changed))
    return changed


def set_provider_deleted(
    tx: Transaction, project: str, pool: str, provider: str, *, deleted: bool
) -> Provider:
    """Delete a provider, whose tokens are refused then, or have it back within thirty days.

    Raises:
        Failure: THING_UNKNOWN, also when it is deleted already, or is not.
    """
    values = {"deleted_at": now() if deleted else None}
    _update(
        tx,
        IDENTITY_PROVIDER,
        _is_provider(project, pool, provider),
        provider,
        values,
        deleted=not deleted,
    )
    return get_provider(tx, project, pool, provider)


def is_active(tx: Transaction, principal: str) -> bool:
    """Whether a federated identity counts: its project is active, its pool is there and enabled.

    Args:
        tx: the transaction.
        principal: `principal://iam.googleapis.com/projects/NUMBER/locations/global/...`.
    """
    match = _PRINCIPAL.match(principal)
    if match is None:
        return False
    enabled = (
        select(PROJECT.c.id)
        .join(IDENTITY_POOL, IDENTITY_POOL.c.project == PROJECT.c.id)
        .where(
            PROJECT.c.number == int(match[1]),
            PROJECT.c.state == ACTIVE,
            IDENTITY_POOL.c.id == match[2],
            IDENTITY_POOL.c.is_disabled.is_(False),
            IDENTITY_POOL.c.deleted_at.is_(None),
        )
    )
    return tx.execute(enabled).first() is not None


def delete_within(tx: Transaction, project: str) -> None:
    """Forget every pool and provider of a project at once."""
    tx.execute(IDENTITY_PROVIDER.delete().where(IDENTITY_PROVIDER.c.project == project))
    tx.execute(IDENTITY_POOL.delete().where(IDENTITY_POOL.c.project == project))
    state.bump(tx)


def purge(tx: Transaction, count: int) -> int:
    """Forget up to `count` pools, and as many providers, deleted more than thirty days ago.

    Returns:
        How many pools and providers that were.
    """
    before = now() - UNDELETE_DAYS * _MICROSECONDS_A_DAY
    gone = 0
    for table, name in ((IDENTITY_POOL, _is_pool), (IDENTITY_PROVIDER, _is_provider)):
        keys = tx.execute(
            select(*table.primary_key.columns).where(table.c.deleted_at < before).limit(count)
        ).all()
        for key in keys:
            if table is IDENTITY_POOL:
                tx.execute(IDENTITY_PROVIDER.delete().where(_is_in(*key)))
            tx.execute(table.delete().where(name(*key)))
        gone += len(keys)
    return gone


def _is_pool(project: str, pool: str) -> ColumnElement[bool]:
    return (IDENTITY_POOL.c.project == project) & (IDENTITY_POOL.c.id == pool)


def _is_in(project: str, pool: str) -> ColumnElement[bool]:
    return (IDENTITY_PROVIDER.c.project == project) & (IDENTITY_PROVIDER.c.pool == pool)


def _is_provider(project: str, pool: str, provider: str) -> ColumnElement[bool]:
    return _is_in(project, pool) & (IDENTITY_PROVIDER.c.id == provider)


def _insert(
    tx: Transaction, table: Table, made: Pool | Provider, owner: ColumnElement[bool], most: int
) -> None:
    kind = _KINDS[table.name]
    lock(tx, f"{kind}s of {made.project}")
    if tx.execute(select(func.count()).select_from(table).where(owner)).scalar_one() >= most:
        raise Failure(Code.THING_INVALID, kind=kind, reason=f"there are {most} already")
    if tx.execute(insert(tx, table).on_conflict_do_nothing(), _row(made)).rowcount != 1:
        raise Failure(Code.THING_EXISTS, kind=kind, name=made.id)
    state.bump(tx)


def _update(
    tx: Transaction,
    table: Table,
    where: ColumnElement[bool],
    name: str,
    values: Mapping[str, object],
    *,
    deleted: bool = False,
) -> None:
    at = table.c.deleted_at
    where &= at.is_not(None) if deleted else at.is_(None)
    if tx.execute(table.update().where(where).values(values)).rowcount != 1:
        raise _unknown(table, name)
    state.bump(tx)


def _page(
    tx: Transaction,
    table: Table,
    owner: ColumnElement[bool],
    after: str,
    count: int,
    *,
    deleted: bool,
) -> list[Row[Any]]:
    statement = select(table).where(owner, table.c.id > after).order_by(table.c.id).limit(count)
    if not deleted:
        statement = statement.where(table.c.deleted_at.is_(None))
    return list(tx.execute(statement))


def _pool(row: Row[Any]) -> Pool:
    return Pool(**row._mapping)  # noqa: SLF001  - the documented way to a row's names


def _provider(row: Row[Any]) -> Provider:
    values = dict(row._mapping)  # noqa: SLF001  - the documented way to a row's names
    values["audiences"] = tuple(json.loads(row.audiences))
    values["attribute_mapping"] = json.loads(row.attribute_mapping)
    return Provider(**values)


def _row(thing: Pool | Provider) -> dict[str, object]:
    values = asdict(thing)
    for name in ("audiences", "attribute_mapping"):
        if name in values:
            values[name] = json.dumps(values[name])
    return values


def _unknown(table: Table, name: str) -> Failure:
    return Failure(Code.THING_UNKNOWN, kind=_KINDS[table.name], name=name[:100])
