"""Random days of one symbol's clearing, with faults of all kinds: every order ends once, and members' fills are the trades."""

from __future__ import annotations

import pytest

from tests.clearing.play import play

SEEDS = 200


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_a_day_with_faults_leaves_exact_books(first):
    for seed in range(first, first + 10):
        play(seed)


def test_a_day_is_the_same_each_time():
    one, again = play(7), play(7)
    assert (one.journal, one.sent_to_gateway) == (again.journal, again.sent_to_gateway)
