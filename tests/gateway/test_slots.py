"""A symbol's clearing is granted the right to send one order, and whatever becomes of that, no right is lost or doubled.

Covers: actors/core/clearing_messages.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from actors.core.clearing_messages import (
    Grant,
    Group,
    OrderDone,
    ReplaceStep,
    StepUnderWay,
    Want,
    clearing_name,
)
from actors.core.enums import OrderClass, OrderStatus, OrderType, Purpose, Side
from actors.core.facts import CancelIntended
from actors.core.messages import Fill, OrderAccepted, OrderClosed, PlaceOrder
from actors.core.order_ids import FIXED
from actors.core.order_messages import Submit
from actors.core.units import Symbol
from actors.gateway.fleets import Fleets
from actors.gateway.messages import Answered, Outcome, Surveyed
from actors.gateway.orders import IN_FLIGHT_MAX, Deliver, Request, Stage, ToClearing, Tracked
from actors.gateway.protocol import GatewayCore
from actors.gateway.slots import SLOT_UNUSED_MS
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, account, market
from tests.gateway.test_protocol import RULES, T0, answered, core_of, report, trade

LIQUIDATION, REDUCING, NEW_RISK = OrderClass
GROUP = Group(ETH, BUY, LIQUIDATION)
[USUAL] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts


def block_of(group, number, **changes):
    """A block's order, as its clearing forms it."""
    return replace(
        USUAL, account_id=clearing_name(group.symbol), client_order_id=f"bh-{group.symbol}-{number}", sequence=number,
        symbol=group.symbol, side=group.side, decided_ms=T0, reduce_only=group.order_class is not NEW_RISK,
        purpose=Purpose.LIQUIDATION if group.order_class is LIQUIDATION else Purpose.USER, **changes,
    )  # fmt: skip


def want(core, group=GROUP, now_ms=T0, orders=1, shortfall="0", since_ms=None):
    said = Want(
        group=group, orders=orders, shortfall=D(shortfall), since_ms=now_ms if since_ms is None else since_ms
    )
    return core.want(said, now_ms)


def granted(effects):
    return [e.message for e in effects if isinstance(e, ToClearing) and isinstance(e.message, Grant)]


def sent(effects):
    return [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == "place"]


def one_slot(core, group=GROUP, now_ms=T0):
    [grant] = granted(want(core, group, now_ms))
    assert grant.group == group
    return grant.slot


def test_what_is_wanted_is_granted_and_sent_without_using_the_budget_twice(core):
    room = core.budget.room(T0, LIQUIDATION)
    slot = one_slot(core)
    assert core.budget.room(T0, LIQUIDATION) == room - 1
    block = block_of(GROUP, 1)
    assert sent(core.submit(Submit((block,), (), slot), T0 + 10)) == [block.client_order_id]
    assert core.tracked[block.client_order_id].stage is Stage.SENT
    assert core.budget.room(T0 + 10, LIQUIDATION) == room - 1
    assert (core.budget.under_way, len(core.budget.slots)) == (1, 0)
    assert granted(core.check_orders(T0 + 100)) == [], "a grant ends the want"


def test_one_slot_sends_one_order(core):
    slot = one_slot(core)
    first, second = block_of(GROUP, 1), block_of(GROUP, 2)
    core.budget.set_limits(1, 1)
    assert sent(core.submit(Submit((first, second), (), slot), T0)) == [first.client_order_id]
    assert sent(core.submit(Submit((block_of(GROUP, 3),), (), slot), T0)) == []
    assert core.queued == 2


@pytest.mark.parametrize(("at_ms", "is_sent"), [(T0 + 4, False), (T0 + 5, True)])
def test_a_slot_sends_nothing_during_a_pause_and_again_at_its_end(core, at_ms, is_sent):
    slot, block = one_slot(core), block_of(GROUP, 1)
    core.budget.pause(T0 + 5)
    # A liquidation's slot that was not used has its turn first, once the pause is over.
    assert sent(core.submit(Submit((block,), (), slot), at_ms)) == (
        [block.client_order_id] if is_sent else []
    )
    assert core.queued == (0 if is_sent else 1)
    assert core.send_policy.sent == is_sent


def test_a_slot_that_is_given_back_is_the_next_one_s(core):
    core.budget.set_limits(1, 100)
    slot = one_slot(core)
    other = Group(Symbol("BTCUSDT"), Side.SELL, LIQUIDATION)
    assert granted(want(core, other)) == []
    [grant] = granted(core.slot_returned(slot, T0 + 1))
    assert grant.group == other
    assert grant.slot != slot
    assert core.slot_returned(slot, T0 + 2) == [], "it is given back once"
    assert len(core.budget.slots) == 1


def test_the_newest_word_counts_and_nothing_is_granted_to_who_wants_no_more(core):
    core.budget.set_limits(1, 100)
    slot = one_slot(core)
    assert granted(want(core, orders=3)) == []
    assert granted(want(core, orders=0)) == []
    assert core.slot_returned(slot, T0 + 1) == []
    assert core.queued == 0


@pytest.mark.parametrize(("after_ms", "is_late"), [(SLOT_UNUSED_MS - 1, False), (SLOT_UNUSED_MS, True)])
def test_a_slot_that_is_not_used_is_taken_back_and_its_order_stands_first(core, after_ms, is_late):
    core.budget.set_limits(1, 100)
    slot, now_ms = one_slot(core), T0 + after_ms
    other = Group(Symbol("BTCUSDT"), Side.SELL, LIQUIDATION)
    assert len(granted(want(core, other, now_ms, shortfall="1000"))) == is_late
    late = block_of(GROUP, 1)
    assert sent(core.submit(Submit((late,), (), slot), now_ms)) == ([] if is_late else [late.client_order_id])
    if not is_late:
        return
    want(core, Group(Symbol("SOLUSDT"), Side.SELL, LIQUIDATION), now_ms, shortfall="1000")
    [(taken, _)] = core.budget.slots.held()
    assert sent(core.slot_returned(taken, now_ms + 1)) == [late.client_order_id]


def test_a_slot_of_another_group_sends_nothing_and_gets_no_better_place(core):
    core.budget.set_limits(1, 100)
    slot = one_slot(core)
    want(core, Group(Symbol("SOLUSDT"), Side.SELL, LIQUIDATION), T0)
    wrong = block_of(Group(ETH, BUY, NEW_RISK), 1)
    effects = core.submit(Submit((wrong,), (), slot), T0 + 1)
    assert sent(effects) == []
    assert [g.group.symbol for g in granted(effects)] == ["SOLUSDT"], (
        "the slot is given back, and goes to the first"
    )
    assert not core.tracked[wrong.client_order_id].had_turn


@pytest.mark.parametrize("hindrance", ["clock", "pause"])
def test_a_slot_opens_nothing_that_is_closed_for_all(core, hindrance):
    slot, block = one_slot(core), block_of(GROUP, 1)
    if hindrance == "clock":
        core.send_policy.clock_lost = "a step"
    else:
        core.budget.pause(T0 + 500)
    assert sent(core.submit(Submit((block,), (), slot), T0 + 10)) == []
    assert len(core.budget.slots) == 0
    core.send_policy.clock_lost = ""
    assert sent(core.check_orders(T0 + 500)) == [block.client_order_id]


def test_a_known_order_is_not_sent_again_with_a_slot_and_the_slot_is_given_back(core):
    block = block_of(GROUP, 1)
    assert sent(core.submit(Submit((block,), (), one_slot(core)), T0)) == [block.client_order_id]
    assert sent(core.submit(Submit((block,), (), one_slot(core)), T0)) == []
    assert (core.duplicates, len(core.budget.slots)) == (1, 0)


def test_slots_are_in_flight_too(core):
    core.budget.set_limits(10_000, 100_000)
    groups = [Group(Symbol(f"S{n}USDT"), BUY, LIQUIDATION) for n in range(IN_FLIGHT_MAX + 1)]
    slots = [g.slot for group in groups for g in granted(want(core, group))]
    assert len(slots) == IN_FLIGHT_MAX
    assert [g.group for g in granted(core.slot_returned(slots[0], T0))] == groups[-1:]


def test_new_risk_leaves_a_part_of_what_may_be_in_flight(core):
    core.budget.set_limits(10_000, 100_000)
    groups = [Group(Symbol(f"S{n}USDT"), BUY, NEW_RISK) for n in range(IN_FLIGHT_MAX)]
    assert sum(len(granted(want(core, group))) for group in groups) == IN_FLIGHT_MAX * 4 // 5
    assert granted(want(core)) != []


# -- to whom events go


def test_a_block_s_events_go_to_its_clearing_and_an_account_s_end_is_told_to_both(core):
    block = block_of(GROUP, 1)
    core.submit(Submit((block,), (), one_slot(core)), T0)
    filled = report(block, "FILLED", "1", trade=trade(block))
    effects = core.reported(filled, T0)
    assert {e.account_id for e in effects if isinstance(e, Deliver)} == {"clearing:ETHUSDT"}
    assert [type(e.message) for e in effects if isinstance(e, Deliver)] == [OrderAccepted, Fill, OrderClosed]
    assert not any(isinstance(e, ToClearing) for e in effects)
    alone = replace(USUAL, decided_ms=T0)
    core.submit(Submit((alone,), (), one_slot(core, Group(ETH, BUY, NEW_RISK))), T0)
    effects = core.reported(report(alone, "FILLED", "1", trade=trade(alone, trade_id=8)), T0)
    assert {e.account_id for e in effects if isinstance(e, Deliver)} == {"acct-1"}
    assert effects[-1] == ToClearing(ETH, OrderDone(ETH, alone.client_order_id))


def test_the_end_of_what_rests_concerns_no_clearing(core, order):
    core.submit(Submit((order,), ()), T0)
    effects = core.answered(answered(order, Outcome.REFUSED), T0)
    assert [type(e) for e in effects] == [Deliver]


# -- steps that are replaced


def liquidation(number, **changes):
    return replace(
        USUAL, account_id=f"a{number}", client_order_id=f"bh-x-{number}", decided_ms=T0, reduce_only=True,
        purpose=Purpose.LIQUIDATION, **changes,
    )  # fmt: skip


def test_a_step_that_waits_is_given_back_and_what_comes_instead_keeps_its_place(core):
    core.budget.set_limits(1, 100)
    first, second, third = (liquidation(n) for n in range(3))
    assert sent(core.submit(Submit((first, second, third), ()), T0)) == [first.client_order_id]
    [back, done] = core.replace_step(ReplaceStep("a1", ETH, second.client_order_id), T0 + 1)
    assert (back.message.status, back.message.waited, back.message.again) == (
        OrderStatus.NEVER_SENT,
        True,
        True,
    )
    assert done == ToClearing(ETH, OrderDone(ETH, second.client_order_id))
    assert core.queued == 1
    instead = replace(second, client_order_id="bh-x-instead", decided_ms=T0 + 2)
    core.submit(Submit((instead,), ()), T0 + 2)
    core.answered(answered(first, Outcome.OK, report=report(first)), T0 + 3)
    core.budget.set_limits(2, 100)
    assert sent(core.check_orders(T0 + 5)) == ["bh-x-instead"]


def test_a_step_that_is_asked_back_before_it_is_durable_is_given_back_when_it_arrives(core):
    """Else its account would wait for the end of an order that may stand in line for as long as nothing is sent."""
    step, other = liquidation(1), liquidation(2)
    assert core.replace_step(ReplaceStep("a1", ETH, step.client_order_id), T0) == []
    core.budget.pause(T0 + 90_000)
    [back, done] = core.submit(Submit((step, other), ()), T0 + 500)
    assert (back.account_id, back.message.again, back.message.waited) == ("a1", True, True)
    assert done == ToClearing(ETH, OrderDone(ETH, step.client_order_id))
    assert core.queued == 1
    # What is decided instead waits at its place, and is not given back once more.
    instead = replace(step, client_order_id="bh-x-instead")
    assert core.submit(Submit((instead,), ()), T0 + 501) == []
    assert core.queued == 2


def test_a_step_that_is_asked_back_and_does_not_come_is_expected_for_a_minute(core):
    step = liquidation(1)
    core.replace_step(ReplaceStep("a1", ETH, step.client_order_id), T0)
    core.check_orders(T0 + 60_000)
    core.budget.pause(T0 + 190_000)
    assert core.submit(Submit((step,), ()), T0 + 60_000) != []
    other = liquidation(2)
    core.replace_step(ReplaceStep("a2", ETH, other.client_order_id), T0)
    core.check_orders(T0 + 60_001)
    assert core.submit(Submit((other,), ()), T0 + 60_001) == []
    assert core.queued == 1


def test_a_step_that_was_sent_cannot_be_replaced(core):
    step = liquidation(1)
    core.submit(Submit((step,), ()), T0)
    replacing = ReplaceStep("a1", ETH, step.client_order_id)
    under_way = [Deliver("a1", StepUnderWay(step.client_order_id))]
    assert core.replace_step(replacing, T0) == under_way
    core.answered(answered(step, Outcome.REFUSED), T0)
    assert core.replace_step(replacing, T0) == under_way, "its end is on its way to the account"


@pytest.mark.parametrize("under_way", [False, True])
def test_a_step_that_is_cancelled_before_the_exchange_had_it_was_refused_by_nobody(core, under_way):
    """Else its account would count a refusal, and back off from a liquidation."""
    step = liquidation(1)
    if not under_way:
        core.budget.pause(T0 + 1_000)
    core.submit(Submit((step,), ()), T0)
    effects = core.submit(Submit((), (CancelIntended("a1", step.client_order_id, ETH, ""),)), T0)
    if under_way:
        effects = core.answered(answered(step, Outcome.NOT_SENT), T0 + 1)
    [closed] = [e.message for e in effects if isinstance(e, Deliver)]
    assert (closed.status, closed.waited, closed.again) == (OrderStatus.CANCELED, True, False)
    assert core.queued == 0


# -- after a restart


NEVER = answered(USUAL, Outcome.NOT_FOUND, "query")


def end_of_recovered(core, order):
    """What an order of an earlier life ends with that the exchange never got."""
    core.resume_orders([Tracked(order=order)], T0)
    core.surveyed(Surveyed(asked_ms=T0, orders=(), positions=None), T0)
    effects = core.answered(replace(NEVER, client_order_id=order.client_order_id), T0 + 60_000)
    [closed] = [e.message for e in effects if isinstance(e, Deliver)]
    assert (closed.status, closed.executed_quantity) == (OrderStatus.NEVER_SENT, D(0))
    return closed.waited, closed.again


@pytest.mark.parametrize(
    ("what", "given_back"),
    [
        (replace(USUAL, reduce_only=True), (True, True)),
        (USUAL, (False, False)),
        (liquidation(1), (False, False)),
        (replace(USUAL, reduce_only=True, order_type=OrderType.LIMIT, price=D(2_000)), (False, False)),
        (block_of(Group(ETH, BUY, REDUCING), 1), (False, False)),
    ],
    ids=["reduces", "new risk", "liquidation", "rests", "block"],
)
def test_what_the_exchange_never_got_is_decided_again_when_it_reduces(core, what, given_back):
    assert end_of_recovered(core, what) == given_back


def test_an_order_of_this_life_that_never_got_there_is_not_decided_again(core):
    reducing = replace(USUAL, decided_ms=T0, reduce_only=True)
    core.submit(Submit((reducing,), ()), T0)
    core.answered(answered(reducing, Outcome.UNKNOWN), T0)
    effects = core.answered(replace(NEVER, client_order_id=reducing.client_order_id), T0 + 60_000)
    [closed] = [e.message for e in effects if isinstance(e, Deliver)]
    assert (closed.status, closed.waited) == (OrderStatus.NEVER_SENT, False)


# -- all of it


class SlotMachine(RuleBasedStateMachine):
    """Clearings want, use, return and forget slots; orders are answered or not; time passes, and the gateway restarts."""

    def __init__(self):
        super().__init__()
        self.core, self.now, self.number = core_of(8, 20), T0, 0
        self.held, self.past, self.under_way, self.arrived = {}, {}, [], {}

    def take(self, effects):
        for grant in granted(effects):
            assert grant.slot not in {**self.held, **self.past}, "no number is given twice"
            self.held[grant.slot] = (grant.group, self.now)
        for effect in effects:
            if isinstance(effect, Request) and effect.kind == "place":
                self.under_way.append(effect.order)
                self.arrived[effect.client_order_id] = self.now

    def pick(self, pick):
        known = {**self.past, **self.held}
        slot = list(known)[pick % len(known)] if known else 0
        self.past.update({slot: self.held.pop(slot)} if slot in self.held else {})
        return slot, self.past.get(slot)

    @rule(symbol=st.sampled_from("ABCDE"), order_class=st.sampled_from(OrderClass), orders=st.integers(0, 3))
    def wants(self, symbol, order_class, orders):
        group = Group(Symbol(symbol), BUY, order_class)
        self.take(want(self.core, group, self.now, orders, since_ms=self.now - 100))

    @rule(pick=st.integers(0, 99))
    def uses(self, pick):
        slot, known = self.pick(pick)
        if known:
            self.number += 1
            block = replace(block_of(known[0], self.number), decided_ms=self.now)
            self.take(self.core.submit(Submit((block,), (), slot), self.now))

    @rule(pick=st.integers(0, 99))
    def returns(self, pick):
        slot, known = self.pick(pick)
        if known:
            self.take(self.core.slot_returned(slot, self.now))

    @rule(outcome=st.sampled_from([Outcome.OK, Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.REFUSED]))
    def is_answered(self, outcome):
        if self.under_way:
            order = self.under_way.pop(0)
            if outcome is Outcome.NOT_SENT:
                del self.arrived[order.client_order_id]
            found = replace(report(order), symbol=order.symbol) if outcome is Outcome.OK else None
            message = Answered(
                request="place", client_order_id=order.client_order_id, outcome=outcome, report=found
            )
            self.take(self.core.answered(message, self.now))

    @rule(ms=st.integers(1, 3_000))
    def passes(self, ms):
        self.now += ms
        self.take(self.core.check_orders(self.now))

    @rule()
    def restarts(self):
        self.core = GatewayCore(self.core.budget, RULES, Fleets(FIXED))
        self.core.budget.slots.take_back_all()
        self.past.update(self.held)
        self.held = {}

    @invariant()
    def none_is_lost(self):
        slots = self.core.budget.slots
        assert slots.granted == slots.used + slots.returned + slots.expired + len(slots)
        assert slots.granted == len(self.held) + len(self.past)
        fresh = {s for s, (_, at) in self.held.items() if self.now - at < SLOT_UNUSED_MS}
        assert {slot for slot, _ in slots.held()} == fresh

    @invariant()
    def no_window_is_exceeded(self):
        for window, limit in ((10_000, 8), (60_000, 20)):
            assert sum(self.now - window < t <= self.now for t in self.arrived.values()) <= limit


SlotMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestSlots = SlotMachine.TestCase


def test_a_slot_is_used_from_the_very_end_of_a_pause_on(core):
    slot, block = one_slot(core), block_of(GROUP, 1)
    core.budget.pause(T0 + 500)
    assert sent(core.submit(Submit((block,), (), slot), T0 + 500)) == [block.client_order_id]


def test_new_risk_that_never_left_keeps_the_turn_that_it_used_and_a_liquidation_needs_none(core):
    for order_class, keeps in ((NEW_RISK, True), (LIQUIDATION, False)):
        tracked = Tracked(order=block_of(Group(ETH, BUY, order_class), 1))
        core.send_policy.requeue(tracked)
        assert tracked.had_turn is keeps


def intervals(core, *groups, now_ms=T0):
    """What each group is told with the slot that it wants now."""
    found = []
    for group in groups:
        [grant] = granted(want(core, group, now_ms))
        core.slot_returned(grant.slot, now_ms)
        found.append(grant.interval_ms)
    return found


def groups_of(order_class, count):
    return [Group(Symbol(f"S{n}USDT"), BUY, order_class) for n in range(count)]


def test_a_slot_says_how_far_apart_slots_should_be_by_how_many_groups_are_served(core):
    core.budget.set_limits(40, 1_200)  # 36 of them for what reduces
    first, second, third = groups_of(LIQUIDATION, 3)
    assert intervals(core, first, second, third) == [82, 165, 248]
    assert intervals(core, first, now_ms=T0 + 1_000) == [248]
    assert intervals(core, first, now_ms=T0 + 1_001) == [82]
    # Classes are counted by themselves.
    assert intervals(core, *groups_of(REDUCING, 2), now_ms=T0 + 1_001) == [85, 171]


def test_who_waits_for_a_slot_counts_among_those_who_are_served(core):
    core.budget.set_limits(40, 1_200)
    core.budget.pause(T0 + 10)
    for group in groups_of(LIQUIDATION, 3):
        assert granted(want(core, group)) == []
    assert [g.interval_ms for g in granted(core.check_orders(T0 + 10))] == [
        248,
        255,
        263,
    ]


def test_new_risk_is_not_told_how_far_apart_slots_should_be(core):
    core.budget.set_limits(40, 1_200)
    assert intervals(core, *groups_of(NEW_RISK, 5)) == [0] * 5
    assert intervals(core, *groups_of(LIQUIDATION, 1)) == [82]
