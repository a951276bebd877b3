"""Fees in another asset: the fill at once, the fee at that time's rate, pending until somebody knows it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import AccountStatus, Phase, ReconsiderReason
from actors.core.errors import StateCorrupt
from actors.core.facts import BadDebtRecorded, FillApplied, PositionClosed
from actors.core.fees import Commission, FeeBooked, FeeLearned, FeeShare
from actors.core.messages import (
    AdjustBalance,
    AskRate,
    FeeKnown,
    PlaceOrder,
    RateKnown,
    Reconsider,
    SettleFee,
    Wake,
)
from actors.core.order_messages import AskFees
from actors.core.units import ZERO
from actors.limits.model import RiskLimits
from actors.subaccount import fees, margin
from actors.subaccount.alerts import alerts_of
from actors.subaccount.decide import decide
from actors.subaccount.fold import folded
from actors.subaccount.pipeline import Accepted
from actors.subaccount.rejections import RejectCode as Code
from actors.subaccount.state import books_balance
from tests.factories import BNB, BTC, BUY, ETH, INSTRUMENTS, SELL, WALL_MS, account, fill_of, market, run

BOTH = {ETH: "2000", BNB: "500"}
ONLY = {ETH: "2000"}
LIMIT_MS = RiskLimits().price_max_age_ns // 1_000_000
MINUTE = WALL_MS - WALL_MS % 60_000
LOOK = Reconsider(ReconsiderReason.FEES)


def placed(state=None, side=BUY, quantity="1"):
    state = state or account("10000")
    return run(state, PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(10)))


def bnb(state, fee="0.002", at=None, trade_ms=WALL_MS, **more):
    """The decision of the last order's fill, its fee taken in BNB."""
    fill = fill_of(
        state.orders[-1], fee=fee, fee_asset="" if fee is None else "BNB", trade_ms=trade_ms, **more
    )
    return decide(state, fill, at or market(BOTH))


def rate(value="510", symbol=BNB, begin_ms=MINUTE):
    return RateKnown(symbol, begin_ms, begin_ms + 60_000, D(value), "t")


def pending(**more):
    """An account whose fill is booked and whose fee of 0.002 BNB is not."""
    state = bnb(placed(), at=market(ONLY), **more).state
    assert state.pending_fees
    return state


# -- with a rate


def test_a_fee_in_bnb_is_booked_at_the_rate_of_its_time_which_is_recorded():
    at = market(BOTH, spread="0.2")
    decision = bnb(placed(), at=at)
    [fact] = decision.facts
    assert fact.fee == D(1)
    assert fact.commission == Commission(asset="BNB", amount=D("0.002"), rate=D(500), rate_ms=1)
    state = decision.state
    assert (state.fees, state.balance, state.pending_fees) == (D(1), D(9999), ())
    assert state.positions[0].fees == D(1)
    assert books_balance(state)
    assert alerts_of(state.account_id, decision.facts) == []


@pytest.mark.parametrize("asset", ["", "USDT"])
def test_a_fee_in_the_quote_asset_needs_no_rate(asset):
    state = placed()
    [fact] = decide(state, fill_of(state.orders[0], fee="0.8", fee_asset=asset), market(ONLY)).facts
    assert (fact.fee, fact.commission) == (D("0.8"), None)


def test_the_quote_asset_is_known_for_a_symbol_that_is_not_listed_any_more():
    state = placed()
    fill = fill_of(state.orders[0], fee="0.8", fee_asset="USDT")
    assert decide(state, fill, market(ONLY, instruments={})).facts[0].fee == D("0.8")
    strange = replace(fill, trade=replace(fill.trade, fee_asset="BNB"))
    assert decide(state, strange, market(BOTH, instruments={})).state.pending_fees


def test_a_rebate_in_bnb_is_income():
    state = bnb(placed(), fee="-0.002").state
    assert (state.fees, state.balance) == (D(-1), D(10001))


# -- without a rate


@pytest.mark.parametrize(
    "at",
    [
        market(ONLY),
        market(BOTH, now_ns=LIMIT_MS * 1_000_000 + 1, received_ns=0, wall_ms=WALL_MS),
        market(BOTH, wall_ms=WALL_MS + LIMIT_MS + 1),
        market(BOTH, wall_ms=WALL_MS - LIMIT_MS - 1),
    ],
    ids=["no price", "stale", "an old trade", "a trade of the future"],
)
def test_without_the_rate_of_that_time_the_fill_is_booked_and_the_fee_is_pending(at):
    state = placed()
    decision = bnb(state, at=at)
    fact = decision.facts[0]
    assert (fact.fee, fact.commission) == (ZERO, Commission(asset="BNB", amount=D("0.002")))
    after = decision.state
    assert after.position(ETH).quantity == D(1)
    assert (after.fees, after.balance) == (ZERO, D(10000))
    [fee] = after.pending_fees
    assert (fee.asset, fee.amount, fee.trade_id, fee.trade_ms) == ("BNB", D("0.002"), 1, WALL_MS)
    [alarm] = alerts_of(after.account_id, decision.facts)
    assert alarm.startswith("acct-1: the fee of trade 1 of ETHUSDT, 0.002 BNB, is not booked")
    assert "fee_assets" in alarm


@pytest.mark.parametrize("apart", [LIMIT_MS, -LIMIT_MS])
def test_at_the_price_limit_the_present_rate_is_that_of_the_trade(apart):
    assert bnb(placed(), at=market(BOTH, wall_ms=WALL_MS + apart)).state.pending_fees == ()
    edge = market(BOTH, now_ns=LIMIT_MS * 1_000_000, received_ns=0, wall_ms=WALL_MS)
    assert bnb(placed(), at=edge).state.pending_fees == ()


def test_the_mean_of_the_trade_s_minute_books_it_even_when_the_position_is_gone():
    state = pending()
    state = placed(state, SELL)
    state = run(state, fill_of(state.orders[-1], trade_id=2, fee="0.1"), market(ONLY))
    assert state.positions == ()
    decision = decide(state, rate(), market({}))
    [fact] = decision.facts
    assert (fact.fee, fact.rate, fact.rate_ms) == (D("1.02"), D(510), MINUTE)
    assert [s.is_closed for s in fact.shares] == [True]
    after = decision.state
    assert (after.fees, after.pending_fees) == (D("1.12"), ())
    assert after.balance == state.balance - D("1.02")
    assert books_balance(after)


def test_the_fee_is_also_that_of_the_open_position():
    [fact] = decide(pending(), rate(), market(ONLY)).facts
    assert [s.is_closed for s in fact.shares] == [False]
    assert run(pending(), rate()).positions[0].fees == D("1.02")


@pytest.mark.parametrize(
    "message",
    [rate(begin_ms=MINUTE - 60_000), rate(begin_ms=MINUTE + 60_000), rate(symbol=BTC)],
    ids=["before", "after", "another symbol"],
)
def test_another_minute_s_rate_or_another_symbol_s_books_nothing(message):
    decision = decide(pending(), message, market(ONLY))
    assert decision.duplicate
    assert decision.facts == ()


@pytest.mark.parametrize(
    ("trade_ms", "is_in"), [(MINUTE, True), (MINUTE + 59_999, True), (MINUTE + 60_000, False)]
)
def test_a_minute_is_from_its_begin_to_before_its_end(trade_ms, is_in):
    assert bool(decide(pending(trade_ms=trade_ms), rate(), market(ONLY)).facts) is is_in


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_a_rate_that_cannot_be_is_corrupt(value):
    with pytest.raises(StateCorrupt, match="cannot have been at"):
        decide(pending(), rate(value), market(ONLY))


def test_a_price_that_comes_while_the_trade_is_young_books_it_at_the_next_look_and_no_tick_does():
    state = pending()
    assert decide(state, Wake(ETH, "t"), market(BOTH)).state.pending_fees
    assert decide(state, LOOK, market(ONLY)).state.pending_fees
    assert decide(state, LOOK, market(BOTH, wall_ms=WALL_MS + LIMIT_MS + 1)).state.pending_fees
    after = decide(state, LOOK, market(BOTH)).state
    assert (after.fees, after.pending_fees) == (D(1), ())


# -- not told yet


def test_a_commission_that_was_not_told_is_pending_and_neither_zero_nor_invented():
    decision = bnb(placed(), fee=None)
    assert decision.facts[0].commission == Commission()
    assert decision.state.position(ETH).quantity == D(1)
    assert decision.state.pending_fees[0].amount is None
    # It is asked for at once, and mostly told at once: no alarm yet.
    assert alerts_of("acct-1", decision.facts) == []
    assert decide(decision.state, LOOK, market(BOTH)).facts == ()
    assert decide(decision.state, rate(), market(BOTH)).facts == ()


@pytest.mark.parametrize(
    ("fee", "asset", "at", "booked"),
    [
        ("0.8", "USDT", market(ONLY), D("0.8")),
        ("0", "", market(ONLY), ZERO),
        ("0.002", "BNB", market(BOTH), D(1)),
        ("0.002", "BNB", market(ONLY), None),
    ],
)
def test_what_is_told_later_is_booked_or_waits_for_its_rate(fee, asset, at, booked):
    state = bnb(placed(), fee=None).state
    decision = decide(state, FeeKnown(ETH, 1, D(fee), asset, "t"), at)
    if booked is None:
        assert decision.facts == (FeeLearned(ETH, 1, "BNB", D("0.002")),)
        assert "0.002 BNB, is not booked" in alerts_of("acct-1", decision.facts)[0]
        decision = decide(decision.state, rate("500"), at)
        booked = D(1)
    [fact] = decision.facts
    assert isinstance(fact, FeeBooked)
    after = decision.state
    assert (fact.fee, after.fees, after.pending_fees) == (booked, booked, ())
    assert after.positions[0].fees == booked
    assert books_balance(after)
    assert decide(after, FeeKnown(ETH, 1, D(fee), asset, "t"), at).duplicate


def test_what_is_told_twice_is_learned_once():
    state = pending()
    assert decide(state, FeeKnown(ETH, 1, D(7), "BNB", "t"), market(BOTH)).duplicate
    assert decide(state, FeeKnown(ETH, 99, D(7), "BNB", "t"), market(BOTH)).duplicate


def test_nonsense_of_the_exchange_is_corrupt():
    with pytest.raises(StateCorrupt, match="a fee of"):
        bnb(placed(), fee="1E+30")
    with pytest.raises(StateCorrupt, match="a fee of"):
        decide(bnb(placed(), fee=None).state, FeeKnown(ETH, 1, D("NaN"), "BNB"), market(BOTH))


# -- a flip


def test_the_fee_of_a_flip_is_shared_by_the_position_it_closed_and_the_one_it_opened():
    state = placed()
    state = run(state, fill_of(state.orders[-1], fee="0"))
    first = state.positions[0].position_id
    state = placed(state, SELL, "3")
    decision = bnb(state, fee="0.003", at=market(ONLY), trade_id=2)
    applied, closed = decision.facts
    assert isinstance(applied, FillApplied)
    assert isinstance(closed, PositionClosed)
    assert closed.fees == ZERO
    second = decision.state.positions[0].position_id
    after = decide(decision.state, rate("500"), market(ONLY))
    [fact] = after.facts
    assert fact.shares == (FeeShare(first, D("0.5"), True), FeeShare(second, D("1.0"), False))
    assert after.state.positions[0].fees == D("1.0")
    assert after.state.fees == D("1.5")


# -- until then


def test_nothing_is_withdrawn_while_a_fee_is_pending():
    state = pending()
    refused = decide(state, AdjustBalance(D(-1), "t"), market(BOTH)).reply
    assert [r.code for r in refused.rejections] == [Code.FEE_PENDING]
    assert "trade 1 of ETHUSDT" in refused.rejections[0].text
    assert isinstance(decide(state, AdjustBalance(D(1), "t"), market(BOTH)).reply, Accepted)
    assert isinstance(decide(run(state, rate()), AdjustBalance(D(-1), "t"), market(BOTH)).reply, Accepted)


def test_a_pending_fee_holds_margin_and_changes_no_liquidation():
    state = pending()
    marks = {ETH: D(2000)}
    assert fees.reserve(state) == D(2)
    free, booked = margin.view(state, marks), margin.view(replace(state, pending_fees=()), marks)
    assert booked.available - free.available == D(2)
    assert (free.equity, free.ratio) == (booked.equity, booked.ratio)


def test_what_is_held_cannot_be_used_for_an_order():
    # 400 of 409 may be used, 402 may not.
    state = replace(pending(), balance=D(409), deposits=D(409))
    order = PlaceOrder(symbol=ETH, side=BUY, quantity=D(1), leverage=D(10))
    refused = decide(state, order, market(ONLY)).reply
    assert Code.MARGIN_RATIO_EXCEEDED in [r.code for r in refused.rejections]
    allowed = decide(replace(state, pending_fees=()), order, market(ONLY)).reply
    assert isinstance(allowed, Accepted), allowed


def test_a_fee_that_comes_after_the_liquidation_is_bad_debt_too():
    state = replace(
        pending(), positions=(), balance=D("0.5"), deposits=D("0.5"), phase=Phase.LIQUIDATED,
        status=AccountStatus.LIQUIDATED, orders=(),
    )  # fmt: skip
    booked, debt = decide(state, rate(), market({})).facts
    assert booked.fee == D("1.02")
    assert debt == BadDebtRecorded(D("0.52"))
    exact = replace(state, balance=D("1.02"), deposits=D("1.02"))
    assert len(decide(exact, rate(), market({})).facts) == 1


# -- what is asked


def test_what_is_lacking_is_asked_for_once_per_order_and_minute():
    state = placed(quantity="4")
    for n, (fee, trade_ms) in enumerate(
        [(None, WALL_MS), (None, WALL_MS), ("0.1", WALL_MS), ("0.2", WALL_MS + 1), ("0.3", MINUTE + 60_000)],
        1,
    ):
        state = bnb(state, fee, market(ONLY), trade_ms, trade_id=n, quantity="0.5").state
    order = state.orders[0]
    trades, rates = fees.questions(state.account_id, state.pending_fees, INSTRUMENTS)
    assert trades == [AskFees("acct-1", order.client_order_id, 101, ETH, (1, 2))]
    assert rates == [AskRate("acct-1", BNB, WALL_MS), AskRate("acct-1", BNB, MINUTE + 60_000)]
    assert fees.questions(state.account_id, state.pending_fees, {})[1] == []


def test_facts_fold_to_the_state_of_the_decision():
    state = pending()
    decision = decide(state, rate(), market(ONLY))
    assert replace(folded(state, decision.facts), sequence=decision.state.sequence) == decision.state


# -- by hand


def settle(rate=None, amount=None, trade_id=1):
    return SettleFee(ETH, trade_id, None if rate is None else D(rate), None if amount is None else D(amount))


def test_an_operator_books_it_at_a_rate_or_what_was_never_told_as_an_amount():
    at_rate = run(pending(), settle(rate="512.5"))
    assert (at_rate.fees, at_rate.pending_fees, at_rate.positions[0].fees) == (D("1.025"), (), D("1.025"))
    untold = run(bnb(placed(), fee=None).state, settle(amount="0.8"))
    assert (untold.fees, untold.pending_fees, books_balance(untold)) == (D("0.8"), (), True)
    assert run(bnb(placed(), fee=None).state, settle(amount="0")).pending_fees == ()


@pytest.mark.parametrize(
    ("told", "message", "code"),
    [
        (True, settle(rate="512", trade_id=9), Code.FEE_NOT_PENDING),
        (True, settle(), Code.INVALID_PRICE),
        (True, settle(rate="0"), Code.INVALID_PRICE),
        (True, settle(rate="-1"), Code.INVALID_PRICE),
        (True, settle(rate="NaN"), Code.INVALID_PRICE),
        (True, settle(rate="1", amount="1"), Code.INVALID_PRICE),
        (True, settle(amount="1"), Code.INVALID_PRICE),
        (False, settle(), Code.INVALID_QUANTITY),
        (False, settle(rate="1", amount="1"), Code.INVALID_QUANTITY),
        (False, settle(rate="1"), Code.INVALID_QUANTITY),
        (False, settle(amount="Infinity"), Code.INVALID_QUANTITY),
    ],
)
def test_what_an_operator_says_must_fit_what_is_pending(told, message, code):
    state = pending() if told else bnb(placed(), fee=None).state
    decision = decide(state, message, market(ONLY))
    assert [r.code for r in decision.reply.rejections] == [code]
    assert decision.state == state
