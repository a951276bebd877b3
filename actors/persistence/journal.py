"""The journal: every decision as one row, in order, chained by hashes.

Rules
1. A stream is whoever decides: an account, by its id, or a symbol's clearing, by its name. Its rows count without a gap:
   an account's from the sequence of its first fact, a clearing's from 1, as it begins with its first block.
2. ``position`` counts the rows of the whole journal from 1, without a gap: the cursor of whoever reads on.
3. A row's hash covers the hash of its stream's previous row, so a row that is changed or missing is found. Each commit
   has a root over the root of the commit before and its rows' hashes, so that rows that are cut off are found by
   whoever kept a later root.
4. A trade of the exchange is used once: by an account's fill, by one round of a block order, or by the house for an order that
   a restored journal had lost. Of a round each member books its part once. Keys that are made in the commit prove both (``trades_of``).
5. Only the owner of the shards appends. It keeps the ends of the streams in memory; the fence in each commit proves that
   nobody else has moved them.

Why the predecessor is checked, and not only a key kept unique: a key lets n + 2 in after n + 1 was refused.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any, LiteralString, NamedTuple, cast

import msgspec
import psycopg

from actors.core import clearing_fact_codec, fact_codec
from actors.core.clearing_facts import ClearingFact, LostOrderBooked, RoundAllocated
from actors.core.clearing_messages import is_clearing
from actors.core.durability import Persist, StreamFacts
from actors.core.errors import NotDurable
from actors.core.facts import AnyFact, FillApplied
from actors.core.journal_marks import Mark
from actors.core.units import Symbol

SHARD = 0
"""Whose positions these are: one engine writes all of them."""

HASH_BYTES = 16
NO_HASH = bytes(HASH_BYTES)
"""Stands for the previous row of a stream's first row, and for the root before the first commit."""

EXCHANGE = "binance-usdm"

HEADS_KEPT = 250_000
"""So many ends of streams are kept in memory (some 200 bytes each); more are read again when they are needed."""

Connection = psycopg.Connection[Any]

End = tuple[bytes, int]
"""Root and position of a commit."""

_PACK = msgspec.msgpack.Encoder().encode


class Head(NamedTuple):
    """The last row of a stream."""

    sequence: int
    hash: bytes


START = Head(0, NO_HASH)
"""Stands before the first row of a clearing."""


class TradeKey(NamedTuple):
    """What is booked once. ``member`` is empty for a trade of the exchange.

    For a part of a round it is the member's client order id, and ``trade_id`` that of the round.
    """

    symbol: Symbol
    trade_id: int
    member: str


class Entry(NamedTuple):
    """One row, in the order of its columns."""

    position: int
    stream: str
    sequence: int
    wall_ms: int
    cause: str
    version: int
    facts: bytes
    hash: bytes


def row_hash(  # noqa: PLR0913 - a row's columns
    previous: bytes, stream: str, sequence: int, wall_ms: int, cause: str, version: int, facts: bytes
) -> bytes:
    """The hash of a row: blake2b, 16 bytes, over the msgpack array of the previous row's hash and the row's columns.

    Those columns are all but shard, position and the hash itself, in the order of the arguments.
    """
    covered = _PACK((previous, stream, sequence, wall_ms, cause, version, facts))
    return hashlib.blake2b(covered, digest_size=HASH_BYTES).digest()


def root_of(previous: bytes, hashes: Iterable[bytes]) -> bytes:
    """The root of a commit: blake2b, 16 bytes, over the root of the commit before and its rows' hashes in order."""
    return hashlib.blake2b(previous + b"".join(hashes), digest_size=HASH_BYTES).digest()


class Resumed(NamedTuple):
    """A row that no actor decided; ``last`` is the sequence of the stream's last row, None where it has none."""

    stream: str
    last: int | None
    wall_ms: int
    cause: str
    facts: tuple[AnyFact, ...]


class Appended(NamedTuple):
    """Rows that follow the end of the journal, and what that end is after them."""

    entries: list[Entry]
    trades: list[TradeKey]
    root: bytes


class JournalEnd:
    """What the owner knows of the end of the journal, and how rows are appended to it.

    Not known until ``learn`` was called, nor after ``forget``. Nothing moves before ``moved`` is called for rows that are
    durable.
    """

    def __init__(self) -> None:
        self._position: int | None = None
        self._root = NO_HASH
        self._heads: dict[str, Head | None] = {}

    @classmethod
    def of_empty_journal(cls) -> JournalEnd:
        """The end of a journal without a row."""
        end = cls()
        end._position = 0
        return end

    @property
    def last(self) -> End:
        """The last commit; of no journal where it is not known."""
        return self._root, self._position or 0

    def forget(self) -> None:
        """What is durable is not known any more: a commit's answer was lost."""
        self._position = None
        self._heads.clear()

    def learn(self, connection: Connection, streams: Iterable[str]) -> None:
        """Read what is not known yet: the journal's end, and those of these streams."""
        if self._position is None:
            self._root, self._position = end_of(connection)
        if len(self._heads) > HEADS_KEPT:
            self._heads.clear()
        unknown = [stream for stream in streams if stream not in self._heads]
        if unknown:
            for stream, sequence, hash_ in connection.execute(HEADS, (unknown,)).fetchall():
                self._heads[stream] = None if sequence is None else Head(sequence, hash_)

    def opening(self, rows: Sequence[tuple[str, int, int, str, bytes]]) -> Appended:
        """First rows of streams: stream, sequence, Unix milliseconds, cause, facts as encoded.

        Raises:
            NotDurable: a stream has rows already.
        """
        entries: list[Entry] = []
        for row in rows:
            if self._heads.get(row[0]) is not None:
                raise NotDurable(f"{row[0]}: it has decisions in the journal already")
            stream, sequence, wall_ms, cause, facts = row
            entries.append(
                self._entry(
                    len(entries), stream, sequence, wall_ms, cause, fact_codec.VERSION, facts, NO_HASH
                )
            )
        return self._appended(entries, [])

    def resuming(self, rows: Sequence[Resumed]) -> Appended:
        """Rows that no actor decided.

        Raises:
            NotDurable: the stream's last row is another.
        """
        entries: list[Entry] = []
        for stream, last, wall_ms, cause, facts in rows:
            head = self._heads.get(stream)
            found = None if head is None else head.sequence
            if found != last:
                raise NotDurable(f"{stream}: its last decision is {found}, and not {last}")
            sequence, previous = (0, NO_HASH) if head is None else (head.sequence + 1, head.hash)
            data = fact_codec.encode(facts)
            entries.append(
                self._entry(
                    len(entries), stream, sequence, wall_ms, cause, fact_codec.VERSION, data, previous
                )
            )
        return self._appended(entries, [])

    def following(
        self, decisions: Sequence[Persist], refused: Collection[str] = ()
    ) -> tuple[Appended, list[NotDurable | None]]:
        """The rows of decisions, without those that cannot follow; and for each decision why it cannot, else None.

        A decision follows when its predecessor is the last of its stream, or one of these before it. What follows a
        refused decision of its stream, or comes of a stream in ``refused``, stands on a state that never was.
        """
        ends: dict[str, Head | None] = {}
        entries: list[Entry] = []
        trades: list[TradeKey] = []
        refusals: list[NotDurable | None] = []
        lost: set[str] = set()
        for decision in decisions:
            stream = decision.stream
            head = ends[stream] if stream in ends else self._heads.get(stream)
            if head is None and is_clearing(stream):
                head = START
            stands_on = stream in refused or stream in lost
            refusal = _stands_on_refused(stream) if stands_on else _cannot_follow(decision, head)
            if refusal is None and head is not None:
                try:
                    version, facts = encoded(stream, decision.facts)
                    row = (
                        stream,
                        decision.state.sequence,
                        decision.wall_ms,
                        decision.cause,
                        version,
                        facts,
                        head.hash,
                    )
                    entries.append(self._entry(len(entries), *row))
                except (ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
                    refusal = NotDurable(f"{stream}: a decision that cannot be written down: {error}")
                else:
                    ends[stream] = Head(entries[-1].sequence, entries[-1].hash)
                    trades += trades_of(decision.facts)
            if refusal is not None:
                lost.add(stream)
            refusals.append(refusal)
        return self._appended(entries, trades), refusals

    def moved(self, appended: Appended) -> None:
        """These rows are durable."""
        for entry in appended.entries:
            self._heads[entry.stream] = Head(entry.sequence, entry.hash)
            self._position = entry.position
        self._root = appended.root

    def _entry(  # noqa: PLR0913 - a row's columns
        self,
        number: int,
        stream: str,
        sequence: int,
        wall_ms: int,
        cause: str,
        version: int,
        facts: bytes,
        previous: bytes,
    ) -> Entry:
        if self._position is None:
            raise NotDurable("the end of the journal is not known")
        hash_ = row_hash(previous, stream, sequence, wall_ms, cause, version, facts)
        return Entry(self._position + 1 + number, stream, sequence, wall_ms, cause, version, facts, hash_)

    def _appended(self, entries: list[Entry], trades: list[TradeKey]) -> Appended:
        return Appended(entries, trades, root_of(self._root, (entry.hash for entry in entries)))


def _stands_on_refused(stream: str) -> NotDurable:
    return NotDurable(f"{stream}: it stands on a decision that was refused")


def _cannot_follow(decision: Persist, head: Head | None) -> NotDurable | None:
    stream = decision.stream
    if head is None:
        return NotDurable(f"{stream}: the journal has no such account")
    if decision.previous_sequence != head.sequence:
        return NotDurable(
            f"{stream}: decision {decision.previous_sequence + 1} does not follow {head.sequence}, the last durable one"
        )
    if decision.state.sequence != decision.previous_sequence + 1:
        return NotDurable(f"{stream}: decision {decision.state.sequence} is not one more than the one before")
    return None


def append(connection: Connection, appended: Appended, wall_ms: int) -> None:
    """Write rows, in the caller's transaction."""
    cursor = connection.cursor()
    with cursor.copy(COPY_ROWS) as copy:
        copy.set_types(("int2", "int8", "text", "int8", "int8", "text", "int2", "bytea", "bytea"))
        for entry in appended.entries:
            copy.write_row((SHARD, *entry))
    if appended.trades:
        with cursor.copy(COPY_TRADES) as copy:
            copy.set_types(("text", "text", "int8", "text"))
            for trade in appended.trades:
                copy.write_row((EXCHANGE, *trade))
    last = appended.entries[-1].position
    cursor.execute(COMMIT_ROW, (SHARD, last, len(appended.entries), wall_ms, appended.root))


def read(connection: Connection, after: int, limit: int) -> list[Entry]:
    """The rows behind a position, in order."""
    found = connection.execute(READ, (SHARD, after, limit)).fetchall()
    return [Entry(*row) for row in found]


def of_stream(connection: Connection, stream: str, sequence: int, last: int) -> list[Entry]:
    """The rows of one stream from a sequence on, up to a position."""
    return [Entry(*row) for row in connection.execute(OF_STREAM, (stream, sequence, SHARD, last)).fetchall()]


def end_of(connection: Connection) -> End:
    """Root and position of the last commit."""
    row = connection.execute(LAST_COMMIT, (SHARD,)).fetchone()
    return (NO_HASH, 0) if row is None else (bytes(row[0]), int(row[1]))


def mark(connection: Connection, position: int) -> Mark | None:
    """Of the first commit that ended at a position or behind it; None if none did."""
    row = connection.execute(COMMIT_OF, (SHARD, position)).fetchone()
    return None if row is None else Mark(int(row[0]), bytes(row[1]).hex())


def common_mark(connection: Connection, marks: Collection[Mark]) -> Mark | None:
    """The newest of some marks that this journal does not contradict; None if it has others in all these places.

    Of the begin every journal has the same, and of what is not kept any more nothing can be said.
    """
    first = first_kept(connection) or 0
    roots = {0: NO_HASH.hex(), **roots_at(connection, [mark.position for mark in marks])}

    def is_ours(mark: Mark) -> bool:
        root = roots.get(mark.position)
        # Of archived rows the last commit of each file is there, and no other.
        return root == mark.root or (root is None and mark.position < first)

    return max(filter(is_ours, marks), default=None)


def roots_at(connection: Connection, positions: Sequence[int]) -> dict[int, str]:
    """The roots of commits, by the positions where they end, in hex; without those where none does."""
    found = connection.execute(ROOTS_AT, (SHARD, list(positions))).fetchall()
    return {int(position): bytes(root).hex() for position, root in found}


def first_kept(connection: Connection) -> int | None:
    """The position of the oldest row that the journal still has; None for an empty one."""
    row = connection.execute(FIRST_KEPT, (SHARD,)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def last_position(connection: Connection) -> int:
    """The position of the last row; 0 for an empty journal."""
    return end_of(connection)[1]


def projected(connection: Connection) -> int | None:
    """Up to which position the tables are made from the journal; None in a database that lost its cursor."""
    row = connection.execute(PROJECTED, (SHARD,)).fetchone()
    return None if row is None else int(row[0])


def trades_of(facts: StreamFacts) -> list[TradeKey]:
    """The keys of the trades that facts book to an account or to the house, or give to the members of a round.

    A fill of a round says what it cost; an account's own trade of the exchange does not.
    """
    found: list[TradeKey] = []
    for fact in facts:
        if isinstance(fact, FillApplied):
            trade = fact.trade
            member = "" if trade.quote_quantity is None else fact.client_order_id
            found.append(TradeKey(trade.symbol, trade.trade_id, member))
        elif isinstance(fact, RoundAllocated | LostOrderBooked):
            found += [TradeKey(trade.symbol, trade.trade_id, "") for trade in fact.trades]
    return found


def encoded(stream: str, facts: StreamFacts) -> tuple[int, bytes]:
    """Facts as the rows of that stream have them, with the version of its vocabulary."""
    if is_clearing(stream):
        return clearing_fact_codec.VERSION, clearing_fact_codec.encode(
            cast("tuple[ClearingFact, ...]", facts)
        )
    return fact_codec.VERSION, fact_codec.encode(cast("tuple[AnyFact, ...]", facts))


def decoded(stream: str, version: int, data: bytes) -> StreamFacts:
    """The facts of a row of that stream.

    Raises:
        StateCorrupt: they cannot be read; see ``fact_codec.decode``.
    """
    if is_clearing(stream):
        return clearing_fact_codec.decode(version, data)
    return fact_codec.decode(version, data)


def durable(connection: Connection, asked: Iterable[tuple[str, int, bytes]]) -> set[tuple[str, int, bytes]]:
    """Which of these rows (stream, sequence, hash) are in the journal."""
    streams, sequences, hashes = ([*column] for column in zip(*asked, strict=True))
    found = connection.execute(DURABLE, (streams, sequences, hashes)).fetchall()
    return {(stream, sequence, hash_) for stream, sequence, hash_ in found}


COPY_ROWS: LiteralString = """
    COPY bulkhead.journal (shard, position, stream, sequence, wall_ms, cause, version, facts, hash)
    FROM STDIN (FORMAT BINARY)"""

COPY_TRADES: LiteralString = """
    COPY bulkhead.trade_key (exchange, symbol, trade_id, member) FROM STDIN (FORMAT BINARY)"""

COMMIT_ROW: LiteralString = """
    INSERT INTO bulkhead.journal_commit (shard, position, rows, wall_ms, root) VALUES (%s, %s, %s, %s, %s)"""

ENTRIES: LiteralString = """
    SELECT position, stream, sequence, wall_ms, cause, version, facts, hash FROM bulkhead.journal"""
"""Rows as ``Entry`` has them."""

READ: LiteralString = ENTRIES + " WHERE shard = %s AND position > %s ORDER BY position LIMIT %s"

BY_POSITION: LiteralString = ENTRIES + " WHERE shard = %s ORDER BY position"

OF_STREAM: LiteralString = (
    ENTRIES + " WHERE stream = %s AND sequence >= %s AND shard = %s AND position <= %s ORDER BY sequence"
)

PROJECTED: LiteralString = "SELECT position FROM bulkhead.projection WHERE shard = %s"

LAST_COMMIT: LiteralString = """
    SELECT root, position FROM bulkhead.journal_commit WHERE shard = %s ORDER BY position DESC LIMIT 1"""

COMMIT_OF: LiteralString = """
    SELECT position, root FROM bulkhead.journal_commit WHERE shard = %s AND position >= %s ORDER BY position LIMIT 1"""

ROOTS_AT: LiteralString = """
    SELECT position, root FROM bulkhead.journal_commit WHERE shard = %s AND position = ANY(%s)"""

FIRST_KEPT: LiteralString = "SELECT min(position) FROM bulkhead.journal WHERE shard = %s"

HEADS: LiteralString = """
    SELECT asked.stream, COALESCE(last.sequence, old.sequence), COALESCE(last.hash, old.hash)
    FROM unnest(%s::text[]) AS asked (stream)
    LEFT JOIN LATERAL (
        SELECT sequence, hash FROM bulkhead.journal j WHERE j.stream = asked.stream ORDER BY sequence DESC LIMIT 1
    ) last ON true
    LEFT JOIN bulkhead.archived_stream old ON old.stream = asked.stream"""
"""The last row of each stream; where all of them were archived, what is known of the last."""

DURABLE: LiteralString = """
    SELECT j.stream, j.sequence, j.hash
    FROM unnest(%s::text[], %s::bigint[], %s::bytea[]) AS asked (stream, sequence, hash)
    JOIN bulkhead.journal j ON j.stream = asked.stream AND j.sequence = asked.sequence AND j.hash = asked.hash"""
