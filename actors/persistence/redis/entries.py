"""Entries of the event stream: how an event is written, and the newest ones kept in memory to be written again. Pure.

An entry has the fields ``account``, ``kind`` and ``event``, and ``type`` and ``data`` if the platform has an event for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import msgspec

from actors.core.events import ALL_PARTS, Event, EventId, events_of
from actors.core.facts import AnyFact
from actors.persistence.redis.platform_events import PlatformEvent, platform_event
from actors.persistence.redis.states import Steps
from actors.persistence.tail import Decided

ENCODER = msgspec.json.Encoder()


class Entry(NamedTuple):
    """One entry of the stream."""

    id: EventId
    fields: dict[str, str | bytes]


def entries_of(row: Decided, steps: Steps) -> Iterator[Entry]:
    """The entries of one row.

    Args:
        row: of the journal.
        steps: the account's states on the way, as ``DurableStates.follow`` returns them.
    """
    facts = cast("tuple[AnyFact, ...]", row.facts)
    ways: list[PlatformEvent | None] = []
    for number, (before, after) in enumerate(pairwise(steps)):
        previous = facts[number - 1] if number else None
        ways.append(platform_event(row.stream, facts[number], before, after, previous))
    for event in events_of(row):
        yield Entry(event.id, _fields(event, ways[event.id.part] if event.id.part < len(ways) else None))


def without_states(row: Decided) -> Iterator[Entry]:
    """The entries of a row that was read back, when its account has long been another."""
    return entries_of(row, [None] * (len(row.facts) + 1))


def _fields(event: Event, platform: PlatformEvent | None) -> dict[str, str | bytes]:
    fields: dict[str, str | bytes] = {
        "account": event.account,
        "kind": event.kind.value,
        "event": ENCODER.encode(event.flat()),
    }
    if platform is not None:
        fields |= {"type": platform.type, "data": platform.json()}
    return fields


class Recent:
    """The newest entries: all events of the rows behind position ``begin``, up to ``end``.

    Args:
        begin: where they begin: behind that position.
        most: so many entries are kept, or a few more.
    """

    def __init__(self, begin: int, most: int) -> None:
        self.begin = self.end = begin
        self._most = most
        self._ids: list[EventId] = []
        self._entries: list[Entry] = []

    @property
    def whole_from(self) -> EventId:
        """Behind this id nothing is missing."""
        return EventId(self.begin, ALL_PARTS)

    def add(self, position: int, entries: Sequence[Entry]) -> None:
        """The entries of the next row, which may be none."""
        self.end = position
        for entry in entries:
            self._ids.append(entry.id)
            self._entries.append(entry)
        if len(self._ids) > self._most + self._most // 4 + 1:
            # Whole rows: behind ``begin`` nothing may be missing.
            self.begin = self._ids[-self._most - 1].position
            cut = bisect_right(self._ids, self.whole_from)
            del self._ids[:cut], self._entries[:cut]

    def after(self, id_: EventId, limit: int) -> list[Entry]:
        """Those behind an id, in order; the id is not before ``whole_from``."""
        at = bisect_right(self._ids, id_)
        return self._entries[at : at + limit]
