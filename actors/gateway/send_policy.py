"""Which orders are sent now: what the exchange's limits, its clock and the connection to it allow. Pure.

Times are milliseconds that never go back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from actors.core.clearing_messages import Group, Want, is_clearing
from actors.core.constants import ORDER_MAX_AGE_MS
from actors.core.enums import OrderClass
from actors.core.units import ClientOrderId
from actors.gateway.budget import OrderBudget
from actors.gateway.messages import Answered, Outcome
from actors.gateway.orders import (
    UNREACHABLE_PAUSE_MAX_MS,
    UNREACHABLE_PAUSE_MS,
    Stage,
    Tracked,
)
from actors.gateway.send_queue import PLACE_KEPT_MS, TURN_KEPT_MS, SendQueue, is_stale
from actors.gateway.service_order import ServiceKey
from actors.gateway.waiting import WaitingList, waiting

SERVED_MS = 1_000
"""For so long after a slot a group counts as one that wants more."""


class SendNow(msgspec.Struct, frozen=True):
    """This order is to be sent now."""

    tracked: Tracked


class WaitedTooLong(msgspec.Struct, frozen=True):
    """This order waited here too long to be sent; ``again``: its account is to decide again."""

    tracked: Tracked
    again: bool


class SlotGranted(msgspec.Struct, frozen=True):
    """One order of this group may be sent, with this slot; ``interval_ms``: see ``Grant``."""

    group: Group
    slot: int
    interval_ms: int


class SendPolicy:
    """Everything that stands between a durable order and the wire."""

    def __init__(self, budget: OrderBudget) -> None:
        self.budget = budget
        self.clock_lost = ""
        self.sent = 0
        self._waiting = SendQueue()
        self._unwanted: dict[ClientOrderId, int] = {}
        self._unreachable = 0
        self._served_ms: dict[Group, int] = {}

    def __len__(self) -> int:
        """Orders that wait."""
        return len(self._waiting)

    def waiting(
        self, tracked: Mapping[ClientOrderId, Tracked], now_ms: int, wall_ahead_ms: int
    ) -> WaitingList:
        """What waits, for people. Callable from any thread."""
        return waiting(self._waiting, tracked, self.budget, now_ms, wall_ahead_ms)

    def queue(self, tracked: Tracked, now_ms: int) -> None:
        """An order is durable and may be sent."""
        kept = self._waiting.reserved_place(tracked.order, now_ms)
        tracked.place = kept or self._waiting.new_place(tracked.queued_ms)
        if kept is not None or tracked.had_turn:
            # Decided again already, or granted: if even that took long to be durable, the next one would too.
            tracked.queued_ms = now_ms
        self._waiting.add(tracked)

    def use_slot(self, tracked: Tracked, slot: int, now_ms: int) -> bool:
        """Send a durable order with its slot, at once.

        Returns:
            Whether it is sent. If not, the slot is given back, and the order is to be queued: before the others of its
            class, unless the slot was another group's.
        """
        order = tracked.order
        group = Group(order.symbol, order.side, order.order_class)
        may_send = not self.clock_lost and now_ms >= self.budget.paused_until_ms
        if may_send and self.budget.use(slot, group, now_ms):
            self.sent += 1
            tracked.place = self._waiting.new_place(tracked.queued_ms)
            return True
        holder = self.budget.slots.holder(slot)
        tracked.had_turn = holder is None or holder == group
        self.budget.slots.give_back(slot)
        return False

    def want(self, message: Want, wall_ms: int, now_ms: int) -> None:
        """A group of orders waits in its clearing, or waits no more."""
        self._waiting.want(message, now_ms - max(0, wall_ms - message.since_ms))

    def withdraw(self, tracked: Tracked) -> None:
        """An order that waits is not to be sent any more."""
        self._waiting.remove(tracked)

    def give_back(self, tracked: Tracked, now_ms: int) -> None:
        """An order that waits is decided again: what comes instead keeps its place."""
        self._waiting.remove(tracked)
        self._waiting.reserve_place(tracked.order, tracked.place, now_ms)

    def ask_back(self, client_order_id: ClientOrderId, now_ms: int) -> None:
        """An order that has not arrived, as it is being made durable, is not wanted any more."""
        self._unwanted[client_order_id] = now_ms

    def was_asked_back(self, client_order_id: ClientOrderId) -> bool:
        """Whether an order that arrives now was asked back before; said once."""
        return self._unwanted.pop(client_order_id, None) is not None

    def requeue(self, tracked: Tracked) -> None:
        """An order surely did not reach the exchange: it stands where it stood."""
        tracked.stage = Stage.QUEUED
        tracked.had_turn = tracked.had_turn or tracked.order.order_class is OrderClass.NEW_RISK
        self._waiting.add(tracked)

    def expire(self, now_ms: int) -> None:
        """Timer: keep no place for accounts that decided otherwise, nor for answers that will not come."""
        # With as many under way as there may be, ``take``, which expires too, is not called any more.
        self.budget.expire(now_ms)
        self._waiting.forget(now_ms)
        for id_ in [i for i, asked_ms in self._unwanted.items() if now_ms - asked_ms > PLACE_KEPT_MS]:
            del self._unwanted[id_]

    def answered(self, message: Answered, now_ms: int) -> None:
        """The request of an order ended, one way or another."""
        self.budget.answered(now_ms, counts=message.outcome is not Outcome.NOT_SENT)
        if message.orders_used is not None:
            self.budget.count_used(message.orders_used, now_ms)

    def backs_off(self, message: Answered, now_ms: int) -> bool:
        """Hold sending back while connections fail or are cut, longer each time.

        Returns:
            Whether that began just now.
        """
        if message.outcome is not Outcome.NOT_SENT and not message.cut_off:
            self._unreachable = 0
            return False
        if now_ms < self.budget.paused_until_ms:
            return False
        self.budget.pause(now_ms + min(UNREACHABLE_PAUSE_MS << self._unreachable, UNREACHABLE_PAUSE_MAX_MS))
        self._unreachable += 1
        return self._unreachable == 1

    def due(
        self, tracked: Mapping[ClientOrderId, Tracked], now_ms: int
    ) -> Iterator[SendNow | SlotGranted | WaitedTooLong]:
        """What is sent now, in order; the caller changes the stage of each before it takes the next."""
        if self.clock_lost:
            return
        for order_class in OrderClass:
            yield from self._due(tracked, order_class, now_ms)
            if self._waiting.first(order_class) is not None:
                return  # nothing goes before what waits of a higher class

    def _due(
        self, tracked: Mapping[ClientOrderId, Tracked], order_class: OrderClass, now_ms: int
    ) -> Iterator[SendNow | SlotGranted | WaitedTooLong]:
        """As many as the limits allow, in the order of service; what is stale is decided again first."""
        room: int | None = None
        while first := self._waiting.first(order_class):
            key, what = first
            if isinstance(what, Group):
                slot = (
                    None if self._is_promised(key, order_class, now_ms) else self.budget.grant(what, now_ms)
                )
                if slot is None:
                    return
                self._waiting.pop(order_class, served=True)
                yield SlotGranted(what, slot, self._interval_ms(what, now_ms))
                continue
            order = tracked.get(what)
            if order is None or order.stage is not Stage.QUEUED:
                self._waiting.pop(order_class, served=False)
            elif order_class is OrderClass.NEW_RISK and now_ms - key.since_ms > ORDER_MAX_AGE_MS:
                self._waiting.pop(order_class, served=False)
                yield WaitedTooLong(order, again=False)
            elif is_stale(order, now_ms):
                # Only as many as could be sent now: they will be fresh when they are back.
                if room is None:
                    before = self._waiting.expected_before(key, now_ms)
                    room = self.budget.ready(now_ms, order_class, TURN_KEPT_MS) - before
                if room <= 0:
                    return
                room -= 1
                self._waiting.pop(order_class, served=False)
                if not is_clearing(order.order.account_id):
                    self._waiting.reserve_place(order.order, order.place, now_ms)
                yield WaitedTooLong(order, again=True)
            elif self._is_promised(key, order_class, now_ms) or not self.budget.take(now_ms, order_class):
                return
            else:
                self._waiting.pop(order_class, served=True)
                self.sent += 1
                yield SendNow(order)

    def _interval_ms(self, group: Group, now_ms: int) -> int:
        """How far apart the slots of a group should be that has one now. New risk can wait: its pace alone says when it goes."""
        if group.order_class is OrderClass.NEW_RISK:
            return 0
        self._served_ms[group] = now_ms
        self._served_ms = {g: at_ms for g, at_ms in self._served_ms.items() if now_ms - at_ms <= SERVED_MS}
        groups = self._served_ms.keys() | self._waiting.groups()
        beside = sum(one.order_class is group.order_class for one in groups)
        return self.budget.interval_ms(now_ms, group.order_class, beside)

    def _is_promised(self, key: ServiceKey, order_class: OrderClass, now_ms: int) -> bool:
        """Whether those that are being decided again, and whose turn is before this one, need all the room there is."""
        before = self._waiting.expected_before(key, now_ms)
        return before > 0 and self.budget.ready(now_ms, order_class) <= before
