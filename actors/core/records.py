"""What is kept beside the accounts' own state, and what is read back of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar

import msgspec

from actors.core.enums import LiquidationMode
from actors.core.messages import Lane, Message
from actors.core.orders import WorkingOrder
from actors.core.units import AccountId


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

    ``payload`` is the message as ``actors.core.replay_codec`` encodes it, empty if it cannot be replayed. ``capture`` is
    what the failure can be repeated with, as ``actors.subaccount.capture`` encodes it; empty where that is not known.
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
    capture: bytes = b""


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

    ``again`` says that an earlier run may have recorded it already.
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
    """Keep that the account is back in service."""

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway needs after a restart: orders without an end.

    ``recent`` is how many orders may have been sent so lately that the exchange still counts them in its windows
    of ten seconds and of a minute.
    """

    working: tuple[WorkingOrder, ...]
    recent: tuple[int, int] = (0, 0)


class LoadRecovery(Message, frozen=True, gc=False):
    """Send the gateway the working orders, after all that the writer was sent before."""

    LANE: ClassVar[Lane] = Lane.FILLS


class AuditEntry(msgspec.Struct, frozen=True):
    """What an operator did."""

    audit_id: int
    at_ms: int
    who: str
    action: str
    target: str
    detail: str
