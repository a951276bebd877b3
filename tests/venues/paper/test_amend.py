"""Amending resting orders."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from tests.factories import BUY, ETH, SELL
from tests.venues.paper.test_matching import exchange, limit, order_events, quote


def resting(ex):
    ex.on_quote(quote(), 1)
    return ex.place(limit(1, BUY, 1990, "2"), 1)[0]


def amend(ex, order, quantity="2", price="1991", side=BUY):
    return ex.amendments.amend(ETH, order.order_id, None, side, D(quantity), D(price), 5)


def test_an_amendment_is_published_recorded_and_may_trade_at_once():
    ex = exchange()
    order = resting(ex)
    _, number, events = amend(ex, order)
    assert (number, order_events(events)) == (1, [("c1", "AMENDMENT", "NEW")])
    assert ex.orders.resting[ETH].notional[BUY] == 2 * 1991
    _, _, events = amend(ex, order, "3", "2000.10")
    assert [x for _, x, _ in order_events(events)] == ["AMENDMENT", "TRADE"]
    newest, oldest = ex.amendments.history(order.order_id)
    assert (oldest.amendment.price.before, oldest.amendment.price.after) == ("1990", "1991")
    assert (newest.amendment.count, newest.amendment.origQty.after) == (2, "3")


def test_a_quantity_that_is_executed_already_ends_it():
    ex = exchange()
    order = resting(ex)
    ex.on_quote(quote("1989.00", "1989.50", size="1.5"), 2)
    _, _, events = amend(ex, order, "1", "1985")
    assert order_events(events) == [("c1", "CANCELED", "CANCELED")]
    assert not ex.orders.resting[ETH]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": "1990"}, PaperCode.SAME_ORDER),
        ({"side": SELL}, PaperCode.INVALID_SIDE),
        ({"price": "1990.001"}, PaperCode.PRICE_NOT_INCREASED_BY_TICK_SIZE),
        ({"price": "2900"}, PaperCode.PRICE_HIGHER_THAN_MULTIPLIER_UP),
        ({"quantity": "9999"}, PaperCode.MARGIN_NOT_SUFFICIENT),
    ],
)
def test_a_refused_change_changes_nothing(changes, code):
    ex = exchange()
    order = resting(ex)
    with pytest.raises(ExchangeRefusal) as caught:
        amend(ex, order, **changes)
    assert caught.value.code is code
    assert (order.request.price, order.request.quantity, order.is_open) == (D(1990), D(2), True)
    assert order.order_id in ex.orders.resting[ETH].by_id
