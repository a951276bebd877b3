"""What was agreed with an account, and what its positions are worth under it. Exact: no division decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal as D

from actors.core.instruments import Instrument
from tests.model.money import ZERO, Holding

WARNING_BELOW = D("0.10")
"""The warning line lies this far below the first tier."""

WARNING_ENDS = D("0.02")
"""A warning is over this far below its line."""

SEED_TIERS = ((D("0.90"), D("0.30")), (D("0.925"), D("0.50")), (D("0.95"), D(1)))


@dataclass(frozen=True)
class Quote:
    """Best bid and ask, and when they came (ns)."""

    bid: D
    ask: D
    at_ns: int

    @property
    def mid(self) -> D:
        """Between them."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True)
class Terms:
    """Limits, margin and deleveraging of one account. ``all_below`` of None: off."""

    rate: D = D("0.005")
    mode: str = "ADL_30"
    basis: str = "entry"
    mark_source: str = "mid"
    tiers: tuple[tuple[D, D], ...] = SEED_TIERS
    max_leverage: D = D(100)
    max_notional: D = D(10**9)
    max_exposure: D = D(10**9)
    usage: D = D("0.98")
    taker_fee: D = D("0.0005")
    losers_first: bool = False
    cooldown_s: int = 0
    all_below: D | None = None
    max_age_ns: int = 10 * 10**9
    rules: dict[str, Instrument] = field(default_factory=dict)

    @property
    def first_tier(self) -> D:
        """Where deleveraging begins."""
        return self.tiers[0][0]

    @property
    def line(self) -> D:
        """Where the warning begins."""
        return self.first_tier - WARNING_BELOW

    def mark(self, sign: int, quote: Quote) -> D:
        """What values a long (+1) or a short (-1)."""
        if self.mark_source == "mid":
            return quote.mid
        return quote.bid if sign > 0 else quote.ask

    def maintenance(self, symbol: str, cost: D, worth: D) -> D:
        """Maintenance margin of one symbol: ``cost`` is its entry notional, ``worth`` that at the mark."""
        if self.basis == "entry":
            return cost * self.rate
        if self.basis == "mark":
            return worth * self.rate
        bracket = self.bracket(symbol, worth)
        return worth * bracket.rate - bracket.cumulative

    def bracket(self, symbol: str, worth: D):
        """The exchange's bracket of a notional; the last one also holds what is above it."""
        brackets = self.rules[symbol].brackets
        for bracket in brackets:
            if worth < bracket.notional_cap:
                return bracket
        return brackets[-1]

    def size_of(self, held: Holding, mark: D) -> D:
        """What "largest" is counted on: the same that maintenance is."""
        return held.cost if self.basis == "entry" else held.size * mark


@dataclass(frozen=True)
class Worth:
    """An account at some marks: equity, maintenance margin, and what all positions are worth."""

    equity: D
    maintenance: D
    notional: D

    def reaches(self, ratio: D) -> bool:
        """Whether maintenance / equity >= ``ratio``; an account without equity reaches everything."""
        if self.equity <= 0:
            return self.maintenance > 0
        return self.maintenance >= ratio * self.equity

    @property
    def is_insolvent(self) -> bool:
        """Nothing is left for the owner, or less than what must be held."""
        return self.equity <= 0 or self.reaches(D(1))


def worth_of(terms: Terms, balance: D, holdings: dict[str, Holding], marks: dict[str, D]) -> Worth:
    """The account at ``marks``."""
    equity, maintenance, notional = balance, ZERO, ZERO
    for symbol, held in holdings.items():
        value = held.size * marks[symbol]
        equity += held.profit(marks[symbol])
        maintenance += terms.maintenance(symbol, held.cost, value)
        notional += value
    return Worth(equity, maintenance, notional)
