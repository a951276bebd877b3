"""A field of an order reaches everything that has it, by its name: from the API's request to the views.

Covers: actors/core/order_tags.py

The rows of it are compared in ``tests/persistence/test_order_rows.py``, the command line in ``tests/cli``.
"""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from msgspec.structs import replace

from actors.api.order_views import OrderBody, conditional_view, order_of, order_view
from actors.core import fact_codec
from actors.core.errors import BadInput
from actors.core.facts import ConditionalPlaced, OrderIntended
from actors.core.messages import Wake
from actors.core.order_tags import TAGS
from actors.core.orders import WorkingOrder
from actors.subaccount.decide import decide
from tests.factories import ETH, account, market, position

COMMON = {
    "symbol": "ETHUSDT", "side": "SELL", "quantity": "0.3", "reduce_only": True, "leverage": "10",
    **{tag: f"some {tag}" for tag in TAGS},
}  # fmt: skip
LIMIT = {"order_type": "LIMIT", "price": "2001.5", "time_in_force": "GTX", **COMMON}
STOP = {"order_type": "STOP_MARKET", "trigger_price": "1900.5", **COMMON}
TRAIL = {
    "order_type": "TRAILING_STOP_MARKET",
    "callback_rate": "0.02",
    "activation_price": "2100.5",
    **COMMON,
}
REQUESTS = pytest.mark.parametrize("request_", [LIMIT, STOP, TRAIL], ids=["limit", "stop", "trail"])

STATE = account(positions=[position(ETH, "1", "2000", leverage="10")])


def body_of(request):
    return msgspec.convert(request, OrderBody)


def decided(request):
    """The command of a request, the fact that is decided of it, and the order that the account has then."""
    command = order_of(body_of(request), "request:1")
    decision = decide(STATE, command, market())
    [fact] = decision.facts
    [order] = decision.state.orders or decision.state.conditionals
    return command, fact, order


def said(struct, names):
    """Fields as a request says them."""
    found = ((name, getattr(struct, name)) for name in names)
    return {name: value if isinstance(value, bool) else str(value) for name, value in found}


def test_every_field_of_a_request_is_tried_here_with_another_value_than_its_default():
    fields = {f.name: f for f in msgspec.structs.fields(OrderBody) if f.name != "account_id"}
    assert set(fields) == {*LIMIT, *STOP, *TRAIL}
    for request in (LIMIT, STOP, TRAIL):
        assert [name for name, value in request.items() if value == fields[name].default] == []


@REQUESTS
def test_a_request_reaches_the_command_field_by_field(request_):
    command, _, _ = decided(request_)
    names = request_.keys() - {"order_type"}
    assert said(command, names) == {name: request_[name] for name in names}
    assert getattr(command, "kind", None) or command.order_type == request_["order_type"]
    assert command.cause == "request:1"


@REQUESTS
def test_a_command_reaches_its_fact_field_by_field_and_is_read_again_as_it_was_written(request_):
    command, fact, _ = decided(request_)
    assert set(command.__struct_fields__) <= set(fact.__struct_fields__)
    assert said(fact, command.__struct_fields__) == said(command, command.__struct_fields__)
    assert fact_codec.decode(fact_codec.VERSION, fact_codec.encode([fact])) == (fact,)


@REQUESTS
def test_an_order_reaches_its_view_field_by_field(request_):
    _, fact, order = decided(request_)
    view = order_view(order) if isinstance(order, WorkingOrder) else conditional_view(order)
    shared = set(view.__struct_fields__) & set(fact.__struct_fields__)
    assert shared >= {*TAGS, "client_order_id", "symbol", "side", "quantity"}
    assert said(view, shared) == said(fact, shared)
    assert said(view, TAGS) == {tag: request_[tag] for tag in TAGS}


def test_the_order_that_a_stop_becomes_has_its_fields():
    _, placed, order = decided(STOP)
    fired = decide(replace(STATE, conditionals=(order,)), Wake(ETH, "t"), market({ETH: "1890"}))
    [intent] = [fact for fact in fired.facts if isinstance(fact, OrderIntended)]
    shared = set(intent.__struct_fields__) & set(ConditionalPlaced.__struct_fields__)
    own = {"client_order_id", "sequence", "cause", "decided_ms", "margin_reserved", "attempt"}
    assert said(intent, shared - own) == said(placed, shared - own)


def test_what_a_request_may_say_is_checked_by_the_type_of_the_field():
    for name in ("quantity", "leverage", "price"):
        with pytest.raises(BadInput, match=f"^{name}: "):
            order_of(body_of({**LIMIT, name: "much"}), "")
    for tag in TAGS:
        # By its schema, or by its check.
        with pytest.raises(
            (BadInput, msgspec.ValidationError), match=rf"<= 100 - at `\$.{tag}`|^{tag}: 101 char"
        ):
            order_of(body_of({**LIMIT, tag: "x" * 101}), "")
        with pytest.raises(BadInput, match=f"^{tag}: .* cannot be shown"):
            order_of(body_of({**STOP, tag: "a\tb"}), "")
    with pytest.raises(BadInput, match=r"^symbol: 41 characters are too many; at most 40 are taken"):
        order_of(body_of({**STOP, "symbol": "X" * 41}), "")
    assert order_of(body_of({**LIMIT, "quantity": "nan"}), "").quantity.is_nan()


@pytest.mark.parametrize(
    ("request_", "name"),
    [(LIMIT, "trigger_price"), (LIMIT, "callback_rate"), (LIMIT, "activation_price"), (STOP, "price")],
)
def test_what_an_order_of_this_type_does_not_take_is_refused_by_name(request_, name):
    text = f"^{name}: a {request_['order_type']} order takes none$"
    with pytest.raises(BadInput, match=text):
        order_of(body_of({**request_, name: "1"}), "")


def test_a_request_for_a_stop_may_say_what_every_order_has():
    assert order_of(body_of({**STOP, "time_in_force": "IOC"}), "").quantity == D("0.3")
