"""Fifty engines killed, frozen or cut off at random moments: each trade of the exchange once, no order without its fact."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.chaos.run import SHARES, Run, plan

CYCLES = 50
SEED = 13

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_each_kind_of_fault_comes_and_the_same_seed_plans_the_same():
    for cycles in (20, CYCLES, 200):
        kinds = plan(random.Random(SEED), cycles)
        assert len(kinds) == cycles
        assert set(kinds) == set(SHARES)
        assert kinds == plan(random.Random(SEED), cycles)
        assert kinds != plan(random.Random(SEED + 1), cycles)
    assert Counter(kinds).most_common(1)[0][0] == "kill"


def test_fifty_cycles_leave_the_books_equal(tmp_path):
    lines = []
    run = Run(tmp_path, SEED, CYCLES, report=lines.append)
    try:
        run.play()
    finally:
        print(
            "\n".join(
                [*lines, str(run.figures()), f"again: python -m tests.chaos --cycles {CYCLES} --seed {SEED}"]
            )
        )
    assert run.done == CYCLES
    assert set(run.faults) == set(SHARES)
    found = run.figures()
    assert found["trades booked"] > 10 * CYCLES, found
    assert found["orders at the exchange"] > 10 * CYCLES, found
    assert found["of them by liquidations"] > 0, found
    assert found["load"]["exchange: duplicate_events"], found
