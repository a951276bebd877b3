"""The chain of the audit's lines, walked over its files: which lines are not what was written. Pure.

A line's own hash says whether it was changed, its number and the hash that it carries whether it stands behind the line
that it was written behind. So a fault is named where it is, and the walk goes on behind it: a second one is found too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from actors.persistence.audit.line import NO_HASH, Kind, Read, read

FAULTS_MAX = 20
"""So many are named; with more, somebody has to look at the file itself."""


class Wrong(StrEnum):
    """What is wrong."""

    CHANGED = "changed"
    MISSING = "missing"
    MOVED = "moved"
    ADDED = "added"
    CUT_OFF = "cut off"
    UNREADABLE = "cannot be read"
    JOURNAL = "differs from the journal"
    ROOT = "root not found"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. ``line`` counts within the file, from 1; None where it is the file's as a whole."""

    file: str
    line: int | None
    wrong: Wrong
    text: str


class Physical(NamedTuple):
    """A line as it stands in a file, without its newline; ``ends`` says whether it had one."""

    file: str
    number: int
    raw: bytes
    ends: bool = True


class Place(NamedTuple):
    """The last line before those that are walked."""

    file: str
    n: int
    hash: str


class Known(NamedTuple):
    """A line that is known from elsewhere; ``where`` says from where."""

    n: int
    hash: str
    where: str


class Unreadable(Exception):  # noqa: N818 - it carries what is looked for
    """A file that cannot be read on from some line."""

    def __init__(self, file: str, line: int, text: str) -> None:
        super().__init__(text)
        self.file, self.line, self.text = file, line, text


class Walker:
    """Walks lines, and gives those that are what was written.

    Args:
        before: the last line of the day before; None to begin with the first line of all.
        begins_anywhere: whether lines before the first one may be missing, as of a part of the days.
        being_written: the file whose last line an engine may be writing now.
        known: lines that must be there, as this machine noted them elsewhere.
    """

    def __init__(
        self,
        before: Place | None = None,
        *,
        begins_anywhere: bool = False,
        being_written: str = "",
        known: Iterable[Known] = (),
    ) -> None:
        self._at = before
        self._hash_known = True
        self._begins_anywhere, self._being_written = begins_anywhere, being_written
        self._known = sorted(known)
        self._first: tuple[Place, str] | None = None
        self._removed: set[tuple[int, str]] = set()
        self._before_last = self._torn_in = ""
        self._last_number = 0
        self.faults: list[Fault] = []

    @property
    def is_full(self) -> bool:
        """Whether so many faults were found that no more are looked for."""
        return len(self.faults) >= FAULTS_MAX

    def walk(self, lines: Iterable[Physical]) -> Iterator[tuple[Physical, Read]]:
        """Every line that is whole, with what it says; ``faults`` has the others. Files come by day."""
        source = iter(lines)
        waiting: list[Physical] = []

        def following() -> Physical | None:
            if not waiting:
                waiting.extend(itertools.islice(source, 1))
            return waiting[0] if waiting else None

        while not self.is_full:
            here = following()
            if here is None:
                break
            waiting.clear()
            if not here.ends:
                self._torn(here, following())
                continue
            found = read(here.raw)
            if found is None:
                self._bad(here, following())
                continue
            behind = following()
            swapped = self._place(here, found, behind)
            yield here, found
            if swapped is not None and behind is not None:
                waiting.clear()
                yield behind, swapped
        self._end()

    def unreadable(self, found: Unreadable) -> None:
        """A file cannot be read on; the walk goes on with the next one."""
        self._fault(found.file, found.line, Wrong.UNREADABLE, found.text)
        self._hash_known = False

    # -- one line

    def _torn(self, here: Physical, behind: Physical | None) -> None:
        if behind is None and here.file == self._being_written:
            return
        # Megabytes without a newline come in pieces; one is enough to say so, and leaves room for what else is wrong.
        if self._torn_in != here.file:
            text = "the file ends in the middle of a line"
            self._fault(here.file, here.number, Wrong.CUT_OFF, text)
        self._torn_in, self._hash_known = here.file, False

    def _bad(self, here: Physical, behind: Physical | None) -> None:
        """A line whose hash does not fit: changed if the next one counts on behind it, added if it does not count it."""
        after = None if behind is None or not behind.ends else read(behind.raw)
        n, hash_ = (0, NO_HASH) if self._at is None else self._at[1:]
        follows = after is not None and after.line.n == n + 1
        if follows and after is not None and (not self._hash_known or after.line.prev == hash_):
            text = f"it is no line of the audit; lines {n} and {n + 1} around it follow one another"
            self._fault(here.file, here.number, Wrong.ADDED, text)
            return
        if self._at is None and after is not None:
            n = after.line.n - 2
        text = f"its hash is not that of what it says; it stands where line {n + 1} of all was"
        self._fault(here.file, here.number, Wrong.CHANGED, text)
        self._moved_on(here, n + 1, NO_HASH)
        self._hash_known = False

    def _place(self, here: Physical, found: Read, behind: Physical | None) -> Read | None:
        """Whether a whole line stands where it was written; gives the line behind it if the two were swapped."""
        line = found.line
        after = None if behind is None or not behind.ends else read(behind.raw)
        n, hash_ = (0, NO_HASH) if self._at is None else self._at[1:]
        is_swapped = after is not None and line.n == n + 2 and after.line.n == n + 1
        if self._at is None and not is_swapped:
            self._begin(here, found)
            return None
        if line.n <= n:
            self._twice(here, found, after)
            return None
        if is_swapped:
            text = f"it is line {line.n} of all and stands before line {n + 1}: the two were swapped"
            self._fault(here.file, here.number, Wrong.MOVED, text)
        elif line.n > n + 1:
            self._missing(here, n + 1, line.n - 1)
        elif self._hash_known and line.prev != hash_:
            where = f"line {n} of all, {self._where_last()}"
            text = f"it does not carry the hash of {where}: that one was replaced together with its hash, or this one was"
            self._fault(here.file, here.number, Wrong.CHANGED, text)
        self._accept(here, found)
        return after if is_swapped else None

    def _begin(self, here: Physical, found: Read) -> None:
        line = found.line
        if line.n == 1 and line.prev != NO_HASH:
            text = "it is the first line of all, and carries the hash of one before it"
            self._fault(here.file, here.number, Wrong.CHANGED, text)
        elif line.n > 1:
            self._first = Place(here.file, line.n, line.prev), here.file
        self._accept(here, found)

    def _missing(self, here: Physical, first: int, last: int) -> None:
        which = f"line {first}" if first == last else f"lines {first} to {last}"
        before = self._at.file if self._at else ""
        if before and before != here.file:
            text = (
                f"{which} of all {'is' if first == last else 'are'} missing before it: the end of {before}, or whole "
                f"days between {before[:10]} and {here.file[:10]}"
            )
        else:
            text = f"{which} of all {'is' if first == last else 'are'} missing before it"
        self._fault(here.file, here.number, Wrong.MISSING, text)

    def _twice(self, here: Physical, found: Read, after: Read | None) -> None:
        """A number that was before already."""
        line, at = found.line, self._at
        if at is None:
            return
        if found.hash == at.hash:
            self._fault(here.file, here.number, Wrong.ADDED, "the line before it stands here once more")
            return
        if line.n == at.n and line.prev == self._before_last and after and after.line.prev == found.hash:
            text = f"{self._where_last()} was added: the chain goes on with this line, which has the same number {line.n}"
            self._fault(here.file, here.number, Wrong.ADDED, text)
            self._accept(here, found)
            return
        text = f"it is line {line.n} of all, and stands behind line {at.n}: it was added, or moved here"
        self._fault(here.file, here.number, Wrong.ADDED, text)

    # -- where the walk is

    def _accept(self, here: Physical, found: Read) -> None:
        self._before_last = found.line.prev
        self._moved_on(here, found.line.n, found.hash)
        self._hash_known = True
        if found.line.kind == Kind.REMOVED:
            self._note_removed(found)
        while self._known and self._known[0].n <= found.line.n:
            known = self._known.pop(0)
            if known.n == found.line.n and known.hash != found.hash:
                text = f"{known.where} knows line {known.n} of all with the hash {known.hash}: everything up to it may be rewritten"
                self._fault(here.file, here.number, Wrong.CHANGED, text)

    def _moved_on(self, here: Physical, n: int, hash_: str) -> None:
        self._at, self._last_number = Place(here.file, n, hash_), here.number

    def _note_removed(self, found: Read) -> None:
        through, hash_ = found.line.data.get("through"), found.line.data.get("hash")
        if isinstance(through, int) and isinstance(hash_, str):
            self._removed.add((through, hash_))

    def _end(self) -> None:
        if self._first is not None and not self._begins_anywhere and not self.is_full:
            (file, n, prev), _ = self._first
            if not any(
                n - 1 < through or (n - 1, prev) == (through, hash_) for through, hash_ in self._removed
            ):
                text = (
                    f"lines 1 to {n - 1} of all are missing: the days before {file[:10]} are not there, and no line says "
                    "that the engine removed them"
                )
                self._fault(file, 1, Wrong.MISSING, text)
        later = [known for known in self._known if self._at is None or known.n > self._at.n]
        if later and not self.is_full:
            known = max(later)
            at = f"ends at line {self._at.n} of all" if self._at else "has no line"
            text = f"the audit {at}, and {known.where} knows line {known.n} with the hash {known.hash}"
            self._fault(self._at.file if self._at else "", None, Wrong.CUT_OFF, text)

    def _where_last(self) -> str:
        file = self._at.file if self._at else ""
        return f"{file} line {self._last_number}" if self._last_number else f"the last of {file}"

    def _fault(self, file: str, line: int | None, wrong: Wrong, text: str) -> None:
        if not self.is_full:
            self.faults.append(Fault(file=file, line=line, wrong=wrong, text=text))
