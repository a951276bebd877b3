"""What Binance says of itself that the engine's decisions depend on. Pure data."""

from __future__ import annotations

from decimal import Decimal

from actors.gateway.messages import ReportStatus
from actors.gateway.orders import VenueRules

RECV_WINDOW_MS = 2_000
"""How long we ask the exchange to honour a signed request. After it, 'no such order' is final."""

RULES = VenueRules(
    recv_window_ms=RECV_WINDOW_MS,
    future_tolerance_ms=1_000,
    orders_per_10s=300,
    orders_per_minute=1_200,
)
"""Order limits hold until exchangeInfo says otherwise."""

CALLBACK_RATES = (Decimal("0.001"), Decimal("0.2"))
"""Range of a trailing stop's callback rate, as a fraction: 0.1 % to 20 % since October 2026."""

STATUSES = {
    "NEW": ReportStatus.NEW,
    "PARTIALLY_FILLED": ReportStatus.PARTIALLY_FILLED,
    "FILLED": ReportStatus.FILLED,
    "CANCELED": ReportStatus.CANCELED,
    "EXPIRED": ReportStatus.EXPIRED,
    "REJECTED": ReportStatus.REJECTED,
    "EXPIRED_IN_MATCH": ReportStatus.EXPIRED,
}
"""What an order of ours can be. ``NEW_INSURANCE`` and ``NEW_ADL`` are of orders that the exchange makes itself."""

REASONS = {
    "EXPIRED_IN_MATCH": "EXPIRED_IN_MATCH: self-trade prevention ended it, because it met another order of the master",
}
"""Why an order ended, where the status alone tells it."""

EXECUTIONS = frozenset({"TRADE", "CALCULATED"})
"""Kinds of event that tell of a trade; CALCULATED is the exchange's liquidation."""

EXPIRY_REASONS = {
    "1": "self-trade prevention ended it, because it met another order of the master",
    "2": "IOC: what could not be filled at once was cancelled",
    "3": "IOC: self-trade prevention ended it, because it met another order of the master",
    "4": "the exchange cancelled it for an order of higher priority, or because it would have reversed a position",
    "5": "it expired because the exchange liquidated the master",
    "6": "its condition until which it was good was not met",
    "7": "the exchange cancelled it because the symbol is delisted",
    "8": "it expired when its stop order was triggered",
    "9": "market order: the book did not have the rest at prices that the exchange allows, so it was cancelled",
}
"""``er`` of an order event, as Binance documents it under "Event: Order Update"."""
