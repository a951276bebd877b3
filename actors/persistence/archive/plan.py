"""Which rows may be archived: up to which position, in which files, and what stands in the way.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg

from actors.core.utc import time_of
from actors.persistence.archive.tables import archived_end
from actors.persistence.connection import answers_within, lift_limits
from actors.persistence.journal import SHARD, projected

Connection = psycopg.Connection[Any]

ROWS_PER_FILE = 100_000
"""About so many rows are in one file at the most, which is made in memory; a commit is never torn."""


AHEAD_MS = 60_000
"""So much later than the newest commit a row is only if the clock was set back since."""

PLAN_SECONDS = 3_600.0
"""How long one answer may take: every row that would be archived is looked at."""


class Reader(NamedTuple):
    """Something that reads the journal on: its name for people, how far it is, and what brings it on."""

    name: str
    position: int
    cure: str


class Span(NamedTuple):
    """The rows of one file: those behind ``after``, up to ``last``."""

    after: int
    last: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be archived: rows behind ``after`` up to ``last``, in ``files`` files.

    ``obstacles`` say why it must not be; there are none where it may. ``ahead`` says where the machine's clock was ahead, as
    rows behind that are not archived before that time has come; empty where it was not.
    """

    after: int
    last: int
    files: int
    obstacles: tuple[str, ...]
    ahead: str = ""

    @property
    def rows(self) -> int:
        """How many rows."""
        return max(0, self.last - self.after)


def plan(connection: Connection, before_ms: int, readers: Iterable[Reader] = ()) -> Plan:
    """What of the journal is older than a time, whole UTC days or not.

    The newest commit always stays: the engine begins behind it. Nor is a row archived that is of that time or later, though it
    was committed earlier: a statement of later times would need it.

    Args:
        connection: to read on.
        before_ms: Unix milliseconds; only commits before the first row or commit of that time or later are archived.
        readers: who must have read what is archived.
    """
    with answers_within(connection, PLAN_SECONDS), connection.transaction():
        lift_limits(connection)
        after = archived_end(connection).position
        asked = {"shard": SHARD, "after": after, "before": before_ms}
        row = connection.execute(CUT, asked).fetchone()
        last = after if row is None or row[0] is None else int(row[0])
        late = connection.execute(LATE_ROW, {**asked, "last": last}).fetchone()
        if late is not None:
            row = connection.execute(LAST_COMMIT_BEFORE, {**asked, "late": late[0]}).fetchone()
            last = after if row is None or row[0] is None else int(row[0])
        count = sum(1 for _ in spans(connection, after, last))
        obstacles, ahead = tuple(_obstacles(connection, last, readers)), _ahead(connection, last)
    return Plan(after=after, last=last, files=count, obstacles=obstacles, ahead=ahead)


def _ahead(connection: Connection, last: int) -> str:
    """Where a row of the first commit that stays is later than the newest commit; empty if none is."""
    row = connection.execute(AHEAD, {"shard": SHARD, "last": last, "more": AHEAD_MS}).fetchone()
    if row is None:
        return ""
    position, wall_ms, newest_ms = row
    return (
        f"the clock was ahead at position {position}, which says {time_of(wall_ms)}, and the newest commit says "
        f"{time_of(newest_ms)}: nothing from there on is archived before that time has come"
    )


def spans(connection: Connection, after: int, last: int) -> Iterator[Span]:
    """The files of these rows: each of one UTC day's commits, and of no more rows than one may have."""
    while after < last:
        asked = {"shard": SHARD, "after": after, "last": last, "most": after + ROWS_PER_FILE}
        row = connection.execute(NEXT_FILE, asked).fetchone()
        if row is None:
            return
        yield Span(after, int(row[0]))
        after = int(row[0])


def _obstacles(connection: Connection, last: int, readers: Iterable[Reader]) -> Iterator[str]:
    position = projected(connection) or 0
    if position < last:
        yield (
            f"the tables are made from the journal up to position {position} only: start the engine, let it catch up "
            "('bulkhead db status'), and stop it"
        )
    for stream, at, error in connection.execute(PARKED, (last,)).fetchall():
        yield (
            f"{stream} is parked at position {at} ({error}): repair that, then 'bulkhead db unpark {stream}'"
        )
    for reader in readers:
        if reader.position < last:
            yield f"{reader.name} is at position {reader.position} only: {reader.cure}"


LATE_ROW: LiteralString = """
    SELECT position FROM bulkhead.journal
    WHERE shard = %(shard)s AND position > %(after)s AND position <= %(last)s AND wall_ms >= %(before)s
    ORDER BY position LIMIT 1"""

LAST_COMMIT_BEFORE: LiteralString = """
    SELECT max(position) FROM bulkhead.journal_commit
    WHERE shard = %(shard)s AND position > %(after)s AND position < %(late)s"""

AHEAD: LiteralString = """
    WITH newest AS (
        SELECT wall_ms FROM bulkhead.journal_commit WHERE shard = %(shard)s ORDER BY position DESC LIMIT 1
    ), stays AS (
        SELECT position FROM bulkhead.journal_commit WHERE shard = %(shard)s AND position > %(last)s ORDER BY position LIMIT 1
    )
    SELECT j.position, j.wall_ms, newest.wall_ms FROM bulkhead.journal j, newest, stays
    WHERE j.shard = %(shard)s AND j.position > %(last)s AND j.position <= stays.position AND j.wall_ms > newest.wall_ms + %(more)s
    ORDER BY j.position LIMIT 1"""

CUT: LiteralString = """
    SELECT max(position) FROM bulkhead.journal_commit
    WHERE shard = %(shard)s AND position > %(after)s
        AND position < (SELECT max(position) FROM bulkhead.journal_commit WHERE shard = %(shard)s)
        AND position < COALESCE((
            SELECT position FROM bulkhead.journal_commit
            WHERE shard = %(shard)s AND position > %(after)s AND wall_ms >= %(before)s ORDER BY position LIMIT 1
        ), 9223372036854775807)"""

NEXT_FILE: LiteralString = """
    WITH first AS (
        SELECT position, wall_ms / 86400000 AS day FROM bulkhead.journal_commit
        WHERE shard = %(shard)s AND position > %(after)s ORDER BY position LIMIT 1
    )
    SELECT GREATEST(first.position, (
        SELECT max(c.position) FROM bulkhead.journal_commit c
        WHERE c.shard = %(shard)s AND c.position > %(after)s AND c.position <= LEAST(%(last)s, %(most)s)
            AND c.position < COALESCE((
                SELECT d.position FROM bulkhead.journal_commit d
                WHERE d.shard = %(shard)s AND d.position > %(after)s AND d.position <= %(most)s
                    AND d.wall_ms / 86400000 <> first.day
                ORDER BY d.position LIMIT 1
            ), 9223372036854775807)
    )) FROM first"""

PARKED: LiteralString = """
    SELECT stream, position, error FROM bulkhead.parked WHERE position <= %s ORDER BY position"""
