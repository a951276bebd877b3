"""Whether the files of an audit are what was written. Of files alone; an engine may write meanwhile.

I/O: reads files of the audit's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from actors.core.errors import BadInput
from actors.persistence.audit import files
from actors.persistence.audit.chain import Fault, Known, Physical, Place, Unreadable, Walker, Wrong
from actors.persistence.audit.files import Day
from actors.persistence.audit.line import Kind, Read

Progress = Callable[[str, int, int], None]
"""Informed of the file, and of how many of its bytes are done, of how many."""

ISIZE_BYTES = 4


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``n`` are numbers of lines counted over all days; ``last_hash`` is what to keep elsewhere.

    ``roots`` is how many roots of the journal are in these lines, the last of them ``root`` at ``root_position``.
    ``events`` is how many lines are of the journal. ``is_being_written`` says that an engine writes the audit now.
    """

    ok: bool
    days: int
    lines: int
    events: int
    first_n: int
    last_n: int
    last_hash: str
    roots: int
    root_position: int
    root: str
    is_being_written: bool
    faults: tuple[Fault, ...]


class Range(msgspec.Struct, frozen=True):
    """Days as ``2026-11-22``, both included; empty for the first and the last."""

    first: str = ""
    last: str = ""

    def __contains__(self, day: str) -> bool:
        return (not self.first or day >= self.first) and (not self.last or day <= self.last)

    @property
    def is_everything(self) -> bool:
        """Whether no day is left out."""
        return not (self.first or self.last)


EVERYTHING = Range()


class Tally:
    """Counts what goes by, and looks for roots and for hashes of compressed files."""

    def __init__(self, wanted: Collection[str]) -> None:
        self.wanted = set(wanted)
        self.events = self.roots = self.first_n = self.root_position = 0
        self.lines = self.last_n = 0
        self.root = self.last_hash = ""
        self.compressed: dict[str, tuple[Physical, str]] = {}

    def add(self, where: Physical, found: Read) -> None:
        """One line that is what was written."""
        line = found.line
        self.lines += 1
        self.first_n = self.first_n or line.n
        self.last_n, self.last_hash = line.n, found.hash
        self.events += bool(line.id)
        self.wanted.discard(found.hash)
        if line.kind == Kind.ROOT:
            self.roots += 1
            self.root, self.root_position = str(line.data.get("root")), int(line.data.get("position", 0))
            self.wanted.discard(self.root)
        elif line.kind == Kind.COMPRESSED:
            self.compressed[str(line.data.get("file"))] = where, str(line.data.get("sha256"))


def verify(
    folder: Path,
    days: Range = EVERYTHING,
    roots: Sequence[str] = (),
    progress: Progress = lambda _step, _done, _total: None,
) -> Report:
    """Check files of an audit.

    Args:
        folder: of the audit.
        days: which; all of them where nothing is left out.
        roots: hashes of lines, or roots of the journal, in hex, that somebody kept elsewhere: each must be found.
        progress: see there.

    Raises:
        BadInput: there is no audit, or none of these days.
    """
    being_written = files.is_being_written(folder)
    # First what was noted as the end: what is written meanwhile comes behind it.
    known, broken = _known(folder)
    everything = _days(folder)
    chosen = [day for day in everything if day.day in days]
    if not chosen:
        first, last = everything[0].day, everything[-1].day
        raise BadInput(f"the audit in {folder} has no such day; it has {first} to {last}")
    before, behind = _neighbours(everything, chosen)
    walker = Walker(
        None if before is None else _place(before),
        begins_anywhere=not days.is_everything,
        being_written=everything[-1].path.name if being_written else "",
        known=known if chosen[-1] == everything[-1] else (),
    )
    if broken is not None:
        walker.unreadable(broken)
    tally = Tally(roots)
    for where, found in walker.walk(_lines(chosen, behind, walker, progress)):
        if behind is None or where.file != behind.path.name:
            tally.add(where, found)
    faults = [*walker.faults, *_of_compressed(chosen, tally), *_of_roots(tally)]
    return Report(
        ok=not faults,
        days=len(chosen),
        lines=tally.lines,
        events=tally.events,
        first_n=tally.first_n,
        last_n=tally.last_n,
        last_hash=tally.last_hash,
        roots=tally.roots,
        root_position=tally.root_position,
        root=tally.root,
        is_being_written=being_written,
        faults=tuple(faults),
    )


def _days(folder: Path) -> list[Day]:
    try:
        found = files.days_in(folder)
    except OSError as error:
        raise BadInput(f"the audit in {folder} cannot be read ({error.strerror})") from None
    if not found:
        raise BadInput(
            f"there is no audit in {folder}; give --data-dir the data folder of an engine that ran with audit on"
        )
    return found


def _known(folder: Path) -> tuple[list[Known], Unreadable | None]:
    try:
        return files.known_end(folder), None
    except Unreadable as broken:
        return [], broken


def _neighbours(everything: Sequence[Day], chosen: Sequence[Day]) -> tuple[Day | None, Day | None]:
    """The day before those that are chosen, and the one behind."""
    first, last = everything.index(chosen[0]), everything.index(chosen[-1])
    return (
        everything[first - 1] if first else None,
        everything[last + 1] if last + 1 < len(everything) else None,
    )


def _place(day: Day) -> Place | None:
    try:
        return files.last_place(day)
    except Unreadable:
        return None  # that day's fault; of these days it is not known where they begin


def _lines(
    chosen: Sequence[Day], behind: Day | None, walker: Walker, progress: Progress
) -> Iterator[Physical]:
    """The lines of the days, and the first one of the day behind them, which has the hash of their last."""
    for day in chosen:
        done, total = 0, _size(day)

        def on_bytes(count: int, name: str = day.path.name, total: int = total) -> None:
            nonlocal done
            done += count
            progress(name, done, max(done, total))

        try:
            yield from files.lines_of(day, on_bytes)
        except Unreadable as found:
            walker.unreadable(found)
    if behind is not None:
        try:
            yield from islice(files.lines_of(behind), 1)
        except Unreadable as found:
            walker.unreadable(found)


def _size(day: Day) -> int:
    """Bytes of lines; of a compressed file as its last bytes say."""
    try:
        with day.path.open("rb") as file:
            if not day.is_compressed:
                return day.path.stat().st_size
            file.seek(-ISIZE_BYTES, 2)
            return int.from_bytes(file.read(ISIZE_BYTES), "little")
    except OSError:
        return 0


def _of_compressed(chosen: Sequence[Day], tally: Tally) -> Iterator[Fault]:
    """Files that are not those that were compressed: bytes that hold no line may be others, too."""
    for day in chosen:
        if not day.is_compressed or day.path.name not in tally.compressed:
            continue
        where, noted = tally.compressed[day.path.name]
        try:
            there = files.sha256_of(day.path)
        except OSError:
            continue  # named already
        if there != noted:
            text = f"its SHA-256 is {there}, and {where.file} line {where.number} says that the engine wrote {noted}"
            yield Fault(file=day.path.name, line=None, wrong=Wrong.CHANGED, text=text)


def _of_roots(tally: Tally) -> Iterator[Fault]:
    for wanted in sorted(tally.wanted):
        text = (
            f"no line has the hash, and none the journal's root, {wanted}: the files were written anew or cut, or "
            "it is of another audit"
        )
        yield Fault(file="", line=None, wrong=Wrong.ROOT, text=text)
