"""Generated quotes from a seed: jump diffusion with a common factor, spreads and sizes. No clock.

Each step draws a Gaussian return (half of its variance is common to all symbols) and, rarely, a jump.
The walk uses floats; published prices are Decimal, rounded to the symbol's tick.

I/O: random numbers from a seed.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from math import exp, sqrt
from random import Random

import msgspec

from actors.core.instruments import Instrument
from actors.core.units import Symbol, round_to
from actors.venues.paper.instruments import Listing

SECONDS_PER_YEAR = 365 * 86_400
JUMPS_PER_DAY = 24.0
JUMP_SIZE = 0.004
COMMON_SHARE = 0.5


class Quote(msgspec.Struct, frozen=True):
    """Best bid and ask with quantities in the base asset (L1)."""

    symbol: Symbol
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal


class _Walk:
    __slots__ = ("drift_left", "drift_per_step", "listing", "price")

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.price = float(listing.start_price)
        self.drift_left = 0
        self.drift_per_step = 0.0


class Generator:
    """Price generator: one quote per call, per symbol.

    Args:
        listings: the symbols.
        random: source of all random numbers.
        steps_per_second: quotes per symbol and second of market time.
    """

    def __init__(self, listings: list[Listing], random: Random, steps_per_second: float) -> None:
        self._random = random
        self._rate = steps_per_second
        self._walks = {listing.instrument.symbol: _Walk(listing) for listing in listings}
        self._common = 0.0

    def add(self, listing: Listing) -> None:
        """Add a symbol, or update the listing of a known one; its price continues."""
        symbol = listing.instrument.symbol
        if symbol in self._walks:
            self._walks[symbol].listing = listing
        else:
            self._walks[symbol] = _Walk(listing)

    def shock(self, symbol: Symbol | None, fraction: float, seconds: float) -> None:
        """Move the price of one symbol, or of all, by ``fraction`` over ``seconds``, in addition to the noise.

        Raises:
            KeyError: an unknown symbol.
        """
        steps = max(1, int(seconds * self._rate))
        for walk in [self._walks[symbol]] if symbol else self._walks.values():
            walk.drift_left = steps
            walk.drift_per_step = (1.0 + fraction) ** (1.0 / steps) - 1.0

    def next(self, symbol: Symbol) -> Quote:
        """The next quote of a symbol."""
        walk, random = self._walks[symbol], self._random
        sigma = walk.listing.volatility / sqrt(SECONDS_PER_YEAR * self._rate)
        self._common = random.gauss(0.0, 1.0) if random.random() < 1 / len(self._walks) else self._common
        shared = sqrt(COMMON_SHARE) * self._common
        step = sigma * (shared + sqrt(1 - COMMON_SHARE) * random.gauss(0.0, 1.0))
        if random.random() < JUMPS_PER_DAY / (86_400 * self._rate):
            step += random.gauss(0.0, JUMP_SIZE)
        if walk.drift_left:
            walk.drift_left -= 1
            walk.price *= 1.0 + walk.drift_per_step
        walk.price *= exp(step)
        return self._quote(walk)

    def _quote(self, walk: _Walk) -> Quote:
        instrument, random = walk.listing.instrument, self._random
        tick = instrument.tick_size
        bid = max(tick, round_to(Decimal(repr(walk.price)), tick, ROUND_DOWN))
        ask = bid + tick * (1 if random.random() < 0.9 else random.randint(2, 5))  # noqa: PLR2004
        return Quote(
            instrument.symbol,
            bid,
            self._size(walk.listing, instrument),
            ask,
            self._size(walk.listing, instrument),
        )

    def _size(self, listing: Listing, instrument: Instrument) -> Decimal:
        size = listing.best_size * Decimal(repr(round(self._random.lognormvariate(0.0, 0.8), 3)))
        return max(instrument.step_size, instrument.floor_qty(size))
