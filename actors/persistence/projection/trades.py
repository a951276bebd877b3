"""What is projected of a trade: our record of it, and the platform's, one row for what it closed and one for what it opened.

Pure.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from actors.core.enums import OrderType, Purpose
from actors.core.errors import StateCorrupt
from actors.core.facts import FillApplied
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.units import ZERO, ClientOrderId
from actors.persistence.journal import EXCHANGE
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.row_ids import trade_row_id
from actors.persistence.projection.spelling import platform_symbol
from actors.persistence.projection.tables import Table

FILL = Table(
    "bulkhead.fill",
    ("exchange", "symbol", "trade_id", "client_order_id"),
    """exchange symbol trade_id client_order_id account_id exchange_order_id side quantity price fee maker trade_ms
    closed_quantity realized fee_asset fee_amount fee_rate fee_rate_ms quote_quantity""",
)

TRADE = Table(
    "trade_executions",
    ("id",),
    """id sub_account_id exchange_order_id client_order_id symbol side type price quantity notional fee realized_pnl
    action origin_type signature "timestamp\"""",
    adds=("fee",),
)


def project_fill(batch: Batch, decided: Decided, fact: FillApplied) -> None:
    """A trade and, in the platform's words, what it did. A fee in another asset stands beside it, empty in quote asset."""
    trade, state, taken = fact.trade, decided.state, fact.commission
    batch.of(FILL).insert(
        EXCHANGE,
        trade.symbol,
        trade.trade_id,
        fact.client_order_id,
        account_id=state.account_id,
        exchange_order_id=trade.exchange_order_id,
        side=trade.side,
        quantity=trade.quantity,
        price=trade.price,
        fee=fact.fee,
        maker=trade.maker,
        trade_ms=trade.trade_ms,
        closed_quantity=fact.closed_quantity,
        realized=fact.realized,
        fee_asset=(taken.asset or None) if taken else None,
        fee_amount=taken.amount if taken else None,
        fee_rate=taken.rate if taken else None,
        fee_rate_ms=taken.rate_ms if taken and taken.rate is not None else None,
        quote_quantity=trade.quote_quantity,
    )
    opened = trade.quantity - fact.closed_quantity
    share = fact.fee * fact.closed_quantity / trade.quantity
    brought, paid = trade.divided(fact.closed_quantity)
    if fact.closed_quantity > ZERO:
        action, _ = closing_action(fact)
        _leg(batch, decided, fact, 0, fact.closed_quantity, brought, share, fact.realized, action)
    if opened > ZERO:
        held = state.position(trade.symbol)
        fresh = held is not None and held.realized == ZERO and abs(held.quantity) == opened
        _leg(batch, decided, fact, 1, opened, paid, fact.fee - share, None, "OPEN" if fresh else "ADD")


def project_fee(batch: Batch, decided: Decided, fact: FeeBooked | FeeLearned) -> None:
    """A fee that became known, or was booked, after its trade."""
    rows = batch.of(FILL)
    if isinstance(fact, FeeLearned):
        order_id = _order_of(decided, fact)
        rows.change(
            EXCHANGE,
            fact.symbol,
            fact.trade_id,
            order_id,
            fee=ZERO,
            fee_asset=fact.asset,
            fee_amount=fact.amount,
        )
        return
    fee = fact.pending
    in_other = bool(fee.asset)
    rows.change(
        EXCHANGE,
        fee.symbol,
        fee.trade_id,
        fee.client_order_id,
        fee=fact.fee,
        fee_asset=fee.asset if in_other else None,
        fee_amount=fee.amount if in_other else None,
        fee_rate=fact.rate if in_other else None,
        fee_rate_ms=fact.rate_ms if in_other else None,
    )
    closing = fact.fee * fee.closed_quantity / fee.quantity
    for leg, part in enumerate((closing, fact.fee - closing)):
        if part != ZERO:
            batch.of(TRADE).change(trade_row_id(decided.state, fee, leg), fee=part)


def _order_of(decided: Decided, fact: FeeLearned) -> ClientOrderId:
    """The order whose trade it is: the fee is pending after the decision, unless it was booked by the same."""
    for other in decided.facts:
        known = other.pending if isinstance(other, FeeBooked) else None
        if known is not None and (known.symbol, known.trade_id) == (fact.symbol, fact.trade_id):
            return known.client_order_id
    pending = decided.state.pending_fee(fact.symbol, fact.trade_id)
    if pending is None:
        raise StateCorrupt(f"{decided.stream}: no fee of trade {fact.trade_id} of {fact.symbol} is pending")
    return pending.client_order_id


def closing_action(fact: FillApplied) -> tuple[str, str]:
    """What the platform calls a trade that closes, and what it calls a position that was closed so."""
    if fact.purpose is Purpose.LIQUIDATION:
        return "LIQUIDATE", "LIQUIDATED"
    if fact.purpose is Purpose.ADL:
        return f"ADL_TIER{fact.tier}", "CLOSED"
    if fact.purpose is Purpose.CLOSE_OUT:
        return "CLOSE_OUT", "CLOSED"
    return ("LIMIT_CLOSE" if fact.order_type is OrderType.LIMIT else "CLOSE"), "CLOSED"


def _leg(  # noqa: PLR0913 - what differs between the legs of a fill
    batch: Batch,
    decided: Decided,
    fact: FillApplied,
    leg: int,
    quantity: Decimal,
    notional: Decimal,
    fee: Decimal,
    realized: Decimal | None,
    action: str,
) -> None:
    trade, account_id = fact.trade, decided.state.account_id
    signed: tuple[object, ...] = (
        account_id,
        trade.symbol,
        trade.side,
        quantity,
        trade.price,
        trade.trade_id,
        leg,
    )
    if trade.quote_quantity is not None:
        signed = (*signed, fact.client_order_id)
    batch.of(TRADE).insert(
        trade_row_id(decided.state, trade, leg),
        sub_account_id=account_id,
        exchange_order_id=str(trade.exchange_order_id),
        client_order_id=fact.client_order_id,
        symbol=platform_symbol(trade.symbol),
        side=trade.side,
        type=fact.order_type,
        price=trade.price,
        quantity=quantity,
        notional=notional,
        fee=fee,
        realized_pnl=realized,
        action=action,
        origin_type="API",
        signature=hashlib.sha256(":".join(map(str, signed)).encode()).hexdigest(),
        **{'"timestamp"': decided.at},
    )
