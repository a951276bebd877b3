"""The migration to the journal: what earlier versions of the schema kept in tables becomes each account's first fact.

Before version 7 an account's state was spread over tables that were overwritten. Each account of such a database gets one
row in the journal, at the sequence that it had: ``AccountCarried``, its state then. The tables are kept as they were in
the schema ``bulkhead_6``: nothing in the journal says what happened before, and ``bulkhead db rebuild`` begins with them.

I/O: runs SQL on the connection that it is given, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, LiteralString

import msgspec
import psycopg
import structlog
from psycopg import sql

from actors.core import fact_codec
from actors.core.facts import AccountCarried
from actors.limits.model import RiskLimits
from actors.persistence import from_version_6, journal
from actors.persistence.from_version_6 import Loaded, Loader, grouped
from actors.subaccount import state_codec
from actors.subaccount.state import AccountState

log = structlog.get_logger("store")

Connection = psycopg.Connection[Any]

KEPT_IN: LiteralString = "bulkhead_6"
TABLES = (
    "account",
    "position",
    "intent",
    "fill",
    "house_position",
    "account_risk",
    "account_limit",
    "conditional",
    "closed_position",
    "funding",
    "pending_fee",
    "held_until",
)
"""Tables of version 6 that accounts were made of, or that people read of their past."""

CHUNK = 5_000
CAUSE = "migration from schema version 6"


def keep_tables(connection: Connection) -> bool:
    """Keep the tables of version 6 as they are, before they change; whether there was anything to keep."""
    row = connection.execute("SELECT EXISTS (SELECT FROM bulkhead.account)").fetchone()
    if row is None or not row[0]:
        return False
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(KEPT_IN)))
    for table in TABLES:
        copied = sql.SQL("CREATE TABLE {}.{} AS TABLE bulkhead.{}")
        name = sql.Identifier(table)
        connection.execute(copied.format(sql.Identifier(KEPT_IN), name, name))
    return True


def carry(connection: Connection, wall_ms: int, progress: Callable[[int], None] = lambda _count: None) -> int:
    """Write each account's first fact into the empty journal; how many.

    An account whose rows cannot be read gets none: it is out of service until its rows are repaired in ``bulkhead_6`` by
    hand, as before, and the others go on.
    """
    connection.execute(PLATFORM_VALUES)
    end = journal.JournalEnd()
    end.learn(connection, ())
    done = 0
    for states in _chunks(_states(connection)):
        rows = [(s.account_id, s.sequence, wall_ms, CAUSE, _first_fact(s)) for s in states]
        appended = end.opening(rows)
        journal.append(connection, appended, wall_ms)
        end.moved(appended)
        done += len(rows)
        progress(done)
    connection.execute(PROJECTED, (end.last[1], journal.SHARD))
    return done


def _first_fact(state: AccountState) -> bytes:
    carried = AccountCarried(state_codec.VERSION, msgspec.Raw(state_codec.encode(state)))
    return fact_codec.encode((carried,))


def _states(connection: Connection) -> Iterator[AccountState]:
    loader = Loader(RiskLimits())
    found, *others = (connection.execute(statement).fetchall() for statement in from_version_6.LOAD)
    loaded = Loaded(*map(grouped, others))
    for row in found:
        try:
            yield loader.state_of(row, loaded)
        except (ValueError, ArithmeticError) as error:
            log.critical("an account cannot be carried into the journal", account=row[0], error=str(error))


def _chunks(states: Iterable[AccountState]) -> Iterator[list[AccountState]]:
    chunk: list[AccountState] = []
    for state in states:
        chunk.append(state)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


PLATFORM_VALUES: LiteralString = """
    UPDATE bulkhead.account a SET platform_balance = s.current_balance::numeric, platform_status = s.status,
        platform_mode = s.liquidation_mode, platform_rate = s.maintenance_rate::numeric
    FROM sub_accounts s WHERE s.id = a.account_id"""

PROJECTED: LiteralString = "UPDATE bulkhead.projection SET position = %s WHERE shard = %s"
"""The tables have what was carried."""
