"""Alarms of what happens on the master account without an order of ours. Pure.

The exchange liquidates, deleverages and settles by orders of its own, and people may trade by hand. None of it
belongs to an account; each makes the books differ from the exchange, so an alarm says what it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from decimal import Decimal

from actors.core.units import ZERO, ClientOrderId, Symbol, plain
from actors.gateway.messages import Report

REMEMBERED = 1_000
"""Orders that are reported once, and once more when they end."""

BY_THE_EXCHANGE = (
    ("autoclose-", "the exchange liquidated the master"),
    ("adl_autoclose", "the exchange deleveraged the master (ADL)"),
    ("settlement_autoclose-", "the exchange settled a delisted or delivered contract"),
)
"""Client order ids of the exchange's own orders begin like this."""

EXPECTED = frozenset({"ORDER", "FUNDING_FEE"})
"""Reasons of an account update that are known otherwise: by the order's own event, and by settled funding."""


class ForeignOrders:
    """Remembers which orders were reported."""

    def __init__(self) -> None:
        self._seen: OrderedDict[ClientOrderId, bool] = OrderedDict()

    def reported(self, report: Report) -> str:
        """The alarm's text for an order of no account; empty when it was raised before."""
        id_ = report.client_order_id
        final = report.status.is_final
        if self._seen.get(id_) in {True, final}:
            return ""
        self._seen[id_] = final
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        who = next((text for start, text in BY_THE_EXCHANGE if id_.startswith(start)), "")
        return (
            f"{who or 'an order that is not ours is on the master'}: {_traded(report)} (client order id {id_}, "
            f"{report.stated}); it belongs to no account{_consequence(report.executed)}"
        )


def _traded(report: Report) -> str:
    trade = report.trade
    if trade is None:
        return f"{report.symbol}, {plain(report.executed)} executed"
    return f"{trade.side} {plain(trade.quantity)} {report.symbol} at {plain(trade.price)}"


def _consequence(executed: Decimal) -> str:
    return ", so the books differ from the exchange by it" if executed > ZERO else ""


def account_update(
    reason: str, balances: Iterable[tuple[str, Decimal]], positions: Iterable[tuple[Symbol, Decimal]]
) -> str:
    """The alarm's text for a change of the master account; empty when it is known otherwise."""
    if reason in EXPECTED:
        return ""
    moved = [f"{plain(change)} {asset}" for asset, change in balances if change]
    moved += [f"{symbol} now {plain(amount)}" for symbol, amount in positions]
    return f"the master account changed, and no order of ours did it: {reason}: {', '.join(moved) or 'no amounts'}"
