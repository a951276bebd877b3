"""The store on a real Postgres: what is committed is what is loaded, once, by the owner only.

Covers: actors/persistence/accounts.py, actors/persistence/connection.py
"""

from __future__ import annotations

import time
from decimal import Decimal as D

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import ConditionalKind, LiquidationMode, OrderType, Purpose
from actors.core.errors import BadInput, Fenced, NotDurable, StoreUnreachable
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    CloseOut,
    PlaceConditional,
    PlaceOrder,
    ResetBreaker,
    SetLimits,
    SetMode,
    TripBreaker,
    Wake,
)
from actors.core.records import NewAccount
from actors.core.trading_day import TradingDay
from actors.core.units import AccountId
from actors.persistence import sql
from actors.persistence.projection.spelling import platform_symbol
from actors.persistence.shards import shard_of
from actors.persistence.store import Store
from actors.subaccount.pipeline import decided
from actors.subaccount.situation import Situation
from actors.subaccount.steps import take_over
from tests.factories import BUY, ETH, SELL, fill_of, market
from tests.persistence.authors import NOW, Author, create, load, project, rows

OWN_LIMITS = {
    "max_daily_loss": "50",
    "max_consecutive_losses": "2",
    "max_consecutive_errors": "2",
    "breaker_reset": "timed",
    "breaker_cooldown_seconds": "1",
    "excessive_loss_percent": "0.05",
    "max_orders_per_minute": "100",
    "adl_tiers": "0.8:0.2, 0.9:1",
}
DAY = TradingDay(NOW - 1_000, NOW + 86_400_000)

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("trade"), st.sampled_from([BUY, SELL]), st.integers(10, 900), st.integers(1900, 2100)
        ),
        st.tuples(
            st.just("rest"), st.sampled_from([BUY, SELL]), st.integers(10, 900), st.integers(1900, 2100)
        ),
        st.tuples(st.just("cash"), st.integers(-50, 200), st.just(0), st.just(0)),
        st.tuples(st.just("wake"), st.integers(1000, 3000), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([BUY, SELL]), st.integers(10, 900), st.integers(1, 40)),
        st.tuples(st.just("funding"), st.integers(-50, 50), st.integers(1, 9), st.just(0)),
        st.tuples(st.just("limit"), st.sampled_from(sorted(OWN_LIMITS)), st.booleans(), st.just(0)),
        st.tuples(st.just("trip"), st.integers(0, 3), st.just(0), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, cut=st.integers(1, 5))
# Closed and opened again by trades from before a settlement that is told of twice.
@example(steps=[("trade", BUY, 100, 2000), ("funding", 1, 1, 0), ("trade", SELL, 100, 2000)] * 2, cut=1)
def test_what_is_loaded_equals_what_was_folded(postgres_store, steps, cut):
    author = Author(postgres_store())
    store = author.store = postgres_store.store
    for kind, a, b, c in steps:
        if kind == "trade":
            author.trade(a, D(b) / 1000, str(c))
        elif kind == "rest":
            author.decide(
                PlaceOrder(symbol=ETH, side=a, quantity=D(b) / 1000, order_type=OrderType.LIMIT, price=D(c))
            )
        elif kind == "cash" and a:
            author.decide(AdjustBalance(D(a), "DEPOSIT"))
        elif kind == "wait":
            author.decide(trailing(a, b, c) if c % 2 else stop(a, b, c))
        elif kind == "funding":
            author.decide(ApplyFunding(ETH, D(a) / 10_000, D(2000), NOW + b))
        elif kind == "limit":
            author.decide(SetLimits(((a, OWN_LIMITS[a] if b else None),)), market(day=DAY))
        elif kind == "trip":
            author.decide((TripBreaker("t"), ResetBreaker(), CloseOut("t"), SetMode("INSTANT_CLOSE"))[a])
        else:
            author.decide(Wake(ETH, "t"), market({ETH: str(a or 2000)}, day=DAY))
    for at in range(0, len(author.batch), cut):
        assert store.commit(author.batch[at : at + cut]) == [None] * len(author.batch[at : at + cut])
    loaded = load(store, author.state)
    # The orders of the last minute are those of the wall clock's; what it counts is tested below.
    expected = replace(author.state, retry_at_ms=0, risk=replace(author.state.risk, recent=()))
    assert replace(loaded, risk=replace(loaded.risk, recent=())) == expected
    everybody = {s.account_id: s for s in store.load(None)}
    assert everybody[loaded.account_id] == loaded


def stop(side, milli, distance):
    price = D(2000) + (distance if side is BUY else -distance)
    kind = ConditionalKind.STOP_MARKET
    return PlaceConditional(kind=kind, symbol=ETH, side=side, quantity=D(milli) / 1000, trigger_price=price)


def trailing(side, milli, distance):
    kind, active = ConditionalKind.TRAILING_STOP_MARKET, None
    if distance % 3:
        active = D(2000) + (-distance if side is BUY else distance)
    return PlaceConditional(
        kind=kind, symbol=ETH, side=side, quantity=D(milli) / 1000, callback_rate=D("0.01"),
        activation_price=active, strategy="trend",
    )  # fmt: skip


@pytest.fixture
def postgres_store(store):
    class Fresh:
        def __init__(self):
            self.store, self.number = store, 0

        def __call__(self):
            self.number += 1
            account_id = AccountId(f"h-{self.number}")
            wide = D(10**9)
            new = NewAccount(
                account_id=account_id,
                name="h",
                deposit=D(1000),
                max_notional_per_trade=wide,
                max_total_exposure=wide,
            )
            store.create_accounts([new], NOW)
            return store.load([account_id])[0]

    return Fresh()


def test_the_platform_s_tables_tell_the_same_story(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "1", "2000")
    author.trade(SELL, "1.5", "2100")
    assert set(store.commit(author.batch)) == {None}
    positions = rows(
        dsn,
        "SELECT symbol, side, quantity, status, realized_pnl FROM virtual_positions ORDER BY opened_at, status",
    )
    assert positions == [
        ("ETH/USDT:USDT", "LONG", D(1), "CLOSED", D(100)),
        ("ETH/USDT:USDT", "SHORT", D("0.5"), "OPEN", D(0)),
    ]
    trades = rows(
        dsn,
        "SELECT action, quantity, fee, realized_pnl FROM trade_executions ORDER BY client_order_id, action",
    )
    assert [t[0] for t in trades] == ["OPEN", "CLOSE", "OPEN"]
    assert sum(t[2] for t in trades) == D("0.2")
    [(balance,)] = rows(dsn, "SELECT current_balance FROM sub_accounts")
    assert balance == author.state.balance == D("1099.8")
    logs = rows(
        dsn, "SELECT balance_before, change_amount, balance_after FROM balance_logs ORDER BY balance_after"
    )
    assert all(before + change == after for before, change, after in logs)
    assert max(after for _, _, after in logs) == balance


def test_a_poison_decision_among_fifty_is_refused_alone(store):
    authors = [Author(s) for s in create(store, 51)]
    for author in authors:
        author.trade(BUY, "0.1")
    poison = authors[25]
    bad = poison.batch[2]
    # The trade of another account again: the unique key refuses it, whatever the actors thought.
    stolen = replace(
        bad.facts[0], trade=replace(bad.facts[0].trade, trade_id=authors[0].batch[2].facts[0].trade.trade_id)
    )
    poison.batch[2] = replace(bad, facts=(stolen, *bad.facts[1:]))
    batch = [p for a in authors for p in a.batch]
    results = store.commit(batch)
    refused = [p for p, r in zip(batch, results, strict=True) if r is not None]
    assert {p.stream for p in refused} == {poison.state.account_id}
    assert refused == poison.batch[2:]
    assert all(load(store, a.state) == a.state for a in authors if a is not poison)
    assert load(store, poison.state).sequence == 2


def test_a_decision_on_an_old_sequence_is_refused(store):
    [state] = create(store)
    one, two = Author(state), Author(state)
    one.trade(BUY, "0.1")
    two.trade(SELL, "0.1", trade_id=99)
    assert set(store.commit(one.batch)) == {None}
    assert all(isinstance(r, NotDurable) for r in store.commit(two.batch))
    assert load(store, state) == one.state


def test_a_stale_epoch_writes_nothing(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    newer = Store.open(dsn)
    newer.acquire("me", 30)
    assert all(isinstance(r, Fenced) for r in store.commit(author.batch))
    assert rows(dsn, "SELECT count(*) FROM bulkhead.intent") == [(0,)]
    with pytest.raises(Fenced):
        store.renew()
    assert set(newer.commit(author.batch)) == {None}
    newer.close()


def test_a_living_owner_is_not_robbed_and_says_so(store, dsn):
    other = Store.open(dsn)
    with pytest.raises(Fenced, match="me owns this database"):
        other.acquire("you", 30)
    store.close()
    other.acquire("you", 30)
    other.close()


def test_an_owner_that_froze_inside_a_commit_does_not_keep_others_out_for_ever(store, dsn):
    store._connection.execute("UPDATE bulkhead.shard SET lease_until = now() - interval '1 s'")
    frozen = psycopg.connect(dsn)
    assert frozen.execute(sql.FENCE, (0, store._epochs[0])).fetchone() == (0,)
    newer = Store.open(dsn)
    newer.acquire("you", 30)
    with pytest.raises(psycopg.Error):
        frozen.execute("SELECT 1")
    newer.close()


def test_a_projector_that_froze_inside_its_transaction_does_not_keep_the_next_owner_s_waiting(store, dsn):
    create(store)
    frozen = psycopg.connect(dsn)
    frozen.execute("UPDATE bulkhead.projection SET position = position")
    newer = Store.open(dsn)
    newer.acquire("me", 30)
    with psycopg.connect(dsn, options="-c lock_timeout=1000") as connection:
        connection.execute("UPDATE bulkhead.projection SET position = position")
    with pytest.raises(psycopg.Error):
        frozen.execute("SELECT 1")
    newer.close()


def test_restart_finds_what_works(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.2")))
    order = author.state.orders[0]
    author.decide(fill_of(order, quantity="0.05", trade_id=777_777))
    store.commit(author.batch)
    recovery = store.recovery()
    [known] = recovery.working
    assert (known.client_order_id, known.filled, known.trade_ids) == (
        order.client_order_id,
        D("0.05"),
        (777_777,),
    )
    assert store.books() == ({ETH: D("0.15")}, {}, {})
    # The same when all of it is in the tables, and nothing is read behind them.
    project(dsn)
    assert store.recovery() == recovery
    assert store.books() == ({ETH: D("0.15")}, {}, {})


def test_a_takeover_adds_to_the_house(store, dsn):
    author = Author(create(store, mode=LiquidationMode.TAKEOVER)[0])
    author.trade(BUY, "5")
    author.decide(Wake(ETH, "t"), market({ETH: "1805"}))
    store.commit(author.batch)
    assert store.books() == ({}, {ETH: D(5)}, {})
    project(dsn)
    assert store.books() == ({}, {ETH: D(5)}, {})


def test_the_fee_of_a_takeover_is_in_every_sum(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "0.3")
    [held] = author.state.positions
    taken = take_over(held, D(1990), market(), Purpose.USER, D("0.2985"))
    author.note(decided(Situation(author.state, market()), taken))
    assert set(store.commit(author.batch)) == {None}
    # 0.1 was the fee of the trade.
    assert load(store, author.state) == author.state
    assert (author.state.balance, author.state.fees) == (D("996.6015"), D("0.3985"))
    assert rows(dsn, "SELECT fees, realized FROM bulkhead.closed_position") == [(D("0.3985"), D(-3))]
    assert rows(dsn, "SELECT change_amount FROM balance_logs WHERE reason = 'ADMIN_TAKEOVER'") == [
        (D("-3.2985"),)
    ]
    assert rows(dsn, "SELECT current_balance - initial_balance FROM sub_accounts") == [
        (D("996.6015") - D(1000),)
    ]
    assert rows(dsn, "SELECT realized_pnl, status FROM virtual_positions") == [(D(-3), "TAKEN_OVER")]


def test_limits_come_from_the_account_s_rule_or_the_global_one(store, dsn):
    create(store, 1, max_leverage=D(7))
    store.create_accounts([NewAccount(account_id=AccountId("plain"), name="x", deposit=D(1))], NOW)
    assert store.load([AccountId("plain")])[0].limits.max_leverage == D(100)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO risk_rules (id, is_global, max_leverage) VALUES ('g', true, 33)")
    assert store.load([AccountId("plain")])[0].limits.max_leverage == D(33)
    assert store.load([AccountId("acct-1")])[0].limits.max_leverage == D(7)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"account_id": ""}, "1 to 64 of"),
        ({"account_id": "a\nb"}, "1 to 64 of"),
        ({"deposit": D("NaN")}, "deposit NaN"),
        ({"deposit": D(-1)}, "deposit -1"),
        ({"maintenance_rate": D(0)}, "maintenance rate 0"),
        ({"max_leverage": D(-1)}, "limit -1"),
    ],
)
def test_an_impossible_account_is_refused_by_name(store, changes, text):
    new = NewAccount(**{"account_id": AccountId("a"), "name": "a", "deposit": D(1), **changes})
    with pytest.raises(BadInput, match=text):
        store.create_accounts([new], NOW)


def test_a_row_that_cannot_be_read_is_left_out_and_named(store, dsn):
    create(store, 3)
    with psycopg.connect(dsn, autocommit=True) as platform:
        platform.execute("UPDATE sub_accounts SET status = 'SUSPENDED' WHERE id = 'acct-2'")
    assert [s.account_id for s in store.load(None)] == ["acct-1", "acct-3"]
    assert "SUSPENDED" in store.unreadable["acct-2"]
    with pytest.raises(ValueError, match="SUSPENDED"):
        store.load([AccountId("acct-2")])


def test_an_account_is_created_once_and_a_list_whole_or_not(store):
    create(store)
    again = [NewAccount(account_id=AccountId(i), name="x", deposit=D(1)) for i in ("new", "acct-1")]
    with pytest.raises(BadInput, match="acct-1"):
        store.create_accounts(again, NOW)
    assert len(store.load(None)) == 1


@pytest.mark.parametrize(
    ("dsn", "text"),
    [
        ("postgresql://nobody@127.0.0.1:1/x", "cannot be reached"),
        ("host=127.0.0.1 port=1 password=hush", "cannot be reached"),
        ("this is no dsn", "the DSN cannot be read"),
    ],
)
def test_an_unreachable_postgres_is_named_without_its_password(dsn, text):
    with pytest.raises(StoreUnreachable, match=text) as caught:
        Store.open(dsn)
    assert "hush" not in str(caught.value)


def test_a_missing_database_is_named(postgres):
    with pytest.raises(StoreUnreachable, match="nowhere"):
        Store.open(postgres.replace("/postgres?", "/nowhere?"))


def test_symbols_are_stored_as_the_platform_spells_them():
    assert platform_symbol("BTCUSDT") == "BTC/USDT:USDT"
    assert platform_symbol("BTCUSDT_261225") == "BTC/USDT:USDT-261225"
    for whole in ("BTCEUR", "USDT"):
        assert platform_symbol(whole) == whole, "what happened in it must not be lost"


def test_shards_are_spread_and_stable():
    counts = [0] * 256
    for n in range(100_000):
        counts[shard_of(AccountId(f"acct-{n}"))] += 1
    assert min(counts) > 250
    assert max(counts) < 550
    assert shard_of(AccountId("acct-42")) == shard_of(AccountId("acct-42"))


def test_recovery_counts_the_orders_that_the_exchange_may_still_count(store, dsn):
    author = Author(create(store)[0])
    author.store = store
    for _ in range(4):
        author.decide(
            PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), order_type=OrderType.LIMIT, price=D(1990))
        )
    assert store.commit(author.batch) == [None] * len(author.batch)
    project(dsn)
    ages_s = (1, 30, 30, 600)
    with psycopg.connect(dsn, autocommit=True) as clock:
        for sequence, age_s in enumerate(ages_s, 1):
            clock.execute(
                "UPDATE bulkhead.intent SET decided_ms = (extract(epoch FROM now()) * 1000)::bigint - %s"
                " WHERE order_sequence = %s",
                (age_s * 1_000, sequence),
            )
        assert store.recovery().recent == (1, 3)
        clock.execute("UPDATE bulkhead.intent SET status = 'NEVER_SENT' WHERE order_sequence = 2")
    assert store.recovery().recent == (1, 2)
    now_ms = time.time_ns() // 1_000_000
    for age_s in ages_s:
        author.decide(
            PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), order_type=OrderType.LIMIT, price=D(1990)),
            market(wall_ms=now_ms - age_s * 1_000),
        )
    assert store.commit(author.batch[4:]) == [None] * 4
    assert store.recovery().recent == (2, 5), "what is not in the tables yet counts too"
