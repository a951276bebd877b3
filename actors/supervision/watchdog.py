"""Names the actor that is stuck in a turn, with its message and its stack, while it is stuck.

A thread of its own looks at every dispatcher many times a second. Python gives no way to
end a turn from outside: past ``halt_ns`` it says so, and the engine is halted to be restarted.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from actors.core.alarm_level import Critical, Info
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos
from actors.runtime.cell import Cell
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.envelope import Envelope, describe
from actors.supervision.gate import TradingGate

log = structlog.get_logger("watchdog")

STUCK_KEPT = 50


class WatchdogPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a turn is reported and when the engine is given up.

    ``lag_high_ns``: messages that wait longer than that before their turn stop new risk, until
    the wait is below ``lag_low_ns``.
    """

    look_every_ns: Nanos = Nanos(20 * NANOS_PER_MS)
    turn_deadline_ns: Nanos = Nanos(250 * NANOS_PER_MS)
    halt_ns: Nanos = Nanos(60 * NANOS_PER_SECOND)
    lag_high_ns: Nanos = Nanos(1_000 * NANOS_PER_MS)
    lag_low_ns: Nanos = Nanos(250 * NANOS_PER_MS)


class StuckTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn past its deadline, as it was when it was seen. ``stack`` ends where the thread was."""

    actor: str
    dispatcher: str
    message_kind: str
    message: str
    cause: str
    for_ms: float
    stack: str
    wall_ms: int


class Watchdog:
    """See the module.

    Args:
        dispatchers: whom to watch.
        gate: closed while a turn is stuck or a dispatcher lags.
        on_alarm: called once for each stuck turn, and once when it is over.
        on_halt: called when a turn is stuck for so long that no other actor is served any more, or
            when a dispatcher's thread has ended.
    """

    def __init__(
        self,
        dispatchers: Sequence[ThreadedDispatcher],
        gate: TradingGate,
        on_alarm: Callable[[str], None],
        on_halt: Callable[[str], None],
        policy: WatchdogPolicy | None = None,
    ) -> None:
        self._dispatchers = dispatchers
        self._gate = gate
        self._alarm, self._halt = on_alarm, on_halt
        self.policy = policy or WatchdogPolicy()
        self.stuck: deque[StuckTurn] = deque(maxlen=STUCK_KEPT)
        self._reported: dict[str, tuple[int, str]] = {}
        self._given_up: set[str] = set()
        self._lagging: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _watch(self) -> None:
        while not self._stop.wait(self.policy.look_every_ns / 1e9):
            for dispatcher in self._dispatchers:
                try:
                    self.look(dispatcher)
                except Exception:
                    log.exception("the watchdog failed", dispatcher=dispatcher.name)

    def look(self, dispatcher: ThreadedDispatcher) -> None:
        """Look at one dispatcher once."""
        name = dispatcher.name
        if not dispatcher.is_working and name not in self._given_up:
            self._given_up.add(name)
            self._halt(f"the thread of dispatcher {name} has ended{dispatcher.ended_by}")
            return
        cell, began_ns = dispatcher.running, dispatcher.turn_began_ns
        letter = cell.busy_with if cell is not None else None
        for_ns = dispatcher.now_ns() - began_ns
        # Read twice: a turn that ended in between was not stuck.
        is_same = dispatcher.running is cell and dispatcher.turn_began_ns == began_ns
        if cell is None or letter is None or not is_same or for_ns < self.policy.turn_deadline_ns:
            self._not_stuck(dispatcher)
        else:
            self._is_stuck(dispatcher, cell, letter, began_ns, for_ns)

    def _is_stuck(
        self, dispatcher: ThreadedDispatcher, cell: Cell, letter: Envelope, began_ns: int, for_ns: int
    ) -> None:
        name = dispatcher.name
        if self._reported.get(name, (0, ""))[0] != began_ns:
            self._reported[name] = (began_ns, cell.name)
            seen = describe(letter, dispatcher.now_ns())
            stuck = StuckTurn(
                actor=cell.name,
                dispatcher=name,
                message_kind=seen.kind,
                message=seen.content,
                cause=seen.cause,
                for_ms=for_ns / NANOS_PER_MS,
                stack=stack_of(dispatcher.thread_id),
                wall_ms=dispatcher.clock.wall_ms(),
            )
            self.stuck.append(stuck)
            self._gate.close("watchdog")
            last = stuck.stack.strip().splitlines()[-2:]
            where = " ".join(line.strip() for line in last)
            self._alarm(
                Critical(
                    f"{cell.name} has been in one turn for {stuck.for_ms:.0f} ms, on {seen.kind} ({where}); "
                    f"'bulkhead inspect {cell.name}' shows it"
                )
            )
        if for_ns > self.policy.halt_ns and name not in self._given_up:
            self._given_up.add(name)
            self._halt(f"{cell.name} holds the thread of all actors of {name} and does not come back")

    def _not_stuck(self, dispatcher: ThreadedDispatcher) -> None:
        name = dispatcher.name
        reported = self._reported.pop(name, None)
        if reported is not None:
            self._alarm(Info(f"{reported[1]} came out of its long turn"))
            if not self._reported:
                self._gate.open("watchdog")
        lag_ns = dispatcher.lag_ns()
        if lag_ns > self.policy.lag_high_ns and name not in self._lagging:
            self._lagging.add(name)
            self._gate.close("overload")
            self._alarm(
                f"dispatcher {name} is {lag_ns / NANOS_PER_MS:.0f} ms behind: no new risk until it is not"
            )
        elif lag_ns < self.policy.lag_low_ns and name in self._lagging:
            self._lagging.discard(name)
            if not self._lagging:
                self._gate.open("overload")


def stack_of(thread_id: int | None) -> str:
    """What a thread is doing, outermost call first."""
    frame = sys._current_frames().get(thread_id or 0)
    return "the thread is gone" if frame is None else "".join(traceback.format_stack(frame))
