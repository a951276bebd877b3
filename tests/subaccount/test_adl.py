"""The tiers, the modes and the state machine, with the seed's numbers."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.constants import ADL_REFUSALS_MAX
from actors.core.enums import (
    AccountStatus,
    LiquidationMode,
    OrderStatus,
    OrderType,
    Phase,
    Purpose,
    ReconsiderReason,
)
from actors.core.facts import BadDebtRecorded, CancelIntended, OrderIntended, PhaseChanged, PositionTakenOver
from actors.core.messages import CloseOut, OrderClosed, PlaceOrder, Reconsider, Wake
from actors.core.units import NANOS_PER_MS
from actors.limits.model import AdlTier
from actors.subaccount import adl, margin
from actors.subaccount.decide import decide
from actors.subaccount.state import books_balance
from tests.factories import BTC, BUY, ETH, WIDE, account, fill_of, market, position, run

WAKE = Wake(ETH, "test")


def at_ratio(ratio, **changes):
    """An account of 10 ETH at 2000 and equity 1000 whose ratio at 2000 is exactly ``ratio``."""
    rate = D(ratio) * 1000 / 20_000
    return account("1000", [position(quantity="10", entry="2000")], maintenance_rate=rate, **changes)


def step(state, at=None):
    return [f for f in decide(state, WAKE, at or market()).facts if isinstance(f, OrderIntended)]


@pytest.mark.parametrize(
    ("ratio", "quantity", "purpose"),
    [
        ("0.8999", None, None),
        ("0.90", "3.000", Purpose.ADL),
        ("0.9249", "3.000", Purpose.ADL),
        ("0.925", "5.000", Purpose.ADL),
        ("0.9499", "5.000", Purpose.ADL),
        ("0.95", "10", Purpose.LIQUIDATION),
        ("1", "10", Purpose.LIQUIDATION),
    ],
)
def test_the_seed_s_tiers(ratio, quantity, purpose):
    orders = step(at_ratio(ratio))
    if quantity is None:
        assert orders == []
    else:
        assert [(o.quantity, o.purpose, o.side.value) for o in orders] == [(D(quantity), purpose, "SELL")]


@pytest.mark.parametrize(("ratio", "lacks"), [("0.90", "0"), ("0.95", "0"), ("1", "0"), ("1.25", "250")])
def test_a_step_says_what_the_account_lacks_of_its_maintenance_margin(ratio, lacks):
    state = run(at_ratio(ratio), WAKE)
    assert state.orders[0].intent.shortfall == D(lacks)
    assert state.orders[0].intent.shortfall == margin.view(state, {ETH: D(2000)}).shortfall


def test_each_step_of_a_round_says_what_the_whole_account_lacks():
    broke = account("100", [position(quantity="1"), position(BTC, "-0.1", "60000", number=2)])
    # Maintenance of 8,000 x 0.005, and a loss of 200 of which 100 were there.
    assert [o.shortfall for o in step(broke, market({ETH: "1800", BTC: "60000"}))] == [D(140), D(140)]


def test_a_close_out_says_what_the_account_lacks_at_the_last_known_prices():
    state = account("100", [position(quantity="1"), position(BTC, "-0.1", "60000", number=2)])
    now = 60 * NANOS_PER_MS * 1000
    ticks = market({ETH: "1800"}, now_ns=now).ticks
    decision = decide(state, CloseOut("stop"), replace(market({}, now_ns=now), ticks=ticks))
    # BTC never had a price, so it counts at its entry.
    assert [o.shortfall for o in decision.facts if isinstance(o, OrderIntended)] == [D(140), D(140)]
    rich = decide(replace(state, balance=D(9_000), deposits=D(9_000)), CloseOut("stop"), market({}))
    assert [o.shortfall for o in rich.facts if isinstance(o, OrderIntended)] == [D(0), D(0)]


def test_an_owner_s_order_lacks_nothing():
    state = run(account("9000", [position()]), PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")))
    assert state.orders[0].intent.shortfall == 0


def test_tiers_shift_with_the_account_s_threshold():
    limits = replace(account().limits, liquidation_threshold=D("0.80"))
    assert step(at_ratio("0.80", limits=limits))[0].quantity == D(3)
    assert step(at_ratio("0.7999", limits=limits)) == []


def test_insolvency_closes_everything_at_any_mode():
    broke = account("100", [position(quantity="1"), position(BTC, "-0.1", "60000", number=2)])
    marks = market({ETH: "1800", BTC: "60000"})
    orders = step(broke, marks)
    assert sorted((o.symbol, o.quantity, o.side.value) for o in orders) == [
        (BTC, D("0.1"), "BUY"),
        (ETH, D(1), "SELL"),
    ]


def test_the_largest_position_is_cut():
    state = account("155", [position(quantity="10"), position(BTC, "0.2", "60000", number=2)])
    assert D("0.90") <= margin.view(state, {ETH: D(2000), BTC: D(60000)}).ratio < D("1.04")
    state = replace(state, balance=D(175), deposits=D(175))
    assert [o.symbol for o in step(state, market({ETH: "2000", BTC: "60000"}))] == [ETH]


def test_instant_close_closes_all_at_the_first_tier():
    assert step(at_ratio("0.90", mode=LiquidationMode.INSTANT_CLOSE))[0].quantity == D(10)


def test_takeover_sends_no_order_and_ends_liquidated():
    decision = decide(at_ratio("0.90", mode=LiquidationMode.TAKEOVER), WAKE, market({ETH: "1999"}))
    taken = [f for f in decision.facts if isinstance(f, PositionTakenOver)]
    assert [(t.quantity, t.price) for t in taken] == [(D(10), D(1999))]
    assert step(at_ratio("0.90", mode=LiquidationMode.TAKEOVER)) == []
    assert decision.state.status is AccountStatus.LIQUIDATED
    assert decision.state.positions == ()


def test_one_step_in_flight_at_a_time():
    state = run(at_ratio("0.90"), WAKE)
    for _ in range(5):
        assert decide(state, WAKE, market()).facts == ()


def test_after_its_fill_the_account_is_assessed_again():
    state = run(at_ratio("0.90"), WAKE)
    calm = run(state, fill_of(state.orders[0]))
    assert calm.positions[0].quantity == D(7)
    done = run(calm, OrderClosed(state.orders[0].client_order_id, OrderStatus.FILLED, D(3)))
    assert done.phase is Phase.HEALTHY
    assert done.orders == ()


def test_own_orders_are_cancelled_and_gone_before_the_first_step():
    limit = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), order_type=OrderType.LIMIT, price=D(1900))
    rich = account("5000", [position(quantity="10", entry="2000", leverage="50")])
    resting = run(rich, limit)
    sick = market({ETH: "1510.3"})
    first = decide(resting, WAKE, sick)
    assert [type(f) for f in first.facts if not hasattr(f, "phase")] == [CancelIntended]
    assert decide(first.state, WAKE, sick).facts == ()
    ended = OrderClosed(resting.orders[0].client_order_id, OrderStatus.CANCELED, D(0))
    second = decide(first.state, ended, sick)
    assert [f.purpose for f in second.facts if isinstance(f, OrderIntended)]


def test_refusals_back_off_and_end_stuck_with_a_bounded_number_of_orders():
    state, now, orders = at_ratio("0.90"), 0, 0
    for _ in range(500):
        decision = decide(
            state,
            Reconsider(ReconsiderReason.BACKOFF) if state.retry_at_ms else WAKE,
            market(now_ns=now, received_ns=now),
        )
        state = decision.state
        orders += sum(isinstance(f, OrderIntended) for f in decision.facts)
        if state.orders:
            refusal = OrderClosed(
                state.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -2019, "no margin"
            )
            state = run(state, refusal, market(now_ns=now, received_ns=now))
        now += 1_000_000_000
    # And one more after five minutes, in the 500 seconds that this took.
    assert orders == ADL_REFUSALS_MAX + 1
    assert state.phase is Phase.STUCK
    again = decide(state, Reconsider(ReconsiderReason.OPERATOR), market(now_ns=now, received_ns=now))
    assert any(isinstance(f, OrderIntended) for f in again.facts)


def test_dust_that_the_exchange_would_not_take_goes_to_the_house():
    # 0.005 ETH is worth 10, below the exchange's 20.
    broke = account("0.01", [position(quantity="0.005", entry="2000")])
    decision = decide(broke, WAKE, market({ETH: "1990"}))
    assert not [f for f in decision.facts if isinstance(f, OrderIntended)]
    assert decision.state.positions == ()
    assert decision.state.bad_debt == D("0.04")
    assert books_balance(decision.state)


def test_a_step_never_leaves_dust_behind():
    # 30 % of 0.02 would leave 0.014; worth 28, but 30 % itself is 12 and too small: 0.01, then all.
    state = account("0.2222", [position(quantity="0.02", entry="2000")])
    [order] = step(state)
    assert order.quantity * 2000 >= 20
    left = D("0.02") - order.quantity
    assert left == 0 or left * 2000 >= 20


def test_loss_beyond_the_balance_is_bad_debt_not_clamped():
    state = run(account("100", [position(quantity="1")]), WAKE, market({ETH: "1850"}))
    order = state.orders[0]
    state = run(state, fill_of(order, price="1850", fee="1"), market({ETH: "1850"}))
    state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), market({ETH: "1850"}))
    assert (state.status, state.phase) == (AccountStatus.LIQUIDATED, Phase.LIQUIDATED)
    assert (state.bad_debt, state.balance) == (D(51), D(0))
    assert books_balance(state)


def test_frozen_accounts_are_liquidated_all_the_same():
    assert step(at_ratio("0.95", status=AccountStatus.FROZEN))


def test_without_a_fresh_price_nothing_is_decided_and_it_is_said():
    late = market(now_ns=account().limits.price_max_age_ns + 1)
    decision = decide(at_ratio("0.95"), WAKE, late)
    assert decision.facts == ()
    assert decision.stale


def test_warning_comes_and_goes_without_flapping():
    warned = run(at_ratio("0.81"), WAKE)
    assert warned.phase is Phase.WARNING
    assert decide(warned, WAKE, market({ETH: "2000.1"})).facts == ()
    better = run(warned, WAKE, market({ETH: "2010"}))
    assert better.phase is Phase.HEALTHY


@given(st.integers(1, 400), st.sampled_from([1, -1]), st.integers(-300, 300), st.integers(1, 500))
def test_a_step_always_reduces_and_fits_the_exchange(quantity, sign, move, balance):
    held = position(quantity=D(quantity * sign) / 100, entry="2000")
    at = market({ETH: str(2000 + move)})
    for order in step(account(str(balance), [held]), at):
        assert order.side.sign == -sign
        assert D(0) < order.quantity <= abs(held.quantity)
        assert order.quantity % D("0.001") == 0


def test_a_liquidation_that_leaves_exactly_nothing_has_no_bad_debt():
    state = run(account("150", [position(quantity="1")]), WAKE, market({ETH: "1850"}))
    order = state.orders[0]
    state = run(state, fill_of(order, price="1850"), market({ETH: "1850"}))
    ended = decide(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), market({ETH: "1850"}))
    assert not [f for f in ended.facts if isinstance(f, BadDebtRecorded)]
    assert (ended.state.status, ended.state.balance) == (AccountStatus.LIQUIDATED, D(0))


def test_what_the_exchange_just_takes_is_an_order_and_no_dust():
    broke = account("0.1", [position(quantity="0.01", entry="2000")])
    assert [o.quantity for o in step(broke, market({ETH: "2000"}))] == [D("0.01")]
    # Half of 0.02 leaves 0.01, which is no dust either.
    half = account("0.4", [position(quantity="0.02")], maintenance_rate=D("0.00925"))
    assert [o.quantity for o in step(half)] == [D("0.01")]


def test_a_ratio_of_one_closes_everything_whatever_the_tiers_say():
    limits = replace(WIDE, adl_tiers=(AdlTier(D("0.5"), D("0.1")),))
    assert [o.quantity for o in step(at_ratio("0.9999", limits=limits))] == [D(1)]
    assert [o.quantity for o in step(at_ratio("1", limits=limits))] == [D(10)]


def test_own_tiers_are_taken_as_they_are():
    limits = replace(WIDE, adl_tiers=(AdlTier(D("0.5"), D("0.1")), AdlTier(D("0.6"), D(1))))
    assert step(at_ratio("0.4999", limits=limits)) == []
    assert [o.quantity for o in step(at_ratio("0.5", limits=limits))] == [D(1)]
    assert [o.quantity for o in step(at_ratio("0.6", limits=limits))] == [D(10)]
    assert run(at_ratio("0.40", limits=limits), WAKE).phase is Phase.WARNING


@pytest.mark.parametrize(
    ("before", "ratio", "after"),
    [
        (Phase.HEALTHY, "0.7999", Phase.HEALTHY),
        (Phase.HEALTHY, "0.80", Phase.WARNING),
        (Phase.WARNING, "0.79", Phase.WARNING),
        (Phase.WARNING, "0.78", Phase.WARNING),
        (Phase.WARNING, "0.7799", Phase.HEALTHY),
        (Phase.HEALTHY, "0.79", Phase.HEALTHY),
        (Phase.REDUCING, "0.79", Phase.HEALTHY),
    ],
)
def test_the_warning_and_its_end(before, ratio, after):
    assert run(at_ratio(ratio, phase=before), WAKE).phase is after


def test_a_close_out_that_leaves_exactly_nothing_leaves_the_account_alive():
    state = run(account("150", [position(quantity="1")]), CloseOut("fire"), market())
    order = state.orders[0]
    state = run(state, fill_of(order, price="1850"), market({ETH: "1850"}))
    state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, D(1)), market({ETH: "1850"}))
    assert (state.status, state.phase, state.balance) == (AccountStatus.ACTIVE, Phase.HEALTHY, D(0))


def refusal_of(order):
    return OrderClosed(order.client_order_id, OrderStatus.REJECTED, D(0), -1003, "too many requests")


def test_a_burst_of_refusals_of_one_round_is_one_refusal():
    held = [position(quantity="1"), position(BTC, "-0.1", "60000", number=2)]
    at = market({ETH: "1800", BTC: "60000"})
    state = run(account("100", held), WAKE, at)
    for order in state.orders:
        state = run(state, refusal_of(order), at)
    assert (state.refusals, state.phase, len(state.orders)) == (1, Phase.LIQUIDATING, 0)
    # The round after the wait is another one, to the millisecond.
    wait_ns = (state.retry_at_ms - at.wall_ms) * NANOS_PER_MS
    later = market({ETH: "1800", BTC: "60000"}, now_ns=wait_ns, received_ns=wait_ns)
    state = run(state, Reconsider(ReconsiderReason.BACKOFF), later)
    assert run(state, refusal_of(state.orders[0]), later).refusals == 2
    waiting = replace(state, retry_at_ms=later.wall_ms)
    assert run(waiting, refusal_of(state.orders[0]), later).refusals == 2


@pytest.mark.parametrize(
    ("refusals", "cooldown", "longest_ms"),
    [
        (1, None, 200),
        (5, None, 3_200),
        (9, None, 30_000),
        (10, None, 300_000),
        (0, 60, 60_000),
        (2, 60, 60_000),
    ],
)
def test_a_clock_that_is_set_back_puts_no_step_off_for_longer_than_its_wait(refusals, cooldown, longest_ms):
    limits = replace(WIDE, adl_cooldown_seconds=cooldown)
    state = account(limits=limits, refusals=refusals, retry_at_ms=1_000_000)
    assert adl.waits(state, 1_000_000 - 1)
    assert adl.waits(state, 1_000_000 - longest_ms)
    assert not adl.waits(state, 1_000_000)
    assert not adl.waits(state, 1_000_000 - longest_ms - 1)


def test_a_step_whose_wait_a_clock_set_back_has_lengthened_is_decided_at_once():
    at = market({ETH: "1800"})
    state = run(account("100", [position(quantity="1")]), WAKE, at)
    state = run(state, refusal_of(state.orders[0]), at)
    assert decide(state, WAKE, at).facts == ()
    back = market({ETH: "1800"}, wall_ms=at.wall_ms - 3_600_000)
    decision = decide(state, Reconsider(ReconsiderReason.BACKOFF), back)
    assert [f.retry_at_ms for f in decision.facts if isinstance(f, PhaseChanged)] == [0]
    assert [f.purpose for f in decision.facts if isinstance(f, OrderIntended)] == [Purpose.LIQUIDATION]


def test_a_fill_while_stuck_says_that_the_exchange_takes_orders_again():
    broke = run(account("100", [position(quantity="1")]), WAKE, market({ETH: "1800"}))
    [order] = broke.orders
    stuck = replace(broke, phase=Phase.STUCK, refusals=ADL_REFUSALS_MAX)
    half = run(stuck, fill_of(order, quantity="0.5", price="1800"), market({ETH: "1800"}))
    assert (half.phase, half.refusals) == (Phase.REDUCING, 0)
    going_on = run(
        replace(broke, refusals=3), fill_of(order, quantity="0.5", price="1800"), market({ETH: "1800"})
    )
    assert (going_on.phase, going_on.refusals) == (Phase.LIQUIDATING, 0)


def test_an_order_that_has_filled_is_not_cancelled():
    placed = run(account("10000"), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)))
    filled = run(placed, fill_of(placed.orders[0]))
    decision = decide(filled, CloseOut("fire"), market())
    assert not [f for f in decision.facts if isinstance(f, CancelIntended)]
    assert [f for f in decide(placed, CloseOut("fire"), market()).facts if isinstance(f, CancelIntended)]
