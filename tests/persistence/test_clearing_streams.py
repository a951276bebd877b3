"""What is made of clearing's rows: loads, what is open, the tables for people, and the checks of the journal.

Covers: actors/persistence/streams.py, actors/persistence/projection/clearing.py, actors/clearing/durability.py
"""

from __future__ import annotations

import psycopg
import pytest
from msgspec.structs import replace

from actors.clearing.state import ClearingState
from actors.clearing.state_codec import state_hash
from actors.core.enums import OrderStatus, OrderType
from actors.core.errors import StateCorrupt
from actors.core.messages import OrderClosed, PlaceOrder
from actors.persistence import verify
from actors.persistence.connection import connect
from actors.persistence.open_books import books, recovery
from actors.persistence.order_trail import Happened, order_trail
from actors.persistence.projection.decided import of_handover
from actors.persistence.projection.differences import differences
from actors.persistence.projection.rebuild import rebuild
from actors.persistence.projection.store import Projection
from actors.persistence.streams import kind_of
from actors.persistence.verify_chain import Wrong
from actors.subaccount.fleet_hash import fleet_hash_of
from actors.subaccount.state_codec import state_hash as account_hash
from tests.factories import BTC, BUY, ETH, SELL, D
from tests.persistence.authors import NOW, Author, create, project
from tests.persistence.blocks import Blocks
from tests.persistence.projection.lives import ours
from tests.persistence.test_clearing_rows import book, round_of, rows_as_they_are

BLOCKS = (
    "SELECT block, client_order_id, side, class, quantity, executed, value, fee, fee_asset, status, code, reason, "
    "ended_ms FROM bulkhead.block ORDER BY symbol, block"
)


class Scene:
    """Two accounts with an order each, in a block that trades in two rounds and ends; a second block is live.

    ``decided`` are all decisions in the order in which an engine makes them.
    """

    def __init__(self, store):
        self.one, self.two = (Author(state) for state in create(store, 2))
        self.clearing, self.decided = Blocks(), []
        for author in (self.one, self.two):
            self.place(author)
        self.formed = self.form(self.one, self.two)
        self.rounds = [
            round_of(self.clearing, self.formed, [7, 9]),
            round_of(self.clearing, self.formed, [12]),
        ]
        self.decided += self.clearing.take()
        for round_ in self.rounds:
            self.book(self.one, self.formed, round_)
        self.book(self.two, self.formed, self.rounds[0])
        self.clearing.end(self.formed, "0.2")
        self.decided += self.clearing.take()
        self.finish(self.one, "0.1")
        self.place(self.one)
        self.second = self.form(self.one)

    def place(self, author, **changes):
        author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20), **changes))
        self.take(author)

    def form(self, *authors):
        orders = [(a.state.account_id, a.state.orders[0].client_order_id, "0.1") for a in authors]
        formed = self.clearing.form(orders)
        self.decided += self.clearing.take()
        return formed

    def book(self, author, formed, round_):
        book(author, formed, round_)
        self.take(author)

    def finish(self, author, executed):
        author.decide(OrderClosed(author.state.orders[0].client_order_id, OrderStatus.FILLED, D(executed)))
        self.take(author)

    def take(self, author):
        self.decided += author.batch
        author.batch = []


@pytest.fixture
def scene(store):
    return Scene(store)


def commit(store, dsn, scene, projected):
    assert not any(store.commit(scene.decided[:projected]))
    project(dsn)
    assert not any(store.commit(scene.decided[projected:]))


@pytest.mark.parametrize("projected", [0, 3, 5, 8, 11, 14])
def test_a_block_is_one_working_order_and_its_members_are_none(store, dsn, scene, projected):
    commit(store, dsn, scene, projected)
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = recovery(connection).working
    # The first block has ended, and its second member has not booked all of it: that is its clearing's to tell.
    assert len(scene.two.state.orders) == 1
    assert [(order.intent, order.filled, order.trade_ids) for order in found] == [
        (scene.second.order, D(0), ())
    ]


@pytest.mark.parametrize("projected", [0, 3, 5])
def test_a_live_block_is_known_with_what_was_allocated_of_it(store, dsn, scene, projected):
    until = next(n for n, d in enumerate(scene.decided) if type(d.facts[0]).__name__ == "BlockEnded")
    del scene.decided[until:]
    commit(store, dsn, scene, projected)
    with psycopg.connect(dsn, autocommit=True) as connection:
        [block] = recovery(connection).working
    assert (block.intent, block.filled, block.trade_ids) == (scene.formed.order, D("0.2"), (7, 9, 12))
    assert (block.exchange_order_id, block.status) == (701, OrderStatus.INTENDED)


def test_orders_beside_blocks_are_working_as_always(store, dsn, scene):
    scene.place(scene.two, order_type=OrderType.LIMIT, price=D(1990))
    commit(store, dsn, scene, 6)
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = [order.client_order_id for order in recovery(connection).working]
    assert found == [scene.two.state.orders[1].client_order_id, scene.second.order.client_order_id]


@pytest.mark.parametrize("projected", [0, 2, 3, 6, 14])
def test_a_block_counts_as_one_order_of_the_last_minute_and_its_members_not_at_all(store, dsn, projected):
    with psycopg.connect(dsn) as connection:
        now = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").fetchone()[
            0
        ]
    author = Author(create(store)[0])
    clearing, decided = Blocks(), []
    for age in (5_000, 6_000, 30_000, 40_000, 5_000):
        author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20)))
        [made] = author.batch
        author.batch = []
        decided.append(replace(made, facts=tuple(replace(fact, decided_ms=now - age) for fact in made.facts)))
    ids = [order.client_order_id for order in author.state.orders]
    # Two of a block of just now, one of a block that is too old to count; two alone.
    clearing.form([("acct-1", ids[0], "0.1"), ("acct-1", ids[2], "0.1")], decided_ms=now)
    clearing.form([("acct-1", ids[1], "0.1")], decided_ms=now - 90_000)
    blocks = clearing.take()
    decided += [replace(blocks[0], wall_ms=now), replace(blocks[1], wall_ms=now - 90_000)]
    assert not any(store.commit(decided[:projected]))
    project(dsn)
    assert not any(store.commit(decided[projected:]))
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert recovery(connection).recent == (2, 3)


@pytest.mark.parametrize("projected", [0, 3, 5, 8, 11, 14])
def test_what_traded_for_members_who_have_not_booked_it_is_in_flight(store, dsn, scene, projected):
    commit(store, dsn, scene, projected)
    with psycopg.connect(dsn, autocommit=True) as connection:
        # The second member has not booked the second round.
        assert books(connection) == ({ETH: D("0.15")}, {}, {ETH: D("0.05")})
        scene.decided = []
        scene.book(scene.two, scene.formed, scene.rounds[1])
        assert not any(store.commit(scene.decided))
        assert books(connection) == ({ETH: D("0.20")}, {}, {})


def test_what_is_in_flight_is_signed_and_of_its_own_symbol(store, dsn):
    clearing = Blocks(BTC)
    create(store)
    formed = clearing.form([("acct-1", "a-1", "0.3")], side=SELL)
    clearing.round(formed, [(5, "0.3", "100")], [("a-1", "0.3")])
    assert not any(store.commit(clearing.take()))
    assert store.books().in_flight == {BTC: D("-0.3")}


# -- loads


@pytest.mark.parametrize("projected", [0, 3, 5, 8, 11, 14])
def test_a_clearing_is_loaded_with_the_members_that_nobody_asks_for_any_more(store, dsn, scene, projected):
    commit(store, dsn, scene, projected)
    state, booked = store.load_clearing(ETH)
    assert state == scene.clearing.state
    assert booked == (scene.formed.members[0].client_order_id,)
    assert store.clearing_states() == {ETH: state}


def test_a_clearing_that_never_decided_is_blank(store):
    assert store.load_clearing(BTC) == (ClearingState(symbol=BTC), ())
    assert store.clearing_states() == {}


def test_a_clearing_is_loaded_from_its_snapshot_and_what_is_behind_it(store, dsn):
    clearing = Blocks()
    create(store)
    for number in range(70):
        clearing.end(clearing.form([("acct-1", f"a-{number}", "0.1")]), 0, OrderStatus.REJECTED, -1, "no")
        clearing.forget(number + 1)
    assert not any(store.commit(clearing.take()))
    project(dsn)
    last = clearing.form([("acct-1", "last", "0.1")])
    assert not any(store.commit(clearing.take()))
    [(sequence, version)] = rows_as_they_are(dsn, "SELECT sequence, version FROM bulkhead.snapshot")
    assert (0 < sequence < clearing.state.sequence, version) == (True, kind_of(clearing.stream).version)
    state, _ = store.load_clearing(ETH)
    assert state == clearing.state
    assert [block.formed for block in state.blocks] == [last]


def test_a_refused_clearing_goes_on_from_where_it_was_loaded(store, scene):
    assert not any(store.commit(scene.decided))
    before = scene.clearing.state
    round_of(scene.clearing, scene.second, [7], each="0.05")  # a trade of the first block's
    scene.clearing.end(scene.second, "0.05", OrderStatus.EXPIRED)
    refused = store.commit(scene.clearing.take())
    assert "trade_once" in str(refused[0])
    assert "refused" in str(refused[1])
    state, _ = store.load_clearing(ETH)
    assert state == before
    scene.clearing.state = state
    round_of(scene.clearing, scene.second, [20], each="0.05")
    assert store.commit(scene.clearing.take()) == [None]


def test_a_clearing_that_cannot_be_read_is_named(store, dsn, scene):
    assert not any(store.commit(scene.decided))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            r"UPDATE bulkhead.journal SET facts = '\xff' WHERE stream = 'clearing:ETHUSDT' AND sequence = 2"
        )
        with pytest.raises(StateCorrupt, match="facts of clearing of version 1 cannot be read"):
            store.load_clearing(ETH)
        # All others are there, and the row is named.
        assert store.clearing_states() == {}
        assert store.unreadable_clearings.keys() == {ETH}
        row = "clearing:ETHUSDT: its row of sequence 2 in bulkhead.journal: facts of clearing of version 1 cannot be read"
        assert store.unreadable_clearings[ETH].startswith(row)
        # Nothing else is lost by it.
        assert len(recovery(connection).working) == 2
        connection.execute("DELETE FROM bulkhead.journal WHERE stream = 'clearing:ETHUSDT' AND sequence < 3")
        with pytest.raises(StateCorrupt, match="first row in the journal is missing"):
            store.load_clearing(ETH)


# -- tables


def test_people_see_blocks_their_members_and_their_rounds(store, dsn, scene):
    commit(store, dsn, scene, 0)
    project(dsn)
    assert rows_as_they_are(dsn, "SELECT stream, error FROM bulkhead.parked") == []
    first, second = rows_as_they_are(dsn, BLOCKS)
    assert first == (
        1, "bh-block-ETHUSDT-1", "BUY", "NEW_RISK", D("0.2"), D("0.20"), D(400), D("0.03"), "", "FILLED", 0, "", NOW,
    )  # fmt: skip
    assert (second[0], second[9], second[12]) == (2, "INTENDED", None)
    members = "SELECT account_id, quantity, allocated, value, fee, order_id FROM bulkhead.block_member ORDER BY block, 1"
    assert rows_as_they_are(dsn, members) == [
        ("acct-1", D("0.1"), D("0.10"), D(200), D("0.03"), scene.formed.members[0].order_id),
        ("acct-2", D("0.1"), D("0.10"), D(200), D(0), scene.formed.members[1].order_id),
        ("acct-1", D("0.1"), D(0), D(0), D(0), scene.second.members[0].order_id),
    ]
    rounds = "SELECT block, round_id, trades, quantity, value, fee, fee_asset, at_ms FROM bulkhead.block_round ORDER BY 2"
    assert rows_as_they_are(dsn, rounds) == [
        (1, 9, 2, D("0.10"), D(200), D("0.02"), "", NOW),
        (1, 12, 1, D("0.10"), D(200), D("0.01"), "", NOW),
    ]


def test_the_trail_of_a_block_names_the_exchange_s_trades_of_its_rounds(store, dsn, scene):
    commit(store, dsn, scene, 0)
    project(dsn)
    with psycopg.connect(dsn) as connection:
        block = order_trail(connection, "bh-block-ETHUSDT-1")
        member = order_trail(connection, scene.formed.members[0].client_order_id)
    rounds = [(s.trade_id, s.pooled, s.pooled_trades) for s in block.steps if s.what is Happened.ROUND]
    assert rounds == [(9, 2, (7, 9)), (12, 1, (12,))]
    # A member's own trades are the rounds, by the same names.
    parts = {s.trade_id: s.pooled_trades for s in member.steps if s.what is Happened.TRADED}
    assert parts
    assert parts.items() <= {(9, (7, 9)), (12, (12,))}


def test_fees_in_several_assets_are_not_added_up_as_if_they_were_one(store, dsn):
    create(store)
    clearing = Blocks()
    formed = clearing.form([("acct-1", "a-1", "0.3")])
    part = [("a-1", "0.1")]
    clearing.round(formed, [(1, "0.1", "100")], part, fee_asset="BNB")
    clearing.round(formed, [(2, "0.1", "100")], part, fee=None)
    assert not any(store.commit(clearing.take()))
    project(dsn)
    fees = "SELECT fee_asset FROM bulkhead.block"
    assert rows_as_they_are(dsn, fees) == [("BNB",)]
    clearing.round(formed, [(3, "0.1", "100")], part)
    assert not any(store.commit(clearing.take()))
    project(dsn)
    assert rows_as_they_are(dsn, fees) == [("*",)]
    rounds = "SELECT fee, fee_asset FROM bulkhead.block_round ORDER BY round_id"
    assert rows_as_they_are(dsn, rounds) == [(D("0.01"), "BNB"), (None, ""), (D("0.01"), "")]


@pytest.mark.parametrize("projected", [0, 5, 11])
def test_a_rebuild_makes_the_same_rows_and_a_dry_run_says_what_it_would_change(store, dsn, scene, projected):
    commit(store, dsn, scene, projected)
    project(dsn)
    before = ours(dsn, but=("snapshot",))
    assert len(before["block"]) == len(before["block_round"]) == 2
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.block SET executed = 7 WHERE block = 1")
        connection.execute("DELETE FROM bulkhead.block_member WHERE block = 2")
        found = {d.table: (d.wrong, d.lacking) for d in differences(connection) if d.wrong or d.lacking}
        assert found == {"block": (1, 1), "block_member": (0, 1)}
        rebuild(connection)
    assert ours(dsn, but=("snapshot",)) == before


def test_a_clearing_that_cannot_be_projected_is_parked_alone_and_released(store, dsn, scene):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE bulkhead.block ADD CONSTRAINT spoiled CHECK (block <> 2)")
        commit(store, dsn, scene, 0)
        project(dsn)
        assert connection.execute("SELECT stream FROM bulkhead.parked").fetchall() == [("clearing:ETHUSDT",)]
        assert recovery(connection).working[0].intent == scene.second.order
        assert connection.execute("SELECT sequence FROM bulkhead.account ORDER BY account_id").fetchall() == [
            (scene.one.state.sequence,), (scene.two.state.sequence,)
        ]  # fmt: skip
        connection.execute("ALTER TABLE bulkhead.block DROP CONSTRAINT spoiled")
        projection = Projection(dsn)
        projection.begin()
        assert projection.release("clearing:ETHUSDT") == 1
        projection.close()
        assert connection.execute("SELECT count(*) FROM bulkhead.block").fetchone() == (2,)


def test_the_writer_s_hand_over_and_the_journal_make_the_same_rows(store, dsn, scene):
    store.handover()
    assert not any(store.commit(scene.decided))
    handed = of_handover(store.handover())
    projection = Projection(dsn)
    projection.begin()
    projection.project(projection.read(2))  # the accounts' first facts
    own = [decided for decided in projection.read(1_000) if decided.stream == scene.clearing.stream]
    assert own == [decided for decided in handed if decided.stream == scene.clearing.stream]
    assert len(own) == 5
    projection.project(handed)
    projection.save_tails(100)
    projection.close()
    snapshots = dict(rows_as_they_are(dsn, "SELECT stream, sequence FROM bulkhead.snapshot"))
    assert snapshots["clearing:ETHUSDT"] == scene.clearing.state.sequence
    assert store.load_clearing(ETH)[0] == scene.clearing.state


# -- checks


@pytest.fixture
def checked(store, dsn, scene):
    """The scene, projected and with snapshots; a connection that may write, and what the scene is."""
    commit(store, dsn, scene, 5)
    projection = Projection(dsn)
    projection.begin()
    while found := projection.read(100):
        projection.project(found)
    projection.save_tails(100)
    projection.close()
    with connect(dsn) as connection:
        yield connection, scene


def test_a_journal_with_clearing_is_right_and_its_hash_covers_it(checked):
    connection, scene = checked
    report = verify.verify(connection)
    assert report.fault is None
    assert (report.streams, report.clearings, report.snapshots) == (3, 1, 3)
    assert report.trades == 3 + 3
    states = [scene.one.state, scene.two.state]
    pairs = [(s.account_id, account_hash(s)) for s in states]
    fleet = fleet_hash_of([*pairs, ("clearing:ETHUSDT", state_hash(scene.clearing.state))])
    found = verify.hashes(connection)
    assert report.fleet_hash == found.fleet_hash == fleet != fleet_hash_of(pairs)
    assert found.clearings == [
        ("clearing:ETHUSDT", scene.clearing.state.sequence, state_hash(scene.clearing.state))
    ]


SPOILED_SNAPSHOT = """
    UPDATE bulkhead.snapshot SET state = replace(convert_from(state, 'UTF8'), '0.1', '0.3')::bytea
    WHERE stream = 'clearing:ETHUSDT'"""


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (SPOILED_SNAPSHOT, Wrong.SNAPSHOT),
        ("DELETE FROM bulkhead.trade_key WHERE trade_id = 7", Wrong.TRADES),
        ("DELETE FROM bulkhead.trade_key WHERE trade_id = 9 AND member <> ''", Wrong.TRADES),
        ("INSERT INTO bulkhead.trade_key VALUES ('binance-usdm', 'ETHUSDT', 9, 'nobody')", Wrong.TRADES),
        ("UPDATE bulkhead.trade_key SET member = 'nobody' WHERE trade_id = 12 AND member <> ''", Wrong.TRADES),
        ("UPDATE bulkhead.journal SET sequence = 0 WHERE stream = 'clearing:ETHUSDT' AND sequence = 1", Wrong.CHANGED),
        ("DELETE FROM bulkhead.journal WHERE stream = 'clearing:ETHUSDT' AND sequence = 2", Wrong.MISSING),
    ],
)  # fmt: skip
def test_what_is_changed_of_a_clearing_is_found(checked, change, wrong):
    connection, _ = checked
    connection.execute(change)
    report = verify.verify(connection)
    assert report.fault is not None
    assert report.fault.wrong is wrong
