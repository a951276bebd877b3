"""The breaker's whole life: what trips it, how it cools down, half-open, and that a restart closes nothing."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import Breaker, ConditionalKind, OrderStatus, OrderType
from actors.core.facts import BreakerChanged, CancelIntended, CloseOutBegan, ConditionalEnded
from actors.core.messages import (
    OrderAccepted,
    OrderClosed,
    PlaceConditional,
    PlaceOrder,
    ResetBreaker,
    TripBreaker,
    Wake,
)
from actors.core.trading_day import TradingDay
from actors.limits.model import BreakerReset
from actors.subaccount.breaker import threshold_reached
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.rejections import RejectCode as Code
from actors.subaccount.risk_state import RiskState
from tests.factories import BUY, ETH, SELL, WALL_MS, WIDE, account, fill_of, market, position, run

MINUTE = 60_000
DAY = TradingDay(WALL_MS - 1_000, WALL_MS + 86_400_000)
WAKE = Wake(ETH, "t")


def at(minutes=0, mid="2000"):
    return market({ETH: mid}, wall_ms=WALL_MS + int(minutes * MINUTE), day=DAY)


def order(quantity="0.1", side=BUY, **changes):
    return PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(10), **changes)


class Trader:
    """Trades one account at given prices."""

    def __init__(self, **limits):
        self.state, self.trade_id = account("10000", limits=replace(WIDE, **limits)), 0

    def trade(self, entry, leave, when=None):
        """Open and close 0.1."""
        for side, price in ((BUY, entry), (SELL, leave)):
            self.state = run(self.state, order(side=side), when or at())
            self.trade_id += 1
            filling = self.state.orders[-1]
            self.state = run(self.state, fill_of(filling, price=price, trade_id=self.trade_id), when or at())
            ended = OrderClosed(filling.client_order_id, OrderStatus.FILLED, D("0.1"))
            self.state = run(self.state, ended, when or at())

    def refuse(self, when=None):
        self.state = run(self.state, order(), when or at())
        refused = OrderClosed(
            self.state.orders[-1].client_order_id, OrderStatus.REJECTED, D(0), -2019, "margin"
        )
        self.state = run(self.state, refused, when or at())

    @property
    def breaker(self):
        return self.state.risk.breaker

    def answers(self, message, when=None):
        reply = decide(self.state, message, when or at()).reply
        return "accepted" if isinstance(reply, Accepted) else [r.code for r in reply.rejections]


def test_three_losing_trades_in_a_row_and_a_win_in_between():
    trader = Trader(max_consecutive_losses=3)
    trader.trade("2000", "1990")
    trader.trade("2000", "1990")
    trader.trade("2000", "2010")
    trader.trade("2000", "1990")
    trader.trade("2000", "1990")
    assert (trader.breaker, trader.state.risk.losses) == (Breaker.CLOSED, 2)
    trader.trade("2000", "2000")
    assert trader.state.risk.losses == 2
    trader.trade("2000", "1999.99")
    assert trader.breaker is Breaker.OPEN
    assert "3 losing trades" in trader.state.risk.breaker_reason
    assert trader.answers(order()) == [Code.BREAKER_OPEN]


def test_five_refused_orders_in_a_row_and_a_success_in_between():
    trader = Trader(max_consecutive_errors=5)
    for _ in range(4):
        trader.refuse()
    trader.state = run(trader.state, order(), at())
    trader.state = run(trader.state, OrderAccepted(trader.state.orders[0].client_order_id, 7), at())
    assert trader.state.risk.errors == 0
    for n in range(5):
        assert trader.breaker is Breaker.CLOSED, n
        trader.refuse()
    assert trader.breaker is Breaker.OPEN


@pytest.mark.parametrize(
    ("mid", "breaker"),
    [
        ("1000.01", Breaker.CLOSED),
        ("1000", Breaker.OPEN),
        ("3999.99", Breaker.CLOSED),
        ("4000", Breaker.OPEN),
    ],
)
def test_loss_and_profit_thresholds_of_the_day(mid, breaker):
    limits = replace(WIDE, breaker_loss_percent=D("0.10"), breaker_profit_percent=D("0.20"))
    state = account("10000", [position(quantity="1")], limits)
    state = run(state, WAKE, at())
    assert state.risk.day_equity == D(10000)
    assert run(state, WAKE, at(mid=mid)).risk.breaker is breaker


def test_a_trip_cancels_what_may_open_risk_and_leaves_what_reduces():
    held = account("10000", [position(quantity="1")], limits=WIDE)
    for message in (
        order(order_type=OrderType.LIMIT, price=D(1950)),
        order("0.5", SELL, order_type=OrderType.LIMIT, price=D(2050), reduce_only=True),
        PlaceConditional(kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=BUY, quantity=D("0.1"), trigger_price=D(2100)),
        PlaceConditional(
            kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=SELL, quantity=D(1), trigger_price=D(1900), reduce_only=True
        ),
    ):  # fmt: skip
        held = run(held, message, at())
    assert (len(held.orders), len(held.conditionals)) == (2, 2)
    decision = decide(held, TripBreaker("odd fills"), at())
    assert [type(f) for f in decision.facts] == [BreakerChanged, CancelIntended, ConditionalEnded]
    opening, stop_entry = held.orders[0], held.conditionals[0]
    assert decision.facts[1].client_order_id == opening.client_order_id
    assert decision.facts[2].client_order_id == stop_entry.client_order_id
    assert [c.placed.reduce_only for c in decision.state.conditionals] == [True]


def test_manual_reset_only_after_the_cooldown():
    trader = Trader(breaker_cooldown_seconds=1800)
    trader.state = run(trader.state, TripBreaker("by me"), at())
    assert trader.answers(ResetBreaker(), at(29.99)) == [Code.BREAKER_COOLING_DOWN]
    assert trader.answers(order(), at(31)) == [Code.BREAKER_OPEN]
    assert trader.answers(order(side=SELL, reduce_only=True), at()) != [Code.BREAKER_OPEN]
    trader.state = run(trader.state, ResetBreaker(), at(30))
    assert trader.breaker is Breaker.CLOSED
    assert trader.answers(order(), at(30)) == "accepted"


def test_a_reset_forgets_the_streak():
    trader = Trader(max_consecutive_losses=2)
    trader.trade("2000", "1990")
    trader.trade("2000", "1990")
    assert trader.breaker is Breaker.OPEN
    trader.state = run(trader.state, ResetBreaker(), at(30))
    assert trader.state.risk.losses == 0
    trader.trade("2000", "1990", at(30))
    assert trader.breaker is Breaker.CLOSED


def timed():
    """A trader whose breaker opened by itself, at WALL_MS."""
    trader = Trader(
        breaker_reset=BreakerReset.TIMED, breaker_cooldown_seconds=300, max_notional_per_trade=D(4000)
    )
    opened = RiskState(breaker=Breaker.OPEN, breaker_reason="losses", breaker_until_ms=WALL_MS + 5 * MINUTE)
    trader.state = replace(trader.state, risk=opened)
    return trader


def test_timed_reset_to_half_open_with_a_quarter_of_the_size_and_closed_by_a_win():
    trader = timed()
    assert trader.answers(order(), at(4.99)) == [Code.BREAKER_OPEN]
    assert trader.answers(order("0.501"), at(5)) == [Code.MAX_NOTIONAL_EXCEEDED]
    decision = decide(trader.state, order("0.5"), at(5))
    assert isinstance(decision.reply, Accepted)
    assert [type(f).__name__ for f in decision.facts] == ["BreakerChanged", "OrderIntended"]
    assert decision.state.risk.breaker is Breaker.HALF_OPEN
    trader.trade("2000", "2001", at(6))
    assert trader.breaker is Breaker.CLOSED
    assert trader.answers(order("2"), at(6)) == "accepted"


def test_a_refusal_after_the_cooldown_is_durable_with_the_half_open_state():
    trader = timed()
    decision = decide(trader.state, order("0.501"), at(5))
    assert isinstance(decision.reply, Rejected)
    assert decision.state.sequence == trader.state.sequence + 1
    assert [f.breaker for f in decision.facts] == [Breaker.HALF_OPEN]


def test_a_loss_while_half_open_opens_it_again():
    trader = timed()
    trader.trade("2000", "1999", at(6))
    assert trader.breaker is Breaker.OPEN
    assert trader.state.risk.breaker_until_ms == WALL_MS + 11 * MINUTE


def test_a_threshold_that_is_still_reached_after_the_cooldown_keeps_it_open():
    limits = replace(
        WIDE, breaker_loss_percent=D("0.1"), breaker_reset=BreakerReset.TIMED, breaker_cooldown_seconds=300
    )
    state = run(account("10000", [position(quantity="1")], limits), WAKE, at())
    state = run(state, WAKE, at(1, "900"))
    assert state.risk.breaker is Breaker.OPEN
    again = decide(state, WAKE, at(7, "950"))
    assert [(f.breaker, f.until_ms) for f in again.facts] == [(Breaker.OPEN, WALL_MS + 12 * MINUTE)]
    better = decide(state, WAKE, at(7, "1500"))
    assert [f.breaker for f in better.facts] == [Breaker.HALF_OPEN]


def test_without_prices_a_timed_breaker_stays_as_it_is():
    limits = replace(WIDE, breaker_reset=BreakerReset.TIMED)
    opened = RiskState(breaker=Breaker.OPEN, breaker_until_ms=WALL_MS + 30 * MINUTE)
    state = account("10000", [position(quantity="1")], limits, risk=opened)
    assert decide(state, WAKE, market({}, wall_ms=WALL_MS + 31 * MINUTE)).facts == ()


def test_reset_of_a_closed_breaker_changes_nothing():
    assert decide(account(), ResetBreaker(), at()).facts == ()


def test_the_state_outlives_a_day():
    limits = replace(WIDE, max_daily_loss=D(10))
    state = account("10000", limits=limits, risk=RiskState(breaker=Breaker.OPEN, breaker_until_ms=WALL_MS))
    tomorrow = market(wall_ms=DAY.end_ms, day=TradingDay(DAY.end_ms, DAY.end_ms + 86_400_000))
    assert run(state, WAKE, tomorrow).risk.breaker is Breaker.OPEN


def test_a_trade_that_brought_nothing_leaves_it_half_open():
    trader = timed()
    trader.trade("2000", "2000", at(6))
    assert trader.breaker is Breaker.HALF_OPEN


def test_a_day_that_began_with_nothing_bears_no_loss_and_has_no_target():
    limits = replace(WIDE, breaker_loss_percent=D("0.1"), breaker_profit_percent=D("0.2"))
    state = account("0", limits=limits, risk=RiskState(day_start_ms=1, day_equity=D(0)))
    assert threshold_reached(state, D(0)) == ""
    assert threshold_reached(state, D(50)) == ""
    # Of nothing, any loss is too much.
    assert threshold_reached(state, D("-0.01"))
    below = replace(state, risk=RiskState(day_start_ms=1, day_equity=D(-5)))
    assert threshold_reached(below, D(-5)) == ""
    assert threshold_reached(below, D("-5.01"))


def test_what_was_opened_by_hand_is_closed_by_hand():
    trader = Trader(breaker_reset=BreakerReset.TIMED, breaker_cooldown_seconds=300)
    trader.state = run(trader.state, TripBreaker("by me"), at())
    assert trader.answers(order(), at(60)) == [Code.BREAKER_OPEN]
    assert decide(trader.state, WAKE, at(60)).facts == ()
    trader.state = run(trader.state, ResetBreaker(), at(60))
    assert trader.answers(order(), at(60)) == "accepted"


def test_a_reset_that_would_not_last_is_refused():
    limits = replace(WIDE, breaker_loss_percent=D("0.1"), breaker_cooldown_seconds=60)
    state = run(account("10000", [position(quantity="1")], limits), WAKE, at())
    state = run(state, WAKE, at(1, "900"))
    refusal = decide(state, ResetBreaker(), at(3, "900")).reply
    assert [r.code for r in refusal.rejections] == [Code.BREAKER_OPEN]
    assert run(state, ResetBreaker(), at(3, "1500")).risk.breaker is Breaker.CLOSED


def test_a_threshold_stops_the_order_that_comes_before_the_wake():
    limits = replace(WIDE, breaker_loss_percent=D("0.1"))
    state = run(account("10000", [position(quantity="1")], limits), WAKE, at())
    refusal = decide(state, order(), at(1, "900")).reply
    assert [r.code for r in refusal.rejections] == [Code.BREAKER_OPEN]


def test_a_position_that_the_house_takes_over_counts_in_the_streak():
    limits = replace(WIDE, max_consecutive_losses=1)
    state = account("100", [position(quantity="0.005")], limits)
    # Closing out a position that is too small for the exchange is a takeover, within the decision itself.
    after = run(
        replace(state, risk=replace(state.risk, close_out=CloseOutBegan("t"))), WAKE, market({ETH: "1900"})
    )
    assert after.positions == ()
    assert after.risk.breaker is Breaker.OPEN


def test_a_fill_before_its_acknowledgement_ends_the_streak_of_refusals():
    trader = Trader(max_consecutive_errors=5)
    trader.refuse()
    assert trader.state.risk.errors == 1
    trader.state = run(trader.state, order(), at())
    trader.state = run(trader.state, fill_of(trader.state.orders[0]), at())
    assert trader.state.risk.errors == 0
