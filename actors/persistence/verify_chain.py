"""The journal's chain of hashes, walked from its first row: which row is the first that is not what was written. Pure.

Two things hold a journal together, and both are recomputed. A row's hash covers its columns and the hash of its stream's
row before it. A commit's root covers the root of the commit before it and its rows' hashes in order. So while a root is
right, the hashes under it are those that were written, in that order, and a row that does not fit its own was changed.
Where a root is not right, a row is missing, was moved, or was replaced together with its hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from actors.core.clearing_messages import is_clearing
from actors.core.errors import StateCorrupt
from actors.persistence.journal import NO_HASH, Entry, Head, root_of, row_hash
from actors.persistence.streams import kind_of


class Wrong(StrEnum):
    """What is wrong with a row."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    CUT_OFF = "cut off"
    ROOT = "root does not match"
    UNREADABLE = "cannot be read"
    TRADES = "trades do not match"
    SNAPSHOT = "snapshot does not match"
    PROJECTION = "ahead of the journal"
    ARCHIVE = "archived rows"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """The first row that is not what was written.

    It is one of the rows from ``position`` to ``until``, both inclusive; ``stream`` and ``sequence`` are known when it is
    one alone, and still there. ``position`` is None where no row of the journal is at fault.
    """

    wrong: Wrong
    text: str
    position: int | None = None
    until: int | None = None
    stream: str = ""
    sequence: int | None = None

    @classmethod
    def of(cls, row: Entry, wrong: Wrong, text: str) -> Fault:
        """One row's."""
        return cls(
            wrong=wrong,
            text=text,
            position=row.position,
            until=row.position,
            stream=row.stream,
            sequence=row.sequence,
        )


class Commit(NamedTuple):
    """One row of ``journal_commit``."""

    position: int
    rows: int
    root: bytes


class Begin(NamedTuple):
    """Where a walk begins: behind that position, whose root is known, and the last rows of the streams until there."""

    position: int = 0
    root: bytes = NO_HASH
    heads: Mapping[str, Head] = MappingProxyType({})


FROM_THE_FIRST = Begin()


class Found(Exception):  # noqa: N818 - it carries what is looked for
    """A fault was found; nothing behind it is looked at."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class Chain:
    """Walks a journal.

    Args:
        known: roots by position that were written down elsewhere, in hex; those positions end commits.
        position_of: the position of a stream's row of a sequence, None if there is none; used where order is at fault.
        on_rows: called with the number of rows, now and then.
        begin: where the walk begins; roots of earlier positions are not compared.
    """

    def __init__(
        self,
        known: Mapping[int, str] = {},
        position_of: Callable[[str, int], int | None] = lambda _stream, _sequence: None,
        on_rows: Callable[[int], None] = lambda _rows: None,
        begin: Begin = FROM_THE_FIRST,
    ) -> None:
        self._known = {position: root for position, root in known.items() if position > begin.position}
        self._position_of, self._on_rows = position_of, on_rows
        self._heads: dict[str, Head] = dict(begin.heads)
        self._sure = self.position = begin.position
        self.commits = 0
        self.root = begin.root

    @property
    def streams(self) -> int:
        """How many streams have rows."""
        return len(self._heads)

    @property
    def clearings(self) -> int:
        """How many of them are of clearing."""
        return sum(map(is_clearing, self._heads))

    def walk(self, rows: Iterable[Entry], commits: Iterable[Commit]) -> None:
        """Walk to the end.

        Args:
            rows: by position.
            commits: by position.

        Raises:
            Found: the first fault.
        """
        left = iter(rows)
        row = next(left, None)
        for commit in commits:
            batch: list[Entry] = []
            while row is not None and row.position <= commit.position:
                self._in_place(row, self.position + 1 + len(batch), commit)
                batch.append(row)
                row = next(left, None)
            self._whole(batch, commit, is_last=row is None)
            self._commit(batch, commit)
            self._on_rows(self.position)
        if row is not None:
            text = (
                f"no commit has the rows from position {row.position} on: rows of journal_commit are missing"
            )
            raise Found(Fault.of(row, Wrong.MISSING, text))
        self._later()

    def _in_place(self, row: Entry, expected: int, commit: Commit) -> None:
        if row.position < expected:
            raise Found(Fault.of(row, Wrong.CHANGED, f"position {row.position} is none that a row can have"))
        if row.position > expected:
            raise Found(
                _missing(expected, row.position - 1, f"position {row.position} follows {expected - 1}")
            )
        if row.position - self.position > commit.rows:
            text = (
                f"more rows than the commit at position {commit.position} had: it was changed, or a row of "
                "journal_commit before it is missing"
            )
            raise Found(
                Fault(wrong=Wrong.MISSING, text=text, position=self.position + 1, until=commit.position)
            )

    def _whole(self, batch: Sequence[Entry], commit: Commit, *, is_last: bool) -> None:
        """Whether a commit has all its rows."""
        end = self.position + len(batch)
        if end < commit.position and len(batch) == commit.rows:
            text = f"the commit at position {commit.position} has all of its {commit.rows} rows at {end}: it was changed"
            raise Found(Fault(wrong=Wrong.CHANGED, text=text, position=self.position + 1, until=end))
        if end < commit.position:
            if is_last:
                text = f"the journal ends at {end}, and a commit is known that ended at {commit.position}"
                raise Found(Fault(wrong=Wrong.CUT_OFF, text=text, position=end + 1, until=commit.position))
            raise Found(_missing(end + 1, commit.position, f"the commit at {commit.position} had them"))
        if len(batch) != commit.rows:
            text = f"the commit at position {commit.position} says that it had {commit.rows} rows, and has {len(batch)}"
            raise Found(
                Fault(wrong=Wrong.CHANGED, text=text, position=self.position + 1, until=commit.position)
            )

    def _commit(self, batch: Sequence[Entry], commit: Commit) -> None:
        is_right = root_of(self.root, (row.hash for row in batch)) == commit.root
        before = dict[str, int]()
        for number, row in enumerate(batch):
            head = self._heads.get(row.stream)
            if not _follows(row, head):
                if is_right:
                    raise Found(Fault.of(row, Wrong.CHANGED, _why_changed(row, head)))
                raise Found(self._judged(row, head, batch, number, commit, before.get(row.stream)))
            self._heads[row.stream] = Head(row.sequence, row.hash)
            before[row.stream] = row.position
        first, self.position = self.position + 1, commit.position
        if not is_right:
            text = (
                f"the root of the commit at position {commit.position} is not that of its rows: one of them was "
                "replaced together with its hash, or moved, or the row of journal_commit was changed"
            )
            raise Found(Fault(wrong=Wrong.ROOT, text=text, position=first, until=commit.position))
        self.root, self.commits = commit.root, self.commits + 1
        self._compare(commit)

    def _judged(  # noqa: PLR0913 - what is known where a root does not match
        self,
        row: Entry,
        head: Head | None,
        batch: Sequence[Entry],
        number: int,
        commit: Commit,
        before: int | None,
    ) -> Fault:
        """What happened to the first row that does not fit, where the root of its commit does not match either."""
        expected = int(is_clearing(row.stream)) if head is None else head.sequence + 1
        hashes = [other.hash for other in batch]
        hashes[number] = _hash_of(row, NO_HASH if head is None else head.hash)
        if root_of(self.root, hashes) == commit.root:
            return Fault.of(row, Wrong.CHANGED, "its hash was changed, and nothing else")
        if row.sequence > expected:
            at = self._position_of(row.stream, expected)
            if at is None:
                text = f"decision {expected} of {row.stream}, which is before it, is missing"
                return Fault.of(row, Wrong.MISSING, text)
            text = f"decision {expected} of {row.stream} comes after it, at {at}"
            return Fault.of(row, Wrong.REORDERED, text)
        if row.sequence < expected:
            return Fault.of(row, Wrong.REORDERED, f"it comes after decision {expected - 1} of {row.stream}")
        if before is not None:
            text = f"replaced together with its hash: position {row.position}, the next of its stream, does not follow it"
            other = batch[before - batch[0].position]
            return Fault.of(other, Wrong.CHANGED, text)
        return Fault.of(row, Wrong.CHANGED, "its hash is not that of what it says")

    def _compare(self, commit: Commit) -> None:
        """With what was written down elsewhere."""
        for position in [p for p in self._known if p <= commit.position]:
            known = self._known.pop(position)
            if position != commit.position or known != commit.root.hex():
                here = commit.root.hex() if position == commit.position else "none"
                text = (
                    f"at position {position} this machine wrote down the root {known}, and the journal has {here}: "
                    f"what follows position {self._sure} was replaced with all its hashes and roots, or is another "
                    "history (a restored backup, on which an engine went on)"
                )
                raise Found(
                    Fault(wrong=Wrong.ROOT, text=text, position=self._sure + 1, until=commit.position)
                )
            self._sure = position

    def _later(self) -> None:
        if self._known:  # what is left of it: all others were compared
            last = max(self._known)
            text = (
                f"the journal ends at position {self.position}, and this machine knows that it had position {last} "
                f"with the root {self._known[last]}"
            )
            raise Found(Fault(wrong=Wrong.CUT_OFF, text=text, position=self.position + 1, until=last))


def _hash_of(row: Entry, previous: bytes) -> bytes:
    return row_hash(previous, row.stream, row.sequence, row.wall_ms, row.cause, row.version, row.facts)


def _follows(row: Entry, head: Head | None) -> bool:
    """Whether a row follows the last one of its stream, and is what its hash says."""
    if head is not None:
        return row.sequence == head.sequence + 1 and row.hash == _hash_of(row, head.hash)
    return row.hash == _hash_of(row, NO_HASH) and _begins(row)


def _why_changed(row: Entry, head: Head | None) -> str:
    if row.hash != _hash_of(row, NO_HASH if head is None else head.hash):
        return "its hash is not that of what it says"
    after = "and is no beginning" if head is None else f"and comes after decision {head.sequence}"
    return f"it was written like this, {after}: the writer made a mistake"


def _begins(row: Entry) -> bool:
    """Whether a row is one that a stream begins with."""
    try:
        kind = kind_of(row.stream)
        return kind.begins(row.sequence, kind.facts(row.version, row.facts))
    except (StateCorrupt, ValueError):
        return False


def _missing(first: int, last: int, why: str) -> Fault:
    which = f"position {first} is" if first == last else f"positions {first} to {last} are"
    return Fault(wrong=Wrong.MISSING, text=f"{which} missing: {why}", position=first, until=last)
