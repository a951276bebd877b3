"""Who is sent first of all that waits for the exchange's limits. Pure.

Rules
1. What liquidates goes first, then what only reduces, then new risk: nothing of a class goes while something of a higher
   class waits, whatever its symbol.
2. Of what liquidates or reduces, the largest shortfall of maintenance margin goes first, then what has waited longest.
3. New risk goes round robin: each participant, an account or a symbol's group of orders, has one turn in each round, the
   one that has waited longest first. So who sends a hundred orders delays others by one order a round.
4. An order whose turn was used already (its slot ran out while it became durable, or it could not be sent) goes before the
   others of its class.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from actors.core.clearing_messages import Group
from actors.core.enums import OrderClass
from actors.core.safe_copy import pairs
from actors.core.units import ZERO, AccountId, ClientOrderId
from actors.gateway.orders import Place

RANK = {order_class: rank for rank, order_class in enumerate(OrderClass)}

Waiter = ClientOrderId | Group
"""What waits: an order, or a group of orders that wait in their symbol's clearing."""

Participant = AccountId | Group
"""Who has turns of new risk."""


class ServiceKey(NamedTuple):
    """What is served first sorts first; ``number`` is unique. ``urgency`` is the negated shortfall, in quote asset."""

    rank: int
    had_turn: int
    turn: int
    urgency: Decimal
    since_ms: int
    number: int


def service_key(
    order_class: OrderClass, shortfall: Decimal, place: Place, *, turn: int = 0, had_turn: bool = False
) -> ServiceKey:
    """The sort key of all that waits: see the module's rules. ``turn`` is the round of new risk that it goes in."""
    by_turns = order_class is OrderClass.NEW_RISK
    return ServiceKey(
        RANK[order_class],
        0 if had_turn else 1,
        turn if by_turns and not had_turn else 0,
        ZERO if by_turns else -shortfall,
        place.since_ms,
        place.number,
    )


class Turns:
    """New risk, round robin: each participant's own line, and the first of each line sorted by round and wait."""

    def __init__(self) -> None:
        self._round = 0
        self._served: set[Participant] = set()  # in this round
        self._lines: dict[Participant, list[tuple[Place, Waiter]]] = {}
        self._heads: list[tuple[int, Place, Participant]] = []

    def __len__(self) -> int:
        return sum(len(line) for _, line in pairs(self._lines))

    def turn_of(self, participant: Participant) -> int:
        """The round in which a participant is served next."""
        return self._round + (participant in self._served)

    def add(self, participant: Participant, place: Place, what: Waiter) -> None:
        """Stand in the participant's line."""
        line = self._lines.setdefault(participant, [])
        if line:
            self._drop_head(participant, line)
        insort(line, (place, what))
        self._add_head(participant, line)

    def first(self) -> tuple[int, Place, Waiter] | None:
        """The next one, with its round."""
        if not self._heads:
            return None
        turn, place, participant = self._heads[0]
        return turn, place, self._lines[participant][0][1]

    def pop(self, *, served: bool) -> None:
        """The first one leaves; ``served``: its participant has had its turn of this round."""
        turn, _place, participant = self._heads.pop(0)
        if served:
            if turn > self._round:
                self._round = turn
                self._served.clear()
            self._served.add(participant)
        self._leave(participant, 0)

    def remove(self, participant: Participant, place: Place) -> bool:
        """One leaves, wherever in its line it stands; whether it stood there."""
        line = self._lines.get(participant, [])
        at = bisect_left(line, place, key=_place_of)
        if at == len(line) or line[at][0] != place:
            return False
        self._drop_head(participant, line)
        self._leave(participant, at)
        return True

    def all(self) -> Iterator[tuple[int, Place, Waiter]]:
        """All of them, each with its round, in no order. Callable from any thread."""
        for participant, line in pairs(self._lines):
            turn = self.turn_of(participant)
            for behind, (place, what) in enumerate(list(line)):
                yield turn + behind, place, what

    def _leave(self, participant: Participant, at: int) -> None:
        line = self._lines[participant]
        del line[at]
        if line:
            self._add_head(participant, line)
        else:
            del self._lines[participant]

    def _drop_head(self, participant: Participant, line: list[tuple[Place, Waiter]]) -> None:
        del self._heads[bisect_left(self._heads, (self.turn_of(participant), line[0][0], participant))]

    def _add_head(self, participant: Participant, line: list[tuple[Place, Waiter]]) -> None:
        insort(self._heads, (self.turn_of(participant), line[0][0], participant))


def _place_of(entry: tuple[Place, Waiter]) -> Place:
    return entry[0]
