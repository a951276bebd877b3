"""What the writer is asked by the API and at a start.

All of its messages share one lane, so a load sees everything that was sent before it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from actors.core.messages import Lane, Message
from actors.persistence.queries import Query


class AskStore(Message, frozen=True, gc=False):
    """Run ``query`` in the writer's thread, after all that was sent before; answers it.

    After ``begin_by_ns`` on the monotonic clock, unless that is 0, it is not begun any more.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    query: Query[Any]
    begin_by_ns: int = 0
