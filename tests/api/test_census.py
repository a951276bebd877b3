"""Counts over all mailboxes, and the metrics made of them."""

from __future__ import annotations

from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from actors.api.census import Census, CensusTaker
from actors.api.metrics import Sources, exposition
from actors.core.messages import Ping, Wake
from actors.core.units import Symbol
from actors.runtime.actor import DispatchedActor
from actors.runtime.cell import Status
from actors.runtime.clock import VirtualClock
from actors.runtime.dispatcher import TurnStats
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


def test_a_census_adds_up_and_sees_what_waits_and_for_how_long():
    dispatcher, refs = fleet()
    refs[0].tell(Ping())
    refs[0].tell(Wake(Symbol("ETHUSDT"), "t"))
    refs[0].tell(Wake(Symbol("ETHUSDT"), "t"))
    dispatcher.clock.advance_to(SECOND)
    refs[1].tell("x")
    dispatcher.clock.advance_to(3 * SECOND)
    rests = []
    census = CensusTaker(lambda: refs, dispatcher.clock.monotonic_ns).take(rests.append)
    assert (census.actors, census.not_conserved) == (5, 0)
    assert (census.accepted, census.handled, census.conflated, census.queued) == (9, 5, 1, 3)
    assert census.statuses == {"RUNNING": 5}
    assert (census.depths[0], census.depths[1], census.depths[2]) == (3, 1, 1)
    assert census.ages[(3 * SECOND).bit_length()] == 1
    assert census.ages[(2 * SECOND).bit_length()] == 1
    assert census.ages_sum_s == 5.0
    assert len(rests) == 1


def test_a_mailbox_that_lost_a_message_is_counted():
    _, refs = fleet()
    refs[2].cell.mailbox.accepted += 1
    refs[3].cell.status = Status.QUARANTINED
    census = CensusTaker(lambda: refs, lambda: 0).take()
    assert census.not_conserved == 1
    assert census.statuses == {"RUNNING": 4, "QUARANTINED": 1}


def test_the_taker_goes_on_by_itself_and_stops():
    _, refs = fleet()
    taker = CensusTaker(lambda: refs, lambda: 0)
    taker.start()
    while not taker.taken:
        pass
    taker.stop()
    assert taker.latest.actors == 5


def figures():
    return {
        "tick_lags": [0] * 12 + [7] + [0] * 51,
        "tick_lag_sum_s": 0.5,
        "alarms_open": {"INFO": 0, "WARNING": 2, "CRITICAL": 1},
        "api_places": [("orders", 3, 4)],
        "closers": ("writer",),
        "counters": {"ticks": ("L1 updates", 7)},
        "gauges": {"accounts": ("Accounts", 5)},
    }


def test_the_exposition_is_what_prometheus_parses_and_its_figures_are_ours():
    stats = TurnStats()
    stats.messages, stats.busy_ns = 3, 2 * SECOND
    stats.turns[11] = 3
    one = SimpleNamespace(name="main", stats=stats, lag_ns=lambda: SECOND, backlog=lambda: 4)
    census = Census(actors=5, accepted=9, handled=5, conflated=1, queued=3, statuses={"RUNNING": 5})
    census.depths[0], census.depths[2] = 4, 1
    text = exposition(Sources(lambda: census, lambda: [one], figures)).decode()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    samples = {
        (s.name, tuple(sorted(s.labels.items()))): s.value for f in families.values() for s in f.samples
    }
    assert samples["bulkhead_messages_total", (("outcome", "accepted"),)] == 9
    assert samples["bulkhead_messages_queued", ()] == 3
    assert samples["bulkhead_mailboxes_not_conserved", ()] == 0
    assert samples["bulkhead_turn_seconds_count", (("dispatcher", "main"),)] == 3
    assert samples["bulkhead_turn_seconds_sum", (("dispatcher", "main"),)] == 2
    assert samples["bulkhead_turn_seconds_bucket", (("dispatcher", "main"), ("le", "1.024e-06"))] == 0
    assert samples["bulkhead_turn_seconds_bucket", (("dispatcher", "main"), ("le", "2.048e-06"))] == 3
    assert samples["bulkhead_mailbox_depth_bucket", (("le", "0.0"),)] == 4
    assert samples["bulkhead_mailbox_depth_bucket", (("le", "3.0"),)] == 5
    assert samples["bulkhead_tick_lag_seconds_count", ()] == 7
    assert samples["bulkhead_gate_closed", (("by", "writer"),)] == 1
    assert samples["bulkhead_dispatcher_backlog", (("dispatcher", "main"),)] == 4
    assert samples["bulkhead_accounts", ()] == 5
    assert samples["bulkhead_alarms_unacknowledged", (("level", "CRITICAL"),)] == 1
    assert samples["bulkhead_api_waiting", (("for", "orders"),)] == 3
    assert samples["bulkhead_api_refused_total", (("for", "orders"),)] == 4


def test_no_label_grows_with_the_fleet():
    text = exposition(Sources(lambda: Census(statuses={"RUNNING": 10**6}), list, figures)).decode()
    labels = {key for f in text_string_to_metric_families(text) for s in f.samples for key in s.labels}
    assert labels <= {"le", "by", "outcome", "status", "dispatcher", "level", "for"}
