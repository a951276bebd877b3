"""The ledger: the sum of an account's entries is its balance, after each of its decisions, live, rebuilt and upgraded.

Covers: actors/persistence/projection/first_fill.py, actors/persistence/projection/alerts.py, actors/subaccount/income.py
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal as D

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core import fact_codec
from actors.core.enums import LiquidationMode
from actors.core.errors import StateCorrupt
from actors.core.facts import (
    AccountCarried,
    AccountOpened,
    BadDebtRecorded,
    BalanceAdjusted,
    FillApplied,
    PositionTakenOver,
)
from actors.core.fees import FeeBooked
from actors.core.units import ZERO, AccountId
from actors.persistence import journal
from actors.persistence.connection import connect
from actors.persistence.projection import first_fill
from actors.persistence.store import Store
from actors.subaccount import state_codec
from actors.subaccount.fold import folded
from actors.subaccount.income import OPENING, Income, entries
from actors.subaccount.state import AccountState
from tests.factories import ETH
from tests.golden.journal import Row, lines_of
from tests.golden.scenes import SCENES
from tests.persistence.authors import written
from tests.persistence.projection.lives import commit, live, ours, project_all
from tests.persistence.test_last_release import read

WRONG_SUM = """
    SELECT account_id, position, part FROM (
        SELECT *, sum(amount) OVER (PARTITION BY account_id ORDER BY position, part) AS running FROM bulkhead.ledger
    ) l WHERE running <> balance"""
"""Entries behind which the sum of an account's is not the balance that they say."""

WRONG_END = """
    SELECT a.account_id FROM bulkhead.account a LEFT JOIN bulkhead.ledger l USING (account_id)
    GROUP BY a.account_id, a.balance HAVING a.balance <> COALESCE(sum(l.amount), 0)"""


def asked(dsn, *statements):
    with psycopg.connect(dsn) as connection:
        return [connection.execute(s).fetchall() for s in statements]


@pytest.fixture(scope="module")
def scenes():
    """The facts of each decision of the golden scenes, which have every kind of fact, by account."""
    found = {}
    for scene in SCENES:
        for line in lines_of(scene()):
            if isinstance(line, Row) and not line.stream.startswith("clearing:"):
                found.setdefault(line.stream, []).append(fact_codec.decode(line.version, bytes(line.facts)))
    return found


def test_the_sum_of_entries_is_the_balance_after_each_decision_of_every_scene(scenes):
    seen = Counter()
    for stream, rows in scenes.items():
        state, total = AccountState(account_id=AccountId(stream)), ZERO
        for facts in rows:
            found = entries(facts)
            seen.update(entry.income for entry in found)
            total += sum((entry.amount for entry in found), ZERO)
            state = folded(state, facts)
            assert total == state.balance, (stream, facts)
    assert set(seen) == set(Income)


def test_a_fee_that_is_pending_is_an_entry_when_it_is_booked_in_its_own_asset_too(scenes):
    facts = [fact for rows in scenes.values() for row in rows for fact in row]
    pending = [f for f in facts if isinstance(f, FillApplied) and f.commission and f.commission.rate is None]
    assert pending
    assert not [e for e in entries(pending) if e.income is Income.COMMISSION]
    booked = [f for f in facts if isinstance(f, FeeBooked) and f.pending.asset]
    assert booked
    for fact in booked:
        [entry] = entries([fact])
        assert (entry.income, entry.amount, entry.info) == (Income.COMMISSION, -fact.fee, "LATE_FEE")
        assert (entry.asset, entry.asset_amount) == (fact.pending.asset, -fact.pending.amount)
        assert (entry.trade_id, entry.symbol) == (fact.pending.trade_id, fact.pending.symbol)


def test_an_account_older_than_its_journal_has_an_opening_entry():
    state = AccountState(account_id=AccountId("old"), balance=D("12.50"), deposits=D("12.50"))
    carried = AccountCarried(state_codec.VERSION, msgspec.Raw(state_codec.encode(state)))
    [entry] = entries([carried])
    assert (entry.income, entry.amount, entry.info) == (Income.TRANSFER, D("12.50"), OPENING)
    empty = AccountState(account_id=AccountId("old"))
    carried = AccountCarried(state_codec.VERSION, msgspec.Raw(state_codec.encode(empty)))
    assert entries([carried]) == []


def test_a_row_has_the_balance_after_it_and_no_zeros_at_its_end():
    facts = (
        AccountOpened(LiquidationMode.ADL_30, D("0.005")),
        BalanceAdjusted(D("100.00"), "DEPOSIT"),
        BalanceAdjusted(D("-100.5"), "WITHDRAWAL"),
        BadDebtRecorded(D("0.5")),
    )
    state = folded(AccountState(account_id=AccountId("a")), facts)
    rows = written(state, facts)["bulkhead.ledger"]
    assert [(r["part"], r["income_type"], str(r["amount"]), str(r["balance"])) for r in rows] == [
        (0, "TRANSFER", "100", "100"),
        (1, "TRANSFER", "-100.5", "-0.5"),
        (2, "INSURANCE_CLEAR", "0.5", "0"),
    ]
    assert [r["info"] for r in rows] == ["DEPOSIT", "WITHDRAWAL", "BAD_DEBT"]


@pytest.mark.parametrize("seeds", [range(70, 82), range(82, 94)])
def test_in_sql_after_any_number_of_decisions_and_filled_afterwards_row_for_row(
    store, dsn, seeds, monkeypatch
):
    decisions = live(store, seeds, monkeypatch)
    third = len(decisions) // 3
    for part in (decisions[:third], decisions[third:]):
        commit(store, part)
        project_all(dsn, 61)
        assert asked(dsn, WRONG_SUM, WRONG_END) == [[], []]
    made = ours(dsn)
    assert len(made["ledger"]) > 50
    assert made["alert"]
    with connect(dsn) as connection, connection.transaction():
        connection.execute("TRUNCATE bulkhead.ledger, bulkhead.alert")
        monkeypatch.setattr(first_fill, "AT_ONCE", 37)
        assert first_fill.fill(connection) == journal.last_position(connection)
    assert ours(dsn) == made


def test_a_wrong_sum_is_found_by_these_statements(store, dsn, monkeypatch):
    commit(store, live(store, range(2), monkeypatch))
    project_all(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        spoil = (
            "UPDATE bulkhead.ledger SET amount = amount + 1 WHERE (position, part) = (SELECT position, part "
        )
        connection.execute(spoil + "FROM bulkhead.ledger WHERE income_type = 'COMMISSION' LIMIT 1)")
    assert all(asked(dsn, WRONG_SUM, WRONG_END))


def test_what_is_not_projected_yet_or_parked_is_left_to_the_projector(store, dsn, monkeypatch):
    decisions = live(store, range(3), monkeypatch)
    half = len(decisions) // 2
    commit(store, decisions[:half])
    project_all(dsn)
    commit(store, decisions[half:])
    made = ours(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE bulkhead.ledger, bulkhead.alert")
        assert first_fill.fill(connection) < journal.last_position(connection)
    assert ours(dsn) == made
    project_all(dsn)
    all_of_it = ours(dsn, but=("snapshot",))
    assert asked(dsn, WRONG_SUM, WRONG_END) == [[], []]
    with psycopg.connect(dsn, autocommit=True) as connection:
        [(at,)] = connection.execute(
            "SELECT position FROM bulkhead.journal WHERE stream = 'life-1' AND sequence = 9"
        ).fetchall()
        connection.execute("INSERT INTO bulkhead.parked VALUES ('life-1', 9, %s, 0, 'for the test')", (at,))
        connection.execute("TRUNCATE bulkhead.ledger, bulkhead.alert")
        first_fill.fill(connection)
        later = "SELECT count(*) FROM bulkhead.ledger WHERE account_id = 'life-1' AND position >= %s"
        assert connection.execute(later, (at,)).fetchone() == (0,)
    found = ours(dsn, but=("snapshot",))["ledger"]
    assert set(found) < set(all_of_it["ledger"])
    assert [r for r in all_of_it["ledger"] if "life-1" not in r] == [r for r in found if "life-1" not in r]


def test_an_upgrade_with_a_row_that_cannot_be_read_says_which_and_changes_nothing(store, dsn, monkeypatch):
    commit(store, live(store, range(1), monkeypatch, events=10))
    project_all(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.journal SET version = 99 WHERE position = 3")
        before = ours(dsn)
        with connection.transaction(), pytest.raises(StateCorrupt, match="later release"):
            first_fill.fill(connection)
    assert ours(dsn) == before
    assert asked(dsn, WRONG_SUM) == [[]]


def test_accounts_of_a_release_before_the_journal_begin_with_what_they_had(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(read("database.sql.gz"))
    Store.open(dsn).close()
    assert asked(dsn, WRONG_SUM, WRONG_END) == [[], []]
    [rows] = asked(dsn, "SELECT income_type, info, part FROM bulkhead.ledger")
    assert set(rows) == {("TRANSFER", OPENING, 0)}
    assert len(rows) > 5


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=9).filter(bool), min_size=1, max_size=9)
)
def test_any_amounts_add_up(amounts):
    facts = tuple(BalanceAdjusted(amount, "CORRECTION") for amount in amounts)
    state = folded(AccountState(account_id=AccountId("a")), facts)
    rows = written(state, facts)["bulkhead.ledger"]
    total = ZERO
    for row, amount in zip(rows, amounts, strict=True):
        total += amount
        assert (row["amount"], row["balance"]) == (amount, total)


def test_the_fee_of_a_takeover_is_taken():
    taken = PositionTakenOver(
        symbol=ETH,
        quantity=D(1),
        price=D(1900),
        realized=D(-100),
        fee=D("0.76"),
        taken_ms=1,
    )
    assert [(e.income, e.amount) for e in entries((taken,))] == [
        (Income.REALIZED_PNL, D(-100)),
        (Income.COMMISSION, D("-0.76")),
    ]
