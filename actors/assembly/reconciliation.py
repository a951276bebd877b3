"""Comparing the books with the exchange, per symbol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec

from actors.core.alarm_level import Critical
from actors.core.units import ZERO, Symbol

Positions = Mapping[Symbol, Decimal]

BOOKS_KEPT_S = 1.0
"""How long one reading of the books is good for whoever asks: each costs request weight."""

LOOK_SECONDS = 0.2


class Difference(msgspec.Struct, frozen=True):
    """One symbol of a reconciliation: virtual + house should equal master."""

    symbol: Symbol
    virtual: Decimal
    house: Decimal
    master: Decimal

    @property
    def difference(self) -> Decimal:
        """Master - virtual - house; zero when the books agree."""
        return self.master - self.virtual - self.house


def reconcile(
    read_books: Callable[[], tuple[Positions, Positions, Positions]],
    symbols: Iterable[Symbol],
    settle_seconds: float,
) -> list[Difference]:
    """Compare, and while there is a difference again: fills on their way get some time.

    Args:
        read_books: positions of the accounts, of the house, and of the master at the exchange.
        symbols: what to list beside the symbols of any position.
        settle_seconds: how long a difference may take to go away.

    Raises:
        ExchangeUnreachable, ExchangeBusy, StoreUnreachable: nothing can be said.
    """
    deadline = time.monotonic() + settle_seconds
    listed = list(symbols)
    while True:
        virtual, house, master = read_books()
        names = sorted({*virtual, *house, *master, *listed})
        found = [Difference(s, virtual.get(s, ZERO), house.get(s, ZERO), master.get(s, ZERO)) for s in names]
        if time.monotonic() >= deadline or all(d.difference == ZERO for d in found):
            return found
        time.sleep(LOOK_SECONDS)


def told_of(found: Iterable[Difference]) -> list[str]:
    """An alarm for each difference."""
    return [
        Critical(
            f"{d.symbol}: the master has {d.master}, the accounts {d.virtual} and the house {d.house}: {d.difference} "
            "belongs to nobody; no account was touched"
        )
        for d in found
        if d.difference != ZERO
    ]
