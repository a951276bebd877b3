"""A gateway's core, and an order for it: a limit order, unless a file has one of its own."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderType
from actors.core.messages import PlaceOrder
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, account, market
from tests.gateway.test_protocol import T0, core_of


@pytest.fixture
def core():
    return core_of()


@pytest.fixture
def order():
    [intended] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    return replace(intended, decided_ms=T0, order_type=OrderType.LIMIT, price=D(2_000))
