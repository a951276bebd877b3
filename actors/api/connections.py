"""Bounds on connections before any token is checked: a client that is slow or hostile holds nothing for long.

The API runs in the process that trades. Whatever an unknown client can hold without limit (a file descriptor, memory, a
task of the event loop) is missing to the exchange's sockets and to Postgres. A token is in the head of a request, so
everything up to a whole head must be bounded for callers that have none.

1. Time and size of a request: the head comes whole within ``HEAD_SECONDS`` and ``HEAD_MAX`` bytes, the body within
   ``BODY_SECONDS`` (its size is bounded by the application, ``BODY_MAX``). The time runs from the first byte, not from
   the last one, else a byte a second would hold a connection for ever ("slow loris").
2. Time of an answer: a client that does not read for ``READ_SECONDS`` is disconnected, else the answer stays in memory.
   The same holds for a websocket's messages: one that does not read for ``SOCKET_SECONDS`` is closed.
3. Number of connections: beyond ``connections_max`` the one that has been idle longest makes room. Refusing the newest
   instead would let whoever opened the first 512 keep operators out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import socket
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from actors.api.errors import WEBSOCKET_CODES

log = structlog.get_logger("api")

HEAD_SECONDS = 5.0
BODY_SECONDS = 20.0
READ_SECONDS = 30.0
HEAD_MAX = 16_384
SOCKET_SECONDS = 10.0
"""How long a websocket's client may read nothing while its buffer is full."""

CLOSE_SECONDS = 10.0
"""How long a closed websocket may take until nothing is left to send; then it is cut."""

SLOW_READER = 4408
"""The code that a websocket is closed with whose client does not read: 408, request timeout, and 4000."""

SOCKET_MESSAGE_MAX = 4_096
"""Bytes of a message from a client: they have little to say."""

BODY_MAX = 4 << 20
"""Ten thousand orders in one request are two megabytes."""

CONNECTIONS_MAX = 512
CONNECTIONS_LEAST = 16

NO_SOCKET = (
    '{"error": {"code": "NotFound", "message": "there is no websocket of that path; there is /v1/drop-copy"}}'
)
FAILED = '{"error": {"code": "InternalError", "message": "a fault of ours"}}'
LITESTAR_FAULT = "Internal Server Error"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
BAD_HANDSHAKE = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
)
HEAD_RULE = "this is no head of a websocket: its URL and each of its headers may have 8,000 bytes, there may be 100 headers, and no body"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def connections_max() -> int:
    """How many connections may be open: a quarter of the process's file descriptors; trading needs the rest."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(CONNECTIONS_LEAST, min(CONNECTIONS_MAX, soft // 4))


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with the bounds of this module."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._in_head = True
        self._head_bytes = self._header_bytes = 0
        self.idle_since = time.monotonic()

    # -- connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Bound the number of connections, and the time of the first request."""
        super().connection_made(transport)
        self._limit("head", HEAD_SECONDS)
        if len(self.connections) > connections_max() and not self._make_room():
            transport.write(BUSY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        for name in list(self._timers):
            self._free(name)
        super().connection_lost(exc)

    def _make_room(self) -> bool:
        idle = [c for c in self.connections if isinstance(c, BoundedProtocol) and c is not self and c.is_idle]
        if not idle:
            return False
        min(idle, key=lambda c: c.idle_since).transport.abort()
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is being answered."""
        return self.cycle is None or self.cycle.response_complete

    # -- requests

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that is not whole yet."""
        if self._in_head:
            self._head_bytes += len(data)
            if "head" not in self._timers:
                self._limit("head", HEAD_SECONDS)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_MAX and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A new head begins."""
        self._header_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Refuse an endless URL."""
        super().on_url(url)
        if len(self.url) > HEAD_MAX:
            raise ValueError("the URL is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Refuse endless headers also when they came in one piece."""
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEAD_MAX:
            raise ValueError("the headers are too long")

    def on_headers_complete(self) -> None:
        """The head is whole; the time of the body begins."""
        self._in_head = False
        self._free("head")
        self._limit("body", BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._free("body")
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The connection waits for the next request."""
        self.idle_since = time.monotonic()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection is a websocket from here on, which has its own times."""
        for name in list(self._timers):
            self._free(name)
        super().handle_websocket_upgrade()

    # -- answers

    def pause_writing(self) -> None:
        """The client does not read: the socket's buffer is full."""
        super().pause_writing()
        self._limit("read", READ_SECONDS)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._free("read")

    # -- timers

    def _limit(self, name: str, seconds: float) -> None:
        self._free(name)
        self._timers[name] = self.loop.call_later(seconds, self.transport.abort)

    def _free(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


class BoundedSocket(WebSocketsSansIOProtocol):
    """uvicorn's websocket protocol with the bounds of this module."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Refuse a head that is no websocket's; by itself uvicorn would neither answer nor end the connection, for ever."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.handshake_initiated = self.handshake_complete = self.close_sent = True
            body = _error("BadHandshake", HEAD_RULE)
            self.transport.write(b"%s%d\r\n\r\n%s" % (BAD_HANDSHAKE, len(body), body))
            self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read: the socket's buffer is full."""
        super().pause_writing()
        self._late = self.loop.call_later(SOCKET_SECONDS, self._close_slow)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._free()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._free()
        super().connection_lost(exc)

    def handle_ping(self) -> None:
        """Answer; but the answers to a client that does not read them are not kept."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def handle_close(self, event: Frame) -> None:
        """Whoever closes has as long as others to take what is left."""
        super().handle_close(event)
        if self.close_timer is None:
            self._cut_soon()

    async def send(self, message: Any) -> None:
        """Send; a close ends the connection even if nobody reads it."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            # An answer instead of a handshake is an end of it too; uvicorn would log an error of ours.
            self.handshake_complete = True
        if message["type"] == "websocket.close" and self.close_timer is not None:
            self._cut_soon()

    def _close_slow(self) -> None:
        """Say why behind what waits, so that a client that reads on learns it, and end the connection in any case."""
        if self.close_sent or not self.handshake_complete:
            self.transport.abort()
            return
        reason = f"slow reader: nothing was read for {SOCKET_SECONDS:g} s"
        self.queue.put_nowait({"type": "websocket.disconnect", "code": SLOW_READER, "reason": reason})
        self.conn.send_close(SLOW_READER, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._cut_soon()

    def _cut_soon(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _free(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Refusals:
    """Answers a websocket that is refused before it is accepted as an HTTP request would be: with status and text.

    By itself ASGI would answer 403 without a word. What the application closes with is ``api.errors.refused``.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._app(scope, receive, _saying_why(send))
        else:
            await self._app(scope, receive, send)


def _saying_why(send: Send) -> Send:
    is_accepted = False

    async def sending(message: Any) -> None:
        nonlocal is_accepted
        is_accepted = is_accepted or message["type"] == "websocket.accept"
        if is_accepted or message["type"] != "websocket.close":
            await send(message)
            return
        status, reason = int(message.get("code", 0)) - WEBSOCKET_CODES, str(message.get("reason") or "")
        if reason == LITESTAR_FAULT:
            # It leaves no trace of what it was.
            log.error("a websocket failed before it was one")
            reason = FAILED
        elif not reason.startswith("{"):
            status, reason = 404, NO_SOCKET
        await _answer(send, "websocket.http.response", status, reason.encode())

    return sending


class KnownHosts:
    """Answers only requests whose Host header is a name of ours, or an address.

    Against DNS rebinding: a page that an operator opens in a browser can have its own name resolve to 127.0.0.1, and
    would then send requests here as if it were of the same origin. The browser still sends the page's name as Host. An
    address is not resolved, so it cannot be used in this way.

    Args:
        app: what answers.
        names: further names that the API is reached by.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._names = {"localhost", socket.gethostname().lower(), *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self.knows(hosts[0]):
            is_socket = scope["type"] == ScopeType.WEBSOCKET
            await _refuse(send, "websocket.http.response" if is_socket else "http.response", hosts)
            return
        await self._app(scope, receive, send)

    def knows(self, host: str) -> bool:
        """Whether a Host header names this API."""
        name = host_name(host)
        return name is not None and (name in self._names or _is_address(name))


def host_name(header: str) -> str | None:
    """The name or address in a Host header, without its port; None if there is none."""
    name, bracket, port = header.partition("]") if header.startswith("[") else header.partition(":")
    if bracket == "]":
        name, port = name[1:], port.removeprefix(":")
    if port and not (port.isascii() and port.isdigit()):
        return None
    return name.lower().removesuffix(".") or None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(send: Send, kind: str, hosts: Sequence[str]) -> None:
    sent = ascii(hosts[0][:80]) if len(hosts) == 1 else f"{len(hosts)} of them"
    text = f"Host: {sent} is no name of this API; call it by its address, or add the name to api_hosts"
    await _answer(send, kind, 421, _error("MisdirectedRequest", text))


def _error(code: str, text: str) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "message": text}})


async def _answer(send: Any, kind: str, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})
