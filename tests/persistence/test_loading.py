"""What is read of an account: the platform's rules for it, and its state of its rows."""

from __future__ import annotations

from decimal import Decimal as D

import psycopg
import pytest
from msgspec.structs import replace

from actors.core import fact_codec
from actors.core.enums import AccountStatus, LiquidationMode
from actors.core.errors import StateCorrupt
from actors.core.facts import AccountOpened
from actors.core.messages import AdjustBalance, PlatformKnown
from actors.limits.model import RiskLimits
from actors.persistence import loading
from actors.persistence.fleet_loading import all_states
from actors.persistence.loading import BaseLimits, platform_of, state_after, states_of
from actors.subaccount import state_codec
from actors.subaccount.decide import decide
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState
from tests.factories import account, market
from tests.persistence.authors import Author, create

DEFAULTS = RiskLimits(liquidation_threshold=D("0.8"), max_leverage=D(33))


@pytest.mark.parametrize(
    ("threshold", "read"),
    [("0.5", "0.5"), ("1", "1"), ("0.0001", "0.0001"), ("0", None), ("-1", None), ("1.0001", None)],
)
def test_a_threshold_of_the_platform_that_cannot_be_is_its_own_default(threshold, read):
    rule = (None, None, None, threshold)
    found = BaseLimits(DEFAULTS).of(rule)
    expected = RiskLimits().liquidation_threshold if read is None else D(read)
    assert found == replace(DEFAULTS, liquidation_threshold=expected)


def test_what_a_rule_does_not_say_is_the_default_and_what_it_says_is_taken_as_it_is():
    below = BaseLimits(DEFAULTS)
    assert below.of((None, None, None, None)) == DEFAULTS
    found = below.of(("7", "0", None, None))
    assert (found.max_leverage, found.max_notional_per_trade) == (D(7), D(0)), (
        "a notional of 0: nothing at all"
    )
    assert found.liquidation_threshold == DEFAULTS.liquidation_threshold


def test_accounts_of_equal_limits_share_them():
    below = BaseLimits(DEFAULTS)
    rule = ("7", None, None, None)
    assert below.of(rule) is below.of(list(rule)) is below.of(("7.0", None, None, None))
    own = [below.merged(account(overrides=(("max_positions", "3"),)), rule) for _ in range(2)]
    assert own[0].limits is own[1].limits
    assert (own[0].limits.max_positions, own[0].limits.max_leverage) == (3, D(7))


@pytest.mark.parametrize(
    ("row", "known"),
    [
        ((None, None, None), None),
        (("ACTIVE", None, None), PlatformKnown(AccountStatus.ACTIVE, None, None)),
        ((None, "TAKEOVER", None), PlatformKnown(None, LiquidationMode.TAKEOVER, None)),
        ((None, None, D("0.01")), PlatformKnown(None, None, D("0.01"))),
        (("ACTIVE", "TAKEOVER", None), PlatformKnown(AccountStatus.ACTIVE, LiquidationMode.TAKEOVER, None)),
    ],
)
def test_what_the_platform_did_not_change_is_none(row, known):
    assert platform_of(row) == known


@pytest.mark.parametrize("rate", ["0", "1", "-0.01", "1.01"])
def test_a_maintenance_rate_that_cannot_be_is_refused(rate):
    assert platform_of((None, None, D("0.0001"))).maintenance_rate == D("0.0001")
    assert platform_of((None, None, D("0.9999"))).maintenance_rate == D("0.9999")
    with pytest.raises(ValueError, match=f"a maintenance rate of {rate}"):
        platform_of((None, None, D(rate)))


def rows_of(count):
    """An account's rows in the journal, of which the first opens it, and its snapshot after each."""
    opened = (AccountOpened(LiquidationMode.ADL_30, D("0.005")),)
    state = replace(folded(AccountState(account_id="a"), opened), sequence=0)
    rows, snapshots = [], []
    for number in range(count):
        facts = opened
        if number:
            decision = decide(state, AdjustBalance(D(number), "DEPOSIT"), market())
            facts, state = decision.facts, decision.state
        hash_ = bytes([number] * 16)
        rows.append((number, fact_codec.VERSION, fact_codec.encode(facts), hash_, False))
        snapshots.append((number, state_codec.VERSION, state_codec.encode(state), hash_, True))
    return rows, snapshots


@pytest.mark.parametrize("at", [None, 0, 1, 2, 3])
def test_a_state_is_the_same_of_all_rows_and_of_a_snapshot_and_those_behind_it(at):
    rows, snapshots = rows_of(4)
    kept = state_after(rows if at is None else [snapshots[at], *rows[at + 1 :]], "a")
    assert (kept.state.balance, kept.state.sequence) == (D(6), 3)
    assert (kept.sequence, kept.hash) == (3, bytes([3] * 16))
    assert kept == state_after([snapshots[3]], "a")
    assert kept == state_after(rows[::-1], "a"), "in whatever order they come"


def test_an_account_s_only_row_is_its_state():
    rows, snapshots = rows_of(1)
    assert state_after(rows, "a") == state_after(snapshots, "a")
    assert state_after(rows, "a").sequence == 0


ROWS, SNAPSHOTS = rows_of(4)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no fact of it"),
        (ROWS[1:], "first row in the journal is missing"),
        ([ROWS[0], *ROWS[2:]], "decision 2 in the journal does not follow 0"),
        ([*ROWS[:2], ROWS[3]], "decision 3 in the journal does not follow 1"),
        ([ROWS[0], *ROWS], "decision 0 in the journal does not follow 0"),
        ([*ROWS, ROWS[3]], "decision 3 in the journal does not follow 3"),
        ([SNAPSHOTS[0], *ROWS[2:]], "decision 2 in the journal does not follow 0"),
        # A snapshot comes first, and there is one.
        ([ROWS[0], SNAPSHOTS[1]], "its snapshot is of a at 1"),
        ([*ROWS[:2], SNAPSHOTS[2]], "its snapshot is of a at 2"),
        ([SNAPSHOTS[0], SNAPSHOTS[1]], "its snapshot is of a at 1"),
        ([(3, *SNAPSHOTS[2][1:])], "its snapshot is of a at 2"),
    ],
)
def test_rows_that_are_not_one_stream_s_are_refused(rows, why):
    with pytest.raises(StateCorrupt, match=f"^a: .*({why})"):
        state_after(rows, "a")


def test_another_stream_s_snapshot_is_refused():
    with pytest.raises(StateCorrupt, match=r"^b: its snapshot is of a at 3"):
        state_after([SNAPSHOTS[3]], "b")


def snapshot_of(connection, state):
    connection.execute(
        "INSERT INTO bulkhead.snapshot (stream, sequence, hash, version, state) "
        "SELECT stream, sequence, hash, %s, %s FROM bulkhead.journal WHERE stream = %s AND sequence = %s",
        (state_codec.VERSION, state_codec.encode(state), state.account_id, state.sequence),
    )


@pytest.fixture
def fleet(store, dsn):
    """Accounts with a tail, with a snapshot, with both, and opened only: states by account id."""
    authors = [Author(state) for state in create(store, 5)]
    tail, snapshot, both, short, _ = authors
    for author, count in ((tail, 3), (snapshot, 2), (both, 2), (short, 1)):
        for number in range(count):
            author.decide(AdjustBalance(D(number + 1), "DEPOSIT"))
    middle = both.state
    for author in (both, short):
        author.decide(AdjustBalance(D(9), "DEPOSIT"))
    for author in authors:
        assert not any(store.commit(author.batch))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for state in (snapshot.state, middle):
            snapshot_of(connection, state)
    return {author.state.account_id: author.state for author in authors}


def read_whole(connection, monkeypatch):
    """All states, of whom the statement for all did not suffice, and who cannot be read."""
    long_way, unreadable = [], {}
    real = states_of

    def counted(connection, streams, failed):
        long_way.extend(streams)
        return real(connection, streams, failed)

    monkeypatch.setattr(loading, "states_of", counted)
    rows = connection.execute("SELECT account_id FROM bulkhead.account ORDER BY account_id").fetchall()
    found = all_states(
        connection,
        "",
        [row[0] for row in rows],
        lambda stream, error: unreadable.update({stream: str(error)}),
        workers=0,
    )
    assert found == real(connection, list(found))
    return found, long_way, unreadable


def test_a_fleet_s_usual_rows_are_read_with_one_statement(fleet, dsn, monkeypatch):
    with psycopg.connect(dsn, autocommit=True) as connection:
        found, long_way, unreadable = read_whole(connection, monkeypatch)
    assert {id_: (k.sequence, k.state.balance) for id_, k in found.items()} == {
        id_: (state.sequence, state.balance) for id_, state in fleet.items()
    }
    assert (long_way, unreadable) == ([], {})


SPOILED = {
    "a decision in the middle is missing": (
        "DELETE FROM bulkhead.journal WHERE stream = 'acct-1' AND sequence = 2",
        "acct-1",
        "does not follow",
    ),
    "the first decision is missing": (
        "DELETE FROM bulkhead.journal WHERE stream = 'acct-1' AND sequence = 0",
        "acct-1",
        "first row in the journal is missing",
    ),
    "the first decision behind the snapshot is missing": (
        "UPDATE bulkhead.journal SET sequence = 9 WHERE stream = 'acct-3' AND sequence = 3",
        "acct-3",
        "does not follow",
    ),
    "nothing is left": ("DELETE FROM bulkhead.journal WHERE stream = 'acct-5'", "acct-5", "no fact of it"),
    "a row is two lines": (
        r"UPDATE bulkhead.journal SET facts = facts || '\x0a'::bytea || facts WHERE stream = 'acct-1' AND sequence = 3",
        "acct-1",
        "sequence 3",
    ),
    "a row cannot be read": (
        "UPDATE bulkhead.journal SET facts = 'x' WHERE stream = 'acct-4' AND sequence = 1",
        "acct-4",
        "sequence 1",
    ),
    "a row is of a later release": (
        "UPDATE bulkhead.journal SET version = 99 WHERE stream = 'acct-4' AND sequence = 1",
        "acct-4",
        "of a later release",
    ),
    "the snapshot is of another decision": (
        "UPDATE bulkhead.snapshot SET sequence = 1 WHERE stream = 'acct-2'",
        "acct-2",
        "its snapshot is of acct-2 at 2",
    ),
    "the snapshot is of another account": (
        """UPDATE bulkhead.snapshot SET state = (SELECT state FROM bulkhead.snapshot WHERE stream = 'acct-3')
        WHERE stream = 'acct-2'""",
        "acct-2",
        "its snapshot is of acct-3 at 2",
    ),
}


def test_what_is_not_as_it_should_be_is_looked_at_row_by_row_and_named(fleet, dsn, monkeypatch):
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, (statement, account_id, why) in SPOILED.items():
            with connection.transaction(force_rollback=True):
                assert connection.execute(statement).rowcount > 0
                found, long_way, unreadable = read_whole(connection, monkeypatch)
            assert long_way == [account_id], name
            assert list(unreadable) == [account_id], name
            assert why in unreadable[account_id], name
            assert found.keys() == fleet.keys() - {account_id}, name
