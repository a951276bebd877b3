"""Messages about orders from accounts and the writer to the gateway."""

from __future__ import annotations

from typing import Any, ClassVar

from actors.core.facts import CancelIntended, OrderIntended
from actors.core.messages import Lane, Message
from actors.core.orders import WorkingOrder
from actors.core.units import AccountId, ClientOrderId, Symbol


class Submit(Message, frozen=True, gc=False):
    """Writer to clearing or gateway, clearing to gateway: these orders and cancels are durable, send them.

    With a ``slot`` the one order in it was granted that by the gateway, and is sent at once.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    orders: tuple[OrderIntended, ...]
    cancels: tuple[CancelIntended, ...]
    slot: int = 0


class Resync(Message, frozen=True, gc=False):
    """Account to gateway: this is what I know of an order; ask the exchange, and send what I lack.

    Sent when fills do not add up, and for each working order after a restart: the account may
    have gone back to a state from before an event that the gateway believes delivered.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    order: WorkingOrder


class AskFees(Message, frozen=True, gc=False):
    """Account to gateway: what was taken for these trades of an order? Their fills did not say."""

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    client_order_id: ClientOrderId
    exchange_order_id: int
    symbol: Symbol
    trade_ids: tuple[int, ...]


class Recover(Message, frozen=True, gc=False):
    """Supervisor to gateway: take over these orders of an earlier run (``Recovery``)."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    recovery: Any
