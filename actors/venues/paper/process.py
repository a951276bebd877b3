"""The paper exchange as a separate process.

I/O: runs until a signal.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import msgspec
import uvloop

from actors.venues.paper.config import PaperAddress, PaperConfig
from actors.venues.paper.server import serve


def run(config: PaperConfig) -> None:
    """Serve until SIGTERM or SIGINT; print the addresses as one JSON line when ready."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(config, _announce, stop)

    uvloop.run(main())


def _announce(address: PaperAddress) -> None:
    sys.stdout.write(msgspec.json.encode(address).decode() + "\n")
    sys.stdout.flush()
