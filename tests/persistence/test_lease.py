"""The writer keeps the lease on the database: tried again whatever happened, and never believed for too long."""

from __future__ import annotations

import pytest

from actors.core.errors import Fenced, StoreUnreachable
from actors.core.units import NANOS_PER_SECOND
from actors.persistence.actor import LEASE_MARGIN_SECONDS, RENEW_EVERY
from tests.persistence import test_actor

SECONDS = 15


class Leased(test_actor.Store):
    """Renews as a test says; an answer takes two seconds."""

    def __init__(self):
        super().__init__()
        self.clock, self.error, self.tries = None, None, 0

    def renew(self):
        self.tries += 1
        if self.clock is not None:
            self.clock.advance_to(self.clock.monotonic_ns() + 2 * NANOS_PER_SECOND)
        if self.error is not None:
            raise self.error
        return SECONDS


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(test_actor, "Store", Leased)
    return test_actor.Bench()


def run(bench, seconds):
    bench.dispatcher.run_until(bench.dispatcher.clock.monotonic_ns() + int(seconds * NANOS_PER_SECOND))


def until(bench):
    return bench.gate._lease_until_ns


def test_the_lease_is_renewed_every_second(bench):
    assert bench.store.tries == 1
    run(bench, 10)
    assert bench.store.tries == 1 + 10 * NANOS_PER_SECOND // RENEW_EVERY


def test_after_a_try_that_failed_it_is_tried_again_and_sending_ends_only_with_the_lease(bench):
    held_until = until(bench)
    bench.store.error = StoreUnreachable("away")
    run(bench, 5)
    assert bench.store.tries == 6
    assert until(bench) == held_until
    assert bench.gate.may_send(held_until - 1)
    assert not bench.gate.may_send(held_until)
    bench.store.error = None
    run(bench, 1)
    assert (
        until(bench)
        == bench.dispatcher.clock.monotonic_ns() + (SECONDS - LEASE_MARGIN_SECONDS) * NANOS_PER_SECOND
    )


def test_the_lease_counts_from_before_the_question_and_ends_a_margin_early(bench):
    """How long the answer took is time that Postgres has counted already."""
    bench.store.clock = bench.dispatcher.clock
    asked_ns = bench.dispatcher.clock.monotonic_ns() + RENEW_EVERY
    bench.dispatcher.run_until(asked_ns + 2 * NANOS_PER_SECOND)
    assert bench.store.tries == 2
    assert until(bench) == asked_ns + (SECONDS - LEASE_MARGIN_SECONDS) * NANOS_PER_SECOND
    assert LEASE_MARGIN_SECONDS >= 1


def test_a_newer_owner_halts_the_engine_at_once(bench):
    failed = []
    bench.dispatcher.on_crash = lambda cell, report, error: failed.append(error)
    bench.store.error = Fenced("somebody else")
    run(bench, 1)
    assert not bench.gate.may_send(bench.dispatcher.clock.monotonic_ns())
    assert bench.gate.closers == ("fenced", "halt")
    assert [type(error) for error in failed] == [Fenced]


def test_after_a_restart_of_the_writer_there_is_one_timer_and_not_two(bench):
    bench.dispatcher.restart(bench.writer.cell)
    bench.dispatcher.run_until_quiet()
    tries = bench.store.tries
    run(bench, 5)
    assert bench.store.tries == tries + 5
