"""Archived files as a part of the journal's check: that each is what was written, and makes what the database knows of it.

I/O: runs SQL on the connection that it is given; reads archived files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import psycopg

from actors.core.errors import NotKept, StateCorrupt
from actors.persistence.archive import tables
from actors.persistence.archive.ends import Ends
from actors.persistence.archive.folder import Archive
from actors.persistence.archive.tables import ArchivedStream
from actors.persistence.archive.writing import ROWS_A_TIME, verified
from actors.persistence.journal import Entry, Head
from actors.persistence.streams import kind_of
from actors.persistence.verify_chain import FROM_THE_FIRST, Begin, Chain, Commit, Fault, Wrong

Connection = psycopg.Connection[Any]


class Folds(Protocol):
    """What is used of ``verify_states.States``."""

    lowest: Fault | None

    def archived(self, ends: Ends, rows: Sequence[Entry]) -> None:
        """See there."""


class Archived:
    """What of a journal is archived.

    Args:
        connection: in a transaction that sees one moment.
        folder: of the files.
        reads: whether they are read; else the check begins behind them.
    """

    def __init__(self, connection: Connection, folder: Path | None, *, reads: bool) -> None:
        self.end = tables.archived_end(connection)
        self.streams = tables.all_streams(connection) if self.end.position else {}
        self._archive = Archive(folder, tables.files(connection))
        self._reads = reads
        self.commits = 0
        heads = {name: Head(s.sequence, s.hash) for name, s in self.streams.items()}
        self.begin = Begin(*self.end, heads) if self.end.position else FROM_THE_FIRST

    def verify(
        self, known: dict[int, str], states: Folds | None, on_rows: Callable[[int], None]
    ) -> Fault | None:
        """Verify all files; the first fault.

        Args:
            known: roots by position that were written down elsewhere, in hex; those of archived positions are taken out.
            states: what folds the rows; None where nothing is folded.
            on_rows: called with the number of rows, now and then.
        """
        old = {position: known.pop(position) for position in sorted(known) if position <= self.end.position}
        if self._reads:
            return self._files(old, states, on_rows)
        root = old.get(self.end.position)
        if root is not None and root != self.end.root.hex():
            return self._another(self.end.position, root, self.end.root.hex())
        return None

    def _files(
        self, old: dict[int, str], states: Folds | None, on_rows: Callable[[int], None]
    ) -> Fault | None:
        chain, ends = Chain(), Ends()
        wrong: list[Fault] = []
        unfolded: list[Entry] = []

        def fold() -> None:
            if states is not None:
                states.archived(ends, unfolded)
            unfolded.clear()

        def each(commit: Commit, rows: Sequence[Entry]) -> None:
            root = old.pop(commit.position, None)
            if root is not None and root != commit.root.hex():
                wrong.append(self._another(commit.position, root, commit.root.hex()))
            # One by one, each commit would cost two questions to the database.
            unfolded.extend(rows)
            if len(unfolded) >= ROWS_A_TIME:
                fold()
            on_rows(commit.position)

        for file in self._archive.files:
            try:
                verified(self._archive, file, chain, each)
                fold()
            except (NotKept, StateCorrupt) as error:
                first = unfolded[0].position if unfolded else chain.position + 1
                return Fault(wrong=Wrong.ARCHIVE, text=str(error), position=first, until=file.last)
            if wrong:
                return wrong[0]
        self.commits = chain.commits
        if old:
            position, root = next(iter(old.items()))
            return self._another(position, root, "none")
        if states is None:
            return None
        return states.lowest or _different(ends, self.streams)

    def _another(self, position: int, root: str, here: str) -> Fault:
        text = f"at position {position}, which is archived, this machine wrote down the root {root}, and the journal has {here}"
        return Fault(wrong=Wrong.ROOT, text=text, position=position, until=position)


def _different(ends: Ends, known: dict[str, ArchivedStream]) -> Fault | None:
    """Whether the database knows of each stream what its archived rows make."""
    made = ends.rows()
    for name in sorted(made.keys() | known.keys()):
        one, other = made.get(name), known.get(name)
        if one is None or other is None or _told(one) != _told(other):
            text = f"bulkhead.archived_stream does not say of {name} what its archived rows make"
            place = None if one is None else one.position
            return Fault(wrong=Wrong.ARCHIVE, text=text, position=place, until=place, stream=name)
    return None


def _told(end: ArchivedStream) -> tuple[Any, ...]:
    try:
        kind = kind_of(end.stream)
        state = kind.hash_of(kind.decode(end.version, end.state))
    except (StateCorrupt, ValueError, ArithmeticError, TypeError) as error:
        state = str(error)
    return (*end[:-2], state)
