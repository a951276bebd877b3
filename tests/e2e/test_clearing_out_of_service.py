"""Blocks of an earlier run: with clearing switched off since, and with a row that cannot be read. One database, three starts.

Covers: actors/clearing/service.py
"""

from __future__ import annotations

import signal
from decimal import Decimal as D

import psycopg
import pytest

from actors.api.client import Client
from tests.e2e.processes import EngineProcess, Paper, account_bodies, bulkhead, differences, idle, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CROWD = 12
ROW = "stream = 'clearing:ETHUSDT' AND sequence = 1"


@pytest.fixture
def paper():
    process = Paper()
    yield process
    process.stop()


def started(paper, folder, dsn, setting):
    return EngineProcess(paper, folder, "--dsn", dsn, BULKHEAD_CLEARING=setting)


def orders(client, side="BUY", quantity="0.05"):
    one = {"symbol": "ETHUSDT", "side": side, "quantity": quantity, "leverage": "5"}
    answers = client.post("/v1/orders", [{"account_id": f"acct-{n}", **one} for n in range(1, CROWD + 1)])
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    return [answer["client_order_id"] for answer in answers]


def killed_with_a_block_in_flight(engine, paper):
    """Kill it while the exchange has not answered a block yet; the ids of its members."""
    until(lambda: engine.client.get("/v1/health")["status"] == "ok", "trading")
    paper.child.send_signal(signal.SIGSTOP)
    try:
        orders(engine.client)
        # It is formed when the one before has been unanswered for a second.
        [block] = until(lambda: engine.client.get("/v1/clearing/ETHUSDT")["blocks"], "a block")
        engine.kill()
    finally:
        paper.child.send_signal(signal.SIGCONT)
    return {m["client_order_id"] for m in block["named"]}


def story(client, id_):
    return client.get(f"/v1/why/{id_}")


def test_blocks_of_before_with_clearing_off_and_with_a_row_that_cannot_be_read(paper, dsn, tmp_path):
    engine = started(paper, tmp_path, dsn, "on")
    engine.client.post("/v1/accounts", account_bodies(CROWD))
    members = killed_with_a_block_in_flight(engine, paper)
    assert len(members) >= CROWD // 2

    # Switched off: the block is seen to its end, and what comes then goes one by one.
    engine = started(paper, tmp_path, dsn, "off")
    until(lambda: idle(engine.client), "an end of all members")
    assert set(differences(engine.client).values()) == {D(0)}
    ends = {until(lambda i=i: story(engine.client, i)["status"] != "INTENDED", "an end") for i in members}
    assert ends == {True}
    orders(engine.client, quantity="0.02")
    until(lambda: idle(engine.client), "the end of orders that went one by one")
    ids = orders(engine.client, "SELL", "0.02")
    until(lambda: idle(engine.client), "their end")
    stories = [until(lambda i=i: ended(engine.client, i), "a story") for i in ids]
    assert {s["status"] for s in stories} == {"FILLED"}
    assert not any(s["in_block"] for s in stories)
    assert engine.client.get("/v1/clearing")["clearing"] == "off"
    engine.kill()

    # A row that cannot be read: it starts, says which, and only this symbol takes no new risk.
    with psycopg.connect(dsn, autocommit=True) as connection:
        [(facts,)] = connection.execute(f"SELECT facts FROM bulkhead.journal WHERE {ROW}").fetchall()
        connection.execute("DELETE FROM bulkhead.snapshot WHERE stream = 'clearing:ETHUSDT'")
        connection.execute(rf"UPDATE bulkhead.journal SET facts = '\xff' WHERE {ROW}")
    engine = started(paper, tmp_path, dsn, "on")
    until(lambda: engine.client.get("/v1/health")["status"] == "ok", "trading")
    assert engine.client.get("/v1/health")["closed_symbols"] == ["ETHUSDT"]

    def told():
        return [a["text"] for a in engine.client.get("/v1/alarms") if "cannot be read" in a["text"]]

    [alarm] = until(told, "an alarm of the row")
    assert "clearing:ETHUSDT: its row of sequence 1 in bulkhead.journal" in alarm
    assert "'bulkhead restart clearing:ETHUSDT'" in alarm
    shown = engine.client.get("/v1/clearing/ETHUSDT")
    assert (shown["status"], shown["held"]) == ("BYPASSED", 0)
    said = bulkhead("clearing", "ETHUSDT", "--data-dir", tmp_path).stdout
    assert "no new risk, orders go one by one" in " ".join(said.split())
    tree = bulkhead("tree", "--data-dir", tmp_path).stdout
    assert "none in ETHUSDT" in tree
    assert "BYPASSED" in tree
    body = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.05"}
    refused = Client.post(engine.client, "/v1/accounts/acct-1/orders", body)  # without patience
    assert [r["code"] for r in refused["rejections"]] == ["REDUCE_ONLY_MODE"]
    # It is put back, and read again.
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"UPDATE bulkhead.journal SET facts = %s WHERE {ROW}", (facts,))
    assert bulkhead("restart", "clearing:ETHUSDT", "--data-dir", tmp_path).returncode == 0
    until(lambda: engine.client.get("/v1/clearing/ETHUSDT")["status"] == "RUNNING", "its restart")
    assert engine.client.get("/v1/health") == {"status": "ok", "closed_by": []}
    orders(engine.client, quantity="0.02")
    until(lambda: idle(engine.client), "the end of all")
    assert engine.client.get("/v1/clearing/ETHUSDT")["counters"]["blocks"] >= 1
    assert set(differences(engine.client).values()) == {D(0)}
    engine.stop()


def ended(client, id_):
    found = story(client, id_)
    return found if found["status"] == "FILLED" else None
