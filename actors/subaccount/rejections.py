"""Why a command was refused: a closed list of codes, each with the value and the limit that it met."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import msgspec

PASSES, STAYS = True, False
"""Whether a refusal passes with time, prices, money or fewer positions, or stays until order or limit is another."""


class RejectCode(StrEnum):
    """Why a command was refused, and whether that passes. Closed: clients may rely on these names.

    A code is one line here: texts, API, its schema and the command line take it from there.
    """

    is_transient: bool
    """Whether the same order may pass later without anybody changing it or the limits."""

    def __new__(cls, code: str, is_transient: bool) -> Self:  # noqa: FBT001 - read as a column of the table below
        """A code and its ``PASSES`` or ``STAYS``."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.is_transient = is_transient
        return member

    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND", STAYS
    ACCOUNT_NOT_ACTIVE = "ACCOUNT_NOT_ACTIVE", STAYS
    ACCOUNT_LIQUIDATING = "ACCOUNT_LIQUIDATING", PASSES
    ACCOUNT_QUARANTINED = "ACCOUNT_QUARANTINED", PASSES
    REDUCE_ONLY_MODE = "REDUCE_ONLY_MODE", PASSES
    INVALID_QUANTITY = "INVALID_QUANTITY", STAYS
    INVALID_PRICE = "INVALID_PRICE", STAYS
    INVALID_LEVERAGE = "INVALID_LEVERAGE", STAYS
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL", STAYS
    SYMBOL_NOT_TRADING = "SYMBOL_NOT_TRADING", PASSES
    QUANTITY_OFF_STEP = "QUANTITY_OFF_STEP", STAYS
    PRICE_OFF_TICK = "PRICE_OFF_TICK", STAYS
    MIN_NOTIONAL = "MIN_NOTIONAL", STAYS
    NOTHING_TO_REDUCE = "NOTHING_TO_REDUCE", PASSES
    NO_PRICE = "NO_PRICE", PASSES
    STALE_PRICE = "STALE_PRICE", PASSES
    MAX_LEVERAGE_EXCEEDED = "MAX_LEVERAGE_EXCEEDED", STAYS
    MAX_NOTIONAL_EXCEEDED = "MAX_NOTIONAL_EXCEEDED", STAYS
    MAX_EXPOSURE_EXCEEDED = "MAX_EXPOSURE_EXCEEDED", PASSES
    INSUFFICIENT_MARGIN = "INSUFFICIENT_MARGIN", PASSES
    MARGIN_RATIO_EXCEEDED = "MARGIN_RATIO_EXCEEDED", PASSES
    MAINTENANCE_MARGIN_EXCEEDED = "MAINTENANCE_MARGIN_EXCEEDED", PASSES
    BRACKET_LEVERAGE_EXCEEDED = "BRACKET_LEVERAGE_EXCEEDED", STAYS
    MAX_ORDER_NOTIONAL_EXCEEDED = "MAX_ORDER_NOTIONAL_EXCEEDED", STAYS
    MAX_ORDER_PERCENT_EXCEEDED = "MAX_ORDER_PERCENT_EXCEEDED", PASSES
    MAX_POSITION_NOTIONAL_EXCEEDED = "MAX_POSITION_NOTIONAL_EXCEEDED", PASSES
    MAX_POSITION_PERCENT_EXCEEDED = "MAX_POSITION_PERCENT_EXCEEDED", PASSES
    MAX_POSITIONS_EXCEEDED = "MAX_POSITIONS_EXCEEDED", PASSES
    MAX_OPEN_ORDERS_EXCEEDED = "MAX_OPEN_ORDERS_EXCEEDED", PASSES
    MAX_DAILY_LOSS_EXCEEDED = "MAX_DAILY_LOSS_EXCEEDED", PASSES
    MAX_DAILY_LOSS_PERCENT_EXCEEDED = "MAX_DAILY_LOSS_PERCENT_EXCEEDED", PASSES
    MAX_CUMULATIVE_LOSS_EXCEEDED = "MAX_CUMULATIVE_LOSS_EXCEEDED", PASSES
    MAX_EXPOSURE_PERCENT_EXCEEDED = "MAX_EXPOSURE_PERCENT_EXCEEDED", PASSES
    PRICE_DEVIATION_EXCEEDED = "PRICE_DEVIATION_EXCEEDED", PASSES
    MAX_SLIPPAGE_EXCEEDED = "MAX_SLIPPAGE_EXCEEDED", PASSES
    ORDER_RATE_EXCEEDED = "ORDER_RATE_EXCEEDED", PASSES
    BREAKER_OPEN = "BREAKER_OPEN", PASSES
    BREAKER_COOLING_DOWN = "BREAKER_COOLING_DOWN", PASSES
    CLOSING_OUT = "CLOSING_OUT", PASSES
    MAX_CORRELATION_EXCEEDED = "MAX_CORRELATION_EXCEEDED", PASSES
    MAX_STRATEGY_DRAWDOWN_EXCEEDED = "MAX_STRATEGY_DRAWDOWN_EXCEEDED", PASSES
    MAX_VALUE_AT_RISK_EXCEEDED = "MAX_VALUE_AT_RISK_EXCEEDED", PASSES
    NO_PRICE_HISTORY = "NO_PRICE_HISTORY", PASSES
    MIN_LIQUIDITY = "MIN_LIQUIDITY", PASSES
    NO_BRACKETS = "NO_BRACKETS", STAYS
    TRIGGERS_AT_ONCE = "TRIGGERS_AT_ONCE", PASSES
    REDUCE_ONLY_CONFLICT = "REDUCE_ONLY_CONFLICT", PASSES
    INVALID_TRIGGER = "INVALID_TRIGGER", STAYS
    INVALID_LIMIT = "INVALID_LIMIT", STAYS
    FEE_PENDING = "FEE_PENDING", PASSES
    FEE_NOT_PENDING = "FEE_NOT_PENDING", STAYS
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND", STAYS
    TOO_LATE = "TOO_LATE", PASSES


class Rejection(msgspec.Struct, frozen=True):
    """One failed check: the value that failed, and the limit that it met."""

    code: RejectCode
    text: str
    value: str = ""
    limit: str = ""


def reject(code: RejectCode, text: str, value: object = "", limit: object = "") -> Rejection:
    """A rejection with value and limit as text."""
    return Rejection(code, text, str(value), str(limit))
