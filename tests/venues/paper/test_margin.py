"""Margin of the master account."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import assume, given
from hypothesis import strategies as st

from actors.venues.paper.brackets import bracket_of
from actors.venues.paper.margin import AssetMargin, exposure, liquidation_price, symbol_margin


def whole(amount, entry, mark, wallet):
    m = symbol_margin(amount, entry, mark, D(0), D(0), 20)
    return AssetMargin(
        wallet=wallet, unrealized=m.unrealized, position_initial=m.position_initial, maintenance=m.maintenance
    )


@given(st.integers(-500, 500), st.integers(1_000, 3_000), st.integers(-900, 900), st.integers(1_000, 900_000))
def test_at_its_liquidation_price_equity_is_the_maintenance_margin(amount, entry, move, wallet):
    assume(amount)
    amount, entry, mark = D(amount) / 10, D(entry), D(entry + move)
    price = liquidation_price(amount, entry, mark, whole(amount, entry, mark, D(wallet)))
    assume(price > 0)
    bracket = bracket_of(abs(amount * mark))
    need = abs(amount) * price * bracket.rate - bracket.cum
    assert abs(D(wallet) + amount * (price - entry) - need) < D("0.001")


def test_no_position_has_no_liquidation_price():
    assert liquidation_price(D(0), D(0), D(2_000), whole(D(0), D(0), D(2_000), D(10))) == 0


def test_open_orders_bind_margin_on_the_side_that_would_hold_more():
    assert exposure(D(100), D(50), D(120)) == 150
    assert exposure(D(100), D(50), D(300)) == 200
    m = symbol_margin(D(1), D(2_000), D(2_000), D(1_000), D(500), 10)
    assert (m.position_initial, m.order_initial, m.initial) == (200, 100, 300)
    closing = symbol_margin(D(1), D(2_000), D(2_000), D(0), D(2_000), 10)
    assert closing.order_initial == 0
