"""When to start a failed actor again, and when to leave it alone. Pure.

Rules
1. A burst is allowed, a sustained rate is not: ``max_restarts`` within ``window_ns``.
2. Each restart waits twice as long as the one before, up to ``backoff_max_ns``, until the
   actor has been healthy for ``healthy_ns``.
3. Jitter comes from the caller, so that simulation can repeat it.
"""

from __future__ import annotations

import msgspec

from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos

HISTORY_MAX = 63
"""Failures remembered of an actor that is never healthy for long; the wait stands long before."""


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often an actor may fail. ``jitter`` is the fraction by which a wait may vary.

    Raises:
        ValueError: a bound that cannot be; names it.
    """

    max_restarts: int = 5
    window_ns: Nanos = Nanos(30 * NANOS_PER_SECOND)
    backoff_first_ns: Nanos = Nanos(100 * NANOS_PER_MS)
    backoff_max_ns: Nanos = Nanos(30 * NANOS_PER_SECOND)
    healthy_ns: Nanos = Nanos(60 * NANOS_PER_SECOND)
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if self.max_restarts < 0:
            raise ValueError(f"max_restarts {self.max_restarts} must be at least 0")
        if not 0 < self.backoff_first_ns <= self.backoff_max_ns:
            raise ValueError(
                f"waits {self.backoff_first_ns} to {self.backoff_max_ns} ns must grow from above 0"
            )
        if self.window_ns < 1 or self.healthy_ns < 1:
            raise ValueError(
                f"window {self.window_ns} and healthy time {self.healthy_ns} must be at least 1 ns"
            )
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter {self.jitter} must be in [0, 1)")


class RestartAfter(msgspec.Struct, frozen=True):
    """Start the actor again after this wait. ``history`` is what to pass in next time."""

    wait_ns: Nanos
    history: tuple[Nanos, ...]


class GiveUp(msgspec.Struct, frozen=True):
    """Too many failures in the window."""

    failures: int
    window_ns: Nanos


def after_crash(
    history: tuple[Nanos, ...], now_ns: Nanos, policy: RestartPolicy, unit_random: float
) -> RestartAfter | GiveUp:
    """Decide on the failure that happens at ``now_ns``.

    Args:
        history: times of earlier failures, oldest first.
        now_ns: time of this failure, on the same clock.
        policy: the limits.
        unit_random: a number in [0, 1) that places the wait within its jitter.
    """
    if history and now_ns - history[-1] >= policy.healthy_ns:
        history = ()
    history = (*history[-HISTORY_MAX:], now_ns)
    failures = sum(now_ns - t < policy.window_ns for t in history)
    if failures > policy.max_restarts:
        return GiveUp(failures, policy.window_ns)
    wait = min(policy.backoff_first_ns << (len(history) - 1), policy.backoff_max_ns)
    spread = 1 + policy.jitter * (2 * unit_random - 1)
    return RestartAfter(Nanos(int(wait * spread)), history)
