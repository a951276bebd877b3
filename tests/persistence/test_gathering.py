"""What nobody waits for is written a moment later, together; what orders follow from never waits."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from actors.core.facts import CancelIntended
from actors.persistence.actor import GATHER
from actors.subaccount.durability import LoadAccount
from tests.factories import ETH
from tests.persistence.test_actor import Bench, Sink, persist


def told(**changes):
    """A decision that only tells what happened."""
    return replace(persist(), facts=(), **changes)


def at(bench, nanos):
    bench.dispatcher.run_until(bench.dispatcher.clock.monotonic_ns() + nanos)


def test_what_only_tells_what_happened_is_one_transaction_a_moment_later():
    bench = Bench()
    for _ in range(3):
        bench.writer.tell(told())
        at(bench, GATHER // 4)
    assert bench.store.log == []
    at(bench, GATHER)
    assert bench.store.log == [3]
    # And the next ones again.
    bench.writer.tell(told())
    at(bench, GATHER // 2)
    assert bench.store.log == [3]
    at(bench, GATHER)
    assert bench.store.log == [3, 1]


@pytest.mark.parametrize(
    "urgent",
    [
        persist,
        lambda: told(reply_to=Sink._create_future()),
        lambda: replace(persist(), facts=(CancelIntended("acct-1", "bh-x-1", ETH, ""),)),
    ],
    ids=["an order", "somebody waits", "a cancel"],
)
def test_what_is_urgent_is_written_at_once_with_all_that_was_gathered(urgent):
    bench = Bench()
    bench.writer.tell(told())
    at(bench, GATHER // 4)
    bench.writer.tell(urgent())
    at(bench, 0)
    assert bench.store.log == [2]
    bench.writer.tell(told())
    at(bench, GATHER * 2)
    assert bench.store.log == [2, 1]


def test_a_load_sees_what_was_gathered():
    bench = Bench()
    bench.writer.tell(told())
    bench.writer.tell(LoadAccount("acct-1", bench.accounts["acct-1"], 0))
    at(bench, 0)
    assert bench.store.log == [1, "load"]


def test_what_was_gathered_is_written_when_the_writer_stops():
    bench = Bench()
    bench.writer.tell(told())
    at(bench, 0)
    assert bench.store.log == []
    bench.dispatcher.stop_cell(bench.writer.cell)
    assert bench.store.log == [1]


def test_a_restart_of_the_writer_forgets_nothing_that_was_gathered():
    bench = Bench()
    bench.writer.tell(told())
    at(bench, 0)
    bench.dispatcher.restart(bench.writer.cell)
    at(bench, GATHER * 2)
    assert bench.store.log == [1]
