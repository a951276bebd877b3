"""Limits together: one order of reports, any order of positions and limits, and what passes them all."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import Breaker, OrderType
from actors.limits.model import RiskLimits
from actors.subaccount.pretrade.limit_checks import LIMIT_CHECKS
from actors.subaccount.rejections import RejectCode as Code
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
    held_margin,
    market,
    position,
    run,
)
from tests.subaccount.pretrade.limit_cases import BEGUN, DAY, PriceHistory, checked, codes, limits, order

EVERYTHING = limits(
    max_leverage=D(5), max_notional_per_trade=D(10), max_total_exposure=D(10), max_order_notional=D(10),
    max_order_percent=D("0.1"), max_position_notional=D(10), max_position_percent=D("0.1"), max_positions=1,
    max_open_orders=1, max_daily_loss=D(1), max_daily_loss_percent=D("0.01"), max_cumulative_loss=D(1),
    max_exposure_percent=D("0.1"), max_price_deviation=D("0.01"), max_slippage_percent=D("0.0001"),
    max_orders_per_minute=1, max_correlation=D("0.5"), max_strategy_drawdown=D("0.01"),
    max_value_at_risk=D("0.001"), min_liquidity=D(10**9),
)  # fmt: skip
"""Every limit there is, and every one of them too small for what ``in_trouble`` wants."""


def in_trouble():
    """An account against which everything speaks, and the market of it."""
    held = [position(BTC, "0.005", "60000"), position(SOL, "1", "150", number=2)]
    risk = replace(
        BEGUN, day_stopped=True, breaker=Breaker.OPEN, breaker_reason="x", recent=((ETH, WALL_MS),)
    )
    state = account("100", held, EVERYTHING, risk=risk, realized=D(-900), deposits=D(1000))
    resting = run(
        replace(state, limits=WIDE, risk=replace(BEGUN, recent=risk.recent)),
        order("1", symbol=SOL, side=SELL, order_type=OrderType.LIMIT, price=D(141)), market({ETH: "2000", BTC: "50000", SOL: "140"}, day=DAY),
    )  # fmt: skip
    state = replace(resting, limits=EVERYTHING, risk=risk)
    paths = PriceHistory(
        {frozenset((ETH, BTC)): D("0.9"), frozenset((ETH, SOL)): D("0.8")},
        dict.fromkeys((ETH, BTC, SOL), tuple([D("-0.5")] * 40)),
    )
    return state, market({ETH: "2000", BTC: "50000", SOL: "140"}, spread="8", day=DAY, price_history=paths)


IN_ORDER = [
    Code.MAX_LEVERAGE_EXCEEDED,
    Code.MAX_NOTIONAL_EXCEEDED,
    Code.MAX_EXPOSURE_EXCEEDED,
    Code.INSUFFICIENT_MARGIN,
    Code.MARGIN_RATIO_EXCEEDED,
    Code.MAX_ORDER_NOTIONAL_EXCEEDED,
    Code.MAX_ORDER_PERCENT_EXCEEDED,
    Code.MAX_POSITION_NOTIONAL_EXCEEDED,
    Code.MAX_POSITIONS_EXCEEDED,
    Code.MAX_OPEN_ORDERS_EXCEEDED,
    Code.MAX_DAILY_LOSS_EXCEEDED,
    Code.MAX_DAILY_LOSS_PERCENT_EXCEEDED,
    Code.MAX_CUMULATIVE_LOSS_EXCEEDED,
    Code.MAX_EXPOSURE_PERCENT_EXCEEDED,
    Code.MAX_SLIPPAGE_EXCEEDED,
    Code.ORDER_RATE_EXCEEDED,
    Code.BREAKER_OPEN,
    Code.MAX_POSITION_PERCENT_EXCEEDED,
    Code.MAX_CORRELATION_EXCEEDED,
    Code.MAX_STRATEGY_DRAWDOWN_EXCEEDED,
    Code.MAX_VALUE_AT_RISK_EXCEEDED,
    Code.MIN_LIQUIDITY,
]


def test_everything_that_fails_is_reported_in_one_order():
    state, at = in_trouble()
    found = checked(state, order("1"), at).rejections
    assert [r.code for r in found] == IN_ORDER
    assert all(r.value and r.limit for r in found)
    # A limit order instead, for the one check that looks at limit prices only.
    as_limit = codes(state, order("1", order_type=OrderType.LIMIT, price=D(2100)), at)
    assert Code.PRICE_DEVIATION_EXCEEDED in as_limit
    # Neither are maintenance, which is silent where margin lacks, and brackets, which this account has none of.
    assert len(LIMIT_CHECKS) == len(IN_ORDER) + 3, "a new check: bring this account into its trouble too"


def test_reducing_passes_whatever_speaks_against_new_risk():
    state, at = in_trouble()
    assert codes(state, order("0.005", symbol=BTC, side=SELL), at) == []
    assert codes(state, order("0.005", symbol=BTC, side=SELL, reduce_only=True), at) == []


@settings(max_examples=60, deadline=None)
@given(
    st.permutations(
        [
            position(ETH, "0.1"),
            position(BTC, "-0.005", "60000", number=2),
            position(SOL, "2", "150", number=3),
        ]
    ),
    st.permutations(list(LIMIT_CHECKS)),
    st.permutations([n for n in RiskLimits.__struct_fields__ if n.startswith("max_")]),
    st.integers(1, 900),
    st.sampled_from([BUY, SELL]),
)
def test_the_order_of_positions_checks_and_limits_never_changes_the_verdict(
    positions, checks, names, size, side
):
    from actors.subaccount.pretrade import checks as module

    at = market({ETH: "1990", BTC: "60100", SOL: "151"}, day=DAY)
    tight = {
        "max_order_notional": D(400), "max_positions": 3, "max_position_percent": D("0.9"),
        "max_total_exposure": D(1000), "max_leverage": D(9), "max_exposure_percent": D(2),
    }  # fmt: skip
    message = order(D(size) / 1000, side=side)
    plain_limits = replace(WIDE, **tight)
    shuffled = replace(WIDE, **{n: tight[n] for n in names if n in tight})
    first = check(account("500", sorted(positions, key=lambda p: p.symbol), plain_limits), message, at)
    original = module.LIMIT_CHECKS
    try:
        module.LIMIT_CHECKS = tuple(checks)
        second = check(account("500", positions, shuffled), message, at)
    finally:
        module.LIMIT_CHECKS = original
    assert set(first.rejections) == set(second.rejections)
    assert (first.is_accepted, first.margin, first.opening) == (
        second.is_accepted,
        second.margin,
        second.opening,
    )


def test_margin_and_rate_are_reserved_in_the_decision_itself():
    state = account("100000", limits=limits(max_orders_per_minute=1))
    first = run(state, order())
    assert held_margin(first) == D(20)
    assert codes(first, order()) == [Code.ORDER_RATE_EXCEEDED]
    filled = run(first, fill_of(first.orders[0]))
    assert codes(filled, order()) == [Code.ORDER_RATE_EXCEEDED]
