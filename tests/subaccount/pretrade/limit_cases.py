"""What the tests of limits share: orders, verdicts, prices' past."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.core.messages import PlaceOrder
from actors.core.trading_day import TradingDay
from actors.subaccount.risk_state import RiskState
from tests.factories import BUY, ETH, WALL_MS, WIDE, check, market

DAY = TradingDay(WALL_MS - 1_000, WALL_MS + 86_400_000)
BEGUN = RiskState(day_start_ms=DAY.start_ms, day_equity=D(1000))


def order(quantity="0.1", **changes):
    return PlaceOrder(**{"symbol": ETH, "side": BUY, "quantity": D(quantity), "leverage": D(10), **changes})


def limits(**changes):
    return replace(WIDE, **changes)


def checked(state, message, at=None):
    return check(state, message, at or market(day=DAY))


def codes(state, message, at=None):
    return [r.code for r in checked(state, message, at).rejections]


def refused(code, value, limit, state, message, at=None):
    """The order is refused for this one reason, with value and limit as they were compared."""
    [found] = checked(state, message, at).rejections
    assert found.code is code
    assert (D(found.value), D(found.limit)) == (D(value), D(limit))


def accepted(state, message, at=None):
    assert checked(state, message, at).rejections == ()


class PriceHistory:
    """Prices' past, made up: correlations by pair, returns by symbol."""

    moment = 0

    def __init__(self, correlations=None, returns=None):
        self.correlations, self.all_returns = correlations or {}, returns or {}

    def extremes(self, symbol, moment):
        return None

    def correlation(self, one, other):
        return self.correlations.get(frozenset((one, other)))

    def returns(self, symbol):
        return self.all_returns.get(symbol, ())
