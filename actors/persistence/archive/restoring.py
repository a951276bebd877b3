"""Archived rows back into the journal, once each file was verified.

I/O: runs SQL on the connection that it is given; reads files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import psycopg

from actors.core.errors import BadInput, StateCorrupt
from actors.persistence import journal
from actors.persistence.archive.ends import Ends
from actors.persistence.archive.folder import Archive
from actors.persistence.archive.form import TimedCommit
from actors.persistence.archive.tables import ArchivedFile, ArchivedStream
from actors.persistence.archive.writing import PUT_SNAPSHOT, PUT_STREAM, verified
from actors.persistence.journal import SHARD, Entry
from actors.persistence.verify_chain import Chain, Commit

Connection = psycopg.Connection[Any]
Progress = Callable[[int], None]

ALL = "all"


def chosen(archive: Archive, wanted: str) -> list[ArchivedFile]:
    """A file and all behind it, as the journal has no gap; or all files.

    Raises:
        BadInput: there is no such file; says which there are.
    """
    if not archive.files:
        raise BadInput("nothing of this journal is archived, so nothing can be restored")
    names = [file.file for file in archive.files]
    if wanted == ALL:
        return archive.files
    if wanted not in names:
        raise BadInput(
            f"--restore {wanted}: this database has no such file; it has {len(names)}, {names[0]} to {names[-1]}; or give all"
        )
    return archive.files[names.index(wanted) :]


def restore(
    connection: Connection, archive: Archive, wanted: Sequence[ArchivedFile], progress: Progress
) -> int:
    """Bring rows back, in the transaction of whoever owns the accounts; how many. The files stay where they are.

    Args:
        connection: in that transaction.
        archive: all files of the database.
        wanted: the last ones of them; see ``chosen``.
        progress: informed of positions.

    Raises:
        NotKept, StateCorrupt: a file is not there, or not what was written; nothing is changed.
    """
    chain, ends = Chain(), Ends()

    def fold(_commit: Commit, rows: Sequence[Entry]) -> None:
        for row in rows:
            ends.add(row)

    for file in archive.files:
        if file.first >= wanted[0].first:
            verified(archive, file, chain)
            insert(connection, archive, file)
        else:
            verified(archive, file, chain, fold)
        progress(chain.position)
    connection.execute(FORGET_FILES, (wanted[0].first,))
    connection.execute(FORGET_STREAMS)
    put(connection, PUT_STREAM, list(ends.rows().values()))
    return wanted[-1].last - wanted[0].first + 1


def insert(connection: Connection, archive: Archive, file: ArchivedFile) -> None:
    """The rows and commits of a file that was verified; its last commit is there.

    Raises:
        StateCorrupt: that one is another.
    """
    commits: list[TimedCommit] = []
    with connection.cursor().copy(journal.COPY_ROWS) as copy:
        copy.set_types(("int2", "int8", "text", "int8", "int8", "text", "int2", "bytea", "bytea"))
        for line in archive.lines(file):
            if isinstance(line, Entry):
                copy.write_row((SHARD, *line))
            else:
                commits.append(line)
    with connection.cursor() as cursor:
        values = [(SHARD, c.commit.position, c.commit.rows, c.wall_ms, c.commit.root) for c in commits[:-1]]
        cursor.executemany(journal.COMMIT_ROW, values)
    row = connection.execute(ROOT_AT, (SHARD, file.last)).fetchone()
    if row is None or bytes(row[0]) != file.root:
        raise StateCorrupt(
            f"the commit at position {file.last}, with which {file.file} ends, is not in the journal"
        )


def take_out(connection: Connection, archive: Archive) -> None:
    """Delete what ``insert`` brought of all files, and see that no snapshot is older than what is archived."""
    last = archive.last
    connection.execute(TAKE_ROWS, (SHARD, last))
    connection.execute(TAKE_COMMITS, (SHARD, last))
    found = connection.execute(ALL_STREAMS).fetchall()
    put(connection, PUT_SNAPSHOT, found)


def put(
    connection: Connection, statement: LiteralString, rows: Sequence[ArchivedStream | tuple[Any, ...]]
) -> None:
    """Write some rows."""
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)


ROOT_AT: LiteralString = "SELECT root FROM bulkhead.journal_commit WHERE shard = %s AND position = %s"

FORGET_FILES: LiteralString = "DELETE FROM bulkhead.archive WHERE first >= %s"

FORGET_STREAMS: LiteralString = "DELETE FROM bulkhead.archived_stream"

TAKE_ROWS: LiteralString = "DELETE FROM bulkhead.journal WHERE shard = %s AND position <= %s"

TAKE_COMMITS: LiteralString = """
    DELETE FROM bulkhead.journal_commit c WHERE shard = %s AND position <= %s
        AND NOT EXISTS (SELECT FROM bulkhead.archive a WHERE a.last = c.position)"""

ALL_STREAMS: LiteralString = "SELECT stream, sequence, hash, version, state FROM bulkhead.archived_stream"
