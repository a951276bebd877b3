"""Why a command was refused: a closed list of codes, each with the value and the limit that it met."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

import msgspec


class RejectCode(StrEnum):
    """Why an order was refused. Closed: clients may rely on these names."""

    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    ACCOUNT_NOT_ACTIVE = "ACCOUNT_NOT_ACTIVE"
    ACCOUNT_LIQUIDATING = "ACCOUNT_LIQUIDATING"
    ACCOUNT_QUARANTINED = "ACCOUNT_QUARANTINED"
    REDUCE_ONLY_MODE = "REDUCE_ONLY_MODE"
    INVALID_QUANTITY = "INVALID_QUANTITY"
    INVALID_PRICE = "INVALID_PRICE"
    INVALID_LEVERAGE = "INVALID_LEVERAGE"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    SYMBOL_NOT_TRADING = "SYMBOL_NOT_TRADING"
    QUANTITY_OFF_STEP = "QUANTITY_OFF_STEP"
    PRICE_OFF_TICK = "PRICE_OFF_TICK"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    NOTHING_TO_REDUCE = "NOTHING_TO_REDUCE"
    NO_PRICE = "NO_PRICE"
    STALE_PRICE = "STALE_PRICE"
    MAX_LEVERAGE_EXCEEDED = "MAX_LEVERAGE_EXCEEDED"
    MAX_NOTIONAL_EXCEEDED = "MAX_NOTIONAL_EXCEEDED"
    MAX_EXPOSURE_EXCEEDED = "MAX_EXPOSURE_EXCEEDED"
    INSUFFICIENT_MARGIN = "INSUFFICIENT_MARGIN"
    MARGIN_RATIO_EXCEEDED = "MARGIN_RATIO_EXCEEDED"
    MAX_ORDER_NOTIONAL_EXCEEDED = "MAX_ORDER_NOTIONAL_EXCEEDED"
    MAX_ORDER_PERCENT_EXCEEDED = "MAX_ORDER_PERCENT_EXCEEDED"
    MAX_POSITION_NOTIONAL_EXCEEDED = "MAX_POSITION_NOTIONAL_EXCEEDED"
    MAX_POSITION_PERCENT_EXCEEDED = "MAX_POSITION_PERCENT_EXCEEDED"
    MAX_POSITIONS_EXCEEDED = "MAX_POSITIONS_EXCEEDED"
    MAX_OPEN_ORDERS_EXCEEDED = "MAX_OPEN_ORDERS_EXCEEDED"
    MAX_DAILY_LOSS_EXCEEDED = "MAX_DAILY_LOSS_EXCEEDED"
    MAX_DAILY_LOSS_PERCENT_EXCEEDED = "MAX_DAILY_LOSS_PERCENT_EXCEEDED"
    MAX_CUMULATIVE_LOSS_EXCEEDED = "MAX_CUMULATIVE_LOSS_EXCEEDED"
    MAX_EXPOSURE_PERCENT_EXCEEDED = "MAX_EXPOSURE_PERCENT_EXCEEDED"
    PRICE_DEVIATION_EXCEEDED = "PRICE_DEVIATION_EXCEEDED"
    MAX_SLIPPAGE_EXCEEDED = "MAX_SLIPPAGE_EXCEEDED"
    ORDER_RATE_EXCEEDED = "ORDER_RATE_EXCEEDED"
    BREAKER_OPEN = "BREAKER_OPEN"
    BREAKER_COOLING_DOWN = "BREAKER_COOLING_DOWN"
    CLOSING_OUT = "CLOSING_OUT"
    MAX_CORRELATION_EXCEEDED = "MAX_CORRELATION_EXCEEDED"
    MAX_STRATEGY_DRAWDOWN_EXCEEDED = "MAX_STRATEGY_DRAWDOWN_EXCEEDED"
    MAX_VALUE_AT_RISK_EXCEEDED = "MAX_VALUE_AT_RISK_EXCEEDED"
    NO_PRICE_HISTORY = "NO_PRICE_HISTORY"
    MIN_LIQUIDITY = "MIN_LIQUIDITY"
    NO_BRACKETS = "NO_BRACKETS"
    TRIGGERS_AT_ONCE = "TRIGGERS_AT_ONCE"
    REDUCE_ONLY_CONFLICT = "REDUCE_ONLY_CONFLICT"
    INVALID_TRIGGER = "INVALID_TRIGGER"
    INVALID_LIMIT = "INVALID_LIMIT"
    FEE_PENDING = "FEE_PENDING"
    FEE_NOT_PENDING = "FEE_NOT_PENDING"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    TOO_LATE = "TOO_LATE"

    @property
    def is_transient(self) -> bool:
        """Whether the same order may pass later without anybody changing it or the limits."""
        match self:
            case (
                RejectCode.NO_PRICE
                | RejectCode.STALE_PRICE
                | RejectCode.SYMBOL_NOT_TRADING
                | RejectCode.REDUCE_ONLY_MODE
                | RejectCode.INSUFFICIENT_MARGIN
                | RejectCode.MARGIN_RATIO_EXCEEDED
                | RejectCode.MAX_EXPOSURE_EXCEEDED
                | RejectCode.ACCOUNT_LIQUIDATING
                | RejectCode.ACCOUNT_QUARANTINED
                | RejectCode.TOO_LATE
                | RejectCode.NOTHING_TO_REDUCE
                | RejectCode.MAX_ORDER_PERCENT_EXCEEDED
                | RejectCode.MAX_POSITION_NOTIONAL_EXCEEDED
                | RejectCode.MAX_POSITION_PERCENT_EXCEEDED
                | RejectCode.MAX_POSITIONS_EXCEEDED
                | RejectCode.MAX_OPEN_ORDERS_EXCEEDED
                | RejectCode.MAX_DAILY_LOSS_EXCEEDED
                | RejectCode.MAX_DAILY_LOSS_PERCENT_EXCEEDED
                | RejectCode.MAX_CUMULATIVE_LOSS_EXCEEDED
                | RejectCode.MAX_EXPOSURE_PERCENT_EXCEEDED
                | RejectCode.PRICE_DEVIATION_EXCEEDED
                | RejectCode.MAX_SLIPPAGE_EXCEEDED
                | RejectCode.ORDER_RATE_EXCEEDED
                | RejectCode.BREAKER_OPEN
                | RejectCode.BREAKER_COOLING_DOWN
                | RejectCode.CLOSING_OUT
                | RejectCode.MAX_CORRELATION_EXCEEDED
                | RejectCode.MAX_STRATEGY_DRAWDOWN_EXCEEDED
                | RejectCode.MAX_VALUE_AT_RISK_EXCEEDED
                | RejectCode.NO_PRICE_HISTORY
                | RejectCode.MIN_LIQUIDITY
                | RejectCode.TRIGGERS_AT_ONCE
                | RejectCode.REDUCE_ONLY_CONFLICT
                | RejectCode.FEE_PENDING
            ):
                return True
            case (
                RejectCode.ACCOUNT_NOT_FOUND
                | RejectCode.ACCOUNT_NOT_ACTIVE
                | RejectCode.INVALID_QUANTITY
                | RejectCode.INVALID_PRICE
                | RejectCode.INVALID_LEVERAGE
                | RejectCode.UNKNOWN_SYMBOL
                | RejectCode.QUANTITY_OFF_STEP
                | RejectCode.PRICE_OFF_TICK
                | RejectCode.MIN_NOTIONAL
                | RejectCode.MAX_LEVERAGE_EXCEEDED
                | RejectCode.MAX_NOTIONAL_EXCEEDED
                | RejectCode.ORDER_NOT_FOUND
                | RejectCode.MAX_ORDER_NOTIONAL_EXCEEDED
                | RejectCode.NO_BRACKETS
                | RejectCode.INVALID_TRIGGER
                | RejectCode.INVALID_LIMIT
                | RejectCode.FEE_NOT_PENDING
            ):
                return False
            case _:
                assert_never(self)


class Rejection(msgspec.Struct, frozen=True):
    """One failed check: the value that failed, and the limit that it met."""

    code: RejectCode
    text: str
    value: str = ""
    limit: str = ""


def reject(code: RejectCode, text: str, value: object = "", limit: object = "") -> Rejection:
    """A rejection with value and limit as text."""
    return Rejection(code, text, str(value), str(limit))
