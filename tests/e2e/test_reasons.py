"""The exchange's code and words for a refusal, everywhere where the order, its end or what came of it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.processes import account_bodies, bulkhead, until
from tests.e2e.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WORDS = "rejected by an injected fault"
"""What the paper exchange says of an order that it was told to refuse."""


def reason(code):
    return f"REJECTED {code} {WORDS}"


@pytest.fixture(scope="module")
def client(engine):
    engine.client.post("/v1/accounts", account_bodies(6, deposit="10000"))
    until(lambda: place(engine.client, "acct-6", quantity="0.02")["type"] == "Accepted", "prices")
    until(lambda: engine.client.get("/v1/stats")["working_orders"] == 0, "fills")
    return engine.client


@pytest.fixture
def run(engine):
    folder = Path(engine.child.args[engine.child.args.index("--data-dir") + 1])
    return lambda *args, **environment: bulkhead(*args, "--data-dir", folder, **environment)


@pytest.fixture(autouse=True)
def nothing_else(client):
    """Planned refusals are for the order of one test: no other order is under way."""
    until(lambda: client.get("/v1/stats")["working_orders"] == 0, "an end of all orders")


def place(client, account, **changes):
    body = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.5", "leverage": "20", **changes}
    return client.post(f"/v1/accounts/{account}/orders", body)


def ended(client, id_):
    return until(
        lambda: (o := client.get(f"/v1/orders/{id_}"))["status"] not in {"INTENDED", "ACKNOWLEDGED"} and o,
        "end",
    )


def refused(paper, client, account="acct-1", code=-2019):
    """An order that the exchange refuses with a code, and its end."""
    paper.admin("faults", kind="reject", code=code)
    return ended(client, place(client, account)["client_order_id"])


def alarms(client):
    return [a["text"] for a in client.get("/v1/alarms")]


def test_the_api_says_code_words_and_both_in_one_line(paper, client):
    order = refused(paper, client)
    assert (order["status"], order["end_code"], order["end_reason"]) == ("REJECTED", -2019, WORDS)
    assert order["end"] == reason(-2019)
    [caused] = client.get(f"/v1/causes/{order['cause']}")
    assert caused["end"] == order["end"]
    filled = ended(client, place(client, "acct-1")["client_order_id"])
    assert (filled["status"], filled["end"]) == ("FILLED", "")


def test_why_and_caused_show_it_whole_at_any_width(paper, client, run):
    order = refused(paper, client, code=-4131)
    for columns in ("80", "130"):
        for command in (("why", order["client_order_id"]), ("caused", order["cause"])):
            shown = run(*command, COLUMNS=columns)
            assert shown.returncode == 0, shown.stderr
            assert f"{order['client_order_id']}: {reason(-4131)}" in shown.stdout


@pytest.mark.parametrize("columns", [80, 130])
def test_a_person_reads_it_in_whole_words(paper, client, engine, columns):
    order = refused(paper, client, code=-2019)
    folder = engine.child.args[engine.child.args.index("--data-dir") + 1]
    for command in (("why", order["client_order_id"]), ("risk", "acct-1")):
        with Terminal(*command, "--data-dir", folder, columns=columns) as terminal:
            assert terminal.wait() == 0, terminal.text
        assert terminal.too_wide() == []
        words = terminal.text.split()
        assert " ".join(words).count(f"{order['client_order_id']}") >= 1
        assert f"{reason(-2019)}" in " ".join(words), terminal.text


def test_an_order_that_is_waited_for_says_how_it_ended(paper, client, run):
    filled = run("order", "acct-2", "buy", "0.05", "ETHUSDT", "--wait", "20")
    assert filled.returncode == 0, filled.stderr
    assert filled.stdout.strip().endswith("FILLED, 0.05 of 0.05 filled"), filled.stdout
    paper.admin("faults", kind="reject", code=-2019)
    shown = run("order", "acct-2", "buy", "0.05", "ETHUSDT", "--wait", "20")
    assert shown.returncode == 1
    assert f"{reason(-2019)}, 0 of 0.05 filled" in shown.stdout
    paper.admin("faults", kind="reject", code=-2019)
    told = run("order", "acct-2", "buy", "0.05", "ETHUSDT", "--wait", "20", "--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["end"] == reason(-2019)
    rests = run("order", "acct-2", "buy", "0.05", "ETHUSDT", "--price", "2600", "--wait", "1")
    assert rests.returncode == 0, rests.stderr
    assert "ACKNOWLEDGED after 1 s, 0 of 0.05 filled" in rests.stdout
    id_ = rests.stdout.split()[0]
    client.delete(f"/v1/accounts/acct-2/orders/{id_}")
    assert ended(client, id_)["status"] == "CANCELED"


def test_the_account_remembers_the_last_refusal_in_every_view(paper, client, run):
    order = refused(paper, client, code=-2027)
    text = f"{order['client_order_id']} {reason(-2027)}"
    assert client.get("/v1/accounts/acct-1")["last_refusal"] == text
    assert client.get("/v1/accounts/acct-1/risk")["last_refusal"] == text
    assert f"last refusal       {text}" in run("risk", "acct-1").stdout
    assert text in run("inspect", "acct-1").stdout


def test_the_trace_of_account_and_gateway_show_it_whole(paper, client, run):
    order = refused(paper, client, code=-2022)
    for actor, kind in (("acct-1", "OrderClosed"), ("gateway", "Answered")):
        trace = client.get(f"/v1/actors/{actor}", limit=200)["snapshot"]["trace"]
        found = [
            t["content"] for t in trace if t["kind"] == kind and order["client_order_id"] in t["content"]
        ]
        assert any(f"-2022 {WORDS}" in content[:100] for content in found), found
    shown = " ".join(run("trace", "acct-1", COLUMNS="200").stdout.split())
    assert f"OrderClosed({order['client_order_id']} {reason(-2022)}" in shown


def test_a_stop_that_the_exchange_refuses_names_the_reason_and_is_found_by_its_id(paper, client, run):
    assert place(client, "acct-3")["type"] == "Accepted"
    held = until(lambda: (p := client.get("/v1/accounts/acct-3")["positions"]) and p[0], "position")
    price = str(int(float(held["mark"]) * 0.995))
    stop = place(
        client, "acct-3", side="SELL", order_type="STOP_MARKET", trigger_price=price, reduce_only=True,
    )["client_order_id"]  # fmt: skip
    assert client.get("/v1/accounts/acct-3")["conditionals"][0]["attempt"] == 0
    paper.admin("faults", kind="reject", code=-4131, count=2)
    paper.admin("shock", symbol="ETHUSDT", fraction="-0.01", seconds=1)
    until(lambda: not client.get("/v1/accounts/acct-3")["positions"], "a stop that is sent again")
    again = [t for t in alarms(client) if t.startswith("acct-3: the stop of ETHUSDT was not taken")]
    assert again[0].endswith(f"by the exchange ({reason(-4131)}); it is sent again (1)")
    known = client.get(f"/v1/orders/{stop}")
    assert (known["order_type"], known["status"]) == ("STOP_MARKET", "TRIGGERED")
    assert client.get(f"/v1/orders/{known['became']}")["end"] == reason(-4131)
    assert f"{stop} was sent as {known['became']}" in run("why", stop).stdout
    assert reason(-4131) in run("caused", client.get(f"/v1/orders/{known['became']}")["cause"]).stdout


def test_a_breaker_that_refusals_open_says_what_the_last_one_was(paper, client):
    client.post("/v1/accounts/acct-4/limits", {"changes": {"max_consecutive_errors": "2"}})
    refused(paper, client, "acct-4", code=-4131)
    order = refused(paper, client, "acct-4", code=-2019)
    risk = until(
        lambda: (r := client.get("/v1/accounts/acct-4/risk"))["breaker"] == "OPEN" and r, "an open breaker"
    )
    said = f"2 refused orders in a row, the last: {order['client_order_id']} {reason(-2019)}"
    assert risk["breaker_reason"] == said
    assert f"acct-4: breaker open: {said}" in alarms(client)
    rejected = place(client, "acct-4")
    assert said in rejected["rejections"][0]["text"]


def test_a_liquidation_that_is_refused_again_and_again_names_the_reason(paper, client, run):
    assert place(client, "acct-5")["type"] == "Accepted"
    until(lambda: client.get("/v1/accounts/acct-5")["positions"], "position")
    # Ten refusals with growing waits are a minute; the reason must be there from the first one on.
    paper.admin("faults", kind="reject", code=-1008, count=3)
    client.post("/v1/accounts/acct-5/close-out", {"reason": "test"})
    view = until(
        lambda: (v := client.get("/v1/accounts/acct-5"))["last_refusal"].endswith(reason(-1008)) and v,
        "a refusal",
    )
    assert view["closing_out"] == "test"
    until(lambda: not client.get("/v1/accounts/acct-5")["positions"], "the close-out")
    assert f"{reason(-1008)}" in run("risk", "acct-5").stdout
