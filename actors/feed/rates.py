"""Rates of past minutes for accounts that ask: each minute of a symbol is requested from the venue once. Pure."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from typing import ClassVar

from actors.core.fees import RATE_SPAN_MS
from actors.core.messages import AskRate, Lane, Message, RateKnown
from actors.core.units import ZERO, AccountId, Symbol

KNOWN_MAX = 10_000
"""Minutes that are remembered: a week of one symbol."""

Minute = tuple[Symbol, int]
"""A symbol and the Unix milliseconds at which a minute begins."""


class MinuteRate(Message, frozen=True, gc=False):
    """Venue to feed: the mean price of a symbol's minute, None if it could not be had.

    ``is_whole`` when the minute was over.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    begin_ms: int
    rate: Decimal | None
    is_whole: bool = True


class Rates:
    """Which accounts wait for which minute, and what is known already."""

    def __init__(self) -> None:
        self._known: OrderedDict[Minute, RateKnown] = OrderedDict()
        self._waiting: dict[Minute, dict[AccountId, None]] = {}

    @property
    def waiting(self) -> int:
        """Minutes that the venue was asked for and has not answered."""
        return len(self._waiting)

    def want(self, message: AskRate) -> RateKnown | Minute | None:
        """An account asks: the answer, or the minute to ask the venue for; None if that is under way."""
        minute = (message.symbol, message.at_ms - message.at_ms % RATE_SPAN_MS)
        known = self._known.get(minute)
        if known is not None:
            return known
        waiting = self._waiting.get(minute)
        if waiting is not None:
            waiting[message.account_id] = None
            return None
        self._waiting[minute] = {message.account_id: None}
        return minute

    def answered(self, found: MinuteRate) -> tuple[RateKnown | None, list[AccountId]]:
        """The venue answered: the answer, and who waits for it.

        A failure is not passed on: the accounts ask again. A minute that is not over is passed on and not kept.
        """
        asked = list(self._waiting.pop((found.symbol, found.begin_ms), ()))
        if found.rate is None or not found.rate.is_finite() or found.rate <= ZERO:
            return None, []
        cause = f"rate:{found.symbol}:{found.begin_ms}"
        known = RateKnown(found.symbol, found.begin_ms, found.begin_ms + RATE_SPAN_MS, found.rate, cause)
        if found.is_whole:
            self._known[found.symbol, found.begin_ms] = known
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        return known, asked
