"""Commands about limits: what each asks the engine for, and what it prints."""

from __future__ import annotations

import pytest

ROW = {
    "name": "max_positions",
    "value": "5",
    "source": "built-in",
    "unit": "positions",
    "text": "open positions",
}


@pytest.mark.parametrize(
    ("line", "changes", "text"),
    [
        ("set-limit acct-1 max_positions 5", {"max_positions": "5"}, "acct-1: max_positions = 5"),
        ("set-limit acct-1 max_daily_loss off", {"max_daily_loss": "off"}, "acct-1: max_daily_loss = off"),
        (
            "unset-limit acct-1 max_positions",
            {"max_positions": None},
            "acct-1: max_positions removed, the inherited value applies again",
        ),
    ],
)
def test_a_change_is_one_post(line, changes, text, engine, cli):
    assert text in cli(line).out
    assert engine.requests == [("POST", "/v1/accounts/acct-1/limits", {"changes": changes})]


def test_each_limit_is_shown_with_its_source(engine, cli):
    engine.answers["GET", "/v1/accounts/acct-1/limits"] = [
        ROW,
        {**ROW, "name": "max_orders", "source": "account"},
    ]
    lines = cli("limits acct-1").out.split("\n")
    assert [("built-in" in line, "account" in line) for line in lines if "max_" in line] == [
        (True, False),
        (False, True),
    ]
