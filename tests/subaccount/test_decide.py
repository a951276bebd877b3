"""Commands and exchange events: duplicates, gaps, strangers, and what is never booked twice.

Covers: actors/core/facts.py, actors/subaccount/intents.py, actors/subaccount/pipeline.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import AccountStatus, OrderStatus
from actors.core.errors import StateCorrupt
from actors.core.messages import AdjustBalance, CancelOrder, OrderAccepted, OrderClosed, PlaceOrder, SetStatus
from actors.core.order_ids import FIXED, FleetId, Origin, StartId, client_order_id
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.rejections import RejectCode
from tests.factories import BUY, ETH, SELL, account, fill_of, market, position, run

BUY_ONE = PlaceOrder(symbol=ETH, side=BUY, quantity=D(1))


def rejected(decision):
    assert isinstance(decision.reply, Rejected)
    assert decision.facts == ()
    return [r.code for r in decision.reply.rejections]


def test_a_repeated_fill_is_counted_and_not_booked():
    state = run(account(), BUY_ONE)
    once = run(state, fill_of(state.orders[0], quantity="0.5"))
    again = decide(once, fill_of(state.orders[0], quantity="0.5"), market())
    assert again.duplicate
    assert again.state is once


def test_a_fill_after_the_end_of_its_order_is_a_duplicate():
    state = run(account(), BUY_ONE)
    order = state.orders[0]
    done = run(run(state, fill_of(order)), OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)))
    assert done.orders == ()
    assert decide(done, fill_of(order), market()).duplicate


def test_the_end_waits_for_missing_fills_and_asks_for_them():
    state = run(account(), BUY_ONE)
    order = state.orders[0]
    early = decide(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), market())
    assert early.resync == (order.client_order_id,)
    assert early.state is state


def test_more_fills_than_the_exchange_knows_is_corrupt():
    state = run(account(), BUY_ONE)
    order = state.orders[0]
    filled = run(state, fill_of(order))
    with pytest.raises(StateCorrupt, match="but the exchange says"):
        decide(filled, OrderClosed(order.client_order_id, OrderStatus.CANCELED, D("0.5")), market())


def test_an_event_of_a_stranger_s_order_is_corrupt():
    stranger = OrderAccepted(client_order_id(FIXED, "acct-2", 1), 5)
    with pytest.raises(StateCorrupt, match="never intended"):
        decide(account(), stranger, market())
    for number in (account().next_order_sequence, 9):
        ours_of_the_future = OrderAccepted(client_order_id(FIXED, "acct-1", number), 5)
        with pytest.raises(StateCorrupt, match="never intended"):
            decide(account(), ours_of_the_future, market())


def test_a_late_event_of_an_order_of_any_start_or_release_of_ours_is_a_duplicate():
    state = replace(account(), next_order_sequence=5)
    old = "bh-2df37e62254fb358-4"
    earlier = client_order_id(replace(FIXED, start="zzzzzz"), "acct-1", 4)
    for id_ in (old, earlier):
        for late in (OrderAccepted(id_, 5), OrderClosed(id_, OrderStatus.FILLED, D(1))):
            decision = decide(state, late, market())
            assert decision.duplicate
            assert decision.state is state


def test_an_order_of_the_same_account_in_another_fleet_is_corrupt():
    theirs = client_order_id(replace(FIXED, fleet="zzzzzz"), "acct-1", 1)
    with pytest.raises(StateCorrupt, match="never intended"):
        decide(replace(account(), next_order_sequence=5), OrderAccepted(theirs, 5), market())


def test_orders_carry_the_origin_that_the_decision_was_given_and_no_other():
    origin = Origin(FleetId("f0f0f0"), StartId("5t5t5t"))
    decisions = [decide(account(), BUY_ONE, market(origin=origin)) for _ in range(2)]
    assert decisions[0] == decisions[1]
    assert decisions[0].facts[0].client_order_id == client_order_id(origin, "acct-1", 1)
    assert decisions[0].facts[0].client_order_id.startswith("bh-f0f0f0-5t5t5t")


def test_a_fill_of_the_wrong_side_or_symbol_is_corrupt():
    state = run(account(), BUY_ONE)
    wrong = fill_of(state.orders[0])
    object_side = replace(wrong, trade=replace(wrong.trade, side=SELL))
    with pytest.raises(StateCorrupt, match="is not of"):
        decide(state, object_side, market())


def test_a_rejected_order_frees_its_margin():
    state = run(account("1000"), BUY_ONE)
    after = run(state, OrderClosed(state.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -2019, "no"))
    assert after.orders == ()
    assert after.balance == D(1000)


def test_cancel_of_an_unknown_order_is_refused_by_name():
    decision = decide(account(), CancelOrder(client_order_id(FIXED, "acct-1", 5)), market())
    assert rejected(decision) == [RejectCode.ORDER_NOT_FOUND]


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "0"])
def test_an_impossible_deposit_is_refused(amount):
    assert rejected(decide(account(), AdjustBalance(D(amount), "x"), market())) == [
        RejectCode.INVALID_QUANTITY
    ]


def test_a_withdrawal_is_limited_to_what_is_free():
    state = account("1000", [position(quantity="1", entry="2000", leverage="10")])
    assert rejected(decide(state, AdjustBalance(D(-801), "x"), market())) == [RejectCode.INSUFFICIENT_MARGIN]
    assert run(state, AdjustBalance(D(-800), "x")).balance == D(200)
    assert rejected(decide(state, AdjustBalance(D(-1), "x"), market({}))) == [RejectCode.STALE_PRICE]


def test_a_deposit_rescues_at_once():
    state = account("105", [position(quantity="10", entry="2000")])
    assert run(state, AdjustBalance(D(1000), "rescue")).orders == ()


def test_freeze_and_unfreeze():
    frozen = decide(account(), SetStatus(AccountStatus.FROZEN), market())
    assert isinstance(frozen.reply, Accepted)
    assert frozen.state.status is AccountStatus.FROZEN
    assert run(frozen.state, SetStatus(AccountStatus.ACTIVE)).status is AccountStatus.ACTIVE


def test_a_liquidated_account_is_not_reactivated_by_hand():
    gone = account(status=AccountStatus.LIQUIDATED)
    assert rejected(decide(gone, SetStatus(AccountStatus.ACTIVE), market())) == [
        RejectCode.ACCOUNT_NOT_ACTIVE
    ]
    assert rejected(decide(account(), SetStatus(AccountStatus.LIQUIDATED), market())) == [
        RejectCode.ACCOUNT_NOT_ACTIVE
    ]


def test_each_durable_decision_counts_one():
    state = run(account(), BUY_ONE)
    assert state.sequence == 1
    assert run(state, OrderAccepted(state.orders[0].client_order_id, 9)).sequence == 2
