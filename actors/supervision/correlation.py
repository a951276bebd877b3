"""A breaker for correlated failures: one cause, many actors, one answer. Pure.

When more actors than ``threshold`` fail at the same place within the window, the place is
*tripped*: those actors are parked instead of restarted, one of them is tried again after a
cooldown, and only when it stays well are the others restarted, a few at a time. So a bug that
hits ten thousand accounts costs one alarm and a handful of restarts, not fifty thousand.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.core.safe_copy import pairs
from actors.core.units import NANOS_PER_SECOND, Nanos


class CorrelationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When failures count as one.

    More than ``fraction`` of all actors, and more than ``at_least``, within ``window_ns``. The
    cooldown doubles after each probe that failed; a probe that is well for ``probe_ns`` ends it.
    """

    fraction: float = 0.01
    at_least: int = 20
    window_ns: Nanos = Nanos(10 * NANOS_PER_SECOND)
    cooldown_first_ns: Nanos = Nanos(5 * NANOS_PER_SECOND)
    cooldown_max_ns: Nanos = Nanos(300 * NANOS_PER_SECOND)
    probe_ns: Nanos = Nanos(5 * NANOS_PER_SECOND)

    def threshold(self, population: int) -> int:
        """How many actors may fail alike."""
        return max(self.at_least, int(self.fraction * population))


class Tripped(msgspec.Struct):
    """One cause that tripped. ``probe`` is the actor that is being tried."""

    cooldown_ns: Nanos
    parked: dict[str, None]
    probe: str | None = None
    seen: int = 0


class FailureBreaker:
    """Counts failures by place (``where``); see the module."""

    def __init__(self, policy: CorrelationPolicy) -> None:
        self.policy = policy
        self.tripped: dict[str, Tripped] = {}
        self._recent: dict[str, dict[str, Nanos]] = {}

    def failed(self, where: str, actor: str, now_ns: Nanos, population: int) -> bool:
        """Take a failure in.

        Returns:
            Whether this failure trips the breaker. Ask ``parks`` what to do with the actor.
        """
        trip = self.tripped.get(where)
        if trip is not None:
            trip.seen += 1
            trip.parked[actor] = None
            if trip.probe == actor:
                trip.probe = None
                trip.cooldown_ns = Nanos(min(2 * trip.cooldown_ns, self.policy.cooldown_max_ns))
            return False
        recent = self._recent.setdefault(where, {})
        recent.pop(actor, None)
        recent[actor] = now_ns
        while now_ns - recent[oldest := next(iter(recent))] > self.policy.window_ns:
            del recent[oldest]
        if len(recent) <= self.policy.threshold(population):
            return False
        del self._recent[where]
        self.tripped[where] = Tripped(self.policy.cooldown_first_ns, {actor: None}, seen=len(recent))
        return True

    def parks(self, where: str) -> bool:
        """Whether actors that fail at this place are parked."""
        return where in self.tripped

    def next_probe(self, where: str) -> str | None:
        """Choose a parked actor to try again; it is parked no more."""
        trip = self.tripped.get(where)
        if trip is None or trip.probe is not None or not trip.parked:
            return None
        trip.probe = next(iter(trip.parked))
        del trip.parked[trip.probe]
        return trip.probe

    def probe_was_well(self, where: str, actor: str) -> Iterable[str]:
        """The probe has been well long enough: close the breaker.

        Returns:
            All that are still parked, to be restarted; empty if the probe failed meanwhile.
        """
        trip = self.tripped.get(where)
        if trip is None or trip.probe != actor:
            return ()
        del self.tripped[where]
        return tuple(trip.parked)

    def forget(self, actor: str) -> list[str]:
        """The actor leaves in another way, by an operator or another failure: it is parked and probed no more.

        Returns:
            Places that need a new probe, because this one was theirs or it was the last one parked.
        """
        orphaned = []
        for where, trip in self.tripped.items():
            was_parked = trip.parked.pop(actor, 0) is None
            if trip.probe == actor:
                trip.probe = None
                orphaned.append(where)
            elif was_parked and not trip.parked and trip.probe is None:
                orphaned.append(where)
        return orphaned

    def drop_if_empty(self, where: str) -> None:
        """Close the breaker for a place if no actor is parked and none is being tried."""
        trip = self.tripped.get(where)
        if trip is not None and trip.probe is None and not trip.parked:
            del self.tripped[where]

    def prune(self, now_ns: Nanos) -> None:
        """Forget places where nothing failed within the window."""
        for where, recent in pairs(self._recent):
            if now_ns - next(reversed(recent.values())) > self.policy.window_ns:
                del self._recent[where]
