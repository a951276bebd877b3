"""A dead letter's message survives JSON and back, exactly; what cannot be replayed says so.

Covers: actors/core/trades.py
"""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core import replay_codec
from actors.core.enums import AccountStatus, CloseOutScope, ReconsiderReason, Side
from actors.core.errors import BadInput
from actors.core.messages import (
    CallOff,
    CancelOrder,
    CloseOut,
    FeeKnown,
    Fill,
    PlaceOrder,
    RateKnown,
    Reconsider,
    RegisterTriggers,
    SetStatus,
    Wake,
)
from actors.core.trades import Trade
from actors.core.units import AccountId, ClientOrderId, Symbol

FILL = Fill(
    account_id=AccountId("a"),
    client_order_id=ClientOrderId("bh-1"),
    trade=Trade(
        exchange_order_id=1, trade_id=2, symbol=Symbol("ETHUSDT"), side=Side.BUY, quantity=D("0.1"),
        price=D("2000.10"), fee=D("-0.01"), maker=True, trade_ms=5,
    ),
    cause="tick:ETHUSDT:7",
)  # fmt: skip

NUMBERS = st.decimals(min_value="0.00000001", max_value="1e9", allow_nan=False, places=8)


@given(
    quantity=NUMBERS,
    price=st.none() | NUMBERS,
    side=st.sampled_from(Side),
    cause=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_an_order_comes_back_to_the_last_digit(quantity, price, side, cause):
    order = PlaceOrder(symbol=Symbol("ETHUSDT"), side=side, quantity=quantity, price=price, cause=cause)
    back = replay_codec.decode("PlaceOrder", replay_codec.encode(order))
    assert back == order
    assert str(back.quantity) == str(order.quantity)


@pytest.mark.parametrize(
    "message",
    [
        CancelOrder(ClientOrderId("bh-1"), "x"),
        SetStatus(AccountStatus.FROZEN),
        Wake(Symbol("ETHUSDT"), "tick:1"),
        FILL,
        replace(FILL, trade=replace(FILL.trade, fee=None, fee_asset="BNB")),
        FeeKnown(Symbol("ETHUSDT"), 2, D("0.00012345"), "BNB", "x"),
        RateKnown(Symbol("BNBUSDT"), 1, 60_001, D("510.25"), "x"),
    ],
)  # fmt: skip
def test_messages_come_back(message):
    assert replay_codec.decode(type(message).__name__, replay_codec.encode(message)) == message


RECORDED = (
    '{"account_id":"a","client_order_id":"bh-1","exchange_order_id":1,"trade_id":2,"symbol":"ETHUSDT","side":"BUY",'
    '"quantity":"0.1","price":"2000.10","fee":"-0.01","maker":true,"trade_ms":5,"cause":"tick:ETHUSDT:7","fee_asset":""}'
)
"""What release 0.1 wrote of ``FILL`` into its database."""


def test_a_fill_that_an_earlier_release_wrote_down_comes_back_and_is_written_alike():
    assert replay_codec.decode("Fill", RECORDED) == FILL
    assert msgspec.json.decode(replay_codec.encode(FILL)) == msgspec.json.decode(RECORDED)
    untold = RECORDED.replace('"-0.01"', "null").replace('"fee_asset":""', '"fee_asset":"BNB"')
    assert replay_codec.decode("Fill", untold).trade == replace(FILL.trade, fee=None, fee_asset="BNB")


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        ("CloseOut", '{"reason":"odd"}', CloseOut("odd")),
        (
            "CloseOut",
            '{"reason":"emergency stop of all: odd"}',
            CloseOut("emergency stop of all: odd", CloseOutScope.FLEET),
        ),
        ("CallOff", '{"begun_as":""}', CallOff()),
        ("CallOff", '{"begun_as":"emergency stop of all"}', CallOff(CloseOutScope.FLEET)),
        ("Reconsider", '{"cause":"operator"}', Reconsider(ReconsiderReason.OPERATOR)),
        ("Reconsider", '{"cause":"router restarted"}', Reconsider(ReconsiderReason.ROUTER_RESTARTED)),
        ("Reconsider", '{"cause":"fees:3"}', Reconsider(ReconsiderReason.FEES)),
    ],
)
def test_what_the_last_release_wrote_is_read(kind, payload, message):
    assert replay_codec.decode(kind, payload) == message


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        (CloseOut("odd"), '{"reason":"odd"}'),
        (CallOff(CloseOutScope.FLEET), '{"begun_as":"emergency stop of all"}'),
        (Reconsider(ReconsiderReason.BACKOFF), '{"cause":"backoff"}'),
    ],
)
def test_what_is_written_is_spelled_as_by_the_last_release(message, payload):
    assert replay_codec.encode(message) == payload


def test_a_cause_names_the_incarnation_whose_timer_it_was():
    assert Reconsider(ReconsiderReason.FEES, 3).cause == "fees:3"
    assert Reconsider(ReconsiderReason.RULES, 3).cause == "rules"


def test_what_cannot_be_replayed_says_so():
    assert replay_codec.encode(RegisterTriggers(AccountId("a"), ())) == ""
    assert replay_codec.encode("text") == ""
    assert replay_codec.encode(CancelOrder(ClientOrderId("\ud800"))) == ""
    with pytest.raises(BadInput, match="a RegisterTriggers cannot be replayed; drop it"):
        replay_codec.decode("RegisterTriggers", "{}")
    with pytest.raises(BadInput, match="a Fill cannot be replayed"):
        replay_codec.decode("Fill", "")
    with pytest.raises(BadInput, match="cannot be read any more"):
        replay_codec.decode("Fill", '{"account_id": 7}')
