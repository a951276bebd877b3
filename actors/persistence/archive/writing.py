"""Rows of the journal into a file, and only then out of the database.

Steps for each file, and what a crash behind each leaves
1. Its rows are read, their chain of hashes and roots recomputed, each stream folded and compared with its snapshots. A crash
   leaves everything as it was.
2. The file is written under another name, brought to the disk, and renamed. A crash leaves a ``.partial``, which is written
   over, or a whole file that the database does not know, which the next run takes if it says the same.
3. The file is read back from the disk and its chain recomputed once more, to the root that the database has.
4. One transaction of whoever owns the accounts writes down the file, where each stream then stands, and newer snapshots where
   one was older; and deletes the rows. A crash leaves all of it or nothing.

I/O: runs SQL on the connections that it is given; writes files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg

from actors.core.errors import BadInput, StateCorrupt
from actors.persistence import journal
from actors.persistence.archive import folder as files
from actors.persistence.archive import tables
from actors.persistence.archive.ends import Ends
from actors.persistence.archive.form import Body, Header, TimedCommit, name_of
from actors.persistence.archive.plan import Span
from actors.persistence.archive.tables import ArchivedEnd, ArchivedFile, ArchivedStream
from actors.persistence.connection import lift_limits, one_moment
from actors.persistence.journal import SHARD, Entry, Head
from actors.persistence.schema import VERSION
from actors.persistence.streams import kind_of
from actors.persistence.verify_chain import Begin, Chain, Commit, Found

Connection = psycopg.Connection[Any]
Progress = Callable[[int], None]
"""Informed of the position that was read."""

ROWS_A_TIME = 2_000


class Made(NamedTuple):
    """A file, as it will be written, and what is to be known of it."""

    file: ArchivedFile
    content: bytes
    begin: Begin
    streams: dict[str, ArchivedStream]


def make(connection: Connection, span: Span, fleet: str, progress: Progress = lambda _p: None) -> Made:
    """Read rows and make their file's bytes; nothing is changed.

    Args:
        connection: in no transaction.
        span: which rows; the file before ends where it begins.
        fleet: the database's id.
        progress: see there.

    Raises:
        StateCorrupt: a row is not what was written, cannot be folded, or a snapshot is not what rows make; names it.
    """
    with one_moment(connection):
        lift_limits(connection)
        after = tables.archived_end(connection)
        if after.position != span.after:
            raise StateCorrupt(f"rows up to {after.position} are archived, and not {span.after}")
        names = [row[0] for row in connection.execute(STREAMS, (SHARD, *span)).fetchall()]
        before = tables.streams(connection, names)
        begin = Begin(*after, {name: Head(s.sequence, s.hash) for name, s in before.items()})
        kept = _snapshots(connection, names)
        return _make(connection, span, fleet, begin, Ends(before), kept, progress)


def _make(  # noqa: PLR0913 - what is read before the rows
    connection: Connection,
    span: Span,
    fleet: str,
    begin: Begin,
    ends: Ends,
    kept: dict[tuple[str, int], list[tuple[bytes, int, bytes]]],
    progress: Progress,
) -> Made:
    chain, body = Chain(begin=begin), Body()
    index: dict[str, tuple[int, int]] = {}
    commits, first_ms, last_ms = 0, 2**62, 0
    for timed, rows in _by_commit(connection, span):
        _walk(chain, rows, timed.commit, "")
        for row in rows:
            ends.add(row)
            for snapshot in kept.get((row.stream, row.sequence), ()):
                _compare(row, ends.hash_of(row.stream), *snapshot)
            body.row(row)
            first_ms, last_ms = min(first_ms, row.wall_ms), max(last_ms, row.wall_ms)
            first, _ = index.get(row.stream, (row.sequence, 0))
            index[row.stream] = first, row.sequence
        body.commit(timed)
        commits += 1
        progress(chain.position)
    if chain.position != span.last:
        raise StateCorrupt(f"the journal has no commit that ends at position {span.last}")
    name = name_of(span.after + 1, span.last)
    header = Header(
        fleet=fleet,
        shard=SHARD,
        schema=VERSION,
        first=span.after + 1,
        last=span.last,
        commits=commits,
        first_ms=first_ms,
        last_ms=last_ms,
        root_before=begin.root.hex(),
        root=chain.root.hex(),
        streams=index,
    )
    content = body.whole(header)
    file = ArchivedFile(
        header.first, header.last, commits, first_ms, last_ms, begin.root, chain.root, name,
        files.sha256_of(content), len(content),
    )  # fmt: skip
    return Made(file, content, begin, ends.rows(only_changed=True))


def keep(folder: Path, made: Made) -> None:
    """Bring a file to the disk, and read it back from there.

    Raises:
        NotRecorded: it cannot be written; nothing was deleted.
        BadInput: another file has its name.
        StateCorrupt: what was read back is not what was written.
    """
    if (folder / made.file.file).exists():
        _refuse_another(folder, made.file)
    else:
        files.write(folder, made.file.file, made.content)
    verified(files.Archive(folder, [made.file]), made.file, Chain(begin=made.begin))


def _refuse_another(folder: Path, file: ArchivedFile) -> None:
    """What an earlier run left is the same, byte for byte; what is not is of another database, and stays."""
    try:
        files.Archive(folder, [file]).check(file)
    except StateCorrupt as error:
        raise BadInput(
            f"{folder} has a {file.file} already that this database does not know and that is another: {error}. Is it of "
            "another database, or of this one before an older backup was restored? Move it away, or name another folder"
        ) from None


def verified(
    archive: files.Archive,
    file: ArchivedFile,
    chain: Chain,
    each: Callable[[Commit, Sequence[Entry]], None] = lambda _commit, _rows: None,
) -> None:
    """Walk a file; ``each`` is called with each commit and its rows, whose hashes and root are right.

    Raises:
        NotKept: it is not there.
        StateCorrupt: it is not what was written; names it.
    """
    rows: list[Entry] = []
    if (chain.position, chain.root) != (file.first - 1, file.root_before):
        raise StateCorrupt(
            f"{file.file} follows position {file.first - 1} with the root {file.root_before.hex()}, and before it there are "
            f"{chain.position} and {chain.root.hex()}: a file is missing in bulkhead.archive"
        )
    for line in archive.lines(file):
        if isinstance(line, Entry):
            rows.append(line)
            continue
        _walk(chain, rows, line.commit, f"{file.file}: ")
        each(line.commit, rows)
        rows = []
    if rows or (chain.position, chain.root) != (file.last, file.root):
        raise StateCorrupt(
            f"{file.file} ends at position {chain.position} with the root {chain.root.hex()}, and the journal had {file.last} "
            f"and {file.root.hex()}"
        )


def _walk(chain: Chain, rows: Sequence[Entry], commit: Commit, where: str) -> None:
    try:
        chain.walk(rows, [commit])
    except Found as found:
        text = f"{where}position {found.fault.position}: {found.fault.text}"
        raise StateCorrupt(f"{text}; 'bulkhead db verify' says more") from None


def record(connection: Connection, made: Made, now_ms: int) -> None:
    """Write down that a file has its rows, and delete them; in the transaction of whoever owns the accounts.

    Raises:
        StateCorrupt: the database is not as it was when the file was made.
    """
    file = made.file
    end = tables.archived_end(connection)
    if end != ArchivedEnd(file.first - 1, file.root_before):
        raise StateCorrupt(f"rows up to {end.position} are archived, and not {file.first - 1}")
    connection.execute(INSERT_FILE, (*_columns(file), now_ms))
    with connection.cursor() as cursor:
        cursor.executemany(PUT_STREAM, list(made.streams.values()))
        cursor.executemany(PUT_SNAPSHOT, [_snapshot(s) for s in made.streams.values()])
    rows = connection.execute(DELETE_ROWS, (SHARD, file.first, file.last)).rowcount
    commits = connection.execute(DELETE_COMMITS, (SHARD, file.first, file.last)).rowcount
    # The last commit stays: its root is what the next one is over.
    if (rows, commits) != (file.last - file.first + 1, file.commits - 1):
        raise StateCorrupt(
            f"{file.file} has {file.last - file.first + 1} rows of {file.commits} commits, and the journal {rows} of "
            f"{commits + 1} between its positions"
        )


def _columns(file: ArchivedFile) -> tuple[Any, ...]:
    return (
        file.first, file.last, file.commits, file.first_ms, file.last_ms, file.root_before, file.root, file.file,
        file.sha256, file.bytes,
    )  # fmt: skip


def _snapshot(end: ArchivedStream) -> tuple[Any, ...]:
    return end.stream, end.sequence, end.hash, end.version, end.state


def _by_commit(connection: Connection, span: Span) -> Iterator[tuple[TimedCommit, list[Entry]]]:
    left = _rows(connection, span)
    row = next(left, None)
    with connection.cursor("archived_commits", binary=True) as cursor:
        cursor.itersize = ROWS_A_TIME
        cursor.execute(COMMITS, (SHARD, *span))
        for position, count, root, wall_ms in cursor:
            rows: list[Entry] = []
            while row is not None and row.position <= position:
                rows.append(row)
                row = next(left, None)
            yield TimedCommit(Commit(position, count, root), wall_ms), rows


def _rows(connection: Connection, span: Span) -> Iterator[Entry]:
    at = span.after
    while at < span.last:
        found = journal.read(connection, at, min(ROWS_A_TIME, span.last - at))
        if not found:
            return
        yield from found
        at = found[-1].position


def _snapshots(
    connection: Connection, names: Sequence[str]
) -> dict[tuple[str, int], list[tuple[bytes, int, bytes]]]:
    found: dict[tuple[str, int], list[tuple[bytes, int, bytes]]] = {}
    for stream, sequence, *rest in connection.execute(SNAPSHOTS, {"streams": list(names)}).fetchall():
        hash_, version, state = rest
        found.setdefault((stream, sequence), []).append((hash_, version, state))
    return found


def _compare(row: Entry, made: str, hash_: bytes, version: int, state: bytes) -> None:
    kind = kind_of(row.stream)
    if hash_ != row.hash or kind.hash_of(kind.decode(version, state)) != made:
        raise StateCorrupt(
            f"the snapshot of {row.stream} after decision {row.sequence} is not what the journal makes; 'bulkhead db verify' "
            "says more, 'bulkhead db rebuild' makes it anew"
        )


AtRest = Callable[[Callable[[Connection, Any], None]], None]
"""``Store.at_rest``: one transaction of whoever owns the accounts."""


def archive(  # noqa: PLR0913 - what of whom goes where
    connection: Connection,
    at_rest: AtRest,
    folder: Path,
    span: Span,
    *,
    fleet: str,
    now_ms: int,
    progress: Progress = lambda _p: None,
) -> ArchivedFile:
    """Move rows into a file: all steps, see the module.

    Raises:
        NotRecorded, BadInput, StateCorrupt: see ``make`` and ``keep``; nothing was deleted.
        Fenced: another process owns the accounts; nothing was deleted.
        StoreUnreachable, StoreBusy: nothing was deleted, or not known to be; the next run goes on behind what was.
    """
    made = make(connection, span, fleet, progress)
    keep(folder, made)
    at_rest(lambda owned, _append: record(owned, made, now_ms))
    return made.file


STREAMS: LiteralString = """
    SELECT DISTINCT stream FROM bulkhead.journal WHERE shard = %s AND position > %s AND position <= %s"""

COMMITS: LiteralString = """
    SELECT position, rows, root, wall_ms FROM bulkhead.journal_commit
    WHERE shard = %s AND position > %s AND position <= %s ORDER BY position"""

SNAPSHOTS: LiteralString = """
    SELECT stream, sequence, hash, version, state FROM bulkhead.snapshot WHERE stream = ANY(%(streams)s)
    UNION ALL
    SELECT stream, sequence, hash, version, state FROM bulkhead.snapshot_day WHERE stream = ANY(%(streams)s)"""

INSERT_FILE: LiteralString = """
    INSERT INTO bulkhead.archive (first, last, commits, first_ms, last_ms, root_before, root, file, sha256, bytes, archived_ms)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""

PUT_STREAM: LiteralString = """
    INSERT INTO bulkhead.archived_stream (stream, first_position, first_sequence, first_ms, first_cause, position, sequence,
        wall_ms, cause, latest_ms, hash, version, state)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (stream) DO UPDATE SET position = EXCLUDED.position, sequence = EXCLUDED.sequence, wall_ms = EXCLUDED.wall_ms,
        cause = EXCLUDED.cause, latest_ms = EXCLUDED.latest_ms, hash = EXCLUDED.hash, version = EXCLUDED.version,
        state = EXCLUDED.state"""

PUT_SNAPSHOT: LiteralString = """
    INSERT INTO bulkhead.snapshot AS s (stream, sequence, hash, version, state) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (stream) DO UPDATE SET sequence = EXCLUDED.sequence, hash = EXCLUDED.hash,
        version = EXCLUDED.version, state = EXCLUDED.state
    WHERE s.sequence < EXCLUDED.sequence"""
"""A start loads an account from its snapshot and the rows behind it, so no snapshot may be older than what is archived."""

DELETE_ROWS: LiteralString = """
    DELETE FROM bulkhead.journal WHERE shard = %s AND position >= %s AND position <= %s"""

DELETE_COMMITS: LiteralString = """
    DELETE FROM bulkhead.journal_commit WHERE shard = %s AND position >= %s AND position < %s"""
