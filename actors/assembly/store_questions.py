"""Questions to the store, asked from outside the actors: each is run by the writer, in its thread and its order.

The writer is the only one that uses the store's connection while the engine runs, so a question sees all that was
sent to the writer before it. A question that the writer does not begin in time is not done: its asker has gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pykka

from actors.core.errors import StoreUnreachable
from actors.core.units import NANOS_PER_SECOND
from actors.persistence.actor import WriterStats
from actors.persistence.messages import AskStore
from actors.persistence.queries import Query
from actors.runtime.actor import Ref
from actors.runtime.clock import Clock

A = TypeVar("A")

ASK_SECONDS = 10.0
"""How long an asker waits for an answer."""


class StoreQuestions:
    """See the module.

    Args:
        actors: the engine's own actors by name; the writer is looked up here.
        clock: of the dispatchers.
    """

    def __init__(self, actors: Mapping[str, Ref], clock: Clock) -> None:
        self._actors, self._clock = actors, clock

    def question(self, query: Query[Any]) -> AskStore:
        """The message for a query; void a second before its asker stops waiting."""
        return AskStore(query, self._clock.monotonic_ns() + int((ASK_SECONDS - 1) * NANOS_PER_SECOND))

    def ask(self, query: Query[A]) -> A:
        """The writer's answer to a query.

        Raises:
            StoreUnreachable: no answer in time.
            Exception: what the query raised.
        """
        try:
            answer: Any = self._actors["writer"].ask(self.question(query), timeout=ASK_SECONDS)
        except pykka.Timeout:
            raise StoreUnreachable("the writer does not answer; is Postgres away?") from None
        found: A = answer
        return found

    def silent_s(self) -> float:
        """For how many seconds Postgres has owed the writer an answer; infinite while it is away."""
        writer = self._actors.get("writer")
        stats = writer.cell.actor.inspect_state() if writer is not None else None
        if not isinstance(stats, WriterStats) or stats.is_down:
            return float("inf")
        since_ns = stats.asking_since_ns
        return (self._clock.monotonic_ns() - since_ns) / NANOS_PER_SECOND if since_ns else 0.0
