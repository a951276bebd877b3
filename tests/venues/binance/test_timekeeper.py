"""Whoever signs is told that the time is lost, whatever else is being asked for at that moment."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from actors.gateway.messages import ClockLost, ClockMeasured
from actors.venues.binance import timekeeper
from actors.venues.binance.clock import MEASURE_EVERY_NS, ExchangeClock
from actors.venues.binance.timekeeper import Timekeeper

NOW_MS = 1_700_000_000_000


class Machine:
    def __init__(self):
        self.now_ns = 0


class Http:
    """The exchange's time, or whatever ``answer`` does instead."""

    def __init__(self, clock):
        self.clock, self.asked, self.measured = clock, 0, 0
        self.answer = lambda: httpx.Response(
            200, json={"serverTime": NOW_MS}, request=httpx.Request("GET", "http://x")
        )

    def client(self):
        return self

    async def get(self, _):
        self.asked += 1
        await asyncio.sleep(0)
        return self.answer()

    def clock_is_measured(self):
        self.measured += 1


@pytest.fixture
def keeper(monkeypatch):
    monkeypatch.setattr(timekeeper, "RETRY_SECONDS", (0.01,))
    monkeypatch.setattr(timekeeper, "LOOK_SECONDS", 0.01)
    machine, told = Machine(), []
    clock = ExchangeClock(lambda: machine.now_ns, lambda: machine.now_ns)
    clock.measured(clock.began(), NOW_MS)
    http = Http(clock)

    class Gateway:
        tell = staticmethod(told.append)

    return machine, http, told, Timekeeper(http, Gateway())


async def until(condition):
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came")


def test_a_time_refused_while_the_exchange_does_not_tell_the_time_stops_sending(keeper):
    machine, http, told, keeps = keeper
    good, http.answer = http.answer, lambda: 1 / 0

    async def run():
        machine.now_ns += MEASURE_EVERY_NS
        task = asyncio.create_task(keeps.run())
        await until(lambda: http.asked >= 2)
        # It was only time to look again: nobody is stopped for that.
        assert told == []
        http.on_mistimed()
        await until(lambda: told)
        for _ in range(10):
            http.on_mistimed()
            await asyncio.sleep(0.01)
        assert [type(m) for m in told] == [ClockLost]
        http.answer = good
        await until(lambda: http.measured and told[-1:] != told[:1])
        task.cancel()

    asyncio.run(run())
    assert "-1021" in told[0].reason
    assert ClockMeasured in [type(m) for m in told]
