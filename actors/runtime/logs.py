"""Logging: structlog, JSON or text to standard error, secrets taken out; and an output that blocks no caller.

The engine must never stop for its log: a reader that ends (EPIPE), one that reads no more, a full disk. So in ``run``
everything that is written to standard output and standard error, tracebacks and warnings of Python's own included,
goes through one bounded queue to a thread that writes. Whoever logs never waits and never fails; what has no room or
cannot be written is counted.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import msgspec
import structlog

SECRET_NAMES = ("secret", "token", "password", "signature", "api_key", "authorization")

QUEUE_BYTES_MAX = 4 * 2**20
"""What may wait to be written: some ten thousand lines."""

LINE_COST = 128
"""Bytes that a waiting line costs beside its text."""

FLUSH_SECONDS = 2.0
"""How long the end of the process waits for the last lines to be written."""


class LogState(msgspec.Struct, frozen=True):
    """How the log is doing.

    Attributes:
        dropped: lines that were dropped since the start.
        waiting: bytes that wait to be written.
        error: why the last write failed; empty once one succeeded.
        stuck_s: seconds that the write in progress has taken.
    """

    dropped: int
    waiting: int
    error: str
    stuck_s: float = 0.0


class Outlet:
    """Writes to descriptors from a thread of its own. ``put`` may be called from any thread, at any time."""

    def __init__(self, bytes_max: int = QUEUE_BYTES_MAX) -> None:
        # Its put is reentrant: a collection may begin inside, and what it ends may log.
        self._queue: queue.SimpleQueue[tuple[int, bytes] | threading.Event] = queue.SimpleQueue()
        self._counting = threading.RLock()
        self._bytes_max = bytes_max
        self._waiting = 0
        self._dropped = 0
        self._error = ""
        self._began_s: float | None = None
        self._torn: set[int] = set()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def state(self) -> LogState:
        """How it is doing. Callable from any thread."""
        began_s = self._began_s
        stuck_s = 0.0 if began_s is None else time.monotonic() - began_s
        return LogState(self._dropped, self._waiting, self._error, stuck_s)

    def put(self, descriptor: int, text: str) -> None:
        """Have a text written, or count its lines as dropped; never waits."""
        data = text.encode(errors="backslashreplace")
        cost = len(data) + LINE_COST
        with self._counting:
            if self._waiting + cost > self._bytes_max:
                self._dropped += max(1, data.count(b"\n"))
                return
            self._waiting += cost
        self._queue.put((descriptor, data))

    def flush(self, seconds: float) -> bool:
        """Wait until all that waits now is written, but not for longer.

        Returns:
            Whether it is.
        """
        reached = threading.Event()
        self._queue.put(reached)
        return self._thread.is_alive() and reached.wait(seconds)

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            descriptor, data = item
            self._began_s = time.monotonic()
            error = self._write(descriptor, data)
            self._began_s = None
            with self._counting:
                self._waiting -= len(data) + LINE_COST
                self._error = error
                if error:
                    self._dropped += max(1, data.count(b"\n"))

    def _write(self, descriptor: int, data: bytes) -> str:
        """Write all of it; what cannot be written is no reason to end."""
        left = memoryview(b"\n" + data if descriptor in self._torn else data)
        self._torn.discard(descriptor)
        try:
            while left:
                try:
                    left = left[os.write(descriptor, left) :]
                except BlockingIOError:  # another process made the terminal that we share non-blocking
                    select.select([], [descriptor], [])
        except (OSError, ValueError) as error:
            if 0 < len(left) < len(data):
                self._torn.add(descriptor)  # the next line must not be taken for the rest of this one
            return f"{type(error).__name__}: {error}"
        return ""


class OutletStream(io.TextIOBase):
    """Stands in for standard output or standard error, on the way through an outlet."""

    def __init__(self, outlet: Outlet, original: TextIO) -> None:
        self._outlet, self._original = outlet, original
        self._descriptor = original.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Always UTF-8."""
        return "utf-8"

    def fileno(self) -> int:
        """The original's descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether a person reads."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Hand a text to the outlet."""
        if text:
            self._outlet.put(self._descriptor, text)
        return len(text)

    def flush(self) -> None:
        """The outlet writes as soon as it can."""


class _Lines:
    """structlog's last step. It has no lock, because ``write`` needs none.

    A line that cannot be written any more, as standard error is closed, must not make fail whoever wanted to say it: that
    may be a dispatcher.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def msg(self, message: str) -> None:
        """Write one line."""
        with suppress(OSError, ValueError):
            self._write(message + "\n")

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


_outlet: Outlet | None = None


def write_apart() -> None:
    """From now on this process never waits for the readers of its standard output and standard error."""
    global _outlet  # noqa: PLW0603 - a process has one standard error
    if _outlet is None:
        outlet = _outlet = Outlet()
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = OutletStream(outlet, sys.stdout), OutletStream(outlet, sys.stderr)
        outlet.start()
        atexit.register(outlet.flush, FLUSH_SECONDS)


def state() -> LogState:
    """How the process's log is doing. Callable from any thread."""
    return LogState(0, 0, "") if _outlet is None else _outlet.state()


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every field whose name smells of a secret."""
    for name in event:
        if any(secret in name.lower() for secret in SECRET_NAMES):
            event[name] = "***"
    return event


def _rendered(renderer: Any) -> Any:
    """The renderer; a value that cannot be shown must not make its caller fail."""

    def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        told, level = str(event.get("event", "")), event.get("level", "")
        try:
            return renderer(logger, method, event)
        except Exception as error:  # noqa: BLE001 - whatever a repr raises
            return renderer(
                logger, method, {"event": told, "level": level, "not_shown": type(error).__name__}
            )

    return render


def configure(*, json: bool, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Set logging up for the process."""
    # A refused batch is split on purpose; psycopg warns of each pipeline that it gives up.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    renderer: Any = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    out = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.format_exc_info,
            _rendered(renderer),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(out.write),
        cache_logger_on_first_use=False,
    )
