"""Adoption on a real database with the platform's drift: what is written and what is not, who is at work, the way back.

Covers: actors/assembly/adoption.py
"""

from __future__ import annotations

import contextlib
from decimal import Decimal as D

import psycopg
import pytest

from actors.assembly import adoption
from actors.assembly.adoption import Refused, Request
from actors.assembly.config import EngineConfig
from actors.core.enums import AccountStatus
from actors.core.errors import BadInput, Fenced, NotKept
from actors.core.messages import AdjustBalance
from actors.persistence import verify as journal_check
from actors.persistence.adoption import adopting
from actors.persistence.archive import plan, tables, writing
from actors.persistence.archive.folder import Archive
from actors.persistence.archive.restoring import restore
from actors.persistence.connection import connect
from actors.persistence.platform_changes import count_not_adopted
from actors.persistence.projection.differences import differences
from actors.persistence.projection.rebuild import rebuild
from actors.persistence.projection.store import Projection
from actors.persistence.store import Store
from actors.venues.port import OpenOrder
from tests.factories import BTC, ETH, INSTRUMENTS, SELL
from tests.persistence.adoption import platform
from tests.persistence.authors import NOW, Author, create, project
from tests.persistence.redis.server import RedisServer

CONFIG = EngineConfig()
RESTING = []
"""What rests at the exchange; emptied before each test."""


@pytest.fixture
def exchange(monkeypatch):
    """The master's positions, which a test changes; the venue itself is tried in tests/e2e/test_adoption.py."""
    master = {ETH: D("0.1")}

    @contextlib.contextmanager
    def asked(_config, _held, _progress):
        yield INSTRUMENTS, master, RESTING

    RESTING.clear()

    monkeypatch.setattr(adoption, "_exchange", asked)
    return master


@pytest.fixture
def world(dsn, exchange, request):
    """Two accounts with opposite positions, a LIQUIDATED one, and a database as the platform left it."""
    platform.make(dsn, text_times=getattr(request, "param", True))
    platform.account(dsn, "a-1", 1000.1)
    platform.account(dsn, "a-2", 30.000000000000004, status="FROZEN", liquidation_mode="INSTANT_CLOSE")
    platform.account(dsn, "a-3", 0.0, status="LIQUIDATED")
    platform.position(dsn, "p-1", "a-1", 0.15000000000000002, 2000.17)
    platform.position(dsn, "p-2", "a-2", -0.05, 2001)
    platform.position(dsn, "p-0", "a-1", 0.7, 60000, "BTC/USDT:USDT", status="CLOSED", closed_at=platform.LONG_AGO)  # fmt: skip
    platform.insert(dsn, "risk_rules", {"id": "r", "sub_account_id": "a-1", "max_leverage": 33.0})
    return dsn


def request_for(*wanted, **more):
    return Request(config=CONFIG, wanted=wanted, **{"is_stopped": True, "who": "me", **more})


def told(_text):
    pass


def adopt(dsn, *wanted, **more):
    with a_store(dsn) as store:
        return adoption.adopt(store, request_for(*wanted, **more), NOW, told)


def undo(dsn, *wanted):
    with a_store(dsn) as store:
        return adoption.undo(store, request_for(*wanted), NOW)


def look(dsn, *wanted):
    with psycopg.connect(dsn, autocommit=True, application_name="bulkhead-reader") as connection:
        return adoption.look(connection, request_for(*wanted), NOW, told)


@contextlib.contextmanager
def a_store(dsn):
    store = Store.open(dsn, adoption.defaults_of(CONFIG))
    try:
        store.acquire("me", 30)
        yield store
    finally:
        store.close()


def state_of(dsn, id_):
    with a_store(dsn) as store:
        return store.load([id_])[0]


def test_a_dry_run_changes_nothing_not_even_our_schema(world):
    before = platform.catalogue(world), platform.dump(world)
    found = look(world)
    assert ([a.account_id for a in found.plan.adoptions], found.plan.refusals, found.at_work) == (["a-1", "a-2", "a-3"], (), ())  # fmt: skip
    assert (platform.catalogue(world), platform.dump(world)) == before
    assert platform.run(world, "SELECT to_regnamespace('bulkhead')") == [(None,)]


def test_adopted_accounts_are_loaded_projected_and_verified_and_no_row_of_the_platform_s_is_touched(world):
    before = platform.catalogue(world), platform.dump(world)
    made = adopt(world)
    assert (len(made.adoptions), made.refusals) == (3, ())
    project(world)
    assert (platform.catalogue(world), platform.dump(world)) == before
    one, two, three = (state_of(world, f"a-{n}") for n in (1, 2, 3))
    assert (one.balance, one.limits.max_leverage, one.position(ETH).position_id) == (D("1000.1"), 33, "p-1")
    assert (one.position(ETH).quantity, one.position(ETH).opened_ms) == (D("0.15"), 1_771_301_400_000)
    assert one.platform is None
    assert (two.status, two.balance, two.position(ETH).quantity) == (AccountStatus.FROZEN, D("30.000000000000004"), D("-0.05"))  # fmt: skip
    assert (three.status, three.positions) == (AccountStatus.LIQUIDATED, ())
    held = "SELECT position_id, account_id, symbol, quantity FROM bulkhead.position ORDER BY 1"
    assert platform.run(world, held) == [("p-1", "a-1", ETH, D("0.15")), ("p-2", "a-2", ETH, D("-0.05"))]
    assert platform.run(world, "SELECT who, action, detail FROM bulkhead.audit") == [("me", "adopt", "3 accounts: a-1, a-2, a-3")]  # fmt: skip
    with psycopg.connect(world, autocommit=True) as connection:
        assert journal_check.verify(connection).ok
        assert not any(t.wrong or t.lacking for t in differences(connection))


@pytest.mark.parametrize("world", [True, False], ids=["text times", "timestamps"], indirect=True)
def test_what_happens_next_changes_the_platform_s_own_rows_and_makes_no_second_one(world):
    adopt(world)
    before = platform.dump(world)
    with a_store(world) as store:
        author = Author(store.load(["a-1"])[0])
        author.trade(SELL, "0.15", "2010")
        assert set(store.commit(author.batch)) == {None}
    project(world)
    assert platform.run(world, "SELECT error FROM bulkhead.parked") == []
    rows = "SELECT id, status, realized_pnl, entry_price, opened_at::text, babysitter_excluded FROM virtual_positions WHERE sub_account_id = 'a-1' AND symbol LIKE 'ETH%'"  # fmt: skip
    [(id_, status, realized, entry, opened, excluded)] = platform.run(world, rows)
    assert (id_, status, entry, excluded) == ("p-1", "CLOSED", 2000.17, False)
    assert opened.startswith(platform.LONG_AGO)
    assert realized == pytest.approx(1.4745)
    [(balance,)] = platform.run(world, "SELECT current_balance FROM sub_accounts WHERE id = 'a-1'")
    assert balance == pytest.approx(1000.1 + 1.4745 - 0.1)
    trades = (
        "SELECT action, position_id FROM trade_executions WHERE sub_account_id = 'a-1' AND id NOT LIKE 't-%'"
    )
    assert platform.run(world, trades) == [("CLOSE", None)]
    assert platform.run(world, "SELECT position_id FROM bulkhead.closed_position") == [("p-1",)]
    # Whatever is not of that account is as it was.
    after = platform.dump(world)
    for table in ("users", "bot_configs", "webauthn_credentials", "risk_rules"):
        assert after[table] == before[table]
    for table in ("sub_accounts", "virtual_positions", "trade_executions"):
        assert [r for r in before[table] if "a-1" not in r] == [r for r in after[table] if "a-1" not in r]
    with psycopg.connect(world, autocommit=True) as connection:
        rebuild(connection)
        assert not any(t.wrong or t.lacking for t in differences(connection))
        assert journal_check.verify(connection).ok
    assert platform.dump(world) == after


def archive(dsn, folder):
    """Move into files what can be."""
    project(dsn)
    with a_store(dsn) as store, connect(dsn) as connection:
        found = plan.plan(connection, 2**52)
        for span in list(plan.spans(connection, found.after, found.last)):
            fleet = journal_check.fleet_of(connection)
            writing.archive(connection, store.at_rest, folder, span, fleet=fleet, now_ms=1)


def bring_back(dsn, folder):
    with a_store(dsn) as store, connect(dsn) as connection:
        files = Archive(folder, tables.files(connection))
        store.at_rest(lambda owned, _append: restore(owned, files, files.files, lambda _position: None))


def deposit(dsn, id_):
    with a_store(dsn) as store:
        author = Author(store.load([id_])[0])
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
        assert set(store.commit(author.batch)) == {None}


def test_what_was_archived_is_neither_undone_nor_adopted_again_before_it_is_back(world, tmp_path):
    adopt(world)
    deposit(world, "a-2")
    archive(world, tmp_path)
    with pytest.raises(
        NotKept, match=r"^a-1: all that was decided is archived; 'bulkhead db archive --restore all'"
    ):
        undo(world, "a-1")
    with pytest.raises(NotKept, match=r"^a-1, a-3: all that was decided is archived"):
        undo(world)
    with pytest.raises(
        BadInput, match=r"a-2: it decided something at .* \(decision 1, .*\), so it stays here"
    ):
        undo(world, "a-2")
    bring_back(world, tmp_path)
    assert [one.account_id for one in undo(world, "a-1")] == ["a-1"]
    deposit(world, "a-2")
    archive(world, tmp_path)
    with pytest.raises(NotKept, match=r"^a-1: all that was decided is archived"):
        adopt(world)
    bring_back(world, tmp_path)
    assert [a.account_id for a in adopt(world).adoptions] == ["a-1"]
    with psycopg.connect(world, autocommit=True) as connection:
        assert journal_check.verify(connection).ok


def test_an_adoption_is_undone_and_made_again_until_the_first_decision(world):
    before = platform.dump(world)
    adopt(world)
    project(world)
    assert [one.account_id for one in undo(world, "a-1")] == ["a-1"]
    project(world)
    assert platform.run(world, "SELECT account_id FROM bulkhead.account ORDER BY 1") == [("a-2",), ("a-3",)]
    with a_store(world) as store:
        assert store.load(["a-1"]) == []
        assert {s.account_id for s in store.load(None)} == {"a-2", "a-3"}
    with psycopg.connect(world, autocommit=True) as connection:
        checked, hashed = journal_check.verify(connection), journal_check.hashes(connection)
        assert (checked.ok, checked.fleet_hash) == (True, hashed.fleet_hash)
        assert not any(t.wrong or t.lacking for t in differences(connection))
        assert count_not_adopted(connection) == 1
    with pytest.raises(BadInput, match="a-1: not run here"):
        undo(world, "a-1")
    # a-2 alone does not add up with the exchange; with a-1 it does again.
    assert [a.account_id for a in adopt(world).adoptions] == ["a-1"]
    with a_store(world) as store:
        author = Author(store.load(["a-1"])[0])
        assert author.state.sequence == 2
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
        assert set(store.commit(author.batch)) == {None}
    with pytest.raises(BadInput, match=r"a-1: it decided something at .* so it stays here"):
        undo(world, "a-1")
    assert [(one.account_id, bool(one.why_not)) for one in undo(world)] == [("a-1", True), ("a-2", False), ("a-3", False)]  # fmt: skip
    project(world)
    after = platform.dump(world)
    assert after["virtual_positions"] == before["virtual_positions"]
    assert [r for r in after["sub_accounts"] if "a-1" not in r] == [r for r in before["sub_accounts"] if "a-1" not in r]  # fmt: skip


def test_adoption_and_its_undoing_in_one_batch_of_the_projector_leave_nothing(world):
    adopt(world)
    undo(world)
    for limit in (1, 100):
        projection = Projection(world)
        projection.begin()
        while found := projection.read(limit):
            projection.project(found)
        projection.close()
        assert projection.parked == {}
        assert platform.run(world, "SELECT count(*) FROM bulkhead.account") == [(0,)]
        assert platform.run(world, "SELECT count(*) FROM bulkhead.position") == [(0,)]


def test_nothing_is_done_when_one_is_refused_unless_the_others_are_asked_for(world, exchange):
    platform.account(world, "b-1", float("nan"))
    platform.account(world, "b-2", 10.0)
    platform.position(world, "p-9", "b-2", 0.01, 60000, "BTC/USDT:USDT")
    exchange[BTC] = D("0.02")
    with pytest.raises(Refused, match="2 accounts cannot be taken over, so none was") as refused:
        adopt(world)
    names = {(r.account_id, r.symbol) for r in refused.value.plan.refusals}
    assert names == {("b-1", ""), ("b-2", BTC)}
    assert platform.run(world, "SELECT count(*) FROM bulkhead.account") == [(0,)]
    assert platform.run(world, "SELECT count(*) FROM bulkhead.journal") == [(0,)]
    made = adopt(world, partial=True)
    assert [a.account_id for a in made.adoptions] == ["a-1", "a-2", "a-3"]


def test_who_works_these_accounts_is_named_and_nothing_is_done(world):
    with pytest.raises(BadInput, match="--i-stopped-the-platform"):
        adopt(world, is_stopped=False)
    with psycopg.connect(world, application_name="prisma"), pytest.raises(Refused, match="from prisma"):
        adopt(world)
    with psycopg.connect(world, application_name="exporter"):
        assert look(world).at_work[0].startswith("1 other connections to this database from exporter")
        assert adopt(world, "a-3", beside=("exporter",)).adoptions
    # It writes now and then: the last minute tells.
    platform.run(world, "UPDATE sub_accounts SET updated_at = (now() AT TIME ZONE 'UTC')::timestamp(3) WHERE id = 'a-2'")  # fmt: skip
    with pytest.raises(Refused, match=r"written less than 60 s ago: a-2 \(sub_accounts.updated_at"):
        adopt(world)
    platform.run(world, "UPDATE sub_accounts SET updated_at = '2026-02-18 00:00:00' WHERE id = 'a-2'")
    with psycopg.connect(world, application_name="bulkhead") as writer:
        writer.execute("UPDATE virtual_positions SET margin = margin")
        with pytest.raises(BadInput, match="another session is writing"):
            adopt(world)
        writer.rollback()
    assert len(adopt(world).adoptions) == 2


def test_bots_that_are_switched_on_and_pending_orders_are_refused_by_name(world):
    platform.run(
        world, "ALTER TABLE bot_configs ADD COLUMN babysitter_enabled boolean NOT NULL DEFAULT false"
    )
    for id_, enabled, babysitter in (("a-1", True, True), ("a-2", False, False), ("a-3", False, True)):
        platform.insert(
            world, "bot_configs",
            {"id": f"b-{id_}", "sub_account_id": id_, "enabled": enabled, "babysitter_enabled": babysitter},
        )  # fmt: skip
    order = {
        "id": "o-1", "sub_account_id": "a-2", "symbol": "ETH/USDT:USDT", "side": "SHORT", "price": 2100.5, "quantity": 0.3,
        "leverage": 5.0, "exchange_order_id": "4711", "created_at": platform.LONG_AGO,
    }  # fmt: skip
    platform.insert(world, "pending_orders", order)
    found = {r.account_id: r.why for r in look(world).plan.refusals if not r.symbol}
    assert "(bot_configs.enabled and babysitter_enabled)" in found["a-1"]
    assert "(bot_configs.babysitter_enabled)" in found["a-3"]
    assert (
        "1 PENDING orders. ETH/USDT:USDT SHORT 0.3 at 2100.5, at the exchange 4711, does not rest there"
        in found["a-2"]
    )
    with pytest.raises(Refused, match="3 accounts cannot be taken over"):
        adopt(world)
    # The cure that is named is one. A platform without one of the columns, or without the table, has no such bot.
    platform.run(world, "UPDATE pending_orders SET status = 'CANCELLED'")
    platform.run(world, "UPDATE bot_configs SET enabled = false")
    assert {r.account_id for r in look(world).plan.refusals if not r.symbol} == {"a-1", "a-3"}
    platform.run(world, "ALTER TABLE bot_configs DROP COLUMN babysitter_enabled")
    assert look(world).plan.refusals == ()
    platform.run(world, "DROP TABLE bot_configs")
    assert len(adopt(world).adoptions) == 3


def resting(client_order_id, number=4711):
    return OpenOrder(
        symbol=ETH, exchange_order_id=number, client_order_id=client_order_id, what="LIMIT BUY 0.1 at 1900"
    )


def test_what_rests_at_the_exchange_and_is_nobody_s_refuses_all_of_it(world):
    RESTING.extend(resting("web_\x1b[2J", n) for n in range(4))
    with pytest.raises(
        Refused, match="4 orders rest at the exchange, and what they trade would be nobody's"
    ) as refused:
        adopt(world)
    assert r"ETHUSDT 0 (LIMIT BUY 0.1 at 1900, client id 'web_\x1b[2J')" in str(refused.value)
    assert "and 1 more; cancel them there" in str(refused.value)
    # An engine's own orders are its own, in the database that it works on; a first adoption has no engine.
    RESTING[:] = [resting("bh-abcdef-x-1")]
    assert look(world).at_work == ()  # the refused attempt made our schema
    RESTING[:] = [resting("bhx-1")]
    assert len(look(world).at_work) == 1
    RESTING.clear()
    assert len(adopt(world).adoptions) == 3


def test_an_engine_s_orders_are_nobody_s_where_there_was_no_engine(world):
    RESTING.append(resting("bh-abcdef-x-1"))
    assert "1 orders rest at the exchange" in look(world).at_work[0]


def test_a_babysitter_that_says_in_redis_that_it_lives_is_named(world, tmp_path):
    def at_work(url):
        request = Request(config=EngineConfig(redis=url))
        with psycopg.connect(world, autocommit=True, application_name="bulkhead-reader") as connection:
            return adoption.look(connection, request, NOW, told).at_work

    with RedisServer(tmp_path) as server:
        assert at_work(server.url) == ()
        server.client().set("pms:babysitter:heartbeat", "{}", ex=15)
        assert at_work(server.url) == (
            "the platform's babysitter is alive: pms:babysitter:heartbeat is in Redis; stop it",
        )
        url = server.url.replace("//", "//:secret@")
    [sign] = at_work(url)
    assert "whether the platform's babysitter runs is not known, as Redis at redis://***@" in sign
    assert "start it, or leave out the setting redis" in sign


def test_an_engine_that_owns_the_database_keeps_it(world):
    other = Store.open(world)
    other.acquire("another engine", 30)
    with pytest.raises(Fenced, match="another engine owns this database's accounts"):
        adopt(world)
    other.close()


def test_names_that_cannot_be_are_refused(world):
    with pytest.raises(BadInput, match="the platform has no account nobody"):
        adopt(world, "nobody")
    adopt(world)
    with pytest.raises(BadInput, match="a-1: run here already"):
        adopt(world, "a-1")
    assert adopt(world).adoptions == ()


def test_who_decided_since_and_is_archived_whole_keeps_nobody_else_s_adoption_from_being_undone(
    world,
):
    """It could not be given back in any case; asked for by name it is said to be archived."""
    adopt(world)
    deposit(world, "a-2")
    project(world)
    # As files have it, without the others' rows.
    platform.run(
        world,
        """INSERT INTO bulkhead.archived_stream
        SELECT stream, min(position), min(sequence), min(wall_ms), 'adopt', max(position), max(sequence), max(wall_ms), 'x',
            max(wall_ms), '', 1, ''
        FROM bulkhead.journal WHERE stream = 'a-2' GROUP BY stream""",
    )
    platform.run(world, "DELETE FROM bulkhead.journal WHERE stream = 'a-2'")
    with psycopg.connect(world) as connection:
        assert [one.account_id for one in adopting.adopted(connection, ())] == ["a-1", "a-3"]
        with pytest.raises(NotKept, match=r"^a-2: all that was decided is archived"):
            adopting.adopted(connection, ("a-2",))


def test_of_two_times_alike_the_first_place_is_named(world):
    for table, column in (("virtual_positions", "opened_at"), ("sub_accounts", "updated_at")):
        key = "id" if table == "sub_accounts" else "sub_account_id"
        platform.run(world, f"UPDATE {table} SET {column} = '2999-01-01 00:00:00' WHERE {key} = 'a-2'")
    [sign] = look(world).at_work
    assert sign.startswith("written less than 60 s ago: a-2 (sub_accounts.updated_at 2999-01-01")


@pytest.mark.parametrize(("count", "more"), [(5, "n-5"), (6, "n-5 and 1 more")])
def test_so_many_names_stand_in_one_error(world, count, more):
    with pytest.raises(BadInput) as refused:
        look(world, *(f"n-{n}" for n in range(1, count + 1)))
    assert str(refused.value) == f"the platform has no account n-1, n-2, n-3, n-4, {more}"


def test_so_many_orders_at_the_exchange_are_named(world):
    RESTING.extend(resting("web", n) for n in range(adoption.NAMED))
    [sign] = look(world).at_work
    assert sign.count("ETHUSDT") == adoption.NAMED
    assert "more; cancel" not in sign


def test_the_record_of_an_adoption_names_so_many(world, monkeypatch):
    for most, detail in ((3, "3 accounts: a-1, a-2, a-3"), (2, "3 accounts: a-1, a-2 ...")):
        monkeypatch.setattr(adoption, "DETAIL_NAMES", most)
        adopt(world)
        undo(world)
        project(world)
        told = platform.run(world, "SELECT action, detail FROM bulkhead.audit ORDER BY audit_id DESC LIMIT 2")
        assert told == [("undo-adopt", detail), ("adopt", detail)]


def test_an_empty_database_is_nobody_s(dsn, exchange):
    with pytest.raises(BadInput, match="EMPTY"):
        look(dsn)


def test_a_column_of_times_that_no_time_can_be_written_to_is_refused(dsn, exchange):
    platform.make(dsn)
    platform.run(dsn, 'ALTER TABLE balance_logs ALTER "timestamp" DROP DEFAULT, ALTER "timestamp" TYPE bigint USING 0')  # fmt: skip
    with pytest.raises(BadInput, match=r"balance_logs.timestamp is of type bigint"):
        look(dsn)


def test_an_account_that_was_created_here_is_no_adoption(store, dsn):
    create(store)
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(BadInput, match="not adopted, but created here"):  # fmt: skip
        adopting.adopted(connection, ("acct-1",))
