"""``risk`` in plain numbers: no exponent, in the table and in the answer.

Covers: actors/api/account_views.py
"""

from __future__ import annotations

import io
from decimal import Decimal as D

import msgspec
import pytest
from rich.console import Console

from actors.api.account_views import account_view
from actors.api.breaker import risk_view
from actors.api.values import at_most_8
from actors.cli import formats, show_actor, show_risk
from tests.factories import ETH, account, market, position


def printed(call, *arguments):
    out = io.StringIO()
    call(*arguments, Console(file=out, width=80))
    return out.getvalue()


@pytest.mark.parametrize("price", ["0", "1e-9", "0E-8"])
def test_a_liquidation_price_of_nothing_is_zero_without_an_exponent(price):
    assert str(at_most_8(D(price))) == "0"
    assert str(at_most_8(D("1234.123456789"))) == "1234.12345679"


def test_no_number_of_an_account_has_an_exponent():
    """Its equity covers a fall to zero, so it is liquidated at no price."""
    state = account("10000", (position(ETH, "1"),))
    prices = market()
    found = [
        msgspec.json.encode(risk_view(state, prices)).decode(),
        msgspec.json.encode(account_view(state, "RUNNING", 0, prices)).decode(),
    ]
    assert not any("E-" in text or "E+" in text for text in found), found
    shown = printed(show_risk.risk, msgspec.json.decode(found[0]))
    assert "liquidation at     ETHUSDT at no price: its equity covers a fall to zero" in shown
    assert "E-" not in shown
    row = msgspec.json.decode(found[1])["positions"]
    assert " none\n" in printed(formats.positions, row)


def test_a_pending_fee_of_nothing_has_no_exponent():
    state = account("10000", (position(ETH, "1"),))
    found = msgspec.json.decode(msgspec.json.encode(risk_view(state, market())))
    found["pending_fees"] = [{"trade_id": 7, "symbol": "ETHUSDT", "amount": "0E-8", "asset": "BNB"}]
    assert "trade 7 of ETHUSDT: 0 BNB, rate not known" in printed(show_risk.risk, found)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0E-8", "0"),
        ("1E+3", "1000"),
        ("1.5E-7", "0.00000015"),
        ("BTC1E3", "BTC1E3"),
        ("1004.28104500", "1004.281045"),
        ("100", "100"),
        ("007", "007"),
    ],
)
def test_the_state_of_an_account_is_shown_without_exponents(value, text):
    assert show_actor._as_text(value) == text
