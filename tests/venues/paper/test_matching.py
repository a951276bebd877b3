"""The paper exchange's books are exact for any sequence of orders and quotes."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.units import OrderType
from actors.venues.paper.generator import Quote
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import OrderRequest
from actors.venues.paper.user_events import OrderTradeUpdate
from tests.factories import BUY, ETH, INSTRUMENTS, SELL

DEPOSIT = D(1_000_000)


def exchange(**changes):
    return Exchange({ETH: INSTRUMENTS[ETH]}, DEPOSIT, **changes)


def quote(bid="2000.00", ask="2000.10", size="5"):
    return Quote(ETH, D(bid), D(size), D(ask), D(size))


def request(n=0, side=BUY, quantity="1", **changes):
    fields = {"type": OrderType.MARKET, **changes}
    return OrderRequest(symbol=ETH, side=side, quantity=D(quantity), client_order_id=f"c{n}", **fields)


STEP = st.one_of(
    st.tuples(st.just("market"), st.sampled_from([BUY, SELL]), st.integers(10, 20_000), st.booleans()),
    st.tuples(
        st.just("limit"), st.sampled_from([BUY, SELL]), st.integers(10, 20_000), st.integers(-300, 300)
    ),
    st.tuples(st.just("quote"), st.integers(-500, 500), st.integers(1, 9_000), st.just(0)),
    st.tuples(st.just("cancel"), st.integers(1, 20), st.just(0), st.just(0)),
)


@given(st.lists(STEP, max_size=40), st.booleans())
def test_position_wallet_and_orders_always_add_up(steps, sweep):
    ex = exchange(market_sweep=sweep)
    ex.on_quote(quote(), 1)
    for n, (kind, a, b, c) in enumerate(steps):
        if kind == "market":
            ex.place(request(n, a, D(b) / 1000, reduce_only=c), n)
        elif kind == "limit":
            price = D(2000) + D(c) / 10
            ex.place(request(n, a, D(b) / 1000, type=OrderType.LIMIT, price=price), n)
        elif kind == "quote":
            bid = D(2000) + D(a) / 10
            ex.on_quote(Quote(ETH, bid, D(b) / 1000, bid + D("0.1"), D(b) / 1000), n)
        else:
            ex.cancel(ETH, a, None, n)
        trades = ex.trades[ETH]
        signed = sum((t.qty * (1 if t.buyer else -1) for t in trades), D(0))
        assert ex.positions[ETH].amount == signed
        assert ex.wallet == DEPOSIT + ex.realized - ex.fees
        assert [t.id for t in trades] == list(range(1, len(trades) + 1))
        for order in ex.all_orders(ETH, 0, 1_000):
            assert order.executedQty == sum((t.qty for t in trades if t.orderId == order.orderId), D(0))
            assert order.executedQty <= order.origQty
            assert (order.status == "FILLED") == (order.executedQty == order.origQty)


def test_without_sweep_a_market_order_takes_what_l1_shows_and_waits_for_more():
    ex = exchange(market_sweep=False)
    ex.on_quote(quote(size="3"), 1)
    order, events = ex.place(request(quantity="5"), 2)
    assert (order.status, order.executedQty) == ("PARTIALLY_FILLED", D(3))
    assert [e.o.X for e in events if isinstance(e, OrderTradeUpdate)] == ["NEW", "PARTIALLY_FILLED"]
    ex.on_quote(quote(ask="2001.00", size="9"), 3)
    done = ex.query(ETH, order.orderId, None)
    assert (done.status, done.cumQuote) == ("FILLED", D(3) * D("2000.10") + D(2) * D("2001.00"))


def test_with_sweep_it_fills_at_once_at_worse_prices():
    ex = exchange()
    ex.on_quote(quote(size="3"), 1)
    order, _ = ex.place(request(quantity="5"), 2)
    assert order.status == "FILLED"
    assert order.avgPrice > D("2000.10")


def test_a_limit_order_rests_and_fills_as_maker_at_its_price():
    ex = exchange()
    ex.on_quote(quote(), 1)
    order, _ = ex.place(request(type=OrderType.LIMIT, price=D(1990)), 2)
    assert order.status == "NEW"
    ex.on_quote(quote("1989.80", "1989.90"), 3)
    [trade] = ex.user_trades(ETH, None, order.orderId, 10)
    assert (trade.price, trade.maker, trade.commission) == (D(1990), True, D(1990) * D("0.0002"))


def test_time_in_force():
    ex = exchange()
    ex.on_quote(quote(size="1"), 1)
    limit = {"type": OrderType.LIMIT, "price": D("2000.10")}
    gtx, _ = ex.place(request(1, quantity="2", time_in_force="GTX", **limit), 2)
    fok, _ = ex.place(request(2, quantity="2", time_in_force="FOK", **limit), 2)
    ioc, _ = ex.place(request(3, quantity="2", time_in_force="IOC", **limit), 2)
    assert (gtx.status, fok.status, ioc.status, ioc.executedQty) == ("EXPIRED", "EXPIRED", "EXPIRED", D(1))


def test_refusals():
    ex = exchange()
    assert ex.place(request(), 1)[0] == Refusal(Code.INVALID_MESSAGE, "There is no market yet.")
    ex.on_quote(quote(), 1)
    ex.place(request(1), 2)
    assert ex.place(request(1), 3)[0].code is Code.CLIENT_ORDER_ID_DUPLICATED
    assert ex.place(request(2, SELL, "1.5", reduce_only=True), 3)[0].code is Code.REDUCE_ONLY_REJECT
    assert ex.place(request(3, quantity="0.0001"), 3)[0].code is Code.QTY_LESS_THAN_MIN_QTY
    assert ex.cancel(ETH, None, "c1", 3)[0].code is Code.CANCEL_REJECTED
    assert ex.query(ETH, 99, None).code is Code.NO_SUCH_ORDER


def test_two_resting_reduce_only_orders_never_turn_the_position():
    ex = exchange()
    ex.on_quote(quote(), 1)
    ex.place(request(1, BUY, "1"), 2)
    for n in (2, 3):
        ex.place(request(n, SELL, "1", type=OrderType.LIMIT, price=D(2010), reduce_only=True), 3)
    ex.on_quote(quote("2011.00", "2011.10"), 4)
    assert ex.positions[ETH].amount == D(0)
    assert [ex.query(ETH, None, f"c{n}").status for n in (2, 3)] == ["FILLED", "EXPIRED"]


def test_funding_of_the_netted_position_moves_the_wallet():
    ex = exchange()
    with pytest.raises(ValueError, match="no price"):
        ex.settle_funding(ETH, D("0.0001"), 5)
    ex.on_quote(quote(), 1)
    ex.place(request(0, SELL, "3"), 1)
    before = ex.wallet
    settled = ex.settle_funding(ETH, D("0.0001"), 5)
    assert settled.markPrice == "2000.05"
    assert ex.funding == D(3) * D("2000.05") * D("0.0001")
    assert ex.wallet == before + ex.funding
    assert ex.funding_rates == [settled]
