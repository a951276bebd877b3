"""How many decisions go into one transaction: as many as a commit of at most ten milliseconds takes. Pure.

A commit costs a fixed part (round trips, fsync) and a part per decision. So a full batch that was quick may be larger, and one
that was slow was too large, or Postgres is busy: then fewer decisions wait for each other.
"""

from __future__ import annotations

from actors.core.constants import WRITER_BATCH_LEAST, WRITER_BATCH_MOST
from actors.core.units import NANOS_PER_MS, Nanos

SLOW = Nanos(7 * NANOS_PER_MS)
"""A third below the ten milliseconds that a commit may take: of a hundred, one takes that much longer."""

QUICK = Nanos(5 * NANOS_PER_MS)


def following(size: int, wrote: int, took: Nanos) -> int:
    """The size of the next batch.

    Args:
        size: how many this batch could hold.
        wrote: how many it held.
        took: nanoseconds that its commit took.
    """
    if took > SLOW and wrote > WRITER_BATCH_LEAST:
        # In proportion, yet never by more than half: one slow fsync says little of the next.
        return max(WRITER_BATCH_LEAST, wrote // 2, wrote * SLOW // took)
    if took < QUICK and wrote == size:
        return min(WRITER_BATCH_MOST, size + size // 2)
    return size
