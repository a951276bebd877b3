"""Empty, ours, the platform's or foreign: what a database is, and what is never touched in it."""

from __future__ import annotations

import psycopg
import pytest

from actors.core.errors import ForeignDatabase
from actors.persistence import schema
from actors.persistence.store import Store
from tests.factories import BUY
from tests.persistence.authors import Author, create, load, rows


def test_a_foreign_database_is_refused_and_left_alone(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE invoices (id int)")
    with pytest.raises(ForeignDatabase, match="invoices"):
        Store.open(dsn)
    assert rows(dsn, "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'bulkhead'") == [
        (0,)
    ]


def test_a_table_with_missing_columns_is_named(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE sub_accounts (id text)")
    with pytest.raises(ForeignDatabase, match="sub_accounts lacks"):
        Store.open(dsn)


def test_the_platform_s_own_database_is_attached_and_never_altered(dsn):
    script = (schema._HERE / "platform.sql").read_text().replace("numeric", "double precision")
    script = script.replace("api_key text,", "api_key text, grown_since text,")
    before = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(script)
        assert schema.check(connection) is schema.Found.PLATFORM
    columns = rows(dsn, before)
    store = Store.open(dsn)
    store.acquire("me", 30)
    author = Author(create(store)[0])
    author.trade(BUY, "0.1", "2000.07")
    assert set(store.commit(author.batch)) == {None}
    assert load(store, author.state) == author.state
    store.close()
    assert rows(dsn, before) == columns
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert schema.check(connection) is schema.Found.READY


def test_a_newer_schema_is_refused(store, dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO bulkhead.migration (version) VALUES (99)")
    with pytest.raises(ForeignDatabase, match="version 99"):
        Store.open(dsn)
