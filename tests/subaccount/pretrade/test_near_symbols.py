"""An unknown symbol: which ones may have been meant, at little cost."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.messages import PlaceOrder
from actors.core.units import Symbol
from actors.subaccount.pretrade.near_symbols import near_symbols
from tests.factories import BUY, INSTRUMENTS, account, check, market


def order(symbol):
    return PlaceOrder(symbol=symbol, side=BUY, quantity=D("0.1"))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ETH", ["ETHUSDT"]),
        ("ETHUSD", ["ETHUSDT"]),
        ("ethusdt", ["ETHUSDT"]),
        ("ETH/USDT:USDT", ["ETHUSDT"]),
        ("ETH-USDT", ["ETHUSDT"]),
        ("BTCUSTD", ["BTCUSDT"]),
        ("ZZZ", []),
        ("", []),
        ("/:", []),
    ],
)
def test_an_unknown_symbol_is_told_which_one_may_be_meant(typed, meant):
    assert near_symbols(typed, INSTRUMENTS)[: len(meant) or None] == meant
    if typed not in INSTRUMENTS:
        asked = order(Symbol(typed))
        [refusal] = [r for r in check(account(), asked, market()).rejections if r.code == "UNKNOWN_SYMBOL"]
        assert ("did you mean " + " or ".join(meant) in refusal.text) is bool(meant)
        assert "'bulkhead master' lists the symbols" in refusal.text


def test_a_long_unknown_symbol_is_not_repeated_and_costs_little():
    names = [Symbol(f"A{n:05}USDT") for n in range(100_000)]
    assert len(near_symbols("A" * 1_000_000, names)) <= 3
    assert len(check(account(), order(Symbol("x" * 10_000)), market()).rejections[-1].text) < 200


def test_a_symbol_that_was_meant_is_found_among_many_that_begin_alike():
    names = [Symbol(f"B{a}{b}USDT") for a in "AEIOU" for b in "ABCDEFGH"] + [Symbol("BTCUSDT")]
    assert near_symbols("BTCUSD", names)[0] == "BTCUSDT"
