"""What reads the journal and not its archived files says what it does not have, and how to get it; and trading goes on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from actors.core.durability import Persist
from actors.core.errors import NotKept, OtherHistory
from actors.core.events import events_of
from actors.core.facts import BalanceAdjusted
from actors.core.journal_marks import Mark
from actors.core.order_ids import FIXED
from actors.core.records import NewAccount
from actors.core.units import AccountId, Nanos
from actors.persistence import journal, schema
from actors.persistence.history import END, Wanted, page
from actors.persistence.order_trail import order_trail
from actors.persistence.past import stand, when
from actors.persistence.projection.differences import differences
from actors.persistence.projection.store import MS_PER_DAY
from actors.persistence.reader import Reader
from actors.persistence.redis.publisher import Sources
from actors.persistence.statement import statement
from actors.persistence.store import Store
from actors.persistence.tail import JournalTail
from actors.persistence.tail import decided as as_read
from actors.persistence.verify import hashes, verify
from actors.runtime.clock import SystemClock
from actors.subaccount.fold import folded
from actors.subaccount.market import Market
from actors.subaccount.state_codec import state_hash
from tests.factories import BUY, D
from tests.persistence.archive.worlds import DAY, DAYS, EVER, World, over_days
from tests.persistence.authors import NOW, Author, project
from tests.persistence.projection.lives import copy_of
from tests.persistence.redis.server import RedisServer
from tests.persistence.redis.world import STREAM, Published, until
from tests.persistence.test_last_release import read

LATER = (DAY + DAYS) * MS_PER_DAY
CUT = DAY + 3


@pytest.fixture
def world(projected, tmp_path):
    found = World(copy_of(projected.dsn), projected.decisions, tmp_path / "archive")
    found.archive(CUT * MS_PER_DAY)
    yield found
    found.close()


def test_history_statement_order_trail_and_drop_copy_say_what_is_archived(world):
    last = world.connection.execute("SELECT max(last) FROM bulkhead.archive").fetchone()[0]
    wanted = Wanted(account_id="acct-1", from_ms=0, to_ms=END)
    found = page(world.connection, wanted, 100)
    assert "rows of acct-1 up to position" in found.archived
    assert "'bulkhead db archive --restore all' brings them back" in found.archived
    everyone = page(world.connection, Wanted(from_ms=0, to_ms=END), 100)
    assert f"rows of the journal up to position {last}, decided until" in everyone.archived
    assert page(world.connection, Wanted(from_ms=LATER, to_ms=END), 100).archived is None
    with pytest.raises(
        NotKept, match=r"a statement from 2024-10-0.* needs what is not in the journal: rows of acct-1 up to"
    ):
        statement(world.connection, AccountId("acct-1"), DAY * MS_PER_DAY, LATER)
    assert statement(world.connection, AccountId("acct-1"), LATER, LATER + 1).opening
    order = world.connection.execute(
        "SELECT client_order_id FROM bulkhead.intent ORDER BY decided_ms LIMIT 1"
    ).fetchone()[0]
    with pytest.raises(NotKept, match="step by step is not in the journal: rows of"):
        order_trail(world.connection, order)
    tail = JournalTail(Reader(world.dsn), journal.last_position(world.connection))
    with pytest.raises(
        NotKept, match=f"the oldest that is kept is {last + 1}; begin after {last}. 'bulkhead db archive"
    ):
        tail.read(last - 1, 10)
    assert tail.read(last, 1)[0].position == last + 1


def test_what_was_read_of_archived_rows_is_no_other_history(decided, tmp_path):
    world = World.made(copy_of(decided.dsn), over_days(decided.decisions, 1), tmp_path / "archive", size=3)
    marks = [
        Mark(position, root.hex())
        for position, root in world.connection.execute(
            "SELECT position, root FROM bulkhead.journal_commit ORDER BY position"
        ).fetchall()
    ]
    ends = [file.last for file in world.archive(CUT * MS_PER_DAY)]
    tail = JournalTail(Reader(world.dsn), journal.last_position(world.connection))
    assert any(mark.position < ends[-1] and mark.position not in ends for mark in marks), "inside of a file"
    for mark in marks:
        tail.check([mark])
        if mark.position > ends[-1] or mark.position in ends:
            with pytest.raises(OtherHistory):
                tail.check([mark._replace(root="0" * 32)])
    with pytest.raises(OtherHistory):
        tail.check([Mark(ends[-1] + 1, "0" * 32)])
    assert tail.first() == ends[-1] + 1
    world.close()


def test_a_start_loads_the_same_states_and_each_next_decision_goes_on_in_its_chain(world):
    world.connection.execute("DELETE FROM bulkhead.snapshot WHERE stream <> 'life-0'")
    world.archive()  # nearly all rows: of most accounts not one is in the journal
    left = {
        row[0] for row in world.connection.execute("SELECT DISTINCT stream FROM bulkhead.journal").fetchall()
    }
    assert len(left) < 5
    before = hashes(world.connection)
    world.store.close()
    store = world.store = Store.open(world.dsn)
    store.acquire("me", 30)
    states = {state.account_id: state for state in store.load(None)}
    assert not store.unreadable
    hashed = {id_: state_hash(state) for id_, state in states.items()}
    assert hashed == {id_: hash_ for id_, _, hash_ in before.accounts}
    assert {symbol: s.sequence for symbol, s in store.clearing_states().items()} == {
        name.removeprefix("clearing:"): sequence for name, sequence, _ in before.clearings
    }
    assert store.load_clearing(next(iter(store.clearing_states())))[0].sequence
    for state in states.values():
        facts = (BalanceAdjusted(D(5), "DEPOSIT"),)
        after = folded(state, facts)
        after = type(after)(
            **{f: getattr(after, f) for f in after.__struct_fields__} | {"sequence": state.sequence + 1}
        )
        persist = Persist(
            stream=state.account_id, previous_sequence=state.sequence, facts=facts, state=after, wall_ms=LATER
        )  # fmt: skip
        assert store.commit([persist]) == [None]
    world.project()
    report = verify(world.connection, folder=world.folder)
    assert (report.ok, report.fault) == (True, None)
    assert report.fleet_hash == hashes(world.connection).fleet_hash != before.fleet_hash
    for id_, state in states.items():
        past = stand(world.connection, id_, when(f"#{state.sequence}", EVER), folder=world.folder)
        assert state_hash(past.state) == hashed[id_]
    [refusal] = store.commit([persist])
    assert "does not follow" in str(refusal)


def test_an_account_whose_rows_are_archived_is_not_opened_once_more(world):
    world.archive()
    world.store.close()
    store = world.store = Store.open(world.dsn)
    store.acquire("me", 30)
    known = world.connection.execute(
        "SELECT stream FROM bulkhead.archived_stream WHERE stream = 'acct-1'"
    ).fetchone()[0]
    with pytest.raises(Exception, match="acct-1"):
        store.create_accounts([NewAccount(account_id=AccountId(known), name="again", deposit=D(1))], LATER)
    assert verify(world.connection, folder=world.folder).ok


def test_a_database_that_was_carried_into_the_journal_is_archived_and_comes_back(dsn, tmp_path):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(read("database.sql.gz"))
        connection.execute(Path(schema.__file__).with_name("bulkhead_6.sql").read_bytes())
    store = Store.open(dsn)
    store.acquire("me", 30)
    store.create_accounts([NewAccount(account_id=AccountId("fresh"), name="fresh", deposit=D(5_000))], NOW)
    author = Author(store.load(["fresh"])[0])
    author.trade(BUY, "0.1")
    for decision in author.batch:
        assert store.commit([decision]) == [None]
    project(dsn)
    store.close()
    world = World(dsn, (), tmp_path / "archive")
    before, everything = verify(world.connection), world.rows("journal", "journal_commit")
    world.archive()
    archived = world.connection.execute(
        "SELECT * FROM bulkhead.archived_stream WHERE first_sequence > 0"
    ).fetchall()
    assert archived, "accounts that begin at the number that they had"
    assert hashes(world.connection).fleet_hash == before.fleet_hash
    after = verify(world.connection, folder=world.folder)
    assert (after.fault, after.fleet_hash, after.trades) == (None, before.fleet_hash, before.trades)
    assert not [d for d in differences(world.connection, folder=world.folder) if d.wrong or d.lacking]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA bulkhead_6 CASCADE")
    assert verify(world.connection, folder=world.folder).ok  # then keys of before the journal are not known
    world.restore()
    assert world.rows("journal", "journal_commit") == everything
    world.close()


class Publishing(SimpleNamespace):
    """What a publisher sees of a database: its journal alone; nothing of it is in memory."""

    def sources(self, fleet):
        tail = JournalTail(self.reader, journal.last_position(self.connection))
        nothing = Market({}, {}, Nanos(0), 0, FIXED)
        return Sources(tail=tail, states=list, current=lambda _id: None, market=lambda: nothing, fleet=fleet)


def test_a_redis_stream_begins_with_the_oldest_row_and_one_that_ends_before_it_waits_for_the_files(
    world, tmp_path
):
    last = world.connection.execute("SELECT max(last) FROM bulkhead.archive").fetchone()[0]
    seen = Publishing(reader=Reader(world.dsn), connection=world.connection, clock=SystemClock())
    kept = [str(e.id) for row in journal.read(world.connection, last, 1_000) for e in events_of(as_read(row))]
    with RedisServer(tmp_path) as server:
        client = server.client()
        with Published(seen, server.url) as published:
            until(lambda: [id_ for id_, _ in client.xrange(STREAM)] == kept, "what is kept")
            [told] = published.alarms.of("redis stream begins")
            assert f"begins with position {last + 1} of the journal" in told
        position, root = world.connection.execute("SELECT last, root FROM bulkhead.archive").fetchone()
        client.delete(STREAM)
        client.set(f"{STREAM}:root", str(Mark(position, root.hex())))
        client.xadd(STREAM, {"kind": "FILL"}, id="1-0")
        with Published(seen, server.url) as published:
            [told] = until(lambda: published.alarms.of("redis events"), "an alarm")
            assert f"the oldest that is kept is {last + 1}" in told
            assert "'bulkhead db archive --restore all' brings archived ones back" in told
            assert published.stats.connected
            assert list(published.stats.faults) == ["events"], "everything else goes on"
            world.restore()
            until(lambda: client.xrange(STREAM)[-1][0] == kept[-1], "what was archived, too")
            until(lambda: published.alarms.ended == ["redis is away", "redis events"], "the alarm's end")
        ids = [id_ for id_, _ in client.xrange(STREAM)]
        assert ids == sorted(set(ids), key=lambda id_: tuple(map(int, id_.split("-"))))
        assert len(ids) > len(kept)
