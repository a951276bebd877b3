"""Restarts: when a failed actor starts again, how many at once, and whether it has come up.

Rules
1. A failure waits by its policy, longer each time; past the policy's window there is no restart.
2. A restart includes the actor's group, in start order.
3. Automatic restarts of accounts keep a distance: a thousand at once would keep the healthy waiting.
4. An actor has come up when it is running, not when it was started. One that is not running in time
   has failed again, unless the writer is away, from whom it gets its state.
"""

from __future__ import annotations

import zlib
from contextlib import suppress

import pykka
import structlog

from actors.core.errors import NotStarted
from actors.core.messages import Reconsider
from actors.core.records import LoadRecovery
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos
from actors.runtime.cell import Cell, Status
from actors.supervision.context import SupervisorContext
from actors.supervision.messages import CheckStarted, RestartNow
from actors.supervision.policy import GiveUp, RestartAfter, RestartPolicy, after_crash
from actors.supervision.registry import account_of, is_guard
from actors.supervision.settling import SETTLE

log = structlog.get_logger("supervisor")

READY = Nanos(10 * NANOS_PER_SECOND)
"""An actor that is not running so long after its (re)start did not start."""

RESTART_GAP = Nanos(2 * NANOS_PER_MS)
"""Between two automatic restarts of accounts: a tenth of the accounts' time at the most."""


class Restarts:
    """See the module's rules. ``history`` holds the times of each failing actor's recent failures.

    Args:
        context: of the supervisor.
        account_policy: how often an account may fail.
        guard_policy: how often a guard may.
    """

    def __init__(
        self, context: SupervisorContext, account_policy: RestartPolicy, guard_policy: RestartPolicy
    ) -> None:
        self._context = context
        self._account_policy, self._guard_policy = account_policy, guard_policy
        self._next_ns = Nanos(0)
        self.history: dict[str, tuple[Nanos, ...]] = {}

    def schedule(self, cell: Cell) -> GiveUp | None:
        """Restart an actor after the wait that its failures ask for.

        Returns:
            None; or, past the window of its policy, how often it failed: then it is not restarted.
        """
        name, registry = cell.name, self._context.registry
        # Jitter from the name: different for each actor, the same in each run of a seed.
        unit_random = zlib.crc32(f"{name}:{cell.restarts}".encode()) / 2**32
        now_ns = self._context.now_ns()
        match after_crash(self.history.get(name, ()), now_ns, self._policy_of(name), unit_random):
            case RestartAfter(wait_ns, history):
                self.history[name] = history
                for other in registry.group_of(name):
                    if other != name:
                        self._context.hold(other)
                self._context.later(wait_ns, RestartNow(name))
                return None
            case GiveUp() as given_up:
                self.forget(name)
                return given_up

    def _policy_of(self, name: str) -> RestartPolicy:
        spec = self._context.registry.spec(name)
        if spec is not None:
            return spec.policy
        return self._guard_policy if is_guard(name) else self._account_policy

    def forget(self, name: str) -> None:
        """Count an actor's failures from zero again."""
        self.history.pop(name, None)

    def due(self, message: RestartNow) -> bool:
        """A timer of ours: restart now, or when it is this account's turn among many.

        Returns:
            Whether the actor was restarted.
        """
        if message.paced or self._context.registry.is_core(message.name):
            return self.restart_failed(message.name)
        now_ns = self._context.now_ns()
        at_ns = max(now_ns, self._next_ns)
        self._next_ns = Nanos(at_ns + RESTART_GAP)
        self._context.later(Nanos(at_ns - now_ns), RestartNow(message.name, paced=True))
        return False

    def restart_failed(self, name: str) -> bool:
        """Restart an actor if it is still held after a failure; whether it was."""
        registry = self._context.registry
        ref = registry.accounts.get(account_of(name)) if is_guard(name) else registry.find(name)
        if ref is None or ref.name != name or ref.cell.status is not Status.CRASHED:
            return False
        self.start_again(ref.cell)
        return True

    def start_settled(self, name: str) -> None:
        """Restart an actor whose turn is over, unless it went into quarantine meanwhile."""
        registry = self._context.registry
        ref = registry.find(name)
        if ref is not None and name not in registry.quarantined:
            self.start_again(ref.cell)

    def start_again(self, cell: Cell) -> None:
        """Make a new instance of an actor and of those restarted with it; look later whether they came up."""
        registry, context = self._context.registry, self._context
        for name in registry.group_of(cell.name):
            ref = registry.find(name)
            one = cell if name == cell.name or ref is None else ref.cell
            log.info("restarting", actor=name)
            one.dispatcher.restart(one)
            check = CheckStarted(one, one.restarts, Nanos(context.now_ns() + READY))
            context.later(SETTLE if registry.is_core(name) else READY, check)

    def check_started(self, check: CheckStarted) -> None:
        """Look whether an incarnation has come up; one that has not in time has failed."""
        cell, context = check.cell, self._context
        is_core = context.registry.is_core(cell.name)
        if cell.restarts != check.incarnation:
            return
        if cell.status not in {Status.STARTING, Status.LOADING}:
            if is_core and cell.status is Status.RUNNING:
                self._came_up(cell.name)
        elif is_core and context.now_ns() < check.until_ns:
            context.later(SETTLE, check)
        elif "writer" in context.registry.gate.closers or cell.mailbox.in_hand:
            # Its state cannot be read now, or is being read; the watchdog names a turn that does not end.
            context.later(READY, check)
        else:
            seconds = READY // NANOS_PER_SECOND
            cell.dispatcher.fail(
                cell, NotStarted(f"{cell.name} was {cell.status} {seconds} s after its restart")
            )

    def _came_up(self, name: str) -> None:
        """A core actor runs again: new risk is allowed, and it gets what it cannot know."""
        context, registry = self._context, self._context.registry
        if name in {"gateway", "writer"}:
            # Orders that a writer committed, but died before it sent them to the gateway, are queried too.
            context.tell("writer", LoadRecovery())
        if name == "router":
            for ref in list(registry.accounts.values()):
                with suppress(pykka.ActorDeadError):
                    ref.tell(Reconsider("router restarted"))
        registry.gate.open(name)
