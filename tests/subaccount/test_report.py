"""The risk report (seed 004), line by line, with the seed's numbers."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import Purpose
from actors.core.facts import PositionClosed
from actors.subaccount import report as r
from actors.subaccount.risk_state import RiskState
from actors.subaccount.situation import Situation
from tests.factories import BTC, ETH, account, market, position


def closed(net, strategy="a", hold_s=60, number=1):
    return PositionClosed(
        position_id=f"p{number}", symbol=ETH, quantity=D(1), entry_price=D(2000), realized=D(net), fees=D(0), funding=D(0),
        mae=D(0), mfe=D(0), strategy=strategy, purpose=Purpose.USER, opened_ms=0, closed_ms=hold_s * 1000,
    )  # fmt: skip


def test_drawdown_is_of_the_peak():
    assert r.drawdown(D(1000), D(800)) == D("0.2")
    assert r.drawdown(D(1000), D(1000)) == 0
    assert r.drawdown(D(0), D(-5)) == 0


@pytest.mark.parametrize(
    ("drawdown", "level"),
    [
        ("0.10", "LOW"), ("0.1001", "MEDIUM"), ("0.15", "MEDIUM"), ("0.1501", "HIGH"), ("0.20", "HIGH"),
        ("0.2001", "CRITICAL"), ("0", "LOW"),
    ],
)  # fmt: skip
def test_risk_levels(drawdown, level):
    assert r.risk_level(D(drawdown)).value == level


def test_sharpe_ratio_is_mean_by_deviation_of_the_changes():
    # np.diff([0, 1, 3]) = [1, 2]: mean 1.5, std 0.5.
    assert r.sharpe_ratio([D(0), D(1), D(3)]) == D(3)
    assert r.sharpe_ratio([D(0)]) == 0
    assert r.sharpe_ratio([]) == 0
    assert r.sharpe_ratio([D(0), D(1), D(2)]) == 0


def test_value_at_risk_is_the_5_percent_quantile_of_the_last_30_of_more_than_30():
    results = [D(-1000), *[D(n) for n in range(30)]]
    # np.percentile(range(30), 5) = 1.45.
    assert r.value_at_risk(results) == D("1.45")
    assert r.value_at_risk(results[1:]) == 0
    assert r.value_at_risk(results[::-1]) != r.value_at_risk(results)


@pytest.mark.parametrize(
    ("drawdown", "positions", "daily", "words"),
    [
        ("0.15", 15, "0.08", []),
        ("0.1501", 15, "0.08", ["high: a drawdown of 15.01%"]),
        ("0.15", 16, "0.08", ["medium: 16 positions"]),
        ("0.15", 15, "0.0801", ["high: a daily loss of 8.01%"]),
    ],
)
def test_alert_thresholds(drawdown, positions, daily, words):
    found = r.alerts(D(drawdown), positions, D(daily))
    assert len(found) == len(words)
    assert all(f.startswith(w) for f, w in zip(found, words, strict=True))


@pytest.mark.parametrize(
    ("drawdown", "positions", "daily", "words"),
    [
        ("0.20", 20, "0.15", []),
        ("0.2001", 20, "0.15", ["emergency stop: a critical drawdown"]),
        ("0.25", 20, "0.15", ["emergency stop: a critical drawdown"]),
        ("0.2501", 20, "0.15", ["emergency stop: a critical drawdown", "reduce positions"]),
        ("0.30", 20, "0.15", ["emergency stop: a critical drawdown", "reduce positions"]),
        (
            "0.3001",
            20,
            "0.15",
            ["emergency stop: a drawdown above 30%, a critical drawdown", "reduce positions"],
        ),
        ("0.1", 21, "0.15", ["emergency stop: more than 20 positions"]),
        ("0.1", 20, "0.1501", ["emergency stop: a daily loss above 15%"]),
    ],
)
def test_emergency_conditions(drawdown, positions, daily, words):
    found = r.recommendations(D(drawdown), positions, D(daily))
    assert len(found) == len(words)
    assert all(f.startswith(w) for f, w in zip(found, words, strict=True))


def test_the_report_of_an_account():
    held = [
        replace(position(ETH, "1", "2000"), strategy="a", fees=D(1)),
        replace(position(BTC, "-0.1", "60000", number=2), strategy="b"),
    ]
    past = [closed("300", hold_s=60), closed("-100", hold_s=120), closed("0", "c")]
    risk = RiskState(day_start_ms=1, day_equity=D(1000))
    state = replace(account("1000", held, risk=risk), balance=D(1200), realized=D(200))
    found = r.report(Situation(state, market({ETH: "1700", BTC: "60000"})), past)
    # Equity 1200 - 300 = 900; the best was 1000 + 300 after the first trade.
    assert (found.portfolio_value, found.total_pnl, found.peak) == (D(900), D(-100), D(1300))
    assert found.drawdown == D(400) / D(1300)
    assert found.risk_level is r.RiskLevel.CRITICAL
    assert (found.positions, found.long_positions, found.short_positions) == (2, 1, 1)
    assert found.exposure == D(1700) + D(6000)
    assert found.daily_loss_share == D("0.1")
    assert [a.split(":")[0] for a in found.alerts] == ["high", "high"]
    a, b, c = found.strategies
    assert (a.strategy, a.open_positions, a.closed_positions, a.total_pnl) == ("a", 1, 2, D(-301) + D(200))
    assert (a.win_rate, a.average_hold_s) == (D("0.5"), D(90))
    assert (b.closed_positions, b.win_rate, b.average_hold_s) == (0, None, None)
    assert (c.open_positions, c.win_rate) == (0, D(0))


def test_the_best_may_be_now_and_a_profit_of_the_day_is_no_loss():
    risk = RiskState(day_start_ms=1, day_equity=D(1000))
    state = account("1000", [position()], risk=risk)
    found = r.report(Situation(state, market({ETH: "2500"})), [])
    assert (found.peak, found.drawdown, found.daily_loss_share) == (D(1500), 0, 0)
    assert found.alerts == found.recommendations == []
    nothing = replace(state, risk=RiskState(day_start_ms=1, day_equity=D(0)))
    empty = r.report(Situation(nothing, market({ETH: "1000"})), [])
    assert empty.daily_loss_share == 0


def test_without_a_price_there_is_no_report():
    assert r.report(Situation(account("1000", [position()]), market({})), []) is None
