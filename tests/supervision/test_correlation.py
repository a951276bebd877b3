"""Many failures of one cause trip one breaker; few, or of many causes, do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.supervision.correlation import CorrelationPolicy, FailureBreaker

POLICY = CorrelationPolicy(fraction=0.01, at_least=3, window_ns=100, cooldown_first_ns=10, cooldown_max_ns=25)


def tripped(where="w"):
    breaker = FailureBreaker(POLICY)
    answers = [breaker.failed(where, f"a{n}", n, 100) for n in range(4)]
    assert answers == [False, False, False, True]
    return breaker


def test_it_trips_above_the_threshold_and_parks_what_follows():
    breaker = tripped()
    assert breaker.parks("w")
    assert not breaker.parks("elsewhere")
    assert not breaker.failed("w", "a9", 5, 100)
    assert list(breaker.tripped["w"].parked) == ["a3", "a9"]


def test_the_threshold_grows_with_the_population():
    assert POLICY.threshold(100_000) == 1_000
    breaker = FailureBreaker(POLICY)
    assert not any(breaker.failed("w", f"a{n}", 0, 100_000) for n in range(1_000))
    assert breaker.failed("w", "one more", 0, 100_000)


def test_one_actor_that_fails_often_is_no_correlation():
    breaker = FailureBreaker(POLICY)
    assert not any(breaker.failed("w", "same", n, 100) for n in range(50))


def test_failures_spread_over_time_or_places_do_not_trip():
    breaker = FailureBreaker(POLICY)
    assert not any(breaker.failed("w", f"a{n}", n * 60, 100) for n in range(50))
    assert not any(breaker.failed(f"w{n}", f"a{n}", 0, 100) for n in range(50))
    breaker.prune(10_000)
    assert breaker._recent == {}


def test_a_probe_that_is_well_frees_the_others():
    breaker = tripped()
    breaker.failed("w", "a9", 5, 100)
    probe = breaker.next_probe("w")
    assert probe == "a3"
    assert breaker.next_probe("w") is None, "one at a time"
    assert breaker.probe_was_well("w", probe) == ("a9",)
    assert not breaker.parks("w")


def test_a_probe_that_fails_doubles_the_cooldown_up_to_the_most():
    breaker = tripped()
    waits = []
    for n in range(3):
        probe = breaker.next_probe("w")
        breaker.failed("w", probe, 10 + n, 100)
        assert breaker.probe_was_well("w", probe) == ()
        waits.append(breaker.tripped["w"].cooldown_ns)
    assert waits == [20, 25, 25]


def test_what_an_operator_takes_in_hand_is_parked_no_more():
    breaker = tripped()
    assert breaker.forget("a3") == ["w"], "it was the last one: somebody must look"
    assert breaker.next_probe("w") is None
    breaker.failed("w", "a4", 6, 100)
    breaker.next_probe("w")
    assert breaker.forget("a4") == ["w"], "it was the probe: another is needed"
    assert breaker.probe_was_well("w", "a4") == ()
    breaker.drop_if_empty("w")
    assert not breaker.parks("w")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60))
def test_it_trips_exactly_when_more_than_the_threshold_fail_within_the_window(failures):
    breaker, seen, now = FailureBreaker(POLICY), {}, 0
    for actor, gap in failures:
        now += gap
        seen[actor] = now
        expected = sum(now - at <= POLICY.window_ns for at in seen.values()) > POLICY.threshold(100)
        assert breaker.failed("w", str(actor), now, 100) == expected
        if expected:
            return


def test_a_failure_counts_to_the_last_moment_of_the_window():
    breaker = FailureBreaker(CorrelationPolicy(at_least=1, window_ns=100))
    assert not breaker.failed("w", "a", 0, 1)
    breaker.prune(100)
    assert breaker.failed("w", "b", 100, 1)
    late = FailureBreaker(CorrelationPolicy(at_least=1, window_ns=100))
    assert not late.failed("w", "a", 0, 1)
    late.prune(101)
    assert not late.failed("w", "b", 101, 1)
