"""Between an engine and what it talks to: pipes that read along, and can hold what passes.

``PostgresProxy`` understands the frames of Postgres' protocol, so that one message can be held and not the next.
``Relay`` passes bytes on to the exchange, and first calls whoever wants to know of each order in them.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ORDER_ID = re.compile(rb"bh-[0-9a-z]{6}-[0-9a-z]{16}-[0-9a-z]+")
DECIDED = b"OrderIntended"
"""In the facts of a decision that sends an order."""

COPY_DATA, PARSE, QUERY, COMMAND_COMPLETE = b"d", b"P", b"Q", b"C"


class PostgresProxy:
    """A server on a socket of its own, whose clients get to the one of a DSN.

    ``hold`` names what is held, once: "answer" the answer to the COMMIT of a transaction that decided an order, "commit"
    that COMMIT itself, "copy" the rest of the COPY that such a decision is written by.
    """

    def __init__(self, dsn):
        there = Path(parse_qs(urlsplit(dsn).query)["host"][0])
        self._upstream = next(there.glob(".s.PGSQL.*[0-9]"))
        # Not in a test's own folder: a socket's path has a hundred characters at the most.
        self._folder = Path(tempfile.mkdtemp(prefix="px-"))
        self.dsn = dsn.replace(str(there), str(self._folder))
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self._folder / self._upstream.name))
        self._server.listen(64)
        self._hold = ""
        self.held, self._go = threading.Event(), threading.Event()
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, what):
        self.held.clear()
        self._go.clear()
        self._hold = what

    def release(self):
        """Let pass what is held."""
        self._hold = ""
        self._go.set()

    def stop(self):
        self.release()
        for one in [self._server, *self._sockets]:
            _closed(one)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._upstream))
                self._sockets += [client, server]
                session = _Session()
                threading.Thread(target=self._requests, args=(client, server, session), daemon=True).start()
                threading.Thread(target=self._answers, args=(server, client, session), daemon=True).start()

    def _requests(self, client, server, session):
        with contextlib.suppress(OSError, EOFError):
            server.sendall(_startup(client))
            while True:
                kind, message = _message(client)
                if kind == COPY_DATA and DECIDED in message:
                    session.decides = True
                    self._perhaps_hold("copy")
                if session.decides and kind in {QUERY, PARSE} and b"COMMIT\0" in message:
                    self._perhaps_hold("commit")
                server.sendall(message)
        _closed(client, server)

    def _answers(self, server, client, session):
        with contextlib.suppress(OSError, EOFError):
            while True:
                kind, message = _message(server)
                if kind == COMMAND_COMPLETE and message[5:].startswith((b"COMMIT", b"ROLLBACK")):
                    if session.decides and message[5:].startswith(b"COMMIT"):
                        self._perhaps_hold("answer")
                    session.decides = False
                client.sendall(message)
        _closed(client, server)

    def _perhaps_hold(self, what):
        if self._hold == what:
            self._hold = ""
            self.held.set()
            self._go.wait(60)


class _Session:
    """One connection: whether its transaction decided an order."""

    decides = False


class Relay:
    """Passes on what an engine says to an exchange at ``url``; ``on_order`` is called before an order id passes first."""

    def __init__(self, url, on_order):
        parts = urlsplit(url)
        self._where, self._on_order, self._seen = (parts.hostname, parts.port), on_order, set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._lock, self._sockets = threading.Lock(), []
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        for one in [self._server, *self._sockets]:
            _closed(one)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(self._where)
                self._sockets += [client, server]
                threading.Thread(target=self._pass, args=(client, server, self._look), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, None), daemon=True).start()

    def _pass(self, source, target, look):
        with contextlib.suppress(OSError):
            rest = b""
            while data := source.recv(65_536):
                if look is not None:
                    look(rest + data)
                    rest = data[-64:]
                target.sendall(data)
        _closed(source, target)

    def _look(self, data):
        with self._lock:
            for found in ORDER_ID.findall(data):
                if found not in self._seen:
                    self._seen.add(found)
                    self._on_order(found.decode())


def _exactly(source, count):
    data = b""
    while len(data) < count:
        more = source.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _startup(client):
    """A client's first message, which has no kind."""
    length = _exactly(client, 4)
    return length + _exactly(client, int.from_bytes(length) - 4)


def _message(source):
    """A message's kind, and all of it."""
    head = _exactly(source, 5)
    return head[:1], head + _exactly(source, int.from_bytes(head[1:]) - 4)


def _closed(*sockets):
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
