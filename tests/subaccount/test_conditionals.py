"""Stops, take-profits, trailing stops: refused when senseless, fired once, checked then, gone with what they close."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import ConditionalStatus, OrderStatus, OrderType, Phase, Purpose
from actors.core.facts import CancelIntended, ConditionalDue, ConditionalEnded, OrderIntended
from actors.core.messages import CancelOrder, OrderClosed, PlaceOrder
from actors.core.units import Symbol
from actors.subaccount import margin
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Rejected
from actors.subaccount.rejections import RejectCode as Code
from tests.factories import BTC, BUY, ETH, SELL, WIDE, account, fill_of, held_margin, market, run
from tests.subaccount.conditional_cases import STOP, TAKE, TRAIL, WAKE, at, codes, conditional, holding


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "fires_at", "not_at"),
    [
        (STOP, SELL, "1900", "1900", "1900.01"),
        (STOP, BUY, "2100", "2100", "2099.99"),
        (TAKE, SELL, "2100", "2100", "2099.99"),
        (TAKE, BUY, "1900", "1900", "1900.01"),
    ],
)
def test_each_kind_fires_at_its_price_and_not_before(kind, side, trigger, fires_at, not_at):
    state = run(account("10000"), conditional(kind, side, "0.5", trigger))
    assert decide(state, WAKE, at(not_at)).facts == ()
    ended, intent = decide(state, WAKE, at(fires_at)).facts
    assert ended.status is ConditionalStatus.TRIGGERED
    assert ended.order_id == intent.client_order_id
    assert (intent.side, intent.quantity, intent.order_type) == (side, D("0.5"), OrderType.MARKET)
    assert intent.cause == f"trigger:{state.conditionals[0].client_order_id}"


@pytest.mark.parametrize(
    ("side", "path", "fires"),
    [
        (SELL, ["2100", "2079.01"], False),
        (SELL, ["2100", "2079"], True),
        (SELL, ["1980.01"], False),
        (SELL, ["1980"], True),
        (BUY, ["1900", "1918.99"], False),
        (BUY, ["1900", "1919"], True),
        (BUY, ["2020"], True),
    ],
)
def test_a_trailing_stop_follows_the_best_price(side, path, fires):
    state = run(account("10000"), conditional(TRAIL, side, "0.5", None, callback_rate=D("0.01")))
    for mid in path:
        state = run(state, WAKE, at(mid))
    assert bool(state.orders) is fires


def test_a_trailing_stop_sleeps_until_its_activation_price():
    order = conditional(TRAIL, SELL, "0.5", None, callback_rate=D("0.01"), activation_price=D(2200))
    state = run(account("10000"), order)
    for mid in ("2199.99", "1500"):
        state = run(state, WAKE, at(mid))
        assert not state.orders
        assert state.conditionals[0].extreme is None
    state = run(state, WAKE, at("2200"))
    assert state.conditionals[0].extreme == D(2200)
    assert run(state, WAKE, at("2178")).orders


def test_a_trailing_stop_that_buys_is_activated_by_a_fall():
    order = conditional(TRAIL, BUY, "0.5", None, callback_rate=D("0.01"), activation_price=D(1800))
    state = run(account("10000"), order)
    assert run(state, WAKE, at("1800.01")).conditionals[0].extreme is None
    assert run(state, WAKE, at("1800")).conditionals[0].extreme == D(1800)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (conditional(trigger=None), Code.INVALID_TRIGGER),
        (conditional(trigger="NaN"), Code.INVALID_TRIGGER),
        (conditional(trigger="0"), Code.INVALID_TRIGGER),
        (conditional(trigger="-5"), Code.INVALID_TRIGGER),
        (conditional(trigger="1900.001"), Code.PRICE_OFF_TICK),
        (conditional(trigger="2000"), Code.TRIGGERS_AT_ONCE),
        (conditional(STOP, BUY, trigger="2000"), Code.TRIGGERS_AT_ONCE),
        (conditional(TAKE, SELL, trigger="2000"), Code.TRIGGERS_AT_ONCE),
        (conditional(TAKE, BUY, trigger="2000"), Code.TRIGGERS_AT_ONCE),
        (conditional(callback_rate=D("0.01")), Code.INVALID_TRIGGER),
        (conditional(activation_price=D(1990)), Code.INVALID_TRIGGER),
        (conditional(TRAIL, trigger=None), Code.INVALID_TRIGGER),
        (conditional(TRAIL, callback_rate=D("0.01")), Code.INVALID_TRIGGER),
        (conditional(TRAIL, trigger=None, callback_rate=D("0.0009")), Code.INVALID_TRIGGER),
        (conditional(TRAIL, trigger=None, callback_rate=D("0.2001")), Code.INVALID_TRIGGER),
        (conditional(TRAIL, trigger=None, callback_rate=D("NaN")), Code.INVALID_TRIGGER),
        (
            conditional(TRAIL, trigger=None, callback_rate=D("0.01"), activation_price=D(2000)),
            Code.TRIGGERS_AT_ONCE,
        ),
        (conditional(quantity="NaN"), Code.INVALID_QUANTITY),
        (conditional(quantity="0"), Code.INVALID_QUANTITY),
        (conditional(quantity="0.0001"), Code.QUANTITY_OFF_STEP),
        (conditional(symbol=Symbol("NOPEUSDT")), Code.UNKNOWN_SYMBOL),
        (conditional(symbol=BTC), Code.NO_PRICE),
        (conditional(quantity="2", reduce_only=True), Code.NOTHING_TO_REDUCE),
        (conditional(side=BUY, trigger="2100", reduce_only=True), Code.NOTHING_TO_REDUCE),
        (conditional(leverage=D(0)), Code.INVALID_LEVERAGE),
    ],
)
def test_a_senseless_order_is_refused_by_name(message, code):
    state = holding(balance="100000")
    assert code in codes(state, message)
    assert decide(state, message, market()).state is state


@pytest.mark.parametrize("rate", ["0.001", "0.2"])
def test_the_callback_rate_s_own_bounds_are_allowed(rate):
    assert codes(holding(), conditional(TRAIL, trigger=None, callback_rate=D(rate))) == []


def test_one_that_opens_holds_margin_and_gives_it_back():
    state = run(account("300"), conditional(STOP, BUY, "1", "2100", leverage=D(10)))
    assert margin.view(state, {}).available == D(90)
    assert Code.INSUFFICIENT_MARGIN in codes(state, conditional(STOP, BUY, "1", "2100", leverage=D(10)))
    freed = run(state, CancelOrder(state.conditionals[0].client_order_id))
    assert freed.conditionals == ()
    assert margin.view(freed, {}).available == D(300)


def test_its_own_margin_does_not_speak_against_it_when_it_fires():
    state = run(account("220"), conditional(STOP, BUY, "1", "2100", leverage=D(10)))
    assert margin.view(state, {}).available == D(10)
    fired = run(state, WAKE, at("2100"))
    assert held_margin(fired) == D(210)


def test_one_that_the_checks_refuse_at_its_moment_ends_rejected():
    state = run(account("300"), conditional(STOP, BUY, "1", "2100", leverage=D(10)))
    gap = decide(state, WAKE, at("3001"))
    [ended] = gap.facts
    assert ended.status is ConditionalStatus.REJECTED
    assert "margin" in ended.reason
    assert gap.state.conditionals == ()


def test_the_first_that_closes_takes_the_other_with_it():
    state = holding()
    state = run(state, conditional(STOP, SELL, "1", "1900", reduce_only=True))
    state = run(state, conditional(TAKE, SELL, "1", "2100", reduce_only=True))
    fired = run(state, WAKE, at("2100"))
    [order] = fired.orders
    closed = decide(fired, fill_of(order, price="2100"), at("2100"))
    assert [f.status for f in closed.facts if isinstance(f, ConditionalEnded)] == [ConditionalStatus.EXPIRED]
    assert closed.state.conditionals == ()


def test_a_flip_takes_them_too_and_an_add_does_not():
    state = run(holding(balance="10000"), conditional(STOP, SELL, "1", "1900", reduce_only=True))
    added = run(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)))
    added = run(added, fill_of(added.orders[0]))
    assert len(added.conditionals) == 1
    flipped = run(state, PlaceOrder(symbol=ETH, side=SELL, quantity=D(2)))
    flipped = run(flipped, fill_of(flipped.orders[0]))
    assert flipped.positions[0].quantity == D(-1)
    assert flipped.conditionals == ()


def test_it_takes_no_more_than_what_is_left():
    state = run(holding(), conditional(STOP, SELL, "1", "1900", reduce_only=True))
    reduced = run(state, PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.6")))
    order = reduced.orders[0]
    reduced = run(reduced, fill_of(order))
    reduced = run(reduced, OrderClosed(order.client_order_id, OrderStatus.FILLED, D("0.6")))
    fired = run(reduced, WAKE, at("1900"))
    assert [o.quantity for o in fired.orders] == [D("0.4")]


def test_a_resting_take_profit_makes_way_for_the_stop():
    state = run(
        holding(),
        PlaceOrder(
            symbol=ETH, side=SELL, quantity=D(1), order_type=OrderType.LIMIT, price=D(2050), reduce_only=True
        ),
    )
    state = run(state, conditional(STOP, SELL, "1", "1900", reduce_only=True))
    limit = state.orders[0]
    due = decide(state, WAKE, at("1900"))
    assert [type(f) for f in due.facts] == [ConditionalDue, CancelIntended]
    assert due.facts[1].client_order_id == limit.client_order_id
    # Nothing more until the limit is gone, wherever the price goes; then at once.
    assert decide(due.state, WAKE, at("1950")).facts == ()
    gone = OrderClosed(limit.client_order_id, OrderStatus.CANCELED, D(0))
    after = decide(due.state, gone, at("1950"))
    assert [o.quantity for o in after.facts if isinstance(o, OrderIntended)] == [D(1)]


def test_a_limit_that_has_filled_already_is_not_cancelled_for_the_stop():
    """Its end was not told yet, so half of the position seemed to be spoken for."""
    limit = PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.5"), order_type=OrderType.LIMIT, price=D(2050))
    state = run(run(holding(), limit), conditional(STOP, SELL, "1", "1900", reduce_only=True))
    state = run(state, fill_of(state.orders[0], price="2050"), at("2000"))
    due = decide(state, WAKE, at("1900"))
    assert not [f for f in due.facts if isinstance(f, CancelIntended)]
    assert [o.quantity for o in due.facts if isinstance(o, OrderIntended)] == [D("0.5")]


def test_a_limit_that_filled_after_all_leaves_nothing_to_stop():
    state = run(
        holding(),
        PlaceOrder(
            symbol=ETH, side=SELL, quantity=D(1), order_type=OrderType.LIMIT, price=D(2050), reduce_only=True
        ),
    )
    state = run(state, conditional(STOP, SELL, "1", "1900", reduce_only=True))
    due = run(state, WAKE, at("1900"))
    filled = decide(due, fill_of(state.orders[0], price="2050"), at("1900"))
    assert [f.status for f in filled.facts if isinstance(f, ConditionalEnded)] == [ConditionalStatus.EXPIRED]
    assert not [f for f in filled.facts if isinstance(f, OrderIntended)]


def test_liquidation_cancels_them_and_frees_their_margin():
    sick = holding("10", balance="2000", maintenance_rate=D("0.02"))
    sick = run(sick, conditional(STOP, SELL, "10", "1500", reduce_only=True))
    sick = run(sick, conditional(STOP, BUY, "0.1", "2500", leverage=D(100)))
    # At a ratio of 0.9 a step: what would open goes, the stop of the position stays.
    reducing = run(sick, WAKE, at("1844.4"))
    assert reducing.phase is Phase.REDUCING
    assert [c.placed.reduce_only for c in reducing.conditionals] == [True]
    assert [o.purpose for o in reducing.orders] == [Purpose.ADL]
    everything = run(sick, WAKE, at("1810"))
    assert everything.phase is Phase.LIQUIDATING
    assert everything.conditionals == ()


def test_none_fires_while_a_step_works():
    sick = holding("10", balance="2000", maintenance_rate=D("0.02"))
    sick = run(sick, conditional(STOP, SELL, "10", "1850", reduce_only=True))
    # Both at once: the step wins.
    stepped = run(sick, WAKE, at("1844.4"))
    assert [o.purpose for o in stepped.orders] == [Purpose.ADL]
    assert decide(stepped, WAKE, at("1840")).facts == ()


def test_a_stale_price_fires_nothing():
    state = run(account("10000"), conditional(STOP, BUY, "0.5", "2100"))
    late = market({ETH: "2200"}, now_ns=WIDE.price_max_age_ns + 1)
    assert decide(state, WAKE, late).facts == ()


def test_cancel_by_id_and_of_one_that_is_gone():
    state = run(account("10000"), conditional(STOP, BUY, "0.5", "2100"))
    [ended] = decide(state, CancelOrder(state.conditionals[0].client_order_id), market()).facts
    assert ended.status is ConditionalStatus.CANCELED
    gone = run(state, CancelOrder(state.conditionals[0].client_order_id))
    assert isinstance(
        decide(gone, CancelOrder(state.conditionals[0].client_order_id), market()).reply, Rejected
    )


def test_orders_and_conditional_orders_share_one_sequence():
    state = run(account("10000"), conditional(STOP, BUY, "0.5", "2100"))
    state = run(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")))
    assert [state.conditionals[0].placed.sequence, state.orders[0].sequence] == [1, 2]


def test_while_the_engine_takes_no_new_risk_one_that_opens_is_rejected_and_one_that_closes_fires():
    closed_gate = market({ETH: "2200"}, reduce_only=True)
    opening = run(account("10000"), conditional(STOP, BUY, "0.5", "2100"))
    assert [f.status for f in decide(opening, WAKE, closed_gate).facts] == [ConditionalStatus.REJECTED]
    closing = run(holding("-0.5"), conditional(STOP, BUY, "0.5", "2100", reduce_only=True))
    assert [type(f) for f in decide(closing, WAKE, closed_gate).facts] == [ConditionalEnded, OrderIntended]


def test_due_orders_survive_in_the_state_that_is_loaded():
    state = run(account("10000"), conditional(STOP, BUY, "0.5", "2100"))
    due = replace(state, conditionals=(replace(state.conditionals[0], due=True),))
    assert run(due, WAKE, at("1500")).orders


@pytest.mark.parametrize(("mid", "written"), [("2019.99", False), ("2020", True)])
def test_a_better_price_is_written_when_it_moves_the_stop_by_an_eighth_of_its_rate(mid, written):
    state = run(account("10000"), conditional(TRAIL, SELL, "0.5", None, callback_rate=D("0.08")))
    facts = decide(state, WAKE, at(mid)).facts
    assert [f.extreme for f in facts] == ([D(mid)] if written else [])
