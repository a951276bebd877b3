"""Commands about the past: what each asks for, what it prints, and what it says of what cannot be.

Covers: actors/cli/time_travel_tables.py
"""

from __future__ import annotations

import io
import json
import resource
import signal

import pytest
from msgspec.structs import replace

from actors.api.client import EngineAway
from actors.cli import time_travel
from actors.subaccount import capture
from tests.assembly.test_rerun import changed, lived

POINT = {"position": 9, "sequence": 4, "wall_ms": 1_795_262_400_123, "cause": "api:ann:1"}
DIFF = {
    "account_id": "acct-1", "before": {**POINT, "sequence": 1}, "after": POINT, "before_hash": "aa", "after_hash": "bb",
    "changes": [
        {"field": "balance", "before": "1000", "after": "999.5"},
        {"field": "positions[ETHUSDT]", "before": None, "after": {"symbol": "ETHUSDT", "quantity": "0.10", "fees": "0"}},
    ],
    "between": 7,
    "decisions": [{**POINT, "facts": [{"fact": "BalanceAdjusted", "amount": "-0.5", "reason": "FEE"}]}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A data folder on which an engine runs, as far as the command can see."""
    (tmp_path / "api.json").touch()
    return tmp_path


@pytest.fixture
def file(tmp_path):
    made = replace(lived(), program="")
    path = tmp_path / "x.capture"
    path.write_bytes(capture.encode(made))
    return path


def test_a_difference_is_shown_field_by_field_and_fact_by_fact(engine, cli, folder):
    engine.answers["GET", "/v1/accounts/acct-1/diff"] = DIFF
    shown = cli(f"diff acct-1 -15m --data-dir {folder}")
    assert engine.requests == [
        ("GET", "/v1/accounts/acct-1/diff", {"before": "-15m", "after": "now", "limit": 1000})
    ]
    assert "before #1 at 2026-11-21 12:00:00.123 UTC, position 9, state aa" in shown.out
    for line in (
        "balance 1000 999.5",
        "positions[ETHUSDT] - symbol ETHUSDT, quantity 0.10",
        "BalanceAdjusted amount -0.5, reason FEE",
    ):
        assert any(line in " ".join(row.replace("│", " ").split()) for row in shown.out.split("\n")), line
    assert "... and 6 decisions more; --limit shows them" in shown.out
    assert json.loads(cli(f"diff acct-1 #1 #4 --json --data-dir {folder}").out) == DIFF
    assert engine.requests[-1][2] == {"before": "#1", "after": "#4", "limit": 1000}
    engine.answers["GET", "/v1/accounts/acct-1/diff"] = {**DIFF, "changes": [], "decisions": [], "between": 0}
    assert "nothing changed" in cli(f"diff acct-1 now --data-dir {folder}").out


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("diff acct-1 now --limit 0", "--limit: 0 must be 1 to 10000"),
        ("capture acct-1 --last 17", "--last: 17 must be 0 to 16"),
        ("capture acct-1 --last -1", "--last: -1 must be 0 to 16"),
        ("inspect acct-1 --dsn postgresql://x", "--dsn is for --at"),
        ("rerun nosuch.capture", "nosuch.capture cannot be read: No such file or directory"),
        ("rerun /", "/ cannot be read: Is a directory"),
        ("rerun x --step --json", "--step talks to a person; leave out --json"),
        ("inspect acct-1 --at now --data-dir /nonexistent", "no engine runs on /nonexistent, and it has no database; name the engine's folder with --data-dir, or a database with --dsn"),
        ("inspect acct-1 --at now --dsn nonsense", "the DSN cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_with_its_cure(line, text, engine, cli):
    ran = cli(line)
    assert ran.code == 2
    assert text in ran.err
    assert engine.requests == []


def test_an_engine_that_left_its_address_and_went_away_is_said(engine, cli, folder):
    engine.answers["GET", "/v1/accounts/acct-1/at"] = EngineAway("the engine does not answer")
    ran = cli(f"inspect acct-1 --at now --data-dir {folder}")
    assert "the engine does not answer" in ran.err
    assert "it has no database" in ran.err


def test_a_capture_is_written_once_unless_forced_and_only_whole(engine, cli, tmp_path):
    data, target = capture.encode(lived()), tmp_path / "a.capture"
    engine.download = lambda *_path, **_sent: data
    ran = cli(f"capture acct-1 -o {target}")
    assert (
        f"{target}: 5 decisions of acct-1 (0 in the journal), {len(data):,} bytes; 'bulkhead rerun {target}'"
        in ran.out
    )
    assert target.read_bytes() == data
    assert f"{target} exists; give another one with -o, or --force" in cli(f"capture acct-1 -o {target}").err
    assert cli(f"capture acct-1 --force -o {target}").code == 0
    assert "exists" in cli(f"deadletters export 7 -o {target}").err
    data = data[:-5]
    assert "the engine's answer: cut off" in cli(f"capture acct-1 -o {tmp_path}/b").err
    assert not (tmp_path / "b").exists()
    data = capture.encode(lived())
    assert "cannot be written: No such file" in cli(f"capture acct-1 -o {tmp_path}/no/b").err


def test_a_capture_that_finds_no_room_leaves_the_one_that_was_there(engine, cli, tmp_path):
    data = capture.encode(lived())
    engine.answers["GET", "/v1/accounts/acct-1/capture"] = data
    target = tmp_path / "a.capture"
    target.write_bytes(b"an older one")
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(data) - 1, was[1]))
    try:
        ran = cli(f"capture acct-1 --force -o {target}")
        new = cli(f"capture acct-1 -o {tmp_path}/b.capture")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)
        signal.signal(signal.SIGXFSZ, handler)
    assert (ran.code, new.code) == (2, 2)
    assert "a.capture cannot be written: File too large" in ran.err
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.capture", b"an older one")]
    assert cli("capture acct-1 --force -o /dev/null").code == 0


def test_a_file_without_an_end_is_no_capture_at_once(cli):
    ran = cli("rerun /dev/zero")
    assert (ran.code, "/dev/zero: not a capture" in ran.err) == (2, True)


def test_a_rerun_says_how_many_are_the_same_and_ends_with_1_if_one_is_not(cli, file):
    ran = cli(f"rerun {file}")
    assert ran.code == 0
    assert "1  same        #1  PlaceOrder (c)  OrderIntended" in ran.out
    assert "refused: " in ran.out
    assert "all 5 decisions as recorded, byte for byte; 0 compared with the journal" in ran.out
    found = json.loads(cli(f"rerun {file} --json").out)
    assert (found["same"], found["first_difference"], len(found["decisions"])) == (True, None, 5)
    made = changed(capture.decode(file.read_bytes(), ""), 3, facts=capture.NO_FACTS)
    file.write_bytes(capture.encode(made))
    ran = cli(f"rerun {file}")
    assert ran.code == 1
    assert "1 facts instead of 0: besides FillApplied" in ran.out
    assert "1 of 5 decisions of acct-1 differ, first number 3: Fill" in ran.out
    ran = cli(f"rerun {file} --json")
    assert (ran.code, json.loads(ran.out)["first_difference"]) == (1, 3)
    file.write_bytes(capture.encode(replace(made, decisions=())))
    assert "the file holds no decision" in cli(f"rerun {file}").out


def test_one_of_another_release_is_said(cli, file):
    made = replace(capture.decode(file.read_bytes(), ""), program="0.0.1")
    file.write_bytes(capture.encode(made))
    assert "decisions may differ because rules changed" in cli(f"rerun {file}").out


def test_a_step_stops_before_each_decision(cli, file, monkeypatch):
    stops = []
    monkeypatch.setattr(time_travel.pdb, "set_trace", lambda: stops.append("pdb"))
    monkeypatch.setattr("sys.stdin", io.StringIO("p\nnonsense\n\nb\n\n\n"))
    ran = cli(f"rerun {file} --step")
    assert ran.code == 0, ran.err
    assert stops == ["pdb"]
    assert '"next_order_sequence": 1' in ran.out, "p prints the state"
    assert "'nonsense' is none of Enter, p, b, q" in ran.out
    assert "message  PlaceOrder {" in ran.out
    assert "market   ETHUSDT bid 2000 ask 2000" in ran.out
    assert "all 5 decisions as recorded" in ran.out, "the end of the input goes on to the end"
    monkeypatch.setattr("sys.stdin", io.StringIO("\nq\n"))
    ran = cli(f"rerun {file} --step")
    assert (ran.code, ran.out.count("  same  ")) == (0, 1)
