"""Where the depth model's numbers come from: measured on recorded L1, where the recordings lie beside the checkout."""

from __future__ import annotations

import csv
import gzip
import itertools
from bisect import bisect_right
from functools import cache
from math import log, sqrt
from pathlib import Path
from typing import NamedTuple

import pytest

from actors.venues.paper.depth import DENSITY, FIRST_LEVEL, REFILL_MS
from actors.venues.paper.instruments import LISTINGS

FOLDER = Path(__file__).parents[4] / "shared" / "data"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the recorded L1 is not beside this checkout")


class Update(NamedTuple):
    """Price and quantity of one side's touch from a time (ms) on."""

    at: int
    price: float
    quantity: float


class Side(NamedTuple):
    """One side of a recording; ``away`` is the sign of a price that moves away from the other side."""

    updates: list[Update]
    away: int


@cache
def sides(symbol: str) -> tuple[Side, Side]:
    with gzip.open(FOLDER / f"{symbol}-bookTicker-2024-08-09.csv.gz", "rt") as lines:
        rows = list(csv.DictReader(lines))

    def side(name: str, away: int) -> Side:
        return Side(
            [
                Update(
                    int(r["transaction_time"]),
                    float(r[f"best_{name}_price"]),
                    float(r[f"best_{name}_qty"]),
                )
                for r in rows
            ],
            away,
        )

    return side("bid", -1), side("ask", 1)


def mean_quantity(side: Side, cap: float = 1e18) -> float:
    """Mean over time of the quantity at the touch, of which at most ``cap`` counts."""
    updates = side.updates
    weighted = sum(min(cap, a.quantity) * (b.at - a.at) for a, b in itertools.pairwise(updates))
    return weighted / (updates[-1].at - updates[0].at)


def losses_of_the_touch(side: Side) -> list[tuple[Update, Update]]:
    """Each time when the touch was taken away: the last update of the old touch, the first of the next level."""
    pairs = zip(side.updates, side.updates[1:], strict=False)
    return [(a, b) for a, b in pairs if (b.price - a.price) * side.away > 0]


def level_behind(symbol: str) -> tuple[float, float]:
    """Mean distance of the next level in basis points, and its mean quantity in normal quantities."""
    both = sides(symbol)
    normal = sum(map(mean_quantity, both)) / 2
    lost = [(a, b) for side in both for a, b in losses_of_the_touch(side)]
    distance = sum(abs(b.price / a.price - 1) * 1e4 for a, b in lost) / len(lost)
    return distance, sum(b.quantity / normal for _, b in lost) / len(lost)


def refill_ms(symbol: str, after_ms: int) -> float:
    """Time constant with which the new touch grows to the normal quantity, from what it has after a time.

    Each sample counts at most the normal quantity: a wall that was there before was not refilled.
    """
    both = sides(symbol)
    normal = sum(map(mean_quantity, both)) / 2
    usual = sum(mean_quantity(side, cap=normal) for side in both) / 2
    first, later = [], []
    for side in both:
        times = [u.at for u in side.updates]
        for _, lost in losses_of_the_touch(side):
            if lost.at + after_ms < times[-1]:
                first.append(min(normal, lost.quantity))
                later.append(min(normal, side.updates[bisect_right(times, lost.at + after_ms) - 1].quantity))
    missing = [usual - sum(found) / len(found) for found in (first, later)]
    return -after_ms / log(missing[1] / missing[0])


def test_the_first_level_is_as_far_away_as_recorded():
    for symbol in SYMBOLS:
        assert level_behind(symbol)[0] == pytest.approx(float(FIRST_LEVEL), rel=0.1)


def test_the_density_is_on_the_thin_side_of_what_was_recorded():
    densities = [quantity / distance for distance, quantity in map(level_behind, SYMBOLS)]
    assert densities == pytest.approx([1.42, 0.37], rel=0.02)
    assert min(densities) < float(DENSITY) < sqrt(densities[0] * densities[1])


def test_the_refill_is_as_fast_as_recorded():
    for symbol in SYMBOLS:
        fast, middle, slow = (refill_ms(symbol, after) for after in (200, 400, 800))
        assert 200 < fast < middle < 0.98 * REFILL_MS < slow < 460


def test_the_listings_show_at_the_touch_what_was_recorded():
    for symbol in SYMBOLS:
        listing = LISTINGS[symbol]
        normal = sum(map(mean_quantity, sides(symbol))) / 2
        assert 0.5 < float(listing.best_size) / normal < 2.5
