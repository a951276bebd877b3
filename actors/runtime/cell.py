"""One actor's life: its mailbox, its present instance, its trace and its crashes.

Rules
1. The cell outlives the instance: a restart makes a new instance and keeps the mailbox and
   the ref, so neighbours notice nothing.
2. The state and the poison message of a crash are kept as they were met.
3. Everything that ``snapshot`` reads is copied in one C call, so it answers while the actor
   is stuck in a turn.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from actors.limits import TRACE_DEPTH
from actors.runtime.mailbox import Counters, Letter, Mailbox, QueuedMessage, describe

if TYPE_CHECKING:
    from actors.runtime.actor import DispatchedActor
    from actors.runtime.dispatcher import Dispatcher

CRASHES_KEPT = 3
"""Crash reports kept in memory per actor; older ones are in the dead letters."""


class Status(StrEnum):
    """Where an actor is in its life."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    LOADING = "LOADING"
    CRASHED = "CRASHED"
    QUARANTINED = "QUARANTINED"
    STOPPED = "STOPPED"


class CrashReport(msgspec.Struct, frozen=True, kw_only=True):
    """One failure: the poison message, the error, and the state that they met."""

    message_kind: str
    message: str
    error: str
    traceback: str
    state: str
    at_ns: int
    wall_ms: int
    cause: str


class TracedMessage(msgspec.Struct, frozen=True):
    """One handled message: what, how long ago, how long it took."""

    kind: str
    age_ms: float
    took_us: float
    cause: str
    content: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An actor from outside, at one moment."""

    name: str
    kind: str
    status: Status
    restarts: int
    counters: Counters
    busy_with: QueuedMessage | None
    mailbox: list[QueuedMessage]
    trace: list[TracedMessage]
    crashes: list[CrashReport]


class Cell:
    """See the module's rules."""

    __slots__ = (
        "__weakref__",
        "_trace",
        "_trace_at",
        "actor",
        "busy_with",
        "crashes",
        "dispatcher",
        "factory",
        "mailbox",
        "name",
        "restarts",
        "status",
    )

    def __init__(self, name: str, dispatcher: Dispatcher, factory: Callable[[Cell], DispatchedActor]) -> None:
        self.name = name
        self.dispatcher = dispatcher
        self.factory = factory
        self.mailbox = Mailbox()
        self.status = Status.STARTING
        self.restarts = 0
        self.crashes: list[CrashReport] | None = None
        self.busy_with: Letter | None = None
        self._trace: list[tuple[Any, int, int]] | None = None
        self._trace_at = 0
        self.actor = factory(self)

    def remember(self, message: Any, at_ns: int, took_ns: int) -> None:
        """Add a handled message to the trace, in place of the oldest."""
        trace = self._trace
        if trace is None:
            self._trace = [(message, at_ns, took_ns)]
        elif len(trace) < TRACE_DEPTH:
            trace.append((message, at_ns, took_ns))
        else:
            at = self._trace_at
            trace[at] = (message, at_ns, took_ns)
            self._trace_at = (at + 1) % TRACE_DEPTH

    def report(self, letter: Letter | None, error: BaseException, now_ns: int, wall_ms: int) -> CrashReport:
        """Describe a failure and keep the description."""
        message = letter.message if letter else None
        report = CrashReport(
            message_kind=type(message).__name__,
            message=_shown(message),
            error=f"{type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),
            state=_shown(self.actor.inspect_state()),
            at_ns=now_ns,
            wall_ms=wall_ms,
            cause=str(getattr(message, "cause", "")),
        )
        self.crashes = [*(self.crashes or [])[-CRASHES_KEPT + 1 :], report]
        return report

    def snapshot(self, limit: int = 100) -> Snapshot:
        """What an operator sees; at most ``limit`` waiting messages are described."""
        now_ns = self.dispatcher.clock.monotonic_ns()
        waiting = self.mailbox.waiting()
        busy = self.busy_with
        trace = list(self._trace or ())
        trace.sort(key=lambda entry: entry[1])
        return Snapshot(
            name=self.name,
            kind=type(self.actor).__name__,
            status=self.status,
            restarts=self.restarts,
            counters=self.mailbox.counters(),
            busy_with=describe(busy, now_ns) if busy else None,
            mailbox=[describe(letter, now_ns) for letter in waiting[:limit]],
            trace=[
                TracedMessage(
                    kind=type(message).__name__,
                    age_ms=max(0, now_ns - at_ns) / 1e6,
                    took_us=took_ns / 1e3,
                    cause=str(getattr(message, "cause", "")),
                    content=_shown(message, 200),
                )
                for message, at_ns, took_ns in trace
            ],
            crashes=list(self.crashes or ()),
        )


def _shown(value: Any, width: int = 4000) -> str:
    # A repr that raises must not hide the crash that it describes.
    try:
        return repr(value)[:width]
    except Exception as error:  # noqa: BLE001
        return f"<{type(value).__name__}: its repr raised {error!r}>"
