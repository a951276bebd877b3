"""The engine's alarms: levelled, each cause once, kept in the data folder until a person has acknowledged them.

Callable from any thread, and never waits: a thread of the file's own writes them. They must be kept while
Postgres is away, so they are not in it.

Rules
1. The same alarm again, before anybody acknowledged it, counts up and moves its time; it is no second one.
2. An acknowledged alarm that comes again is a new one.
3. What is not acknowledged is there again after a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace

from actors.core.alarm_level import Critical, Level, level_of
from actors.core.errors import NotRecorded
from actors.core.units import NANOS_PER_SECOND
from actors.runtime.clock import Clock
from actors.runtime.local_file import LocalFile

log = structlog.get_logger("engine")

ALARMS_FILE = "alarms.jsonl"

KEPT = 500
"""Alarms that are listed, acknowledged or not; of too many the oldest lesser ones go."""

TEXT_MAX = 2_000

ACCOUNTS_PER_SECOND = 50
"""Alarms of accounts that are kept one by one in a second; a market drop may set off a hundred thousand."""

AGAIN_EVERY_MS = 10_000
"""How often the count of an alarm that comes again and again is written."""


class AlarmEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm; times in Unix milliseconds.

    ``at_ms`` is when it was raised last, ``count`` how often since ``first_ms``. ``over_ms`` is when its cause
    ended, where that can be known. ``key`` says which alarms are the same.
    """

    alarm_id: int
    at_ms: int
    text: str
    level: Level = Level.WARNING
    key: str = ""
    first_ms: int = 0
    count: int = 1
    over_ms: int | None = None
    acknowledged_by: str | None = None
    acknowledged_ms: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is not acknowledged yet."""
        return self.acknowledged_by is None


def read_alarms(folder: Path) -> list[AlarmEntry]:
    """The alarms that the file of a data folder has, as they were written last, by number.

    Raises:
        NotRecorded: the file is there and cannot be read.
    """
    found = {entry.alarm_id: entry for entry in LocalFile(folder / ALARMS_FILE, list).entries(AlarmEntry)}
    return [found[number] for number in sorted(found)]


class Alarms:
    """See the module.

    Args:
        clock: of the times.
        folder: where they are kept; None keeps them in memory only.
    """

    def __init__(self, clock: Clock, folder: Path | None = None) -> None:
        self._clock = clock
        self._second = 0
        self._in_second = 0
        self._lock = threading.Lock()
        self._entries: dict[int, AlarmEntry] = {}
        self._open: dict[str, int] = {}
        self._written_ms: dict[int, int] = {}
        self._next_id = 1
        self._file = (
            None if folder is None else LocalFile(folder / ALARMS_FILE, self._lines, self._file_fault)
        )
        self.count = 0
        self.dropped = 0
        self.told: Callable[[AlarmEntry], None] = lambda _entry: None
        """Called with what is written of an alarm, in any thread; must not wait."""

    # -- life

    def start(self) -> None:
        """Read what an earlier run left unacknowledged, and begin to write."""
        if self._file is None:
            return
        try:
            for entry in self._file.entries(AlarmEntry):
                self._restore(entry)
        except NotRecorded as error:
            self.tell(Critical(f"the alarms of an earlier start are lost: {error}"))
        with self._lock:
            for entry in list(self._entries.values()):
                if not entry.is_open:
                    del self._entries[entry.alarm_id]
        self._file.start()

    def stop(self) -> None:
        """Write what waits."""
        if self._file is not None:
            self._file.stop()

    def _restore(self, entry: AlarmEntry) -> None:
        with self._lock:
            previous = self._entries.get(entry.alarm_id)
            if previous is not None:
                self._open.pop(previous.key, None)
            self._entries[entry.alarm_id] = entry
            if entry.is_open:
                self._open[entry.key] = entry.alarm_id
            self._next_id = max(self._next_id, entry.alarm_id + 1)

    # -- raising

    def tell(self, text: str, key: str = "") -> None:
        """Keep and log an alarm; see ``urgency``. ``key`` says which are the same; without it, those of one text."""
        told, now_ms = text[:TEXT_MAX], self._clock.wall_ms()
        key = key or told
        with self._lock:
            self.count += 1
            id_ = self._open.get(key)
            if id_ is None:
                entry = AlarmEntry(
                    alarm_id=self._next_id,
                    at_ms=now_ms,
                    text=told,
                    level=level_of(text),
                    key=key,
                    first_ms=now_ms,
                )
                self._next_id += 1
                self._make_room()
            else:
                before = self._entries.pop(id_)  # the newest is the last
                entry = replace(
                    before,
                    at_ms=now_ms,
                    text=told,
                    level=level_of(text),
                    count=before.count + 1,
                    over_ms=None,
                )
            self._entries[entry.alarm_id] = entry
            self._open[key] = entry.alarm_id
            is_due = now_ms - self._written_ms.get(entry.alarm_id, 0) >= AGAIN_EVERY_MS
        if entry.count == 1 or is_due:
            self._write(entry)
        log.warning("alarm", text=told, alarm=entry.alarm_id, alarm_level=str(entry.level))

    def of_account(self, text: str) -> None:
        """An alarm of an account: above ``ACCOUNTS_PER_SECOND`` they are only counted, and that is said."""
        second = self._clock.monotonic_ns() // NANOS_PER_SECOND
        if second != self._second:
            left_out = self._in_second - ACCOUNTS_PER_SECOND
            self._second, self._in_second = second, 0
            if left_out > 0:
                self.tell(f"{left_out} more alarms of accounts within one second; 'bulkhead top --by ratio'")
        self._in_second += 1
        if self._in_second <= ACCOUNTS_PER_SECOND:
            self.tell(text)
        else:
            self.count += 1

    def over(self, key: str) -> None:
        """The cause of an alarm has ended; it stays until a person acknowledges it."""
        with self._lock:
            entry = self._entries.get(self._open.get(key, 0))
            if entry is None or entry.over_ms is not None:
                return
            entry = self._entries[entry.alarm_id] = replace(entry, over_ms=self._clock.wall_ms())
        self._write(entry)

    def acknowledge(self, alarm_id: int, who: str) -> AlarmEntry | None:
        """A person has seen an alarm.

        Returns:
            It, with who was first; None if there is no such alarm.
        """
        with self._lock:
            entry = self._entries.get(alarm_id)
            if entry is None or not entry.is_open:
                return entry
            entry = replace(entry, acknowledged_by=who, acknowledged_ms=self._clock.wall_ms())
            self._entries[alarm_id] = entry
            self._open.pop(entry.key, None)
        self._write(entry)
        return entry

    # -- looking

    @property
    def entries(self) -> list[AlarmEntry]:
        """What is kept, the latest last."""
        with self._lock:
            return list(self._entries.values())

    def open_by_level(self) -> dict[str, int]:
        """How many alarms are not acknowledged, by level."""
        counts = {str(level): 0 for level in Level}
        for entry in self.entries:
            counts[entry.level] += entry.is_open
        return counts

    # -- inside

    def _make_room(self) -> None:
        """Forget one, if there are too many: acknowledged ones first, then the least urgent, then the oldest."""
        if len(self._entries) < KEPT:
            return
        urgency = {level: n for n, level in enumerate(Level)}
        oldest = min(self._entries.values(), key=lambda e: (e.is_open, urgency[e.level], e.at_ms))
        del self._entries[oldest.alarm_id]
        self._written_ms.pop(oldest.alarm_id, None)
        if oldest.is_open:
            self._open.pop(oldest.key, None)
            self.dropped += 1

    def _write(self, entry: AlarmEntry) -> None:
        self._written_ms[entry.alarm_id] = entry.at_ms
        self.told(entry)
        if self._file is not None:
            self._file.append(msgspec.json.encode(entry))

    def _lines(self) -> list[bytes]:
        return [msgspec.json.encode(entry) for entry in self.entries if entry.is_open]

    def _file_fault(self, fault: str) -> None:
        if fault:
            self.tell(Critical(f"{fault}: alarms do not outlive a restart until it can be"), ALARMS_FILE)
        else:
            self.over(ALARMS_FILE)
