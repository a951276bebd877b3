"""The orders that close what an account holds."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.api.order_views import PARTS_MAX, closing_orders
from actors.core.enums import OrderType, Side
from actors.core.errors import BadInput
from tests.factories import BTC, ETH, INSTRUMENTS, SOL, account, position


def of(state, symbol=None, instruments=INSTRUMENTS):
    return closing_orders(state, symbol, instruments, "api:me:1")


def test_each_position_is_closed_by_one_reducing_market_order_against_it():
    state = account("1000", (position(ETH, "0.05"), position(BTC, "-0.2", "60000")))
    found = [(o.symbol, o.side, o.quantity) for o in of(state)]
    assert found == [(ETH, Side.SELL, D("0.05")), (BTC, Side.BUY, D("0.2"))]
    assert all(
        o.reduce_only and o.order_type is OrderType.MARKET and o.cause == "api:me:1" for o in of(state)
    )
    assert [o.symbol for o in of(state, "BTCUSDT")] == [BTC]


@pytest.mark.parametrize(
    ("positions", "symbol", "said"),
    [
        ((), None, "acct-1 has no position$"),
        ((position(ETH, "1"),), "SOLUSDT", "no position in SOLUSDT; it holds ETHUSDT"),
    ],
)
def test_nothing_to_close_says_what_is_held(positions, symbol, said):
    with pytest.raises(BadInput, match=said):
        of(account("1000", positions), symbol)


def test_a_position_above_the_largest_market_order_is_closed_in_parts():
    small = {SOL: replace(INSTRUMENTS[SOL], market_max_qty=D("30.5"), step_size=D(1))}
    found = [o.quantity for o in of(account("1000", (position(SOL, "70"),)), None, small)]
    assert found == [30, 30, 10]
    assert len(of(account("1000", (position(SOL, "7000"),)), None, small)) == PARTS_MAX


def test_a_symbol_without_rules_is_closed_in_one():
    assert [o.quantity for o in of(account("1000", (position(SOL, "70"),)), None, {})] == [70]
    none = {SOL: replace(INSTRUMENTS[SOL], market_max_qty=D(0))}
    assert [o.quantity for o in of(account("1000", (position(SOL, "70"),)), None, none)] == [70]
