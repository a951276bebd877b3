"""Our own tables made once more from the journal's first row; no row of the platform's is touched.

All of it is one transaction: whatever ends it in the middle leaves the database as it was. The cursor stays where it is,
and what is behind it is projected by the engine as always. Accounts that are parked come as far as they were projected;
the engine tries the rest at its start.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from actors.core.errors import StateCorrupt
from actors.persistence.archive import tables
from actors.persistence.archive.folder import Archive
from actors.persistence.archive.restoring import insert, take_out
from actors.persistence.archive.writing import verified
from actors.persistence.carrying import KEPT_IN
from actors.persistence.connection import answers_within, lift_limits, one_line
from actors.persistence.journal import PROJECTED, SHARD
from actors.persistence.projection.batch import names_of_ours
from actors.persistence.projection.store import PARKED, Projection
from actors.persistence.projection.tables import add_missing_columns
from actors.persistence.verify_chain import Chain

Connection = psycopg.Connection[Any]

AT_ONCE = 2_000
"""Decisions between two reports of progress."""

REBUILD_SECONDS = 3_600.0
"""The longest that one statement may take."""

SNAPSHOT = "snapshot"


def rebuild(
    connection: Connection,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    folder: Path | None = None,
) -> int:
    """Make our tables from the journal, up to where the projection stands; how many decisions that were.

    Args:
        connection: of its own, with autocommit; no engine may run on the database.
        progress: informed of decisions done, and of all.
        folder: of archived files; their rows are brought into the journal for as long as it takes.

    Raises:
        NotKept: an archived file is not there; names it. The database is unchanged.
        StateCorrupt: a decision cannot be projected; names it. The database is unchanged.
        psycopg.Error: Postgres refuses, or is gone. The database is unchanged.
    """
    with answers_within(connection, REBUILD_SECONDS), connection.transaction():
        lift_limits(connection)
        archive = Archive(folder, tables.files(connection))
        chain = Chain()
        for file in archive.files:
            verified(archive, file, chain)
            insert(connection, archive, file)
        count = _rebuild(connection, progress)
        if archive.files:
            take_out(connection, archive)
        return count


def _rebuild(connection: Connection, progress: Callable[[int, int], None]) -> int:
    row = connection.execute(PROJECTED + " FOR UPDATE", (SHARD,)).fetchone()
    last = 0 if row is None else int(row[0])
    parked: dict[str, int] = dict(connection.execute(PARKED).fetchall())
    add_missing_columns(connection)
    connection.execute(KEEP_PLATFORM)
    names = names_of_ours()
    for name in (*names, SNAPSHOT):
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier("bulkhead", name)))
    for name in names:
        _bring_back(connection, name)
    projection = Projection.on(connection, parked)
    while projection.cursor < last:
        try:
            count = projection.project_again(min(AT_ONCE, last - projection.cursor))
        except psycopg.errors.DataError as error:
            raise StateCorrupt(
                f"behind position {projection.cursor} a decision cannot be projected: {one_line(error)}"
            ) from None
        if not count:
            raise StateCorrupt(
                f"the journal has no row behind position {projection.cursor}, and {last} were projected"
            )
        progress(projection.cursor, last)
    connection.execute(RESTORE_PLATFORM)
    return last


def _bring_back(connection: Connection, name: str) -> None:
    """What the table held before the journal began."""
    found = connection.execute(COMMON_COLUMNS, (KEPT_IN, name, name)).fetchall()
    if found:
        columns = sql.SQL(", ").join(sql.Identifier(cast("str", row[0])) for row in found)
        copied = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}")
        ours, kept = sql.Identifier("bulkhead", name), sql.Identifier(KEPT_IN, name)
        connection.execute(copied.format(ours, columns, columns, kept))


COMMON_COLUMNS: LiteralString = """
    SELECT kept.column_name FROM information_schema.columns kept
    JOIN information_schema.columns ours ON ours.column_name = kept.column_name
    WHERE kept.table_schema = %s AND kept.table_name = %s AND ours.table_schema = 'bulkhead' AND ours.table_name = %s
    ORDER BY ours.ordinal_position"""

# What we wrote to the platform last is in no fact, and is compared with what stands there.
KEEP_PLATFORM: LiteralString = """
    CREATE TEMP TABLE platform_values ON COMMIT DROP AS
    SELECT account_id, platform_balance, platform_status, platform_mode, platform_rate FROM bulkhead.account"""

RESTORE_PLATFORM: LiteralString = """
    UPDATE bulkhead.account a SET platform_balance = p.platform_balance, platform_status = p.platform_status,
        platform_mode = p.platform_mode, platform_rate = p.platform_rate
    FROM platform_values p WHERE p.account_id = a.account_id"""
