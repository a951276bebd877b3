"""An engine with a Redis: what platforms read there, a Redis that is killed under load, and a look while the engine starts.

Covers: actors/assembly/redis_link.py, actors/api/prices.py, actors/persistence/redis/reading.py
"""

from __future__ import annotations

import json
import os
import threading
import time

import httpx
import psycopg
import pytest

from actors.api.client import EngineError
from actors.core.events import events_of
from actors.persistence import journal
from actors.persistence.tail import decided
from tests.e2e.processes import (
    EngineProcess,
    Paper,
    bulkhead,
    idle,
    open_positions,
    order_bodies,
    until,
)
from tests.e2e.test_metrics_page import ROOT, ROW, TYPE
from tests.persistence.redis.server import RedisServer, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STREAM = "bulkhead:events"
ACCOUNTS = 20
TOKEN = "a-token-of-a-platform"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis"), "--appendonly", "yes") as running:
        yield running


@pytest.fixture(scope="module")
def paper():
    process = Paper(limits="none")
    yield process
    process.stop()


def started(paper, folder, dsn, port, server):
    config = folder / "bulkhead.toml"
    config.write_text(
        f'redis = "{server.url}"\n[[api_tokens]]\nname = "platform"\nrole = "viewer"\ntoken = "{TOKEN}"\n'
    )
    return EngineProcess(paper, folder, "--dsn", dsn, "--config", config, api_port=port)


def in_journal(dsn):
    with psycopg.connect(dsn) as connection:
        rows = [decided(row) for row in journal.read(connection, 0, 1_000_000)]
    return {str(event.id): event.flat() for row in rows for event in events_of(row)}


def in_stream(server):
    return {id_: json.loads(fields["event"]) for id_, fields in server.client().xrange(STREAM)}


def snapshot(server, n):
    return json.loads(server.client().get(f"pms:risk:acct-{n}") or "{}")


class Early(threading.Thread):
    """Looks at an account from the first moment on that somebody listens, until the engine has it."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.answers, self.others = port, [], []
        self.start()

    def run(self):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=10) as client:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    answer = client.get("/v1/accounts/acct-2")
                    self.others.append(client.get("/v1/accounts/nobody"))
                    self.others.append(client.get("/v1/positions"))
                except httpx.TransportError:
                    time.sleep(0.01)
                    continue
                self.answers.append(answer)
                if answer.status_code == 200 and "source" not in answer.json():
                    return
                time.sleep(0.02)


@pytest.fixture(scope="module")
def place(tmp_path_factory, postgres):
    """A data folder, a database and a port, which two engines have one after the other."""
    name = f"redis_{os.getpid()}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return tmp_path_factory.mktemp("engine"), postgres.replace("/postgres?", f"/{name}?"), free_port()


@pytest.fixture(scope="module")
def engine(paper, server, place):
    process = started(paper, *place, server)
    open_positions(process.client, ACCOUNTS)
    yield process
    process.stop()


def test_snapshots_and_prices_of_what_is_held(engine, server):
    client = engine.client
    until(lambda: snapshot(server, 1).get("positionCount") == 1, "a snapshot")
    found, shown = snapshot(server, 1), client.get("/v1/accounts/acct-1")
    assert found["positions"][0]["quantity"] == abs(float(shown["positions"][0]["quantity"]))
    assert 60 < server.client().ttl("pms:risk:acct-1") <= 120
    key = f"pms:price:{found['positions'][0]['symbol']}"
    price = json.loads(until(lambda: server.client().get(key), "a price"))
    assert price.keys() == {"mark", "ts", "source"}
    assert 0 < server.client().ttl(key) <= 30


def test_each_price_that_is_shown_says_where_it_came_from(engine):
    shown = engine.client.get("/v1/prices", symbol="BTCUSDT")[0]
    assert (shown["source"], shown["age_ms"] < 10_000) == ("WS", True)
    held = engine.client.get("/v1/positions", account_id="acct-1")[0]
    assert (held["mark_source"], held["mark_age_ms"] < 10_000) == ("WS", True)
    all_ = engine.client.get("/v1/prices")
    assert [p["symbol"] for p in all_] == sorted(p["symbol"] for p in all_)
    with pytest.raises(EngineError, match="symbol 'NOPEUSDT' is not traded here; 'bulkhead prices' lists"):
        engine.client.get("/v1/prices", symbol="NOPEUSDT")


def test_the_page_of_metrics_lists_those_of_redis(engine):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    text = httpx.get(f"{engine.client.address.url}/metrics", headers=headers, timeout=20).text
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = {(name, kind) for name, kind, *_ in ROW.findall(page) if name.startswith("bulkhead_redis_")}
    assert rows == {(n, k) for n, k in TYPE.findall(text) if n.startswith("bulkhead_redis_")}


def close(client, account_id):
    """Close an account's only position."""
    held = client.get("/v1/positions", account_id=account_id)[0]
    side = "BUY" if held["quantity"].startswith("-") else "SELL"
    order = {
        "account_id": account_id, "symbol": held["symbol"], "side": side, "quantity": held["quantity"].lstrip("-"),
        "leverage": "20", "reduce_only": True,
    }  # fmt: skip
    assert [a["type"] for a in client.post("/v1/orders", [order])] == ["Accepted"]
    until(lambda: not client.get("/v1/positions", account_id=account_id), "the close")


def test_killed_and_started_again_while_everybody_trades_it_is_as_if_it_had_never_been_away(
    engine, server, place
):
    client, (folder, dsn, _) = engine.client, place
    server.kill()
    answers = client.post("/v1/orders", order_bodies(ACCOUNTS, notional=300))
    assert {a["type"] for a in answers} == {"Accepted"}
    until(lambda: not client.get("/v1/stats")["redis"]["connected"], "the loss is noticed")
    assert "redis      AWAY" in bulkhead("status", "--data-dir", folder).stdout
    until(lambda: idle(client), "all fills")
    close(client, "acct-1")  # what Redis has of it is of before
    server.start()
    client.post("/v1/orders", order_bodies(ACCOUNTS - 1, notional=100, start=2))
    until(lambda: idle(client), "all fills")
    until(lambda: snapshot(server, 1).get("positionCount") == 0, "a snapshot after the last close")
    until(lambda: in_stream(server) == in_journal(dsn), "the stream is the journal")
    away = [a for a in client.get("/v1/alarms") if "Redis" in a["text"] and "is away" in a["text"]]
    assert [(a["count"], a["over_ms"] is not None) for a in away] == [(1, True)]
    assert "redis      answers; events" in bulkhead("status", "--data-dir", folder).stdout
    types = {fields.get("type") for _, fields in server.client().xrange(STREAM)}
    assert {"position_updated", "position_closed"} <= types


def test_while_an_engine_starts_an_account_is_shown_as_redis_has_it(engine, paper, server, place):
    engine.kill()
    early = Early(place[2])
    second = started(paper, *place, server)
    try:
        early.join(60)
        assert not early.is_alive()
        looks = [answer.json() for answer in early.answers]
        assert {a.status_code for a in early.answers} == {200}, looks
        kept = looks[0]
        assert (kept["account_id"], kept["source"]) == ("acct-2", "redis")
        assert [p["account_id"] for p in kept["positions"]] == ["acct-2"]
        assert 0 <= kept["age_ms"] < 120_000
        now = second.client.get("/v1/accounts/acct-2")
        for name in ("balance", "status", "mode", "margin_used"):
            assert float_of(kept[name]) == float_of(now[name])
        refused = [a.json()["error"] for a in early.others if a.status_code == 503]
        assert {error["code"] for error in refused} == {"Starting"}
        texts = {error["message"] for error in refused}
        assert any("Redis has no snapshot of 'nobody'" in text for text in texts), texts
        # With Redis gone it stops as it does with it.
        server.kill()
        until(lambda: not second.client.get("/v1/stats")["redis"]["connected"], "the loss is noticed")
    finally:
        second.stop()
    assert second.child.returncode == 0, second.errors[-3000:]
    assert "Traceback" not in second.errors, second.errors[-3000:]


def float_of(text):
    try:
        return pytest.approx(float(text), abs=1e-9)
    except ValueError:
        return text
