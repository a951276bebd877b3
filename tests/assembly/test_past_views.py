"""What changed of an account: named by what it is of, not by its place."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.assembly.past_views import changes, check_order
from actors.core.errors import BadInput
from actors.core.messages import PlaceOrder, SetLimits
from actors.persistence.past import Point
from tests.factories import BTC, BUY, ETH, account, position, run


def told(before, after):
    return {change.field: (change.before, change.after) for change in changes(before, after)}


def test_a_field_is_named_with_what_it_was_and_is():
    one = account(positions=[position(), position(BTC)])
    other = replace(one, balance=D("999.5"), positions=(position(BTC, "2"), position()))
    assert told(one, other) == {
        "balance": ("1000", "999.5"),
        "positions[BTCUSDT].quantity": ("1", "2"),
        "positions[BTCUSDT].cost": ("2000", "4000"),
        "positions[BTCUSDT].margin": ("200", "400"),
    }


def test_the_same_number_in_other_digits_is_no_change_and_neither_is_the_count_of_decisions():
    one = account(balance="1000")
    assert told(one, replace(one, balance=D("1000.00"), sequence=9)) == {}


def test_what_is_new_or_gone_is_one_change():
    one = account(positions=[position()])
    assert list(told(one, replace(one, positions=()))) == ["positions[ETHUSDT]"]
    placed = run(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20)))
    id_ = placed.orders[0].client_order_id
    before, after = told(account(), placed)[f"orders[{id_}]"]
    assert before is None
    assert after["intent"]["quantity"] == "0.1"


def test_limits_are_compared_by_name():
    one = account()
    other = run(one, SetLimits((("max_positions", "3"),)))
    found = told(one, other)
    assert found["overrides[max_positions]"] == (None, "3")
    assert found["limits.max_positions"][1] == 3


def test_the_earlier_point_comes_first():
    one, other = Point(5, 1, 10, ""), Point(9, 4, 20, "")
    check_order(one, one)
    check_order(one, other)
    with pytest.raises(
        BadInput, match="the first point, #4, is behind the second, #1; give the earlier one first"
    ):
        check_order(other, one)
