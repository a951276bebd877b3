"""How many decisions share a commit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.constants import WRITER_BATCH_LEAST, WRITER_BATCH_MOST
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
