"""An account as it was: at any decision, by number, position and time, with and without a snapshot."""

from __future__ import annotations

import psycopg
import pytest

from actors.core.errors import BadInput, StateCorrupt
from actors.persistence import past
from actors.persistence.connection import connect
from actors.persistence.past import Polite, rows, stand, when
from actors.persistence.store import Store
from actors.subaccount import state_codec
from actors.subaccount.state_codec import state_hash
from tests.factories import BUY, SELL
from tests.persistence.authors import NOW, Author, create
from tests.persistence.projection.lives import commit, live

DAY_MS = 86_400_000


@pytest.fixture
def lives(dsn, monkeypatch):
    """Two accounts with some hundred decisions; a connection, and each one's decisions by sequence."""
    store = Store.open(dsn)
    store.acquire("me", 30)
    decisions = live(store, (1, 2), monkeypatch, 40)
    half = len(decisions) // 2
    commit(store, decisions[:half])
    yield store, decisions[half:], {(d.stream, d.state.sequence): d for d in decisions}
    store.close()


def at(connection, account, text, **more):
    return stand(connection, account, when(text, NOW + DAY_MS), **more)


def test_every_decision_of_an_account_is_found_again_by_number_and_position_and_time(dsn, lives):
    store, later, decided = lives
    commit(store, later)
    with connect(dsn, read_only=True) as connection:
        for (account, sequence), decision in decided.items():
            found = at(connection, account, f"#{sequence}")
            assert state_hash(found.state) == state_hash(decision.state)
            assert found.point.wall_ms == decision.wall_ms
            assert found.snapshot is None
            assert found.decisions == sequence - found.first.sequence + 1
            by_position = at(connection, account, str(found.point.position))
            assert (by_position.point, by_position.state) == (found.point, found.state)
        account, last = max(decided)
        assert at(connection, account, "now").point.sequence == last
        assert [row.sequence for row in rows(connection, account, 2, 6)] == [3, 4, 5, 6]


def test_a_time_is_the_last_decision_that_was_not_after_it(dsn, lives):
    store, later, decided = lives
    commit(store, later)
    with connect(dsn, read_only=True) as connection:
        for account in {stream for stream, _ in decided}:
            own = [d for (stream, _), d in sorted(decided.items()) if stream == account]
            for wall_ms in sorted({d.wall_ms for d in own})[:10]:
                expected = max(d.state.sequence for d in own if d.wall_ms <= wall_ms)
                asked = past.When("then", time_ms=wall_ms)
                assert stand(connection, account, asked).point.sequence == expected


def test_a_snapshot_shortens_the_fold_and_one_that_is_too_new_is_left(dsn, lives):
    store, later, decided = lives
    commit(store, later)
    account, last = max(decided, key=lambda key: key[1])
    middle = last // 2
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO bulkhead.snapshot (stream, sequence, version, state, hash) "
            "SELECT stream, sequence, 1, %s, hash FROM bulkhead.journal WHERE stream = %s AND sequence = %s",
            (state_codec.encode(decided[account, middle].state), account, middle),
        )
    with connect(dsn, read_only=True) as connection:
        for sequence, snapshot in ((middle + 2, middle), (middle, middle), (middle - 1, None)):
            found = at(connection, account, f"#{sequence}")
            assert (found.snapshot, found.point.sequence) == (snapshot, sequence)
            assert state_hash(found.state) == state_hash(decided[account, sequence].state)
            begin = found.first.sequence - 1 if snapshot is None else snapshot
            assert found.decisions == sequence - begin


def test_limits_are_those_that_the_account_knew_then(store, dsn):
    [state] = create(store)
    with connect(dsn, read_only=True) as connection:
        found = at(connection, "acct-1", "now")
    assert found.state.limits == state.limits
    assert found.state.limits.max_notional_per_trade == 10**9


WRONG = [
    ("acct-9", "now", "the journal has no account 'acct-9'; 'bulkhead accounts' lists them"),
    ("clearing:ETHUSDT", "now", "is a clearing; only accounts have a past"),
    ("acct-2", "2023-11-14T22:13:19.999", "acct-2 did not exist then; it begins with #0 at 2023-11-14T22:13:20.000Z, position 2"),
    ("acct-2", "-52w", "acct-2 did not exist then"),
    ("acct-2", "1", "position 1 is of acct-1; acct-2 did not exist then: it begins with #0"),
    ("acct-1", "2", "position 2 is of acct-2; what acct-1 was then, it has been since its position 1 (#0): give that"),
    ("acct-1", "99", "position 99 is in the future: the journal ends at 5"),
    ("acct-1", "0", "the journal has no position 0; the first is 1"),
    ("acct-1", "#99", "#99 is in the future: the last decision of acct-1 is #3"),
    ("acct-1", "2023-11-16", "'2023-11-16' is in the future: it is 2023-11-15T22:13:20.000Z now"),
    ("acct-1", "yesterday", "'yesterday' is no point in time; give a time in UTC"),
    ("acct-1", "-15 minutes", "is no point in time"),
    ("acct-1", "-5", "is no point in time"),
    ("acct-1", "#", "is no point in time"),
    ("acct-1", "#\u0663", "'#\\u0663' is no point in time"),
    ("acct-1", "\u0663", "is no point in time"),
    ("acct-1", "-\u0663m", "is no point in time"),
    ("acct-1", "", "'' is no point in time"),
    ("acct-1", "9" * 30, "is no point in time"),
    ("acct-1", "0000-01-01", "is no point in time"),
    ("acct-1", "\x1b[2Jnow", "'\\x1b[2Jnow' is no point in time"),
]  # fmt: skip


def test_what_cannot_be_looked_at_is_named_with_what_can(store, dsn):
    one, _ = create(store, 2)
    author = Author(one)
    author.trade(BUY, "0.1")
    author.batch = author.batch[:3]
    assert store.commit(author.batch) == [None] * 3
    with connect(dsn, read_only=True) as connection:
        for account, text, why in WRONG:
            with pytest.raises(BadInput) as refused:
                at(connection, account, text)
            assert why in str(refused.value)


def test_times_are_utc_unless_they_say_otherwise():
    now = NOW + DAY_MS
    expected = {
        "2023-11-14T22:13:20": NOW,
        "2023-11-14 22:13:20.000": NOW,
        "2023-11-14T22:13:20Z": NOW,
        "2023-11-14T23:13:20+01:00": NOW,
        "2023-11-14": NOW - 80_000_000,
        "-1d": NOW,
        "-24h": NOW,
        "-1440m": NOW,
        "-86400s": NOW,
        " -86400000ms ": NOW,
    }
    assert {text: when(text, now).time_ms for text in expected} == expected
    assert when("now", now) == past.When("now")
    assert (when("5123", now).position, when("#17", now).sequence) == (5123, 17)


CHANGED = [
    ("UPDATE bulkhead.journal SET cause = 'x' WHERE stream = 'acct-1' AND sequence = 1", "decision 1 at position 2 is not what was written"),
    ("UPDATE bulkhead.journal SET wall_ms = wall_ms - 1 WHERE stream = 'acct-1' AND sequence = 2", "decision 2 at position 3 is not"),
    ("DELETE FROM bulkhead.journal WHERE stream = 'acct-1' AND sequence = 1", "decision 1 is missing in the journal"),
    ("DELETE FROM bulkhead.journal WHERE stream = 'acct-1' AND sequence = 0", "is not what was written"),
]  # fmt: skip


def test_a_past_that_was_changed_is_an_error_and_no_answer(store, dsn):
    [state] = create(store)
    author = Author(state)
    author.trade(BUY, "0.1")
    assert set(store.commit(author.batch)) == {None}
    with psycopg.connect(dsn) as connection:
        assert at(connection, "acct-1", "#3").point.sequence == 3
        for change, why in CHANGED:
            connection.execute(change)
            with pytest.raises(StateCorrupt, match=why):
                at(connection, "acct-1", "#3")
            connection.rollback()


def test_a_fold_shows_how_far_it_is_and_ends_when_it_takes_too_long(store, dsn, monkeypatch):
    monkeypatch.setattr(past, "ROWS_A_TIME", 2)
    [state] = create(store)
    author = Author(state)
    for side in (BUY, SELL):
        author.trade(side, "0.1")
    store.commit(author.batch)
    seen = []
    with connect(dsn, read_only=True) as connection:
        found = at(connection, "acct-1", "now", progress=lambda *done: seen.append(done))
        assert found.decisions == found.point.sequence + 1
        assert seen == [(n, found.decisions) for n in range(2, found.decisions + 1, 2)]
        with pytest.raises(BadInput, match=r"2 of \d+ decisions were folded in 0 s, .*; use --dsn"):
            at(connection, "acct-1", "now", progress=Polite(0, "use --dsn"))
        assert at(connection, "acct-1", "now", progress=Polite(60, "")).state == found.state
