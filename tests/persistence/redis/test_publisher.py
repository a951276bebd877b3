"""A real Redis has what it should have, whatever happens to it meanwhile."""

from __future__ import annotations

import json

from actors.core.events import events_of
from tests.persistence.redis.server import RedisServer
from tests.persistence.redis.world import STREAM, Published, World, until


def ids(client):
    return [id_ for id_, _ in client.xrange(STREAM)]


def wanted(world):
    return [str(event.id) for row in world.rows for event in events_of(row)]


def complete(world, server):
    return until(lambda: ids(server.client()) == wanted(world), "all events")


def test_every_event_is_in_the_stream_once_with_its_place_in_the_journal_as_id(fresh):
    world = World()
    with Published(world, fresh.url) as published:
        world.decide()
        complete(world, fresh)
        until(lambda: published.stats.lag == 0, "no lag")
    entries = fresh.client().xrange(STREAM)
    events = {str(e.id): e for row in world.rows for e in events_of(row)}
    for id_, fields in entries:
        assert json.loads(fields["event"]) == events[id_].flat()
        assert fields["account"] == events[id_].account
        assert fields["kind"] == events[id_].kind
    assert published.stats.connects == 1
    assert published.stats.events == len(events)
    assert not published.alarms.told


def test_killed_and_started_again_under_load_it_has_what_one_has_that_was_never_away(tmp_path, fresh):
    world = World()
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "everysec") as mortal:
        with Published(world, mortal.url) as published, Published(world, fresh.url):
            for kill in range(4):
                for _ in range(12):
                    world.decide(7)
                world.move(kill)
                if kill == 2:
                    mortal.kill()
                    for path in tmp_path.rglob("*appendonly*"):
                        if path.is_file():
                            path.unlink()  # this time its disk is gone, too
                else:
                    until(lambda: ids(mortal.client()), "something in it")
                    mortal.kill()
                world.decide(20)
                until(lambda: published.stats.error, "the loss is noticed")
                mortal.start()
                world.decide(9)
            world.decide()
            complete(world, mortal)
            complete(world, fresh)
            assert published.alarms.of("redis is away")
            assert "redis is away" in published.alarms.ended
            assert mortal.client().xrange(STREAM) == fresh.client().xrange(STREAM)
            until(lambda: same_snapshots(mortal, fresh), "equal snapshots")
            until(lambda: same_prices(mortal, fresh), "equal prices")
            # Lost with nothing more to say: what was in it is there again.
            mortal.client().flushall()
            mortal.kill()
            mortal.start()
            until(lambda: same_snapshots(mortal, fresh), "equal snapshots again")
            until(lambda: same_prices(mortal, fresh), "equal prices again")
            complete(world, mortal)
        assert {s["positionCount"] > 0 for s in values(mortal, "pms:risk:*").values()} == {True, False}
        for key in mortal.client().keys("pms:risk:*"):
            assert 100 < mortal.client().ttl(key) <= 120
        for key in mortal.client().keys("pms:price:*"):
            assert 0 < mortal.client().ttl(key) <= 30


def values(server, pattern, *times):
    client = server.client()
    found = {}
    for key in client.keys(pattern):
        value = json.loads(client.get(key) or "{}")
        for name in times:
            value.pop(name, None)
        found[key] = value
    return found


def same_snapshots(one, other):
    mine, theirs = values(one, "pms:risk:*", "timestamp"), values(other, "pms:risk:*", "timestamp")
    return mine and mine == theirs


def same_prices(one, other):
    mine, theirs = values(one, "pms:price:*", "ts"), values(other, "pms:price:*", "ts")
    return mine and mine == theirs
