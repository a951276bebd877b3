"""An accepted order as the fact that it will be sent."""

from __future__ import annotations

from actors.core.carried import made_of
from actors.core.enums import Purpose
from actors.core.facts import OrderIntended
from actors.core.messages import PlaceOrder
from actors.core.order_ids import client_order_id
from actors.subaccount.pretrade.checks import CheckResult
from actors.subaccount.situation import Situation


def intended(now: Situation, order: PlaceOrder, checked: CheckResult) -> OrderIntended:
    """The account's next order, with the margin that its checked reserves."""
    state, market = now.state, now.market
    return made_of(
        OrderIntended,
        order,
        account_id=state.account_id,
        sequence=state.next_order_sequence,
        client_order_id=client_order_id(market.origin, state.account_id, state.next_order_sequence),
        leverage=checked.leverage,
        margin_reserved=checked.margin,
        purpose=Purpose.USER,
        tier=0,
        decided_ms=market.wall_ms,
        reference_price=checked.price,
    )
