"""Restart policy: burst and rate, doubling waits, and the window that forgets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.restart import GiveUp, RestartAfter, RestartPolicy, after_crash

POLICY = RestartPolicy(max_restarts=3, window_ns=1_000, backoff_first_ns=10, backoff_max_ns=30, jitter=0.2)


def test_waits_double_up_to_the_most_and_then_it_gives_up():
    history, waits = (), []
    for now in (0, 100, 200):
        outcome = after_crash(history, now, POLICY, 0.5)
        assert isinstance(outcome, RestartAfter)
        waits.append(outcome.wait_ns)
        history = outcome.history
    assert waits == [10, 20, 30]
    assert after_crash(history, 300, POLICY, 0.5) == GiveUp(4, 1_000)


def test_failures_outside_the_window_are_forgotten():
    outcome = after_crash((0, 10, 20), 1_020, POLICY, 0.5)
    assert outcome == RestartAfter(10, (1_020,))


@given(st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_its_share(unit):
    outcome = after_crash((), 0, RestartPolicy(backoff_first_ns=1_000), unit)
    assert 800 <= outcome.wait_ns <= 1_200


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_never_more_restarts_in_a_window_than_allowed(gaps):
    now, history, restarts = 0, (), []
    for gap in gaps:
        now += gap
        outcome = after_crash(history, now, POLICY, 0.5)
        if isinstance(outcome, GiveUp):
            break
        history = outcome.history
        restarts.append(now)
    for at in restarts:
        assert sum(at - POLICY.window_ns < t <= at for t in restarts) <= POLICY.max_restarts
