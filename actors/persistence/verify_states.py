"""What a journal makes, folded stream by stream, beside what the tables behind it say: snapshots and trade keys.

One state is in memory at a time. All streams are folded, and of several faults the one at the lowest position is kept.

I/O: runs SQL on the connection that it is given, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, LiteralString, NamedTuple

import psycopg

from actors.core.errors import StateCorrupt
from actors.core.units import AccountId, Symbol
from actors.persistence.archive.ends import Ends
from actors.persistence.archive.tables import ArchivedStream
from actors.persistence.journal import (
    BY_POSITION,
    ENTRIES,
    EXCHANGE,
    SHARD,
    Entry,
    TradeKey,
    decoded,
    projected,
    trades_of,
)
from actors.persistence.open_books import UNBOOKED
from actors.persistence.streams import kind_of
from actors.persistence.verify_chain import Fault, Wrong
from actors.subaccount.state import AccountState

Connection = psycopg.Connection[Any]

ROWS_A_TIME = 2_000


class Snapshot(NamedTuple):
    """One row of ``bulkhead.snapshot``."""

    sequence: int
    hash: bytes
    version: int
    state: bytes


class States:
    """Folds a journal whose chain is right.

    Args:
        connection: in a transaction that sees one moment.
        on_rows: called with the number of rows, now and then.
        before: where streams stood after what is archived.
        is_whole: every archived row is given to ``archived`` before the fold.
    """

    def __init__(
        self,
        connection: Connection,
        on_rows: Callable[[int], None],
        before: Mapping[str, ArchivedStream] = MappingProxyType({}),
        *,
        is_whole: bool = True,
    ) -> None:
        self._connection, self._on_rows = connection, on_rows
        self._before, self._is_whole = dict(before), is_whole
        self._has_carried = False
        self._has_archived = bool(before)
        self._stream, self._kind, self._state = "", kind_of(""), kind_of("").blank("")
        self._is_broken = False
        self._kept: list[Snapshot] = []
        self._projected = 0
        self._trade_sum = 0
        self.rows = self.trades = self.snapshots = 0
        self.hashes: list[tuple[AccountId, str]] = []
        self.lowest: Fault | None = None

    def archived(self, ends: Ends, rows: Sequence[Entry]) -> None:
        """Fold rows of files whose chain is right, into ``ends``; faults of them are in ``lowest``. Best many at once.

        Raises:
            StateCorrupt: one cannot be folded.
        """
        self._projected = self._projected or projected(self._connection) or 0
        kept = self._snapshots_of({row.stream for row in rows})
        for row in rows:
            for trade in trades_of(ends.add(row)):
                self.trades += 1
                self._trade_sum += hash(trade)
            for snapshot in kept.get(row.stream, ()):
                if snapshot.sequence == row.sequence:
                    self._compare(row, snapshot, ends.hash_of(row.stream))
            if row.position == 1:
                self._has_carried = b"AccountCarried" in row.facts
        self._keys_are_there(rows)
        self.rows += len(rows)
        self._on_rows(self.rows)

    def fold(self) -> Fault | None:
        """Fold everything; the first fault, if there is one."""
        self._projected = projected(self._connection) or 0
        with self._connection.cursor("journal_by_stream", binary=True) as cursor:
            cursor.execute(ROWS_BY_STREAM, (SHARD,))
            while found := cursor.fetchmany(ROWS_A_TIME):
                rows = [Entry(*row) for row in found]
                snapshots = self._snapshots_of({row.stream for row in rows})
                for row in rows:
                    if row.stream != self._stream:
                        self._end()
                        self._begin(row.stream, snapshots.get(row.stream, []))
                    if not self._is_broken:
                        self._apply(row)
                self._keys_are_there(rows)
                self.rows += len(rows)
                self._on_rows(self.rows)
        self._end()
        self._archived_alone()
        lonely = self._connection.execute(LONELY_SNAPSHOT).fetchone()
        if lonely is not None:
            text = f"there is a snapshot of {lonely[0]} at decision {lonely[1]}, and the journal has no row of it"
            self._note(Fault(wrong=Wrong.SNAPSHOT, text=text, stream=lonely[0], sequence=lonely[1]))
        if self.lowest is None:
            self._trades_are_equal()
        return self.lowest

    # -- one stream

    def _begin(self, stream: str, kept: list[Snapshot]) -> None:
        self._stream, self._is_broken = stream, False
        self._kind = kind_of(stream)
        before = self._before.pop(stream, None)
        if before is None:
            self._state = self._kind.blank(stream)
        else:
            self._state = self._kind.decode(before.version, before.state)
            kept = [snapshot for snapshot in kept if snapshot.sequence >= before.sequence]
            while kept and kept[-1].sequence == before.sequence:
                self._compare_end(before, kept.pop())
        self._kept = kept

    def _archived_alone(self) -> None:
        """Streams all of whose rows are archived."""
        names = list(self._before)
        for at in range(0, len(names), ROWS_A_TIME):
            some = names[at : at + ROWS_A_TIME]
            snapshots = self._snapshots_of(set(some))
            for name in some:
                self._begin(name, snapshots.get(name, []))
                self._end()

    def _compare_end(self, before: ArchivedStream, snapshot: Snapshot) -> None:
        """Compare with what the database knows of the last archived row; where that was read ``archived`` has compared it."""
        if self._is_whole:
            return
        last = Entry(
            before.position, before.stream, before.sequence, before.wall_ms, before.cause, 0, b"", before.hash
        )
        self._compare(last, snapshot, self._kind.hash_of(self._state))

    def _apply(self, row: Entry) -> None:
        try:
            facts = self._kind.facts(row.version, row.facts)
            self._state = self._kind.after(self._state, facts, row.sequence)
        except (StateCorrupt, ValueError, ArithmeticError, TypeError) as error:
            self._is_broken = True
            self._note(Fault.of(row, Wrong.UNREADABLE, f"it cannot be folded: {error}"))
            return
        for trade in trades_of(facts):
            self.trades += 1
            self._trade_sum += hash(trade)
        while self._kept and self._kept[-1].sequence == row.sequence:
            self._compare(row, self._kept.pop(), self._kind.hash_of(self._state))

    def _compare(self, row: Entry, snapshot: Snapshot, made: str) -> None:
        self.snapshots += 1
        if snapshot.hash != row.hash:
            self._note(Fault.of(row, Wrong.SNAPSHOT, "the snapshot after it names another hash"))
        if row.position > self._projected:
            text = f"the snapshot after it is ahead of the projection, which is at {self._projected}"
            self._note(Fault.of(row, Wrong.SNAPSHOT, text))
        kind = kind_of(row.stream)
        try:
            state = kind.decode(snapshot.version, snapshot.state)
        except (StateCorrupt, ValueError, ArithmeticError, TypeError) as error:
            self._note(Fault.of(row, Wrong.SNAPSHOT, f"the snapshot after it cannot be read: {error}"))
            return
        kept = kind.hash_of(state)
        if kept != made:
            text = f"the snapshot after it has the state {kept}, and the journal makes {made}"
            self._note(Fault.of(row, Wrong.SNAPSHOT, text))

    def _end(self) -> None:
        if not self._stream or self._is_broken:
            return
        if self._kept:
            sequence = self._kept[-1].sequence
            text = f"there is a snapshot of {self._stream} at decision {sequence}, and the journal has no such decision"
            self._note(Fault(wrong=Wrong.SNAPSHOT, text=text, stream=self._stream, sequence=sequence))
        if isinstance(self._state, AccountState) and self._state.is_undone:
            return  # the platform's again: no engine runs it
        self.hashes.append((AccountId(self._stream), self._kind.hash_of(self._state)))

    def _snapshots_of(self, names: set[str]) -> dict[str, list[Snapshot]]:
        """The newest first: what is next is taken from the end."""
        found: dict[str, list[Snapshot]] = {}
        for stream, *rest in self._connection.execute(SNAPSHOTS, {"streams": list(names)}).fetchall():
            found.setdefault(stream, []).append(Snapshot(*rest))
        return found

    # -- trades

    def _keys_are_there(self, rows: Sequence[Entry]) -> None:
        trades = {trade: row for row in rows for trade in _trades(row)}
        if not trades:
            return
        symbols, ids, members = ([*column] for column in zip(*trades, strict=True))
        lacking = self._connection.execute(UNBOOKED, (symbols, ids, members, EXCHANGE)).fetchall()
        for key in map(TradeKey._make, lacking):
            text = f"it books {_named(key)}, and trade_key does not have it"
            self._note(Fault.of(trades[key], Wrong.TRADES, text))

    def _trades_are_equal(self) -> None:
        """Whether each key is of one booked trade: by count and by a sum of hashes, which nobody can aim at."""
        if not self._is_whole:
            return  # what archived rows book is not known
        earlier = self._connection.execute(EARLIER_FILLS).fetchone()
        has_earlier = earlier is not None and earlier[0] is not None
        if not has_earlier and (self._has_carried or number(self._connection, CARRIED, SHARD)):
            return  # what was booked before the journal began was kept in bulkhead_6, which is not there any more
        count = total = 0
        with self._connection.cursor("trade_keys", binary=True) as cursor:
            cursor.itersize = ROWS_A_TIME
            cursor.execute(KEYS_WITHOUT_EARLIER if has_earlier else KEYS)
            for key in cursor:
                count, total = count + 1, total + hash(key)
        if (count, total) != (self.trades, self._trade_sum):
            if self._has_archived:
                text = f"trade_key has {count} keys, and the rows book {self.trades} trades: one was added or changed"
                self._note(Fault(wrong=Wrong.TRADES, text=text))
            else:
                self._note(self._unequal(has_earlier=has_earlier))

    def _unequal(self, *, has_earlier: bool) -> Fault:
        """The first trade that is booked twice, or whose key is of no booked trade."""
        booked: set[TradeKey] = set()
        with self._connection.cursor("journal_trades", binary=True) as cursor:
            cursor.itersize = ROWS_A_TIME
            cursor.execute(BY_POSITION, (SHARD,))
            for row in map(Entry._make, cursor):
                for trade in _trades(row):
                    if trade in booked:
                        return Fault.of(row, Wrong.TRADES, f"{_named(trade)} was booked before")
                    booked.add(trade)
        keys = self._connection.execute(KEYS_WITHOUT_EARLIER if has_earlier else KEYS).fetchall()
        lonely = min(set(map(TradeKey._make, keys)) - booked, default=TradeKey(Symbol(""), 0, ""))
        return Fault(wrong=Wrong.TRADES, text=f"trade_key has {_named(lonely)}, which no row books")

    # -- inside

    def _note(self, fault: Fault) -> None:
        if self.lowest is None or _place(fault) < _place(self.lowest):
            self.lowest = fault


def number(connection: Connection, query: LiteralString, *values: Any) -> int:
    """The one number of a query; 0 without a row."""
    row = connection.execute(query, values).fetchone()
    return 0 if row is None else int(row[0])


def _place(fault: Fault) -> int:
    return 2**63 if fault.position is None else fault.position


def _named(key: TradeKey) -> str:
    whose = f" (the part of {key.member} in that round)" if key.member else ""
    return f"trade {key.trade_id} of {key.symbol}{whose}"


def _trades(row: Entry) -> list[TradeKey]:
    try:
        return trades_of(decoded(row.stream, row.version, row.facts))
    except (StateCorrupt, ValueError):
        return []


ROWS_BY_STREAM: LiteralString = ENTRIES + " WHERE shard = %s ORDER BY stream, sequence"

SNAPSHOTS: LiteralString = """
    SELECT stream, sequence, hash, version, state FROM bulkhead.snapshot WHERE stream = ANY(%(streams)s)
    UNION ALL
    SELECT stream, sequence, hash, version, state FROM bulkhead.snapshot_day WHERE stream = ANY(%(streams)s)
    ORDER BY sequence DESC"""

LONELY_SNAPSHOT: LiteralString = """
    SELECT s.stream, s.sequence FROM (
        SELECT stream, sequence FROM bulkhead.snapshot UNION ALL SELECT stream, sequence FROM bulkhead.snapshot_day
    ) s
    WHERE NOT EXISTS (SELECT FROM bulkhead.journal j WHERE j.stream = s.stream)
        AND NOT EXISTS (SELECT FROM bulkhead.archived_stream a WHERE a.stream = s.stream) ORDER BY s.stream LIMIT 1"""

KEYS: LiteralString = "SELECT symbol, trade_id, member FROM bulkhead.trade_key"

KEYS_WITHOUT_EARLIER: LiteralString = """
    SELECT k.symbol, k.trade_id, k.member FROM bulkhead.trade_key k
    WHERE k.member <> '' OR NOT EXISTS (
        SELECT FROM bulkhead_6.fill f
        WHERE f.exchange = k.exchange AND f.symbol = k.symbol AND f.trade_id = k.trade_id
    )"""

EARLIER_FILLS: LiteralString = "SELECT to_regclass('bulkhead_6.fill')"

CARRIED: LiteralString = """
    SELECT count(*) FROM (
        SELECT FROM bulkhead.journal WHERE shard = %s AND position = 1 AND facts LIKE '%%AccountCarried%%'::bytea
    ) AS first"""
"""Whether accounts were carried into the journal: they are its first rows."""
