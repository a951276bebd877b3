"""What becomes of orders between the writer and the gateway, and of a block's events.

Covers: actors/clearing/book.py, actors/clearing/forming.py, actors/clearing/rounds.py, actors/clearing/waiting.py
Covers: actors/core/clearing_messages.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.clearing.book import (
    CROWD_FEW,
    CROWD_MAX_MS,
    CROWD_MOST_MS,
    CROWDED_MS,
    INTERVAL_KEPT_MS,
    MEMBER_MS,
    QUIET_MS,
    QUIET_SHARE,
    group_of,
    hold_ms,
)
from actors.clearing.effects import Again, ToGateway
from actors.clearing.rounds import ROUND_MOST_MS, round_ms
from actors.core.clearing_facts import BlockEnded, BlockFormed, BlocksForgotten, RoundAllocated
from actors.core.clearing_messages import Grant, Group, OrderDone, ReturnSlot, StepUnderWay, Want
from actors.core.enums import OrderClass, OrderStatus, OrderType, Purpose, Side
from actors.core.errors import StateCorrupt
from actors.core.facts import CancelIntended
from actors.core.messages import Fill, OrderAccepted, OrderClosed
from actors.core.order_messages import Resync, Submit
from tests.clearing.world import INSTRUMENT, Owned, World, new_risk, order, reducing
from tests.factories import BTC, ETH

LIQUIDATION = Group(ETH, Side.SELL, OrderClass.LIQUIDATION)
NEW_RISK = Group(ETH, Side.SELL, OrderClass.NEW_RISK)


def sent_to_gateway(world, kind):
    """What of a kind the gateway was told since the last look."""
    found = [m for m in world.sent_to_gateway if isinstance(m, kind)]
    world.sent_to_gateway = [m for m in world.sent_to_gateway if not isinstance(m, kind)]
    return found


def closed(world):
    """The ends that accounts were told since the last look, by account."""
    found = {
        world.owned[m.client_order_id].intent.account_id: m
        for m in world.delivered
        if isinstance(m, OrderClosed)
    }
    world.delivered.clear()
    return found


def fills(world):
    """The fills that accounts were told since the last look: account and quantity."""
    found = [(f.account_id, f.trade.quantity) for f in world.delivered if isinstance(f, Fill)]
    world.delivered.clear()
    return found


def with_block(*orders, **world):
    """A world with a block at the exchange, and the block's id."""
    world = World(**world)
    world.place(*(orders or (order("a"), order("b", quantity="2"))))
    world.wait(QUIET_MS)
    world.grant(group_of((orders or [order()])[0]))
    world.store()
    sent_to_gateway(world, object)
    return world, list(world.exchange)[-1]


# -- alone, or in company


def test_an_order_without_company_goes_alone_at_once_with_its_slot():
    world = World()
    world.place(order("a", shortfall=D(7)))
    [want] = sent_to_gateway(world, Want)
    assert want == Want(group=LIQUIDATION, orders=1, shortfall=D(7), since_ms=world.at.wall_ms)
    world.grant(LIQUIDATION)
    [submit] = sent_to_gateway(world, Submit)
    assert ([o.account_id for o in submit.orders], submit.slot) == (["a"], 1)
    assert not world.undecided
    world.settle()
    assert world.stored.sequence == 0
    assert world.book.counters.alone == 1


def test_what_is_no_market_order_goes_on_at_once_as_do_cancels_of_what_is_not_known():
    world = World()
    limit = order("a", order_type=OrderType.LIMIT, price=D(2_000))
    cancel = CancelIntended("b", "bh-unknown", ETH, "user")
    effects = world.core.submit(Submit((limit,), (cancel,)), world.at)
    assert effects == [ToGateway(Submit((limit,), (cancel,)))]


def test_those_that_wait_together_go_out_as_one_block_when_it_is_durable():
    world = World()
    world.place(order("a", shortfall=D(3)), order("b", quantity="2", shortfall=D(4)))
    assert not world.wants
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    assert not world.exchange
    [decide] = world.undecided
    [fact] = decide.facts
    assert isinstance(fact, BlockFormed)
    block = fact.order
    assert (block.account_id, block.sequence, block.quantity, block.shortfall) == (
        "clearing:ETHUSDT",
        1,
        D(3),
        D(7),
    )
    assert (block.purpose, block.reduce_only, block.order_type) == (
        Purpose.LIQUIDATION,
        True,
        OrderType.MARKET,
    )
    assert block.order_class is LIQUIDATION.order_class
    world.store()
    [submit] = sent_to_gateway(world, Submit)
    assert (submit.orders, submit.slot) == ((block,), 1)
    world.settle()
    assert [one.filled for one in world.owned.values()] == [D(1), D(2)]


@pytest.mark.parametrize("make", [order, reducing, new_risk])
def test_a_block_is_of_its_members_class(make):
    world, _ = with_block(make("a"), make("b"))
    [formed] = world.formed.values()
    assert group_of(formed.order) == group_of(make("a"))
    assert formed.order.purpose is make("a").purpose
    assert formed.order.reduce_only is make("a").reduce_only


def test_sides_and_classes_never_meet():
    world = World()
    makes = [(make, side) for make in (order, reducing, new_risk) for side in Side]
    world.place(*(make(f"{n}{m}", side=side) for n, (make, side) in enumerate(makes) for m in range(2)))
    world.wait(QUIET_MS)
    assert len(world.wants) == 6
    assert all(want.orders == 2 for want in world.wants.values())
    world.settle()
    assert len(world.formed) == 6


# -- Nagle


def test_what_arrives_while_one_is_in_flight_waits_for_its_end_and_goes_out_together():
    world = World()
    world.place(order("a"))
    world.grant(LIQUIDATION)
    for n in range(5):
        world.place(order(f"b{n}"))
        world.wait(20)
    world.wait(QUIET_MS)
    assert not world.wants
    [alone] = world.exchange
    world.end(alone)
    world.deliver_all()
    assert world.wants[LIQUIDATION].orders == 5


def test_one_whose_end_is_not_known_for_a_second_holds_nobody_back():
    world = World()
    world.place(order("a"))
    world.grant(LIQUIDATION)
    world.place(order("b"))
    world.wait(999)
    assert not world.wants
    world.wait(1)
    assert world.wants[LIQUIDATION].orders == 1


def test_a_block_that_is_not_durable_holds_the_next_one_back_however_long_it_takes():
    world = World()
    world.place(order("a"), order("b"))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    world.place(order("c"))
    world.wait(5_000)
    assert not world.wants
    world.store()
    world.wait(999)
    assert not world.wants
    world.wait(1)
    assert world.wants


def test_a_crowd_that_keeps_arriving_is_held_back_for_so_long_at_most():
    world = World()
    world.place(order("a0"), order("b0"))
    arrivals = CROWD_MAX_MS // 20
    for n in range(1, arrivals):
        world.wait(20)
        world.place(order(f"a{n}"))
    assert not world.wants
    world.wait(19)
    assert not world.wants
    world.wait(1)
    assert world.wants[LIQUIDATION].orders == arrivals + 1


def arriving(world, orders):
    """So many arrive at once, then one more each 25 ms until a slot is wanted; how long that took, and how many they are."""
    began_ms = world.now_ms
    world.place(*(order(f"a{n}", quantity="0.01") for n in range(orders)))
    while not world.wants:
        world.wait(1)
        if not world.wants and (world.now_ms - began_ms) % 25 == 0:
            world.place(order(f"b{world.now_ms}", quantity="0.01"))
    return world.now_ms - began_ms, world.wants[LIQUIDATION].orders


def test_a_small_crowd_is_held_no_longer_however_it_grows():
    took_ms, orders = arriving(World(), 2)
    assert orders < CROWD_FEW
    assert took_ms == CROWD_MAX_MS == hold_ms(2) == hold_ms(CROWD_FEW)


def test_a_larger_crowd_is_held_longer_for_each_order_that_arrives():
    assert [hold_ms(CROWD_FEW + n) for n in (1, 3)] == [
        CROWD_MAX_MS + MEMBER_MS,
        CROWD_MAX_MS + 3 * MEMBER_MS,
    ]
    took_ms, orders = arriving(World(), CROWD_FEW)
    # Eight come within the time of a small crowd, and each of them adds to it.
    assert (took_ms, orders) == (CROWD_MAX_MS + 8 * MEMBER_MS, CROWD_FEW + 8)


@pytest.mark.parametrize("interval_ms", [CROWD_MAX_MS + 1, 450, CROWD_MOST_MS, CROWD_MOST_MS + 1, 1_500])
def test_where_slots_are_scarce_a_small_crowd_waits_as_long_as_they_should_be_apart(interval_ms):
    world = World()
    world.place(order("first"))
    world.grant(LIQUIDATION, interval_ms)
    world.settle()
    took_ms, orders = arriving(world, 2)
    assert orders < CROWD_FEW
    assert took_ms == min(interval_ms, CROWD_MOST_MS)


def test_while_accounts_wait_to_decide_a_crowd_is_held_for_those_who_belong_to_it():
    world = World()
    world.is_crowded = True
    took_ms, orders = arriving(world, 2)
    assert orders < CROWD_FEW
    assert took_ms == CROWDED_MS
    assert hold_ms(300, is_crowded=True) == hold_ms(2, 1_500, is_crowded=True) == CROWD_MOST_MS


def test_while_accounts_wait_to_decide_a_single_order_goes_at_once_and_a_quiet_crowd_soon():
    world = World()
    world.is_crowded = True
    world.place(order("a"))
    assert world.wants[LIQUIDATION].orders == 1
    world.grant(LIQUIDATION)
    world.settle()
    world.place(order("b"), order("c"))
    world.wait(CROWDED_MS // QUIET_SHARE - 1)
    assert not world.wants
    world.wait(1)
    assert world.wants[LIQUIDATION].orders == 2


def test_when_nobody_waits_to_decide_any_more_a_crowd_is_held_no_longer_than_others():
    world = World()
    world.is_crowded = True
    began_ms = world.now_ms
    world.place(order("a"), order("b"))
    while world.now_ms < began_ms + CROWD_MAX_MS - 1:
        world.wait(1)
        if world.now_ms % 25 == 0:
            world.place(order(f"m{world.now_ms}", quantity="0.01"))
    assert not world.wants
    world.is_crowded = False
    world.wait(1)
    world.place(order("last"))
    assert world.wants[LIQUIDATION].orders > 3


def test_slots_that_are_close_enough_hold_nobody_back():
    world = World()
    world.place(order("first"))
    world.grant(LIQUIDATION, CROWD_MAX_MS - 1)
    world.settle()
    assert arriving(world, 2)[0] == CROWD_MAX_MS


def test_a_slot_that_came_too_late_says_how_far_apart_they_should_be_all_the_same():
    world = World()
    world.place(order("first"))
    for id_ in world.open_ids():
        world.cancel(id_)
    world.grant(LIQUIDATION, 450)
    assert arriving(world, 2)[0] == 450


@pytest.mark.parametrize(("later_ms", "held_ms"), [(-1, 450), (0, CROWD_MAX_MS)])
def test_how_far_apart_slots_should_be_is_forgotten_when_no_more_come(later_ms, held_ms):
    world = World()
    world.place(order("first"))
    granted_ms = world.now_ms
    world.grant(LIQUIDATION, 450)
    world.settle()
    world.wait(granted_ms + INTERVAL_KEPT_MS + later_ms - world.now_ms)
    took_ms, _ = arriving(world, 2)
    assert took_ms == held_ms


@pytest.mark.parametrize("orders", [300, 301, 400])
def test_however_large_it_is_a_crowd_is_not_held_for_longer_than_the_most(orders):
    took_ms, _ = arriving(World(), orders)
    assert took_ms == CROWD_MOST_MS


def test_a_crowd_of_many_may_be_quiet_for_a_part_of_its_hold():
    world = World()
    world.place(*(order(f"a{n}", quantity="0.01") for n in range(300)))
    world.wait(CROWD_MOST_MS // QUIET_SHARE - 1)
    assert not world.wants
    world.wait(1)
    assert world.wants[LIQUIDATION].orders == 300


def test_a_crowd_that_falls_quiet_goes_out_a_moment_later():
    world = World()
    world.place(order("a"), order("b"))
    world.wait(QUIET_MS - 3)
    world.place(order("c"))
    world.wait(QUIET_MS - 1)
    assert not world.wants
    world.wait(1)
    assert world.wants[LIQUIDATION].orders == 3


def test_who_comes_before_the_grant_goes_too():
    world = World()
    world.place(order("a"))
    world.place(order("b"))
    assert world.wants[LIQUIDATION].orders == 1
    world.wait(30)
    world.grant(LIQUIDATION)
    world.store()
    [formed] = world.formed.values()
    assert len(formed.members) == 2


def test_a_want_is_said_again_with_what_waits_by_then_and_taken_back_when_nobody_waits():
    world = World()
    world.place(order("a"))
    world.place(order("b"))
    sent_to_gateway(world, Want)
    world.wait(999)
    assert not sent_to_gateway(world, Want)
    world.wait(1)
    assert [want.orders for want in sent_to_gateway(world, Want)] == [2]
    for id_ in world.open_ids():
        world.cancel(id_)
    assert [want.orders for want in sent_to_gateway(world, Want)] == [0]
    world.wait(5_000)
    assert not sent_to_gateway(world, Want)


def test_a_block_below_the_minimum_notional_waits_for_company_and_is_sent_all_the_same():
    world = World()  # 20 USDT at a mark of 2,000
    world.place(new_risk("a", quantity="0.009"))
    world.wait(CROWD_MAX_MS - 1)
    assert not world.wants
    world.wait(1)
    assert world.wants[NEW_RISK].orders == 1
    world.settle()


def test_the_minimum_notional_counts_for_the_block_and_not_for_its_members():
    world = World()
    world.place(new_risk("a", quantity="0.006"))
    world.wait(50)
    world.place(new_risk("b", quantity="0.004"))
    assert not world.wants
    world.wait(QUIET_MS)
    assert world.wants[NEW_RISK].orders == 2


@pytest.mark.parametrize("make", [order, reducing])
def test_what_only_reduces_waits_for_no_minimum(make):
    world = World()
    world.place(make("a", quantity="0.001"))
    assert world.wants


@pytest.mark.parametrize(("early_ms", "again"), [(5, True), (6, False)])
def test_a_timer_that_goes_off_too_early_is_wished_for_again(early_ms, again):
    world = World()
    world.place(order("a"), order("b"))
    world.now_ms += QUIET_MS - early_ms
    effects = world.core.timer(world.at)
    assert effects == ([Again(world.now_ms + early_ms)] if again else [])


def test_what_happens_before_a_timer_that_is_late_takes_no_timer_away():
    world = World()
    world.late_ms = 3
    world.place(order("a"), order("b"))
    world.wait(QUIET_MS + 1)
    world.place(order("c"))
    world.wait(QUIET_MS + 10)
    assert world.wants[LIQUIDATION].orders == 3


# -- grants


def test_a_slot_that_nobody_needs_any_more_is_returned():
    world = World()
    world.place(order("a"))
    world.cancel(world.open_ids()[0])
    world.grant(LIQUIDATION)
    assert sent_to_gateway(world, ReturnSlot) == [ReturnSlot(ETH, 1)]
    other = Group(BTC, Side.SELL, LIQUIDATION.order_class)
    assert world.core.granted(Grant(other, 9), world.at) == [ToGateway(ReturnSlot(BTC, 9))]


def test_the_largest_shortfall_goes_first_then_the_longest_wait():
    world = World()
    world.place(order("a", quantity="9", shortfall=D(5)), order("b", quantity="9", shortfall=D(5)))
    world.wait(1)
    world.place(order("c", quantity="9", shortfall=D(80)), order("d", quantity="9", shortfall=D(5)))
    world.wait(QUIET_MS)
    for _ in range(2):
        world.grant(LIQUIDATION)
        world.store()
    assert [[m.account_id for m in f.members] for f in world.formed.values()] == [["c", "a"], ["b", "d"]]


def test_new_risk_goes_by_its_wait_alone():
    world = World()
    world.place(new_risk("a", quantity="15"))
    world.wait(1)
    world.place(new_risk("b", quantity="15", shortfall=D(9)))
    world.wait(QUIET_MS)
    world.grant(NEW_RISK)
    assert [o.order.account_id for o in world.exchange.values()] == ["a"]


def test_a_block_is_split_at_the_exchange_s_maximum_and_the_rest_wants_a_slot_at_once():
    world = World()  # 20 at most
    world.place(*(order(f"a{n}", quantity="5") for n in range(9)))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    assert world.wants[LIQUIDATION].orders == 5
    world.grant(LIQUIDATION)
    assert world.wants[LIQUIDATION].orders == 1
    world.grant(LIQUIDATION)
    world.store(2)
    assert [one.order.quantity for one in world.exchange.values()] == [D(5), D(20), D(20)]
    assert world.book.counters.splits == 2
    world.settle()


def test_an_order_larger_than_the_maximum_goes_alone():
    world = World()
    world.place(order("a", quantity="25"), order("b", quantity="1"))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    assert [one.order.quantity for one in world.exchange.values()] == [D(25)]
    assert world.book.counters.splits == 1


def test_an_order_larger_than_the_maximum_splits_nothing_where_nobody_else_waits():
    world = World()
    world.place(order("a", quantity="25"))
    world.grant(LIQUIDATION)
    assert world.book.counters.splits == 0


def test_without_a_maximum_nothing_is_split():
    world = World(replace(INSTRUMENT, market_max_qty=D(0)))
    world.place(*(order(f"a{n}", quantity="500") for n in range(3)))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    [formed] = world.undecided[0].facts
    assert formed.order.quantity == D(1_500)


def test_split_by_the_depth_shown_the_rest_waits_for_the_end_of_what_is_in_flight():
    world = World(depth=D(7))
    world.place(*(order(f"a{n}", quantity="3") for n in range(3)))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    world.store()
    [block] = world.exchange
    assert world.exchange[block].order.quantity == D(6)
    world.wait(100)
    assert not world.wants
    world.trade(block, "6")
    world.end(block)
    world.deliver_all()
    assert world.wants[LIQUIDATION].orders == 1
    assert world.book.counters.splits == 0


def test_a_block_may_be_as_large_as_its_limits():
    world = World(depth=D(20))
    world.place(*(order(f"a{n}", quantity="5") for n in range(4)))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    [formed] = world.undecided[0].facts
    assert len(formed.members) == 4
    assert world.book.counters.splits == 0


def test_what_is_stale_is_decided_again_and_the_others_go():
    world = World()
    world.place(order("a"))
    world.wait(1_900)
    world.place(order("b"), order("c"))
    world.wait(101)
    world.grant(LIQUIDATION)
    given = closed(world)
    assert list(given) == ["a"]
    assert (given["a"].status, given["a"].executed_quantity) == (OrderStatus.NEVER_SENT, D(0))
    assert (given["a"].waited, given["a"].again) == (True, True)
    assert given["a"].cause == world.owned[given["a"].client_order_id].intent.cause
    assert given["a"].reason == "it waited 2.0 s for its turn to be sent; decided anew"
    world.store()
    [formed] = world.formed.values()
    assert [m.account_id for m in formed.members] == ["b", "c"]


def test_two_seconds_are_not_stale_yet():
    world = World()
    world.place(order("a"))
    world.wait(2_000)
    world.grant(LIQUIDATION)
    assert not closed(world)
    assert world.exchange


def test_if_nobody_is_fresh_the_slot_is_returned():
    world = World()
    world.place(order("a"), order("b"))
    world.wait(2_001)
    world.grant(LIQUIDATION)
    assert sent_to_gateway(world, ReturnSlot) == [ReturnSlot(ETH, 1)]
    assert set(closed(world)) == {"a", "b"}
    assert world.book.counters.given_back == 2


def test_what_is_decided_again_stands_where_it_stood_and_is_fresh_however_long_that_took():
    world = World()
    world.place(order("a"))
    first_ms = world.at.wall_ms
    world.wait(2_001)
    world.grant(LIQUIDATION)
    world.wait(3_000)
    world.place(order("b", 2))
    again = replace(order("a", 2), cause="tick:a:1", decided_ms=first_ms)
    world.owned[again.client_order_id] = Owned(again)
    world.again.add(again.client_order_id)
    world.apply(world.core.submit(Submit((again,), ()), world.at))
    world.wait(QUIET_MS)
    assert world.wants[LIQUIDATION].since_ms in {first_ms, world.at.wall_ms - QUIET_MS}
    world.wait(1_000)
    assert world.wants[LIQUIDATION].since_ms == first_ms
    world.grant(LIQUIDATION)
    assert not [c for c in closed(world).values() if c.client_order_id == again.client_order_id]
    world.store()
    assert [[m.account_id for m in f.members] for f in world.formed.values()] == [["a", "b"]]


def test_a_place_is_kept_for_a_minute_and_given_once():
    book = World().book
    one = order("a")
    book.keep_place(one.account_id, one.cause, 7, 1_000)
    book.keep_place(one.account_id, one.cause, 8, 1_000)
    assert book._kept_place(one, 61_000) == 7
    assert book._kept_place(one, 61_001) is None
    book.keep_place(one.account_id, one.cause, 7, 1_000)
    book.forget_places(61_000)
    assert book._places
    book.forget_places(61_001)
    assert not book._places


def test_new_risk_that_waited_half_a_minute_ends():
    world = World()
    world.place(new_risk("a"), order("b"))
    world.wait(30_000)
    assert not closed(world)
    world.wait(1_000)
    given = closed(world)
    assert list(given) == ["a"]
    assert (given["a"].waited, given["a"].again) == (True, False)


def test_new_risk_that_is_too_old_at_its_grant_is_not_decided_again():
    world = World()
    world.place(new_risk("a"))
    world.now_ms += 30_001
    world.grant(NEW_RISK)
    assert not closed(world)["a"].again
    assert sent_to_gateway(world, ReturnSlot)


# -- cancels and replacements


def test_a_cancel_of_an_order_that_waits_ends_it():
    world = World()
    world.place(order("a"), order("b"))
    world.cancel(world.open_ids()[0])
    given = closed(world)
    assert (given["a"].status, given["a"].waited, given["a"].executed_quantity) == (
        OrderStatus.CANCELED,
        False,
        0,
    )
    world.settle()
    assert not world.formed


def test_a_cancel_of_a_member_is_too_late():
    world, _ = with_block()
    world.cancel(world.open_ids()[0])
    assert not closed(world)
    assert not world.passed_through
    assert world.book.counters.late_cancels == 1
    world.settle()


def test_a_cancel_of_an_order_that_went_alone_goes_to_the_gateway():
    world = World()
    world.place(order("a"))
    world.grant(LIQUIDATION)
    world.cancel(world.open_ids()[0])
    [cancel] = world.passed_through
    assert cancel.account_id == "a"


def test_a_step_that_waits_can_be_replaced_and_keeps_its_place():
    world = World()
    world.place(order("a"), order("b"))
    first_ms = world.at.wall_ms
    world.wait(100)
    world.replace(world.open_ids()[0])
    given = closed(world)
    assert (given["a"].waited, given["a"].again) == (True, True)
    world.deliver_all()
    world.wait(1_000)
    assert [w.since_ms for w in world.book.lines[LIQUIDATION].waiting.values()] == [first_ms, first_ms]
    world.settle()


def test_a_step_that_is_asked_back_before_it_is_durable_is_given_back_when_it_arrives():
    world = World()
    early, other = order("a"), order("b")
    world.owned[early.client_order_id] = Owned(early)
    world.replace(early.client_order_id)
    assert world.delivered == []
    del world.owned[early.client_order_id]
    world.place(early, other)
    [end] = closed(world).values()
    assert (end.client_order_id, end.waited, end.again) == (early.client_order_id, True, True)
    world.wait(QUIET_MS)
    [want] = sent_to_gateway(world, Want)
    assert want.orders == 1


def test_a_step_that_is_asked_back_and_never_arrives_is_expected_for_a_minute():
    world = World()
    early = order("a")
    world.owned[early.client_order_id] = Owned(early)
    world.replace(early.client_order_id)
    world.wait(60_000)
    world.core.timer(world.at)
    assert world.book.unwanted
    world.wait(1)
    world.core.timer(world.at)
    assert not world.book.unwanted


def test_a_step_that_waits_no_more_cannot_be_replaced():
    world, _ = with_block()
    world.replace(world.open_ids()[0])
    assert world.delivered == [StepUnderWay(world.open_ids()[0])]


# -- rounds


def test_trades_are_pooled_for_20_ms_and_given_when_that_is_durable():
    world, block = with_block()
    world.trade(block, "0.3", "2000")
    world.deliver()
    world.wait(19)
    world.trade(block, "0.6", "1997")
    world.deliver()
    assert not world.undecided
    world.wait(1)
    [decide] = world.undecided
    [fact] = decide.facts
    assert isinstance(fact, RoundAllocated)
    assert fact.round_id == 106
    assert not fills(world)
    world.store()
    [one, two] = [m.trade for m in world.delivered]
    assert (one.quantity, two.quantity) == (D("0.3"), D("0.6"))
    assert one.price == two.price == D(1998)
    assert (one.quote_quantity, two.quote_quantity) == (D("599.4"), D("1198.8"))
    assert one.trade_id == two.trade_id == 106
    assert one.exchange_order_id != two.exchange_order_id != 5
    assert (one.fee, two.fee) == (D("0.006666666667"), D("0.013333333333"))


@pytest.mark.parametrize(("members", "pooled_ms"), [(2, 20), (9, 20), (10, 21), (105, 30)])
def test_trades_of_a_block_of_many_are_pooled_longer(members, pooled_ms):
    world, block = with_block(*(order(f"a{n}", quantity="0.1") for n in range(members)))
    world.trade(block, "0.2")
    world.deliver_all()
    world.wait(pooled_ms - 1)
    assert not world.undecided
    world.wait(1)
    assert world.undecided


def test_however_many_they_are_they_are_not_pooled_for_longer_than_the_most():
    assert [round_ms(n) for n in (1_799, 1_800, 10_000)] == [ROUND_MOST_MS - 1, ROUND_MOST_MS, ROUND_MOST_MS]


def test_the_end_of_a_block_brings_its_last_round_and_each_member_s_end_in_one_decision():
    world, block = with_block()
    world.trade(block, "3")
    world.end(block)
    world.deliver(0)
    world.deliver(0)
    [decide] = world.undecided
    assert [type(fact) for fact in decide.facts] == [RoundAllocated, BlockEnded]
    assert not world.delivered
    world.store()
    assert fills(world) == [("a", D(1)), ("b", D(2))]
    assert all(one.ended.status is OrderStatus.FILLED for one in world.owned.values())


def test_a_partial_end_fills_whom_it_can_and_expires_the_rest():
    world, block = with_block(order("a"), order("b", quantity="2"), order("c", quantity="0.001"))
    world.trade(block, "1.501")
    world.end(block)
    world.deliver_all()
    world.store()
    ends = {world.owned[i].intent.account_id: one.ended for i, one in world.owned.items()}
    assert {a: (e.status, e.executed_quantity) for a, e in ends.items()} == {
        "a": (OrderStatus.EXPIRED, D("0.5")),
        "b": (OrderStatus.EXPIRED, D(1)),
        "c": (OrderStatus.FILLED, D("0.001")),
    }
    assert not any(e.waited for e in ends.values())


def test_a_refusal_is_a_refusal_for_each_member():
    world, block = with_block()
    world.end(block, OrderStatus.REJECTED)
    world.deliver_all()
    world.store()
    ends = closed(world)
    assert {(e.status, e.code, e.reason, e.waited) for e in ends.values()} == {
        (OrderStatus.REJECTED, -2019, "because", False)
    }
    world.settle()


@pytest.mark.parametrize("make", [order, reducing])
def test_what_the_exchange_never_got_is_decided_again_when_it_reduces(make):
    world, block = with_block(make("a"), make("b"))
    since_ms = world.owned[world.open_ids()[0]].intent.decided_ms
    world.end(block, OrderStatus.NEVER_SENT)
    world.deliver()
    assert not world.delivered
    world.store()
    ends = closed(world)
    assert {(e.status, e.waited, e.again) for e in ends.values()} == {(OrderStatus.NEVER_SENT, True, True)}
    world.deliver_all()
    world.wait(30)
    assert world.wants[group_of(make("a"))].since_ms == since_ms
    world.settle()


def test_what_the_exchange_never_got_ends_when_it_opens():
    world, block = with_block(new_risk("a"), new_risk("b"))
    world.end(block, OrderStatus.NEVER_SENT)
    world.deliver_all()
    world.store()
    ends = closed(world)
    assert {(e.status, e.waited, e.again) for e in ends.values()} == {(OrderStatus.NEVER_SENT, False, False)}


def test_a_trade_that_is_told_twice_counts_once_before_and_after_its_round():
    world, block = with_block()
    trade = world.trade(block, "1")
    world.deliver(keep=True)
    world.deliver(keep=True)
    world.wait(20)
    world.store()
    world.deliver()
    assert world.book.counters.duplicates == 2
    assert world.stored.blocks[0].executed == trade.quantity
    world.settle()


def test_fees_in_two_assets_make_two_rounds():
    world, block = with_block()
    world.trade(block, "1", fee="0.3")
    world.trade(block, "1", fee="0.0009", fee_asset="BNB")
    world.deliver_all()
    world.wait(20)
    world.store()
    assert {(f.trade.fee_asset, f.trade.trade_id) for f in world.delivered} == {("", 103), ("BNB", 106)}
    world.settle()


def test_an_end_before_all_trades_are_known_asks_for_them():
    world, block = with_block()
    world.trade(block, "1")
    world.to_core.clear()
    world.trade(block, "0.5")
    world.end(block)
    world.deliver(0)
    world.deliver(0)
    [asked] = sent_to_gateway(world, Resync)
    assert asked.order.client_order_id == block
    assert (asked.order.filled, asked.order.trade_ids) == (D("0.5"), (106,))
    assert not world.undecided
    world.settle()


def test_an_end_with_less_than_was_traded_is_an_alarm_and_no_end():
    world, block = with_block()
    world.trade(block, "1")
    world.deliver()
    world.apply(world.core.closed(OrderClosed(block, OrderStatus.EXPIRED, D("0.5")), world.at))
    assert "0.5 executed in all, and 1 traded" in world.alarms.pop()
    world.wait(20)
    world.store()
    assert world.stored.live
    world.end(block)
    world.settle()


def test_acceptance_is_told_only_of_a_block_that_works_for_long():
    world, block = with_block()
    world.accept(block)
    world.deliver()
    world.wait(999)
    assert not world.delivered
    world.wait(1)
    told = [m for m in world.delivered if isinstance(m, OrderAccepted)]
    assert [m.exchange_order_id for m in told] == [m.order_id for m in world.formed[1].members]
    world.wait(5_000)
    assert len(world.delivered) == 2
    world.settle()


@pytest.mark.parametrize(
    "changes",
    [{"side": Side.BUY}, {"symbol": BTC}, {"quantity": D("3.001")}],
    ids=["side", "symbol", "too much"],
)
def test_a_trade_that_cannot_be_is_refused_and_changes_nothing(changes):
    world, block = with_block()
    trade = replace(world.trade(block, "1"), **changes)
    with pytest.raises(StateCorrupt):
        world.core.filled(Fill("clearing:ETHUSDT", block, trade), world.at)
    world.settle()


def test_events_of_what_was_never_formed_are_refused():
    world, block = with_block()
    with pytest.raises(StateCorrupt):
        world.core.accepted(OrderAccepted(block[:-1] + "2", 5), world.at)
    with pytest.raises(StateCorrupt):
        world.core.closed(OrderClosed(order().client_order_id, OrderStatus.FILLED, D(1)), world.at)
    with pytest.raises(StateCorrupt):
        world.core.closed(OrderClosed(block, OrderStatus.ACKNOWLEDGED, D(0)), world.at)
    world.settle()


# -- what accounts ask


def test_a_member_that_resyncs_is_told_its_fills_and_its_end_again():
    world, block = with_block()
    id_ = world.open_ids()[1]
    world.trade(block, "1.5")
    world.deliver()
    world.wait(20)
    world.resync(id_)
    assert not world.delivered, "what is not durable yet"
    world.store()
    assert fills(world) == [("a", D("0.5")), ("b", D(1)), ("b", D(1))]
    world.end(block)
    world.deliver()
    world.store()
    world.delivered.clear()
    world.resync(id_)
    [fill, end] = world.delivered
    assert (fill.trade.quantity, end.executed_quantity) == (D(1), D(1))


def test_an_order_that_waits_hears_nothing_and_one_that_is_not_known_is_the_gateway_s():
    world = World()
    world.place(order("a"))
    world.resync(world.open_ids()[0])
    assert not sent_to_gateway(world, Resync)
    world.grant(LIQUIDATION)
    world.resync(world.open_ids()[0])
    assert [m.order.client_order_id for m in sent_to_gateway(world, Resync)] == world.open_ids()


def test_a_block_is_forgotten_with_the_decision_after_all_members_booked_its_end():
    world, block = with_block()
    world.trade(block, "3")
    world.end(block)
    for _ in range(2):
        world.deliver()
    world.store()
    world.deliver()
    world.place(order("c"), order("d"))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    assert not any(isinstance(f, BlocksForgotten) for f in world.undecided[0].facts)
    world.deliver_all()
    world.store()
    world.trade(list(world.exchange)[-1], "1")
    world.deliver()
    world.wait(20)
    assert world.undecided[0].facts[-1] == BlocksForgotten((1,))
    world.refuse()
    world.load()
    world.wait(20)
    assert world.undecided[0].facts[-1] == BlocksForgotten((1,))
    world.settle()


def test_an_order_that_arrives_twice_counts_once():
    world, _ = with_block()
    for one in list(world.owned.values()):
        world.apply(world.core.submit(Submit((one.intent,), ()), world.at))
    assert not world.book.where
    assert world.book.counters.duplicates == 2


def test_what_waits_and_what_is_in_a_block_that_is_not_durable_is_not_sent():
    world = World()
    world.place(order("a"), order("b"), new_risk("c"))
    ids = world.open_ids()
    assert [world.book.is_unsent(id_) for id_ in ids] == [True, True, True]
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    world.grant(NEW_RISK)
    assert [world.book.is_unsent(id_) for id_ in ids] == [True, True, False]
    world.store()
    assert not any(world.book.is_unsent(id_) for id_ in ids)


# -- what goes wrong


def test_a_wish_for_a_timer_outlives_a_decision_that_is_lost():
    world = World()
    world.place(order("a"))
    world.place(new_risk("b", quantity="0.001"))
    world.wait(50)
    world.cancel(world.open_ids()[1])
    world.refuse()
    world.load()
    world.place(order("c"))
    world.wait(3_000)
    assert world.now_ms - world.book.lines[LIQUIDATION].wanted_ms <= 1_000
    world.settle()


def test_the_members_of_a_block_whose_decision_was_lost_wait_again_and_its_slot_is_returned():
    world = World()
    world.place(order("a"), order("b"), order("c"))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    world.cancel(world.open_ids()[2])
    world.refuse()
    world.place(order("d"))
    world.wait(1_000)
    assert not world.undecided
    world.load()
    assert sent_to_gateway(world, ReturnSlot) == [ReturnSlot(ETH, 1)]
    assert {world.owned[i].intent.account_id for i in world.book.where} == {"a", "b", "d"}
    assert closed(world)["c"].status is OrderStatus.CANCELED
    world.settle()
    assert [len(f.members) for f in world.formed.values()] == [3]


def test_a_decision_that_was_durable_all_the_same_is_sent():
    world = World()
    world.place(order("a"), order("b"))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    world.refuse(keep=1)
    world.load()
    assert len(world.exchange) == 1
    assert not sent_to_gateway(world, ReturnSlot)
    world.settle()


def test_while_a_decision_is_lost_grants_are_returned_and_nothing_is_wanted():
    world = World()
    world.place(order("a"), order("b"))
    world.wait(QUIET_MS)
    world.refuse()
    world.place(new_risk("c"))
    assert NEW_RISK not in world.wants
    world.grant(LIQUIDATION)
    assert sent_to_gateway(world, ReturnSlot)
    assert not world.undecided
    world.load()
    world.wait(QUIET_MS)
    assert set(world.wants) == {LIQUIDATION, NEW_RISK}
    world.settle()


def test_a_new_gateway_is_told_again_what_waits_and_old_slots_are_void():
    world = World()
    world.place(order("a"), order("b"), new_risk("c"))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    sent_to_gateway(world, Want)
    world.gateway_restarts()
    assert [want.group for want in sent_to_gateway(world, Want)] == [NEW_RISK]
    world.store()
    [submit] = sent_to_gateway(world, Submit)
    assert submit.slot == 0
    world.settle()


def test_an_actor_that_crashed_asks_for_its_blocks_and_tells_again_what_was_not_booked():
    world, block = with_block()
    world.trade(block, "1.5")
    world.deliver()
    world.wait(20)
    world.store()
    world.delivered.clear()
    world.crash()
    [asked] = sent_to_gateway(world, Resync)
    assert (asked.order.client_order_id, asked.order.exchange_order_id) == (block, 5)
    assert fills(world) == [("a", D("0.5")), ("b", D(1))]
    world.settle()


def test_an_actor_that_crashed_knows_what_went_alone():
    world = World()
    world.place(order("a"))
    world.grant(LIQUIDATION)
    world.place(order("b"))
    world.crash()
    world.wait(500)
    assert not world.wants
    world.settle()


def test_after_kill_a_block_that_the_exchange_never_got_is_decided_again():
    world = World()
    world.place(order("a"), order("b"))
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    world.kill(keep=1)
    assert not world.exchange
    world.deliver_all()
    world.store()
    ends = closed(world)
    assert {(e.status, e.waited, e.again) for e in ends.values()} == {(OrderStatus.NEVER_SENT, True, True)}
    world.settle()


def test_an_end_of_an_order_that_is_not_known_is_no_matter():
    world = World()
    assert world.core.done(OrderDone(ETH, "bh-unknown"), world.at) == []


def test_what_is_told_of_a_block_after_its_end_is_a_duplicate():
    world, block = with_block()
    trade = world.trade(block, "3")
    world.end(block)
    world.deliver_all()
    world.store()
    world.deliver_all()
    assert world.core.filled(Fill("clearing:ETHUSDT", block, trade), world.at) == []
    assert world.core.closed(OrderClosed(block, OrderStatus.FILLED, D(3)), world.at) == []
    assert world.book.counters.duplicates == 2
    assert not world.book.heard


def test_an_account_has_one_order_in_a_block_and_the_other_one_goes_with_the_next():
    world = World()
    first, second, other = order("a"), order("a", number=2), order("b")
    world.place(first, second, other)
    world.wait(QUIET_MS)
    world.grant(LIQUIDATION)
    [block] = world.core.state.blocks
    assert [m.client_order_id for m in block.members] == [first.client_order_id, other.client_order_id]
    assert world.book.waiting(second.client_order_id) is not None
