"""Messages between a symbol's clearing, the gateway, the writer and the accounts."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, NamedTuple

from actors.core.enums import OrderClass, Side
from actors.core.messages import Lane, Message
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol

CLEARING_PREFIX = "clearing:"
"""Names of clearing actors begin so, and the streams of their facts; no account id can."""


def clearing_name(symbol: Symbol) -> str:
    """The name of a symbol's clearing actor, which is the stream of its facts too."""
    return CLEARING_PREFIX + symbol


def is_clearing(stream: str) -> bool:
    """Whether a stream, or the owner of an order, is a symbol's clearing."""
    return stream.startswith(CLEARING_PREFIX)


class Group(NamedTuple):
    """What may go out as one block: orders of one symbol, side and class."""

    symbol: Symbol
    side: Side
    order_class: OrderClass


class Want(Message, frozen=True, kw_only=True, gc=False):
    """Clearing to gateway: orders of a group wait for a slot. The newest one counts; none with ``orders`` = 0.

    ``shortfall`` is what their accounts lack of maintenance margin, in quote asset, summed; ``since_ms`` when the one that
    waits longest was decided, in Unix milliseconds.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    group: Group
    orders: int
    shortfall: Decimal = ZERO
    since_ms: int = 0


class Grant(Message, frozen=True, gc=False):
    """Gateway to clearing: one order of this group may be sent now, with this slot. It ends the group's want.

    ``interval_ms`` is how far apart slots of this group should be, so that those that may be used at once last; 0: it does not matter.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    group: Group
    slot: int
    interval_ms: int = 0


class ReturnSlot(Message, frozen=True, gc=False):
    """Clearing to gateway: nothing is sent with this slot."""

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    slot: int


class OrderDone(Message, frozen=True, gc=False):
    """Gateway to clearing: an account's own market order, which went alone, is final or was given back."""

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    client_order_id: ClientOrderId


class GatewayStarted(Message, frozen=True, gc=False):
    """Gateway to each clearing: wants and slots of before are forgotten; say again what waits."""

    LANE: ClassVar[Lane] = Lane.CONTROL


class Durable(Message, frozen=True, gc=False):
    """Writer to clearing: its decision of that sequence is durable, and all before it."""

    LANE: ClassVar[Lane] = Lane.FILLS

    sequence: int


class ReplaceStep(Message, frozen=True, gc=False):
    """Account to clearing (or gateway): I would decide otherwise by now; give this step back if it still waits.

    Answered by ``OrderClosed(waited=True, again=True)`` when it waited, else by ``StepUnderWay``.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    symbol: Symbol
    client_order_id: ClientOrderId


class StepUnderWay(Message, frozen=True, gc=False):
    """Clearing (or gateway) to account: this step waits no more, so it cannot be replaced."""

    LANE: ClassVar[Lane] = Lane.FILLS

    client_order_id: ClientOrderId


class OrdersBooked(Message, frozen=True, gc=False):
    """Writer (or account) to clearing: the ends of these orders are durable in their accounts; nobody asks for them again.

    A block is forgotten when all of its members are booked; without this message it is kept, which is safe and takes room.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    client_order_ids: tuple[ClientOrderId, ...]
