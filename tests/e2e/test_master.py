"""The engine and its master account: settings at start, rules that change, and who may spend request weight."""

from __future__ import annotations

import threading
import time
from decimal import Decimal as D
from pathlib import Path

import pytest

from actors.api.client import EngineError
from tests.e2e.front import Front
from tests.e2e.processes import EngineProcess, Paper, account_bodies, bulkhead, idle, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ALARM = "/v1/alarms"


@pytest.fixture(scope="module")
def front():
    paper = Paper()
    found = Front(paper)
    found.listed = lambda symbols: None
    found.change = lambda path, body: found.listed(body["symbols"]) if path.endswith("exchangeInfo") else None
    hide(found, "SOLUSDT")
    yield found
    found.stop()
    paper.stop()


def hide(front, name):
    """Take one symbol out of exchangeInfo, and add some that the engine cannot trade."""

    def listed(symbols):
        pattern = symbols[0]
        symbols[:] = [s for s in symbols if s["symbol"] != name]
        symbols.append({**pattern, "symbol": "BTCUSDT_261225", "contractType": "CURRENT_QUARTER"})
        symbols.append({**pattern, "symbol": "BTCUSDC", "quoteAsset": "USDC", "marginAsset": "USDC"})

    front.listed = listed


@pytest.fixture(scope="module")
def engine(front, tmp_path_factory):
    process = EngineProcess(
        front,
        tmp_path_factory.mktemp("master"),
        **front.settings(),
        BULKHEAD_RULES_EVERY_SECONDS="1",
        BULKHEAD_LEVERAGE="default=10,BTCUSDT=25",
    )
    process.client.post("/v1/accounts", account_bodies(3))
    yield process
    process.stop()


def order(client, symbol, side="BUY", quantity="0.01", account="acct-1"):
    return client.post(
        f"/v1/accounts/{account}/orders",
        {"symbol": symbol, "side": side, "quantity": quantity, "leverage": "10"},
    )


def codes(answer):
    return [r["code"] for r in answer["rejections"]] if answer["type"] == "Rejected" else []


def alarms(client, text):
    return [a["text"] for a in client.get(ALARM) if text in a["text"]]


def test_leverage_is_set_at_start_and_shown(engine):
    folder = Path(engine.child.args[engine.child.args.index("--data-dir") + 1])
    view = engine.client.get("/v1/master", limit=100)
    leverages = {row["symbol"]: row["leverage"] for row in view["symbols"]}
    assert leverages["BTCUSDT"] == 25
    assert leverages["ETHUSDT"] == 10
    assert (view["position_mode"], view["margin_mode"], view["bnb_burn"]) == (
        "one-way",
        "single-asset",
        False,
    )
    shown = bulkhead("master", "--data-dir", folder, COLUMNS="80")
    assert shown.returncode == 0, shown.stderr
    assert "one-way mode, single-asset mode, margin in USDT" in shown.stdout
    assert "BTCUSDT" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "Example: bulkhead master" in bulkhead("master", "--help").stdout


def test_weight_used_is_shown(engine):
    stats = engine.client.get("/v1/stats")["gateway"]["weight"]
    assert 0 < stats["used"] < stats["limit"]
    folder = Path(engine.child.args[engine.child.args.index("--data-dir") + 1])
    assert '"weight"' in bulkhead("inspect", "gateway", "--data-dir", folder).stdout


@pytest.mark.parametrize("name", ["BTCUSDT_261225", "BTCUSDC", "NOSUCHUSDT"])
def test_what_cannot_be_stored_is_an_unknown_symbol_and_its_account_lives(engine, name):
    assert codes(order(engine.client, name)) == ["UNKNOWN_SYMBOL"]
    assert engine.client.get("/v1/actors/acct-1")["snapshot"]["restarts"] == 0


def test_a_flood_of_questions_costs_one_request_a_second(engine, front):
    before, answers = front.counts["/fapi/v2/positionRisk"], []

    def ask():
        for _ in range(25):
            try:
                answers.append(engine.client.get("/v1/reconciliation"))
            except EngineError as error:
                answers.append(error)

    used_before = engine.client.get("/v1/stats")["gateway"]["weight"]["used"]
    threads = [threading.Thread(target=ask) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    took = time.monotonic() - began
    asked = front.counts["/fapi/v2/positionRisk"] - before
    assert len(answers) == 200
    assert not [a for a in answers if isinstance(a, EngineError)]
    assert 1 <= asked <= took + 1
    assert engine.client.get("/v1/stats")["gateway"]["weight"]["used"] - used_before < 200


def test_a_new_listing_is_traded_without_a_restart(engine, front):
    assert codes(order(engine.client, "SOLUSDT")) == ["UNKNOWN_SYMBOL"]
    hide(front, "nothing")
    until(lambda: "UNKNOWN_SYMBOL" not in codes(order(engine.client, "SOLUSDT", quantity="0")), "the listing")
    until(
        lambda: order(engine.client, "SOLUSDT", quantity="1")["type"] == "Accepted", "its price and an order"
    )
    until(lambda: idle(engine.client), "its fill")
    leverages = {r["symbol"]: r["leverage"] for r in engine.client.get("/v1/master", limit=100)["symbols"]}
    assert leverages["SOLUSDT"] == 10, "set when it was listed"


def test_changed_filters_count_from_then_on(engine, front):
    assert order(engine.client, "ETHUSDT", account="acct-2")["type"] == "Accepted"
    until(lambda: idle(engine.client), "its fill")

    def coarser(symbols):
        for entry in symbols:
            if entry["symbol"] == "ETHUSDT":
                for rule in entry["filters"]:
                    if "stepSize" in rule:
                        rule.update(stepSize="0.5", minQty="0.5")

    front.listed = coarser
    until(
        lambda: "QUANTITY_OFF_STEP" in codes(order(engine.client, "ETHUSDT", quantity="0.6")), "the new step"
    )
    [told] = until(lambda: alarms(engine.client, "the exchange changed ETHUSDT"), "the alarm")
    assert "-> 0.5" in told, "somebody holds it"
    front.listed = lambda symbols: None
    until(
        lambda: order(engine.client, "ETHUSDT", "SELL", account="acct-2")["type"] == "Accepted",
        "the old step",
    )
    until(lambda: idle(engine.client), "its fill")


def test_a_symbol_that_stops_trading_takes_no_new_risk_and_is_named(engine, front):
    assert order(engine.client, "BNBUSDT", quantity="1", account="acct-3")["type"] == "Accepted"
    until(lambda: idle(engine.client), "its fill")

    def halted(symbols):
        for entry in symbols:
            if entry["symbol"] == "BNBUSDT":
                entry["status"] = "SETTLING"

    front.listed = halted
    until(lambda: alarms(engine.client, "BNBUSDT is SETTLING: no new risk"), "the alarm")
    assert codes(order(engine.client, "BNBUSDT", quantity="1")) == ["SYMBOL_NOT_TRADING"]
    assert order(engine.client, "BNBUSDT", "SELL", "1", "acct-3")["type"] == "Accepted", "it can be closed"
    until(lambda: idle(engine.client), "its fill")
    assert not [p for p in engine.client.get("/v1/positions", account_id="acct-3") if D(p["quantity"])]
    front.listed = lambda symbols: None


def refused_start(front, tmp_path, *arguments, **environment):
    """What an engine says that does not start."""
    run = bulkhead(
        "run", "--data-dir", tmp_path, "--api-port", 0, *arguments, **front.settings(), **environment
    )
    assert run.returncode == 2, (run.stdout, run.stderr)
    return run.stderr


def test_an_engine_does_not_start_on_a_master_that_it_cannot_trade_with(front, tmp_path):
    def hedge(path, body):
        if path.endswith("positionSide/dual"):
            body["dualSidePosition"] = True

    plain, front.change = front.change, hedge
    try:
        text = refused_start(front, tmp_path)
    finally:
        front.change = plain
    assert "hedge mode (dualSidePosition is true), one-way mode is needed" in text
    assert "set_master = true" in text


def test_a_bad_key_and_a_symbol_that_cannot_be_traded_are_named_at_start(front, tmp_path):
    front.listed = lambda symbols: symbols.append(
        {**symbols[0], "symbol": "BTCUSDT_261225", "contractType": "CURRENT_QUARTER"}
    )
    text = refused_start(front, tmp_path, BULKHEAD_SYMBOLS="BTCUSDT,BTCUSDT_261225")
    assert "BTCUSDT_261225 is a CURRENT_QUARTER contract" in text
    assert "Take it out of 'symbols'" in text
    text = refused_start(front, tmp_path, BULKHEAD_API_KEY="wrong")
    assert "-2015" in text
    assert "may trade futures" in text


def test_the_exchange_never_had_to_refuse_a_request(engine, front):
    # The last test of this file: rules each second, floods of questions, orders, a stream; all under its limits.
    state = front.paper.state()
    assert 2_400 in state["limits"].values()
    assert 0 < state["most_weight_in_a_minute"] <= 2_400
    assert (state["rejected_weight"], state["rejected_orders"], state["banned"]) == (0, 0, 0)
