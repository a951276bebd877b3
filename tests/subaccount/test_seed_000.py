"""Seed 000 ("RiskEngine + PositionBook"), line by line, with its numbers."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.api.account_views import account_view
from actors.core.enums import AccountStatus, Purpose
from actors.core.facts import FillApplied, OrderIntended, PositionClosed
from actors.core.messages import PlaceOrder, Wake
from actors.limits.model import SEED_TIERS, MarkSource, RiskLimits
from actors.runtime.cell import Status
from actors.subaccount import margin
from actors.subaccount.decide import decide
from actors.subaccount.rejections import RejectCode as Code
from tests.factories import BTC, BUY, ETH, SELL, account, check, fill_of, market, position, run
from tests.persistence.authors import written

PLATFORM = RiskLimits()
"""The platform's own defaults: leverage 100, 200 per trade, exposure 500, threshold 0.90."""


def order(quantity="0.05", **changes):
    return PlaceOrder(**{"symbol": ETH, "side": BUY, "quantity": D(quantity), "leverage": D(10), **changes})


def codes(state, message, at=None):
    return [r.code for r in check(state, message, at or market()).rejections]


# "Exact validation checks (from trade-validator.js)": 1 to 7.
SEVEN = [
    ("1 account status is ACTIVE", account(status=AccountStatus.FROZEN), order(), market(), Code.ACCOUNT_NOT_ACTIVE),
    ("1 account status is ACTIVE", account(status=AccountStatus.LIQUIDATED), order(), market(), Code.ACCOUNT_NOT_ACTIVE),
    ("2 price available for symbol", account(), order(), market({}), Code.NO_PRICE),
    ("2 and fresh", account(), order(), market(now_ns=10 * 10**9 + 1), Code.STALE_PRICE),
    ("3 leverage within account limits", account(limits=PLATFORM), order(leverage=D("100.1")), market(), Code.MAX_LEVERAGE_EXCEEDED),
    ("4 notional within per-trade limits", account(limits=PLATFORM), order("0.101"), market(), Code.MAX_NOTIONAL_EXCEEDED),
    (
        "5 total exposure within account limits", account("1000", [position(BTC, "0.006", "60000")], PLATFORM),
        order("0.071"), market({ETH: "2000", BTC: "60000"}), Code.MAX_EXPOSURE_EXCEEDED,
    ),
    ("6 available margin sufficient", account("9", limits=PLATFORM), order(), market(), Code.INSUFFICIENT_MARGIN),
    ("7 margin usage ratio below threshold", account("10.2", limits=PLATFORM), order(), market(), Code.MARGIN_RATIO_EXCEEDED),
]  # fmt: skip


@pytest.mark.parametrize(("line", "state", "message", "at", "code"), SEVEN)
def test_seven_checks(line, state, message, at, code):
    assert code in codes(state, message, at), line


INSIDE = [
    ("3", account(limits=PLATFORM), order(leverage=D(100)), market()),
    ("4", account(limits=PLATFORM), order("0.1"), market()),
    (
        "5", account("1000", [position(BTC, "0.006", "60000")], PLATFORM),
        order("0.07"), market({ETH: "2000", BTC: "60000"}),
    ),
    ("6 and 7", account("10.205", limits=PLATFORM), order(), market()),
]  # fmt: skip


@pytest.mark.parametrize(("line", "state", "message", "at"), INSIDE)
def test_what_equals_a_limit_passes(line, state, message, at):
    assert codes(state, message, at) == [], line


# "ADL Tiers (from liquidation.js)".
def at_ratio(ratio):
    return account("1000", [position(quantity="10")], maintenance_rate=D(ratio) * 1000 / 20_000)


@pytest.mark.parametrize(
    ("ratio", "closes", "purpose"),
    [
        ("0.899999", None, None),
        ("0.90", "3", Purpose.ADL),
        ("0.924999", "3", Purpose.ADL),
        ("0.925", "5", Purpose.ADL),
        ("0.949999", "5", Purpose.ADL),
        ("0.95", "10", Purpose.LIQUIDATION),
    ],
)
def test_tiers_30_percent_50_percent_all(ratio, closes, purpose):
    orders = [
        f for f in decide(at_ratio(ratio), Wake(ETH, "t"), market()).facts if isinstance(f, OrderIntended)
    ]
    assert [(o.quantity, o.purpose) for o in orders] == ([(D(closes), purpose)] if closes else [])


def test_tiers_are_data():
    assert [(t.margin_ratio, t.fraction) for t in SEED_TIERS] == [
        (D("0.90"), D("0.30")),
        (D("0.925"), D("0.50")),
        (D("0.95"), D(1)),
    ]


# "Risk Math": compute_pnl, compute_margin, compute_margin_ratio, compute_available_margin.
def test_compute_pnl_with_the_document_s_own_validation():
    assert position(BTC, "0.001", "65000").unrealized(D(66000)) == D("1.0")
    assert position(BTC, "-0.001", "65000").unrealized(D(66000)) == D("-1.0")


def test_compute_margin_is_notional_by_leverage():
    [intent] = decide(account("1000"), order("0.5", leverage=D(20)), market()).facts
    assert intent.margin_reserved == D("0.5") * 2000 / 20


def test_compute_margin_ratio():
    assert margin.margin_ratio(D(5), D(100)) == D("0.05")
    assert margin.margin_ratio(D(5), D(0)) == D(1)
    assert margin.margin_ratio(D(5), D(-1)) == D(1)


def test_compute_available_margin_is_balance_plus_unrealized_minus_used():
    view = margin.view(account("1000", [position(quantity="1", leverage="10")]), {ETH: D(2050)})
    assert view.available == D(1000) + D(50) - D(200)


def test_trade_signature_is_a_sha_256_of_what_makes_a_trade():
    def signature(price):
        state = run(account("1000"), order("0.1"))
        decision = decide(state, fill_of(state.orders[0], price=price), market())
        [trade] = written(decision.state, decision.facts)["trade_executions"]
        return trade["signature"]

    assert len(signature("2000")) == 64
    assert signature("2000") == signature("2000") != signature("2001")


# "on_order_fill": 1 to 5.
def test_a_fill_opens_and_a_fill_closes_with_a_delta_on_the_balance():
    state = run(account("1000"), order("0.1"))
    opened = run(state, fill_of(state.orders[0], fee="0.1"))
    assert (opened.positions[0].quantity, opened.balance) == (D("0.1"), D("999.9"))
    state = run(opened, order("0.1", side=SELL))
    closed = decide(state, fill_of(state.orders[-1], price="2100", trade_id=2, fee="0.1"), market())
    assert (closed.state.positions, closed.state.balance) == ((), D("1009.8"))
    assert [type(f) for f in closed.facts[:2]] == [FillApplied, PositionClosed]


def test_a_flip_closes_and_opens_in_one_decision():
    state = run(account("1000", [position(quantity="0.1")]), order("0.3", side=SELL))
    flipped = decide(state, fill_of(state.orders[-1], price="2100"), market())
    assert flipped.state.positions[0].quantity == D("-0.2")
    assert flipped.state.realized == D(10)
    assert flipped.state.sequence == state.sequence + 1


# "on_price_tick": 1 to 4.
def test_a_tick_moves_mark_profit_and_ratio_and_liquidates_on_a_breach():
    state = account("1000", [position(quantity="10")], maintenance_rate=D("0.02"))
    assert decide(state, Wake(ETH, "t"), market({ETH: "1945"})).state.phase == "WARNING"
    breach = decide(state, Wake(ETH, "t"), market({ETH: "1944.4"}))
    assert [f.purpose for f in breach.facts if isinstance(f, OrderIntended)] == [Purpose.ADL]


# "get_account_snapshot".
def test_the_snapshot_has_what_the_document_lists():
    state = account("1000", [position(quantity="1", leverage="10")])
    view = account_view(state, Status.RUNNING, 0, market({ETH: "2050"}))
    assert (view.balance, view.equity, view.margin_used, view.available) == (D(1000), D(1050), D(200), D(850))
    [p] = view.positions
    assert (p.symbol, p.quantity, p.entry_price, p.margin, p.leverage) == (ETH, D(1), D(2000), D(200), D(10))
    # "mark_price, unrealized_pnl, liquidation_price: computed live".
    assert (p.mark, p.unrealized) == (D(2050), D(50))
    assert p.liquidation_price == round(
        margin.liquidation_price(state, state.positions[0], {ETH: D(2050)}), 8
    )


# "This protects virtual sub-account balances using L1 orderbook prices" - not the exchange's mark.
def test_prices_are_the_mid_of_the_order_book():
    state = account("1000", [position(quantity="1")])
    view = account_view(state, Status.RUNNING, 0, market({ETH: "2050"}, spread="4"))
    assert view.positions[0].mark == D(2050)
    exit_view = account_view(
        replace(state, limits=replace(state.limits, mark_source=MarkSource.EXIT)),
        Status.RUNNING,
        0,
        market({ETH: "2050"}, spread="4"),
    )
    assert exit_view.positions[0].mark == D(2048)
