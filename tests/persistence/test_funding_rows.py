"""Funding in Postgres: by what was held at its time, once, across restarts and the upgrade to this schema."""

from __future__ import annotations

import time
from decimal import Decimal as D

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import OrderStatus, Purpose
from actors.core.messages import ApplyFunding, OrderClosed, PlaceOrder, SetMode, Wake
from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence import schema
from actors.persistence.store import Store
from actors.subaccount.holdings import PER_HOUR
from actors.subaccount.pipeline import decided
from actors.subaccount.situation import Situation
from actors.subaccount.steps import take_over
from tests.factories import BTC, BUY, ETH, SELL, WIDE, fill_of, market
from tests.persistence.authors import TRADE_IDS, Author, create, load, rows

HOUR = 3_600_000
EIGHT = 480_000 * HOUR
MARKS = {ETH: "2000", BTC: "60000"}
FUNDED = "SELECT funding_ms - 1728000000000, amount, quantity FROM bulkhead.funding ORDER BY 1"


def trade(author, ms, quantity, symbol=ETH):
    """An order and its one fill, ``ms`` after the settlement."""
    at, side = market(MARKS, wall_ms=EIGHT + ms), BUY if D(quantity) > 0 else SELL
    author.decide(PlaceOrder(symbol=symbol, side=side, quantity=abs(D(quantity)), leverage=D(20)), at)
    if not author.state.orders:
        return  # refused: a rest that is too small for the exchange, say
    order, owner = author.state.orders[-1], author.state.account_id
    number = next(TRADE_IDS)
    price = MARKS[symbol]
    author.decide(fill_of(order, price=price, trade_id=number, trade_ms=EIGHT + ms, account_id=owner), at)
    author.decide(OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity), at)


def held(author):
    """What an account knows of what it held until when."""
    return [(h.symbol, c.until_ms - EIGHT, c.quantity) for h in author.state.holdings for c in h.changes]


def settle(author, at=0, told=None, symbol=ETH):
    told = at + 60_000 if told is None else told
    message = ApplyFunding(symbol, D("0.0001"), D(2000), EIGHT + at)
    return author.decide(message, market(MARKS, wall_ms=EIGHT + told))


def restarted(store, author):
    """The account as a new process finds it."""
    assert set(store.commit(author.batch)) <= {None}
    assert load(store, author.state) == author.state
    return Author(load(store, author.state))


def test_who_closed_since_pays_after_a_restart_and_once(store, dsn):
    author = Author(create(store)[0])
    trade(author, -5_000_000, "0.2")
    trade(author, 10_000, "-0.2")
    author = restarted(store, author)
    assert not settle(author).duplicate
    author = restarted(store, author)
    assert settle(author).duplicate
    assert author.state.funding == D("-0.04")
    assert rows(dsn, FUNDED) == [(0, D("-0.04"), D("0.2"))]
    assert rows(dsn, "SELECT funding FROM bulkhead.closed_position") == [(D("-0.04"),)]
    assert rows(dsn, "SELECT change_amount FROM balance_logs WHERE reason = 'FUNDING'") == [(D("-0.04"),)]
    assert rows(dsn, "SELECT current_balance FROM sub_accounts") == [(D("999.96"),)]


def test_a_late_trade_is_found_by_the_account_s_next_life_and_the_difference_is_booked(store, dsn):
    author = Author(create(store)[0])
    trade(author, -5_000_000, "0.2")
    settle(author)
    trade(author, 10_000, "0.3")
    trade(author, -5, "-0.1")
    author = restarted(store, author)
    assert held(author) == [(ETH, -5_000_000, D(0)), (ETH, -5, D("0.2")), (ETH, 10_000, D("0.1"))]
    assert not settle(author, told=HOUR).duplicate
    author = restarted(store, author)
    assert rows(dsn, FUNDED) == [(0, D("-0.02"), D("0.1"))]
    assert author.state.positions[0].funding == D("-0.02")


def test_what_is_older_than_a_day_is_dropped_and_its_funding_stays_on_record(store, dsn):
    author = Author(create(store)[0])
    trade(author, -5, "0.2")
    settle(author)
    author = restarted(store, author)
    trade(author, 27 * HOUR, "0.01", BTC)
    author = restarted(store, author)
    assert held(author) == [(BTC, 27 * HOUR, D(0))]
    settle(author, 32 * HOUR)
    author = restarted(store, author)
    assert [s.funding_ms for s in author.state.settled] == [EIGHT + 32 * HOUR]
    assert [row[0] for row in rows(dsn, FUNDED)] == [0, 32 * HOUR]


def test_late_trades_beyond_what_is_kept_of_an_hour_leave_no_row_behind(store, dsn):
    author = Author(create(store)[0])
    for n in range(PER_HOUR):
        trade(author, 1_000_000 + n, "0.01")
    author = restarted(store, author)
    assert len(held(author)) == PER_HOUR
    trade(author, 999_999, "0.01")
    trade(author, 999_998, "0.01")
    author = restarted(store, author)
    found = [at for _, at, _ in held(author)]
    assert found == [999_998, 999_999, *range(1_000_000, 1_000_000 + PER_HOUR - 2)]


def test_what_the_house_took_counts_from_then_also_after_a_restart(store, dsn):
    author = Author(create(store)[0])
    trade(author, -5_000_000, "0.2")
    [taken] = author.state.positions
    at = market(MARKS, wall_ms=EIGHT + 10_000)
    author.note(decided(Situation(author.state, at), take_over(taken, D(2000), at, Purpose.USER)))
    author = restarted(store, author)
    assert held(author) == [(ETH, -5_000_000, D(0)), (ETH, 10_000, D("0.2"))]
    assert not settle(author).duplicate
    assert settle(author, 8 * HOUR).duplicate
    author = restarted(store, author)
    assert rows(dsn, "SELECT funding FROM bulkhead.closed_position") == [(D("-0.04"),)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(0, 30), st.integers(-90, 90).filter(bool), st.booleans()),
        st.tuples(st.just("late"), st.integers(0, 60), st.integers(-90, 90).filter(bool), st.booleans()),
        st.tuples(st.just("tell"), st.integers(0, 30), st.just(0), st.booleans()),
        st.tuples(st.just("take"), st.just(0), st.just(0), st.just(False)),
    ),
    max_size=14,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=STEPS, cut=st.integers(1, 7))
def test_what_is_loaded_is_what_was_known(store, steps, cut):
    new = NewAccount(
        account_id=AccountId(f"h-{next(TRADE_IDS)}"), name="h", deposit=D(3000), max_notional_per_trade=D(10**9), max_total_exposure=D(10**9),
    )  # fmt: skip
    store.create_accounts([new], EIGHT)
    author, now = Author(store.load([new.account_id])[0]), 0
    for kind, ticks, thousandths, other in steps:
        symbol = BTC if other else ETH
        if kind == "tell":
            settle(author, ticks * HOUR, told=26 * HOUR, symbol=symbol)
        elif kind == "take":
            # All that is held goes to the house in one decision, at one moment.
            now += 1
            author.decide(SetMode("TAKEOVER"), market(MARKS, wall_ms=EIGHT + now))
            worthless = {ETH: "1", BTC: "1"}
            author.decide(Wake(ETH, "t"), market(worthless, wall_ms=EIGHT + now))
        elif author.state.status == "ACTIVE":
            now = now + ticks * 1_000_000 if kind == "trade" else now
            at = now if kind == "trade" else max(0, now - ticks * 1_000_000)
            size = D(thousandths) / (1000 if symbol == ETH else 30_000)
            trade(author, at, str(round(size, 3) or D("0.001")), symbol)
    for at in range(0, len(author.batch), cut):
        assert set(store.commit(author.batch[at : at + cut])) == {None}
    everybody = {s.account_id: s for s in store.load(None)}
    for found in (load(store, author.state), everybody[author.state.account_id]):
        # Positions are loaded by the time that opened them, which a late trade's is not.
        assert by_symbol(found) == by_symbol(author.state)


def by_symbol(state):
    return replace(state, positions=tuple(sorted(state.positions, key=lambda p: p.symbol)))


# --- the upgrade

OPEN = """
    INSERT INTO sub_accounts (id, name, initial_balance, current_balance, liquidation_mode, maintenance_rate, updated_at)
    VALUES ('acct-1', 'acct-1', 1000, 999, 'ADL_30', 0.005, now());
    INSERT INTO bulkhead.account VALUES ('acct-1', 0, 3, 2, 4, 999, 1000, 0, 0, -1, 0, 'HEALTHY', 0);
    INSERT INTO bulkhead.position (position_id, account_id, symbol, quantity, entry_price, margin, realized, opened_ms,
        peak, funding, funded_ms)
    VALUES ('p1', 'acct-1', 'ETHUSDT', -0.3, 1999.123456789012, 60, 0, {now} - 7200000, -0.3, -1, {now} - 3600000),
        ('p2', 'acct-1', '1000PEPEUSDT', 3000000000, 0.000003366667, 500, 0, {now} - 9000000000, 3000000000, 0, 0);
    INSERT INTO bulkhead.funding (account_id, symbol, funding_ms, rate, mark, amount)
    VALUES ('acct-1', 'ETHUSDT', {now} - 3600000, 0.001, 2000, -0.6),
        ('acct-1', 'ETHUSDT', {now} - 100000000, 0.001, 2000, -0.4);
"""


@pytest.fixture
def upgraded(dsn):
    """A database of version 5 with open positions, opened by this release; and the hour that it thinks it is."""
    hour = time.time_ns() // 1_000_000 // HOUR * HOUR
    with psycopg.connect(dsn, autocommit=True) as connection:
        for script in ("platform.sql", *schema.SCRIPTS[:5]):
            connection.execute((schema._HERE / script).read_bytes())
        connection.execute(OPEN.format(now=hour))
        assert schema.check(connection) is schema.Found.OLDER
    store = Store.open(dsn, WIDE)
    store.acquire("me", 30)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert schema.check(connection) is schema.Found.READY
    yield store, Author(store.load(None)[0]), hour
    store.close()


def test_open_positions_of_version_5_have_the_cost_that_their_average_says(upgraded):
    store, author, _ = upgraded
    cost = {p.symbol: p.cost for p in author.state.positions}
    assert cost == {ETH: D("599.7370370367036"), "1000PEPEUSDT": D("10100.001")}
    assert author.state.position(ETH).entry_price == D("1999.123456789012")
    assert author.state.position("1000PEPEUSDT").entry_price == D("0.000003366667")
    assert store.books()[0] == {ETH: D("-0.3"), "1000PEPEUSDT": D(3_000_000_000)}


def test_funding_that_version_5_booked_is_not_booked_again_and_what_it_did_not_is(upgraded):
    store, author, hour = upgraded

    def told(at_ms, symbol=ETH):
        message = ApplyFunding(symbol, D("0.001"), D(2000), at_ms)
        return [f.quantity for f in author.decide(message, market(MARKS, wall_ms=hour + 5)).facts]

    at = market(MARKS, wall_ms=hour + 1)
    author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.3"), leverage=D(20)), at)
    author.decide(fill_of(author.state.orders[-1], trade_ms=hour + 1), at)
    assert author.state.position(ETH) is None
    # What it booked is final; before the position was opened, nothing was held of it.
    assert told(hour - HOUR) == []
    assert told(hour - 2 * HOUR) == []
    assert told(hour) == [D("-0.3")]
    assert told(hour) == []
    assert told(hour - 8 * HOUR, "1000PEPEUSDT") == [D(3_000_000_000)]
    author = restarted(store, author)
    assert told(hour - HOUR) == told(hour) == told(hour - 8 * HOUR, "1000PEPEUSDT") == []
