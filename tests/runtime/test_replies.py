"""An answer reaches an event loop from any thread, also when nobody awaits it any more."""

from __future__ import annotations

import asyncio
import threading

import pytest

from actors.errors import Refused
from actors.runtime.replies import Countdown, LoopReply


def test_an_answer_and_a_failure_come_from_another_thread():
    async def ask(error):
        answered = []
        reply = LoopReply(lambda: answered.append(True))
        refused = Refused("full")
        call = (lambda: reply.set_exception((Refused, refused, None))) if error else (lambda: reply.set(7))
        threading.Thread(target=call).start()
        try:
            return await asyncio.wait_for(reply.future, 5)
        finally:
            assert answered == [True]

    assert asyncio.run(ask(error=False)) == 7
    with pytest.raises(Refused, match="full"):
        asyncio.run(ask(error=True))


def test_an_answer_that_nobody_awaits_is_still_noted_and_one_after_the_end_harms_nobody():
    kept = []

    async def give_up():
        reply = LoopReply(lambda: kept.append("noted"))
        kept.append(reply)
        reply.future.cancel()
        reply.set(1)
        await asyncio.sleep(0.05)

    asyncio.run(give_up())
    assert kept[1:] == ["noted"]
    kept[0].set(2)


def test_a_countdown_calls_once_when_all_have_answered_and_at_once_for_nobody():
    done = []
    count = Countdown(3, lambda: done.append(1))
    count.set(None)
    count.set_exception((ValueError, ValueError(), None))
    assert done == []
    count.set("x")
    assert done == [1]
    Countdown(0, lambda: done.append(2))
    assert done == [1, 2]
