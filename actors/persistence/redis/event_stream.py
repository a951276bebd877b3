"""The event stream in Redis, whose ids are places in the journal: what is in it already is never added twice.

Redis refuses an id that is not larger than its stream's last one. So whatever was lost, a connection with an answer on its
way or Redis itself, the stream's own last id says where to go on.

I/O: asks a Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import redis

from actors.core.errors import RedisRefused
from actors.core.events import ALL_PARTS, EventId
from actors.persistence.redis.connection import explained, meaning
from actors.persistence.redis.entries import Entry

AT_ONCE = 256
"""Entries in one pipeline."""

MISSING = "no such key"
TAKEN = "equal or smaller than the target stream top item"


class Moved(Exception):  # noqa: N818 - nothing went wrong
    """The stream is not as it was left: emptied, or somebody else wrote to it. Ask it where it stands."""


class EventStream:
    """See the module.

    Args:
        key: of the stream.
        length: so many entries are kept, or a few more.
        depth: where an empty stream begins: so many positions before the end of the journal.
    """

    def __init__(self, key: str, length: int, depth: int) -> None:
        self.key, self._length, self._depth = key, length, depth
        self._is_there = False

    @property
    def fleet_key(self) -> str:
        """Says which database the stream is of."""
        return f"{self.key}:fleet"

    def begin(self, client: redis.Redis, fleet: str, end: int) -> tuple[EventId, bool]:
        """Where to go on.

        Args:
            client: connected.
            fleet: the id of our database.
            end: the last position of the journal.

        Returns:
            The last id that is in the stream, and whether it is; it is a place before the journal's end where it is empty.

        Raises:
            RedisRefused: the key is something else, or the stream is another database's.
            RedisUnreachable: no answer.
        """
        last = self.last(client)
        self._is_there = last is not None
        with explained(f"key {self.fleet_key}"):
            owner = cast("bytes | None", client.get(self.fleet_key))
            if owner is None or last is None:
                client.set(self.fleet_key, fleet)
        if last is None:
            return EventId(max(0, end - self._depth), ALL_PARTS), False
        if owner is not None and owner.decode(errors="replace") != fleet:
            raise RedisRefused(
                f"stream {self.key} has the events of fleet {owner.decode(errors='replace')[:80]!r}, and ours is {fleet}: "
                "choose another key with redis_stream, or remove the stream"
            )
        if last.position > end:
            raise RedisRefused(
                f"stream {self.key} ends with {last}, and our journal with position {end}: it is of another database, or "
                "this one was restored from a backup; choose another key with redis_stream, or remove the stream"
            )
        return last, True

    def last(self, client: redis.Redis) -> EventId | None:
        """The last id that was ever in it; None if there is no stream.

        Raises:
            RedisRefused, RedisUnreachable: see ``begin``.
        """
        with explained(f"stream {self.key}"):
            try:
                found = client.xinfo_stream(self.key)
            except redis.ResponseError as error:
                if MISSING in str(error):
                    return None
                raise
        position, _, part = bytes(found["last-generated-id"]).decode().partition("-")
        return EventId(int(position), int(part))

    def append(self, client: redis.Redis, entries: Sequence[Entry]) -> None:
        """Add entries, in order.

        Raises:
            Moved: see there; some of them may have been added.
            RedisRefused, RedisUnreachable: as above; some of them may have been added.
        """
        with explained(f"stream {self.key}"):
            pipeline = client.pipeline(transaction=False)
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
