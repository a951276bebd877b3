"""The supervision tree as data, what its supervisor is told, and its start and stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pykka
import structlog

from actors import wire
from actors.errors import NotStarted
from actors.messages import Lane, Message, Ping
from actors.persistence.messages import QuarantineRecord, RecordDeadLetter
from actors.runtime.actor import Ref
from actors.runtime.cell import CrashReport
from actors.runtime.correlation import CorrelationPolicy
from actors.runtime.gate import TradingGate
from actors.runtime.letters import shown
from actors.runtime.restart import RestartPolicy
from actors.runtime.supervision import Directives, Strategy, restarted_with
from actors.units import NANOS_PER_MS, AccountId, Nanos

log = structlog.get_logger("supervisor")

SETTLE = Nanos(5 * NANOS_PER_MS)
"""How long to wait for an actor that is in the middle of a turn before another takes its place."""

SETTLE_TRIES = 200
CRASHES_LISTED = 500
LOOKS = 100
"""How often one looks again for an actor that changes its place just then; a second time nearly always finds it."""

FREED_AT_ONCE = 50
FREED_EVERY = Nanos(100 * NANOS_PER_MS)
"""Parked actors come back a few at a time."""


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One of the engine's own actors.

    ``start`` creates it and is called once: a restart goes through the cell, which keeps the
    mailbox and every ref valid. Children of one ``group`` fail by that group's strategy, in
    the order of the specs; without a group a child fails alone.
    """

    name: str
    start: Callable[[], Ref]
    group: str = ""
    policy: RestartPolicy = RestartPolicy(max_restarts=6)
    directives: Directives = msgspec.field(default_factory=dict)
    ready_seconds: float = 10.0


class Household(msgspec.Struct, kw_only=True):
    """Everybody whom the supervisor looks after, and whom it tells.

    ``accounts`` is where everybody finds an account's actor; while one is quarantined its guard
    stands there and the actor itself in ``quarantined``. ``start_guard`` makes a guard.
    """

    accounts: dict[AccountId, Ref]
    quarantined: dict[AccountId, Ref]
    actors: dict[str, Ref]
    specs: tuple[ChildSpec, ...]
    gate: TradingGate
    alarm: Callable[[str], None]
    halt: Callable[[str], None]
    start_guard: Callable[[AccountId], Ref]
    groups: dict[str, Strategy] = msgspec.field(default_factory=dict)
    correlation: CorrelationPolicy = CorrelationPolicy()

    def find(self, name: str) -> Ref | None:
        """The actor of a name; a quarantined account's own, not its guard. Callable from any thread."""
        return self._own(AccountId(name)) or self.actors.get(name)

    def own_actors(self) -> list[Ref]:
        """The accounts' own actors, those in quarantine too, and no guard. Callable from any thread."""
        refs = list(self.accounts.values())
        return [self._own(account_of(r.name)) or r if is_guard(r.name) else r for r in refs]

    def _own(self, id_: AccountId) -> Ref | None:
        for _ in range(LOOKS):
            found = self.quarantined.get(id_) or self.accounts.get(id_)
            if found is None or not is_guard(found.name):
                break
            # It went into quarantine between the two questions: it stands there now.
        return found

    def spec(self, name: str) -> ChildSpec | None:
        """The spec of one of the engine's own actors; None for accounts and guards."""
        return next((spec for spec in self.specs if spec.name == name), None)

    def group_of(self, name: str) -> tuple[str, ...]:
        """Who is restarted when this actor is, itself included, in start order."""
        spec = self.spec(name)
        if spec is None or not spec.group:
            return (name,)
        members = [s.name for s in self.specs if s.group == spec.group]
        return restarted_with(self.groups.get(spec.group, Strategy.ONE_FOR_ONE), members, name)


class Crashed(Message, frozen=True, gc=False):
    """The runtime to the supervisor: an actor failed and is held."""

    LANE = Lane.CONTROL

    cell: Any
    report: CrashReport
    error: BaseException


class RestartNow(Message, frozen=True, gc=False):
    """A timer, or an operator, to the supervisor: start this actor again.

    ``paced`` says that it has waited for its place among many restarts.
    """

    LANE = Lane.CONTROL

    name: str
    by_operator: bool = False
    paced: bool = False


class Quarantine(Message, frozen=True, gc=False):
    """An operator to the supervisor: take this account out of service."""

    LANE = Lane.CONTROL

    name: str
    reason: str = "asked for by an operator"


class Release(Message, frozen=True, gc=False):
    """An operator to the supervisor: put this quarantined account back into service."""

    LANE = Lane.CONTROL

    name: str


class StillQuarantined(Message, frozen=True, gc=False):
    """The engine to the supervisor, at its start: this account was left in quarantine."""

    LANE = Lane.CONTROL

    account_id: AccountId
    reason: str


class CheckStarted(Message, frozen=True, gc=False):
    """The supervisor's own timer: has this life of an actor come up?"""

    LANE = Lane.CONTROL

    cell: Any
    life: int
    until_ns: Nanos


class Settled(Message, frozen=True, gc=False):
    """The supervisor's own timer: ``then`` (restart, guard, release) once a turn in progress is over."""

    LANE = Lane.CONTROL

    name: str
    then: str
    tries: int = 0


class Probe(Message, frozen=True, gc=False):
    """The supervisor's own timer: try one of the parked actors again."""

    LANE = Lane.CONTROL

    where: str


class ProbeOver(Message, frozen=True, gc=False):
    """The supervisor's own timer: was the probe well all the time?"""

    LANE = Lane.CONTROL

    where: str
    name: str


class Free(Message, frozen=True, gc=False):
    """The supervisor's own timer: restart the next few of those that were parked."""

    LANE = Lane.CONTROL

    names: tuple[str, ...]


# -- names and records


GUARD_PREFIX = "guard:"
"""Names of guards; no account id may begin like this."""


def guard_name(account_id: AccountId) -> str:
    """The name of an account's guard."""
    return GUARD_PREFIX + account_id


def is_guard(name: str) -> bool:
    """Whether an actor is a guard."""
    return name.startswith(GUARD_PREFIX)


def account_of(name: str) -> AccountId:
    """The account that an actor, a guard or the account's own, stands for."""
    return AccountId(name.removeprefix(GUARD_PREFIX))


class FailedActor(NamedTuple):
    """A crash, as the list of all crashes shows it."""

    name: str
    report: CrashReport


def dead_letter_of(name: str, report: CrashReport, poison: Any) -> RecordDeadLetter:
    """The durable record of a message that failed."""
    return RecordDeadLetter(
        actor=name,
        message_kind=report.message_kind,
        message=report.message,
        payload=wire.encode(poison),
        error=report.error,
        traceback=report.traceback,
        state=report.state,
        cause=report.cause,
        wall_ms=report.wall_ms,
    )


def unread_letter(name: str, message: Any, why: str, wall_ms: int) -> RecordDeadLetter:
    """The durable record of a message that its actor never came to."""
    return RecordDeadLetter(
        actor=name,
        message_kind=type(message).__name__,
        message=shown(message),
        payload=wire.encode(message),
        error=why,
        traceback="",
        state="",
        cause=str(getattr(message, "cause", "")),
        wall_ms=wall_ms,
    )


def report_of(record: QuarantineRecord) -> CrashReport:
    """The crash report of an account that an earlier life of the engine quarantined."""
    return CrashReport(
        message_kind="",
        message="see its dead letters",
        error=record.error or record.reason,
        traceback=record.traceback,
        where="",
        state=record.state,
        at_ns=0,
        wall_ms=record.since_ms,
        cause="",
    )


# -- start and stop


def start_in_order(specs: tuple[ChildSpec, ...], actors: dict[str, Ref]) -> None:
    """Start children one after the other; each must answer a ping before the next starts.

    Raises:
        ValueError: two specs of one name.
        NotStarted: a child did not answer in time.
    """
    if len({spec.name for spec in specs}) != len(specs):
        raise ValueError(f"children must have different names: {[s.name for s in specs]}")
    for spec in specs:
        ref = actors[spec.name] = spec.start()
        try:
            ref.ask(Ping(), timeout=spec.ready_seconds)
        except pykka.Timeout:
            crashes = ref.cell.crashes
            why = crashes[-1].error if crashes else "its on_start is still running"
            raise NotStarted(f"{spec.name} did not start within {spec.ready_seconds} s: {why}") from None
        log.info("started", actor=spec.name)


def stop_in_reverse(specs: tuple[ChildSpec, ...], actors: dict[str, Ref], timeout_s: float) -> list[str]:
    """Stop children in reverse start order, all within ``timeout_s``.

    Returns:
        Names of those that did not stop in time.
    """
    late = []
    deadline = time.monotonic() + timeout_s
    for spec in reversed(specs):
        ref = actors.pop(spec.name, None)
        if ref is not None:
            try:
                ref.stop(timeout=max(0.01, deadline - time.monotonic()))
            except Exception:
                log.exception("did not stop", actor=spec.name)
                late.append(spec.name)
    return late
