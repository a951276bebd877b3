"""Messages of accounts as JSON, so that a dead letter can be replayed after years and restarts."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.core.enums import CloseOutScope
from actors.core.errors import BadInput
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    BookRecovered,
    CallOff,
    CancelOrder,
    CloseOut,
    FaultOnPurpose,
    FeeKnown,
    Fill,
    Message,
    OrderAccepted,
    OrderClosed,
    PlaceConditional,
    PlaceOrder,
    PlatformKnown,
    RateKnown,
    Reconsider,
    Reopen,
    ResetBreaker,
    SetLimits,
    SetMode,
    SetStatus,
    SettleFee,
    TripBreaker,
    Wake,
)
from actors.core.trades import flattened, nested

REPLAYABLE: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        PlaceOrder,
        PlaceConditional,
        CancelOrder,
        ApplyFunding,
        SetLimits,
        SetMode,
        TripBreaker,
        ResetBreaker,
        CloseOut,
        CallOff,
        Reopen,
        AdjustBalance,
        SetStatus,
        SettleFee,
        PlatformKnown,
        FaultOnPurpose,
        Reconsider,
        Wake,
        OrderAccepted,
        Fill,
        FeeKnown,
        RateKnown,
        BookRecovered,
        OrderClosed,
    )
}
"""Messages to an account. Those between the engine's own actors are requested again instead."""


def encode(message: Any) -> str:
    """JSON of a replayable message; empty for all others, and for one that JSON cannot hold."""
    if REPLAYABLE.get(type(message).__name__) is not type(message):
        return ""
    try:
        return msgspec.json.encode(_of_fill(message) if isinstance(message, Fill) else message).decode()
    except Exception:  # noqa: BLE001 - it describes a poison message; it must not be one itself
        return ""


def _of_fill(fill: Fill) -> dict[str, Any]:
    fields = flattened(fill)
    if fill.end is None:
        del fields["end"]  # as releases write it that know of none
    return fields


def decode(kind: str, payload: str) -> Message:
    """The message that ``encode`` was given.

    Raises:
        BadInput: not a replayable message, or not one of today's shape; says which.
    """
    known = REPLAYABLE.get(kind)
    if known is None or not payload:
        raise BadInput(f"a {kind} cannot be replayed; drop it instead")
    try:
        if known is Fill:
            return msgspec.convert(nested(msgspec.json.decode(payload, type=dict[str, Any])), Fill)
        message = msgspec.json.decode(payload, type=known)
    except msgspec.MsgspecError as error:
        raise BadInput(f"this {kind} cannot be read any more ({error}); drop it instead") from None
    if isinstance(message, CloseOut):
        # Written before a close-out had a scope of its own, its reason alone says that it is the fleet's.
        return CloseOut(message.reason, CloseOutScope.of_reason(message.reason))
    return message
