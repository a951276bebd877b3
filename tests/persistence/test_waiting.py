"""How the writer groups what waits, and whose answers it gives."""

from __future__ import annotations

import pytest

from actors.core.constants import WRITER_BATCH_FIRST
from actors.core.errors import NotDurable
from actors.core.units import NANOS_PER_SECOND
from actors.persistence.messages import AskStore
from actors.runtime.cell import Status
from tests.persistence.authors import Call
from tests.persistence.test_actor import Bench, persist


@pytest.fixture
def bench():
    return Bench()


@pytest.mark.parametrize("extra", [0, 3])
def test_what_gathered_while_postgres_was_away_is_written_in_batches_of_the_most(bench, extra):
    bench.store.away = True
    grown = WRITER_BATCH_FIRST * 3 // 2  # a simulated commit takes no time
    for _ in range(WRITER_BATCH_FIRST + grown + extra):
        bench.writer.tell(persist())
    bench.dispatcher.run_until_quiet()
    assert bench.gate.closers == ("writer",)
    bench.store.away = False
    bench.dispatcher.run_until(2 * NANOS_PER_SECOND)
    assert bench.store.log == [WRITER_BATCH_FIRST, grown, *([extra] if extra else [])]
    assert bench.gate.closers == ()


def test_a_full_batch_is_written_though_more_waits_behind_it(bench):
    for _ in range(WRITER_BATCH_FIRST + 10):
        bench.writer.tell(persist())
    bench.dispatcher.run_until_quiet()
    assert bench.store.log == [WRITER_BATCH_FIRST, 10]


@pytest.mark.parametrize(("left_ns", "done"), [(1, True), (0, True), (-1, False)])
def test_a_question_that_came_too_late_is_not_run(bench, left_ns, done):
    bench.dispatcher.run_until(5 * NANOS_PER_SECOND)
    begin_by_ns = bench.dispatcher.clock.monotonic_ns() + left_ns
    ran = []
    answer = bench.writer.ask(
        AskStore(Call(lambda _store: ran.append(1) or "done"), begin_by_ns), block=False
    )
    bench.dispatcher.run_until_quiet()
    assert ran == ([1] if done else [])
    if done:
        assert answer.get(timeout=1) == "done"
    else:
        with pytest.raises(NotDurable, match="nothing was done"):
            answer.get(timeout=1)


def test_a_question_without_a_time_is_run_whenever_its_turn_comes(bench):
    bench.dispatcher.run_until(5 * NANOS_PER_SECOND)
    answer = bench.writer.ask(AskStore(Call(lambda _store: "done")), block=False)
    bench.dispatcher.run_until_quiet()
    assert answer.get(timeout=1) == "done"


def test_a_question_that_nobody_waits_for_is_run_too_and_its_error_is_nobody_s(bench):
    ran = []
    bench.writer.tell(AskStore(Call(lambda _store: 1 / 0)))
    bench.writer.tell(AskStore(Call(lambda _store: ran.append(1))))
    bench.dispatcher.run_until_quiet()
    assert ran == [1]
    assert bench.writer.cell.status is Status.RUNNING
    assert bench.writer.cell.restarts == 0


def test_a_refused_decision_that_nobody_waits_for_of_an_account_that_is_gone_stops_nobody(bench):
    bench.store.refuse = {"acct-1"}
    bench.accounts.clear()
    bench.writer.tell(persist())
    bench.dispatcher.run_until_quiet()
    assert bench.writer.cell.status is Status.RUNNING
    assert bench.writer.cell.actor.stats.refused == 1
