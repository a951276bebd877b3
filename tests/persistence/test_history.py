"""The history of accounts: what is in it, in which order, page by page, by kind, symbol and time; alerts; wrong questions.

Covers: actors/persistence/alert_history.py
"""

from __future__ import annotations

from decimal import Decimal as D

import psycopg
import pytest

from actors.core.enums import OrderStatus
from actors.core.errors import BadInput
from actors.core.messages import AdjustBalance, OrderClosed, PlaceOrder
from actors.persistence import history
from actors.persistence.alert_history import alerts
from actors.persistence.connection import connect
from actors.persistence.history import Wanted, page
from actors.persistence.history_records import HistoryKind
from actors.persistence.projection.store import Projection
from tests.factories import BUY, ETH, SELL
from tests.persistence.authors import NOW, Author, create, project
from tests.persistence.projection.lives import commit, live, project_all


@pytest.fixture
def lives(store, dsn, monkeypatch):
    decisions = live(store, range(110, 118), monkeypatch)
    commit(store, decisions)
    project_all(dsn)
    with connect(dsn, read_only=True) as connection:
        yield connection


def all_of(connection, wanted, limit):
    found, before = [], None
    while True:
        one = page(connection, wanted, limit, before)
        assert len(one.records) <= limit
        found += one.records
        if one.next is None:
            return found
        before = one.next


def key(record):
    position, _, part = record.id.partition("-")
    return int(position), int(part)


@pytest.mark.parametrize("account", [None, "life-1"])
def test_pages_put_together_are_the_whole_newest_first_whatever_their_size(lives, account, monkeypatch):
    wanted = Wanted(account_id=account)
    whole = page(lives, wanted, 10_000)
    assert whole.next is None
    ids = [key(r) for r in whole.records]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids) > 20
    # The last two: a page ends where it is full and where it has looked at enough rows, at the very same row.
    for limit, at_once, looked_at in ((1, 2_000, 10**5), (7, 3, 10**5), (50, 5, 11), (2, 1, 2), (1, 1, 1)):
        monkeypatch.setattr(history, "AT_ONCE", at_once)
        monkeypatch.setattr(history, "LOOKED_AT_MAX", looked_at)
        assert all_of(lives, wanted, limit) == list(whole.records)
    if account:
        assert {r.account_id for r in whole.records} == {account}


def test_what_is_asked_for_is_what_is_left_out_of_nothing(lives):
    whole = page(lives, Wanted(), 10_000).records
    assert {r.kind for r in whole} >= {
        HistoryKind.ORDER,
        HistoryKind.FILL,
        HistoryKind.CLOSE,
        HistoryKind.BALANCE,
        HistoryKind.REFUSED,
        HistoryKind.LIQUIDATION,
    }
    for kind in HistoryKind:
        found = page(lives, Wanted(kinds=frozenset({kind})), 10_000).records
        assert found == tuple(r for r in whole if kind in r.kinds)
    symbols = {r.symbol for r in whole}
    for symbol in symbols:
        found = page(lives, Wanted(symbol=symbol), 10_000).records
        assert found == tuple(r for r in whole if r.symbol == symbol)
    # Each of these accounts lives by a clock of its own.
    own = [r for r in whole if r.account_id == "life-1"]
    times = sorted({r.at_ms for r in own})
    for begin, end in ((times[0], times[-1]), (times[3], times[9]), (times[-1], times[-1] + 1)):
        found = page(lives, Wanted(account_id="life-1", from_ms=begin, to_ms=end), 10_000).records
        assert found == tuple(r for r in own if begin <= r.at_ms < end)


def test_each_fill_and_each_change_of_a_balance_is_in_it(lives):
    whole = page(lives, Wanted(), 10_000).records
    fills = lives.execute("SELECT count(*) FROM bulkhead.fill").fetchone()[0]
    assert sum(r.kind is HistoryKind.FILL for r in whole) == fills > 10
    [(total,)] = lives.execute("SELECT sum(balance) FROM bulkhead.account").fetchall()
    assert sum((r.amount for r in whole if r.amount is not None), D(0)) == total


@pytest.fixture
def traded(store, dsn):
    [state, _] = create(store, 2)
    author = Author(state)
    author.trade(BUY, "0.1")
    author.decide(AdjustBalance(D(50), "DEPOSIT"))
    author.decide(PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.1"), leverage=D(20)))
    order = author.state.orders[-1]
    author.decide(
        OrderClosed(order.client_order_id, OrderStatus.REJECTED, D(0), -2019, "Margin is insufficient.")
    )
    author.decide(PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.1"), leverage=D(20)))
    order = author.state.orders[-1]
    author.decide(
        OrderClosed(order.client_order_id, OrderStatus.REJECTED, D(0), -4003, "Quantity less than zero.")
    )
    assert not any(store.commit(author.batch))
    return author


def test_a_refused_order_is_named_with_what_it_was_and_the_exchange_s_words(traded, dsn):
    project(dsn)
    with connect(dsn, read_only=True) as connection:
        refused = Wanted(account_id="acct-1", kinds=frozenset({HistoryKind.REFUSED}))
        found = page(connection, refused, 10).records
        assert [(r.kind, r.end) for r in found] == [
            (HistoryKind.REFUSED, "REJECTED -4003 Quantity less than zero."),
            (HistoryKind.INSUFFICIENT_BALANCE, "REJECTED -2019 Margin is insufficient."),
        ]
        assert {(r.symbol, r.side, r.quantity, r.order_type) for r in found} == {
            (ETH, "SELL", D("0.1"), "MARKET")
        }
        poor = Wanted(kinds=frozenset({HistoryKind.INSUFFICIENT_BALANCE}))
        assert page(connection, poor, 10).records == (found[1],)
        orders = page(connection, Wanted(kinds=frozenset({HistoryKind.ORDER})), 10).records
        assert [(r.status, r.end) for r in orders] == [
            ("REJECTED", "REJECTED -4003 Quantity less than zero."),
            ("REJECTED", "REJECTED -2019 Margin is insufficient."),
            ("FILLED", ""),
        ]
        assert page(connection, Wanted(account_id="acct-2"), 10).records[0].text == "DEPOSIT"


def test_tables_that_are_behind_take_nothing_out_of_it(traded, dsn):
    Projection(dsn).begin()
    with connect(dsn, read_only=True) as connection:
        found = page(connection, Wanted(account_id="acct-1"), 100).records
    assert [r.kind for r in found if r.symbol == ETH or r.status] == [
        "REFUSED",
        "ORDER",
        "INSUFFICIENT_BALANCE",
        "ORDER",
        "FILL",
        "ORDER",
    ]
    assert found[0].end.startswith("REJECTED -4003")


def test_a_row_that_cannot_be_read_is_said_and_hides_no_other(traded, dsn):
    project(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill = "SELECT min(position) FROM bulkhead.journal WHERE facts LIKE '%FillApplied%'"
        [(position,)] = connection.execute(fill).fetchall()
        connection.execute("UPDATE bulkhead.journal SET version = 99 WHERE position = %s", (position,))
        found = page(connection, Wanted(account_id="acct-1"), 100).records
    [bad] = [r for r in found if r.kind is HistoryKind.UNREADABLE]
    assert (bad.id, "later release" in bad.text) == (f"{position}-0", True)
    assert len(found) > 5


def test_a_state_of_another_release_that_an_account_was_carried_over_with_hides_no_other_row(traded, dsn):
    """The fact itself is read, and what it carries is not."""
    project(dsn)
    carried = b'[{"fact":"AccountCarried","version":99,"state":{}}]'
    with psycopg.connect(dsn, autocommit=True) as connection:
        change = "UPDATE bulkhead.journal SET facts = %s WHERE stream = 'acct-1' AND sequence = 1"
        assert connection.execute(change, (carried,)).rowcount == 1
        found = page(connection, Wanted(account_id="acct-1"), 100).records
    [bad] = [r for r in found if r.kind is HistoryKind.UNREADABLE]
    assert "99" in bad.text
    assert len(found) > 5


def test_a_page_may_begin_before_all_that_there_is(traded, dsn):
    """As one does that goes on behind a page of nothing but refused commands, which are no rows."""
    with connect(dsn, read_only=True) as connection:
        for account in (None, "acct-1"):
            whole = page(connection, Wanted(account_id=account), 3)
            assert page(connection, Wanted(account_id=account), 3, f"{history.END}-0") == whole
        with pytest.raises(BadInput, match="behind all that can be"):
            page(connection, Wanted(), 3, f"{history.END + 1}-0")


@pytest.mark.parametrize(
    ("wanted", "limit", "before", "text"),
    [
        (Wanted(account_id="nobody"), 5, None, "there is no account 'nobody'; 'bulkhead accounts' lists"),
        (Wanted(account_id="a'; DROP TABLE x"), 5, None, "there is no account"),
        (Wanted(from_ms=5, to_ms=5), 5, None, "the begin of the time is not before its end"),
        (Wanted(from_ms=6, to_ms=5), 5, None, "the begin of the time is not before its end"),
        (Wanted(), 0, None, "limit 0 is not between 1 and 10,000"),
        (Wanted(), -1, None, "limit -1 is not between"),
        (Wanted(), 10_001, None, "limit 10001 is not between"),
        (Wanted(), 5, "5", "before: '5' is no place in a history"),
        (Wanted(), 5, "-5", "no place"),
        (Wanted(), 5, "x-y", "no place"),
        (Wanted(), 5, "\u0665-0", "no place"),
        (Wanted(), 5, "9" * 30 + "-0", "behind all that can be"),
        (Wanted(), 5, "9999999999999999999-0", "behind all that can be"),
        (Wanted(), 5, "1-2-3-4", "no place"),
        (Wanted(account_id="acct-2"), 5, "3-0", "is no place in the history of acct-2"),
    ],
)  # fmt: skip
def test_wrong_questions_are_answered_with_the_cure(traded, dsn, wanted, limit, before, text):
    with connect(dsn, read_only=True) as connection, pytest.raises(BadInput, match=text):
        page(connection, wanted, limit, before)


def test_an_empty_journal_has_an_empty_history(store, dsn):
    with connect(dsn, read_only=True) as connection:
        assert page(connection, Wanted(), 5).records == ()
        assert alerts(connection, None, 0, 5) == []


def test_the_time_of_a_history_is_found_by_halves_also_where_the_clock_was_set(traded, dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.journal SET wall_ms = %s + position * 1000", (NOW,))
        connection.execute("UPDATE bulkhead.journal SET wall_ms = wall_ms - 5000 WHERE position = 6")
        whole = page(connection, Wanted(account_id="acct-1"), 100).records
        for at in {r.at_ms for r in whole}:
            found = page(connection, Wanted(account_id="acct-1", from_ms=at, to_ms=at + 2_500), 100).records
            assert found == tuple(r for r in whole if at <= r.at_ms < at + 2_500)


def test_alerts_say_what_operators_were_told_by_account_and_time(lives):
    whole = alerts(lives, None, 0, 10_000)
    assert len({a.kind for a in whole}) > 1
    assert all(a.text for a in whole)
    paged, before = [], None
    while found := alerts(lives, None, 0, 3, before):
        paged += found
        before = found[-1].id
    assert paged == whole
    for account in {a.account_id for a in whole}:
        assert alerts(lives, account, 0, 10_000) == [a for a in whole if a.account_id == account]
    middle = sorted(a.at_ms for a in whole)[len(whole) // 2]
    assert alerts(lives, None, middle, 10_000) == [a for a in whole if a.at_ms >= middle]
    with pytest.raises(BadInput, match="there is no account 'nobody'"):
        alerts(lives, "nobody", 0, 5)
    with pytest.raises(BadInput, match="limit 0 is not between"):
        alerts(lives, None, 0, 0)
