"""What became of an order, on a real Postgres: alone, in a block, of a block, and of orders that nobody knows."""

from __future__ import annotations

from decimal import Decimal as D

import psycopg
import pytest

from actors.core.enums import OrderStatus
from actors.core.messages import CancelOrder, FeeKnown, OrderAccepted, OrderClosed, PlaceOrder, RateKnown
from actors.persistence import order_trail as trails
from actors.persistence.order_trail import Fee, Happened, order_trail
from tests.factories import BNB, BUY, ETH, WALL_MS, fill_of, market
from tests.persistence.authors import NOW, Author, create, project

BLOCK_ID = "bh-000000-000000000000000a-7"
ROUNDS = ((71, 3, "60", "120030", "48"), (75, 1, "40", "80040", None))
MINUTE = WALL_MS - WALL_MS % 60_000


@pytest.fixture
def author(store):
    return Author(create(store)[0])


def placed(author, quantity="0.3", side=BUY):
    author.decide(
        PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(20), cause="api:desk:7"), market()
    )
    return author.state.orders[-1]


def kept(store, author, dsn):
    assert set(store.commit(author.batch)) == {None}
    author.batch = []
    project(dsn)


def trail(dsn, id_):
    with psycopg.connect(dsn, options="-c default_transaction_read_only=on") as connection:
        return order_trail(connection, id_)


def what(found):
    return [step.what for step in found.steps]


def block(dsn, members, *, number=7, status="FILLED", id_=BLOCK_ID, ended_ms=NOW + 90, reason=""):
    """A block of an order with ``members`` by client order id, and its two rounds, as the projector writes them."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO bulkhead.block (symbol, block, client_order_id, side, class, quantity, executed, value, fee, "
            "fee_asset, status, code, reason, formed_ms, ended_ms) "
            "VALUES (%s, %s, %s, 'BUY', 'NEW_RISK', 100, 100, 200070, 48, '', %s, 0, %s, %s, %s)",
            (ETH, number, id_, status, reason, NOW + 31, ended_ms),
        )
        for place, (member, quantity) in enumerate(members.items()):
            connection.execute(
                "INSERT INTO bulkhead.block_member (symbol, block, client_order_id, account_id, order_id, quantity, allocated, "
                "value, fee) VALUES (%s, %s, %s, %s, %s, %s, %s, 600, 0.2)",
                (ETH, number, member, f"acct-{place + 1}", 9_000 - place, D(quantity), D(quantity)),
            )
        for round_id, trades, quantity, value, fee in ROUNDS:
            connection.execute(
                "INSERT INTO bulkhead.block_round (symbol, block, round_id, trades, quantity, value, fee, fee_asset, at_ms) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, '', %s)",
                (ETH, number, round_id, trades, D(quantity), D(value), fee and D(fee), NOW + round_id),
            )


def test_an_order_that_went_alone_is_followed_from_its_decision_to_its_end(store, dsn, author):
    order = placed(author)
    author.decide(OrderAccepted(order.client_order_id, 50))
    author.decide(CancelOrder(order.client_order_id, "api:desk:8"))
    author.decide(fill_of(order, "0.1", price="2001", fee="0.1", trade_id=5))
    author.decide(fill_of(order, "0.2", price="2004", fee="0.2", trade_id=9))
    author.decide(OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity))
    kept(store, author, dsn)
    found = trail(dsn, order.client_order_id)
    assert what(found) == [
        Happened.DECIDED, Happened.ACKNOWLEDGED, Happened.CANCEL_WANTED, Happened.TRADED, Happened.TRADED, Happened.ENDED,
    ]  # fmt: skip
    decided, accepted, cancel, one, two, end = found.steps
    assert (decided.text, found.cause) == ("USER", "api:desk:7")
    assert (accepted.order_id, cancel.text, end.text) == (50, "api:desk:8", "FILLED")
    assert (one.trade_id, one.quantity, one.price, one.value, one.fee) == (
        5,
        D("0.1"),
        2001,
        D("200.1"),
        D("0.1"),
    )
    assert (one.pooled, two.pooled) == (0, 0), "trades of the exchange, of no round"
    assert (found.status, found.filled, found.is_block, found.in_block) == ("FILLED", "0.3", False, None)
    assert (found.value, found.average_price) == (D("600.9"), D(2003))
    # The touch was 2000.
    assert (found.reference_price, found.worse_by) == (D(2000), D("0.0015"))
    assert (found.fees, found.pending_fees) == ((Fee("", D("0.3")),), 0)


def test_of_two_orders_of_an_account_each_has_its_own_trail(store, dsn, author):
    first = placed(author)
    second = placed(author, "0.1")
    author.decide(
        OrderClosed(first.client_order_id, OrderStatus.REJECTED, D(0), -2019, "Margin is insufficient.")
    )
    author.decide(fill_of(second, price="1999", trade_id=6))
    kept(store, author, dsn)
    assert what(trail(dsn, first.client_order_id)) == [Happened.DECIDED, Happened.ENDED]
    found = trail(dsn, first.client_order_id)
    assert found.steps[-1].text == found.end == "REJECTED -2019 Margin is insufficient."
    assert (found.average_price, found.worse_by, found.fees) == (None, None, ())
    other = trail(dsn, second.client_order_id)
    assert what(other) == [Happened.DECIDED, Happened.TRADED]
    assert other.worse_by == D("-0.0005"), "better than the touch"


def test_a_member_is_led_to_its_block_and_its_rounds(store, dsn, author):
    order = placed(author)
    author.decide(OrderAccepted(order.client_order_id, 9_000))
    part = {"price": "2000.5", "quote_quantity": D("600.15")}
    author.decide(fill_of(order, "0.3", fee="0.24", trade_id=71, **part))
    author.decide(OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity))
    kept(store, author, dsn)
    block(dsn, {order.client_order_id: "0.3", "bh-2": "99.7"})
    found = trail(dsn, order.client_order_id)
    assert set(what(found)) == {
        Happened.DECIDED, Happened.IN_BLOCK, Happened.ACKNOWLEDGED, Happened.TRADED, Happened.ENDED,
    }  # fmt: skip
    assert found.steps[0].what is Happened.DECIDED
    [joined] = [step for step in found.steps if step.what is Happened.IN_BLOCK]
    waited = (NOW + 31 - found.decided_ms) / 1000
    assert joined.text == f"after {max(waited, 0):.3f} s of waiting, in block 7 of ETHUSDT with 1 other"
    [traded] = [step for step in found.steps if step.what is Happened.TRADED]
    assert (traded.trade_id, traded.pooled, traded.value) == (71, 3, D("600.15"))
    assert (found.in_block.block, found.in_block.members, found.in_block.client_order_id) == (7, 2, BLOCK_ID)
    assert found.value == D("600.15"), "what it cost, not quantity times the rounded price"


def test_the_last_of_several_blocks_is_the_one_that_was_sent(store, dsn, author):
    order = placed(author)
    kept(store, author, dsn)
    members = {order.client_order_id: "0.3"}
    block(dsn, members, status="NEVER_SENT", reason="the exchange never had it")
    block(dsn, members, number=8, id_="bh-8")
    found = trail(dsn, order.client_order_id)
    assert (found.in_block.block, found.earlier_blocks) == (8, (7,))
    assert what(found).count(Happened.IN_BLOCK) == 2


def test_a_block_leads_back_to_its_members(store, dsn):
    ids = {f"bh-m-{n:03}": str(n) for n in range(1, trails.MEMBERS_SHOWN + 4)}
    create(store)
    block(dsn, ids, ended_ms=None, status="ACKNOWLEDGED")
    found = trail(dsn, BLOCK_ID)
    assert (found.is_block, found.account_id, found.cause) == (True, "clearing:ETHUSDT", "block:7")
    assert what(found) == [Happened.DECIDED, Happened.ROUND, Happened.ROUND]
    assert found.steps[0].text == "of 53 orders"
    assert [(s.trade_id, s.pooled, s.price, s.fee) for s in found.steps[1:]] == [
        (71, 3, D("2000.5"), D(48)),
        (75, 1, D(2001), None),
    ]
    assert (found.average_price, found.pending_fees) == (D("2000.7"), 1)
    assert len(found.members) == trails.MEMBERS_SHOWN
    assert found.more_members == 3
    assert found.members[0].client_order_id == "bh-m-053", "who got most"


def test_a_block_says_its_end_with_the_exchange_s_words(store, dsn):
    create(store)
    block(dsn, {"bh-1": "100"}, status="EXPIRED", reason="it expired")
    found = trail(dsn, BLOCK_ID)
    assert (found.end, found.end_reason) == ("EXPIRED it expired", "it expired")
    assert found.steps[-1].text == "EXPIRED it expired"


def test_a_fee_that_is_known_later_is_told_in_its_asset(store, dsn, author):
    order = placed(author)
    author.decide(fill_of(order, "0.1", fee=None, trade_id=5))
    author.decide(fill_of(order, "0.2", fee="0.002", fee_asset="BNB", trade_id=6, trade_ms=WALL_MS))
    kept(store, author, dsn)
    found = trail(dsn, order.client_order_id)
    assert (found.pending_fees, found.fees) == (2, ())
    author.decide(RateKnown(BNB, MINUTE, MINUTE + 60_000, D(500), "t"))
    author.decide(FeeKnown(ETH, 5, D("0.1"), "", "t"))
    kept(store, author, dsn)
    found = trail(dsn, order.client_order_id)
    assert (found.pending_fees, found.fees) == (0, (Fee("", D("0.1")), Fee("BNB", D("0.002"))))


def test_a_very_long_trail_is_cut_and_says_so(store, dsn, author, monkeypatch):
    monkeypatch.setattr(trails, "STEPS_SHOWN", 2)
    order = placed(author)
    for n in range(3):
        author.decide(fill_of(order, "0.1", trade_id=5 + n))
    kept(store, author, dsn)
    found = trail(dsn, order.client_order_id)
    assert (what(found), found.more_steps) == ([Happened.DECIDED, Happened.TRADED], 2)
    assert found.value == 600, "sums are of all"


@pytest.mark.parametrize("id_", ["nope", "", "bh-000000-000000000000000a-8", "clearing:ETHUSDT", "%", "'"])
def test_an_id_of_nothing_is_nothing(store, dsn, id_):
    create(store)
    block(dsn, {"bh-1": "100"})
    assert trail(dsn, id_) is None
