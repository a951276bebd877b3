"""What an account holds and what it has paid: positions with their exact cost, and the sums of all money.

Written from the seeds and the rules in docs/risk.md. Nothing here is taken from ``actors.subaccount``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal as D
from fractions import Fraction

ZERO = D(0)
DIGITS = 12
HOUR_MS = 3_600_000


def rounded(value: Fraction) -> D:
    """A number of 12 digits after the point, half to even."""
    return D(round(value * 10**DIGITS)).scaleb(-DIGITS)


def share(total: D, part: D, whole: D) -> D:
    """``total`` x ``part`` / ``whole``; all of it when the part is the whole."""
    if part == whole:
        return total
    return rounded(Fraction(total) * Fraction(part) / Fraction(whole))


@dataclass
class Holding:
    """A position: signed quantity, what it cost (entry notional, > 0) and the margin that it takes."""

    symbol: str
    quantity: D = ZERO
    cost: D = ZERO
    margin: D = ZERO

    @property
    def sign(self) -> int:
        """+1 for a long, -1 for a short."""
        return 1 if self.quantity > 0 else -1

    @property
    def size(self) -> D:
        """How much is held, without sign."""
        return abs(self.quantity)

    @property
    def entry(self) -> D:
        """The average entry price, for people."""
        return rounded(Fraction(self.cost) / Fraction(self.size))

    def profit(self, mark: D) -> D:
        """What it would bring at ``mark``."""
        return self.sign * (self.size * mark - self.cost)


@dataclass
class Money:
    """All sums of one account; ``flows`` are the changes of each holding with their times."""

    balance: D
    deposits: D
    realized: D = ZERO
    fees: D = ZERO
    funding: D = ZERO
    bad_debt: D = ZERO
    holdings: dict[str, Holding] = field(default_factory=dict)
    flows: dict[str, list[tuple[int, D]]] = field(default_factory=dict)
    funded: dict[tuple[str, int], D] = field(default_factory=dict)

    def adds_up(self) -> bool:
        """Whether every unit of the balance has a source."""
        return self.balance == self.deposits + self.realized - self.fees + self.funding + self.bad_debt

    def trade(self, symbol: str, signed: D, price: D, fee: D, leverage: D, at_ms: int) -> D:
        """Book a trade; what is against the holding reduces first, the rest opens. Returns what was realized."""
        gain = ZERO
        held = self.holdings.get(symbol)
        left = signed
        if held is not None and held.sign * signed < 0:
            closing = min(held.size, abs(signed))
            gain = self._reduce(held, closing, price)
            left = signed + closing * (1 if signed < 0 else -1)
        if left != 0:
            held = self.holdings.setdefault(symbol, Holding(symbol))
            held.quantity += left
            held.cost += abs(left) * price
            held.margin += rounded(Fraction(abs(left) * price) / Fraction(leverage))
        self.balance += gain - fee
        self.realized += gain
        self.fees += fee
        self.flows.setdefault(symbol, []).append((at_ms, signed))
        return gain

    def _reduce(self, held: Holding, closing: D, price: D) -> D:
        cost = share(held.cost, closing, held.size)
        # Of the margin it is what stays that is rounded.
        held.margin = share(held.margin, held.size - closing, held.size)
        gain = held.sign * (closing * price - cost)
        held.quantity -= held.sign * closing
        held.cost -= cost
        if held.quantity == 0:
            del self.holdings[held.symbol]
        return gain

    def hand_over(self, symbol: str, price: D, fee: D, at_ms: int) -> None:
        """The house takes a whole holding at ``price``; no order."""
        self.trade(symbol, -self.holdings[symbol].quantity, price, fee, D(1), at_ms)

    def held_at(self, symbol: str, ms: int) -> D:
        """The signed quantity just before a time, by the times of the trades."""
        return sum((signed for at, signed in self.flows.get(symbol, []) if at < ms), ZERO)

    def fund(self, symbol: str, mark: D, rate: D, ms: int) -> bool:
        """Book one settlement of funding once: told again, only what was not known to be held before.

        Returns whether there was anything to book.
        """
        # The exchange names a settlement some milliseconds after the whole hour that it is of.
        held = self.held_at(symbol, ms - ms % HOUR_MS)
        quantity = held - self.funded.get((symbol, ms), ZERO)
        if quantity == 0:
            return False
        self.funded[symbol, ms] = held
        amount = -quantity * mark * rate
        self.balance += amount
        self.funding += amount
        return True

    def adjust(self, amount: D) -> None:
        """Money comes or goes."""
        self.balance += amount
        self.deposits += amount

    def forgive(self) -> D:
        """What is owed becomes the house's bad debt. Returns how much."""
        owed = -self.balance
        self.bad_debt += owed
        self.balance = ZERO
        return owed
