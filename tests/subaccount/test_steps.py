"""Which position a step cuts, when the next one may come, and when an account is let go."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.constants import ADL_REFUSALS_MAX, ADL_STUCK_EVERY_MS
from actors.core.enums import (
    AccountStatus,
    Alert,
    Breaker,
    LiquidationMode,
    OrderStatus,
    OrderType,
    Phase,
    Purpose,
    ReconsiderReason,
)
from actors.core.facts import CancelIntended, OrderIntended, PhaseChanged, PositionAlerted, PositionTakenOver
from actors.core.messages import (
    AdjustBalance,
    CallOff,
    CloseOut,
    OrderClosed,
    PlaceOrder,
    Reconsider,
    Reopen,
    SetStatus,
    Wake,
)
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Symbol
from actors.limits.model import AdlOrder, MaintenanceBasis
from actors.subaccount import margin
from actors.subaccount.alerts import alerts_of
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Accepted, Rejected
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
    fill_of,
    market,
    position,
    run,
    triggers,
)

WAKE = Wake(ETH, "test")


def stepped(state, at):
    return [f for f in decide(state, WAKE, at).facts if isinstance(f, OrderIntended)]


def at_ratio(ratio, positions, marks, **changes):
    """An account with ``positions`` at ``marks`` whose margin ratio is exactly ``ratio``, equity 1000."""
    notional = sum(p.notional for p in positions)
    profit = sum(p.unrealized(D(marks[p.symbol])) for p in positions)
    return account(str(1000 - profit), positions, maintenance_rate=D(ratio) * 1000 / notional, **changes)


# -- one stale symbol


def two(balance, quantity="1"):
    return account(balance, [position(quantity=quantity), position(BTC, "0.01", "60000", number=2)])


def one_stale(eth, btc="60000", late=True):
    """BTC's price is 20 s old, ETH's is of now."""
    now = 20 * NANOS_PER_SECOND
    fresh, old = (
        market({ETH: eth}, now_ns=now, received_ns=now),
        market({BTC: btc}, received_ns=0 if late else now),
    )
    return replace(fresh, ticks={**fresh.ticks, **old.ticks})


def test_an_account_that_its_fresh_symbols_made_bankrupt_is_closed_where_prices_are_fresh():
    """-500 on 100: nothing was sent, because the other symbol's price was old."""
    decision = decide(two("100"), WAKE, one_stale("1400"))
    assert [(o.symbol, o.quantity, o.purpose) for o in decision.facts if isinstance(o, OrderIntended)] == [
        (ETH, D(1), Purpose.LIQUIDATION)
    ]
    state = decision.state
    order = state.orders[0]
    state = run(state, fill_of(order, price="1400"), one_stale("1400"))
    state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), one_stale("1400"))
    assert (state.phase, state.symbols, state.orders) == (Phase.LIQUIDATING, (BTC,), ())
    assert decide(state, WAKE, one_stale("1400")).facts == ()
    back = decide(state, Wake(BTC, "back"), one_stale("1400", late=False))
    assert [o.symbol for o in back.facts if isinstance(o, OrderIntended)] == [BTC]


def test_with_a_stale_symbol_only_bankruptcy_acts():
    """Equity of 14 and a maintenance of 13: the second tier, and not bankrupt; the old price may be wrong."""
    assert decide(two("114"), WAKE, one_stale("1900", btc="60000")).facts == ()
    assert stepped(two("100"), one_stale("1900"))  # equity 0
    assert decide(two("10000"), WAKE, one_stale("1400")).facts == ()


def test_the_last_price_of_the_stale_symbol_counts():
    assert decide(two("100"), WAKE, one_stale("1850", btc="70000")).facts == ()
    assert stepped(two("100"), one_stale("1950", btc="50000"))


def test_a_symbol_that_never_had_a_price_lets_nothing_be_decided():
    now = market({ETH: "1000"})
    assert decide(two("100"), WAKE, now).facts == ()


def test_nothing_fresh_to_close_changes_nothing():
    late = WIDE.price_max_age_ns + 1
    assert decide(two("100"), WAKE, market({ETH: "1000", BTC: "60000"}, now_ns=late)).facts == ()


def test_the_house_takes_over_only_at_fresh_prices():
    own = replace(two("100"), mode=LiquidationMode.TAKEOVER)
    decision = decide(own, WAKE, one_stale("1400"))
    assert [f.symbol for f in decision.facts if isinstance(f, PositionTakenOver)] == [ETH]
    assert (decision.state.phase, decision.state.symbols) == (Phase.LIQUIDATING, (BTC,))


# -- let go


def test_a_liquidation_whose_prices_came_back_lets_the_account_go():
    state = run(account("100", [position(quantity="1")]), WAKE, market({ETH: "1890"}))
    [order] = state.orders
    expired = OrderClosed(order.client_order_id, OrderStatus.EXPIRED, D(0), 0, "no liquidity")
    later = market({ETH: "2000"}, now_ns=NANOS_PER_SECOND, received_ns=NANOS_PER_SECOND)
    state = run(state, expired, market({ETH: "1890"}))
    state = run(state, Reconsider(ReconsiderReason.BACKOFF), later)
    assert (state.phase, state.orders, state.refusals) == (Phase.HEALTHY, (), 0)


def test_a_round_that_sold_enough_is_the_last():
    """What the exchange takes at once is half of it; the other half is carried by what is left."""
    small = {**INSTRUMENTS, ETH: replace(INSTRUMENTS[ETH], market_max_qty=D(5))}
    state = at_ratio("0.95", [position(quantity="10")], {ETH: "2000"})
    now = market(instruments=small)
    state = run(state, WAKE, now)
    [order] = state.orders
    assert (order.quantity, order.purpose) == (D(5), Purpose.LIQUIDATION)
    state = run(state, fill_of(order), now)
    state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(5)), now)
    assert (state.phase, state.orders, state.positions[0].quantity) == (Phase.HEALTHY, (), D(5))


def test_a_deposit_between_two_rounds_lets_the_account_go():
    state = run(account("100", [position(quantity="1")]), WAKE, market({ETH: "1890"}))
    refused = OrderClosed(state.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -1003, "too many")
    state = run(state, refused, market({ETH: "1890"}))
    assert state.phase is Phase.LIQUIDATING
    state = run(state, AdjustBalance(D(10_000), "deposit"), market({ETH: "1890"}))
    later = market({ETH: "1890"}, now_ns=NANOS_PER_SECOND, received_ns=NANOS_PER_SECOND)
    state = run(state, Reconsider(ReconsiderReason.BACKOFF), later)
    assert (state.phase, state.status, state.orders, len(state.positions)) == (
        Phase.HEALTHY, AccountStatus.ACTIVE, (), 1,
    )  # fmt: skip


# Equity 9.5 and a maintenance of 10: 1.611... more makes it 0.9, the first tier.
@pytest.mark.parametrize(
    ("deposit", "alive"), [("10000", True), ("1", False), ("1.62", True), ("1.6", False)]
)
def test_a_deposit_while_the_last_step_works_counts_when_it_has_filled(deposit, alive):
    """It was LIQUIDATED with 10,024 in it."""
    now = market({ETH: "1909.5"})
    state = run(account("100", [position(quantity="1")], maintenance_rate=D("0.005")), WAKE, now)
    [order] = state.orders
    assert order.purpose is Purpose.LIQUIDATION
    state = run(state, AdjustBalance(D(deposit), "deposit"), now)
    state = run(state, fill_of(order, price="1920"), now)
    state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), now)
    wanted = (AccountStatus.ACTIVE, Phase.HEALTHY) if alive else (AccountStatus.LIQUIDATED, Phase.LIQUIDATED)
    assert (state.status, state.phase, state.balance) == (*wanted, 20 + D(deposit))


def test_an_account_that_holds_nothing_is_healthy_whatever_rests():
    """Nothing is there to be warned of, and nobody would look again."""
    limit = PlaceOrder(
        symbol=ETH, side=BUY, quantity=D("0.02"), order_type=OrderType.LIMIT, price=D(1950), leverage=D(100)
    )
    state = run(at_ratio("0.85", [position(quantity="1", leverage="100")], {ETH: "2000"}), WAKE)
    state = run(replace(state, maintenance_rate=D("0.005")), limit)
    [resting] = state.orders
    state = run(state, PlaceOrder(symbol=ETH, side=SELL, quantity=D(1)))
    warned = replace(state, phase=Phase.WARNING)
    state = run(warned, fill_of(state.orders[1]))
    assert (state.phase, state.positions, state.orders[0]) == (Phase.HEALTHY, (), resting)


def test_a_deposit_that_brings_the_ratio_to_the_tier_itself_is_too_little():
    state = run(
        account("100", [position(quantity="1")], maintenance_rate=D("0.0045")), WAKE, market({ETH: "1909"})
    )
    [order] = state.orders
    state = run(state, AdjustBalance(D(1), "deposit"), market({ETH: "1909"}))
    assert margin.view(state, {ETH: D(1909)}).ratio == D("0.9")
    assert state.phase is Phase.LIQUIDATING
    done = run(state, fill_of(order, price="1909"), market({ETH: "1909"}))
    done = run(done, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), market({ETH: "1909"}))
    assert done.status is AccountStatus.LIQUIDATED


@pytest.mark.parametrize("phase", [Phase.REDUCING, Phase.LIQUIDATING, Phase.STUCK])
def test_a_deposit_lets_go_an_account_that_waits_after_a_refusal_at_once(phase):
    waiting = account("105", [position(quantity="10")], phase=phase, refusals=9, retry_at_ms=WALL_MS + 30_000)
    decision = decide(waiting, AdjustBalance(D(100_000), "deposit"), market())
    after = decision.state
    assert (after.phase, after.refusals, after.retry_at_ms) == (Phase.HEALTHY, 0, 0)


def test_a_deposit_counts_by_equity_and_not_by_balance():
    """A short in profit on a balance below zero: solvent, and let go."""
    held = position(ETH, "-1", "2000")
    state = run(account("-290", [held], maintenance_rate=D("0.0049")), WAKE, market({ETH: "1700"}))
    assert [o.purpose for o in state.orders] == [Purpose.LIQUIDATION]
    after = run(state, AdjustBalance(D(100), "deposit"), market({ETH: "1700"}))
    assert after.balance < 0
    assert after.phase is Phase.REDUCING


def test_an_emergency_stop_has_a_stuck_account_try_at_once_and_leaves_a_wait_after_a_refusal():
    stopped = decide(stuck(), CloseOut("fire"), market({ETH: "1800"}))
    assert [f.quantity for f in stopped.facts if isinstance(f, OrderIntended)] == [D(1)]
    waiting = account("1000", [position()], phase=Phase.LIQUIDATING, refusals=3, retry_at_ms=WALL_MS + 800)
    assert run(waiting, CloseOut("fire")).retry_at_ms == WALL_MS + 800


def test_an_emergency_stop_that_is_called_off_while_its_last_order_works_liquidates_nobody():
    state = run(run(account("1000", [position(quantity="1")]), CloseOut("a slip")), CallOff())
    [order] = state.orders
    state = run(state, fill_of(order, price="1990"))
    state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)))
    assert (state.status, state.phase, state.positions) == (AccountStatus.ACTIVE, Phase.HEALTHY, ())


@pytest.mark.parametrize(
    ("price", "phase"), [("1989", Phase.LIQUIDATING), ("1990", Phase.REDUCING), ("1991", Phase.REDUCING)]
)
def test_an_emergency_stop_during_a_tier_step_that_leaves_a_debt_is_liquidating_until_its_order_ends(
    price, phase
):
    """Bought at 2000 with 0.11 behind it, so sold at 1990 nothing is left."""
    state = run(account("0.11", [position(quantity="0.011")], maintenance_rate=D("0.0046")), WAKE)
    [order] = state.orders
    assert order.purpose is Purpose.ADL
    state = run(run(state, CloseOut("fire")), fill_of(order, price=price))
    assert (state.phase, state.positions) == (phase, ())
    done = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D("0.011")))
    assert done.status is (AccountStatus.ACTIVE if phase is Phase.REDUCING else AccountStatus.LIQUIDATED)


def test_an_emergency_stop_opens_the_breaker_of_a_liquidated_account_too():
    """Paid in and reopened, it would trade in the middle of a stop of everybody."""
    stopped = run(liquidated("0"), CloseOut("fire"))
    assert (stopped.risk.breaker, stopped.risk.close_out_reason) == (Breaker.OPEN, "")
    assert (stopped.phase, stopped.status) == (Phase.LIQUIDATED, AccountStatus.LIQUIDATED)
    again = run(run(stopped, AdjustBalance(D(500), "t")), Reopen("x"))
    reply = decide(again, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(10)), market()).reply
    assert isinstance(reply, Rejected)
    assert [r.code for r in reply.rejections] == ["BREAKER_OPEN"]


def test_a_close_out_is_finished_whatever_money_comes():
    state = run(account("1000", [position(quantity="1")]), CloseOut("fire"))
    state = run(state, AdjustBalance(D(10_000), "deposit"))
    assert state.phase is Phase.LIQUIDATING


# -- reopen


def liquidated(balance):
    return account(balance, status=AccountStatus.LIQUIDATED, phase=Phase.LIQUIDATED)


def test_a_liquidated_account_with_money_is_reopened_by_an_operator():
    decision = decide(liquidated("500"), Reopen("appeal 7"), market())
    assert isinstance(decision.reply, Accepted)
    assert (decision.state.status, decision.state.phase) == (AccountStatus.ACTIVE, Phase.HEALTHY)
    order = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(10))
    assert isinstance(decide(decision.state, order, market()).reply, Accepted)


@pytest.mark.parametrize(
    ("state", "code", "cure"),
    [
        (liquidated("0"), "INSUFFICIENT_MARGIN", "deposit"),
        (account("100"), "ACCOUNT_NOT_ACTIVE", "ACTIVE"),
        (account("100", status=AccountStatus.FROZEN), "ACCOUNT_NOT_ACTIVE", "FROZEN"),
    ],
)
def test_what_cannot_be_reopened_says_why(state, code, cure):
    reply = decide(state, Reopen("please"), market()).reply
    assert isinstance(reply, Rejected)
    assert reply.rejections[0].code == code
    assert cure in reply.rejections[0].text


def test_setting_a_liquidated_account_active_by_hand_names_reopen():
    reply = decide(liquidated("500"), SetStatus(AccountStatus.ACTIVE), market()).reply
    assert isinstance(reply, Rejected)
    assert "reopen" in reply.rejections[0].text


def test_a_breaker_stays_open_over_a_reopening():
    broke = liquidated("500")
    broke = replace(
        broke, risk=replace(broke.risk, breaker=Breaker.OPEN, breaker_reason="by hand", breaker_by_hand=True)
    )
    assert run(broke, Reopen("x")).risk.breaker is Breaker.OPEN


# -- which one


def test_of_equal_positions_the_one_shown_as_next_is_cut():
    held = [position(SOL, "100", "150", number=1), position(BTC, "0.25", "60000", number=2)]
    marks = {SOL: "150", BTC: "60000"}
    state = at_ratio("0.91", held, marks)
    now = market(marks)
    assert [o.symbol for o in stepped(state, now)] == [BTC]
    shown = margin.account_liquidation_price(state, {s: D(m) for s, m in marks.items()})
    assert shown is not None
    assert shown[0] == BTC


@pytest.mark.parametrize(
    ("basis", "cut"),
    [(MaintenanceBasis.ENTRY, ETH), (MaintenanceBasis.MARK, BTC), (MaintenanceBasis.BRACKETS, BTC)],
)
def test_the_largest_is_told_by_what_maintenance_is_counted_on(basis, cut):
    """ETH was bought for more, BTC is worth more by now."""
    held = [position(ETH, "5", "2000", number=1), position(BTC, "0.16", "60000", number=2)]
    marks = {ETH: "1900", BTC: "62000"}
    needed = {ETH: 9500, BTC: 9920} if basis is not MaintenanceBasis.ENTRY else {ETH: 10000, BTC: 9600}
    rate = D("0.91") * 1000 / sum(needed.values())
    profit = D(-500) + D(320)
    state = account(str(1000 - profit), held, replace(WIDE, maintenance_basis=basis), maintenance_rate=rate)
    now = market(marks)
    assert [o.symbol for o in stepped(state, now)] == [cut]
    shown = margin.account_liquidation_price(state, {s: D(m) for s, m in marks.items()}, now.instruments)
    assert shown is not None
    assert shown[0] == cut


def test_losers_first_where_the_account_wants_that():
    held = [position(ETH, "5", "2000", number=1), position(BTC, "0.1", "60000", number=2)]
    marks = {ETH: "2100", BTC: "59000"}
    state = at_ratio("0.91", held, marks, limits=replace(WIDE, adl_order=AdlOrder.LOSERS))
    assert [o.symbol for o in stepped(state, market(marks))] == [BTC]
    assert [o.symbol for o in stepped(replace(state, limits=WIDE), market(marks))] == [ETH]
    both_won = {ETH: "2100", BTC: "60500"}
    winners = at_ratio("0.91", held, both_won, limits=replace(WIDE, adl_order=AdlOrder.LOSERS))
    assert [o.symbol for o in stepped(winners, market(both_won))] == [ETH]
    level = {ETH: "2100", BTC: "60000"}
    nobody = at_ratio("0.91", held, level, limits=replace(WIDE, adl_order=AdlOrder.LOSERS))
    assert [o.symbol for o in stepped(nobody, market(level))] == [ETH]


XYZ = Symbol("XYZUSDT")


def test_a_symbol_without_rules_is_passed_over_while_another_one_can_be_cut():
    held = [position(XYZ, "10", "2000", number=1), position(ETH, "5", "2000", number=2)]
    marks = {XYZ: "2000", ETH: "2000"}
    assert [o.symbol for o in stepped(at_ratio("0.91", held, marks), market(marks))] == [ETH]


def test_a_symbol_without_rules_that_must_be_closed_calls_a_human_once():
    state = account("100", [position(XYZ, "1"), position(ETH, "1", number=2)])
    now = market({XYZ: "1900", ETH: "1900"})
    decision = decide(state, Wake(XYZ, "t"), now)
    assert [o.symbol for o in decision.facts if isinstance(o, OrderIntended)] == [ETH]
    alerted = [f for f in decision.facts if isinstance(f, PositionAlerted)]
    assert [(f.symbol, f.alert) for f in alerted] == [(XYZ, Alert.NO_RULES)]
    assert any("XYZUSDT" in text and "rules" in text for text in alerts_of(state.account_id, decision.facts))
    order = decision.state.orders[0]
    state = run(decision.state, fill_of(order, price="1900"), now)
    state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), now)
    assert (state.phase, state.symbols) == (Phase.LIQUIDATING, (XYZ,))
    assert decide(state, Wake(XYZ, "t"), now).facts == ()
    known = market({XYZ: "1900", ETH: "1900"}, instruments={XYZ: replace(INSTRUMENTS[ETH], symbol=XYZ)})
    assert [o.symbol for o in stepped(state, known)] == [XYZ]


# -- refusals


def test_a_step_that_filled_partly_and_expired_is_no_refusal():
    state = run(account("100", [position(quantity="1")]), WAKE, market({ETH: "1800"}))
    for number in range(1, ADL_REFUSALS_MAX + 3):
        [order] = state.orders
        state = run(
            state, fill_of(order, quantity="0.05", price="1800", trade_id=number), market({ETH: "1800"})
        )
        state = run(
            state, OrderClosed(order.client_order_id, OrderStatus.EXPIRED, D("0.05")), market({ETH: "1800"})
        )
        assert (state.refusals, state.retry_at_ms, state.phase) == (0, 0, Phase.LIQUIDATING)


def stuck():
    state = run(account("100", [position(quantity="1")]), WAKE, market({ETH: "1800"}))
    state = replace(state, refusals=ADL_REFUSALS_MAX - 1)
    refused = OrderClosed(state.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -2019, "no margin")
    return run(state, refused, market({ETH: "1800"}))


STUCK_EVERY = ADL_STUCK_EVERY_MS * NANOS_PER_MS


def test_a_stuck_account_tries_again_now_and_then_and_calls_a_human_once():
    state = stuck()
    assert (state.phase, state.refusals, state.retry_at_ms) == (
        Phase.STUCK,
        ADL_REFUSALS_MAX,
        WALL_MS + ADL_STUCK_EVERY_MS,
    )
    early = market({ETH: "1800"}, now_ns=STUCK_EVERY - 1, received_ns=STUCK_EVERY - 1)
    assert stepped(state, early) == []
    assert triggers(state, early).every_tick == ()
    due = market({ETH: "1800"}, now_ns=STUCK_EVERY, received_ns=STUCK_EVERY)
    again = decide(state, Reconsider(ReconsiderReason.BACKOFF), due)
    assert [f.quantity for f in again.facts if isinstance(f, OrderIntended)] == [D(1)]
    refused = OrderClosed(
        again.state.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -2019, "no margin"
    )
    decision = decide(again.state, refused, due)
    assert (decision.state.phase, decision.state.retry_at_ms) == (
        Phase.STUCK,
        WALL_MS + 2 * ADL_STUCK_EVERY_MS,
    )
    assert alerts_of(state.account_id, [f for f in decision.facts if isinstance(f, PhaseChanged)]) == []


def test_a_stuck_account_whose_prices_came_back_is_let_go():
    due = market({ETH: "2000"}, now_ns=STUCK_EVERY, received_ns=STUCK_EVERY)
    state = run(stuck(), Reconsider(ReconsiderReason.BACKOFF), due)
    assert (state.phase, state.refusals, state.retry_at_ms) == (Phase.HEALTHY, 0, 0)


# -- options


def cooled(ratio="0.91", seconds=60, **more):
    return at_ratio(
        ratio,
        [position(quantity="10")],
        {ETH: "2000"},
        limits=replace(WIDE, adl_cooldown_seconds=seconds, **more),
    )


def one_step(state, now):
    [order] = state.orders
    state = run(state, fill_of(order), now)
    return run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity), now)


def moment(seconds, mid="2000"):
    ns = seconds * NANOS_PER_SECOND
    return market({ETH: mid}, now_ns=ns, received_ns=ns)


def test_between_two_tier_steps_the_account_waits_as_long_as_it_wants():
    state = one_step(run(cooled(), WAKE, moment(1)), moment(2))
    assert (state.phase, state.positions[0].quantity) == (Phase.HEALTHY, D(7))
    assert state.retry_at_ms == WALL_MS + 62_000
    # It falls to the first tier again: equity 700, maintenance 637.
    low = "1957.142857"
    waiting = decide(state, WAKE, moment(10, low))
    assert not [f for f in waiting.facts if isinstance(f, OrderIntended)]
    assert waiting.state.phase is Phase.REDUCING
    assert triggers(waiting.state, moment(10, low)).every_tick == (ETH,)
    assert decide(waiting.state, WAKE, moment(61, low)).facts == ()
    assert [o.purpose for o in stepped(waiting.state, moment(62, low))] == [Purpose.ADL]
    by_timer = decide(waiting.state, Reconsider(ReconsiderReason.BACKOFF), moment(62, low))
    assert [f.purpose for f in by_timer.facts if isinstance(f, OrderIntended)] == [Purpose.ADL]


def test_the_wait_outlives_the_position_that_was_cut():
    """The step closed all of a small position; another one at once would not have waited."""
    held = [position(quantity="0.011")]
    state = at_ratio("0.91", held, {ETH: "2000"}, limits=replace(WIDE, adl_cooldown_seconds=60))
    state = one_step(run(state, WAKE, moment(1)), moment(2))
    assert (state.phase, state.positions, state.retry_at_ms) == (Phase.HEALTHY, (), WALL_MS + 62_000)


def test_a_healthy_account_that_cools_down_is_woken_by_its_next_tier():
    state = one_step(run(cooled(), WAKE, moment(1)), moment(2))
    found = triggers(state, moment(3))
    assert found.every_tick == ()
    assert [t.below for t in found.prices] == [True]


def test_closing_everything_and_bankruptcy_do_not_wait():
    state = one_step(run(cooled(), WAKE, moment(1)), moment(2))
    for mid in ("1952.8", "1900"):
        assert [o.purpose for o in stepped(state, moment(10, mid))] == [Purpose.LIQUIDATION]


def test_without_the_option_nothing_waits():
    state = one_step(run(cooled(seconds=None), WAKE, moment(1)), moment(2))
    assert state.retry_at_ms == 0
    assert [o.purpose for o in stepped(state, moment(3, "1957.142857"))] == [Purpose.ADL]


@pytest.mark.parametrize(
    ("below", "purpose", "quantity"), [("20000", Purpose.ADL, 3), ("20000.01", Purpose.LIQUIDATION, 10)]
)
def test_a_small_account_closes_everything_at_the_first_tier(below, purpose, quantity):
    state = at_ratio(
        "0.91", [position(quantity="10")], {ETH: "2000"}, limits=replace(WIDE, adl_all_below=D(below))
    )
    assert [(o.purpose, o.quantity) for o in stepped(state, market())] == [(purpose, D(quantity))]


def test_a_small_account_above_its_tiers_is_left_alone():
    state = at_ratio(
        "0.89", [position(quantity="10")], {ETH: "2000"}, limits=replace(WIDE, adl_all_below=D(10**6))
    )
    assert stepped(state, market()) == []


def test_the_next_cut_waits_for_own_orders_to_be_gone_also_when_it_is_let_go_in_between():
    rich = account("5000", [position(quantity="10", entry="2000", leverage="50")])
    limit = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), order_type=OrderType.LIMIT, price=D(1900))
    resting = run(rich, limit)
    first = decide(resting, WAKE, market({ETH: "1510.3"}))
    assert [f for f in first.facts if isinstance(f, CancelIntended)]
    better = run(first.state, WAKE, market({ETH: "1600"}))
    assert better.phase is Phase.HEALTHY
