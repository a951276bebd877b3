"""Requests that wait in one pool do not delay those of another, and too many are refused at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from actors.api import pools
from actors.api.pools import Pool, Slots
from actors.core.errors import Overloaded, StoreUnreachable


def test_beyond_the_bound_a_request_is_refused_and_slots_are_given_back():
    async def crowd():
        pool, release = Pool("looks", threads=2, waiting_max=3), threading.Event()
        held = [asyncio.ensure_future(pool.run(release.wait, 10)) for _ in range(5)]
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded, match="5 looks wait already, at most 5 may; try again in 1 s"):
            await pool.run(int)
        assert await Pool("others", threads=1, waiting_max=0).run(int, "7") == 7
        release.set()
        assert all(await asyncio.gather(*held))
        assert await pool.run(int, "8") == 8
        assert (pool.slots.taken, pool.slots.refused) == (0, 1)

    asyncio.run(crowd())


def test_a_question_whose_request_has_gone_is_never_asked(monkeypatch):
    monkeypatch.setattr(pools, "QUESTION_SECONDS", 0.2)

    async def crowd():
        pool, release, asked = Pool("questions", threads=1, waiting_max=9), threading.Event(), []
        first = asyncio.ensure_future(pool.run(release.wait, 10))
        await asyncio.sleep(0.05)
        with pytest.raises(StoreUnreachable, match="did not answer within"):
            await pool.ask(asked.append, "late")
        release.set()
        assert await first
        await pool.run(int)
        assert asked == []
        assert pool.slots.taken == 0

    asyncio.run(crowd())


def test_what_a_call_raises_is_raised_and_its_slot_is_free():
    async def one():
        pool = Pool("looks", threads=1, waiting_max=0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.run(divmod, 1, 0)

    asyncio.run(one())


def test_slots_are_taken_all_or_none():
    slots = Slots("orders", 10)
    with slots.taken_for(8):
        with pytest.raises(Overloaded, match="8 orders wait already"):
            slots.take(3)
        assert slots.taken == 8
    assert slots.taken == 0
