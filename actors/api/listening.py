"""The socket that the API listens on; a port that is taken is refused with who has it and the cure."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import msgspec

from actors.api.address import API_FILE, Address
from actors.errors import BadConfig

CURES = {
    errno.EADDRINUSE: "another program listens there; end it, or give another port with --api-port or "
    "BULKHEAD_API_PORT (0 takes a free one)",
    errno.EACCES: "ports below 1024 are for root; give another with --api-port or BULKHEAD_API_PORT",
    errno.EADDRNOTAVAIL: "this machine has no such address; give one of its own with --api-host or BULKHEAD_API_HOST",
}


def bound(host: str, port: int, data_dir: Path) -> socket.socket:
    """A bound socket.

    Args:
        host: to listen at.
        port: 0 takes a free one.
        data_dir: where a running engine leaves its address.

    Raises:
        BadConfig: it cannot be had; says by whom it is taken if that is an engine of the same folder.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        cure = _engine_there(port, data_dir) or CURES.get(error.errno or 0, "check --api-host and --api-port")
        raise BadConfig(f"the API cannot listen on {host}:{port} ({why}): {cure}") from None
    return listener


def _engine_there(port: int, data_dir: Path) -> str:
    """What is said if the port is an engine's of the same folder, which another one must not push out."""
    try:
        address = msgspec.json.decode((data_dir / API_FILE).read_bytes(), type=Address)
        os.kill(address.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return ""
    if not address.url.endswith(f":{port}"):
        return ""
    return (
        f"an engine runs on {data_dir} already, process {address.pid}; 'bulkhead status' shows it. "
        "A second one needs another --data-dir, too"
    )
