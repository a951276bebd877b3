"""The socket that the API listens on. If it cannot be opened, the error says what to change.

A second engine on the same data folder does not come to this point: the folder is locked.
"""

from __future__ import annotations

import errno
import socket

from actors.core.errors import BadConfig

CURES = {
    errno.EADDRINUSE: "another program listens there; end it, or give another port with --api-port or "
    "BULKHEAD_API_PORT (0 takes a free one)",
    errno.EACCES: "ports below 1024 are for root; give another with --api-port or BULKHEAD_API_PORT",
    errno.EADDRNOTAVAIL: "this machine has no such address; give one of its own with --api-host or BULKHEAD_API_HOST",
}


def bound(host: str, port: int) -> socket.socket:
    """A bound socket.

    Args:
        host: to listen at.
        port: 0 takes a free one.

    Raises:
        BadConfig: it cannot be opened; says what to change.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        cure = CURES.get(error.errno or 0, "check --api-host and --api-port")
        raise BadConfig(f"the API cannot listen on {host}:{port} ({why}): {cure}") from None
    return listener
