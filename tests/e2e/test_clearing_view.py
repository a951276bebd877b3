"""What people see of clearing on a running engine: a crowd becomes a block, and each member's order is followed into it.

Covers: actors/cli/clearing.py
"""

from __future__ import annotations

import json
from decimal import Decimal as D
from pathlib import Path

import httpx
import pytest

from actors.api.client import NotKnown
from tests.e2e.processes import account_bodies, bulkhead, until
from tests.e2e.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CROWD = 40


@pytest.fixture(scope="module")
def client(engine):
    engine.client.post("/v1/accounts", account_bodies(CROWD, deposit="10000"))
    first = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.05", "leverage": "5"}
    until(lambda: engine.client.post("/v1/accounts/acct-1/orders", first)["type"] == "Accepted", "prices")
    until(lambda: engine.client.get("/v1/stats")["working_orders"] == 0, "its end")
    return engine.client


@pytest.fixture(scope="module")
def folder(engine):
    return Path(engine.child.args[engine.child.args.index("--data-dir") + 1])


@pytest.fixture(scope="module")
def crowd(client, paper):
    """Orders of all accounts at once, behind one that the exchange is slow to answer; their stories when all are over."""
    paper.admin("faults", kind="delay", seconds=0.5)
    bodies = [
        {"account_id": f"acct-{n}", "symbol": "ETHUSDT", "side": "SELL", "quantity": "0.02", "leverage": "5"}
        for n in range(1, CROWD + 1)
    ]
    ids = [answer["client_order_id"] for answer in client.post("/v1/orders", bodies)]
    until(lambda: client.get("/v1/stats")["working_orders"] == 0, "an end of all orders")
    return [until(lambda i=i: ended(client, i), "a story") for i in ids]


def ended(client, id_):
    try:
        story = client.get(f"/v1/why/{id_}")
    except NotKnown:
        return None
    return story if story["status"] == "FILLED" else None


def words(terminal):
    return " ".join(terminal.text.replace("\u2502", " ").split())


def test_a_crowd_is_one_block_whose_members_add_up_to_it(client, crowd):
    members = [story for story in crowd if story["in_block"]]
    assert len(members) >= CROWD // 2
    numbers = {story["in_block"]["client_order_id"] for story in members}
    for id_ in numbers:
        block = client.get(f"/v1/why/{id_}")
        its = [story for story in members if story["in_block"]["client_order_id"] == id_]
        assert (block["is_block"], block["account_id"], block["status"]) == (
            True,
            "clearing:ETHUSDT",
            "FILLED",
        )
        assert len(its) == block["in_block"]["members"] == len(block["members"])
        assert sum(D(story["value"]) for story in its) == D(block["value"])
        assert sum(D(m["allocated"]) for m in block["members"]) == D(block["filled"])
        assert {m["client_order_id"] for m in block["members"]} == {story["client_order_id"] for story in its}
    counted = client.get("/v1/clearing/ETHUSDT")["counters"]
    assert counted["blocks"] == len(numbers)
    assert counted["members"] == len(members)


@pytest.mark.parametrize("columns", [80, 130])
def test_a_member_is_followed_into_its_block_and_back_in_a_terminal(crowd, folder, columns):
    story = next(story for story in crowd if story["in_block"])
    block = story["in_block"]
    with Terminal("why", story["client_order_id"], "--data-dir", folder, columns=columns) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.too_wide() == []
    for part in (
        f"block {block['block']} of ETHUSDT, {block['client_order_id']}, with {block['members'] - 1} other",
        "decided: USER", "of waiting", "its part of round", "ended: FILLED", "the touch when it was decided",
    ):  # fmt: skip
        assert part in words(terminal), terminal.text
    with Terminal("why", block["client_order_id"], "--data-dir", folder, columns=columns) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.too_wide() == []
    for part in ("block order of clearing:ETHUSDT", "members", story["client_order_id"], "round"):
        assert part in words(terminal), terminal.text


@pytest.mark.parametrize("columns", [80, 130])
@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("clearing", "may be sent now: waiting in the order of service: since the start: block orders"),
        ("clearing ethusdt", "ETHUSDT clearing RUNNING since the start:"),
        ("orders --waiting", "no order waits to be sent"),
        ("tree", "clearing symbols running)"),
        ("status", "clearing symbols; 0 orders wait to be sent; 0 blocks in flight"),
    ],
)
def test_what_is_quiet_is_shown_as_that(crowd, folder, command, shows, columns):
    with Terminal(*command.split(), "--data-dir", folder, columns=columns) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.too_wide() == []
    assert "Traceback" not in terminal.text
    for word in shows.split():
        assert word in words(terminal), terminal.text


def test_json_is_the_api_s_answer_and_a_viewer_may_look(crowd, folder, client):
    id_ = crowd[0]["client_order_id"]
    shown = bulkhead("why", id_, "--json", "--data-dir", folder)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout) == client.get(f"/v1/why/{id_}")
    address = client.address
    viewer = {"Authorization": f"Bearer {address.viewer_token}"}
    for path in ("/v1/clearing", "/v1/clearing/ethusdt", "/v1/waiting", f"/v1/why/{id_}"):
        assert httpx.get(address.url + path, headers=viewer, timeout=20).status_code == 200
        assert httpx.get(address.url + path, timeout=20).status_code == 401
        assert httpx.post(address.url + path, headers=viewer, timeout=20).status_code in {403, 405}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v1/clearing/NOPE", "there is no symbol 'NOPE'"),
        ("/v1/why/bh-000000-0000000000000000-1", "there is no order 'bh-000000-0000000000000000-1'"),
        ("/v1/why/%00", "there is no order"),
        ("/v1/waiting?limit=0", "limit"),
    ],
)
def test_bad_input_is_named(crowd, client, path, text):
    headers = {"Authorization": f"Bearer {client.address.token}"}
    answer = httpx.get(client.address.url + path, headers=headers, timeout=20)
    assert answer.status_code in {400, 404}
    assert text in answer.json()["error"]["message"]
