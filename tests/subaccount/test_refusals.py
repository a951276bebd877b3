"""What an account remembers of the exchange's last refusal, and what people read of it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import Breaker, OrderStatus
from actors.core.facts import BreakerChanged
from actors.core.messages import OrderClosed, PlaceOrder
from actors.core.orders import end_text
from actors.gateway.messages import Answered, Outcome
from actors.runtime.envelope import shown
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, WIDE, account, market, run

ORDER = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20))
WORDS = "Margin is insufficient."


def close(state, status=OrderStatus.REJECTED, code=-2019, reason=WORDS):
    return OrderClosed(state.orders[-1].client_order_id, status, D(0), code, reason)


@pytest.mark.parametrize(
    ("status", "code", "reason", "text"),
    [
        ("REJECTED", -2019, WORDS, "REJECTED -2019 Margin is insufficient."),
        ("EXPIRED", 0, "self-trade", "EXPIRED self-trade"),
        ("REJECTED", -4131, "", "REJECTED -4131"),
        ("CANCELED", 0, "", "CANCELED"),
        ("REJECTED", None, None, "REJECTED"),
    ],
)
def test_an_end_in_one_line(status, code, reason, text):
    assert end_text(status, code, reason) == text


def test_the_last_refusal_is_remembered_until_the_next_one():
    state = run(account("10000"), ORDER)
    id_ = state.orders[-1].client_order_id
    state = run(state, close(state))
    assert state.risk.last_refusal == f"{id_} REJECTED -2019 {WORDS}"
    state = run(state, ORDER)
    state = run(state, close(state, OrderStatus.CANCELED, 0, "asked for"))
    assert state.risk.last_refusal == f"{id_} REJECTED -2019 {WORDS}"
    state = run(state, ORDER)
    second = state.orders[-1].client_order_id
    state = run(state, close(state, OrderStatus.EXPIRED, 0, "self-trade prevention ended it"))
    assert state.risk.last_refusal == f"{second} EXPIRED self-trade prevention ended it"


def test_a_breaker_that_refusals_open_says_what_the_last_one_was():
    limits = replace(WIDE, max_consecutive_errors=1)
    state = run(account("10000", limits=limits), ORDER)
    id_ = state.orders[-1].client_order_id
    [opened] = [f for f in decide(state, close(state), market()).facts if isinstance(f, BreakerChanged)]
    assert opened.breaker is Breaker.OPEN
    assert opened.reason == f"1 refused orders in a row, the last: {id_} REJECTED -2019 {WORDS}"


def test_a_message_that_is_cut_keeps_the_reason():
    """Mailboxes, traces and dead letters show the first characters of a message."""
    id_ = "bh-2df37e62254fb358-123456"
    closed = OrderClosed(id_, OrderStatus.REJECTED, D(0), -2019, WORDS, "tick:ETHUSDT:5123107839020")
    assert shown(closed, 100) == f"OrderClosed({id_} REJECTED -2019 {WORDS}, executed 0)"
    answered = Answered(
        request="place",
        client_order_id=id_,
        outcome=Outcome.REFUSED,
        code=-2019,
        text=WORDS,
        retry_after_ms=0,
    )
    assert shown(answered, 100) == f"Answered(place {id_} REFUSED -2019 {WORDS})"
    unknown = Answered(request="query", client_order_id=id_, outcome=Outcome.NOT_FOUND)
    assert shown(unknown, 100) == f"Answered(query {id_} NOT_FOUND)"
