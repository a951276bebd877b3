"""The rows of new orders: each column with what it takes of the fact. Pure.

A field of the fact is a column of its name; only what differs is named here. So a new field needs its column,
``added`` of the table in ``orders.py`` or ``conditionals.py`` or in a new version of the schema, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any

import msgspec

from actors.core.enums import OrderStatus
from actors.core.facts import ConditionalPlaced, OrderIntended

KEY = "client_order_id"

Columns = dict[str, Callable[[Any], Any]]


def _by_name(fact: type[msgspec.Struct], but: Collection[str]) -> Columns:
    return {name: attrgetter(name) for name in fact.__struct_fields__ if name not in but}


INTENT: Columns = {
    **_by_name(OrderIntended, {"sequence", "attempt", "conditional_id", "shortfall"}),
    "order_sequence": attrgetter("sequence"),
    "tier": lambda fact: (
        fact.tier or fact.attempt
    ),  # one column: a step has a tier, an owner's order attempts
    "status": lambda _: OrderStatus.INTENDED,
}

CONDITIONAL: Columns = {
    **_by_name(ConditionalPlaced, {"sequence"}),
    "order_sequence": attrgetter("sequence"),
    "first_extreme": attrgetter("extreme"),
    "status": lambda _: "WAITING",
}


def values(columns: Columns, fact: msgspec.Struct) -> dict[str, Any]:
    """Such a row, but for its key."""
    return {name: get(fact) for name, get in columns.items() if name != KEY}
