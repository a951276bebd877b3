"""Database commands without --dsn share the embedded Postgres of an engine that runs, and never stop it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.e2e.processes import ROOT, EngineProcess, Paper, bulkhead, open_positions, order_bodies, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def engine(tmp_path):
    paper = Paper("--latency-ms", 5)
    process = EngineProcess(paper, tmp_path)
    yield process
    process.stop()
    paper.stop()


def db(*arguments):
    shown = bulkhead("db", *arguments)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    return shown.stdout


def test_they_answer_beside_it_and_its_postgres_goes_on(engine, tmp_path):
    pid_file = tmp_path / "postgres" / "postmaster.pid"
    server = pid_file.read_text().splitlines()[0]
    open_positions(engine.client, 3)
    here = ("--data-dir", tmp_path)
    assert "accounts    3" in db("status", *here)
    assert "OK the journal is what was written" in db("verify", *here)
    assert json.loads(db("verify", *here, "--json"))["ok"]
    assert db("hash", *here)
    # Several at once, one of which is killed: it can take nothing back.
    command = [sys.executable, "-m", "actors.cli", "db", "verify", "--data-dir", str(tmp_path)]
    many = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    handles = tmp_path / "postgres" / ".handle_pids.json"
    until(
        lambda: f"{many[0].pid}" in re.findall(r"\d+", handles.read_text()) or many[0].poll() is not None,
        "a command at work",
    )
    many[0].kill()
    for one in many:
        one.communicate(timeout=60)
    assert [one.returncode for one in many[1:]] == [0, 0]
    assert "accounts    3" in db("status", *here)
    answers = engine.client.post("/v1/orders", order_bodies(3, notional=300))
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    assert pid_file.read_text().splitlines()[0] == server
    assert not [a for a in engine.client.get("/v1/alarms") if "Postgres" in a["text"]]
