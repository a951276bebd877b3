"""Starts the engine's actors in order, restarts what fails, and stops all in reverse.

    writer -> gateway -> router -> accounts -> (feed, api: see ``actors.engine``)

Rules
1. Accounts are one for one: a restart touches nobody else and keeps the account's mailbox.
2. The poison message is set aside as a dead letter with its traceback and the state it met.
3. Past the restart window an account is quarantined: alone, until an operator restarts it.
4. The gate lets no new risk in while the writer, the gateway or the router is away.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog

from actors.messages import Lane, LoseTriggers, Message, Ping, Reconsider
from actors.persistence.messages import LoadRecovery, RecordDeadLetter
from actors.runtime.actor import DispatchedActor, Ref
from actors.runtime.cell import Cell, CrashReport, Status
from actors.runtime.gate import TradingGate
from actors.runtime.restart import GiveUp, RestartAfter, RestartPolicy, after_crash
from actors.units import AccountId, Nanos

log = structlog.get_logger("supervisor")


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One of the engine's own actors.

    ``start`` creates it and is called once: a restart goes through the cell, which keeps the
    mailbox and every ref valid.
    """

    name: str
    start: Callable[[], Ref]
    policy: RestartPolicy = RestartPolicy(max_restarts=10)
    ready_seconds: float = 10.0


ACCOUNT_POLICY = RestartPolicy()


class Crashed(Message, frozen=True, gc=False):
    """The runtime to the supervisor: an actor failed and is held."""

    LANE = Lane.CONTROL

    cell: Any
    report: CrashReport


class RestartNow(Message, frozen=True, gc=False):
    """A timer, or an operator, to the supervisor: start this actor again."""

    LANE = Lane.CONTROL

    name: str
    by_operator: bool = False


class Quarantine(Message, frozen=True, gc=False):
    """An operator to the supervisor: take this account out of service."""

    LANE = Lane.CONTROL

    name: str


def start_in_order(specs: tuple[ChildSpec, ...], actors: dict[str, Ref]) -> None:
    """Start children one after the other; each must answer a ping before the next starts.

    Raises:
        ValueError: two specs of one name.
        pykka.Timeout: a child did not answer in time; it did not start.
    """
    if len({spec.name for spec in specs}) != len(specs):
        raise ValueError(f"children must have different names: {[s.name for s in specs]}")
    for spec in specs:
        ref = actors[spec.name] = spec.start()
        ref.ask(Ping(), timeout=spec.ready_seconds)
        log.info("started", actor=spec.name)


def stop_in_reverse(specs: tuple[ChildSpec, ...], actors: dict[str, Ref], timeout_s: float) -> list[str]:
    """Stop children in reverse start order.

    Returns:
        Names of those that did not stop in time.
    """
    late = []
    for spec in reversed(specs):
        ref = actors.pop(spec.name, None)
        if ref is not None:
            try:
                ref.stop(timeout=timeout_s)
            except Exception:
                log.exception("did not stop", actor=spec.name)
                late.append(spec.name)
    return late


class Supervisor(DispatchedActor):
    """Restarts, quarantines and alarms.

    Args:
        accounts: refs of all accounts, by id.
        actors: refs of the engine's own actors, by name.
        policies: restart policies of the engine's own actors.
        gate: shut while one of them is away.
        on_alarm: where alarms go.
    """

    def __init__(
        self,
        accounts: Mapping[AccountId, Ref],
        actors: Mapping[str, Ref],
        policies: Mapping[str, RestartPolicy],
        gate: TradingGate,
        on_alarm: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._accounts = accounts
        self._actors = actors
        self._policies = policies
        self._gate = gate
        self._alarm = on_alarm
        self._history: dict[str, tuple[Nanos, ...]] = {}

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        match message:
            case Crashed():
                return self._crashed(message.cell, message.report)
            case RestartNow():
                return self._restart(message.name, by_operator=message.by_operator)
            case Quarantine():
                return self._quarantine(message.name)
            case _:
                raise TypeError(f"the supervisor does not understand {type(message).__name__}")

    def inspect_state(self) -> Any:
        """How many actors failed lately."""
        return {"failing": {name: len(times) for name, times in self._history.items()}}

    def _crashed(self, cell: Cell, report: CrashReport) -> None:
        name = cell.name
        self._actors["writer"].tell(
            RecordDeadLetter(
                actor=name,
                message_kind=report.message_kind,
                message=report.message,
                error=report.error,
                traceback=report.traceback,
                state=report.state,
                wall_ms=report.wall_ms,
            )
        )
        is_account = name in self._accounts
        if is_account:
            self._actors["router"].tell(LoseTriggers(AccountId(name)))
        else:
            self._gate.close(name)
        policy = ACCOUNT_POLICY if is_account else self._policies.get(name, RestartPolicy())
        now_ns = Nanos(self._cell.dispatcher.clock.monotonic_ns())
        # Jitter from the name: different for each actor, the same in each run of a seed.
        unit_random = zlib.crc32(f"{name}:{cell.restarts}".encode()) / 2**32
        match after_crash(self._history.get(name, ()), now_ns, policy, unit_random):
            case RestartAfter(wait_ns, history):
                self._history[name] = history
                self._cell.dispatcher.after(wait_ns, self._cell, RestartNow(name))
            case GiveUp(failures):
                self._history.pop(name, None)
                cell.dispatcher.quarantine(cell)
                self._alarm(f"{name} is quarantined after {failures} failures: {report.error}")

    def _restart(self, name: str, *, by_operator: bool) -> bool:
        cell = self._cell_of(name)
        if cell is None or (not by_operator and cell.status is not Status.CRASHED):
            return False
        if by_operator:
            self._history.pop(name, None)
        log.info("restarting", actor=name, by_operator=by_operator)
        cell.dispatcher.restart(cell)
        if name not in self._accounts:
            self._after_core_restart(name)
        return True

    def _after_core_restart(self, name: str) -> None:
        if name == "gateway":
            self._actors["writer"].tell(LoadRecovery())
        if name == "router":
            for ref in self._accounts.values():
                ref.tell(Reconsider("router restarted"))
        self._gate.open(name)

    def _quarantine(self, name: str) -> bool:
        cell = self._cell_of(name)
        if cell is None or name not in self._accounts:
            return False
        cell.dispatcher.quarantine(cell)
        self._actors["router"].tell(LoseTriggers(AccountId(name)))
        self._alarm(f"{name} is quarantined by an operator")
        return True

    def _cell_of(self, name: str) -> Cell | None:
        ref = self._accounts.get(AccountId(name)) or self._actors.get(name)
        return None if ref is None else ref.cell
