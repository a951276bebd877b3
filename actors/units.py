"""Numbers and names that every actor shares. Imports nothing of ours.

Rules
1. Money, prices and quantities are ``Decimal``; a float is refused at every door.
2. Arithmetic runs at 50 significant digits, so a product of a price and a quantity is
   exact; only divisions round, and they say so (``quantize_price``).
3. Symbols are the exchange's own (``BTCUSDT``); the platform's ``BTC/USDT:USDT`` exists
   only at the database edge.
"""

from __future__ import annotations

import decimal
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal
from enum import StrEnum
from typing import NewType

import msgspec

AccountId = NewType("AccountId", str)
Symbol = NewType("Symbol", str)
ClientOrderId = NewType("ClientOrderId", str)
Nanos = NewType("Nanos", int)

DECIMAL_DIGITS = 50
"""A 12+12 digit price times a 10+8 digit quantity needs 42; sums of a million need 6 more."""

# DefaultContext is what each new thread copies; the current thread has its context already.
decimal.DefaultContext.prec = DECIMAL_DIGITS
decimal.setcontext(decimal.DefaultContext.copy())

ZERO = Decimal(0)
ONE = Decimal(1)

ENTRY_QUANTUM = Decimal("1e-12")
"""What a division gives is rounded to this: shares of cost, margin and fees, and the average entry that is shown."""

NANOS_PER_MS = 1_000_000
NANOS_PER_SECOND = 1_000_000_000


class Side(StrEnum):
    """Side of an order or a fill, in the exchange's spelling."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Order types that an account may send."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


class TimeInForce(StrEnum):
    """How long a LIMIT order lives."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


TRADING = "TRADING"
"""The status of a symbol that trades."""

NOT_CONFIGURED = "NOT_CONFIGURED"
"""Ours: a symbol that trades, but that the settings leave out; somebody still holds a position in it."""


class Bracket(msgspec.Struct, frozen=True, kw_only=True):
    """One leverage bracket: notionals at the mark from ``notional_floor`` to below ``notional_cap``.

    Maintenance margin there is notional x ``rate`` - ``cumulative``, which makes it continuous. A position
    there may have a leverage of ``max_leverage`` at most; 0 when nobody said.
    """

    notional_floor: Decimal
    notional_cap: Decimal
    rate: Decimal
    cumulative: Decimal
    max_leverage: int = 0


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol's trading rules, as the exchange's ``exchangeInfo`` gives them.

    ``tick_size`` and ``step_size`` are the price and quantity increments; ``min_notional``
    is in the quote asset and is not asked of reduce-only orders (Binance USD-M rule). ``brackets``
    are its leverage brackets, lowest first; empty when the exchange did not say. ``status`` is the
    exchange's; only a TRADING symbol takes new risk. ``callback_min`` and ``callback_max`` bound a trailing
    stop's callback rate, as a fraction; each venue says its own.
    """

    symbol: Symbol
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_max_qty: Decimal
    min_notional: Decimal
    brackets: tuple[Bracket, ...] = ()
    status: str = TRADING
    callback_min: Decimal = Decimal("0.001")
    callback_max: Decimal = Decimal("0.2")

    @property
    def is_trading(self) -> bool:
        """Whether orders that open something are taken."""
        return self.status == TRADING

    def floor_qty(self, quantity: Decimal) -> Decimal:
        """Round a quantity down to the step."""
        return round_to(quantity, self.step_size, ROUND_DOWN)

    def ceil_qty(self, quantity: Decimal) -> Decimal:
        """Round a quantity up to the step."""
        return round_to(quantity, self.step_size, ROUND_UP)

    def is_on_step(self, quantity: Decimal) -> bool:
        """Whether the quantity is a whole number of steps."""
        return quantity % self.step_size == 0

    def is_on_tick(self, price: Decimal) -> bool:
        """Whether the price is a whole number of ticks."""
        return price % self.tick_size == 0


def round_to(value: Decimal, increment: Decimal, rounding: str) -> Decimal:
    """Round ``value`` to a multiple of ``increment`` (> 0) the way ``rounding`` says."""
    steps = (value / increment).to_integral_value(rounding=rounding)
    return steps * increment


def quantize_price(price: Decimal) -> Decimal:
    """Round an average price to ``ENTRY_QUANTUM``, half to even."""
    return price.quantize(ENTRY_QUANTUM, rounding=ROUND_HALF_EVEN)


TEXT_MAX = 200
"""Characters of a number from outside, with all the zeros that somebody may put before it."""

SHOWN_MAX = 80
"""Characters of a bad number that an error repeats."""

DIGITS_MAX = 18
"""Digits before or after the point of a number from outside; what has more is no price, quantity or money."""


def is_sane(value: Decimal) -> bool:
    """Whether arithmetic with a number stays exact: finite, and of at most ``DIGITS_MAX`` digits either side."""
    if not value.is_finite():
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -DIGITS_MAX and value.adjusted() < DIGITS_MAX


def parse_decimal(text: object, name: str) -> Decimal:
    """Read a finite decimal from text or an integer.

    Raises:
        ValueError: naming ``name`` and the value, for floats, NaN, infinities and non-numbers.
    """
    if isinstance(text, Decimal):
        value = text
    elif isinstance(text, bool) or not isinstance(text, (str, int)):
        raise ValueError(f'{name}: {text!r} is not a decimal number; write it as text, for example "0.01"')
    else:
        if isinstance(text, str) and len(text) > TEXT_MAX:
            raise ValueError(f"{name}: {_shown(text)} is too long for a number")
        try:
            value = Decimal(text)
        except (decimal.InvalidOperation, ValueError):
            raise ValueError(f"{name}: {_shown(text)} is not a decimal number, for example 0.01") from None
        # Python takes 1_000, blanks around a number and the digits of every script; nobody else does.
        if isinstance(text, str) and (not text.isascii() or "_" in text or text != text.strip()):
            raise ValueError(
                f"{name}: {_shown(text)} is not a decimal number in plain digits, for example 0.01"
            )
    if not value.is_finite():
        raise ValueError(f"{name}: {_shown(text)} is not a finite number")
    if not is_sane(value):
        raise ValueError(
            f"{name}: {_shown(text)} has more than {DIGITS_MAX} digits before or after the point"
        )
    return value


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}... ({len(text):,} characters)"


def plain(value: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros (``0`` for zero)."""
    if value == 0:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
