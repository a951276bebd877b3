"""Comparing the books with the exchange, per symbol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec

from actors.core.alarm_level import Critical
from actors.core.units import ZERO, Symbol
from actors.persistence.open_books import Books

Positions = Mapping[Symbol, Decimal]

BOOKS_KEPT_S = 1.0
"""How long one reading of the books is good for whoever asks: each costs request weight."""

LOOK_SECONDS = 0.2


class Difference(msgspec.Struct, frozen=True):
    """One symbol of a reconciliation: virtual + house + in_flight should equal master.

    ``in_flight`` is what a block order traded for members whose accounts have not booked it yet.
    """

    symbol: Symbol
    virtual: Decimal
    house: Decimal
    master: Decimal
    in_flight: Decimal = ZERO

    @property
    def difference(self) -> Decimal:
        """Master - virtual - house - in_flight; zero when the books agree."""
        return self.master - self.virtual - self.house - self.in_flight


def reconcile(
    read_books: Callable[[], tuple[Books, Positions]],
    symbols: Iterable[Symbol],
    settle_seconds: float,
) -> list[Difference]:
    """Compare, and while there is a difference again: fills on their way get some time.

    Args:
        read_books: our positions, and those of the master at the exchange.
        symbols: what to list beside the symbols of any position.
        settle_seconds: how long a difference may take to go away.

    Raises:
        ExchangeUnreachable, ExchangeBusy, StoreUnreachable: nothing can be said.
    """
    deadline = time.monotonic() + settle_seconds
    listed = list(symbols)
    while True:
        books, master = read_books()
        names = sorted({*books.virtual, *books.house, *books.in_flight, *master, *listed})
        found = [
            Difference(s, *(of.get(s, ZERO) for of in (books.virtual, books.house, master, books.in_flight)))
            for s in names
        ]
        if time.monotonic() >= deadline or all(d.difference == ZERO for d in found):
            return found
        time.sleep(LOOK_SECONDS)


def told_of(found: Iterable[Difference]) -> list[str]:
    """An alarm for each difference."""
    return [
        Critical(
            f"{d.symbol}: the master has {d.master}, the accounts {d.virtual} and the house {d.house}{_on_its_way(d)}: "
            f"{d.difference} belongs to nobody; no account was touched"
        )
        for d in found
        if d.difference != ZERO
    ]


def _on_its_way(found: Difference) -> str:
    return (
        f", and {found.in_flight} is on its way from a block order to its members" if found.in_flight else ""
    )
