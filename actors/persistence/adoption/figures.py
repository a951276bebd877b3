"""Rows of the platform's as texts, and what is read of them: numbers, symbols, times. Pure.

Money there is ``double precision`` or numeric. Postgres writes a double as the shortest decimal that is that double, and
that decimal is what counts here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from actors.core.instruments import Instrument
from actors.core.units import DIGITS_MAX, ZERO, Symbol, parse_decimal, plain
from actors.persistence.projection.spelling import QUOTE_ASSETS, platform_symbol

STEP_NOISE = Decimal("1e-14")
"""Part of a quantity by which a double may miss a multiple of the step: some of its last digits. More is another quantity."""

EQUAL_WITHIN = Decimal("1e-8")
"""Part of a figure by which two of the platform's may differ that should be one: it adds and multiplies doubles."""

EPOCH_MS_FROM = 10**11
"""A time of digits alone is Unix milliseconds; fewer than these are no time that the platform could have written."""


class PositionRow(NamedTuple):
    """An OPEN row of ``virtual_positions``, as text."""

    position_id: str
    account_id: str
    symbol: str
    side: str
    entry_price: str
    quantity: str
    notional: str
    leverage: str
    margin: str
    opened_at: str


class PendingRow(NamedTuple):
    """A PENDING row of ``pending_orders``, as text; without an id of the exchange it may not have got there."""

    order_id: str
    account_id: str
    symbol: str
    side: str
    quantity: str
    price: str
    exchange_order_id: str | None


class AccountRow(NamedTuple):
    """A row of ``sub_accounts``, as text, with the platform's rule for it, and how many orders it has PENDING.

    ``bots`` are the switches in ``bot_configs`` that are on for it.
    """

    account_id: str
    name: str
    status: str
    mode: str
    rate: str
    balance: str
    rule: tuple[str | None, ...]
    pending: int
    bots: tuple[str, ...] = ()


def number(text: str, name: str) -> Decimal:
    """A number of the platform's.

    Raises:
        ValueError: not finite, or of too many digits; names both.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if value.is_finite() and value.adjusted() < DIGITS_MAX:
        # What a double has behind that many places is less than anything that is traded or paid.
        value = round(value, DIGITS_MAX)
    value = parse_decimal(value, f"{name} {text!r}")
    return Decimal(plain(value))


def symbol_of(text: str) -> Symbol:
    """``BTC/USDT:USDT`` as the exchange spells it.

    Raises:
        ValueError: not the platform's spelling of any symbol, so that its row would not be found again.
    """
    pair, _, rest = text.partition(":")
    settle, _, delivery = rest.partition("-")
    made = pair.replace("/", "", 1) + (f"_{delivery}" if delivery else "")
    if settle not in QUOTE_ASSETS or platform_symbol(Symbol(made)) != text:
        raise ValueError(
            f"the symbol {text!r} is not spelled as the platform does, like BTC/USDT:USDT; correct its row"
        )
    return Symbol(made)


def unix_ms(text: str, name: str) -> int:
    """A time, UTC without a zone: a timestamp's text, ISO 8601 with or without T and Z, or Unix milliseconds.

    Raises:
        ValueError: none of them.
    """
    stripped = text.strip()
    if stripped.isascii() and stripped.isdigit() and int(stripped) >= EPOCH_MS_FROM:
        return int(stripped)
    try:
        at = datetime.fromisoformat(stripped)
        zoned = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        found = round(zoned.timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{name}: {text!r} is no time like 2026-02-17 04:10:00 (UTC) or Unix milliseconds"
        ) from None
    if found <= 0:
        raise ValueError(f"{name}: {text!r} is before 1970")
    return found


def on_step(quantity: Decimal, instrument: Instrument) -> Decimal | None:
    """A quantity as a multiple of the step, without what a double adds to it; None for one that is none."""
    steps = (quantity / instrument.step_size).to_integral_value()
    found = Decimal(plain(steps * instrument.step_size))
    return found if abs(found - quantity) <= quantity * STEP_NOISE and found > ZERO else None


def is_equal(one: Decimal, other: Decimal) -> bool:
    """Whether two figures of the platform's are one, but for what doubles add."""
    return abs(one - other) <= EQUAL_WITHIN * max(abs(one), abs(other), Decimal(1))
