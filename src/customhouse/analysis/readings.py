"""Readings of layers: a layer is read once, whatever number of images hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, bindparam, select

from customhouse.analysis.layers import READER_VERSION, LayerReading, decode, encode
from customhouse.database import METADATA, Name, Prepared, now, upsert

if TYPE_CHECKING:
    from customhouse.database import Transaction

LAYER_READING = Table(
    "layer_reading",
    METADATA,
    Column("digest", Name, primary_key=True),
    Column("reader", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("read_at", BigInteger, nullable=False),
)

_FIND = Prepared(
    select(LAYER_READING.c.body).where(
        LAYER_READING.c.digest == bindparam("digest"),
        LAYER_READING.c.reader == bindparam("reader"),
        LAYER_READING.c.read_at >= bindparam("since"),
    )
)


def find(tx: Transaction, digest: str, since: int = 0) -> LayerReading | None:
    """The reading of a layer by the present reader, of this time or later, or None."""
    row = _FIND.first(tx, digest=digest, reader=READER_VERSION, since=since)
    return None if row is None else decode(row[0])


def put(tx: Transaction, digest: str, reading: LayerReading) -> None:
    """Keep the reading of a layer."""
    values = {
        "digest": digest,
        "reader": READER_VERSION,
        "body": encode(reading),
        "read_at": now(),
    }
    upsert(tx, LAYER_READING, ["digest"], [values])
