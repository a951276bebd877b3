"""What a Redis may refuse, each said by name with its cure, while everything else goes on; with real servers.

Covers: actors/persistence/redis/connection.py, actors/persistence/redis/event_stream.py
"""

from __future__ import annotations

import json
import time

import pytest

from actors.core.errors import RedisRefused, RedisUnreachable
from actors.core.events import events_of
from actors.persistence.redis.connection import connect, explained
from tests.persistence.redis.server import RedisServer, free_port
from tests.persistence.redis.world import STREAM, Published, World, until


def complete(world, server):
    wanted = [str(event.id) for row in world.rows for event in events_of(row)]
    return until(lambda: [id_ for id_, _ in server.client().xrange(STREAM)] == wanted, "all events")


@pytest.fixture
def world():
    made = World(seeds=(0, 4), events=120)
    made.decide(5)
    return made


def balances(client):
    found = (json.loads(client.get(key) or "{}") for key in client.keys("pms:risk:*"))
    return {s["subAccountId"]: pytest.approx(s["balance"]) for s in found if s}


def alarm(published, key):
    return until(lambda: published.alarms.of(key), f"an alarm about {key}")[0]


def test_a_wrong_password_is_said_and_never_shown(tmp_path, world):
    with RedisServer(tmp_path, "--requirepass", "correct-horse") as server:
        wrong = f"redis://:hunter22@127.0.0.1:{server.port}/0"
        with Published(world, wrong) as published:
            text = alarm(published, "redis is away")
            assert "user or password is wrong or missing; the setting redis has them" in text
            assert f"redis://***@127.0.0.1:{server.port}/0" in text
            until(lambda: published.stats.errors > 2, "more tries")
        assert len(published.alarms.told) == 1, "told once, however often it is tried"
        assert "hunter22" not in repr(published.alarms.told) + repr(published.stats)
        with Published(world, server.url) as published:
            assert "user or password is wrong or missing" in alarm(published, "redis is away")
        right = f"redis://:correct-horse@127.0.0.1:{server.port}/0"
        with Published(world, right) as published:
            until(lambda: published.stats.events, "events")


def test_nobody_there_is_one_alarm_and_no_wait_at_the_stop(world):
    with Published(world, f"redis://127.0.0.1:{free_port()}/0") as published:
        assert "the engine goes on without it" in alarm(published, "redis is away")
        world.decide()
        until(lambda: published.stats.errors > 2, "more tries")
        assert published.stats.lag >= len(world.rows)
    assert len(published.alarms.told) == 1


def test_a_key_of_another_type_in_the_way_holds_back_events_alone_until_it_is_gone(fresh, world):
    client = fresh.client()
    client.set(STREAM, "mine")
    with Published(world, fresh.url) as published:
        text = alarm(published, "redis events")
        assert f"stream {STREAM}: WRONGTYPE" in text
        assert "remove it, or choose another key with redis_stream" in text
        world.decide(30)
        until(
            lambda: balances(client) == {i: float(a.balance) for i, a in world.actors.items()},
            "new snapshots",
        )
        until(lambda: client.keys("pms:price:*"), "prices")
        assert client.get(STREAM) == "mine"
        assert list(published.stats.faults) == ["events"]
        client.delete(STREAM)
        complete(world, fresh)
        until(lambda: not published.stats.faults, "no fault")
        assert "redis events" in published.alarms.ended
    assert len(published.alarms.of("redis events")) == 1


def test_a_redis_out_of_memory_takes_nothing_and_then_all(fresh):
    world, client = (
        World(),
        fresh.client(),
    )  # some of its accounts end with nothing, and are written for what they decided
    world.decide(1)
    client.set("ballast", "x" * 5_000_000)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1_000_000)
    with Published(world, fresh.url) as published:
        text = alarm(published, "redis events")
        world.decide(1)
        assert "out of memory (maxmemory, with maxmemory-policy noeviction); raise maxmemory" in text
        assert "out of memory" in alarm(published, "redis snapshots")
        assert "out of memory" in alarm(published, "redis prices")
        world.decide()
        until(lambda: published._recent.end == world.number, "all is known")
        time.sleep(0.2)
        client.config_set("maxmemory", 0)
        complete(world, fresh)
        until(lambda: len(client.keys("pms:risk:*")) == len(world.actors), "all snapshots")
        until(lambda: not published.stats.faults, "no fault")
        assert {"redis events", "redis snapshots", "redis prices"} <= set(published.alarms.ended)


def test_a_read_only_replica_is_said_to_be_one(fresh, tmp_path, world):
    with RedisServer(tmp_path, "--replicaof", "127.0.0.1", str(fresh.port)) as replica:
        until(lambda: replica.client().info("replication")["master_link_status"] == "up", "a replica")
        with Published(world, replica.url) as published:
            text = alarm(published, "redis events")
            assert "it is a read-only replica; name the primary in the setting redis" in text
            replica.client().replicaof("NO", "ONE")
            complete(world, replica)


def test_a_user_without_rights_is_told_which_it_needs(fresh, world):
    client = fresh.client()
    client.acl_setuser("guest", enabled=True, passwords=["+pw"], commands=["+@connection"], keys=["*"])
    with Published(world, f"redis://guest:pw@127.0.0.1:{fresh.port}/0") as published:
        assert "the user may not do that; it needs +@connection +set" in alarm(published, "redis events")
    with Published(world, fresh.url.replace("/0", "/99")) as published:
        assert "it has no such database; the setting redis ends with its number" in alarm(
            published, "redis is away"
        )
    client.acl_deluser("guest")


def test_the_stream_of_another_database_is_left_alone(fresh, world):
    with Published(world, fresh.url, fleet="first") as published:
        complete(world, fresh)
    with Published(world, fresh.url, fleet="second") as published:
        text = alarm(published, "redis events")
        assert "has the events of fleet 'first', and ours is second" in text
        assert "choose another key with redis_stream, or remove the stream" in text
    complete(world, fresh)


def test_a_stream_that_is_ahead_of_the_journal_is_left_alone(fresh, world):
    fresh.client().xadd(STREAM, {"a": "b"}, id="999-0")
    with Published(world, fresh.url) as published:
        text = alarm(published, "redis events")
        assert "ends with 999-0, and our journal with position 5" in text
        assert "restored from a backup" in text


def replaced(world):
    """Another journal of the same database: as after a restore of a backup behind position 3 of this one's."""
    other = World(seeds=(0, 4), events=120)
    other.number = 3
    other.commit(world.rows[:3])
    for _ in range(3):
        next(other.left)
    # The accounts decide something else, or at other times.
    other.row = lambda persist: World.row(other, persist)._replace(cause="restored")
    return other


def test_the_stream_of_a_release_that_kept_no_root_is_compared_event_by_event(fresh, world):
    client = fresh.client()
    with Published(world, fresh.url):
        complete(world, fresh)
        world.decide(6)
        complete(world, fresh)
    client.delete(f"{STREAM}:root")
    with Published(world, fresh.url) as published:
        until(lambda: client.get(f"{STREAM}:root"), "a root of what is there")
        until(lambda: published.stats.lag == 0, "no lag")
    assert not published.alarms.told
    client.delete(f"{STREAM}:root")
    other = replaced(world)
    other.decide(30)
    with Published(other, fresh.url) as published:
        text = alarm(published, "redis stream replaced")
        assert f"stream {STREAM} has events that the journal has not" in text
        until(lambda: published.stats.lag == 0, "no lag")
        assert published.stats.faults == {}
    wanted_now = [str(e.id) for row in other.rows[3:] for e in events_of(row)]
    assert [i for i, _ in client.xrange(f"{STREAM}:2")][1:] == wanted_now
    assert client.xrevrange(STREAM, count=1)[0][1]["after"] == "3"


def test_an_engine_that_ended_between_the_end_of_a_stream_and_the_begin_of_the_next_goes_on_there(
    fresh, world
):
    client, other = fresh.client(), replaced(world)
    with Published(world, fresh.url):
        complete(world, fresh)
    other.decide(1)
    with Published(other, fresh.url) as published:
        alarm(published, "redis stream replaced")
        until(lambda: published.stats.lag == 0, "no lag")
    length = client.xlen(STREAM)
    # As if it had not got so far.
    client.delete(f"{STREAM}:now", f"{STREAM}:2")
    client.set(f"{STREAM}:root", f"5:{world.asked.rooted[5].hex()}")
    other.decide(2)
    with Published(other, fresh.url) as published:
        alarm(published, "redis stream replaced")
        until(lambda: published.stats.lag == 0, "no lag")
    assert client.xlen(STREAM) == length, "its end is said once"
    assert client.get(f"{STREAM}:now") == f"{STREAM}:2"
    assert {int(i.split("-")[0]) for i, _ in client.xrange(f"{STREAM}:2")} == {3, 4, 5, 6}
    assert not client.exists(f"{STREAM}:3")
    # Another restore: another stream.
    third = replaced(other)
    third.row = lambda persist: World.row(third, persist)._replace(cause="restored again")
    third.decide(9)
    with Published(third, fresh.url) as published:
        text = alarm(published, "redis stream replaced")
        assert f"stream {STREAM}:2 has events" in text
        assert f"{STREAM}:3 goes on behind position 3" in text
        until(lambda: published.stats.lag == 0, "no lag")
    assert client.xrevrange(f"{STREAM}:2", count=1)[0][1]["next"] == f"{STREAM}:3"


def test_a_stream_that_ends_behind_the_journal_though_its_root_fits_is_left_alone(fresh, world):
    with Published(world, fresh.url):
        complete(world, fresh)
    fresh.client().xadd(STREAM, {"a": "b"}, id="999-0")
    with Published(world, fresh.url) as published:
        assert "ends with 999-0, and our journal with position 5" in alarm(published, "redis events")


def test_a_stream_that_is_removed_begins_again_and_that_is_said(fresh, world):
    with Published(world, fresh.url, depth=3) as published:
        until(lambda: published.stats.last_id, "events")
        begun = published.alarms.of("redis stream begins")
        assert len(begun) == 1
        assert (
            "is empty and begins with position 3 of the journal, which ends with 5 (redis_stream_depth)"
            in begun[0]
        )
        assert {int(i.split("-")[0]) for i, _ in fresh.client().xrange(STREAM)} <= {3, 4, 5}
        world.decide(5)
        last = [str(e.id) for row in world.rows for e in events_of(row)][-1]
        until(lambda: published.stats.last_id == last, "the newest")
        fresh.client().flushall()
        until(
            lambda: len(published.alarms.of("redis stream begins")) == 2,
            "that it is noticed with nothing to add",
        )
        until(lambda: fresh.client().keys("pms:risk:*") and fresh.client().exists(STREAM), "all again")
        assert "begins with position 8" in published.alarms.of("redis stream begins")[1]
        until(lambda: published.stats.lag == 0, "all of it")
        fresh.client().delete(STREAM)
        world.decide(1)
        until(
            lambda: len(published.alarms.of("redis stream begins")) == 3,
            "that it is noticed at the next entry",
        )
        until(
            lambda: {int(i.split("-")[0]) for i, _ in fresh.client().xrange(STREAM)} == {9, 10, 11},
            "its depth",
        )


def test_no_more_entries_are_kept_than_is_set(fresh):
    world = World(seeds=(0, 8, 9, 10))
    with Published(world, fresh.url, length=20) as published:
        world.decide()
        last = [str(e.id) for row in world.rows for e in events_of(row)][-1]
        until(lambda: published.stats.last_id == last, "the newest")
    # Redis drops whole nodes of a hundred entries.
    assert 20 <= fresh.client().xlen(STREAM) < 200 < published.stats.events


def test_depth_zero_begins_with_the_next_decision(fresh, world):
    with Published(world, fresh.url, depth=0) as published:
        until(lambda: published.stats.prices, "prices, which come after events")
        world.decide(3)
        until(lambda: published.stats.last_id.startswith("8-"), "the newest")
    assert {int(i.split("-")[0]) for i, _ in fresh.client().xrange(STREAM)} == {6, 7, 8}


def test_what_was_lost_is_written_again_though_the_stream_begins_with_the_next_decision(fresh):
    world, client = World(), fresh.client()
    with Published(world, fresh.url, depth=0) as published:
        until(lambda: published.stats.prices, "prices, which come after events")
        world.decide()
        until(lambda: len(client.keys("pms:risk:*")) == len(world.actors), "all snapshots")
        assert not all(actor.positions for actor in world.actors.values()), (
            "those are written again in any case"
        )
        client.flushall()
        until(lambda: len(client.keys("pms:risk:*")) == len(world.actors), "all snapshots again")


def test_errors_are_ours(fresh):
    client = connect(fresh.url)
    client.set("text", "x")
    with pytest.raises(RedisRefused, match=r"a look: .*WRONGTYPE"), explained("a look"):
        client.xlen("text")
    with pytest.raises(RedisRefused, match="no such database"), explained("a look"):
        connect(fresh.url.replace("/0", "/99")).ping()
    with pytest.raises(RedisUnreachable, match=r"a look: .*refused"), explained("a look"):
        connect(f"redis://127.0.0.1:{free_port()}/0").ping()
