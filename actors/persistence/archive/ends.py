"""Where each stream stands after archived rows: folded row by row from where it stood before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from actors.core.errors import StateCorrupt
from actors.persistence.archive.tables import ArchivedStream
from actors.persistence.journal import Entry
from actors.persistence.streams import kind_of


class _First(NamedTuple):
    """Of a stream's first row, as ``ArchivedStream`` has it."""

    position: int
    sequence: int
    wall_ms: int
    cause: str


class _Stream:
    """One that is folded. ``last`` is the last row that was added; None where that is one of an earlier archive."""

    def __init__(self, name: str, first: _First, before: ArchivedStream | None) -> None:
        self.kind = kind_of(name)
        self.first, self.before = first, before
        self.last: Entry | None = None
        self.latest_ms = 0
        self.state: Any = self.kind.blank(name)
        if before is not None:
            self.latest_ms, self.state = before.latest_ms, self.kind.decode(before.version, before.state)


class Ends:
    """Folds rows in the order of their positions.

    Args:
        before: where streams stood before the first of these rows; a stream that is not in it begins with its first row.
    """

    def __init__(self, before: Mapping[str, ArchivedStream] = {}) -> None:
        self._streams: dict[str, _Stream] = {}
        for name, known in before.items():
            first = _First(known.first_position, known.first_sequence, known.first_ms, known.first_cause)
            self._streams[name] = _Stream(name, first, known)

    def add(self, row: Entry) -> Any:
        """Fold one row whose chain is right; its facts.

        Raises:
            StateCorrupt: it cannot be read, or does not fit; names it.
        """
        stream = self._streams.get(row.stream)
        if stream is None:
            first = _First(row.position, row.sequence, row.wall_ms, row.cause)
            stream = self._streams[row.stream] = _Stream(row.stream, first, None)
        try:
            facts = stream.kind.facts(row.version, row.facts)
            stream.state = stream.kind.after(stream.state, facts, row.sequence)
        except (StateCorrupt, ValueError, ArithmeticError, TypeError) as error:
            raise StateCorrupt(
                f"position {row.position}, decision {row.sequence} of {row.stream}, cannot be folded: {error}"
            ) from None
        stream.last, stream.latest_ms = row, max(stream.latest_ms, row.wall_ms)
        return facts

    def hash_of(self, name: str) -> str:
        """The hash of the state of a stream that has rows."""
        stream = self._streams[name]
        return stream.kind.hash_of(stream.state)

    def rows(self, *, only_changed: bool = False) -> dict[str, ArchivedStream]:
        """What is to be known of each stream; with ``only_changed`` of those that had a row added."""
        found = {}
        for name, stream in self._streams.items():
            if stream.last is not None:
                found[name] = _made(name, stream, stream.last)
            elif stream.before is not None and not only_changed:
                found[name] = stream.before
        return found


def _made(name: str, stream: _Stream, last: Entry) -> ArchivedStream:
    return ArchivedStream(
        name,
        *stream.first,
        last.position,
        last.sequence,
        last.wall_ms,
        last.cause,
        stream.latest_ms,
        last.hash,
        stream.kind.version,
        stream.kind.encode(stream.state),
    )
