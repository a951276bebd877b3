"""Unix milliseconds as texts, all in UTC. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS_MAX = int((datetime(9999, 12, 31, tzinfo=UTC) - EPOCH).total_seconds() * 1_000)


def time_of(wall_ms: int) -> str:
    """ISO 8601 with milliseconds, ``2026-11-22T09:30:00.123Z``; what no calendar has is its nearest end."""
    seconds, ms = divmod(_clamped(wall_ms), 1_000)
    return f"{_second(seconds)}.{ms:03d}Z"


def day_of(wall_ms: int) -> str:
    """The UTC day, as files are named; out of range as of ``time_of``."""
    return _second(_clamped(wall_ms) // 1_000)[:10]


def second_of(wall_ms: int) -> str:
    """As people read it, ``2026-11-22 09:30:00``; out of range as of ``time_of``."""
    return _second(_clamped(wall_ms) // 1_000).replace("T", " ")


def _clamped(wall_ms: int) -> int:
    return min(max(wall_ms, 0), MS_MAX)


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    # A calendar is the slowest part of a line, and many lines are of one second.
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
