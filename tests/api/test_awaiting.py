"""Answers of actors on an event loop: any number wait at once, and none is lost or makes an actor fail."""

from __future__ import annotations

import asyncio
import threading

import pykka
import pytest

from actors.api.awaiting import Reply, ask
from actors.core.errors import BulkheadError, Refused
from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import ThreadedDispatcher


class Patient(DispatchedActor):
    """Defers all answers until it receives "answer"."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def on_receive(self, message):
        if message == "raise":
            raise Refused("no")
        if message != "answer":
            self.waiting.append((message, self.defer_reply()))
            return None
        for number, (asked, future) in enumerate(self.waiting):
            future.set((number, asked))
        return len(self.waiting)


@pytest.fixture
def patient():
    dispatcher = ThreadedDispatcher("test", SystemClock())
    dispatcher.start()
    yield Patient.start("patient", dispatcher)
    assert dispatcher.stop(5)


def test_many_more_wait_at_once_than_there_are_threads(patient):
    async def run():
        asked = [asyncio.create_task(ask(patient, n, 20)) for n in range(200)]
        for _ in range(1_000):
            if len(patient.cell.actor.waiting) == 200:
                break
            await asyncio.sleep(0.01)
        threads = threading.active_count()
        assert await ask(patient, "answer", 20) == 200
        return threads, await asyncio.gather(*asked)

    before = threading.active_count()
    threads, answers = asyncio.run(run())
    assert threads == before
    assert answers == [(n, n) for n in range(200)]


def test_what_the_actor_raises_reaches_who_asked(patient):
    with pytest.raises(Refused, match="no"):
        asyncio.run(ask(patient, "raise", 5))


def test_no_answer_in_time_says_who_did_not_answer_and_a_late_answer_does_no_harm(patient):
    async def run():
        with pytest.raises(BulkheadError, match="patient did not answer in 0 s; 'bulkhead inspect patient'"):
            await ask(patient, "late", 0.05)
        assert await ask(patient, "answer", 5) == 1

    asyncio.run(run())


def test_a_stopped_actor_is_named(patient):
    patient.cell.dispatcher.stop_cell(patient.cell)
    with pytest.raises(pykka.ActorDeadError, match="patient is stopped"):
        asyncio.run(ask(patient, 1, 5))


def test_an_answer_to_a_loop_that_is_closed_does_not_fail_the_actor():
    async def run():
        return Reply()

    reply = asyncio.run(run())
    reply.set(5)
    reply.set_exception((ValueError, ValueError("x"), None))


def test_an_answer_to_a_request_that_has_gone_is_dropped():
    async def run():
        reply = Reply()
        reply.awaited.cancel()
        reply.set(5)
        await asyncio.sleep(0.01)
        return reply.awaited.cancelled()

    assert asyncio.run(run())
