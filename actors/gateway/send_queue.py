"""Orders that wait until the exchange's limits let them go, and which one is next. Pure.

Rules
1. What is urgent goes first (what liquidates, and market orders that only reduce: ``orders.is_urgent``); within that,
   what has waited longest.
2. An order was decided at the price of that time. One that is to trade at any price and has waited ``STALE_MS``
   is not sent: it goes back to its account, which decides again.
3. What an account decides instead keeps the place of what went back.
4. Waiting here is not an answer of the exchange: it does not count as a refusal.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from actors.core.enums import OrderType
from actors.core.facts import OrderIntended
from actors.core.units import AccountId, ClientOrderId
from actors.gateway.orders import Place, Tracked, is_urgent

STALE_MS = 2_000
"""How old a decision may be that trades at any price."""

PLACE_KEPT_MS = 60_000
"""How long a place is kept for what is decided instead; longer than Postgres may take to make that durable."""

SLOT_KEPT_MS = 250
"""How long no order from further behind is sent instead; a decision takes milliseconds."""


class SendQueue:
    """Two queues. Times are milliseconds that never go back."""

    def __init__(self) -> None:
        self._queues: dict[bool, list[tuple[Place, ClientOrderId]]] = {True: [], False: []}
        self._kept: dict[tuple[AccountId, str], list[tuple[Place, int]]] = {}
        # Slots of those that are being decided again: sorted by place, and in the order in which they run out.
        self._slots: list[Place] = []
        self._slot_ends: deque[tuple[int, Place]] = deque()
        self._number = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def add(self, order: OrderIntended, place: Place) -> None:
        """Queue an order at its place."""
        insort(self._queues[is_urgent(order)], (place, order.client_order_id))

    def first(self, *, urgent: bool) -> tuple[Place, ClientOrderId] | None:
        """The next order."""
        queue = self._queues[urgent]
        return queue[0] if queue else None

    def pop(self, *, urgent: bool) -> None:
        """The first one leaves."""
        del self._queues[urgent][0]

    def reserve_place(self, order: OrderIntended, place: Place, now_ms: int) -> None:
        """What its account decides instead, for the same cause, stands where this order stood."""
        self._kept.setdefault((order.account_id, order.cause), []).append((place, now_ms))
        insort(self._slots, place)
        self._slot_ends.append((now_ms + SLOT_KEPT_MS, place))

    def reserved_place(self, order: OrderIntended, now_ms: int) -> Place | None:
        """The place that is kept for an order, if it is what was decided instead; each is given once."""
        key = (order.account_id, order.cause)
        places = self._kept.get(key, [])
        while places:
            kept, kept_ms = places.pop(0)
            if not places:
                del self._kept[key]
            self._give_up_slot(kept)
            if now_ms - kept_ms <= PLACE_KEPT_MS:
                return kept
        return None

    def new_place(self, since_ms: int) -> Place:
        """A place behind all that have waited since before ``since_ms``."""
        self._number += 1
        return Place(since_ms, self._number)

    def expected_before(self, place: Place, now_ms: int) -> int:
        """How many are being decided again whose place is before this one."""
        while self._slot_ends and self._slot_ends[0][0] < now_ms:
            self._give_up_slot(self._slot_ends.popleft()[1])
        return bisect_left(self._slots, place)

    def _give_up_slot(self, place: Place) -> None:
        at = bisect_left(self._slots, place)
        if at < len(self._slots) and self._slots[at] == place:
            del self._slots[at]

    def forget(self, now_ms: int) -> None:
        """Keep no place for accounts that decided otherwise."""
        for key in [k for k, places in self._kept.items() if now_ms - places[-1][1] > PLACE_KEPT_MS]:
            del self._kept[key]


def is_stale(tracked: Tracked, now_ms: int) -> bool:
    """Whether an order must be decided again before it may be sent; a limit price says itself what it accepts."""
    return tracked.order.order_type is OrderType.MARKET and now_ms - tracked.queued_ms >= STALE_MS
