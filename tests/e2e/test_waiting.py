"""What waits for Postgres keeps nobody else waiting: a frozen database, and what an operator can still do.

Covers: actors/api/asking.py, actors/api/answers.py
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.e2e.processes import EngineProcess, account_bodies, idle, open_positions, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WAITING = 24
QUESTIONS = (
    "/v1/audit",
    "/v1/deadletters",
    "/v1/quarantine",
    "/v1/accounts/acct-1/closed",
    "/v1/reconciliation",
)


@contextlib.contextmanager
def frozen_postgres(folder):
    """Hold every process of a folder's Postgres still, and let them go on."""
    postmaster = psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]))
    held = [postmaster, *postmaster.children(recursive=True)]
    for process in held:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)


@pytest.fixture
def folder(engine):
    return Path(engine.child.args[engine.child.args.index("--data-dir") + 1])


@pytest.fixture(scope="module")
def engine(paper, tmp_path_factory):
    process = EngineProcess(paper, tmp_path_factory.mktemp("waiting"))
    open_positions(process.client, 3)
    yield process
    process.stop()


def dsn_of(folder):
    lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    return f"host={lines[4]} port={lines[3]} user=postgres dbname=postgres"


def http(client):
    return httpx.Client(
        base_url=client.address.url,
        headers={"Authorization": f"Bearer {client.address.token}"},
        timeout=40,
        limits=httpx.Limits(max_connections=100),
    )


def resting(client, account):
    client.post(f"/v1/accounts/{account}/limits", {"changes": {"max_price_deviation": "off"}})
    answer = client.post(
        f"/v1/accounts/{account}/orders",
        {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.05", "order_type": "LIMIT", "price": "1500.00"},
    )
    assert answer["type"] == "Accepted", answer
    until(
        lambda: client.get(f"/v1/accounts/{account}")["orders"][0]["status"] == "ACKNOWLEDGED", "it to rest"
    )
    return answer["client_order_id"]


def works(paper, client_order_id):
    return client_order_id in {o["clientOrderId"] for o in paper.signed("/fapi/v1/openOrders")}


def test_with_postgres_frozen_health_and_close_out_answer_while_24_queries_wait(
    engine, paper, folder, capsys
):
    client = engine.client
    order = resting(client, "acct-1")
    time.sleep(1.1)  # what was read of the books is given again for a second
    with ThreadPoolExecutor(WAITING) as people, http(client) as asked:
        with frozen_postgres(folder):
            waiting = [people.submit(asked.get, QUESTIONS[n % len(QUESTIONS)]) for n in range(WAITING)]
            time.sleep(0.5)
            took = {}
            for name, request in {
                "health": lambda: asked.get("/v1/health"),
                "close-out": lambda: asked.post("/v1/accounts/acct-1/close-out", json={"reason": "frozen"}),
                "health again": lambda: asked.get("/v1/health"),
                "stats": lambda: asked.get("/v1/stats"),
            }.items():
                began = time.monotonic()
                answer = request()
                took[name] = time.monotonic() - began
                assert answer.is_success, (name, answer.text)
                if name == "close-out":
                    assert answer.status_code == 202, answer.text
                    assert answer.json()["type"] == "Pending"
                    assert "Postgres" in answer.json()["message"]
            still = sum(not w.done() for w in waiting)
            with capsys.disabled():
                sys.stdout.write(f"\n{ {name: round(s * 1_000, 1) for name, s in took.items()} } ms\n")
            assert still == WAITING, [w.result().text for w in waiting if w.done()]
            until(lambda: not works(paper, order), "the cancel, which waits for nobody", 5)
            assert client.get("/v1/accounts/acct-1")["closing_out"]
        for w in waiting:
            assert w.result().status_code in {200, 503}, w.result().text
    until(lambda: client.get("/v1/accounts/acct-1")["positions"] == [], "the close-out to be complete")
    until(lambda: idle(client), "the last order")
    assert client.get("/v1/audit", target="acct-1", limit=1)[0]["action"] == "close-out"


def test_more_questions_than_may_wait_are_told_when_to_come_again(engine, folder):
    client = engine.client
    with ThreadPoolExecutor(150) as people, httpx.Client(
        base_url=client.address.url, timeout=40, limits=httpx.Limits(max_connections=200),
        headers={"Authorization": f"Bearer {client.address.token}"},
    ) as asked, frozen_postgres(folder):  # fmt: skip
        waiting = [people.submit(asked.get, "/v1/audit") for _ in range(150)]
        until(lambda: any(w.done() for w in waiting), "a refusal", 8)
        refused = next(w.result() for w in waiting if w.done())
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["retry-after"]) >= 1
        assert "wait already" in refused.json()["error"]["message"]
        assert asked.get("/v1/health").status_code == 200


def test_an_emergency_stop_of_everybody_and_a_quarantine_act_while_postgres_is_frozen(engine, paper, folder):
    client = engine.client
    orders = {account: resting(client, account) for account in ("acct-2", "acct-3")}
    with frozen_postgres(folder):
        time.sleep(0.3)
        client.post("/v1/accounts/acct-3/quarantine", {"reason": "frozen"})
        until(lambda: not works(paper, orders["acct-3"]), "the quarantine's cancel", 5)
        assert client.get("/v1/actors/acct-3")["snapshot"]["status"] == "QUARANTINED"
        client.post("/v1/close-out", {"reason": "frozen"})
        assert "emergency stop of all" in client.get("/v1/health")["closed_by"]
        until(lambda: not works(paper, orders["acct-2"]), "the emergency stop's cancel", 5)
    until(lambda: client.get("/v1/accounts/acct-2")["positions"] == [], "everything closed")
    client.delete("/v1/close-out")
    client.post("/v1/accounts/acct-3/release", {})
    actions = [e["action"] for e in client.get("/v1/audit", limit=10)]
    assert {"quarantine", "close-out of all", "close-out of all called off"} <= set(actions)


def test_accounts_that_are_created_late_are_started_all_the_same(engine, folder):
    client = engine.client
    with psycopg.connect(dsn_of(folder), autocommit=True) as slow:
        # Each row takes four seconds, so that the three of them take longer than anybody waits.
        slow.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ "
            "BEGIN PERFORM pg_sleep(4); RETURN NEW; END $$"
        )
        slow.execute("CREATE TRIGGER slow BEFORE INSERT ON sub_accounts FOR EACH ROW EXECUTE FUNCTION slow()")
        with http(client) as asked:
            answer = asked.post("/v1/accounts", json=account_bodies(3, start=700))
        slow.execute("DROP FUNCTION slow CASCADE")
    assert answer.status_code == 503, answer.text
    until(
        lambda: "acct-702" in {a["account_id"] for a in client.get("/v1/accounts", limit=100)},
        f"the accounts to start ({answer.text})",
    )
    assert client.post("/v1/accounts/acct-701/balance", {"amount": "5"})["type"] == "Accepted"
