"""The thread that writes the audit: the journal's events, and what the journal does not have.

Rules
1. Nobody waits for it. What others tell it goes into a queue that has an end; what comes from the journal it reads itself.
2. The file is its own cursor (``progress``): after a crash, a full disk or a night without Postgres it goes on behind the
   last line, and nothing of the journal is lost or written twice.
3. Lines are on the disk when they count as written: one fsync for what came within ``EVERY_S``.
4. What cannot be written is an alarm, and is tried again; the engine goes on.

I/O: a thread; files in the audit's folder; questions on read-only connections.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from actors.core.alarm_level import Critical
from actors.core.errors import NotKept, NotRecorded, StoreBusy, StoreUnreachable
from actors.core.events import ALL_PARTS, Event, EventKind, Row, events_of
from actors.core.names import harmless
from actors.core.units import AccountId
from actors.persistence import journal
from actors.persistence.audit import files, records, upkeep
from actors.persistence.audit.append import Appender, Cut, cut_content
from actors.persistence.audit.files import FOLDER, End
from actors.persistence.audit.line import FORMAT, Content, Kind
from actors.persistence.audit.rejections import LeftOut, RejectionLimit
from actors.persistence.tail import ROWS_KEPT, Asked
from actors.runtime.clock import Clock
from actors.subaccount.rejections import Rejection
from actors.supervision.alarms import AlarmEntry

log = structlog.get_logger("audit")

EVERY_S = 0.5
"""How often is looked for something to write."""

RECORDS_EVERY_S = 1.0
END_EVERY_S = 5.0
LOOK_AFTER_S = 600.0
ROWS_AT_ONCE = 100
PAUSE_S = 0.01
"""Between two reads while it catches up: other threads have Python meanwhile."""

CROWD_WAIT_S = 3.0
CROWD_BEHIND = ROWS_KEPT // 2
"""While a crowd of accounts decides, lines wait for so long at most, and of so many rows: they are still in memory then."""

ROOT_EVERY = 5_000
"""Rows between two roots while it catches up."""

RETRY_FIRST_S, RETRY_MAX_S = 1.0, 30.0

NOTES_MAX = 20_000
"""What others told it and is not on the disk yet; of more only the number is kept."""

KEY = "audit"

AWAY = (StoreUnreachable, StoreBusy)

Note = Callable[[], Content]


class Tail(Protocol):
    """What is used of ``persistence.tail.JournalTail``."""

    @property
    def position(self) -> int:
        """Of the last row that is known to be committed."""

    def read(self, after: int, limit: int) -> Sequence[Row]:
        """Rows behind a position; see there for what it raises."""

    def end(self) -> int:
        """The position of the last row."""


class AuditStats(msgspec.Struct):
    """Figures since the start; only the audit's thread writes them, but for ``left_out``.

    ``behind`` is how many decisions of the journal are not in the file yet, ``fault`` why it cannot be written, if so.
    """

    lines: int = 0
    bytes: int = 0
    left_out: int = 0
    waiting: int = 0
    behind: int = 0
    last_line: int = 0
    file: str = ""
    fault: str = ""


class AuditTrail:
    """See the module.

    Args:
        data_folder: the engine's; the audit is a folder in it.
        clock: of the times.
        alarm: called with a text and a key when it cannot be written, or does not fit the database.
        over: called with the key when it can be written again.
        days_kept: so many days with lines stay; 0 for all.
        is_crowded: whether a crowd of accounts decides, who need the interpreter more.
    """

    def __init__(  # noqa: PLR0913 - its neighbours
        self,
        data_folder: Path,
        clock: Clock,
        alarm: Callable[[str, str], None],
        over: Callable[[str], None],
        days_kept: int = 0,
        is_crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_crowded = is_crowded
        self._clock, self._alarm, self._over, self._days_kept = clock, alarm, over, days_kept
        self._file = Appender(data_folder / FOLDER)
        self._fleet = ""
        self._tail: Tail
        self._reader: Asked
        self._notes: deque[Note] = deque()
        self._lost = 0
        self._limit = RejectionLimit()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._has_begun = self._is_compared = False
        self._read_to = self._rooted = 0
        self._records_at = self._end_at = self._look_at = 0.0
        self._looked_after = ""
        self._wait_s = RETRY_FIRST_S
        self._end = End(0, "", "")
        self._in_hand: tuple[int, str, int, int] = (0, "", 0, 0)
        self.stats = AuditStats()

    # -- life

    def start(self, tail: Tail, reader: Asked, fleet: str) -> None:
        """Begin to write. ``tail`` and ``reader`` are of the database whose id is ``fleet``."""
        self._tail, self._reader, self._fleet = tail, reader, fleet
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Write what is left, and say that this was the end, within so many seconds."""
        self._deadline = time.monotonic() + seconds
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds + EVERY_S)

    # -- what others tell it, in any thread

    def rejected(
        self, account: AccountId, command: Any, rejections: Sequence[Rejection], wall_ms: int, cause: str
    ) -> None:
        """An account refused a command."""
        with self._lock:
            taken = self._limit.takes(account, wall_ms)
            if not taken:
                self.stats.left_out += 1
        if taken:
            self._note(partial(_rejection, account, command, rejections, wall_ms, cause))

    def alarmed(self, entry: AlarmEntry) -> None:
        """An alarm was raised, came again, ended or was acknowledged."""
        self._note(partial(_alarm, entry, self._clock.wall_ms()))

    def _note(self, note: Note) -> None:
        if len(self._notes) < NOTES_MAX:
            self._notes.append(note)
        else:
            with self._lock:
                self._lost += 1
                self.stats.left_out += 1

    # -- the thread

    def _work(self) -> None:
        try:
            while not self._ran():
                if self._stopping.is_set():
                    # One more try, as what failed may have been a moment's.
                    self._ran()
                    return
                self._stopping.wait(self._wait_s)
                self._wait_s = min(2 * self._wait_s, RETRY_MAX_S)
        finally:
            self._file.close()
            if not self._stopping.is_set():
                self._failed("the audit's thread has ended")

    def _ran(self) -> bool:
        """Write until the stop; False if that failed, which is an alarm then."""
        try:
            self._session()
        except (OSError, NotRecorded) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._failed(f"the audit in {self._file.folder} cannot be written ({text})")
        except Exception as error:
            log.exception("the audit's thread failed")
            self._failed(f"the audit failed ({type(error).__name__}: {error})")
        else:
            return True
        return False

    def _failed(self, text: str) -> None:
        self._file.close()
        if not self.stats.fault:
            told = f"{text}: trading goes on, and what the journal has is written once that works again"
            self._alarm(Critical(told), KEY)
        self.stats.fault = text

    def _session(self) -> None:
        """From the opening of the file to the stop; ends with an exception where it cannot be written."""
        n, day, own, notes = self._in_hand
        cut = self._file.open()
        if n:
            written = self._file.n - n - (self._file.end.file != day) - own
            for _ in range(min(max(0, written), notes)):
                self._notes.popleft()
        self._in_hand = (0, "", 0, 0)
        self._read_to, self._is_compared = 0, False
        self._begin(cut)
        is_behind = False
        while True:
            if not is_behind:  # else what waited would wait again
                self._let_others_go_first()
            is_last = self._stopping.is_set()
            is_behind = self._step()
            if self.stats.fault:
                self.stats.fault, self._wait_s = "", RETRY_FIRST_S
                self._over(KEY)
            if is_last and (not is_behind or time.monotonic() > self._deadline):
                break
            if is_behind:
                time.sleep(PAUSE_S)
            else:
                self._look_after_days()
                self._keep_end(now=False)
                self._stopping.wait(EVERY_S)
        self._append([Content(wall_ms=self._clock.wall_ms(), kind=Kind.STOPPED)], 0)
        self._keep_end(now=True)
        self._file.close()

    def _begin(self, cut: Cut | None) -> None:
        found: list[Content] = []
        if cut is not None:
            found.append(cut_content(cut, self._clock.wall_ms()))
            self._alarm(
                f"{cut.size:,} bytes at the end of {cut.file} of the audit were no whole line, as after a crash, and were cut off",
                "audit cut",
            )
        if not self._has_begun:
            was_running = self._file.progress.is_running
            data = {"format": FORMAT, "fleet": self._fleet, "the_one_before_ended": not was_running}
            found.append(Content(wall_ms=self._begin_ms(), kind=Kind.STARTED, data=data))
        if found:
            self._append(found, 0)
        self._has_begun = True

    def _begin_ms(self) -> int:
        """Now; or when the first decision was made that is not in the file, so that it gets into the file of its day."""
        cursor = self._file.progress.cursors.get(self._fleet)
        now_ms = self._clock.wall_ms()
        try:
            rows = self._tail.read(0 if cursor is None else cursor.event.position, 1)
        except (*AWAY, NotKept):
            rows = ()
        return min(now_ms, rows[0].wall_ms) if rows else now_ms

    def _let_others_go_first(self) -> None:
        """Wait while a crowd decides, as long as what waits is little and not old."""
        until = time.monotonic() + CROWD_WAIT_S
        while (
            self._is_crowded()
            and time.monotonic() < until
            and self._tail.position - self._place() < CROWD_BEHIND
            and not self._stopping.wait(EVERY_S)
        ):
            pass

    def _step(self) -> bool:
        """Write what there is, up to some.

        Returns:
            Whether there is more.
        """
        found, is_behind = self._of_journal()
        if not is_behind:
            found += self._of_records()
        if not is_behind or self._read_to - self._rooted >= ROOT_EVERY:
            found += self._root()
        own, notes = len(found), 0
        if not is_behind:
            found += self._left_out()
            own = len(found)
            told = list(self._notes)
            notes = len(told)
            found += [note() for note in told]
        if found:
            self._append(found, notes, own)
        self.stats.behind = max(0, self._tail.position - self._place())
        return is_behind

    def _append(self, found: Sequence[Content], notes: int, own: int = 0) -> None:
        self._in_hand = self._file.n, self._file.end.file, own, notes
        self.stats.bytes += self._file.append(found)
        self._in_hand = (0, "", 0, 0)
        for _ in range(notes):
            self._notes.popleft()
        self.stats.lines += len(found)
        self.stats.last_line, self.stats.file = self._file.n, self._file.end.file
        self.stats.waiting = len(self._notes)

    # -- what there is to write

    def _place(self) -> int:
        """The position up to which whole rows of the journal are in the file, or say nothing."""
        event = self._file.progress.cursor.event
        return max(self._read_to, event.position if event.part == ALL_PARTS else event.position - 1)

    def _of_journal(self) -> tuple[list[Content], bool]:
        cursor = self._file.progress.cursor.event
        try:
            compared = self._compared()
            if compared:
                return compared, True
            rows = self._tail.read(self._place(), ROWS_AT_ONCE)
        except NotKept:
            return self._not_kept()
        except AWAY as away:
            log.debug("the audit waits for Postgres", error=str(away))
            return [], False
        found = [_of_event(event) for row in rows for event in _events(row) if event.id > cursor]
        if rows:
            self._read_to = rows[-1].position
        return found, bool(rows) and self._tail.position > self._read_to

    def _compared(self) -> list[Content]:
        """Once in a session: whether the database has the history that the file was made of."""
        if self._is_compared:
            return []
        cursor = self._file.progress.cursor
        end = self._tail.end()
        roots = self._reader.ask(lambda c: journal.roots_at(c, [cursor.root_position]))
        there = roots.get(cursor.root_position, "")
        if there == cursor.root and cursor.event.position <= end:
            self._is_compared = True
            return []
        position, root = upkeep.common_root(self._file.folder, self._fleet, self._reader)
        text = (
            f"the audit knows journal position {cursor.root_position} with the root {cursor.root or 'of none'}, and goes up "
            f"to {cursor.event}; the database ends at {end} and has {there or 'no commit'} there: it was restored from an older "
            f"backup, or changed. The audit goes on behind position {position}; 'bulkhead db verify' checks the database"
        )
        self._alarm(Critical(text), "audit restored")
        self._is_compared = True
        self._read_to = 0
        operator, letter = self._reader.ask(records.last_numbers)
        data = {
            "position": position,
            "root": root,
            "was": str(cursor.event),
            "was_root": cursor.root,
            # An older database gives the numbers again that came after it.
            "operator": min(operator, cursor.operator),
            "dead_letter": min(letter, cursor.dead_letter),
        }
        return [Content(wall_ms=self._clock.wall_ms(), kind=Kind.RESTORED, data=data)]

    def _not_kept(self) -> tuple[list[Content], bool]:
        first = self._reader.ask(journal.first_kept)
        place = self._place()
        if first is None or first - 1 <= place:
            return [], False
        text = f"decisions {place + 1:,} to {first - 1:,} are not in the journal any more, and the audit does not have them"
        self._alarm(Critical(text), "audit not kept")
        self._read_to = first - 1
        data = {"position": first - 1, "since": place + 1}
        return [Content(wall_ms=self._clock.wall_ms(), kind=Kind.NOT_KEPT, data=data)], True

    def _of_records(self) -> list[Content]:
        if time.monotonic() < self._records_at and not self._stopping.is_set():
            return []
        self._records_at = time.monotonic() + RECORDS_EVERY_S
        cursor = self._file.progress.cursor
        try:
            return self._reader.ask(lambda connection: records.since(connection, cursor))
        except AWAY:
            return []

    def _root(self) -> list[Content]:
        place = self._place()
        if place <= self._file.progress.cursor.root_position:
            return []
        try:
            found = self._reader.ask(lambda connection: records.root_up_to(connection, place))
        except AWAY:
            return []
        self._rooted = place
        if found is None or found[0] <= self._file.progress.cursor.root_position:
            return []
        data = {"position": found[0], "root": found[1]}
        return [Content(wall_ms=self._clock.wall_ms(), kind=Kind.ROOT, data=data)]

    def _left_out(self) -> list[Content]:
        now_ms = self._clock.wall_ms()
        with self._lock:
            over = self._limit.rest(now_ms) if self._stopping.is_set() else self._limit.over(now_ms)
            lost, self._lost = self._lost, 0
        found = [_of_left_out(one, now_ms) for one in over]
        if lost:
            why = f"more than {NOTES_MAX:,} rejections and alarms waited to be written"
            found.append(
                Content(wall_ms=now_ms, kind=Kind.LEFT_OUT, data={"what": "LINES", "count": lost, "why": why})
            )
        return found

    def _look_after_days(self) -> None:
        """Compress what has ended, and remove what need not be kept; when a day has begun, and now and then."""
        if self._file.end.file == self._looked_after and time.monotonic() < self._look_at:
            return
        now_ms = self._clock.wall_ms()
        while upkeep.compress_one(self._file, now_ms, lambda: not self._stopping.is_set()):
            pass
        upkeep.remove_old(self._file, self._days_kept, now_ms)
        self._looked_after, self._look_at = self._file.end.file, time.monotonic() + LOOK_AFTER_S

    def _keep_end(self, *, now: bool) -> None:
        end = self._file.end
        if end == self._end or (not now and time.monotonic() < self._end_at):
            return
        files.keep_end(self._file.folder, end)
        self._end, self._end_at = end, time.monotonic() + END_EVERY_S


def _events(row: Row) -> tuple[Event, ...]:
    try:
        return events_of(row)
    except Exception as error:
        # One row must not keep all that come after it out of the audit.
        log.exception("a row of the journal makes no events", position=row.position)
        from actors.core.events import EventId  # noqa: PLC0415 - only here

        fault = {"fault": harmless(f"{type(error).__name__}: {error}", records.TEXT_MAX)}
        id_ = EventId(row.position, 0)
        return (Event(id_, AccountId(row.stream), row.wall_ms, row.cause, EventKind.UNREADABLE, fault),)


def _of_event(event: Event) -> Content:
    return Content(
        wall_ms=event.wall_ms,
        kind=event.kind.value,
        id=str(event.id),
        account=event.account,
        cause=event.cause,
        data=event.fields,
    )


def _rejection(
    account: AccountId, command: Any, rejections: Sequence[Rejection], wall_ms: int, cause: str
) -> Content:
    try:
        asked = msgspec.to_builtins(command)
    except Exception:  # noqa: BLE001 - it describes what was refused, and must not fail for it
        asked = {"text": harmless(repr(command), records.TEXT_MAX)}
    data = {
        "command": type(command).__name__,
        "order": asked,
        "rejections": [msgspec.to_builtins(rejection) for rejection in rejections],
    }
    return Content(wall_ms=wall_ms, kind=Kind.REJECTION, account=account, cause=cause, data=data)


def _alarm(entry: AlarmEntry, wall_ms: int) -> Content:
    data = {
        "alarm_id": entry.alarm_id,
        "level": str(entry.level),
        "text": entry.text,
        "count": entry.count,
        "over_ms": entry.over_ms,
        "acknowledged_by": entry.acknowledged_by,
    }
    return Content(wall_ms=wall_ms, kind=Kind.ALARM, data=data)


def _of_left_out(found: LeftOut, now_ms: int) -> Content:
    data = {"what": "REJECTIONS", **found._asdict()}
    return Content(wall_ms=now_ms, kind=Kind.LEFT_OUT, data=data)
