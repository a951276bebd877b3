"""A server in front of the paper exchange's REST side that changes some of its answers, and counts requests."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from types import SimpleNamespace

import httpx
import msgspec
import uvicorn

HOP_BY_HOP = {"content-length", "transfer-encoding", "connection", "content-encoding", "date", "server"}


class Front:
    """Passes everything on. ``change`` gets a path and the decoded answer, and may change it in place.

    ``refusals`` are error answers by method and path: HTTP status, code and text.
    """

    def __init__(self, paper):
        self.paper, self.counts, self.refusals = paper, Counter(), {}
        self.change = lambda path, body: None
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.address = SimpleNamespace(rest=self.base)
        self._client = None
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, log_level="error", lifespan="off", interface="asgi3")
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    def settings(self):
        """What points an engine here, with streams from the paper exchange itself."""
        streams = self.paper.address.rest.replace("http", "ws", 1)
        return {
            "BULKHEAD_EXCHANGE": self.base,
            "BULKHEAD_EXCHANGE_WS_PUBLIC": f"{streams}/public",
            "BULKHEAD_EXCHANGE_WS_PRIVATE": f"{streams}/private",
        }

    async def _app(self, scope, receive, send):
        if self._client is None:
            self._client = httpx.AsyncClient(base_url=self.paper.address.rest, timeout=10)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        method, path = scope["method"], scope["path"]
        self.counts[path] += 1
        if (method, path) in self.refusals:
            status, code, text = self.refusals[method, path]
            content, headers = msgspec.json.encode({"code": code, "msg": text}), []
        else:
            url = path + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
            kept = [(k, v) for k, v in scope["headers"] if k in {b"x-mbx-apikey", b"content-type"}]
            answer = await self._client.request(method, url, content=body, headers=kept)
            status, found = answer.status_code, msgspec.json.decode(answer.content)
            self.change(path, found)
            content = msgspec.json.encode(found)
            headers = [(k, v) for k, v in answer.headers.raw if k.decode().lower() not in HOP_BY_HOP]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
