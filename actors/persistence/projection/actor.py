"""The projector: makes every table but the journal from the journal, behind the writer and on a thread of its own.

Rules
1. The journal is the truth, and the cursor in the database says what is projected. What the writer hands over saves
   reading, and nothing hangs on it: a gap in it, or too much of it, is read from the journal.
2. Postgres away: wait and try again. Nothing is lost by that but time.
3. Too far behind, in decisions or in time: no new risk, as people and the platform see accounts as they were.
4. Without a projector everything else goes on: fills, liquidations and cancels need none. So when it has failed past its
   restarts it stays down with an alarm and no new risk is taken, but the engine does not halt.
5. While a crowd of accounts decides it waits, as both need the interpreter and nobody's money waits for these tables: for
   ``PROJECTION_WAIT_MAX`` at most, and with ``PROJECTION_WAIT_BEHIND`` decisions at most. What has waited is fewer, larger batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from actors.core.alarm_level import Critical
from actors.core.constants import (
    HANDED_MAX,
    PROJECTION_AGE_HIGH,
    PROJECTION_AGE_LOW,
    PROJECTION_BATCH_MAX,
    PROJECTION_LAG_HIGH,
    PROJECTION_LAG_LOW,
    PROJECTION_WAIT_BEHIND,
    PROJECTION_WAIT_MAX,
)
from actors.core.errors import Overtaken, StateCorrupt, StoreUnreachable
from actors.core.messages import Lane, Message
from actors.core.safe_copy import pairs
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos
from actors.persistence.messages import Committed
from actors.persistence.projection.balances import Foreign
from actors.persistence.projection.decided import AnyDecided, of_handover
from actors.persistence.projection.messages import ReleaseParked
from actors.persistence.projection.store import Parked, Projection
from actors.runtime.actor import DispatchedActor
from actors.supervision.gate import TradingGate

log = structlog.get_logger("projector")

CLOSER = "projection"
"""Its name at the gate while it is too far behind."""

LAG_KEY, AWAY_KEY = "projection lag", "projection away"

GATHER = Nanos(10 * NANOS_PER_MS)
"""How long a decision waits for more of them: a transaction of one costs nearly as much as one of a hundred."""

CROWD_LOOK = Nanos(50 * NANOS_PER_MS)
"""Between two looks whether a crowd still decides."""

LOOK_EVERY = Nanos(1_000 * NANOS_PER_MS)
"""Between two looks for rows of the journal that were not handed over."""

RELEASE_EVERY = 60
"""Looks between two tries of what is parked: the cause may be gone, a lock of somebody's above all."""

FORGET_AT = RELEASE_EVERY // 2
"""The look of so many at which some snapshots of days long gone are deleted."""

RETRY_FIRST = Nanos(100 * NANOS_PER_MS)
RETRY_MAX = Nanos(5_000 * NANOS_PER_MS)

STOP = Nanos(3 * NANOS_PER_SECOND)
"""How long a stop may go on projecting and writing snapshots; what is left the next start reads from the journal."""

MARKS_MAX = 1_000
SNAPSHOTS_AT_ONCE = 2_000


class Work(Message, frozen=True, gc=False):
    """The projector's own: there may be something to project."""

    LANE = Lane.FILLS


class Look(Message, frozen=True, gc=False):
    """The projector's own timer."""

    LANE = Lane.CONTROL

    incarnation: int


class ProjectorStats(msgspec.Struct):
    """How far it is; only the projector writes it. ``position`` is projected, ``last`` known to be in the journal."""

    position: int = 0
    last: int = 0
    age_ms: float = 0.0
    parked: int = 0
    projected: int = 0
    batches: int = 0
    read_back: int = 0
    is_down: bool = False

    @property
    def behind(self) -> int:
        """Decisions that are not projected yet."""
        return max(0, self.last - self.position)


class Projector(DispatchedActor):
    """See the module.

    Args:
        projection: used from this actor's thread only.
        gate: closed for new risk while it is too far behind.
        alarm: called with what a human must know.
        alarm_by_key: called with a text and a key of what lasts.
        over: called with the key when it is over.
        is_crowded: whether a crowd of accounts decides.
    """

    def __init__(  # noqa: PLR0913 - its neighbours
        self,
        projection: Projection,
        gate: TradingGate,
        alarm: Callable[[str], None],
        alarm_by_key: Callable[[str, str], None] = lambda _text, _key: None,
        over: Callable[[str], None] = lambda _key: None,
        is_crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._is_crowded = is_crowded
        self._projection, self._gate = projection, gate
        self._alarm, self._alarm_by_key, self._over = alarm, alarm_by_key, over
        projection.on_foreign, projection.on_parked = self._foreign, self._parked
        self._handed: deque[AnyDecided] = deque()
        self._marks: deque[tuple[int, int]] = deque()
        self._oldest_ns = 0
        self._retry_ns = RETRY_FIRST
        self._due = False
        self._knows = False
        self._looks = 0
        self._named: set[str] = set()
        self.stats = ProjectorStats()

    # -- messages

    def on_start(self) -> None:
        """Learn where we are, and read on from there."""
        self._look(Look(self._cell.restarts))

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        match message:
            case Committed():
                self._take(message)
            case Work():
                self._due = False
                if self._lets_others_go_first():
                    self._work_soon(CROWD_LOOK)
                else:
                    self._work()
            case Look():
                self._look(message)
            case ReleaseParked():
                self._release(message.stream, self.defer_reply())
            case _:
                raise TypeError(f"the projector does not understand {type(message).__name__}")

    def on_stop(self) -> None:
        """Project what is in the journal and write snapshots, as far as time allows."""
        until_ns = self._now_ns() + STOP
        try:
            if not self._knows:
                return
            self._learn_last()
            while self._now_ns() < until_ns and self._step():
                pass
            while self._now_ns() < until_ns and self._projection.save_tails(SNAPSHOTS_AT_ONCE):
                pass
        except (StoreUnreachable, Overtaken) as away:
            log.warning("not projected to the end; the next start goes on", error=str(away))
        finally:
            self._projection.close()

    def inspect_state(self) -> Any:
        """How far it is, as of now."""
        stats = msgspec.structs.replace(self.stats)
        oldest_ns = self._oldest_ns
        stats.age_ms = (self._now_ns() - oldest_ns) / NANOS_PER_MS if oldest_ns else 0.0
        return stats

    # -- what there is to project

    def _take(self, committed: Committed) -> None:
        count = len(committed.decisions)
        if not count:
            self._read_on()
            return
        last = committed.first + count - 1
        self._mark(last)
        # What does not fit in, or does not follow, is read from the journal when its turn comes.
        follows = not self._handed or self._handed[-1].position + 1 == committed.first
        if follows and len(self._handed) + count <= HANDED_MAX and len(committed.hashes) == count:
            self._handed.extend(of_handover(committed))
        self._work_soon(GATHER if self.stats.behind < PROJECTION_BATCH_MAX else Nanos(0))
        self._watch_lag()

    def _mark(self, last: int) -> None:
        """Remember since when a position waits."""
        if last <= self.stats.last:
            return
        self.stats.last = last
        if last <= self.stats.position:
            return  # found in the journal, and projected by an earlier run
        if len(self._marks) >= MARKS_MAX:
            self._marks[-1] = (last, self._marks[-1][1])
        else:
            self._marks.append((last, self._now_ns()))
        self._oldest_ns = self._marks[0][1]

    def _work_soon(self, wait_ns: Nanos) -> None:
        if not self._due:
            self._due = True
            self._cell.dispatcher.after(wait_ns, self._cell, Work())

    def _lets_others_go_first(self) -> bool:
        """Whether what there is to project may wait for a crowd; when it has failed it is tried again all the same."""
        stats, oldest_ns = self.stats, self._oldest_ns
        may_wait = oldest_ns and self._now_ns() - oldest_ns < PROJECTION_WAIT_MAX
        return bool(
            may_wait and not stats.is_down and stats.behind < PROJECTION_WAIT_BEHIND and self._is_crowded()
        )

    def _look(self, message: Look) -> None:
        if message.incarnation != self._cell.restarts:
            return  # the timers of an earlier incarnation go on
        try:
            if not self.stats.is_down:
                self._looks += 1
                self._read_on()
                if self._looks % RELEASE_EVERY == 1 and self._knows:
                    self._release_all()
                if self._looks % RELEASE_EVERY == FORGET_AT and self._knows:
                    self._forget_days()
        finally:
            self._watch_lag()
            self._cell.dispatcher.after(LOOK_EVERY, self._cell, message)

    def _read_on(self) -> None:
        """Look into the journal itself for what is not projected."""
        try:
            if not self._knows:
                self._projection.begin()
                self._knows = True
                self._over(AWAY_KEY)
            self._learn_last()
        except StoreUnreachable as away:
            self._went_down(away)
        else:
            if self.stats.behind:
                self._work_soon(Nanos(0))

    def _learn_last(self) -> None:
        self.stats.position = self._projection.cursor
        self._mark(self._projection.last())

    # -- projecting

    def _work(self) -> None:
        try:
            if not self._knows:
                # A lost connection: the commit under way may have happened.
                self._projection.begin()
                self._knows = True
            is_more = self._step()
        except StoreUnreachable as away:
            self._went_down(away)
        else:
            self._came_back()
            if is_more:
                self._work_soon(Nanos(0))
        self._watch_lag()

    def _step(self) -> bool:
        """Project one batch; whether there is more."""
        decisions = self._next_batch()
        if decisions:
            self._projection.project(decisions)
            self.stats.projected += len(decisions)
            self.stats.batches += 1
        cursor = self.stats.position = self._projection.cursor
        self.stats.parked = len(self._projection.parked)
        while self._marks and self._marks[0][0] <= cursor:
            self._marks.popleft()
        self._oldest_ns = self._marks[0][1] if self._marks else 0
        return bool(decisions and self.stats.behind)

    def _next_batch(self) -> list[AnyDecided]:
        cursor, handed = self._projection.cursor, self._handed
        while handed and handed[0].position <= cursor:
            handed.popleft()
        if handed and handed[0].position == cursor + 1:
            # They stay here until the database has them: a lost connection takes nothing away.
            return [handed[n] for n in range(min(len(handed), PROJECTION_BATCH_MAX))]
        if self.stats.last <= cursor:
            return []
        missing = handed[0].position - cursor - 1 if handed else PROJECTION_BATCH_MAX
        found = self._projection.read(min(missing, PROJECTION_BATCH_MAX))
        self.stats.read_back += len(found)
        return found

    def _went_down(self, away: StoreUnreachable) -> None:
        self._knows = False
        if not self.stats.is_down:
            self.stats.is_down = True
            log.warning("the projector cannot go on", error=str(away))
            text = (
                f"what people and the platform see is not brought up to date ({away}); it is tried on and on"
            )
            self._alarm_by_key(text, AWAY_KEY)
        self._work_soon(self._retry_ns)
        self._retry_ns = Nanos(min(self._retry_ns * 2, RETRY_MAX))

    def _came_back(self) -> None:
        self._retry_ns = RETRY_FIRST
        if self.stats.is_down:
            self.stats.is_down = False
            self._over(AWAY_KEY)

    # -- who must know

    def _watch_lag(self) -> None:
        behind, oldest_ns = self.stats.behind, self._oldest_ns
        age_ns = self._now_ns() - oldest_ns if oldest_ns else 0
        if behind > PROJECTION_LAG_HIGH or age_ns > PROJECTION_AGE_HIGH:
            if CLOSER not in self._gate.closers:
                self._gate.close(CLOSER)
                text = (
                    f"the projection is {behind} decisions and {age_ns / NANOS_PER_SECOND:.0f} s behind the journal: no new "
                    "risk until it has caught up; is Postgres, or its disk, too busy?"
                )
                self._alarm_by_key(Critical(text), LAG_KEY)
        elif behind < PROJECTION_LAG_LOW and age_ns < PROJECTION_AGE_LOW and CLOSER in self._gate.closers:
            self._gate.open(CLOSER)
            self._over(LAG_KEY)

    def _foreign(self, found: Foreign) -> None:
        # The platform watch books it, or raises the alarm.
        log.info("a balance was changed beside us", account=found.account_id)

    def _parked(self, parked: Parked) -> None:
        self._name(parked.stream, parked.position, parked.error)

    def _name(self, stream: str, position: int, error: str) -> None:
        """Raise the alarm of an account that is left out, once in this run."""
        if stream in self._named:
            return
        self._named.add(stream)
        self._alarm(
            Critical(
                f"{stream} is not projected from position {position} on ({error}): it trades on, but "
                "people and the platform see it as it was. Repair what the error names; it is tried again every minute, "
                "and at 'bulkhead restart projector'. If a table of ours is damaged: 'bulkhead db rebuild', with the engine stopped"
            )
        )

    def _release(self, stream: str, future: Any) -> None:
        """Whoever asks is answered, and an error is the asker's, not the supervisor's."""
        try:
            self._projection.begin()
            self._knows = True
            answer, error = self._projection.release(stream), None
        except (StateCorrupt, StoreUnreachable) as raised:
            answer, error = 0, raised
            self._knows = False
        self.stats.parked = len(self._projection.parked)
        if future is not None and error is not None:
            future.set_exception((type(error), error, error.__traceback__))
        elif future is not None:
            future.set(answer)

    def _release_all(self) -> None:
        try:
            for stream, position in pairs(self._projection.parked):
                try:
                    self._projection.release(stream)
                except StateCorrupt as error:
                    self._name(stream, position, str(error))
                else:
                    self._named.discard(stream)
        except StoreUnreachable as away:
            self._went_down(away)
        finally:
            self.stats.parked = len(self._projection.parked)

    def _forget_days(self) -> None:
        try:
            self._projection.forget_days()
        except StoreUnreachable as away:
            self._went_down(away)

    def _now_ns(self) -> int:
        return self._cell.dispatcher.clock.monotonic_ns()
