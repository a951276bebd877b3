"""What is open now, from the tables and from what is not in them yet, is the same at every place of the cursor."""

from __future__ import annotations

import time

import psycopg
import pytest

from actors.core.enums import LiquidationMode, OrderType
from actors.core.facts import OrderIntended
from actors.core.messages import PlaceOrder, Wake
from actors.persistence import fleet_loading, loading, open_books
from actors.persistence.connection import connect
from actors.persistence.open_books import books, in_windows, known_orders, recovery
from tests.factories import BUY, ETH, SELL, D, market
from tests.persistence.authors import Author, create, project
from tests.persistence.blocks import Blocks


@pytest.mark.parametrize(
    ("age_ms", "counted"),
    [
        (0, (1, 1)),
        (14_999, (1, 1)),
        (15_000, (0, 1)),
        (64_999, (0, 1)),
        (65_000, (0, 0)),
        (-5, (1, 1)),
    ],
)
def test_an_order_counts_for_the_exchange_s_window_and_five_seconds(age_ms, counted):
    assert in_windows([1_000_000 - age_ms], 1_000_000) == counted
    assert in_windows([1_000_000, 1_000_000 - age_ms], 1_000_000) == (1 + counted[0], 1 + counted[1])


@pytest.fixture
def authors(store):
    """Three accounts: one holds and has an order working, one is flat, one was taken over by the house."""
    held, flat, taken = (Author(state) for state in create(store, 3, mode=LiquidationMode.TAKEOVER))
    held.trade(BUY, "0.3")
    held.trade(SELL, "0.1")
    held.decide(
        PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.2"), order_type=OrderType.LIMIT, price=D(1990))
    )
    flat.trade(SELL, "0.1")
    flat.trade(BUY, "0.1")
    taken.trade(BUY, "5")
    taken.decide(Wake(ETH, "t"), market({ETH: "1805"}))
    return held, flat, taken


def commit_in_part(store, dsn, authors, projected):
    """The first decisions are in the tables, the others in the journal alone."""
    longest = max(len(author.batch) for author in authors)
    mixed = [a.batch[n] for n in range(longest) for a in authors if n < len(a.batch)]
    assert not any(store.commit(mixed[:projected])) if projected else True
    project(dsn)
    assert not any(store.commit(mixed[projected:]))
    return mixed


@pytest.mark.parametrize("projected", [0, 1, 4, 7, 10, 13, 16, 18])
def test_books_and_orders_do_not_depend_on_what_is_projected(store, dsn, authors, projected):
    commit_in_part(store, dsn, authors, projected)
    held = authors[0].state
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert books(connection) == ({ETH: D("0.2")}, {ETH: D(5)}, {})
        assert recovery(connection).working == held.orders


@pytest.mark.parametrize("projected", [0, 4, 10, 18])
def test_orders_that_have_an_intent_are_known_wherever_it_is(store, dsn, authors, projected):
    commit_in_part(store, dsn, authors, projected)
    intents = [
        f.client_order_id for a in authors for d in a.batch for f in d.facts if isinstance(f, OrderIntended)
    ]
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert len(intents) > 5
        assert known_orders(connection, [*intents, "bh-000000-0000000000000000-1"]) == set(intents)
        assert known_orders(connection, intents[:1]) == set(intents[:1])
        assert known_orders(connection, []) == set()


def test_blocks_that_have_an_intent_are_known_too(store, dsn, authors):
    formed = Blocks()
    block = formed.form([("acct-1", "bh-one", "1")])
    assert not any(store.commit(formed.batch))
    id_ = block.order.client_order_id
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert known_orders(connection, [id_, "bh-one"]) == {id_}
        connection.execute("UPDATE bulkhead.projection SET position = 1000")
        assert known_orders(connection, [id_]) == set()
        connection.execute(
            "INSERT INTO bulkhead.block (symbol, block, client_order_id, side, class, quantity, executed, value, fee, "
            "fee_asset, status, code, reason, formed_ms) "
            "VALUES ('ETHUSDT', 1, %s, 'BUY', 'LIQUIDATION', 1, 0, 0, 0, '', 'INTENDED', 0, '', 1)",
            (id_,),
        )
        assert known_orders(connection, [id_, "bh-two"]) == {id_}


def test_a_parked_account_counts_as_it_is_and_not_as_its_tables_say(store, dsn, authors):
    commit_in_part(store, dsn, authors, 6)
    with psycopg.connect(dsn, autocommit=True) as connection:
        parked = """
            INSERT INTO bulkhead.parked (stream, sequence, position, since_ms, error)
            SELECT stream, sequence, position, 0, 'for the test' FROM bulkhead.journal
            WHERE stream = %s AND position > (SELECT position FROM bulkhead.projection) ORDER BY sequence LIMIT 1"""
        connection.execute(parked, ("acct-1",))
        connection.execute(parked, ("acct-3",))
    project(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM bulkhead.house_position").fetchone() == (0,)
        assert books(connection) == ({ETH: D("0.2")}, {ETH: D(5)}, {})
        assert recovery(connection).working == authors[0].state.orders


def test_an_account_that_cannot_be_read_keeps_no_other_from_being_counted(store, dsn, authors):
    commit_in_part(store, dsn, authors, 0)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            r"UPDATE bulkhead.journal SET facts = '\xff' WHERE stream = 'acct-2' AND sequence = 2"
        )
        assert books(connection) == ({ETH: D("0.2")}, {ETH: D(5)}, {})
        assert recovery(connection).working == authors[0].state.orders


@pytest.mark.parametrize("projected", [False, True])
def test_recent_orders_are_counted_in_the_tables_and_behind_them(store, dsn, projected):
    [author] = (Author(state) for state in create(store))
    now_ms = time.time_ns() // 1_000_000
    # Each a good while from the edge of a window, as the database's clock goes on.
    for age_ms in (100_000, 50_000, 30_000, 1_000):
        order = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), order_type=OrderType.LIMIT, price=D(1990))
        author.decide(order, market(wall_ms=now_ms - age_ms))
    assert not any(store.commit(author.batch))
    if projected:
        project(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert recovery(connection).recent == (1, 3)


def test_no_more_than_a_chunk_of_accounts_is_folded_between_two_statements(store, dsn, authors, monkeypatch):
    """Postgres ends a transaction that is idle for two seconds, and after a crash very many accounts may be behind."""
    folded, transactions = [], []
    real, facts = loading.add_usual, open_books._facts

    def noted(connection, streams, found):
        folded.append(len(streams))
        return real(connection, streams, found)

    def watched(rows):
        rows = list(rows)
        transactions.append((connection.info.transaction_status, bool(rows)))
        return facts(rows)

    monkeypatch.setattr(fleet_loading, "CHUNK", 2)
    monkeypatch.setattr(loading, "add_usual", noted)
    monkeypatch.setattr(open_books, "_facts", watched)
    commit_in_part(store, dsn, authors, 0)
    with connect(dsn) as connection:
        assert recovery(connection).working == authors[0].state.orders
        assert books(connection).virtual == {ETH: D("0.2")}
    assert folded == [2, 1, 2, 1]
    idle, inside = psycopg.pq.TransactionStatus.IDLE, psycopg.pq.TransactionStatus.INTRANS
    assert transactions == [(inside, False), (idle, True), (idle, True)]
