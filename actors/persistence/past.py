"""An account as it was: where it stood at a time or a position, and what was decided between two such points.

Rules
1. A past state is made as a load makes it: the newest snapshot that is not too new, and the journal's rows behind it, or
   all rows from the first fact, through the one ``fold``.
2. Each row's hash is checked on the way: a past that was changed is an error and not an answer.
3. Rows that were archived are read from their files, which must be what was written.
4. Rows are read some thousand at a time, each time in a statement of its own, so that nothing waits for a long fold, and
   a snapshot that is replaced meanwhile changes nothing.

I/O: runs SQL on the connection that it is given; reads archived files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import msgspec
import psycopg

from actors.core.clearing_messages import is_clearing
from actors.core.errors import BadConfig, BadInput, StateCorrupt
from actors.core.names import shown
from actors.core.units import NANOS_PER_SECOND, AccountId
from actors.core.utc import time_of
from actors.limits.layers import merge
from actors.limits.model import RiskLimits
from actors.persistence.archive import tables
from actors.persistence.archive.folder import Archive
from actors.persistence.archive.tables import ArchivedStream
from actors.persistence.journal import NO_HASH, SHARD, Entry, last_position, row_hash
from actors.persistence.streams import ACCOUNTS
from actors.subaccount.state import AccountState, with_limits

Connection = psycopg.Connection[Any]

ROWS_A_TIME = 1_000

AGO = re.compile(r"-(\d{1,9})\s*(ms|s|m|h|d|w)", re.ASCII)
UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
NUMBER = re.compile(r"\d{1,18}", re.ASCII)
FORMS = "a time in UTC (2026-11-22T09:30, or -15m), a position of the journal (5123), #SEQUENCE of the account, or now"


class When(msgspec.Struct, frozen=True):
    """A point in an account's past, as it was asked for: one of the three, or none for now. Times in Unix milliseconds."""

    text: str
    time_ms: int | None = None
    position: int | None = None
    sequence: int | None = None


class Point(msgspec.Struct, frozen=True):
    """A decision of an account: where it stands in the journal."""

    position: int
    sequence: int
    wall_ms: int
    cause: str


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it was after a decision, and how that was found.

    ``first`` and ``last`` are the account's first and last decision; ``snapshot`` the sequence of the snapshot that the
    fold began with, None if it began with the first fact. ``limits`` below the account are those that it knew then.
    """

    point: Point
    first: Point
    last: Point
    state: AccountState
    snapshot: int | None
    decisions: int
    facts: int
    took_ns: int


Progress = Callable[[int, int], None]
"""Called with the decisions that are folded, and how many there are."""


def _silent(_done: int, _total: int) -> None:
    """Nobody looks."""


def when(text: str, now_ms: int) -> When:
    """What a person wrote as a point in time.

    Args:
        text: see ``FORMS``.
        now_ms: the present, Unix milliseconds.

    Raises:
        BadInput: it is none of these, or in the future; names it.
    """
    told = text.strip()
    if told == "now":
        return When(told)
    if told.startswith("#") and NUMBER.fullmatch(told[1:]):
        return When(told, sequence=int(told[1:]))
    if NUMBER.fullmatch(told):
        return When(told, position=int(told))
    ago = AGO.fullmatch(told)
    if ago is not None:
        return When(told, time_ms=now_ms - int(ago[1]) * UNITS_MS[ago[2]])
    try:
        parsed = datetime.fromisoformat(told)
        time_ms = _unix_ms(parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed)
    except (ValueError, OverflowError):
        raise BadInput(f"{shown(text)} is no point in time; give {FORMS}") from None
    if time_ms > now_ms:
        raise BadInput(f"{shown(text)} is in the future: it is {time_of(now_ms)} now")
    return When(told, time_ms=time_ms)


def _unix_ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def find(
    connection: Connection, account: str, at: When, folder: Path | None = None
) -> tuple[Point, Point, Point]:
    """The account's decision that was the last at a point in time, its first, and its last one.

    Args:
        connection: to read on.
        account: its id.
        at: the point.
        folder: of the archived files; None where nobody knows it, which is an error if one is needed.

    Raises:
        BadInput: no such account, or it has nothing there; says where it begins, ends, or whose position it is.
        NotKept: it is in an archived file that is not there; names it.
        StateCorrupt: that file is not what was written.
    """
    if is_clearing(account):
        raise BadInput(f"{shown(account)} is a clearing; only accounts have a past to look at")
    old = _Old(connection, account, folder)
    first, last = old.first or _one(connection, FIRST, account), _one(connection, LAST, account) or old.last
    if first is None or last is None:
        raise BadInput(f"the journal has no account {shown(account)}; 'bulkhead accounts' lists them")
    if at.time_ms is not None:
        found = _one(connection, AT_TIME, account, at.time_ms) or old.at_time(at.time_ms)
        if found is None:
            raise BadInput(f"{at.text}: {account} did not exist then; {_begins(first)}")
    elif at.position is not None:
        found = _at_position(connection, account, at.position, first, old)
    elif at.sequence is not None:
        found = _one(connection, AT_SEQUENCE, account, at.sequence) or old.at_sequence(at.sequence)
        if found is None and at.sequence < first.sequence:
            raise BadInput(f"{at.text}: {account} has no such decision; {_begins(first)}")
        if found is None:
            raise BadInput(f"{at.text} is in the future: the last decision of {account} is #{last.sequence}")
    else:
        found = last
    return found, first, last


class _Old:
    """What of an account is archived. The files are opened when they are needed."""

    def __init__(self, connection: Connection, account: str, folder: Path | None) -> None:
        self._connection, self._account, self._folder = connection, account, folder
        self.known: ArchivedStream | None = tables.stream(connection, account)
        self._archive: Archive | None = None

    @property
    def archive(self) -> Archive:
        """The files of the database."""
        if self._archive is None:
            self._archive = Archive(self._folder, tables.files(self._connection))
        return self._archive

    @property
    def first(self) -> Point | None:
        """Its first decision, if that is archived."""
        old = self.known
        return (
            None
            if old is None
            else Point(old.first_position, old.first_sequence, old.first_ms, old.first_cause)
        )

    @property
    def last(self) -> Point | None:
        """The last one that is archived."""
        old = self.known
        return None if old is None else Point(old.position, old.sequence, old.wall_ms, old.cause)

    def at_time(self, time_ms: int) -> Point | None:
        """The last archived one that was not later."""
        if self.known is None:
            return None
        if self.known.latest_ms <= time_ms:
            return self.last
        return self._point(self.archive.newest_of(self._account, until_ms=time_ms))

    def at_sequence(self, sequence: int) -> Point | None:
        """The archived one of that number."""
        if self.known is None or not self.known.first_sequence <= sequence <= self.known.sequence:
            return None
        return self._point(next(self.archive.of_stream(self._account, sequence, sequence), None))

    def before(self, position: int) -> Point | None:
        """The last archived one before a position."""
        if self.known is None:
            return None
        if self.known.position < position:
            return self.last
        return self._point(self.archive.newest_of(self._account, before=position))

    def rows(self, after: int, last: int) -> Iterator[Entry]:
        """Archived rows behind a sequence up to another one (inclusive)."""
        if self.known is not None and after < min(last, self.known.sequence):
            yield from self.archive.of_stream(self._account, after + 1, min(last, self.known.sequence))

    @staticmethod
    def _point(row: Entry | None) -> Point | None:
        return None if row is None else Point(row.position, row.sequence, row.wall_ms, row.cause)


def _at_position(connection: Connection, account: str, position: int, first: Point, old: _Old) -> Point:
    row = connection.execute(WHOSE, (SHARD, position)).fetchone()
    if row is None and 0 < position <= old.archive.last:
        kept = old.archive.at(position)
        row = None if kept is None else (kept.stream, kept.position, kept.sequence, kept.wall_ms, kept.cause)
    if row is None:
        end = last_position(connection)
        if position > end:
            raise BadInput(f"position {position} is in the future: the journal ends at {end}")
        raise BadInput(f"the journal has no position {position}; the first is 1")
    whose, *point = row
    if whose == account:
        return Point(*point)
    before = _one(connection, BEFORE, account, position) or old.before(position)
    if before is None:
        raise BadInput(f"position {position} is of {whose}; {account} did not exist then: {_begins(first)}")
    raise BadInput(
        f"position {position} is of {whose}; what {account} was then, it has been since its position {before.position} "
        f"(#{before.sequence}): give that"
    )


def _begins(first: Point) -> str:
    return f"it begins with #{first.sequence} at {time_of(first.wall_ms)}, position {first.position}"


def stand(
    connection: Connection, account: str, at: When, progress: Progress = _silent, folder: Path | None = None
) -> Past:
    """The account as it was at a point in time.

    Args:
        connection: to read on.
        account: its id.
        at: the point.
        progress: called after each page of rows; what it raises ends the fold.
        folder: of the archived files.

    Raises:
        BadInput, NotKept: see ``find``.
        StateCorrupt: a row is missing or is not what was written, or a fact does not fit.
    """
    began = time.monotonic_ns()
    point, first, last = find(connection, account, at, folder)
    state, sequence, hash_, snapshot = ACCOUNTS.blank(account), first.sequence - 1, NO_HASH, None
    kept = connection.execute(SNAPSHOT, (account, point.sequence)).fetchone()
    if kept is not None:
        sequence, version, data, hash_ = kept
        state, snapshot = ACCOUNTS.decode(version, data), sequence
        if (state.account_id, state.sequence) != (account, sequence):
            raise StateCorrupt(f"{account}: its snapshot is of {state.account_id} at {state.sequence}")
    total, done, facts_folded = point.sequence - sequence, 0, 0
    for row in rows(connection, account, sequence, point.sequence, folder):
        facts = _checked(row, sequence, hash_)
        if sequence < first.sequence and not ACCOUNTS.begins(row.sequence, facts):
            raise StateCorrupt(f"{account}: its first row in the journal is missing")
        state = ACCOUNTS.after(state, facts, row.sequence)
        sequence, hash_ = row.sequence, row.hash
        done, facts_folded = done + 1, facts_folded + len(facts)
        if done % ROWS_A_TIME == 0:
            progress(done, total)
    if sequence != point.sequence:
        raise StateCorrupt(f"{account}: decision {sequence + 1} is missing in the journal")
    return Past(
        point=point,
        first=first,
        last=last,
        state=_with_limits_of_then(state),
        snapshot=snapshot,
        decisions=done,
        facts=facts_folded,
        took_ns=time.monotonic_ns() - began,
    )


def _checked(row: Entry, previous: int, previous_hash: bytes) -> Any:
    """The facts of a row that follows another one.

    Raises:
        StateCorrupt: it does not follow, or is not what was written.
    """
    if row.sequence != previous + 1:
        raise StateCorrupt(f"{row.stream}: decision {previous + 1} is missing in the journal")
    fields = (row.stream, row.sequence, row.wall_ms, row.cause, row.version, row.facts)
    if row_hash(previous_hash, *fields) != row.hash:
        raise StateCorrupt(
            f"{row.stream}: decision {row.sequence} at position {row.position} is not what was written; "
            "'bulkhead db verify' says more"
        )
    return ACCOUNTS.facts(row.version, row.facts)


def _with_limits_of_then(state: AccountState) -> AccountState:
    """With the limits below the account that it knew when it last decided on them."""
    try:
        return with_limits(state, merge(RiskLimits(), dict(state.below)), state.overrides)
    except BadConfig as error:
        raise StateCorrupt(f"{state.account_id}: a limit of then cannot be read: {error}") from None


def rows(
    connection: Connection, account: str, after: int, last: int, folder: Path | None = None
) -> Iterator[Entry]:
    """The account's rows behind a sequence up to another one (inclusive), in order; archived ones from their files.

    Raises:
        NotKept, StateCorrupt: see ``find``.
    """
    for row in _Old(connection, account, folder).rows(after, last):
        yield row
        after = row.sequence
    while after < last:
        page = connection.execute(PAGE, (account, after, last, ROWS_A_TIME)).fetchall()
        if not page:
            return
        yield from map(Entry._make, page)
        after = page[-1][2]


class Polite:
    """Lets others have the interpreter for as long as a fold has had it, and ends what takes too long.

    Args:
        seconds: after which the fold is ended.
        cure: what to do instead, for the error.
    """

    def __init__(self, seconds: float, cure: str) -> None:
        self._began = self._since = time.monotonic_ns()
        self._seconds, self._cure = seconds, cure

    def __call__(self, done: int, total: int) -> None:
        """See ``Progress``.

        Raises:
            BadInput: it takes too long.
        """
        now = time.monotonic_ns()
        if now - self._began > self._seconds * NANOS_PER_SECOND:
            raise BadInput(
                f"{done:,} of {total:,} decisions were folded in {self._seconds:.0f} s, which is as long as a running engine "
                f"gives to it; {self._cure}"
            )
        time.sleep((now - self._since) / NANOS_PER_SECOND)
        self._since = time.monotonic_ns()


def _one(connection: Connection, statement: LiteralString, account: str, *values: int) -> Point | None:
    row = connection.execute(statement, (AccountId(account), *values)).fetchone()
    return None if row is None else Point(*row)


_POINT: LiteralString = "SELECT position, sequence, wall_ms, cause FROM bulkhead.journal WHERE stream = %s"

FIRST: LiteralString = _POINT + " ORDER BY sequence LIMIT 1"

LAST: LiteralString = _POINT + " ORDER BY sequence DESC LIMIT 1"

AT_SEQUENCE: LiteralString = _POINT + " AND sequence = %s"

AT_TIME: LiteralString = _POINT + " AND wall_ms <= %s ORDER BY sequence DESC LIMIT 1"
"""The clock of a machine may be set back: of several the last decision is taken."""

BEFORE: LiteralString = _POINT + " AND position < %s ORDER BY sequence DESC LIMIT 1"

WHOSE: LiteralString = """
    SELECT stream, position, sequence, wall_ms, cause FROM bulkhead.journal WHERE shard = %s AND position = %s"""

SNAPSHOT: LiteralString = """
    SELECT sequence, version, state, hash FROM (
        SELECT stream, sequence, version, state, hash FROM bulkhead.snapshot
        UNION ALL SELECT stream, sequence, version, state, hash FROM bulkhead.snapshot_day
        UNION ALL SELECT stream, sequence, version, state, hash FROM bulkhead.archived_stream
    ) AS kept WHERE stream = %s AND sequence <= %s ORDER BY sequence DESC LIMIT 1"""
"""The newest that is not too new, of all that are kept."""

PAGE: LiteralString = """
    SELECT position, stream, sequence, wall_ms, cause, version, facts, hash FROM bulkhead.journal
    WHERE stream = %s AND sequence > %s AND sequence <= %s ORDER BY sequence LIMIT %s"""
