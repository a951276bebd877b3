"""Websocket connections, their frame queues and their subscriptions.

I/O: queues of frames on an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable

from actors.venues.paper.stream_names import PRIVATE, UNROUTED, Stream, Target, parse_stream

SLOW_CONSUMER_FRAMES = 20_000
"""Maximum number of queued frames; a slower consumer is disconnected."""

STREAMS_MAX = 1_024
"""Maximum number of streams per connection, as on Binance."""


class Connection:
    """One websocket connection. ``None`` in the queue closes it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(SLOW_CONSUMER_FRAMES)
        self.names: dict[str, None] = {}

    def put(self, frame: bytes) -> bool:
        """Queue a frame; returns False if the queue is full."""
        with contextlib.suppress(asyncio.QueueFull):
            self.queue.put_nowait(frame)
            return True
        return False

    def close(self) -> None:
        """Close the connection, even if its queue is full."""
        with contextlib.suppress(asyncio.QueueEmpty):
            if self.queue.full():
                self.queue.get_nowait()
        self.queue.put_nowait(None)


class Hub:
    """Subscribers by stream name. On the private route the name is a listen key."""

    def __init__(self) -> None:
        self._market: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._private: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._streams: dict[str, Stream] = {}
        self.silent_streams: set[str] = set()
        """Subscriptions on a route that does not carry the stream; they receive nothing."""

    def subscribe(self, connection: Connection, names: Iterable[str]) -> None:
        """Subscribe to streams. One that the route does not carry is accepted and never sent, as on Binance."""
        for name in names:
            connection.names[name] = None
            if connection.target.route == PRIVATE:
                self._private[name][connection] = None
                continue
            stream = parse_stream(name)
            routes = {connection.target.route} if connection.target.route != UNROUTED else {"public"}
            if stream is None or stream.route not in routes:
                if len(self.silent_streams) < STREAMS_MAX:
                    self.silent_streams.add(f"{connection.target.route or 'unrouted'}: {name[:64]}")
                continue
            self._streams[name] = stream
            self._market[name][connection] = None

    def unsubscribe(self, connection: Connection, names: Iterable[str]) -> None:
        """Remove subscriptions."""
        for name in list(names):
            connection.names.pop(name, None)
            for table in (self._market, self._private):
                if name in table:
                    table[name].pop(connection, None)
                    if not table[name]:
                        del table[name]

    def remove(self, connection: Connection) -> None:
        """Remove a connection."""
        self.unsubscribe(connection, connection.names)

    def has_subscribers(self, name: str) -> bool:
        """Whether a market stream has subscribers."""
        return name in self._market

    def subscribed_streams(self) -> list[Stream]:
        """All market streams with subscribers."""
        return [self._streams[name] for name in self._market]

    def publish(self, name: str, frame: bytes) -> None:
        """Send a market frame to all subscribers."""
        self._send(name, frame, self._market.get(name) or {})

    def publish_user(self, listen_key: str, kind: str, frame: bytes) -> None:
        """Send a user event to the connections of a listen key that accept this event type."""
        listeners = self._private.get(listen_key)
        if not listeners:
            return
        wanting = {c: None for c in listeners if not c.target.events or kind in c.target.events}
        self._send(listen_key, frame, wanting)

    def disconnect_user_streams(self) -> None:
        """Close all user data streams."""
        for connection in [c for listeners in self._private.values() for c in listeners]:
            self.remove(connection)
            connection.close()

    def _send(self, name: str, frame: bytes, listeners: dict[Connection, None]) -> None:
        wrapped = b""
        for connection in list(listeners):
            sent = frame
            if connection.target.combined:
                wrapped = wrapped or b'{"stream":"%s","data":%s}' % (name.encode(), frame)
                sent = wrapped
            if not connection.put(sent):
                self.remove(connection)
                connection.close()
