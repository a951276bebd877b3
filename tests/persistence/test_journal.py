"""The journal: what follows what, positions without a gap, hashes that an outsider can work out.

Covers: actors/persistence/loading.py
"""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.errors import BadInput, NotDurable, StateCorrupt
from actors.core.facts import BalanceAdjusted
from actors.core.journal_marks import Mark
from actors.core.messages import AdjustBalance
from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence import journal
from actors.persistence.journal import NO_HASH, Head, JournalEnd, Resumed
from actors.persistence.loading import states_at, states_of
from actors.persistence.messages import Committed
from actors.persistence.verify import verify
from tests.factories import BUY, SELL, D, account
from tests.persistence.authors import NOW, Author, create, load, rows
from tests.persistence.blocks import Blocks


def deposits(author, count):
    for n in range(count):
        author.decide(AdjustBalance(D(n + 1), "DEPOSIT"))
    return author


def entries(dsn):
    with psycopg.connect(dsn) as connection:
        return journal.read(connection, 0, 10_000)


def test_positions_have_no_gap_and_hashes_are_those_that_the_docs_say(store, dsn):
    authors = [deposits(Author(state), 3) for state in create(store, 3)]
    mixed = [author.batch[n] for n in range(3) for author in authors]
    assert store.commit(mixed[:4]) == [None] * 4
    assert store.commit(mixed[4:]) == [None] * 5
    found = entries(dsn)
    assert [e.position for e in found] == [*range(1, 13)]
    last: dict[str, bytes] = {}
    for entry in found:
        covered = [last.get(entry.stream, bytes(16)), *entry[1:-1]]
        expected = hashlib.blake2b(msgspec.msgpack.encode(covered), digest_size=16).digest()
        assert entry.hash == expected
        last[entry.stream] = entry.hash
    root, ends = bytes(16), rows(dsn, "SELECT position, rows, root FROM bulkhead.journal_commit ORDER BY 1")
    assert [(position, count) for position, count, _ in ends] == [(3, 3), (7, 4), (12, 5)]
    for position, count, stored in ends:
        covered = b"".join(e.hash for e in found[position - count : position])
        root = hashlib.blake2b(root + covered, digest_size=16).digest()
        assert stored == root
    assert store.root == (root, 12)


def test_what_was_committed_is_handed_over_once_with_its_place(store):
    [state] = create(store)
    store.create_accounts([NewAccount(account_id=AccountId("other"), name="x", deposit=D(5))], NOW)
    assert store.handover() == Committed(0), "an opening is only in the journal"
    assert store.handover() is None
    author = deposits(Author(state), 2)
    store.commit(author.batch)
    handed = store.handover()
    assert (handed.first, handed.decisions) == (3, tuple(author.batch))
    assert len(handed.hashes) == 2
    assert store.handover() is None


def test_a_decision_without_its_predecessor_is_refused_and_all_that_stands_on_it(store, dsn):
    [state, other] = create(store, 2)
    author, neighbour = deposits(Author(state), 4), deposits(Author(other), 4)
    holed = [*author.batch[:1], *author.batch[2:]]
    results = store.commit([*holed, *neighbour.batch])
    assert [r is None for r in results] == [True, False, False, True, True, True, True]
    assert "does not follow" in str(results[1])
    # The number would fit the last one now; what it stands on was refused.
    store._end.forget()
    assert "stands on a decision that was refused" in str(store.commit([author.batch[1]])[0])
    assert rows(dsn, "SELECT max(sequence) FROM bulkhead.journal WHERE stream = 'acct-1'") == [(1,)]
    # Loaded again, the account goes on.
    again = deposits(Author(load(store, state)), 1)
    assert store.commit(again.batch) == [None]


@pytest.mark.parametrize("ahead", [0, 2, 5])
def test_a_sequence_that_is_not_one_more_is_refused(store, ahead):
    author = deposits(Author(create(store)[0]), 1)
    decision = author.batch[0]
    wrong = replace(decision, state=replace(decision.state, sequence=ahead))
    [refused] = store.commit([wrong])
    assert isinstance(refused, NotDurable)


@pytest.mark.parametrize(
    "poison",
    [
        lambda d: replace(d, cause="NUL \0"),
        lambda d: replace(d, cause="half a pair \ud800"),
        lambda d: replace(d, facts=(replace(d.facts[0], reason="half a pair \ud800"),)),
        lambda d: replace(d, facts=(object(),)),
        lambda d: replace(d, wall_ms=2**70),
    ],
    ids=["NUL", "surrogate in the cause", "surrogate in a fact", "no fact at all", "a time beyond all"],
)
def test_a_decision_that_cannot_be_written_down_is_refused_alone(store, poison):
    authors = [deposits(Author(state), 2) for state in create(store, 3)]
    authors[1].batch[0] = poison(authors[1].batch[0])
    results = store.commit([d for author in authors for d in author.batch])
    assert [r is None for r in results] == [True, True, False, False, True, True]


def test_a_trade_is_booked_once_whoever_books_it(store, dsn):
    one, two = (Author(state) for state in create(store, 2))
    one.trade(BUY, "0.1", trade_id=7)
    two.trade(SELL, "0.1", trade_id=7)
    assert set(store.commit(one.batch)) == {None}
    results = store.commit(two.batch)
    assert [r is None for r in results] == [True, True, False, False]
    assert rows(dsn, "SELECT exchange, symbol, trade_id, member FROM bulkhead.trade_key") == [
        ("binance-usdm", "ETHUSDT", 7, "")
    ]


def test_no_accounts_are_created_at_once(store, dsn):
    store.create_accounts([], NOW)
    assert (entries(dsn), store.handover()) == ([], None)


def test_an_account_is_opened_once_and_all_or_none(store, dsn):
    create(store, 1)
    new = [NewAccount(account_id=AccountId(f"acct-{n}"), name="x", deposit=D(5)) for n in (2, 1)]
    with pytest.raises(BadInput, match="acct-1"):
        store.create_accounts(new, NOW)
    assert rows(dsn, "SELECT stream FROM bulkhead.journal") == [("acct-1",)]
    store.create_accounts(new[:1], NOW)
    assert [e.position for e in entries(dsn)] == [1, 2]
    assert load(store, account(account_id=AccountId("acct-2"))).balance == D(5)


def test_without_knowing_the_end_nothing_is_appended():
    with pytest.raises(NotDurable, match="end of the journal"):
        JournalEnd().opening([("acct-1", 0, NOW, "", b"[]")])


class Heads:
    """A connection that is asked for the last rows of streams, and remembers of which."""

    def __init__(self):
        self.asked = []

    def execute(self, statement, parameters):
        assert statement == journal.HEADS
        [streams] = parameters
        self.asked.append(streams)
        return SimpleNamespace(fetchall=lambda: [(stream, 3, NO_HASH) for stream in streams])


def test_the_last_rows_of_streams_are_remembered_and_all_forgotten_when_they_are_too_many(monkeypatch):
    monkeypatch.setattr(journal, "HEADS_KEPT", 3)
    end, heads = JournalEnd.of_empty_journal(), Heads()
    for streams in (["a", "b"], ["b"], ["b", "c"], ["a", "b", "c"], ["d"], ["d", "a"], ["a"]):
        end.learn(heads, streams)
    # With three it knows as many as it may, with four one more: then it begins anew.
    assert heads.asked == [["a", "b"], ["c"], ["d"], ["d", "a"]]


ADJUSTED = (BalanceAdjusted(D(5), "DEPOSIT"),)


def learned(**heads):
    """The end of a journal of which the last rows of some streams are known."""
    end = JournalEnd.of_empty_journal()
    end._heads.update({stream: Head(sequence, b"h" * 16) for stream, sequence in heads.items()})
    return end


def test_a_row_that_no_actor_decided_follows_its_stream_s_last_one_or_begins_it():
    known, new = Resumed("a", 3, NOW, "t", ADJUSTED), Resumed("b", None, NOW, "t", ADJUSTED)
    found = learned(a=3).resuming([known, new])
    assert [(e.position, e.stream, e.sequence) for e in found.entries] == [(1, "a", 4), (2, "b", 0)]
    for entry, previous in zip(found.entries, (b"h" * 16, NO_HASH), strict=True):
        assert entry.hash == journal.row_hash(previous, *entry[1:-1])


@pytest.mark.parametrize(
    ("stream", "last", "found"), [("a", 2, 3), ("a", 4, 3), ("a", None, 3), ("b", 0, None)]
)
def test_a_row_that_no_actor_decided_is_refused_when_its_stream_went_on(stream, last, found):
    with pytest.raises(NotDurable, match=f"^{stream}: its last decision is {found}, and not {last}$"):
        learned(a=3).resuming([Resumed(stream, last, NOW, "t", ADJUSTED)])


def test_a_clearing_begins_with_its_first_block_and_an_account_with_a_row_that_opened_it():
    clearing = Blocks()
    for number in range(3):
        clearing.form([("acct-1", f"a-{number}", "0.1")])
    found, refusals = learned().following(clearing.batch[:2])
    assert refusals == [None, None]
    first, second = found.entries
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.hash == journal.row_hash(NO_HASH, *first[1:-1])
    assert second.hash == journal.row_hash(first.hash, *second[1:-1])
    found, refusals = learned(**{clearing.stream: 2}).following(clearing.batch[2:])
    assert refusals == [None]
    [third] = found.entries
    assert third.hash == journal.row_hash(b"h" * 16, *third[1:-1])
    _, [refusal] = learned().following(deposits(Author(account(sequence=0)), 1).batch)
    assert isinstance(refusal, NotDurable)


def test_the_commit_of_a_position_is_the_first_that_ended_there_or_behind(store, dsn):
    [author] = (deposits(Author(state), 5) for state in create(store))
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert journal.mark(connection, 2) is None
        assert store.commit(author.batch[:2]) == [None, None]
        first, _ = store.root
        assert store.commit(author.batch[2:]) == [None] * 3
        second, last = store.root
        assert last == 6
        marks = [journal.mark(connection, position) for position in (2, 3, 4, 6, 7)]
    assert marks == [(3, first.hex()), (3, first.hex()), (6, second.hex()), (6, second.hex()), None]


def test_the_newest_of_some_marks_is_common_unless_this_journal_contradicts_it(store, dsn):
    [author] = (deposits(Author(state), 5) for state in create(store))
    begin, other = Mark(0, NO_HASH.hex()), "ff" * 16
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert store.commit(author.batch[:2]) == [None, None]
        first = journal.mark(connection, 3)
        assert store.commit(author.batch[2:]) == [None] * 3
        second = journal.mark(connection, 6)

        def common(*marks):
            return journal.common_mark(connection, marks)

        assert common(begin, first, second) == second
        assert common(begin, first, second._replace(root=other)) == first
        assert common(begin, first._replace(root=other), Mark(5, first.root)) == begin
        assert common(Mark(0, other)) is None, "each journal has the same begin"
        # The first commits are archived: nothing can be said of them, and the one behind them is known.
        connection.execute("DELETE FROM bulkhead.journal WHERE position < 4")
        connection.execute("DELETE FROM bulkhead.journal_commit WHERE position < 6")
        assert common(begin, first._replace(root=other)) == first._replace(root=other)
        assert common(begin, second._replace(root=other)) == begin


def test_what_was_forgotten_is_read_again(store, dsn, monkeypatch):
    monkeypatch.setattr(journal, "HEADS_KEPT", 0)
    authors = [deposits(Author(state), 3) for state in create(store, 2)]
    for number in range(3):
        assert store.commit([author.batch[number] for author in authors]) == [None, None]
    assert [(e.stream, e.sequence) for e in entries(dsn)[-2:]] == [("acct-1", 3), ("acct-2", 3)]
    with psycopg.connect(dsn) as connection:
        assert verify(connection).fault is None


def test_states_are_those_of_any_position(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    author.trade(SELL, "0.04")
    store.commit(author.batch)
    with psycopg.connect(dsn) as connection:
        for number, decision in enumerate(author.batch):
            kept = states_at(connection, ["acct-1"], number + 2)["acct-1"]
            assert replace(
                kept.state, limits=decision.state.limits, base_limits=decision.state.base_limits
            ) == (decision.state)
            assert kept.sequence == number + 1
            assert kept.hash == entries(dsn)[number + 1].hash


DAMAGES = {
    "DELETE FROM bulkhead.journal WHERE sequence = 2": "does not follow 1",
    "DELETE FROM bulkhead.journal WHERE sequence = 0": "its first row in the journal is missing",
    "DELETE FROM bulkhead.journal": "no fact of it",
    "UPDATE bulkhead.journal SET version = 99 WHERE sequence = 3": "of a later release",
    "UPDATE bulkhead.journal SET version = 0 WHERE sequence = 3": "nothing leads from 0 on",
    r"UPDATE bulkhead.journal SET facts = '\x7b7d' WHERE sequence = 3": "cannot be read",
    r"UPDATE bulkhead.journal SET facts = '\xff' WHERE sequence = 3": "cannot be read",
    r"""UPDATE bulkhead.journal SET facts = '[{"fact": "OrderEnded", "client_order_id": "x", "status": "FILLED",
        "code": 0, "reason": ""}]' WHERE sequence = 3""": "not a working order",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_stream_that_cannot_be_read_is_out_of_service_and_named_and_the_others_go_on(store, dsn, damage):
    authors = [deposits(Author(state), 4) for state in create(store, 2)]
    store.commit([d for author in authors for d in author.batch])
    with psycopg.connect(dsn, autocommit=True) as connection:
        also = " AND stream = 'acct-1'" if "WHERE" in damage else " WHERE stream = 'acct-1'"
        connection.execute(damage + also)
        with pytest.raises(StateCorrupt, match=DAMAGES[damage]):
            states_of(connection, ["acct-1"])
    if damage != "DELETE FROM bulkhead.journal":
        assert [s.account_id for s in store.load(None)] == ["acct-2"]
        assert DAMAGES[damage] in store.unreadable["acct-1"]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_whatever_order_decisions_come_in_only_chains_get_in(data):
    """Against a model: a decision is in if and only if all of its account before it is, in its order."""
    end = JournalEnd()
    end._position = 0
    names = ("a", "b")
    for name in names:
        end.moved(end.opening([(name, 0, NOW, "", b"[]")]))
    authors = {name: deposits(Author(account(account_id=AccountId(name), sequence=0)), 5) for name in names}
    offered = data.draw(st.lists(st.tuples(st.sampled_from(names), st.integers(0, 4)), max_size=12))
    batch = [authors[name].batch[number] for name, number in offered]
    appended, refusals = end.following(batch)
    expected, lost = dict.fromkeys(names, 0), set()
    for (name, number), refusal in zip(offered, refusals, strict=True):
        fits = name not in lost and number == expected[name]
        assert (refusal is None) == fits
        if fits:
            expected[name] += 1
        else:
            lost.add(name)
    assert [e.position for e in appended.entries] == [*range(3, 3 + len(appended.entries))]
    assert NO_HASH not in {e.hash for e in appended.entries}
