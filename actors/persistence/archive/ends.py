"""Where each stream stands after archived rows: folded row by row from where it stood before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from actors.core.errors import StateCorrupt
from actors.persistence.archive.tables import ArchivedStream
from actors.persistence.journal import Entry, Head
from actors.persistence.streams import Kind, kind_of


class _Stream:
    """One that is folded. ``last`` is its last row; of an earlier archive where none was added yet."""

    def __init__(self, first: Entry | None, before: ArchivedStream | None) -> None:
        self.first, self.before = first, before
        self.last: Entry | None = None
        self.latest_ms = 0 if before is None else before.latest_ms
        self.kind: Kind[Any] = kind_of(
            before.stream if first is None and before else first.stream if first else ""
        )
        self.state: Any = None


class Ends:
    """Folds rows in the order of their positions.

    Args:
        before: where streams stood before the first of these rows; a stream that is not in it begins with its first row.
    """

    def __init__(self, before: Mapping[str, ArchivedStream] = {}) -> None:
        self._streams: dict[str, _Stream] = {}
        self._before = dict(before)
        for name, known in before.items():
            stream = self._streams[name] = _Stream(None, known)
            stream.state = stream.kind.decode(known.version, known.state)

    def add(self, row: Entry) -> Any:
        """Fold one row whose chain is right; its facts.

        Raises:
            StateCorrupt: it cannot be read, or does not fit; names it.
        """
        stream = self._streams.get(row.stream)
        if stream is None:
            stream = self._streams[row.stream] = _Stream(row, None)
            stream.state = stream.kind.blank(row.stream)
        try:
            facts = stream.kind.facts(row.version, row.facts)
            stream.state = stream.kind.after(stream.state, facts, row.sequence)
        except (StateCorrupt, ValueError, ArithmeticError, TypeError) as error:
            raise StateCorrupt(
                f"position {row.position}, decision {row.sequence} of {row.stream}, cannot be folded: {error}"
            ) from None
        stream.last, stream.latest_ms = row, max(stream.latest_ms, row.wall_ms)
        return facts

    def state_of(self, name: str) -> Any:
        """The state of a stream that has rows."""
        return self._streams[name].state

    def hash_of(self, name: str) -> str:
        """The hash of that state."""
        stream = self._streams[name]
        return stream.kind.hash_of(stream.state)

    @property
    def names(self) -> Iterable[str]:
        """The streams that have rows."""
        return self._streams.keys()

    def heads(self) -> dict[str, Head]:
        """The last row of each stream."""
        return {name: Head(end.sequence, end.hash) for name, end in self.rows().items()}

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
    first, before = stream.first, stream.before
    begin: tuple[int, int, int, str]
    if before is not None:
        begin = (before.first_position, before.first_sequence, before.first_ms, before.first_cause)
    elif first is not None:
        begin = (first.position, first.sequence, first.wall_ms, first.cause)
    else:
        raise StateCorrupt(f"{name}: it has no first row")
    return ArchivedStream(
        name,
        *begin,
        last.position,
        last.sequence,
        last.wall_ms,
        last.cause,
        stream.latest_ms,
        last.hash,
        stream.kind.version,
        stream.kind.encode(stream.state),
    )
