"""Whoever reads on finds the same rows in memory and in the database, at a pace of its own."""

from __future__ import annotations

import threading

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.errors import NotKept, StoreUnreachable
from actors.core.messages import AdjustBalance
from actors.persistence.messages import Committed
from actors.persistence.reader import Reader
from actors.persistence.tail import Decided, JournalTail
from tests.factories import BUY, D
from tests.persistence.authors import Author, create


class Asked:
    """A reader that counts its questions, and can be away."""

    def __init__(self, reader):
        self.reader, self.asked, self.is_away = reader, 0, False

    def ask(self, call):
        self.asked += 1
        if self.is_away:
            raise StoreUnreachable("away")
        return self.reader.ask(call)


@pytest.fixture
def asked(store, dsn):
    reader = Reader(dsn)
    yield Asked(reader)
    reader.close()


@pytest.fixture
def author(store):
    return Author(create(store)[0])


@pytest.fixture
def tail(asked, author, store):
    """Four rows in memory; the journal begins with the account's first one, which was there before."""
    store.handover()
    return JournalTail(asked, store.root[1], kept=4)


def deposits(store, author, tail, *counts):
    """Commits of so many decisions each."""
    for count in counts:
        author.batch.clear()
        for _ in range(count):
            author.decide(AdjustBalance(D(5), "DEPOSIT"))
        assert set(store.commit(author.batch)) == {None}
        tail.handed(store.handover())


def positions(rows):
    return [row.position for row in rows]


def test_what_is_near_the_end_is_read_from_memory_and_older_rows_from_the_database(
    store, author, tail, asked
):
    deposits(store, author, tail, 1, 2, 3)
    assert tail.position == 7
    assert positions(tail.read(3, 100)) == [4, 5, 6, 7]
    assert positions(tail.read(3, 2)) == [4, 5]
    assert tail.read(7, 100) == []
    assert tail.read(8, 100) == []
    assert asked.asked == 0
    assert positions(tail.read(0, 100)) == [1, 2, 3, 4, 5, 6, 7]
    assert positions(tail.read(2, 3)) == [3, 4, 5]
    assert asked.asked == 2


def test_both_give_equal_rows(store, author, asked):
    tail = JournalTail(asked, store.root[1])
    store.handover()
    author.trade(BUY, "0.1")
    author.decide(AdjustBalance(D(5), "DEPOSIT"), None)
    assert set(store.commit(author.batch)) == {None}
    tail.handed(store.handover())
    remembered = tail.read(1, 100)
    assert len(remembered) == len(author.batch) > 3
    assert asked.asked == 0
    assert JournalTail(asked, tail.position).read(1, 100) == remembered
    assert asked.asked == 1
    assert remembered[0] == Decided(
        2, author.state.account_id, 1, remembered[0].wall_ms, remembered[0].cause, author.batch[0].facts
    )


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_readers_of_any_pace_get_every_row_once_and_in_order(data, store, author, asked):
    """Whatever is committed, created, forgotten by the writer and read, in whatever turns."""
    begin = store.root[1]
    store.handover()
    tail = JournalTail(asked, begin, kept=data.draw(st.integers(1, 6)))
    places, got = [begin] * 2, ([], [])
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.sampled_from(["commit", "lost", "read", "read", "end"])):
            case "commit":
                deposits(store, author, tail, data.draw(st.integers(1, 5)))
            case "lost":
                # What is durable and was not handed over: an answer that was lost, or accounts that were created.
                author.batch.clear()
                author.decide(AdjustBalance(D(5), "DEPOSIT"))
                store.commit(author.batch)
                store.handover()
                tail.handed(Committed(0))
            case "end":
                assert tail.end() == store.root[1]
            case _:
                read_on(data.draw(st.integers(0, 1)), tail, places, got, data.draw(st.integers(1, 9)))
    for reader in (0, 1):
        while tail.wait(places[reader], 0) and read_on(reader, tail, places, got, 3):
            pass
    whole = [*map(list, got)]
    assert whole[0] == whole[1]
    assert positions(whole[0]) == list(range(begin + 1, store.root[1] + 1))
    before = asked.asked
    assert not tail.wait(store.root[1], 0)
    assert tail.read(store.root[1], 10) == []
    assert asked.asked == before, "who has read to the end asks nothing"


def read_on(reader, tail, places, got, limit):
    rows = tail.read(places[reader], limit)
    assert len(rows) <= limit
    got[reader].extend(rows)
    places[reader] += len(rows)
    return rows


def test_a_database_that_is_away_says_so_and_the_reader_goes_on_later(store, author, tail, asked):
    deposits(store, author, tail, 6)
    asked.is_away = True
    with pytest.raises(StoreUnreachable):
        tail.read(0, 100)
    assert positions(tail.read(3, 100)) == [4, 5, 6, 7], "what is in memory needs no database"
    asked.is_away = False
    assert positions(tail.read(0, 100)) == [1, 2, 3, 4, 5, 6, 7]


def test_a_connection_that_is_lost_is_made_anew(store, dsn, author, tail, asked):
    deposits(store, author, tail, 6)
    assert len(tail.read(0, 100)) == 7
    with psycopg.connect(dsn, autocommit=True) as killer:
        killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bulkhead-reader' "
            "AND datname = current_database()"
        )
    assert len(tail.read(0, 100)) == 7


def test_what_was_not_handed_over_is_found_in_the_database(store, author, tail, asked):
    author.decide(AdjustBalance(D(5), "DEPOSIT"))
    store.commit(author.batch)
    store.handover()
    assert not tail.wait(1, 0)
    tail.handed(Committed(0))
    assert tail.position == 1
    assert tail.wait(1, 0)
    assert tail.end() == tail.position == 2
    assert positions(tail.read(1, 10)) == [2]
    deposits(store, author, tail, 1)
    assert positions(tail.read(1, 10)) == [2, 3]


def test_said_again_while_a_reader_asks_it_is_not_taken_for_seen(store, author, tail, asked):
    author.decide(AdjustBalance(D(5), "DEPOSIT"))
    tail.more()

    class Late:
        def ask(self, call):
            rows = asked.ask(call)
            store.commit(author.batch)  # behind the reader's back, after it looked
            store.handover()
            tail.more()
            return rows

    tail._reader = Late()
    assert list(tail.read(1, 10)) == []
    tail._reader = asked
    assert tail.wait(1, 0)
    assert positions(tail.read(1, 10)) == [2]


def test_who_asks_for_what_is_yet_to_come_teaches_nobody_a_wrong_end(tail):
    tail.more()
    assert list(tail.read(99, 10)) == []
    assert (tail.position, tail.end()) == (1, 1)


def test_rows_that_are_not_kept_any_more_are_named(store, dsn, author, tail, asked):
    deposits(store, author, tail, 6)
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM bulkhead.journal WHERE position < 3")
    with pytest.raises(
        NotKept, match=r"behind position 0 are asked for, and the oldest that is kept is 3; begin after 2"
    ):
        tail.read(0, 10)
    assert positions(tail.read(2, 10)) == [3, 4, 5, 6, 7]


def test_a_row_that_cannot_be_read_is_named_and_the_next_ones_are_read(store, dsn, author, tail):
    deposits(store, author, tail, 6)
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE bulkhead.journal SET version = 99 WHERE position = 2")
    rows = tail.read(0, 3)
    assert positions(rows) == [1, 2, 3]
    assert [bool(row.facts) for row in rows] == [True, False, True]
    assert "of version 99" in rows[1].fault
    assert not rows[0].fault


def test_memory_is_bounded(store, author, tail):
    deposits(store, author, tail, 3, 9)
    assert sum(slot is not None for slot in tail._slots) == len(tail._slots) == 4


def test_a_reader_that_waits_is_told_of_the_next_commit(store, author, tail):
    found = threading.Event()
    reader = threading.Thread(target=lambda: tail.wait(1, 30) and found.set())
    reader.start()
    assert not found.is_set()
    deposits(store, author, tail, 1)
    assert found.wait(10)
    reader.join(10)
    assert tail._listeners == {}


def test_waiting_ends_with_its_time(tail):
    assert not tail.wait(1, 0.01)
    assert tail._listeners == {}


def test_the_writer_waits_for_no_reader_and_meets_none_of_their_errors(store, author, tail, asked):
    """Readers hold their own lock, one hangs in the database and one that is told raises: the writer goes on."""
    begun, released = threading.Event(), threading.Event()

    class Hanging:
        def ask(self, call):
            begun.set()
            assert released.wait(30)
            return asked.ask(call)

    deposits(store, author, tail, 5)
    tail._reader = Hanging()
    told = []
    tail.listen(lambda: 1 / 0)
    end = tail.listen(lambda: told.append(tail.position))
    got = []
    reader = threading.Thread(target=lambda: got.extend(tail.read(0, 3)))
    reader.start()
    assert begun.wait(10)
    with tail._lock:
        deposits(store, author, tail, 1, 1)
    assert told == [7, 8]
    end()
    released.set()
    reader.join(10)
    assert positions(got) == [1, 2, 3]
    deposits(store, author, tail, 1)
    assert told == [7, 8]


def test_a_slot_that_the_writer_has_used_again_is_no_row_of_an_older_position(tail):
    """A reader is overtaken in the middle of its look: what it has so far is whole, the rest is read later."""
    tail.committed([Decided(n, "a", n, 1, "", ()) for n in range(2, 6)])
    assert positions(tail.remembered(1, 10)) == [2, 3, 4, 5]
    tail._slots[4 % 4] = Decided(8, "a", 8, 1, "", ())
    assert positions(tail.remembered(1, 10)) == [2, 3]
    assert positions(tail.remembered(3, 10)) == []


def test_a_page_that_is_full_says_nothing_of_what_is_behind_it(store, author, tail):
    begin = tail.position
    author.batch.clear()
    for _ in range(3):
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
    assert set(store.commit(author.batch)) == {None}
    store.handover()
    tail.handed(Committed(0))  # nobody says how many there are
    assert positions(tail.read(begin, 2)) == [begin + 1, begin + 2]
    assert tail.may_have(begin + 2)
    assert positions(tail.read(begin + 2, 2)) == [begin + 3]
    assert not tail.may_have(begin + 3)
