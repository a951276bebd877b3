"""Between a client and a server: connections that are cut when a test says so."""

from __future__ import annotations

import contextlib
import socket
import threading


class Cutter:
    """Between a client and a server: passes bytes on, and cuts all connections when it is told to, in the middle of anything."""

    def __init__(self, port):
        self.port, self._sockets = port, []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.port))
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1_000):
                target.sendall(data)
        end(source, target)

    def cut(self):
        """End what is connected now."""
        sockets, self._sockets = self._sockets, []
        end(*sockets)

    def stop(self):
        end(self._server)
        self.cut()


def end(*sockets):
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
