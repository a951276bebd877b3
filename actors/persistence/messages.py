"""What the writer is asked by the API and at a start, and what it hands on to the projector.

All of its messages share one lane, so a load sees everything that was sent before it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from actors.core.durability import Persist
from actors.core.messages import Lane, Message
from actors.persistence.queries import Query


class AskStore(Message, frozen=True, gc=False):
    """Run ``query`` in the writer's thread, after all that was sent before; answers it.

    After ``begin_by_ns`` on the monotonic clock, unless that is 0, it is not begun any more.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    query: Query[Any]
    begin_by_ns: int = 0


class Committed(Message, frozen=True, gc=False):
    """Decisions that are durable, in the order of their positions in the journal; ``first`` is that of the first.

    ``hashes`` are those of their rows, ``root`` is the journal's behind the last one. With a ``first`` of 0 there is more in
    the journal than was handed over.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    first: int
    decisions: tuple[Persist, ...] = ()
    hashes: tuple[bytes, ...] = ()
    root: bytes = b""

    def __repr__(self) -> str:
        """In short: an operator looks at it while it waits, and thousands of decisions would take a second to write out."""
        return f"Committed(first={self.first}, decisions={len(self.decisions)})"
