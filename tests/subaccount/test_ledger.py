"""Facts about money that do not fit leave the state whole."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.errors import StateCorrupt
from actors.core.facts import PositionTakenOver
from actors.core.fees import FeeLearned, FeeShare
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold
from actors.subaccount.state import books_balance
from tests.factories import ETH, account, market, position
from tests.subaccount.test_fees import ONLY, bnb, pending, placed, rate


def booked():
    state = pending()
    return state, decide(state, rate(), market(ONLY)).facts[0]


def test_a_fee_is_booked_once():
    state, fact = booked()
    with pytest.raises(StateCorrupt, match="is not pending"):
        fold(fold(state, fact), fact)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fee": D(1)}, "is not 0.002 x 510"),
        ({"rate": D(500)}, "is not 0.002 x 500"),
        ({"shares": ()}, "do not add up"),
        ({"shares": (FeeShare("p0", D("1.02"), False),)}, "another position"),
    ],
)
def test_a_fee_that_does_not_follow_from_amount_and_rate_does_not_fit(change, message):
    state, fact = booked()
    with pytest.raises(StateCorrupt, match=message):
        fold(state, replace(fact, **change))


def test_an_open_position_is_not_paid_for_as_if_it_were_closed():
    state, fact = booked()
    [share] = fact.shares
    with pytest.raises(StateCorrupt, match="another position"):
        fold(state, replace(fact, shares=(FeeShare(share.position_id, share.fee, True),)))


@pytest.mark.parametrize("change", [{"amount": D(3)}, {"asset": "ETH"}, {"quantity": D(2)}, {"trade_ms": 1}])
def test_the_fee_that_is_booked_is_the_one_that_is_pending(change):
    state, fact = booked()
    with pytest.raises(StateCorrupt, match="is not the fee that is pending"):
        fold(state, replace(fact, pending=replace(fact.pending, **change)))


def test_a_commission_is_learned_once_and_of_a_pending_fee_only():
    state = bnb(placed(), fee=None).state
    told = FeeLearned(ETH, 1, "BNB", D(1))
    with pytest.raises(StateCorrupt, match="is known already"):
        fold(fold(state, told), told)
    with pytest.raises(StateCorrupt, match="is not pending"):
        fold(state, replace(told, trade_id=2))


def test_a_fill_is_not_booked_with_a_fee_and_pending_as_well():
    state = placed()
    fact = bnb(state, at=market(ONLY)).facts[0]
    with pytest.raises(StateCorrupt, match="pending and booked"):
        fold(state, replace(fact, fee=D(1)))


def taken_over(**changes):
    known = {"symbol": ETH, "quantity": D(1), "price": D(1990), "realized": D(-10), "fee": D("0.995")}
    return PositionTakenOver(**{**known, **changes})


def test_a_position_that_the_house_takes_may_cost_a_fee():
    after = fold(account("1000", [position()]), taken_over())
    assert (after.balance, after.realized, after.fees) == (D("989.005"), D(-10), D("0.995"))
    assert books_balance(after)
    assert after.positions == ()
    assert fold(account("1000", [position()]), taken_over(fee=D(0))).balance == D(990)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"realized": D(-9)}, "another profit"),
        ({"quantity": D(-1)}, "no position of -1"),
        ({"fee": D("-0.1")}, "for a fee of -0.1"),
        ({"fee": D("NaN")}, "for a fee of NaN"),
    ],
)
def test_a_takeover_that_does_not_fit_the_position_is_refused(change, message):
    with pytest.raises(StateCorrupt, match=message):
        fold(account("1000", [position()]), taken_over(**change))
