"""A table's declaration: columns that a release adds, and what a batch makes of one row."""

from __future__ import annotations

from decimal import Decimal as D

import psycopg
import pytest

from actors.persistence.projection import tables
from actors.persistence.projection.store import Projection
from actors.persistence.projection.tables import Rows, Table


@pytest.fixture
def table(store, dsn, monkeypatch):
    """A table of three columns, one of which this release adds."""
    monkeypatch.setattr(tables, "TABLES", [])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE bulkhead.thing (id text PRIMARY KEY, total numeric, name text)")
        connection.execute("INSERT INTO bulkhead.thing VALUES ('old', 1, 'a')")
    return Table(
        "bulkhead.thing", ("id",), "id total name note", adds=("total",), added={"note": "text NOT NULL DEFAULT '-'"}
    )  # fmt: skip


@pytest.fixture
def written(table, dsn):
    """Writes rows and says what the table then holds."""
    Projection(dsn).begin()

    def write(rows):
        with psycopg.connect(dsn) as connection:
            rows.delete(connection)
            rows.write(connection)
            return connection.execute(
                "SELECT id, total, name, note FROM bulkhead.thing ORDER BY 1"
            ).fetchall()

    return write


def test_a_column_that_a_release_adds_is_made_once_when_the_projector_starts(table, dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert tables.add_missing_columns(connection) == ["bulkhead.thing.note"]
        assert tables.add_missing_columns(connection) == []
        assert connection.execute("SELECT note FROM bulkhead.thing").fetchall() == [("-",)]


def test_what_a_batch_does_to_a_row_is_one_row(table, written):
    rows = Rows(table)
    rows.insert("new", total=D(1), name="x", note="n")
    rows.change("new", total=D(2), name=None, note="m")
    rows.change("old", total=D(5))
    rows.change("old", total=D(6), name="b")
    rows.change("none", total=D(6))
    assert written(rows) == [("new", D(3), "x", "m"), ("old", D(12), "b", "-")]


def test_an_upsert_adds_where_the_table_says_so_and_overwrites_else(table, written):
    rows = Rows(table)
    for id_ in ("old", "new"):
        rows.put(id_, total=D(5), name="b", note="n")
        rows.put(id_, total=D(6), name="c", note="n")
    assert written(rows) == [("new", D(11), "c", "n"), ("old", D(12), "c", "n")]


def test_a_row_that_is_removed_is_gone_and_one_that_comes_again_is_there(table, written):
    rows = Rows(table)
    rows.put("old", total=D(5), name="b", note="n")
    rows.remove("old")
    assert written(rows) == []
    rows = Rows(table)
    rows.remove("x")
    rows.put("x", total=D(5), name="b", note="n")
    assert written(rows) == [("x", D(5), "b", "n")]


def test_a_row_that_is_inserted_twice_is_refused(table):
    rows = Rows(table)
    rows.insert("new", total=D(1), name="x", note="n")
    with pytest.raises(ValueError, match="has a row"):
        rows.insert("new", total=D(1), name="x", note="n")
