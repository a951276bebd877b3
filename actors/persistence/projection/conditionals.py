"""What is projected of conditional orders. Pure."""

from __future__ import annotations

from typing import assert_never

from actors.core.facts import (
    ConditionalDue,
    ConditionalEnded,
    ConditionalFact,
    ConditionalPlaced,
    TrailMoved,
)
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.tables import Table

CONDITIONAL = Table(
    "bulkhead.conditional",
    ("client_order_id",),
    """client_order_id account_id order_sequence kind symbol side quantity trigger_price callback_rate activation_price
    first_extreme extreme due reduce_only leverage margin_reserved strategy decided_ms moment cause attempt not_before_ms
    status end_reason order_id""",
)


def project(batch: Batch, fact: ConditionalFact) -> None:
    """What a fact of a conditional order writes."""
    rows = batch.of(CONDITIONAL)
    match fact:
        case ConditionalPlaced():
            rows.insert(
                fact.client_order_id,
                account_id=fact.account_id,
                order_sequence=fact.sequence,
                kind=fact.kind,
                symbol=fact.symbol,
                side=fact.side,
                quantity=fact.quantity,
                trigger_price=fact.trigger_price,
                callback_rate=fact.callback_rate,
                activation_price=fact.activation_price,
                first_extreme=fact.extreme,
                extreme=fact.extreme,
                due=False,
                reduce_only=fact.reduce_only,
                leverage=fact.leverage,
                margin_reserved=fact.margin_reserved,
                strategy=fact.strategy,
                decided_ms=fact.decided_ms,
                moment=fact.moment,
                cause=fact.cause,
                attempt=fact.attempt,
                not_before_ms=fact.not_before_ms,
                status="WAITING",
            )
        case TrailMoved():
            rows.change(fact.client_order_id, extreme=fact.extreme)
        case ConditionalDue():
            rows.change(fact.client_order_id, due=True)
        case ConditionalEnded():
            rows.change(
                fact.client_order_id, status=fact.status, end_reason=fact.reason, order_id=fact.order_id
            )
        case _:
            assert_never(fact)
