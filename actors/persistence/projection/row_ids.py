"""Ids of rows that we make: hashes of what they name, so writing the same decision twice would collide. Pure."""

from __future__ import annotations

from actors.clearing.state import ORDER_IDS_BELOW
from actors.core.fees import PendingFee
from actors.core.trades import Trade
from actors.core.units import AccountId
from actors.subaccount.position import position_id
from actors.subaccount.state import AccountState

MEMBER_ORDERS_FROM = ORDER_IDS_BELOW - 10**15
"""Above it is the id of an account's order in a block; of an order of the exchange's it would do no harm."""


def row_id(*parts: object) -> str:
    """The id of whatever ``parts`` name, in UUID shape."""
    return position_id(AccountId(":".join(map(str, parts))), 0)


def pending_order_id(client_order_id: str) -> str:
    """Of the platform's pending order."""
    return row_id("pending", client_order_id)


def trade_row_id(state: AccountState, trade: Trade | PendingFee, leg: int) -> str:
    """Of the platform's trade: leg 0 is what it closed, leg 1 what it opened.

    Two orders of an account may have parts of one round, which have the round's trade id both.
    """
    if MEMBER_ORDERS_FROM < trade.exchange_order_id <= ORDER_IDS_BELOW:
        return row_id("trade", state.account_id, trade.symbol, trade.trade_id, trade.exchange_order_id, leg)
    return row_id("trade", state.account_id, trade.symbol, trade.trade_id, leg)
