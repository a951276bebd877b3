"""What an operator does at 03:00, on a running engine: over HTTP and on the command line.

Covers: actors/api/actors.py, actors/api/quarantine.py, actors/api/deadletters.py, actors/api/engine.py
Covers: actors/api/lookup.py, actors/api/client.py
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.api.client import Client, EngineError
from tests.e2e.processes import (
    EngineProcess,
    account_bodies,
    bulkhead,
    differences,
    idle,
    open_positions,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

COUNT = 30


@pytest.fixture(scope="module")
def engine(paper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("operators")
    config = folder / "bulkhead.toml"
    config.write_text('[[api_tokens]]\nname = "ann"\nrole = "operator"\ntoken = "ann-0123456789abcdef"\n')
    process = EngineProcess(paper, folder, "--config", config)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(engine):
    open_positions(engine.client, COUNT)
    return engine.client


@pytest.fixture
def folder(engine):
    return Path(engine.child.args[engine.child.args.index("--data-dir") + 1])


@pytest.fixture
def run(folder):
    def run(*arguments, code=0):
        shown = bulkhead(*arguments, "--data-dir", folder)
        assert shown.returncode == code, shown.stderr
        return shown.stdout if code == 0 else shown.stderr

    return run


def status(client, name):
    return client.get(f"/v1/actors/{name}")["snapshot"]["status"]


def quarantine_by_faults(client, account):
    """Its dead letters are rows a moment later than its status: the last of them is waited for."""
    for n in range(7):
        client.post(f"/v1/accounts/{account}/fault", {"reason": f"poison {n}"})
    until(lambda: status(client, account) == "QUARANTINED", "quarantine")
    crashes = len(client.get(f"/v1/actors/{account}")["snapshot"]["crashes"])
    until(lambda: len(client.get("/v1/deadletters", actor=account)) >= crashes, "its dead letters")


def test_a_quarantined_account_keeps_its_evidence_loses_its_orders_and_is_still_guarded(client, run):
    resting = client.post(
        "/v1/accounts/acct-1/orders",
        {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.05", "order_type": "LIMIT", "price": "1500.00"},
    )
    until(
        lambda: client.get("/v1/accounts/acct-1")["orders"][0]["status"] == "ACKNOWLEDGED",
        "the order to rest",
    )
    quarantine_by_faults(client, "acct-1")
    until(lambda: client.get("/v1/accounts/acct-1")["orders"] == [], "the guard's cancel")
    found = client.get("/v1/actors/acct-1")
    assert found["snapshot"]["mailbox"], "what waited is kept"
    assert "poison" in found["snapshot"]["crashes"][-1]["message"]
    assert "Traceback" in found["snapshot"]["crashes"][-1]["traceback"]
    assert found["guard"]["status"] == "RUNNING"
    assert found["triggers"], "the router wakes the guard"
    answer = client.post(
        "/v1/accounts/acct-1/orders", {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.1"}
    )
    assert [r["code"] for r in answer["rejections"]] == ["ACCOUNT_QUARANTINED"]
    assert status(client, "acct-2") == "RUNNING"
    assert "acct-1" in run("quarantined")
    assert client.get("/v1/stats")["actors"]["QUARANTINED"] == 1
    assert "in quarantine; it is replaced by guard:acct-1, which is RUNNING" in run("inspect", "acct-1")
    assert resting["client_order_id"] in run("why", resting["client_order_id"])
    tree = run("tree")
    assert "acct-1 QUARANTINED" in tree
    assert "29 running" in tree


def test_release_drops_or_replays_the_poison_and_is_audited(client, run):
    quarantine_by_faults(client, "acct-3")
    [letter] = client.get("/v1/deadletters", actor="acct-3", status="OPEN", limit=1)
    assert f"dead letter {letter['dead_letter_id']} dropped" in run("release", "acct-3")
    until(lambda: status(client, "acct-3") in {"RUNNING", "CRASHED"}, "the release")
    assert client.get(f"/v1/deadletters/{letter['dead_letter_id']}")["status"] == "DROPPED"
    until(lambda: status(client, "acct-3") == "RUNNING", "what waited in its mailbox to be through")
    assert "acct-3 is not in quarantine" in run("release", "acct-3", code=2)

    quarantine_by_faults(client, "acct-4")
    [letter] = client.get("/v1/deadletters", actor="acct-4", status="OPEN", limit=1)
    assert "replayed" in run("release", "acct-4", "--replay")
    client.post("/v1/accounts/acct-8/fault", {"reason": "an old one"})
    until(lambda: client.get("/v1/deadletters", actor="acct-8"), "an old dead letter")
    until(lambda: status(client, "acct-8") == "RUNNING", "its restart")
    client.post("/v1/accounts/acct-8/quarantine", {"reason": "by hand"})
    assert client.post("/v1/accounts/acct-8/release", {})["dead_letter_id"] is None, "not the poison of this"
    assert client.get("/v1/deadletters", actor="acct-8")[0]["status"] == "OPEN"
    again = until(
        lambda: [
            x
            for x in client.get("/v1/deadletters", actor="acct-4", status="OPEN", limit=50)
            if x["dead_letter_id"] > letter["dead_letter_id"] and x["message"] == letter["message"]
        ],
        "the replayed message to fail again",
    )
    assert again
    assert [(e["who"], e["action"]) for e in client.get("/v1/audit", target="acct-4", limit=1)] == [
        ("local-operator", "release")
    ]
    assert "release" in run("audit", "acct-4")


def test_quarantine_by_hand_outlives_kill_and_start(engine, paper, folder, client):
    assert bulkhead("quarantine", "acct-5", "--reason", "odd fills", "--data-dir", folder).returncode == 0
    with pytest.raises(EngineError, match="409: acct-5 is in quarantine already"):
        client.post("/v1/accounts/acct-5/quarantine", {"reason": "again"})
    assert status(client, "acct-5") == "QUARANTINED"
    until(
        lambda: (
            [q["account_id"] for q in client.get("/v1/quarantine") if q["reason"] == "odd fills"]
            == ["acct-5"]
        ),
        "the record",
    )
    engine.kill()
    config = folder / "bulkhead.toml"
    again = EngineProcess(paper, folder, "--config", config)
    engine.child, engine.client = again.child, again.client
    client.address, client._http = again.client.address, again.client._http
    assert status(client, "acct-5") == "QUARANTINED"
    until(lambda: client.get("/v1/actors/acct-5")["guard"] is not None, "its guard")
    assert client.get("/v1/actors/acct-5")["snapshot"]["crashes"][0]["error"] == "odd fills"
    until(lambda: client.get("/v1/accounts/acct-5")["positions"], "the guard's state")
    assert client.post("/v1/accounts/acct-5/release", {})["dead_letter_id"] is None
    until(lambda: status(client, "acct-5") == "RUNNING", "the release")
    assert set(differences(client).values()) == {0}


def test_dead_letters_are_listed_shown_replayed_once_and_dropped(client, run):
    client.post("/v1/accounts/acct-6/fault", {"reason": "one"})
    [letter] = until(lambda: client.get("/v1/deadletters", actor="acct-6"), "the dead letter")
    number = letter["dead_letter_id"]
    until(lambda: status(client, "acct-6") == "RUNNING", "the restart")
    assert "FaultOnPurpose" in run("deadletters", "list", "acct-6", "--status", "open")
    shown = run("deadletters", "show", number)
    for text in ("can be replayed", "AccountState", "Traceback", "FaultInjected: one"):
        assert text in shown
    assert json.loads(run("deadletters", "replay", number, "--json"))["status"] == "REPLAYED"
    assert f"dead letter {number} was replayed by local-operator already" in run(
        "deadletters", "replay", number, code=2
    )
    second = until(lambda: client.get("/v1/deadletters", actor="acct-6", status="OPEN"), "its second failure")
    assert "dropped" in run("deadletters", "drop", second[0]["dead_letter_id"])
    assert run("deadletters", "list", "acct-6", "--status", "open").strip() == "no dead letters"
    assert "there is no dead letter 999999" in run("deadletters", "show", 999999, code=2)
    assert "'lost' is none of OPEN" in run("deadletters", "list", "--status", "lost", code=2)


def test_an_endless_turn_is_named_while_it_lasts_and_can_be_looked_into(client, run):
    client.post("/v1/accounts/acct-7/fault", {"reason": "hang", "hang_ms": 8_000})
    began = time.monotonic()
    until(lambda: client.get("/v1/actors/acct-7")["snapshot"]["busy_with"], "the hang", 7)
    asked = time.monotonic()
    snapshot = client.get("/v1/actors/acct-7")["snapshot"]
    assert time.monotonic() - asked < 5, "inspect answers while the actor is stuck"
    assert snapshot["busy_with"]["kind"] == "FaultOnPurpose"
    stuck = until(
        lambda: [s for s in client.get("/v1/stuck") if s["actor"] == "acct-7"],
        "the watchdog",
        7,
    )
    assert time.monotonic() - began < 8, "named while it lasted"
    assert (stuck[0]["actor"], stuck[0]["message_kind"]) == ("acct-7", "FaultOnPurpose")
    assert "on_receive" in stuck[0]["stack"]
    assert "watchdog" in client.get("/v1/health")["closed_by"]
    shown = run("mailbox", "acct-7")
    assert "mailbox of acct-7" in shown
    until(lambda: client.get("/v1/health")["closed_by"] == [], "the end of it")
    alarms = [a["text"] for a in client.get("/v1/alarms")]
    assert any("acct-7 has been in one turn" in a for a in alarms)
    assert any("acct-7 came out of its long turn" in a for a in alarms)
    assert "acct-7" in run("stuck")


def free_again(client):
    """Whether a trace of the gateway is served: the engine hears a moment later that the last one is gone."""
    try:
        return list(client.stream("/v1/actors/gateway/trace", seconds=1, rate=1))
    except EngineError as error:
        assert "409: another client follows gateway already" in str(error)
        return []


def ticks_in_a_second(client):
    """Whether more prices reach the router than the traces below show."""
    return list(client.stream("/v1/actors/router/trace", seconds=1, rate=7))[-1]["skipped"] > 50


def test_a_live_trace_is_limited_in_rate_and_ends_by_itself(client, run):
    until(
        lambda: ticks_in_a_second(client), "prices, of which there are few while other tests use the machine"
    )
    lines = run("trace", "router", "--follow", "--seconds", 2, "--rate", 7, "--json").splitlines()
    assert json.loads(lines[-1])["ended"] == "the time is up"
    assert {json.loads(line)["kind"] for line in lines[:-1]} >= {"Tick"}
    entries = list(client.stream("/v1/actors/router/trace", seconds=2, rate=7))
    assert entries[-1]["ended"] == "the time is up"
    assert entries[-1]["skipped"] > 50
    assert 7 <= len(entries) - 1 <= 21
    assert {e["kind"] for e in entries[:-1]} <= {"Tick", "RegisterTriggers", "LoseTriggers"}
    shown = run("trace", "router", "--follow", "--seconds", 1, "--rate", 5)
    assert "Tick" in shown
    assert "more messages were above the rate" in shown
    stream = client.stream("/v1/actors/gateway/trace", seconds=60, rate=50)
    next(stream)
    with pytest.raises(EngineError, match="409: another client follows gateway already"):
        next(client.stream("/v1/actors/gateway/trace", seconds=1, rate=1))
    stream.close()
    until(lambda: free_again(client), "the tap to be free")
    assert "seconds" in run("trace", "router", "--follow", "--seconds", 0, code=2)


def test_from_an_order_to_its_cause_and_back(client, run):
    answers = client.post("/v1/orders", order_bodies(2, notional=300, start=10))
    ids = [a["client_order_id"] for a in answers]
    order = client.get(f"/v1/orders/{ids[0]}")
    assert order["cause"].startswith("api:local-operator:")
    assert {o["client_order_id"] for o in client.get(f"/v1/causes/{order['cause']}")} == set(ids)
    until(lambda: client.get(f"/v1/orders/{ids[0]}")["status"] == "FILLED", "the fill")
    assert client.get(f"/v1/orders/{ids[0]}")["trade_ids"]
    assert ids[1] in run("caused", order["cause"])
    assert "there is no order 'bh-none'" in run("why", "bh-none", code=2)


def test_from_a_tick_to_the_liquidation_that_it_caused(client, paper):
    client.post("/v1/accounts", account_bodies(1, deposit="100", start=900))
    [answer] = client.post(
        "/v1/orders", [{**order_bodies(1, notional=4_000, leverage="50", start=900)[0], "side": "BUY"}]
    )
    assert answer["type"] == "Accepted"
    until(lambda: idle(client), "the fill")
    symbol = client.get("/v1/accounts/acct-900")["positions"][0]["symbol"]
    paper.admin("shock", symbol=symbol, fraction="-0.04", seconds=1)
    until(lambda: client.get("/v1/accounts/acct-900")["phase"] == "LIQUIDATED", "the liquidation", 60)
    prefix = answer["client_order_id"].rpartition("-")[0]
    steps = [client.get(f"/v1/orders/{prefix}-2")]
    assert steps[0]["purpose"] in {"ADL", "LIQUIDATION"}
    assert steps[0]["cause"].startswith(f"tick:{symbol}:")
    back = client.get(f"/v1/causes/{steps[0]['cause']}")
    assert steps[0]["client_order_id"] in [o["client_order_id"] for o in back]


def test_top_sorts_by_what_is_asked(client, run):
    quarantine_by_faults(client, "acct-20")
    assert client.get("/v1/top", by="depth", limit=1)[0]["depth"] >= 1
    assert client.get("/v1/top", by="restarts", limit=1)[0]["restarts"] >= 5
    ratios = [float(r["margin_ratio"]) for r in client.get("/v1/top", by="ratio", limit=5)]
    assert ratios == sorted(ratios, reverse=True)
    turns = [r["slowest_turn_us"] for r in client.get("/v1/top", by="turn", limit=5)]
    assert turns == sorted(turns, reverse=True)
    assert client.get("/v1/top", by="age", limit=1)[0]["oldest_ms"] > 0
    with pytest.raises(EngineError, match="by 'luck' is none of depth, age, turn, ratio, restarts"):
        client.get("/v1/top", by="luck")
    assert "acct-20" in run("top", "--by", "restarts", "--limit", 5)
    assert "acct-20" in run("crashes", "acct-20", "--limit", 1)
    client.post("/v1/accounts/acct-20/release", {"poison": "drop"})


def test_a_viewer_looks_and_changes_nothing(client):
    address = client.address
    for token, path_status in ((address.viewer_token, 403), ("ann-0123456789abcdef", 200)):
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{address.url}/v1/accounts", headers=headers).status_code == 200
        answer = httpx.post(f"{address.url}/v1/accounts/acct-21/freeze", headers=headers)
        assert answer.status_code == path_status, answer.text
    assert (
        "local-viewer is a viewer and may look only"
        in httpx.post(
            f"{address.url}/v1/actors/acct-21/restart",
            headers={"Authorization": f"Bearer {address.viewer_token}"},
        ).text
    )
    assert client.get("/v1/audit", target="acct-21")[0]["who"] == "ann"
    client.post("/v1/accounts/acct-21/unfreeze")


def test_prometheus_reads_the_metrics_and_no_message_is_missing(client):
    address = client.address
    answer = httpx.get(
        f"{address.url}/metrics", headers={"Authorization": f"Bearer {address.viewer_token}"}, timeout=10
    )
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    value = {s.name: s.value for f in families.values() for s in f.samples if not s.labels}
    assert value["bulkhead_mailboxes_not_conserved"] == 0
    assert value["bulkhead_ticks_total"] > 0
    assert value["bulkhead_accounts"] >= COUNT
    assert value["bulkhead_tick_lag_seconds_count"] > 0
    by_outcome = {s.labels["outcome"]: s.value for s in families["bulkhead_messages"].samples}
    assert by_outcome["accepted"] >= by_outcome["handled"] > 0
    assert httpx.get(f"{address.url}/metrics").status_code == 401


def test_every_command_speaks_json(client, run):
    for command in (
        "accounts", "positions", "inspect acct-2", "mailbox acct-2", "trace acct-2", "top", "tree", "crashes", "stuck",
        "quarantined", "audit", "alarms", "stats", "deadletters list", "freeze acct-22", "unfreeze acct-22",
        "restart acct-22", "deposit acct-22 5", "quarantine acct-23", "release acct-23", "create acct-500 5",
        "order acct-22 buy 0.05 ETHUSDT",
    ):  # fmt: skip
        json.loads(run(*command.split(), "--json"))


def test_a_data_folder_of_another_engine_says_so(tmp_path):
    with pytest.raises(Exception, match="no engine runs on"):
        Client(tmp_path)
