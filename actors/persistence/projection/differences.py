"""What a rebuild would change, without changing it: made in a transaction that is rolled back.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg import sql

from actors.persistence.connection import lift_limits
from actors.persistence.projection.batch import names_of_ours
from actors.persistence.projection.rebuild import rebuild
from actors.persistence.projection.tables import add_missing_columns

Connection = psycopg.Connection[Any]

EXAMPLES = 3


class TableDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How one of our tables differs from what the journal makes.

    ``wrong`` rows are there and would not be, ``lacking`` ones are not there and would be; a changed row is one of each.
    ``examples`` are rows as Postgres writes them, with ``-`` or ``+`` before them.
    """

    table: str
    rows: int
    wrong: int
    lacking: int
    examples: tuple[str, ...]


def differences(
    connection: Connection,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    folder: Path | None = None,
) -> list[TableDifference]:
    """Each of our tables, compared with what a rebuild makes of it. The database is unchanged.

    Args:
        connection: of its own, with autocommit; no engine may run on the database.
        progress: informed of decisions done, and of all.
        folder: of archived files.

    Raises:
        StateCorrupt: see ``rebuild``.
        psycopg.Error: Postgres refuses, or is gone.
    """
    with connection.transaction(force_rollback=True):
        lift_limits(connection)
        add_missing_columns(connection)
        names = names_of_ours()
        for name in names:
            kept = sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS TABLE {}")
            connection.execute(kept.format(_before(name), sql.Identifier("bulkhead", name)))
        rebuild(connection, progress, folder)
        return [_difference(connection, name) for name in names]


def _difference(connection: Connection, name: str) -> TableDifference:
    before, now = _before(name), sql.Identifier("bulkhead", name)
    wrong = _rows_of_one(connection, before, now)
    lacking = _rows_of_one(connection, now, before)
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(now)).fetchone()
    examples = [f"- {text}" for text in wrong[:EXAMPLES]] + [f"+ {text}" for text in lacking[:EXAMPLES]]
    return TableDifference(
        table=name,
        rows=0 if row is None else int(row[0]),
        wrong=len(wrong),
        lacking=len(lacking),
        examples=tuple(examples),
    )


def _before(name: str) -> sql.Identifier:
    return sql.Identifier(f"before_{name}")


def _rows_of_one(connection: Connection, one: sql.Identifier, other: sql.Identifier) -> list[str]:
    """Rows of one table that another does not have, as text: so columns of any type are compared."""
    return [row[0] for row in connection.execute(sql.SQL(ONLY).format(one, other)).fetchall()]


ONLY: LiteralString = "SELECT t::text FROM {} t EXCEPT ALL SELECT t::text FROM {} t ORDER BY 1"
