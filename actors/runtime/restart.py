"""When to start a failed actor again, and when to leave it alone. Pure.

Rules
1. A burst is allowed, a sustained rate is not: ``max_restarts`` within ``window_ns``.
2. Each restart in the window waits twice as long as the one before, up to ``backoff_max_ns``.
3. Jitter comes from the caller, so that simulation can repeat it.
"""

from __future__ import annotations

import msgspec

from actors.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often an actor may fail. ``jitter`` is the fraction by which a wait may vary."""

    max_restarts: int = 5
    window_ns: Nanos = Nanos(30 * NANOS_PER_SECOND)
    backoff_first_ns: Nanos = Nanos(100 * NANOS_PER_MS)
    backoff_max_ns: Nanos = Nanos(30 * NANOS_PER_SECOND)
    jitter: float = 0.2


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
    recent = (*(t for t in history if now_ns - t < policy.window_ns), now_ns)
    if len(recent) > policy.max_restarts:
        return GiveUp(len(recent), policy.window_ns)
    wait = min(policy.backoff_first_ns << (len(recent) - 1), policy.backoff_max_ns)
    spread = 1 + policy.jitter * (2 * unit_random - 1)
    return RestartAfter(Nanos(int(wait * spread)), recent)
