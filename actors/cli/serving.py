"""What ``bulkhead run`` does: an engine and its API in this process, until a signal comes or the engine halts."""

from __future__ import annotations

import signal
import sys
import threading

from actors.assembly.config import EngineConfig
from actors.cli.common import err, out
from actors.core.errors import BulkheadError

EXIT_HALTED = 3
"""The engine halted because it must not continue; a service manager should start it again."""

ENDING = (signal.SIGTERM, signal.SIGINT)

HALT_POLL_SECONDS = 0.2


def serve(settings: EngineConfig) -> None:
    """Run an engine and its API until a signal comes; exits with ``EXIT_HALTED`` if the engine halts."""
    from actors.api.server import ApiServer  # noqa: PLC0415 - a second of imports
    from actors.assembly.engine import Engine  # noqa: PLC0415

    stop = threading.Event()
    starting = True

    def end(*_: object) -> None:
        first = not stop.is_set()
        stop.set()
        if starting and first:
            raise _EndedEarly

    for number in ENDING:
        signal.signal(number, end)
    begun: tuple[Engine, ApiServer] | None = None
    try:
        engine = Engine(settings, err.print)
        api = ApiServer(engine)
        begun = engine, api
        engine.start(api.start, api.listen)
        starting = False
    except BaseException as error:
        # Ctrl-C also reaches a child that the start waits for, and the child may fail first.
        early = stop.is_set() and isinstance(error, _EndedEarly | BulkheadError)
        if begun is not None:
            begun[1].stop()
            if early and "stop" not in begun[0].gate.closers:
                begun[0].stop()  # it had just come up
        if not early:
            raise
        _ended("stopped before it was ready; nothing is left running")
        return
    try:
        fleet = engine.fleets.origin.fleet
        out.print(f"engine ready: {len(engine.accounts)} accounts, fleet {fleet}, API at {api.address.url}")
        while not (stop.wait(HALT_POLL_SECONDS) or engine.halted.is_set()):
            pass
    finally:
        engine.gate.close("stop")
        err.print("stopping")
        try:
            api.stop()
        finally:
            engine.stop()
        _ended("stopped")
    if engine.halted.is_set():
        err.print(f"halted: {engine.halt_reason}", style="red", markup=False)
        sys.exit(EXIT_HALTED)


class _EndedEarly(BaseException):
    """A signal came while the engine was starting."""


def _ended(text: str) -> None:
    """Print the end, and ignore further signals, so that another Ctrl-C does not change the exit code."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    err.print(text)
