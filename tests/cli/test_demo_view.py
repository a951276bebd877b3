"""What the demo shows: never taller than the screen."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from actors.cli import demo_view


def stats(ratios):
    return {
        "account_stats": {"orders": 12_345, "fills": 12_000, "adl_steps": 1_234, "wakes": 99_999, "rejected": 7},
        "router": {"stats": {"ticks": 123_456}}, "writer": {"commits": 5_000}, "gateway": {"queued": 3_800},
        "phases": {"HEALTHY": 1_500, "LIQUIDATED": 200, "REDUCING": 20, "STUCK": 1, "WARNING": 79},
        "working_orders": 4_000, "restarts": 1, "alarms": 2, "accounts": 2_000, "uptime_s": 40.0, "margin_ratios": ratios,
    }  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 40), (130, 40), (80, 32), (80, 30)])
@pytest.mark.parametrize("notes", [0, 1, 5, 30])
def test_the_live_view_is_never_taller_than_the_screen(width, height, notes):
    full = dict.fromkeys(demo_view.RATIO_ORDER, 200)
    worst = [{"name": f"acct-{n}", "depth": 12_345} for n in range(1997, 2001)]
    happened = [f"{n:4d} s  acct-1999: FaultInjected, restarts 12, now RUNNING" for n in range(notes)]
    out = io.StringIO()
    view = demo_view.screen(stats(full), stats(full), 39.9, happened, worst, width=width, height=height)
    Console(file=out, width=width).print(view)
    lines = out.getvalue().rstrip("\n").split("\n")
    assert len(lines) < height
    assert {cell_len(line) for line in lines} == {width}
    for text in (
        *demo_view.RATIO_ORDER,
        "12,345",
        "ADL steps",
        "restarts",
        "deepest mailboxes: acct-1997 12345",
        *happened[-1:],
    ):
        assert text in out.getvalue()


@pytest.mark.parametrize(
    ("decided", "sent", "expected"),
    [
        (12_000, 12_000, "1,000 (12,000 for 12,000)"),
        (10_000, 264, "26 (264 for 10,000)"),
        (0, 0, "0 (0 for 0)"),
    ],
)
def test_orders_sent_per_thousand_decided(decided, sent, expected):
    counted = {"account_stats": {"orders": decided}, "gateway": {"sent": sent}}
    assert demo_view.sent_line(counted) == f"exchange orders sent per thousand decided {expected}"


def test_a_view_of_nothing_yet():
    out = io.StringIO()
    Console(file=out, width=80).print(demo_view.screen(stats({}), None, 0.0, [], [], width=80, height=24))
    assert "none" in out.getvalue()
    assert "all empty" in out.getvalue()
