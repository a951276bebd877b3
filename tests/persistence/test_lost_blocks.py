"""Orders that the house has because a restored journal had lost them: keys, rows, books, trail, checks of the journal."""

from __future__ import annotations

import time

import psycopg
import pytest

from actors.core.enums import OrderType
from actors.core.messages import PlaceOrder
from actors.persistence import verify
from actors.persistence.connection import connect
from actors.persistence.open_books import account_ids, books, known_orders, recovery
from actors.persistence.order_trail import Fee, Happened, order_trail
from actors.persistence.projection.clearing import LOST
from actors.persistence.projection.differences import differences
from actors.persistence.projection.rebuild import rebuild
from actors.persistence.verify_chain import Wrong
from tests.factories import BTC, BUY, ETH, SELL, D, market
from tests.persistence.authors import NOW, Author, create, project
from tests.persistence.blocks import Blocks
from tests.persistence.projection.lives import ours
from tests.persistence.test_clearing_rows import KEYS, block_of, rows_as_they_are

BLOCKS = (
    "SELECT block, client_order_id, side, class, quantity, executed, value, fee, fee_asset, status, code, reason, formed_ms, "
    "ended_ms FROM bulkhead.block ORDER BY symbol, block"
)


def lost_of(symbol=ETH):
    """A clearing whose house has two lost orders, in three trades."""
    clearing = Blocks(symbol)
    clearing.lost("bh-lost-1", [(7, "0.3", "2000"), (9, "0.1", "2010")], side=SELL, quantity="0.5", number=4)
    clearing.lost("bh-lost-2", [(12, "0.1", "1990")], fee=None)
    return clearing


@pytest.mark.parametrize("projected", [0, 1, 2])
def test_it_is_the_house_s_and_known_wherever_the_tables_are(store, dsn, projected):
    """Reconciliation counts it, and a second look at the exchange's history finds nothing that is lost."""
    create(store, 2)
    clearing = lost_of()
    assert not any(store.commit(clearing.batch[:projected]))
    project(dsn)
    assert not any(store.commit(clearing.batch[projected:]))
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert books(connection) == ({}, {ETH: D("-0.3")}, {})
        assert known_orders(connection, ["bh-lost-1", "bh-lost-2", "bh-other"]) == {"bh-lost-1", "bh-lost-2"}
        assert sorted(account_ids(connection)) == ["acct-1", "acct-2"]
        assert recovery(connection).working == ()
    state, booked = store.load_clearing(ETH)
    assert (state, booked) == (clearing.state, ())
    assert (state.lost, state.house, state.next_block) == (("bh-lost-1", "bh-lost-2"), D("-0.3"), 6)


def test_people_see_a_block_without_members_and_what_the_house_has(store, dsn):
    create(store)
    clearing = lost_of()
    clearing.lost("bh-lost-3", [(20, "0.1", "2000")], fee="0.002", fee_asset="BNB")
    assert not any(store.commit(clearing.take()))
    project(dsn)
    assert rows_as_they_are(dsn, "SELECT stream, error FROM bulkhead.parked") == []
    assert rows_as_they_are(dsn, BLOCKS) == [
        (
            4, "bh-lost-1", "SELL", "NEW_RISK", D("0.5"), D("0.4"), D("801.0"), D("0.02"), "", "FILLED", 0, LOST, NOW, NOW,
        ),
        (5, "bh-lost-2", "BUY", "NEW_RISK", D("0.1"), D("0.1"), D("199.0"), D(0), "", "FILLED", 0, LOST, NOW, NOW),
        (6, "bh-lost-3", "BUY", "NEW_RISK", D("0.1"), D("0.1"), D("200.0"), D("0.002"), "BNB", "FILLED", 0, LOST, NOW, NOW),
    ]  # fmt: skip
    house = "SELECT symbol, quantity FROM bulkhead.house_position"
    assert rows_as_they_are(dsn, house) == [("ETHUSDT", D("-0.2"))]
    with psycopg.connect(dsn) as connection:
        found = order_trail(connection, "bh-lost-1")
    assert [step.what for step in found.steps] == [Happened.DECIDED, Happened.ENDED]
    assert found.steps[0].text == "lost with the journal"
    assert (found.is_block, found.filled, found.average_price) == (True, "0.4", D("2002.5"))
    assert (found.end, found.fees, found.members) == (f"FILLED {LOST}", (Fee("", D("0.02")),), ())


def test_its_trades_are_used_once_whoever_has_them(store, dsn):
    (one, _two), clearing, formed = block_of(store)
    clearing.lost("bh-lost-1", [(7, "0.1", "2000"), (9, "0.1", "2000")])
    assert store.commit(clearing.take()) == [None]
    assert rows_as_they_are(dsn, KEYS) == [("ETHUSDT", 7, ""), ("ETHUSDT", 9, "")]
    for trade_id, again in ((9, "another lost order"), (7, "a round")):
        before = clearing.state
        if again == "a round":
            part = [(formed.members[0].client_order_id, "0.1")]
            clearing.round(formed, [(trade_id, "0.1", "2000")], part)
        else:
            clearing.lost("bh-lost-2", [(trade_id, "0.1", "2000")])
        [refusal] = store.commit(clearing.take())
        assert "trade_once" in str(refusal), again
        clearing.state, _ = store.load_clearing(ETH)
        assert clearing.state == before
    one.trade(BUY, "0.1", trade_id=7)
    assert "trade_once" in str(next(filter(None, store.commit(one.batch))))


@pytest.mark.parametrize("projected", [False, True])
def test_it_was_an_order_of_the_last_minute_if_it_was(store, dsn, projected):
    [author] = (Author(state) for state in create(store))
    now_ms = time.time_ns() // 1_000_000
    clearing = lost_of()
    author.decide(
        PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), order_type=OrderType.LIMIT, price=D(1990)),
        market(wall_ms=now_ms - 30_000),
    )
    recent = Blocks(BTC)
    recent.lost("bh-recent", [(7, "0.1", "2000")], placed_ms=now_ms - 1_000)
    assert not any(store.commit([*author.batch, *clearing.take(), *recent.take()]))
    if projected:
        project(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert recovery(connection).recent == (1, 2)


def test_verify_and_rebuild_know_it(store, dsn):
    create(store)
    clearing = lost_of()
    assert not any(store.commit(clearing.take()))
    project(dsn)
    before = ours(dsn, but=("snapshot",))
    with connect(dsn) as connection:
        report = verify.verify(connection)
        assert (report.fault, report.clearings, report.trades) == (None, 1, 3)
        assert not [d for d in differences(connection) if d.wrong or d.lacking]
        connection.execute("UPDATE bulkhead.house_position SET quantity = quantity + 1")
        assert [(d.table, d.wrong, d.lacking) for d in differences(connection) if d.wrong or d.lacking] == [
            ("house_position", 1, 1)
        ]
        rebuild(connection)
        assert ours(dsn, but=("snapshot",)) == before
        connection.execute("DELETE FROM bulkhead.trade_key WHERE trade_id = 12")
        assert verify.verify(connection).fault.wrong is Wrong.TRADES
