"""Rows of fees in another asset: what is pending, and what is booked when amount and rate are known. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.core.facts import FillApplied
from actors.core.fees import FeeBooked, FeeLearned, PendingFee
from actors.core.units import ZERO
from actors.persistence.row_ids import trade_row_id
from actors.subaccount.state import AccountState

Statement = tuple[str, tuple[Any, ...]]

EXCHANGE = "binance-usdm"


def columns_of(fact: FillApplied) -> tuple[Any, ...]:
    """fee_asset, fee_amount, fee_rate and fee_rate_ms of a fill; empty when it was taken in quote asset."""
    taken = fact.commission
    if taken is None:
        return None, None, None, None
    rate_ms = None if taken.rate is None else taken.rate_ms
    return taken.asset or None, taken.amount, taken.rate, rate_ms


def pending(state: AccountState, fact: FillApplied) -> Iterator[Statement]:
    """Rows of a fill whose fee is pending in ``state``, the one after its decision."""
    fee = state.pending_fee(fact.trade.symbol, fact.trade.trade_id)
    if fee is not None:
        yield "pending_fee_insert", _row(state, fee)


def learned(fact: FeeLearned) -> Iterator[Statement]:
    """Rows of a commission that became known."""
    key = (EXCHANGE, fact.symbol, fact.trade_id)
    yield "pending_fee_learned", (fact.asset, fact.amount, *key)
    yield "fill_fee", (ZERO, fact.asset, fact.amount, None, None, *key)


def booked(state: AccountState, fact: FeeBooked) -> Iterator[Statement]:
    """Rows of a pending fee that was booked, but for balance and open position."""
    fee = fact.pending
    key = (EXCHANGE, fee.symbol, fee.trade_id)
    taken = (fee.asset, fee.amount, fact.rate, fact.rate_ms) if fee.asset else (None, None, None, None)
    yield "fill_fee", (fact.fee, *taken, *key)
    yield "pending_fee_delete", key
    for share in fact.shares:
        if share.is_closed:
            yield "closed_position_fee", (share.fee, share.position_id)
    closing = fact.fee * fee.closed_quantity / fee.quantity
    for leg, part in enumerate((closing, fact.fee - closing)):
        if part != ZERO:
            yield "trade_fee", (part, trade_row_id(state, fee, leg))


def _row(state: AccountState, fee: PendingFee) -> tuple[Any, ...]:
    return (
        state.account_id,
        EXCHANGE,
        fee.symbol,
        fee.trade_id,
        fee.client_order_id,
        fee.exchange_order_id,
        fee.trade_ms,
        fee.quantity,
        fee.price,
        fee.closed_quantity,
        fee.position_id,
        fee.closed_id,
        fee.asset,
        fee.amount,
    )
