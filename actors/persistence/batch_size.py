"""How many decisions go into one transaction: as many as a commit of at most ten milliseconds takes. Pure.

A commit costs a fixed part (round trips, fsync) and a part per decision. So a full batch that was quick may be larger, and one
that was slow was too large, or Postgres is busy: then fewer decisions wait for each other.

Unless more wait behind it than the smaller one would hold. With a fixed part f and a part c for each decision, B that wait take
B x (f / n + c) in batches of n: less with every larger n, whatever f is, and those behind wait for it all. So a batch does not
shrink then, however slow it was, and grows while more wait than it held. Measured: 10,000 accounts that one price liquidates keep
the interpreter so busy that a commit takes 80 ms, nearly all of it fixed; in batches that had shrunk to 64 the last one was
durable after 12 s.
"""

from __future__ import annotations

from actors.core.constants import WRITER_BATCH_BEHIND, WRITER_BATCH_LEAST, WRITER_BATCH_MOST
from actors.core.units import NANOS_PER_MS, Nanos

SLOW = Nanos(7 * NANOS_PER_MS)
"""A third below the ten milliseconds that a commit may take: of a hundred, one takes that much longer."""

QUICK = Nanos(5 * NANOS_PER_MS)


def following(size: int, wrote: int, took: Nanos, left: int = 0) -> int:
    """The size of the next batch.

    Args:
        size: how many this batch could hold.
        wrote: how many it held.
        took: nanoseconds that its commit took.
        left: how many wait behind it.
    """
    if left > wrote:
        return max(size, min(WRITER_BATCH_BEHIND, size + size // 2))
    if took > SLOW and wrote > WRITER_BATCH_LEAST:
        # In proportion, yet never by more than half: one slow fsync says little of the next.
        less = max(WRITER_BATCH_LEAST, wrote // 2, wrote * SLOW // took)
        return less if left <= less else size
    if took < QUICK and wrote == size:
        return min(WRITER_BATCH_MOST, size + size // 2)
    return size
