"""The engine's connections wait for the disk, whatever the database says; a server that never does is refused."""

from __future__ import annotations

import contextlib

import psycopg
import pytest

from actors.core.errors import BadConfig
from actors.persistence.connection import connect
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.store import Store
from tests.e2e.processes import bulkhead, until


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server of these tests alone: its settings are changed."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("own")) as dsn:
        yield dsn


@contextlib.contextmanager
def server_with(dsn, name, value):
    """The whole server with another setting."""
    with psycopg.connect(dsn, autocommit=True) as admin:

        def set_to(clause, wanted):
            admin.execute(f"ALTER SYSTEM {clause}")
            admin.execute("SELECT pg_reload_conf()")
            until(lambda: admin.execute(f"SHOW {name}").fetchone()[0] == wanted, "the server's new setting")

        [before] = admin.execute(f"SHOW {name}").fetchone()
        set_to(f"SET {name} = {value}", value)
        try:
            yield
        finally:
            set_to(f"RESET {name}", before)


def shown(connection, name):
    with connection:
        return connection.execute(f"SHOW {name}").fetchone()[0]


@pytest.mark.parametrize(
    ("default", "used"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply"), ("local", "local")]
)
def test_a_commit_waits_for_the_disk_whatever_the_database_has_as_its_default(own, default, used):
    with server_with(own, "synchronous_commit", default):
        assert shown(connect(own), "synchronous_commit") == used


def test_a_server_that_never_waits_for_its_disk_is_refused_and_one_that_may_tear_pages_is_told(own):
    store = Store.open(own)
    assert store.check_durability() == ""
    with server_with(own, "full_page_writes", "off"):
        assert "full_page_writes = off" in store.check_durability()
    with (
        server_with(own, "fsync", "off"),
        pytest.raises(BadConfig, match=r"fsync = on in its postgresql\.conf"),
    ):
        store.check_durability()
    assert store.check_durability() == ""
    store.close()


@pytest.mark.e2e
def test_no_engine_starts_on_a_server_that_never_waits_for_its_disk(own, tmp_path):
    with server_with(own, "fsync", "off"):
        ended = bulkhead("run", "--data-dir", tmp_path, "--api-port", 0, "--dsn", own)
    assert ended.returncode == 2
    assert "Postgres runs with fsync = off" in ended.stderr
