"""Commands about dead letters: what each asks the engine for, and what it prints."""

from __future__ import annotations

import pytest

ROW = {
    "dead_letter_id": 7, "at_ms": 1_795_262_400_123, "actor": "acct-1", "message_kind": "Fill", "status": "OPEN",
    "error": "ValueError: no", "resolved_by": "", "resolved_ms": None, "payload": "{}", "message": "Fill()", "state": "",
    "traceback": "line 1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "text"), [("replay", "dead letter 7 replayed to acct-1"), ("drop", "dead letter 7 dropped")]
)
def test_one_is_closed_by_its_number(verb, text, engine, cli):
    engine.answers["POST", f"/v1/deadletters/7/{verb}"] = {"actor": "acct-1"}
    assert text in cli(f"deadletters {verb} 7").out
    assert engine.requests == [("POST", f"/v1/deadletters/7/{verb}", None)]


def test_they_are_listed_by_actor_and_status(engine, cli):
    engine.answers["GET", "/v1/deadletters"] = [ROW]
    shown = cli("deadletters list acct-1 --status open")
    assert engine.requests == [("GET", "/v1/deadletters", {"actor": "acct-1", "status": "open", "limit": 20})]
    [line] = [line for line in shown.out.split("\n") if "acct-1" in line]
    assert "Fill" in line
    assert "ValueError: no" in line
    engine.answers["GET", "/v1/deadletters"] = []
    assert cli("deadletters list").out == "no dead letters\n"


@pytest.mark.parametrize(
    ("payload", "text"), [("{}", "can be replayed"), (None, "cannot be replayed, only dropped")]
)
def test_one_is_shown_whole(payload, text, engine, cli):
    engine.answers["GET", "/v1/deadletters/7"] = {**ROW, "payload": payload}
    lines = cli("deadletters show 7").out.split("\n")
    assert lines[0] == "#7 acct-1 2026-11-21 12:00:00.123 OPEN"
    assert text in lines
    assert lines[lines.index("state") + 1] == "none", "what is empty is said to be"
    assert lines[lines.index("traceback") + 1] == "line 1"
