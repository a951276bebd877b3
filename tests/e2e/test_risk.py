"""Limits, breaker, conditional orders, emergency stop and sizes of a running engine: HTTP and command line."""

from __future__ import annotations

import json
from decimal import Decimal as D
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import account_bodies, bulkhead, differences, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def client(engine):
    engine.client.post("/v1/accounts", account_bodies(12, deposit="10000"))
    until(lambda: engine.client.get("/v1/accounts/acct-1")["actor"] == "RUNNING", "accounts")
    until(lambda: place(engine.client, "acct-11", quantity="0.02")["type"] == "Accepted", "prices")
    return engine.client


@pytest.fixture
def run(engine):
    folder = Path(engine.child.args[engine.child.args.index("--data-dir") + 1])
    return lambda *args: bulkhead(*args, "--data-dir", folder)


def place(client, account, **changes):
    body = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.5", "leverage": "20", **changes}
    return client.post(f"/v1/accounts/{account}/orders", body)


def hold(client, account, quantity="0.5"):
    """Open a position and wait for it."""
    assert place(client, account, quantity=quantity)["type"] == "Accepted"
    return until(lambda: (p := client.get(f"/v1/accounts/{account}")["positions"]) and p[0], "position")


def mid(client, account):
    return D(client.get(f"/v1/accounts/{account}")["positions"][0]["mark"])


def test_limits_show_their_source_and_act_at_once(client, run):
    rows = {r["name"]: r for r in client.get("/v1/accounts/acct-1/limits")}
    assert rows["max_notional_per_trade"]["source"] == "platform's rule of the account"
    assert rows["max_positions"] == {
        "name": "max_positions", "value": "off", "source": "built-in", "unit": "count, at least 1", "text": "open positions",
    }  # fmt: skip
    done = run("set-limit", "acct-1", "max_order_notional", "100")
    assert done.returncode == 0, done.stderr
    assert "max_order_notional" in run("limits", "acct-1").stdout
    rows = {r["name"]: r for r in json.loads(run("limits", "acct-1", "--json").stdout)}
    assert (rows["max_order_notional"]["value"], rows["max_order_notional"]["source"]) == ("100", "account")
    refused = run("order", "acct-1", "buy", "0.5", "ETHUSDT")
    assert refused.returncode == 1
    assert "MAX_ORDER_NOTIONAL_EXCEEDED" in refused.stderr
    assert run("unset-limit", "acct-1", "max_order_notional").returncode == 0
    assert run("order", "acct-1", "buy", "0.5", "ETHUSDT").returncode == 0
    assert "limits" in {e["action"] for e in client.get("/v1/audit", target="acct-1")}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_positions", "0", "count"),
        ("no_such", "1", "no such limit"),
        ("max_leverage", "off", "switched off"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_by_name(run, name, value, words):
    done = run("set-limit", "acct-1", name, value)
    assert done.returncode == 1
    assert words in done.stderr
    assert name in done.stderr


def test_a_stop_waits_and_goes_with_the_take_profit_that_fires(client, run, paper):
    held = hold(client, "acct-2")
    at = D(held["mark"])
    stop, take = round(at * D("0.5"), 2), round(at * D("1.003"), 2)
    assert (
        run("order", "acct-2", "sell", "0.5", "ETHUSDT", "--stop", str(stop), "--reduce-only").returncode == 0
    )
    done = run(
        "order",
        "acct-2",
        "sell",
        "0.5",
        "ETHUSDT",
        "--take-profit",
        str(take),
        "--reduce-only",
        "--strategy",
        "t",
    )
    assert done.returncode == 0, done.stderr
    assert len(client.get("/v1/accounts/acct-2")["conditionals"]) == 2
    paper.admin("shock", symbol="ETHUSDT", fraction="0.01", seconds=1)
    until(lambda: not client.get("/v1/accounts/acct-2")["positions"], "the take-profit")
    assert client.get("/v1/accounts/acct-2")["conditionals"] == []
    # The actor knows it before it is durable.
    [record] = until(lambda: client.get("/v1/accounts/acct-2/closed"), "the closed position's row")
    assert D(record["mfe"]) >= D(record["net"])
    assert D(record["mae"]) <= 0
    assert "ETHUSDT" in run("closed", "acct-2").stdout


def test_a_trailing_stop_is_listed_and_cancelled(client, run):
    hold(client, "acct-3")
    done = run("order", "acct-3", "sell", "0.5", "ETHUSDT", "--trail", "0.05", "--reduce-only")
    id_ = done.stdout.split()[0]
    [waiting] = client.get("/v1/accounts/acct-3")["conditionals"]
    assert (waiting["client_order_id"], waiting["kind"]) == (id_, "TRAILING_STOP_MARKET")
    assert run("cancel", "acct-3", id_).returncode == 0
    assert client.get("/v1/accounts/acct-3")["conditionals"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stop", "1", "--take-profit", "9"], "give one of"),
        (["--stop", "NaN"], "INVALID_TRIGGER"),
        (["--stop", "9999999.00"], "TRIGGERS_AT_ONCE"),
        (["--trail", "0.5"], "INVALID_TRIGGER"),
        (["--stop", "abc"], "not a decimal number"),
    ],
)
def test_a_senseless_conditional_order_is_refused(run, arguments, words):
    done = run("order", "acct-4", "sell", "0.1", "ETHUSDT", *arguments)
    assert done.returncode in {1, 2}
    assert words in done.stderr


def test_the_breaker_by_hand_and_its_cooldown(client, run):
    assert run("breaker", "trip", "acct-5", "--reason", "odd fills").returncode == 0
    assert "OPEN (odd fills)" in run("risk", "acct-5").stdout
    assert "BREAKER_OPEN" in run("order", "acct-5", "buy", "0.5", "ETHUSDT").stderr
    assert "BREAKER_COOLING_DOWN" in run("breaker", "reset", "acct-5").stderr
    # Tripped again, with a cooldown that a test can wait for.
    assert run("set-limit", "acct-5", "breaker_cooldown_seconds", "1").returncode == 0
    assert run("breaker", "trip", "acct-5", "--reason", "odd fills").returncode == 0
    until(lambda: run("breaker", "reset", "acct-5").returncode == 0, "the cooldown")
    assert run("order", "acct-5", "buy", "0.5", "ETHUSDT").returncode == 0
    assert any("acct-5: breaker open: odd fills" in a["text"] for a in client.get("/v1/alarms"))


def test_the_breaker_of_an_account_that_is_restarted_stays_open(client, run):
    assert run("breaker", "trip", "acct-6").returncode == 0
    assert run("restart", "acct-6").returncode == 0

    def restarted():
        seen = client.get("/v1/actors/acct-6")["snapshot"]
        return seen["restarts"] == 1 and seen["status"] == "RUNNING"

    until(restarted, "restart")
    assert client.get("/v1/accounts/acct-6/risk")["breaker"] == "OPEN"


def test_an_emergency_stop_closes_one_account_and_no_other(client, run):
    hold(client, "acct-7")
    hold(client, "acct-8")
    assert run("emergency-stop", "acct-7", "--reason", "wrong strategy").returncode == 0
    until(lambda: not client.get("/v1/accounts/acct-7")["positions"], "closed")
    until(lambda: client.get("/v1/accounts/acct-7")["phase"] == "HEALTHY", "calm")
    account = client.get("/v1/accounts/acct-7")
    assert (account["status"], account["breaker"], account["closing_out"]) == ("ACTIVE", "OPEN", "")
    assert client.get("/v1/accounts/acct-7/closed")[0]["purpose"] == "CLOSE_OUT"
    assert client.get("/v1/accounts/acct-8")["positions"]


def test_a_limit_of_loss_acts_by_itself(client):
    held = hold(client, "acct-9")
    client.post("/v1/accounts/acct-9/limits", {"changes": {"max_cumulative_loss": "0.01"}})
    # The fees of the opening alone are more.
    until(lambda: not client.get("/v1/accounts/acct-9")["positions"], "closed")
    assert D(held["quantity"]) == D("0.5")
    rejected = place(client, "acct-9")
    assert "MAX_CUMULATIVE_LOSS_EXCEEDED" in json.dumps(rejected)


def test_sizes(client, run):
    done = run("size", "acct-10", "ETHUSDT", "--signal", "1", "--volatility", "1", "--json")
    found = json.loads(done.stdout)
    assert (D(found["notional"]), D(found["equity"])) == (D(200), D(10_000))
    assert D(found["quantity"]) % D("0.001") == 0
    kelly = ["--method", "kelly", "--win-rate", "0.55", "--average-win", "120", "--average-loss", "100"]
    assert "fraction: 0.05" in run("size", "acct-10", "ETHUSDT", *kelly).stdout
    assert "fixed_order_size is off" in run("size", "acct-10", "ETHUSDT", "--method", "fixed").stderr
    assert "signal_strength" in run("size", "acct-10", "ETHUSDT", "--signal", "2", "--volatility", "1").stderr
    assert "not traded" in run("size", "acct-10", "NOPEUSDT").stderr


def test_funding_that_the_exchange_settles_reaches_every_balance_once(client, paper):
    held = {a["account_id"]: a for a in client.get("/v1/accounts", limit=100) if a["positions"]}
    assert held
    paper.admin("funding", symbol="ETHUSDT", rate="0.001")
    settled = D(paper.state()["funding"])

    def paid():
        views = [client.get(f"/v1/accounts/{name}")["positions"] for name in held]
        return sum((D(p["funding"]) for positions in views for p in positions), D(0))

    until(lambda: paid() == settled, "funding")
    [rate] = httpx.get(f"{paper.address.rest}/fapi/v1/fundingRate").json()
    for name, before in held.items():
        due = -D(before["positions"][0]["quantity"]) * D(rate["markPrice"]) * D("0.001")
        assert D(client.get(f"/v1/accounts/{name}")["positions"][0]["funding"]) == due


def test_brackets_of_the_exchange_are_used(client, run):
    hold(client, "acct-12")
    by_entry = D(client.get("/v1/accounts/acct-12")["maintenance"])
    assert run("set-limit", "acct-12", "maintenance_basis", "brackets").returncode == 0
    account = client.get("/v1/accounts/acct-12")
    mark, held = D(account["positions"][0]["mark"]), D("0.5")
    # Up to 50,000 of notional the exchange asks for 0.4 %, the account for 0.5 % of its entry.
    assert D(account["maintenance"]) < by_entry
    assert abs(D(account["maintenance"]) - mark * held * D("0.004")) < D("0.05")


def test_a_report(client, run):
    found = client.get("/v1/accounts/acct-2/report")
    [strategy] = found["strategies"]
    assert (strategy["closed_positions"], found["positions"]) == (1, 0)
    assert D(found["total_pnl"]) == D(client.get("/v1/accounts/acct-2/closed")[0]["net"])
    assert found["risk_level"] in run("report", "acct-2").stdout
    assert "no account" in run("report", "acct-none").stderr


def test_a_mode_acts_and_an_unknown_one_is_refused(client, run):
    assert run("mode", "acct-10", "INSTANT_CLOSE").returncode == 0
    assert client.get("/v1/accounts/acct-10")["mode"] == "INSTANT_CLOSE"
    assert run("mode", "acct-10", "PANIC").returncode != 0


def test_retry_of_an_account_and_of_none(run):
    assert run("retry", "acct-10").returncode == 0
    assert "no account" in run("retry", "acct-none").stderr


def test_a_rest_goes_to_the_house_and_the_exchange_hears_nothing_of_it(client, run):
    """A long of which all but a rest was sold; what is left is worth less than the exchange takes."""

    def order(side, quantity):
        return run("order", "acct-12", side, quantity, "ETHUSDT", "--leverage", "10", "--wait", "10")

    assert order("buy", "0.014").returncode == 0
    [held] = client.get("/v1/accounts/acct-12")["positions"]
    assert order("sell", str(D(held["quantity"]) - D("0.004"))).returncode == 0
    [held] = client.get("/v1/accounts/acct-12")["positions"]
    assert D(held["quantity"]) == D("0.004")
    refused = order("sell", "0.002")
    assert refused.returncode == 1
    assert "close it whole" in refused.stderr
    done = order("sell", "0.004")
    assert done.returncode == 0, done.stderr
    assert "too small for the exchange, so the house took it at" in done.stdout
    assert client.get("/v1/accounts/acct-12")["positions"] == []
    closed = client.get("/v1/accounts/acct-12/closed")[0]
    assert D(closed["fees"]) > 0
    assert "no account" in run("reopen", "acct-none", "--reason", "x").stderr
    assert "ACCOUNT_NOT_ACTIVE" in run("reopen", "acct-12", "--reason", "x").stderr
    assert client.get("/v1/audit", target="acct-12")[0]["action"] == "reopen"
    agreed = run("reconcile")
    assert agreed.returncode == 0, agreed.stdout


def test_at_last_everybody_is_closed_out_and_nothing_is_left(client, run):
    assert "not both" in run("emergency-stop").stderr
    done = run("emergency-stop", "--everybody", "--reason", "end of the test")
    assert done.returncode == 0, done.stderr
    until(lambda: not client.get("/v1/positions"), "all closed", 30)
    assert client.get("/v1/health") == {"status": "reduce-only", "closed_by": ["emergency stop of all"]}
    assert set(differences(client).values()) == {D(0)}
    assert run("emergency-stop", "--everybody", "--call-off").returncode == 0
    assert client.get("/v1/health")["status"] == "ok"
    assert client.get("/v1/accounts/acct-1")["breaker"] == "OPEN"
