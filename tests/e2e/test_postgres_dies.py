"""The embedded Postgres dies, alone or with the engine: it is there again, and so are the books."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from decimal import Decimal as D

import psutil
import pytest

from actors.cli.serving import EXIT_HALTED
from tests.e2e.processes import (
    WAIT,
    EngineProcess,
    Paper,
    differences,
    idle,
    open_positions,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ACCOUNTS = 40


@pytest.fixture
def paper():
    process = Paper("--latency-ms", 20, limits="none")
    yield process
    process.stop()


def postmaster(folder):
    return int((folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])


def told(engine, text):
    return any(text in alarm["text"] for alarm in engine.client.get("/v1/alarms"))


def is_ok(engine):
    return engine.client.get("/v1/health")["status"] == "ok"


def test_killed_alone_it_is_started_again_and_killed_with_the_engine_the_next_start_works(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path)
    open_positions(engine.client, ACCOUNTS)
    before = postmaster(tmp_path)
    os.kill(before, signal.SIGKILL)
    until(lambda: told(engine, "the embedded Postgres died"), "an alarm", 10)
    until(lambda: told(engine, "the embedded Postgres runs again"), "Postgres started again", 30)
    until(lambda: is_ok(engine), "new risk allowed again", 30)
    assert postmaster(tmp_path) != before
    answers = engine.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=400))
    assert {a["type"] for a in answers} == {"Accepted"}, answers[:3]
    # With orders under way, and at the same moment as the engine: the first start must work.
    os.kill(postmaster(tmp_path), signal.SIGKILL)
    engine.kill()
    engine = EngineProcess(paper, tmp_path)
    until(lambda: idle(engine.client), "every order known")
    assert set(differences(engine.client).values()) == {D(0)}
    answers = engine.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=300))
    assert {a["type"] for a in answers} == {"Accepted"}, answers[:3]
    until(lambda: idle(engine.client), "the last orders")
    engine.stop()
    assert engine.child.returncode == 0, engine.errors[-3000:]
    assert engine.child.returncode != EXIT_HALTED


def test_a_frozen_postgres_keeps_no_stop_waiting_and_what_was_accepted_is_there_at_the_next_start(
    paper, tmp_path
):
    engine = EngineProcess(paper, tmp_path, PGCTLTIMEOUT="2")
    open_positions(engine.client, ACCOUNTS)
    server = psutil.Process(postmaster(tmp_path))
    frozen = [server, *server.children()]
    for process in frozen:
        process.suspend()
    engine.child.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert engine.child.wait(WAIT) == 0, engine.errors[-3000:]
    assert time.monotonic() - began < 30
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    engine = EngineProcess(paper, tmp_path)
    assert len(engine.client.get("/v1/positions", limit=100)) == ACCOUNTS
    assert set(differences(engine.client).values()) == {D(0)}
    engine.stop()
