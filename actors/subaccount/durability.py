"""The port that an account is stored through; the writer implements it."""

from __future__ import annotations

from typing import Any, ClassVar

from actors.core.facts import AnyFact
from actors.core.messages import Lane, Message
from actors.core.units import AccountId
from actors.subaccount.state import AccountState


class Persist(Message, frozen=True, kw_only=True, gc=False):
    """Make one decision durable, then forward its orders and cancels, then answer.

    ``state`` is the account after ``facts``; its ``sequence`` is ``previous_sequence`` + 1.
    ``incarnation`` counts the account's restarts. ``reply_to`` (a future) gets ``reply`` once the decision is durable, or ``NotDurable``.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    previous_sequence: int
    facts: tuple[AnyFact, ...]
    state: AccountState
    wall_ms: int
    incarnation: int = 0
    reply_to: Any = None
    reply: Any = None
    cause: str = ""


class LoadAccount(Message, frozen=True, gc=False):
    """Answer ``asker``, a ref, with ``AccountLoaded``, after all that was told before.

    ``incarnation`` is how often the asker was restarted: an answer to another incarnation of it is no answer.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    asker: Any
    incarnation: int


class AccountLoaded(Message, frozen=True, gc=False):
    """The durable state of an account; ``None``, and why, when there is none that can be read."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    state: AccountState | None
    incarnation: int
    reason: str = ""


class DecisionLost(Message, frozen=True, gc=False):
    """The writer could not store a decision: the account must go back to its durable state.

    ``incarnation`` is the number of restarts that the account had when it decided.
    """

    LANE: ClassVar[Lane] = Lane.CONTROL

    incarnation: int
    reason: str
