"""What was stopped, or killed, is what comes back; less than this machine knows is not taken without an operator's word.

Covers: actors/assembly/journal_ends.py
"""

from __future__ import annotations

import json
import re
import shutil
from decimal import Decimal as D

import pytest

from tests.e2e.processes import (
    EngineProcess,
    Paper,
    bulkhead,
    differences,
    idle,
    open_positions,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

STATE = re.compile(
    r"fleet state ([a-z ]+): (\w{32}) of (\d+) accounts, journal position (\d+), root (\w{32})"
)


@pytest.fixture
def paper():
    process = Paper("--latency-ms", 5)
    yield process
    process.stop()


LOOKS = "looking for orders at the exchange that the restored database does not know"


def said(engine, when):
    """Fleet hash, accounts, position and root as the engine printed them."""

    def found():
        return next((m.groups()[1:] for m in STATE.finditer(engine.errors) if m[1] == when), None)

    return until(found, f"the fleet state {when}")


def db(code, *arguments):
    shown = bulkhead("db", *arguments)
    assert shown.returncode == code, shown.stdout + shown.stderr
    return shown


def hashed(folder):
    found = json.loads(db(0, "hash", "--data-dir", folder, "--json").stdout)
    return found["fleet_hash"], str(len(found["accounts"])), str(found["position"]), found["root"]


def test_what_was_stopped_or_killed_is_what_comes_back(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path)
    open_positions(engine.client, 20)
    found = engine.client.get("/v1/accounts/acct-3")
    shown = bulkhead("inspect", "acct-3", "--data-dir", tmp_path).stdout
    assert f"state {found['state_hash']} after decision {found['sequence']} in the journal" in shown
    report = json.loads(db(0, "verify", "--data-dir", tmp_path, "--json").stdout)
    assert (report["ok"], report["fault"]) == (True, None)
    assert report["streams"] == 20 + report["clearings"]
    engine.stop()
    stopped = said(engine, "at the stop")
    assert stopped[1] == "20"
    assert hashed(tmp_path) == stopped
    report = json.loads(db(0, "verify", "--data-dir", tmp_path, "--json").stdout)
    assert report["ok"]
    assert report["known_roots"] >= 1
    assert (report["fleet_hash"], str(report["position"]), report["root"]) == (stopped[0], *stopped[2:])

    engine = EngineProcess(paper, tmp_path)
    assert said(engine, "restored") == stopped
    assert engine.client.get("/v1/accounts/acct-3")["state_hash"] == found["state_hash"]
    answers = engine.client.post("/v1/orders", order_bodies(20, notional=500))
    assert {a["type"] for a in answers} == {"Accepted"}
    engine.kill()
    killed = hashed(tmp_path)
    assert killed != stopped
    assert int(killed[2]) > int(stopped[2])

    engine = EngineProcess(paper, tmp_path)
    assert said(engine, "restored") == killed
    until(lambda: idle(engine.client), "every order known")
    assert set(differences(engine.client).values()) == {D(0)}
    engine.stop()
    assert hashed(tmp_path) == said(engine, "at the stop")
    assert "OK the journal is what was written" in db(0, "verify", "--data-dir", tmp_path).stdout


def test_an_older_copy_of_the_database_is_refused_until_an_operator_accepts_it(paper, tmp_path):
    data, copy = tmp_path / "data", tmp_path / "copy"
    engine = EngineProcess(paper, data)
    open_positions(engine.client, 3)
    engine.stop()
    shutil.copytree(data / "postgres", copy, symlinks=True, copy_function=shutil.copy2)
    before = said(engine, "at the stop")
    engine = EngineProcess(paper, data)
    answers = engine.client.post("/v1/orders", order_bodies(3, notional=500))
    assert {a["type"] for a in answers} == {"Accepted"}
    until(lambda: idle(engine.client), "all fills")
    engine.stop()
    after = said(engine, "at the stop")
    owner = (data / "postgres").stat()
    shutil.rmtree(data / "postgres")
    copy.rename(data / "postgres")
    for path in [data / "postgres", *(data / "postgres").rglob("*")]:
        shutil.chown(path, owner.st_uid, owner.st_gid)

    refused = bulkhead("run", "--data-dir", data, "--exchange", paper.address.rest, "--api-port", 0)
    assert refused.returncode == 2
    for text in (f"position {before[2]}", before[3], f"position {after[2]}", after[3], "db accept-restore"):
        assert text in refused.stderr
    shown = db(1, "verify", "--data-dir", data).stdout
    assert f"one of the positions {int(before[2]) + 1} to {after[2]}: cut off" in shown
    shown = db(0, "accept-restore", "--data-dir", data, "--reason", "the disk failed").stdout
    assert f"accepted: the journal ends at position {before[2]} with the root {before[3]}" in shown
    db(0, "verify", "--data-dir", data)

    engine = EngineProcess(paper, data)
    assert said(engine, "restored") == before
    until(lambda: LOOKS in engine.errors, "a look for lost orders")
    [entry] = until(
        lambda: [e for e in engine.client.get("/v1/audit", limit=50) if e["action"] == "accept-restore"],
        "the audit",
    )
    assert "the disk failed" in entry["detail"]
    until(lambda: engine.client.get("/v1/health")["status"] == "ok", "trading")
    assert not any(differences(engine.client).values()), (
        "what the copy does not know was learned from the exchange"
    )
    engine.stop()
    booked = said(engine, "at the stop")
    assert int(booked[2]) > int(before[2])
    engine = EngineProcess(paper, data)
    assert said(engine, "restored") == booked, "it is not looked for again"
    until(lambda: engine.client.get("/v1/health")["status"] == "ok", "trading")
    assert LOOKS not in engine.errors
    engine.stop()
