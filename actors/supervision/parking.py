"""Parked accounts: what the breaker for correlated failures decides, carried out.

While one cause has tripped the breaker its accounts are not restarted, and new risk is stopped. After
a cooldown one of them, the probe, is restarted; when it stays well the others are freed, a few at a
time. When a probe fails, the next one waits twice as long. Who counts what is in ``correlation.py``.
"""

from __future__ import annotations

from actors.core.alarm_level import Critical
from actors.core.units import NANOS_PER_MS, Nanos
from actors.supervision.context import SupervisorContext
from actors.supervision.correlation import FailureBreaker
from actors.supervision.messages import Free, Probe, ProbeOver
from actors.supervision.restarts import Restarts

FREED_AT_ONCE = 50
"""Parked accounts come back so many at a time ..."""

FREED_EVERY = Nanos(100 * NANOS_PER_MS)
"""... so far apart."""


class Parking:
    """See the module.

    Args:
        context: of the supervisor.
        restarts: how probes and freed accounts come back.
    """

    def __init__(self, context: SupervisorContext, restarts: Restarts) -> None:
        self._context, self._restarts = context, restarts
        self.breaker = FailureBreaker(context.registry.correlation)

    def takes(self, name: str, where: str) -> bool:
        """Take in an account's failure.

        Args:
            name: the account.
            where: the place of the failure, alike for failures of one cause.

        Returns:
            Whether it is parked, and so not restarted now.
        """
        breaker, registry = self.breaker, self._context.registry
        trip = breaker.tripped.get(where)
        probe_failed = trip is not None and trip.probe == name
        now_ns = self._context.now_ns()
        if breaker.failed(where, name, now_ns, len(registry.accounts)):
            registry.gate.close("breaker")
            registry.alarm(
                Critical(
                    f"{breaker.tripped[where].seen} accounts failed alike ({where}): they are parked, new risk "
                    "is stopped, and one is tried again every now and then"
                )
            )
            probe_failed = True
        if probe_failed:
            self._probe_later(where)
        breaker.prune(now_ns)
        return breaker.parks(where)

    def probe(self, where: str) -> None:
        """Restart one of those that are parked for a place."""
        name = self.breaker.next_probe(where)
        if name is None:
            self.breaker.drop_if_empty(where)
            self._open_gate()
            return
        self._restarts.restart_failed(name)
        self._context.later(self._context.registry.correlation.probe_ns, ProbeOver(where, name))

    def probe_over(self, where: str, name: str) -> None:
        """A probe's time is over: when it was well, all others come back."""
        self.free(tuple(self.breaker.probe_was_well(where, name)))
        self._open_gate()

    def free(self, names: tuple[str, ...]) -> None:
        """Restart the first of these now, and the others later."""
        for name in names[:FREED_AT_ONCE]:
            self._restarts.restart_failed(name)
        if names[FREED_AT_ONCE:]:
            self._context.later(FREED_EVERY, Free(names[FREED_AT_ONCE:]))

    def forget(self, name: str) -> None:
        """A parked account or a probe left in another way: try the next one."""
        for where in self.breaker.forget(name):
            self._probe_later(where)

    def _probe_later(self, where: str) -> None:
        self._context.later(self.breaker.tripped[where].cooldown_ns, Probe(where))

    def _open_gate(self) -> None:
        if not self.breaker.tripped:
            self._context.registry.gate.open("breaker")
