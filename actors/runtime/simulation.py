"""The seeded dispatcher: one thread, virtual time, and an order that a seed decides.

The same seed, actors and messages give the same run, message by message.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from actors.core.constants import TURN_MESSAGES
from actors.core.units import Nanos
from actors.runtime.cell import Cell
from actors.runtime.clock import VirtualClock
from actors.runtime.dispatcher import Dispatcher


class SeededDispatcher(Dispatcher):
    """Runs ready actors in a seeded order until none is ready, then moves time on.

    Args:
        name: for logs.
        clock: the virtual clock, moved by this dispatcher only.
        random: where every choice comes from; None runs actors in arrival order.
    """

    clock: VirtualClock

    def __init__(self, name: str, clock: VirtualClock, random: Random | None = None) -> None:
        super().__init__(name, clock)
        self._random = random
        self._waiting: list[Cell] = []
        self.ready = self._waiting.append
        self.turns = 0
        self.after_turn: Callable[[Cell], None] | None = None

    def run_until_quiet(self, max_turns: int = 10_000_000) -> None:
        """Run turns, without moving time on, until no actor is ready.

        Raises:
            RuntimeError: ``max_turns`` did not suffice; an actor keeps sending to itself.
        """
        for _ in range(max_turns):
            if not self._waiting:
                return
            self._one_turn()
        raise RuntimeError(f"{self.name}: not quiet after {max_turns} turns")

    def run_until(self, until_ns: Nanos) -> None:
        """Run everything that happens up to and including ``until_ns``, timers in order."""
        self.run_until_quiet()
        while self._timers and self._timers[0][0] <= until_ns:
            self.clock.advance_to(Nanos(max(self._timers[0][0], self.clock.monotonic_ns())))
            self._fire_timers(self.clock.monotonic_ns())
            self.run_until_quiet()
        self.clock.advance_to(until_ns)

    def backlog(self) -> int:
        """How many actors wait for their turn."""
        return len(self._waiting)

    def _one_turn(self) -> None:
        self.turns += 1
        if self._random is None:
            cell = self._waiting.pop(0)
            self.run_turn(cell)
        else:
            cell = self._waiting.pop(self._random.randrange(len(self._waiting)))
            self.run_turn(cell, self._random.randint(1, TURN_MESSAGES))
        if self.after_turn is not None:
            self.after_turn(cell)

    def _timer_added(self, due_ns: int) -> None:
        """Nothing to wake: ``run_until`` looks at the timers itself."""
