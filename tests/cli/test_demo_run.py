"""The demo's own decisions; tests/e2e/test_terminal_demo.py runs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from actors.cli import demo_run
from actors.cli.demo import Limits

ACCEPTED = {"type": "Accepted", "client_order_id": "bh-0-1"}


def rejected(*codes):
    return {"type": "Rejected", "rejections": [{"code": code, "text": ""} for code in codes]}


class Engine:
    """Answers each batch of orders with the next of its answers."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def post(self, _, orders):
        self.asked.append([order["account_id"] for order in orders])
        return self.answers.pop(0)


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch):
    monkeypatch.setattr(demo_run.time, "sleep", lambda _: None)


ORDERS = [{"account_id": name} for name in ("a", "b", "c")]


def test_orders_that_came_before_the_market_are_placed_again():
    """With few accounts the orders may be there before the first price of their symbol."""
    early, late = rejected("NO_PRICE"), rejected("INSUFFICIENT_MARGIN")
    engine = Engine([early, ACCEPTED, rejected("REDUCE_ONLY_MODE", "STALE_PRICE")], [early, late], [ACCEPTED])
    assert demo_run._place_all(engine, ORDERS) == [late]
    assert engine.asked == [["a", "b", "c"], ["a", "c"], ["a"]]


def test_that_ends_when_the_market_never_comes(monkeypatch):
    times = iter([0.0, 1.0, 1e9])
    monkeypatch.setattr(demo_run.time, "monotonic", lambda: next(times))
    early = rejected("NO_PRICE")
    engine = Engine([early], [early])
    assert demo_run._place_all(engine, ORDERS[:1]) == [early]
    assert engine.asked == [["a"], ["a"]]


@pytest.mark.parametrize(
    ("answer", "early"),
    [
        (ACCEPTED, False),
        (rejected("NO_PRICE"), True),
        (rejected("NO_PRICE", "MIN_NOTIONAL"), False),
        (rejected(), False),
    ],
)
def test_only_what_is_accepted_soon_after_is_early(answer, early):
    assert demo_run.too_early(answer) is early


@pytest.mark.parametrize(
    ("opened", "refused", "expected"),
    [
        (2_000, 0, "2,000 positions opened in 3.2 s, 0 orders refused"),
        (1_990, 10, "1,990 positions opened in 3.2 s, 10 orders refused"),
        (600, 10, "600 positions opened in 3.2 s, 10 orders refused, 1,390 not filled"),
    ],
)
def test_only_positions_that_are_there_count_as_opened(opened, refused, expected):
    assert demo_run.opened_line(2_000, opened, refused, 3.21) == expected


@pytest.mark.parametrize("limits", get_args(Limits))
def test_the_exchange_is_started_with_the_limits_that_were_asked_for(limits, monkeypatch, capsys):
    started = []

    class Processes:
        def start(self, *arguments):
            started.append(arguments)

    line = '{"rest": "http://x", "websocket": "ws://x"}'
    monkeypatch.setattr(demo_run, "_first_line", lambda _child, _what: line)
    demo_run._start_exchange(Processes(), limits, Console(width=200))
    [arguments] = started
    assert arguments[arguments.index("--limits") + 1] == limits
    assert demo_run.LIMITS_TEXT[limits] in capsys.readouterr().out


@pytest.mark.parametrize("known", [True, False])
def test_what_it_says_to_type_can_be_typed_where_it_was_started(known, monkeypatch, capsys):
    """After 'make demo' no shell finds a bare 'bulkhead'."""
    monkeypatch.setattr(demo_run.shutil, "which", lambda name: f"/usr/bin/{name}" if known else None)
    monkeypatch.setattr(demo_run.time, "sleep", _enough)
    demo_run._keep("acct-42", Console(width=400))
    lines = [line.strip() for line in capsys.readouterr().out.split("\n") if " --data-dir " in line]
    program = lines[0].partition(" accounts ")[0]
    assert (
        program == "bulkhead"
        if known
        else Path(program).resolve() == Path(sys.prefix, "bin", "bulkhead").resolve()
    )
    assert len(lines) == 6


def _enough(_seconds):
    raise KeyboardInterrupt
