"""Whole days of one account, by chance, as the decisions that were made: what the journal would hold of them."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec.structs import replace

from tests.subaccount.test_books import STEP, Books

STEPS = st.lists(STEP, min_size=8, max_size=40)


class Day(Books):
    """An account that anything may happen to; ``decisions`` has the facts of each decision, and the state after it."""

    def __init__(self, limits=None):
        super().__init__()
        if limits is not None:
            self.state = replace(self.state, limits=limits, base_limits=limits)
        self.first, self.decisions = self.state, []

    def take(self, message):
        decision = super().take(message)
        if decision.facts:
            self.decisions.append((decision.facts, decision.state))
        return decision


def day_of(steps, limits=None):
    day = Day(limits)
    for step in steps:
        day.step(*step)
    return day
