"""What is open now, read from Postgres: working orders and positions of all accounts.

The projected tables answer for accounts whose every decision is projected; for the others, which are few, their states
are folded from the journal, and so are those of all clearings. So an answer is never older than the last commit.

Between two statements of a transaction no more is worked out than one chunk of accounts: Postgres ends one that is idle for
long, and after a crash very many accounts may be behind.

A block is one order at the exchange. Its members' orders are none: what becomes of them their clearing says.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

import psycopg
import structlog

from actors.clearing.state import Block, ClearingState
from actors.core.clearing_facts import BlockFormed, LostOrderBooked
from actors.core.clearing_messages import is_clearing
from actors.core.errors import StateCorrupt
from actors.core.facts import OrderIntended, PositionTakenOver
from actors.core.orders import WorkingOrder
from actors.core.records import Recovery
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol
from actors.persistence.connection import one_moment
from actors.persistence.fleet_loading import all_states
from actors.persistence.journal import EXCHANGE, SHARD, decoded
from actors.persistence.loading import Kept, clearings_of

log = structlog.get_logger("store")

Connection = psycopg.Connection[Any]
Positions = dict[Symbol, Decimal]

SECONDS_10_MS = 15_000
MINUTE_MS = 65_000
"""The exchange's windows of orders, with five seconds for the way there."""


class Books(NamedTuple):
    """Signed positions per symbol: the sum of all accounts, the house, and what traded for members who have not booked it.

    The last is of rounds that are durable: it is on its way to the accounts.
    """

    virtual: Positions
    house: Positions
    in_flight: Positions


class _Behind(NamedTuple):
    """What is not projected yet: the streams of these decisions with their states, and what the decisions were."""

    streams: list[str]
    states: dict[str, Kept]
    rows: list[tuple[str, int, bytes]]


def recovery(connection: Connection) -> Recovery:
    """Orders without an end, and how many may count at the exchange."""
    with one_moment(connection):
        behind = _behind(connection)
        working = [row[0] for row in connection.execute(WORKING_ACCOUNTS, (behind.streams,)).fetchall()]
        states = {**_states(connection, working), **behind.states}
        blocks = _blocks(connection)
        formed = [
            f for f in _facts(r for r in behind.rows if is_clearing(r[0])) if isinstance(f, BlockFormed)
        ]
        in_blocks = {member.client_order_id for fact in formed for member in fact.members}
        times = connection.execute(RECENT_ORDERS, {"members": list(in_blocks)}).fetchone() or (0, 0, 0)
    members = {member.client_order_id for block in blocks for member in block.members}
    own = [order for order in _orders(states.values()) if order.client_order_id not in members]
    sent = [block.working() for block in blocks if block.ended is None]
    return Recovery(working=(*own, *sent), recent=_recent(behind, in_blocks, times))


def _recent(
    behind: _Behind, in_blocks: Collection[ClientOrderId], times: tuple[int, int, int]
) -> tuple[int, int]:
    """How many orders may still count in the exchange's windows: a block is one, its members none.

    Args:
        behind: what is not projected.
        in_blocks: members of blocks in there.
        times: the present in Unix milliseconds, and how many orders that are projected count in either window.
    """
    now_ms, short, long = times
    sent_ms = []
    for fact in _facts(behind.rows):
        if isinstance(fact, BlockFormed):
            sent_ms.append(fact.order.decided_ms)
        elif isinstance(fact, OrderIntended) and fact.client_order_id not in in_blocks:
            sent_ms.append(fact.decided_ms)
        elif isinstance(fact, LostOrderBooked):
            sent_ms.append(fact.placed_ms)
    not_projected = in_windows(sent_ms, now_ms)
    return short + not_projected[0], long + not_projected[1]


def in_windows(decided_ms: Collection[int], now_ms: int) -> tuple[int, int]:
    """How many of these times, in Unix milliseconds, lie in the exchange's windows of ten seconds and of a minute."""
    short = sum(ms > now_ms - SECONDS_10_MS for ms in decided_ms)
    return short, sum(ms > now_ms - MINUTE_MS for ms in decided_ms)


def books(connection: Connection) -> Books:
    """What the books say now."""
    with one_moment(connection):
        found = _projected_books(connection)
    return _added_up(*found)


def books_now(connection: Connection) -> Books:
    """As ``books``, in the caller's transaction, in which nobody else writes or which sees one moment."""
    return _added_up(*_projected_books(connection))


def _projected_books(connection: Connection) -> tuple[Books, _Behind]:
    """The books but for what is not projected, and that."""
    behind = _behind(connection)
    virtual: Positions = dict(connection.execute(POSITIONS_BUT_OF, (behind.streams,)).fetchall())
    house: Positions = dict(connection.execute(HOUSE_POSITIONS).fetchall())
    in_flight = _in_flight(connection)
    return Books(virtual, house, in_flight), behind


def _added_up(projected: Books, behind: _Behind) -> Books:
    virtual, house, in_flight = projected
    for kept in behind.states.values():
        for position in kept.state.positions:
            virtual[position.symbol] = virtual.get(position.symbol, ZERO) + position.quantity
    for fact in _facts(behind.rows):
        if isinstance(fact, PositionTakenOver):
            house[fact.symbol] = house.get(fact.symbol, ZERO) + fact.quantity
        elif isinstance(fact, LostOrderBooked):
            house[fact.symbol] = house.get(fact.symbol, ZERO) + fact.position
    return Books(*({s: q for s, q in found.items() if q} for found in (virtual, house, in_flight)))


def _in_flight(connection: Connection) -> Positions:
    """Parts of rounds that their members have not booked: their keys are not there, and keys come with the commit."""
    parts = {
        (block.formed.order.symbol, round_.round_id, part.client_order_id): (
            part.quantity * block.formed.order.side.sign
        )
        for block in _blocks(connection)
        for round_ in block.rounds
        for part in round_.allocations
    }
    if not parts:
        return {}
    symbols, ids, members = ([*column] for column in zip(*parts, strict=True))
    found: Positions = {}
    for symbol, id_, member in connection.execute(UNBOOKED, (symbols, ids, members, EXCHANGE)).fetchall():
        found[symbol] = found.get(symbol, ZERO) + parts[symbol, id_, member]
    return found


def ended_members(connection: Connection, state: ClearingState) -> tuple[ClientOrderId, ...]:
    """Of a clearing's blocks, the members whose orders have ended in their accounts: nobody asks for them any more."""
    account_of = {m.client_order_id: m.account_id for block in state.blocks for m in block.members}
    if not account_of:
        return ()
    with one_moment(connection):
        behind = _behind(connection)
        ended = connection.execute(ENDED_ORDERS, (list(account_of), behind.streams)).fetchall()
    found = {ClientOrderId(row[0]) for row in ended}
    for id_, account_id in account_of.items():
        kept = behind.states.get(account_id)
        if kept is not None and kept.state.order(id_) is None:
            found.add(id_)
    return tuple(id_ for id_ in account_of if id_ in found)


def _blocks(connection: Connection) -> list[Block]:
    """Those of all clearings that are not forgotten."""
    kept = clearings_of(connection, failed=_unreadable)
    return [block for stream in sorted(kept) for block in kept[stream].state.blocks]


def known_orders(connection: Connection, ids: Collection[ClientOrderId]) -> set[ClientOrderId]:
    """Which of some client order ids have an intent, of an account or of a block, or are booked to the house."""
    with one_moment(connection):
        known = {row[0] for row in connection.execute(KNOWN_ORDERS, {"ids": list(ids)}).fetchall()}
        behind = connection.execute(BEHIND, {"shard": SHARD}).fetchall()
    facts = list(_facts(behind))
    known |= {fact.client_order_id for fact in facts if isinstance(fact, OrderIntended)}
    known |= {fact.order.client_order_id for fact in facts if isinstance(fact, BlockFormed)}
    known |= {fact.client_order_id for fact in facts if isinstance(fact, LostOrderBooked)}
    return known.intersection(ids)


def account_ids(connection: Connection) -> list[AccountId]:
    """All accounts of the database, those too that no engine runs because the platform took their rows away."""
    return [AccountId(row[0]) for row in connection.execute(ACCOUNT_IDS).fetchall()]


def _behind(connection: Connection) -> _Behind:
    found = connection.execute(BEHIND, {"shard": SHARD}).fetchall()
    streams = sorted({row[0] for row in found if not is_clearing(row[0])})
    return _Behind(streams, _states(connection, streams), found)


def _states(connection: Connection, streams: list[str]) -> dict[str, Kept]:
    """Of the moment that the caller's transaction sees, which workers with other connections would not."""
    return all_states(connection, "", streams, _unreadable, workers=0)


def _unreadable(stream: str, error: Exception) -> None:
    log.error("a stream cannot be read; what it has open is not counted", stream=stream, error=str(error))


def _facts(rows: Iterable[tuple[str, int, bytes]]) -> Iterable[Any]:
    for stream, version, data in rows:
        try:
            yield from decoded(stream, version, data)
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

ACCOUNT_IDS: LiteralString = "SELECT account_id FROM bulkhead.account"

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
    LEFT JOIN LATERAL (
        SELECT decided_ms FROM bulkhead.intent i
        WHERE decided_ms > now_ms - 65000 AND status <> 'NEVER_SENT' AND client_order_id <> ALL(%(members)s)
            AND NOT EXISTS (SELECT FROM bulkhead.block_member m WHERE m.client_order_id = i.client_order_id)
        UNION ALL
        SELECT formed_ms FROM bulkhead.block WHERE formed_ms > now_ms - 65000 AND status <> 'NEVER_SENT'
    ) AS sent ON true
    GROUP BY now_ms"""
"""Of the projected orders and blocks, those that the exchange may still count; NULL decided_ms is of no order.

``members`` are in blocks that are not projected yet."""

UNBOOKED: LiteralString = """
    SELECT asked.symbol, asked.id, asked.member
    FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS asked (symbol, id, member)
    LEFT JOIN bulkhead.trade_key k ON k.exchange = %s AND k.symbol = asked.symbol AND k.trade_id = asked.id
        AND k.member = asked.member
    WHERE k.trade_id IS NULL"""
"""Which of these keys are not there."""

ENDED_ORDERS: LiteralString = """
    SELECT client_order_id FROM bulkhead.intent
    WHERE client_order_id = ANY(%s) AND status NOT IN ('INTENDED', 'ACKNOWLEDGED') AND account_id <> ALL(%s)"""
