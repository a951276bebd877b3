"""What the parts of the supervisor share: the registry, time, and ways to reach other actors."""

from __future__ import annotations

from contextlib import suppress

import pykka

from actors.core.alarm_level import Critical
from actors.core.messages import Message
from actors.core.units import Nanos
from actors.runtime.cell import Cell
from actors.supervision.registry import Registry


class SupervisorContext:
    """See the module.

    Args:
        registry: all supervised actors.
        cell: the supervisor's own; its timers and its clock.
    """

    def __init__(self, registry: Registry, cell: Cell) -> None:
        self.registry = registry
        self._cell = cell

    def tell(self, name: str, message: Message) -> None:
        """Tell a core actor, if there is one: while the engine stops, there may be none."""
        with suppress(KeyError, pykka.ActorDeadError):
            self.registry.actors[name].tell(message)

    def hold(self, name: str) -> None:
        """Stop a core actor from serving until its restart, and let no new risk in meanwhile."""
        ref = self.registry.find(name)
        if ref is not None:
            ref.cell.dispatcher.hold(ref.cell)
            self.registry.gate.close(name)

    def halt(self, reason: str) -> None:
        """End this run of the engine: no new risk, nothing is sent any more."""
        # First what stops: raising the alarm may fail or take long.
        self.registry.gate.halt()
        self.registry.halt(reason)
        self.registry.alarm(Critical(f"the engine halts: {reason}"))

    def now_ns(self) -> Nanos:
        """Monotonic time of the supervisor's clock."""
        return Nanos(self._cell.dispatcher.clock.monotonic_ns())

    def wall_ms(self) -> int:
        """Unix milliseconds of the supervisor's clock."""
        return self._cell.dispatcher.clock.wall_ms()

    def later(self, wait_ns: Nanos, message: Message) -> None:
        """Send the supervisor a message after a wait."""
        self._cell.dispatcher.after(wait_ns, self._cell, message)
