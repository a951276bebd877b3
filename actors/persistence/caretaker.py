"""Looks after what the engine runs on, from a thread of its own.

That is the embedded database's process, which is started again; the log; and the file descriptors, without which no
new connection can be made.

I/O: looks at a process from a thread of its own.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from actors.core.alarm_level import Critical, Info
from actors.core.errors import StoreUnreachable
from actors.runtime import logs

log = structlog.get_logger("engine")

LOOK_SECONDS = 0.5
LOG_STUCK_SECONDS = 10.0
"""A reader of the log that takes nothing for so long is an alarm."""

LOG_ALARM_EVERY_SECONDS = 300.0
DESCRIPTORS_FEW = 8
"""So many file descriptors left are hardly any: the exchange's connections need them when they are cut."""

STOP_SECONDS = 3.0


class Database(Protocol):
    """What can die and be started again."""

    def died(self) -> str:
        """What became of it; empty while it lives."""
        ...

    def revive(self) -> None:
        """Start it again; see ``persistence.embedded``."""
        ...


class Caretaker:
    """See the module.

    Args:
        alarm: called with what a human should know.
        log_state: how the log is doing.
    """

    def __init__(
        self, alarm: Callable[[str], None], log_state: Callable[[], logs.LogState] = logs.state
    ) -> None:
        self._alarm, self._log_state = alarm, log_state
        self._database: Database | None = None
        self._outage: set[str] = set()
        self._began_s = 0.0
        self._dropped = 0
        self._log_alarm_s = float("-inf")
        self._few_left = False
        self._failed: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="caretaker", daemon=True)

    def start(self, database: Database | None) -> None:
        """Begin; ``database`` is the embedded one, if there is one."""
        self._database = database
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            for look in (self.look_at_database, self.look_at_log, self.look_at_descriptors):
                try:
                    look()
                except Exception as error:
                    # This thread must outlive whatever it meets, and say the same thing once.
                    if self._failed.get(look.__name__) != repr(error):
                        self._failed[look.__name__] = repr(error)
                        log.exception("the caretaker failed")

    def look_at_database(self) -> None:
        """Start the embedded Postgres again if it died."""
        database = self._database
        why = database.died() if database is not None else ""
        if database is None or not why:
            return
        if not self._outage:
            self._began_s = time.monotonic()
        self._once(
            "died",
            f"the embedded Postgres died ({why}): nothing is acknowledged or sent until it is started again",
        )
        try:
            database.revive()
        except StoreUnreachable as error:
            self._once("stays", f"Postgres died and does not start again; it is tried on and on: {error}")
            return
        if not database.died():
            self._outage.clear()
            self._alarm(
                Info(f"the embedded Postgres runs again, after {time.monotonic() - self._began_s:.1f} s")
            )

    def look_at_log(self) -> None:
        """Raise an alarm when lines of the log are lost, or not read."""
        state, now_s = self._log_state(), time.monotonic()
        lost = state.dropped - self._dropped
        if (
            not lost and state.stuck_s < LOG_STUCK_SECONDS
        ) or now_s - self._log_alarm_s < LOG_ALARM_EVERY_SECONDS:
            return
        self._log_alarm_s, self._dropped = now_s, state.dropped
        if lost:
            why = state.error or "whoever reads the log does not keep up"
            self._alarm(f"{lost} log lines are lost ({why}); the engine goes on without them")
        else:
            self._alarm(
                f"nobody has read the log for {state.stuck_s:.0f} s, and {state.waiting} bytes of it wait; "
                "the engine goes on, and drops log lines when there is no room for more"
            )

    def look_at_descriptors(self) -> None:
        """Tell when there is hardly a file descriptor left, and when there is again."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone, no paths
        except FileNotFoundError:  # not on Linux
            return
        except OSError:
            used = limit
        if not self._few_left and limit - used < DESCRIPTORS_FEW:
            self._few_left = True
            self._alarm(
                Critical(
                    f"{used} of {limit} file descriptors are in use: a connection to the exchange or to Postgres that "
                    "breaks now cannot be made anew, and nobody can connect; end clients of the API, or raise LimitNOFILE"
                )
            )
        elif self._few_left and limit - used > 2 * DESCRIPTORS_FEW:
            self._few_left = False
            self._alarm(Info(f"there are file descriptors again: {used} of {limit} are in use"))

    def _once(self, what: str, text: str) -> None:
        """Raise an alarm, once in an outage."""
        if what not in self._outage:
            self._outage.add(what)
            self._alarm(Critical(text))
