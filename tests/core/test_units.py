"""Numbers: exact, finite, and never a float.

Covers: actors/core/instruments.py
"""

from __future__ import annotations

from decimal import ROUND_UP
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.units import parse_decimal, plain, round_to


@pytest.mark.parametrize("bad", ["NaN", "inf", "-Infinity", "abc", "", None, 1.5, True, [], D("NaN")])
def test_what_is_no_finite_decimal_is_refused_by_name(bad):
    with pytest.raises(ValueError, match="amount"):
        parse_decimal(bad, "amount")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=12))
def test_plain_text_is_the_same_number_without_exponent(value):
    assert D(plain(value)) == value
    assert "E" not in plain(value)


@given(st.decimals("0", "1000000", places=8), st.sampled_from([D("0.001"), D("0.1"), D(1), D(5)]))
def test_rounding_goes_to_multiples(value, step):
    up = round_to(value, step, ROUND_UP)
    assert up % step == 0
    assert D(0) <= up - value < step
