"""What becomes of an order that waited for the exchange's rate limits until its price was stale. Pure.

It was never sent, so nothing of it traded. A deleveraging step needs nothing here: the account is assessed again, and
the next step follows from the present price. Any other order is placed once more if every check still passes.
"""

from __future__ import annotations

from msgspec.structs import replace

from actors.core.carried import made_of
from actors.core.enums import Purpose
from actors.core.facts import AnyFact
from actors.core.messages import PlaceOrder
from actors.core.orders import WorkingOrder
from actors.subaccount import conditionals, dust
from actors.subaccount.intents import intended
from actors.subaccount.pretrade import checks
from actors.subaccount.rejections import Rejection
from actors.subaccount.situation import Situation


def decided_again(now: Situation, order: WorkingOrder) -> tuple[list[AnyFact], tuple[Rejection, ...]]:
    """What follows for an order that has ended already in ``now``, or which checks refuse it."""
    intent = order.intent
    if order.purpose is not Purpose.USER or order.cancel_requested:
        return [], ()
    if conditionals.is_protective(intent):
        return conditionals.again(now, order, intent.attempt, now.market.wall_ms), ()
    wanted = made_of(PlaceOrder, intent, quantity=order.remaining)
    checked = checks.check(now, wanted)
    if not checked.is_accepted:
        return [], checked.rejections
    if checked.rest is not None:
        return dust.taken(now, checked.rest), ()
    return [replace(intended(now, wanted, checked), conditional_id=intent.conditional_id)], ()
