"""ASGI application of the paper exchange: one handler for all HTTP paths, one for all websocket paths.

The web framework does no routing. ``routes`` and ``stream_names`` define the paths, so that request weight, faults and
Binance's own error bodies apply to unknown paths too.

I/O: serves HTTP and websockets.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec
from litestar import Litestar, Request, Response, WebSocket, route, websocket
from litestar.enums import HttpMethod, MediaType
from litestar.exceptions import WebSocketDisconnect

from actors.venues.paper.connections import Connection
from actors.venues.paper.faults import HttpFault
from actors.venues.paper.stream_names import ORDER_API, Target, parse_target
from actors.venues.paper.venue import Reply
from actors.venues.paper.ws_api import WsAnswer

EVERY_PATH = ["/", "/{path:path}"]
METHODS = list(HttpMethod)
CLOSED_BY_THE_EXCHANGE = 1008
REFUSED_BY_A_FAULT, NO_SUCH_PATH = 4403, 4404
"""Close codes before a websocket is accepted; uvicorn answers 403 to both."""

encode = msgspec.json.Encoder().encode


class ExchangeServer(Protocol):
    """What the handlers need of the paper exchange; ``PaperServer`` implements it."""

    async def handle_http(self, method: str, path: str, query: str, body: bytes, key: str | None) -> Reply:
        """Answer one HTTP request."""
        ...

    async def handle_order_frame(self, text: str) -> WsAnswer:
        """Answer one request frame of the websocket API."""
        ...

    def handle_stream_command(self, text: str, connection: Connection) -> dict[str, Any]:
        """Answer one command frame of a stream: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS."""
        ...

    def websocket_fault(self, path: str) -> HttpFault | None:
        """The fault planned for a websocket connection to this path, if any."""
        ...

    def connect(self, target: Target) -> Connection:
        """Register a connection and subscribe it to the streams that its path names."""
        ...

    def disconnect(self, connection: Connection) -> None:
        """Remove a connection and its subscriptions."""
        ...

    def reset_connection(self, client: tuple[str, int]) -> None:
        """Reset a client's TCP connection, as a broken network would."""
        ...


def application(exchange: ExchangeServer) -> Litestar:
    """The ASGI application of one paper exchange."""

    @route(EVERY_PATH, http_method=METHODS, include_in_schema=False)
    async def rest(request: Request[Any, Any, Any]) -> Response[bytes]:
        scope = request.scope
        query = scope["query_string"].decode("latin-1")
        key = request.headers.get("x-mbx-apikey")
        reply = await exchange.handle_http(scope["method"], scope["path"], query, await request.body(), key)
        if reply.reset:
            exchange.reset_connection(_client_address(request.scope["client"]))
        return Response(
            reply.body, status_code=reply.status, headers=reply.headers, media_type=MediaType.JSON
        )

    @websocket(EVERY_PATH)
    async def streams(socket: WebSocket[Any, Any, Any]) -> None:
        path = socket.scope["path"]
        target = parse_target(path, socket.scope["query_string"].decode("latin-1"))
        fault = exchange.websocket_fault(path)
        if fault is not None:
            await socket.close(REFUSED_BY_A_FAULT, fault.kind)
        elif target is None:
            await socket.close(NO_SUCH_PATH, f"no such path {path}")
        else:
            await socket.accept()
            await _serve_connection(exchange, socket, target)

    return Litestar([rest, streams], openapi_config=None, logging_config=None)


async def _serve_connection(
    exchange: ExchangeServer, socket: WebSocket[Any, Any, Any], target: Target
) -> None:
    """Send queued frames and answer incoming ones until the connection closes."""
    connection = exchange.connect(target)
    pump = asyncio.create_task(_send_queued(connection, socket))
    answers: set[asyncio.Task[None]] = set()
    try:
        while True:
            text = await _read(socket)
            if target.route == ORDER_API:
                # One task per request, so that a delayed answer does not block the next one.
                answer = asyncio.create_task(_answer_order_frame(exchange, text, connection, socket))
                answers.add(answer)
                answer.add_done_callback(answers.discard)
            else:
                connection.put(encode(exchange.handle_stream_command(text, connection)))
    except WebSocketDisconnect:
        return
    finally:
        for answer in answers:
            answer.cancel()
        exchange.disconnect(connection)
        pump.cancel()


async def _read(socket: WebSocket[Any, Any, Any]) -> str:
    """Read one frame, text or binary, as text."""
    event: Any = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(
            detail="the client is gone", code=event.get("code") or CLOSED_BY_THE_EXCHANGE
        )
    return event.get("text") or (event.get("bytes") or b"").decode("utf-8", "replace")


async def _answer_order_frame(
    exchange: ExchangeServer, text: str, connection: Connection, socket: WebSocket[Any, Any, Any]
) -> None:
    reply = await exchange.handle_order_frame(text)
    if reply.reset:
        exchange.reset_connection(_client_address(socket.scope["client"]))
    else:
        connection.put(reply.frame)


async def _send_queued(connection: Connection, socket: WebSocket[Any, Any, Any]) -> None:
    while True:
        frame = await connection.queue.get()
        if frame is None:
            await socket.close(CLOSED_BY_THE_EXCHANGE, "closed by the exchange")
            return
        await socket.send_data(frame.decode())


def _client_address(found: Any) -> tuple[str, int]:
    host, port = found
    return str(host), int(port)
