"""The exchange behind a wire that loses, delays, repeats and drops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from actors.assembly.simulation.store import SimulatedStore
from actors.assembly.simulation.violation import must
from actors.core.units import NANOS_PER_MS, Nanos
from actors.gateway.messages import Answered, Outcome
from actors.gateway.orders import Request
from actors.runtime.simulation import SeededDispatcher
from actors.venues.paper.in_process import InProcessExchange
from actors.venues.paper.matching import Exchange
from actors.venues.paper.user_events import PaperEvent

LATENCY_MS = 5
TIMEOUT_NS = Nanos(3_000 * NANOS_PER_MS)

ANSWER_LOST = 0.05
"""How often an order's answer is lost; in half of these cases the exchange has the order all the same."""

EVENT_LOST = 0.05
EVENT_REPEATED = 0.15
"""An event whose fate is below the first is dropped, one below the second comes twice."""


class LossyWire(InProcessExchange):
    """See the module.

    Args:
        exchange: the matching.
        dispatcher: whose clock and timers are used.
        random: of its faults.
        store: where every order must be durable before it is sent.
    """

    def __init__(
        self, exchange: Exchange, dispatcher: SeededDispatcher, random: Random, store: SimulatedStore
    ) -> None:
        super().__init__(exchange, dispatcher, LATENCY_MS)
        self.faults = False
        self.on_event: Callable[[PaperEvent], PaperEvent] | None = None
        """Changes an event before it is sent."""
        self._random, self._store = random, store

    def request(self, request: Request) -> None:
        """Serve one request, or lose it, or its answer.

        Raises:
            Violation: an order that is not durable, or the cancel of one that is none of ours.
        """
        if request.kind == "place":
            must(request.client_order_id in self._store.intents, "sent before it was durable")
            self._store.sent.add(request.client_order_id)
        elif request.kind == "cancel" and request.order is None:
            found = self.exchange.orders.find(request.symbol, None, request.client_order_id)
            must(found is not None and not found.is_open, "cancelled as an orphan")
        fate = self._random.random() if self.faults else 1.0
        if request.kind not in {"trades", "fees"} and fate < ANSWER_LOST:
            if fate < ANSWER_LOST / 2:
                _, events = self._execute_or_refuse(request)
                self.publish_events(events)
            lost = Answered(
                request=request.kind,
                client_order_id=request.client_order_id,
                outcome=Outcome.UNKNOWN,
                text="lost",
            )
            self._dispatcher.after(TIMEOUT_NS, self._gateway.cell, lost)
            return
        super().request(request)

    def publish_events(self, events: Iterable[PaperEvent]) -> None:
        """Send events over the user stream; some are lost, some come twice."""
        for event in events:
            fate = self._random.random() if self.faults else 1.0
            changed = event if self.on_event is None else self.on_event(event)
            if fate < EVENT_LOST:
                continue
            super().publish_events([changed])
            if fate < EVENT_REPEATED:
                super().publish_events([changed])
