"""What an owner does from the command line: orders, close, history, waiting for an end; and status, live top.

Covers: actors/api/orders.py
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from actors.api.client import EngineError
from tests.e2e.processes import EngineProcess, bulkhead, until
from tests.e2e.terminal import CTRL_C, Terminal
from tests.e2e.test_waiting import dsn_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ESC = "\x1b]0;owned\x07 \x1b[31mred \u202e [/]"
MARKUP = "[/] [red]desk[/red] :smile: \\[b]"


@pytest.fixture(scope="module")
def folder(engine):
    return engine.child.args[engine.child.args.index("--data-dir") + 1]


@pytest.fixture
def cli(folder):
    return lambda *line: bulkhead(*line, "--data-dir", folder)


def made(engine, account, *orders):
    """An account with positions."""
    wide = {"max_notional_per_trade": "1000000", "max_total_exposure": "1000000"}
    engine.client.post("/v1/accounts", [{"account_id": account, "deposit": "10000", **wide}])
    for symbol, side, quantity in orders:
        body = {"symbol": symbol, "side": side, "quantity": quantity}
        until(
            lambda b=body: engine.client.post(f"/v1/accounts/{account}/orders", b)["type"] == "Accepted",
            "prices",
        )
    address = f"/v1/accounts/{account}"
    until(
        lambda: len(engine.client.get(address)["positions"]) == len({o[0] for o in orders}), "the positions"
    )
    return account


def held(engine, account):
    found = engine.client.get(
        "/v1/positions", account_id=account
    )  # answers before the account has its state, too
    return {p["symbol"]: p["quantity"] for p in found}


def test_close_closes_one_or_all_and_leaves_the_rest_as_it_was(engine, cli):
    account = made(
        engine, "closer", ("ETHUSDT", "BUY", "0.1"), ("BTCUSDT", "SELL", "0.01"), ("SOLUSDT", "BUY", "2")
    )
    rests = engine.client.post(
        f"/v1/accounts/{account}/orders",
        {"symbol": "ADAUSDT", "side": "BUY", "quantity": "100", "order_type": "LIMIT", "price": "0.6"},
    )
    done = cli("close", account, "ethusdt", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SELL 0.1 ETHUSDT: bh-")
    assert set(held(engine, account)) == {"BTCUSDT", "SOLUSDT"}
    done = cli("close", account, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {(a["symbol"], a["side"], a["quantity"]) for a in found["answers"]} == {
        ("BTCUSDT", "BUY", "0.01"), ("SOLUSDT", "SELL", "2"),
    }  # fmt: skip
    assert found["left"] == []
    assert held(engine, account) == {}
    risk = engine.client.get(f"/v1/accounts/{account}/risk")
    assert (risk["breaker"], risk["closing_out"]) == ("CLOSED", ""), "no emergency stop"
    orders = [o["client_order_id"] for o in engine.client.get(f"/v1/accounts/{account}")["orders"]]
    if rests["type"] == "Accepted":
        assert orders == [rests["client_order_id"]], "an order that opens stays"


def test_what_rests_and_would_close_the_same_is_cancelled_first(engine, cli):
    account = made(engine, "closer-2", ("ETHUSDT", "BUY", "0.1"))
    mark = float(engine.client.get("/v1/positions", account_id=account)[0]["mark"])
    body = {
        "symbol": "ETHUSDT", "side": "SELL", "quantity": "0.1", "order_type": "LIMIT", "price": f"{mark * 1.03:.2f}",
        "reduce_only": True,
    }  # fmt: skip
    rests = engine.client.post(f"/v1/accounts/{account}/orders", body)
    assert rests["type"] == "Accepted", rests
    address = f"/v1/orders/{rests['client_order_id']}"
    until(lambda: engine.client.get(address)["status"] == "ACKNOWLEDGED", "it to rest")
    done = cli("close", account, "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    assert held(engine, account) == {}
    assert engine.client.get(address)["status"] in {"CANCELLED", "CANCELED"}


def test_close_asks_and_does_nothing_without_a_yes(engine, folder, cli):
    account = made(engine, "closer-3", ("ETHUSDT", "BUY", "0.1"))
    silent = cli("close", account)
    assert (silent.returncode, "give --yes" in silent.stderr) == (2, True)
    for answer, code in (("n", 1), ("", 1), ("y", 0)):
        with Terminal("close", account, "--data-dir", folder) as terminal:
            terminal.until("[y/N]")
            assert "ETHUSDT" in terminal.text
            terminal.type(answer.encode() + b"\n")
            assert terminal.wait() == code, terminal.shown()
        assert terminal.too_wide() == []
        assert "\u2026" not in terminal.text
        assert bool(held(engine, account)) is bool(code)
    with Terminal("close", account, "--data-dir", folder) as terminal:
        assert terminal.wait() == 2
    assert "closer-3 has no position" in terminal.text


def test_history_has_the_last_orders_with_their_ends_newest_first(engine, cli):
    account = made(engine, "historian", ("ETHUSDT", "BUY", "0.1"))
    stop = {
        "symbol": "ETHUSDT", "side": "SELL", "quantity": "0.1", "order_type": "STOP_MARKET", "trigger_price": "1000",
        "reduce_only": True,
    }  # fmt: skip
    waiting = engine.client.post(f"/v1/accounts/{account}/orders", stop)["client_order_id"]
    assert "WAITING" in cli("orders", account).stdout
    assert (
        json.loads(cli("orders", account, "--json").stdout)["conditionals"][0]["client_order_id"] == waiting
    )
    assert cli("cancel", account, waiting).returncode == 0
    assert cli("close", account, "--yes").returncode == 0

    def all_ended():
        # The actor knows an end before it is durable, and the history is read from Postgres.
        orders = engine.client.get(f"/v1/accounts/{account}/history", limit=10)
        return orders if "INTENDED" not in {o["status"] for o in orders} else None

    found = until(all_ended, "the end of the last order to be durable")
    whats = [(o["side"], o["order_type"], o["status"], o["filled"]) for o in found]
    assert whats[0] == ("SELL", "MARKET", "FILLED", "0.1")
    assert whats[-1] == ("BUY", "MARKET", "FILLED", "0.1")
    assert whats[1][:2] == ("SELL", "STOP_MARKET")
    assert [o["decided_ms"] for o in found] == sorted((o["decided_ms"] for o in found), reverse=True)
    assert {o["account_id"] for o in found} == {account}
    shown = cli("history", account)
    assert all(o["client_order_id"] in shown.stdout for o in found)
    assert len(engine.client.get(f"/v1/accounts/{account}/history", limit=2)) == 2
    assert "there is no account" in cli("history", "nobody").stderr
    fresh = cli("history", made(engine, "historian-2")).stdout
    assert "account opened" in fresh
    assert "ORDER" not in fresh


def test_an_order_is_waited_for_until_its_end_or_the_time_is_up(engine, cli):
    account = made(engine, "waiter")
    done = cli("order", account, "buy", "0.1", "ETHUSDT", "--wait", "10")
    assert done.returncode == 0
    assert "FILLED, 0.1 of 0.1 filled" in done.stdout
    mark = float(engine.client.get("/v1/positions", account_id=account)[0]["mark"])
    late = cli("order", account, "buy", "0.1", "ETHUSDT", "--price", f"{mark * 0.97:.2f}", "--wait", "1")
    assert "after 1 s, 0 of 0.1 filled" in late.stdout


def test_status_is_one_screen_and_says_why_no_new_risk_is_taken(engine, folder, cli):
    for columns in (80, 130):
        with Terminal("status", "--data-dir", folder, columns=columns) as terminal:
            assert terminal.wait() == 0, terminal.shown()
        for word in (
            "engine",
            "new risk open",
            "postgres answers",
            "exchange user stream",
            "accounts",
            "alarms",
        ):
            assert word in " ".join(terminal.text.split()), terminal.shown()
        assert len(terminal.shown().split("\n")) < 24
        assert terminal.too_wide() == []
    assert set(json.loads(cli("status", "--json").stdout)) == {
        "address",
        "health",
        "stats",
        "alarms",
        "untold",
    }
    assert cli("emergency-stop", "--everybody").returncode == 0
    try:
        shut = cli("status")
        assert shut.returncode == 1
        assert "new risk none; reducing orders only" in " ".join(shut.stdout.split())
        assert "emergency stop of all: 'bulkhead emergency-stop --everybody --call-off'" in shut.stdout
    finally:
        cli("emergency-stop", "--everybody", "--call-off")


def test_top_refreshes_until_ctrl_c_and_looks_once_in_a_pipe(engine, folder, cli):
    made(engine, "top-1")
    with Terminal("top", "--every", "0.3", "--data-dir", folder, rows=7) as terminal:
        terminal.until("every 0.3 s")
        before = len(terminal.raw)
        until(lambda: len(terminal.raw) > 3 * before, "further looks", 20)
        assert terminal.child.poll() is None
        shown = terminal.shown()
        terminal.type(CTRL_C)
        assert terminal.wait(20) == 0, terminal.shown()
    assert "Traceback" not in terminal.text
    assert terminal.too_wide() == []
    assert shown.count("Ctrl-C ends") == 1, f"it draws over itself:\n{shown}"
    assert "RUNNING" in shown
    assert "lines more in a taller terminal" in shown
    assert "Ctrl-C" not in cli("top").stdout
    with Terminal("top", "--once", "--data-dir", folder) as terminal:
        assert terminal.wait() == 0
    assert json.loads(cli("top", "--json").stdout)


def test_top_ends_when_the_engine_does(paper, tmp_path):
    own = EngineProcess(paper, tmp_path)
    try:
        with Terminal("top", "--every", "0.3", "--data-dir", tmp_path) as terminal:
            terminal.until("every 0.3 s")
            own.child.send_signal(signal.SIGTERM)
            assert terminal.wait(40) == 2, terminal.shown()
        assert "does not answer" in " ".join(terminal.text.split())
        assert "Traceback" not in terminal.text
    finally:
        own.stop()


def test_reasons_with_markup_are_shown_as_text_and_escapes_are_refused(engine, folder, cli):
    """In a terminal that knows no colours every escape would be somebody else's."""
    account = made(engine, "marked", ("ETHUSDT", "BUY", "0.1"))
    with pytest.raises(EngineError, match=r"cannot be shown, U\+001B"):
        engine.client.post(f"/v1/accounts/{account}/breaker", {"reason": "\x1b]0;owned\x07"})
    engine.client.post(f"/v1/accounts/{account}/breaker", {"reason": MARKUP})
    engine.client.post(f"/v1/accounts/{account}/fault", {"reason": MARKUP})
    until(lambda: engine.client.get("/v1/deadletters", actor=account), "a dead letter")
    engine.client.post(f"/v1/accounts/{account}/quarantine", {"reason": MARKUP})
    until(lambda: engine.client.get("/v1/audit", target=account)[0]["audit_id"], "the audit to be stored")
    until(lambda: account in cli("quarantined").stdout, "the quarantine")
    assert MARKUP in cli("quarantined").stdout
    assert MARKUP in cli("audit", account).stdout
    with psycopg.connect(dsn_of(Path(folder)), autocommit=True) as earlier:
        # The API refuses such texts; an earlier release kept them.
        earlier.execute("UPDATE bulkhead.quarantine SET reason = %s", (ESC,))
        earlier.execute("UPDATE bulkhead.audit SET detail = %s", (ESC,))
        earlier.execute("UPDATE bulkhead.dead_letter SET message = %s, error = %s", (ESC, ESC))
    for line in (
        "accounts", "top --once", "audit", "quarantined", f"inspect {account}", "alarms", "crashes", "tree", "status",
        "deadletters list", f"risk {account}", f"history {account}",
    ):  # fmt: skip
        with Terminal(*line.split(), "--data-dir", folder, TERM="dumb") as terminal:
            assert terminal.wait() in {0, 1}, terminal.text
        assert "Traceback" not in terminal.text.replace("Traceback (most", "") or "inspect" in line, (
            terminal.text
        )
        assert b"\x1b" not in terminal.raw, line
        assert "\u202e" not in terminal.text
        assert b"\x07" not in terminal.raw
        json_too = subprocess.run(
            [sys.executable, "-m", "actors.cli", *line.replace("--once", "").split(), "--json", "--data-dir", folder],
            capture_output=True, timeout=60, check=False, env={**os.environ},
        )  # fmt: skip
        assert b"\x1b" not in json_too.stdout
        assert json.loads(json_too.stdout) is not None


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("accounts/worded/orders", {"symbol": "ETHUSDT", "side": "long", "quantity": "1"}, "opened with BUY"),
        (
            "accounts/worded/orders",
            {"symbol": "ETHUSDT", "side": "BUY", "quantity": 0.05},
            "quantity: a number here",
        ),
        (
            "accounts/worded/orders",
            {"symbol": "ETHUSDT", "side": "BUY", "quantity": "1", "type": "LIMIT"},
            "there is no field 'type'; did you mean order_type?",
        ),
        (
            "orders",
            [{"account_id": "worded", "symbol": "ETHUSDT", "side": "BUY", "quantity": 1}],
            "entry 1, quantity: a number",
        ),
        ("accounts", {"account_id": "x", "deposit": "1"}, "it must be a list"),
        ("accounts/worded/close", {"sym": "x"}, "did you mean symbol?"),
    ],
)
def test_a_request_that_does_not_fit_is_answered_in_words(engine, path, body, said):
    with pytest.raises(EngineError) as refused:
        engine.client.post(f"/v1/{path}", body)
    assert str(refused.value).startswith("400: ")
    assert said in str(refused.value)
    assert "{" not in str(refused.value).replace("{...}", "")


def test_the_smallest_quantity_and_the_symbols_that_may_be_meant_are_named(engine, cli):
    account = made(engine, "smallest", ("ETHUSDT", "BUY", "0.1"))
    small = cli("order", account, "buy", "0.001", "ETHUSDT")
    least = re.search(r"at this price that is ([0-9.]+) or more", small.stderr)[1]
    assert cli("order", account, "buy", least, "ETHUSDT", "--wait", "10").returncode == 0
    assert "did you mean ETHUSDT" in cli("order", account, "buy", "0.1", "ETHUSD").stderr
    assert "a long position is opened with BUY" in cli("order", account, "long", "0.1", "ETHUSDT").stderr


def test_a_rest_below_the_minimum_is_closed_and_what_the_house_took_is_said(engine, cli):
    account = made(engine, "rest", ("ETHUSDT", "BUY", "0.014"))
    assert cli("order", account, "sell", "0.01", "ETHUSDT", "--wait", "10").returncode == 0
    assert held(engine, account) == {"ETHUSDT": "0.004"}
    done = cli("close", account, "--yes")
    assert done.returncode == 0, done.stderr
    assert "SELL 0.004 ETHUSDT: too small for the exchange, so the house took it at " in done.stdout
    assert held(engine, account) == {}


def test_a_port_in_use_is_named_with_the_cure_and_the_engine_there_goes_on(engine, folder, paper, tmp_path):
    port = engine.client.address.url.rpartition(":")[2]
    shown = bulkhead("run", "--data-dir", tmp_path, "--exchange", paper.address.rest, "--api-port", port)
    assert shown.returncode == 2
    assert (
        f"127.0.0.1:{port} (Address already in use): another program listens there; end it, or"
        in shown.stderr
    )
    shown = bulkhead("run", "--data-dir", folder, "--exchange", paper.address.rest, "--api-port", port)
    assert shown.returncode == 2
    assert f"an engine runs on the data folder {folder} already: process {engine.child.pid}" in shown.stderr
    assert engine.client.get("/v1/health")["status"] == "ok"
