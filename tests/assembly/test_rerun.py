"""A rerun says where a decision differs from the one that was recorded, and in what."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from msgspec.structs import replace

from actors.assembly.rerun import Verdict, own_frames, rerun
from actors.core.enums import OrderStatus
from actors.core.messages import OrderAccepted, OrderClosed, PlaceOrder, Wake
from actors.core.units import AccountId
from actors.runtime.failure_text import traceback_text
from actors.subaccount import capture, losses
from actors.subaccount.capture import Capture
from actors.subaccount.recording import (
    Action,
    Recorded,
    Recorder,
    decide_again,
    decide_in,
    inputs_of,
    watched,
)
from tests.factories import BUY, ETH, account, fill_of, market

ID = AccountId("acct-1")


def lived():
    """An order from its placing to its end, and one that is refused, as a capture that went through a file."""
    recorder, state = Recorder(100), account()

    def told(message):
        nonlocal state
        decision = decide_in(watched(market()), state, message)
        recorder.keep(decision, state, message, Action.DECIDE)
        state = decision.state

    told(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20), cause="c"))
    [order] = state.orders
    told(OrderAccepted(order.client_order_id, 50))
    told(fill_of(order, trade_id=7, fee="0.1"))
    told(OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity))
    told(PlaceOrder(symbol=ETH, side=BUY, quantity=D(-1), leverage=D(20), cause="c"))
    decisions = tuple(capture.captured(one) for one in recorder.of(ID))
    return capture.decode(capture.encode(Capture(account=ID, made_ms=1, decisions=decisions)), "x")


def changed(made, number, **fields):
    decisions = list(made.decisions)
    decisions[number - 1] = replace(decisions[number - 1], **fields)
    return replace(made, decisions=tuple(decisions))


def raw(data):
    return msgspec.Raw(data if isinstance(data, bytes) else msgspec.json.encode(data))


def differences(made):
    return {one.number: one.difference for one in rerun(made) if one.difference}


def test_what_was_recorded_is_made_again_and_each_step_is_shown_before_it_is_made():
    made, seen = lived(), []

    def step(number, recorded, state, message):
        seen.append((number, recorded.message_kind, state.sequence, type(message).__name__))

    found = list(rerun(made, step))
    assert [one.verdict for one in found] == [Verdict.SAME] * 5
    assert seen[0] == (1, "PlaceOrder", 0, "PlaceOrder")
    assert [one[:3] for one in seen[1:]] == [
        (2, "OrderAccepted", 1),
        (3, "Fill", 2),
        (4, "OrderClosed", 3),
        (5, "PlaceOrder", 4),
    ]
    assert b"FillApplied" in found[2].facts
    assert b"Rejected" in found[4].reply


def test_the_first_fact_and_field_that_differ_are_named():
    made = lived()
    facts = msgspec.json.decode(made.decisions[2].facts)
    [fill] = facts
    for now, why in (
        (
            [{**fill, "trade": {**fill["trade"], "trade_id": 8}}],
            "FillApplied: trade.trade_id is 7 instead of 8",
        ),
        ([{**fill, "fact": "Other"}], "fact 1 is FillApplied instead of Other"),
        ([fill, fill], "1 facts instead of 2: without FillApplied"),
        ([], "1 facts instead of 0: besides FillApplied"),
        (b" " + bytes(made.decisions[2].facts), "the facts say the same in other bytes"),
    ):
        known = changed(made, 3, facts=raw(now))
        again = rerun(known)
        found = [next(again), next(again), next(again)]
        assert [one.verdict for one in found] == [Verdict.SAME, Verdict.SAME, Verdict.DIFFERENT]
        assert why in found[2].difference


def test_another_answer_another_market_or_another_state_is_a_difference():
    made = lived()
    [number] = differences(changed(made, 5, reply=raw(b'{"type":"Accepted"}')))
    assert number == 5
    inputs = made.decisions[0].inputs
    dear = {ETH: replace(inputs.ticks[ETH], bid=D(3000), ask=D(3000))}
    assert "margin_reserved is" in differences(changed(made, 1, inputs=replace(inputs, ticks=dear)))[1]
    gone = differences(changed(made, 1, inputs=replace(inputs, ticks={})))
    assert "the price of ETHUSDT is not among the recorded inputs" in gone[1]
    other = account(balance="7", sequence=4)
    elsewhere = capture.captured(Recorded(before=other, message=object(), inputs=None))
    swapped = changed(
        made, 5, state=elsewhere.state, state_hash=elsewhere.state_hash, base_limits=other.base_limits
    )
    assert "the decision before it ends with the state" in differences(swapped)[5]


def poisoned(_now):
    raise ZeroDivisionError("a planted poison")


def failed():
    state, inputs = account(), inputs_of(watched(market()))
    message = Wake(ETH, "tick")
    try:
        decide_again(state, message, inputs, Action.DECIDE)
    except ZeroDivisionError as error:
        one = Recorded(before=state, message=message, inputs=inputs)
        made = capture.captured(one, f"ZeroDivisionError: {error}", traceback_text(error))
        return capture.decode(capture.encode(Capture(account=ID, made_ms=1, decisions=(made,))), "x")
    pytest.fail("the poison did nothing")


def test_a_planted_poison_fails_again_at_the_same_lines(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(losses, "turn_of_day", poisoned)
        made = failed()
        [again] = rerun(made)
        assert (again.verdict, again.error) == (Verdict.SAME_ERROR, "ZeroDivisionError: a planted poison")
        assert [frame.partition(":")[0] for frame in own_frames(again.traceback)] == [
            "subaccount/decide.py",
            "subaccount/decide.py",
            "assembly/test_rerun.py",
        ]
        elsewhere = changed(made, 1, traceback=made.decisions[0].traceback.replace("line ", "line 1"))
        assert "it fails elsewhere: at subaccount/decide.py" in differences(elsewhere)[1]
        other = changed(made, 1, error="KeyError: 1")
        assert differences(other) == {
            1: "it fails with another error: ZeroDivisionError: a planted poison instead of KeyError: 1"
        }
        fine = changed(made, 1, error="", traceback="")
        assert "it fails now, and did not when it was recorded" in differences(fine)[1]
    assert "does not fail now" in differences(made)[1], "repaired"
