"""What people set acts in the decision that takes it, or is refused by name and changes nothing."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import AccountStatus, LiquidationMode, Phase
from actors.core.errors import StateCorrupt
from actors.core.facts import (
    BalanceAdjusted,
    LimitsBelowChanged,
    LimitsChanged,
    MaintenanceRateChanged,
    ModeChanged,
    OrderIntended,
    PhaseChanged,
    StatusChanged,
)
from actors.core.messages import AdjustBalance, PlaceOrder, PlatformKnown, SetLimits, SetMode, SetStatus, Wake
from actors.limits.layers import differing
from actors.subaccount.decide import decide
from actors.subaccount.pipeline import Accepted
from actors.subaccount.rejections import RejectCode as Code
from tests.factories import BUY, ETH, WIDE, account, market, position, run


def limit(name, text):
    return SetLimits(((name, text),))


def test_a_limit_acts_at_once_and_can_be_taken_back():
    order = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"))
    state = account()
    tight = run(state, limit("max_order_notional", "100"))
    assert tight.overrides == (("max_order_notional", "100"),)
    assert [r.code for r in decide(tight, order, market()).reply.rejections] == [
        Code.MAX_ORDER_NOTIONAL_EXCEEDED
    ]
    back = run(tight, limit("max_order_notional", None))
    assert (back.overrides, back.limits) == ((), state.limits)
    assert isinstance(decide(back, order, market()).reply, Accepted)


def test_an_own_limit_may_switch_off_what_lies_below():
    base = replace(WIDE, max_positions=1)
    state = replace(account(limits=base), base_limits=base)
    assert run(state, limit("max_positions", "off")).limits.max_positions is None
    assert run(run(state, limit("max_positions", "off")), limit("max_positions", None)).limits == base


def test_a_lower_threshold_deleverages_in_the_same_decision():
    state = account("1000", [position(quantity="10")], maintenance_rate=D("0.03"))
    assert decide(state, limit("margin_usage_limit", "0.9"), market()).state.orders == ()
    decision = decide(state, limit("liquidation_threshold", "0.58"), market())
    assert [f.quantity for f in decision.facts if isinstance(f, OrderIntended)] == [D(3)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("max_positions", "0"), ("max_positions", "1.5"), ("max_positions", "NaN"), ("max_positions", "many"),
        ("max_leverage", "0.5"), ("max_leverage", "off"), ("liquidation_threshold", "1.01"),
        ("max_daily_loss", "-1"), ("max_daily_loss", "0"), ("max_daily_loss", "1e40"), ("breaker_reset", "never"),
        ("adl_tiers", "0.9"), ("adl_tiers", "0.9:0.3, 0.8:0.5"), ("adl_tiers", "0.9:0.5, 0.95:0.3"),
        ("adl_tiers", "0.9:2"), ("price_max_age_ns", "1"), ("no_such_limit", "1"), ("", "1"),
    ],
)  # fmt: skip
def test_an_impossible_limit_is_refused_with_its_name_and_nothing_of_the_list_is_set(name, text):
    state = account()
    decision = decide(state, SetLimits((("max_positions", "3"), (name, text))), market())
    [rejection] = decision.reply.rejections
    assert rejection.code is Code.INVALID_LIMIT
    assert name in rejection.text
    assert decision.state is state


def test_the_same_limit_again_changes_nothing():
    state = run(account(), limit("max_positions", "3"))
    assert decide(state, limit("max_positions", "3.0"), market()).facts == ()
    assert decide(account(), limit("max_positions", None), market()).facts == ()


def test_values_are_kept_as_they_will_be_read_again():
    [fact] = decide(account(), limit("max_order_notional", " 1e3 "), market()).facts
    assert fact == LimitsChanged((("max_order_notional", "1000"),))


def test_another_mode_acts_at_once():
    sick = account("1000", [position(quantity="10")], maintenance_rate=D("0.045"))
    takes = decide(sick, SetMode(LiquidationMode.INSTANT_CLOSE), market())
    assert isinstance(takes.facts[0], ModeChanged)
    assert [f.quantity for f in takes.facts if isinstance(f, OrderIntended)] == [D(10)]
    assert decide(account(), SetMode(LiquidationMode.ADL_30), market()).facts == ()


def test_freezing_a_sick_account_does_not_save_it():
    sick = account("1000", [position(quantity="10")], maintenance_rate=D("0.045"))
    decision = decide(sick, SetStatus(AccountStatus.FROZEN), market())
    assert decision.state.status is AccountStatus.FROZEN
    assert [f.quantity for f in decision.facts if isinstance(f, OrderIntended)] == [D(3)]


def test_a_deposit_rescues_before_the_step_and_a_withdrawal_must_leave_the_margin():
    sick = account("1000", [position(quantity="10")], maintenance_rate=D("0.045"))
    rescued = decide(sick, AdjustBalance(D(1500), "DEPOSIT"), market())
    assert not [f for f in rescued.facts if isinstance(f, OrderIntended)]
    healthy = account("3000", [position(quantity="10")])
    assert isinstance(decide(healthy, AdjustBalance(D(-1000), "W"), market()).reply, Accepted)
    assert [
        r.code for r in decide(healthy, AdjustBalance(D("-1000.01"), "W"), market()).reply.rejections
    ] == [Code.INSUFFICIENT_MARGIN]


# -- what comes from outside


def test_what_the_platform_changed_becomes_facts_of_the_account_once():
    told = PlatformKnown(AccountStatus.FROZEN, LiquidationMode.TAKEOVER, D("0.01"))
    decision = decide(account(), told, market())
    assert decision.facts == (
        MaintenanceRateChanged(D("0.01")),
        ModeChanged(LiquidationMode.TAKEOVER),
        StatusChanged(AccountStatus.FROZEN),
    )
    assert decision.state.maintenance_rate == D("0.01")
    assert decide(decision.state, told, market()).facts == ()
    assert decide(account(), PlatformKnown(), market()).facts == ()


def test_other_limits_below_an_account_are_known_by_a_fact_and_act_in_the_same_decision():
    base = replace(WIDE, max_consecutive_losses=2)
    state = replace(account(limits=base), below=(("max_leverage", "7"),))
    state = replace(state, risk=replace(state.risk, losses=2))
    decision = decide(state, PlatformKnown(), market())
    assert decision.facts[0] == LimitsBelowChanged(differing(base))
    assert "2 losing trades" in decision.state.risk.breaker_reason
    assert decision.state.below == differing(base)
    assert decide(decision.state, PlatformKnown(), market()).facts == ()


def test_a_higher_rate_of_the_platform_deleverages_in_the_same_decision():
    state = account("1000", [position(quantity="10")], maintenance_rate=D("0.03"))
    decision = decide(state, PlatformKnown(maintenance_rate=D("0.046")), market())
    assert [f.quantity for f in decision.facts if isinstance(f, OrderIntended)] == [D(3)]
    assert decision.facts[-1].cause == "platform"


def test_an_account_that_the_platform_gives_back_after_its_liquidation_can_trade_again():
    over = account("10", status=AccountStatus.LIQUIDATED, phase=Phase.LIQUIDATED)
    decision = decide(over, PlatformKnown(AccountStatus.ACTIVE), market())
    assert decision.facts == (StatusChanged(AccountStatus.ACTIVE), PhaseChanged(Phase.HEALTHY, 0, 0))


@pytest.mark.parametrize("rate", ["NaN", "0", "-0.01", "1", "1e-30"])
def test_a_rate_of_the_platform_that_cannot_be_is_refused_by_name(rate):
    with pytest.raises(StateCorrupt, match="acct-1: the platform's maintenance rate of"):
        decide(account(), PlatformKnown(maintenance_rate=D(rate)), market())


def test_what_the_platform_booked_is_booked_once_on_the_state_that_was_compared():
    state = account("1000", [position(quantity="1")])
    told = PlatformKnown(adjustment=D("50.5"), sequence=state.sequence)
    decision = decide(state, told, market())
    assert decision.facts == (BalanceAdjusted(D("50.5"), "PLATFORM", by_platform=True),)
    assert decision.state.balance == decision.state.deposits == D("1050.5")
    again = decide(decision.state, told, market())
    assert (again.facts, [r.code for r in again.reply.rejections]) == ((), [Code.TOO_LATE])


def test_a_withdrawal_on_the_platform_is_taken_as_far_as_it_is_free_and_not_further():
    state = account("1000", [position(quantity="1", leverage="10")])
    assert decide(state, PlatformKnown(adjustment=D(-800)), market()).state.balance == 200
    refused = decide(state, PlatformKnown(AccountStatus.FROZEN, adjustment=D(-801)), market())
    assert (refused.facts, [r.code for r in refused.reply.rejections]) == ((), [Code.INSUFFICIENT_MARGIN])
    assert decide(state, PlatformKnown(adjustment=D("NaN")), market()).reply.rejections[0].code == Code.INVALID_QUANTITY  # fmt: skip


def test_a_deposit_on_the_platform_rescues_an_account_that_is_liquidated_now():
    state = account("100", [position(quantity="1")], phase=Phase.REDUCING, retry_at_ms=10**15, refusals=3)
    decision = decide(state, PlatformKnown(adjustment=D(5000)), market())
    assert decision.state.phase is Phase.HEALTHY


def liquidating(balance):
    """An account whose step is at work, at a price at which it needs none any more."""
    sick = decide(account("90", [position(quantity="20")]), Wake(ETH, "t"), market({ETH: "1999"})).state
    assert (sick.phase, len(sick.orders)) == (Phase.LIQUIDATING, 1)
    return replace(sick, balance=D(balance), deposits=D(balance))


def test_only_a_deposit_on_the_platform_calls_a_liquidation_off():
    rescued = decide(liquidating("90"), PlatformKnown(adjustment=D(9000)), market())
    assert rescued.state.phase is Phase.REDUCING
    for nothing in (D(0), D(-1)):
        assert (
            decide(liquidating("9090"), PlatformKnown(adjustment=nothing), market()).state.phase
            is Phase.LIQUIDATING
        )


def test_no_change_of_the_balance_is_no_withdrawal():
    told = PlatformKnown(AccountStatus.FROZEN, adjustment=D(0))
    state = account("10", [position(quantity="1")])
    assert decide(state, told, market({})).state.status is AccountStatus.FROZEN


def test_limits_below_that_the_platform_changed_keep_the_engine_s_own_setting_and_those_of_the_account():
    state = run(account(), limit("max_leverage", "5"))
    state = replace(state, base_limits=replace(state.base_limits, price_max_age_ns=7))
    decision = decide(state, PlatformKnown(below=(("max_leverage", "3"), ("max_positions", "2"))), market())
    after = decision.state
    assert (after.below, after.limits.max_positions, after.limits.max_leverage) == (
        (("max_leverage", "3"), ("max_positions", "2")), 2, 5,
    )  # fmt: skip
    assert (after.base_limits.max_leverage, after.base_limits.price_max_age_ns) == (3, 7)
    refused = decide(state, PlatformKnown(below=(("max_leverage", "abc"),)), market())
    assert refused.reply.rejections[0].code == Code.INVALID_LIMIT
