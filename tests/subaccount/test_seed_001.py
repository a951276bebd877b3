"""Seed 001 ("Position and Risk Management System"), line by line, with its numbers."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import Breaker, ConditionalKind, OrderStatus, OrderType
from actors.core.facts import ConditionalEnded, PositionClosed
from actors.core.messages import OrderClosed, PlaceConditional, PlaceOrder, ResetBreaker, TripBreaker, Wake
from actors.core.trading_day import TradingDay
from actors.limits.layers import merge, read
from actors.limits.model import RiskLimits
from actors.limits.profiles import PROFILES
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Accepted
from actors.subaccount.rejections import RejectCode as Code
from actors.symbol_router.book import PriceBook
from tests.factories import (
    BTC,
    BUY,
    ETH,
    SELL,
    SOL,
    WALL_MS,
    WIDE,
    account,
    check,
    fill_of,
    market,
    position,
    run,
    tick,
)

DAY = TradingDay(WALL_MS - 1_000, WALL_MS + 86_400_000)
MINUTE = 60_000
PRICES = {BTC: "50000", ETH: "2000", SOL: "150"}


def limited(**changes):
    return replace(WIDE, **changes)


def at(minutes=0, prices=None, **more):
    return market({**PRICES, **(prices or {})}, wall_ms=WALL_MS + int(minutes * MINUTE), day=DAY, **more)


def order(symbol=ETH, quantity="0.1", side=BUY, **changes):
    return PlaceOrder(symbol=symbol, side=side, quantity=D(quantity), leverage=D(10), **changes)


def codes(state, message, when=None):
    return [r.code for r in check(state, message, when or at()).rejections]


def begun(state):
    return run(state, Wake(ETH, "day"), at())


def test_the_usage_example_is_approved():
    """RiskConfig(1000, 500, 5, 0.05, 3), 10,000 of balance; BUY LIMIT 0.01 BTC at 50,000."""
    limits = limited(
        max_order_notional=D(1000), max_daily_loss=D(500), max_positions=5, max_price_deviation=D("0.05"),
        max_consecutive_losses=3,
    )  # fmt: skip
    state = begun(account("10000", limits=limits))
    buy = order(BTC, "0.01", order_type=OrderType.LIMIT, price=D(50000))
    assert isinstance(decide(state, buy, at()).reply, Accepted)
    assert codes(state, order(BTC, "0.021")) == [Code.MAX_ORDER_NOTIONAL_EXCEEDED]


# "Risk Checks Performed", 1 to 7: what passes, what does not, why.
TEN = account("10000")


def with_positions(count, **limits):
    symbols = [BTC, ETH, SOL]
    held = [
        position(s, "0.01" if s != SOL else "1", PRICES[s], number=n) for n, s in enumerate(symbols[:count])
    ]
    return account("10000", held, limited(**limits))


CHECKS = [
    ("1 order size, absolute", account("10000", limits=limited(max_order_notional=D(1000))), "0.5", "0.501", Code.MAX_ORDER_NOTIONAL_EXCEEDED),
    ("1 order size, of the account", account("10000", limits=limited(max_order_percent=D("0.1"))), "0.5", "0.501", Code.MAX_ORDER_PERCENT_EXCEEDED),
    ("position size, absolute", account("10000", limits=limited(max_position_notional=D(1000))), "0.5", "0.501", Code.MAX_POSITION_NOTIONAL_EXCEEDED),
    ("position size, of the account", account("10000", limits=limited(max_position_percent=D("0.1"))), "0.5", "0.501", Code.MAX_POSITION_PERCENT_EXCEEDED),
    ("4 exposure, absolute", account("10000", limits=limited(max_total_exposure=D(1000))), "0.5", "0.501", Code.MAX_EXPOSURE_EXCEEDED),
    ("4 exposure, of the account", account("10000", limits=limited(max_exposure_percent=D("0.5"))), "2.5", "2.501", Code.MAX_EXPOSURE_PERCENT_EXCEEDED),
]  # fmt: skip


@pytest.mark.parametrize(("line", "state", "passes", "fails", "code"), CHECKS)
def test_size_checks(line, state, passes, fails, code):
    assert codes(state, order(quantity=passes)) == [], line
    assert codes(state, order(quantity=fails)) == [code], line


def test_2_max_number_of_positions_and_no_new_one_at_the_limit():
    assert codes(with_positions(2, max_positions=3), order(SOL, "1")) == []
    assert codes(with_positions(2, max_positions=2), order(SOL, "1")) == [Code.MAX_POSITIONS_EXCEEDED]
    assert codes(with_positions(2, max_positions=2), order(ETH, "0.1")) == []


def test_3_daily_loss_absolute_stops_after_500():
    state = begun(account("10000", [position(quantity="1")], limited(max_daily_loss=D(500))))
    assert codes(state, order(), at(1, {ETH: "1500.01"})) == []
    assert codes(state, order(), at(1, {ETH: "1500"})) == [Code.MAX_DAILY_LOSS_EXCEEDED]
    stopped = run(state, Wake(ETH, "t"), at(1, {ETH: "1500"}))
    assert stopped.risk.day_stopped


def test_3_daily_loss_of_5_percent():
    state = begun(account("10000", [position(quantity="1")], limited(max_daily_loss_percent=D("0.05"))))
    assert codes(state, order(), at(1, {ETH: "1500.01"})) == []
    assert codes(state, order(), at(1, {ETH: "1500"})) == [Code.MAX_DAILY_LOSS_PERCENT_EXCEEDED]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("2100", []),
        ("2100.01", [Code.PRICE_DEVIATION_EXCEEDED]),
        ("1900", []),
        ("1899.99", [Code.PRICE_DEVIATION_EXCEEDED]),
    ],
)
def test_5_prices_far_from_the_market(price, expected):
    assert codes(TEN, order(order_type=OrderType.LIMIT, price=D(price))) == expected


def test_6_ten_orders_a_minute_per_symbol():
    state = account("1000000", limits=limited(max_orders_per_minute=10))
    for n in range(10):
        state = run(state, order(order_type=OrderType.LIMIT, price=D(2000)), at(n / 100))
    assert codes(state, order(), at(0.5)) == [Code.ORDER_RATE_EXCEEDED]
    assert codes(state, order(SOL, "1"), at(0.5)) == []
    assert codes(state, order(), at(1)) == []


# "7 Circuit Breaker: trips on consecutive losses, on errors, requires manual reset after cooldown".
def trade(state, entry, leave, trade_id):
    for n, (side, price) in enumerate(((BUY, entry), (SELL, leave))):
        state = run(state, order(side=side), at())
        filling = state.orders[-1]
        state = run(state, fill_of(filling, price=price, trade_id=trade_id + n), at())
        if state.order(filling.client_order_id):
            state = run(state, OrderClosed(filling.client_order_id, OrderStatus.FILLED, D("0.1")), at())
    return state


def test_7_three_losing_trades_trip_and_new_orders_are_rejected():
    state = account("10000", limits=limited(max_consecutive_losses=3))
    for n in range(3):
        assert state.risk.breaker is Breaker.CLOSED
        state = trade(state, "2000", "1990", 10 * n)
    assert state.risk.breaker is Breaker.OPEN
    assert codes(state, order()) == [Code.BREAKER_OPEN]


def test_7_five_errors_trip():
    state = account("10000", limits=limited(max_consecutive_errors=5))
    for _ in range(5):
        assert state.risk.breaker is Breaker.CLOSED
        state = run(state, order(), at())
        state = run(
            state, OrderClosed(state.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -1, "x"), at()
        )
    assert state.risk.breaker is Breaker.OPEN


def test_7_trip_by_hand_cancels_and_30_minutes_of_cooldown_come_before_the_reset():
    state = account("10000", limits=merge(WIDE, {"breaker_cooldown_seconds": "1800"}))
    resting = run(state, order(order_type=OrderType.LIMIT, price=D(1990)), at())
    tripped = run(resting, TripBreaker("manual"), at())
    assert (tripped.risk.breaker, tripped.risk.breaker_reason) == (Breaker.OPEN, "manual")
    assert tripped.orders[0].cancel_requested
    still = decide(tripped, ResetBreaker(), at(29.9))
    assert [r.code for r in still.reply.rejections] == [Code.BREAKER_COOLING_DOWN]
    assert run(tripped, ResetBreaker(), at(30)).risk.breaker is Breaker.CLOSED


# "2. Position Tracker", the usage example and the lifecycle.
def tracked():
    """Fill 0.1 BTC at 50,000 with a fee of 5, then the market goes to 52,000."""
    book = PriceBook()
    book.apply(tick(BTC, "50000"))
    state = run(account("10000"), order(BTC, "0.1"), at(price_history=book))
    state = run(state, fill_of(state.orders[0], price="50000", fee="5"), at(price_history=book))
    book.checkpoint(BTC)
    for n, mid in enumerate(("49000", "52500", "52000")):
        book.apply(tick(BTC, mid, update_id=n + 2, event_ms=n + 2))
    return state, book


def test_the_tracker_s_example():
    state, book = tracked()
    [held] = state.positions
    assert (held.quantity, held.entry_price, held.fees) == (D("0.1"), D(50000), D(5))
    assert held.unrealized(D(52000)) == D(200)
    # "max_adverse_excursion" and "max_favorable_excursion".
    assert held.excursions(*book.extremes(BTC, held.since)) == (D(-100), D(250))


def fills(*steps):
    """The account after market orders at prices, and the facts of the last fill."""
    state = account("100000")
    for n, (signed, price) in enumerate(steps):
        state = run(state, order(quantity=str(abs(D(signed))), side=BUY if D(signed) > 0 else SELL), at())
        decision = decide(state, fill_of(state.orders[-1], price=price, trade_id=n), at())
        state = decision.state
    return state, decision.facts


LIFECYCLE = [
    ("1 open: the first fill creates the position", [("1", "2000")], "1", "2000", "0"),
    (
        "2 increase: a fill of the same side averages the entry",
        [("1", "2000"), ("3", "2400")],
        "4",
        "2300",
        "0",
    ),
    (
        "3 decrease: the opposite side reduces and realizes",
        [("2", "2000"), ("-0.5", "2100")],
        "1.5",
        "2000",
        "50",
    ),
    ("5 flip: larger than the position", [("1", "2000"), ("-3", "2100")], "-2", "2100", "100"),
]


@pytest.mark.parametrize(("line", "steps", "quantity", "entry", "realized"), LIFECYCLE)
def test_the_lifecycle_of_a_position(line, steps, quantity, entry, realized):
    state, _ = fills(*steps)
    held = state.position(ETH)
    assert (held.quantity, held.entry_price, state.realized) == (D(quantity), D(entry), D(realized)), line


def test_4_close_moves_it_to_the_closed_positions():
    state, facts = fills(("1", "2000"), ("-1", "2100"))
    assert state.positions == ()
    [record] = [f for f in facts if isinstance(f, PositionClosed)]
    assert (record.quantity, record.realized) == (D(1), D(100))


# "3. Risk Configuration": every value of the example.
CONFIGURATION = {
    "max_position_notional": D(1000),  # max_position_size_usd
    "max_position_percent": D("0.1"),  # max_position_size_percent
    "max_order_notional": D(5000),
    "max_open_orders": 10,
    "max_daily_loss": D(500),
    "max_daily_loss_percent": D("0.05"),
    "max_consecutive_losses": 3,
    "max_total_exposure": D(10000),
    "max_exposure_percent": D("0.5"),
    "max_positions": 5,
    "max_price_deviation": D("0.05"),
    "max_slippage_percent": D("0.01"),
    "max_consecutive_errors": 5,
    "breaker_cooldown_seconds": 30 * 60,  # circuit_breaker_cooldown_minutes
    "max_orders_per_minute": 10,
}


def test_every_option_of_the_example():
    limits = merge(RiskLimits(), PROFILES["paranoid"])
    assert {name: getattr(limits, name) for name in CONFIGURATION} == CONFIGURATION
    assert set(PROFILES["paranoid"]) == set(CONFIGURATION)


def test_environment_variables():
    environment = {
        "RISK_MAX_DAILY_LOSS": "500", "RISK_MAX_POSITIONS": "5", "RISK_MAX_LEVERAGE": "3",
        "RISK_MAX_CONSECUTIVE_LOSSES": "3", "OTHER": "x",
    }  # fmt: skip
    limits = read({}, environment).limits
    assert (limits.max_daily_loss, limits.max_positions, limits.max_leverage, limits.max_consecutive_losses) == (
        D(500), 5, D(3), 3,
    )  # fmt: skip


# "Anti-patterns avoided": no float for money, no polling, nothing sent without checks, no hardcoded limits.
def test_a_stop_is_checked_like_any_order_when_it_fires():
    stop = PlaceConditional(
        kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=BUY, quantity=D("0.1"), trigger_price=D(2100)
    )
    state = run(account("10000", limits=limited(max_daily_loss=D(500))), stop, at())
    tripped = replace(state, risk=replace(state.risk, breaker=Breaker.OPEN, breaker_until_ms=WALL_MS * 2))
    [ended] = [
        f
        for f in decide(tripped, Wake(ETH, "t"), at(1, {ETH: "2100"})).facts
        if isinstance(f, ConditionalEnded)
    ]
    assert ended.order_id is None
