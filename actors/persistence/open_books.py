"""What is open now, read from Postgres: working orders and positions of all accounts.

The projected tables answer for accounts whose every decision is projected; for the others, which are few, their states
are folded from the journal. So an answer is never older than the last commit.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

import psycopg
import structlog

from actors.core import clearing_fact_codec, fact_codec
from actors.core.clearing_facts import BlockFormed
from actors.core.clearing_messages import is_clearing
from actors.core.errors import StateCorrupt
from actors.core.facts import OrderIntended, PositionTakenOver
from actors.core.orders import WorkingOrder
from actors.core.records import Recovery
from actors.core.units import ZERO, ClientOrderId, Symbol
from actors.persistence.connection import one_moment
from actors.persistence.journal import SHARD
from actors.persistence.loading import Kept, states_of

log = structlog.get_logger("store")

Connection = psycopg.Connection[Any]
Positions = dict[Symbol, Decimal]

SECONDS_10_MS = 15_000
MINUTE_MS = 65_000
"""The exchange's windows of orders, with five seconds for the way there."""


class _Behind(NamedTuple):
    """What is not projected yet: the streams of these decisions with their states, and what the decisions were."""

    streams: list[str]
    states: dict[str, Kept]
    rows: list[tuple[int, bytes]]


def recovery(connection: Connection) -> Recovery:
    """Orders without an end, and how many may count at the exchange."""
    with one_moment(connection):
        behind = _behind(connection)
        working = [row[0] for row in connection.execute(WORKING_ACCOUNTS, (behind.streams,)).fetchall()]
        states = {**states_of(connection, working, _unreadable), **behind.states}
        now_ms, short, long = connection.execute(RECENT_ORDERS).fetchone() or (0, 0, 0)
        for fact in _facts(behind.rows):
            if isinstance(fact, OrderIntended):
                short += fact.decided_ms > now_ms - SECONDS_10_MS
                long += fact.decided_ms > now_ms - MINUTE_MS
    return Recovery(working=tuple(_orders(states.values())), recent=(short, long))


def books(connection: Connection) -> tuple[Positions, Positions]:
    """Signed positions per symbol: the sum of all accounts, and the house."""
    with one_moment(connection):
        behind = _behind(connection)
        virtual: Positions = dict(connection.execute(POSITIONS_BUT_OF, (behind.streams,)).fetchall())
        for kept in behind.states.values():
            for position in kept.state.positions:
                virtual[position.symbol] = virtual.get(position.symbol, ZERO) + position.quantity
        house: Positions = dict(connection.execute(HOUSE_POSITIONS).fetchall())
        for fact in _facts(behind.rows):
            if isinstance(fact, PositionTakenOver):
                house[fact.symbol] = house.get(fact.symbol, ZERO) + fact.quantity
    return {s: q for s, q in virtual.items() if q}, {s: q for s, q in house.items() if q}


def known_orders(connection: Connection, ids: Collection[ClientOrderId]) -> set[ClientOrderId]:
    """Which of some client order ids have an intent, of an account or of a block."""
    with one_moment(connection):
        known = {row[0] for row in connection.execute(KNOWN_ORDERS, {"ids": list(ids)}).fetchall()}
        behind = connection.execute(BEHIND, {"shard": SHARD}).fetchall()
    own = ((version, data) for stream, version, data in behind if not is_clearing(stream))
    known |= {fact.client_order_id for fact in _facts(own) if isinstance(fact, OrderIntended)}
    for stream, version, data in behind:
        if is_clearing(stream):
            formed = (f for f in clearing_fact_codec.decode(version, data) if isinstance(f, BlockFormed))
            known |= {fact.order.client_order_id for fact in formed}
    return known.intersection(ids)


def _behind(connection: Connection) -> _Behind:
    found = connection.execute(BEHIND, {"shard": SHARD}).fetchall()
    streams = sorted({row[0] for row in found})
    states = states_of(connection, streams, _unreadable)
    return _Behind(streams, states, [(row[1], row[2]) for row in found])


def _unreadable(stream: str, error: Exception) -> None:
    log.error("an account cannot be read; what it has open is not counted", account=stream, error=str(error))


def _facts(rows: Iterable[tuple[int, bytes]]) -> Iterable[Any]:
    for version, data in rows:
        try:
            yield from fact_codec.decode(version, data)
        except StateCorrupt as error:
            log.warning("a decision in the journal cannot be read", error=str(error))


def _orders(states: Iterable[Kept]) -> Iterable[WorkingOrder]:
    for kept in sorted(states, key=lambda kept: kept.state.account_id):
        yield from kept.state.orders


BEHIND: LiteralString = """
    SELECT j.stream, j.version, j.facts FROM bulkhead.journal j
    WHERE j.shard = %(shard)s AND j.position > (SELECT position FROM bulkhead.projection WHERE shard = %(shard)s)
    UNION ALL
    SELECT j.stream, j.version, j.facts FROM bulkhead.parked p
    JOIN bulkhead.journal j ON j.stream = p.stream AND j.sequence >= p.sequence
    WHERE j.position <= (SELECT position FROM bulkhead.projection WHERE shard = %(shard)s)"""
"""Decisions that the projected tables do not have: behind the cursor, and of streams that were parked."""

WORKING_ACCOUNTS: LiteralString = """
    SELECT DISTINCT account_id FROM bulkhead.intent
    WHERE status IN ('INTENDED', 'ACKNOWLEDGED') AND account_id <> ALL(%s)"""

KNOWN_ORDERS: LiteralString = """
    SELECT client_order_id FROM bulkhead.intent WHERE client_order_id = ANY(%(ids)s)
    UNION ALL
    SELECT client_order_id FROM bulkhead.block WHERE client_order_id = ANY(%(ids)s)"""

POSITIONS_BUT_OF: LiteralString = """
    SELECT symbol, sum(quantity) FROM bulkhead.position WHERE account_id <> ALL(%s) GROUP BY symbol"""

HOUSE_POSITIONS: LiteralString = "SELECT symbol, quantity FROM bulkhead.house_position"

RECENT_ORDERS: LiteralString = """
    SELECT now_ms, count(*) FILTER (WHERE decided_ms > now_ms - 15000), count(decided_ms)
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) AS clock
    LEFT JOIN bulkhead.intent ON decided_ms > now_ms - 65000 AND status <> 'NEVER_SENT'
    GROUP BY now_ms"""
"""Of the projected orders, those that the exchange may still count; NULL decided_ms is of no order."""
