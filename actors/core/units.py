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
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NewType

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


def round_to(value: Decimal, increment: Decimal, rounding: str) -> Decimal:
    """Round ``value`` to a multiple of ``increment`` (> 0) the way ``rounding`` says."""
    steps = (value / increment).to_integral_value(rounding=rounding)
    return steps * increment


def quantize_price(price: Decimal) -> Decimal:
    """Round an average price to ``ENTRY_QUANTUM``, half to even."""
    return price.quantize(ENTRY_QUANTUM, rounding=ROUND_HALF_EVEN)


TEXT_MAX = 200
"""Characters of a number from outside, with all the zeros that may stand before it."""

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
        # Python takes 1_000, blanks around a number and the digits of every script; JSON and the exchange do not.
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
