"""What stays of an actor over all its instances: mailbox, present instance, trace and crashes.

Rules
1. The cell outlives the instance: a restart makes a new instance and keeps the mailbox and
   the ref, so neighbours notice nothing.
2. The state and the poison message of a crash are kept as they were met.
3. Everything that ``snapshot`` reads is copied in one C call, so it answers while the actor
   is stuck in a turn.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from actors.core.constants import TRACE_DEPTH
from actors.runtime.envelope import Envelope, QueuedMessage, describe, shown
from actors.runtime.failure_text import traceback_text, where
from actors.runtime.mailbox import Counters, Mailbox

if TYPE_CHECKING:
    from actors.runtime.actor import DispatchedActor
    from actors.runtime.dispatcher import Dispatcher
    from actors.runtime.tap import Tap

log = structlog.get_logger("runtime")

Make = tuple[type[Any], tuple[Any, ...], Mapping[str, Any]]
"""An actor's class and the arguments of its constructor."""

START_FAILED = "(start)"
"""The message kind of a failure without a message: in a constructor or in ``on_start``."""

_taps = threading.Lock()
"""Held for the change of a tap: a reader's thread and the actor's may both put it away, a third sets a new one."""

CRASHES_KEPT = 3
"""Crash reports kept in memory per actor; older ones are in the dead letters."""


class Status(StrEnum):
    """What an actor is doing."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    LOADING = "LOADING"
    CRASHED = "CRASHED"
    QUARANTINED = "QUARANTINED"
    BYPASSED = "BYPASSED"
    """It failed too often as it should be, and serves in a simpler way until an operator restarts it."""
    STOPPED = "STOPPED"


class CrashReport(msgspec.Struct, frozen=True, kw_only=True):
    """One failure: the poison message, the error, and the state that they met.

    ``where`` is the error's type and the line that raised it: alike for failures of one cause.
    """

    message_kind: str
    message: str
    error: str
    traceback: str
    where: str
    state: str
    at_ns: int
    wall_ms: int
    cause: str


class TracedMessage(msgspec.Struct, frozen=True):
    """One handled message: what, how long ago, how long it took; ``at_ms`` is when it was taken up, Unix time."""

    kind: str
    age_ms: float
    took_us: float
    cause: str
    content: str
    at_ms: int


def traced(message: Any, age_ns: int, took_ns: int, wall_ms: int) -> TracedMessage:
    """A handled message as people see it; its age is counted back from ``wall_ms``."""
    age_ms = max(0, age_ns) / 1e6
    return TracedMessage(
        kind=type(message).__name__,
        age_ms=age_ms,
        took_us=took_ns / 1e3,
        cause=str(getattr(message, "cause", "")),
        content=shown(message, 200),
        at_ms=wall_ms - round(age_ms),
    )


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An actor from outside."""

    name: str
    kind: str
    status: Status
    restarts: int
    counters: Counters
    busy_with: QueuedMessage | None
    mailbox: list[QueuedMessage]
    trace: list[TracedMessage]
    slowest_turn_us: float
    congested: bool
    crashes: list[CrashReport]


class Cell:
    """See the module's rules.

    ``make`` is the class and the arguments of which each instance is made. ``slowest_ns`` is
    the longest turn. ``poison`` is the last message that failed, kept for a replay, ``evidence``
    what that failure can be repeated with. ``tap``
    gets each handled message while its trace is followed.
    """

    __slots__ = (
        "__weakref__",
        "actor",
        "busy_with",
        "crashes",
        "dispatcher",
        "evidence",
        "mailbox",
        "make",
        "name",
        "poison",
        "restarts",
        "slowest_ns",
        "status",
        "tap",
        "trace",
        "trace_at",
    )

    def __init__(self, name: str, dispatcher: Dispatcher, make: Make) -> None:
        self.name = name
        self.dispatcher = dispatcher
        self.make = make
        self.mailbox = Mailbox()
        self.status = Status.STARTING
        self.restarts = 0
        self.slowest_ns = 0
        self.crashes: list[CrashReport] | None = None
        self.poison: Any = None
        self.evidence = b""
        self.busy_with: Envelope | None = None
        self.tap: Tap | None = None
        self.trace: list[tuple[Any, int, int]] | None = None
        self.trace_at = 0
        self.actor = self.build()

    def build(self) -> DispatchedActor:
        """A new instance."""
        kind, arguments, keywords = self.make
        actor: DispatchedActor = object.__new__(kind)
        actor._cell = self
        actor.__init__(*arguments, **keywords)  # type: ignore[misc]
        return actor

    def remember(self, message: Any, at_ns: int, took_ns: int) -> None:
        """Add a handled message to the trace, in place of the oldest."""
        trace = self.trace
        if trace is None:
            self.trace = [(message, at_ns, took_ns)]
        elif len(trace) < TRACE_DEPTH:
            trace.append((message, at_ns, took_ns))
        else:
            at = self.trace_at
            trace[at] = (message, at_ns, took_ns)
            self.trace_at = (at + 1) % TRACE_DEPTH
        tap = self.tap
        if tap is not None and not tap.take(message, at_ns, took_ns):
            self.unfollow(tap)

    def follow(self, tap: Tap, now_ns: int) -> bool:
        """Have ``tap`` get each handled message; not while another one lives.

        Returns:
            Whether it does now.
        """
        with _taps:
            if self.tap is not None and self.tap.until_ns > now_ns:
                return False
            self.tap = tap
            return True

    def unfollow(self, tap: Tap) -> None:
        """Be done with ``tap``; the one of a new follower stays."""
        with _taps:
            if self.tap is tap:
                self.tap = None

    def report(
        self, envelope: Envelope | None, error: BaseException, now_ns: int, wall_ms: int
    ) -> CrashReport:
        """Describe a failure and keep the description."""
        message = envelope[0] if envelope else None
        report = CrashReport(
            message_kind=START_FAILED if envelope is None else type(message).__name__,
            message=shown(message),
            error=f"{type(error).__name__}: {error}",
            traceback=traceback_text(error),
            where=where(error),
            state=shown(self.actor.inspect_state()),
            at_ns=now_ns,
            wall_ms=wall_ms,
            cause=str(getattr(message, "cause", "")),
        )
        self.poison = message
        self.evidence = self._evidence(message, report)
        self.crashes = [*(self.crashes or [])[-CRASHES_KEPT + 1 :], report]
        return report

    def _evidence(self, message: Any, report: CrashReport) -> bytes:
        try:
            return self.actor.evidence(message, report)
        except Exception as error:  # noqa: BLE001 - it is about a failure; it must not become one itself
            log.warning("a failure leaves no evidence", actor=self.name, error=shown(error))
            return b""

    def snapshot(self, limit: int = 100) -> Snapshot:
        """What an operator sees; at most ``limit`` waiting messages are described."""
        now_ns, wall_ms = self.dispatcher.clock.monotonic_ns(), self.dispatcher.clock.wall_ms()
        waiting = self.mailbox.waiting()
        busy = self.busy_with
        trace = list(self.trace or ())
        trace.sort(key=lambda entry: entry[1])
        return Snapshot(
            name=self.name,
            kind=type(self.actor).__name__,
            status=self.status,
            restarts=self.restarts,
            counters=self.mailbox.counters(),
            busy_with=describe(busy, now_ns) if busy else None,
            mailbox=[describe(envelope, now_ns) for envelope in waiting[:limit]],
            trace=[traced(message, now_ns - at_ns, took_ns, wall_ms) for message, at_ns, took_ns in trace],
            slowest_turn_us=self.slowest_ns / 1e3,
            congested=self.mailbox.congested,
            crashes=list(self.crashes or ()),
        )
