"""Fields that two structs of an order share are carried by name, and nothing else is."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.carried import made_of
from actors.core.enums import ConditionalKind, OrderType, Side, TimeInForce
from actors.core.facts import ConditionalPlaced, OrderIntended
from actors.core.messages import PlaceConditional, PlaceOrder
from actors.subaccount.decide import decide
from tests.factories import ETH, account, market, position

WANTED = PlaceOrder(
    symbol=ETH, side=Side.SELL, quantity=D("0.3"), order_type=OrderType.LIMIT, price=D(2001),
    time_in_force=TimeInForce.GTX, reduce_only=True, leverage=D(7), cause="request:1", strategy="trend",
)  # fmt: skip
STOP = PlaceConditional(
    kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=Side.SELL, quantity=D("0.3"), trigger_price=D(1900),
    reduce_only=True, leverage=D(7), cause="request:2", strategy="trend",
)  # fmt: skip


def differing(made, source):
    shared = set(type(made).__struct_fields__) & set(type(source).__struct_fields__)
    return {name for name in shared if getattr(made, name) != getattr(source, name)}


def test_what_is_given_goes_before_what_is_carried_and_the_rest_keeps_its_default():
    made = made_of(PlaceOrder, STOP, quantity=D(1))
    assert differing(made, STOP) == {"quantity"}
    assert (made.quantity, made.order_type) == (D(1), OrderType.MARKET)


def test_a_field_that_is_in_neither_and_one_that_there_is_not_are_errors():
    with pytest.raises(TypeError, match="kind"):
        made_of(PlaceConditional, WANTED)
    with pytest.raises(TypeError, match="colour"):
        made_of(PlaceOrder, WANTED, colour="red")


@pytest.mark.parametrize(
    ("message", "kind"), [(WANTED, OrderIntended), (STOP, ConditionalPlaced)], ids=["order", "stop"]
)
def test_all_that_a_request_says_reaches_what_is_decided_of_it(message, kind):
    state = account(positions=[position(ETH, "1", "2000")])
    [decided] = [f for f in decide(state, message, market()).facts if isinstance(f, kind)]
    # The leverage of a reducing order is that of the position, say.
    assert differing(decided, message) <= {"leverage"}
