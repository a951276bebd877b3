"""What the platform's own programs read: reasons, actions, statuses and times of everything that can happen."""

from __future__ import annotations

import hashlib
from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import LiquidationMode, OrderStatus, OrderType, Purpose
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    CloseOut,
    OrderAccepted,
    OrderClosed,
    PlaceOrder,
    SettleFee,
    Wake,
)
from actors.persistence.projection.spelling import when
from tests.factories import BUY, ETH, SELL, WALL_MS, fill_of, market
from tests.persistence.authors import NOW, TRADE_IDS, Author, create, rows

AT = when(NOW)
LOGS = (
    "SELECT reason, change_amount FROM balance_logs WHERE id NOT LIKE 'deposit-%' ORDER BY balance_after DESC"
)
TRADES = "SELECT action, type, side, quantity, realized_pnl FROM trade_executions WHERE client_order_id = %s ORDER BY action DESC"
POSITIONS = (
    "SELECT side, quantity, status, realized_pnl, taken_over, taken_over_by, taken_over_at, closed_at, opened_at "
    "FROM virtual_positions ORDER BY status, side"
)
PENDING = "SELECT status, filled_at, cancelled_at, exchange_order_id, created_at FROM pending_orders"
ADL, SECOND_TIER, LIQUIDATION = "1811", "1810.7", "1805"
"""Prices at which an account of five from 2,000 with 999.9 is at 0.91, 0.94 and above 1."""


@pytest.fixture
def author(store):
    return Author(create(store)[0])


def commit(store, author):
    assert set(store.commit(author.batch)) == {None}
    author.batch = []


def logged(dsn):
    return rows(dsn, LOGS)


def fills(author, at=None):
    """Trade what the account decided by itself; who it was for."""
    done = []
    for order in [o.intent for o in author.state.orders]:
        author.decide(OrderAccepted(order.client_order_id, 60))
        fill = fill_of(order, price=at, fee="0.1", trade_id=next(TRADE_IDS))
        author.decide(fill, market({ETH: at}))
        author.decide(
            OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity), market({ETH: at})
        )
        done.append(order)
    return done


def trades_of(dsn, order):
    return rows(dsn, TRADES.replace("%s", f"'{order.client_order_id}'"))


# -- positions


def test_a_partial_close_leaves_the_position_open_with_what_it_realized(store, dsn, author):
    author.trade(BUY, "1")
    author.trade(SELL, "0.4", "2100")
    commit(store, author)
    assert rows(dsn, POSITIONS) == [("LONG", D("0.6"), "OPEN", D(40), False, None, None, None, when(5))]
    author.trade(SELL, "0.1", "2100")
    commit(store, author)
    assert rows(dsn, POSITIONS)[0][:4] == ("LONG", D("0.5"), "OPEN", D(50))
    author.trade(SELL, "0.5", "2100")
    commit(store, author)
    assert rows(dsn, POSITIONS) == [("LONG", D("0.5"), "CLOSED", D(100), False, None, None, AT, when(5))]


def test_a_flip_closes_one_position_and_opens_another(store, dsn, author):
    author.trade(BUY, "1")
    author.trade(SELL, "1.5", "2100")
    commit(store, author)
    assert rows(dsn, POSITIONS) == [
        ("LONG", D(1), "CLOSED", D(100), False, None, None, AT, when(5)),
        ("SHORT", D("0.5"), "OPEN", D(0), False, None, None, None, when(5)),
    ]
    assert rows(dsn, "SELECT quantity FROM bulkhead.position") == [(D("-0.5"),)]


def test_the_two_rows_of_a_part_that_flips_hold_its_value_together(store, dsn, author):
    author.trade(BUY, "1")
    # Its price is rounded: 1.5 times it would be 3000.9.
    author.trade(SELL, "1.5", "2000.6", quote_quantity=D("3000.900000000001"))
    commit(store, author)
    found = rows(dsn, "SELECT action, notional FROM trade_executions WHERE side = 'SELL' ORDER BY action")
    assert found == [("CLOSE", D("2000.600000000001")), ("OPEN", D("1000.300000000000"))]
    assert author.state.realized == D("0.600000000001")
    assert rows(dsn, "SELECT cost FROM bulkhead.position") == [(D("1000.300000000000"),)]


def test_what_opens_adds_or_closes_is_called_so(store, dsn, author):
    for side, quantity in ((BUY, "1"), (BUY, "0.5"), (SELL, "0.5"), (SELL, "1"), (SELL, "1"), (BUY, "1.5")):
        author.trade(side, quantity)
    commit(store, author)
    found = rows(
        dsn,
        "SELECT action, side, quantity, realized_pnl FROM trade_executions ORDER BY client_order_id, action",
    )
    assert found == [
        ("OPEN", "BUY", D(1), None),
        ("ADD", "BUY", D("0.5"), None),
        ("CLOSE", "SELL", D("0.5"), D(0)),
        ("CLOSE", "SELL", D(1), D(0)),
        ("OPEN", "SELL", D(1), None),
        ("CLOSE", "BUY", D(1), D(0)),
        ("OPEN", "BUY", D("0.5"), None),
    ]


def test_funding_is_kept_with_the_position_that_is_held(store, dsn, author):
    author.trade(BUY, "1")
    author.decide(ApplyFunding(ETH, D("0.001"), D(2000), NOW))
    commit(store, author)
    assert rows(dsn, "SELECT funding FROM bulkhead.position") == [(author.state.positions[0].funding,)]
    assert author.state.positions[0].funding == D(-2)
    author.trade(SELL, "1")
    author.decide(ApplyFunding(ETH, D("0.001"), D(2000), NOW + 1))
    commit(store, author)
    assert rows(dsn, "SELECT count(*) FROM bulkhead.position") == [(0,)]


# -- why a balance changed


def test_profit_deposits_and_funding_have_their_reasons(store, dsn, author):
    author.trade(BUY, "1")
    author.decide(ApplyFunding(ETH, D("0.001"), D(2000), NOW))
    author.decide(AdjustBalance(D(50), "CORRECTION"))
    author.trade(SELL, "1", "2100")
    commit(store, author)
    assert sorted(logged(dsn)) == [
        ("CORRECTION", D(50)),
        ("FUNDING", D(-2)),
        ("TRADE_PNL", D("-0.1")),
        ("TRADE_PNL", D("99.9")),
    ]


NAMED = (
    "SELECT l.reason, l.change_amount, t.action FROM balance_logs l LEFT JOIN trade_executions t ON t.id = l.trade_id "
    "WHERE l.id NOT LIKE 'deposit-%' ORDER BY l.balance_after DESC"
)


def test_what_a_trade_changed_names_a_trade_that_there_is(store, dsn, author):
    """An opening trade has no leg that closes."""
    author.trade(BUY, "1")
    author.decide(ApplyFunding(ETH, D("0.001"), D(2000), NOW))
    author.trade(SELL, "1.5", "2000")
    commit(store, author)
    assert rows(dsn, NAMED) == [
        ("TRADE_PNL", D("-0.1"), "OPEN"),
        ("FUNDING", D(-2), None),
        ("TRADE_PNL", D("-0.1"), "CLOSE"),
    ]


def test_a_fee_that_is_booked_later_names_the_trade_that_it_is_of(store, dsn, author):
    for side, price in ((BUY, "2000"), (SELL, "2100")):
        author.decide(PlaceOrder(symbol=ETH, side=side, quantity=D("0.1"), leverage=D(20)))
        number, order = next(TRADE_IDS), author.state.orders[-1]
        author.decide(fill_of(order, price=price, fee=None, fee_asset="", trade_ms=WALL_MS, trade_id=number))
        author.decide(SettleFee(ETH, number, None, D("0.8")))
    commit(store, author)
    assert rows(dsn, NAMED) == [
        ("TRADE_PNL", D(10), "CLOSE"),
        ("FEE", D("-0.8"), "CLOSE"),
        ("FEE", D("-0.8"), "OPEN"),
    ]


@pytest.mark.parametrize(("price", "tier"), [(ADL, 1), (SECOND_TIER, 2)])
def test_deleveraging_is_called_so_with_its_tier(store, dsn, author, price, tier):
    author.trade(BUY, "5")
    author.decide(Wake(ETH, "t"), market({ETH: price}))
    [order] = fills(author, price)
    commit(store, author)
    assert (order.purpose, order.tier) == (Purpose.ADL, tier)
    realized = (D(price) - 2000) * order.quantity
    assert (f"ADL_TIER{tier}", realized - D("0.1")) in logged(dsn)
    assert trades_of(dsn, order) == [(f"ADL_TIER{tier}", "MARKET", "SELL", order.quantity, realized)]
    assert rows(dsn, POSITIONS)[0][1:5] == (5 - order.quantity, "OPEN", realized, False)


def test_a_liquidation_is_called_so_wherever_it_is_read(store, dsn, author):
    author.trade(BUY, "5")
    author.decide(Wake(ETH, "t"), market({ETH: LIQUIDATION}))
    [order] = fills(author, "1795")
    commit(store, author)
    assert order.purpose is Purpose.LIQUIDATION
    assert ("LIQUIDATION", D("-1025.1")) in logged(dsn)
    assert ("BAD_DEBT", D("25.2")) in logged(dsn), "1,000 less 0.2 of fees and 1,025"
    assert trades_of(dsn, order) == [("LIQUIDATE", "MARKET", "SELL", D(5), D(-1025))]
    assert rows(dsn, POSITIONS) == [("LONG", D(5), "LIQUIDATED", D(-1025), False, None, None, AT, when(5))]
    assert rows(dsn, "SELECT current_balance, status FROM sub_accounts") == [(D(0), "LIQUIDATED")]


def test_a_close_out_is_called_so_wherever_it_is_read(store, dsn, author):
    author.trade(BUY, "1")
    author.decide(CloseOut("asked for"))
    [order] = fills(author, "2100")
    commit(store, author)
    assert order.purpose is Purpose.CLOSE_OUT
    assert ("CLOSE_OUT", D("99.9")) in logged(dsn)
    assert trades_of(dsn, order) == [("CLOSE_OUT", "MARKET", "SELL", D(1), D(100))]
    assert rows(dsn, POSITIONS) == [("LONG", D(1), "CLOSED", D(100), False, None, None, AT, when(5))]


def test_what_the_house_takes_over_is_flagged_with_who_and_when(store, dsn):
    author = Author(create(store, mode=LiquidationMode.TAKEOVER)[0])
    author.trade(BUY, "5")
    author.decide(Wake(ETH, "t"), market({ETH: LIQUIDATION}))
    commit(store, author)
    assert ("ADMIN_TAKEOVER", D(-975)) in logged(dsn)
    assert rows(dsn, POSITIONS) == [
        ("LONG", D(5), "TAKEN_OVER", D(-975), True, "SYSTEM_LIQ", AT, AT, when(5))
    ]
    assert rows(dsn, "SELECT count(*) FROM bulkhead.position") == [(0,)]
    assert store.books()[1] == {ETH: D(5)}


# -- resting orders


def rest(author, quantity="0.1"):
    order = PlaceOrder(
        symbol=ETH, side=BUY, quantity=D(quantity), order_type=OrderType.LIMIT, price=D(2000), leverage=D(20)
    )
    author.decide(order)
    return author.state.orders[-1].intent


def ended(author, order, status, executed="0"):
    author.decide(OrderAccepted(order.client_order_id, 70))
    if D(executed):
        author.decide(fill_of(order, quantity=executed, fee="0.1", trade_id=next(TRADE_IDS)))
    author.decide(OrderClosed(order.client_order_id, status, D(executed)))


@pytest.mark.parametrize(
    ("status", "executed", "kept", "times"),
    [
        (OrderStatus.FILLED, "0.1", "FILLED", (AT, None)),
        (OrderStatus.CANCELED, "0", "CANCELLED", (None, AT)),
        (OrderStatus.CANCELED, "0.04", "CANCELLED", (None, AT)),
        (OrderStatus.EXPIRED, "0", "EXPIRED", (None, AT)),
        (OrderStatus.REJECTED, "0", "CANCELLED", (None, AT)),
        (OrderStatus.NEVER_SENT, "0", "CANCELLED", (None, AT)),
    ],
)
def test_a_resting_order_ends_at_its_own_time_and_at_no_other(
    store, dsn, author, status, executed, kept, times
):
    order = rest(author)
    commit(store, author)
    assert rows(dsn, PENDING) == [("PENDING", None, None, None, AT)]
    ended(author, order, status, executed)
    commit(store, author)
    assert rows(dsn, PENDING) == [(kept, *times, "70", AT)]


def test_a_closing_order_that_rests_is_called_so_and_market_orders_are_not_pending(store, dsn, author):
    author.trade(BUY, "1")
    assert rows(dsn, PENDING) == []
    order = PlaceOrder(symbol=ETH, side=SELL, quantity=D(1), order_type=OrderType.LIMIT, price=D(2000))
    author.decide(order)
    closing = author.state.orders[-1].intent
    ended(author, closing, OrderStatus.FILLED, "1")
    commit(store, author)
    assert trades_of(dsn, closing) == [("LIMIT_CLOSE", "LIMIT", "SELL", D(1), D(0))]
    sides = rows(dsn, "SELECT side, price, quantity, leverage FROM pending_orders")
    assert [(s, p, q) for s, p, q, _ in sides] == [("SHORT", D(2000), D(1))]


def test_a_trade_is_signed_as_by_all_releases_and_a_part_of_a_round_with_its_order_too(store, dsn, author):
    author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20)))
    own, [order] = next(TRADE_IDS), author.state.orders
    author.decide(fill_of(order, price="2000", fee="0.1", trade_id=own, quantity="0.04"))
    part = fill_of(order, price="2000", fee="0.1", trade_id=next(TRADE_IDS), quantity="0.06")
    author.decide(replace(part, trade=replace(part.trade, quote_quantity=D(120))))
    commit(store, author)
    signed = [
        ("acct-1", ETH, "BUY", "0.04", "2000", own, 1),
        ("acct-1", ETH, "BUY", "0.06", "2000", part.trade.trade_id, 1, order.client_order_id),
    ]
    hashes = [hashlib.sha256(":".join(map(str, one)).encode()).hexdigest() for one in signed]
    found = rows(dsn, "SELECT signature FROM trade_executions ORDER BY quantity")
    assert [signature for (signature,) in found] == hashes
