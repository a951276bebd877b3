"""A step that waits for its turn is asked back when the account would decide otherwise, and decided anew when it is back."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import LiquidationMode, OrderStatus, Phase, Purpose
from actors.core.facts import OrderIntended
from actors.core.messages import (
    AdjustBalance,
    CallOff,
    CloseOut,
    OrderAccepted,
    OrderClosed,
    PlaceOrder,
    SetLimits,
    SetMode,
    Wake,
)
from actors.limits.model import AdlTier
from actors.subaccount import waiting
from actors.subaccount.decide import decide
from tests.factories import (
    BTC,
    BUY,
    ETH,
    WALL_MS,
    WIDE,
    account,
    fill_of,
    market,
    position,
    run,
    triggers,
)

WAKE = Wake(ETH, "t")


def at(eth, **more):
    return market({ETH: str(eth), BTC: "60000"}, **more)


def sick(ratio="0.90", **changes):
    """Ten from 2,000 with 1,000, and a margin ratio of exactly ``ratio`` there; its step waits."""
    state = account("1000", [position(quantity="10")], maintenance_rate=D(ratio) / 20, **changes)
    state = run(state, WAKE, at(2000))
    assert len(state.orders) == 1
    return state


def pair():
    """Two positions that all go: bankrupt at 1,800, and with 300 left of 100 at 2,200."""
    broke = account("100", [position(quantity="1"), position(BTC, "-0.1", "60000", number=2)])
    return run(broke, WAKE, at(1800))


def given_back(order):
    return OrderClosed(
        order.client_order_id, OrderStatus.NEVER_SENT, D(0), 0, "asked", waited=True, again=True
    )


def asked(state, price, message=WAKE, **more):
    return len(decide(state, message, at(price, **more)).replace)


def steps(decision):
    return [(o.symbol, o.quantity, o.purpose.value) for o in decision.facts if isinstance(o, OrderIntended)]


@pytest.mark.parametrize(
    ("ratio", "price", "replaced"),
    [
        ("0.90", "2000", 0),
        ("0.90", "1997.3", 0),  # 0.925 is at 1,997.297...
        ("0.90", "1997.2", 1),  # the next tier
        ("0.90", "1900", 1),  # bankrupt
        ("0.90", "2000.1", 0),  # below its tier, but only just
        ("0.90", "2002.2", 0),  # 0.88 is at 2,002.27
        ("0.90", "2002.3", 1),  # let go
        ("0.925", "2002.2", 0),
        ("0.925", "2002.3", 1),  # the tier below, at 0.905 and less
        ("0.95", "2002.1", 0),
        ("0.95", "2002.2", 1),  # a tier instead of everything, below 0.93
        ("0.95", "1500", 0),  # nothing is more than everything
    ],
)
def test_a_step_is_asked_back_when_another_severity_is_due(ratio, price, replaced):
    assert asked(sick(ratio), price) == replaced


def test_a_price_that_moves_to_and_fro_over_a_tier_asks_once():
    state, past, asks = sick("0.90"), frozenset(), 0
    for n in range(100):
        price = "1997.2" if n % 2 else "1997.4"
        decision = decide(state, WAKE, at(price, past_replacing=past))
        for id_ in decision.replace:
            asks += 1
            state = run(decision.state, given_back(decision.state.order(id_)), at(price))
    assert asks == 1
    assert [o.quantity for o in state.orders] == [D(5)]


def test_each_is_asked_for_once_until_it_is_answered():
    state = pair()
    found = decide(state, WAKE, at(2200)).replace
    assert found == tuple(o.client_order_id for o in state.orders)
    assert asked(state, 2200, past_replacing=frozenset(found)) == 0
    # One answered that it is under way, so nothing is asked for until its end.
    assert asked(state, 2200, past_replacing=frozenset(found[:1])) == 0


@pytest.mark.parametrize("event", ["accepted", "filled"])
def test_what_is_under_way_is_not_asked_back(event):
    state = pair()
    order = state.orders[0]
    if event == "accepted":
        state = run(state, OrderAccepted(order.client_order_id, 7), at(1800))
    else:
        state = run(state, fill_of(order, quantity="0.01", price="1800"), at(1800))
    assert asked(state, 2200) == 0


def test_a_step_that_is_given_back_is_decided_anew_and_the_others_are_left():
    state = pair()
    first, second = state.orders
    decision = decide(state, given_back(first), at(1790))
    assert steps(decision) == [(ETH, D(1), "LIQUIDATION")]
    assert [o.symbol for o in decision.state.orders] == [BTC, ETH]
    assert decision.state.orders[0] is second
    assert (decision.state.refusals, decision.state.unsent) == (0, 0)
    # Prices that came back meanwhile: it is let go, and the other one is asked for.
    calm = decide(state, given_back(first), at(2200))
    assert (steps(calm), calm.replace) == ([], (second.client_order_id,))
    done = run(calm.state, given_back(second), at(2200))
    assert (done.orders, done.phase) == ((), Phase.HEALTHY)


def test_a_position_that_was_let_go_gets_a_step_when_everything_must_go_again():
    state = pair()
    first, second = state.orders
    accepted = run(state, OrderAccepted(second.client_order_id, 7), at(1800))
    let_go = run(accepted, given_back(first), at(2200))
    assert [o.symbol for o in let_go.orders] == [BTC]
    assert triggers(let_go, at(2200)).every_tick == (ETH, BTC)
    again = decide(let_go, WAKE, at(1800))
    assert steps(again) == [(ETH, D(1), "LIQUIDATION")]
    assert steps(decide(again.state, WAKE, at(1700))) == []


def test_a_tier_adds_no_step_to_those_at_work():
    two = account("1000", [position(quantity="10"), position(BTC, "-0.01", "60000", number=2)])
    state = run(replace(two, maintenance_rate=D("0.045")), WAKE, at(2000))
    [step] = state.orders
    assert step.purpose is Purpose.ADL
    accepted = run(state, OrderAccepted(step.client_order_id, 7), at(2000))
    assert steps(decide(accepted, WAKE, at(1800))) == []


def test_while_one_came_back_refused_the_others_are_left_alone_until_the_timer():
    state = pair()
    first, _ = state.orders
    refused = run(state, OrderClosed(first.client_order_id, OrderStatus.REJECTED, D(0), -1), at(1800))
    assert asked(refused, 2200) == 0
    assert steps(decide(refused, WAKE, at(1800, wall_ms=WALL_MS + 199))) == []
    due = decide(refused, WAKE, at(1800, wall_ms=WALL_MS + 200))
    assert steps(due) == [(ETH, D(1), "LIQUIDATION")]


def test_without_a_fresh_price_what_was_decided_stands():
    state = pair()
    late = account().limits.price_max_age_ns + 1
    assert asked(state, 2200, now_ns=late) == 0
    assert asked(state, 2200, now_ns=late, received_ns=late) == 2


def test_money_that_came_asks_for_the_step_too():
    assert asked(sick(), 2000, AdjustBalance(D(5), "t")) == 0
    assert asked(sick(), 2000, AdjustBalance(D(500), "t")) == 1


def test_another_mode_or_other_tiers_ask_for_it():
    assert asked(sick(), 2000, SetMode(LiquidationMode.INSTANT_CLOSE)) == 1
    assert asked(sick(), 2000, SetLimits((("adl_tiers", "0.5:0.1, 0.8:0.2, 0.9:0.9"),))) == 1
    assert asked(sick("0.95"), 2000, SetLimits((("adl_tiers", "0.99:0.1"),))) == 1


def test_a_close_out_is_asked_back_when_it_is_called_off_or_its_account_is_bankrupt():
    state = run(account("1000", [position(quantity="10")]), CloseOut("x"), at(2000))
    assert (asked(state, 2500), asked(state, 1911), asked(state, 1909)) == (0, 0, 1)
    assert asked(state, 2000, CallOff()) == 1
    [order] = state.orders
    decision = decide(run(state, WAKE, at(1909)), given_back(order), at(1909))
    [again] = [f for f in decision.facts if isinstance(f, OrderIntended)]
    assert (again.purpose, again.shortfall > 0) == (Purpose.LIQUIDATION, True)
    # It stays so when the account is not bankrupt any more: all of it goes either way.
    assert asked(decision.state, 2500) == 0


def test_a_tier_s_step_is_asked_back_when_everything_is_to_be_closed():
    assert asked(sick(), 2000, CloseOut("x")) == 1


def test_what_is_too_little_for_a_tier():
    few = replace(WIDE, adl_all_below=D(19_990))
    state = sick("0.90", limits=few)
    assert [o.purpose for o in state.orders] == [Purpose.ADL]
    found = {t.below: t.price for t in triggers(state, at(2000)).prices}
    assert found[True] == pytest.approx(1999, rel=1e-12)
    assert (asked(state, "1999"), asked(state, "1998.9")) == (0, 1)


def test_what_was_too_little_and_is_enough_for_a_tier():
    few = replace(WIDE, adl_all_below=D(20_010))
    short = account("20000", [position(quantity="-10")], few, maintenance_rate=D("0.9"))
    state = run(short, WAKE, at(2000))
    assert [o.purpose for o in state.orders] == [Purpose.LIQUIDATION]
    found = {t.below: t.price for t in triggers(state, at(2000)).prices}
    # 98 % of it are 20,010 at 2,041.84; below 0.88 it is let go.
    assert found[False] == pytest.approx(20_010 / 9.8, rel=1e-12)
    assert found[True] == pytest.approx(2000 - (18000 / 0.88 - 20000) / 10, rel=1e-12)
    assert (asked(state, "2041.83"), asked(state, "2041.84")) == (0, 1)
    assert (asked(state, "1954.6"), asked(state, "1954.5")) == (0, 1)


def test_an_owner_s_order_is_none_of_it():
    state = run(account("9000", [position()]), PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")), at(2000))
    assert not waiting.all_wait(state, at(2000))
    assert asked(state, 2000) == 0


def test_what_only_bankruptcy_closes_is_let_go_with_as_much_to_spare():
    small = replace(WIDE, adl_tiers=(AdlTier(D("0.5"), D("0.1")),))
    state = account("1000", [position(quantity="10")], small, maintenance_rate=D("0.049"))
    state = run(state, WAKE, at(1990))
    assert [o.purpose for o in state.orders] == [Purpose.LIQUIDATION]
    # A ratio of exactly 0.98, and less.
    assert (asked(state, 2000), asked(state, "2000.1")) == (0, 1)
    assert [(t.below, t.price) for t in triggers(state, at(1990)).prices] == [
        (False, pytest.approx(2000, rel=1e-12))
    ]
