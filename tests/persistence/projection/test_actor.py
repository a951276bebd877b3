"""The projector as an actor, on a real Postgres and a clock of the test's own.

Covers: actors/persistence/projection/messages.py, actors/persistence/messages.py
"""

from __future__ import annotations

import psycopg
import pykka
import pytest

from actors.core.constants import PROJECTION_WAIT_MAX
from actors.core.errors import StateCorrupt, StoreUnreachable
from actors.core.messages import AdjustBalance
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND
from actors.persistence.messages import Committed
from actors.persistence.projection import actor as module
from actors.persistence.projection.actor import CLOSER, Projector
from actors.persistence.projection.messages import ReleaseParked
from actors.persistence.projection.store import Projection
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.supervision.gate import TradingGate
from tests.factories import D
from tests.persistence.authors import Author, create
from tests.persistence.projection.lives import commit, copy_of, live, ours, platform, project_all


class Rig:
    """A projector, its store, and what it was heard to say."""

    def __init__(self, dsn, store):
        self.dsn, self.store = dsn, store
        self.dispatcher = SeededDispatcher("t", VirtualClock())
        self.is_crowded = False
        self.dispatcher.run_until(NANOS_PER_SECOND)  # an age that began at 0 would look like none
        self.gate, self.alarms, self.lasting, self.over = TradingGate(), [], {}, []
        self.projection = Projection(dsn)
        self.ref = Projector.start(
            "projector", self.dispatcher, self.projection, self.gate, self.alarms.append,
            lambda text, key: self.lasting.setdefault(key, text), self.over.append, lambda: self.is_crowded,
        )  # fmt: skip

    def run(self, ms=100):
        self.dispatcher.run_until(self.dispatcher.clock.monotonic_ns() + ms * NANOS_PER_MS)

    @property
    def stats(self):
        return self.ref.cell.actor.inspect_state()

    def ask(self, query):
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query).fetchall()

    def decide(self, *authors, hand_over=True):
        """A deposit of one for each, durable; handed over or not."""
        for author in authors:
            author.decide(AdjustBalance(D(1), "DEPOSIT"))
        assert set(self.store.commit([d for a in authors for d in a.batch])) == {None}
        for author in authors:
            author.batch = []
        committed = self.store.handover()
        if hand_over:
            self.ref.tell(committed)
        return committed

    def balances(self):
        return [b for (b,) in self.ask("SELECT balance FROM bulkhead.account ORDER BY account_id")]


@pytest.fixture
def rig(store, dsn):
    made = Rig(dsn, store)
    yield made
    made.projection.close()


@pytest.fixture
def authors(rig):
    found = [Author(state) for state in create(rig.store, 3)]
    rig.ref.tell(rig.store.handover())
    rig.run()
    assert rig.stats.position == 3
    return found


def test_what_is_handed_over_is_projected_without_reading_it_back(rig, authors):
    read_back = rig.stats.read_back
    rig.decide(*authors)
    rig.decide(*authors)
    assert rig.stats.position == 3
    rig.run()
    assert rig.balances() == [D(1002)] * 3
    assert (rig.stats.position, rig.stats.behind, rig.stats.age_ms) == (9, 0, 0)
    assert rig.stats.read_back == read_back
    assert rig.stats.batches == 2, "the opening, and both hand-overs at once"


def test_a_full_batch_is_projected_at_once_and_less_waits_for_more(rig, authors, monkeypatch):
    monkeypatch.setattr(module, "PROJECTION_BATCH_MAX", 3)
    rig.decide(*authors)
    rig.run(1)
    assert rig.stats.behind == 0
    rig.decide(*authors[:2])
    rig.run(1)
    assert rig.stats.behind == 2
    rig.run(module.GATHER // NANOS_PER_MS)
    assert rig.stats.behind == 0


def test_what_is_projected_already_is_not_looked_for_in_the_journal(rig, authors, monkeypatch):
    first = rig.decide(*authors)
    rig.run()
    reads, real = [], rig.projection.read
    monkeypatch.setattr(rig.projection, "read", lambda limit: reads.append(limit) or real(limit))
    rig.ref.tell(first)
    rig.run()
    rig.decide(*authors)
    rig.run(3_000)
    assert (rig.stats.behind, reads) == (0, [])


def test_while_a_crowd_decides_it_waits_and_then_projects_all_at_once(rig, authors):
    rig.is_crowded = True
    for _ in range(4):
        rig.decide(*authors)
        rig.run(500)
    assert rig.balances() == [D(1000)] * 3
    assert (rig.stats.behind, rig.stats.age_ms > 1_900, rig.stats.batches) == (12, True, 1)
    rig.is_crowded = False
    rig.run()
    assert rig.balances() == [D(1004)] * 3
    assert (rig.stats.behind, rig.stats.batches) == (0, 2)


def test_for_a_crowd_without_end_it_waits_for_so_long_at_most(rig, authors):
    rig.is_crowded = True
    rig.decide(*authors)
    rig.run(PROJECTION_WAIT_MAX // NANOS_PER_MS - 1)
    assert rig.balances() == [D(1000)] * 3
    rig.run(module.CROWD_LOOK // NANOS_PER_MS + 1)
    assert rig.balances() == [D(1001)] * 3
    assert not rig.gate.closers


def test_at_the_very_end_of_that_time_it_waits_no_longer(rig, authors, monkeypatch):
    monkeypatch.setattr(module, "GATHER", module.CROWD_LOOK)
    rig.is_crowded = True
    rig.decide(*authors)
    rig.run(PROJECTION_WAIT_MAX // NANOS_PER_MS)
    assert rig.balances() == [D(1001)] * 3


def test_with_much_to_project_it_waits_for_no_crowd(rig, authors, monkeypatch):
    rig.is_crowded = True
    monkeypatch.setattr(module, "PROJECTION_WAIT_BEHIND", 4)
    rig.decide(*authors)
    rig.run()
    assert rig.stats.behind == 3
    rig.decide(authors[0])
    rig.run()
    assert rig.stats.behind == 0


def test_what_could_not_be_projected_is_tried_again_whoever_decides(rig, authors):
    rig.is_crowded = True
    rig.ref.cell.actor.stats.is_down = True
    rig.decide(*authors)
    rig.run()
    assert (rig.stats.behind, rig.stats.is_down) == (0, False)


def test_a_gap_in_what_is_handed_over_is_read_from_the_journal(rig, authors):
    read_back = rig.stats.read_back
    rig.decide(*authors, hand_over=False)
    rig.decide(*authors)
    rig.run()
    assert rig.balances() == [D(1002)] * 3
    assert rig.stats.read_back == read_back + 3, "only what was missing"


def test_what_nobody_hands_over_is_found_in_the_journal(rig, authors):
    rig.decide(*authors, hand_over=False)
    rig.run(1_500)
    assert rig.balances() == [D(1001)] * 3


def test_what_is_handed_over_twice_or_was_projected_already_is_projected_once(rig, authors):
    first = rig.decide(*authors)
    rig.ref.tell(first)
    rig.run()
    rig.ref.tell(first)
    second = rig.decide(*authors)
    rig.ref.tell(Committed(second.first, second.decisions, second.hashes))
    rig.run()
    assert rig.balances() == [D(1002)] * 3
    assert rig.ask("SELECT count(*) FROM balance_logs WHERE id NOT LIKE 'deposit%'") == [(6,)]


def test_too_much_that_waits_is_dropped_and_read_from_the_journal_instead(rig, authors, monkeypatch):
    monkeypatch.setattr(module, "HANDED_MAX", 4)
    read_back = rig.stats.read_back
    for _ in range(4):
        rig.decide(*authors)
    rig.dispatcher.run_until_quiet()
    assert len(rig.ref.cell.actor._handed) <= 4
    rig.run()
    assert rig.balances() == [D(1004)] * 3
    assert rig.stats.read_back == read_back + 9
    rig.decide(*authors)
    rig.run()
    assert (rig.balances(), rig.stats.read_back) == ([D(1005)] * 3, read_back + 9), "handed over again"


def test_as_much_as_may_be_kept_is_kept(rig, authors, monkeypatch):
    monkeypatch.setattr(module, "HANDED_MAX", 6)
    read_back = rig.stats.read_back
    for _ in range(2):
        rig.decide(*authors)
    rig.run()
    assert (rig.stats.behind, rig.stats.read_back) == (0, read_back)


def test_by_hand_over_and_by_reading_in_any_mix_the_rows_are_those_of_the_journal(
    rig, store, dsn, monkeypatch
):
    monkeypatch.setattr(module, "PROJECTION_BATCH_MAX", 17)
    decisions = live(store, range(70, 76), monkeypatch)
    for number, committed in enumerate(commit(store, decisions, 13)):
        if number % 3:
            rig.ref.tell(committed)
        if number % 2:
            rig.run(30)
    rig.run(5_000)
    assert rig.stats.behind == 0
    rig.projection.close()
    store.close()
    other = copy_of(dsn)
    with psycopg.connect(other, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM bulkhead.parked").fetchone() == (0,)
        last = connection.execute("SELECT max(position) FROM bulkhead.journal").fetchone()
        assert connection.execute("SELECT position FROM bulkhead.projection").fetchone() == last
    assert (ours(other), platform(other)) == (ours(dsn), platform(dsn))


# -- too far behind


def test_too_many_decisions_behind_take_no_new_risk_until_there_are_few(rig, authors, monkeypatch):
    monkeypatch.setattr(module, "PROJECTION_LAG_HIGH", 5)
    monkeypatch.setattr(module, "PROJECTION_LAG_LOW", 2)
    monkeypatch.setattr(module, "PROJECTION_BATCH_MAX", 3)
    rig.decide(*authors)
    rig.decide(*authors)
    rig.dispatcher.run_until_quiet()
    assert rig.stats.behind == 6
    assert rig.gate.closers == (CLOSER,)
    assert "6 decisions" in rig.lasting["projection lag"]
    rig.run()
    assert rig.stats.behind == 0
    assert not rig.gate.reduce_only
    assert "projection lag" in rig.over


def test_as_many_behind_as_may_be_close_nothing(rig, authors, monkeypatch):
    monkeypatch.setattr(module, "PROJECTION_LAG_HIGH", 6)
    rig.decide(*authors)
    rig.decide(*authors)
    rig.dispatcher.run_until_quiet()
    assert (rig.stats.behind, rig.gate.closers) == (6, ())
    rig.run()
    assert (rig.stats.behind, rig.over.count("projection lag")) == (0, 0)


def test_new_risk_waits_until_there_are_fewer_behind_and_younger_ones_than_that(rig, authors, monkeypatch):
    """At the very number, and at the very age, it is still closed."""
    monkeypatch.setattr(module, "PROJECTION_LAG_HIGH", 5)
    monkeypatch.setattr(module, "PROJECTION_LAG_LOW", 3)
    monkeypatch.setattr(module, "PROJECTION_BATCH_MAX", 3)
    seen, real = [], rig.projection.project

    def project(decisions):
        seen.append((rig.stats.behind, rig.gate.closers))
        real(decisions)

    monkeypatch.setattr(rig.projection, "project", project)
    rig.decide(*authors)
    rig.decide(*authors)
    rig.run()
    assert seen == [(6, (CLOSER,)), (3, (CLOSER,))]
    assert rig.gate.closers == ()


def test_new_risk_waits_until_the_oldest_is_younger_than_that(rig, authors, monkeypatch):
    monkeypatch.setattr(module, "PROJECTION_LAG_HIGH", 5)
    monkeypatch.setattr(module, "PROJECTION_LAG_LOW", 4)
    monkeypatch.setattr(module, "PROJECTION_BATCH_MAX", 3)
    seen, real, clock = [], rig.projection.project, rig.dispatcher.clock

    def project(decisions):
        # What is left when the first batch is done is of the very age.
        monkeypatch.setattr(module, "PROJECTION_AGE_LOW", clock.monotonic_ns() - second_ns)
        seen.append((rig.stats.behind, rig.gate.closers))
        real(decisions)

    monkeypatch.setattr(rig.projection, "project", project)
    rig.is_crowded = True
    rig.decide(*authors)
    rig.run(1)
    rig.decide(*authors)
    second_ns = clock.monotonic_ns()
    rig.run(1)
    rig.is_crowded = False
    rig.run()
    assert seen == [(6, (CLOSER,)), (3, (CLOSER,))]
    assert rig.gate.closers == ()


def test_the_oldest_may_be_so_old_and_not_older(rig, authors, monkeypatch):
    def away():
        raise StoreUnreachable("no answer")

    monkeypatch.setattr(rig.projection, "_connected", away)
    # The looks come each second; what is decided at one of them is as old as may be at another.
    rig.run(900)
    rig.decide(*authors)
    rig.run(10_000)
    assert (rig.stats.age_ms, rig.gate.closers) == (10_000, ())
    rig.run(1_000)
    assert rig.gate.closers == (CLOSER,)


def test_postgres_away_closes_the_gate_after_some_seconds_and_loses_nothing(rig, authors, monkeypatch):
    def away():
        raise StoreUnreachable("no answer")

    real = rig.projection._connected
    monkeypatch.setattr(rig.projection, "_connected", away)
    rig.decide(*authors)
    rig.run(5_000)
    assert rig.stats.is_down
    assert not rig.gate.reduce_only
    assert "no answer" in rig.lasting["projection away"]
    rig.run(7_000)
    assert rig.gate.closers == (CLOSER,)
    assert 11_000 < rig.stats.age_ms < 13_000
    monkeypatch.setattr(rig.projection, "_connected", real)
    rig.run(6_000)
    assert rig.balances() == [D(1001)] * 3
    assert (rig.gate.closers, rig.stats.is_down, rig.stats.age_ms) == ((), False, 0)
    assert "projection away" in rig.over


def test_an_idle_engine_that_was_started_again_is_behind_nothing(store, dsn):
    create(store, 3)
    project_all(dsn)
    rig = Rig(dsn, store)
    try:
        for _ in range(20):
            rig.run(1_000)
        assert (rig.stats.position, rig.stats.behind, rig.stats.age_ms) == (3, 0, 0.0)
        assert rig.gate.closers == ()
        assert not rig.lasting
    finally:
        rig.projection.close()


def test_a_new_instance_goes_on_where_the_last_one_was(rig, authors):
    rig.decide(*authors)
    rig.dispatcher.hold(rig.ref.cell)
    rig.dispatcher.restart(rig.ref.cell)
    rig.decide(*authors)
    rig.run(2_000)
    assert rig.balances() == [D(1002)] * 3
    assert rig.ask("SELECT count(*) FROM balance_logs WHERE id NOT LIKE 'deposit%'") == [(6,)]


def test_another_projector_ends_this_one(rig, authors):
    rig.decide(*authors, hand_over=False)
    project_all(rig.dsn)
    rig.decide(*authors)
    crashes = []
    rig.dispatcher.on_crash = lambda _cell, report, _error: crashes.append(report.error)
    with psycopg.connect(rig.dsn, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.projection SET position = 5")
    rig.run()
    assert len(crashes) == 1
    assert "another projector works on this database" in crashes[0]


# -- left out, and back


def in_the_way(rig, is_there=True):
    with psycopg.connect(rig.dsn, autocommit=True) as connection:
        if is_there:
            connection.execute(
                "ALTER TABLE bulkhead.account ADD CONSTRAINT spoiled CHECK (account_id <> 'acct-2' OR balance <> 1001)"
            )
        else:
            connection.execute("ALTER TABLE bulkhead.account DROP CONSTRAINT spoiled")


def test_an_account_that_cannot_be_projected_is_named_and_can_be_released(rig, authors):
    in_the_way(rig)
    rig.decide(*authors)
    rig.run()
    assert rig.balances() == [D(1001), D(1000), D(1001)]
    assert rig.stats.parked == 1
    [alarm] = rig.alarms
    assert alarm.startswith("acct-2 is not projected from position 5 on (new row for relation")
    future = pykka.ThreadingFuture()
    rig.dispatcher.post(rig.ref.cell, ReleaseParked("acct-2"), future)
    rig.run()
    with pytest.raises(StateCorrupt, match="spoiled"):
        future.get(timeout=0)
    in_the_way(rig, is_there=False)
    future = pykka.ThreadingFuture()
    rig.dispatcher.post(rig.ref.cell, ReleaseParked("acct-2"), future)
    rig.run()
    assert future.get(timeout=0) == 1
    assert (rig.balances(), rig.stats.parked) == ([D(1001)] * 3, 0)


def test_what_is_left_out_is_tried_again_after_a_minute(rig, authors):
    in_the_way(rig)
    rig.decide(*authors)
    rig.run()
    in_the_way(rig, is_there=False)
    rig.run(30_000)
    assert rig.stats.parked == 1
    rig.run(31_000)
    assert (rig.balances(), rig.stats.parked, len(rig.alarms)) == ([D(1001)] * 3, 0, 1)


def test_a_release_that_nobody_waits_for_is_made_all_the_same(rig, authors):
    in_the_way(rig)
    rig.decide(*authors)
    rig.run()
    crashes = []
    rig.dispatcher.on_crash = lambda _cell, report, _error: crashes.append(report.error)
    rig.ref.tell(ReleaseParked("acct-2"))
    rig.run()
    assert (rig.stats.parked, crashes) == (1, [])
    in_the_way(rig, is_there=False)
    rig.ref.tell(ReleaseParked("acct-2"))
    rig.run()
    assert (rig.balances(), rig.stats.parked, crashes) == ([D(1001)] * 3, 0, [])


def test_days_long_gone_are_forgotten_once_in_a_minute(rig, authors, monkeypatch):
    calls, real = [], rig.projection.forget_days
    monkeypatch.setattr(rig.projection, "forget_days", lambda: calls.append(1) or real())
    rig.run(module.FORGET_AT * 1_000 - 2_000)
    assert calls == []
    rig.run(3_000)
    assert calls == [1]
    rig.run(module.RELEASE_EVERY * 1_000)
    assert calls == [1, 1]


def test_who_was_left_out_by_an_earlier_run_is_named_once_at_the_start(rig, authors):
    in_the_way(rig)
    rig.decide(*authors)
    rig.run()
    rig.dispatcher.stop_cell(rig.ref.cell)
    again = Rig(rig.dsn, rig.store)
    again.run(130_000)
    assert len(again.alarms) == 1
    assert again.alarms[0].startswith(
        "acct-2 is not projected from position 5 on (acct-2 cannot be projected: new row"
    )
    assert again.stats.parked == 1
    again.projection.close()


def test_what_was_handed_over_is_shown_in_short(rig, authors):
    assert repr(rig.decide(*authors)) == "Committed(first=4, decisions=3)"


# -- the end


def test_a_stop_projects_what_is_left_and_keeps_all_tails(rig, authors):
    rig.decide(*authors)
    rig.run()
    rig.decide(*authors)
    rig.decide(*authors, hand_over=False)
    rig.dispatcher.stop_cell(rig.ref.cell)
    assert rig.balances() == [D(1003)] * 3
    assert rig.ask("SELECT stream, sequence FROM bulkhead.snapshot ORDER BY 1") == [
        (f"acct-{n}", 3) for n in (1, 2, 3)
    ]


def test_a_stop_takes_no_longer_than_it_may(rig, authors, monkeypatch):
    real, clock = rig.projection.project, rig.dispatcher.clock

    def slow(decisions):
        clock.advance_to(clock.monotonic_ns() + 4 * NANOS_PER_SECOND)
        real(decisions)

    monkeypatch.setattr(rig.projection, "project", slow)
    monkeypatch.setattr(module, "PROJECTION_BATCH_MAX", 3)
    for _ in range(3):
        rig.decide(*authors, hand_over=False)
    rig.dispatcher.stop_cell(rig.ref.cell)
    assert rig.balances() == [D(1001)] * 3
    project_all(rig.dsn)
    assert rig.balances() == [D(1003)] * 3
