"""kill -9 at the worst moments: after it the engine is what the exchange says, and nothing twice.

Covers: actors/assembly/engine.py, actors/supervision/lifecycle.py
"""

from __future__ import annotations

import signal
from decimal import Decimal as D

import psycopg
import pytest

from actors.api.client import EngineError
from actors.cli.serving import EXIT_HALTED
from actors.persistence.embedded import EmbeddedPostgres
from tests.e2e.processes import (
    EngineProcess,
    Paper,
    account_bodies,
    bulkhead,
    differences,
    idle,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def paper():
    process = Paper("--latency-ms", 20)
    yield process
    process.stop()


def test_killed_in_the_middle_of_trading_and_started_again(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path)
    engine.client.post("/v1/accounts", account_bodies(150))
    for life in range(3):
        if life == 1:
            paper.admin("faults", kind="lost_reply", count=5, seconds=1)
            paper.admin("faults", kind="drop_events", count=20)
            paper.admin("faults", kind="duplicate_events", count=20)
        kill_in_the_middle(engine, paper, notional=1_500 + 100 * life)
        engine = EngineProcess(paper, tmp_path)
        until(lambda engine=engine: idle(engine.client), "every order known")
        assert set(differences(engine.client).values()) == {D(0)}
    until(lambda: engine.client.get("/v1/health")["status"] == "ok", "trading again")
    answers = engine.client.post("/v1/orders", order_bodies(150, notional=500))
    assert {a["type"] for a in answers} == {"Accepted"}
    until(lambda: idle(engine.client), "the last orders")
    assert set(differences(engine.client).values()) == {D(0)}
    engine.stop()
    check_books(paper, tmp_path)


def kill_in_the_middle(engine, paper, notional):
    """Kill the engine while some of its orders are intended, some sent, some filled, some booked.

    However busy the machine is: the exchange is frozen when the first of them has traded, and with it all that is
    under way; if that came too late, once more.
    """
    for _ in range(5):
        before = trades_of(paper)
        engine.client.post("/v1/orders", order_bodies(150, notional=notional))
        until(lambda before=before: trades_of(paper) > before, "the first trade")
        paper.child.send_signal(signal.SIGSTOP)
        try:
            if engine.client.get("/v1/stats")["working_orders"] > 20:
                engine.kill()
                return
        finally:
            paper.child.send_signal(signal.SIGCONT)
        until(lambda: idle(engine.client), "every order of a try that came too late")
    raise AssertionError("five times all orders were done before anybody could look")


def trades_of(paper):
    return sum(paper.state()["trades"].values())


def check_books(paper, data_dir):
    """Row by row: each trade of the exchange once, each intent one order, each balance its sum."""
    with EmbeddedPostgres(data_dir) as dsn, psycopg.connect(dsn) as connection:

        def rows(query):
            return connection.execute(query).fetchall()

        fees = [fee for (fee,) in rows("SELECT fee FROM bulkhead.fill")]
        booked = rows("SELECT symbol, trade_id FROM bulkhead.trade_key WHERE member = ''")
        exchange = {(t["symbol"], t["id"]): t for s in paper.state()["trades"] for t in
                    paper.signed("/fapi/v1/userTrades", symbol=s, fromId="1", limit="1000")}  # fmt: skip
        assert set(booked) == set(exchange)
        assert sum(fees) == D(paper.state()["fees"])
        assert rows("SELECT count(*) FROM bulkhead.intent WHERE status IN ('INTENDED', 'ACKNOWLEDGED')") == [
            (0,)
        ]
        # A member of a block has an id of its own, and is no order at the exchange; its block is one.
        alone = "SELECT count(*) FROM bulkhead.intent i WHERE exchange_order_id IS NOT NULL AND NOT EXISTS"
        [(sent,)] = rows(
            f"{alone} (SELECT FROM bulkhead.block_member m WHERE m.client_order_id = i.client_order_id)"
        )
        [(blocks,)] = rows("SELECT count(*) FROM bulkhead.block WHERE status <> 'NEVER_SENT'")
        sent += blocks
        orders = [o for s in paper.state()["trades"] for o in
                  paper.signed("/fapi/v1/allOrders", symbol=s, limit="1000")]  # fmt: skip
        assert len(orders) == sent
        assert len({o["clientOrderId"] for o in orders}) == len(orders)
        for account, own, platform in rows(
            "SELECT a.account_id, a.balance, s.current_balance FROM bulkhead.account a "
            "JOIN sub_accounts s ON s.id = a.account_id"
        ):
            [(total,)] = rows(
                f"SELECT sum(change_amount) FROM balance_logs WHERE sub_account_id = '{account}'"
            )
            assert own == platform == total


def test_a_second_engine_on_the_same_accounts_is_refused(paper, tmp_path, dsn):
    engine = EngineProcess(paper, tmp_path / "one", "--dsn", dsn)
    other = bulkhead(
        "run", "--data-dir", tmp_path / "two", "--exchange", paper.address.rest, "--api-port", 0, "--dsn", dsn
    )
    assert other.returncode == 2
    assert "owns this database's accounts" in other.stderr
    engine.client.post("/v1/accounts", account_bodies(1))
    engine.stop()


def test_a_killed_writer_connection_loses_nothing(paper, tmp_path, dsn):
    engine = EngineProcess(paper, tmp_path, "--dsn", dsn)
    engine.client.post("/v1/accounts", account_bodies(50))
    with psycopg.connect(dsn, autocommit=True) as killer:
        for round_ in range(5):
            engine.client.post("/v1/orders", order_bodies(50, notional=400 + round_))
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bulkhead'"
            )
    until(lambda: idle(engine.client), "every order known")
    assert set(differences(engine.client).values()) == {D(0)}
    assert engine.client.get("/v1/stats")["writer"]["refused"] == 0
    engine.stop()


def test_a_frozen_engine_that_wakes_after_a_takeover_writes_and_sends_nothing(paper, tmp_path, dsn):
    lease = {"BULKHEAD_LEASE_SECONDS": "3"}
    first = EngineProcess(paper, tmp_path / "one", "--dsn", dsn, **lease)
    first.client.post("/v1/accounts", account_bodies(20))
    first.client.post("/v1/orders", order_bodies(20))
    until(lambda: idle(first.client), "the first orders")
    first.child.send_signal(signal.SIGSTOP)
    second = until(lambda: takeover(paper, tmp_path / "two", dsn, lease), "the takeover")
    second.client.post("/v1/orders", order_bodies(20, notional=300))
    until(lambda: idle(second.client), "the second's orders")
    before = paper.state()["trades"]
    first.child.send_signal(signal.SIGCONT)
    for n in range(1, 6):
        assert refusal(first.client, n) != "accepted"
    assert first.child.wait(20) == EXIT_HALTED
    assert "halted:" in first.errors
    assert "Fenced" in first.errors
    assert paper.state()["trades"] == before
    assert set(differences(second.client).values()) == {D(0)}
    with psycopg.connect(dsn) as connection:
        [(epochs, owners)] = connection.execute(
            "SELECT min(epoch), count(DISTINCT owner) FROM bulkhead.shard"
        ).fetchall()
    assert (epochs, owners) == (2, 1)
    second.stop()


def test_a_turn_that_never_ends_halts_the_engine_and_the_next_start_recovers(paper, tmp_path):
    short = {"BULKHEAD_STUCK_HALT_SECONDS": "2"}
    engine = EngineProcess(paper, tmp_path, **short)
    engine.client.post("/v1/accounts", account_bodies(20))
    engine.client.post("/v1/orders", order_bodies(20))
    until(lambda: idle(engine.client), "the fills")
    engine.client.post("/v1/accounts/acct-3/fault", {"reason": "for ever", "hang_ms": 120_000})
    assert engine.child.wait(40) == EXIT_HALTED
    assert "acct-3 holds the thread of all actors of main" in engine.errors
    again = EngineProcess(paper, tmp_path, **short)
    again.client.post("/v1/orders", order_bodies(20, notional=300))
    until(lambda: idle(again.client), "the next orders")
    assert set(differences(again.client).values()) == {D(0)}
    again.stop()


def refusal(client, number):
    """How an order of the frozen engine is refused: not durable, or no new risk."""
    try:
        answer = client.post(f"/v1/accounts/acct-{number}/orders", {**order_bodies(1)[0], "account_id": None})
    except EngineError as error:
        return str(error)[:3]
    return answer["rejections"][0]["code"] if answer["type"] == "Rejected" else "accepted"


def takeover(paper, folder, dsn, lease):
    """An engine of another machine, once the first one's lease has run out."""
    try:
        return EngineProcess(paper, folder, "--dsn", dsn, **lease)
    except AssertionError as refused:
        assert "owns this database" in str(refused)
        return None
