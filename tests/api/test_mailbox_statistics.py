"""Statistics over all mailboxes."""

from __future__ import annotations

from actors.api.mailbox_statistics import StatisticsCollector
from actors.core.messages import Ping, Wake
from actors.core.units import Symbol
from actors.runtime.actor import DispatchedActor
from actors.runtime.cell import Status
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher

SECOND = 1_000_000_000


class Quiet(DispatchedActor):
    def on_receive(self, message):
        return None


def fleet(count=5):
    dispatcher = SeededDispatcher("t", VirtualClock())
    refs = [Quiet.start(f"a{n}", dispatcher) for n in range(count)]
    dispatcher.run_until_quiet()
    return dispatcher, refs


def test_statistics_add_up_and_say_what_waits_and_for_how_long():
    dispatcher, refs = fleet()
    refs[0].tell(Ping())
    refs[0].tell(Wake(Symbol("ETHUSDT"), "t"))
    refs[0].tell(Wake(Symbol("ETHUSDT"), "t"))
    dispatcher.clock.advance_to(SECOND)
    refs[1].tell("x")
    dispatcher.clock.advance_to(3 * SECOND)
    rests = []
    found = StatisticsCollector(lambda: refs, dispatcher.clock.monotonic_ns).collect(rests.append)
    assert (found.actors, found.not_conserved) == (5, 0)
    assert (found.accepted, found.handled, found.conflated, found.queued) == (9, 5, 1, 3)
    assert found.statuses == {"RUNNING": 5}
    assert (found.depths[0], found.depths[1], found.depths[2]) == (3, 1, 1)
    assert found.ages[(3 * SECOND).bit_length()] == 1
    assert found.ages[(2 * SECOND).bit_length()] == 1
    assert found.ages_sum_s == 5.0
    assert len(rests) == 1


def test_a_mailbox_that_lost_a_message_is_counted():
    _, refs = fleet()
    refs[2].cell.mailbox.accepted += 1
    refs[3].cell.status = Status.QUARANTINED
    found = StatisticsCollector(lambda: refs, lambda: 0).collect()
    assert found.not_conserved == 1
    assert found.statuses == {"RUNNING": 4, "QUARANTINED": 1}


def test_the_collector_goes_on_by_itself_and_stops():
    _, refs = fleet()
    collector = StatisticsCollector(lambda: refs, lambda: 0)
    collector.start()
    while not collector.rounds:
        pass
    collector.stop()
    assert collector.latest.actors == 5
