"""The order book behind L1: quantity is conserved, prices get worse, and what was taken comes back and no more."""

from __future__ import annotations

import itertools
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.enums import OrderType, Side
from actors.core.units import Symbol
from actors.venues.paper.config import PaperConfig
from actors.venues.paper.depth import (
    DENSITY,
    FULL_AFTER_MS,
    LEVELS,
    REFILL_MS,
    SHAPE,
    DepthModel,
    quantity_up_to,
    top,
)
from actors.venues.paper.generator import Quote
from actors.venues.paper.instruments import LISTINGS
from actors.venues.paper.market_endpoints import MarketEndpoints
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import OrderRequest
from actors.venues.paper.venue import PaperVenue
from tests.factories import BUY, ETH, INSTRUMENTS, SELL

STEP = INSTRUMENTS[ETH].step_size
SIDES = st.sampled_from([BUY, SELL])
SIZES = st.integers(1, 400_000).map(lambda n: n * STEP)
"""From one step to ten times what the touch of ``QUOTE`` shows."""

QUOTE = Quote(ETH, D("2000.00"), D(40), D("2000.10"), D(40))


def model(quote=QUOTE, now_ms=0):
    book = DepthModel(INSTRUMENTS)
    book.on_quote(quote, now_ms)
    return book


def total(book, side, now_ms, quote=QUOTE):
    return sum(level.quantity for level in book.levels(quote, side, now_ms))


def buy(book, quantity, now_ms, side=BUY, quote=QUOTE):
    """Take a quantity as matching does; the trades as (price, quantity)."""
    trades = []
    for level in book.levels(quote, side, now_ms):
        taken = min(quantity, level.quantity)
        book.take(quote.symbol, side, level, taken, now_ms)
        trades.append((level.price, taken))
        quantity -= taken
        if quantity == 0:
            break
    return trades


def cost(trades):
    return sum(p * q for p, q in trades)


def exchange(quote=QUOTE):
    ex = Exchange(INSTRUMENTS, D(10) ** 9)
    ex.on_quote(quote, 0)
    return ex


def market(ex, number, side, quantity, now_ms):
    order = OrderRequest(
        symbol=ETH, side=side, type=OrderType.MARKET, quantity=quantity, client_order_id=f"c{number}"
    )
    return ex.place(order, now_ms)[0]


@given(SIDES, st.lists(SIZES, min_size=1, max_size=8))
def test_quantity_is_conserved(side, sizes):
    book = model()
    for quantity in sizes:
        before = total(book, side, 5)
        traded = sum(q for _, q in buy(book, quantity, 5, side))
        assert traded == min(quantity, before)
        assert total(book, side, 5) == before - traded
    assert total(book, Side.SELL if side is BUY else BUY, 5) == total(model(), side, 0), "the other side"


@given(st.lists(st.integers(1, 300_000).map(D), min_size=1, max_size=8))
def test_quantity_is_conserved_where_many_levels_are_one_tick(sizes):
    listing = LISTINGS[Symbol("ADAUSDT")]
    coarse = Quote(listing.instrument.symbol, D("0.3391"), D(80_000), D("0.3392"), D(80_000))
    book = DepthModel({coarse.symbol: listing.instrument})
    book.on_quote(coarse, 0)
    levels = list(book.levels(coarse, BUY, 0))
    assert max(len(level.parts) for level in levels) > 2
    for quantity in sizes:
        before = total(book, BUY, 5, coarse)
        trades = buy(book, quantity, 5, quote=coarse)
        assert len({price for price, _ in trades}) == len(trades)
        assert total(book, BUY, 5, coarse) == before - sum(q for _, q in trades)


@given(SIDES, SIZES, st.integers(0, 3_000))
def test_prices_begin_at_l1_and_get_worse_level_by_level(side, quantity, later):
    book = model()
    touch = QUOTE.ask if side is BUY else QUOTE.bid
    trades = buy(book, quantity, 0, side)
    assert trades[0][0] == touch
    for prices in ([p for p, _ in trades], [level.price for level in book.levels(QUOTE, side, later)]):
        worse = [(b - a) * side.sign for a, b in itertools.pairwise(prices)]
        assert all(w > 0 for w in worse)
        assert all((p - touch) * side.sign >= 0 for p in prices)


@given(SIDES, st.lists(st.tuples(SIZES, st.integers(0, 1_500)), min_size=1, max_size=6))
def test_what_was_taken_comes_back_and_never_more(side, orders):
    book, now = model(), 0
    normal = {level.price: level.quantity for level in book.levels(QUOTE, side, 0)}
    for quantity, wait in orders:
        buy(book, quantity, now, side)
        left = {level.price: level.quantity for level in book.levels(QUOTE, side, now)}
        now += wait
        later = {level.price: level.quantity for level in book.levels(QUOTE, side, now)}
        for price, usual in normal.items():
            assert left.get(price, D(0)) <= later.get(price, D(0)) <= usual
    assert total(book, side, now + FULL_AFTER_MS) == sum(normal.values())


def test_the_refill_is_exponential():
    book = model()
    buy(book, D(40), 0)
    for waited, share in ((REFILL_MS, 0.632), (2 * REFILL_MS, 0.865), (3 * REFILL_MS, 0.950)):
        touch = next(book.levels(QUOTE, BUY, waited))
        assert (touch.price, float(touch.quantity)) == (QUOTE.ask, pytest.approx(40 * share, abs=0.05))


@given(SIDES, SIZES, SIZES)
def test_one_order_costs_at_least_what_two_cost(side, one, two):
    whole, parts, slow = model(), model(), model()
    at_once = buy(whole, one + two, 0, side)
    in_two = buy(parts, one, 0, side) + buy(parts, two, 0, side)
    with_time = buy(slow, one, 0, side) + buy(slow, two, 300, side)
    assert sum(q for _, q in at_once) == sum(q for _, q in in_two)
    assert cost(at_once) == cost(in_two), "without time between there is no way to pay less"
    if sum(q for _, q in at_once) == sum(q for _, q in with_time):
        assert (cost(at_once) - cost(with_time)) * side.sign >= 0


def test_small_orders_pay_when_they_follow_faster_than_the_book_refills():
    def paid(gap_ms):
        ex = exchange()
        orders = [market(ex, n, BUY, D(10), n * gap_ms) for n in range(100)]
        return sum(o.cost for o in orders) / sum(o.executed for o in orders)

    touch = QUOTE.ask
    block = market(exchange(), 0, BUY, D(1_000), 0)
    assert touch == paid(1_000) < paid(20) < paid(5) < paid(0) == block.average


@given(st.lists(st.tuples(SIDES, SIZES, st.integers(0, 900)), max_size=6), st.lists(st.integers(0, 5_000)))
def test_looking_changes_nothing(orders, looks):
    read, unread, now = model(), model(), 0
    for side, quantity, wait in orders:
        now += wait
        for at in looks:
            read.shown(QUOTE, at)
            top(read, QUOTE, 20, at)
        assert buy(read, quantity, now, side) == buy(unread, quantity, now, side)


@given(SIDES, SIZES, st.integers(0, 1_000))
def test_l1_shows_the_best_level_that_is_left(side, quantity, later):
    book = model()
    assert book.shown(QUOTE, 0) is QUOTE
    buy(book, quantity, 0, side)
    shown = book.shown(QUOTE, later)
    bids, asks = top(book, QUOTE, LEVELS, later)
    if bids and asks:
        assert ((shown.bid, shown.bid_qty), (shown.ask, shown.ask_qty)) == (bids[0], asks[0])
    assert shown.bid <= QUOTE.bid < QUOTE.ask <= shown.ask


def test_an_empty_side_is_shown_with_its_last_price_and_no_quantity():
    book = model()
    last = [level.price for level in book.levels(QUOTE, BUY, 0)][-1]
    buy(book, D(10) ** 6, 0)
    assert not list(book.levels(QUOTE, BUY, 0))
    assert (book.shown(QUOTE, 0).ask, book.shown(QUOTE, 0).ask_qty) == (last, D(0))
    assert (book.shown(QUOTE, 0).bid, book.shown(QUOTE, 0).bid_qty) == (QUOTE.bid, QUOTE.bid_qty)


def test_an_order_beyond_the_book_expires_with_what_traded():
    thin = Quote(ETH, D("2000.00"), D(4), D("2000.10"), D(4))
    ex = exchange(thin)
    there = total(ex.book, BUY, 1, thin)
    order = market(ex, 1, BUY, there + 1, 1)
    assert (order.status, order.executed, order.expiry) == ("EXPIRED", there, "9")
    none = market(ex, 2, BUY, D(1), 1)
    assert (none.status, none.executed) == ("EXPIRED", D(0))


def test_what_is_refilled_is_forgotten_and_l1_is_itself_again():
    book = model()
    buy(book, D(30), 0)
    book.on_quote(QUOTE, FULL_AFTER_MS - 1)
    assert book.shown(QUOTE, FULL_AFTER_MS - 1) is not QUOTE
    book.on_quote(QUOTE, FULL_AFTER_MS)
    assert book.shown(QUOTE, FULL_AFTER_MS) is QUOTE


def test_a_clock_that_goes_back_refills_nothing():
    book = model()
    buy(book, D(10), 5_000)
    assert next(book.levels(QUOTE, BUY, 1_000))[:2] == (QUOTE.ask, D(30))


def test_what_is_missing_stays_at_its_distance_when_the_price_moves():
    book = model()
    buy(book, D(30), 0)
    moved = Quote(ETH, D("1990.00"), D(40), D("1990.10"), D(35))
    book.on_quote(moved, 0)
    assert next(book.levels(moved, BUY, 0))[:2] == (D("1990.10"), D(5))
    thin = Quote(ETH, D("1990.00"), D(40), D("1990.10"), D(20))
    assert next(book.levels(thin, BUY, 0)).price > thin.ask, "less than is missing: nothing"


def test_taking_more_than_there_is_is_an_error():
    book = model()
    level = next(book.levels(QUOTE, BUY, 0))
    with pytest.raises(ValueError, match="the level has 40"):
        book.take(ETH, BUY, level, D(41), 0)


@pytest.mark.parametrize("symbol", LISTINGS)
def test_the_same_share_of_the_touch_costs_the_same_at_every_symbol(symbol):
    listing = LISTINGS[symbol]
    instrument, size = listing.instrument, listing.best_size
    bid = listing.start_price
    quote = Quote(symbol, bid, size, bid + instrument.tick_size, size)
    book = DepthModel({symbol: instrument})
    book.on_quote(quote, 0)
    trades = buy(book, size * 11, 0, quote=quote)
    worst = (trades[-1][0] / quote.ask - 1) * 10_000
    # Ten normal quantities behind the touch, DENSITY for each basis point; prices lie on ticks and levels are coarse.
    tick = instrument.tick_size / bid * 10_000
    assert float(worst) == pytest.approx(float(10 / DENSITY), rel=0.2, abs=float(tick) + 0.01)


def test_the_normal_quantity_follows_the_touch_slowly():
    book, now = model(), 0
    usual = total(book, BUY, 0) - QUOTE.ask_qty
    for n in range(1, 2_000):
        now = n * 10
        size = D(10) if n // 10 % 2 else D(30)
        book.on_quote(Quote(ETH, D("2000.00"), size, D("2000.10"), size), now)
    behind = total(book, BUY, now) - QUOTE.ask_qty
    assert float(behind / usual) == pytest.approx(0.5, rel=0.3)
    assert float(sum(share for _, share in SHAPE) * 20) == pytest.approx(float(behind), rel=0.3)


def test_levels_end_above_zero():
    low = Quote(ETH, D("0.02"), D(1), D("0.03"), D(1))
    bids, asks = top(model(low), low, 50, 0)
    assert [p for p, _ in bids] == [D("0.02"), D("0.01")]
    assert len({p for p, _ in asks}) == len(asks)


def test_an_empty_l1_has_levels_behind_it_and_a_new_symbol_has_what_l1_says():
    nothing = Quote(ETH, D("2000.00"), D(0), D("2000.10"), D(0))
    assert [level.quantity for level in model(nothing).levels(nothing, BUY, 0)] == [STEP] * LEVELS
    unseen = DepthModel(INSTRUMENTS)
    assert total(unseen, BUY, 0) == total(model(), BUY, 0)


def test_quantity_up_to_a_limit():
    book = model()
    at_touch = quantity_up_to(book, QUOTE, BUY, QUOTE.ask, 0)
    assert (at_touch, quantity_up_to(book, QUOTE, BUY, QUOTE.bid, 0)) == (D(40), D(0))
    levels = list(book.levels(QUOTE, SELL, 0))
    assert quantity_up_to(book, QUOTE, SELL, levels[3].price, 0) == sum(x.quantity for x in levels[:4])


def test_each_symbol_has_a_book_of_its_own():
    book = model()
    other = Symbol("BNBUSDT")
    quote = Quote(other, D(500), D(60), D("500.01"), D(60))
    book.on_quote(quote, 0)
    buy(book, D(40), 0)
    assert book.shown(quote, 0) is quote
    assert next(book.levels(quote, BUY, 0)).quantity == 60


def test_endpoints_show_the_book_as_it_is_left():
    venue = PaperVenue(PaperConfig(symbols=(ETH,)))
    venue.quote(QUOTE, 0)
    market(venue.exchange, 1, BUY, D(60), 0)
    endpoints = MarketEndpoints(venue)
    [ticker, depth] = [
        msgspec.json.decode(reply.body)
        for reply in (
            endpoints.book_ticker({"symbol": ETH}, 100),
            endpoints.depth({"symbol": ETH, "limit": "5"}, 100),
        )
    ]
    assert [ticker["askPrice"], ticker["askQty"]] == depth["asks"][0]
    assert [ticker["bidPrice"], ticker["bidQty"]] == depth["bids"][0] == ["2000.00", "40"]
    # A quarter of 400 ms has passed: 1 - exp(-1/4) = 22 % of the 40 are back at the touch.
    assert (D(ticker["askPrice"]), D(ticker["askQty"])) == (QUOTE.ask, D("8.847"))
    order = market(venue.exchange, 2, BUY, sum(D(q) for _, q in depth["asks"]), 100)
    assert order.cost == sum(D(p) * D(q) for p, q in depth["asks"])


def test_a_price_that_matches_the_opponents_is_that_of_the_book():
    ex = exchange()
    market(ex, 1, BUY, D(60), 0)
    shown = ex.shown(ETH, 0)
    assert shown.ask > QUOTE.ask
    order = OrderRequest(
        symbol=ETH, side=BUY, type=OrderType.LIMIT, quantity=D(1), price_match="OPPONENT", client_order_id="m"
    )
    placed, _ = ex.place(order, 0)
    assert (placed.status, placed.average) == ("FILLED", shown.ask)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_what_size_cost_is_counted(side):
    ex = exchange()
    small, large = market(ex, 1, side, D(40), 0), market(ex, 2, side, D(440), 0)
    touch = QUOTE.ask if side is BUY else QUOTE.bid
    assert ex.taken == small.cost + large.cost
    assert ex.paid_for_depth == abs(large.cost - touch * 440) > 0


def test_the_example_of_the_documents():
    def basis_points(order):
        return round(float(order.average / QUOTE.ask - 1) * 10_000)

    ex = exchange()
    assert basis_points(market(ex, 0, BUY, D(40), 0)) == 0
    ex = exchange()
    first, second, later = (market(ex, n, BUY, D(440), at) for n, at in enumerate((0, 0, 5_000)))
    assert [basis_points(order) for order in (first, second, later)] == [10, 33, 10]
