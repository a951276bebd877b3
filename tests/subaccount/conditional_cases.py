"""What the tests of conditional orders share."""

from __future__ import annotations

from decimal import Decimal as D

from actors.core.enums import ConditionalKind
from actors.core.messages import PlaceConditional, Wake
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Accepted
from tests.factories import ETH, SELL, account, market, position

STOP, TAKE, TRAIL = (
    ConditionalKind.STOP_MARKET,
    ConditionalKind.TAKE_PROFIT_MARKET,
    ConditionalKind.TRAILING_STOP_MARKET,
)
WAKE = Wake(ETH, "t")


def conditional(kind=STOP, side=SELL, quantity="1", trigger="1900", **changes):
    fields = {
        "kind": kind, "symbol": ETH, "side": side, "quantity": D(quantity),
        "trigger_price": None if trigger is None else D(trigger),
    }  # fmt: skip
    return PlaceConditional(**{**fields, **changes})


def holding(quantity="1", balance="1000", **changes):
    return account(balance, [position(quantity=quantity)], **changes)


def codes(state, message, at=None):
    reply = decide(state, message, at or market()).reply
    return [] if isinstance(reply, Accepted) else [r.code for r in reply.rejections]


def at(mid):
    return market({ETH: mid})
