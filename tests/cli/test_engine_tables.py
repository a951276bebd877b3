"""The engine on one screen: what closes the gate for new risk and why, also while most of it is not available."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from actors.cli.engine_tables import WHY_CLOSED, reconciliation, status, why_closed
from tests.factories import BTC, ETH

ROOT = Path(__file__).parents[2]
STATS = {
    "uptime_s": 93_784.2, "fleet": {"fleet": "abc123"}, "accounts": 2_000, "phases": {"WARNING": 3, "HEALTHY": 1_997},
    "with_positions": 1_500, "working_orders": 12, "quarantined": 0, "alarms": 0,
    "writer": {"is_down": False, "waiting": 0, "commits": 9, "last_commit_ms": 4.44}, "redis": None,
    "clearing": {
        "clearing": "on", "symbols": 312, "troubled": [], "waiting": {"LIQUIDATION": 0, "NEW_RISK": 0}, "blocks_in_flight": 0,
        "oldest_ms": {"LIQUIDATION": 0, "NEW_RISK": 0},
    },
    "audit": {"last_line": 7_001, "behind": 0, "left_out": 0, "fault": ""},
    "gateway": {
        "stream": "UP", "stream_reason": "", "tracked": 12, "queued": 3, "unknown": [],
        "weight": {"used": 100, "limit": 2_400},
    },
}  # fmt: skip


def shown(stats=STATS, closed_by=(), alarms=(), width=80, **more):
    found = {
        "address": {"url": "http://127.0.0.1:8780", "pid": 7}, "stats": stats, "alarms": list(alarms),
        "health": {"status": "reduce-only" if closed_by else "ok", "closed_by": list(closed_by)}, **more,
    }  # fmt: skip
    out = io.StringIO()
    status(found, Console(file=out, width=width))
    assert max(cell_len(line) for line in out.getvalue().split("\n")) <= width
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize("width", [40, 80, 130])
def test_a_healthy_engine(width):
    text = shown(width=width)
    for part in (
        "engine up 1 d 2 h, fleet abc123, http://127.0.0.1:8780, process 7", "new risk open",
        "postgres answers; the last commit took 4.4 ms; 0 decisions wait", "exchange user stream UP",
        "clearing 312 symbols; 0 orders wait to be sent; 0 blocks in flight audit",
        "12 working orders, 3 waiting to be sent, 0 in unknown state; request weight 100 of 2,400",
        "accounts 2,000: 1,997 HEALTHY, 3 WARNING", "1,500 with positions, 12 working orders", "alarms 0",
    ):  # fmt: skip
        assert part in text, text
    assert "quarantine" not in text


REDIS = {"connected": True, "error": "", "faults": {}, "lag": 0, "snapshots": 12_345}


def test_redis_is_shown_where_there_is_one():
    assert "redis" not in shown()
    assert "redis answers; events up to date, 12,345 snapshots written exchange" in shown(
        {**STATS, "redis": REDIS}
    )
    late = {
        **REDIS,
        "lag": 4_321,
        "faults": {"events": "stream x: WRONGTYPE [/]: the key holds something else"},
    }
    assert (
        "redis answers; events are refused, 12,345 snapshots written stream x: WRONGTYPE [/]: the key holds "
        "something else exchange"
    ) in shown({**STATS, "redis": late})
    behind = {**REDIS, "lag": 4_321}
    assert "redis answers; events 4,321 decisions behind, 12,345 snapshots" in shown(
        {**STATS, "redis": behind}
    )
    away = {**late, "connected": False, "error": "connecting: refused"}
    assert "redis AWAY; connecting: refused exchange" in shown({**STATS, "redis": away})
    assert "redis AWAY; not connected yet" in shown({**STATS, "redis": {**away, "error": ""}})


def test_what_waits_in_clearing_and_which_is_not_running_is_said():
    names = [f"clearing:SYM{n}USDT" for n in range(8)]
    busy = {
        **STATS["clearing"], "waiting": {"LIQUIDATION": 1_200, "NEW_RISK": 34}, "oldest_ms": {"LIQUIDATION": 1_240, "NEW_RISK": 5},
        "blocks_in_flight": 2, "troubled": names,
    }  # fmt: skip
    text = shown({**STATS, "clearing": busy})
    assert "1,234 orders wait to be sent, the oldest since 1.2 s; 2 blocks in flight" in text
    assert "not running: clearing:SYM0USDT, clearing:SYM1USDT" in text
    assert "clearing:SYM4USDT and 3 more; 'bulkhead tree' shows why" in text
    assert "SYM5USDT" not in text
    off = shown({**STATS, "clearing": {**STATS["clearing"], "clearing": "off", "symbols": 0}})
    assert "clearing off; every order is sent by itself" in off


def test_a_clearing_that_keeps_new_risk_out_says_what_to_do():
    text = shown(health={"status": "ok", "closed_by": [], "closed_symbols": ["ETHUSDT"]})
    assert "new risk open, but not in ETHUSDT" in text
    assert (
        "clearing:ETHUSDT: it is being restarted, or failed too often; 'bulkhead restart clearing:ETHUSDT'"
        in text
    )


def test_what_is_wrong_is_said():
    stats = {
        **STATS, "quarantined": 2, "alarms": 9, "writer": {**STATS["writer"], "is_down": True, "waiting": 1_234},
        "gateway": {**STATS["gateway"], "stream": "DOWN", "stream_reason": "not connected", "unknown": ["bh-1"]},
    }  # fmt: skip
    alarms = [{"at_ms": 1_795_262_400_000 + n, "text": f"alarm {n} [/]\x1b"} for n in range(9)]
    text = shown(stats, ("user stream", "writer"), alarms)
    assert "new risk none; reducing orders only" in text
    assert "writer: Postgres is away, or too many decisions wait for it" in text
    assert "user stream: the exchange's user stream is down" in text
    assert "postgres AWAY; 1,234 decisions wait" in text
    assert "exchange user stream DOWN (not connected)" in text
    assert "1 in unknown state" in text
    assert "2 in quarantine; 'bulkhead quarantined' says why" in text
    assert "alarms 9, the latest 3: 2026-11-21 12:00:00.006 alarm 6 [/]␛" in text
    assert "alarm 5" not in text


def test_a_pipe_gets_alarms_without_the_blanks_of_a_wide_terminal():
    out = Console(file=io.StringIO(), width=10_000)
    found = {
        "address": {"url": "http://127.0.0.1:8780", "pid": 7},
        "stats": STATS,
        "health": {"status": "ok", "closed_by": []},
    }
    status({**found, "alarms": [{"at_ms": 1_795_262_400_000, "text": "an alarm"}]}, out)
    assert "an alarm" in out.file.getvalue()
    assert max(map(len, out.file.getvalue().splitlines())) < 200


def test_how_far_the_audit_is_and_what_keeps_it():
    assert "audit line 7,001, up to date accounts" in shown()
    audit = {**STATS["audit"], "behind": 1_234, "left_out": 5_000, "fault": "No space left on device"}
    text = shown({**STATS, "audit": audit})
    assert "audit line 7,001, 1,234 decisions behind; 5,000 left out and counted" in text
    assert "FAILING: No space left on device" in text
    assert "line 7,001, not up to date" in shown({**STATS, "audit": {**audit, "behind": 0}}), (
        "what was known last"
    )
    assert "audit off; no file is written" in shown({**STATS, "audit": None})


def test_while_it_starts_it_says_what_it_can():
    text = shown(None, ("start",), untold="503: it is starting")
    assert "engine http://127.0.0.1:8780, process 7" in text
    assert "start: it is starting: the state of some orders is not known yet" in text
    assert "the rest not available: 503: it is starting" in text


def test_everything_that_closes_the_gate_is_explained():
    """docs/operating.md has the same table; a new entry must be in both."""
    table = (ROOT / "docs" / "operating.md").read_text().partition("| who | why |")[2].partition("\n\n")[0]
    names = {n.strip() for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for n in row.split(",")}
    # Of a clearing each symbol has one; ``why_closed`` knows it by its prefix.
    assert names - {"---"} - set(WHY_CLOSED) == {"clearing:SYMBOL"}
    assert "bulkhead restart clearing:ETHUSDT" in why_closed("clearing:ETHUSDT")


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        ("0", "accounts + house = exchange, for every symbol"),
        ("-0.06", "accounts + house differ from the exchange in ETHUSDT"),
    ],
)
def test_a_reconciliation_says_whether_the_books_agree(difference, said):
    row = {"virtual": "1", "house": "0", "in_flight": "0", "master": "1", "difference": "0"}
    found = [{"symbol": BTC, **row}, {"symbol": ETH, **row, "difference": difference}]
    text = io.StringIO()
    reconciliation(found, Console(file=text, width=100))
    assert text.getvalue().splitlines()[-1] == said
    assert text.getvalue().count(" = ") == (difference == "0")


@pytest.mark.parametrize("width", [80, 200])
def test_what_is_on_its_way_to_members_of_a_block_is_in_the_reconciliation(width):
    row = {"virtual": "1.5", "house": "0", "in_flight": "-0.25", "master": "1.25", "difference": "0"}
    text = io.StringIO()
    reconciliation([{"symbol": ETH, **row}], Console(file=text, width=width))
    assert "-0.25" in text.getvalue()
    assert "in flight" in text.getvalue().split("\n")[1]
    assert text.getvalue().splitlines()[-1] == "accounts + house + in flight = exchange, for every symbol"
    assert max(cell_len(line) for line in text.getvalue().split("\n")) <= width
