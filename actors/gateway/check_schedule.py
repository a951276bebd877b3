"""Which orders the gateway's timer checks. Pure.

An order that rests at the exchange changes only by what arrives of it. So the timer checks the active ones, of which
something arrived or which something was done to, and some of the others in turn: each within ``ROUND_TURNS`` firings,
in case anything was missed. A check of all of them every time cost more than the orders' own messages.
"""

from __future__ import annotations

from collections.abc import Collection

from actors.core.units import ClientOrderId

CHECKS_MIN = 500
"""With no more orders than this, the timer checks all of them each time."""

ROUND_TURNS = 50
"""Firings of the timer until it has checked every order; five seconds."""


class CheckSchedule:
    """The active orders, and a round over all of them."""

    def __init__(self) -> None:
        self._active: dict[ClientOrderId, None] = {}
        self._round: list[ClientOrderId] = []

    def mark_active(self, id_: ClientOrderId) -> None:
        """Something arrived of an order, or was done to it: check it each time until it is idle."""
        self._active[id_] = None

    def mark_idle(self, id_: ClientOrderId) -> None:
        """There is nothing to do for an order until something arrives of it."""
        self._active.pop(id_, None)

    def due(self, tracked: Collection[ClientOrderId]) -> list[ClientOrderId]:
        """The orders to check now; some may have ended meanwhile."""
        if not self._round:
            self._round = list(tracked)
        count = min(len(self._round), max(CHECKS_MIN, -(-len(tracked) // ROUND_TURNS)))
        others = [self._round.pop() for _ in range(count)]
        return [*self._active, *(id_ for id_ in others if id_ not in self._active)]
