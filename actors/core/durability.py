"""The port that decisions are stored through; the writer implements it.

A stream is whoever decides, an account or a symbol's clearing: by the account's id, or the clearing's name (see
``core.clearing_messages``).
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from actors.core.clearing_facts import ClearingFact
from actors.core.facts import AnyFact
from actors.core.messages import Lane, Message

StreamFacts = tuple[AnyFact, ...] | tuple[ClearingFact, ...]
"""What one decision of a stream made; which of the two the stream says."""


class Sequenced(Protocol):
    """A state that counts its decisions."""

    @property
    def sequence(self) -> int:
        """How many were decided so far."""


class Persist(Message, frozen=True, kw_only=True, gc=False):
    """Make one decision durable, then forward its orders and cancels, then answer.

    ``state`` is that of the stream after ``facts``; its ``sequence`` is ``previous_sequence`` + 1. Facts are
    ``ClearingFact`` in a clearing's stream, and ``AnyFact`` in an account's.
    ``incarnation`` counts the restarts of who decides. ``reply_to`` (a future) gets ``reply`` once the decision is durable, or ``NotDurable``.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    stream: str
    previous_sequence: int
    facts: StreamFacts
    state: Sequenced
    wall_ms: int
    incarnation: int = 0
    reply_to: Any = None
    reply: Any = None
    cause: str = ""


class PersistFirst(Persist, frozen=True, kw_only=True, gc=False):
    """A decision for which many others wait: a clearing's.

    It overtakes decisions of accounts in the writer's mailbox, and may: it stands on none that is not durable yet.
    Behind those of ten thousand accounts, each step of a block would take as long as all of them.
    """

    LANE: ClassVar[Lane] = Lane.CONTROL


class DecisionLost(Message, frozen=True, gc=False):
    """The writer could not store a decision: who decided must go back to its durable state.

    ``incarnation`` is the number of restarts that it had when it decided.
    """

    LANE: ClassVar[Lane] = Lane.CONTROL

    incarnation: int
    reason: str
