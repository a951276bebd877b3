"""What the user stream tells is told on or called unreadable, and nothing that it says ends it."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest
import websockets

from actors.gateway.messages import MasterChanged, Reported, Unreadable, UserStreamConnected, UserStreamDown
from actors.venues.binance import user_stream
from actors.venues.binance.user_stream import UserStream
from tests.venues.binance.test_translate import FILLED


def event(kind, **fields):
    return msgspec.json.encode({"e": kind, "E": 1, "T": 1, **fields}).decode()


def update(amount):
    return event("ACCOUNT_UPDATE", a={"m": "ADJUSTMENT", "B": [], "P": [{"s": "BTCUSDT", "pa": amount}]})


HOSTILE = [
    update("sNaN"),
    update("1e999999999"),
    event("ACCOUNT_UPDATE", a={"m": "X", "B": [{"a": "USDT", "wb": "1", "cw": "1", "bc": "NaN"}], "P": []}),
    event("MARGIN_CALL", p=[{"s": "BTCUSDT", "pa": "1e999999999"}]),
    event("ORDER_TRADE_UPDATE", o={**FILLED, "l": None}),
    event("ORDER_TRADE_UPDATE", o={**FILLED, "z": "-sNaN"}),
    event("ORDER_TRADE_UPDATE", o=[]),
    "[" * 100_000,
    "\ud83d",
    "null",
]


class Keys:
    """Gives listen keys out."""

    def __init__(self):
        self.fails = []

    async def key(self, method):
        if self.fails:
            raise self.fails.pop()
        return "" if method == "DELETE" else "key"


async def listen(frames, fails=()):
    """What the gateway is told when the exchange sends these frames."""
    told, keys, done = [], Keys(), asyncio.Event()
    keys.fails += fails

    class Gateway:
        @staticmethod
        def tell(message):
            told.append(message)
            if isinstance(message, Reported):
                done.set()

    async def serve(socket):
        for frame in frames:
            await socket.send(frame.encode("utf-8", "replace").decode())
        await socket.send(event("ORDER_TRADE_UPDATE", o=FILLED))
        await socket.wait_closed()

    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stream = UserStream(f"ws://127.0.0.1:{port}", None)
        stream._listen_key = keys.key
        task = asyncio.create_task(stream.run(Gateway()))
        await asyncio.wait_for(done.wait(), 20)
        assert not task.done()
        task.cancel()
    return told


@pytest.mark.parametrize("frame", HOSTILE, ids=range(len(HOSTILE)))
def test_no_frame_ends_the_stream(frame):
    told = asyncio.run(listen([frame]))
    assert [type(m) for m in told] == [UserStreamConnected, Unreadable, Reported]


@pytest.mark.parametrize("error", [RuntimeError("closed"), EOFError(), KeyError("x"), ValueError("no key")])
def test_no_failure_to_connect_ends_the_trying(monkeypatch, error):
    monkeypatch.setattr(user_stream, "delays", lambda: itertools.repeat(0.01))
    told = asyncio.run(listen([], [error]))
    assert [type(m) for m in told] == [UserStreamDown, UserStreamConnected, Reported]
    assert type(error).__name__ in told[0].reason


def test_what_can_be_is_told():
    told = asyncio.run(listen([update("1.5")]))
    assert isinstance(told[1], MasterChanged)
