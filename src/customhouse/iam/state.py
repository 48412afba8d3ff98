"""One number that grows with every change of who may do what.

What processes remember of accounts, groups, roles and policies is remembered for one value of it:
a change counts for every request that begins after it was committed, in every process.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Integer, Table

from customhouse.database import METADATA, insert

if TYPE_CHECKING:
    from customhouse.database import Transaction

IAM_STATE = Table(
    "iam_state",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("generation", BigInteger, nullable=False),
)


# By how much the number grows at most.
_STEP = 1 << 20


def bump(tx: Transaction) -> None:
    """Say that something has changed, in the transaction that changes it."""
    # A number that is taken back with its transaction must not come again for another change:
    # what was remembered while it stood would count for that one.
    step = 1 + secrets.randbelow(_STEP)
    statement = insert(tx, IAM_STATE).values(id=1, generation=step)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=[IAM_STATE.c.id], set_={"generation": IAM_STATE.c.generation + step}
        )
    )
