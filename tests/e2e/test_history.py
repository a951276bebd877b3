"""What happened, as people read it: of a running engine, of its database beside it, and after it was killed.

The rows of seeds 000 to 002 that are about history are in SEEDS.

Covers: actors/api/history.py, actors/cli/history.py, actors/cli/history_tables.py, actors/cli/statement.py,
Covers: actors/cli/statement_page.py, actors/cli/past.py, actors/cli/times.py
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from decimal import Decimal as D

import httpx
import psycopg
import pytest

from actors.cli import main
from actors.persistence.embedded import EmbeddedPostgres
from tests.e2e.processes import EngineProcess, Paper, account_bodies, bulkhead, idle, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ALL = ("--from", "2020-01-01", "--to", "2100-01-01")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An engine with an account that traded, was refused, got funding, deposited; another that the desk stopped."""
    folder, paper = tmp_path_factory.mktemp("history"), Paper("--latency-ms", 5)
    engine = EngineProcess(paper, folder, BULKHEAD_FUNDING_EVERY_SECONDS="1")
    client = engine.client
    client.post("/v1/accounts", account_bodies(3, deposit="10000"))

    def place(account, quantity, side="BUY", **more):
        body = {"symbol": "ETHUSDT", "side": side, "quantity": quantity, "leverage": "10", **more}
        return client.post(f"/v1/accounts/{account}/orders", body)

    until(lambda: place("acct-1", "0.5")["type"] == "Accepted", "prices")
    until(lambda: client.get("/v1/accounts/acct-1")["positions"], "a position")
    paper.admin("funding", symbol="ETHUSDT", rate="0.001")
    until(lambda: D(client.get("/v1/accounts/acct-1")["positions"][0]["funding"]), "funding")
    place("acct-1", "0.5", "SELL", reduce_only=True)
    until(lambda: not client.get("/v1/accounts/acct-1")["positions"], "no position")
    paper.admin("faults", kind="reject", code=-2019)
    refused = place("acct-1", "0.2")
    until(lambda: client.get("/v1/accounts/acct-1")["last_refusal"], "a refusal")
    paper.admin("faults", kind="reject", code=-4003)
    place("acct-1", "0.2")
    until(lambda: "-4003" in client.get("/v1/accounts/acct-1")["last_refusal"], "a refusal")
    client.post("/v1/accounts/acct-1/balance", {"amount": "250.5"})
    client.post("/v1/accounts/acct-1/balance", {"amount": "-0.5", "reason": "correction, by the desk"})
    place("acct-1", "0.3")
    client.post("/v1/accounts/acct-2/breaker", {"reason": "odd fills"})
    assert place("acct-3", "100")["type"] == "Rejected"
    until(
        lambda: client.get("/v1/history", account_id="acct-3", kind="REFUSED")["records"],
        "the audit to be written",
    )
    until(lambda: idle(client), "all fills")
    yield engine, paper, folder, refused["client_order_id"]
    engine.stop()
    paper.stop()


def here(folder, *arguments):
    """A command without a process of its own, which costs a second: exit code, and what it printed and complained of."""
    shown, complaint, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(complaint):
        try:
            main.main([*arguments, "--data-dir", str(folder)])
        except SystemExit as ended:
            code = ended.code or 0
    return code, shown.getvalue(), complaint.getvalue()


def told(folder, *arguments):
    code, shown, complaint = here(folder, *arguments)
    assert (code, complaint) == (0, "")
    return shown


SEEDS = {
    "001: order submissions": ("history acct-1 --kind order", "BUY 0.5 ETHUSDT MARKET"),
    "001: order fills": ("history acct-1 --kind fill", "BUY 0.5 ETHUSDT MARKET at"),
    "001: position closes": ("history acct-1 --kind close", "net -"),
    "001: circuit breaker trips": ("alerts acct-2", "breaker open: odd fills"),
    "001: all risk rejections": ("history acct-3 --kind refused", "INSUFFICIENT_MARGIN needs"),
    "002: balance checks that fail, with details": (
        "history --hours 24 --kind insufficient-balance",
        "BUY 100 ETHUSDT MARKET",
    ),
    "001: errors": ("history acct-1 --kind refused", "REJECTED -4003"),
    "000: exchange errors are told apart": ("history acct-1 --kind refused", "INSUFFICIENT_BALANCE"),
    "000: balance log of every change": (f"statement acct-1 {' '.join(ALL)}", "correction, by the desk"),
    "002: record_order_placed": ("history --hours 24 --kind order", "FILLED"),
    "002: record_position_error": ("history --hours 24 --kind refused", "REJECTED -2019"),
    "002: record_insufficient_balance, found with --hours 24": (
        "history --hours 24 --kind insufficient-balance",
        "INSUFFICIENT_BALANCE",
    ),
    "002: fees and funding of a position": ("history --kind funding", "rate 0.001"),
}


@pytest.mark.parametrize("claim", SEEDS)
def test_what_the_seeds_say_of_history(world, claim):
    _, _, folder, _ = world
    command, shows = SEEDS[claim]
    assert shows in told(folder, *command.split())


def test_a_history_is_newest_first_and_its_formats_say_the_same(world):
    engine, _, folder, refused = world
    found = json.loads(told(folder, "history", "acct-1", "--json"))
    assert found["next"] is None
    records = found["records"]
    assert [r["at_ms"] for r in records] == sorted((r["at_ms"] for r in records), reverse=True)
    assert {r["account_id"] for r in records} == {"acct-1"}
    rows = list(csv.DictReader(io.StringIO(told(folder, "history", "acct-1", "--csv"))))
    assert [r["id"] for r in rows] == [r["id"] for r in records]
    table = told(folder, "history", "acct-1")
    assert all(r["client_order_id"] in table for r in records)
    [poor] = [r for r in records if r["kind"] == "INSUFFICIENT_BALANCE"]
    assert (poor["client_order_id"], poor["symbol"], poor["quantity"]) == (refused, "ETHUSDT", "0.2")
    assert poor["end"].startswith("REJECTED -2019")
    # Page by page, over the API, as a viewer.
    seen, before = [], None
    headers = {"Authorization": f"Bearer {engine.client.address.viewer_token}"}
    while True:
        asked = {"account_id": "acct-1", "limit": 4, **({"before": before} if before else {})}
        answer = httpx.get(f"{engine.client.address.url}/v1/history", params=asked, headers=headers).json()
        seen += answer["records"]
        if (before := answer["next"]) is None:
            break
    assert seen == records
    assert sum((D(r["amount"]) for r in records if r["amount"]), D(0)) == D(
        engine.client.get("/v1/accounts/acct-1")["balance"]
    )
    first = told(folder, "history", "acct-1", "--limit", "3")
    assert "there is more: --before" in first
    assert "nothing in this time" in told(folder, "history", "acct-1", "--symbol", "btcusdt")
    assert "nothing in this time" in told(folder, "history", "--to", "2021-01-01")


WRONG = [
    ("history nobody", "there is no account 'nobody'; 'bulkhead accounts' lists them"),
    ("history acct-1 --hours 0", "--hours: 0 is not above 0 and at most 87,600"),
    ("history acct-1 --hours -5", "--hours: -5 is not above 0"),
    ("history acct-1 --hours nan", "--hours: nan is not above 0"),
    ("history acct-1 --hours 5 --from 2026-01-01", "give --from or --hours, not both"),
    ("history acct-1 --limit -1", "--limit: -1 is not between 1 and 100,000"),
    ("history acct-1 --limit 0", "--limit: 0 is not between 1"),
    ("history acct-1 --from yesterday", "--from: 'yesterday' is no time; it looks like 2026-11-01"),
    ("history acct-1 --from 1969-01-01", "--from: '1969-01-01' is before 1970"),
    ("history acct-1 --from 2026-02-02 --to 2026-02-01", "is not before --to 2026-02-01"),
    ("history acct-1 --kind trade", "kind: there is no 'trade'; there are ORDER, REFUSED"),
    ("history acct-1 --before 7", "before: '7' is no place in a history"),
    ("history acct-1 --csv --json", "give --csv or --json, not both"),
    ("alerts nobody", "there is no account 'nobody'"),
    ("alerts --hours 0", "--hours: 0 is not above 0"),
    ("alerts --limit -1", "--limit: -1 is not between 1 and 10,000"),
    ("statement nobody --from 2026-01-01 --to 2026-02-01", "there is no account 'nobody'"),
    ("statement acct-1 --from 2026-02-01 --to 2026-02-01", "--from 2026-02-01 is not before --to 2026-02-01"),
    ("statement acct-1 --from 2026-13-01 --to 2026-02-01", "--from: '2026-13-01' is no time"),
    ("statement acct-1 --from 2026-01-01", "--to"),
    ("statement acct-1 --from 2026-01-01 --to 2026-02-01 --csv --json", "not both"),
]


@pytest.mark.parametrize(("command", "text"), WRONG)
def test_wrong_questions_are_answered_with_the_cure(world, command, text):
    _, _, folder, _ = world
    code, shown, error = here(folder, *command.split())
    assert (code, shown) == (2, "")
    assert text in " ".join(error.split())


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("history?limit=-1", ">= 1"),
        ("history?limit=0", ">= 1"),
        ("history?limit=many", "limit"),
        ("history?from_ms=-1", "from_ms"),
        ("history?from_ms=7&to_ms=7", "the begin of the time is not before its end"),
        (
            "history?kind=TRADE&kind=FILL",
            "there is no 'TRADE'; there are ORDER, REFUSED, INSUFFICIENT_BALANCE",
        ),
        ("history?before=x", "before: 'x' is no place"),
        ("history?before=5-1&account_id=acct-3", "is no place in the history of acct-3"),
        ("history?account_id=no%00body", "there is no account"),
        ("alerts?from_ms=x", "from_ms"),
        ("alerts?before=9", "is no place"),
        ("accounts/acct-1/statement?from_ms=5&to_ms=5", "the first time must be earlier"),
        ("accounts/acct-1/statement", "Missing required query parameter"),
        ("accounts/nobody/statement?from_ms=5&to_ms=6", "there is no account 'nobody'"),
    ],
)
def test_wrong_requests_are_answered_with_the_cure(world, query, text):
    engine, *_ = world
    headers = {"Authorization": f"Bearer {engine.client.address.viewer_token}"}
    answer = httpx.get(f"{engine.client.address.url}/v1/{query}", headers=headers)
    assert answer.status_code in {400, 404}, answer.text
    assert text in answer.json()["error"]["message"]


def test_a_statement_adds_up_and_is_one_page_of_eighty_columns(world):
    engine, _, folder, _ = world
    page = told(folder, "statement", "acct-1", *ALL)
    assert max(map(len, page.splitlines())) <= 80
    for words in (
        "ACCOUNT STATEMENT",
        "Amounts are in USDT",
        "Opening balance",
        "Closing balance",
        "Trades (3)",
        "entry price",
    ):
        assert words in page
    found = json.loads(told(folder, "statement", "acct-1", *ALL, "--json"))
    assert D(found["closing"]) == D(engine.client.get("/v1/accounts/acct-1")["balance"])
    assert sum((D(e["amount"]) for e in found["entries"]), D(found["opening"])) == D(found["closing"])
    assert {s["name"] for s in found["sums"]} == {"TRANSFER", "COMMISSION", "REALIZED_PNL", "FUNDING_FEE"}
    rows = list(csv.reader(io.StringIO(told(folder, "statement", "acct-1", *ALL, "--csv"))))
    assert (rows[1][1], rows[-1][1], rows[-1][3]) == ("OPENING", "CLOSING", found["closing"])
    assert sum((D(r[2]) for r in rows[2:-1]), D(0)) == D(found["closing"])
    # Two that meet are the whole.
    cut = found["entries"][2]["at_ms"]
    parts = [
        engine.client.get("/v1/accounts/acct-1/statement", from_ms=a, to_ms=b)
        for a, b in ((0, cut), (cut, found["to_ms"]))
    ]
    assert parts[0]["entries"] + parts[1]["entries"] == found["entries"]
    assert parts[0]["closing"] == parts[1]["opening"]


def test_one_that_does_not_add_up_is_not_printed(world):
    engine, _, folder, _ = world
    dsn = engine.client.get("/v1/health") and EmbeddedPostgres(folder).start()
    with psycopg.connect(dsn, autocommit=True) as connection:
        spoil = "UPDATE bulkhead.ledger SET amount = amount + %s WHERE info = 'correction, by the desk'"
        connection.execute(spoil, (1,))
        try:
            for form in ((), ("--csv",), ("--json",)):
                code, shown, complaint = here(folder, "statement", "acct-1", *ALL, *form)
                assert (code, shown) == (2, "")
                assert "TRANSFER 0.5 at position" in complaint
                assert "bulkhead db rebuild --dry-run" in complaint
        finally:
            connection.execute(spoil, (-1,))
    told(folder, "statement", "acct-1", *ALL)


def test_without_an_engine_its_database_says_the_same_and_after_a_restart_it_goes_on(world):
    engine, paper, folder, _ = world
    asked = (("history", "--json"), ("statement", "acct-1", *ALL, "--json"), ("alerts", "acct-2", "--json"))
    before = [json.loads(told(folder, *arguments)) for arguments in asked]
    engine.kill()
    shown = [bulkhead(*arguments, "--data-dir", folder) for arguments in asked]
    assert all("; its database is read" in " ".join(s.stderr.split()) for s in shown)
    after = [json.loads(s.stdout) for s in shown]
    assert after == before
    again = EngineProcess(paper, folder)
    try:
        again.client.post("/v1/accounts/acct-1/balance", {"amount": "5"})
        found = again.client.get("/v1/accounts/acct-1/statement", from_ms=0, to_ms=4_102_444_800_000)
        assert found["entries"][:-1] == before[1]["entries"]
        assert D(found["closing"]) == D(before[1]["closing"]) + 5
    finally:
        again.stop()
    assert "no engine runs on" in bulkhead("history", "--data-dir", folder).stderr


def test_where_there_is_neither_engine_nor_database_nothing_is_made(tmp_path):
    for arguments in (("history",), ("alerts",), ("statement", "acct-1", *ALL)):
        shown = bulkhead(*arguments, "--data-dir", tmp_path / "nothing")
        assert shown.returncode == 2
        assert "it has no database; name the engine's folder with --data-dir" in " ".join(
            shown.stderr.split()
        )
    assert not (tmp_path / "nothing").exists()
