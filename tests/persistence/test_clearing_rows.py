"""Clearing in the journal: how its streams begin, and what a trade is used for, once."""

from __future__ import annotations

import psycopg
import pytest
from msgspec.structs import replace

from actors.core.enums import OrderStatus
from actors.core.messages import OrderAccepted, OrderClosed, PlaceOrder
from actors.persistence import journal
from tests.factories import BUY, ETH, SELL, D
from tests.persistence.authors import Author, create, rows
from tests.persistence.blocks import Blocks, fill_of_round

KEYS = "SELECT symbol, trade_id, member FROM bulkhead.trade_key ORDER BY 2, 3"


def block_of(store, count=2):
    """Accounts with an order each, durable, and the block of them."""
    authors = [Author(state) for state in create(store, count)]
    for author in authors:
        author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20)))
    clearing = Blocks()
    formed = clearing.form([(a.state.account_id, a.state.orders[0].client_order_id, "0.1") for a in authors])
    assert set(store.commit([d for a in authors for d in a.batch] + clearing.batch)) == {None}
    clearing.batch.clear()
    for author in authors:
        author.batch.clear()
    return authors, clearing, formed


def round_of(clearing, formed, trade_ids, each="0.05"):
    ids = [m.client_order_id for m in formed.members]
    quantity = D(each) * len(ids) / len(trade_ids)
    trades = [(id_, quantity, "2000") for id_ in trade_ids]
    return clearing.round(formed, trades, [(id_, each) for id_ in ids])


def book(author, formed, round_):
    order_id = author.state.orders[0].client_order_id
    author.decide(OrderAccepted(order_id, formed.members[0].order_id))
    author.decide(fill_of_round(formed, round_, order_id))


def test_a_clearing_s_stream_begins_with_its_first_decision_and_goes_on_without_a_gap(store, dsn):
    clearing = Blocks()
    clearing.form([("acct-1", "a-1", "0.1")])
    clearing.form([("acct-1", "a-2", "0.1")])
    first, second = clearing.batch
    third = replace(second, previous_sequence=7, state=replace(second.state, sequence=8))
    other = Blocks("BTCUSDT")
    other.form([("acct-1", "b-1", "0.1")])
    other.form([("acct-1", "b-2", "0.1")])
    # What begins anywhere but at 1 has lost rows.
    assert "decision 2 does not follow 0" in str(store.commit([other.batch[1]])[0])
    assert store.commit([first, second]) == [None, None]
    assert "decision 8 does not follow 2" in str(store.commit([third])[0])
    with psycopg.connect(dsn) as connection:
        assert [(e.stream, e.sequence) for e in journal.read(connection, 0, 9)] == [
            ("clearing:ETHUSDT", 1), ("clearing:ETHUSDT", 2),
        ]  # fmt: skip


def test_an_account_s_stream_still_begins_with_its_own_first_fact_alone(store):
    [state] = create(store)
    author = Author(state)
    author.trade(BUY, "0.1")
    stranger = replace(
        author.batch[0], stream="acct-9", previous_sequence=0, state=replace(state, sequence=1)
    )
    assert "no such account" in str(store.commit([stranger])[0])


def test_the_facts_of_both_vocabularies_are_rows_that_people_can_read(store, dsn):
    authors, clearing, formed = block_of(store)
    round_ = round_of(clearing, formed, [7, 9])
    clearing.end(formed, "0.1", OrderStatus.EXPIRED)
    assert set(store.commit(clearing.batch)) == {None}
    del authors, round_
    facts = "SELECT fact, content ->> 'block' FROM bulkhead.journal_facts WHERE stream = 'clearing:ETHUSDT' ORDER BY position"
    assert rows_as_they_are(dsn, facts) == [
        ("BlockFormed", None),
        ("RoundAllocated", "1"),
        ("BlockEnded", "1"),
    ]


def rows_as_they_are(dsn, query):
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def test_a_round_uses_each_of_its_trades_once_and_each_member_books_it_once(store, dsn):
    (one, two), clearing, formed = block_of(store)
    round_ = round_of(clearing, formed, [7, 9])
    book(one, formed, round_)
    book(two, formed, round_)
    assert set(store.commit([*clearing.batch, *one.batch, *two.batch])) == {None}
    ids = [m.client_order_id for m in formed.members]
    assert rows_as_they_are(dsn, KEYS) == [
        ("ETHUSDT", 7, ""), ("ETHUSDT", 9, ""), *(("ETHUSDT", 9, id_) for id_ in sorted(ids)),
    ]  # fmt: skip


@pytest.mark.parametrize("trade_ids", [[7, 9], [9, 11], [11, 7]])
def test_a_trade_of_one_round_is_refused_in_another(store, dsn, trade_ids):
    [author] = [Author(state) for state in create(store)]
    clearing = Blocks()
    formed = [clearing.form([(author.state.account_id, id_, "0.1")]) for id_ in ("a-1", "a-2")]
    assert not any(store.commit(clearing.take()))
    round_of(clearing, formed[0], [7, 9])
    round_of(clearing, formed[1], trade_ids)
    first, second = store.commit(clearing.batch)
    assert first is None
    assert "trade_once" in str(second)
    assert len(rows_as_they_are(dsn, KEYS)) == 2


def test_a_trade_of_a_round_is_no_account_s_own_and_the_other_way_round(store, dsn):
    authors, clearing, formed = block_of(store, 3)
    round_of(clearing, formed, [7, 9])
    assert store.commit(clearing.batch) == [None]
    alone = authors[0]
    order = alone.state.orders[0]
    alone.decide(OrderAccepted(order.client_order_id, 50))
    taken = replace(fill_of_round(formed, clearing.batch[0].facts[0], order.client_order_id))
    alone.decide(replace(taken, trade=replace(taken.trade, trade_id=9, quote_quantity=None)))
    accepted, refused = store.commit(alone.batch)
    assert accepted is None
    assert "trade_once" in str(refused)
    other = authors[1]
    order = other.state.orders[0]
    other.decide(OrderAccepted(order.client_order_id, 51))
    other.decide(replace(taken, account_id=other.state.account_id, client_order_id=order.client_order_id,
                         trade=replace(taken.trade, trade_id=20, quote_quantity=None)))  # fmt: skip
    assert store.commit(other.batch) == [None, None]
    clearing.batch.clear()
    round_of(clearing, formed, [20])
    assert "trade_once" in str(store.commit(clearing.batch)[0])


def test_a_member_that_books_a_round_twice_is_refused(store, dsn):
    (one, _two), clearing, formed = block_of(store)
    round_ = round_of(clearing, formed, [7, 9])
    before = one.state
    book(one, formed, round_)
    again = [d for d in one.batch if any(type(f).__name__ == "FillApplied" for f in d.facts)]
    assert set(store.commit([*clearing.batch, *one.batch])) == {None}
    end = one.state.sequence
    twice = replace(again[0], previous_sequence=end, state=replace(again[0].state, sequence=end + 1))
    assert "trade_once" in str(store.commit([twice])[0])
    assert before.sequence < end


def test_fills_that_share_a_round_are_rows_of_their_own_here_and_in_the_platform(store, dsn):
    authors, clearing, formed = block_of(store, 3)
    round_ = round_of(clearing, formed, [7, 9])
    for author in authors:
        book(author, formed, round_)
        order = author.state.orders[0]
        author.decide(OrderClosed(order.client_order_id, OrderStatus.EXPIRED, D("0.05")))
    assert set(store.commit(clearing.batch + [d for a in authors for d in a.batch])) == {None}
    ids = sorted(m.client_order_id for m in formed.members)
    fills = "SELECT client_order_id, trade_id, quantity, quote_quantity FROM bulkhead.fill ORDER BY 1"
    assert rows(dsn, fills) == [(id_, 9, D("0.05"), D(100)) for id_ in ids]
    trades = "SELECT sub_account_id, quantity, notional FROM trade_executions ORDER BY 1"
    assert rows(dsn, trades) == [(a.state.account_id, D("0.05"), D(100)) for a in authors]
    assert rows(dsn, "SELECT count(DISTINCT (id, signature)) FROM trade_executions") == [(3,)]


def test_two_orders_of_one_account_may_have_parts_of_one_round(store, dsn):
    author = Author(create(store)[0])
    for _ in range(2):
        author.decide(PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.1"), leverage=D(20)))
    clearing = Blocks()
    ids = [o.client_order_id for o in author.state.orders]
    formed = clearing.form([(author.state.account_id, id_, "0.1") for id_ in ids], side=SELL)
    round_ = round_of(clearing, formed, [7, 9])
    for id_, member in zip(ids, formed.members, strict=True):
        author.decide(OrderAccepted(id_, member.order_id))
        author.decide(fill_of_round(formed, round_, id_))
    assert set(store.commit([*clearing.batch, *author.batch])) == {None}
    assert rows(dsn, "SELECT count(*) FROM bulkhead.parked WHERE stream LIKE 'acct%'") == [(0,)]
    assert rows(dsn, "SELECT count(*) FROM trade_executions") == [(2,)]
