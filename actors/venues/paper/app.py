"""The paper exchange's paths: one handler for HTTP, one for websockets, whatever the path.

Which paths there are is the exchange's own affair (``routes``, ``stream_names``): it counts a request's weight and
answers in its own words before it says that there is no such path.

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
from actors.venues.paper.stream_names import ORDER_API, Target, target_of
from actors.venues.paper.venue import Reply
from actors.venues.paper.ws_api import WsAnswer

EVERY_PATH = ["/", "/{path:path}"]
METHODS = list(HttpMethod)
CLOSED_BY_THE_EXCHANGE = 1008
REFUSED_BY_A_FAULT, NO_SUCH_PATH = 4403, 4404
"""Close codes before a websocket is accepted; uvicorn answers 403 to both."""

encode = msgspec.json.Encoder().encode


class Exchange(Protocol):
    """What the handlers ask of the paper exchange."""

    async def answer(self, method: str, path: str, query: str, body: bytes, key: str | None) -> Reply:
        """Do what one HTTP request asks for."""
        ...

    async def order(self, text: str) -> WsAnswer:
        """Do what one frame of the order API asks for."""
        ...

    def command(self, text: str, connection: Connection) -> dict[str, Any]:
        """Do what one frame of a stream asks for."""
        ...

    def websocket_fault(self, path: str) -> HttpFault | None:
        """A fault that somebody asked for on this path."""
        ...

    def join(self, target: Target) -> Connection:
        """Begin to tell a new connection what its path asks for."""
        ...

    def leave(self, connection: Connection) -> None:
        """Tell a connection nothing any more."""
        ...

    def cut(self, client: tuple[str, int]) -> None:
        """Reset the connection of a client, as a network does."""
        ...


def application(exchange: Exchange) -> Litestar:
    """The ASGI application of one paper exchange."""

    @route(EVERY_PATH, http_method=METHODS, include_in_schema=False)
    async def rest(request: Request[Any, Any, Any]) -> Response[bytes]:
        scope = request.scope
        query = scope["query_string"].decode("latin-1")
        key = request.headers.get("x-mbx-apikey")
        reply = await exchange.answer(scope["method"], scope["path"], query, await request.body(), key)
        if reply.reset:
            exchange.cut(_client(request.scope["client"]))
        return Response(
            reply.body, status_code=reply.status, headers=reply.headers, media_type=MediaType.JSON
        )

    @websocket(EVERY_PATH)
    async def streams(socket: WebSocket[Any, Any, Any]) -> None:
        path = socket.scope["path"]
        target = target_of(path, socket.scope["query_string"].decode("latin-1"))
        fault = exchange.websocket_fault(path)
        if fault is not None:
            await socket.close(REFUSED_BY_A_FAULT, fault.kind)
        elif target is None:
            await socket.close(NO_SUCH_PATH, f"no such path {path}")
        else:
            await socket.accept()
            await _talk(exchange, socket, target)

    return Litestar([rest, streams], openapi_config=None, logging_config=None)


async def _talk(exchange: Exchange, socket: WebSocket[Any, Any, Any], target: Target) -> None:
    """Send what the connection is to be told, and answer what it asks, until it ends."""
    connection = exchange.join(target)
    pump = asyncio.create_task(_pump(connection, socket))
    answers: set[asyncio.Task[None]] = set()
    try:
        while True:
            text = await _read(socket)
            if target.route == ORDER_API:
                # Each for itself: a slow answer keeps no other back.
                answer = asyncio.create_task(_ask(exchange, text, connection, socket))
                answers.add(answer)
                answer.add_done_callback(answers.discard)
            else:
                connection.put(encode(exchange.command(text, connection)))
    except WebSocketDisconnect:
        return
    finally:
        for answer in answers:
            answer.cancel()
        exchange.leave(connection)
        pump.cancel()


async def _read(socket: WebSocket[Any, Any, Any]) -> str:
    """One frame, as text whichever kind it came as."""
    event: Any = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(
            detail="the client is gone", code=event.get("code") or CLOSED_BY_THE_EXCHANGE
        )
    return event.get("text") or (event.get("bytes") or b"").decode("utf-8", "replace")


async def _ask(
    exchange: Exchange, text: str, connection: Connection, socket: WebSocket[Any, Any, Any]
) -> None:
    reply = await exchange.order(text)
    if reply.reset:
        exchange.cut(_client(socket.scope["client"]))
    else:
        connection.put(reply.frame)


async def _pump(connection: Connection, socket: WebSocket[Any, Any, Any]) -> None:
    while True:
        frame = await connection.queue.get()
        if frame is None:
            await socket.close(CLOSED_BY_THE_EXCHANGE, "closed by the exchange")
            return
        await socket.send_data(frame.decode())


def _client(found: Any) -> tuple[str, int]:
    host, port = found
    return str(host), int(port)
