"""docs/clearing.md: the numbers of its example are those of the code, and so are the constants that it names."""

from __future__ import annotations

import re
from decimal import Decimal as D
from pathlib import Path

import pytest

from actors.clearing import book, forming, rounds
from actors.clearing.allocation import allocate
from actors.core.enums import Side
from actors.core.trades import Trade
from actors.gateway import pacing, slots
from tests.factories import ETH

PAGE = (Path(__file__).parents[2] / "docs" / "clearing.md").read_text(encoding="utf-8")
SHARED = re.compile(
    r"^\| (\w) \| (\d+)[ lots]* \|.*\| (\d+) lots = \*\*([\d.]+)\*\* \| ([\d.]+) \| ([\d.]+) \|$",
    re.MULTILINE,
)
MEMBERS = {"a": D("0.500"), "b": D("0.300"), "c": D("0.100")}
TRADES = (("0.200", "2000.00"), ("0.100", "1999.00"))
FEE_RATE = D("0.0005")


def trade(number, quantity, price):
    return Trade(
        exchange_order_id=1, trade_id=number, symbol=ETH, side=Side.SELL, quantity=D(quantity), price=D(price),
        fee=D(quantity) * D(price) * FEE_RATE, maker=False, trade_ms=1,
    )  # fmt: skip


def test_the_example_is_what_the_code_gives():
    parts = allocate(MEMBERS, [trade(n, *one) for n, one in enumerate(TRADES)], D("0.001"))
    shown = SHARED.findall(PAGE)
    assert len(shown) == len(parts) == 3
    for (name, lacks, lots, quantity, value, fee), part in zip(shown, parts, strict=True):
        assert (name, D(lacks) / 1_000) == (part.client_order_id, MEMBERS[name])
        assert D(lots) / 1_000 == D(quantity) == part.quantity
        assert (D(value), D(fee)) == (part.value, part.fee)
    value, fee = sum(p.value for p in parts), sum(p.fee for p in parts)
    assert f"**{value}** | **{fee}**" in PAGE


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("until {} ms passed without another arrival", book.QUIET_MS),
        ("another arrival, {} ms at most", book.CROWD_MAX_MS),
        ("held {} ms longer for each order beyond those", book.MEMBER_MS),
        ("beyond those, {} ms at most", book.CROWD_MOST_MS),
        ("any crowd may be held for {} ms", book.CROWDED_MS),
        ("may be sent in the next {} ms", pacing.AHEAD_MS),
        ("trades are pooled for {} ms", rounds.ROUND_MS),
        ("1 ms longer for each {} of them", rounds.MEMBERS_A_MS),
        ("for each 10 of them, {} ms at most", rounds.ROUND_MOST_MS),
    ],
)
def test_times_in_milliseconds_are_those_of_the_code(text, milliseconds):
    assert text.format(milliseconds) in " ".join(PAGE.split())


def test_the_crowd_from_which_on_a_hold_grows_is_that_of_the_code():
    assert f"more than {book.CROWD_FEW} may be held" in " ".join(PAGE.split())
    assert book.QUIET_SHARE == 4, "the page says a quarter"


@pytest.mark.parametrize(
    ("sent", "text"),
    [(0, "groups that is {} ms"), (150, "{} ms after 150 orders at once"), (200, "{} ms after 200:")],
)
def test_how_far_apart_slots_should_be_is_what_the_code_says(sent, text):
    window = pacing.WindowNow(10_000, 300, 200, [0] * sent, 0)
    assert text.format(pacing.interval_ms(window, 10, 0)) in " ".join(PAGE.split())


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("has been unknown for {} s no longer", book.IN_FLIGHT_MAX_MS),
        ("decided more than {} s ago is given back", forming.STALE_MS),
        ("taken back after {} s", slots.SLOT_UNUSED_MS),
    ],
)
def test_times_in_seconds_are_those_of_the_code(text, milliseconds):
    assert text.format(milliseconds // 1_000) in " ".join(PAGE.split())
