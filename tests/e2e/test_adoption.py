"""The platform's database, adopted by a real engine at a real exchange: traded, liquidated, changed beside it, and kept.

Covers: actors/cli/db_adopt.py, actors/persistence/platform_changes.py
"""

from __future__ import annotations

import json
import time
from decimal import Decimal as D

import httpx
import pytest

from actors.cli.main import main
from actors.runtime import logs
from actors.venues.binance.signing import sign
from actors.venues.paper.instruments import LISTINGS
from tests.e2e.processes import KEY, SECRET, EngineProcess, Paper, differences, until
from tests.factories import ETH
from tests.persistence.adoption import platform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PRICE = float(LISTINGS[ETH].start_price)
OURS = ("--account", "a-1", "a-2", "a-3")


@pytest.fixture(autouse=True)
def _quiet_log():
    """A command that runs in this process has its log go to what pytest captures, and closes."""
    yield
    logs.configure(json=False, level=50)


def by_hand(paper, method, path="order", **asked):
    """A signed request, as somebody else than the engine sends it."""
    query = sign({"symbol": ETH, **asked, "timestamp": str(time.time_ns() // 1_000_000)}, SECRET)
    answer = httpx.request(
        method, f"{paper.address.rest}/fapi/v1/{path}?{query}", headers={"X-MBX-APIKEY": KEY}, timeout=10
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def trade_by_hand(paper, side, quantity):
    by_hand(paper, "POST", side=side, type="MARKET", quantity=quantity)


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


@pytest.fixture
def command(capsys):
    """Runs a command in this process: starting one takes longer than what it does."""

    def run(*arguments, code=0):
        ended = 0
        try:
            main([str(a) for a in arguments])
        except SystemExit as end:
            ended = end.code or 0
        shown = capsys.readouterr()
        assert ended == code, shown.out + shown.err
        return shown.out if "--json" in arguments else " ".join((shown.out + shown.err).split())

    return run


def alarms(engine, key):
    return [a for a in engine.client.get("/v1/alarms") if a["key"] == key and not a["over_ms"]]


def account(engine, id_):
    return engine.client.get(f"/v1/accounts/{id_}")


def test_a_platform_is_taken_over_and_lives_on(dsn, world, tmp_path, command):
    paper, where = world
    adopt = ("db", "adopt", dsn, *where)
    catalogue, before = platform.catalogue(dsn), platform.dump(dsn)
    found = json.loads(command(*adopt, "--dry-run", "--json", *OURS))
    assert {s["symbol"]: (s["asked"], D(s["difference"])) for s in found["symbols"]} == {ETH: ("0.60", 0)}
    # Somebody trades by hand: it does not add up any more, and says by how much.
    trade_by_hand(paper, "BUY", "0.1")
    refused = command(*adopt, "--i-stopped-the-platform", *OURS, code=1)
    assert (
        "a-1 ETHUSDT: the accounts that could be taken over and ours have 0.6 of it, and the exchange 0.7"
        in refused
    )
    trade_by_hand(paper, "SELL", "0.1")
    # Somebody's order rests at the exchange: it is named until it is cancelled.
    rested = by_hand(paper, "POST", side="BUY", type="LIMIT", quantity="0.1", price="1500", timeInForce="GTC")
    refused = command(*adopt, "--i-stopped-the-platform", *OURS, code=1)
    assert (
        f"1 orders rest at the exchange, and what they trade would be nobody's: ETHUSDT {rested['orderId']}"
        in refused
    )
    assert "(LIMIT BUY 0.1 at 1500, client id" in refused
    by_hand(paper, "DELETE", orderId=rested["orderId"])
    stop = {
        "algoType": "CONDITIONAL",
        "type": "STOP_MARKET",
        "triggerPrice": "1000",
        "clientAlgoId": "a-stop",
    }
    by_hand(paper, "POST", "algoOrder", side="SELL", quantity="0.1", **stop)
    assert "(conditional SELL 0.1, client id 'a-stop')" in command(*adopt, "--dry-run", *OURS, code=1)
    by_hand(paper, "DELETE", "algoOrder", clientAlgoId="a-stop")
    assert "3 accounts are adopted" in command(*adopt, "--i-stopped-the-platform", *OURS)
    assert "3 accounts are the platform's again" in command(*adopt, "--undo")
    command(*adopt, "--i-stopped-the-platform", *OURS)
    assert (platform.catalogue(dsn), platform.dump(dsn)) == (catalogue, before)
    assert "3; 1 of the platform are not run here" in command("db", "status", dsn)
    engine = EngineProcess(paper, tmp_path, "--dsn", dsn)
    try:
        assert "an engine runs on" in command(*adopt, "--undo", code=2)
        it_trades(engine, dsn, paper, lambda *a: command(*a, *where[2:]))
        the_platform_changes_things(engine, dsn)
    finally:
        engine.stop()
    assert "1 accounts of the platform are not run here" in engine.errors
    assert "a-1: it decided something at" in command(*adopt, "--undo", "--account", "a-1", code=2)
    assert "OK the journal is what was written" in command("db", "verify", dsn, *where[2:])
    command("db", "rebuild", dsn, "--yes", *where[2:])
    command("db", "rebuild", dsn, "--dry-run", *where[2:])
    assert platform.catalogue(dsn) == catalogue
    after = platform.dump(dsn)
    for table in ("users", "bot_configs", "webauthn_credentials"):
        assert after[table] == before[table]
    assert [r for r in after["sub_accounts"] if r.startswith("(b-1,")] == [r for r in before["sub_accounts"] if r.startswith("(b-1,")]  # fmt: skip


def it_trades(engine, dsn, paper, command):
    assert not any(differences(engine.client).values())
    assert D(account(engine, "a-1")["positions"][0]["quantity"]) == D("0.15")
    command("close", "a-1", ETH, "--yes")
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
