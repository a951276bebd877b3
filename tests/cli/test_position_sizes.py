"""A position size: what is asked for, and how it is shown."""

from __future__ import annotations


def test_a_size_is_asked_for_with_all_its_factors(engine, cli):
    engine.answers["POST", "/v1/accounts/acct-1/size"] = {
        "quantity": "0.1", "symbol": "BTCUSDT", "notional": "6000", "equity": "10000", "factors": {"signal_strength": "0.8"},
        "capped": True,
    }  # fmt: skip
    shown = cli("size acct-1 btcusdt --signal 0.8")
    [(_, _, body)] = engine.requests
    assert body == {
        "symbol": "BTCUSDT", "method": "dynamic", "signal_strength": "0.8", "volatility": None, "strategy": "",
        "win_rate": None, "average_win": None, "average_loss": None,
    }  # fmt: skip
    assert "0.1 BTCUSDT  (notional 6,000.00, equity 10,000.00)" in shown.out
    assert "capped" in shown.out
