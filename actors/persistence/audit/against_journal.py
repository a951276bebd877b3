"""The audit against the journal that it is made of: each event in both, and alike; each root where the file has it.

The journal is walked once from its first row, too (``persistence.verify``), with the file's last root: so a change that no
event shows is found as well.

I/O: reads files of the audit's folder; runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg

from actors.core.events import ALL_PARTS, Event, EventId, event_id, events_of
from actors.core.utc import time_of
from actors.persistence import journal
from actors.persistence.archive.tables import archived_end
from actors.persistence.audit import files
from actors.persistence.audit.chain import FAULTS_MAX, Fault, Physical, Wrong
from actors.persistence.audit.files import Day
from actors.persistence.audit.line import Kind, Line, read
from actors.persistence.audit.progress import Cursor, Progress, after, of_lines, states
from actors.persistence.audit.verify import EVERYTHING, Range
from actors.persistence.tail import decided
from actors.persistence.verify import fleet_of
from actors.supervision.journal_roots import JournalRoot

Connection = psycopg.Connection[Any]

ROWS_AT_ONCE = 1_000
ROOTS_AT_ONCE = 500
UNWRITTEN = "not_written"
"""In the data of a line whose content was too long, or could not be written."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared. ``behind`` is how many decisions of the journal the files do not have yet.

    ``superseded`` lines are of a history that the database does not have since it was restored; a line says so.
    ``root`` is the last one of the journal that the files have, at ``root_position``. Rows up to ``archived`` are in
    archived files, and lines of them were not compared.
    """

    fleet: str
    root_position: int
    root: str

    events: int
    roots: int
    behind: int
    superseded: int
    faults: tuple[Fault, ...]
    archived: int = 0


class Restored(NamedTuple):
    """A line that says that the database went back: events behind ``position`` in lines before ``n`` are void."""

    n: int
    position: int


class Survey(NamedTuple):
    """What a first look at the files found: restores of this database, and where the files begin and end."""

    restored: list[Restored]
    first: EventId
    last: Progress


def survey(days: Sequence[Day], fleet: str) -> Survey:
    """Look at the lines that say where the audit stands.

    Raises:
        Unreadable: a file cannot be read.
    """
    restored: list[Restored] = []
    first: EventId | None = None
    at = Progress()
    for where in _physical(days):
        found = read(where.raw)
        if found is None:
            continue
        line = found.line
        at = of_lines([line]) if states(line) else after(at, line.kind, line.id, line.data)
        if first is None and states(line):
            first = at.cursors[fleet].event if fleet in at.cursors else EventId(0, ALL_PARTS)
        if line.kind == Kind.RESTORED and at.fleet == fleet:
            restored.append(Restored(line.n, int(line.data.get("position", 0))))
    return Survey(restored, first or EventId(0, ALL_PARTS), at)


def compare(
    connection: Connection,
    folder: Path,
    days: Range = EVERYTHING,
    progress: Callable[[str, int, int], None] = lambda _step, _done, _total: None,
) -> Compared:
    """Compare the files with the database.

    Args:
        connection: may only read.
        folder: of the audit; verified before, as only whole lines are looked at.
        days: which.
        progress: informed of the step, and of how many decisions are done, of how many.

    Raises:
        Unreadable: a file cannot be read.
    """
    fleet = fleet_of(connection)
    chosen = [day for day in files.days_in(folder) if day.day in days]
    found = survey(chosen, fleet)
    return _Comparison(connection, fleet, found, progress).run(chosen)


def as_root(found: Compared) -> list[JournalRoot]:
    """The files' last root as one that the journal must have."""
    if not found.root_position:
        return []
    root = JournalRoot(journal_root=found.root, position=found.root_position, at_ms=0, fleet=found.fleet)
    return [root]


class _Comparison:
    def __init__(
        self, connection: Connection, fleet: str, found: Survey, progress: Callable[[str, int, int], None]
    ) -> None:
        self._connection, self._fleet, self._survey, self._progress = connection, fleet, found, progress
        self._faults: list[Fault] = []
        self._roots: dict[int, tuple[Physical, str]] = {}
        self._events = self._root_count = self._superseded = 0
        kept = journal.first_kept(connection) or 1
        self._archived = archived_end(connection).position
        self._from = max(found.first, EventId(kept - 1, ALL_PARTS))
        cursor = found.last.cursors.get(fleet)
        self._until = EventId(0, 0) if cursor is None else cursor.event
        self._total = min(self._until.position, journal.last_position(connection))
        self._expected = self._of_journal()
        self._next: Event | None = next(self._expected, None)

    def run(self, days: Sequence[Day]) -> Compared:
        at, where = Progress(), Physical("", 0, b"")
        for where in _physical(days):
            if self._is_full:
                break
            read_line = read(where.raw)
            if read_line is None:
                continue
            line = read_line.line
            at = of_lines([line]) if states(line) else after(at, line.kind, line.id, line.data)
            if at.fleet == self._fleet:
                self._line(where, line)
        self._compare_roots()
        self._rest(where)
        last = journal.last_position(self._connection)
        place = self._until.position if self._until.part == ALL_PARTS else self._until.position - 1
        cursor = self._survey.last.cursors.get(self._fleet, Cursor())
        return Compared(
            fleet=self._fleet,
            root_position=cursor.root_position,
            root=cursor.root,
            events=self._events,
            roots=self._root_count,
            behind=max(0, last - place),
            superseded=self._superseded,
            faults=tuple(self._faults),
            archived=self._archived,
        )

    def _line(self, where: Physical, line: Line) -> None:
        if line.kind == Kind.ROOT:
            position = int(line.data.get("position", 0))
            if not self._is_void(line.n, position):
                self._roots[position] = where, str(line.data.get("root"))
            if len(self._roots) >= ROOTS_AT_ONCE:
                self._compare_roots()
        elif line.kind == Kind.NOT_KEPT:
            through = EventId(int(line.data.get("position", 0)), ALL_PARTS)
            while self._next is not None and self._next.id <= through:
                self._next = next(self._expected, None)
        elif line.id:
            self._event(where, line, event_id(line.id))

    def _event(self, where: Physical, line: Line, id_: EventId) -> None:
        if self._is_void(line.n, id_.position):
            self._superseded += 1
            return
        if id_ <= self._from:
            return  # older than what is compared
        while self._next is not None and self._next.id < id_ and not self._is_full:
            self._lacks(where, self._next)
            self._next = next(self._expected, None)
        if self._next is None or self._next.id > id_:
            text = f"event {id_} of {line.account} ({line.kind}) is not in the journal"
            self._fault(where, text)
            return
        self._events += 1
        for text in _differences(line, self._next):
            self._fault(where, f"event {id_}: {text}")
        self._next = next(self._expected, None)

    def _rest(self, where: Physical) -> None:
        while self._next is not None and not self._is_full:
            self._lacks(where, self._next)
            self._next = next(self._expected, None)

    def _lacks(self, where: Physical, event: Event) -> None:
        text = f"event {event.id} of {event.account} ({event.kind.value}) is in the journal, and not in the file before this line"
        self._fault(where, text)

    def _fault(self, where: Physical, text: str) -> None:
        if not self._is_full:
            self._faults.append(Fault(file=where.file, line=where.number, wrong=Wrong.JOURNAL, text=text))

    @property
    def _is_full(self) -> bool:
        """Whether so many faults were found that no more are looked for."""
        return len(self._faults) >= FAULTS_MAX

    def _is_void(self, n: int, position: int) -> bool:
        return any(one.n > n and one.position < position for one in self._survey.restored)

    def _of_journal(self) -> Iterator[Event]:
        """The events that the files must have."""
        place = self._from.position if self._from.part == ALL_PARTS else self._from.position - 1
        while rows := journal.read(self._connection, place, ROWS_AT_ONCE):
            for row in map(decided, rows):
                for event in events_of(row):
                    if event.id > self._until:
                        return
                    if event.id > self._from:
                        yield event
            place = rows[-1].position
            self._progress("decisions", place, max(place, self._total))

    def _compare_roots(self) -> None:
        there = journal.roots_at(self._connection, list(self._roots))
        for position, (where, root) in self._roots.items():
            if position <= self._archived and position not in there:
                continue  # of each archived file the last commit is there, and no other
            self._root_count += 1
            if there.get(position) != root:
                has = there.get(position)
                text = f"the journal had the root {root} at position {position}, and has {has or 'no commit that ends'} there"
                self._fault(where, text)
        self._roots.clear()


def _differences(line: Line, event: Event) -> Iterator[str]:
    """What a line says otherwise; what it does not have was not said when it was written."""
    if UNWRITTEN in line.data:
        return
    own = {"kind": line.kind, "account": line.account, "cause": line.cause, "time": line.time, **line.data}
    other = {
        "kind": event.kind.value,
        "account": str(event.account),
        "cause": event.cause,
        "time": time_of(event.wall_ms),
        **event.fields,
    }
    for name, value in own.items():
        if name not in other or other[name] != value:
            yield f"{name} is {value!r} here, and {other.get(name)!r} in the journal"


def _physical(days: Sequence[Day]) -> Iterator[Physical]:
    for day in days:
        yield from files.lines_of(day)
