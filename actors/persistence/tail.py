"""What was committed last, for those who read on: drop copy, Redis stream, audit.

Readers pull, each at its own pace and from its own place; nobody who reads keeps the writer waiting. The last rows are in
memory; who is further behind reads from the journal in Postgres. Both give equal rows.

The memory is a list of slots, a row's at its position modulo their number. The writer puts a row there in one step, and a
reader sees by its position whether it is the one that it looks for. So there is no lock that a reader could hold.

I/O: asks Postgres through the reader that it is given.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import psycopg
import structlog

from actors.core.durability import StreamFacts
from actors.core.errors import NotKept, OtherHistory, StateCorrupt
from actors.core.journal_marks import Mark
from actors.persistence import journal
from actors.persistence.journal import Entry
from actors.persistence.messages import Committed

log = structlog.get_logger("tail")

T = TypeVar("T")

ROWS_KEPT = 8_192
"""Rows in memory, some 2 KB each: a second or two of a writer at its limit."""


class Decided(NamedTuple):
    """One row of the journal. One with a ``fault`` cannot be read, and has no facts."""

    position: int
    stream: str
    sequence: int
    wall_ms: int
    cause: str
    facts: StreamFacts
    fault: str = ""


class Asked(Protocol):
    """What the tail uses of ``persistence.reader.Reader``."""

    def ask(self, call: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Run one question on a connection that may only read."""
        ...


class JournalTail:
    """See the module. ``committed`` and ``more`` are for the writer's thread, everything else for any.

    Args:
        reader: how the database is asked.
        position: of the last row when the writer began.
        kept: how many rows are kept in memory.
    """

    def __init__(self, reader: Asked, position: int, kept: int = ROWS_KEPT) -> None:
        self._reader = reader
        self._position = position
        self._more = 0
        # Of readers, among themselves; the writer never takes it.
        self._lock = threading.Lock()
        self._found = position
        self._seen = 0
        self._slots: list[Decided | None] = [None] * kept
        self._marks: list[Mark | None] = [None] * kept
        self._listeners: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()

    # -- what the writer says

    def handed(self, committed: Committed) -> None:
        """What the store hands over after a commit; see ``committed`` and ``more``."""
        if not committed.first:
            self.more()
            return
        self.committed(
            [
                Decided(n, d.stream, d.state.sequence, d.wall_ms, d.cause, d.facts)
                for n, d in enumerate(committed.decisions, committed.first)
            ],
            committed.root,
        )

    def committed(self, rows: Sequence[Decided], root: bytes = b"") -> None:
        """These rows are durable, in the order of their positions. Never waits for a reader, and never raises.

        Args:
            rows: of whole commits.
            root: the journal's behind the last one; empty if that is not known.
        """
        slots = self._slots
        for row in rows:
            slots[row.position % len(slots)] = row
        if rows:
            if root:
                self._marks[rows[-1].position % len(slots)] = Mark(rows[-1].position, root.hex())
            # After the rows: whoever sees the position finds them.
            self._position = rows[-1].position
            self._tell()

    def more(self) -> None:
        """There is more in the journal than was handed over: only the database knows where it ends."""
        self._more += 1
        self._tell()

    def _tell(self) -> None:
        for call in list(self._listeners.values()):
            try:
                call()
            except Exception:
                log.exception("somebody who waits for commits could not be told")

    # -- what readers ask

    @property
    def position(self) -> int:
        """Of the last row that is known to be committed; 0 for an empty journal."""
        return max(self._position, self._found)

    def read(self, after: int, limit: int) -> Sequence[Decided]:
        """The rows behind a position, in order and without a gap; at most ``limit``, none when there are none yet.

        What is in memory only is returned without asking for the rest, so that fewer than ``limit`` say nothing.

        Raises:
            StoreUnreachable: the database does not answer; try again later.
            StoreBusy: as above.
            NotKept: rows behind that position are not in the journal any more; says from where on they are.
        """
        found = self.remembered(after, limit)
        if found or not self.may_have(after):
            return found
        before = self._more
        rows = self._reader.ask(lambda connection: journal.read(connection, after, limit))
        self._learn(rows[-1].position if rows else 0, before if len(rows) < limit else 0)
        if rows and rows[0].position != after + 1:
            raise NotKept(
                f"rows of the journal behind position {after:,} are asked for, and the oldest that is kept is "
                f"{rows[0].position:,}; begin after {rows[0].position - 1}. 'bulkhead db archive --restore all' brings archived "
                "ones back, with the engine stopped"
            )
        return [decided(row) for row in rows]

    def remembered(self, after: int, limit: int) -> list[Decided]:
        """As ``read``, of what is in memory alone: waits for nothing. None may be there though there are some."""
        slots, found = self._slots, list[Decided]()
        for position in range(after + 1, min(after + limit, self._position) + 1):
            row = slots[position % len(slots)]
            if row is None or row.position != position:
                break
            found.append(row)
        return found

    def may_have(self, after: int) -> bool:
        """Whether there may be rows behind a position; only a look into the database says more."""
        return self.position > after or self._more > self._seen

    def end(self) -> int:
        """The position of the last row, as the database says where memory may not know.

        Raises:
            StoreUnreachable, StoreBusy: it does not answer.
        """
        before = self._more
        if before > self._seen:
            self._learn(self._reader.ask(journal.last_position), before)
        return self.position

    def first(self) -> int:
        """The position of the oldest row that is kept; 1 for an empty journal.

        Raises:
            StoreUnreachable, StoreBusy: the database does not answer.
        """
        return self._reader.ask(journal.first_kept) or 1

    def mark(self, position: int) -> Mark | None:
        """The first mark that covers every row up to a position: that of the commit which ended there or next behind it.

        Raises:
            StoreUnreachable, StoreBusy: memory has none, and the database does not answer.
        """
        found = self.remembered_mark(position)
        return (
            self._reader.ask(lambda connection: journal.mark(connection, position))
            if found is None
            else found
        )

    def remembered_mark(self, position: int) -> Mark | None:
        """As ``mark``, of what is in memory alone; None may be there though there is one."""
        if not position:
            return Mark(0, journal.NO_HASH.hex())
        marks, first = self._marks, self._slots[position % len(self._slots)]
        if first is None or first.position != position:
            return None
        for number in range(position, min(self._position, position + len(marks)) + 1):
            mark = marks[number % len(marks)]
            if mark is not None and mark.position == number:
                return mark
        return None

    def common(self, marks: Sequence[Mark]) -> Mark | None:
        """The newest of some marks that this journal does not contradict; None if it has others in all these places.

        Raises:
            StoreUnreachable, StoreBusy: the database does not answer.
        """
        return self._reader.ask(lambda connection: journal.common_mark(connection, marks))

    def check(self, marks: Sequence[Mark]) -> None:
        """Whether who has read up to some marks has read this journal.

        Raises:
            OtherHistory: the newest of them is not in it; says which is.
            StoreUnreachable, StoreBusy: the database does not answer.
        """
        newest, common = max(marks, default=None), self.common(marks)
        if newest is None or newest == common:
            return
        cure = (
            f"Of the places that were given it has {common}: drop what is behind position {common.position} and begin there "
            f"again, with after={common.position} and root={common}"
            if common is not None and common.position
            else "It has none of the places that were given: drop all and begin again, with after=0; who gives older ones as "
            "well is told the last that it has"
        )
        raise OtherHistory(
            f"root: no commit of this journal ends at position {newest.position} with the root {newest.root}: it has another "
            "history than the one that was read, as after a restore of a backup, and the same positions are other events. "
            f"{cure}"
        )

    def wait(self, after: int, seconds: float) -> bool:
        """Wait until there may be rows behind a position; False when there were none in that time."""
        if self.may_have(after):
            return True
        told = threading.Event()
        end = self.listen(told.set)
        try:
            # Between the look above and the call: nobody would tell.
            return self.may_have(after) or (told.wait(seconds) and self.may_have(after))
        finally:
            end()

    def listen(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have ``call`` called after each commit, in the writer's thread: it must not wait.

        Returns:
            How to end that.
        """
        number = next(self._numbers)
        self._listeners[number] = call

        def end() -> None:
            self._listeners.pop(number, None)

        return end

    def _learn(self, position: int, seen: int) -> None:
        """The database has rows up to there; ``seen`` is how often the writer had said that there are more, if it had all."""
        with self._lock:
            self._found = max(self._found, position)
            self._seen = max(self._seen, seen)


def decided(row: Entry) -> Decided:
    """A row as readers get it."""
    try:
        facts, fault = journal.decoded(row.stream, row.version, row.facts), ""
    except StateCorrupt as error:
        # One row that cannot be read must not keep everybody from all that comes after it.
        log.warning("a row of the journal cannot be read", position=row.position, error=str(error))
        facts, fault = (), str(error)
    return Decided(row.position, row.stream, row.sequence, row.wall_ms, row.cause, facts, fault)
