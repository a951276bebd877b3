"""The past of accounts and their decisions made again, on a running engine and on its database alone.

Covers: actors/api/time_travel.py, actors/assembly/program.py
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import httpx
import pytest

from actors.assembly.rerun import rerun
from actors.subaccount import capture
from actors.subaccount.decide import decide
from tests.e2e.processes import ROOT, EngineProcess, bulkhead, open_positions, order_bodies, until
from tests.e2e.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ACCOUNT, QUIET = "acct-1", "acct-2"


@pytest.fixture(scope="module")
def engine(paper, tmp_path_factory):
    process = EngineProcess(paper, tmp_path_factory.mktemp("travel"))
    open_positions(process.client, 2)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(engine):
    return engine.client


@pytest.fixture
def folder(engine):
    return engine.child.args[engine.child.args.index("--data-dir") + 1]


def ran(*arguments, code=0):
    shown = bulkhead(*arguments)
    assert shown.returncode == code, shown.stdout + shown.stderr
    return shown.stdout if code in {0, 1} else shown.stderr


def at(client, point, account=ACCOUNT):
    return client.get(f"/v1/accounts/{account}/at", point=point)


def settled(client):
    """The account, when nothing of it is under way."""
    return until(
        lambda: (found := client.get(f"/v1/accounts/{ACCOUNT}")) and not found["orders"] and found,
        "no orders",
    )


def test_the_present_is_what_a_live_account_shows_and_the_past_what_it_was(client, folder):
    live = settled(client)
    until(lambda: at(client, "now")["sequence"] == live["sequence"], "what was decided to be durable")
    now = at(client, "now")
    assert now["state_hash"] == live["state_hash"]
    for name in ("balance", "status", "phase", "breaker", "mode", "orders", "conditionals", "bad_debt"):
        assert now["account"][name] == live[name], name
    [position], [seen] = live["positions"], now["account"]["positions"]
    assert (seen["quantity"], seen["entry_price"], seen["mark"]) == (
        position["quantity"],
        position["entry_price"],
        None,
    )
    born = at(client, "#0")
    assert (born["account"]["positions"], born["account"]["balance"]) == ([], "1000")
    for point in (born, now):
        assert at(client, str(point["position"]))["state_hash"] == point["state_hash"]
    client.post(f"/v1/accounts/{ACCOUNT}/balance", {"amount": "5", "reason": "for the test"})
    found = client.get(f"/v1/accounts/{ACCOUNT}/diff", before=f"#{now['sequence']}", after="now")
    assert [change["field"] for change in found["changes"]] == ["balance", "deposits"]
    [decision] = found["decisions"]
    assert decision["facts"] == [{"fact": "BalanceAdjusted", "amount": "5", "reason": "for the test"}]
    assert at(client, "-0s")["sequence"] == now["sequence"] + 1
    assert now["state_hash"] in ran("inspect", ACCOUNT, "--at", f"#{now['sequence']}", "--data-dir", folder)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("nobody/at?point=now", 400, "the journal has no account 'nobody'"),
        (f"{ACCOUNT}/at?point=2020-01-01", 400, "did not exist then; it begins with #0"),
        (f"{ACCOUNT}/at?point=99999999", 400, "is in the future: the journal ends at"),
        (f"{ACCOUNT}/at?point=2", 400, "position 2 is of acct-2"),
        (f"{ACCOUNT}/at?point=soon", 400, "'soon' is no point in time"),
        (f"{ACCOUNT}/at", 400, "point"),
        (f"{ACCOUNT}/diff?before=now&after=%230", 400, "give the earlier one first"),
        (f"{ACCOUNT}/diff?before=now&limit=0", 400, "limit"),
        (f"{ACCOUNT}/capture?last=99", 400, "last"),
        ("nobody/capture", 404, "there is no account 'nobody'"),
        ("../deadletters/999/export", 404, "there is no dead letter 999"),
    ],
)
def test_wrong_input_over_http_is_named(client, path, status, text):
    headers = {"Authorization": f"Bearer {client.address.token}"}
    answer = httpx.get(f"{client.address.url}/v1/accounts/{path}", headers=headers, timeout=20)
    assert answer.status_code == status, answer.text
    assert text in answer.json()["error"]["message"]


def test_a_capture_of_a_live_account_reruns_to_the_journals_facts(client, folder, tmp_path):
    client.post("/v1/orders", order_bodies(1, notional=300))
    live = settled(client)
    until(lambda: at(client, "now")["sequence"] == live["sequence"], "what was decided to be durable")
    refused = client.post(
        f"/v1/accounts/{ACCOUNT}/orders",
        {"symbol": "NOSUCH", "side": "BUY", "quantity": "1", "leverage": "5"},
    )
    assert refused["type"] == "Rejected"
    file = tmp_path / "live.capture"
    said = ran("capture", ACCOUNT, "-o", file, "--data-dir", folder)
    found = capture.decode(file.read_bytes(), "x")
    decided = [one for one in found.decisions if one.position]
    assert {"PlaceOrder", "OrderAccepted", "Fill"} <= {one.message_kind for one in decided}
    assert f"({len(decided)} in the journal), what it would decide now" in said
    assert "Fill" in {one.kind for one in found.trace}
    again = list(rerun(found))
    assert [one.difference for one in again if one.difference] == []
    assert b"UNKNOWN_SYMBOL" in again[-2].reply
    assert len(capture.decode(client.download(f"/v1/accounts/{ACCOUNT}/capture", last=1), "x").decisions) == 2
    with Terminal("rerun", str(file), columns=80) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.too_wide() == []
    assert "compared with the journal" in " ".join(terminal.text.split())
    lines, line = inspect.getsourcelines(decide)
    command = [
        sys.executable,
        "-m",
        "pdb",
        "-c",
        f"b {inspect.getsourcefile(decide)}:{line + len(lines) - 1}",
        "-c",
        "c",
    ]
    debugged = subprocess.run(
        [*command, "-m", "actors.cli", "rerun", str(file)],
        cwd=ROOT, input="p type(message).__name__, state.sequence\nq\n", text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    first = found.decisions[0]
    assert f"('{first.message_kind}', {first.sequence - 1})" in debugged.stdout, (
        debugged.stdout + debugged.stderr
    )


def test_a_planted_poison_is_exported_and_fails_again(client, folder, tmp_path):
    client.post(f"/v1/accounts/{QUIET}/fault", {"reason": "a planted poison"})
    [letter] = until(lambda: client.get("/v1/deadletters", actor=QUIET), "a dead letter")
    file = tmp_path / "letter.capture"
    said = ran("deadletters", "export", letter["dead_letter_id"], "-o", file, "--data-dir", folder)
    assert "1 decision of acct-2 (one that failed)" in said
    told = ran("rerun", file)
    assert f"dead letter {letter['dead_letter_id']} of acct-2" in told
    assert "it fails as it did: with the same error, at the same lines" in told
    assert "FaultInjected: a planted poison" in told
    assert "capture" not in letter, "the list has no file in it"


def test_the_database_alone_says_the_same(engine, client, folder):
    """The last test here: it stops the engine."""
    seen = at(client, "#2")
    changed = client.get(f"/v1/accounts/{ACCOUNT}/diff", before="#0", after="#4")
    engine.stop()
    shown = json.loads(ran("inspect", ACCOUNT, "--at", "#2", "--json", "--data-dir", folder))
    for name in ("position", "sequence", "wall_ms", "state_hash", "account", "state"):
        assert shown[name] == seen[name], name
    assert json.loads(ran("diff", ACCOUNT, "#0", "#4", "--json", "--data-dir", folder)) == changed
    assert "no engine runs on" in ran("capture", ACCOUNT, "-o", folder + "/x", "--data-dir", folder, code=2)
