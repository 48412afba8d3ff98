"""Rows: engines, transactions and how statements are run. Nothing here knows a table.

Functions that read or write take the transaction first: `tags.put(tx, repository, tag)`. Which
thread runs them, on which connection, and when it is committed is decided here alone.
"""

from customhouse.database.engine import Database, Transaction
from customhouse.database.loop import LoopDatabase
from customhouse.database.prepared import Prepared
from customhouse.database.schema import (
    METADATA,
    Name,
    among,
    insert,
    insert_many,
    lock,
    now,
    upsert,
)

__all__ = [
    "METADATA",
    "Database",
    "LoopDatabase",
    "Name",
    "Prepared",
    "Transaction",
    "among",
    "insert",
    "insert_many",
    "lock",
    "now",
    "upsert",
]
