"""Which orders are sent now: what the exchange's limits, its clock and the connection to it allow. Pure.

Times are milliseconds that never go back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from actors.core.constants import ORDER_MAX_AGE_MS
from actors.core.units import ClientOrderId
from actors.gateway.budget import OrderBudget
from actors.gateway.messages import Answered, Outcome
from actors.gateway.orders import (
    IN_FLIGHT_MAX,
    UNREACHABLE_PAUSE_MAX_MS,
    UNREACHABLE_PAUSE_MS,
    Place,
    Stage,
    Tracked,
)
from actors.gateway.send_queue import SendQueue, is_stale


class SendNow(msgspec.Struct, frozen=True):
    """This order is to be sent now."""

    tracked: Tracked


class WaitedTooLong(msgspec.Struct, frozen=True):
    """This order waited here too long to be sent; ``again``: its account is to decide again."""

    tracked: Tracked
    again: bool


class SendPolicy:
    """Everything that stands between a durable order and the wire."""

    def __init__(self, budget: OrderBudget) -> None:
        self.budget = budget
        self.clock_lost = ""
        self.sent = 0
        self._waiting = SendQueue()
        self._unreachable = 0

    def __len__(self) -> int:
        """Orders that wait."""
        return len(self._waiting)

    def queue(self, tracked: Tracked, now_ms: int) -> None:
        """An order is durable and may be sent."""
        kept = self._waiting.reserved_place(tracked.order, now_ms)
        tracked.place = kept or self._waiting.new_place(tracked.queued_ms)
        if kept is not None:
            # Decided again already: if even that took long to be durable, the next one would too.
            tracked.queued_ms = now_ms
        self._waiting.add(tracked.order, tracked.place)

    def requeue(self, tracked: Tracked) -> None:
        """An order surely did not reach the exchange: it stands where it stood."""
        tracked.stage = Stage.QUEUED
        self._waiting.add(tracked.order, tracked.place)

    def expire(self, now_ms: int) -> None:
        """Timer: keep no place for accounts that decided otherwise, nor for answers that will not come."""
        # With as many under way as there may be, ``take``, which expires too, is not called any more.
        self.budget.expire(now_ms)
        self._waiting.forget(now_ms)

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

    def due(self, tracked: Mapping[ClientOrderId, Tracked], now_ms: int) -> Iterator[SendNow | WaitedTooLong]:
        """What is sent now, in order; the caller changes the stage of each before it takes the next."""
        if self.clock_lost:
            return
        for urgent in (True, False):
            yield from self._due(tracked, now_ms, urgent=urgent)

    def _due(
        self, tracked: Mapping[ClientOrderId, Tracked], now_ms: int, *, urgent: bool
    ) -> Iterator[SendNow | WaitedTooLong]:
        """The longest waits first, as many as the limits allow; what is stale is decided again first."""
        room: int | None = None
        while (first := self._waiting.first(urgent=urgent)) and self.budget.under_way < IN_FLIGHT_MAX:
            place, id_ = first
            order = tracked.get(id_)
            if order is None or order.stage is not Stage.QUEUED:
                self._waiting.pop(urgent=urgent)
            elif not urgent and now_ms - place.since_ms > ORDER_MAX_AGE_MS:
                self._waiting.pop(urgent=urgent)
                yield WaitedTooLong(order, again=False)
            elif is_stale(order, now_ms):
                # Only as many as could be sent now: they will be fresh when they are back.
                if room is None:
                    before = self._waiting.expected_before(place, now_ms)
                    room = self.budget.room(now_ms, reducing=urgent) - before
                if room <= 0:
                    return
                room -= 1
                self._waiting.pop(urgent=urgent)
                self._waiting.reserve_place(order.order, place, now_ms)
                yield WaitedTooLong(order, again=True)
            elif self._is_reserved(place, now_ms, urgent=urgent) or not self.budget.take(
                now_ms, reducing=urgent
            ):
                return
            else:
                self._waiting.pop(urgent=urgent)
                self.sent += 1
                yield SendNow(order)

    def _is_reserved(self, place: Place, now_ms: int, *, urgent: bool) -> bool:
        """Whether those that are being decided again, and stand before this place, need all the room that there is."""
        before = self._waiting.expected_before(place, now_ms)
        return before > 0 and self.budget.room(now_ms, reducing=urgent) <= before
