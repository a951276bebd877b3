"""The day, its loss and the loss of a lifetime; each acts by itself, once, and money that comes is no profit."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.core.enums import (
    AccountStatus,
    Breaker,
    CloseOutScope,
    LiquidationMode,
    OrderStatus,
    Phase,
    Purpose,
)
from actors.core.facts import CloseOutBegan, DayBegan, DayStopped, OrderIntended
from actors.core.messages import (
    AdjustBalance,
    CallOff,
    CloseOut,
    OrderClosed,
    PlaceOrder,
    SetLimits,
    SetStatus,
    Wake,
)
from actors.core.trading_day import TradingDay
from actors.subaccount import losses
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Rejected
from actors.subaccount.rejections import RejectCode as Code
from actors.subaccount.state import books_balance
from tests.factories import BTC, BUY, ETH, WALL_MS, WIDE, account, fill_of, market, position, run, tick

WAKE = Wake(ETH, "t")
HOURS = 3_600_000
TODAY = TradingDay(WALL_MS - HOURS, WALL_MS + 23 * HOURS)
TOMORROW = TradingDay(TODAY.end_ms, TODAY.end_ms + 24 * HOURS)


def at(mid="2000", day=TODAY, **more):
    return market({ETH: mid}, day=day, wall_ms=max(WALL_MS, day.start_ms), **more)


def holding(balance="1000", **limits):
    return account(balance, [position(quantity="1")], replace(WIDE, **limits))


def test_the_day_begins_with_the_first_decision_and_what_is_there():
    state = holding(max_daily_loss=D(100))
    decision = decide(state, WAKE, at("1950"))
    assert decision.facts == (DayBegan(TODAY.start_ms, D(950)),)
    assert decide(decision.state, WAKE, at("1950")).facts == ()


def test_an_account_without_limits_of_the_day_keeps_no_days():
    assert decide(holding(), WAKE, at()).facts == ()


def test_the_loss_stops_the_day_once_and_the_next_day_begins_anew():
    state = run(holding(max_daily_loss=D(100)), WAKE, at())
    assert decide(state, WAKE, at("1900.01")).facts == ()
    stopped = decide(state, WAKE, at("1900"))
    assert stopped.facts == (DayStopped(D(100), D(100)),)
    assert decide(stopped.state, WAKE, at("1800")).facts == ()
    order = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20))
    refusal = decide(stopped.state, order, at("2000"))
    assert [r.code for r in refusal.reply.rejections] == [Code.MAX_DAILY_LOSS_EXCEEDED]
    seen = {ETH: tick(ETH, "1890")}
    morning = decide(stopped.state, WAKE, at("1880", TOMORROW, day_ticks=seen))
    # The equity of the begin, 890, not that of the moment at which somebody looked.
    assert morning.facts == (DayBegan(TOMORROW.start_ms, D(890)),)
    assert not morning.state.risk.day_stopped


def test_a_day_begins_in_front_of_what_changes_the_position():
    state = run(holding(max_daily_loss=D(100)), WAKE, at())
    placed = run(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20)), at())
    fill = fill_of(placed.orders[0], price="2500")
    decision = decide(placed, fill, at("2500", TOMORROW, day_ticks={ETH: tick(ETH, "2100")}))
    assert decision.facts[0] == DayBegan(TOMORROW.start_ms, D(1100))
    assert decision.state.sequence == placed.sequence + 1


def test_a_begin_that_nobody_saw_is_taken_from_the_present():
    state = run(holding(max_daily_loss=D(100)), WAKE, at())
    [began] = decide(state, WAKE, at("1950", TOMORROW)).facts
    assert began.equity == D(950)
    # As is one for which a price of ours is not known.
    [began] = decide(state, WAKE, at("1950", TOMORROW, day_ticks={BTC: tick(BTC, "60000")})).facts
    assert began.equity == D(950)


def test_without_prices_no_day_begins():
    state = holding(max_daily_loss=D(100))
    assert decide(state, WAKE, market({}, day=TODAY)).facts == ()


def test_percent_of_the_first_equity_and_the_tighter_of_both_limits():
    state = run(holding(max_daily_loss_percent=D("0.05"), max_daily_loss=D(60)), WAKE, at())
    assert losses.daily_limit(state) == D(50)
    assert decide(state, WAKE, at("1950")).facts == (DayStopped(D(50), D(50)),)
    richer = run(holding("5000", max_daily_loss_percent=D("0.05"), max_daily_loss=D(60)), WAKE, at())
    assert losses.daily_limit(richer) == D(60)


def test_a_deposit_is_no_profit_and_a_withdrawal_no_loss():
    state = run(holding(max_daily_loss=D(100)), WAKE, at())
    state = run(state, AdjustBalance(D(500), "DEPOSIT"), at())
    assert state.risk.day_equity == D(1500)
    assert decide(state, WAKE, at("1900")).facts == (DayStopped(D(100), D(100)),)
    state = run(state, AdjustBalance(D(-600), "WITHDRAWAL"), at())
    assert not state.risk.day_stopped
    assert losses.daily(state, D(900)) == D(0)


def test_a_limit_that_is_set_later_counts_from_then_on():
    state = holding()
    decision = decide(state, SetLimits((("max_daily_loss", "100"),)), at("1950"))
    assert [type(f).__name__ for f in decision.facts] == ["LimitsChanged", "DayBegan"]
    assert decision.state.risk.day_equity == D(950)


def test_a_cumulative_loss_liquidates_everything_and_leaves_a_living_account():
    held = [position(quantity="1"), position(BTC, "-0.01", "60000", number=2)]
    state = account("1000", held, replace(WIDE, max_cumulative_loss=D(300)))
    prices = {ETH: "2000", BTC: "60000"}
    assert decide(state, WAKE, market({**prices, ETH: "1700.01"})).facts == ()
    now = market({**prices, ETH: "1700"})
    decision = decide(state, WAKE, now)
    orders = [f for f in decision.facts if isinstance(f, OrderIntended)]
    assert [type(f) for f in decision.facts[:1]] == [CloseOutBegan]
    assert {(o.symbol, o.side, o.quantity) for o in orders} == {(ETH, "SELL", D(1)), (BTC, "BUY", D("0.01"))}
    assert {o.purpose for o in orders} == {Purpose.CLOSE_OUT}
    state = decision.state
    refusal = decide(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")), now)
    assert Code.CLOSING_OUT in [r.code for r in refusal.reply.rejections]
    for n, (order, price) in enumerate(zip(orders, ("1700", "60000"), strict=True)):
        state = run(state, fill_of(order, price=price, trade_id=n + 1), now)
        state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity), now)
    assert (state.positions, state.status, state.phase) == ((), AccountStatus.ACTIVE, Phase.HEALTHY)
    assert (state.risk.close_out_reason, state.balance) == ("", D(700))
    assert decide(state, WAKE, now).facts == ()
    again = decide(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")), now)
    assert [r.code for r in again.reply.rejections] == [Code.MAX_CUMULATIVE_LOSS_EXCEEDED]
    rescued = run(state, SetLimits((("max_cumulative_loss", "off"),)), now)
    assert not isinstance(
        decide(rescued, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")), now).reply, Rejected
    )


def test_an_emergency_stop_cancels_closes_and_opens_the_breaker_whatever_the_mode():
    for mode in LiquidationMode:
        state = replace(holding(), mode=mode)
        decision = decide(state, CloseOut("fire"), at())
        orders = [f for f in decision.facts if isinstance(f, OrderIntended)]
        assert [(o.quantity, o.purpose) for o in orders] == [(D(1), Purpose.CLOSE_OUT)]
        assert decision.state.risk.breaker is Breaker.OPEN
        assert decide(decision.state, CloseOut("again"), at()).state.risk.close_out_reason == "fire"
        assert books_balance(decision.state)


def test_an_emergency_stop_needs_no_price():
    decision = decide(holding(), CloseOut("the feed is gone"), market({}))
    assert [f.quantity for f in decision.facts if isinstance(f, OrderIntended)] == [D(1)]
    # Dust is for the house, at a price that nobody knows now: it waits.
    dust = account("1000", [position(quantity="0.001")], WIDE)
    waiting = decide(dust, CloseOut("the feed is gone"), market({}))
    assert [p.quantity for p in waiting.state.positions] == [D("0.001")]
    assert run(waiting.state, WAKE, at()).positions == ()


def test_an_emergency_stop_that_is_called_off_before_it_could_send():
    resting = run(
        holding(),
        PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), order_type="LIMIT", price=D(1990)),
        at(),
    )
    stopped = run(resting, CloseOut("a slip"), at())
    assert (stopped.risk.close_out_reason, stopped.phase) == ("a slip", Phase.LIQUIDATING)
    assert stopped.orders[0].cancel_requested
    calm = run(stopped, CallOff(), at())
    assert (calm.risk.close_out_reason, calm.phase) == ("", Phase.HEALTHY)
    assert calm.positions == stopped.positions
    assert calm.risk.breaker is Breaker.OPEN


def test_an_account_that_goes_broke_while_it_is_closed_out_is_liquidated():
    state = run(holding("100"), CloseOut("fire"), at())
    [order] = state.orders
    state = run(state, fill_of(order, price="1850"), at("1850"))
    state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), at("1850"))
    assert (state.status, state.bad_debt, state.balance) == (AccountStatus.LIQUIDATED, D(50), D(0))
    assert state.risk.close_out_reason == ""


def test_an_emergency_stop_of_an_account_with_nothing_only_opens_the_breaker():
    state = run(account(), CloseOut("fire"), at())
    assert (state.risk.close_out_reason, state.phase, state.risk.breaker) == ("", Phase.HEALTHY, Breaker.OPEN)


def test_a_limit_that_is_switched_off_while_it_holds_lets_go():
    state = run(holding(max_daily_loss=D(100)), WAKE, at())
    stopped = run(state, WAKE, at("1900"))
    base = replace(stopped, base_limits=replace(stopped.base_limits, max_daily_loss=None))
    off = run(
        run(base, SetLimits((("max_daily_loss", "100"),)), at("1900")),
        SetLimits((("max_daily_loss", None),)),
        at("1900"),
    )
    assert (off.risk.day_start_ms, off.risk.day_stopped) == (0, False)
    resting = run(
        off,
        PlaceOrder(
            symbol=ETH, side=BUY, quantity=D("0.1"), order_type="LIMIT", price=D(1890), leverage=D(50)
        ),
        at("1900"),
    )
    assert len(resting.orders) == 1
    assert decide(resting, WAKE, at("1900")).facts == ()
    # Switched on again on a later day, it counts from what is there then, not from that morning's price.
    seen = {ETH: tick(ETH, "1500")}
    on = run(off, SetLimits((("max_daily_loss", "50"),)), at("2000", TOMORROW, day_ticks=seen))
    assert on.risk.day_equity == D(1000)


def test_an_account_without_money_is_not_stopped_by_a_loss_of_nothing():
    state = account("0", limits=replace(WIDE, max_daily_loss_percent=D("0.05")))
    began = run(state, WAKE, at())
    assert (began.risk.day_start_ms, began.risk.day_stopped) == (TODAY.start_ms, False)
    funded = run(began, AdjustBalance(D(1000), "DEPOSIT"), at())
    assert not isinstance(
        decide(funded, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")), at()).reply, Rejected
    )


def test_a_liquidated_account_has_no_days():
    state = account("10", limits=replace(WIDE, max_daily_loss=D(5)), status=AccountStatus.LIQUIDATED)
    assert decide(state, WAKE, at()).facts == ()


def test_an_emergency_stop_wakes_a_stuck_account():
    state = replace(holding(), phase=Phase.STUCK, refusals=10)
    decision = decide(state, CloseOut("fire"), at())
    assert [f.quantity for f in decision.facts if isinstance(f, OrderIntended)] == [D(1)]


def test_only_the_close_out_that_is_meant_is_called_off_whatever_its_reason_says():
    fleet, own = CloseOutScope.FLEET, CloseOutScope.ACCOUNT
    of_all = run(holding(), CloseOut("emergency stop of all: fire", fleet), at())
    assert [run(of_all, CallOff(scope), at()).risk.close_out for scope in (fleet, own)] == [None, None]
    alone = run(holding(), CloseOut("emergency stop of all: fire"), at())
    assert decide(alone, CallOff(fleet), at()).facts == ()
    assert run(alone, CallOff(own), at()).risk.close_out is None


def test_a_stop_without_words_stops_all_the_same():
    assert run(holding(), CloseOut(""), at()).risk.close_out_reason


def test_a_frozen_account_s_resting_orders_that_open_are_cancelled():
    state = run(
        account(),
        PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), order_type="LIMIT", price=D(1990)),
        at(),
    )
    frozen = run(state, SetStatus(AccountStatus.FROZEN), at())
    assert frozen.orders[0].cancel_requested
