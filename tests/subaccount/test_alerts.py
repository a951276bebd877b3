"""What a human hears of, in words; and of nothing else."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import Alert, Breaker, ConditionalKind, ConditionalStatus, OrderStatus, Phase
from actors.core.facts import (
    BadDebtRecorded,
    BalanceAdjusted,
    BreakerChanged,
    CloseOutBegan,
    CloseOutEnded,
    ConditionalEnded,
    ConditionalPlaced,
    DayStopped,
    OrderEnded,
    PhaseChanged,
    PositionAlerted,
)
from actors.subaccount.alerts import alerts_of
from tests.factories import ETH, SELL


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (PhaseChanged(Phase.STUCK, 10, 0), "STUCK after 10 refused"),
        (PhaseChanged(Phase.REDUCING, 1, 0), ""),
        (BreakerChanged(Breaker.OPEN, "3 losing trades in a row", 5), "breaker open: 3 losing trades"),
        (BreakerChanged(Breaker.CLOSED, "reset by hand", 0), ""),
        (BreakerChanged(Breaker.HALF_OPEN, "x", 0), ""),
        (DayStopped(D("500.004"), D(500)), "500.00 reached 500.00"),
        (CloseOutBegan("cumulative loss"), "everything is being closed: cumulative loss"),
        (CloseOutEnded(), ""),
        (BadDebtRecorded(D("51.5")), "bad debt of 51.50"),
        (ConditionalEnded("bh-1-1", ConditionalStatus.REJECTED, "needs margin"), "refused: needs margin"),
        (ConditionalEnded("bh-1-1", ConditionalStatus.CANCELED, "asked for"), ""),
        (BalanceAdjusted(D(5), "DEPOSIT"), ""),
    ],
)
def test_each_fact(fact, words):
    found = alerts_of("acct-1", [fact])
    assert len(found) == bool(words)
    assert all(text.startswith("acct-1: ") and words in text for text in found)


REFUSED = OrderEnded("bh-1-3", OrderStatus.REJECTED, -2019, "Margin is insufficient.")
AGAIN = ConditionalPlaced(
    account_id="acct-1", sequence=4, client_order_id="bh-1-4", kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=SELL,
    quantity=D(1), trigger_price=D(2000), callback_rate=None, activation_price=None, extreme=None, reduce_only=True,
    leverage=D(10), margin_reserved=D(0), strategy="", decided_ms=1, moment=1, cause="", attempt=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (
            PhaseChanged(Phase.STUCK, 10, 0),
            "STUCK after 10 refused liquidation steps (REJECTED -2019 Margin is",
        ),
        (
            AGAIN,
            "was not taken by the exchange (REJECTED -2019 Margin is insufficient.); it is sent again (1)",
        ),
        (
            PositionAlerted(ETH, Alert.UNPROTECTED, D(11), D(10)),
            "given up (REJECTED -2019 Margin is insufficient.);",
        ),
    ],
)
def test_what_a_refusal_led_to_says_what_the_exchange_said(fact, words):
    [text] = alerts_of("acct-1", [REFUSED, fact])
    assert words in text
    for end in (OrderStatus.FILLED, OrderStatus.CANCELED):
        assert "-2019" not in alerts_of("acct-1", [replace(REFUSED, status=end), fact])[0]


def test_an_order_that_the_exchange_ended_by_itself_is_a_refusal_too():
    ended = OrderEnded("bh-1-3", OrderStatus.EXPIRED, 0, "self-trade prevention ended it")
    [text] = alerts_of("acct-1", [ended, AGAIN])
    assert "(EXPIRED self-trade prevention ended it)" in text
