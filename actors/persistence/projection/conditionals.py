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
from actors.persistence.projection import order_rows
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.tables import Table

CONDITIONAL = Table(
    "bulkhead.conditional",
    ("client_order_id",),
    " ".join([*order_rows.CONDITIONAL, "due end_reason order_id"]),
)


def project(batch: Batch, fact: ConditionalFact) -> None:
    """What a fact of a conditional order writes."""
    rows = batch.of(CONDITIONAL)
    match fact:
        case ConditionalPlaced():
            values = order_rows.values(order_rows.CONDITIONAL, fact)
            rows.insert(fact.client_order_id, **values, due=False)
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
