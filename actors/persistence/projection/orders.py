"""What is projected of orders and their trades. Pure.

A trade also writes what ``positions.py`` and ``trades.py`` say of it.
"""

from __future__ import annotations

from typing import assert_never

from actors.core.enums import OrderStatus, OrderType
from actors.core.facts import (
    CancelIntended,
    FillApplied,
    OrderAcknowledged,
    OrderEnded,
    OrderFact,
    OrderIntended,
)
from actors.core.units import ZERO
from actors.persistence.projection import order_rows, positions, risk, trades
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.row_ids import pending_order_id
from actors.persistence.projection.spelling import platform_symbol
from actors.persistence.projection.tables import Table

INTENT = Table(
    "bulkhead.intent",
    ("client_order_id",),
    " ".join([*order_rows.INTENT, "exchange_order_id filled cancel_requested end_code end_reason"]),
    adds=("filled",),
)

PENDING = Table(
    "pending_orders",
    ("id",),
    """id sub_account_id symbol side type price quantity leverage created_at status exchange_order_id filled_at
    cancelled_at""",
)
"""The platform's resting limit orders."""


def project(batch: Batch, decided: Decided, fact: OrderFact) -> None:
    """What a fact of an order writes."""
    match fact:
        case OrderIntended():
            _intended(batch, decided, fact)
        case CancelIntended():
            batch.of(INTENT).change(fact.client_order_id, cancel_requested=True)
        case OrderAcknowledged():
            batch.of(INTENT).change(
                fact.client_order_id,
                status=OrderStatus.ACKNOWLEDGED,
                exchange_order_id=fact.exchange_order_id,
            )
            batch.of(PENDING).change(
                pending_order_id(fact.client_order_id), exchange_order_id=str(fact.exchange_order_id)
            )
            risk.project_state(batch, decided)
        case OrderEnded():
            batch.of(INTENT).change(
                fact.client_order_id, status=fact.status, end_code=fact.code, end_reason=fact.reason
            )
            _pending_ended(batch, decided, fact)
            risk.project_state(batch, decided)
        case FillApplied():
            batch.of(INTENT).change(
                fact.client_order_id,
                filled=fact.trade.quantity,
                exchange_order_id=fact.trade.exchange_order_id,
            )
            trades.project_fill(batch, decided, fact)
            positions.project_fill(batch, decided, fact)
            risk.project_state(batch, decided)
        case _:
            assert_never(fact)


def _intended(batch: Batch, decided: Decided, fact: OrderIntended) -> None:
    values = order_rows.values(order_rows.INTENT, fact)
    batch.of(INTENT).insert(fact.client_order_id, **values, filled=ZERO, cancel_requested=False)
    if fact.order_type is OrderType.LIMIT:
        batch.of(PENDING).insert(
            pending_order_id(fact.client_order_id),
            sub_account_id=fact.account_id,
            symbol=platform_symbol(fact.symbol),
            side="LONG" if fact.side.sign > 0 else "SHORT",
            type="LIMIT",
            price=fact.price,
            quantity=fact.quantity,
            leverage=fact.leverage,
            created_at=decided.at,
            status="PENDING",
        )


def _pending_ended(batch: Batch, decided: Decided, fact: OrderEnded) -> None:
    filled = fact.status is OrderStatus.FILLED
    batch.of(PENDING).change(
        pending_order_id(fact.client_order_id),
        status="FILLED" if filled else "EXPIRED" if fact.status is OrderStatus.EXPIRED else "CANCELLED",
        filled_at=decided.at if filled else None,
        cancelled_at=None if filled else decided.at,
    )
