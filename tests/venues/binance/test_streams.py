"""Frames as the exchange sends them, and frames that it should not send."""

from __future__ import annotations

import gzip
from decimal import Decimal as D
from pathlib import Path

import msgspec
import pytest

from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.streams import (
    AccountUpdate,
    OrderTradeUpdate,
    decode_book_ticker,
    decode_user_event,
    encode,
)
from actors.venues.binance.ticks import tick_of_event
from tests.factories import ETH

RAW = b'{"e":"bookTicker","u":400900217,"s":"ETHUSDT","b":"2681.62","B":"1.165","a":"2681.63","A":"73.077","T":1,"E":2}'
RECORDED = Path(__file__).parents[4] / "shared" / "data" / "binance-usdm-bookTicker-2024-08-09.frames.gz"


@pytest.mark.parametrize("frame", [RAW, b'{"stream":"ethusdt@bookTicker","data":' + RAW + b"}", RAW.decode()])
def test_a_book_ticker_combined_or_not(frame):
    event = decode_book_ticker(frame)
    assert (event.s, event.b, event.A, event.u) == (ETH, "2681.62", "73.077", 400900217)


@pytest.mark.parametrize(
    "frame", [b"", b"null", b"{}", b"[1]", RAW[:-5], RAW.replace(b'"2681.62"', b"2681.62"), b"\xff"]
)
def test_a_broken_book_ticker_is_refused(frame):
    with pytest.raises(MalformedMessage, match="bookTicker frame"):
        decode_book_ticker(frame)


def test_user_events_are_told_apart_and_strange_ones_are_none():
    order = {"s": "ETHUSDT", "c": "bh-1", "S": "BUY", "o": "MARKET", "f": "GTC", "q": "1", "p": "0", "ap": "0",
             "x": "NEW", "X": "NEW", "i": 8886774, "l": "0", "z": "0", "L": "0", "T": 1, "t": 0, "m": False,
             "R": False, "new_field_of_tomorrow": 1}  # fmt: skip
    event = decode_user_event(msgspec.json.encode({"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": order}))
    assert isinstance(event, OrderTradeUpdate)
    assert event.o.q == D(1)
    assert decode_user_event(encode(event)) == event
    assert decode_user_event(b'{"e":"TRADE_LITE","E":1}') is None
    account = {"e": "ACCOUNT_UPDATE", "E": 1, "T": 1, "a": {"m": "ORDER", "B": [], "P": []}}
    assert isinstance(decode_user_event(msgspec.json.encode(account)), AccountUpdate)


@pytest.mark.parametrize("frame", [b"{", b'{"e":"ORDER_TRADE_UPDATE","E":1,"T":1,"o":{}}', b'{"E":1}'])
def test_a_broken_user_event_is_refused(frame):
    with pytest.raises(MalformedMessage, match="user event"):
        decode_user_event(frame)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded frames are not beside this checkout")
def test_every_recorded_frame_of_the_real_exchange_is_a_tick():
    count = 0
    with gzip.open(RECORDED, "rb") as lines:
        for line in lines:
            received, _, frame = line.rstrip().partition(b" ")
            tick = tick_of_event(decode_book_ticker(frame), int(received))
            assert tick.bid < tick.ask
            count += 1
    assert count == 120_081
