"""What the projector is asked."""

from __future__ import annotations

from typing import ClassVar

from actors.core.messages import Lane, Message


class ReleaseParked(Message, frozen=True, gc=False):
    """Project what a parked account missed, and leave it out no more; answers how many decisions that were.

    The answer is an error if they still cannot be projected: then it stays parked.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    stream: str
