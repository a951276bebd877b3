"""Who listens to what: websocket connections, and the queue of frames of each.

I/O: queues of frames on an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable

from actors.venues.paper.stream_names import PRIVATE, UNROUTED, Stream, Target, stream_of

SLOW_CONSUMER_FRAMES = 20_000
"""Frames waiting for one websocket before it is cut off."""

NAMES_MAX = 1_024
"""Streams of one connection, as at the exchange."""


class Connection:
    """One websocket. ``None`` in the queue ends it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(SLOW_CONSUMER_FRAMES)
        self.names: dict[str, None] = {}

    def put(self, frame: bytes) -> bool:
        """Queue a frame; False if the consumer is too slow."""
        with contextlib.suppress(asyncio.QueueFull):
            self.queue.put_nowait(frame)
            return True
        return False

    def end(self) -> None:
        """Close it, whatever waits."""
        with contextlib.suppress(asyncio.QueueEmpty):
            if self.queue.full():
                self.queue.get_nowait()
        self.queue.put_nowait(None)


class Hub:
    """Subscribers by stream name; names on the private route are listen keys."""

    def __init__(self) -> None:
        self._market: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._private: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._streams: dict[str, Stream] = {}
        self.silent: set[str] = set()
        """Names that were asked for on a route where they are never told."""

    def subscribe(self, connection: Connection, names: Iterable[str]) -> None:
        """Send these streams; what its route never tells is taken in silence, as at the exchange."""
        for name in names:
            connection.names[name] = None
            if connection.target.route == PRIVATE:
                self._private[name][connection] = None
                continue
            stream = stream_of(name)
            routes = {connection.target.route} if connection.target.route != UNROUTED else {"public"}
            if stream is None or stream.route not in routes:
                if len(self.silent) < NAMES_MAX:
                    self.silent.add(f"{connection.target.route or 'unrouted'}: {name[:64]}")
                continue
            self._streams[name] = stream
            self._market[name][connection] = None

    def unsubscribe(self, connection: Connection, names: Iterable[str]) -> None:
        """No longer send these streams."""
        for name in list(names):
            connection.names.pop(name, None)
            for table in (self._market, self._private):
                if name in table:
                    table[name].pop(connection, None)
                    if not table[name]:
                        del table[name]

    def leave(self, connection: Connection) -> None:
        """A connection is gone."""
        self.unsubscribe(connection, connection.names)

    def wants(self, name: str) -> bool:
        """Whether anybody listens to a market stream."""
        return name in self._market

    def wanted(self) -> list[Stream]:
        """All market streams that somebody listens to."""
        return [self._streams[name] for name in self._market]

    def publish(self, name: str, frame: bytes) -> None:
        """Send one market frame to all that listen."""
        self._send(name, frame, self._market.get(name) or {})

    def publish_user(self, listen_key: str, kind: str, frame: bytes) -> None:
        """Send one user event to all that listen to a key and want its kind."""
        listeners = self._private.get(listen_key)
        if not listeners:
            return
        wanting = {c: None for c in listeners if not c.target.events or kind in c.target.events}
        self._send(listen_key, frame, wanting)

    def end_private(self) -> None:
        """Cut all user streams."""
        for connection in [c for listeners in self._private.values() for c in listeners]:
            self.leave(connection)
            connection.end()

    def _send(self, name: str, frame: bytes, listeners: dict[Connection, None]) -> None:
        wrapped = b""
        for connection in list(listeners):
            sent = frame
            if connection.target.combined:
                wrapped = wrapped or b'{"stream":"%s","data":%s}' % (name.encode(), frame)
                sent = wrapped
            if not connection.put(sent):
                self.leave(connection)
                connection.end()
