"""The order book behind L1: what an order finds level by level, what it takes, and how that comes back. Pure.

L1 comes from the generator or a recording: it is the rest of the market. This file says what stands behind it, and what
the master's own orders have taken out of it and was not refilled yet. Each side has the touch, with the quantity that L1
says, and ``LEVELS`` levels behind it. What an order takes is missing from its level and comes back exponentially, towards
the level's normal quantity and never above it: ``missing(t) = missing(0) * exp(-t / REFILL_MS)``, in steps of
``REFILL_STEP_MS`` of the exchange's clock. So a large order pays for its size, and so do small ones that follow one
another faster than the book refills. What an order finds no level for expires. It is the order book of Obizhaeva and
Wang, "Optimal trading strategy and supply/demand dynamics" (Journal of Financial Markets 16, 2013), level by level: a
constant density behind the touch, and exponential resilience.

The model's numbers were measured on 344 s of Binance USD-M L1 (BTCUSDT and ETHUSDT, 2024-08-09, 120,081 updates; the
measurement is ``tests/venues/paper/test_depth_sizing.py``). They are shares of the price and multiples of the symbol's
own normal quantity at the touch, so they serve every symbol:

- The normal quantity of a symbol is the running mean of what L1 shows. (Recorded: 231,000 USDT for BTC, 54,000 USDT for
  ETH; the spread is one tick 99 % of the time.)
- When the touch is taken away, the next level stands 0.30 and 0.27 basis points behind it on the mean
  (``FIRST_LEVEL``), and holds 0.42 and 0.10 of the normal quantity: 1.4 and 0.37 normal quantities for each basis point,
  whose geometric mean is 0.72. ``DENSITY`` is 0.5, on the thin side. L1 cannot show what stands farther away, so the
  density stays the same there; real books get denser, so large orders pay rather too much here than too little.
- The new touch holds 0.15 of the normal quantity at first, 0.65 after 200 ms, 0.78 after 400 ms and 0.87 after 800 ms.
  That is a time constant of 230 ms at the beginning and of 430 ms over 800 ms. ``REFILL_MS`` is 400.

What our orders take does not move the price of the generator or recording (no permanent impact), but L1 shows the best
level that is left. What is missing stays at its distance from the touch when the price moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_UP, Decimal
from functools import cache
from itertools import groupby, islice
from typing import NamedTuple

import msgspec

from actors.core.enums import Side
from actors.core.instruments import Instrument
from actors.core.units import ZERO, Symbol
from actors.venues.paper.generator import Quote

FIRST_LEVEL = Decimal("0.28")
"""Distance of the first level from the touch, in basis points."""

GROWTH = Decimal("1.15")
"""Each level is so many times as far from the one before as that is from its own predecessor."""

LEVELS = 40
"""Levels behind the touch. The last one is 498 basis points away, about as far as Binance lets a market order go."""

DENSITY = Decimal("0.5")
"""Quantity behind the touch, in normal quantities of the touch for each basis point."""

REFILL_MS = 400
"""Time constant of the refill, in milliseconds: after so long 63 % of what was taken is back."""

REFILL_STEP_MS = 50
"""The refill comes in steps, as the orders of others come in lots: otherwise every level of a book that was just emptied
would have a little of it, and each order that follows would be dozens of tiny trades."""

FULL_AFTER_MS = 20 * REFILL_MS
"""From then on nothing counts as missing: exp(-20) of it is below one step of any order."""

SAMPLE_MS = 100
SAMPLES = 50
"""The normal quantity is a mean of about so many samples, at least ``SAMPLE_MS`` apart."""

BASIS_POINT = Decimal("0.0001")


class Level(NamedTuple):
    """A price, and what can be traded at it. ``parts`` are the numbers and quantities of the levels at this price."""

    price: Decimal
    quantity: Decimal
    parts: tuple[tuple[int, Decimal], ...] = ()


def _touch(quote: Quote, side: Side) -> tuple[Decimal, Decimal]:
    """Price and quantity that L1 has for an order of this side."""
    return (quote.ask, quote.ask_qty) if side is Side.BUY else (quote.bid, quote.bid_qty)


def _model_shape() -> tuple[tuple[Decimal, Decimal], ...]:
    """Distance from the touch as a share of the price, and quantity in normal quantities, of each level behind it."""
    shape, distance, step = [], ZERO, FIRST_LEVEL
    for _ in range(LEVELS):
        distance += step
        shape.append((distance * BASIS_POINT, DENSITY * step))
        step = (step * GROWTH).quantize(Decimal("0.0001"))
    return tuple(shape)


SHAPE = _model_shape()


@cache
def _share_missing(passed_ms: int) -> Decimal:
    """What share of what was taken is still missing after so many milliseconds."""
    return (Decimal(-passed_ms) / REFILL_MS).exp().quantize(Decimal("1e-12"))


class _Missing(msgspec.Struct, frozen=True, gc=False):
    """What was missing from a level at a time."""

    quantity: Decimal
    at_ms: int

    def left_at(self, now_ms: int) -> Decimal:
        """What is still missing. A clock that goes back refills nothing."""
        passed = (now_ms // REFILL_STEP_MS - self.at_ms // REFILL_STEP_MS) * REFILL_STEP_MS
        if passed <= 0:
            return self.quantity
        if passed >= FULL_AFTER_MS:
            return ZERO
        return self.quantity * _share_missing(passed)


class _Normal(msgspec.Struct, gc=False):
    """Running mean of the quantities at the touch."""

    quantity: Decimal
    samples: int
    next_ms: int


class DepthModel:
    """The order books of all symbols. ``side`` is that of the order that takes: a buy finds asks.

    Args:
        instruments: trading rules; may change later.
    """

    def __init__(self, instruments: Mapping[Symbol, Instrument]) -> None:
        self._instruments = instruments
        self._normal: dict[Symbol, _Normal] = {}
        self._missing: dict[tuple[Symbol, Side], dict[int, _Missing]] = {}
        """Level number to what is missing from it; 0 is the touch."""

    def on_quote(self, quote: Quote, now_ms: int) -> None:
        """Take a sample of the touch, and forget what is refilled."""
        normal = self._normal.get(quote.symbol)
        if normal is None:
            mean = (quote.bid_qty + quote.ask_qty) / 2
            self._normal[quote.symbol] = _Normal(mean, 1, now_ms + SAMPLE_MS)
        elif now_ms >= normal.next_ms:
            normal.samples = min(normal.samples + 1, SAMPLES)
            normal.quantity += ((quote.bid_qty + quote.ask_qty) / 2 - normal.quantity) / normal.samples
            normal.next_ms = now_ms + SAMPLE_MS
        for side in (Side.BUY, Side.SELL):
            missing = self._missing.get((quote.symbol, side))
            if missing and all(m.left_at(now_ms) == ZERO for m in missing.values()):
                del self._missing[quote.symbol, side]

    def levels(self, quote: Quote, side: Side, now_ms: int) -> Iterator[Level]:
        """What an order finds now, best price first, without empty levels. Changes nothing.

        Levels whose prices are the same tick are one.
        """
        instrument = self._instruments[quote.symbol]
        missing = self._missing.get((quote.symbol, side), {})
        for price, numbered in groupby(self._normal_levels(quote, side), key=lambda found: found[0]):
            parts = []
            for _, number, quantity in numbered:
                gone = missing.get(number)
                left = quantity if gone is None else instrument.floor_qty(quantity - gone.left_at(now_ms))
                if left > ZERO:
                    parts.append((number, left))
            if parts:
                yield Level(price, sum((q for _, q in parts), ZERO), tuple(parts))

    def take(self, symbol: Symbol, side: Side, level: Level, quantity: Decimal, now_ms: int) -> None:
        """Take a quantity out of a level that ``levels`` has just shown, the nearest part first.

        Raises:
            ValueError: there is not so much.
        """
        if quantity > level.quantity:
            raise ValueError(f"{quantity} of {symbol} at {level.price}: the level has {level.quantity}")
        if quantity <= ZERO:
            return
        missing = self._missing.setdefault((symbol, side), {})
        for number, available in level.parts:
            taken = min(quantity, available)
            if taken <= ZERO:
                break
            before = missing.get(number)
            gone = taken if before is None else before.left_at(now_ms) + taken
            missing[number] = _Missing(gone, now_ms)
            quantity -= taken

    def shown(self, quote: Quote, now_ms: int) -> Quote:
        """L1 as it is left: the best level of each side; ``quote`` itself when nothing is missing. Changes nothing."""
        if not any((quote.symbol, side) in self._missing for side in Side):
            return quote
        bid = self._best(quote, Side.SELL, now_ms)
        ask = self._best(quote, Side.BUY, now_ms)
        return Quote(quote.symbol, bid.price, bid.quantity, ask.price, ask.quantity)

    def _best(self, quote: Quote, side: Side, now_ms: int) -> Level:
        """The best level; of an empty side the last one, with no quantity."""
        found = next(self.levels(quote, side, now_ms), None)
        if found is not None:
            return found
        *_, (price, _, _) = self._normal_levels(quote, side)
        return Level(price, ZERO)

    def _normal_levels(self, quote: Quote, side: Side) -> Iterator[tuple[Decimal, int, Decimal]]:
        """Price, number and normal quantity of each level."""
        price, quantity = _touch(quote, side)
        yield price, 0, quantity
        instrument, normal = self._instruments[quote.symbol], self._normal.get(quote.symbol)
        mean = quantity if normal is None else normal.quantity
        tick = instrument.tick_size
        for number, (distance, share) in enumerate(SHAPE, 1):
            ticks = (price * distance / tick).to_integral_value(ROUND_UP)
            at = price + tick * ticks * side.sign
            if at <= ZERO:
                return
            yield at, number, max(instrument.step_size, instrument.floor_qty(mean * share))


def top(
    depth: DepthModel, quote: Quote, levels: int, now_ms: int
) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
    """Bids and asks as (price, quantity), best first, at most ``levels`` of each."""
    bids, asks = (
        [(level.price, level.quantity) for level in islice(depth.levels(quote, side, now_ms), levels)]
        for side in (Side.SELL, Side.BUY)
    )
    return bids, asks


def quantity_up_to(depth: DepthModel, quote: Quote, side: Side, limit: Decimal, now_ms: int) -> Decimal:
    """What an order can trade at its limit price or better."""
    total = ZERO
    for level in depth.levels(quote, side, now_ms):
        if (level.price - limit) * side.sign > ZERO:
            break
        total += level.quantity
    return total
