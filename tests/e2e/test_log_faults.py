"""Whoever reads the log may go, or stop reading: orders, liquidations, a halt and a stop never wait for it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from actors.cli.serving import EXIT_HALTED
from tests.e2e.processes import (
    ROOT,
    WAIT,
    EngineProcess,
    Paper,
    PatientClient,
    _started,
    account_bodies,
    idle,
    open_positions,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ACCOUNTS = 6
PIPE_BYTES = 4_096
"""The least that a pipe holds: some twenty lines of log."""


@pytest.fixture(scope="module")
def paper():
    process = Paper(limits="none")
    yield process
    process.stop()


class Logging(EngineProcess):
    """An engine whose log nobody reads: until ``leave`` the pipe just fills, afterwards it is broken."""

    def __init__(self, paper, folder, **environment):
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.child = subprocess.Popen(
            [sys.executable, "-m", "actors.cli", "run", "--data-dir", str(folder), "--exchange", paper.address.rest,
             "--api-port", "0", "--faults-allowed", "--log-json"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=writer, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        os.close(writer)
        _started.append(self.child)
        self.errors = "nobody read them"
        self.first_line()
        self.client = PatientClient(Path(folder))
        self.postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])

    def leave(self):
        os.close(self.reader)
        self.child.stdout.close()


def much_happens(engine):
    """Orders, a crash, operators' actions: each writes to the log, and all of it works."""
    client = engine.client
    for n in range(40):
        client.post("/v1/accounts/acct-1/breaker", {"reason": "x" * 200}) if n % 2 else client.delete(
            "/v1/accounts/acct-1/breaker"
        )
    client.post("/v1/accounts/acct-2/fault", {"reason": "a crash while nobody reads the log"})
    until(lambda: client.get("/v1/actors/acct-2")["snapshot"]["restarts"] == 1, "the restart", 10)
    answers = client.post("/v1/orders", order_bodies(ACCOUNTS - 2, notional=300, start=3))
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    until(lambda: idle(client), "the fills", 10)


def lives(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def log_of(engine):
    return engine.client.get("/v1/stats")["log"]


def test_a_reader_that_goes_costs_nothing_but_the_log(paper, tmp_path):
    engine = Logging(paper, tmp_path)
    open_positions(engine.client, ACCOUNTS)
    engine.leave()
    much_happens(engine)
    found = until(lambda: log_of(engine)["dropped"] and log_of(engine), "lines that are counted as lost", 10)
    assert "Broken pipe" in found["error"]
    until(lambda: any("log lines" in a["text"] for a in engine.client.get("/v1/alarms")), "an alarm", 10)
    headers = {"Authorization": f"Bearer {engine.client.address.token}"}
    metrics = httpx.get(f"{engine.client.address.url}/metrics", headers=headers, timeout=20).text
    lines = metrics.splitlines()
    counted = next(line for line in lines if line.startswith("bulkhead_log_lines_dropped_total "))
    assert float(counted.split()[1]) >= found["dropped"]
    assert engine.client.post("/v1/close-out", {"reason": "nobody reads the log"})
    until(lambda: not engine.client.get("/v1/positions"), "everything closed")
    engine.child.send_signal(signal.SIGTERM)
    assert engine.child.wait(WAIT) == 0
    assert not lives(engine.postmaster), "Postgres was left running"


def test_a_reader_that_reads_no_more_keeps_nobody_waiting_and_a_halt_is_a_halt(paper, tmp_path):
    engine = Logging(paper, tmp_path, BULKHEAD_STUCK_HALT_SECONDS="1")
    engine.client.post("/v1/accounts", account_bodies(ACCOUNTS))
    much_happens(engine)
    assert log_of(engine)["waiting"] > 0
    assert engine.client.post("/v1/close-out", {"reason": "nobody reads the log"})
    began = time.monotonic()
    engine.client.post("/v1/accounts/acct-1/fault", {"reason": "a long turn", "hang_ms": 4_000})
    assert engine.child.wait(WAIT) == EXIT_HALTED
    assert time.monotonic() - began < 25
    said = os.read(engine.reader, 65_536).decode()
    assert '"event"' in said, "what was written before the pipe was full"
    engine.leave()
