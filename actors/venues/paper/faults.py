"""Faults that the paper exchange can be told to show, as real exchanges do unasked. Pure."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from actors.venues.binance.errors import Code

ORDER_FAULTS = {"lost_reply", "server_error", "reject", "delay"}
EVENT_FAULTS = {"duplicate_events", "drop_events"}


class Fault(msgspec.Struct, frozen=True):
    """One fault for one order: ``kind``, error ``code`` for rejects, ``seconds`` for delays."""

    kind: str
    code: int = Code.UNKNOWN
    seconds: float = 1.0


class Faults:
    """What is still to go wrong."""

    def __init__(self) -> None:
        self._orders: deque[Fault] = deque()
        self._duplicate = 0
        self._drop = 0

    def add(self, wanted: dict[str, Any]) -> None:
        """Plan ``count`` faults of a ``kind``.

        Raises:
            ValueError: an unknown kind or a bad number, named.
        """
        kind, count = wanted.get("kind"), int(wanted.get("count", 1))
        if count < 1:
            raise ValueError(f"count: {count} must be at least 1")
        if kind in ORDER_FAULTS:
            fault = Fault(str(kind), int(wanted.get("code", Code.UNKNOWN)), float(wanted.get("seconds", 1.0)))
            self._orders.extend([fault] * count)
        elif kind == "duplicate_events":
            self._duplicate += count
        elif kind == "drop_events":
            self._drop += count
        else:
            raise ValueError(f"kind: {kind!r} is none of {', '.join(sorted(ORDER_FAULTS | EVENT_FAULTS))}")

    def for_order(self) -> Fault | None:
        """The fault for the order at hand, if one is planned."""
        return self._orders.popleft() if self._orders else None

    def copies_of_event(self) -> int:
        """How often the event at hand is sent: 1, or 0 or 2 when a fault is planned."""
        if self._drop:
            self._drop -= 1
            return 0
        if self._duplicate:
            self._duplicate -= 1
            return 2
        return 1

    def spoil(self, fault: Fault, reply: Any) -> None:
        """Change the answer to an order that the exchange did take."""
        if fault.kind == "delay":
            reply.delay_s = fault.seconds
            return
        reply.status = 503
        reply.body = msgspec.json.encode({"code": Code.TIMEOUT, "msg": "Timeout waiting for response."})
        if fault.kind == "lost_reply":
            reply.delay_s = fault.seconds
