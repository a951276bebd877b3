"""The paper exchange's books are exact for any sequence of orders and quotes.

Covers: actors/venues/paper/account.py, actors/venues/paper/checks.py, actors/venues/paper/ledger.py, actors/venues/paper/orders.py
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.enums import OrderType
from actors.core.units import Symbol
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.depth import top
from actors.venues.paper.generator import Quote
from actors.venues.paper.instruments import Band, listing_for
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import OrderRequest
from actors.venues.paper.user_events import AccountUpdate, OrderTradeUpdate, TradeLite
from tests.factories import BUY, ETH, INSTRUMENTS, SELL

DEPOSIT = D(1_000_000)
LIMIT = {"type": OrderType.LIMIT}
BNB = Symbol("BNBUSDT")


def exchange(**changes):
    return Exchange({ETH: INSTRUMENTS[ETH], BNB: INSTRUMENTS[BNB]}, DEPOSIT, **changes)


def quote(bid="2000.00", ask="2000.10", size="5", symbol=ETH):
    return Quote(symbol, D(bid), D(size), D(ask), D(size))


def request(n=0, side=BUY, quantity="1", **changes):
    fields = {"type": OrderType.MARKET, "client_order_id": f"c{n}", "symbol": ETH, **changes}
    return OrderRequest(side=side, quantity=D(quantity), **fields)


def limit(n, side, price, quantity="1", **changes):
    return request(n, side, quantity, **LIMIT, price=D(price), **changes)


def refusal(call, *arguments):
    with pytest.raises(ExchangeRefusal) as caught:
        call(*arguments)
    return caught.value.code


def order_events(events):
    return [(e.o.c, e.o.x, e.o.X) for e in events if isinstance(e, OrderTradeUpdate)]


MODES = ["EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH", "NONE"]
STEP = st.one_of(
    st.tuples(st.just("market"), st.sampled_from([BUY, SELL]), st.integers(10, 20_000), st.booleans()),
    st.tuples(
        st.just("limit"), st.sampled_from([BUY, SELL]), st.integers(10, 20_000), st.integers(-300, 300)
    ),
    st.tuples(st.just("quote"), st.integers(-500, 500), st.integers(1, 9_000), st.just(0)),
    st.tuples(st.just("cancel"), st.integers(1, 20), st.just(0), st.just(0)),
    st.tuples(st.just("amend"), st.integers(1, 20), st.integers(10, 20_000), st.integers(-300, 300)),
    st.tuples(st.just("funding"), st.integers(-100, 100), st.just(0), st.just(0)),
)


def take_step(ex, n, step, mode):
    kind, a, b, c = step
    if kind == "market":
        ex.place(request(n, a, D(b) / 1000, reduce_only=c, self_trade=mode), n)
    elif kind == "limit":
        ex.place(limit(n, a, D(2000) + D(c) / 10, D(b) / 1000, self_trade=mode), n)
    elif kind == "quote":
        bid = D(2000) + D(a) / 10
        ex.on_quote(Quote(ETH, bid, D(b) / 1000, bid + D("0.1"), D(b) / 1000), n)
    elif kind == "cancel":
        ex.cancel(ETH, a, None, n)
    elif kind == "amend":
        side = ex.query(ETH, a, None).request.side
        ex.amendments.amend(ETH, a, None, side, D(b) / 1000, D(2000) + D(c) / 10, n)
    else:
        ex.settle_funding(ETH, D(a) / 100_000, n)


def check_books(ex):
    trades = ex.trades[ETH]
    assert ex.positions[ETH].amount == sum((t.qty * (1 if t.buyer else -1) for t in trades), D(0))
    assert ex.wallet == DEPOSIT + ex.realized - ex.fees + ex.funding
    assert ex.wallet == sum((i.amount for i in ex.ledger.income if i.asset == "USDT"), D(0))
    for order in ex.orders.all.values():
        assert order.executed == sum((t.qty for t in trades if t.order_id == order.order_id), D(0))
        assert order.executed <= max(
            order.request.quantity, order.executed if order.status == "CANCELED" else D(0)
        )
        assert (order.status == "FILLED") <= (order.executed == order.request.quantity)
        assert order.is_open == (order.order_id in ex.orders.resting[ETH].by_id)
    resting = ex.orders.resting[ETH]
    for side in (BUY, SELL):
        worth = (o.remaining * o.request.price for o in resting if o.request.price and o.request.side is side)
        assert resting.notional[side] == sum(worth, D(0))


@given(st.lists(STEP, max_size=40), st.sampled_from(MODES))
def test_position_wallet_and_orders_always_add_up(steps, mode):
    ex = exchange()
    ex.on_quote(quote(), 1)
    for n, step in enumerate(steps):
        with suppress(ExchangeRefusal):
            take_step(ex, n, step, mode)
        check_books(ex)
        ids = [t.id for t in ex.trades[ETH]]
        assert ids == sorted(ids)
        # Only a trade with oneself, which mode NONE allows, has one number on both sides.
        assert mode == "NONE" or len(set(ids)) == len(ids)


@given(st.lists(STEP, max_size=40), st.sampled_from(MODES[:3]))
def test_two_orders_of_the_master_never_meet(steps, mode):
    ex = exchange()
    ex.on_quote(quote(), 1)
    for n, step in enumerate(steps):
        before = {o.order_id: o.request for o in ex.orders.resting[ETH]}
        made = len(ex.trades[ETH])
        with suppress(ExchangeRefusal):
            take_step(ex, n, step, mode)
        bids = [o.request.price for o in ex.orders.resting[ETH] if o.request.side is BUY and o.request.price]
        asks = [o.request.price for o in ex.orders.resting[ETH] if o.request.side is SELL and o.request.price]
        assert not bids or not asks or max(bids) < min(asks), "the master's own orders stand crossed"
        taken = [t for t in ex.trades[ETH][made:] if not t.maker]
        for trade in taken:
            # Whatever it took, no resting order of the other side stood at that price or better.
            better = [
                r
                for i, r in before.items()
                if r.side is not trade.side
                and r.price is not None
                and (r.price - trade.price) * trade.side.sign <= 0
                and ex.orders.all[i].is_open
                and i != trade.order_id
            ]
            assert not better


@given(st.integers(1, 12), st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 90)), max_size=40))
def test_open_orders_of_a_symbol_stay_below_the_exchanges_number(most, orders):
    ex = exchange(open_orders_max=most)
    ex.on_quote(quote(), 1)
    for n, (side, away) in enumerate(orders):
        price = D(2000) - away if side is BUY else D(2001) + away
        if len(ex.orders.resting[ETH]) == most:
            assert refusal(ex.place, limit(n, side, price), n) is PaperCode.MAX_OPEN_ORDER_EXCEEDED
        else:
            ex.place(limit(n, side, price), n)
        assert len(ex.orders.resting[ETH]) <= most


def test_what_the_book_does_not_have_expires_with_what_traded():
    ex = exchange()
    ex.on_quote(quote(size="1"), 1)
    order, events = ex.place(request(quantity="400"), 2)
    assert (order.status, order.expiry) == ("EXPIRED", "9")
    assert 200 < order.executed < 400
    assert {x for _, _, x in order_events(events)[1:-1]} == {"PARTIALLY_FILLED"}
    assert order_events(events)[-1][1:] == ("EXPIRED", "EXPIRED")
    assert not ex.orders.resting[ETH].by_id


def test_a_large_order_trades_at_several_prices():
    ex = exchange()
    ex.on_quote(quote(size="3"), 1)
    order, _ = ex.place(request(quantity="5"), 2)
    prices = [t.price for t in ex.user_trades(ETH, None, order.order_id, 10)]
    assert (order.status, prices[0]) == ("FILLED", D("2000.10"))
    assert len(prices) > 1
    assert prices == sorted(set(prices))


@pytest.mark.parametrize(("side", "touch"), [(BUY, "2000.10"), (SELL, "2000.00")])
def test_a_market_order_goes_no_farther_than_the_price_band(side, touch):
    ex = exchange()
    ex.bands[ETH] = Band(up=D("1.001"), down=D("0.999"))
    ex.on_quote(quote(size="0.001"), 1)
    order, _ = ex.place(request(side=side, quantity="100"), 2)
    assert (order.status, order.expiry) == ("EXPIRED", "9")
    prices = [t.price for t in ex.user_trades(ETH, None, order.order_id, 1_000)]
    assert prices[0] == D(touch)
    left = next(ex.book.levels(ex.quotes[ETH], side, 2)).price
    assert abs(prices[-1] - ex.mark(ETH)) <= ex.mark(ETH) * D("0.001") < abs(left - ex.mark(ETH))


def test_a_limit_order_takes_the_levels_that_it_crosses_and_rests():
    ex = exchange()
    ex.on_quote(quote(size="3"), 1)
    order, _ = ex.place(limit(1, BUY, "2000.50", "50"), 2)
    prices = [t.price for t in ex.user_trades(ETH, None, order.order_id, 99)]
    assert order.status == "PARTIALLY_FILLED"
    assert len(prices) > 1
    assert max(prices) <= D("2000.50")


def test_a_fill_or_kill_counts_every_level_that_it_may_take():
    ex = exchange()
    ex.on_quote(quote(size="3"), 1)
    kill = limit(1, BUY, "2000.10", "3.1", time_in_force="FOK")
    assert refusal(ex.place, kill, 2) is PaperCode.FOK_ORDER_REJECT
    fill, _ = ex.place(limit(2, BUY, "2001.00", "3.1", time_in_force="FOK"), 2)
    assert fill.status == "FILLED"


def test_resting_orders_share_what_the_touch_has_left():
    ex = exchange()
    ex.on_quote(quote(size="3"), 1)
    first, _ = ex.place(limit(1, BUY, "1999", "2"), 2)
    second, _ = ex.place(limit(2, BUY, "1999", "5"), 2)
    ex.on_quote(quote("1998.80", "1998.90", size="3"), 3)
    assert (first.executed, second.executed) == (D(2), D(1))
    ex.on_quote(quote("1998.80", "1998.90", size="3"), 4)
    assert second.executed < D("1.1"), "the touch was taken a millisecond ago"
    ex.on_quote(quote("1998.80", "1998.90", size="3"), 4_000)
    assert second.executed > D("3.5")


def test_a_fill_publishes_trade_lite_account_and_order_events():
    ex = exchange()
    ex.on_quote(quote(), 1)
    _, events = ex.place(request(), 7)
    assert [type(e) for e in events] == [OrderTradeUpdate, TradeLite, AccountUpdate, OrderTradeUpdate]
    fill = events[-1].o
    assert (fill.N, fill.n, fill.x, fill.V, fill.pm, fill.er) == (
        "USDT",
        "1.00005000",
        "TRADE",
        "EXPIRE_MAKER",
        "NONE",
        "0",
    )
    assert {e.E for e in events} == {e.T for e in events} == {7}
    assert (events[2].a.m, events[2].a.P[0].pa, events[2].a.B[0].a) == ("ORDER", "1", "USDT")


def test_a_limit_order_rests_and_fills_as_maker_at_its_price():
    ex = exchange()
    ex.on_quote(quote(), 1)
    order, _ = ex.place(limit(0, BUY, 1990), 2)
    assert order.status == "NEW"
    ex.on_quote(quote("1989.80", "1989.90"), 3)
    [trade] = ex.user_trades(ETH, None, order.order_id, 10)
    assert (trade.price, trade.maker, trade.commission) == (D(1990), True, D(1990) * D("0.0002"))


def test_resting_orders_fill_by_price_then_by_time():
    ex = exchange()
    ex.on_quote(quote(), 1)
    for n, price in enumerate(("1980", "1990", "1990")):
        ex.place(limit(n, BUY, price), n)
    events = ex.on_quote(quote("1979.90", "1979.95", size="2.5"), 9)
    assert [c for c, x, _ in order_events(events) if x == "TRADE"] == ["c1", "c2", "c0"]
    assert ex.query(ETH, None, "c0").executed == D("0.5")


def test_time_in_force():
    ex = exchange()
    ex.on_quote(quote(size="1"), 1)
    gtx = limit(1, BUY, "2000.10", "2", time_in_force="GTX")
    fok = limit(2, BUY, "2000.10", "2", time_in_force="FOK")
    assert refusal(ex.place, gtx, 2) is PaperCode.GTX_ORDER_REJECT
    assert refusal(ex.place, fok, 2) is PaperCode.FOK_ORDER_REJECT
    assert not ex.orders.all
    ioc, _ = ex.place(limit(3, BUY, "2000.10", "2", time_in_force="IOC"), 2)
    assert (ioc.status, ioc.executed, ioc.expiry) == ("EXPIRED", D(1), "2")
    gtd, _ = ex.place(limit(4, BUY, "1990", time_in_force="GTD", good_till_ms=700_000), 2)
    ex.on_quote(quote(), 699_999)
    assert gtd.status == "NEW"
    ex.on_quote(quote(), 700_000)
    assert gtd.status == "EXPIRED"


@pytest.mark.parametrize(
    ("mode", "maker", "taker"),
    [
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "FILLED"),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        ("NONE", "FILLED", "FILLED"),
    ],
)
@pytest.mark.parametrize("kind", ["market", "limit"])
def test_self_trade_prevention(mode, maker, taker, kind):
    ex = exchange()
    ex.on_quote(quote("2000.00", "2000.10"), 1)
    rests, _ = ex.place(limit(1, SELL, "2000.10"), 2)
    wanted = (
        request(2, BUY, self_trade=mode) if kind == "market" else limit(2, BUY, "2000.10", self_trade=mode)
    )
    takes, events = ex.place(wanted, 3)
    assert (rests.status, takes.status) == (maker, taker)
    ended = [(c, x) for c, x, status in order_events(events) if status == "EXPIRED_IN_MATCH"]
    assert ended == [(c, "EXPIRED") for c, s in (("c1", maker), ("c2", taker)) if s == "EXPIRED_IN_MATCH"]
    if mode == "NONE":
        assert [t.id for t in ex.trades[ETH]] == [1, 1]
        assert ex.positions[ETH].amount == 0


def test_an_order_inside_the_spread_meets_its_own_before_it_rests():
    ex = exchange()
    ex.on_quote(quote("2000.00", "2010.00"), 1)
    ex.place(limit(1, SELL, "2005"), 2)
    order, _ = ex.place(limit(2, BUY, "2006"), 3)
    assert (ex.query(ETH, None, "c1").status, order.status) == ("EXPIRED_IN_MATCH", "NEW")


def test_refusals():
    ex = exchange()
    with pytest.raises(ExchangeRefusal, match="no market yet"):
        ex.place(request(), 1)
    ex.on_quote(quote(), 1)
    resting = limit(1, BUY, 1990)
    ex.place(resting, 2)
    assert refusal(ex.place, resting, 3) is PaperCode.DUPLICATED_CLIENT_ORDER_ID
    ex.place(request(4), 3)
    assert refusal(ex.place, request(2, SELL, "1.5", reduce_only=True), 3) is PaperCode.REDUCE_ONLY_REJECT
    assert refusal(ex.place, request(3, quantity="0.0001"), 3) is PaperCode.QTY_LESS_THAN_MIN_QTY
    assert refusal(ex.place, request(3, symbol=Symbol("NOPE")), 3) is PaperCode.BAD_SYMBOL
    assert refusal(ex.cancel, ETH, None, "c4", 3) is PaperCode.CANCEL_REJECTED
    assert refusal(ex.query, ETH, 99, None) is PaperCode.NO_SUCH_ORDER
    ex.status[ETH] = "SETTLING"
    assert refusal(ex.place, request(5), 3) is PaperCode.INVALID_SYMBOL_STATUS


def test_an_order_beyond_the_wallet_or_the_bracket_is_refused():
    ex = Exchange({ETH: INSTRUMENTS[ETH]}, D(1_000))
    ex.on_quote(quote(size="1000"), 1)
    assert refusal(ex.place, request(1, quantity="11"), 1) is PaperCode.MARGIN_NOT_SUFFICIENT
    ex.place(request(2, quantity="9"), 1)
    # What is bound is bound: resting orders count, reducing ones do not.
    assert refusal(ex.place, limit(3, BUY, 1990), 1) is PaperCode.MARGIN_NOT_SUFFICIENT
    ex.place(limit(4, SELL, 2010, "9"), 1)
    assert refusal(ex.place, limit(5, SELL, 2010, "10"), 1) is PaperCode.MARGIN_NOT_SUFFICIENT
    rich = Exchange({ETH: INSTRUMENTS[ETH]}, D(10) ** 9)
    rich.on_quote(quote(size="100000"), 1)
    rich.settings.leverage[ETH] = 100
    assert refusal(rich.place, request(1, quantity="400"), 1) is PaperCode.MAX_LEVERAGE_RATIO
    rich.settings.leverage[ETH] = 50
    rich.place(request(1, quantity="400"), 1)


def test_a_sell_below_the_bid_is_margined_at_the_bid():
    ex = Exchange({ETH: INSTRUMENTS[ETH]}, D(5_000), taker_fee=D(0))
    ex.on_quote(quote("2000.00", "2000.00", size="1000"), 1)
    assert refusal(ex.place, limit(1, SELL, "1999", "50.01"), 1) is PaperCode.MARGIN_NOT_SUFFICIENT
    ex.place(limit(2, SELL, "1999", "50"), 1)


def test_two_billion_do_not_fill_on_a_hundred_million():
    ex = Exchange({ETH: INSTRUMENTS[ETH]}, D(100_000_000))
    ex.on_quote(quote(size="100000"), 1)
    filled = 0
    for n in range(300):
        with suppress(ExchangeRefusal):
            ex.place(request(n, quantity="4000"), n)
            filled += 1
    assert 0 < ex.positions[ETH].amount * D("2000.10") <= D(70_000_000)
    assert filled < 300


@given(
    st.lists(
        st.tuples(st.sampled_from([BUY, SELL]), st.integers(10, 9_000), st.integers(-80, 80)), max_size=30
    )
)
def test_what_is_available_is_never_overdrawn_by_new_orders(orders):
    ex = Exchange({ETH: INSTRUMENTS[ETH]}, D(5_000), taker_fee=D(0), maker_fee=D(0))
    ex.on_quote(quote("2000.00", "2000.00", size="1000"), 1)
    for n, (side, quantity, away) in enumerate(orders):
        wanted = limit(n, side, D(2000) + away, D(quantity) / 100)
        with suppress(ExchangeRefusal):
            ex.place(wanted, n)
        margin = ex.asset_margin("USDT")
        assert margin.initial <= margin.equity + D("0.0000001")


def test_price_bands_hold_limits_and_market_orders():
    ex = exchange()
    ex.on_quote(quote(), 1)
    assert refusal(ex.place, limit(1, BUY, "2101"), 1) is PaperCode.PRICE_HIGHER_THAN_MULTIPLIER_UP
    assert refusal(ex.place, limit(1, SELL, "1899"), 1) is PaperCode.PRICE_LOWER_THAN_MULTIPLIER_DOWN
    ex.place(limit(2, BUY, "1000"), 1)
    ex.place(limit(3, SELL, "3000"), 1)
    ex.premium[ETH] = D("-0.06")
    assert refusal(ex.place, request(4), 1) is PaperCode.PERCENT_PRICE
    ex.bands[ETH] = Band(up=D("1.10"), down=D("0.90"))
    ex.place(request(5), 1)


def test_two_resting_reduce_only_orders_never_turn_the_position():
    ex = exchange()
    ex.on_quote(quote(), 1)
    ex.place(request(1, BUY, "1"), 2)
    for n in (2, 3):
        ex.place(limit(n, SELL, 2010, reduce_only=True), 3)
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
    assert settled.mark == D("2000.05")
    assert ex.funding == D(3) * D("2000.05") * D("0.0001")
    assert ex.wallet == before + ex.funding
    assert ex.funding_rates == [settled]


def test_commission_in_bnb_at_its_rate_until_there_is_no_more():
    ex = exchange(other_deposits={"BNB": D("0.01")})
    ex.settings.fee_burn = True
    ex.on_quote(quote(), 1)
    _, without_rate = ex.place(request(1), 2)
    assert without_rate[-1].o.N == "USDT"
    ex.on_quote(quote("500", "500", symbol=BNB), 3)
    _, events = ex.place(request(2), 4)
    fee = (D("2000.10") * D("0.0005") * D("0.9") / 500).quantize(D("1e-8"))
    assert (events[-1].o.N, D(events[-1].o.n)) == ("BNB", fee)
    assert {b.a for b in events[-2].a.B} == {"USDT", "BNB"}
    assert ex.ledger.wallets["BNB"].wallet == D("0.01") - fee
    assert [ex.place(request(n), n)[1][-1].o.N for n in range(5, 12)][-1] == "USDT"
    assert ex.ledger.wallets["BNB"].wallet >= 0
    for wallet in ex.ledger.wallets.values():
        assert wallet.wallet == wallet.deposited + wallet.realized - wallet.fees + wallet.funding


def test_a_symbol_of_another_quote_asset_moves_its_own_wallet():
    listing = listing_for("ETHUSDC")
    ex = Exchange({listing.instrument.symbol: listing.instrument}, D(1_000), other_deposits={"USDC": D(500)})
    ex.on_quote(quote(symbol=Symbol("ETHUSDC")), 1)
    ex.place(request(1, quantity="0.1", symbol=Symbol("ETHUSDC")), 2)
    assert ex.wallet == D(1_000)
    assert ex.ledger.wallets["USDC"].fees == D("2000.10") * D("0.1") * D("0.0005")


def test_a_price_match_takes_its_price_from_the_book():
    ex = exchange()
    ex.on_quote(quote(), 1)
    bids, asks = top(ex.book, ex.quotes[ETH], 20, 2)
    for kind, price in (("QUEUE", bids[0]), ("QUEUE_5", bids[4]), ("OPPONENT_10", asks[9])):
        order, _ = ex.place(request(kind, quantity="0.1", **LIMIT, price_match=kind), 2)
        assert order.request.price == price[0], kind
    ex.on_quote(quote("0.02", "0.03", symbol=BNB), 1)
    few, _ = ex.place(request("few", quantity="1000", symbol=BNB, **LIMIT, price_match="QUEUE_20"), 2)
    assert few.request.price == D("0.01"), "the last of two levels"
    assert refusal(ex.place, request(9, **LIMIT, price_match="MIDDLE"), 2) is PaperCode.INVALID_PRICE_MATCH
