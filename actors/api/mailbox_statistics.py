"""Statistics over all mailboxes, collected a few at a time so that a million actors cost no pause."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

import msgspec
import structlog

from actors.core.units import NANOS_PER_SECOND
from actors.runtime.actor import Ref
from actors.runtime.mailbox import Counters

log = structlog.get_logger("mailbox-statistics")

CHUNK = 1_000
DUTY = 0.1
"""Share of time that counting may take from the actors: both need the interpreter's lock."""

EVERY_SECONDS = 1.0


class MailboxStatistics(msgspec.Struct):
    """Sums over all mailboxes. Each mailbox is counted at one instant, different ones at different instants.

    ``depths[n]`` counts mailboxes whose number of waiting messages has n bits: 2**(n-1) to 2**n - 1.
    ``ages[n]`` counts those whose oldest message has waited a number of nanoseconds with n bits.
    """

    actors: int = 0
    restarts: int = 0
    congested: int = 0
    not_conserved: int = 0
    accepted: int = 0
    handled: int = 0
    conflated: int = 0
    dead_lettered: int = 0
    refused: int = 0
    queued: int = 0
    in_hand: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    depths: list[int] = msgspec.field(default_factory=lambda: [0] * 64)
    ages: list[int] = msgspec.field(default_factory=lambda: [0] * 64)
    ages_sum_s: float = 0.0
    took_s: float = 0.0

    def add(self, ref: Ref, now_ns: int) -> None:
        """Count one actor."""
        cell = ref.cell
        found: Counters = cell.mailbox.counters()
        self.actors += 1
        self.restarts += cell.restarts
        self.congested += cell.mailbox.congested
        self.not_conserved += not found.is_conserved
        for field in ("accepted", "handled", "conflated", "dead_lettered", "refused", "queued", "in_hand"):
            setattr(self, field, getattr(self, field) + getattr(found, field))
        self.statuses[cell.status] = self.statuses.get(cell.status, 0) + 1
        self.depths[found.queued.bit_length()] += 1
        oldest_ns = cell.mailbox.oldest_ns()
        if oldest_ns is not None:
            age_ns = max(0, now_ns - oldest_ns)
            self.ages[age_ns.bit_length()] += 1
            self.ages_sum_s += age_ns / NANOS_PER_SECOND


class StatisticsCollector:
    """Collects statistics again and again, in a thread of its own.

    Args:
        actors: all actors to count; called for each round.
        now_ns: the actors' clock.
    """

    def __init__(self, actors: Callable[[], Iterable[Ref]], now_ns: Callable[[], int]) -> None:
        self._actors, self._now_ns = actors, now_ns
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mailbox-statistics", daemon=True)
        self.latest = MailboxStatistics()
        self.rounds = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def current(self) -> MailboxStatistics:
        """The latest statistics; collected now if there are none yet."""
        return self.latest if self.rounds else self.collect()

    def collect(self, rest: Callable[[float], object] = lambda _seconds: None) -> MailboxStatistics:
        """Count all actors once; ``rest`` is called after each chunk with the seconds to pause."""
        found = MailboxStatistics()
        began = time.monotonic()
        actors = iter(self._actors())
        while chunk := list(islice(actors, CHUNK)):
            at = self._now_ns()
            for ref in chunk:
                found.add(ref, at)
            rest((self._now_ns() - at) / NANOS_PER_SECOND * (1 / DUTY - 1))
        found.took_s = time.monotonic() - began
        return found

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self.latest = self.collect(self._stop.wait)
                self.rounds += 1
            except Exception:
                log.exception("mailbox statistics failed")
            self._stop.wait(EVERY_SECONDS)


def by_status(refs: Iterable[Ref]) -> dict[str, int]:
    """How many actors have each status."""
    return dict(Counter(str(ref.cell.status) for ref in refs))
