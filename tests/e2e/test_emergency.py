"""Emergency stops and what operators do, over restarts, a full disk and accounts that are dead."""

from __future__ import annotations

import resource
from decimal import Decimal as D
from pathlib import Path

import httpx
import pytest

from actors.api.client import EngineError
from actors.api.server import ApiServer
from actors.assembly.config import EngineConfig
from actors.assembly.engine import Engine
from tests.e2e.processes import EngineProcess, account_bodies, bulkhead, idle, open_positions, until
from tests.e2e.test_waiting import frozen_postgres, resting, works

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def local(paper, tmp_path):
    """An engine in this process, so that one of its actors can be made to die."""
    engine = Engine(
        EngineConfig(data_dir=str(tmp_path), exchange=paper.address.rest, api_port=0, faults_allowed=True)
    )
    api = ApiServer(engine)
    engine.start()
    api.start()
    yield engine
    api.stop()
    engine.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_emergency_stop_of_everybody_reaches_all_that_live_and_names_who_is_dead(local, tmp_path):
    from actors.api.client import Client

    client = Client(tmp_path)
    open_positions(client, 5)
    local.accounts["acct-2"].stop()
    assert client.post("/v1/close-out", {"reason": "test"}) == {"told": 4}
    for n in (1, 3, 4, 5):
        until(lambda n=n: client.get(f"/v1/accounts/acct-{n}")["positions"] == [], f"acct-{n} to be closed")
    texts = [a["text"] for a in client.get("/v1/alarms", unacknowledged=True) if a["level"] == "CRITICAL"]
    assert any("1 accounts have no running actor and were not told: acct-2" in t for t in texts)
    client.delete("/v1/close-out")


@pytest.fixture
def engine(paper, tmp_path):
    process = EngineProcess(paper, tmp_path)
    open_positions(process.client, 3)
    yield process
    process.stop()


def restarted(engine, paper, folder):
    engine.kill()
    again = EngineProcess(paper, folder)
    engine.child, engine.client = again.child, again.client
    return again.client


def test_what_was_accepted_while_postgres_was_frozen_is_done_after_a_kill(engine, paper, tmp_path):
    client = engine.client
    with frozen_postgres(tmp_path):
        answer = client.post("/v1/accounts/acct-1/close-out", {"reason": "before the kill"})
        assert answer["type"] == "Pending"
        assert client.post("/v1/accounts/acct-2/freeze")["type"] == "Pending"
        assert client.post("/v1/accounts/acct-3/balance", {"amount": "500"})["type"] == "Pending"
        engine.child.kill()
        engine.child.wait(20)
    client = restarted(engine, paper, tmp_path)
    until(lambda: client.get("/v1/accounts/acct-1")["positions"] == [], "the close-out")
    until(lambda: client.get("/v1/accounts/acct-2")["status"] == "FROZEN", "the freeze")
    assert D(client.get("/v1/accounts/acct-3")["balance"]) < 1_100, "a deposit is not told again"
    until(
        lambda: (
            [e["action"] for e in client.get("/v1/audit", limit=3) if e["audit_id"]]
            == ["balance", "freeze", "close-out"]
        ),
        "the audit",
    )
    assert any(
        "told again after the restart: close-out of acct-1" in a["text"] for a in client.get("/v1/alarms")
    )
    until(lambda: idle(client), "the last order")


def test_an_emergency_stop_of_everybody_stays_on_over_a_restart(engine, paper, tmp_path):
    client = engine.client
    client.post("/v1/close-out", {"reason": "odd prices"})
    client = restarted(engine, paper, tmp_path)
    assert "emergency stop of all" in client.get("/v1/health")["closed_by"]
    assert any("is still on: odd prices" in a["text"] for a in client.get("/v1/alarms", unacknowledged=True))
    until(lambda: client.get("/v1/positions") == [], "everything closed")
    client.delete("/v1/close-out")
    assert client.get("/v1/health")["closed_by"] == []
    assert restarted(engine, paper, tmp_path).get("/v1/health")["closed_by"] == []


def test_on_a_full_disk_what_protects_is_done_and_the_rest_refused(engine, paper, tmp_path):
    """A limit on the size of files is to this process what a full disk is."""
    client, pid = engine.client, engine.child.pid
    order = resting(client, "acct-1")
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    with pytest.raises(EngineError, match=r"503: .*operators\.jsonl cannot be written .*so it is not done"):
        client.post("/v1/accounts/acct-1/balance", {"amount": "5"})
    assert client.post("/v1/accounts/acct-1/close-out", {"reason": "full"})["type"] == "Accepted"
    until(lambda: not works(paper, order), "its order to be cancelled")
    until(lambda: client.get("/v1/accounts/acct-1")["positions"] == [], "its position to be closed")
    [alarm] = [a for a in client.get("/v1/alarms") if a["key"] == "operators.jsonl"]
    assert alarm["level"] == "CRITICAL"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert client.post("/v1/accounts/acct-1/balance", {"amount": "5"})["type"] == "Accepted"
    [alarm] = [a for a in client.get("/v1/alarms") if a["key"] == "operators.jsonl"]
    assert alarm["over_ms"]
    assert client.get("/v1/audit", target="acct-1")[1]["action"] == "close-out"


def test_an_alarm_that_nobody_acknowledged_outlives_a_kill_and_a_seen_one_does_not(engine, paper, tmp_path):
    client = engine.client
    with frozen_postgres(tmp_path):
        until(lambda: client.get("/v1/alarms", unacknowledged=True), "an alarm of what stops risk", 10)
    client.post("/v1/accounts/acct-1/quarantine", {"reason": "seen"})
    client.post("/v1/accounts/acct-2/quarantine", {"reason": "unseen"})
    alarms = {a["text"]: a for a in until(lambda: client.get("/v1/alarms", unacknowledged=True), "alarms")}
    seen = alarms["acct-1 is quarantined by an operator: seen"]["alarm_id"]
    shown = bulkhead("ack", seen, "--data-dir", tmp_path)
    assert shown.returncode == 0, shown.stderr
    with pytest.raises(EngineError, match=f"409: alarm {seen} was acknowledged by local-operator already"):
        client.post(f"/v1/alarms/{seen}/ack")
    with pytest.raises(EngineError, match="404: there is no alarm 99999"):
        client.post("/v1/alarms/99999/ack")
    viewer = {"Authorization": f"Bearer {client.address.viewer_token}"}
    assert httpx.post(f"{client.address.url}/v1/alarms/{seen}/ack", headers=viewer).status_code == 403
    metrics = httpx.get(f"{client.address.url}/metrics", headers=viewer).text
    assert 'bulkhead_alarms_unacknowledged{level="WARNING"}' in metrics
    client = restarted(engine, paper, tmp_path)
    texts = {a["text"] for a in client.get("/v1/alarms", unacknowledged=True)}
    assert "acct-2 is quarantined by an operator: unseen" in texts
    assert "acct-1 is quarantined by an operator: seen" not in texts
    listed = bulkhead("alarms", "--data-dir", tmp_path)
    assert "acct-2 is quarantined by an operator: unseen" in listed.stdout
    assert client.get("/v1/audit", target=f"alarm {seen}")[0]["action"] == "ack"
    assert Path(tmp_path / "alarms.jsonl").stat().st_mode & 0o777 == 0o600
    client.post("/v1/accounts", account_bodies(1, start=50))
