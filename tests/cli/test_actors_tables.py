"""``inspect``, ``mailbox`` and ``trace``: what an operator asks first stands first; times are times of the day."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from actors.api.account_views import account_view
from actors.cli import actors_tables
from actors.runtime.cell import traced
from actors.runtime.envelope import CUT, shown
from actors.runtime.mailbox import Counters
from tests.factories import BTC, account, market, position

NOON = 1_795_262_400_123
"""2026-11-21 12:00:00.123 UTC."""


def as_seen(value):
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=str))


@pytest.fixture
def found():
    state = account("1000", (position(BTC, "0.5", "60000"),))
    prices = market({BTC: "60000"})
    snapshot = {
        "name": "acct-1", "kind": "AccountActor", "status": "RUNNING", "restarts": 2, "busy_with": None, "mailbox": [],
        "counters": as_seen(Counters(*[0] * len(Counters.__struct_fields__))),
        "trace": [as_seen(traced("hello", 1_000_000, 2_000, NOON))],
        "crashes": [{"wall_ms": NOON, "error": "ValueError: no", "message": "Wake()", "traceback": "line 1\nline 2"}],
    }  # fmt: skip
    answer = {"snapshot": snapshot, "state": as_seen(state), "triggers": [], "every_tick": [], "guard": None}
    return answer, as_seen(account_view(state, "RUNNING", 2, prices))


def printed(found, width=80, *, limits=False):
    out = io.StringIO()
    actors_tables.actor(*found, Console(file=out, width=width), limits=limits)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 130])
def test_standing_positions_mailbox_and_crash_come_first_and_limits_not_at_all(found, width):
    text = printed(found, width)
    lines = text.split("\n")
    assert lines[0] == "acct-1  account  ACTIVE, HEALTHY  actor RUNNING, restarts 2"
    order = [
        next(n for n, line in enumerate(lines) if word in line)
        for word in ("balance 1,000.00", "BTCUSDT", "no orders", "mailbox of acct-1: empty", "last crash", "triggers", "hello")
    ]  # fmt: skip
    assert order == sorted(order)
    assert order[4] < 14, "in the upper half of a small terminal"
    assert len(lines) < 40, text
    assert "max_leverage" not in text
    assert text.rstrip().endswith("line 2"), "the traceback is last"


def test_what_has_parts_of_its_own_is_counted_and_whole_in_json(found):
    found[0]["state"] |= {
        "holdings": [{"symbol": "ETHUSDT", "changes": [1, 2]}] * 3,
        "names": ["a", "b"],
        "risk": {"x": {"y": "1"}},
    }
    text = " ".join(printed(found).split())
    assert "holdings 3 in --json" in text
    assert 'names ["a","b"]' in text
    assert "risk x y 1" in text
    assert "{" not in text


def test_limits_are_shown_when_asked_for(found):
    text = printed(found, limits=True)
    assert "max_leverage" in text
    assert "max_positions" in text
    assert len([line for line in text.split("\n") if "max_leverage" in line]) == 1


def test_a_trace_has_the_time_of_the_day(found):
    out = io.StringIO()
    actors_tables.trace(found[0]["snapshot"]["trace"], Console(file=out, width=80))
    assert "2026-11-21, times in UTC" in out.getvalue()
    assert "12:00:00.122" in out.getvalue(), "when it arrived: a millisecond before it was recorded"


def test_a_text_that_is_cut_ends_after_a_word_and_says_so():
    assert shown("one two three", 13) == "'one two" + CUT
    assert shown("one two three", 15) == "'one two three'"
    assert shown(1234567890, 8) == "1234" + CUT


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0E-8", "0"),
        ("1E+3", "1000"),
        ("1.5E-7", "0.00000015"),
        ("BTC1E3", "BTC1E3"),
        ("1004.28104500", "1004.281045"),
        ("100", "100"),
        ("007", "007"),
    ],
)
def test_the_state_of_an_account_is_shown_without_exponents(value, text):
    assert actors_tables._as_text(value) == text
