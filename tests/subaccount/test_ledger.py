"""Facts about money that do not fit leave the state whole."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import AccountStatus, LiquidationMode, Phase
from actors.core.errors import StateCorrupt
from actors.core.facts import AccountAdopted, AdoptedPosition, AdoptionUndone, PositionTakenOver
from actors.core.fees import FeeLearned, FeeShare
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold
from actors.subaccount.state import AccountState, books_balance
from tests.factories import BTC, ETH, WIDE, account, market, position
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


# -- accounts that the platform ran

BLANK = AccountState(account_id=account().account_id, limits=WIDE, base_limits=WIDE)


def had(symbol=ETH, **changes):
    fields = {
        "position_id": "p",
        "quantity": D(1),
        "entry_price": D(2000),
        "cost": D(2000),
        "leverage": D(10),
        "margin": D(200),
    }
    return AdoptedPosition(symbol=symbol, opened_ms=5, **{**fields, **changes})


def adoption(*positions, status=AccountStatus.ACTIVE):
    return AccountAdopted(
        status=status, mode=LiquidationMode.ADL_30, maintenance_rate=D("0.005"), balance=D(1000), adopted_ms=9,
        positions=positions,
    )  # fmt: skip


def test_an_account_is_adopted_with_what_it_has():
    state = fold(BLANK, adoption(had(), had(BTC)))
    assert (state.phase, state.balance, state.symbols) == (Phase.HEALTHY, 1000, (ETH, BTC))
    assert books_balance(state)


def test_one_that_the_platform_has_liquidated_is_over_unless_it_still_holds_something():
    over = AccountStatus.LIQUIDATED
    assert fold(BLANK, adoption(status=over)).phase is Phase.LIQUIDATED
    assert fold(BLANK, adoption(had(), status=over)).phase is Phase.HEALTHY
    assert fold(BLANK, adoption()).phase is Phase.HEALTHY


@pytest.mark.parametrize(
    "wrong", [{"quantity": D(0)}, {"cost": D(0)}, {"cost": D(-1)}, {"margin": D(0)}, {"margin": D(-1)}]
)
def test_what_is_no_position_is_not_adopted(wrong):
    with pytest.raises(StateCorrupt, match="is no position"):
        fold(BLANK, adoption(had(**wrong)))


def test_two_positions_of_one_symbol_are_not_adopted():
    with pytest.raises(StateCorrupt, match="two positions of one symbol"):
        fold(BLANK, adoption(had(), had(position_id="other")))


def test_an_adoption_is_undone_as_it_was_made_and_once():
    state, undone = fold(BLANK, adoption(had())), AdoptionUndone(D(1000), (ETH,))
    gone = fold(state, undone)
    assert (gone.is_undone, gone.balance, gone.positions) == (True, 0, ())
    for wrong in (
        AdoptionUndone(D(999), (ETH,)),
        AdoptionUndone(D(1000), ()),
        AdoptionUndone(D(1000), (BTC,)),
    ):
        with pytest.raises(StateCorrupt, match="not as it was adopted"):
            fold(state, wrong)
    with pytest.raises(StateCorrupt, match="not as it was adopted"):
        fold(gone, undone)
    assert not fold(gone, adoption(had())).is_undone
