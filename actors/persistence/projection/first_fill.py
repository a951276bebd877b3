"""Tables that a version of the schema adds begin with what the journal has already, up to where the projection stands.

Each row is what ``bulkhead db rebuild`` would make. A stream that is parked comes as far as its other tables are, and the
projector does the rest of it when it is released.

I/O: runs SQL on the connection that it is given, in the caller's transaction.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, LiteralString

import psycopg

from actors.core.clearing_messages import is_clearing
from actors.core.facts import AnyFact
from actors.persistence import journal
from actors.persistence.journal import SHARD, Entry
from actors.persistence.projection import alerts, ledger
from actors.persistence.projection.alerts import ALERT
from actors.persistence.projection.ledger import LEDGER
from actors.persistence.streams import ACCOUNTS

AT_ONCE = 5_000
"""Rows of the journal that are read at a time."""


def fill(connection: psycopg.Connection[Any]) -> int:
    """Fill ledger and alerts, which are empty; how many rows of the journal were read.

    Raises:
        StateCorrupt: a row of the journal that cannot be read, of an account that is not parked.
    """
    row = connection.execute(journal.PROJECTED + " FOR UPDATE", (SHARD,)).fetchone()
    cursor, last = 0, 0 if row is None else int(row[0])
    parked: dict[str, int] = dict(connection.execute(PARKED).fetchall())
    balances: dict[str, Decimal] = {}
    done = 0
    while cursor < last:
        found = journal.read(connection, cursor, min(AT_ONCE, last - cursor))
        if not found:
            break
        _write(connection, [e for e in found if e.position < parked.get(e.stream, last + 1)], balances)
        cursor, done = found[-1].position, done + len(found)
    return done


def _write(connection: psycopg.Connection[Any], found: list[Entry], balances: dict[str, Decimal]) -> None:
    decided: list[tuple[Entry, tuple[AnyFact, ...]]] = [
        (entry, ACCOUNTS.facts(entry.version, entry.facts))
        for entry in found
        if not is_clearing(entry.stream)
    ]
    with connection.cursor().copy(LEDGER.copy_sql) as copy:
        for entry, facts in decided:
            for row in ledger.rows_of(entry, facts, balances):
                copy.write_row(row)
    with connection.cursor().copy(ALERT.copy_sql) as copy:
        for entry, facts in decided:
            for row in alerts.rows_of(entry, facts):
                copy.write_row(row)


PARKED: LiteralString = "SELECT stream, position FROM bulkhead.parked"
