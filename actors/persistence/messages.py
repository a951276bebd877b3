"""What the writer is told, and what it answers.

All of it shares one lane, so a load sees everything that was told before it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from actors.facts import AnyFact, LiquidationMode, OrderIntended, OrderStatus
from actors.messages import Lane, Message
from actors.subaccount.state import AccountState
from actors.units import AccountId


class Persist(Message, frozen=True, kw_only=True, gc=False):
    """Make one decision durable, then forward its orders and cancels, then answer.

    ``state`` is the account after ``facts``; its ``sequence`` is ``previous_sequence`` + 1.
    ``life`` counts the account's restarts. ``reply_to`` (a future) gets ``reply`` once the decision is durable, or ``NotDurable``.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    previous_sequence: int
    facts: tuple[AnyFact, ...]
    state: AccountState
    wall_ms: int
    life: int = 0
    reply_to: Any = None
    reply: Any = None
    cause: str = ""


class LoadAccount(Message, frozen=True, gc=False):
    """Answer ``asker``, a ref, with ``AccountLoaded``, after all that was told before.

    ``life`` is how often the asker was restarted: an answer to another life of it is no answer.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    asker: Any
    life: int


class AccountLoaded(Message, frozen=True, gc=False):
    """The durable state of an account; ``None``, and why, when there is none that can be read."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    state: AccountState | None
    life: int
    reason: str = ""


class DecisionLost(Message, frozen=True, gc=False):
    """The writer could not store a decision: the account must go back to its durable state.

    ``life`` is the number of restarts that the account had when it decided.
    """

    LANE: ClassVar[Lane] = Lane.CONTROL

    life: int
    reason: str


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account to create, with its first deposit in quote asset."""

    account_id: AccountId
    name: str
    deposit: Decimal
    mode: LiquidationMode = LiquidationMode.ADL_30
    maintenance_rate: Decimal = Decimal("0.005")
    max_leverage: Decimal | None = None
    max_notional_per_trade: Decimal | None = None
    max_total_exposure: Decimal | None = None
    liquidation_threshold: Decimal | None = None


class RecordDeadLetter(Message, frozen=True, kw_only=True, gc=False):
    """Keep a message that its actor could not handle, with what it met.

    ``payload`` is the message as ``actors.wire`` encodes it, empty if it cannot be replayed.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    actor: str
    message_kind: str
    message: str
    error: str
    traceback: str
    state: str
    wall_ms: int
    payload: str = ""
    cause: str = ""


class RecordQuarantine(Message, frozen=True, kw_only=True, gc=False):
    """Keep that an account is out of service, and why, across restarts of the engine."""

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    reason: str
    wall_ms: int
    error: str = ""
    traceback: str = ""
    state: str = ""


class RecordAudit(Message, frozen=True, kw_only=True, gc=False):
    """Keep what an operator did; ``stored`` is called, in the writer's thread, once it is durable.

    ``again`` says that an earlier life may have recorded it already.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    at_ms: int
    who: str
    action: str
    target: str
    detail: str
    again: bool
    stored: Callable[[], None]


class QuarantineRecord(msgspec.Struct, frozen=True):
    """Why an account is out of service."""

    account_id: AccountId
    since_ms: int
    reason: str
    error: str
    traceback: str
    state: str


class LiftQuarantine(Message, frozen=True, gc=False):
    """The account is back in service."""

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId


class KnownOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the database knows of one order."""

    order: OrderIntended
    status: OrderStatus
    filled: Decimal
    exchange_order_id: int | None
    trade_ids: tuple[int, ...]
    cancel_requested: bool = False


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway needs after a restart: orders without an end.

    ``recent`` is how many orders may have been sent so lately that the exchange still counts them in its windows
    of ten seconds and of a minute.
    """

    working: tuple[KnownOrder, ...]
    recent: tuple[int, int] = (0, 0)


class LoadRecovery(Message, frozen=True, gc=False):
    """Tell the gateway what works, after all that was told before."""

    LANE: ClassVar[Lane] = Lane.FILLS


class AskStore(Message, frozen=True, gc=False):
    """Run ``call(store)`` in the writer's thread, after all that was told before; answers it.

    After ``begin_by_ns`` on the monotonic clock, if that is given, it is not run any more.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    call: Any
    begin_by_ns: int = 0
