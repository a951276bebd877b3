"""Commands about actors: what each asks the engine for, and what it prints."""

from __future__ import annotations

import json

import pytest

ROW = {
    "name": "acct-1", "status": "RUNNING", "depth": 3, "oldest_ms": 1.5, "slowest_turn_us": 20.0, "restarts": 0,
    "margin_ratio": "0.5",
}  # fmt: skip
WAITS = {"lane": "FILLS", "kind": "Fill", "age_ms": 1.0, "cause": "c", "content": "Fill()"}


@pytest.mark.parametrize(
    ("line", "path", "body", "answer", "text"),
    [
        ("restart acct-1", "actors/acct-1/restart", None, {"restarted": True}, "acct-1: restarting"),
        ("restart acct-1", "actors/acct-1/restart", None, {"restarted": False}, "acct-1: not restarted"),
    ],
)  # fmt: skip
def test_what_changes_an_actor_is_one_post(line, path, body, answer, text, engine, cli):
    engine.answers["POST", f"/v1/{path}"] = answer
    assert cli(line).out == f"{text}\n"
    assert engine.requests == [("POST", f"/v1/{path}", body)]


@pytest.mark.parametrize(
    ("line", "path", "params"),
    [
        ("inspect acct-1 --limit 3", "/v1/actors/acct-1", {"limit": 3}),
        ("tree", "/v1/tree", {}),
        ("crashes acct-1", "/v1/crashes", {"actor": "acct-1", "limit": 20}),
        ("stuck", "/v1/stuck", {}),
        ("top --by ratio --limit 3", "/v1/top", {"by": "ratio", "limit": 3}),
    ],
)
def test_what_lists_is_one_get_and_its_json_is_the_answer(line, path, params, engine, cli):
    engine.answers["GET", path] = found = {"any": "thing"}
    shown = cli(f"{line} --json")
    assert engine.requests == [("GET", path, params)]
    assert json.loads(shown.out) == found


def test_nothing_to_list_is_said(engine, cli):
    for path in ("crashes", "stuck"):
        engine.answers["GET", f"/v1/{path}"] = []
    assert cli("crashes").out == "no crashes\n"
    assert cli("stuck").out == "no turn was stuck\n"


def test_a_mailbox_is_a_part_of_the_answer_about_its_actor(engine, cli):
    snapshot = {"name": "acct-1", "counters": {"queued": 5}, "mailbox": [WAITS]}
    engine.answers["GET", "/v1/actors/acct-1"] = {"snapshot": snapshot}
    shown = cli("mailbox acct-1 --limit 1")
    assert engine.requests == [("GET", "/v1/actors/acct-1", {"limit": 1})]
    assert "Fill()" in shown.out
    assert shown.out.endswith("... and 4 more\n")


def test_a_pipe_gets_the_worst_actors_once(engine, cli):
    engine.answers["GET", "/v1/top"] = [ROW]
    [line] = [line for line in cli("top").out.split("\n") if "acct-1" in line]
    assert "0.5000" in line
    assert len(engine.requests) == 1
    assert "--every: 0.0 must be 0.2 to 60 seconds" in cli("top --every 0").err


def test_a_followed_trace_is_a_line_for_each_message_and_one_for_its_end(engine, cli):
    entry = {"at_ms": 1_795_262_400_123, "kind": "Fill", "took_us": 12.0, "cause": "c", "content": "Fill()"}
    engine.answers["STREAM", "/v1/actors/acct-1/trace"] = entries = [
        entry,
        {"ended": "time is up", "skipped": 4},
    ]
    shown = cli("trace acct-1 --follow --seconds 3 --rate 9")
    assert engine.requests == [("STREAM", "/v1/actors/acct-1/trace", {"seconds": 3, "rate": 9})]
    first, last = shown.out.splitlines()
    assert first.startswith("12:00:00.123  Fill")
    assert first.endswith("Fill()")
    assert last == "-- time is up; 4 more messages were above the rate"
    lines = cli("trace acct-1 --follow --json").out.splitlines()
    assert [json.loads(line) for line in lines] == entries
