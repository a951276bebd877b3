"""What happened to one account or to all, newest first: orders, refusals, trades, closes, liquidations, funding, balances.

All of it is in the journal, and read from there, a page at a time: a page begins where the one before ended, and rows are
found by their number in the stream, or in the whole journal, so no question hangs on what Postgres believes of a table. An
order that ended is described by its row in ``bulkhead.intent``, as the fact of its end has its id alone.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg
from psycopg.rows import dict_row

from actors.core import fact_codec
from actors.core.errors import BadInput, StateCorrupt
from actors.core.names import shown
from actors.core.units import AccountId, Symbol
from actors.persistence.archive import tables
from actors.persistence.connection import one_moment
from actors.persistence.history_records import HistoryKind, Record, facts_of, records_of
from actors.persistence.journal import SHARD
from actors.persistence.sql import HAS_ACCOUNT

Connection = psycopg.Connection[Any]

LIMIT_MAX = 10_000

AT_ONCE = 2_000
"""Rows of the journal that one statement looks at."""

LOOKED_AT_MAX = 100_000
"""Rows that one page looks at; a page that found too few by then says where the next one begins."""

CLOCK_MAY_LAG_MS = 60_000
"""Rows are looked for so much earlier and later than asked: the wall clock may have been set."""

END = 2**62


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; empty or None is all. Times in Unix milliseconds, ``to_ms`` not included."""

    account_id: AccountId | None = None
    symbol: Symbol | None = None
    kinds: frozenset[HistoryKind] = frozenset()
    from_ms: int = 0
    to_ms: int = END


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Records, newest first; ``next`` is given as ``before`` to go on, None when there are no more.

    ``archived`` says what of the time is not in the journal any more; None where all of it is.
    """

    records: tuple[Record, ...]
    next: str | None = None
    archived: str | None = None


class _Row(NamedTuple):
    position: int
    stream: str
    number: int
    wall_ms: int
    cause: str
    version: int
    facts: bytes


class Refused(NamedTuple):
    """A command that an account refused, which is no row of the journal; ``line`` is its number in the audit."""

    line: int
    record: Record


Refusals = Callable[[Wanted, int | None], Iterator[Refused]]
"""Those that are wanted, newest first, from before a line."""


class _Place(NamedTuple):
    """Strictly before the fact of that number in the row of that position, and before that line of the audit."""

    position: int
    part: int
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.position}-{self.part}" + ("" if self.line is None else f"-{self.line}")


def page(
    connection: Connection,
    wanted: Wanted,
    limit: int,
    before: str | None = None,
    refused: Refusals = lambda _wanted, _line: iter(()),
) -> Page:
    """One page.

    Args:
        connection: may be read-only.
        wanted: what is asked for.
        limit: at most so many records, 1 to ``LIMIT_MAX``.
        before: ``next`` of the page before.
        refused: gives what accounts refused.

    Raises:
        BadInput: no such account, times the wrong way round, a limit or ``before`` that cannot be; says what would do.
    """
    if wanted.from_ms >= wanted.to_ms:
        raise BadInput("the begin of the time is not before its end; give the earlier one as the begin")
    if not 1 <= limit <= LIMIT_MAX:
        raise BadInput(f"limit {limit} is not between 1 and {LIMIT_MAX:,}")
    place = None if before is None else place_of(before)
    with one_moment(connection):
        connection.execute("SET LOCAL enable_seqscan = off")
        if wanted.account_id is not None:
            check_account(connection, wanted.account_id)
        decided = _Reading(connection, wanted, place).decided(limit)
        archived = tables.said(connection, wanted.account_id, wanted.from_ms)
    others = refused(wanted, place.line if place is not None else None)
    found = _merged(decided, others, place or _Place(END, 0), limit)
    return msgspec.structs.replace(found, archived=archived)


class _Decided(NamedTuple):
    """What the journal has: up to one more than asked for; ``rest`` is where what was not looked at begins, and when."""

    records: list[Record]
    rest: tuple[_Place, int] | None


def _merged(decided: _Decided, refused: Iterator[Refused], place: _Place, limit: int) -> Page:
    """The latest of both first. Of each the page says how far it came, so nothing is told twice, whatever clocks do."""
    found: list[Record] = []
    rows, other = iter(decided.records), next(refused, None)
    row = next(rows, None)
    rest_ms = -1 if decided.rest is None else decided.rest[1]
    while len(found) < limit:
        # What was refused before what was not looked at yet waits for a later page.
        if other is not None and other.record.at_ms >= (rest_ms if row is None else row.at_ms):
            found.append(other.record)
            place, other = place._replace(line=other.line), next(refused, None)
        elif row is not None:
            found.append(row)
            place = _Place(*_parts(row.id), place.line)
            row = next(rows, None)
        else:
            break
    else:
        if row is None and other is None and decided.rest is None:
            return Page(records=tuple(found))
        return Page(records=tuple(found), next=str(place))
    if decided.rest is not None:
        return Page(records=tuple(found), next=str(decided.rest[0]._replace(line=place.line)))
    return Page(records=tuple(found))


def _parts(id_: str) -> tuple[int, int]:
    position, _, part = id_.partition("-")
    return int(position), int(part)


def check_account(connection: Connection, account_id: str) -> None:
    """Raises ``BadInput`` where there is no such account."""
    if connection.execute(HAS_ACCOUNT, (account_id,)).fetchone() is None:
        raise BadInput(f"there is no account {shown(account_id)}; 'bulkhead accounts' lists them")


def place_of(text: str) -> _Place:
    """Position and number of an id.

    Raises:
        BadInput: it is none; says what would do.
    """
    numbers = text.split("-")
    if not 2 <= len(numbers) <= len(_Place._fields) or not all(n.isascii() and n.isdigit() for n in numbers):  # noqa: PLR2004
        raise BadInput(f"before: {shown(text)} is no place in a history; give 'next' of the page before")
    if max(map(len, numbers)) > len(str(END)) or max(map(int, numbers)) > END:
        raise BadInput(f"before: {shown(text)} is behind all that can be; give 'next' of the page before")
    return _Place(*map(int, numbers))


class _Reading:
    """Reads one page, backwards."""

    def __init__(self, connection: Connection, wanted: Wanted, before: _Place | None) -> None:
        self._connection, self._wanted, self._before = connection, wanted, before
        self._stream = wanted.account_id
        self._patterns = [f'%"fact":"{name}"%'.encode() for name in facts_of(wanted.kinds)]

    def decided(self, limit: int) -> _Decided:
        """At most one more than asked for, so that it is known whether there are more."""
        first, last = self._ends()
        begin = self._first_since(first, last + 1, self._wanted.from_ms - CLOCK_MAY_LAG_MS)
        end = self._first_since(begin, last + 1, self._wanted.to_ms + CLOCK_MAY_LAG_MS)
        if self._before is not None:
            end = min(end, self._number_before(self._before))
        found: list[Record] = []
        stop = max(begin, end - LOOKED_AT_MAX)
        for high in range(end, stop, -AT_ONCE):
            end = max(stop, high - AT_ONCE)
            found += self._records(self._rows(end, high))
            if len(found) > limit:
                return _Decided(found[: limit + 1], None)
        rest = (_Place(self._position_of(end), 0), self._wall_ms(end)) if end > begin else None
        return _Decided(found, rest)

    # -- rows, by their number in the stream, or by their position in the journal

    def _ends(self) -> tuple[int, int]:
        """The first and the last number; 0 and -1 of nothing."""
        if self._stream is None:
            row = self._connection.execute(JOURNAL_ENDS, (SHARD, SHARD)).fetchone()
        else:
            row = self._connection.execute(STREAM_ENDS, (self._stream, self._stream)).fetchone()
        return (0, -1) if row is None or row[0] is None else (row[0], row[1])

    def _first_since(self, low: int, high: int, wall_ms: int) -> int:
        """By halves, the first number from ``low`` on whose row is of that time or later."""
        return low + bisect_left(range(low, high), wall_ms, key=self._wall_ms)

    def _wall_ms(self, number: int) -> int:
        if self._stream is None:
            row = self._connection.execute(TIME_IN_JOURNAL, (SHARD, number)).fetchone()
        else:
            row = self._connection.execute(TIME_IN_STREAM, (self._stream, number)).fetchone()
        return -1 if row is None else int(row[0])

    def _number_before(self, place: _Place) -> int:
        """Behind the last row that may have what comes before a place."""
        if place.position >= END:
            return END
        its_own = 1 if place.part else 0
        if self._stream is None:
            return place.position + its_own
        row = self._connection.execute(SEQUENCE_OF, (SHARD, place.position, self._stream)).fetchone()
        if row is None:
            raise BadInput(
                f"before: {place.position}-{place.part} is no place in the history of {self._stream}; give 'next' of the "
                "page before"
            )
        return int(row[0]) + its_own

    def _position_of(self, number: int) -> int:
        if self._stream is None:
            return number
        row = self._connection.execute(POSITION_OF, (self._stream, number)).fetchone()
        return number if row is None else int(row[0])

    def _rows(self, low: int, high: int) -> list[_Row]:
        """Newest first; of those that may have what is wanted."""
        if self._stream is None:
            rows = self._connection.execute(OF_ALL, (SHARD, low, high, self._patterns))
        else:
            rows = self._connection.execute(OF_ONE, (self._stream, low, high, self._patterns))
        return [_Row(*row) for row in rows.fetchall()]

    # -- records

    def _records(self, rows: Sequence[_Row]) -> list[Record]:
        wanted = self._wanted
        made = [
            r for row in rows if wanted.from_ms <= row.wall_ms < wanted.to_ms for r in self._records_of(row)
        ]
        made = described(self._connection, made)
        return [r for r in made if self._is_wanted(r)]

    def _records_of(self, row: _Row) -> Iterator[Record]:
        of_it = (row.position, row.stream, row.wall_ms, row.cause)
        try:
            made = records_of(*of_it, fact_codec.decode(row.version, bytes(row.facts)))
        except StateCorrupt as error:
            yield Record.unreadable(*of_it, str(error))
            return
        for record in reversed(made):
            if self._before is None or (row.position, record.part) < self._before[:2]:
                yield record

    def _is_wanted(self, record: Record) -> bool:
        if record.kind is HistoryKind.UNREADABLE:
            return True
        if self._wanted.kinds and not record.kinds & self._wanted.kinds:
            return False
        return self._wanted.symbol is None or record.symbol == self._wanted.symbol


def described(connection: Connection, records: Sequence[Record]) -> list[Record]:
    """The same with what became of orders, and with what ended ones were."""
    ids = {r.client_order_id for r in records if r.needs_order}
    if not ids:
        return list(records)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = {row["client_order_id"]: row for row in cursor.execute(ORDERS, ([*ids], [*ids])).fetchall()}
    return [
        r.with_order(found[r.client_order_id]) if r.needs_order and r.client_order_id in found else r
        for r in records
    ]


JOURNAL_ENDS: LiteralString = """
    SELECT (SELECT position FROM bulkhead.journal WHERE shard = %s ORDER BY shard, position LIMIT 1),
        (SELECT position FROM bulkhead.journal WHERE shard = %s ORDER BY shard DESC, position DESC LIMIT 1)"""

STREAM_ENDS: LiteralString = """
    SELECT (SELECT sequence FROM bulkhead.journal WHERE stream = %s ORDER BY stream, sequence LIMIT 1),
        (SELECT sequence FROM bulkhead.journal WHERE stream = %s ORDER BY stream DESC, sequence DESC LIMIT 1)"""

TIME_IN_JOURNAL: LiteralString = "SELECT wall_ms FROM bulkhead.journal WHERE shard = %s AND position = %s"
TIME_IN_STREAM: LiteralString = "SELECT wall_ms FROM bulkhead.journal WHERE stream = %s AND sequence = %s"

SEQUENCE_OF: LiteralString = """
    SELECT sequence FROM bulkhead.journal WHERE shard = %s AND position = %s AND stream = %s"""
POSITION_OF: LiteralString = "SELECT position FROM bulkhead.journal WHERE stream = %s AND sequence = %s"

OF_ALL: LiteralString = """
    SELECT position, stream, position, wall_ms, cause, version, facts FROM bulkhead.journal
    WHERE shard = %s AND position >= %s AND position < %s AND facts LIKE ANY(%s::bytea[])
        AND NOT starts_with(stream, 'clearing:')
    ORDER BY shard DESC, position DESC"""
OF_ONE: LiteralString = """
    SELECT position, stream, sequence, wall_ms, cause, version, facts FROM bulkhead.journal
    WHERE stream = %s AND sequence >= %s AND sequence < %s AND facts LIKE ANY(%s::bytea[])
    ORDER BY stream DESC, sequence DESC"""

ORDERS: LiteralString = """
    SELECT client_order_id, symbol, side, order_type, quantity, price, purpose, status, filled, end_code, end_reason
    FROM bulkhead.intent WHERE client_order_id = ANY(%s)
    UNION ALL
    SELECT client_order_id, symbol, side, kind, quantity, trigger_price, 'USER', status, 0, NULL, end_reason
    FROM bulkhead.conditional WHERE client_order_id = ANY(%s)"""
