"""Positions that are too small for the exchange: in a step of deleveraging, and when the owner closes them."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import (
    AccountStatus,
    ConditionalKind,
    ConditionalStatus,
    OrderStatus,
    OrderType,
    Phase,
    Purpose,
    TimeInForce,
)
from actors.core.facts import ConditionalEnded, OrderIntended, PositionClosed, PositionTakenOver
from actors.core.messages import CloseOut, OrderClosed, PlaceConditional, PlaceOrder, Wake
from actors.limits.model import MarkSource
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.state import books_balance
from tests.factories import (
    BTC,
    BUY,
    ETH,
    INSTRUMENTS,
    SELL,
    WIDE,
    account,
    fill_of,
    market,
    position,
    run,
)

WAKE = Wake(BTC, "test")
HUNDRED = {
    **INSTRUMENTS,
    BTC: replace(INSTRUMENTS[BTC], min_notional=D(100), step_size=D("0.001"), min_qty=D("0.001")),
}
"""BTC as at the exchange in 2026: steps of 0.001, at least 100 USDT an order."""


def at(mid, spread="0", **more):
    return market({BTC: mid}, instruments=HUNDRED, spread=spread, **more)


def of_btc(quantity, entry="50000", balance="1000", leverage="100", **changes):
    return account(balance, [position(BTC, quantity, entry, leverage)], **changes)


def sell(quantity, **changes):
    return PlaceOrder(**{"symbol": BTC, "side": SELL, "quantity": D(quantity), **changes})


def taken(decision):
    return [f for f in decision.facts if isinstance(f, PositionTakenOver)]


def orders(decision):
    return [f for f in decision.facts if isinstance(f, OrderIntended)]


@pytest.mark.parametrize(("balance", "ratio"), [("0.75", "0.909"), ("0.74", "0.926")])
def test_an_account_whose_last_position_was_dust_is_healthy_again(balance, ratio):
    """At the first tier and at the second. It stayed REDUCING for ever, without a trigger, refusing every order."""
    decision = decide(of_btc("0.002", balance=balance), WAKE, at("49900"))
    assert [(t.quantity, t.price, t.fee) for t in taken(decision)] == [(D("0.002"), D(49900), D(0))]
    after = decision.state
    assert (after.positions, after.phase, after.status) == ((), Phase.HEALTHY, AccountStatus.ACTIVE)
    assert after.balance == D(balance) - D("0.2")
    rich = replace(after, balance=D(1000), deposits=after.deposits + 1000 - after.balance)
    assert isinstance(decide(rich, sell("0.01", leverage=D(10)), at("49900")).reply, Accepted)


def test_after_dust_is_gone_the_rest_is_assessed_in_the_same_decision():
    """The largest of two is dust: the house has it, and what is left is calm or stepped on at once."""
    held = [position(BTC, "0.001", "60000", "100"), position(ETH, "0.02", "2000", "100", number=2)]
    both = market({BTC: "60000", ETH: "2000"}, instruments=HUNDRED)
    calm = decide(account("0.55", held), WAKE, both)
    assert [t.symbol for t in taken(calm)] == [BTC]
    assert (calm.state.phase, calm.state.symbols, orders(calm)) == (Phase.HEALTHY, (ETH,), [])
    worse = [replace(held[0]), position(ETH, "0.029", "2000", "100", number=2)]
    lost = {BTC: "59820", ETH: "2000"}
    stepped = decide(account("0.497", worse), WAKE, market(lost, instruments=HUNDRED))
    assert [t.symbol for t in taken(stepped)] == [BTC]
    assert [o.symbol for o in orders(stepped)] == [ETH]


@pytest.mark.parametrize(
    ("message", "spread"),
    [
        (sell("0.001"), "10"),
        (sell("0.001", reduce_only=True), "10"),
        (sell("0.001", order_type=OrderType.LIMIT, price=D(49895), reduce_only=True), "10"),
        (sell("0.001", order_type=OrderType.LIMIT, price=D(49000), time_in_force=TimeInForce.IOC), "10"),
    ],
    ids=["opposite", "reduce-only", "limit at the touch", "limit through the touch"],
)
def test_the_owner_closes_a_rest_and_the_house_takes_it_at_the_touch_with_the_taker_s_fee(message, spread):
    """A long of 0.001 is worth 50, the exchange takes 100 at least; a free exit at the mid could be farmed."""
    decision = decide(of_btc("0.001"), message, at("49900", spread))
    [gone] = taken(decision)
    assert (gone.quantity, gone.price, gone.realized) == (D("0.001"), D(49895), D("-0.105"))
    assert gone.fee == D("0.001") * 49895 * D("0.0005")
    assert orders(decision) == []
    after = decision.state
    assert after.balance == 1000 + gone.realized - gone.fee
    assert (after.positions, after.fees, after.phase) == ((), gone.fee, Phase.HEALTHY)
    assert books_balance(after)
    [record] = [f for f in decision.facts if isinstance(f, PositionClosed)]
    assert (record.purpose, record.realized, record.fees) == (Purpose.USER, gone.realized, gone.fee)
    reply = decision.reply
    assert isinstance(reply, Accepted)
    assert reply.client_order_id is None
    assert reply.house is not None
    assert (reply.house.symbol, reply.house.quantity, reply.house.price, reply.house.fee) == (
        BTC, D("0.001"), D(49895), gone.fee,
    )  # fmt: skip


def test_a_short_rest_is_bought_back_at_the_ask():
    buy = PlaceOrder(symbol=BTC, side=BUY, quantity=D("0.001"), reduce_only=True)
    [gone] = taken(decide(of_btc("-0.001"), buy, at("49900", "10")))
    assert (gone.quantity, gone.price, gone.realized) == (D("-0.001"), D(49905), D("0.095"))


@pytest.mark.parametrize(("price", "is_taken"), [(49905, True), (50000, True), (49904, False)])
def test_a_short_rest_is_bought_back_by_a_limit_at_or_through_the_ask(price, is_taken):
    buy = PlaceOrder(
        symbol=BTC,
        side=BUY,
        quantity=D("0.001"),
        order_type=OrderType.LIMIT,
        price=D(price),
        reduce_only=True,
    )
    assert bool(taken(decide(of_btc("-0.001"), buy, at("49900", "10")))) is is_taken


def test_part_of_a_rest_below_the_least_quantity_says_the_cure_too():
    coarse = {BTC: replace(HUNDRED[BTC], min_qty=D("0.005"), min_notional=D(5))}
    reply = decide(of_btc("0.004"), sell("0.002"), market({BTC: "50000"}, instruments=coarse)).reply
    assert isinstance(reply, Rejected)
    assert [r.code for r in reply.rejections] == ["MIN_NOTIONAL"]
    assert "close it whole" in reply.rejections[0].text


def test_the_fee_of_the_house_is_a_limit_of_the_account():
    free = of_btc("0.001", limits=replace(WIDE, taker_fee_rate=D("0.001")))
    assert taken(decide(free, sell("0.001"), at("50000")))[0].fee == D("0.05")


@pytest.mark.parametrize(
    ("held", "message", "cure"),
    [
        ("0.0016", sell("0.001"), "close it whole"),
        ("0.0016", sell("0.001", reduce_only=True), "close it whole"),
        (
            "0.001",
            sell("0.001", order_type=OrderType.LIMIT, price=D(50100), reduce_only=True),
            "market order",
        ),
        (
            "0.001",
            sell("0.001", order_type=OrderType.LIMIT, price=D(49000), time_in_force=TimeInForce.GTX),
            "market order",
        ),
        ("0.010", sell("0.001"), "0.002 or more"),
        ("0.003", sell("0.002"), None),
        ("0.002", sell("0.003"), None),
    ],
    ids=[
        "part of a rest",
        "part, reduce-only",
        "would rest",
        "never takes",
        "part of more",
        "leaves a rest",
        "flips",
    ],
)
def test_what_else_is_below_the_minimum_is_refused_and_says_the_cure(held, message, cure):
    decision = decide(of_btc(held), message, at("50000"))
    assert taken(decision) == []
    if cure is None:
        assert isinstance(decision.reply, Accepted)
        assert len(orders(decision)) == 1
        return
    assert isinstance(decision.reply, Rejected)
    [rejection] = decision.reply.rejections
    assert rejection.code == "MIN_NOTIONAL"
    assert cure in rejection.text


def test_at_the_minimum_itself_the_exchange_has_it():
    decision = decide(of_btc("0.002"), sell("0.002"), at("50000"))
    assert [o.quantity for o in orders(decision)] == [D("0.002")]
    assert len(taken(decide(of_btc("0.002"), sell("0.002"), at("49999.9")))) == 1


def test_a_rest_below_the_least_quantity_is_one_too():
    coarse = {BTC: replace(HUNDRED[BTC], min_qty=D("0.005"), min_notional=D(5))}
    decision = decide(of_btc("0.004"), sell("0.004"), market({BTC: "50000"}, instruments=coarse))
    assert len(taken(decision)) == 1
    at_least = decide(of_btc("0.005"), sell("0.005"), market({BTC: "50000"}, instruments=coarse))
    assert len(orders(at_least)) == 1


def test_a_rest_that_a_resting_order_closes_already_is_not_closed_twice():
    limit = sell("0.003", order_type=OrderType.LIMIT, price=D(51000), reduce_only=True)
    resting = run(of_btc("0.003"), limit, at("50000"))
    order = resting.orders[0]
    part = run(resting, fill_of(order, quantity="0.002", price="51000"), at("50000"))
    decision = decide(part, sell("0.001", reduce_only=True), at("50000"))
    assert taken(decision) == []
    assert isinstance(decision.reply, Rejected)


def test_rests_are_not_taken_while_a_liquidation_works_nor_at_a_stale_price():
    liquidating = of_btc("0.001", phase=Phase.LIQUIDATING)
    assert isinstance(decide(liquidating, sell("0.001"), at("50000")).reply, Rejected)
    late = WIDE.price_max_age_ns + 1
    stale = decide(of_btc("0.001"), sell("0.001"), at("50000", now_ns=late, received_ns=0))
    assert isinstance(stale.reply, Rejected)
    assert stale.reply.rejections[0].code == "STALE_PRICE"


@pytest.mark.parametrize("reduce_only", [True, False])
def test_a_stop_on_a_rest_may_wait_and_fires_to_the_house_at_the_touch(reduce_only):
    stop = PlaceConditional(
        kind=ConditionalKind.STOP_MARKET, symbol=BTC, side=SELL, quantity=D("0.001"), trigger_price=D(49000),
        reduce_only=reduce_only,
    )  # fmt: skip
    waiting = decide(of_btc("0.001"), stop, at("50000"))
    assert isinstance(waiting.reply, Accepted), waiting.reply
    fired = decide(waiting.state, WAKE, at("48990", "20"))
    [gone] = taken(fired)
    assert (gone.price, gone.fee) == (D(48980), D("0.001") * 48980 * D("0.0005"))
    [ended] = [f for f in fired.facts if isinstance(f, ConditionalEnded)]
    assert (ended.status, ended.order_id) == (ConditionalStatus.TRIGGERED, None)
    assert (fired.state.positions, fired.state.conditionals, orders(fired)) == ((), (), [])


def test_the_owner_may_leave_a_rest_and_close_it_afterwards():
    """SELL 0.002 of 0.003 leaves a rest that nobody could close."""
    now = at("50000")
    sold = run(of_btc("0.003"), sell("0.002"), now)
    order = sold.orders[0]
    sold = run(sold, fill_of(order, price="50000"), now)
    sold = run(sold, OrderClosed(order.client_order_id, OrderStatus.FILLED, D("0.002")), now)
    assert sold.positions[0].quantity == D("0.001")
    done = run(sold, sell("0.001", reduce_only=True), now)
    assert (done.positions, done.status) == ((), AccountStatus.ACTIVE)


@pytest.mark.parametrize(
    ("entry", "mark", "quantity"),
    [("3078.5", "3561.8", "0.006"), ("3561.8", "3078.5", "0.007")],
)
def test_the_least_step_is_counted_at_the_mark(entry, mark, quantity):
    """A short that lost stepped 0.007, at its old entry; what the exchange looks at is the price of now."""
    held = position(ETH, "-0.016", entry)
    loss = held.unrealized(D(mark))
    rate = D("0.905") * 10 / (D("0.016") * D(entry))
    state = account(str(10 - loss), [held], maintenance_rate=rate)
    [order] = orders(decide(state, Wake(ETH, "test"), market({ETH: mark})))
    assert (order.quantity, order.purpose) == (D(quantity), Purpose.ADL)


def test_a_position_worth_more_than_the_minimum_at_the_mark_is_no_dust():
    """A short worth 150, entered when it was worth 90: an order, and nothing for the house."""
    held = position(BTC, "-0.003", "30000")
    decision = decide(account("10", [held]), WAKE, at("50000"))
    assert [o.quantity for o in orders(decision)] == [D("0.003")]
    assert taken(decision) == []


@pytest.mark.parametrize(("source", "price"), [(MarkSource.MID, D(50000)), (MarkSource.EXIT, D(49995))])
def test_a_close_out_that_lacks_another_price_hands_dust_over_at_the_account_s_own_mark(source, price):
    held = [position(BTC, "0.001", "50000"), position(ETH, "1", number=2)]
    state = account("1000", held, replace(WIDE, mark_source=source))
    decision = decide(state, CloseOut("fire"), at("50000", spread="10"))
    assert [f.price for f in decision.facts if isinstance(f, PositionTakenOver)] == [price]
