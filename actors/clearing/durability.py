"""The port that a clearing's state is loaded through; the writer implements it. ``core.durability`` is how decisions are stored."""

from __future__ import annotations

from typing import Any, ClassVar

from actors.clearing.state import ClearingState
from actors.core.messages import Lane, Message
from actors.core.units import Symbol


class LoadClearing(Message, frozen=True, gc=False):
    """Answer ``asker``, a ref, with ``ClearingLoaded``, after all that was told before.

    ``incarnation`` is how often the asker was restarted: an answer to another incarnation of it is no answer.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    asker: Any
    incarnation: int


class ClearingLoaded(Message, frozen=True, gc=False):
    """The durable state of a symbol's clearing, blank where it decided nothing yet; None, and why, if it cannot be read."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    state: ClearingState | None
    incarnation: int
    reason: str = ""
