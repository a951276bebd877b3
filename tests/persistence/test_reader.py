"""What people ask is read on a connection of its own, which cannot write and is made anew when it was lost."""

from __future__ import annotations

import threading

import psycopg
import pytest

from actors.core.errors import StoreBusy, StoreUnreachable
from actors.persistence import connection as connecting
from actors.persistence import reader as reading
from actors.persistence.connection import connect
from actors.persistence.reader import Reader
from tests.factories import BUY
from tests.persistence.authors import Author, create, project


@pytest.fixture
def reader(store, dsn):
    made = Reader(dsn)
    yield made
    made.close()


def pid(connection):
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


def test_it_reads_what_was_committed_and_can_write_nothing(store, reader):
    create(store)
    assert reader.with_operator_records(lambda d: d.quarantined()) == []
    assert reader.books() == ({}, {}, {})
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.ask(lambda c: c.execute("DELETE FROM bulkhead.audit"))


def test_a_connection_is_used_again_and_a_lost_one_made_anew(reader, dsn):
    first = reader.ask(pid)
    assert reader.ask(pid) == first
    with psycopg.connect(dsn, autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", (first,))
    assert reader.ask(pid) != first


def test_the_writer_s_lock_keeps_a_question_for_its_own_time_only(reader, dsn):
    with psycopg.connect(dsn) as platform:
        platform.execute("LOCK TABLE bulkhead.audit")
        with pytest.raises(StoreBusy, match="took too long"):
            reader.with_operator_records(lambda d: d.audit())
    assert reader.with_operator_records(lambda d: d.audit()) == []


def test_many_ask_at_once_on_connections_of_their_own(reader):
    barrier, pids = threading.Barrier(3, timeout=10), []

    def ask(connection):
        barrier.wait()
        pids.append(pid(connection))

    threads = [threading.Thread(target=reader.ask, args=(ask,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(pids)) == 3


def test_a_server_that_says_nothing_counts_as_lost(dsn, monkeypatch):
    connection = connect(dsn)
    monkeypatch.setattr(connecting.BoundedConnection, "answer_seconds", 0.3)
    with pytest.raises(psycopg.OperationalError, match="did not answer within"):
        connection.execute("SELECT pg_sleep(5)")
    assert connection.closed


@pytest.mark.parametrize(
    ("dsn", "says"),
    [
        ("postgresql//ann:s3cr3t-word@127.0.0.1/firm", "a colon is missing before //"),
        ("ann:s3cr3t-word@127.0.0.1/firm", "there is no ://"),
        ("postgresql://ann:s3cr3t-word@word@127.0.0.1:1/firm", "cannot be reached"),
        ("postgresql://ann:s3cr3t%2Dword@nowhere.invalid:1/firm", "cannot be reached"),
        ("host=127.0.0.1 port=1 user=ann password='s3cr3t-word'x", "cannot be re"),
        ("postgresql://ann:s3cr3t-word@127.0.0.1:port/firm", "cannot be re"),
    ],
)
def test_no_error_has_a_dsn_s_password(dsn, says):
    with pytest.raises(StoreUnreachable) as caught:
        connect(dsn)
    assert says in str(caught.value)
    for part in ("s3cr3t", "word"):
        assert part not in str(caught.value)


def test_a_question_waits_a_little_for_what_is_durable_and_not_in_the_tables_yet(
    store, dsn, reader, monkeypatch
):
    monkeypatch.setattr(reading, "PROJECTED_WITHIN_S", 20)  # a projection takes its time on a busy machine
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    assert set(store.commit(author.batch)) == {None}
    late = threading.Timer(0.1, project, args=(dsn,))
    late.start()
    [order] = reader.with_operator_records(lambda d: d.history(author.state.account_id))
    assert order.status == "FILLED"
    late.join()


def test_a_question_does_not_wait_for_ever_for_the_tables(store, reader):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    assert set(store.commit(author.batch)) == {None}
    assert reader.with_operator_records(lambda d: d.history(author.state.account_id)) == []
