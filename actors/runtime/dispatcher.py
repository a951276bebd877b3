"""Runs many actors on one thread: a ready-queue of cells, a bounded turn for each.

Rules
1. A turn ends after ``TURN_MESSAGES`` messages or ``TURN_NANOS``, whichever is first.
2. Whatever a handler raises, ``SystemExit`` included, stops that actor only, and reaches
   ``on_crash``, however the message was sent (tell, ask, start).
3. A stopped actor's waiting messages become dead letters; waiting asks get ActorDeadError.
4. Timers are messages: ``after`` puts one into a mailbox when its time has come.
5. Actors for which all others wait (``DispatchedActor.GOES_FIRST``) have a ready-queue of their own, which is served
   first. A message that passes ten actors would else wait ten times for all accounts that a price has woken.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pykka
import structlog

from actors.core.constants import CROWD_BACKLOG, TURN_MESSAGES, TURN_NANOS
from actors.core.errors import Refused
from actors.core.messages import Lane, Message
from actors.core.units import Nanos
from actors.runtime.cell import Cell, CrashReport, Status
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.envelope import Envelope
from actors.runtime.mailbox import Serving

log = structlog.get_logger("dispatcher")

SWITCH_INTERVAL_SECONDS = 1e-4
"""Python's default of 5 ms between thread switches costs I/O threads milliseconds."""

FIRST_RUN = 8
"""So many turns in a row of actors that go first, then one of another actor: they may not starve it."""

CrashHandler = Callable[[Cell, CrashReport, BaseException], None]
DeadLetterHandler = Callable[[Cell, Envelope, str], None]


class Start(Message, frozen=True, gc=False):
    """The first message of an instance: runs ``on_start`` under the same failure handling."""

    LANE = Lane.CONTROL


class TurnStats:
    """Counters of one dispatcher, written by its thread alone.

    ``turns[n]`` counts turns that took less than 2**n ns and at least half of that; ``lag_ns``
    is how long the first message of the latest turn had waited; turns of actors that go first do not hide the others'.
    """

    __slots__ = ("busy_ns", "crashes", "lag_ns", "messages", "turns")

    def __init__(self) -> None:
        self.busy_ns = 0
        self.messages = 0
        self.crashes = 0
        self.lag_ns = 0
        self.turns = [0] * 64


class Dispatcher:
    """What the threaded and the seeded dispatcher share."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.now_ns = clock.monotonic_ns
        self.ready: Callable[[Cell], None]
        self.stats = TurnStats()
        self.running: Cell | None = None
        self.turn_began_ns = 0
        self.cells: dict[str, Cell] = {}
        self.on_crash: CrashHandler | None = None
        self.on_dead_letter: DeadLetterHandler | None = None
        self._timers: list[tuple[int, int, Cell, Any]] = []
        self._timer_ids = itertools.count()
        self._timer_lock = threading.Lock()

    # -- how an actor is added, sent to, restarted, stopped

    def add(self, cell: Cell, *, held: bool = False) -> Cell:
        """Take over a cell and schedule its ``on_start``; a held one waits for ``restart``."""
        if cell.name in self.cells:
            raise ValueError(f"an actor named {cell.name!r} runs already")
        self.cells[cell.name] = cell
        if held:
            self.quarantine(cell)
        else:
            self.post(cell, Start(), None)
        return cell

    def post(self, cell: Cell, message: Any, reply_to: Any) -> None:
        """Put a message into a mailbox and schedule the actor; see ``Ref.tell``."""
        try:
            if cell.mailbox.put((message, reply_to, self.now_ns())):
                self.ready(cell)
        except BrokenPipeError:
            dead = pykka.ActorDeadError(f"{cell.name} is stopped")
            if reply_to is None:
                raise dead from None
            _fail(reply_to, dead)
        except Refused as refused:
            if reply_to is None:
                raise
            _fail(reply_to, refused)

    def restart(self, cell: Cell) -> None:
        """Make a new instance in the same cell; mailbox, ref and trace stay."""
        if cell.status is Status.STOPPED:
            return
        cell.restarts += 1
        cell.status = Status.STARTING
        try:
            cell.actor = cell.build()
        except BaseException as error:  # noqa: BLE001
            self._crashed(cell, None, error)
            return
        if cell.mailbox.restart_with((Start(), None, self.now_ns())):
            self.ready(cell)

    def resume(self, cell: Cell) -> None:
        """Let a failed actor go on with the same instance."""
        cell.status = Status.RUNNING
        self.serve(cell, Serving.ALL)

    def hold(self, cell: Cell) -> None:
        """Serve nothing until ``restart`` or ``resume``; the mailbox keeps filling."""
        cell.mailbox.serve(Serving.NOTHING)
        cell.status = Status.CRASHED

    def quarantine(self, cell: Cell) -> None:
        """Take the actor out of service; its mailbox keeps filling and can be read."""
        cell.mailbox.serve(Serving.NOTHING)
        cell.status = Status.QUARANTINED

    def fail(self, cell: Cell, error: BaseException) -> None:
        """Count an actor as failed though it raised nothing: it did not come up."""
        self._crashed(cell, None, error)

    def serve(self, cell: Cell, serving: Serving) -> None:
        """Change which lanes of a cell are served, from any thread."""
        if cell.mailbox.serve(serving):
            self.ready(cell)

    def stop_cell(self, cell: Cell) -> None:
        """Stop an actor now; what waits becomes dead letters."""
        if cell.status is Status.STOPPED:
            return
        self._close(cell)
        try:
            cell.actor.on_stop()
        except Exception:
            log.exception("on_stop failed", actor=cell.name)

    def _close(self, cell: Cell) -> None:
        cell.status = Status.STOPPED
        if self.cells.get(cell.name) is cell:
            del self.cells[cell.name]
        for envelope in cell.mailbox.close():
            self._dead(cell, envelope, "the actor was stopped before it came to this message")

    def after(self, wait_ns: Nanos, cell: Cell, message: Any) -> None:
        """Put ``message`` into the mailbox in ``wait_ns`` nanoseconds."""
        due = self.clock.monotonic_ns() + wait_ns
        with self._timer_lock:
            heapq.heappush(self._timers, (due, next(self._timer_ids), cell, message))
        self._timer_added(due)

    # -- turns

    def run_turn(self, cell: Cell, messages: int = TURN_MESSAGES) -> None:
        """Let one actor handle some of its messages.

        The ready queue holds each actor at most once: ``scheduled`` in its mailbox is set when it is made ready,
        and cleared, under the mailbox's lock, only together with the finding that nothing waits. So no message is left
        without a turn, and no actor runs twice at once. The turn is bounded in messages and in time, as one with a
        long backlog would else hold up all others of this thread; it then goes to the end of the queue. A failure
        ends the turn: the rest of the mailbox is for the next instance.
        """
        mailbox = cell.mailbox
        envelope = mailbox.take()
        if envelope is None:
            return
        now_ns = self.now_ns
        began = now = self.turn_began_ns = now_ns()
        self.running = cell
        stats = self.stats
        waited = now - envelope[2]
        if not cell.actor.GOES_FIRST or waited > stats.lag_ns:
            stats.lag_ns = waited
        while True:
            cell.busy_with = envelope
            message = envelope[0]
            try:
                reply = cell.actor.handle(message) if type(message) is not Start else self._start(cell)
                envelope = cell.busy_with  # without its future, if the handler took over the answer
                if envelope[1] is not None:
                    envelope[1].set(reply)
            except BaseException as error:  # noqa: BLE001
                then = now_ns()
                self._crashed(cell, cell.busy_with, error)
                if mailbox.rest():
                    self.ready(cell)
                break
            then = now_ns()
            cell.remember(message, now, then - now)
            stats.messages += 1
            messages -= 1
            if messages == 0 or then - began > TURN_NANOS:
                cell.busy_with = None
                if mailbox.rest(handled=True):
                    self.ready(cell)
                break
            envelope = mailbox.take(True)
            if envelope is None:
                cell.busy_with = None
                break
            now = then
        took = then - began
        if took > cell.slowest_ns:  # noqa: PLR1730 - max() would be a call for each turn
            cell.slowest_ns = took
        stats.turns[took.bit_length()] += 1
        stats.busy_ns += took
        self.running = None

    def _start(self, cell: Cell) -> Any:
        cell.mailbox.serve(Serving.ALL)
        cell.actor.on_start()
        # Unless it waits for its state (LOADING), or was quarantined or stopped meanwhile.
        if cell.status is Status.STARTING:
            cell.status = Status.RUNNING

    def _crashed(self, cell: Cell, envelope: Envelope | None, error: BaseException) -> None:
        now_ns = self.clock.monotonic_ns()
        self.stats.crashes += 1
        report = cell.report(
            None if envelope and type(envelope[0]) is Start else envelope, error, now_ns, self.clock.wall_ms()
        )
        cell.status = Status.CRASHED
        cell.mailbox.serve(Serving.NOTHING)
        cell.busy_with = None
        if envelope is not None:
            cell.mailbox.settle(handled=False)
            if envelope[1] is not None:
                _fail(envelope[1], error)
        try:
            cell.actor.on_failure(type(error), error, error.__traceback__)
        except Exception:
            log.exception("on_failure failed", actor=cell.name)
        if self.on_crash is None:
            self._close(cell)
        else:
            self.on_crash(cell, report, error)
        log.error("actor crashed", actor=cell.name, error=report.error, message=report.message_kind)

    def _dead(self, cell: Cell, envelope: Envelope, why: str) -> None:
        if envelope[1] is not None:
            _fail(envelope[1], pykka.ActorDeadError(f"{cell.name}: {why}"))
        if self.on_dead_letter is not None:
            self.on_dead_letter(cell, envelope, why)

    def _fire_timers(self, now_ns: int) -> None:
        while True:
            with self._timer_lock:
                if not self._timers or self._timers[0][0] > now_ns:
                    return
                _, _, cell, message = heapq.heappop(self._timers)
            if not cell.mailbox.is_closed:
                self.post(cell, message, None)

    def _timer_added(self, due_ns: int) -> None:
        raise NotImplementedError

    def backlog(self) -> int:
        """How many actors wait for their turn. Callable from any thread."""
        raise NotImplementedError

    def is_crowded(self) -> bool:
        """Whether so many actors wait that what can be done later, on other threads too, should wait for them."""
        return self.backlog() > CROWD_BACKLOG


class ThreadedDispatcher(Dispatcher):
    """One worker thread that runs ready actors in the order in which they became ready."""

    def __init__(self, name: str, clock: Clock | None = None) -> None:
        super().__init__(name, clock or SystemClock())
        self._queue: queue.SimpleQueue[Cell | None] = queue.SimpleQueue()
        self._first: deque[Cell] = deque()
        self._idle = False
        self.ready = self._make_ready
        self._stopping = False
        self.ended_by = ""
        self._thread = threading.Thread(target=self._work, name=f"dispatcher-{name}", daemon=True)

    def start(self) -> None:
        """Start the worker thread."""
        if sys.getswitchinterval() > SWITCH_INTERVAL_SECONDS:
            sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        self._thread.start()

    @property
    def thread_id(self) -> int | None:
        """The worker thread's identity, for looking at its stack."""
        return self._thread.ident

    @property
    def is_working(self) -> bool:
        """Whether the thread runs, or ended because it was stopped."""
        return self._stopping or self._thread.is_alive()

    @property
    def has_ended(self) -> bool:
        """Whether no turn runs, or will run any more."""
        return not self._thread.is_alive()

    def backlog(self) -> int:
        """How many actors wait for their turn."""
        return self._queue.qsize() + len(self._first)

    def lag_ns(self) -> int:
        """How long the first message of the latest turn had waited; 0 when there is nothing to do."""
        return self.stats.lag_ns if self.running is not None or self.backlog() else 0

    def stop(self, timeout_s: float) -> bool:
        """End the worker thread after its present turn.

        Returns:
            Whether it ended in time.
        """
        self._stopping = True
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _make_ready(self, cell: Cell) -> None:
        if not cell.actor.GOES_FIRST:
            self._queue.put(cell)
            return
        self._first.append(cell)
        # The worker looks into ``_first`` after it has set ``_idle``: one of the two sees the other.
        if self._idle:
            self._queue.put(None)

    def _timer_added(self, due_ns: int) -> None:
        # Wakes the worker, which then computes its waiting time again.
        self._queue.put(None)

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            self.ended_by = f": {type(error).__name__}: {error}"
            log.critical("a dispatcher ended", name=self.name, exc_info=error)

    def _serve(self) -> None:
        first, in_a_row = self._first, 0
        while not self._stopping:
            wait = self._until_next_timer()
            if first and in_a_row < FIRST_RUN:
                in_a_row += 1
                self.run_turn(first.popleft())
                continue
            in_a_row = 0
            cell = self._next(wait)
            if cell is not None:
                self.run_turn(cell)

    def _until_next_timer(self) -> float | None:
        """Put into mailboxes what is due; how many seconds until the next timer, None where there is none."""
        if not self._timers:
            return None
        now = self.clock.monotonic_ns()
        self._fire_timers(now)
        # Another thread may have added one meanwhile; it wakes the worker by ``_timer_added``.
        timers = self._timers
        return max(0.0, (timers[0][0] - now) / 1e9) if timers else None

    def _next(self, wait: float | None) -> Cell | None:
        """The next of the other actors; waits for one while nobody at all is ready. None: look again."""
        get = self._queue.get
        try:
            return get(block=False)
        except queue.Empty:
            self._idle = True
            self.stats.lag_ns = 0
        try:
            return None if self._first else get(timeout=wait)
        except queue.Empty:
            return None
        finally:
            self._idle = False


def _fail(future: Any, error: BaseException) -> None:
    future.set_exception((type(error), error, error.__traceback__))
