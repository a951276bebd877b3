"""The publisher one turn after another, without its thread: what is in a real Redis after each, and what is not asked for.

Covers: actors/persistence/redis/publisher.py
"""

from __future__ import annotations

import json
import time

import pytest
from msgspec.structs import replace

from actors.core.events import events_of
from actors.core.units import NANOS_PER_MS
from actors.persistence.redis import prices, publisher
from actors.persistence.redis.event_stream import EventStream
from actors.persistence.redis.prices import StoredPrice
from actors.persistence.redis.publisher import Publisher
from tests.factories import BTC, ETH, D, tick
from tests.persistence.redis.server import RedisServer, free_port
from tests.persistence.redis.world import STREAM, Alarms, World

pytestmark = pytest.mark.timeout(30)


class Stepped(Publisher):
    """A publisher without a thread; its turns are the test's."""

    def __init__(self, world, url, *, depth=100_000, length=100_000):
        self.alarms, self.world = Alarms(), world
        stream = EventStream(STREAM, length, depth)
        super().__init__(url, stream, world.clock, self.alarms.tell, self.alarms.over)
        self.attach(world.sources())


class Clock:
    """The publisher's time: a microsecond passes with each look at it, and more when a test says so."""

    def __init__(self):
        self.now_s, self.thread_time = 1_000.0, time.thread_time

    def monotonic(self):
        self.now_s += 1e-6
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(publisher, "time", made)
    return made


@pytest.fixture
def world():
    made = World(seeds=(0, 4), events=120)
    made.decide(6)
    return made


def ids(server):
    return [id_ for id_, _ in server.client().xrange(STREAM)]


def wanted(world, rows=slice(None)):
    return [str(event.id) for row in world.rows[rows] for event in events_of(row)]


def snapshots(server):
    client = server.client()
    found = (json.loads(client.get(key) or "{}") for key in client.keys("pms:risk:*"))
    return {s["subAccountId"]: pytest.approx(s["balance"]) for s in found}


def balances(world):
    return {id_: float(state.balance) for id_, state in world.actors.items()}


def test_one_turn_publishes_all_that_there_is(fresh, world, clock):
    one = Stepped(world, fresh.url)
    one.turn()
    assert ids(fresh) == wanted(world)
    assert (one.stats.connected, one.stats.connects, one.stats.lag, one.stats.errors) == (True, 1, 0, 0)
    assert (one.stats.last_id, one.stats.events) == (ids(fresh)[-1], len(ids(fresh)))
    assert one.stats.prices == len(world.ticks)
    world.decide(20)
    one.turn()
    assert ids(fresh) == wanted(world)
    assert snapshots(fresh) != balances(world), "once a second"
    clock.now_s += 1
    one.turn()
    assert snapshots(fresh) == balances(world)


def test_before_there_is_anything_to_publish_it_connects_and_no_more(fresh, world):
    one = Publisher(fresh.url, EventStream(STREAM, 10, 10), world.clock, Alarms().tell, Alarms().over)
    one.turn()
    assert (one.stats.connected, one.stats.error) == (True, "")
    assert not fresh.client().keys("*")
    assert one.stop(0), "its thread was never started"


def test_with_nothing_new_it_looks_at_the_journal_once(fresh, world, monkeypatch):
    monkeypatch.setattr(publisher, "EVENTS_S", 3_600.0)
    one = Stepped(world, fresh.url)
    one.turn()
    reads = []
    real = world.tail.read
    monkeypatch.setattr(world.tail, "read", lambda *args: reads.append(args) or real(*args))
    one.turn()
    assert len(reads) == 1
    assert one.stats.lag == 0


def test_rows_that_make_no_entries_do_not_end_a_turn(fresh, world, monkeypatch):
    """Clearing's rows are in the journal too: with a batch of nothing but those, what follows is looked at at once."""
    monkeypatch.setattr(publisher, "ROWS_AT_ONCE", 1)
    one = Stepped(world, fresh.url)
    one.turn()
    start = world.number
    for _ in range(3):
        world.number += 1
        world.commit([world.rows[-1]._replace(position=world.number, stream="clearing:ETHUSDT", facts=())])
    world.decide(1)
    one.turn()
    assert ids(fresh)[-1].startswith(f"{start + 4}-")


def test_a_stream_that_begins_with_the_next_decision_lacks_nothing_before_it(fresh, world):
    one = Stepped(world, fresh.url, depth=0)
    one.turn()
    assert (ids(fresh), one.stats.lag) == ([], 0)
    assert one.alarms.of("redis stream begins")
    world.decide(2)
    one.turn()
    assert (ids(fresh), one.stats.lag) == (wanted(world, slice(6, None)), 0)


@pytest.mark.parametrize("cut", range(1, 7))
def test_what_memory_has_no_more_is_made_of_the_journal(fresh, world, cut, monkeypatch):
    """Rows from before the start, and a row of which the stream has a part."""
    monkeypatch.setattr(publisher, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(publisher, "AT_ONCE", 2)
    Stepped(world, fresh.url).turn()
    whole = wanted(world)
    client = fresh.client()
    client.delete(STREAM)
    for id_ in whole[: len(whole) - cut]:
        client.xadd(STREAM, {"event": "{}"}, id=id_)
    one = Stepped(world, fresh.url)
    world.decide(3)
    one.turn()
    assert ids(fresh) == wanted(world)
    assert one.stats.events == len(wanted(world)) - len(whole) + cut, "nothing twice"
    assert one.stats.lag == 0


def test_no_more_entries_are_made_than_may_wait(fresh, world, monkeypatch):
    monkeypatch.setattr(publisher, "AHEAD_MAX", 3)
    monkeypatch.setattr(publisher, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(publisher, "AT_ONCE", 1)
    one = Stepped(world, fresh.url)
    one.turn()
    monkeypatch.setattr(publisher, "EVENTS_S", 0.0)
    world.decide(30)
    for _ in range(20):
        one._make(one._sources)
    made = len(one._recent.after(one._sent, 1_000))
    assert 3 <= made < 3 + max(len(row.facts) for row in world.rows)
    monkeypatch.setattr(publisher, "EVENTS_S", 3_600.0)
    one.turn()
    assert ids(fresh) == wanted(world)


def test_with_too_many_rows_behind_no_snapshots_are_written(fresh, clock, monkeypatch):
    world = World(seeds=(0, 4), events=120)
    monkeypatch.setattr(publisher, "BEHIND_MAX", 4)
    one = Stepped(world, fresh.url)
    one.turn()
    monkeypatch.setattr(publisher, "EVENTS_S", 0.0)
    world.decide(5)
    one._schedule.changed(world.rows[0].stream, clock.now_s)
    one.turn()
    assert (snapshots(fresh), one.stats.lag) == ({}, 5)
    monkeypatch.setattr(publisher, "BEHIND_MAX", 5)
    one.turn()
    assert set(snapshots(fresh)) == {world.rows[0].stream}, "as many are not too many"
    monkeypatch.setattr(publisher, "EVENTS_S", 1.0)
    clock.now_s += 1
    one.turn()
    assert snapshots(fresh) == balances(world)


def test_an_account_that_holds_nothing_is_written_when_it_decides(fresh):
    world = World(seeds=(0, 4), events=120)
    one = Stepped(world, fresh.url)
    one.turn()
    assert snapshots(fresh) == {}, "nobody holds anything yet, or has decided"
    world.decide(1)
    one.turn()
    assert set(snapshots(fresh)) == {world.rows[-1].stream}


def test_an_emptied_stream_is_noticed_at_the_next_look_and_not_before(fresh, world, clock, monkeypatch):
    monkeypatch.setattr(publisher, "LOOK_S", 2.0)
    one = Stepped(world, fresh.url)
    one.turn()
    fresh.client().delete(STREAM)
    for more_s in (0, 1.5):
        clock.now_s += more_s
        one.turn()
        assert ids(fresh) == []
    clock.now_s += 1
    one.turn()
    one.turn()
    assert ids(fresh) == wanted(world)
    written = one.stats.prices
    for _ in range(3):
        clock.now_s += 3
        one.turn()
    assert one.stats.prices == written, "nothing is begun again while it is as it was left"


def test_a_stream_that_was_never_begun_is_looked_at_in_vain(fresh, clock):
    """No event yet, so no stream: that is as it was left, too."""
    world = World(seeds=(0, 4), events=120)
    one = Stepped(world, fresh.url)
    for _ in range(4):
        clock.now_s += 3
        one.turn()
    assert one.stats.connects == 1
    fresh.client().set("pms:price:ETH/USDT:USDT", "lost")
    one.turn()
    assert fresh.client().get("pms:price:ETH/USDT:USDT") == "lost", "prices would be written anew"


def test_a_part_that_is_refused_is_said_once_and_asks_the_stream_alone_again(fresh, world, clock):
    one = Stepped(world, fresh.url)
    one.turn()
    client, written = fresh.client(), one.stats.prices
    client.delete(STREAM)
    client.set(STREAM, "mine")
    world.decide(1)
    for _ in range(3):
        one.turn()
        one.turn()
        clock.now_s += one._parts["events"].retry_s
    [text] = one.alarms.of("redis events")
    assert "WRONGTYPE" in text
    assert (one.stats.errors, list(one.stats.faults)) == (3, ["events"])
    assert one.stats.connected
    client.delete(STREAM)
    one.turn()
    assert ids(fresh) == wanted(world)
    assert one.alarms.ended.count("redis events") == 1
    assert (one.stats.faults, one.stats.lag) == ({}, 0)
    assert one.stats.prices == written, "Redis has lost nothing else"


def test_while_events_are_refused_snapshots_follow_the_journal(fresh, world, clock):
    one = Stepped(world, fresh.url)
    one.turn()
    fresh.client().delete(STREAM)
    fresh.client().set(STREAM, "mine")
    world.decide(1)
    one.turn()
    world.decide(12)
    one.turn()
    clock.now_s += 1
    one.turn()
    assert snapshots(fresh) == balances(world)
    assert one.stats.lag == 13


def test_away_is_said_once_and_not_tried_before_its_time(world, clock):
    one = Stepped(world, f"redis://127.0.0.1:{free_port()}/0")
    one.turn()
    assert (one.stats.connected, one.stats.errors, one.stats.lag) == (False, 1, len(world.rows))
    one.turn()
    assert one.stats.errors == 1
    clock.now_s += publisher.RETRY_FIRST_S
    one.turn()
    assert one.stats.errors == 2
    assert len(one.alarms.told) == 1
    clock.now_s += 10
    one.turn(is_last=True)
    assert one.stats.errors == 2, "the last turn waits for nobody"


def test_away_before_there_is_anything_to_publish(world):
    alarms = Alarms()
    url = f"redis://127.0.0.1:{free_port()}/0"
    one = Publisher(url, EventStream(STREAM, 10, 10), world.clock, alarms.tell, alarms.over)
    one.turn()
    assert (one.stats.errors, one.stats.lag) == (1, 0)
    [(key, text)] = alarms.told
    assert (key, "refused" in text) == ("redis is away", True)


def test_back_again_it_writes_again_what_may_be_lost(tmp_path, world, clock):
    with RedisServer(tmp_path) as server:
        one = Stepped(world, server.url)
        one.turn()
        server.kill()
        world.move()
        clock.now_s += 1
        one.turn()
        assert not one.stats.connected
        server.start()
        clock.now_s += 1
        one.turn()
        assert ids(server) == wanted(world)
        assert set(snapshots(server)) == set(world.actors)
        assert one.alarms.ended == ["redis is away", "redis is away"]


def test_a_price_of_the_greatest_age_is_none_and_others_are_asked_for_it(fresh, world, clock):
    one, client = Stepped(world, fresh.url), fresh.client()
    now = world.market()
    limit_ns = prices.MAX_AGE_MS * NANOS_PER_MS
    young = tick(ETH, "2000", received_ns=now.now_ns - limit_ns + 1)
    old = tick(BTC, "60000", received_ns=now.now_ns - limit_ns)
    fixed = replace(now, ticks={ETH: young, BTC: old})
    one._sources.market = lambda: fixed
    for symbol in (ETH, BTC):
        client.set(prices.key_of(symbol), json.dumps({"mark": 7.5, "ts": now.wall_ms, "source": "js"}))
    one.turn()
    assert json.loads(client.get(prices.key_of(ETH)))["source"] == "bulkhead"
    assert json.loads(client.get(prices.key_of(BTC)))["source"] == "js"
    assert one.cached == {BTC: StoredPrice(D("7.5"), now.wall_ms, "js")}
    assert one.stats.prices == 1
    # It is asked once a second, and what is no price any more is none.
    client.set(prices.key_of(BTC), "nonsense")
    one.turn()
    assert set(one.cached) == {BTC}
    clock.now_s += 1
    one.turn()
    assert one.cached == {}


def test_an_account_whose_symbol_has_no_price_has_no_snapshot(fresh):
    world = World(seeds=(0, 4, 6, 8), events=120)
    world.decide(60)
    one = Stepped(world, fresh.url)
    world.ticks = {}
    one.turn()
    assert set(snapshots(fresh)) == {i for i, s in world.actors.items() if not s.positions}
    assert any(s.positions for s in world.actors.values())


def test_the_last_turn_has_the_time_that_the_stop_gave_it_and_no_more(fresh, world, clock):
    one = Stepped(world, fresh.url)
    assert one.stop(0)
    one.turn()
    assert ids(fresh) == wanted(world)
    world.decide(3)
    one.turn(is_last=True)
    assert ids(fresh) == wanted(world, slice(0, 6)), "too late"
    assert one.stop(30)
    one.turn(is_last=True)
    assert ids(fresh) == wanted(world)
    assert snapshots(fresh) == balances(world), "also of those who were written this second"


def test_its_thread_publishes_until_it_is_stopped(fresh, world, monkeypatch):
    monkeypatch.setattr(publisher, "time", time)
    one = Stepped(world, fresh.url)
    one.start()
    assert one.is_alive
    assert one.stop(20)
    assert ids(fresh) == wanted(world)
    assert not one.is_alive
    assert not one.alarms.told
