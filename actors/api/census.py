"""Counts over all mailboxes, taken a few at a time so that a million actors cost no pause."""

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

log = structlog.get_logger("census")

CHUNK = 1_000
DUTY = 0.1
"""Share of time that counting may take from the actors: both hold the interpreter's lock."""

EVERY_SECONDS = 1.0


class Census(msgspec.Struct):
    """All mailboxes, each as it was at one moment.

    ``depths[n]`` counts mailboxes with less than 2**n messages and not less than half of that;
    ``ages[n]`` those whose oldest message has waited less than 2**n ns.
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


class CensusTaker:
    """Takes one census after the other, from a thread of its own.

    Args:
        actors: everybody to count, anew for each census.
        now_ns: the actors' clock.
    """

    def __init__(self, actors: Callable[[], Iterable[Ref]], now_ns: Callable[[], int]) -> None:
        self._actors, self._now_ns = actors, now_ns
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="census", daemon=True)
        self.latest = Census()
        self.taken = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Count no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def take(self, rest: Callable[[float], object] = lambda _seconds: None) -> Census:
        """Count everybody once; ``rest`` is told for how long to pause after each chunk."""
        census = Census()
        began = time.monotonic()
        everybody = iter(self._actors())
        while chunk := list(islice(everybody, CHUNK)):
            at = self._now_ns()
            for ref in chunk:
                census.add(ref, at)
            rest((self._now_ns() - at) / NANOS_PER_SECOND * (1 / DUTY - 1))
        census.took_s = time.monotonic() - began
        return census

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self.latest = self.take(self._stop.wait)
                self.taken += 1
            except Exception:
                log.exception("census failed")
            self._stop.wait(EVERY_SECONDS)


def by_status(refs: Iterable[Ref]) -> dict[str, int]:
    """How many actors have each status."""
    return dict(Counter(str(ref.cell.status) for ref in refs))
