"""The platform's database, adopted by a real engine at a real exchange: traded, liquidated, changed beside it, and kept.

Covers: actors/cli/db_adopt.py, actors/persistence/platform_changes.py
"""

from __future__ import annotations

import json
import time
from decimal import Decimal as D

import httpx
import pytest

from actors.venues.binance.signing import sign
from actors.venues.paper.instruments import LISTINGS
from tests.e2e.processes import KEY, SECRET, EngineProcess, Paper, bulkhead, differences, until
from tests.factories import ETH
from tests.persistence.adoption import platform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PRICE = float(LISTINGS[ETH].start_price)
OURS = ("--account", "a-1", "a-2", "a-3")


def trade_by_hand(paper, side, quantity):
    now = str(time.time_ns() // 1_000_000)
    query = sign(
        {"symbol": ETH, "side": side, "type": "MARKET", "quantity": quantity, "timestamp": now}, SECRET
    )
    answer = httpx.post(
        f"{paper.address.rest}/fapi/v1/order?{query}", headers={"X-MBX-APIKEY": KEY}, timeout=10
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture
def world(dsn, tmp_path):
    platform.make(dsn)
    platform.account(dsn, "a-1", 1000.1)
    platform.account(dsn, "a-2", 1000.0, status="FROZEN")
    platform.account(dsn, "a-3", PRICE * 0.5 * 0.02)
    platform.account(dsn, "b-1", 0.0, status="LIQUIDATED")
    platform.position(dsn, "p-1", "a-1", 0.15000000000000002, PRICE)
    platform.position(dsn, "p-2", "a-2", -0.05, PRICE)
    platform.position(dsn, "p-3", "a-3", 0.5, PRICE)
    paper = Paper()
    trade_by_hand(paper, "BUY", "0.6")
    yield paper, ("--exchange", paper.address.rest, "--data-dir", tmp_path)
    paper.stop()


def adopt(dsn, where, *arguments, code=0):
    shown = bulkhead("db", "adopt", dsn, *where, *arguments)
    assert (shown.returncode, "Traceback" in shown.stderr) == (code, False), shown.stdout + shown.stderr
    return shown.stdout + shown.stderr


def alarms(engine, key):
    return [a for a in engine.client.get("/v1/alarms") if a["key"] == key and not a["over_ms"]]


def account(engine, id_):
    return engine.client.get(f"/v1/accounts/{id_}")


def test_a_platform_is_taken_over_and_lives_on(dsn, world, tmp_path):
    paper, where = world
    catalogue, before = platform.catalogue(dsn), platform.dump(dsn)
    found = json.loads(adopt(dsn, where, "--dry-run", "--json", *OURS).split("reading the")[0])
    assert [s for s in found["symbols"] if s["difference"] not in {"0", "0.00"} and D(s["difference"])] == []
    assert "3 accounts are adopted" in adopt(dsn, where, "--i-stopped-the-platform", *OURS)
    assert "3 accounts are the platform's again" in adopt(dsn, where, "--undo")
    # Somebody trades by hand: it does not add up any more, and says by how much.
    trade_by_hand(paper, "BUY", "0.1")
    refused = adopt(dsn, where, "--i-stopped-the-platform", *OURS, code=1)
    assert (
        "a-1 ETHUSDT: the accounts that could be taken over and ours have 0.6 of it, and the exchange 0.7"
        in refused
    )
    trade_by_hand(paper, "SELL", "0.1")
    adopt(dsn, where, "--i-stopped-the-platform", *OURS)
    assert (platform.catalogue(dsn), platform.dump(dsn)) == (catalogue, before)
    assert "3; 1 of the platform are not run here" in bulkhead("db", "status", dsn).stdout
    engine = EngineProcess(paper, tmp_path, "--dsn", dsn)
    try:
        it_trades(engine, dsn, paper, where)
        the_platform_changes_things(engine, dsn)
    finally:
        engine.stop()
    assert "1 accounts of the platform are not run here" in engine.errors
    refused = adopt(dsn, where, "--undo", "--account", "a-1", code=2)
    assert "a-1: it decided something at" in refused
    assert "OK the journal is what was written" in bulkhead("db", "verify", dsn, *where[2:]).stdout
    assert bulkhead("db", "rebuild", dsn, "--yes", *where[2:]).returncode == 0
    shown = bulkhead("db", "rebuild", dsn, "--dry-run", *where[2:])
    assert shown.returncode == 0, shown.stdout
    assert platform.catalogue(dsn) == catalogue
    after = platform.dump(dsn)
    for table in ("users", "bot_configs", "webauthn_credentials"):
        assert after[table] == before[table]
    assert [r for r in after["sub_accounts"] if r.startswith("(b-1,")] == [r for r in before["sub_accounts"] if r.startswith("(b-1,")]  # fmt: skip


def it_trades(engine, dsn, paper, where):
    assert not any(differences(engine.client).values())
    assert D(account(engine, "a-1")["positions"][0]["quantity"]) == D("0.15")
    assert "an engine runs on" in adopt(dsn, where, "--undo", code=2)
    closed = bulkhead("close", "a-1", ETH, "--yes", *where[2:])
    assert closed.returncode == 0, closed.stdout + closed.stderr
    until(lambda: not account(engine, "a-1")["positions"], "the close")
    paper.admin("shock", symbol=ETH, fraction="-0.05", seconds=0.5)
    until(lambda: account(engine, "a-3")["status"] == "LIQUIDATED", "the liquidation")
    assert not any(differences(engine.client).values())

    def rows():
        found = platform.run(
            dsn, "SELECT id, status FROM virtual_positions WHERE symbol LIKE 'ETH%' ORDER BY 1"
        )
        return found == [("p-1", "CLOSED"), ("p-2", "OPEN"), ("p-3", "LIQUIDATED")]

    until(rows, "the platform's own rows, and no second ones")
    assert not alarms(engine, "platform-positions")


def the_platform_changes_things(engine, dsn):
    [alarm] = until(lambda: alarms(engine, "platform-not-adopted"), "the alarm of what is not adopted")
    assert alarm["text"].startswith("1 accounts of the platform are not run here (b-1)")
    balance = D(account(engine, "a-2")["balance"])
    logs = platform.run(dsn, "SELECT count(*) FROM balance_logs")
    platform.run(dsn, "UPDATE sub_accounts SET current_balance = current_balance + 50.5, status = 'ACTIVE' WHERE id = 'a-2'")  # fmt: skip
    until(lambda: D(account(engine, "a-2")["balance"]) == balance + D("50.5"), "the deposit")
    assert account(engine, "a-2")["status"] == "ACTIVE"
    platform.insert(dsn, "risk_rules", {"id": "r", "sub_account_id": "a-2", "max_leverage": 7.0})

    def limit():
        rows = {row["name"]: row["value"] for row in engine.client.get("/v1/accounts/a-2/limits")}
        return rows["max_leverage"] == "7"

    until(limit, "the rule")
    # More than the account has: not taken, and said so; put back, that is over.
    platform.run(dsn, "UPDATE sub_accounts SET current_balance = current_balance - 1e6 WHERE id = 'a-2'")
    [alarm] = until(lambda: alarms(engine, "platform-account:a-2"), "the alarm of a withdrawal")
    assert "the account does not take it: cannot withdraw 1000000" in alarm["text"]
    platform.run(dsn, "UPDATE sub_accounts SET current_balance = current_balance + 1e6 WHERE id = 'a-2'")
    until(lambda: not alarms(engine, "platform-account:a-2"), "the end of that alarm")
    assert D(account(engine, "a-2")["balance"]) == balance + D("50.5")
    assert platform.run(dsn, "SELECT count(*) FROM balance_logs") == logs
    platform.account(dsn, "b-2", 5.0)
    until(lambda: "(b-1, b-2)" in alarms(engine, "platform-not-adopted")[0]["text"], "the new account")
    # Somebody trades it: an alarm, and its money is not booked.
    platform.position(dsn, "x-1", "a-2", 1, 2000, "BTC/USDT:USDT")
    platform.run(dsn, "UPDATE sub_accounts SET current_balance = current_balance + 1 WHERE id = 'a-2'")
    [alarm] = until(lambda: alarms(engine, "platform-positions"), "the alarm of a position")
    assert "a-2 BTC/USDT:USDT: OPEN row x-1, which is none of ours" in alarm["text"]
    until(lambda: alarms(engine, "platform-account:a-2"), "what is not booked")
    assert D(account(engine, "a-2")["balance"]) == balance + D("50.5")
    platform.run(dsn, "UPDATE virtual_positions SET status = 'CLOSED' WHERE id = 'x-1'")
    until(lambda: D(account(engine, "a-2")["balance"]) == balance + D("51.5"), "the deposit afterwards")
