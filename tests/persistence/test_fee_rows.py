"""Fees in another asset in Postgres: everything can be recomputed, and what is pending survives."""

from __future__ import annotations

from decimal import Decimal as D

import psycopg
import pytest
from msgspec.structs import replace

from actors.core.messages import FeeKnown, PlaceOrder, RateKnown, SettleFee
from actors.persistence import schema
from actors.persistence.projection.decided import of_handover
from actors.persistence.projection.store import Projection
from actors.persistence.store import Store
from tests.factories import BNB, BUY, ETH, SELL, WALL_MS, WIDE, fill_of, market
from tests.persistence.authors import TRADE_IDS, Author, create, load, rows

MINUTE = WALL_MS - WALL_MS % 60_000
BOTH = market({ETH: "2000", BNB: "500"})
FILLS = "SELECT fee, fee_asset, fee_amount, fee_rate, fee_rate_ms FROM bulkhead.fill ORDER BY trade_id"
TRADES = 'SELECT action, fee FROM trade_executions ORDER BY "timestamp", action'
LOGS = "SELECT reason, change_amount FROM balance_logs WHERE reason = 'FEE'"
SUMS = (
    "SELECT a.balance, a.fees, s.current_balance, (SELECT sum(fee) FROM bulkhead.fill), "
    "(SELECT sum(fee) FROM trade_executions) FROM bulkhead.account a JOIN sub_accounts s ON s.id = a.account_id"
)


def trade(author, side, quantity, at=None, fee="0.002", asset="BNB"):
    """An order and its fill, whose id is the answer."""
    author.decide(PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(20)))
    number = next(TRADE_IDS)
    fill = fill_of(
        author.state.orders[-1], fee=fee, fee_asset=asset if fee else "", trade_ms=WALL_MS, trade_id=number
    )
    author.decide(fill, at)
    return number


def rate(value="500"):
    return RateKnown(BNB, MINUTE, MINUTE + 60_000, D(value), "t")


def commit(store, author):
    assert set(store.commit(author.batch)) == {None}
    author.batch = []
    assert load(store, author.state) == author.state


@pytest.fixture
def author(store):
    return Author(create(store)[0])


def test_a_booked_fee_has_its_asset_amount_and_rate_beside_it(store, dsn, author):
    trade(author, BUY, "0.1", BOTH)
    trade(author, SELL, "0.1", fee="0.09", asset="USDT")
    commit(store, author)
    assert rows(dsn, FILLS) == [
        (D(1), "BNB", D("0.002"), D(500), 1),
        (D("0.09"), None, None, None, None),
    ]
    assert rows(dsn, SUMS) == [(D("998.91"), D("1.09"), D("998.91"), D("1.09"), D("1.09"))]


def test_a_pending_fee_survives_and_is_booked_in_every_table(store, dsn, author):
    trade(author, BUY, "0.1")
    commit(store, author)
    assert rows(dsn, FILLS) == [(D(0), "BNB", D("0.002"), None, None)]
    assert len(load(store, author.state).pending_fees) == 1
    author.decide(rate())
    commit(store, author)
    assert rows(dsn, FILLS) == [(D(1), "BNB", D("0.002"), D(500), MINUTE)]
    assert rows(dsn, "SELECT fees FROM bulkhead.position") == [(D(1),)]
    assert rows(dsn, TRADES) == [("OPEN", D(1))]
    assert rows(dsn, LOGS) == [("FEE", D(-1))]
    assert rows(dsn, SUMS) == [(D(999), D(1), D(999), D(1), D(1))]
    assert load(store, author.state).pending_fees == ()


def test_a_fee_that_was_not_told_is_pending_then_learned_then_booked(store, dsn, author):
    number = trade(author, BUY, "0.1", fee=None)
    commit(store, author)
    assert rows(dsn, FILLS) == [(D(0), None, None, None, None)]
    author.decide(FeeKnown(ETH, number, D("0.002"), "BNB", "t"))
    commit(store, author)
    assert rows(dsn, FILLS) == [(D(0), "BNB", D("0.002"), None, None)]
    author.decide(rate())
    commit(store, author)
    assert rows(dsn, FILLS) == [(D(1), "BNB", D("0.002"), D(500), MINUTE)]


def test_one_that_turns_out_to_be_in_the_quote_asset_is_that(store, dsn, author):
    number = trade(author, BUY, "0.1", fee=None)
    author.decide(FeeKnown(ETH, number, D("0.09"), "USDT", "t"))
    commit(store, author)
    assert rows(dsn, FILLS) == [(D("0.09"), "USDT", D("0.09"), D(1), WALL_MS)]


def test_one_that_an_operator_books_is_in_every_table_too(store, dsn, author):
    number = trade(author, BUY, "0.1", fee=None)
    author.decide(SettleFee(ETH, number, None, D("0.8")))
    commit(store, author)
    assert rows(dsn, FILLS) == [(D("0.8"), None, None, None, None)]
    assert rows(dsn, SUMS) == [(D("999.2"), D("0.8"), D("999.2"), D("0.8"), D("0.8"))]


def test_after_the_position_is_closed_its_record_gets_the_fee(store, dsn, author):
    trade(author, BUY, "0.1")
    trade(author, SELL, "0.1", fee="0.09", asset="USDT")
    commit(store, author)
    author.decide(rate())
    commit(store, author)
    assert rows(dsn, "SELECT fees FROM bulkhead.closed_position") == [(D("1.09"),)]
    assert rows(dsn, SUMS) == [(D("998.91"), D("1.09"), D("998.91"), D("1.09"), D("1.09"))]


def test_a_flip_s_fee_goes_to_both_positions_and_both_legs(store, dsn, author):
    trade(author, BUY, "0.1", fee="0", asset="USDT")
    trade(author, SELL, "0.3", fee="0.003")
    author.decide(rate())
    commit(store, author)
    assert rows(dsn, "SELECT fees FROM bulkhead.closed_position") == [(D("0.5"),)]
    assert rows(dsn, "SELECT fees FROM bulkhead.position") == [(D(1),)]
    assert sorted(fee for _, fee in rows(dsn, TRADES)) == [D(0), D("0.5"), D(1)]


def test_all_in_one_commit_as_well(store, dsn, author):
    """Booked, learned, closed and a flip in one transaction: tables are written one after the other."""
    number = trade(author, BUY, "0.1", fee=None)
    trade(author, SELL, "0.3", fee="0.003")
    author.decide(FeeKnown(ETH, number, D("0.002"), "BNB", "t"))
    author.decide(rate())
    commit(store, author)
    assert rows(dsn, "SELECT fees FROM bulkhead.closed_position") == [(D("1.5"),)]
    assert rows(dsn, SUMS) == [(D("997.5"), D("2.5"), D("997.5"), D("2.5"), D("2.5"))]


def test_a_fee_that_does_not_follow_from_amount_and_rate_is_refused_by_the_database(store, dsn, author):
    trade(author, BUY, "0.1", BOTH)
    *_, fill = author.batch
    wrong = replace(fill.facts[0], commission=replace(fill.facts[0].commission, rate=D(501)))
    author.batch[-1] = replace(fill, facts=(wrong, *fill.facts[1:]))
    store.commit(author.batch)
    [(error,)] = rows(dsn, "SELECT error FROM bulkhead.parked")
    assert "fill_fee_follows" in error
    assert rows(dsn, FILLS) == []


def test_the_books_check_of_the_database_knows_late_fees(store, dsn, author):
    store.handover()
    trade(author, BUY, "0.1")
    author.decide(rate())
    last = author.batch[-1]
    wrong = replace(last, state=replace(last.state, balance=D(1000)))
    assert set(store.commit([*author.batch[:-1], wrong])) == {None}
    projection = Projection(dsn)
    projection.begin()
    projection.project(projection.read(1))
    projection.project(of_handover(store.handover()))
    projection.close()
    [(error,)] = rows(dsn, "SELECT error FROM bulkhead.parked")
    assert "account_adds_up" in error


def test_a_database_of_version_3_with_data_is_upgraded(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        for script in ("platform.sql", *schema.SCRIPTS[:3]):
            connection.execute((schema._HERE / script).read_bytes())
        connection.execute("""
            INSERT INTO sub_accounts (id, name, initial_balance, current_balance, liquidation_mode, maintenance_rate,
                updated_at) VALUES ('acct-1', 'acct-1', 1000, 999.2, 'ADL_30', 0.005, now());
            INSERT INTO bulkhead.account VALUES ('acct-1', 0, 3, 2, 2, 999.2, 1000, 0, 0.8, 0, 0, 'HEALTHY', 0);
            INSERT INTO bulkhead.intent (client_order_id, account_id, order_sequence, symbol, side, order_type, quantity,
                time_in_force, reduce_only, leverage, margin_reserved, purpose, tier, decided_ms, cause, status, filled)
            VALUES ('bh-x-1', 'acct-1', 1, 'ETHUSDT', 'BUY', 'MARKET', 1, 'GTC', false, 10, 200, 'USER', 0, 1, '',
                'FILLED', 1);
            INSERT INTO bulkhead.fill VALUES ('binance-usdm', 'ETHUSDT', 1, 'bh-x-1', 'acct-1', 101, 'BUY', 1, 2000, 0.8,
                false, 5, 0, 0);
            INSERT INTO bulkhead.position (position_id, account_id, symbol, quantity, entry_price, margin, realized,
                opened_ms, peak, fees) VALUES ('p1', 'acct-1', 'ETHUSDT', 1, 2000, 200, 0, 5, 1, 0.8)""")
        assert schema.check(connection) is schema.Found.OLDER
    store = Store.open(dsn, WIDE)
    store.acquire("me", 30)
    [state] = store.load(None)
    assert (state.fees, state.pending_fees, state.positions[0].fees) == (D("0.8"), (), D("0.8"))
    assert rows(dsn, FILLS) == [(D("0.8"), None, None, None, None)]
    author = Author(state)
    trade(author, BUY, "0.1")
    author.decide(rate())
    commit(store, author)
    store.close()
    assert author.state.fees == D("1.8")
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert schema.check(connection) is schema.Found.READY
