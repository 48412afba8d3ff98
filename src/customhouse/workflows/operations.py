"""Long-running operations: what was asked for, how far it is, how it ended.

The form is Google's (google/longrunning/operations.proto).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Table, Text, select, update

from customhouse.database import METADATA, Name, now
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from customhouse.database import Transaction

OPERATION = Table(
    "operation",
    METADATA,
    Column("id", Name, primary_key=True),
    Column("kind", Name, nullable=False),
    Column("created_by", Name, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("done", Boolean, nullable=False),
    # JSON objects: what was asked for and how far it is, what came of it, why it failed.
    Column("metadata", Text, nullable=False),
    Column("response", Text),
    Column("error", Text),
)


def new_identifier() -> str:
    """An identifier for an operation, which cannot be guessed."""
    return secrets.token_hex(12)


def create(
    tx: Transaction, identifier: str, kind: str, principal: str, metadata: dict[str, Any]
) -> None:
    """Store a new operation."""
    moment = now()
    tx.execute(
        OPERATION.insert(),
        {
            "id": identifier,
            "kind": kind,
            "created_by": principal,
            "created_at": moment,
            "updated_at": moment,
            "done": False,
            "metadata": _encode(metadata),
        },
    )


def progress(tx: Transaction, identifier: str, /, **metadata: object) -> None:
    """Note how far an operation is, beside what is known of it already."""
    known = _row(tx, identifier)["metadata"]
    _set(tx, identifier, metadata=_encode(known | metadata))


def succeed(tx: Transaction, identifier: str, response: dict[str, Any]) -> None:
    """End an operation well."""
    _set(tx, identifier, done=True, response=_encode(response))


def fail(tx: Transaction, identifier: str, message: str) -> None:
    """End an operation that failed."""
    _set(tx, identifier, done=True, error=_encode({"message": message}))


def get(tx: Transaction, identifier: str) -> dict[str, Any]:
    """An operation in Google's form, as anybody who may see it does.

    Raises:
        Failure: OPERATION_UNKNOWN.
    """
    row = _row(tx, identifier)
    told = {name: value for name, value in row["metadata"].items() if not name.startswith("_")}
    document: dict[str, Any] = {
        "name": f"operations/{identifier}",
        "metadata": told,
        "done": row["done"],
    }
    if row["error"] is not None:
        document["error"] = row["error"] | {"code": 3}  # google.rpc.Code.INVALID_ARGUMENT
    elif row["response"] is not None:
        document["response"] = row["response"]
    return document


def metadata(tx: Transaction, identifier: str) -> dict[str, Any]:
    """All that is known of what was asked for: what begins with an underscore is told to nobody.

    Raises:
        Failure: OPERATION_UNKNOWN.
    """
    known: dict[str, Any] = _row(tx, identifier)["metadata"]
    return known


def _row(tx: Transaction, identifier: str) -> dict[str, Any]:
    row = tx.execute(select(OPERATION).where(OPERATION.c.id == identifier)).mappings().first()
    if row is None:
        raise Failure(Code.OPERATION_UNKNOWN, operation=identifier[:64])
    values = dict(row)
    for name in ("metadata", "response", "error"):
        if values[name] is not None:
            values[name] = msgspec.json.decode(values[name])
    return values


def _set(tx: Transaction, identifier: str, **values: object) -> None:
    tx.execute(
        update(OPERATION).where(OPERATION.c.id == identifier).values(updated_at=now(), **values)
    )


def _encode(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
