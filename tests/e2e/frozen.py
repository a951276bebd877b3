"""An engine's answers, held still: what is asked twice is answered the same.

Between two looks at a live engine marks move and ages grow. Through this, one command shows the same
numbers at each width, so that its words can be compared one by one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import msgspec

from actors.api.address import API_FILE


def _pumped(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


class Frozen:
    """Stands between the command line and an engine.

    Args:
        client: the engine's.
        folder: where its address is left, for ``--data-dir``.
    """

    def __init__(self, client, folder):
        self.folder = folder
        engine = httpx.Client(base_url=client.address.url, timeout=60)
        answers, lock = {}, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def _forward(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                kept = {k: self.headers[k] for k in ("authorization", "content-type") if k in self.headers}
                return engine.request(self.command, self.path, content=body, headers=kept)

            def _pass_on(self):
                """A websocket is the engine's own: what it says of the past stays the same by itself."""
                there = socket.create_connection((engine.base_url.host, engine.base_url.port))
                lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items())]
                there.sendall("\r\n".join([*lines, "", ""]).encode())
                answering = threading.Thread(target=_pumped, args=(there, self.connection), daemon=True)
                answering.start()
                _pumped(self.connection, there)
                answering.join(10)
                self.close_connection = True

            def _answer(self):
                if self.headers.get("upgrade") == "websocket":
                    self._pass_on()
                    return
                if self.command == "GET":
                    with lock:
                        if self.path not in answers:
                            answers[self.path] = self._forward()
                        found = answers[self.path]
                else:
                    found = self._forward()
                self.send_response(found.status_code)
                self.send_header("content-type", found.headers.get("content-type", "application/json"))
                self.send_header("content-length", str(len(found.content)))
                self.end_headers()
                self.wfile.write(found.content)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        address = msgspec.structs.replace(client.address, url=url)
        (folder / API_FILE).write_bytes(msgspec.json.encode(address))

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
