"""Orders that the journal lost with a restored backup: booked whole, counted, and never sent."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderStatus, OrderType, Phase, TimeInForce
from actors.core.errors import StateCorrupt
from actors.core.facts import FillApplied, OrderAcknowledged, OrderEnded, OrderIntended, PositionClosed
from actors.core.messages import BookRecovered, OrderAccepted, PlaceOrder
from actors.core.order_ids import FIXED, Origin, StartId, client_order_id
from actors.core.orders import is_recovered
from actors.core.trades import Trade
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold
from actors.subaccount.state import books_balance
from tests.factories import BUY, ETH, SELL, account, market, position, run

EARLIER = Origin(FIXED.fleet, StartId("0000zz"))


def trade(number, quantity, price, side=BUY, fee="0.1", order=900):
    return Trade(
        exchange_order_id=order, trade_id=number, symbol=ETH, side=side, quantity=D(quantity), price=D(price),
        fee=D(fee), maker=False, trade_ms=number,
    )  # fmt: skip


def lost(number=1, trades=None, side=BUY, quantity="3", **more):
    """An order of an earlier start, whose journal is gone."""
    found = trades or (trade(1, "1", "1990", side), trade(2, "2", "1993", side))
    of = {
        "client_order_id": client_order_id(EARLIER, "acct-1", number), "exchange_order_id": 900, "symbol": ETH,
        "side": side, "order_type": OrderType.MARKET, "quantity": D(quantity), "price": None,
        "time_in_force": TimeInForce.GTC, "status": OrderStatus.FILLED, "placed_ms": 7, "trades": found,
    }  # fmt: skip
    return BookRecovered(**{**of, **more})


def test_all_of_it_is_one_decision_and_the_books_are_those_of_an_account_that_knew_it():
    before = account("5000")
    decision = decide(before, lost(), market())
    kinds = [type(fact) for fact in decision.facts]
    assert kinds == [OrderIntended, OrderAcknowledged, FillApplied, FillApplied, OrderEnded]
    state = decision.state
    assert (state.sequence, state.orders) == (1, ())
    assert (state.balance, state.fees) == (D("4999.8"), D("0.2"))
    assert [(p.quantity, p.cost) for p in state.positions] == [(D(3), D(1990 + 2 * 1993))]
    assert books_balance(state)
    again = before
    for fact in decision.facts:
        again = fold(again, fact)
    assert replace(again, sequence=1) == state


def test_it_may_close_what_was_held_and_have_ended_before_all_of_it_traded():
    before = account("5000", [position(quantity="2")])
    part = lost(side=SELL, trades=(trade(5, "2", "1990", SELL),), quantity="3", status=OrderStatus.CANCELED)
    decision = decide(before, part, market())
    assert decision.state.positions == ()
    assert decision.state.realized == D(-20)
    assert any(isinstance(fact, PositionClosed) for fact in decision.facts)
    [ended] = [fact for fact in decision.facts if isinstance(fact, OrderEnded)]
    assert ended.status is OrderStatus.CANCELED


def test_the_next_order_has_a_number_that_no_lost_one_had_and_late_events_are_duplicates():
    state = run(account("50000"), lost(number=7))
    assert state.next_order_sequence == 8
    state = run(state, lost(number=12, trades=(trade(9, "3", "1991"),)))
    assert state.next_order_sequence == 13
    late = OrderAccepted(client_order_id(EARLIER, "acct-1", 12), 900)
    assert decide(state, late, market()).duplicate
    placed = decide(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market())
    assert placed.reply.client_order_id == client_order_id(FIXED, "acct-1", 13)


def test_a_number_that_was_used_since_counts_as_the_next():
    state = run(account("50000"), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)))
    decision = decide(state, lost(number=1), market())
    [intended] = [fact for fact in decision.facts if isinstance(fact, OrderIntended)]
    assert (intended.sequence, intended.client_order_id) == (2, client_order_id(EARLIER, "acct-1", 1))
    assert decision.state.orders == state.orders
    assert decision.state.next_order_sequence == 3


def test_what_it_sets_off_is_decided_at_once_and_is_no_lost_order():
    """Only what was learned from the exchange is kept from being sent."""
    ruined = account("150", maintenance_rate=D("0.02"))
    decision = decide(ruined, lost(), market({ETH: "1970"}))
    assert decision.state.phase is not Phase.HEALTHY
    learned, step = [fact for fact in decision.facts if isinstance(fact, OrderIntended)]
    assert is_recovered(learned)
    assert not is_recovered(step)


def test_one_that_works_here_is_left_to_the_gateway():
    state = run(account("50000"), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)))
    known = lost(client_order_id=state.orders[0].client_order_id)
    decision = decide(state, known, market())
    assert (decision.duplicate, decision.facts) == (True, ())


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"client_order_id": client_order_id(EARLIER, "acct-2", 1)}, "is no order of it"),
        ({"client_order_id": "bh-1"}, "is no order of it"),
        ({"quantity": D("2.9")}, "trades of 3 are not all of"),
        ({"trades": (trade(1, "3", "1990", SELL),)}, "trade 1 is not of"),
        ({"trades": (trade(1, "1", "1990"), trade(1, "1", "1990"))}, "is booked already"),
    ],
)
def test_what_cannot_be_true_is_refused_whole(wrong, text):
    with pytest.raises(StateCorrupt, match=text):
        decide(account("5000"), lost(**wrong), market())


def test_without_trades_there_is_nothing_to_book():
    with pytest.raises(StateCorrupt, match="trades of 0 are not all of"):
        decide(account("5000"), replace(lost(), trades=()), market())


def test_numbers_are_left_out_by_lost_orders_alone():
    state = account()
    intended = decide(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")), market()).facts[0]
    with pytest.raises(StateCorrupt, match="order 3 does not follow 0"):
        fold(state, replace(intended, sequence=3))
    used = replace(state, next_order_sequence=4)
    with pytest.raises(StateCorrupt, match="order 3 does not follow 3"):
        fold(used, replace(intended, sequence=3, cause="recovered:1"))
    assert fold(used, replace(intended, sequence=4, cause="recovered:1")).next_order_sequence == 5
