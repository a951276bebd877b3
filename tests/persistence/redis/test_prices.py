"""The price cache: what is written, what is taken for a price, and what goes before what. With a real Redis."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND
from actors.persistence.redis.prices import (
    EVERY_S,
    PriceSource,
    SeenPrice,
    StoredPrice,
    decode,
    encode,
    key_of,
    nobody,
    seen,
    to_look_at,
)
from actors.persistence.redis.prices import (
    Published as Written,
)
from actors.subaccount.market import marks_of
from tests.factories import BTC, ETH, WALL_MS, D, account, market, position, tick
from tests.persistence.redis.world import Published, World, until

NOW_NS = 100 * NANOS_PER_SECOND
LIMIT_NS = 10 * NANOS_PER_SECOND


def at(age_s, *, by_rest=False):
    """A market whose ETH is so old."""
    one = replace(tick(ETH, "2000", received_ns=NOW_NS - int(age_s * NANOS_PER_SECOND)), by_rest=by_rest)
    return replace(market({}, now_ns=NOW_NS, wall_ms=WALL_MS), ticks={ETH: one})


def stored(age_ms=1_000, mark="1999", source="js"):
    return lambda symbol: StoredPrice(D(mark), WALL_MS - age_ms, source) if symbol == ETH else None


def test_its_key_and_its_text_are_the_platforms():
    assert key_of(ETH) == "pms:price:ETH/USDT:USDT"
    text = encode(
        tick(ETH, "2000.5", received_ns=NOW_NS - 700 * NANOS_PER_MS, delay_ns=50 * NANOS_PER_MS),
        NOW_NS,
        WALL_MS,
    )
    assert json.loads(text) == {"mark": 2000.5, "ts": WALL_MS - 750, "source": "bulkhead"}


@pytest.mark.parametrize(
    ("price", "taken"),
    [
        ({"mark": 2000.5, "ts": WALL_MS, "source": "js"}, True),
        ({"mark": 2000.5, "ts": WALL_MS}, True),
        ({"mark": 2000.5, "ts": WALL_MS - 9_999, "source": "py", "more": 1}, True),
        ({"mark": 2000.5, "ts": WALL_MS - 10_000}, False),
        ({"mark": 2000.5, "ts": WALL_MS + 2_000}, True),
        ({"mark": 2000.5, "ts": WALL_MS + 2_001}, False),
        ({"mark": 0, "ts": WALL_MS}, False),
        ({"mark": -1, "ts": WALL_MS}, False),
        ({"mark": None, "ts": WALL_MS}, False),
        ({"mark": "NaN", "ts": WALL_MS}, False),
        ({"mark": 1e300, "ts": WALL_MS}, False),
        ({"mark": 2000.5}, False),
        ({"mark": 2000.5, "ts": "now"}, False),
        ([], False),
    ],
)
def test_what_is_taken_for_a_price(price, taken):
    found = decode(json.dumps(price).encode(), WALL_MS)
    assert (found is not None) == taken
    if taken:
        assert found.mark == D("2000.5")


@pytest.mark.parametrize("text", [None, b"", b"\xff", b"price", b"2000.5"])
def test_what_is_no_json_of_a_price_is_none(text):
    assert decode(text, WALL_MS) is None


def test_the_exchanges_price_goes_before_redis_and_an_old_one_is_none():
    others = stored()
    assert seen(ETH, at(9), LIMIT_NS, others) == SeenPrice(D(2000), PriceSource.WS, 9_000)
    assert seen(ETH, at(9, by_rest=True), LIMIT_NS, others) == SeenPrice(D(2000), PriceSource.REST, 9_000)
    assert seen(ETH, at(11), LIMIT_NS, others) == SeenPrice(D(1999), PriceSource.REDIS, 1_000)
    assert seen(ETH, at(11), LIMIT_NS, nobody) == SeenPrice(None, None, 11_000)
    assert seen(BTC, at(11), LIMIT_NS, others) == SeenPrice(None, None, None)


def test_an_account_is_shown_with_redis_prices_only_where_the_exchange_gave_none():
    state = account("1000", (position(ETH, "1", "1900", "10"),))
    fresh, old = at(9), at(11)
    assert to_look_at(state, fresh, stored()) is fresh
    assert to_look_at(state, old, nobody) is old
    assert marks_of(state, old) is None
    shown = to_look_at(state, old, stored())
    assert marks_of(state, shown) == {ETH: D(1999)}
    assert shown.ticks[ETH].received_ns == NOW_NS - NANOS_PER_SECOND
    assert old.ticks[ETH].mid == D(2000), "what decides sees none of it"


def test_what_the_exchange_gave_of_other_symbols_is_shown_beside_it():
    state = account("1000", (position(ETH, "1", "1900", "10"), position(BTC, "1", "60000", "10", 2)))
    young = tick(BTC, "61000", received_ns=NOW_NS - NANOS_PER_SECOND)
    old = at(11)
    both = replace(old, ticks={**old.ticks, BTC: young})
    assert marks_of(state, to_look_at(state, both, stored())) == {ETH: D(1999), BTC: D(61000)}
    nothing = replace(old, ticks={})
    shown = to_look_at(state, nothing, stored())
    assert set(shown.ticks) == {ETH}, "of the other one nothing is known at all"
    assert marks_of(state, shown) is None


def test_each_tick_is_written_once_and_not_too_often():
    written, one, other = Written(), tick(ETH, "2000"), tick(BTC, "60000")
    ticks = {ETH: one, BTC: other}
    assert list(written.due(ticks, 100.0)) == [one, other]
    for each in (one, other):
        written.wrote(each)
    newer = {ETH: tick(ETH, "2001"), BTC: other}
    assert list(written.due(newer, 100.0 + EVERY_S - 0.01)) == []
    assert list(written.due(newer, 100.0 + EVERY_S)) == [newer[ETH]]
    # It was not said that Redis has it.
    assert list(written.due(newer, 100.0 + 2 * EVERY_S)) == [newer[ETH]]
    written.forget()
    assert list(written.due(newer, 100.0 + 2 * EVERY_S)) == [newer[ETH], other]


def test_what_others_write_is_read_where_the_engine_has_nothing_and_nowhere_else(fresh):
    world = World(seeds=(0,), events=20)
    client, wall_ms = fresh.client(), world.clock.wall_ms
    first, second, *_ = world.ticks
    del world.ticks[first]
    for symbol in (first, second):
        client.set(key_of(symbol), json.dumps({"mark": 7.5, "ts": wall_ms(), "source": "js"}))
    with Published(world, fresh.url) as published:
        found = until(lambda: published.cached.get(first), "the platform's price")
        assert (found.mark, found.source) == (D("7.5"), "js")
        assert set(published.cached) == {first}
        until(lambda: json.loads(client.get(key_of(second)))["source"] == "bulkhead", "our price")
        assert json.loads(client.get(key_of(first)))["source"] == "js"
        client.set(key_of(first), "nonsense")
        until(lambda: not published.cached, "that it is no price any more")
    assert not published.alarms.told
