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
from actors.cli import accounts_tables, breaker
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
    shown = printed(breaker.risk_table, msgspec.json.decode(found[0]))
    assert "liquidation at     ETHUSDT at no price: its equity covers a fall to zero" in shown
    assert "E-" not in shown
    row = msgspec.json.decode(found[1])["positions"]
    assert " none\n" in printed(accounts_tables.positions, row)


REPORT = {
    "portfolio_value": "1000", "total_pnl": "-14.126", "peak": "1100.5", "drawdown": "0.0913", "risk_level": "LOW",
    "sharpe_ratio": "0.5", "value_at_risk": "12", "positions": 3, "long_positions": 1, "short_positions": 2,
    "exposure": "30903.38", "daily_loss_share": "0.01", "alerts": ["one"], "recommendations": ["two"],
    "strategies": [
        {
            "strategy": "trend", "open_positions": 1, "closed_positions": 2, "total_pnl": "5", "win_rate": "0.5",
            "average_hold_s": "1234",
        },
        {
            "strategy": "", "open_positions": 0, "closed_positions": 0, "total_pnl": "0", "win_rate": None,
            "average_hold_s": None,
        },
    ],
}  # fmt: skip


def test_a_report_has_every_figure_once():
    text = printed(accounts_tables.report, REPORT)
    for part in (
        "value 1,000.00, profit -14.13, peak 1,100.50",
        "drawdown 9.13%: LOW",
        "Sharpe ratio 0.500, 95 % value at risk 12.00",
        "3 positions (1 long, 2 short), exposure 30,903.38, daily loss 1.00%",
        "alert: one",
        "recommended: two",
    ):
        assert part in " ".join(text.split())
    [trend] = [line for line in text.split("\n") if "trend" in line]
    assert [word for word in trend.split() if word != "│"] == ["trend", "1", "2", "5.00", "50%", "1,234"]
    assert "(none)" in text


def test_a_closed_position_has_its_result_and_its_extremes():
    row = {
        "closed_ms": 1_795_262_400_123, "symbol": "ETHUSDT", "quantity": "0.1", "entry_price": "1500", "net": "1.239",
        "mae": "-5", "mfe": "7.5", "strategy": "trend", "purpose": "USER",
    }  # fmt: skip
    shown = printed(accounts_tables.closed, [row])
    for word in ("2026-11-21 12:00:00.123", "1,500.00", "1.24", "-5.00", "7.50", "trend", "USER"):
        assert word in shown
    assert printed(accounts_tables.closed, []) == "no closed positions\n"
