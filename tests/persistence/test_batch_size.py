"""How many decisions share a commit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.constants import WRITER_BATCH_BEHIND, WRITER_BATCH_LEAST, WRITER_BATCH_MOST
from actors.core.units import NANOS_PER_MS
from actors.persistence.batch_size import QUICK, SLOW, following


@pytest.mark.parametrize(
    ("size", "wrote", "took", "next_size"),
    [
        (512, 512, QUICK - 1, 768),
        (512, 512, QUICK, 512),
        (512, 511, QUICK - 1, 512),
        (2000, 2000, 0, WRITER_BATCH_MOST),
        (512, 512, SLOW, 512),
        (512, 400, SLOW, 512),
        (512, 512, SLOW * 512 // 500, 500),
        (512, 400, SLOW * 2, 200),
        (512, 400, SLOW * 50, 200),
        (512, 100, SLOW * 50, WRITER_BATCH_LEAST),
        (512, WRITER_BATCH_LEAST, SLOW * 50, 512),
        (512, WRITER_BATCH_LEAST + 1, SLOW * 50, WRITER_BATCH_LEAST),
    ],
)
def test_a_quick_full_batch_grows_and_a_slow_one_shrinks(size, wrote, took, next_size):
    assert following(size, wrote, took) == next_size


@pytest.mark.parametrize(
    ("size", "wrote", "took", "left", "next_size"),
    [
        (512, 512, SLOW * 50, 512, 512),
        (512, 512, SLOW * 50, 257, 512),
        (512, 512, SLOW * 50, 256, 256),
        (512, WRITER_BATCH_LEAST + 1, SLOW * 50, WRITER_BATCH_LEAST + 1, 512),
        (512, 512, SLOW * 50, 513, 768),
        (512, 100, SLOW * 50, 101, 768),
        (WRITER_BATCH_LEAST, WRITER_BATCH_LEAST, SLOW * 50, 65, 96),
        (1_000, 1_000, SLOW * 50, 9_000, WRITER_BATCH_BEHIND),
        (WRITER_BATCH_MOST, 512, SLOW * 50, 9_000, WRITER_BATCH_MOST),
        (512, 512, 0, 512, 768),
    ],
)
def test_a_batch_behind_which_many_wait_does_not_shrink_and_grows_if_they_are_more_than_it_held(
    size, wrote, took, left, next_size
):
    assert following(size, wrote, took, left) == next_size


def drained(waiting, fixed_ns, each_ns, *, sees_them):
    """Nanoseconds until all that waits is durable, with the smallest batches at the begin."""
    size, took = WRITER_BATCH_LEAST, 0
    while waiting:
        wrote = min(size, waiting)
        waiting -= wrote
        took += fixed_ns + each_ns * wrote
        size = following(size, wrote, fixed_ns + each_ns * wrote, waiting if sees_them else 0)
    return took


def test_a_crowd_is_durable_five_times_as_soon_where_a_commit_is_slow_whatever_it_holds():
    crowd = 10_000, 80 * NANOS_PER_MS, 50_000
    assert drained(*crowd, sees_them=True) * 5 < drained(*crowd, sees_them=False)


@given(st.integers(1, 20_000), st.integers(0, 100), st.integers(10, 400))
def test_whatever_a_commit_costs_what_waits_is_never_durable_later(waiting, fixed_ms, each_us):
    crowd = waiting, fixed_ms * NANOS_PER_MS, each_us * 1_000
    assert drained(*crowd, sees_them=True) <= drained(*crowd, sees_them=False)


@given(
    st.integers(20, 400).map(lambda n: n * 1_000),
    st.integers(0, 6),
    st.integers(WRITER_BATCH_LEAST, WRITER_BATCH_MOST),
)
def test_whatever_a_decision_costs_full_batches_come_to_ten_milliseconds_at_most(each_ns, fixed_ms, size):
    for _ in range(20):
        size = following(size, size, fixed_ms * NANOS_PER_MS + each_ns * size)
    took = fixed_ms * NANOS_PER_MS + each_ns * size
    assert took <= 10 * NANOS_PER_MS or size == WRITER_BATCH_LEAST
