"""Commands about quarantine: what each asks the engine for, and what it prints."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("line", "path", "body", "answer", "text"),
    [
        ("quarantine acct-1 --reason odd", "accounts/acct-1/quarantine", {"reason": "odd"}, {}, "acct-1: in quarantine"),
        (
            "release acct-1", "accounts/acct-1/release", {"poison": "drop"}, {"dead_letter_id": 7},
            "acct-1: released, dead letter 7 dropped",
        ),
        (
            "release acct-1 --replay", "accounts/acct-1/release", {"poison": "replay"}, {"dead_letter_id": 7},
            "acct-1: released, dead letter 7 replayed",
        ),
        (
            "release acct-1", "accounts/acct-1/release", {"poison": "drop"}, {"dead_letter_id": None},
            "acct-1: released, no message was waiting",
        ),
    ],
)  # fmt: skip
def test_what_changes_it_is_one_post(line, path, body, answer, text, engine, cli):
    engine.answers["POST", f"/v1/{path}"] = answer
    assert cli(line).out == f"{text}\n"
    assert engine.requests == [("POST", f"/v1/{path}", body)]


def test_those_in_quarantine_are_listed_with_time_and_reason(engine, cli):
    row = {"account_id": "acct-1", "since_ms": 1_795_262_400_123, "reason": "odd fills"}
    engine.answers["GET", "/v1/quarantine"] = [row]
    [line] = [line for line in cli("quarantined").out.split("\n") if "acct-1" in line]
    assert "2026-11-21 12:00:00.123" in line
    assert "odd fills" in line
    engine.answers["GET", "/v1/quarantine"] = []
    assert cli("quarantined").out == "no account is in quarantine\n"
