"""How one value is written."""

from __future__ import annotations

import pytest

from actors.cli.values import brief, price


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("61810.80000", "61,810.80"),
        ("0.10474", "0.10474"),
        ("2680.7", "2,680.70"),
        ("0.6", "0.60"),
        (None, "no price"),
        ("100", "100.00"),
    ],
)
def test_prices_have_their_cents_and_no_idle_zeros(value, shown):
    assert price(value) == shown


def test_a_long_text_ends_after_a_word_and_says_how_much_more_there_is():
    assert brief("short", 5) == "short"
    assert brief("one two three", 8) == "one two ... (6 characters more)"
    assert brief("one two three", 7) == "one two ... (6 characters more)"
    assert brief("x" * 50, 10) == "x" * 10 + " ... (40 characters more)"
