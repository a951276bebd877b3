"""Whose orders are ours, across new databases, starts, restored backups and the upgrade from version 3."""

from __future__ import annotations

import itertools
from decimal import Decimal as D

import psycopg
import pytest

from actors.core.enums import ConditionalKind, ConditionalStatus, OrderStatus, Purpose
from actors.core.errors import NotStarted
from actors.core.messages import CancelOrder, OrderAccepted, OrderClosed, PlaceConditional, PlaceOrder, Wake
from actors.core.order_ids import parsed
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.gateway.messages import Report, ReportStatus, Surveyed
from actors.gateway.orders import Request, Survey, Tracked
from actors.gateway.protocol import GatewayCore
from actors.persistence import schema
from actors.persistence.shards import shard_of
from actors.persistence.store import Store
from actors.venues.binance.rules import RULES
from tests.factories import BUY, ETH, SELL, fill_of, market
from tests.persistence.authors import NOW, Author, create, load, rows

STARTS = "SELECT start_id FROM bulkhead.engine_start"


def begin(store, draw=None):
    return store.with_operator_records(lambda records: records.begin("test", *([draw] if draw else [])))


def database(postgres, name, template=""):
    """A new database, or a restored backup of another one, which nobody may be using."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {f'TEMPLATE {template}' if template else ''}")
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture
def other(postgres):
    """Makes further databases, and drops them at the end."""
    made = []

    def make(template=""):
        made.append(f"other_{len(made)}")
        return database(postgres, made[-1], template)

    yield make
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def name_of(dsn):
    return psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]


def test_a_fleet_s_id_is_made_once_per_database_and_each_start_has_its_own(store, dsn, other):
    first = begin(store)
    store.close()
    again = Store.open(dsn)
    second, third = begin(again), begin(again)
    again.close()
    assert first.fleet == second.fleet == third.fleet
    assert len({first.start, second.start, third.start}) == 3
    assert {(first.start,), (second.start,), (third.start,)} == set(rows(dsn, STARTS))
    elsewhere = Store.open(other())
    assert begin(elsewhere).fleet != first.fleet
    elsewhere.close()


def test_a_start_says_what_it_was_and_where(store, dsn):
    begin(store)
    [(program, host, age)] = rows(
        dsn, "SELECT program, host, extract(epoch FROM now() - started_at) FROM bulkhead.engine_start"
    )
    assert program == "test"
    assert host
    assert 0 <= age < 60


def test_an_id_that_was_used_is_drawn_again_and_a_broken_source_is_named(store):
    draws = itertools.chain([b"\0" * 6] * 3, [b"\1" * 6])
    assert begin(store, lambda: next(draws)).start == "000000"
    assert begin(store, lambda: next(draws)).start == "111111"
    with pytest.raises(NotStarted, match="random source"):
        begin(store, lambda: b"\0" * 6)


def test_a_database_without_its_fleet_starts_nothing(store, dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM bulkhead.fleet")
    with pytest.raises(NotStarted, match=r"bulkhead\.fleet"):
        begin(store)


def test_there_is_one_fleet_and_no_more(store, dsn):
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO bulkhead.fleet (fleet_id) VALUES ('aaaaaa')")


def ids_of_a_start(dsn, trades):
    """What a start on a database sends, committed; and its origin."""
    store = Store.open(dsn)
    store.acquire("me", 30)
    origin = begin(store)
    author = Author((store.load(None) or create(store))[0])
    for _ in range(trades):
        decision = author.decide(_buy(), market(origin=origin))
        order = decision.state.orders[-1]
        author.decide(OrderAccepted(order.client_order_id, 50), market(origin=origin))
        author.decide(OrderClosed(order.client_order_id, OrderStatus.CANCELED, D(0)), market(origin=origin))
    assert not any(store.commit(author.batch))
    store.close()
    return origin, rows(dsn, "SELECT client_order_id FROM bulkhead.intent ORDER BY order_sequence")


def _buy():
    return PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.01"))


def test_a_restored_backup_repeats_no_id_of_what_was_sent_after_it(dsn, other):
    """The older copy has the same fleet, the same account and the same next sequence."""
    ids_of_a_start(dsn, 2)
    backup = other(template=name_of(dsn))
    origin, all_ids = ids_of_a_start(dsn, 3)
    restored, restored_ids = ids_of_a_start(backup, 3)
    assert restored.fleet == origin.fleet
    assert restored.start != origin.start
    assert restored_ids[:2] == all_ids[:2]
    after, again = {i for (i,) in all_ids[2:]}, {i for (i,) in restored_ids[2:]}
    assert {parsed(i).sequence for i in after} == {parsed(i).sequence for i in again} == {3, 4, 5}
    assert not after & again


def test_what_a_restored_backup_does_not_know_is_an_orphan_of_its_own_fleet(dsn, other):
    ids_of_a_start(dsn, 1)
    backup = other(template=name_of(dsn))
    _, [*_, (lost,)] = ids_of_a_start(dsn, 2)
    origin, _ = ids_of_a_start(backup, 0)
    core = GatewayCore(OrderBudget(10, 10), RULES, Fleets(origin))
    core.resume_orders([], NOW)
    resting = Report(
        client_order_id=lost, exchange_order_id=1, symbol=ETH, status=ReportStatus.NEW, executed=D(0)
    )
    effects = core.orphans([resting], NOW)
    assert [(e.kind, e.client_order_id) for e in effects if isinstance(e, Request)] == [("cancel", lost)]


# --- the upgrade

WORKING, STOP = "bh-2df37e62254fb358-3", "bh-2df37e62254fb358-4"
ENDED = "bh-2df37e62254fb358-2"
VERSION_3 = f"""
    INSERT INTO sub_accounts (id, name, initial_balance, current_balance, updated_at)
    VALUES ('acct-1', 'acct-1', 1000, 999.5, now());
    INSERT INTO bulkhead.account (account_id, shard_id, sequence, next_order_sequence, next_position_sequence,
        balance, deposits, realized, fees, funding, bad_debt, phase, refusals)
    VALUES ('acct-1', {{shard}}, 9, 5, 2, 999.5, 1000, 0, 0.5, 0, 0, 'HEALTHY', 0);
    INSERT INTO bulkhead.position (position_id, account_id, symbol, quantity, entry_price, margin, realized,
        opened_ms, peak, fees)
    VALUES ('p1', 'acct-1', 'ETHUSDT', 0.2, 2000, 40, 0, 1, 0.2, 0.5);
    INSERT INTO bulkhead.intent (client_order_id, account_id, order_sequence, symbol, side, order_type, quantity,
        price, time_in_force, reduce_only, leverage, margin_reserved, purpose, tier, decided_ms, cause, status,
        exchange_order_id, filled)
    VALUES ('{ENDED}', 'acct-1', 2, 'ETHUSDT', 'BUY', 'MARKET', 0.1, NULL, 'GTC', false, 10, 20, 'USER', 0, 5,
            'api', 'FILLED', 76, 0.1),
        ('{WORKING}', 'acct-1', 3, 'ETHUSDT', 'BUY', 'LIMIT', 0.3, 2000, 'GTC', false, 10, 60, 'USER', 0, 5, 'api',
            'ACKNOWLEDGED', 77, 0.1);
    INSERT INTO bulkhead.fill (exchange, symbol, trade_id, client_order_id, account_id, exchange_order_id, side,
        quantity, price, fee, maker, trade_ms, closed_quantity, realized)
    VALUES ('binance-usdm', 'ETHUSDT', 7, '{ENDED}', 'acct-1', 76, 'BUY', 0.1, 2000, 0.25, false, 5, 0, 0),
        ('binance-usdm', 'ETHUSDT', 8, '{WORKING}', 'acct-1', 77, 'BUY', 0.1, 2000, 0.25, true, 6, 0, 0);
    INSERT INTO bulkhead.conditional (client_order_id, account_id, order_sequence, kind, symbol, side, quantity,
        trigger_price, reduce_only, leverage, margin_reserved, strategy, decided_ms, moment, cause, attempt,
        not_before_ms, status)
    VALUES ('{STOP}', 'acct-1', 4, 'STOP_MARKET', 'ETHUSDT', 'SELL', 0.2, 1900, true, 10, 0, '', 5, 0, 'api', 0, 0,
        'WAITING');
"""


@pytest.fixture
def upgraded(dsn):
    """A database of version 3 with an order under way and a stop, opened by this release."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for script in ("platform.sql", *schema.SCRIPTS[:3]):
            connection.execute((schema._HERE / script).read_bytes())
        connection.execute(VERSION_3.format(shard=shard_of("acct-1")))
        assert schema.check(connection) is schema.Found.OLDER
    store = Store.open(dsn)
    store.acquire("me", 30)
    yield store
    store.close()


def test_orders_under_way_survive_the_upgrade_to_their_end(upgraded, dsn):
    origin = begin(upgraded)
    author = Author(upgraded.load(["acct-1"])[0])
    now = market(origin=origin)
    assert [o.client_order_id for o in author.state.orders] == [WORKING]
    assert [c.client_order_id for c in author.state.conditionals] == [STOP]
    [order] = author.state.orders
    author.decide(fill_of(order, "0.2", fee="0.1", trade_id=9), now)
    author.decide(OrderClosed(WORKING, OrderStatus.FILLED, D("0.3")), now)
    assert not author.state.orders
    # The stop fires as an order with an id of today.
    author.decide(Wake(ETH, "tick"), market({ETH: "1890"}, origin=origin))
    [sold] = author.state.orders
    assert (parsed(sold.client_order_id).fleet, sold.sequence, sold.side) == (origin.fleet, 5, SELL)
    assert set(upgraded.commit(author.batch)) == {None}
    assert load(upgraded, author.state) == author.state
    assert rows(
        dsn, f"SELECT status, order_id FROM bulkhead.conditional WHERE client_order_id = '{STOP}'"
    ) == [(ConditionalStatus.TRIGGERED, sold.client_order_id)]


def test_an_old_order_can_be_cancelled_and_an_old_stop_too(upgraded):
    author, now = Author(upgraded.load(["acct-1"])[0]), market(origin=begin(upgraded))
    author.decide(CancelOrder(WORKING), now)
    author.decide(CancelOrder(STOP), now)
    author.decide(OrderClosed(WORKING, OrderStatus.CANCELED, D("0.1")), now)
    assert (author.state.orders, author.state.conditionals) == ((), ())
    assert set(upgraded.commit(author.batch)) == {None}


@pytest.mark.parametrize("id_", [ENDED, WORKING])
def test_late_events_of_old_orders_are_duplicates_and_not_corrupt(upgraded, id_):
    author, now = Author(upgraded.load(["acct-1"])[0]), market(origin=begin(upgraded))
    author.decide(OrderClosed(WORKING, OrderStatus.CANCELED, D("0.1")), now)
    for late in (OrderAccepted(id_, 77), OrderClosed(id_, OrderStatus.FILLED, D("0.1"))):
        assert author.decide(late, now).duplicate


def test_old_orders_are_neither_orphans_nor_strangers(upgraded):
    core = GatewayCore(OrderBudget(10, 10), RULES, Fleets(begin(upgraded)))
    [known] = upgraded.recovery().working
    assert known.intent.purpose is Purpose.USER
    resting = Report(
        client_order_id=WORKING, exchange_order_id=77, symbol=ETH, status=ReportStatus.PARTIALLY_FILLED,
        executed=D("0.1"), side=BUY, quantity=D("0.3"),
    )  # fmt: skip
    tracked = Tracked(
        order=known.intent,
        exchange_order_id=77,
        executed=D("0.1"),
        delivered=D("0.1"),
        trade_ids={8},
        acceptance_delivered=True,
    )
    assert core.resume_orders([tracked], NOW) == [Survey(NOW)]
    assert core.surveyed(Surveyed(asked_ms=NOW, orders=(resting,), positions=None), NOW) == []
    assert core.unknown == []
    ended = Report(
        client_order_id=ENDED, exchange_order_id=76, symbol=ETH, status=ReportStatus.FILLED, executed=D("0.1")
    )
    assert core.reported(ended, NOW) == []
    assert core.fleets.view().others == {}


def test_new_orders_go_on_from_the_old_sequence(upgraded):
    origin = begin(upgraded)
    author = Author(upgraded.load(["acct-1"])[0])
    stop = PlaceConditional(
        kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=SELL, quantity=D("0.1"), trigger_price=D(1800),
        reduce_only=True,
    )  # fmt: skip
    author.decide(stop, market(origin=origin))
    assert parsed(author.state.conditionals[-1].client_order_id).sequence == 5
    assert set(upgraded.commit(author.batch)) == {None}
