"""A real engine's audit: killed in the middle of writing, verified beside it and after it, against its database.

Covers: actors/persistence/audit/trail.py
"""

from __future__ import annotations

import json
import random
import time

import pytest

from actors.persistence.audit import files
from actors.persistence.audit.line import Kind
from tests.e2e.processes import EngineProcess, Paper, account_bodies, bulkhead, order_bodies, until
from tests.e2e.terminal import Terminal
from tests.persistence.audit.made import ids_in, lines_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

KILLS = 2


@pytest.fixture(scope="module")
def paper():
    process = Paper()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def world(paper, tmp_path_factory):
    """A data folder whose engine was killed a few times while it traded, and runs again."""
    folder = tmp_path_factory.mktemp("audit")
    rng = random.Random(7)
    engine = EngineProcess(paper, folder)
    engine.client.post("/v1/accounts", account_bodies(30))
    for _ in range(KILLS):
        began = len(ids_in(folder / files.FOLDER))
        engine.client.post("/v1/orders", order_bodies(30, notional=100 + rng.randrange(100)))
        # From before the first line of these orders to well behind the last.
        until(lambda began=began: len(ids_in(folder / files.FOLDER)) > began, "lines of these orders")
        engine.client.post("/v1/orders", order_bodies(30, notional=150))
        time.sleep(rng.random() * 1.2)
        engine.kill()
        engine = EngineProcess(paper, folder)
    yield engine, folder
    engine.stop()


def verified(folder, *options, code=0):
    ran = bulkhead("audit", "verify", "--json", "--data-dir", folder, *options)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


def up_to_date(engine):
    def looked():
        found = engine.client.get("/v1/stats")
        return not found["working_orders"] and not found["audit"]["behind"] and found["audit"]["lines"] > 1

    until(looked, "everything is in the audit")


def test_after_each_kill_every_decision_is_in_it_once(world):
    engine, folder = world
    up_to_date(engine)
    until(lambda: not verified(folder, "--against-journal")["against_journal"]["behind"], "nothing behind")
    found = verified(folder, "--against-journal")
    assert found["is_being_written"]
    assert found["against_journal"]["events"] == found["events"] > 100
    assert found["journal"]["ok"]
    ids = ids_in(folder / files.FOLDER)
    assert len(set(ids)) == len(ids)
    lines = lines_in(folder / files.FOLDER)
    began = [line.data["the_one_before_ended"] for line in lines if line.kind == Kind.STARTED]
    assert began == [True] + [False] * KILLS
    assert {"ORDER", "ORDER_ACKNOWLEDGED", "FILL", "ORDER_ENDED", "BALANCE", "ROOT", "OPERATOR"} <= {
        line.kind for line in lines
    }


def test_what_is_not_in_the_journal_is_in_it_too(world):
    engine, folder = world
    client = engine.client
    order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "900"}
    for _ in range(14):
        assert client.post("/v1/accounts/acct-1/orders", order)["type"] == "Rejected"
    client.post("/v1/accounts/acct-2/breaker", {"reason": "by hand"})
    client.post("/v1/accounts/acct-3/fault", {"reason": "poison"})
    client.post("/v1/accounts/acct-4/quarantine", {"reason": "odd fills"})

    def of(kind):
        return [line for line in lines_in(folder / files.FOLDER) if line.kind == kind]

    until(lambda: of(Kind.QUARANTINE) and of(Kind.DEAD_LETTER) and of(Kind.LEFT_OUT), "all of them")
    found = of(Kind.REJECTION)
    assert {line.account for line in found} == {"acct-1"}
    codes = {reason["code"] for line in found for reason in line.data["rejections"]}
    assert "INSUFFICIENT_MARGIN" in codes
    assert found[-1].data["order"]["quantity"] == "900"
    assert len(found) + sum(line.data["total"] for line in of(Kind.LEFT_OUT)) == 14
    assert [line.account for line in of(Kind.QUARANTINE)] == ["acct-4"]
    assert "poison" in of(Kind.DEAD_LETTER)[0].data["error"]
    assert {"trip", "quarantine"} <= {line.data["action"] for line in of(Kind.OPERATOR)}
    [breaker] = [line for line in of("BREACH") if line.data["action"] == "BREAKER"]
    assert (breaker.account, breaker.data["breaker"]) == ("acct-2", "OPEN")
    assert any("odd fills" in line.data["text"] for line in of(Kind.ALARM))


@pytest.mark.parametrize("columns", [80, 130])
def test_in_a_terminal(world, columns):
    _, folder = world
    with Terminal("audit", "verify", "--against-journal", "--data-dir", folder, columns=columns) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.too_wide() == []
    for words in (
        "an engine writes the audit now",
        "compared with the journal",
        "the chain holds",
        "keep this elsewhere",
    ):
        assert words in " ".join(terminal.text.split())
    with Terminal(
        "audit", "show", "acct-1", "--kind", "FILL", "--data-dir", folder, columns=columns
    ) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.too_wide() == []
    assert "FILL" in terminal.text
    assert "Traceback" not in terminal.text


def test_a_second_engine_is_refused_and_writes_nothing(world, paper):
    _, folder = world
    before = sum(line.kind == Kind.STARTED for line in lines_in(folder / files.FOLDER))
    ran = bulkhead("run", "--data-dir", folder, "--exchange", paper.address.rest, "--api-port", 0)
    assert ran.returncode == 2
    assert sum(line.kind == Kind.STARTED for line in lines_in(folder / files.FOLDER)) == before


def test_stopped_it_says_so_and_a_flipped_byte_is_found(world):
    engine, folder = world
    engine.stop()
    found = verified(folder, "--against-journal")
    assert not found["is_being_written"]
    assert found["against_journal"]["behind"] == 0
    assert lines_in(folder / files.FOLDER)[-1].kind == Kind.STOPPED
    [path] = (folder / files.FOLDER).glob("*.jsonl")
    raw = path.read_bytes()
    at = raw.index(b'"kind":"FILL"') + 9
    path.write_bytes(raw[:at] + b"M" + raw[at + 1 :])
    [fault] = verified(folder, code=1)["faults"]
    assert (fault["file"], fault["line"]) == (path.name, raw[:at].count(b"\n") + 1)
    assert fault["wrong"] == "changed"
