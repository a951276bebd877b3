"""A symbol that is not traded here, and which ones may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import takewhile

from actors.core.units import Symbol
from actors.subaccount.market import Market
from actors.subaccount.rejections import RejectCode, Rejection, reject

SYMBOL_SHOWN = 40
"""Characters of an unknown symbol that are repeated."""
NEAR_SYMBOLS, SYMBOLS_COMPARED = 3, 20


def unknown_symbol(symbol: Symbol, market: Market) -> Rejection:
    """The rejection of an order in a symbol without rules."""
    near = near_symbols(symbol, market.instruments)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    text = f"{symbol[:SYMBOL_SHOWN]} is not traded here; {meant}'bulkhead master' lists the symbols"
    return reject(RejectCode.UNKNOWN_SYMBOL, text, symbol[:SYMBOL_SHOWN])


def near_symbols(typed: str, known: Iterable[Symbol]) -> list[Symbol]:
    """Symbols that may have been meant, the likeliest first; ``ETH/USDT:USDT`` is another system's ETHUSDT.

    Few are compared letter by letter: this runs where money waits.
    """
    name = "".join(c for c in typed[:SYMBOL_SHOWN].partition(":")[0].upper() if c.isalnum())
    alike = [s for s in known if name and s[0] == name[0]]
    alike.sort(
        key=lambda s: -sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(s, name, strict=False)))
    )
    return [Symbol(s) for s in get_close_matches(name, alike[:SYMBOLS_COMPARED], n=NEAR_SYMBOLS)]
