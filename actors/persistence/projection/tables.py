"""Rows of the tables that are made from the journal: gathered over many decisions, then written table by table.

Rules
1. What the decisions of a batch do to one row becomes one row: of each column the last value, of an added one the sum.
2. New rows go by COPY, all others as one JSON value a table. Postgres reads both by the types of the table's own
   columns, so a platform may have its own (double precision, an enum).
3. A table is declared once, beside what writes it. A column of ours that a release adds is declared there too, and made
   when the projector starts; ``bulkhead db rebuild`` fills it for what was before.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import psycopg

Connection = psycopg.Connection[Any]
Key = tuple[Any, ...]
Values = dict[str, Any]

OURS = "bulkhead."

TABLES: list[Table] = []
"""In the order in which they are written: a table stands behind those that it refers to."""

_ENCODE = msgspec.json.Encoder().encode


class Table:
    """One table that is made from the journal.

    Args:
        name: with its schema, if that is ours.
        key: the columns that a change finds its row by, and that an upsert conflicts on.
        columns: all that are written of a new row.
        adds: columns that a change or an upsert adds to.
        fixed: columns that an upsert leaves as they are.
        conflict: what an upsert makes of a column, as SQL, where that is not the new value; ``t`` is the row.
        only: of the rows of a key, those that a change concerns, as SQL.
        added: columns that this release has and the schema's scripts have not: name and definition.
    """

    def __init__(  # noqa: PLR0913 - a declaration
        self,
        name: str,
        key: tuple[str, ...],
        columns: str,
        *,
        adds: Iterable[str] = (),
        fixed: Iterable[str] = (),
        conflict: Mapping[str, str] | None = None,
        only: str = "",
        added: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.key, self.only = name, key, only
        self.columns = tuple(columns.split())
        self.adds, self.added = frozenset(adds), dict(added or {})
        self._conflict, self._fixed = dict(conflict or {}), frozenset(fixed)
        self._changing: dict[tuple[str, ...], bytes] = {}
        self.copy_sql = f"COPY {name} ({', '.join(self.columns)}) FROM STDIN".encode()
        TABLES.append(self)

    @property
    def is_ours(self) -> bool:
        """Whether it is not one of the platform's."""
        return self.name.startswith(OURS)

    def upsert_sql(self) -> bytes:
        """Insert rows, or overwrite those of the same key."""
        listed = ", ".join(self.columns)
        sets = [
            f"{c} = {self._on_conflict(c)}"
            for c in self.columns
            if c not in self.key and c not in self._fixed
        ]
        return (
            f"INSERT INTO {self.name} AS t ({listed}) SELECT {listed} FROM {self._rows()} AS x "  # noqa: S608 - our names
            f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {', '.join(sets)}"
        ).encode()

    def change_sql(self, names: tuple[str, ...]) -> bytes:
        """Change these columns of rows that are there; a value that is not given leaves its column."""
        found = self._changing.get(names)
        if found is None:
            sets = [
                f"{c} = COALESCE(t.{c}, 0) + COALESCE(x.{c}, 0)"
                if c in self.adds
                else f"{c} = COALESCE(x.{c}, t.{c})"
                for c in names
            ]
            only = f" AND {self.only}" if self.only else ""
            found = self._changing[names] = (
                f"UPDATE {self.name} AS t SET {', '.join(sets)} "  # noqa: S608 - as above
                f"FROM {self._rows()} AS x WHERE {self._same()}{only}"
            ).encode()
        return found

    def delete_sql(self) -> bytes:
        """Delete rows by key."""
        text = f"DELETE FROM {self.name} AS t USING {self._rows()} AS x WHERE {self._same()}"  # noqa: S608 - as above
        return text.encode()

    def _on_conflict(self, column: str) -> str:
        if column in self._conflict:
            return self._conflict[column]
        return f"COALESCE(t.{column}, 0) + EXCLUDED.{column}" if column in self.adds else f"EXCLUDED.{column}"

    def _rows(self) -> str:
        return f"json_populate_recordset(NULL::{self.name}, %s)"

    def _same(self) -> str:
        return " AND ".join(f"t.{c} = x.{c}" for c in self.key)


class Rows:
    """What a batch does to one table."""

    __slots__ = ("_changes", "_gone", "_new", "_puts", "_table")

    def __init__(self, table: Table) -> None:
        self._table = table
        self._new: dict[Key, Values] = {}
        self._puts: dict[Key, Values] = {}
        self._changes: dict[Key, Values] = {}
        self._gone: dict[Key, None] = {}

    def insert(self, *key: Any, **values: Any) -> None:
        """A row that is not there yet.

        Raises:
            ValueError: it is, by the same batch.
        """
        if key in self._new:
            raise ValueError(f"{self._table.name} has a row {key} already")
        self._new[key] = {**dict(zip(self._table.key, key, strict=True)), **values}

    def put(self, *key: Any, **values: Any) -> None:
        """A row, whether or not it is there; what it adds to is added."""
        self._gone.pop(key, None)
        row = self._puts.get(key)
        if row is None:
            self._puts[key] = {**dict(zip(self._table.key, key, strict=True)), **values}
        else:
            self._merge(row, values)

    def change(self, *key: Any, **values: Any) -> None:
        """Some columns of a row that is there; None leaves its column."""
        row = self._new.get(key) or self._puts.get(key) or self._changes.get(key)
        if row is None:
            self._changes[key] = {**dict(zip(self._table.key, key, strict=True)), **values}
        else:
            self._merge(row, values)

    def amend(self, *key: Any, **values: Any) -> None:
        """As ``change``, where this batch changes the row already."""
        row = self._changes.get(key)
        if row is not None:
            self._merge(row, values)

    def remove(self, *key: Any) -> None:
        """Delete a row, if it is there."""
        self._puts.pop(key, None)
        self._changes.pop(key, None)
        self._gone[key] = None

    def put_at(self, place: Key, **values: Any) -> None:
        """As ``put``, found again by ``place`` instead of the table's key."""
        row = self._puts.get(place)
        if row is None:
            self._puts[place] = values
        else:
            self._merge(row, values)

    def put_of(self, place: Key) -> Values | None:
        """The row that was put at a place by this batch."""
        return self._puts.get(place)

    def move(self, place: Key, to: Key) -> None:
        """Keep what was put at a place, and make room there for another row."""
        self._puts[to] = self._puts.pop(place)

    def _merge(self, row: Values, values: Values) -> None:
        adds = self._table.adds
        for name, value in values.items():
            if value is None:
                row.setdefault(name, None)
            elif name in adds:
                row[name] = (row.get(name) or 0) + value
            else:
                row[name] = value

    def delete(self, connection: Connection) -> None:
        """Delete what goes."""
        if self._gone:
            rows = [dict(zip(self._table.key, key, strict=True)) for key in self._gone]
            connection.execute(self._table.delete_sql(), (_json(rows),))

    def write(self, connection: Connection) -> int:
        """Write all else; how many rows, with those that were deleted."""
        table = self._table
        if self._changes:
            changes = list(self._changes.values())
            names = sorted({name for row in changes for name in row} - set(table.key))
            connection.execute(table.change_sql(tuple(names)), (_json(changes),))
        if self._new:
            with connection.cursor().copy(table.copy_sql) as copy:
                for row in self._new.values():
                    copy.write_row([row.get(column) for column in table.columns])
        if self._puts:
            connection.execute(table.upsert_sql(), (_json(list(self._puts.values())),))
        return len(self._gone) + len(self._changes) + len(self._new) + len(self._puts)


def _json(rows: list[Values]) -> str:
    return _ENCODE(rows).decode()


def add_missing_columns(connection: Connection) -> list[str]:
    """Make the columns that this release declares and the database does not have yet; their names."""
    made = []
    for table in TABLES:
        for column, definition in table.added.items():
            found = connection.execute(
                "SELECT FROM information_schema.columns WHERE table_schema = 'bulkhead' AND table_name = %s "
                "AND column_name = %s",
                (table.name.removeprefix(OURS), column),
            ).fetchone()
            if found is None:
                connection.execute(
                    f"ALTER TABLE {table.name} ADD COLUMN IF NOT EXISTS {column} {definition}".encode()
                )
                made.append(f"{table.name}.{column}")
    return made
