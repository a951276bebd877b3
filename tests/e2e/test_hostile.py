"""Whatever a stranger or a careless client sends: refused by name, in few words, and nobody else notices."""

from __future__ import annotations

import contextlib
import resource
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from actors.api.client import EngineError
from tests.e2e.processes import EngineProcess, account_bodies, bulkhead, until
from tests.e2e.test_waiting import dsn_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LONG = "x" * 3_000_000


@pytest.fixture(scope="module")
def client(engine):
    engine.client.post("/v1/accounts", account_bodies(3))
    return engine.client


@pytest.fixture
def folder(engine):
    return Path(engine.child.args[engine.child.args.index("--data-dir") + 1])


def send(client, method, path, **how):
    headers = {"Authorization": f"Bearer {client.address.token}", **how.pop("headers", {})}
    return httpx.request(method, f"{client.address.url}{path}", headers=headers, timeout=30, **how)


@pytest.mark.parametrize(
    "bad",
    [
        "a/b",
        "..",
        ".",
        "",
        "a b",
        "\u0430cct-1",
        "a\x1b[2J",
        "[/]",
        "x" * 65,
        "a%2Fb",
        "\u0661",
        "-a",
        "feed!",
    ],
)
def test_an_id_that_nobody_could_reach_is_no_account(client, bad):
    with pytest.raises(EngineError, match=r"400: account_id: .* cannot be an id; it must be 1 to 64 of"):
        client.post("/v1/accounts", [{"account_id": bad, "deposit": "1"}])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/accounts/acct-1/balance", {"amount": "1", "reason": "a\x1b[2J"}),
        ("/v1/accounts/acct-1/quarantine", {"reason": "two\nlines"}),
        ("/v1/accounts/acct-1/close-out", {"reason": "\u202e"}),
        ("/v1/accounts/acct-1/breaker", {"reason": "\0"}),
        ("/v1/close-out", {"reason": "\x07"}),
        ("/v1/accounts/acct-1/fault", {"reason": "\x1b]0;title\x07"}),
        ("/v1/accounts", [{"account_id": "named", "deposit": "1", "name": "a\x1b[31m"}]),
        (
            "/v1/accounts/acct-1/orders",
            {"symbol": "ETHUSDT", "side": "BUY", "quantity": "1", "strategy": "\x1b[2J"},
        ),
        ("/v1/accounts/acct-1/orders", {"symbol": "ETH\x1b[2J", "side": "BUY", "quantity": "1"}),
    ],
)
def test_a_text_with_a_control_character_is_refused_and_does_nothing(client, path, body):
    answer = send(client, "POST", path, json=body)
    assert answer.status_code == 400, answer.text
    assert "cannot be shown" in answer.json()["error"]["message"]
    assert "\x1b" not in answer.json()["error"]["message"]
    assert client.get("/v1/quarantine") == []
    assert client.get("/v1/health")["closed_by"] == []


@pytest.mark.parametrize(
    "bad", ["1_000", "\u0661\u0662", " 1", "1 ", "1\n", "\uff11", "0x10", "1e999999", "9" * 500]
)
def test_a_number_is_plain_digits(client, bad):
    for path, body in (
        ("/v1/accounts/acct-1/orders", {"symbol": "ETHUSDT", "side": "BUY", "quantity": bad}),
        ("/v1/accounts/acct-1/balance", {"amount": bad}),
        ("/v1/accounts", [{"account_id": "numbers", "deposit": bad}]),
    ):
        answer = send(client, "POST", path, json=body)
        assert answer.status_code == 400, (path, answer.text)
        assert len(answer.text) < 500


@pytest.mark.parametrize("bad", ["NaN", "-NaN", "sNaN", "NaN7", "Infinity", "-inf", "nan"])
def test_no_money_is_not_a_number(client, bad):
    for path, body in (
        ("/v1/accounts/acct-1/balance", {"amount": bad}),
        ("/v1/accounts", [{"account_id": "nan-1", "deposit": bad}]),
        ("/v1/accounts", [{"account_id": "nan-1", "deposit": "1", "maintenance_rate": bad}]),
        ("/v1/accounts", [{"account_id": "nan-1", "deposit": "1", "max_leverage": bad}]),
    ):
        answer = send(client, "POST", path, json=body)
        assert answer.status_code == 400, (path, answer.text)


def test_an_error_repeats_little_of_what_it_was_sent(client):
    tries = [
        ("POST", "/v1/accounts", {"json": [{"account_id": LONG, "deposit": "1"}]}),
        ("POST", "/v1/accounts", {"json": [{"account_id": "a", "deposit": LONG}]}),
        ("POST", "/v1/accounts", {"json": [{"account_id": "a", "deposit": "1", "mode": LONG}]}),
        ("POST", "/v1/accounts", {"json": [{"account_id": "a", "deposit": "1", LONG: "1"}]}),
        ("POST", "/v1/accounts/acct-1/limits", {"json": {"changes": {LONG: "1"}}}),
        ("POST", "/v1/accounts/acct-1/limits", {"json": {"changes": {"max_leverage": LONG}}}),
        (
            "POST",
            "/v1/orders",
            {"json": [{"account_id": LONG, "symbol": "E", "side": "BUY", "quantity": "1"}]},
        ),
        ("POST", "/v1/accounts/acct-1/orders", {"json": {"symbol": LONG, "side": "BUY", "quantity": "1"}}),
        ("GET", "/v1/top?by=" + LONG[:9_000], {}),
        ("GET", "/v1/deadletters?status=" + LONG[:9_000], {}),
        ("GET", "/v1/actors/" + LONG[:9_000], {}),
        ("GET", "/v1/orders/" + LONG[:9_000], {}),
    ]
    for method, path, how in tries:
        answer = send(client, method, path, **how)
        assert answer.status_code in {200, 400, 404, 422}, (path[:60], answer.status_code, answer.text[:200])
        assert len(answer.content) < 5_000, (path[:60], len(answer.content))


@pytest.mark.parametrize("depth", [500, 100_000])
def test_what_is_nested_too_deeply_is_a_400(client, depth):
    for content in ("[" * depth + "]" * depth, '{"changes":' + '{"a":' * depth + "1" + "}" * depth + "}"):
        for path in ("/v1/orders", "/v1/accounts/acct-1/limits", "/v1/accounts/acct-1/orders"):
            answer = send(client, "POST", path, content=content, headers={"content-type": "application/json"})
            assert answer.status_code == 400, (path, answer.text)


def test_too_much_in_one_request_is_refused(client):
    order = {"account_id": "acct-1", "symbol": "ETHUSDT", "side": "BUY", "quantity": "0.1"}
    answer = send(client, "POST", "/v1/orders", json=[order] * 10_001)
    assert (answer.status_code, "10,001 entries are too many" in answer.text) == (400, True)
    answer = send(client, "POST", "/v1/accounts", json=account_bodies(10_001, start=50_000))
    assert (answer.status_code, "10,001 entries are too many" in answer.text) == (400, True)
    answer = send(
        client, "POST", "/v1/accounts/acct-1/limits", json={"changes": {str(n): "1" for n in range(201)}}
    )
    assert (answer.status_code, "201 are too many" in answer.text) == (400, True)
    assert send(client, "POST", "/v1/orders", content=b"[" + b" " * (5 << 20) + b"]").status_code == 413
    assert client.get("/v1/stats")["account_stats"]["orders"] == 0


def test_a_page_that_had_its_name_point_here_is_not_answered(client):
    for host in ("evil.example", "evil.example:8780"):
        answer = send(client, "GET", "/v1/accounts", headers={"host": host})
        assert answer.status_code == 421, answer.text
    assert send(client, "GET", "/v1/accounts", headers={"host": "localhost:1"}).status_code == 200


def test_half_open_connections_without_a_token_hold_nothing(client, engine):
    where = urlsplit(client.address.url)
    soft, hard = resource.prlimit(engine.child.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(engine.child.pid, resource.RLIMIT_NOFILE, (96, hard))
    try:
        with contextlib.ExitStack() as held:
            for n in range(300):
                sock = held.enter_context(socket.create_connection((where.hostname, where.port), timeout=10))
                with contextlib.suppress(ConnectionError):
                    sock.sendall(b"POST /v1/orders HTTP/1.1\r\nhost: 127.0.0.1\r\n" if n % 2 else b"")
            for _ in range(5):
                assert httpx.get(f"{client.address.url}/v1/health", timeout=4).status_code == 200
                assert send(client, "GET", "/v1/accounts").status_code == 200
    finally:
        resource.prlimit(engine.child.pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_the_platform_s_account_that_nobody_could_reach_is_guarded_and_named(paper, tmp_path):
    """It is in the database already, and may have positions; so it is neither left out nor left to trade."""
    first = EngineProcess(paper, tmp_path)
    first.client.post("/v1/accounts", account_bodies(2))
    with psycopg.connect(dsn_of(tmp_path), autocommit=True) as platform:
        for table, column in (("sub_accounts", "id"), ("bulkhead.account", "account_id")):
            platform.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record(a, %s)).* FROM {table} a WHERE {column} = 'acct-1'",
                (Jsonb({column: "desk/../7"}),),
            )
        # Its first facts too, behind all others.
        platform.execute(
            "INSERT INTO bulkhead.journal SELECT shard, (SELECT max(position) + 1 FROM bulkhead.journal), 'desk/../7', "
            "sequence, wall_ms, cause, version, facts, hash FROM bulkhead.journal WHERE stream = 'acct-1' AND sequence = 0"
        )
        platform.execute(
            "INSERT INTO bulkhead.journal_commit SELECT shard, position + 1, 1, wall_ms, root "
            "FROM bulkhead.journal_commit ORDER BY position DESC LIMIT 1"
        )
    first.stop()
    second = EngineProcess(paper, tmp_path)
    try:
        client = second.client
        [record] = until(lambda: client.get("/v1/quarantine"), "its quarantine")
        assert record["account_id"] == "desk/../7"
        assert "'desk/../7' cannot be an id" in record["reason"]
        alarms = client.get("/v1/alarms", unacknowledged=True)
        assert any("desk/../7 is quarantined" in a["text"] for a in alarms)
        [answer] = client.post(
            "/v1/orders",
            [{"account_id": "desk/../7", "symbol": "ETHUSDT", "side": "BUY", "quantity": "0.1"}],
        )
        assert answer["rejections"][0]["code"] == "ACCOUNT_QUARANTINED"
        until(lambda: client.get("/v1/stats")["actors"].get("RUNNING", 0) == 2, "the others to run")
        assert client.post("/v1/close-out", {"reason": "reaches it too"})["told"] == 3
    finally:
        second.stop()


def test_what_an_operator_types_is_shown_as_it_is(client, folder):
    client.post("/v1/accounts/acct-2/quarantine", {"reason": "[/] [bold]odd[/bold] fills"})
    shown = bulkhead("quarantined", "--data-dir", folder)
    assert shown.returncode == 0, shown.stderr
    assert "[/] [bold]odd[/bold] fills" in shown.stdout
    client.post("/v1/accounts/acct-2/release", {})
