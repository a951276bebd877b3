"""A real engine's audit: killed in the middle of writing, verified beside it and after it, against its database.

Covers: actors/persistence/audit/trail.py
"""

from __future__ import annotations

import json
import random
import time

import pytest

from actors.assembly.config import EngineConfig
from actors.assembly.engine import Engine
from actors.persistence.audit import files
from actors.persistence.audit.line import Kind
from tests.e2e.processes import EngineProcess, account_bodies, bulkhead, order_bodies, until
from tests.e2e.terminal import Terminal
from tests.persistence.audit.made import ids_in, lines_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

KILLS = 2


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

    until(lambda: of(Kind.QUARANTINE) and of(Kind.DEAD_LETTER), "all of them")
    found = of(Kind.REJECTION)
    assert {line.account for line in found} == {"acct-1"}
    codes = {reason["code"] for line in found for reason in line.data["rejections"]}
    assert "INSUFFICIENT_MARGIN" in codes
    assert found[-1].data["order"]["quantity"] == "900"
    assert client.get("/v1/stats")["audit"]["left_out"] == 14 - len(found)
    assert [line.account for line in of(Kind.QUARANTINE)] == ["acct-4"]
    assert "poison" in of(Kind.DEAD_LETTER)[0].data["error"]
    assert {"trip", "quarantine"} <= {line.data["action"] for line in of(Kind.OPERATOR)}
    [breaker] = [line for line in of("BREACH") if line.data["action"] == "BREAKER"]
    assert (breaker.account, breaker.data["breaker"]) == ("acct-2", "OPEN")
    assert any("odd fills" in line.data["text"] for line in of(Kind.ALARM))


CLAIMS = {
    "000: publish position_updated event": lambda seen: seen(
        "FILL", "acct-5", "symbol side quantity realized"
    ),
    "000: publish position_closed event": lambda seen: seen(
        "POSITION_CLOSED", "acct-5", "symbol quantity realized mae mfe"
    ),
    "001: order submissions": lambda seen: seen(
        "ORDER", "acct-5", "symbol side quantity price client_order_id"
    ),
    "001: order fills": lambda seen: seen("FILL", "acct-5", "symbol side quantity price fee"),
    "001: order cancellations": lambda seen: (
        seen("CANCEL", "acct-5", "client_order_id symbol")
        and seen("ORDER_ENDED", "acct-5", "client_order_id status")
    ),
    "001: position updates": lambda seen: seen("FILL", "acct-5", "closed_quantity realized"),
    "001: position closes": lambda seen: seen("POSITION_CLOSED", "acct-5", "entry_price opened_ms closed_ms"),
    "001: risk rejections": lambda seen: seen("REJECTION", "acct-1", "command order rejections"),
    "001: circuit breaker trips": lambda seen: seen("BREACH", "acct-2", "breaker reason until_ms by_hand"),
    "001: errors": lambda seen: (
        seen("DEAD_LETTER", "", "actor message error") and seen("ALARM", "", "level text")
    ),
    "002: order placements, all attempts recorded": lambda seen: (
        seen("ORDER", "acct-5", "decided_ms") and seen("REJECTION", "acct-1", "order")
    ),
    "002: insufficient balance alerts": lambda seen: any(
        {"code": "INSUFFICIENT_MARGIN"}.items() <= reason.items() and reason["value"] and reason["limit"]
        for line in seen("REJECTION", "acct-1", "rejections")
        for reason in line["data"]["rejections"]
    ),
    "002: position limit violations, with clear error messages": lambda seen: any(
        "positions" in reason["text"]
        for line in seen("REJECTION", "acct-5", "rejections")
        for reason in line["data"]["rejections"]
        if reason["code"] == "MAX_POSITIONS_EXCEEDED"
    ),
    "002: audit trail, all events": lambda seen: seen("OPERATOR", "", "who action target"),
}
"""What the seeds say of audit, events and alerts. Rollbacks of pairs (002) come with pairs."""


def test_what_the_seeds_claim_is_in_the_audit(world):
    engine, folder = world
    client = engine.client

    def place(symbol, **more):
        body = {"symbol": symbol, "side": "BUY", "quantity": "1", "leverage": "5", **more}
        return client.post("/v1/accounts/acct-5/orders", body)

    def positions():
        return client.get("/v1/accounts/acct-5")["positions"]

    client.post("/v1/accounts/acct-5/limits", {"changes": {"max_price_deviation": "0.5"}})
    resting = place("SOLUSDT", order_type="LIMIT", price="100")
    assert resting["type"] == "Accepted", resting
    client.delete(f"/v1/accounts/acct-5/orders/{resting['client_order_id']}")
    for held in positions():
        side = "SELL" if held["quantity"][0] != "-" else "BUY"
        size = held["quantity"].lstrip("-")
        assert place(held["symbol"], side=side, quantity=size, reduce_only=True)["type"] == "Accepted"
    until(lambda: not positions(), "no positions")
    client.post("/v1/accounts/acct-5/limits", {"changes": {"max_positions": "1"}})
    assert place("SOLUSDT")["type"] == "Accepted"
    until(positions, "a position")
    assert place("ETHUSDT", quantity="0.1")["type"] == "Rejected"
    up_to_date(engine)
    until(
        lambda: any(
            line.account == "acct-5" and line.kind == "REJECTION" for line in lines_in(folder / files.FOLDER)
        ),
        "it",
    )
    ran = bulkhead("audit", "show", "--json", "--data-dir", folder)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]

    def seen(kind, account, fields):
        return [
            line
            for line in lines
            if line["kind"] == kind
            and line.get("account", "") == account
            and set(fields.split()) <= set(line["data"])
        ]

    missing = [claim for claim, holds in CLAIMS.items() if not holds(seen)]
    assert missing == []
    # Immutable, append-only files by day: nothing that was there is another now.
    assert all(line["time"].endswith("Z") for line in lines)
    verified(folder)


def test_switched_off_nothing_is_written(tmp_path):
    def engine(audit):
        return Engine(EngineConfig(exchange="http://127.0.0.1:9", data_dir=str(tmp_path), audit=audit))

    assert engine("off").audit is None
    assert engine("on").audit is not None
    assert not (tmp_path / files.FOLDER).exists()


def test_in_a_terminal(world):
    _, folder = world
    with Terminal("audit", "verify", "--against-journal", "--data-dir", folder, columns=80) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.too_wide() == []
    for words in (
        "an engine writes the audit now",
        "compared with the journal",
        "the chain holds",
        "keep this elsewhere",
    ):
        assert words in " ".join(terminal.text.split())
    for columns in (80, 130):
        shows_a_table(folder, columns)


def shows_a_table(folder, columns):
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
    lines = lines_in(folder / files.FOLDER)
    assert lines[-1].kind == Kind.STOPPED
    left_out = sum(line.data["total"] for line in lines if line.kind == Kind.LEFT_OUT)
    assert left_out == 14 - sum((line.kind, line.account) == (Kind.REJECTION, "acct-1") for line in lines)
    [path] = (folder / files.FOLDER).glob("*.jsonl")
    raw = path.read_bytes()
    at = raw.index(b'"kind":"FILL"') + 9
    path.write_bytes(raw[:at] + b"M" + raw[at + 1 :])
    [fault] = verified(folder, code=1)["faults"]
    assert (fault["file"], fault["line"]) == (path.name, raw[:at].count(b"\n") + 1)
    assert fault["wrong"] == "changed"
