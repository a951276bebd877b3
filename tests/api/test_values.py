"""Numbers and lists of requests."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.api.values import LIST_MAX, at_most_8, check_length, decimal_of, number_of
from actors.core.errors import BadInput


@pytest.mark.parametrize("text", ["", "one", "1,5", "NaN", "Infinity", "1_000"])
def test_what_is_no_number_is_refused_by_name(text):
    with pytest.raises(BadInput, match="deposit"):
        decimal_of(text, "deposit")


@pytest.mark.parametrize("text", ["NaN", "inf", "-Infinity"])
def test_what_an_orders_checks_name_is_left_to_them(text):
    assert not number_of(text, "quantity").is_finite()
    with pytest.raises(BadInput, match="quantity"):
        number_of("one", "quantity")
    assert number_of("0.10", "quantity") == D("0.1")


def test_a_price_has_at_most_eight_decimals_and_no_exponent():
    assert str(at_most_8(D("0E-12"))) == "0"
    assert str(at_most_8(D("1.123456789"))) == "1.12345679"


def test_a_list_has_a_bound():
    check_length([0] * LIST_MAX)
    with pytest.raises(BadInput, match="10,001 entries are too many for one request; send at most 10,000"):
        check_length([0] * (LIST_MAX + 1))
