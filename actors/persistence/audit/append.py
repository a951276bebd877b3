"""Appends lines to the audit's files, each on the disk when ``append`` has returned. One thread's.

Rules
1. A line is whole or it is not there: what a crash or a full disk left of one is cut off when the file is opened again, and
   a line says so, with what was cut.
2. A file is never written again once a later day's was begun: what happened before midnight and is known after it stands in
   the next file.
3. After an error nothing is known of the file: ``open`` reads where it stands.

I/O: files in the audit's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from actors.core.errors import NotRecorded
from actors.core.names import harmless
from actors.core.utc import day_of
from actors.persistence.audit import files, progress
from actors.persistence.audit.files import Day, End
from actors.persistence.audit.line import NO_HASH, Content, Kind, Line, read, written
from actors.persistence.audit.progress import Progress
from actors.runtime.local_file import sync_folder, write_all

CUT_SHOWN = 2_000
"""Characters of what was cut off that its line repeats."""

OPENED_AGAIN = ".jsonl.new"


class Cut(NamedTuple):
    """What was cut off the end of a file."""

    file: str
    size: int
    sha256: str
    text: str


class Appender:
    """See the module.

    Args:
        folder: of the audit.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None
        self._descriptor: int | None = None
        self._day = ""
        self._hash = NO_HASH
        self.n = 0
        self.progress = Progress()

    @property
    def end(self) -> End:
        """The last line."""
        return End(self.n, self._hash, f"{self._day}.jsonl" if self._day else "")

    def open(self) -> Cut | None:
        """Find where the audit stands, and cut off what is no whole line at its end.

        Raises:
            NotRecorded: another process writes it.
            OSError: it cannot be read or written.
        """
        self.close()
        self._lock = files.locked(self.folder)
        if self._lock is None:
            raise NotRecorded(f"another process writes the audit in {self.folder}")
        days = files.days_in(self.folder)
        self._day, self.n, self._hash, self.progress = "", 0, NO_HASH, Progress()
        cut: Cut | None = None
        while days:
            day = _uncompressed(days[-1])
            tail = files.tail_of(day.path, _begins_with_state)
            if tail.torn:
                cut = _named(day, tail.torn, cut)
                self._cut_off(day, tail, days)
            if tail.whole:
                self._stand_behind(day, tail.whole)
                return cut
            days = files.days_in(self.folder)
            if days and days[-1].day == day.day:
                day.path.unlink()  # without a line
                days = days[:-1]
        return cut

    def close(self) -> None:
        """Close the file, and let another process write."""
        for descriptor in (self._descriptor, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._lock = None

    def append(self, contents: Sequence[Content]) -> int:
        """Write lines, the first of a file for each day that begins.

        Returns:
            How many bytes.

        Raises:
            OSError: not all of them are on the disk; only ``open`` says how many.
        """
        count, waiting = 0, list[bytes]()
        for content in contents:
            day = max(self._day, day_of(content.wall_ms))
            if day != self._day:
                count += self._write(waiting)
                waiting = []
                self._begin(day)
                waiting.append(self._line(Content(wall_ms=content.wall_ms, kind=Kind.DAY)))
            waiting.append(self._line(content))
        return count + self._write(waiting)

    # -- inside

    def _line(self, content: Content) -> bytes:
        data: dict[str, Any] = dict(content.data)
        self.progress = progress.after(self.progress, content.kind, content.id, data)
        if content.kind in progress.WITH_CURSORS:
            data |= progress.stated(self.progress)
            content = msgspec.structs.replace(content, data=data)
        line, self._hash = written(content, self.n + 1, self._hash)
        self.n += 1
        return line

    def _begin(self, day: str) -> None:
        """Go over to the file of another day."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._day = day

    def _write(self, lines: list[bytes]) -> int:
        if not lines:
            return 0
        is_new = False
        if self._descriptor is None:
            path = self.folder / f"{self._day}.jsonl"
            is_new = not path.exists()
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        content = b"".join(lines)
        write_all(self._descriptor, content)
        os.fsync(self._descriptor)
        if is_new:
            sync_folder(self.folder)
        return len(content)

    def _cut_off(self, day: Day, tail: files.Tail, days: Sequence[Day]) -> None:
        if not tail.whole and day.path.stat().st_size > files.TAIL_FIRST:
            # Not the end of a write, but a file that somebody damaged: it is kept for who looks into that.
            number = len(days)
            day.path.rename(day.path.with_name(f"{day.path.name}.damaged-{number}-{os.getpid()}"))
            sync_folder(self.folder)
            return
        os.truncate(day.path, tail.size)

    def _stand_behind(self, day: Day, whole: Iterable[bytes]) -> None:
        found = [line for line in map(read, whole) if line is not None]
        self._day, self.n, self._hash = day.day, found[-1].line.n, found[-1].hash
        begin = max((i for i, one in enumerate(found) if progress.states(one.line)), default=0)
        self.progress = progress.of_lines(one.line for one in found[begin:])


def stands_at(folder: Path) -> Progress:
    """How far the audit in a folder is, by its last lines; nobody may write it meanwhile. Changes nothing.

    Raises:
        OSError: it cannot be read.
    """
    for day in reversed(files.days_in(folder)):
        lines: list[Line] = []
        for physical in files.lines_of(day):
            found = read(physical.raw)
            if found is not None and progress.states(found.line):
                lines = []
            if found is not None:
                lines.append(found.line)
        if lines and (lines[0].n == 1 or progress.states(lines[0])):
            return progress.of_lines(lines)
    return Progress()


def _begins_with_state(whole: Sequence[bytes]) -> bool:
    return any(found is not None and progress.states(found.line) for found in map(read, reversed(whole)))


def _uncompressed(day: Day) -> Day:
    """The newest file must be one that can be written to; somebody compressed it by hand."""
    if not day.is_compressed:
        return day
    fresh = day.path.with_name(f"{day.day}{OPENED_AGAIN}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for line in files.lines_of(day):
            write_all(descriptor, line.raw + (b"\n" if line.ends else b""))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    opened = Day(day.day, day.path.with_name(f"{day.day}.jsonl"))
    fresh.rename(opened.path)
    day.path.unlink()
    sync_folder(day.path.parent)
    return opened


def _named(day: Day, torn: bytes, before: Cut | None) -> Cut:
    import hashlib  # noqa: PLC0415 - rarely needed

    text = harmless(torn.decode(errors="replace"), CUT_SHOWN)
    found = Cut(day.path.name, len(torn), hashlib.sha256(torn).hexdigest(), text)
    return found if before is None else before


def cut_content(cut: Cut, wall_ms: int) -> Content:
    """The line that names what was cut off."""
    return Content(
        wall_ms=wall_ms,
        kind=Kind.CUT,
        data={"file": cut.file, "bytes": cut.size, "sha256": cut.sha256, "text": cut.text},
    )
