"""Commands about accounts: what each asks the engine for, and what it prints."""

from __future__ import annotations

import json

import pytest

CASES = [
    ("create acct-1 100", "/v1/accounts", [{"account_id": "acct-1", "deposit": "100"}], "acct-1: created"),
    ("deposit acct-1 5", "/v1/accounts/acct-1/balance", {"amount": "5"}, "booked"),
    ("deposit acct-1 -- -5", "/v1/accounts/acct-1/balance", {"amount": "-5"}, "booked"),
    ("freeze acct-1", "/v1/accounts/acct-1/freeze", None, "frozen"),
    ("unfreeze acct-1", "/v1/accounts/acct-1/unfreeze", None, "active"),
    ("mode acct-1 TAKEOVER", "/v1/accounts/acct-1/mode", {"mode": "TAKEOVER"}, "acct-1: TAKEOVER"),
    ("retry acct-1", "/v1/accounts/acct-1/retry", None, "acct-1: retry requested; 'bulkhead inspect acct-1' shows"),
    ("reopen acct-1 --reason paid", "/v1/accounts/acct-1/reopen", {"reason": "paid"}, "acct-1: ACTIVE again"),
    (
        "book-fee acct-1 ethusdt 7 --rate 512.5", "/v1/accounts/acct-1/fees",
        {"symbol": "ETHUSDT", "trade_id": 7, "rate": "512.5", "amount": None}, "booked",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("line", "path", "body", "text"), CASES)
def test_what_changes_an_account_is_one_post(line, path, body, text, engine, cli):
    shown = cli(line)
    assert (shown.code, shown.err) == (0, "")
    assert engine.requests == [("POST", path, body)]
    assert text in shown.out


def test_a_refusal_is_an_exit_code_and_every_reason(engine, cli):
    reasons = [{"code": "A", "text": "one"}, {"code": "B", "text": "two"}]
    engine.answers["POST", "/v1/accounts/acct-1/freeze"] = {"type": "Rejected", "rejections": reasons}
    shown = cli("freeze acct-1")
    assert shown == (1, "", "rejected: A: one\nrejected: B: two\n")


@pytest.mark.parametrize(
    ("line", "path", "params"),
    [
        ("accounts --limit 3 --offset 6", "/v1/accounts", {"limit": 3, "offset": 6}),
        ("positions", "/v1/positions", {"limit": 50}),
        ("positions acct-1", "/v1/positions", {"account_id": "acct-1", "limit": 50}),
        ("closed acct-1 --strategy trend", "/v1/accounts/acct-1/closed", {"limit": 20, "strategy": "trend"}),
        ("report a/b", "/v1/accounts/a%2Fb/report", {}),
    ],
)
def test_what_lists_is_one_get_and_its_json_is_the_answer(line, path, params, engine, cli):
    engine.answers["GET", path] = found = [{"any": "thing"}]
    shown = cli(f"{line} --json")
    assert engine.requests == [("GET", path, params)]
    assert json.loads(shown.out) == found
