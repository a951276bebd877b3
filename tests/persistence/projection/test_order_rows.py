"""The rows of new orders have each field of the fact, and are read back by name."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from actors.core.enums import ConditionalKind, OrderStatus, OrderType, Purpose, Side, TimeInForce
from actors.core.facts import ConditionalPlaced, OrderIntended
from actors.core.order_tags import TAGS
from actors.core.units import ClientOrderId
from actors.persistence.operator_records import OperatorRecords
from actors.persistence.projection import conditionals, order_rows, orders
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from tests.factories import ETH, account
from tests.persistence.authors import create

COMMON = {
    "symbol": ETH, "side": Side.SELL, "quantity": D("0.3"), "reduce_only": True, "leverage": D(7), "decided_ms": 5,
    "margin_reserved": D("1.5"), "cause": "request:1", **{tag: f"some {tag}" for tag in TAGS},
}  # fmt: skip


def intent(account_id, **changes):
    fields = {
        "account_id": account_id, "sequence": 1, "client_order_id": ClientOrderId("a-1"), "order_type": OrderType.LIMIT,
        "price": D(2001), "time_in_force": TimeInForce.GTX, "purpose": Purpose.USER, "tier": 0,
        "reference_price": D("2000.5"), **COMMON, **changes,
    }  # fmt: skip
    return OrderIntended(**fields)


def stop(account_id):
    return ConditionalPlaced(
        account_id=account_id, sequence=2, client_order_id=ClientOrderId("a-2"),
        kind=ConditionalKind.TRAILING_STOP_MARKET, trigger_price=D(1900), callback_rate=D("0.02"),
        activation_price=D(2100), extreme=D(2050), moment=9, attempt=3, not_before_ms=8, **COMMON,
    )  # fmt: skip


@pytest.fixture
def kept(store, dsn):
    """A connection to a database with an order and a conditional order of an account, and the two facts."""
    account_id = create(store)[0].account_id
    facts = (intent(account_id), stop(account_id))
    with psycopg.connect(dsn, autocommit=True) as connection:
        batch = Batch()
        decided = Decided(
            stream=account_id, sequence=1, position=1, wall_ms=5, hash=b"", facts=facts, state=account(account_id=account_id)
        )  # fmt: skip
        orders.project(batch, decided, facts[0])
        conditionals.project(batch, facts[1])
        with connection.transaction():
            batch.write(connection)
        yield connection, *facts


@pytest.mark.parametrize(
    ("table", "left_out", "also"),
    [
        ("intent", {"attempt", "conditional_id", "shortfall"}, {"tier": 0, "status": OrderStatus.INTENDED}),
        ("conditional", set(), {"first_extreme": D(2050), "status": "WAITING", "due": False}),
    ],
)
def test_each_field_of_a_fact_is_a_column_of_its_row(kept, table, left_out, also):
    connection, placed, waiting = kept
    fact = placed if table == "intent" else waiting
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(f"SELECT * FROM bulkhead.{table}").fetchone()
    expected = {n: v for n, v in msgspec.structs.asdict(fact).items() if n not in left_out}
    expected["order_sequence"] = expected.pop("sequence")
    expected |= also
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(("tier", "attempt", "column"), [(0, 0, 0), (2, 0, 2), (0, 3, 3)])
def test_a_step_s_tier_and_the_attempt_of_an_owner_s_order_share_a_column(tier, attempt, column):
    fact = intent("acct-1", tier=tier, attempt=attempt)
    assert order_rows.values(order_rows.INTENT, fact)["tier"] == column


def test_history_shows_what_the_owner_said_of_an_order(kept):
    connection, placed, waiting = kept
    records = OperatorRecords(connection)
    found = records.history(placed.account_id)
    assert {order.client_order_id for order in found} == {"a-1", "a-2"}
    for fact in (placed, waiting):
        order = records.order(fact.client_order_id)
        assert order in found
        shared = set(order.__struct_fields__) & set(fact.__struct_fields__)
        assert shared >= {*TAGS, "symbol", "side", "cause", "decided_ms"}
        shown = {name: getattr(order, name) for name in shared}
        assert shown == {name: getattr(fact, name) for name in shared} | {"quantity": "0.3"}
    assert [o.order_type for o in records.caused("request:1")] == ["LIMIT"]
    assert records.order("a-2").order_type == "TRAILING_STOP_MARKET"
