"""Conditional orders: placement, triggers and events."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.enums import OrderType
from actors.venues.paper.algo import AlgoRequest
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.generator import Quote
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import OrderRequest
from actors.venues.paper.user_events import AlgoUpdate
from tests.factories import BUY, ETH, INSTRUMENTS, SELL


def exchange(**changes):
    ex = Exchange({ETH: INSTRUMENTS[ETH]}, D(1_000_000), **changes)
    price(ex, 2000)
    ex.place(OrderRequest(symbol=ETH, side=BUY, type=OrderType.MARKET, quantity=D(3)), 1)
    return ex


def price(ex, mid, now=5):
    return ex.on_quote(Quote(ETH, D(mid) - 1, D(50), D(mid) + 1, D(50)), now)


def algo(kind="STOP_MARKET", side=SELL, trigger="1900", quantity="1", name="", **changes):
    limit = kind in {"STOP", "TAKE_PROFIT"}
    order = OrderRequest(
        symbol=ETH, side=side, quantity=D(quantity), type=OrderType.LIMIT if limit else OrderType.MARKET,
        price=D(trigger) if limit else None, **changes,
    )  # fmt: skip
    return AlgoRequest(order_type=kind, order=order, client_algo_id=name, trigger_price=D(trigger))


def statuses_of(events):
    return [e.o.X for e in events if isinstance(e, AlgoUpdate)]


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "not_yet", "there"),
    [
        ("STOP_MARKET", SELL, 1900, 1901, 1900),
        ("STOP_MARKET", BUY, 2100, 2099, 2100),
        ("STOP", SELL, 1900, 1901, 1899),
        ("TAKE_PROFIT_MARKET", SELL, 2100, 2099, 2101),
        ("TAKE_PROFIT_MARKET", BUY, 1900, 1901, 1900),
        ("TAKE_PROFIT", BUY, 1900, 1901, 1900),
    ],
)
def test_each_kind_is_triggered_by_its_price(kind, side, trigger, not_yet, there):
    ex = exchange()
    placed, events = ex.algo.place(algo(kind, side, trigger, name="mine"), 2)
    assert statuses_of(events) == ["NEW"]
    assert price(ex, not_yet) == []
    statuses = statuses_of(price(ex, there))
    assert statuses[:2] == ["TRIGGERING", "TRIGGERED"]
    assert ("FINISHED" in statuses) == kind.endswith("MARKET")
    found = ex.algo.queried_answer(placed)
    actual = ex.query(ETH, int(found.actualOrderId), None)
    assert (actual.request.client_order_id, actual.request.orig_type) == ("mine", kind)
    assert not ex.algo.open_of(None)


def test_a_triggered_limit_order_finishes_when_it_fills():
    ex = exchange()
    placed, _ = ex.algo.place(algo("STOP", SELL, 1900), 2)
    price(ex, "1898.5")
    assert placed.status == "TRIGGERED"
    assert statuses_of(price(ex, 1902)) == ["FINISHED"]
    found = ex.algo.queried_answer(placed)
    assert (found.algoStatus, found.actualQty, found.actualType) == ("FINISHED", "1", "LIMIT")
    assert D(found.actualPrice) == 1900


def test_working_type_mark_price_follows_the_mark_price():
    ex = exchange()
    by_mark, _ = ex.algo.place(algo(working_type="MARK_PRICE"), 2)
    by_price, _ = ex.algo.place(algo(), 2)
    ex.premium[ETH] = D("-0.06")
    price(ex, 1990)
    assert (by_mark.is_waiting, by_price.is_waiting) == (False, True)


def test_a_trailing_stop_waits_for_its_activation_then_follows():
    ex = exchange()
    wanted = algo("TRAILING_STOP_MARKET", trigger="0", callback_rate=D(1), activate_price=D(2050))
    placed, events = ex.algo.place(wanted, 2)
    assert [e.o.ia for e in events] == [False]
    price(ex, 1900)
    assert placed.is_waiting
    assert [e.o.ia for e in price(ex, 2060)] == [True]
    for mid in (2100, 2080):
        assert price(ex, mid) == []
    assert statuses_of(price(ex, 2079))[0] == "TRIGGERING"
    assert statuses_of(
        ex.algo.place(algo("TRAILING_STOP_MARKET", trigger="0", callback_rate=D(20)), 3)[1]
    ) == [
        "NEW",
        "NEW",
    ]


def test_closing_a_position_takes_what_is_there():
    ex = exchange()
    ex.algo.place(algo(quantity="0", close_position=True), 2)
    price(ex, 1890)
    assert ex.positions[ETH].amount == 0
    ex.algo.place(algo(trigger="1800", quantity="0", close_position=True), 2)
    assert statuses_of(price(ex, 1790)) == ["TRIGGERING", "EXPIRED"]


def test_what_the_exchange_refuses_then_is_rejected_with_its_reason():
    ex = exchange()
    ex.algo.place(algo(quantity="9", reduce_only=True), 2)
    last = [e.o for e in price(ex, 1890) if isinstance(e, AlgoUpdate)][-1]
    assert (last.X, last.rm) == ("REJECTED", "ReduceOnly Order is rejected.")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (algo(trigger="2000"), PaperCode.WOULD_TRIGGER),
        (algo("TAKE_PROFIT_MARKET", trigger="1999"), PaperCode.WOULD_TRIGGER),
        (algo(trigger="0"), PaperCode.PRICE_LESS_THAN_ZERO),
        (algo(trigger="1900.001"), PaperCode.PRICE_NOT_INCREASED_BY_TICK_SIZE),
        (algo(quantity="0"), PaperCode.QTY_LESS_THAN_ZERO),
        (algo("TRAILING_STOP_MARKET", callback_rate=D("0.09")), PaperCode.INVALID_CALL_BK_RATE),
        (algo("TRAILING_STOP_MARKET", callback_rate=D("20.1")), PaperCode.INVALID_CALL_BK_RATE),
        (algo(name="twice"), PaperCode.DUPLICATED_CLIENT_ORDER_ID),
        (algo(position_side="LONG"), PaperCode.POSITION_SIDE_NOT_MATCH),
    ],
)
def test_refusals(wanted, code):
    ex = exchange()
    ex.algo.place(algo(name="twice"), 1)
    with pytest.raises(ExchangeRefusal) as caught:
        ex.algo.place(wanted, 2)
    assert caught.value.code is code


def test_two_hundred_wait_over_all_symbols_and_a_cancelled_one_makes_room():
    ex = exchange(conditional_orders_max=3)
    first, _, _ = [ex.algo.place(algo(), n)[0] for n in range(3)]
    with pytest.raises(ExchangeRefusal) as caught:
        ex.algo.place(algo(), 4)
    assert caught.value.code is PaperCode.MAX_STOP_ORDER_EXCEEDED
    assert statuses_of(ex.algo.cancel(first.algo_id, None, 5)[1]) == ["CANCELED"]
    ex.algo.place(algo(), 6)
    with pytest.raises(ExchangeRefusal):
        ex.algo.cancel(first.algo_id, None, 7)
    with pytest.raises(ExchangeRefusal):
        ex.algo.find(None, "nobody")
