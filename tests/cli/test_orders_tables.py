"""Tables of the commands about orders."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from actors.cli import orders_tables
from actors.core.order_tags import TAGS

ORDER = {
    "side": "BUY", "quantity": "1", "symbol": "ETHUSDT", "order_type": "LIMIT", "price": "1500", "cause": "request:7",
    "account_id": "acct-1", "client_order_id": "bh-1", "purpose": "USER", "tier": 2, "filled": "0.5", "status": "FILLED",
    "trade_ids": [4, 5], "end": "", "became": "", "decided_ms": 1_795_262_400_123,
    **dict.fromkeys(TAGS, ""),
}  # fmt: skip
STOP = {
    "side": "SELL", "quantity": "1", "symbol": "ETHUSDT", "kind": "STOP_MARKET", "trigger_price": "1400.5",
    "callback_rate": None, "activation_price": None, "reduce_only": True, "attempt": 0, "client_order_id": "bh-2",
    **dict.fromkeys(TAGS, "trend"),
}  # fmt: skip


def printed(table, found):
    out = io.StringIO()
    table(found, Console(file=out, width=200))
    return out.getvalue()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "SELL 1 ETHUSDT STOP_MARKET at 1,400.50 reduce-only"),
        ({"reduce_only": False}, "SELL 1 ETHUSDT STOP_MARKET at 1,400.50"),
        (
            {"kind": "TRAILING_STOP_MARKET", "trigger_price": None, "callback_rate": "0.020", "activation_price": "1550"},
            "SELL 1 ETHUSDT TRAILING_STOP_MARKET trailing by 0.02 from 1,550.00 reduce-only",
        ),
    ],
)  # fmt: skip
def test_an_order_that_waits_for_a_price_is_one_line(changes, text):
    assert orders_tables.conditional_text({**STOP, **changes}) == text


def test_an_order_is_one_line():
    assert orders_tables.order_text(ORDER) == "BUY 1 ETHUSDT LIMIT at 1,500.00"
    assert (
        orders_tables.order_text({**ORDER, "order_type": "MARKET", "price": None}) == "BUY 1 ETHUSDT MARKET"
    )


def test_working_orders_and_those_that_wait_are_one_table():
    text = printed(orders_tables.orders, {"orders": [ORDER], "conditionals": [STOP, {**STOP, "attempt": 1}]})
    assert text.count("WAITING") == 2
    assert "WAITING, attempt 2" in text
    assert "LIMIT at 1,500.00" in text
    assert printed(orders_tables.orders, {"orders": [], "conditionals": []}) == "no orders\n"


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_of_an_order_is_a_column_where_an_order_has_it(tag):
    bare = {**ORDER, **dict.fromkeys(TAGS, "")}
    waits = {**STOP, **dict.fromkeys(TAGS, "")}
    mine = {tag: "mine"}
    for orders, conditionals in (([{**bare, **mine}], [waits]), ([bare], [{**waits, **mine}])):
        text = printed(orders_tables.orders, {"orders": orders, "conditionals": conditionals})
        assert tag in text.splitlines()[1]
        assert text.count("mine") == 1
    assert tag not in printed(orders_tables.orders, {"orders": [bare], "conditionals": [waits]})


def test_a_cause_is_shown_with_its_orders_trades_and_ends():
    text = printed(orders_tables.caused, [{**ORDER, "end": "EXPIRED: no", "became": "bh-3"}])
    assert "4, 5" in text
    assert text.endswith("bh-1: EXPIRED: no\nbh-1 was sent as bh-3\n")
    assert printed(orders_tables.caused, []) == "no order has this cause\n"
