"""The event stream in Redis, whose ids are places in the journal: what is in it already is never added twice.

Redis refuses an id that is not larger than its stream's last one. So whatever was lost, a connection with an answer on its
way or Redis itself, the stream's own last id says where to go on.

After a restore of a backup the journal uses positions again for other rows, and a stream cannot go back. So the journal's root
is kept beside it; where the journal has another one, the stream ends with an entry that says so, and a new one begins.

I/O: asks a Redis.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

import msgspec
import redis

from actors.core.errors import BadInput, NotKept, RedisRefused
from actors.core.events import ALL_PARTS, EventId, events_of
from actors.core.journal_marks import Mark, mark_of
from actors.persistence.redis.connection import explained, meaning
from actors.persistence.redis.entries import Entry
from actors.persistence.tail import Decided

AT_ONCE = 256
"""Entries in one pipeline."""

MISSING = "no such key"
TAKEN = "equal or smaller than the target stream top item"

REPLACED = "JOURNAL_REPLACED"
"""The kind of the entry that ends a stream, and of the one that begins the next."""


class Moved(Exception):  # noqa: N818 - nothing went wrong
    """The stream is not as it was left: emptied, or somebody else wrote to it. Ask it where it stands."""


class Journal(Protocol):
    """What is used of ``persistence.tail.JournalTail``; see there."""

    def read(self, after: int, limit: int) -> Sequence[Decided]:
        """Rows behind a position."""

    def first(self) -> int:
        """The position of the oldest row that is kept."""

    def mark(self, position: int) -> Mark | None:
        """The first mark that covers every row up to a position."""

    def common(self, marks: Sequence[Mark]) -> Mark | None:
        """The newest of some marks that the journal has."""


class Begin(NamedTuple):
    """Where to go on: behind ``last``, which is in the stream if it ``is_there``; ``replaced`` is the stream that ended."""

    last: EventId
    is_there: bool
    replaced: str = ""


class EventStream:
    """See the module.

    Args:
        key: of the stream; of one that begins after a restore it is followed by a number.
        length: so many entries are kept, or a few more.
        depth: where an empty stream begins: so many positions before the end of the journal, or with the oldest that is kept.
    """

    def __init__(self, key: str, length: int, depth: int) -> None:
        self.base = self.key = key
        self._length, self._depth = length, depth
        self._is_there = False

    @property
    def fleet_key(self) -> str:
        """Says which database the stream is of."""
        return f"{self.base}:fleet"

    @property
    def root_key(self) -> str:
        """Has a mark of the journal: it covers all that is in the stream."""
        return f"{self.base}:root"

    @property
    def now_key(self) -> str:
        """Has the present stream's key, if that is not the one of the settings."""
        return f"{self.base}:now"

    def begin(self, client: redis.Redis, fleet: str, end: int, journal: Journal) -> Begin:
        """Where to go on.

        Args:
            client: connected.
            fleet: the id of our database.
            end: the last position of the journal.
            journal: that database's.

        Raises:
            RedisRefused: the key is something else, or the stream is another database's.
            RedisUnreachable: no answer.
            StoreUnreachable, StoreBusy: Postgres does not answer.
        """
        with explained(f"key {self.now_key}"):
            self.key = (cast("bytes | None", client.get(self.now_key)) or self.base.encode()).decode()
        last = self.last(client)
        self._is_there = last is not None
        with explained(f"key {self.fleet_key}"):
            owner = cast("bytes | None", client.get(self.fleet_key))
            known = cast("bytes | None", client.get(self.root_key))
            if owner is None or last is None:
                client.set(self.fleet_key, fleet)
        if last is None:
            self._keep(client, journal.mark(end))
            return Begin(self._earliest(end, journal), is_there=False)
        if owner is not None and owner.decode(errors="replace") != fleet:
            raise RedisRefused(
                f"stream {self.key} has the events of fleet {owner.decode(errors='replace')[:80]!r}, and ours is {fleet}: "
                "choose another key with redis_stream, or remove the stream"
            )
        mark = _mark(known)
        is_ours = self._is_ours(client, last, mark, journal, owner)
        if last.position > end and (mark is None or is_ours):
            raise RedisRefused(
                f"stream {self.key} ends with {last}, and our journal with position {end}: it is of another database, or "
                "this one was restored from a backup; choose another key with redis_stream, or remove the stream"
            )
        if not is_ours:
            return self._replace(client, last, end, journal)
        if mark is None:
            self._keep(client, journal.mark(last.position))
        return Begin(last, is_there=True)

    def _earliest(self, end: int, journal: Journal) -> EventId:
        """Behind which a stream begins at the earliest: what is archived is not waited for."""
        return EventId(max(end - self._depth, journal.first() - 1), ALL_PARTS)

    def _is_ours(
        self, client: redis.Redis, last: EventId, mark: Mark | None, journal: Journal, owner: bytes | None
    ) -> bool:
        """Whether the journal has what was read from it for this stream."""
        if mark is not None:
            return mark == journal.common([mark])
        found = self._entry(client, last) if owner is not None else None
        return found is None or _is_same(*found, journal)

    def _replace(self, client: redis.Redis, last: EventId, end: int, journal: Journal) -> Begin:
        """End the stream with an entry that says so, and begin another behind what is common to both histories."""
        old, told = self.key, self._entry(client, last)
        ended = told[1] if told is not None and told[1].get(b"kind") == REPLACED.encode() else {}
        if b"next" in ended:
            # It was ended before, and the engine with it before that was written down.
            new, after = ended[b"next"].decode(), _place(ended[b"after"])
        else:
            new, after = self._free(client), self._common(client, last, journal)
        begins = max(after, self._earliest(end, journal))
        mark = journal.mark(begins.position)
        said: dict[Any, Any] = {
            "account": "",
            "kind": REPLACED,
            "after": str(after.position),
            "root": str(mark or ""),
        }
        with explained(f"stream {new}"):
            if self._last_of(client, new) is None:
                client.xadd(new, {**said, "before": old}, id=str(begins))
            if not ended:
                client.xadd(old, {**said, "next": new}, id=str(EventId(last.position, last.part + 1)))
            client.set(self.now_key, new)
        self.key = new
        self._keep(client, mark)
        return Begin(self.last(client) or begins, is_there=True, replaced=old)

    def _common(self, client: redis.Redis, last: EventId, journal: Journal) -> EventId:
        """The place up to which the entries are those of the journal, found by halves; 0 if none is, or is kept."""

        def differs(position: int) -> bool:
            found = self._entry(client, EventId(position, ALL_PARTS))
            return found is not None and not _is_same(*found, journal)

        common = bisect_left(range(1, last.position + 1), True, key=differs)
        found = self._entry(client, EventId(common, ALL_PARTS))
        return EventId(0 if found is None else found[0].position, ALL_PARTS)

    def _entry(self, client: redis.Redis, place: EventId) -> tuple[EventId, dict[bytes, bytes]] | None:
        """The entry at a place, or the last one before it that is kept."""
        with explained(f"stream {self.key}"):
            found = cast(
                "list[tuple[bytes, dict[bytes, bytes]]]",
                client.xrevrange(self.key, max=str(place), count=1),
            )
        return (_place(found[0][0]), found[0][1]) if found else None

    def _free(self, client: redis.Redis) -> str:
        number = 2
        while self._last_of(client, f"{self.base}:{number}") is not None:
            number += 1
        return f"{self.base}:{number}"

    def _keep(self, client: redis.Redis, mark: Mark | None) -> None:
        if mark is not None:
            with explained(f"key {self.root_key}"):
                client.set(self.root_key, str(mark))

    def last(self, client: redis.Redis) -> EventId | None:
        """The last id that was ever in it; None if there is no stream.

        Raises:
            RedisRefused, RedisUnreachable: see ``begin``.
        """
        return self._last_of(client, self.key)

    @staticmethod
    def _last_of(client: redis.Redis, key: str) -> EventId | None:
        with explained(f"stream {key}"):
            try:
                found = client.xinfo_stream(key)
            except redis.ResponseError as error:
                if MISSING in str(error):
                    return None
                raise
        return _place(bytes(found["last-generated-id"]))

    def append(self, client: redis.Redis, entries: Sequence[Entry], mark: Mark | None) -> None:
        """Add entries, in order.

        Args:
            client: connected.
            entries: the next ones.
            mark: of the journal that they are of; covers them.

        Raises:
            Moved: see there; some of them may have been added.
            RedisRefused, RedisUnreachable: as above; some of them may have been added.
        """
        with explained(f"stream {self.key}"):
            pipeline = client.pipeline(transaction=False)
            if mark is not None:
                # Before them: what is in the stream is always covered.
                pipeline.set(self.root_key, str(mark))
            for entry in entries:
                pipeline.xadd(
                    self.key,
                    cast("dict[Any, Any]", entry.fields),
                    id=str(entry.id),
                    maxlen=self._length,
                    nomkstream=self._is_there,
                )
                self._is_there = True
            answers = pipeline.execute(raise_on_error=False)
        for answer in answers:
            if answer is None or (isinstance(answer, redis.ResponseError) and TAKEN in str(answer)):
                raise Moved
            if isinstance(answer, BaseException):
                raise RedisRefused(f"stream {self.key}: {meaning(answer)}")


def _place(text: bytes) -> EventId:
    position, _, part = text.decode().partition("-")
    return EventId(int(position), int(part) if part else ALL_PARTS)


def _mark(text: bytes | None) -> Mark | None:
    try:
        return None if text is None else mark_of(text.decode(errors="replace"))
    except BadInput:
        return None


def _is_same(place: EventId, fields: dict[bytes, bytes], journal: Journal) -> bool:
    """Whether an entry is what the journal says at its place, as far as that can be told."""
    if fields.get(b"kind") == REPLACED.encode():
        mark = _mark(fields.get(b"root"))
        return mark is None or mark == journal.common([mark])
    try:
        told = msgspec.json.decode(fields[b"event"], type=dict[str, Any])
        rows = journal.read(place.position - 1, 1)
    except (KeyError, msgspec.MsgspecError, NotKept):
        return True
    events = {event.id: event.flat() for row in rows for event in events_of(row)}
    there = events.get(place)
    # A release may add fields, and takes none away.
    return there is not None and all(there[name] == told[name] for name in there.keys() & told.keys())
