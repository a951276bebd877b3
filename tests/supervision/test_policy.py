"""Restart policy: burst and rate, doubling waits, and the window that forgets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.supervision.policy import GiveUp, RestartAfter, RestartPolicy, after_crash

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


def test_failures_outside_the_window_do_not_count_against_the_limit():
    assert isinstance(after_crash((0, 10, 20), 1_020, POLICY, 0.5), RestartAfter)
    assert isinstance(after_crash((0, 10, 20), 999, POLICY, 0.5), GiveUp)


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


def test_the_wait_grows_until_it_was_healthy_for_long_enough():
    policy = RestartPolicy(
        max_restarts=3, window_ns=100, backoff_first_ns=10, backoff_max_ns=1_000, healthy_ns=500
    )
    history, waits = (), []
    for now in (0, 200, 400, 600, 1_099, 1_599):
        outcome = after_crash(history, now, policy, 0.5)
        history = outcome.history
        waits.append(outcome.wait_ns)
    assert waits == [10, 20, 40, 80, 160, 10]


def test_history_is_bounded():
    policy = RestartPolicy(max_restarts=3, window_ns=1, healthy_ns=10**9)
    history = ()
    for now in range(0, 1_000, 2):
        history = after_crash(history, now, policy, 0.5).history
    assert len(history) == 64


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"max_restarts": -1}, "max_restarts -1"),
        ({"backoff_first_ns": 0}, "waits 0"),
        ({"backoff_first_ns": 9, "backoff_max_ns": 8}, "waits 9 to 8"),
        ({"window_ns": 0}, "window 0"),
        ({"healthy_ns": 0}, "healthy time 0"),
        ({"jitter": 1.0}, "jitter 1.0"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(bad, text):
    with pytest.raises(ValueError, match=text):
        RestartPolicy(**bad)


def test_a_failure_leaves_the_window_when_it_is_as_old_as_that():
    assert isinstance(after_crash((0, 10, 20), 1_000, POLICY, 0.5), RestartAfter)


def test_the_narrowest_policies_are_policies():
    narrow = RestartPolicy(
        max_restarts=0, window_ns=1, backoff_first_ns=1, backoff_max_ns=1, healthy_ns=1, jitter=0
    )
    assert after_crash((), 5, narrow, 0.0) == GiveUp(1, 1)
    assert after_crash((), 5, RestartPolicy(jitter=0), 0.9).wait_ns == RestartPolicy().backoff_first_ns


@pytest.mark.parametrize(
    "changes",
    [
        {"max_restarts": -1},
        {"backoff_first_ns": 0},
        {"backoff_first_ns": 2, "backoff_max_ns": 1},
        {"window_ns": 0},
        {"healthy_ns": 0},
        {"jitter": 1},
        {"jitter": -0.1},
    ],
)
def test_policies_that_cannot_be_are_refused(changes):
    with pytest.raises(ValueError, match=r"must"):
        RestartPolicy(**changes)
