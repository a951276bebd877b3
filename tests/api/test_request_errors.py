"""A request that does not fit is answered with the field and what would be right."""

from __future__ import annotations

import msgspec
import pytest

from actors.api.account_views import AccountBody, AmountBody, ModeBody
from actors.api.limits import LimitsBody
from actors.api.order_views import OrderBody
from actors.api.request_errors import OTHER_NAMES, explain

ORDER = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "1"}
IN_QUOTES = "a number here is written as text, in quotes, so that no digit is lost on the way"


def said(body, kind):
    with pytest.raises(msgspec.ValidationError) as fault:
        msgspec.convert(body, kind)
    return explain(str(fault.value), kind)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"side": "LONG"}, "side: 'LONG' is none of BUY, SELL; a long position is opened with BUY"),
        ({"side": "long"}, "side: 'long' is none of BUY, SELL; a long position is opened with BUY"),
        ({"side": "short"}, "side: 'short' is none of BUY, SELL; a short position is opened with SELL"),
        ({"side": "buy"}, "side: 'buy' is none of BUY, SELL; write it as BUY"),
        ({"side": "x"}, "side: 'x' is none of BUY, SELL"),
        ({"quantity": 1}, f'quantity: {IN_QUOTES}: "quantity": "0.01"'),
        ({"price": 0.5}, f'price: {IN_QUOTES}: "price": "0.01"'),
        ({"type": "LIMIT"}, "there is no field 'type'; did you mean order_type?"),
        ({"reduceOnly": True}, "there is no field 'reduceOnly'; did you mean reduce_only?"),
        ({"stopPrice": "1"}, "there is no field 'stopPrice'; did you mean trigger_price?"),
        ({"quantiti": "1"}, "there is no field 'quantiti'; did you mean quantity?"),
        ({"order_type": "STOP"}, "order_type: 'STOP' is none of MARKET, LIMIT, STOP_MARKET, TAKE_PROFIT_MARKET, TRAILING_STOP_MARKET"),
        ({"reduce_only": "yes"}, "reduce_only: it must be true or false, not a text"),
        ({"symbol": None}, "symbol: it must be a text, not null"),
    ],
)  # fmt: skip
def test_an_order(change, text):
    assert said({**ORDER, **change}, OrderBody) == text
    if "field" not in text:
        assert said([ORDER, {**ORDER, **change}], list[OrderBody]).endswith(text)
        assert said([ORDER, {**ORDER, **change}], list[OrderBody]).startswith("entry 2, ")


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ({"symbol": "A", "side": "BUY"}, OrderBody, "quantity is missing"),
        ([], OrderBody, "it must be an object, {...}, not a list, [...]"),
        (
            {"account_id": "a", "deposit": "1"},
            list[AccountBody],
            "it must be a list, [...], not an object, {...}",
        ),
        (
            [{"account_id": "a", "deposit": 1}],
            list[AccountBody],
            f'entry 1, deposit: {IN_QUOTES}: "deposit": "0.01"',
        ),
        ({"amount": 3}, AmountBody, f'amount: {IN_QUOTES}: "amount": "0.01"'),
        ({"mode": "FAST"}, ModeBody, "mode: 'FAST' is none of ADL_30, INSTANT_CLOSE, TAKEOVER"),
        ({"zzz": 1, "amount": "1"}, AmountBody, "there is no field 'zzz'; there are amount, reason"),
    ],
)
def test_other_bodies(body, kind, text):
    assert said(body, kind) == text


def test_a_limit_that_is_a_number():
    assert said({"changes": {"max_positions": 3}}, LimitsBody).startswith(
        "changes, an entry: a number here is written"
    )


def test_what_is_repeated_is_cut():
    assert len(said({**ORDER, "side": "x" * 10_000}, OrderBody)) < 200
    assert len(said({**ORDER, "x" * 10_000: 1}, OrderBody)) < 400


def test_every_other_name_is_of_a_field_that_there_is():
    fields = {f for kind in (OrderBody, AccountBody, AmountBody) for f in kind.__struct_fields__}
    assert set(OTHER_NAMES.values()) <= fields


def test_without_a_type_it_is_said_all_the_same():
    assert explain("Expected `int` >= 1", None, "limit") == "limit: Expected `int` >= 1"
    assert (
        explain("Expected `int`, got `str`", None, "limit") == "limit: it must be a whole number, not a text"
    )
    assert explain("Invalid enum value 'x'", None, "by") == "by: 'x' is none of those that there are"
    assert explain("Object contains unknown field `x`", None) == "there is no field 'x'"
