"""Which orders the gateway's timer looks at. Pure.

An order that rests at the exchange changes by what is told of it. So the timer looks at those that something was told of
or done to since they rested, and at some of the others: everybody's turn comes within ``ROUND_TURNS`` times, should
anything have been missed.
"""

from __future__ import annotations

from collections.abc import Collection

from actors.core.units import ClientOrderId

CHECKS_MIN = 500
"""With no more orders than this, the timer looks at all of them each time."""

ROUND_TURNS = 50
"""The timer's turns until it has looked at everybody; five seconds."""


class CheckSchedule:
    """Whose turn it is."""

    def __init__(self) -> None:
        self._active: dict[ClientOrderId, None] = {}
        self._round: list[ClientOrderId] = []

    def mark_active(self, id_: ClientOrderId) -> None:
        """Something was told of an order, or done to it: look at it each time, until it rests."""
        self._active[id_] = None

    def mark_idle(self, id_: ClientOrderId) -> None:
        """Nothing will come of an order before something is told of it."""
        self._active.pop(id_, None)

    def due(self, tracked: Collection[ClientOrderId]) -> list[ClientOrderId]:
        """Who is looked at now; some may have ended meanwhile."""
        if not self._round:
            self._round = list(tracked)
        count = min(len(self._round), max(CHECKS_MIN, -(-len(tracked) // ROUND_TURNS)))
        others = [self._round.pop() for _ in range(count)]
        return [*self._active, *(id_ for id_ in others if id_ not in self._active)]
