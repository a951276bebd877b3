"""What limits remember, on a real Postgres: rates, closed positions, funding, own limits, the platform's rules."""

from __future__ import annotations

import time
from decimal import Decimal as D

import psycopg
import pytest
from msgspec.structs import replace

from actors.core.enums import CloseOutScope, ConditionalKind, OrderStatus, OrderType
from actors.core.errors import StateCorrupt
from actors.core.facts import LimitsChanged
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    CallOff,
    CloseOut,
    OrderClosed,
    PlaceConditional,
    PlaceOrder,
    SetLimits,
    Wake,
)
from actors.core.units import NANOS_PER_SECOND, AccountId
from actors.subaccount.decide import decide
from actors.subaccount.rejections import RejectCode
from tests.factories import BUY, ETH, SELL, market
from tests.persistence.authors import NOW, Author, create, load, rows


def test_the_orders_of_the_last_minute_are_counted_across_a_restart(store):
    author = Author(create(store)[0])
    author.decide(SetLimits((("max_orders_per_minute", "2"),)))
    now_ms = time.time_ns() // 1_000_000
    for age_ms in (61_000, 59_000, 1_000):
        order = PlaceOrder(
            symbol=ETH, side=BUY, quantity=D("0.01"), order_type=OrderType.LIMIT, price=D(2000)
        )
        author.decide(order, market(wall_ms=now_ms - age_ms))
    assert set(store.commit(author.batch)) == {None}
    loaded = load(store, author.state)
    assert [at for _, at in loaded.risk.recent] == [now_ms - 59_000, now_ms - 1_000]
    refusal = decide(loaded, order, market(wall_ms=now_ms)).reply
    assert [r.code for r in refusal.rejections] == [RejectCode.ORDER_RATE_EXCEEDED]


def test_the_record_of_a_closed_position_and_its_funding(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "1", "2000")
    author.decide(ApplyFunding(ETH, D("0.001"), D(2000), NOW))
    author.trade(SELL, "1", "2100")
    assert set(store.commit(author.batch)) == {None}
    assert rows(
        dsn,
        "SELECT symbol, quantity, realized, fees, funding, mae, mfe, purpose FROM bulkhead.closed_position",
    ) == [(ETH, D(1), D(100), D("0.2"), D(-2), D(0), D(0), "USER")]
    assert rows(dsn, "SELECT rate, mark, amount FROM bulkhead.funding") == [(D("0.001"), D(2000), D(-2))]
    assert rows(dsn, "SELECT change_amount FROM balance_logs WHERE reason = 'FUNDING'") == [(D(-2),)]


@pytest.mark.parametrize("bad", [("max_positions", "many"), ("no_such_limit", "1")])
def test_an_own_limit_that_cannot_be_read_puts_that_account_alone_out_of_service(store, bad):
    author = Author(create(store, 2)[0])
    author.decide(AdjustBalance(D(5), "DEPOSIT"))
    # As a release wrote it that knew another limit.
    assert store.commit([replace(author.batch[0], facts=(LimitsChanged((bad,)),))]) == [None]
    assert [s.account_id for s in store.load(None)] == ["acct-2"]
    assert list(store.unreadable) == ["acct-1"]
    with pytest.raises(StateCorrupt, match=r"max_positions|no_such_limit"):
        store.load([AccountId("acct-1")])


def test_what_the_platform_s_rule_says_lies_between_the_defaults_and_the_account_s_own(store, dsn):
    create(store, 2)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "UPDATE risk_rules SET max_notional_per_trade = 0, liquidation_threshold = 7 WHERE sub_account_id = 'acct-1'"
        )
    author = Author(store.load([AccountId("acct-1")])[0])
    assert author.state.limits.max_notional_per_trade == 0
    # The platform takes a threshold that cannot be for 0.90.
    assert author.state.limits.liquidation_threshold == D("0.90")
    author.decide(SetLimits((("max_notional_per_trade", "100"),)))
    assert set(store.commit(author.batch)) == {None}
    assert load(store, author.state).limits.max_notional_per_trade == D(100)
    assert load(store, author.state).base_limits.max_notional_per_trade == 0


def test_a_close_out_of_the_fleet_is_one_of_the_fleet_after_a_restart(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "1")
    author.decide(CloseOut("emergency stop of all: fire", CloseOutScope.FLEET))
    assert set(store.commit(author.batch)) == {None}
    assert rows(dsn, "SELECT closing_out FROM bulkhead.account_risk") == [("emergency stop of all: fire",)]
    loaded = load(store, author.state)
    assert loaded.risk.close_out == author.state.risk.close_out
    assert decide(loaded, CallOff(CloseOutScope.FLEET), market()).state.risk.close_out is None


def test_a_stop_that_was_refused_before_is_known_as_such_after_a_restart(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "1")
    stop = PlaceConditional(
        kind=ConditionalKind.STOP_MARKET,
        symbol=ETH,
        side=SELL,
        quantity=D(1),
        trigger_price=D(1950),
        reduce_only=True,
    )
    author.decide(stop)
    low, late = (
        market({ETH: "1940"}),
        market({ETH: "1940"}, now_ns=60 * NANOS_PER_SECOND, received_ns=60 * NANOS_PER_SECOND),
    )
    author.decide(Wake(ETH, "t"), low)
    author.decide(
        OrderClosed(author.state.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -2019, "no"), low
    )
    author.decide(Wake(ETH, "t"), late)
    [order] = author.state.orders
    assert (order.intent.attempt, order.intent.tier) == (1, 0)
    assert order.intent.cause == f"trigger:{order.intent.conditional_id}"
    assert set(store.commit(author.batch)) == {None}
    assert rows(dsn, "SELECT tier FROM bulkhead.intent WHERE status = 'INTENDED'") == [(1,)]
    assert load(store, author.state).orders == author.state.orders
