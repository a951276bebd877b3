"""Quarantine: an account out of service, and the guard that stands in for it.

The account's actor keeps its mailbox, its poison message and its state, and serves nothing. A guard, a
second account actor from durable state, takes its place in the registry: it cancels, books fills and
liquidates. A release stops the guard and starts the account again, which reads what the guard wrote.
Both changes of place wait until no turn is in progress there; see ``settling.py``.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.core.alarm_level import Critical
from actors.core.messages import LoseTriggers
from actors.core.records import LiftQuarantine, RecordQuarantine
from actors.core.units import AccountId
from actors.runtime.cell import Cell, CrashReport
from actors.supervision.context import SupervisorContext
from actors.supervision.messages import Then
from actors.supervision.parking import Parking
from actors.supervision.registry import account_of, guard_name, is_guard
from actors.supervision.restarts import Restarts


class Quarantines:
    """See the module.

    Args:
        context: of the supervisor.
        restarts: how a released account comes back.
        parking: what an account leaves when it goes into quarantine.
        settle: calls ``start_guard`` or ``finish_release`` when no turn is in progress.
    """

    def __init__(
        self,
        context: SupervisorContext,
        restarts: Restarts,
        parking: Parking,
        settle: Callable[[str, Then], None],
    ) -> None:
        self._context, self._restarts, self._parking, self._settle = context, restarts, parking, settle
        self.unguarded: set[str] = set()
        """Accounts in quarantine whose guard failed too."""

    # -- into quarantine

    def give_up(self, cell: Cell, report: CrashReport, text: str) -> None:
        """Restart an actor no more as it was: an account goes into quarantine, without a vital core actor the engine halts."""
        name, registry = cell.name, self._context.registry
        spec = registry.spec(name)
        means = spec.fallback.fall_back(report.error) if spec is not None and spec.fallback else ""
        if means:
            registry.alarm(Critical(f"{name} cannot go on as it is: {report.error}; {means}"))
            self._restarts.start_again(cell)
            return
        cell.dispatcher.quarantine(cell)
        if spec is not None and spec.is_vital:
            self._context.halt(text)
        elif spec is not None:
            # Its own name keeps the gate shut.
            cure = f"no new risk until it runs again: 'bulkhead restart {name}'"
            registry.alarm(Critical(f"{text}; {cure}"))
        elif is_guard(name):
            self.unguarded.add(account_of(name))
            registry.alarm(
                Critical(f"NOBODY WATCHES {account_of(name)}: its guard failed too: {report.error}")
            )
        else:
            self._take_out(AccountId(name), report.error, report)
            registry.alarm(Critical(text))

    def by_operator(self, name: str, reason: str) -> bool:
        """Quarantine an account; whether it was in service."""
        id_, registry = AccountId(name), self._context.registry
        ref = registry.accounts.get(id_)
        if ref is None or id_ in registry.quarantined:
            return False
        ref.cell.dispatcher.quarantine(ref.cell)
        self._restarts.forget(name)
        self._take_out(id_, reason, None)
        registry.alarm(f"{name} is quarantined by an operator: {reason}")
        return True

    def restored(self, id_: AccountId, reason: str) -> None:
        """Go on with the quarantine of an account that an earlier run of the engine left there."""
        registry = self._context.registry
        registry.quarantined[id_] = registry.accounts[id_]
        self._settle(id_, Then.GUARD)
        registry.alarm(f"{id_} is still in quarantine: {reason}")

    def _take_out(self, id_: AccountId, reason: str, report: CrashReport | None) -> None:
        registry = self._context.registry
        if id_ in registry.quarantined:
            return
        self._parking.forget(id_)
        registry.quarantined[id_] = registry.accounts[id_]
        record = RecordQuarantine(
            account_id=id_,
            reason=reason,
            wall_ms=self._context.wall_ms(),
            error=report.error if report else "",
            traceback=report.traceback if report else "",
            state=report.state if report else "",
        )
        self._context.tell("writer", record)
        self._settle(id_, Then.GUARD)

    def start_guard(self, name: str) -> None:
        """Put a guard where the account stands, unless it was released meanwhile."""
        id_, registry = AccountId(name), self._context.registry
        own = registry.quarantined.get(id_)
        if own is None or registry.accounts[id_].cell is not own.cell:
            return
        guard = registry.accounts[id_] = registry.start_guard(id_)
        guard.cell.dispatcher.restart(guard.cell)
        self._context.tell("router", LoseTriggers(id_))

    # -- and back

    def release(self, name: str) -> bool:
        """Begin to put an account back into service; whether it was in quarantine."""
        id_, registry = AccountId(name), self._context.registry
        if id_ not in registry.quarantined:
            return False
        guard = registry.accounts[id_].cell
        guard.dispatcher.quarantine(guard)
        self._settle(id_, Then.RELEASE)
        return True

    def finish_release(self, name: str) -> None:
        """Put the account where its guard stands, and start it from what the guard wrote."""
        id_, registry = AccountId(name), self._context.registry
        own = registry.quarantined.get(id_)
        if own is None:
            return
        # In this order: whoever finds a guard among the accounts finds its account in quarantine.
        guard, registry.accounts[id_] = registry.accounts[id_].cell, own
        del registry.quarantined[id_]
        if guard is not own.cell:
            guard.dispatcher.stop_cell(guard)
        self.unguarded.discard(id_)
        self._restarts.forget(guard_name(id_))
        self._context.tell("writer", LiftQuarantine(id_))
        self._context.tell("router", LoseTriggers(id_))
        self._restarts.start_again(own.cell)
