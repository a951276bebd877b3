"""What ``bulkhead db adopt`` prints, at 80 columns too.

Covers: actors/cli/db_adopt.py
"""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from actors.cli import adopt_tables
from actors.cli.main import main
from actors.persistence.adoption.adopting import Adopted
from actors.persistence.adoption.plan import Plan
from actors.runtime import logs
from tests.factories import BTC, ETH
from tests.persistence.adoption.test_plan import D, held, planned, row


@pytest.fixture(autouse=True)
def _quiet_log():
    """A command that runs in this process has its log go to what pytest captures, and closes."""
    yield
    logs.configure(json=False, level=50)


ID = "3c5bd3a1-5d1a-4bd0-9f0b-1f0d8a2c4e11"


def shown(call, *arguments, width=80):
    out = Console(file=io.StringIO(), width=width, color_system=None)
    call(*arguments, out)
    return out.file.getvalue()


def a_plan(accounts=60):
    rows = [
        row(ID, name="the desk of the north"),
        *(row(f"a-{n}") for n in range(accounts)),
        row("bad", status="?"),
    ]
    positions = [held("p", ID, "0.15"), held("q", "a-1", "-1", BTC, "60000")]
    return planned(rows, positions, {ETH: D("0.15"), BTC: D(-3)}, left=2)


@pytest.mark.parametrize("width", [80, 130])
def test_a_plan_fits_and_says_accounts_sums_and_refusals(width):
    text = shown(adopt_tables.plan, a_plan(), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert ID in text
    joined = " ".join(text.split())
    assert "and 10 accounts more; --json lists all" in joined
    assert "refused bad: its status '?' is none of ACTIVE" in joined
    assert "refused a-1 BTCUSDT: the accounts that could be taken over and ours have -1 of it" in joined
    assert "60 accounts with 1 positions and 60,006.00 in all; 2 refused, 2 not asked for" in joined


def test_json_has_all_of_it_with_money_as_text():
    found = json.loads(json.dumps(adopt_tables.as_json(a_plan(), done=True, at_work=["x"])))
    assert (found["done"], len(found["accounts"]), found["left"], found["at_work"]) == (True, 60, 2, ["x"])
    assert found["accounts"][0]["balance"] == "1000.1"
    assert found["accounts"][0]["positions"][0]["quantity"] == "0.15"
    assert {s["symbol"]: s["difference"] for s in found["symbols"]} == {BTC: "-2", ETH: "0.00"}
    assert {r["account_id"] for r in found["refusals"]} == {"a-1", "bad"}


def test_what_was_done_and_what_was_given_back():
    nothing = Plan(adoptions=(), refusals=(), symbols=())
    assert "there is no account to take over" in shown(adopt_tables.done, nothing)
    assert "bulkhead db adopt --undo" in shown(adopt_tables.done, a_plan())
    assert "at work something" in shown(adopt_tables.at_work, ("something",))
    fact = a_plan().adoptions[0].fact
    found = [
        Adopted(account_id="a", fact=fact, sequence=0),
        Adopted(account_id="b", fact=fact, sequence=4, why_not="it decided"),
    ]
    text = shown(adopt_tables.undone, found)
    assert "stays b: it decided" in text
    assert "1 accounts are the platform's again" in text
    assert adopt_tables.undone_json(found) == {
        "undone": ["a"],
        "kept": [{"account_id": "b", "why": "it decided"}],
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dry-run", "--undo"], "--undo has no --dry-run"),
        (["--undo", "--partial"], "--undo takes --account and nothing else"),
        ([], "is the platform stopped, with its bots?"),
        (["--dry-run"], "is EMPTY: there is nothing to adopt"),
    ],
)
def test_options_that_cannot_be_together_are_refused_before_anything_is_touched(
    arguments, says, capsys, tmp_path, dsn
):
    with pytest.raises(SystemExit) as ended:
        main(["db", "adopt", dsn, "--data-dir", str(tmp_path), *arguments])
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())
