"""What the database knows of archived rows: the files, and of each stream where it stood at the end of the last one.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg

from actors.core.utc import time_of
from actors.persistence.journal import NO_HASH

Connection = psycopg.Connection[Any]


class ArchivedFile(msgspec.Struct, frozen=True):
    """One row of ``bulkhead.archive``: positions ``first`` to ``last`` are in ``file``, of that SHA-256 (hex) and length.

    ``first_ms`` and ``last_ms`` are the earliest and the latest time of its rows, Unix milliseconds.
    """

    first: int
    last: int
    commits: int
    first_ms: int
    last_ms: int
    root_before: bytes
    root: bytes
    file: str
    sha256: str
    bytes: int


class ArchivedStream(NamedTuple):
    """One row of ``bulkhead.archived_stream``, in the order of its columns."""

    stream: str
    first_position: int
    first_sequence: int
    first_ms: int
    first_cause: str
    position: int
    sequence: int
    wall_ms: int
    cause: str
    latest_ms: int
    hash: bytes
    version: int
    state: bytes


class ArchivedEnd(NamedTuple):
    """Up to which position all rows are in files, and the root there; 0 where none are."""

    position: int
    root: bytes


def files(connection: Connection) -> list[ArchivedFile]:
    """All files, in order of their positions."""
    return [ArchivedFile(*row) for row in connection.execute(FILES).fetchall()]


def archived_end(connection: Connection) -> ArchivedEnd:
    """Where the journal begins."""
    row = connection.execute(END).fetchone()
    return ArchivedEnd(0, NO_HASH) if row is None else ArchivedEnd(int(row[0]), bytes(row[1]))


def streams(connection: Connection, names: Sequence[str]) -> dict[str, ArchivedStream]:
    """Some streams, those that have archived rows."""
    found = connection.execute(SOME, (list(names),)).fetchall()
    return {row[0]: ArchivedStream(*row) for row in found}


def stream(connection: Connection, name: str) -> ArchivedStream | None:
    """One stream; None if none of its rows is archived."""
    return streams(connection, [name]).get(name)


def all_streams(connection: Connection) -> dict[str, ArchivedStream]:
    """All streams that have archived rows."""
    return {row[0]: ArchivedStream(*row) for row in connection.execute(ALL).fetchall()}


CURE = "'bulkhead db archive --restore all' brings them back, with the engine stopped"


def said(connection: Connection, name: str | None, from_ms: int) -> str | None:
    """What of a time on is archived, in words: of a stream, or of all where no name is given; None where nothing is.

    Args:
        connection: to read on.
        name: of the stream.
        from_ms: the begin of the time, Unix milliseconds.
    """
    asked = (ARCHIVED_OF_ALL, (from_ms,)) if name is None else (ARCHIVED_OF, (name, from_ms))
    row = connection.execute(*asked).fetchone()
    if row is None or row[0] is None:
        return None
    position, latest_ms = row
    whose = "rows of the journal" if name is None else f"rows of {name}"
    return f"{whose} up to position {position}, decided until {time_of(latest_ms)}, are archived: {CURE}"


ARCHIVED_OF: LiteralString = """
    SELECT position, latest_ms FROM bulkhead.archived_stream WHERE stream = %s AND latest_ms >= %s"""

ARCHIVED_OF_ALL: LiteralString = "SELECT max(last), max(last_ms) FROM bulkhead.archive WHERE last_ms >= %s"
"""Of the files, which are few; ``archived_stream`` has a state of each account."""

FILES: LiteralString = """
    SELECT first, last, commits, first_ms, last_ms, root_before, root, file, sha256, bytes
    FROM bulkhead.archive ORDER BY first"""

END: LiteralString = "SELECT last, root FROM bulkhead.archive ORDER BY first DESC LIMIT 1"

ALL: LiteralString = """
    SELECT stream, first_position, first_sequence, first_ms, first_cause, position, sequence, wall_ms, cause, latest_ms, hash,
        version, state
    FROM bulkhead.archived_stream"""

SOME: LiteralString = ALL + " WHERE stream = ANY(%s)"
