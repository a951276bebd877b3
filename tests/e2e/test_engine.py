"""The running engine over its API and command line: sight, faults, and every rejection by name."""

from __future__ import annotations

import stat
from decimal import Decimal as D
from pathlib import Path

import httpx
import pytest

from actors.api.client import EngineError
from tests.e2e.processes import (
    account_bodies,
    bulkhead,
    differences,
    idle,
    open_positions,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

COUNT = 40


@pytest.fixture(scope="module")
def client(engine):
    open_positions(engine.client, COUNT)
    return engine.client


@pytest.fixture
def folder(engine):
    return Path(engine.child.args[engine.child.args.index("--data-dir") + 1])


def snapshot(client, name):
    return client.get(f"/v1/actors/{name}")["snapshot"]


def test_positions_are_those_of_the_exchange(client, paper):
    assert set(differences(client).values()) == {D(0)}
    assert len(client.get("/v1/positions", limit=100)) == COUNT
    assert any(D(a) for a in paper.state()["positions"].values())


def test_a_faulted_account_is_restarted_alone_while_its_neighbours_trade(client):
    before = {n: snapshot(client, f"acct-{n}")["counters"]["handled"] for n in range(3, 9)}
    client.post("/v1/accounts/acct-2/fault", {"reason": "poison of the test"})
    answers = client.post("/v1/orders", order_bodies(6, notional=300, start=3))
    assert {a["type"] for a in answers} == {"Accepted"}
    found = until(
        lambda: (s := snapshot(client, "acct-2"))["status"] == "RUNNING" and s["restarts"] == 1 and s,
        "the restart",
    )
    assert "FaultInjected: poison of the test" in found["crashes"][0]["error"]
    assert "FaultOnPurpose" in found["crashes"][0]["message"]
    assert "AccountState" in found["crashes"][0]["state"]
    until(lambda: idle(client), "the neighbours' fills")
    for n, handled in before.items():
        seen = snapshot(client, f"acct-{n}")
        assert seen["restarts"] == 0
        assert seen["counters"]["handled"] > handled
    [letter] = until(lambda: client.get("/v1/deadletters", actor="acct-2"), "the dead letter")
    assert letter["message_kind"] == "FaultOnPurpose"
    assert set(differences(client).values()) == {D(0)}


def test_an_account_that_fails_again_and_again_is_quarantined_alone_and_released(client):
    for n in range(12):
        client.post("/v1/accounts/acct-9/fault", {"reason": f"again {n}"})
    until(lambda: snapshot(client, "acct-9")["status"] == "QUARANTINED", "quarantine")
    assert snapshot(client, "acct-10")["status"] == "RUNNING"
    kept = snapshot(client, "acct-9")
    assert kept["mailbox"], "its waiting messages are kept"
    assert (
        kept["counters"]["queued"]
        + kept["counters"]["handled"]
        + kept["counters"]["dead_lettered"]
        + kept["counters"]["conflated"]
        == kept["counters"]["accepted"]
    )
    assert any("acct-9 is quarantined" in a["text"] for a in client.get("/v1/alarms"))


def test_mailbox_and_inspect_on_the_command_line(client, folder):
    shown = bulkhead("mailbox", "acct-9", "--data-dir", folder)
    assert shown.returncode == 0, shown.stderr
    assert "FaultOnPurpose" in shown.stdout
    assert "commands" in shown.stdout
    seen = bulkhead("inspect", "acct-2", "--data-dir", folder)
    for text in ("RUNNING", "restarts 1", "crash", "poison of the test", "FaultInjected", "triggers"):
        assert text in seen.stdout
    listed = bulkhead("accounts", "--data-dir", folder, "--limit", 5)
    assert "acct-1" in listed.stdout
    assert bulkhead("reconcile", "--data-dir", folder).returncode == 0
    restarted = bulkhead("restart", "acct-9", "--data-dir", folder)
    assert "restarting" in restarted.stdout


def test_an_order_and_its_refusal_on_the_command_line(client, folder):
    done = bulkhead("order", "acct-11", "buy", "0.1", "ETHUSDT", "--data-dir", folder)
    assert done.returncode == 0, done.stderr
    assert "accepted and durable" in done.stdout
    refused = bulkhead("order", "acct-11", "buy", "NaN", "ETHUSDT", "--data-dir", folder)
    assert refused.returncode == 1
    assert "INVALID_QUANTITY" in refused.stderr
    until(lambda: idle(client), "the fill")


def test_a_limit_order_rests_and_is_cancelled(client, folder):
    # Far from the market, which the price deviation check would take for a slip of the finger.
    assert (
        bulkhead("set-limit", "acct-12", "max_price_deviation", "off", "--data-dir", folder).returncode == 0
    )
    done = bulkhead("order", "acct-12", "buy", "0.1", "ETHUSDT", "--price", "1500.00", "--data-dir", folder)
    id_ = done.stdout.split()[0]
    until(lambda: client.get("/v1/accounts/acct-12")["orders"][0]["status"] == "ACKNOWLEDGED", "resting")
    assert bulkhead("cancel", "acct-12", id_, "--data-dir", folder).returncode == 0
    until(lambda: client.get("/v1/accounts/acct-12")["orders"] == [], "cancelled")


REJECTIONS = [
    ({"quantity": "NaN"}, "INVALID_QUANTITY"),
    ({"quantity": "-1"}, "INVALID_QUANTITY"),
    ({"quantity": "0"}, "INVALID_QUANTITY"),
    ({"quantity": "0.0001"}, "QUANTITY_OFF_STEP"),
    ({"leverage": "-1"}, "INVALID_LEVERAGE"),
    ({"leverage": "101"}, "MAX_LEVERAGE_EXCEEDED"),
    ({"quantity": "500", "leverage": "100"}, "MAX_NOTIONAL_EXCEEDED"),
    ({"quantity": "300", "leverage": "100"}, "INSUFFICIENT_MARGIN"),
    ({"symbol": "NOPEUSDT"}, "UNKNOWN_SYMBOL"),
    ({"reduce_only": True, "symbol": "LTCUSDT"}, "NOTHING_TO_REDUCE"),
]


@pytest.mark.parametrize(("changes", "code"), REJECTIONS)
def test_each_rejection_has_its_own_name(client, changes, code):
    body = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.1", **changes}
    answer = client.post("/v1/accounts/acct-13/orders", body)
    assert answer["type"] == "Rejected"
    assert code in [r["code"] for r in answer["rejections"]]


def test_a_bad_value_in_a_list_of_orders_places_none_of_them(client):
    before = client.get("/v1/stats")["account_stats"]["orders"]
    orders = order_bodies(3, notional=300, start=3)
    with pytest.raises(EngineError, match="400"):
        client.post("/v1/orders", [*orders[:2], {**orders[2], "quantity": "one"}])
    with pytest.raises(EngineError, match="needs its account_id"):
        client.post("/v1/orders", [orders[0], {**orders[1], "account_id": None}])
    assert client.get("/v1/stats")["account_stats"]["orders"] == before


def test_nul_bytes_are_refused_and_crash_nobody(client):
    with pytest.raises(EngineError, match="400: nul-1: name"):
        client.post("/v1/accounts", [{"account_id": "nul-1", "deposit": "1", "name": "a\0b"}])
    with pytest.raises(EngineError, match=r"400: reason: 'gift\\x00'"):
        client.post("/v1/accounts/acct-16/balance", {"amount": "5", "reason": "gift\0"})
    assert snapshot(client, "acct-16")["restarts"] == 0


def test_an_unknown_account_is_refused_by_name(client):
    answer = client.post(
        "/v1/accounts/acct-none/orders", {"symbol": "ETHUSDT", "side": "BUY", "quantity": "1"}
    )
    assert [r["code"] for r in answer["rejections"]] == ["ACCOUNT_NOT_FOUND"]
    with pytest.raises(EngineError, match="404: there is no account 'acct-none'"):
        client.get("/v1/accounts/acct-none")
    with pytest.raises(EngineError, match="404: there is no actor 'nobody'"):
        client.get("/v1/actors/nobody")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "symbol is missing"),
        ({"symbol": "ETHUSDT", "side": "HOLD", "quantity": "1"}, "HOLD"),
        ({"symbol": "ETHUSDT", "side": "BUY", "quantity": 1.5}, "quantity: a number here is written as text"),
        ({"symbol": "ETHUSDT", "side": "BUY", "quantity": "1", "extra": 1}, "there is no field 'extra'"),
        ({"symbol": "ETHUSDT", "side": "BUY", "quantity": "one"}, "quantity: 'one'"),
    ],
)
def test_a_malformed_command_is_a_400_that_names_the_fault(client, body, text):
    with pytest.raises(EngineError, match="400") as caught:
        client.post("/v1/accounts/acct-13/orders", body)
    assert text in str(caught.value)


def test_not_json_is_a_400(engine, client):
    address = client.address
    answer = httpx.post(
        f"{address.url}/v1/accounts/acct-13/orders",
        content=b"{nonsense",
        headers={"Authorization": f"Bearer {address.token}", "content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert engine.child.poll() is None


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Bearer", "Basic abc"])
def test_a_wrong_token_opens_nothing(client, token):
    for method, path in (
        ("GET", "/v1/accounts"),
        ("POST", "/v1/actors/acct-1/restart"),
        ("GET", "/v1/stats"),
    ):
        answer = httpx.request(
            method, client.address.url + path, headers={"Authorization": token} if token else {}
        )
        assert answer.status_code == 401, (path, answer.text)
        assert "token" in answer.json()["error"]["message"]


def test_the_token_is_readable_by_its_owner_only(folder):
    assert stat.S_IMODE((folder / "api.json").stat().st_mode) == 0o600


def test_a_stale_price_is_refused_and_raises_an_alarm(client, paper):
    paper.admin("halt", symbol="LTCUSDT", halted=True)

    def stale():
        answer = client.post(
            "/v1/accounts/acct-14/orders",
            {"symbol": "LTCUSDT", "side": "BUY", "quantity": "1", "leverage": "10"},
        )
        return answer["type"] == "Rejected" and answer["rejections"][0]["code"] == "STALE_PRICE"

    until(stale, "the rejection", 30)
    until(lambda: any("LTCUSDT is stale" in a["text"] for a in client.get("/v1/alarms")), "the alarm")
    paper.admin("halt", symbol="LTCUSDT", halted=False)
    until(lambda: not stale(), "a fresh price again")


def test_freeze_deposit_and_withdraw(client):
    assert client.post("/v1/accounts/acct-15/freeze")["type"] == "Accepted"
    answer = client.post(
        "/v1/accounts/acct-15/orders", {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.002"}
    )
    assert answer["rejections"][0]["code"] == "ACCOUNT_NOT_ACTIVE"
    assert client.post("/v1/accounts/acct-15/unfreeze")["type"] == "Accepted"
    before = D(client.get("/v1/accounts/acct-15")["balance"])
    assert client.post("/v1/accounts/acct-15/balance", {"amount": "12.5"})["type"] == "Accepted"
    assert D(client.get("/v1/accounts/acct-15")["balance"]) == before + D("12.5")
    answer = client.post("/v1/accounts/acct-15/balance", {"amount": "-999999"})
    assert answer["rejections"][0]["code"] == "INSUFFICIENT_MARGIN"


def test_an_existing_account_or_reserved_name_is_refused(client):
    with pytest.raises(EngineError, match="400: an account of that id exists"):
        client.post("/v1/accounts", account_bodies(1))
    with pytest.raises(EngineError, match="400: 'router' is a name that the engine uses"):
        client.post("/v1/accounts", [{"account_id": "router", "deposit": "1"}])


def test_unknown_orders_duplicates_and_lost_events_end_in_exact_books(client, paper):
    paper.admin("faults", kind="lost_reply", count=3, seconds=1)
    paper.admin("faults", kind="server_error", count=3)
    paper.admin("faults", kind="reject", count=2, code=-2019)
    paper.admin("faults", kind="drop_events", count=15)
    paper.admin("faults", kind="duplicate_events", count=15)
    client.post("/v1/orders", order_bodies(20, notional=700, start=16))
    until(lambda: idle(client), "every order known", 60)
    assert set(differences(client).values()) == {D(0)}
    stats = client.get("/v1/stats")
    assert stats["gateway"]["unknown"] == []
    assert stats["gateway"]["duplicates"] > 0


def test_a_drop_deleverages_and_the_books_still_agree(client, paper):
    client.post("/v1/accounts", account_bodies(10, deposit="100", start=101))
    risky = order_bodies(10, notional=4_000, leverage="50", start=101)
    answers = client.post("/v1/orders", [{**o, "side": "BUY"} for o in risky])
    assert {a["type"] for a in answers} == {"Accepted"}
    until(lambda: idle(client), "their fills")
    paper.admin("shock", symbol="*", fraction="-0.04", seconds=2)
    until(lambda: client.get("/v1/stats")["phases"].get("LIQUIDATED", 0) >= 8, "liquidations", 60)
    until(lambda: idle(client), "the last step")
    assert set(differences(client).values()) == {D(0)}
    gone = [a for a in client.get("/v1/accounts", limit=100) if a["phase"] == "LIQUIDATED"]
    assert all(a["positions"] == [] and D(a["balance"]) >= 0 and a["status"] == "LIQUIDATED" for a in gone)


def test_the_openapi_document_is_served(client):
    answer = httpx.get(
        f"{client.address.url}/schema/openapi.json",
        headers={"Authorization": f"Bearer {client.address.token}"},
    )
    assert answer.status_code == 200
    assert "/v1/accounts" in answer.json()["paths"]


def test_a_second_engine_on_the_same_folder_is_refused_and_the_first_goes_on(client, engine, folder, paper):
    ran = bulkhead("run", "--data-dir", folder, "--exchange", paper.address.rest, "--api-port", 0)
    assert ran.returncode == 2, ran.stderr
    assert (
        f"an engine runs on the data folder {folder.resolve()} already: process {engine.child.pid}."
        in ran.stderr
    )
    client.post("/v1/accounts", account_bodies(6, start=301))
    answers = client.post("/v1/orders", order_bodies(6, notional=300, start=301))
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    assert engine.child.poll() is None
    assert client.get("/v1/health")["status"] == "ok"
