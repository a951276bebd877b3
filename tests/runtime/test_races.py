"""Messages are conserved while actors crash, are restarted, held and stopped under their senders' hands."""

from __future__ import annotations

import random
import threading
import time

import pykka
import pytest

from actors.core.errors import Refused
from actors.core.messages import FaultOnPurpose, OrderAccepted, Ping, Wake
from actors.core.units import ClientOrderId, Symbol
from actors.runtime.actor import DispatchedActor
from actors.runtime.dispatcher import ThreadedDispatcher

ACTORS = 20
SECONDS = 1.5
WAIT = 10


class Fragile(DispatchedActor):
    """Counts in a place that outlives its instances."""

    def __init__(self, tally):
        super().__init__()
        self.tally = tally

    def on_receive(self, message):
        if isinstance(message, FaultOnPurpose):
            raise RuntimeError(message.reason)  # noqa: TRY004
        self.tally.append(message)


def messages(random_):
    return random_.choice(
        [
            OrderAccepted(ClientOrderId("c"), 1),
            OrderAccepted(ClientOrderId("c"), 2),
            Ping(),
            Wake(Symbol(random_.choice("ABC")), "t"),
            "command",
            FaultOnPurpose("race"),
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_every_message_is_accounted_for_at_any_moment(seed):
    dispatcher, dead, crashes = ThreadedDispatcher("race"), [], []
    dispatcher.on_dead_letter = lambda _cell, envelope, _why: dead.append(envelope[0])
    dispatcher.on_crash = lambda cell, _report, _error: (crashes.append(cell), dispatcher.restart(cell))
    dispatcher.start()
    tallies = [[] for _ in range(ACTORS)]
    refs = [Fragile.start(f"a{n}", dispatcher, tallies[n]) for n in range(ACTORS)]
    over, told, faults = threading.Event(), [0] * 3, []

    def teller(number):
        random_ = random.Random(seed * 10 + number)
        while not over.is_set():
            try:
                random_.choice(refs).tell(messages(random_))
                told[number] += 1
            except (pykka.ActorDeadError, Refused):
                pass

    def meddler():
        random_ = random.Random(seed)
        while not over.is_set():
            cell = random_.choice(refs).cell
            random_.choice(
                [
                    dispatcher.quarantine,
                    dispatcher.hold,
                    dispatcher.restart,
                    dispatcher.resume,
                    dispatcher.restart,
                ]
            )(cell)
            if random_.random() < 0.002:
                dispatcher.stop_cell(cell)
            time.sleep(0.0002)

    def auditor():
        while not over.is_set():
            faults.extend(r.name for r in refs if not r.cell.mailbox.counters().is_conserved)

    threads = [threading.Thread(target=teller, args=(n,)) for n in range(3)]
    threads += [threading.Thread(target=meddler), threading.Thread(target=auditor)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    over.set()
    for thread in threads:
        thread.join(WAIT)
    for ref in refs:
        dispatcher.restart(ref.cell)
    deadline = time.monotonic() + WAIT
    while dispatcher.backlog() or dispatcher.running is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert faults == []
    assert len(crashes) > 10
    counters = [r.cell.mailbox.counters() for r in refs]
    assert all(c.is_conserved and c.in_hand == 0 for c in counters)
    assert sum(c.handled for c in counters) >= sum(map(len, tallies))
    starts = sum(r.cell.restarts for r in refs) + ACTORS
    accepted = sum(c.accepted for c in counters)
    # What was told and accepted, and one start for each life; restarts of the stopped are none.
    assert sum(told) <= accepted <= sum(told) + starts
    assert dispatcher.stop(WAIT)


def test_an_actor_never_runs_on_two_turns_at_once():
    """A restart in the middle of a turn makes a new instance, but its turn comes after."""
    dispatcher = ThreadedDispatcher("one")
    dispatcher.on_crash = lambda *_: None
    dispatcher.start()
    overlaps, inside = [], []

    class Alone(DispatchedActor):
        def on_receive(self, message):
            inside.append(1)
            if len(inside) > 1:
                overlaps.append(message)
            time.sleep(0.0005)
            inside.pop()

    ref = Alone.start("alone", dispatcher)
    for n in range(200):
        ref.tell(OrderAccepted(ClientOrderId("c"), n))
        if n % 5 == 0:
            dispatcher.restart(ref.cell)
    deadline = time.monotonic() + WAIT
    while dispatcher.backlog() or dispatcher.running is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert overlaps == []
    assert ref.cell.mailbox.counters().is_conserved
    assert dispatcher.stop(WAIT)
