"""The rows of new orders: each column with what it takes of the fact. Pure.

A field of the fact is a column of its name; only what differs is named here. So a new field needs its column in a
new version of the schema, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any, LiteralString

import msgspec

from actors.core.enums import OrderStatus
from actors.core.facts import ConditionalPlaced, OrderIntended

Columns = dict[str, Callable[[Any], Any]]


def _by_name(fact: type[msgspec.Struct], but: Collection[str]) -> Columns:
    return {name: attrgetter(name) for name in fact.__struct_fields__ if name not in but}


INTENT: Columns = {
    **_by_name(OrderIntended, {"sequence", "attempt", "conditional_id"}),
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


def insert(table: str, columns: Columns) -> LiteralString:
    """The statement that inserts such a row."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608 - our own names


def values(columns: Columns, fact: msgspec.Struct) -> tuple[Any, ...]:
    """Its parameters."""
    return tuple(get(fact) for get in columns.values())
