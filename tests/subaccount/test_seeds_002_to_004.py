"""Seeds 002, 003 and 004, line by line, with their numbers, as far as one account goes.

Covers: actors/subaccount/sizing.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import Alert, Breaker, Purpose, ReconsiderReason
from actors.core.errors import BadInput
from actors.core.facts import CloseOutBegan, OrderIntended, PositionAlerted
from actors.core.messages import PlaceOrder, Reconsider, Wake
from actors.core.trading_day import DayRule, TradingDay
from actors.limits.layers import merge
from actors.limits.model import BreakerReset, RiskLimits
from actors.limits.profiles import PROFILES
from actors.subaccount import breaker, losses, sizing
from actors.subaccount.decide import decide
from actors.subaccount.rejections import RejectCode as Code
from actors.subaccount.risk_state import RiskState
from tests.core.test_trading_day import ms
from tests.factories import BTC, BUY, ETH, SOL, WALL_MS, WIDE, account, check, market, position, run
from tests.subaccount.pretrade.limit_cases import PriceHistory

DAY = TradingDay(WALL_MS - 1_000, WALL_MS + 86_400_000)
WAKE = Wake(ETH, "t")


def order(symbol=ETH, quantity="0.05", **changes):
    return PlaceOrder(**{"symbol": symbol, "side": BUY, "quantity": D(quantity), **changes})


def codes(state, message, at=None):
    return [r.code for r in check(state, message, at or market(day=DAY)).rejections]


def profile(name):
    return merge(replace(WIDE, max_price_deviation=None), PROFILES[name])


# --- seed 002: Order Risk Manager ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "leverage", "positions", "size"),
    [("conservative", "1", 1, "50"), ("moderate", "3", 2, "100"), ("aggressive", "5", 5, "200")],
)
def test_002_configuration_examples(name, leverage, positions, size):
    limits = profile(name)
    assert (limits.max_leverage, limits.max_positions, limits.fixed_order_size) == (
        D(leverage),
        positions,
        D(size),
    )


def test_002_required_margin_is_quantity_by_price_by_leverage():
    """ "With 3x leverage, only 33.3% of the notional value is required"."""
    [intent] = decide(
        account("1000", limits=profile("moderate")), order(quantity="0.3"), market(day=DAY)
    ).facts
    assert intent.leverage == D(3)
    assert intent.margin_reserved == D("0.3") * 2000 / 3
    assert codes(account("190", limits=profile("moderate")), order(quantity="0.3")) == [
        Code.INSUFFICIENT_MARGIN,
        Code.MARGIN_RATIO_EXCEEDED,
    ]


def test_002_the_leverage_of_a_perpetual_is_set_by_itself():
    for name, leverage in (("conservative", 1), ("moderate", 3), ("aggressive", 5)):
        assert check(account("1000", limits=profile(name)), order(), market(day=DAY)).leverage == leverage
    assert codes(account(limits=profile("moderate")), order(leverage=D(4))) == [Code.MAX_LEVERAGE_EXCEEDED]


def test_002_maximum_positions_limit_reached_2_of_2():
    held = [position(BTC, "0.005", "60000"), position(SOL, "1", "150", number=2)]
    at = market({ETH: "2000", BTC: "60000", SOL: "150"}, day=DAY)
    [found] = check(account("10000", held, profile("moderate")), order(), at).rejections
    assert (found.code, found.value, found.limit) == (Code.MAX_POSITIONS_EXCEEDED, "2", "2")


def test_002_fixed_order_size():
    assert sizing.fixed(profile("moderate").fixed_order_size) == D(100)
    with pytest.raises(BadInput, match="fixed_order_size"):
        sizing.fixed(RiskLimits().fixed_order_size)


# --- seed 003: Risk Management Module ------------------------------------------------------

VALIDATED = [
    ("order size", {"max_order_notional": D(99)}, Code.MAX_ORDER_NOTIONAL_EXCEEDED),
    ("position limits", {"max_position_notional": D(99)}, Code.MAX_POSITION_NOTIONAL_EXCEEDED),
    ("leverage", {"max_leverage": D(9)}, Code.MAX_LEVERAGE_EXCEEDED),
    ("VaR", {"max_value_at_risk": D("0.0001")}, Code.MAX_VALUE_AT_RISK_EXCEEDED),
]


@pytest.mark.parametrize(("line", "changes", "code"), VALIDATED)
def test_003_order_validation_against_multiple_parameters(line, changes, code):
    at = market(day=DAY, price_history=PriceHistory(returns={ETH: tuple([D("-0.01")] * 40)}))
    assert codes(account(limits=replace(WIDE, **changes)), order(leverage=D(10)), at) == [code], line


def test_003_open_order_count():
    state = account(limits=replace(WIDE, max_open_orders=1))
    assert codes(run(state, order()), order()) == [Code.MAX_OPEN_ORDERS_EXCEEDED]


def test_003_liquidation_of_all_positions_when_the_cumulative_loss_exceeds_the_threshold():
    held = [position(quantity="1"), position(BTC, "-0.01", "60000", number=2)]
    state = account("1000", held, replace(WIDE, max_cumulative_loss=D(200)))
    decision = decide(state, WAKE, market({ETH: "1800", BTC: "60000"}))
    orders = [f for f in decision.facts if isinstance(f, OrderIntended)]
    assert [f.reason for f in decision.facts if isinstance(f, CloseOutBegan)] == [losses.CUMULATIVE]
    assert {o.symbol: (o.quantity, o.purpose) for o in orders} == {
        ETH: (D(1), Purpose.CLOSE_OUT),
        BTC: (D("0.01"), Purpose.CLOSE_OUT),
    }


def test_003_the_daily_loss_is_reset_at_8_am_us_eastern_with_daylight_saving():
    rule = DayRule()
    for moment, start in (
        ("2025-03-08T20:00", "2025-03-08T13:00"),
        ("2025-03-09T20:00", "2025-03-09T12:00"),
        ("2025-11-01T20:00", "2025-11-01T12:00"),
        ("2025-11-02T20:00", "2025-11-02T13:00"),
    ):
        assert rule.day_of(ms(moment)).start_ms == ms(start)
    state = account("1000", [position(quantity="1")], replace(WIDE, max_daily_loss=D(100)))
    state = run(state, WAKE, market(day=DAY))
    stopped = run(state, WAKE, market({ETH: "1900"}, day=DAY))
    assert stopped.risk.day_stopped
    next_day = TradingDay(DAY.end_ms, DAY.end_ms + 86_400_000)
    assert not run(stopped, WAKE, market({ETH: "1900"}, day=next_day, wall_ms=DAY.end_ms)).risk.day_stopped


# --- seed 004: Risk Management and Position Sizing ----------------------------------------

RISK_LIMITS = {
    "max_position_percent": D("0.10"),  # max_position_size
    "max_strategy_drawdown": D("0.15"),
    "max_leverage": D(5),
    "max_correlation": D("0.7"),
    "min_liquidity": D(10000),
    "max_daily_loss_percent": D("0.05"),  # max_daily_loss
    "position_timeout_seconds": 3600,
    "excessive_loss_percent": D("0.10"),
    "breaker_loss_percent": D("0.10"),  # loss_threshold
    "breaker_profit_percent": D("0.20"),  # profit_target
    "breaker_cooldown_seconds": 300,  # timeout_period
    "breaker_reset": BreakerReset.TIMED,
}


def test_004_risk_limits():
    limits = profile("portfolio")
    assert {name: getattr(limits, name) for name in RISK_LIMITS} == RISK_LIMITS
    assert limits.half_open_fraction == D("0.25")


def evaluated(**changes):
    """An account of 10,000 whose day began with that, under the seed's limits."""
    limits = replace(profile("portfolio"), min_liquidity=None, **changes)
    return run(account("10000", limits=limits), WAKE, market(day=DAY))


def test_004_1_position_size_risk():
    assert codes(evaluated(), order(quantity="0.5", leverage=D(5))) == []
    [found] = check(evaluated(), order(quantity="0.501", leverage=D(5)), market(day=DAY)).rejections
    assert (found.code, D(found.value), D(found.limit)) == (
        Code.MAX_POSITION_PERCENT_EXCEEDED,
        D("0.1002"),
        D("0.10"),
    )


def test_004_2_leverage_risk():
    assert codes(evaluated(), order(leverage=D("5.1"))) == [Code.MAX_LEVERAGE_EXCEEDED]


def test_004_3_correlation_risk():
    held = [replace(position(BTC, "0.005", "60000"), strategy="a")]
    state = replace(evaluated(), positions=tuple(held))

    def at(correlation):
        return market(
            {ETH: "2000", BTC: "60000"},
            day=DAY,
            price_history=PriceHistory({frozenset((ETH, BTC)): D(correlation)}),
        )

    assert codes(state, order(strategy="a", leverage=D(5)), at("0.700")) == []
    assert codes(state, order(strategy="a", leverage=D(5)), at("0.701")) == [Code.MAX_CORRELATION_EXCEEDED]
    assert codes(state, order(strategy="b", leverage=D(5)), at("0.701")) == []


def test_004_4_daily_loss_limit():
    state = replace(evaluated(), positions=(position(quantity="1"),))
    assert codes(
        state, order(symbol=ETH, quantity="0.02", leverage=D(5)), market({ETH: "1500"}, day=DAY)
    ) == [
        Code.MAX_DAILY_LOSS_PERCENT_EXCEEDED,
        Code.MAX_POSITION_PERCENT_EXCEEDED,
        Code.MAX_STRATEGY_DRAWDOWN_EXCEEDED,
    ]


def test_004_5_strategy_drawdown_risk():
    held = replace(position(quantity="0.3"), strategy="a")
    state = replace(evaluated(), positions=(held,))
    tagged = order(quantity="0.02", strategy="a", leverage=D(5))
    assert losses.strategy_drawdown(state, "a", market({ETH: "1700"})) == D("0.15")
    assert codes(state, tagged, market({ETH: "1700"}, day=DAY)) == []
    assert codes(state, tagged, market({ETH: "1690"}, day=DAY)) == [Code.MAX_STRATEGY_DRAWDOWN_EXCEEDED]


@pytest.mark.parametrize(
    ("signal", "volatility", "performance", "notional"),
    [
        # 2 % of 10,000 x (0.5 + 1.5 s) x 1 / (1 + v) x performance, at most 10 %.
        ("0", "0", "1", "100"),
        ("1", "0", "1", "400"),
        ("0.5", "0", "1", "250"),
        ("1", "1", "1", "200"),
        ("1", "0", "1.5", "600"),
        ("1", "0", "2.5", "1000"),
        ("1", "0", "3", "1000"),
    ],
)
def test_004_dynamic_position_size(signal, volatility, performance, notional):
    size = sizing.dynamic(D(10_000), D(signal), D(volatility), D(performance))
    assert (size.base, size.notional) == (D(200), D(notional))
    assert size.capped == (performance == "3")


@pytest.mark.parametrize(
    ("mid", "minutes", "alert"),
    [
        ("2000", 60, None),
        ("2000", 60.001, Alert.TIMEOUT),
        ("1800", 1, None),
        ("1799", 1, Alert.EXCESSIVE_LOSS),
    ],
)
def test_004_monitor_positions(mid, minutes, alert):
    held = replace(position(quantity="0.1"), opened_ms=WALL_MS)
    state = account(
        "10000", [held], replace(WIDE, position_timeout_seconds=3600, excessive_loss_percent=D("0.1"))
    )
    now = market({ETH: mid}, wall_ms=WALL_MS + int(minutes * 60_000))
    alerts = [
        f.alert
        for f in decide(state, Reconsider(ReconsiderReason.DEADLINE), now).facts
        if isinstance(f, PositionAlerted)
    ]
    assert alerts == ([alert] if alert else [])


def test_004_average_true_range():
    prices = [D(100 + (n % 2)) for n in range(30)]
    assert sizing.average_true_range(prices) == D(1)
    assert sizing.average_true_range(prices[:20]) == D(1)
    assert sizing.average_true_range(prices[:19]) == D(0)
    assert sizing.average_true_range([*[D(1)] * 10, *[D(n) for n in range(1, 22)]]) == D(1)


def test_004_annualized_volatility():
    # np.std([0.01, -0.01]) = 0.01; x sqrt(252).
    assert sizing.annualized_volatility([D("0.01"), D("-0.01")]) == (D("0.0001") * 252).sqrt()
    assert sizing.annualized_volatility([D("0.01")]) == D(0)


@pytest.mark.parametrize(
    ("win_rate", "win", "loss", "fraction"),
    [
        # (w b - (1 - w)) / b / 2: 0.55 at even odds is 0.1 / 2 = 0.05, the ceiling itself.
        ("0.55", "100", "-100", "0.05"),
        ("0.54", "100", "100", "0.04"),
        ("0.60", "100", "100", "0.05"),
        ("0.51", "100", "100", "0.01"),
        ("0.30", "100", "100", "0.01"),
        ("0.40", "200", "-100", "0.05"),
        ("0.35", "200", "100", "0.0125"),
        ("0.50", "100", "0", "0.01"),
        ("0.50", "0", "100", "0.01"),
    ],
)
def test_004_half_kelly_with_bounds(win_rate, win, loss, fraction):
    assert sizing.half_kelly(D(win_rate), D(win), D(loss)) == D(fraction)


def test_004_performance_multiplier():
    assert sizing.performance_multiplier([D(1)] * 9) == D(1)
    assert sizing.performance_multiplier([D(1)] * 10) == D("1.5")
    assert sizing.performance_multiplier([D(-1)] * 10) == D("0.5")
    assert sizing.performance_multiplier([D(1), D(-1)] * 10) == D(1)
    assert sizing.performance_multiplier([D(0)] * 10) == D("0.5")


@pytest.mark.parametrize(
    "call",
    [
        lambda: sizing.dynamic(D(1), D("1.01"), D(0)),
        lambda: sizing.dynamic(D(1), D("-0.01"), D(0)),
        lambda: sizing.dynamic(D(1), D(1), D("-0.1")),
        lambda: sizing.dynamic(D(1), D(1), D("NaN")),
        lambda: sizing.dynamic(D("NaN"), D(1), D(1)),
        lambda: sizing.dynamic(D(1), D(1), D(1), D(-1)),
        lambda: sizing.half_kelly(D("1.1"), D(1), D(1)),
        lambda: sizing.half_kelly(D("0.5"), D(-1), D(1)),
        lambda: sizing.half_kelly(D("0.5"), D(1), D("Infinity")),
    ],
)
def test_004_sizes_of_nonsense_are_refused(call):
    with pytest.raises(BadInput, match="must be"):
        call()


def test_004_the_refusal_names_the_range():
    with pytest.raises(BadInput, match="signal_strength: 2 must be from 0 to 1"):
        sizing.dynamic(D(1), D(2), D(0))
    with pytest.raises(BadInput, match="volatility: -1 must be at least 0"):
        sizing.dynamic(D(1), D(1), D(-1))
    with pytest.raises(BadInput, match="average_loss: NaN must be finite"):
        sizing.half_kelly(D("0.5"), D(1), D("NaN"))


def test_004_a_broke_account_has_no_size():
    assert sizing.dynamic(D(-5), D(1), D(0)).notional == D(0)


# "Circuit Breaker System": CLOSED, OPEN, HALF_OPEN.
def breaking(mid, minutes=0):
    return market({ETH: mid}, wall_ms=WALL_MS + int(minutes * 60_000), day=DAY)


def test_004_breaker_states():
    limits = replace(
        WIDE, breaker_loss_percent=D("0.10"), breaker_profit_percent=D("0.20"), breaker_cooldown_seconds=300,
        breaker_reset=BreakerReset.TIMED, max_notional_per_trade=D(1000),
    )  # fmt: skip
    state = run(account("10000", [position(quantity="1")], limits), WAKE, breaking("2000"))
    assert breaker.threshold_reached(state, D("9000.01")) == ""
    assert breaker.threshold_reached(state, D(9000))
    assert breaker.threshold_reached(state, D("11999.99")) == ""
    assert breaker.threshold_reached(state, D(12000))
    # "current_pnl <= -loss_threshold: OPEN"; "can_trade: False".
    opened = run(state, WAKE, breaking("1000"))
    assert opened.risk.breaker is Breaker.OPEN
    assert codes(opened, order(), breaking("1000")) == [Code.BREAKER_OPEN]
    # "timeout_period 300: HALF_OPEN", "25 % of normal size".
    later = decide(opened, WAKE, breaking("2000", 5)).state
    assert later.risk.breaker is Breaker.HALF_OPEN
    assert codes(later, order(quantity="0.125"), breaking("2000", 5)) == []
    assert codes(later, order(quantity="0.126"), breaking("2000", 5)) == [Code.MAX_NOTIONAL_EXCEEDED]


def test_004_a_cooldown_of_five_minutes_is_over_after_five_minutes():
    limits = replace(WIDE, breaker_cooldown_seconds=300, breaker_reset=BreakerReset.TIMED)
    opened = RiskState(breaker=Breaker.OPEN, breaker_until_ms=WALL_MS + 300_000)
    state = account("10000", limits=limits, risk=opened)
    assert decide(state, WAKE, breaking("2000", 4.999)).state.risk.breaker is Breaker.OPEN
    assert decide(state, WAKE, breaking("2000", 5)).state.risk.breaker is Breaker.HALF_OPEN
