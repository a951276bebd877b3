"""A real engine whose journal was archived: it starts with the same states, trades on in the same chains, and reads the past."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from actors.persistence.audit import files
from actors.persistence.audit.line import Kind
from tests.e2e.processes import EngineProcess, account_bodies, bulkhead, order_bodies, until
from tests.persistence.audit.made import lines_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def ran(*arguments, code=0):
    shown = bulkhead(*arguments)
    assert shown.returncode == code, shown.stdout + shown.stderr
    return shown.stdout


def at_rest(engine):
    def looked():
        found = engine.client.get("/v1/stats")
        return not found["working_orders"] and not found["audit"]["behind"] and found["audit"]["lines"] > 1

    until(looked, "everything is in the audit")


def states(engine):
    return {
        name: engine.client.get(f"/v1/accounts/{name}")["state_hash"]
        for name in ("acct-1", "acct-2", "acct-3")
    }


def test_an_engine_goes_on_after_its_journal_was_archived(paper, tmp_path):
    here = ("--data-dir", tmp_path)
    engine = EngineProcess(paper, tmp_path)
    engine.client.post("/v1/accounts", account_bodies(3))
    engine.client.post("/v1/orders", order_bodies(3, notional=200))
    at_rest(engine)
    first = engine.client.get("/v1/accounts/acct-1/at", point="#1")
    before = states(engine)
    running = bulkhead("db", "archive", "--older-than", "0d", *here)
    assert (running.returncode, "an engine runs on the data folder" in " ".join(running.stderr.split())) == (
        2,
        True,
    )
    engine.stop()
    now = datetime.now(UTC).isoformat()
    planned = json.loads(ran("db", "archive", "--before", now, "--dry-run", "--json", *here))
    assert planned["obstacles"] == []
    made = json.loads(ran("db", "archive", "--before", now, "--json", *here))
    assert made["rows"] == planned["rows"] > 3
    engine = EngineProcess(paper, tmp_path)
    try:
        assert states(engine) == before
        again = engine.client.get("/v1/accounts/acct-1/at", point="#1")
        same = ("position", "sequence", "wall_ms", "cause", "first", "state_hash")
        assert [again[name] for name in same] == [first[name] for name in same]
        engine.client.post("/v1/orders", order_bodies(3, notional=200))
        at_rest(engine)
        after = states(engine)
        assert set(after.values()).isdisjoint(before.values())
        old, new = (engine.client.get("/v1/accounts/acct-1/at", point=point) for point in ("#1", "now"))
        assert old["sequence"] == 1
        assert new["state_hash"] == after["acct-1"]
        found = engine.client.get("/v1/history", account_id="acct-1")
        assert "rows of acct-1 up to position" in found["archived"]
        assert not {line.kind for line in lines_in(tmp_path / files.FOLDER)} & {Kind.RESTORED, Kind.NOT_KEPT}
    finally:
        engine.stop()
    audit = json.loads(ran("audit", "verify", "--against-journal", "--json", *here))
    assert (audit["against_journal"]["archived"], audit["journal"]["ok"]) == (made["rows"], True)
    report = json.loads(ran("db", "verify", "--json", *here))
    assert (report["ok"], report["archived"], report["archived_read"]) == (True, made["rows"], True)
    assert report["known_roots"]
    assert json.loads(ran("db", "archive", "--restore", "all", "--json", *here))["rows"] == made["rows"]
    assert json.loads(ran("db", "verify", "--json", *here))["fleet_hash"] == report["fleet_hash"]
