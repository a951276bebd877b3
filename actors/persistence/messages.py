"""What the writer is told, and what it answers.

All of it shares one lane, so a load sees everything that was told before it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from actors.core.messages import Lane, Message


class AskStore(Message, frozen=True, gc=False):
    """Run ``call(store)`` in the writer's thread, after all that was told before; answers it.

    After ``begin_by_ns`` on the monotonic clock, if that is given, it is not run any more.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    call: Any
    begin_by_ns: int = 0
