"""Rows of the platform's as text: what is a number, a symbol, a time, a multiple of the step, and what is refused."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.units import Symbol
from actors.persistence.adoption.figures import is_equal, number, on_step, symbol_of, unix_ms
from actors.persistence.projection.spelling import platform_symbol
from tests.factories import ETH, INSTRUMENTS


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0.1, max_value=1e15))
def test_a_double_is_its_shortest_spelling(value):
    assert float(number(repr(value), "x")) == value
    assert number(repr(value), "x") == round(D(repr(value)), 18)


@pytest.mark.parametrize(
    ("text", "value"), [("1000.1", "1000.1"), ("1e-05", "0.00001"), ("5.684341886080802e-14", "5.6843E-14"), ("0", "0")]
)  # fmt: skip
def test_numbers_as_postgres_writes_them(text, value):
    assert number(text, "x") == D(value)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e300", "abc", ""])
def test_what_is_no_number_is_named(text):
    with pytest.raises(ValueError, match="current_balance"):
        number(text, "current_balance")


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("BTC/USDT:USDT", "BTCUSDT"), ("1000PEPE/USDT:USDT", "1000PEPEUSDT"), ("ETH/USDC:USDC", "ETHUSDC"),
     ("BTC/USDT:USDT-260327", "BTCUSDT_260327")],
)  # fmt: skip
def test_symbols(text, symbol):
    assert symbol_of(text) == symbol
    assert platform_symbol(Symbol(symbol)) == text


@pytest.mark.parametrize(
    "text", ["BTCUSDT", "BTC/USDT", "btc/usdt", "BTC/USDT:BTC", "", "BTC/USDT:USDT:USDT", "B/TC/USDT:USDT"]
)
def test_a_spelling_that_no_row_of_ours_would_have_is_refused(text):
    with pytest.raises(ValueError, match="not spelled as the platform"):
        symbol_of(text)


@pytest.mark.parametrize(
    "text",
    ["2026-02-17 04:10:00", "2026-02-17T04:10:00.000Z", "2026-02-17 04:10:00.000", "1771301400000",
     "2026-02-17 05:10:00+01", " 2026-02-17T04:10:00 "],
)  # fmt: skip
def test_times_as_sqlite_prisma_and_postgres_write_them(text):
    assert unix_ms(text, "opened_at") == 1_771_301_400_000


@pytest.mark.parametrize("text", ["", "yesterday", "99999999999", "infinity", "1970-01-01 00:00:00", "-5"])
def test_what_is_no_time_is_named(text):
    with pytest.raises(ValueError, match="opened_at"):
        unix_ms(text, "opened_at")


def test_the_first_number_that_is_a_time():
    assert unix_ms("100000000000", "opened_at") == 10**11


STEPS = INSTRUMENTS[ETH]


@given(st.integers(min_value=1, max_value=10**8))
def test_a_double_s_noise_is_no_other_quantity_but_half_a_step_is(steps):
    exact = steps * STEPS.step_size
    for noisy in (float(exact), float(exact) * (1 + 2e-16), float(exact) * (1 - 2e-16)):
        assert on_step(D(repr(noisy)), STEPS) == exact
    assert on_step(exact + STEPS.step_size / 2, STEPS) is None
    assert on_step(exact + D("1e-8"), STEPS) is None


def test_nothing_is_no_quantity_and_figures_may_differ_by_what_doubles_add():
    assert on_step(D(0), STEPS) is None
    assert is_equal(D("3500.0000000000005"), D(3500))
    assert not is_equal(D("3500.01"), D(3500))
    assert is_equal(D("1e-8"), D(0))
    assert not is_equal(D("1.1e-8"), D(0))
