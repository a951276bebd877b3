"""Each limit: just inside, exactly at it, just beyond.

Covers: actors/limits/model.py, actors/subaccount/pretrade/value_at_risk.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import Breaker, ConditionalKind, OrderStatus, OrderType
from actors.core.messages import OrderClosed, PlaceConditional
from actors.core.order_ids import FIXED
from actors.subaccount.rejections import RejectCode as Code
from actors.subaccount.risk_state import RiskState
from tests.factories import (
    BTC,
    BUY,
    ETH,
    INSTRUMENTS,
    SELL,
    SOL,
    WALL_MS,
    WIDE,
    account,
    market,
    position,
    run,
)
from tests.subaccount.pretrade.limit_cases import (
    BEGUN,
    DAY,
    PriceHistory,
    accepted,
    checked,
    codes,
    limits,
    order,
    refused,
)


def test_order_notional():
    state = account("1000", limits=limits(max_order_notional=D(200)))
    accepted(state, order("0.1"))
    refused(Code.MAX_ORDER_NOTIONAL_EXCEEDED, "202", "200", state, order("0.101"))


def test_order_percent_of_equity_and_of_an_account_without_any():
    state = account("1000", limits=limits(max_order_percent=D("0.2")))
    accepted(state, order("0.1"))
    refused(Code.MAX_ORDER_PERCENT_EXCEEDED, "0.202", "0.2", state, order("0.101"))
    assert Code.MAX_ORDER_PERCENT_EXCEEDED in codes(replace(state, balance=D(0), deposits=D(0)), order())


def test_position_notional_counts_what_is_held_what_works_and_what_waits():
    held = [position(quantity="0.1")]
    state = account("1000", held, limits(max_position_notional=D(600)))
    accepted(state, order("0.2"))
    refused(Code.MAX_POSITION_NOTIONAL_EXCEEDED, "602", "600", state, order("0.201"))
    resting = run(state, order("0.1", order_type=OrderType.LIMIT, price=D(2000)))
    accepted(resting, order("0.1"))
    refused(Code.MAX_POSITION_NOTIONAL_EXCEEDED, "602", "600", resting, order("0.101"))
    stop = PlaceConditional(
        kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=BUY, quantity=D("0.1"), trigger_price=D(2000) + D("0.01"),
        leverage=D(10),
    )  # fmt: skip
    waiting = run(state, stop)
    [found] = checked(waiting, order("0.101")).rejections
    assert (found.code, D(found.value)) == (Code.MAX_POSITION_NOTIONAL_EXCEEDED, D("602.001"))
    # Another symbol is another position.
    accepted(state, order("0.005", symbol=BTC), market({ETH: "2000", BTC: "60000"}, day=DAY))


def test_a_flip_is_measured_by_what_it_opens():
    state = account(
        "1000", [position(quantity="0.3")], limits(max_position_notional=D(600), max_order_notional=D(600))
    )
    accepted(state, order("0.6", side=SELL))
    assert codes(state, order("0.601", side=SELL)) == [
        Code.MAX_ORDER_NOTIONAL_EXCEEDED,
        Code.MAX_POSITION_NOTIONAL_EXCEEDED,
    ]


def test_position_percent_of_equity():
    state = account("1000", [position(quantity="0.1")], limits(max_position_percent=D("0.6")))
    accepted(state, order("0.2"))
    refused(Code.MAX_POSITION_PERCENT_EXCEEDED, "0.602", "0.6", state, order("0.201"))


def test_position_count_looks_at_new_symbols_only():
    at = market({ETH: "2000", BTC: "60000", SOL: "150"}, day=DAY)
    held = [position(quantity="0.1"), position(BTC, "0.005", "60000", number=2)]
    state = account("1000", held, limits(max_positions=2))
    accepted(state, order(), at)
    refused(Code.MAX_POSITIONS_EXCEEDED, "2", "2", state, order("1", symbol=SOL), at)
    accepted(replace(state, limits=limits(max_positions=3)), order("1", symbol=SOL), at)
    # An order that works towards a position is one; one that closes is none.
    first = run(account("1000", limits=limits(max_positions=1)), order(), at)
    refused(Code.MAX_POSITIONS_EXCEEDED, "1", "1", first, order("1", symbol=SOL), at)
    closing = run(account("1000", [position(quantity="0.1")], limits(max_positions=2)), order(side=SELL), at)
    accepted(closing, order("1", symbol=SOL), at)


def test_open_orders_count_what_works_and_what_waits():
    state = account("1000", limits=limits(max_open_orders=2))
    one = run(state, order("0.02", order_type=OrderType.LIMIT, price=D(1999)))
    accepted(one, order("0.02"))
    two = run(one, order("0.02", order_type=OrderType.LIMIT, price=D(1998)))
    refused(Code.MAX_OPEN_ORDERS_EXCEEDED, "2", "2", two, order("0.02"))
    stop = PlaceConditional(
        kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=BUY, quantity=D("0.02"), trigger_price=D(2010)
    )
    refused(Code.MAX_OPEN_ORDERS_EXCEEDED, "2", "2", run(one, stop), order("0.02"))


def test_the_day_s_loss_itself_stops():
    state = account(
        "1000", limits=limits(max_daily_loss=D(100)), risk=replace(BEGUN, day_equity=D("1099.99"))
    )
    accepted(state, order())
    at_limit = replace(state, risk=replace(BEGUN, day_equity=D(1100)))
    refused(Code.MAX_DAILY_LOSS_EXCEEDED, "100", "100", at_limit, order())
    # Stopped once, stopped for the day, whatever was won back.
    refused(
        Code.MAX_DAILY_LOSS_EXCEEDED, "99.99", "100", replace(state, risk=replace(state.risk, day_stopped=True)), order()
    )  # fmt: skip


def test_the_day_s_loss_in_percent_of_its_first_equity():
    state = account(
        "1000", limits=limits(max_daily_loss_percent=D("0.05")), risk=replace(BEGUN, day_equity=D(1052))
    )
    accepted(state, order())
    at_limit = account("950", limits=state.limits, risk=BEGUN)
    refused(Code.MAX_DAILY_LOSS_PERCENT_EXCEEDED, "50", "50", at_limit, order())
    stopped = replace(state, risk=replace(state.risk, day_stopped=True))
    assert codes(stopped, order()) == [Code.MAX_DAILY_LOSS_PERCENT_EXCEEDED]


def test_the_loss_of_a_position_that_is_open_counts():
    state = account("1000", [position(quantity="1")], limits(max_daily_loss=D(100)), risk=BEGUN)
    accepted(state, order(), market({ETH: "1900.01"}, day=DAY))
    assert codes(state, order(), market({ETH: "1900"}, day=DAY)) == [Code.MAX_DAILY_LOSS_EXCEEDED]


def test_cumulative_loss():
    state = account("1000", limits=limits(max_cumulative_loss=D(100)))
    down = replace(state, realized=D("-99.99"), balance=D("900.01"))
    accepted(down, order())
    refused(
        Code.MAX_CUMULATIVE_LOSS_EXCEEDED,
        "100",
        "100",
        replace(state, realized=D(-100), balance=D(900)),
        order(),
    )


def test_exposure_percent():
    state = account("1000", [position(quantity="0.1")], limits(max_exposure_percent=D("0.5")))
    accepted(state, order("0.15"))
    refused(Code.MAX_EXPOSURE_PERCENT_EXCEEDED, "0.502", "0.5", state, order("0.151"))


@pytest.mark.parametrize("side", [BUY, SELL])
def test_price_deviation_both_ways(side):
    state = account("10000", limits=limits(max_price_deviation=D("0.05")))

    def limit(price):
        return order(side=side, order_type=OrderType.LIMIT, price=D(price))

    accepted(state, limit(2100))
    accepted(state, limit(1900))
    refused(Code.PRICE_DEVIATION_EXCEEDED, "0.050005", "0.05", state, limit("2100.01"))
    refused(Code.PRICE_DEVIATION_EXCEEDED, "0.050005", "0.05", state, limit("1899.99"))
    accepted(replace(state, limits=limits(max_price_deviation=None)), limit("2100.01"))


def test_slippage_of_a_market_order_is_half_the_spread():
    state = account("10000", limits=limits(max_slippage_percent=D("0.01")))
    for side in (BUY, SELL):
        accepted(state, order(side=side), market(spread="40", day=DAY))
        refused(
            Code.MAX_SLIPPAGE_EXCEEDED,
            "0.0105",
            "0.01",
            state,
            order(side=side),
            market(spread="42", day=DAY),
        )
    accepted(state, order(order_type=OrderType.LIMIT, price=D(2000)), market(spread="42", day=DAY))


def test_order_rate_counts_a_sliding_minute_per_symbol():
    state = account("100000", limits=limits(max_orders_per_minute=3))
    both = {ETH: "2000", BTC: "60000"}

    def at(seconds):
        return market(both, wall_ms=WALL_MS + int(seconds * 1000))

    for n in range(3):
        accepted(state, order(), at(n))
        state = run(state, order(), at(n))
        state = run(state, OrderClosed(state.orders[0].client_order_id, OrderStatus.REJECTED, D(0)), at(n))
    refused(Code.ORDER_RATE_EXCEEDED, "3", "3", state, order(), at(59.999))
    accepted(state, order("0.005", symbol=BTC), at(59))
    # The first of them is a minute old now.
    accepted(state, order(), at(60))


def test_the_breaker():
    state = account("1000", limits=WIDE)
    for breaker, expected in (
        (Breaker.CLOSED, []),
        (Breaker.HALF_OPEN, []),
        (Breaker.OPEN, [Code.BREAKER_OPEN]),
    ):
        assert codes(replace(state, risk=RiskState(breaker=breaker, breaker_reason="x")), order()) == expected


def test_half_open_takes_a_quarter_of_every_size():
    all_sizes = limits(
        max_notional_per_trade=D(800), max_total_exposure=D(800), max_order_notional=D(800),
        max_position_notional=D(800), max_order_percent=D("0.8"), max_position_percent=D("0.8"),
        max_exposure_percent=D("0.8"),
    )  # fmt: skip
    state = account("1000", limits=all_sizes)
    accepted(state, order("0.4"))
    half_open = replace(state, risk=RiskState(breaker=Breaker.HALF_OPEN))
    accepted(half_open, order("0.1"))
    assert codes(half_open, order("0.101")) == [
        Code.MAX_NOTIONAL_EXCEEDED,
        Code.MAX_EXPOSURE_EXCEEDED,
        Code.MAX_ORDER_NOTIONAL_EXCEEDED,
        Code.MAX_ORDER_PERCENT_EXCEEDED,
        Code.MAX_POSITION_NOTIONAL_EXCEEDED,
        Code.MAX_EXPOSURE_PERCENT_EXCEEDED,
        Code.MAX_POSITION_PERCENT_EXCEEDED,
    ]
    accepted(replace(half_open, limits=replace(all_sizes, half_open_fraction=D(1))), order("0.4"))


def test_correlation_with_positions_of_the_strategy():
    held = [replace(position(BTC, "0.005", "60000"), strategy="trend")]
    state = account("1000", held, limits(max_correlation=D("0.7")))

    def at(correlation):
        paths = PriceHistory({frozenset((ETH, BTC)): correlation})
        return market({ETH: "2000", BTC: "60000"}, day=DAY, price_history=paths)

    message = order(strategy="trend")
    accepted(state, message, at(D("0.7")))
    refused(Code.MAX_CORRELATION_EXCEEDED, "0.701", "0.7", state, message, at(D("0.701")))
    accepted(state, order(strategy="other"), at(D("0.9")))
    assert codes(state, message, at(None)) == [Code.NO_PRICE_HISTORY]
    assert codes(state, message, market({ETH: "2000", BTC: "60000"}, day=DAY)) == [Code.NO_PRICE_HISTORY]
    # More of the same is no correlation.
    accepted(state, order("0.002", symbol=BTC, strategy="trend"), at(D("0.9")))


def test_strategy_drawdown_is_a_loss_and_not_a_profit():
    held = [
        replace(position(quantity="1"), strategy="trend"),
        replace(position(BTC, "0.01", "60000"), strategy="other"),
    ]
    state = account("10000", held, limits(max_strategy_drawdown=D("0.15")))
    message = order(strategy="trend")

    def at(eth):
        return market({ETH: eth, BTC: "30000"}, day=DAY)

    accepted(state, message, at("1700"))
    refused(Code.MAX_STRATEGY_DRAWDOWN_EXCEEDED, "0.150005", "0.15", state, message, at("1699.99"))
    accepted(state, message, at("2600"))
    accepted(state, order(strategy="new"), at("1000"))
    assert codes(state, order(strategy="other"), at("2000")) == [Code.MAX_STRATEGY_DRAWDOWN_EXCEEDED]


def test_value_at_risk_of_positions_and_order():
    # Thirty minutes, of which the second worst lost 1 %: 95 % of them lost no more.
    returns = (D("-0.02"), D("-0.01"), *[D("0.001")] * 28)
    state = account("1000", [position(quantity="0.1")], limits(max_value_at_risk=D("0.004")))
    at = market(day=DAY, price_history=PriceHistory(returns={ETH: returns}))
    accepted(state, order("0.1"), at)
    refused(Code.MAX_VALUE_AT_RISK_EXCEEDED, "4.02", "4", state, order("0.101"), at)
    # A hedge takes risk away.
    accepted(state, order("0.3", side=SELL), at)
    assert codes(state, order("0.1"), market(day=DAY)) == [Code.NO_PRICE_HISTORY]
    short = market(day=DAY, price_history=PriceHistory(returns={ETH: returns[1:]}))
    assert codes(state, order("0.1"), short) == [Code.NO_PRICE_HISTORY]


def test_liquidity_at_the_touch_that_the_order_takes():
    state = account("10000", limits=limits(min_liquidity=D(20_000)))
    accepted(state, order(), market(day=DAY))
    tick = market().ticks[ETH]

    def at(**sizes):
        return market(day=DAY, instruments=INSTRUMENTS).__class__(
            {ETH: replace(tick, **sizes)}, INSTRUMENTS, 0, WALL_MS, FIXED, False, DAY
        )

    refused(Code.MIN_LIQUIDITY, "19998", "20000", state, order(), at(ask_qty=D("9.999")))
    accepted(state, order(side=SELL), at(ask_qty=D("9.999")))
    refused(Code.MIN_LIQUIDITY, "19998", "20000", state, order(side=SELL), at(bid_qty=D("9.999")))


def test_correlation_with_what_works_towards_a_position_of_the_strategy():
    both = {ETH: "2000", BTC: "60000"}
    paths = PriceHistory({frozenset((ETH, BTC)): D("0.9")})
    at = market(both, day=DAY, price_history=paths)
    state = run(
        account("10000", limits=limits(max_correlation=D("0.7"))),
        order("0.005", symbol=BTC, strategy="trend"),
        at,
    )
    assert codes(state, order(strategy="trend"), at) == [Code.MAX_CORRELATION_EXCEEDED]
    accepted(state, order(strategy="other"), at)


def test_value_at_risk_counts_what_works():
    returns = tuple([D("-0.01")] * 40)
    at = market(day=DAY, price_history=PriceHistory(returns={ETH: returns}))
    state = account("1000", limits=limits(max_value_at_risk=D("0.004")))
    accepted(state, order("0.2"), at)
    refused(Code.MAX_VALUE_AT_RISK_EXCEEDED, "6", "4", run(state, order("0.2"), at), order("0.1"), at)
