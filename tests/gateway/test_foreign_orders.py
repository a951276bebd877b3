"""What nobody of ours did on the master is said in words that a human can act on."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.enums import Side
from actors.core.trades import Trade
from actors.gateway.foreign_orders import REMEMBERED, ForeignOrders, account_update
from actors.gateway.messages import Report, ReportStatus


def event(id_, status="NEW", stated="", executed="0", quantity=None):
    trade = None
    if quantity is not None:
        trade = Trade(
            exchange_order_id=9, trade_id=1, symbol="BTCUSDT", side=Side.SELL, quantity=D(quantity),
            price=D("61800.50"), fee=D(1), maker=False, trade_ms=1,
        )  # fmt: skip
    return Report(
        client_order_id=id_, exchange_order_id=9, symbol="BTCUSDT", status=ReportStatus(status),
        executed=D(executed), trade=trade, stated=stated or status,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("id_", "said"),
    [
        ("autoclose-123", "the exchange liquidated the master"),
        ("adl_autoclose", "the exchange deleveraged the master (ADL)"),
        ("settlement_autoclose-7", "the exchange settled a delisted or delivered contract"),
        ("web_abc", "an order that is not ours is on the master"),
    ],
)
def test_each_kind_is_named(id_, said):
    text = ForeignOrders().reported(event(id_, "FILLED", executed="0.500", quantity="0.500"))
    assert text.startswith(f"{said}: SELL 0.5 BTCUSDT at 61800.5 (client order id {id_}, FILLED)")
    assert "the books differ from the exchange by it" in text


def test_it_is_told_when_it_appears_and_when_it_ends():
    foreign = ForeignOrders()
    first = foreign.reported(event("web_1"))
    assert "0 executed" in first
    assert "books" not in first
    assert foreign.reported(event("web_1", "PARTIALLY_FILLED", executed="1", quantity="1")) == ""
    assert "2 executed" in foreign.reported(event("web_1", "FILLED", executed="2"))
    assert foreign.reported(event("web_1", "FILLED", executed="2")) == ""
    assert foreign.reported(event("web_1", "PARTIALLY_FILLED", executed="1")) == ""


def test_a_status_that_is_not_known_is_told_in_the_exchanges_word():
    assert "NEW_ADL" in ForeignOrders().reported(event("adl_autoclose", "UNKNOWN", "NEW_ADL"))


def test_a_flood_of_foreign_orders_is_forgotten_in_the_end():
    foreign = ForeignOrders()
    for n in range(REMEMBERED + 1):
        assert foreign.reported(event(f"web_{n}"))
    assert foreign.reported(event("web_0"))
    assert foreign.reported(event(f"web_{REMEMBERED}")) == ""


def test_changes_of_the_account_that_orders_and_funding_explain_are_not_told():
    assert account_update("ORDER", [("USDT", D(0))], [("BTCUSDT", D(1))]) == ""
    assert account_update("FUNDING_FEE", [("USDT", D("-1.5"))], []) == ""


def test_other_changes_of_the_account_are_told_with_their_amounts():
    told = account_update("WITHDRAW", [("USDT", D("-1000.50")), ("BNB", D(0))], [])
    assert "WITHDRAW: -1000.5 USDT" in told
    assert "ADJUSTMENT: BTCUSDT now 0.5" in account_update("ADJUSTMENT", [], [("BTCUSDT", D("0.50"))])
    assert "no amounts" in account_update("INSURANCE_CLEAR", [], [])
