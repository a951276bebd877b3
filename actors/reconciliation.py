"""Comparing the books with the exchange, per symbol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from actors.units import ZERO, Symbol


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
    ask_store: Callable[[Callable[[Any], Any]], Any],
    read_master: Callable[[], dict[Symbol, Decimal]],
    symbols: Iterable[Symbol],
    settle_seconds: float,
) -> list[Difference]:
    """Compare, and while there is a difference again: fills on their way get some time.

    Args:
        ask_store: runs a call with the store, in the writer's thread.
        read_master: the exchange's positions.
        symbols: what to list beside the symbols of any position.
        settle_seconds: how long a difference may take to go away.

    Raises:
        ExchangeUnreachable, StoreUnreachable: nothing can be said.
    """
    deadline = time.monotonic() + settle_seconds
    while True:
        virtual, house = ask_store(lambda store: (store.virtual_totals(), store.house_positions()))
        master = read_master()
        names = sorted({*virtual, *house, *master, *symbols})
        found = [Difference(s, virtual.get(s, ZERO), house.get(s, ZERO), master.get(s, ZERO)) for s in names]
        if time.monotonic() >= deadline or all(d.difference == ZERO for d in found):
            return found
        time.sleep(0.2)
