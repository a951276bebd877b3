"""Which orders, or their trades, the exchange is asked for: a few at a time, each in its turn. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from actors.core.units import ClientOrderId
from actors.gateway.orders import QUERIES_MAX, Tracked


class Queries:
    """At most ``QUERIES_MAX`` are under way. Times are milliseconds that never go back."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[ClientOrderId, str]] = deque()
        self._sent: set[ClientOrderId] = set()

    def ask(self, tracked: Tracked, kind: str, now_ms: int) -> None:
        """Ask for an order (``kind`` query) or for its trades, unless that is under way."""
        if not tracked.query_pending:
            tracked.query_pending = True
            tracked.asked_ms = now_ms
            self._waiting.append((tracked.order.client_order_id, kind))

    def answered(self, id_: ClientOrderId) -> None:
        """One ended, whatever it said and whatever became of its order."""
        self._sent.discard(id_)

    def due(self, known: Mapping[ClientOrderId, Tracked], now_ms: int) -> Iterator[tuple[str, Tracked]]:
        """What is asked now: kind and order."""
        while self._waiting and len(self._sent) < QUERIES_MAX:
            id_, kind = self._waiting.popleft()
            tracked = known.get(id_)
            if tracked is not None:
                tracked.asked_ms = now_ms
                self._sent.add(id_)
                yield kind, tracked
