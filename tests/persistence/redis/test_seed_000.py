"""What seed 000 says of Redis: snapshots, their keys and TTL, position events, and the cascade of prices. With a real Redis.

One account goes through everything that ``on_order_fill`` of the seed lists; each line of a table is one of its claims.
"""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from actors.core.messages import PlaceOrder
from actors.core.units import AccountId
from actors.persistence.redis import prices
from actors.persistence.redis.prices import PriceSource, StoredPrice
from actors.persistence.redis.reading import SnapshotReader
from actors.persistence.tail import Decided
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, SELL, WALL_MS, D, account, fill_of, market, tick
from tests.persistence.redis.server import RedisServer
from tests.persistence.redis.world import STREAM, Published, World, until

pytestmark = pytest.mark.timeout(120)

KEY = "pms:risk:acct-1"

STEPS = {
    "opening: create a position": (BUY, "1", "2000"),
    "existing: more of it": (BUY, "1", "2100"),
    "closing: a part": (SELL, "0.5", "2150"),
    "flip: close existing + open new": (SELL, "2", "2200"),
    "closing: compute PnL, remove": (BUY, "0.5", "2100"),
}
"""``on_order_fill`` 1 to 4: whether a fill opens or closes. Each is an order that fills whole."""


class Scripted(World):
    """One account that does what it is told; each order fills at once, at its price."""

    def __init__(self):
        super().__init__(seeds=())
        self.state = account("1000")
        self.actors = {self.state.account_id: self.state}

    def trade(self, side, quantity, price):
        message = PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(10))
        placed = decide(self.state, message, market({ETH: price}))
        fill = fill_of(placed.state.orders[-1], price=price, trade_id=self.number + 1, fee="0.5")
        self.decided([placed, decide(placed.state, fill, market({ETH: price}))])

    def decided(self, decisions):
        rows = []
        for decision in decisions:
            self.number += 1
            self.state = self.actors["acct-1"] = decision.state
            rows.append(
                Decided(self.number, "acct-1", decision.state.sequence, WALL_MS, "test", decision.facts)
            )
        self.commit(rows)

    def price(self, mid):
        self.ticks = {ETH: tick(ETH, mid, received_ns=self.clock.monotonic_ns())}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """After each step: the entries that it made, and the snapshot that says what the account is then."""
    world, found = Scripted(), {}
    with RedisServer(tmp_path_factory.mktemp("seed")) as server, Published(world, server.url) as published:
        client, last = server.client(), "0"
        until(lambda: published.stats.prices, "prices: the states of the begin are known")
        for name, (side, quantity, price) in STEPS.items():
            world.price(price)
            world.trade(side, quantity, price)
            end = f"{world.number}-"
            until(lambda end=end: [i for i, _ in client.xrange(STREAM) if i.startswith(end)], "its events")
            entries = client.xrange(STREAM, f"({last}", "+")
            last = entries[-1][0]
            balance = world.state.balance
            until(lambda b=balance: snapshot(client).get("balance") == pytest.approx(float(b)), "a snapshot")
            found[name] = ([fields for _, fields in entries], snapshot(client), world.state, client.ttl(KEY))
        # "on_price_tick", with a position.
        world.trade(BUY, "1", "2000")
        until(lambda: snapshot(client).get("positionCount") == 1, "a position")
        world.price("1990")
        until(lambda: snapshot(client)["positions"][0]["markPrice"] == 1990, "the price")
        found["tick"] = snapshot(client)
        found["cold start"] = SnapshotReader(server.url).snapshot(AccountId("acct-1"))
        found["price"] = json.loads(until(lambda: client.get("pms:price:ETH/USDT:USDT"), "a price"))
        found["price ttl"] = client.ttl("pms:price:ETH/USDT:USDT")
    return found


def snapshot(client):
    return json.loads(client.get(KEY) or "{}")


EVENTS = {
    "opening: create a position": [("position_updated", {"side": "LONG", "quantity": 1, "entryPrice": 2000})],
    "existing: more of it": [("position_updated", {"side": "LONG", "quantity": 2, "entryPrice": 2050})],
    "closing: a part": [
        (
            "position_reduced",
            {"remainingQty": 1.5, "closedQty": 0.5, "realizedPnl": 49.5, "newBalance": 1048.5},
        )
    ],
    "flip: close existing + open new": [
        ("position_updated", {"side": "SHORT", "quantity": 0.5, "entryPrice": 2200}),
        # 0.5 x 100 + 1.5 x 150, less the fees of all of it.
        ("position_closed", {"side": "LONG", "newBalance": 1273, "reason": "FLIP"}),
    ],
    "closing: compute PnL, remove": [("position_closed", {"side": "SHORT", "reason": "CLOSE"})],
}


@pytest.mark.parametrize("step", STEPS)
def test_6_position_updated_and_position_closed_are_published(seen, step):
    entries, *_ = seen[step]
    told = sorted((e["type"], json.loads(e["data"])) for e in entries if "type" in e)
    assert [kind for kind, _ in told] == sorted(kind for kind, _ in EVENTS[step])
    for (_, data), (_, expected) in zip(told, sorted(EVENTS[step], key=lambda e: e[0]), strict=True):
        assert {name: data[name] for name in expected} == expected
        assert (data["subAccountId"], data["symbol"]) == ("acct-1", "ETH/USDT:USDT")


@pytest.mark.parametrize("step", STEPS)
def test_5_the_balance_moves_by_deltas_and_7_the_snapshot_follows_each_fill(seen, step):
    entries, snap, state, ttl = seen[step]
    names = list(STEPS)
    before = seen[names[names.index(step) - 1]][2].balance if step != names[0] else D(1000)
    [fill] = [json.loads(e["event"]) for e in entries if e["kind"] == "FILL"]
    assert D(fill["realized"]) - D(fill["fee"]) == state.balance - before
    assert snap["balance"] == pytest.approx(float(state.balance))
    assert snap["positionCount"] == len(state.positions)
    assert 100 < ttl <= 120, "also after the last close"


SNAPSHOT = "balance equity marginUsed availableMargin positions".split()
POSITION = "id symbol side entryPrice quantity margin leverage".split()


def test_get_account_snapshot_has_what_the_seed_returns(seen):
    snap = seen["opening: create a position"][1]
    assert set(SNAPSHOT) <= set(snap)
    [held] = snap["positions"]
    assert set(POSITION) <= set(held)
    assert snap["equity"] == snap["balance"] + snap["unrealizedPnl"]
    assert snap["marginUsed"] == sum(p["margin"] for p in snap["positions"])
    assert snap["availableMargin"] == snap["equity"] - snap["marginUsed"]


def test_on_price_tick_5_the_snapshot_moves_with_the_price(seen):
    [held] = seen["tick"]["positions"]
    assert (held["markPrice"], held["unrealizedPnl"]) == (1990, -10)
    assert seen["tick"]["equity"] == pytest.approx(seen["tick"]["balance"] - 10)


def test_the_snapshot_is_what_a_cold_start_shows(seen):
    found = seen["cold start"]
    assert (found.sub_account_id, found.position_count) == ("acct-1", 1)
    assert float(found.balance) == pytest.approx(seen["tick"]["balance"])


def test_a_price_is_kept_under_the_platforms_key_for_30_seconds(seen):
    assert set(seen["price"]) == {"mark", "ts", "source"}
    assert 0 < seen["price ttl"] <= 30


CASCADE = [
    ("the exchange's stream", 9, False, True, PriceSource.WS),
    ("the exchange was asked", 9, True, True, PriceSource.REST),
    ("somebody else's, in Redis", 11, False, True, PriceSource.REDIS),
    ("nothing at all, and never the entry price", 11, False, False, None),
]
"""Seed: "price cascade (WS -> Redis -> REST)". Here REST goes before Redis, which is shown and never decided by: anybody who
can write to Redis could else liquidate an account."""


@pytest.mark.parametrize(("line", "age_s", "by_rest", "in_redis", "source"), CASCADE)
def test_the_cascade_of_prices(line, age_s, by_rest, in_redis, source):
    second, now = 10**9, 100 * 10**9
    one = replace(tick(ETH, "2000", received_ns=now - age_s * second), by_rest=by_rest)
    at = replace(market({}, now_ns=now, wall_ms=WALL_MS), ticks={ETH: one})
    stored = StoredPrice(D(1999), WALL_MS - 1_000, "js") if in_redis else None
    assert prices.seen(ETH, at, 10 * second, lambda _symbol: stored).source is source, line
