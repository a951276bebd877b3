"""What becomes of an order that waited for the exchange's limits until its price was stale. Pure.

It was never sent, so nothing of it traded. What deleverages needs nothing here: the account is assessed anew,
and the next step follows from the present price. The rest is placed once more, if every check still lets it.
"""

from __future__ import annotations

from actors.core.carried import made_of
from actors.core.enums import Purpose
from actors.core.facts import AnyFact
from actors.core.messages import PlaceOrder
from actors.core.orders import WorkingOrder
from actors.subaccount import checks, conditionals, dust
from actors.subaccount.intents import intended
from actors.subaccount.market import Market
from actors.subaccount.rejections import Rejection
from actors.subaccount.state import AccountState


def decided_anew(
    state: AccountState, order: WorkingOrder, market: Market
) -> tuple[list[AnyFact], tuple[Rejection, ...]]:
    """What follows for an order that has ended already in ``state``, or which checks refuse it now."""
    intent = order.intent
    if order.purpose is not Purpose.USER or order.cancel_requested:
        return [], ()
    if conditionals.is_protective(intent):
        return conditionals.again(state, order, market, intent.tier, market.wall_ms), ()
    wanted = made_of(PlaceOrder, intent, quantity=order.remaining)
    checked = checks.check(state, wanted, market)
    if not checked.is_accepted:
        return [], checked.rejections
    if checked.rest is not None:
        return dust.taken(state, checked.rest, market), ()
    return [intended(state, wanted, checked, market)], ()
