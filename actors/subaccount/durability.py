"""The port that an account is loaded through; the writer implements it. ``core.durability`` is how decisions are stored."""

from __future__ import annotations

from typing import Any, ClassVar

from actors.core.messages import Lane, Message
from actors.core.units import AccountId
from actors.subaccount.state import AccountState


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
