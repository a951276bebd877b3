"""Each rejection by name, the seven checks' limits, and that order and repetition do not matter.

Covers: actors/subaccount/rejections.py, actors/subaccount/pretrade/order_checks.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import AccountStatus, OrderType
from actors.core.messages import PlaceOrder
from actors.core.units import Symbol
from actors.limits.model import RiskLimits
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Rejected
from actors.subaccount.rejections import RejectCode
from tests.factories import (
    BTC,
    BUY,
    ETH,
    INSTRUMENTS,
    SELL,
    WIDE,
    account,
    check,
    fill_of,
    held_margin,
    market,
    position,
    run,
)

SECOND = 1_000_000_000


def order(**changes):
    return PlaceOrder(**{"symbol": ETH, "side": BUY, "quantity": D(1), "leverage": D(10), **changes})


def codes(state, message, at=None):
    return [r.code for r in check(state, message, at or market()).rejections]


BAD_SHAPES = [
    ({"quantity": D("NaN")}, RejectCode.INVALID_QUANTITY),
    ({"quantity": D("Infinity")}, RejectCode.INVALID_QUANTITY),
    ({"quantity": D(0)}, RejectCode.INVALID_QUANTITY),
    ({"quantity": D(-1)}, RejectCode.INVALID_QUANTITY),
    ({"quantity": D("1.0001")}, RejectCode.QUANTITY_OFF_STEP),
    ({"quantity": D(10_001)}, RejectCode.INVALID_QUANTITY),
    ({"quantity": D("0.001")}, RejectCode.MIN_NOTIONAL),
    ({"leverage": D("NaN")}, RejectCode.INVALID_LEVERAGE),
    ({"leverage": D(0)}, RejectCode.INVALID_LEVERAGE),
    ({"leverage": D(-5)}, RejectCode.INVALID_LEVERAGE),
    ({"price": D(2000)}, RejectCode.INVALID_PRICE),
    ({"order_type": OrderType.LIMIT}, RejectCode.INVALID_PRICE),
    ({"order_type": OrderType.LIMIT, "price": D("NaN")}, RejectCode.INVALID_PRICE),
    ({"order_type": OrderType.LIMIT, "price": D("2000.001")}, RejectCode.PRICE_OFF_TICK),
    ({"symbol": Symbol("NOPEUSDT")}, RejectCode.UNKNOWN_SYMBOL),
    ({"symbol": BTC, "quantity": D("0.1")}, RejectCode.NO_PRICE),
    ({"reduce_only": True}, RejectCode.NOTHING_TO_REDUCE),
]


@pytest.mark.parametrize(("changes", "code"), BAD_SHAPES)
def test_a_bad_order_is_refused_by_name_and_changes_nothing(changes, code):
    state = account("100000000")
    assert codes(state, order(**changes)) == [code]
    decision = decide(state, order(**changes), market())
    assert isinstance(decision.reply, Rejected)
    assert decision.state is state


LIMITS = RiskLimits(max_leverage=D(20), max_notional_per_trade=D(4_000), max_total_exposure=D(5_000))


@pytest.mark.parametrize(
    ("changes", "held", "balance", "code"),
    [
        ({"leverage": D("20.5")}, "0", "10000", RejectCode.MAX_LEVERAGE_EXCEEDED),
        ({"quantity": D("2.001")}, "0", "10000", RejectCode.MAX_NOTIONAL_EXCEEDED),
        ({"quantity": D("1.001")}, "1.5", "10000", RejectCode.MAX_EXPOSURE_EXCEEDED),
        ({"quantity": D(1)}, "0", "199", RejectCode.INSUFFICIENT_MARGIN),
        ({"quantity": D(1)}, "0", "204", RejectCode.MARGIN_RATIO_EXCEEDED),
    ],
)
def test_each_limit_refuses_just_above_it(changes, held, balance, code):
    positions = [position(quantity=held)] if held != "0" else []
    assert code in codes(account(balance, positions, LIMITS), order(**changes))


@pytest.mark.parametrize(
    ("changes", "held", "balance"),
    [
        ({"leverage": D(20)}, "0", "10000"),
        ({"quantity": D(2)}, "0", "10000"),
        ({"quantity": D(1)}, "1.5", "10000"),
        ({"quantity": D(1)}, "0", "205"),
    ],
)
def test_each_limit_allows_what_equals_it(changes, held, balance):
    positions = [position(quantity=held)] if held != "0" else []
    assert codes(account(balance, positions, LIMITS), order(**changes)) == []


def test_every_failed_limit_is_reported_in_the_seed_s_order():
    state = account("10", [], LIMITS)
    assert codes(state, order(quantity=D(5), leverage=D(50))) == [
        RejectCode.MAX_LEVERAGE_EXCEEDED,
        RejectCode.MAX_NOTIONAL_EXCEEDED,
        RejectCode.MAX_EXPOSURE_EXCEEDED,
        RejectCode.INSUFFICIENT_MARGIN,
        RejectCode.MARGIN_RATIO_EXCEEDED,
    ]


def test_a_stale_price_of_any_symbol_that_counts_is_refused():
    fresh = WIDE.price_max_age_ns
    assert codes(account(), order(quantity=D("0.1")), market(now_ns=fresh)) == []
    assert codes(account(), order(), market(now_ns=fresh + 1)) == [RejectCode.STALE_PRICE]
    held = account("100000", [position(BTC, "1", "60000")])
    assert codes(held, order()) == [RejectCode.NO_PRICE]


@pytest.mark.parametrize("status", [AccountStatus.FROZEN, AccountStatus.LIQUIDATED])
def test_only_active_accounts_take_new_risk(status):
    assert codes(account(status=status), order()) == [RejectCode.ACCOUNT_NOT_ACTIVE]


def test_frozen_and_reduce_only_allow_reducing():
    held = account("1000", [position(quantity="1")], status=AccountStatus.FROZEN)
    assert codes(held, order(side=SELL)) == []
    assert codes(replace(held, status=AccountStatus.ACTIVE), order(side=SELL), market(reduce_only=True)) == []
    assert codes(account(), order(quantity=D("0.1")), market(reduce_only=True)) == [
        RejectCode.REDUCE_ONLY_MODE
    ]
    assert codes(held, order(side=SELL, quantity=D(2))) == [RejectCode.ACCOUNT_NOT_ACTIVE]


def test_a_symbol_that_takes_no_new_risk_allows_reducing_and_the_others_are_open():
    held = account("1000", [position(quantity="1")])
    closed = market({ETH: "2000", BTC: "20000"}, closed_symbols=frozenset({ETH}))
    assert codes(held, order(side=SELL), closed) == []
    assert codes(account(), order(quantity=D("0.1")), closed) == [RejectCode.REDUCE_ONLY_MODE]
    assert codes(account(), order(symbol=BTC, quantity=D("0.01")), closed) == []


def test_two_orders_that_fit_alone_but_not_together_one_is_refused():
    state = account("300", limits=WIDE)
    first = run(state, order(quantity=D(1)))
    assert len(first.orders) == 1
    assert held_margin(first) == D(200)
    assert RejectCode.INSUFFICIENT_MARGIN in codes(first, order(quantity=D(1)))


def test_two_closes_at_once_cannot_close_the_same_quantity_twice():
    state = account("1000", [position(quantity="1")])
    closing = run(state, order(side=SELL))
    assert codes(closing, order(side=SELL, reduce_only=True)) == [RejectCode.NOTHING_TO_REDUCE]


def test_a_flip_s_profit_counts_once():
    # 1 ETH long with 500 profit on balance 100: equity 600, and nothing of it twice.
    state = account("100", [position(quantity="1", entry="1500", leverage="20")])
    assert codes(state, order(side=SELL, quantity=D("3.9"))) == []
    assert RejectCode.INSUFFICIENT_MARGIN in codes(state, order(side=SELL, quantity=D("4.1")))


@given(st.permutations([position(ETH, "1"), position(BTC, "-0.01", "60000", number=2)]), st.integers(1, 6))
def test_the_order_of_positions_never_changes_the_verdict(positions, quantity):
    at = market({ETH: "1990", BTC: "60100"})
    message = order(quantity=D(quantity), leverage=D(5))
    assert check(account("1500", positions), message, at) == check(
        account("1500", positions[::-1]), message, at
    )


def test_every_code_says_whether_trying_again_may_help():
    assert {c.is_transient for c in RejectCode} == {True, False}
    assert RejectCode.STALE_PRICE.is_transient
    assert not RejectCode.MAX_LEVERAGE_EXCEEDED.is_transient


def test_while_a_step_works_no_order_is_taken():
    sick = run(account("60", [position(quantity="5", entry="2000")]), wake(), market({ETH: "1998"}))
    assert codes(sick, order(side=SELL, quantity=D("0.1")))[0] == RejectCode.ACCOUNT_LIQUIDATING


def wake():
    from actors.core.messages import Wake

    return Wake(ETH, "test")


def test_reserved_margin_is_freed_as_the_order_fills():
    state = run(account("1000"), order(quantity=D(2)))
    half = run(state, fill_of(state.orders[0], quantity="1"))
    assert held_margin(half) == D(200)


def test_the_exchange_s_own_bounds_are_allowed():
    state = account("100000000")
    assert codes(state, order(quantity=D("0.01"))) == []
    assert codes(state, order(quantity=D("0.009"))) == [RejectCode.MIN_NOTIONAL]
    assert codes(state, order(quantity=D("0.01"), leverage=D(1))) == []
    at = market(instruments={ETH: replace(INSTRUMENTS[ETH], market_max_qty=D(500), max_qty=D(1000))})
    limit = {"order_type": OrderType.LIMIT, "price": D(2000)}
    assert codes(state, order(quantity=D(500)), at) == []
    assert codes(state, order(quantity=D("500.001")), at) == [RejectCode.INVALID_QUANTITY]
    assert codes(state, order(quantity=D(1000), **limit), at) == []
    assert codes(state, order(quantity=D("1000.001"), **limit), at) == [RejectCode.INVALID_QUANTITY]


def test_a_market_order_reserves_what_the_touch_costs():
    at = market(spread="20")
    assert check(account("10000"), order(), at).margin == D(201)
    assert check(account("10000"), order(side=SELL), at).margin == D(199)


def test_margin_that_is_just_enough_is_enough_and_usage_must_stay_below():
    assert codes(account("200"), order()) == [RejectCode.MARGIN_RATIO_EXCEEDED]
    half = replace(WIDE, margin_usage_limit=D("0.5"))
    assert codes(account("400", limits=half), order()) == [RejectCode.MARGIN_RATIO_EXCEEDED]
    assert codes(account("400.01", limits=half), order()) == []
