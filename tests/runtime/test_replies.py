"""A countdown calls once, when all have answered."""

from __future__ import annotations

from actors.runtime.replies import Countdown


def test_a_countdown_calls_once_when_all_have_answered_and_at_once_for_nobody():
    done = []
    count = Countdown(3, lambda: done.append(1))
    count.set(None)
    count.set_exception((ValueError, ValueError(), None))
    assert done == []
    count.set("x")
    assert done == [1]
    Countdown(0, lambda: done.append(2))
    assert done == [1, 2]
