"""Orders that wait until the exchange's limits let them go, and which one is next. Pure.

Rules
1. The order of service is ``service_order``'s, for single orders and for groups that wait in their symbol's clearing.
2. An order was decided at the price of that time. One that is to trade at any price and has waited ``STALE_MS``
   is not sent: it goes back to its account, which decides again.
3. What an account decides instead keeps the place of what went back.
4. Waiting here is not an answer of the exchange: it does not count as a refusal.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Set as AbstractSet
from heapq import nsmallest
from typing import NamedTuple

from actors.core.clearing_messages import Group, Want
from actors.core.enums import OrderClass, OrderType
from actors.core.facts import OrderIntended
from actors.core.units import ZERO, AccountId
from actors.gateway.orders import Place, Tracked
from actors.gateway.service_order import ServiceKey, Turns, Waiter, service_key

STALE_MS = 2_000
"""How old a decision may be that trades at any price."""

PLACE_KEPT_MS = 60_000
"""How long a place is kept for what is decided instead; longer than Postgres may take to make that durable."""

TURN_KEPT_MS = 250
"""How long no order from further behind is sent instead; a decision takes milliseconds."""


class Waiting(NamedTuple):
    """One that waits, and its sort key."""

    key: ServiceKey
    what: Waiter


class SendQueue:
    """A queue for each class. Times are milliseconds that never go back."""

    def __init__(self) -> None:
        # New risk waits in its turns, and here only when its turn was used already.
        self._sorted: dict[OrderClass, list[Waiting]] = {order_class: [] for order_class in OrderClass}
        self._turns = Turns()
        self._wants: dict[Group, tuple[Want, Place]] = {}
        self._kept: dict[tuple[AccountId, str], list[tuple[Place, ServiceKey, int]]] = {}
        # Turns of those that are being decided again: sorted, and in the order in which they run out.
        self._expected: list[ServiceKey] = []
        self._expected_ends: deque[tuple[int, ServiceKey]] = deque()
        self._number = 0

    def __len__(self) -> int:
        """Callable from any thread."""
        return sum(len(waiting) for waiting in self._sorted.values()) + len(self._turns)

    def add(self, tracked: Tracked) -> None:
        """Queue an order at its place."""
        order, place = tracked.order, tracked.place
        if order.order_class is OrderClass.NEW_RISK and not tracked.had_turn:
            self._turns.add(order.account_id, place, order.client_order_id)
        else:
            insort(self._sorted[order.order_class], Waiting(_key(tracked), order.client_order_id))

    def remove(self, tracked: Tracked) -> None:
        """An order waits no more."""
        order, place = tracked.order, tracked.place
        if order.order_class is OrderClass.NEW_RISK and not tracked.had_turn:
            self._turns.remove(order.account_id, place)
        else:
            self._remove(order.order_class, _key(tracked))

    def want(self, want: Want, since_ms: int) -> None:
        """A group waits, or waits no more; its newest word counts."""
        group, known = want.group, self._wants.pop(want.group, None)
        if known is not None:
            place = known[1]
            if group.order_class is OrderClass.NEW_RISK:
                self._turns.remove(group, place)
            else:
                self._remove(group.order_class, service_key(group.order_class, known[0].shortfall, place))
        if not want.orders:
            return
        place = self.new_place(since_ms) if known is None else Place(since_ms, known[1].number)
        self._wants[group] = (want, place)
        if group.order_class is OrderClass.NEW_RISK:
            self._turns.add(group, place, group)
        else:
            key = service_key(group.order_class, want.shortfall, place)
            insort(self._sorted[group.order_class], Waiting(key, group))

    def wanted(self, group: Group) -> Want | None:
        """What a group said last, while it waits. Callable from any thread."""
        known = self._wants.get(group)
        return None if known is None else known[0]

    def groups(self) -> AbstractSet[Group]:
        """Those that wait."""
        return self._wants.keys()

    def first(self, order_class: OrderClass) -> Waiting | None:
        """The next one of a class."""
        if queue := self._sorted[order_class]:
            return queue[0]
        if order_class is not OrderClass.NEW_RISK or not (first := self._turns.first()):
            return None
        return _in_turn(*first)

    def pop(self, order_class: OrderClass, *, served: bool) -> None:
        """The first one of a class leaves; ``served``: a turn was used for it."""
        first = self.first(order_class)
        if first is not None and isinstance(first.what, Group):
            del self._wants[first.what]
        if queue := self._sorted[order_class]:
            del queue[0]
        else:
            self._turns.pop(served=served)

    def first_of_all(self, count: int) -> list[Waiting]:
        """So many of all that wait, in the order of service. Callable from any thread."""
        found: list[Waiting] = []
        for order_class in OrderClass:
            found += self._sorted[order_class][: count - len(found)]
        return found + nsmallest(count - len(found), (_in_turn(*entry) for entry in self._turns.all()))

    def longest_since(self) -> dict[OrderClass, int]:
        """Since when the one of each class waits that waits longest. Callable from any thread."""
        since = {c: [w.key.since_ms for w in list(queue)] for c, queue in self._sorted.items()}
        since[OrderClass.NEW_RISK] += [place.since_ms for _, place, _what in self._turns.all()]
        return {order_class: min(found) for order_class, found in since.items() if found}

    def reserve_place(self, order: OrderIntended, place: Place, now_ms: int) -> None:
        """What its account decides instead, for the same cause, stands where this order stood."""
        key = service_key(
            order.order_class, order.shortfall, place, turn=self._turns.turn_of(order.account_id)
        )
        self._kept.setdefault((order.account_id, order.cause), []).append((place, key, now_ms))
        insort(self._expected, key)
        self._expected_ends.append((now_ms + TURN_KEPT_MS, key))

    def reserved_place(self, order: OrderIntended, now_ms: int) -> Place | None:
        """The place that is kept for an order, if it is what was decided instead; each is given once."""
        owner = (order.account_id, order.cause)
        places = self._kept.get(owner, [])
        while places:
            kept, key, kept_ms = places.pop(0)
            if not places:
                del self._kept[owner]
            self._expect_no_more(key)
            if now_ms - kept_ms <= PLACE_KEPT_MS:
                return kept
        return None

    def new_place(self, since_ms: int) -> Place:
        """A place behind all that have waited since before ``since_ms``."""
        self._number += 1
        return Place(since_ms, self._number)

    def expected_before(self, key: ServiceKey, now_ms: int) -> int:
        """How many are being decided again whose turn is before this one."""
        while self._expected_ends and self._expected_ends[0][0] < now_ms:
            self._expect_no_more(self._expected_ends.popleft()[1])
        return bisect_left(self._expected, key)

    def _expect_no_more(self, key: ServiceKey) -> None:
        at = bisect_left(self._expected, key)
        if at < len(self._expected) and self._expected[at] == key:
            del self._expected[at]

    def forget(self, now_ms: int) -> None:
        """Keep no place for accounts that decided otherwise."""
        for owner in [o for o, places in self._kept.items() if now_ms - places[-1][2] > PLACE_KEPT_MS]:
            del self._kept[owner]

    def _remove(self, order_class: OrderClass, key: ServiceKey) -> None:
        queue = self._sorted[order_class]
        at = bisect_left(queue, key, key=_key_of)
        if at < len(queue) and queue[at].key == key:
            del queue[at]


def _key(tracked: Tracked) -> ServiceKey:
    order = tracked.order
    return service_key(order.order_class, order.shortfall, tracked.place, had_turn=tracked.had_turn)


def _key_of(waiting: Waiting) -> ServiceKey:
    return waiting.key


def _in_turn(turn: int, place: Place, what: Waiter) -> Waiting:
    return Waiting(service_key(OrderClass.NEW_RISK, ZERO, place, turn=turn), what)


def is_stale(tracked: Tracked, now_ms: int) -> bool:
    """Whether an order must be decided again before it may be sent; a limit price says itself what it accepts."""
    return tracked.order.order_type is OrderType.MARKET and now_ms - tracked.queued_ms >= STALE_MS
