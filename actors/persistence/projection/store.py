"""The projector's SQL connection: reads the journal on, and writes what follows from it together with its cursor.

Rules
1. A batch is one transaction: rows, snapshots and the cursor. So each decision is projected once, whatever dies when.
2. The cursor moves only from where we know it to be. If it is elsewhere another projector works here, and this one ends.
3. A decision whose rows Postgres or we refuse is found by halving; it alone and its account's later ones are left out
   (``bulkhead.parked``), until they are released.
4. A snapshot is written with the decision that it is of, so it is never ahead of the cursor.
5. A commit of ours does not wait for the disk: what a crash of Postgres takes away it takes away together with the
   cursor, and it is projected again. Only the journal must be durable.

6. Besides, the state after each stream's first decision of a UTC day is kept for so many days, for looks into the past.

I/O: runs SQL on a connection of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, LiteralString, NamedTuple

import psycopg
import structlog

from actors.core.constants import PARKED_MAX, SNAPSHOT_EVERY, STATES_KEPT
from actors.core.errors import Overtaken, StateCorrupt, StoreUnreachable
from actors.persistence import journal, loading
from actors.persistence.connection import BUSY, connect, is_lost, one_line
from actors.persistence.journal import SHARD, Entry
from actors.persistence.loading import AnyKept, KeptOf
from actors.persistence.projection import rows, tables
from actors.persistence.projection.balances import Foreign
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import AnyDecided, DecidedClearing, of_entry
from actors.persistence.streams import StreamState, kind_of

log = structlog.get_logger("projector")

Connection = psycopg.Connection[Any]

MS_PER_DAY = 86_400_000

FORGOTTEN_AT_ONCE = 2_000
"""Snapshots of days that are not kept any more, deleted in one transaction."""

BUSY_TRIES = 3
"""A row that somebody keeps locked is waited for so often, two seconds each; then its account alone is parked."""


class Parked(NamedTuple):
    """A stream that is not projected any more, from this decision on."""

    stream: str
    sequence: int
    position: int
    error: str


class _Released(Exception):  # noqa: N818 - inside this module only
    """Somebody released an account on another connection after its decisions were read as left out."""


class Projection:
    """See the module. Not thread-safe: one thread, one projection.

    Args:
        dsn: the writer's database.
        epoch: of the owner that it projects for, who may have a successor; None where nobody owns the accounts.
        daily_days: for so many days each stream's first state of a day is kept; 0 keeps none.
        on_foreign: informed of balances that the platform changed beside us.
        on_parked: informed of a stream that is parked.
    """

    def __init__(
        self,
        dsn: str,
        epoch: int | None = None,
        on_foreign: Callable[[Foreign], None] = lambda _found: None,
        on_parked: Callable[[Parked], None] = lambda _parked: None,
        *,
        daily_days: int = 0,
    ) -> None:
        self._dsn, self._epoch, self._daily_days = dsn, epoch, daily_days
        self.on_foreign, self.on_parked = on_foreign, on_parked
        self._connection: Connection | None = None
        self._states: OrderedDict[str, AnyKept] = OrderedDict()
        self._tails: set[str] = set()
        self._days: dict[str, int] = {}
        self._newest_day = 0
        self._busy = 0
        self.cursor = -1
        self.parked: dict[str, int] = {}
        """Streams that are left out, and from which position on."""

    @classmethod
    def on(cls, connection: Connection, parked: dict[str, int]) -> Projection:
        """One that stands before the journal's first row and works on the caller's connection."""
        projection = cls("")
        projection._connection, projection.cursor, projection.parked = connection, 0, parked
        return projection

    # -- where it is

    def begin(self) -> int:
        """Connect if need be, and learn cursor and parked streams from the database; the cursor.

        Raises:
            StoreUnreachable: Postgres does not answer.
        """
        try:
            connection = self._connected()
            if self.cursor < 0:
                tables.add_missing_columns(connection)
            cursor = journal.projected(connection)
            self.parked = dict(connection.execute(PARKED).fetchall())
        except psycopg.Error as error:
            raise self._lost(error) from None
        if cursor is None:
            raise Overtaken("bulkhead.projection has no row; was this database made by another release?")
        self.cursor = cursor
        return cursor

    def last(self) -> int:
        """The journal's last position.

        Raises:
            StoreUnreachable: Postgres does not answer.
        """
        try:
            return journal.last_position(self._connected())
        except psycopg.Error as error:
            raise self._lost(error) from None

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- reading on

    def read(self, limit: int) -> list[AnyDecided]:
        """The decisions behind the cursor, of the journal.

        Raises:
            StoreUnreachable: Postgres does not answer.
        """
        try:
            connection = self._connected()
            if self.parked:
                self.parked = dict(connection.execute(PARKED).fetchall())
            entries = journal.read(connection, self.cursor, limit)
            states = self._states_before(connection, entries)
        except psycopg.Error as error:
            raise self._lost(error) from None
        return folded(entries, states)

    def _is_left_out(self, stream: str, position: int) -> bool:
        return position >= self.parked.get(stream, loading.LAST)

    def _states_before(self, connection: Connection, entries: Iterable[Entry]) -> dict[str, StreamState]:
        """The states of the streams of these rows as of the cursor."""
        firsts: dict[str, Entry] = {}
        for entry in entries:
            if entry.sequence > 0 and not self._is_left_out(entry.stream, entry.position):
                firsts.setdefault(entry.stream, entry)
        states = {}
        for stream, first in firsts.items():
            known = self._states.get(stream)
            if known is not None and known.sequence == first.sequence - 1:
                states[stream] = known.state
        unknown = [stream for stream in firsts if stream not in states]
        return {**states, **_loaded(connection, unknown, self.cursor)}

    # -- projecting

    def project(self, decisions: Sequence[AnyDecided]) -> None:
        """Project decisions that follow the cursor; where it then stands is in ``cursor``.

        Raises:
            StoreUnreachable: nothing is known to be lost; ``begin`` says where we are.
            Overtaken: another projector works on this database.
        """
        if decisions:
            self._project(decisions)
            self._busy = 0

    def _project(self, decisions: Sequence[AnyDecided]) -> None:
        try:
            self._transaction(decisions)
        except (StoreUnreachable, Overtaken):
            raise
        except _Released:
            log.info("an account was released meanwhile; its decisions are read again")
        except Exception as error:  # noqa: BLE001 - whatever one decision meets must not keep all others waiting
            if isinstance(error, psycopg.Error) and self._is_lost(error):
                raise self._lost(error) from None
            if isinstance(error, BUSY) and self._is_patient():
                raise StoreUnreachable(f"another session holds a lock: {one_line(error)}") from None
            if len(decisions) == 1:
                self._park(decisions[0], error)
                return
            log.warning("a batch cannot be projected", decisions=len(decisions), error=one_line(error))
            middle = len(decisions) // 2
            self._project(decisions[:middle])
            self._project(decisions[middle:])

    def _is_patient(self) -> bool:
        self._busy += 1
        return self._busy < BUSY_TRIES

    def _transaction(self, decisions: Sequence[AnyDecided]) -> None:
        connection, last = self._connected(), decisions[-1].position
        with connection.transaction():
            self._move(connection, last)
            wanted = self._not_parked(connection, decisions)
            foreign, snapshots = self._write(connection, wanted, Batch())
        self._moved(last, wanted, snapshots)
        for found in foreign:
            self.on_foreign(found)

    def _write(
        self, connection: Connection, wanted: Sequence[AnyDecided], batch: Batch
    ) -> tuple[list[Foreign], dict[str, AnyKept]]:
        rows.gather(batch, wanted)
        foreign = batch.write(connection)
        snapshots = self._due(wanted)
        _save(connection, snapshots)
        if self._daily_days:
            _save_days(connection, self._firsts_of_days(wanted))
        return foreign, snapshots

    def _moved(self, last: int, wanted: Iterable[AnyDecided], snapshots: Iterable[str]) -> None:
        """It is durable, or will be together with all of it."""
        self.cursor = last
        for decided in wanted:
            self._states[decided.stream] = _kept(decided)
            self._states.move_to_end(decided.stream)
            self._tails.add(decided.stream)
            self._note_day(decided)
        self._tails.difference_update(snapshots)
        while len(self._states) > STATES_KEPT:
            # Its snapshot comes when it is due, or not: its tail is short.
            stream, _ = self._states.popitem(last=False)
            self._tails.discard(stream)
            self._days.pop(stream, None)

    def _move(self, connection: Connection, to: int) -> None:
        """First of all: it locks the cursor's row until the end of the transaction."""
        asked = {"to": to, "shard": SHARD, "cursor": self.cursor, "epoch": self._epoch}
        if connection.execute(MOVE, asked).rowcount != 1:
            raise Overtaken(
                f"the projection is not at position {self.cursor} any more, or the accounts have another owner: another "
                "projector works on this database. Stop the other engine"
            )

    def _not_parked(self, connection: Connection, decisions: Sequence[AnyDecided]) -> list[AnyDecided]:
        if self.parked:
            before, self.parked = self.parked, dict(connection.execute(PARKED).fetchall())
            released = before.keys() - self.parked.keys()
            if any(d.fault and d.stream in released for d in decisions):
                raise _Released
        return [d for d in decisions if not self._is_left_out(d.stream, d.position)]

    def _due(self, decisions: Iterable[AnyDecided]) -> dict[str, AnyKept]:
        """Of the streams that need a snapshot, their states after the last of these decisions."""
        lasts, due = {}, set()
        for decided in decisions:
            lasts[decided.stream] = decided
            if decided.sequence and decided.sequence % SNAPSHOT_EVERY == 0:
                due.add(decided.stream)
        return {stream: _kept(lasts[stream]) for stream in due}

    def _firsts_of_days(self, decisions: Iterable[AnyDecided]) -> dict[tuple[str, int], AnyKept]:
        """Of each stream and day the first of these decisions; a clock that was set back begins no day again."""
        found: dict[tuple[str, int], AnyKept] = {}
        newest: dict[str, int] = {}
        for decided in decisions:
            stream, day = decided.stream, decided.wall_ms // MS_PER_DAY
            if decided.sequence and day > newest.get(stream, self._days.get(stream, -1)):
                found[stream, day] = _kept(decided)
                newest[stream] = day
        return found

    def _note_day(self, decided: AnyDecided) -> None:
        day = decided.wall_ms // MS_PER_DAY
        self._newest_day = max(self._newest_day, day)
        if decided.sequence and day > self._days.get(decided.stream, -1):
            self._days[decided.stream] = day

    def _park(self, decided: AnyDecided, error: Exception) -> None:
        if len(self.parked) >= PARKED_MAX:
            raise error
        text = one_line(error) or type(error).__name__
        try:
            connection = self._connected()
            with connection.transaction():
                self._move(connection, decided.position)
                connection.execute(
                    PARK, (decided.stream, decided.sequence, decided.position, decided.wall_ms, text)
                )
        except psycopg.Error as lost:
            raise self._lost(lost) from None
        self.cursor = decided.position
        self.parked[decided.stream] = decided.position
        log.error("a stream is parked", stream=decided.stream, position=decided.position, error=text)
        self.on_parked(Parked(decided.stream, decided.sequence, decided.position, text))

    # -- once more

    def project_again(self, limit: int) -> int:
        """Project the next decisions into our own tables, which were emptied, in the caller's transaction; how many.

        Raises:
            StateCorrupt: a decision cannot be projected; names it.
        """
        connection = self._connected()
        decisions = self.read(limit)
        if decisions:
            wanted = [d for d in decisions if not self._is_left_out(d.stream, d.position)]
            _, snapshots = self._write(connection, wanted, Batch(is_rebuilt=True))
            self._moved(decisions[-1].position, wanted, snapshots)
        return len(decisions)

    # -- snapshots

    def save_tails(self, limit: int) -> int:
        """Write snapshots of streams that have decisions since their last; of how many.

        Raises:
            StoreUnreachable: Postgres does not answer.
        """
        some = {s: self._states[s] for s in list(self._tails)[:limit] if s in self._states}
        try:
            connection = self._connected()
            with connection.transaction():
                self._move(connection, self.cursor)
                _save(connection, some)
        except psycopg.Error as error:
            raise self._lost(error) from None
        self._tails.difference_update(some)
        return len(some)

    def forget_days(self) -> int:
        """Delete some snapshots of days that are not kept any more, counted from the last decision; how many.

        Raises:
            StoreUnreachable: Postgres does not answer.
        """
        if not self._newest_day:
            return 0  # nothing was decided since the start: what day it is is not known
        oldest = self._newest_day - self._daily_days + 1
        try:
            return self._connected().execute(FORGET_DAYS, (oldest, FORGOTTEN_AT_ONCE)).rowcount
        except psycopg.Error as error:
            raise self._lost(error) from None

    # -- release

    def release(self, stream: str) -> int:
        """Project the decisions that a parked stream missed, and park it no more; how many they were.

        Raises:
            StoreUnreachable: Postgres does not answer.
            StateCorrupt: they cannot be projected; it stays parked, and the text says why.
        """
        try:
            connection = self._connected()
            with connection.transaction():
                self._move(connection, self.cursor)
                row = connection.execute(ONE_PARKED, (stream,)).fetchone()
                if row is None:
                    return 0
                missed = journal.of_stream(connection, stream, row[0], self.cursor)
                states = _loaded(connection, [stream], row[1] - 1)
                decisions = folded(missed, states)
                batch = Batch()
                rows.gather(batch, decisions)
                foreign = batch.write(connection)
                connection.execute(UNPARK, (stream,))
        except psycopg.Error as error:
            if self._is_lost(error):
                raise self._lost(error) from None
            raise StateCorrupt(f"{stream} cannot be projected: {one_line(error)}") from None
        self.parked.pop(stream, None)
        self._states.pop(stream, None)
        self._tails.discard(stream)
        for found in foreign:
            self.on_foreign(found)
        return len(decisions)

    # -- the connection

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._dsn)
            self._connection.execute("SET synchronous_commit = off")
        return self._connection

    def _is_lost(self, error: psycopg.Error) -> bool:
        return self._connection is None or is_lost(self._connection, error)

    def _lost(self, error: psycopg.Error) -> StoreUnreachable:
        """The connection is gone, and with it, maybe, a commit's answer: ``begin`` reads how far we came."""
        self.close()
        return StoreUnreachable(one_line(error))


def folded(entries: Iterable[Entry], states: dict[str, StreamState]) -> list[AnyDecided]:
    """Rows of the journal as decisions, each on the state that the one before it in its stream left."""
    found = []
    for entry in entries:
        decided = of_entry(entry, states.get(entry.stream))
        if decided.fault:
            states.pop(entry.stream, None)
        else:
            states[entry.stream] = decided.state
        found.append(decided)
    return found


def _loaded(connection: Connection, streams: Sequence[str], position: int) -> dict[str, StreamState]:
    """States at a position; without those that begin later, or cannot be read."""
    if not streams:
        return {}
    accounts, clearings = loading.any_at(connection, streams, position, _unreadable)
    found: dict[str, StreamState] = {stream: kept.state for stream, kept in accounts.items()}
    found.update((stream, kept.state) for stream, kept in clearings.items())
    return found


def _unreadable(stream: str, error: Exception) -> None:
    """Its next decision says so, if it is not its first."""
    log.debug("no state before", stream=stream, error=str(error))


def _kept(decided: AnyDecided) -> AnyKept:
    if isinstance(decided, DecidedClearing):
        return KeptOf(decided.state, decided.sequence, decided.hash)
    return KeptOf(decided.state, decided.sequence, decided.hash)


def _save(connection: Connection, states: Mapping[str, AnyKept]) -> None:
    if states:
        connection.execute(SAVE, (list(states), *_columns(states.items())))


def _save_days(connection: Connection, states: Mapping[tuple[str, int], AnyKept]) -> None:
    if states:
        columns = _columns((stream, kept) for (stream, _), kept in states.items())
        connection.execute(SAVE_DAYS, ([s for s, _ in states], [day for _, day in states], *columns))


def _columns(states: Iterable[tuple[str, AnyKept]]) -> tuple[list[Any], ...]:
    """Sequence, hash, version and state, as the tables of snapshots have them."""
    named = [(kind_of(stream), kept) for stream, kept in states]
    return (
        [kept.sequence for _, kept in named],
        [kept.hash for _, kept in named],
        [kind.version for kind, _ in named],
        [kind.encode(kept.state) for kind, kept in named],
    )


MOVE: LiteralString = """
    UPDATE bulkhead.projection SET position = %(to)s WHERE shard = %(shard)s AND position = %(cursor)s
        AND (%(epoch)s::bigint IS NULL OR EXISTS (SELECT FROM bulkhead.shard WHERE epoch = %(epoch)s AND shard_id = 0))"""
"""A stale owner's projector moves nothing. Else it and the owner's would take each other's place, and the owner's would end.
All shards have one owner, so one row tells. Without a lock on it, which a renewal of the lease would wait for: a batch that
commits in the instant of a takeover is of durable decisions, and what follows it is the new owner's."""

PARKED: LiteralString = "SELECT stream, position FROM bulkhead.parked"

PARK: LiteralString = """
    INSERT INTO bulkhead.parked (stream, sequence, position, since_ms, error) VALUES (%s, %s, %s, %s, %s)"""

ONE_PARKED: LiteralString = "SELECT sequence, position FROM bulkhead.parked WHERE stream = %s"

UNPARK: LiteralString = "DELETE FROM bulkhead.parked WHERE stream = %s"

SAVE: LiteralString = """
    INSERT INTO bulkhead.snapshot AS s (stream, sequence, hash, version, state)
    SELECT x.stream, x.sequence, x.hash, x.version, x.state
    FROM unnest(%s::text[], %s::bigint[], %s::bytea[], %s::smallint[], %s::bytea[])
        AS x (stream, sequence, hash, version, state)
    ON CONFLICT (stream) DO UPDATE SET sequence = EXCLUDED.sequence, hash = EXCLUDED.hash,
        version = EXCLUDED.version, state = EXCLUDED.state
    WHERE s.sequence < EXCLUDED.sequence"""

SAVE_DAYS: LiteralString = """
    INSERT INTO bulkhead.snapshot_day (stream, day, sequence, hash, version, state)
    SELECT * FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::bytea[], %s::smallint[], %s::bytea[])
    ON CONFLICT (stream, day) DO NOTHING"""
"""After a start it is not known which days have theirs already."""

FORGET_DAYS: LiteralString = """
    DELETE FROM bulkhead.snapshot_day WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM bulkhead.snapshot_day WHERE day < %s ORDER BY day LIMIT %s))"""
