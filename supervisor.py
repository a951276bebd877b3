"""Starts the engine's actors in order, restarts what fails, and stops all in reverse.

    writer -> gateway -> router -> accounts -> (feed, api: see ``actors.assembly.engine``)

1. Accounts are one for one: a restart touches nobody else and keeps the account's mailbox.
2. The poison message is set aside as a dead letter with its traceback and the state it met.
3. Past the restart window an account is quarantined, alone: its mailbox is kept, a guard
   cancels its orders and watches its liquidation until an operator releases it.
4. The gate lets no new risk in while the writer, the gateway or the router is away.
5. One cause that fails many accounts trips one breaker instead of thousands of restarts.
6. What cannot be trusted any more halts the engine.
"""

from __future__ import annotations

import zlib
from collections import deque
from contextlib import suppress
from typing import Any

import pykka
import structlog

from actors.core.enums import ReconsiderReason
from actors.core.errors import BadInput, Fenced, NotStarted, Refused, StateLost
from actors.core.messages import LoseTriggers, Message, Reconsider
from actors.core.records import LiftQuarantine, LoadRecovery, RecordQuarantine
from actors.core.safe_copy import pairs
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, AccountId, Nanos
from actors.core.urgency import Critical
from actors.runtime.actor import DispatchedActor
from actors.runtime.cell import START_FAILED, Cell, CrashReport, Status
from actors.supervision.correlation import FailureBreaker
from actors.supervision.dead_letters import FailedActor, dead_letter_of
from actors.supervision.messages import (
    CheckStarted,
    Crashed,
    Free,
    Probe,
    ProbeOver,
    Quarantine,
    Release,
    RestartNow,
    Settled,
    StillQuarantined,
)
from actors.supervision.policy import (
    CRASHES_LISTED,
    FREED_AT_ONCE,
    FREED_EVERY,
    SETTLE,
    SETTLE_TRIES,
    GiveUp,
    RestartAfter,
    RestartPolicy,
    after_crash,
)
from actors.supervision.registry import ChildSpec, Registry, account_of, guard_name, is_guard
from actors.supervision.strategy import Directive, Directives, Strategy, directive_of

log = structlog.get_logger("supervisor")

# -- who is supervised, and how: data

CORE_DIRECTIVES: Directives = {Fenced: Directive.ESCALATE, MemoryError: Directive.ESCALATE}
ACCOUNT_DIRECTIVES: Directives = {
    **CORE_DIRECTIVES,
    BadInput: Directive.RESUME,  # the message is at fault; the state was not touched
    Refused: Directive.RESUME,
    StateLost: Directive.QUARANTINE,  # no restart can help
}
ACCOUNT_POLICY = RestartPolicy()
GUARD_POLICY = RestartPolicy(max_restarts=3)

READY = Nanos(10 * NANOS_PER_SECOND)
"""An actor that is not running so long after its (re)start did not start."""

RESTART_GAP = Nanos(2 * NANOS_PER_MS)
"""Between two restarts of accounts that nobody asked for: a tenth of the accounts' time at the most."""


GROUPS: dict[str, Strategy] = {"market": Strategy.REST_FOR_ONE}
"""A new router knows no prices until the feed, started after it, has asked for all of them."""


class Supervisor(DispatchedActor):
    """Restarts, quarantines, alarms and halts; see the module's rules."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._house = registry
        self._history: dict[str, tuple[Nanos, ...]] = {}
        self._breaker = FailureBreaker(registry.correlation)
        self._unguarded: set[str] = set()
        self._next_restart_ns = Nanos(0)
        self.crashes: deque[FailedActor] = deque(maxlen=CRASHES_LISTED)

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        match message:
            case Crashed():
                return self._crashed(message.cell, message.report, message.error)
            case RestartNow():
                if message.by_operator or message.paced or self._house.spec(message.name) is not None:
                    return self._restart(message.name, by_operator=message.by_operator)
                return self._pace(message.name)
            case Quarantine():
                return self._quarantine_by_hand(message.name, message.reason)
            case Release():
                return self._release(message.name)
            case StillQuarantined():
                return self._still_quarantined(message.account_id, message.reason)
            case CheckStarted():
                return self._check_started(message)
            case Settled():
                return self._settle(message)
            case Probe():
                return self._probe(message.where)
            case ProbeOver():
                return self._probe_over(message.where, message.name)
            case Free():
                return self._free(message.names)
            case _:
                raise TypeError(f"the supervisor does not understand {type(message).__name__}")

    def inspect_state(self) -> Any:
        """Who failed lately, and what is out of service."""
        return {
            "failing": {name: len(times) for name, times in pairs(self._history)[:100]},
            "quarantined": sorted(self._house.quarantined)[:100],
            "unguarded": sorted(self._unguarded),
            "tripped": {
                where: {"parked": len(trip.parked), "failures": trip.seen, "probe": trip.probe}
                for where, trip in pairs(self._breaker.tripped)
            },
        }

    # -- a failure

    def _crashed(self, cell: Cell, report: CrashReport, error: BaseException) -> None:
        if cell.mailbox.is_closed:
            return
        name, house = cell.name, self._house
        self.crashes.append(FailedActor(name, report))
        self._tell("writer", dead_letter_of(name, report, cell.poison))
        if cell.status is not Status.CRASHED:
            return  # it was quarantined or restarted by hand before this was read
        spec = house.spec(name)
        if spec is not None:
            house.gate.close(name)
            house.alarm(Critical(f"{name} failed: {report.error}"))
        else:
            self._tell("router", LoseTriggers(account_of(name)))
        directive = directive_of(
            error, ACCOUNT_DIRECTIVES if spec is None else {**CORE_DIRECTIVES, **spec.directives}
        )
        if directive is Directive.RESUME and report.message_kind == START_FAILED:
            directive = Directive.RESTART  # an instance that did not start cannot go on
        match directive:
            case Directive.RESUME:
                cell.dispatcher.resume(cell)
                house.gate.open(name)
            case Directive.RESTART:
                self._restart_later(cell, report, spec)
            case Directive.QUARANTINE:
                self._give_up(cell, report, spec, f"{name} is quarantined: {report.error}")
            case Directive.ESCALATE:
                self._halt(f"{name} cannot be trusted to go on: {report.error}")

    def _restart_later(self, cell: Cell, report: CrashReport, spec: ChildSpec | None) -> None:
        name, now_ns = cell.name, self._now()
        is_account = spec is None and not is_guard(name)
        if is_account and self._parked(name, report.where, now_ns):
            return
        policy = spec.policy if spec else GUARD_POLICY if is_guard(name) else ACCOUNT_POLICY
        # Jitter from the name: different for each actor, the same in each run of a seed.
        unit_random = zlib.crc32(f"{name}:{cell.restarts}".encode()) / 2**32
        match after_crash(self._history.get(name, ()), now_ns, policy, unit_random):
            case RestartAfter(wait_ns, history):
                self._history[name] = history
                for other in self._house.group_of(name):
                    if other != name:
                        self._hold(other)
                self._later(wait_ns, RestartNow(name))
            case GiveUp(failures):
                self._history.pop(name, None)
                text = f"{name} is quarantined after {failures} failures: {report.error}"
                self._give_up(cell, report, spec, text)

    def _give_up(self, cell: Cell, report: CrashReport, spec: ChildSpec | None, text: str) -> None:
        name = cell.name
        cell.dispatcher.quarantine(cell)
        if spec is not None:
            self._halt(text)
        elif is_guard(name):
            self._unguarded.add(account_of(name))
            self._house.alarm(
                Critical(f"NOBODY WATCHES {account_of(name)}: its guard failed too: {report.error}")
            )
        else:
            self._out_of_service(name, report.error, report)
            self._house.alarm(Critical(text))

    def _halt(self, reason: str) -> None:
        self._house.gate.halt()
        self._house.halt(reason)
        self._house.alarm(Critical(f"the engine halts: {reason}"))

    # -- one cause, many accounts

    def _parked(self, name: str, where: str, now_ns: Nanos) -> bool:
        breaker, house = self._breaker, self._house
        trip = breaker.tripped.get(where)
        probe_failed = trip is not None and trip.probe == name
        if breaker.failed(where, name, now_ns, len(house.accounts)):
            house.gate.close("breaker")
            house.alarm(
                Critical(
                    f"{breaker.tripped[where].seen} accounts failed alike ({where}): they are parked, new risk "
                    "is stopped, and one is tried again every now and then"
                )
            )
            probe_failed = True
        if probe_failed:
            self._later(breaker.tripped[where].cooldown_ns, Probe(where))
        breaker.prune(now_ns)
        return breaker.parks(where)

    def _probe(self, where: str) -> None:
        name = self._breaker.next_probe(where)
        if name is None:
            self._breaker.drop_if_empty(where)
            self._close_breaker()
            return
        self._restart(name, by_operator=False)
        self._later(self._house.correlation.probe_ns, ProbeOver(where, name))

    def _probe_over(self, where: str, name: str) -> None:
        self._free(tuple(self._breaker.probe_was_well(where, name)))
        self._close_breaker()

    def _forget(self, name: str) -> None:
        """Somebody, or something else, took a parked actor or a probe in hand: try the next one."""
        for where in self._breaker.forget(name):
            self._later(self._breaker.tripped[where].cooldown_ns, Probe(where))

    def _close_breaker(self) -> None:
        if not self._breaker.tripped:
            self._house.gate.open("breaker")

    def _free(self, names: tuple[str, ...]) -> None:
        for name in names[:FREED_AT_ONCE]:
            self._restart(name, by_operator=False)
        if names[FREED_AT_ONCE:]:
            self._later(FREED_EVERY, Free(names[FREED_AT_ONCE:]))

    # -- back into service

    def _restart(self, name: str, *, by_operator: bool) -> bool:
        house = self._house
        ref = house.accounts.get(account_of(name)) if is_guard(name) else house.find(name)
        if ref is None or (not by_operator and (ref.name != name or ref.cell.status is not Status.CRASHED)):
            return False
        cell = ref.cell
        if not by_operator:
            self._start_again(cell)
            return True
        self._history.pop(name, None)
        if name in house.quarantined:
            return self._release(name)
        self._forget(name)
        cell.dispatcher.hold(cell)
        self._settle(Settled(name, "restart"))
        return True

    def _pace(self, name: str) -> None:
        """Restart when it is this one's turn: many at once would keep the healthy waiting."""
        now_ns = self._now()
        at_ns = max(now_ns, self._next_restart_ns)
        self._next_restart_ns = Nanos(at_ns + RESTART_GAP)
        self._later(Nanos(at_ns - now_ns), RestartNow(name, paced=True))

    def _start_again(self, cell: Cell) -> None:
        for name in self._house.group_of(cell.name):
            ref = self._house.find(name)
            one = cell if name == cell.name or ref is None else ref.cell
            log.info("restarting", actor=name)
            one.dispatcher.restart(one)
            is_core = self._house.spec(name) is not None
            check = CheckStarted(one, one.restarts, Nanos(self._now() + READY))
            self._later(SETTLE if is_core else READY, check)

    def _back(self, name: str) -> None:
        """A core actor has come up: new risk again, and what others must now tell it."""
        house = self._house
        if name in {"gateway", "writer"}:
            # What a writer committed but died before it told the gateway is asked after, too.
            self._tell("writer", LoadRecovery())
        if name == "router":
            for ref in list(house.accounts.values()):
                with suppress(pykka.ActorDeadError):
                    ref.tell(Reconsider(ReconsiderReason.ROUTER_RESTARTED))
        house.gate.open(name)

    def _check_started(self, check: CheckStarted) -> None:
        cell, is_core = check.cell, self._house.spec(check.cell.name) is not None
        if cell.restarts != check.incarnation:
            return
        if cell.status not in {Status.STARTING, Status.LOADING}:
            if is_core and cell.status is Status.RUNNING:
                self._back(cell.name)
        elif is_core and self._now() < check.until_ns:
            self._later(SETTLE, check)
        elif "writer" in self._house.gate.closers or cell.mailbox.in_hand:
            # Its state cannot be read now, or it is at it; the watchdog names who is stuck.
            self._later(READY, check)
        else:
            seconds = READY // NANOS_PER_SECOND
            cell.dispatcher.fail(
                cell, NotStarted(f"{cell.name} was {cell.status} {seconds} s after its restart")
            )

    # -- quarantine

    def _quarantine_by_hand(self, name: str, reason: str) -> bool:
        id_ = AccountId(name)
        ref = self._house.accounts.get(id_)
        if ref is None or id_ in self._house.quarantined:
            return False
        ref.cell.dispatcher.quarantine(ref.cell)
        self._history.pop(name, None)
        self._out_of_service(name, reason, None)
        self._house.alarm(f"{name} is quarantined by an operator: {reason}")
        return True

    def _still_quarantined(self, id_: AccountId, reason: str) -> None:
        self._house.quarantined[id_] = self._house.accounts[id_]
        self._settle(Settled(id_, "guard"))
        self._house.alarm(f"{id_} is still in quarantine: {reason}")

    def _out_of_service(self, name: str, reason: str, report: CrashReport | None) -> None:
        id_ = AccountId(name)
        house = self._house
        if id_ in house.quarantined:
            return
        self._forget(name)
        house.quarantined[id_] = house.accounts[id_]
        self._tell(
            "writer",
            RecordQuarantine(
                account_id=id_,
                reason=reason,
                wall_ms=self._cell.dispatcher.clock.wall_ms(),
                error=report.error if report else "",
                traceback=report.traceback if report else "",
                state=report.state if report else "",
            ),
        )
        self._settle(Settled(name, "guard"))

    def _release(self, name: str) -> bool:
        id_ = AccountId(name)
        if id_ not in self._house.quarantined:
            return False
        guard = self._house.accounts[id_].cell
        guard.dispatcher.quarantine(guard)
        self._settle(Settled(name, "release"))
        return True

    def _settle(self, waiting: Settled) -> None:
        """Go on once nobody is in the middle of a turn whose outcome the next one would miss."""
        house, id_ = self._house, AccountId(waiting.name)
        ref = house.accounts.get(id_) if waiting.then == "release" else house.find(waiting.name)
        if ref is None:
            return
        if ref.cell.mailbox.in_hand:
            if waiting.tries == SETTLE_TRIES:
                house.alarm(
                    f"{waiting.name} has been in one turn for over a second, so {waiting.then} waits; "
                    "only a restart of the engine frees its thread"
                )
            self._later(SETTLE, Settled(waiting.name, waiting.then, waiting.tries + 1))
        elif waiting.then == "guard":
            self._start_guard(id_)
        elif waiting.then == "release":
            self._finish_release(id_)
        elif waiting.name not in house.quarantined:
            self._start_again(ref.cell)

    def _start_guard(self, id_: AccountId) -> None:
        house = self._house
        own = house.quarantined.get(id_)
        if own is None or house.accounts[id_].cell is not own.cell:
            return
        guard = house.accounts[id_] = house.start_guard(id_)
        guard.cell.dispatcher.restart(guard.cell)
        self._tell("router", LoseTriggers(id_))

    def _finish_release(self, id_: AccountId) -> None:
        house = self._house
        own = house.quarantined.get(id_)
        if own is None:
            return
        # In this order: whoever finds a guard among the accounts finds its account in quarantine.
        guard, house.accounts[id_] = house.accounts[id_].cell, own
        del house.quarantined[id_]
        if guard is not own.cell:
            guard.dispatcher.stop_cell(guard)
        self._unguarded.discard(id_)
        self._history.pop(guard_name(id_), None)
        self._tell("writer", LiftQuarantine(id_))
        self._tell("router", LoseTriggers(id_))
        self._start_again(own.cell)

    # -- small things

    def _hold(self, name: str) -> None:
        ref = self._house.find(name)
        if ref is not None:
            ref.cell.dispatcher.hold(ref.cell)
            self._house.gate.close(name)

    def _tell(self, name: str, message: Message) -> None:
        """Tell a core actor, if there is one: while the engine stops, there may be none."""
        with suppress(KeyError, pykka.ActorDeadError):
            self._house.actors[name].tell(message)

    def _now(self) -> Nanos:
        return Nanos(self._cell.dispatcher.clock.monotonic_ns())

    def _later(self, wait_ns: Nanos, message: Message) -> None:
        self._cell.dispatcher.after(wait_ns, self._cell, message)
