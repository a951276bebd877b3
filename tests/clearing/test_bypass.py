"""A clearing that cannot go on as it is: orders go one by one, blocks are seen to their end or held, and nothing hangs.

Covers: actors/clearing/service.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.clearing.book import Book, group_of
from actors.clearing.bypass import GATHERED_MS, NAMED_MAX, Bypass, may_be_member
from actors.clearing.effects import Again, Alarm, Deliver, ToGateway
from actors.clearing.protocol import Clearing
from actors.clearing.service import Serves, Service
from actors.clearing.state import MEMBERS_MAX, member_order_id
from actors.core.clearing_messages import (
    Durable,
    Grant,
    OrderDone,
    OrdersBooked,
    ReplaceStep,
    ReturnSlot,
    StepUnderWay,
    Want,
)
from actors.core.enums import OrderStatus, OrderType
from actors.core.facts import CancelIntended
from actors.core.messages import Fill, OrderClosed
from actors.core.order_ids import FIXED
from actors.core.order_messages import AskFees, Resync, Submit
from actors.core.orders import WorkingOrder
from tests.clearing.test_protocol import LIQUIDATION, with_block
from tests.clearing.world import INSTRUMENT, World, new_risk, order, reducing
from tests.factories import ETH


def to_gateway(effects):
    return [e.message for e in effects if isinstance(e, ToGateway)]


def told(effects):
    return {e.account_id: e.message for e in effects if isinstance(e, Deliver)}


def alarms(effects):
    return [e.text for e in effects if isinstance(e, Alarm)]


def singly(world):
    """The world's clearing crashed, and goes on without forming blocks."""
    for line in world.book.lines.values():
        line.wanted_ms = None
    world.wants.clear()
    world.delivered.clear()
    world.sent_to_gateway.clear()
    world.core = Clearing(INSTRUMENT, FIXED, world.book, forms=False)
    world.timers.clear()
    world.timer_ms = None
    world.load()


# -- one by one, while blocks of before are seen to their end


def test_what_waited_goes_back_when_it_reduces_and_ends_when_it_opens():
    world = World()
    world.place(order("a"), order("b"), reducing("c"), new_risk("d"))
    singly(world)
    ends = {m.client_order_id: m for m in world.delivered if isinstance(m, OrderClosed)}
    assert {id_: (e.status, e.waited, e.again) for id_, e in ends.items()} == {
        o.client_order_id: (OrderStatus.NEVER_SENT, True, again)
        for o, again in (
            (order("a"), True),
            (order("b"), True),
            (reducing("c"), True),
            (new_risk("d"), False),
        )
    }
    assert not any(isinstance(m, Want | Submit) for m in world.sent_to_gateway)


def test_what_comes_then_goes_on_at_once_and_alone_and_no_slot_is_wanted():
    world = World()
    singly(world)
    world.place(order("a"), order("b"))
    [submit] = world.sent_to_gateway
    assert ([o.account_id for o in submit.orders], submit.slot) == (["a", "b"], 0)
    world.wait(5_000)
    assert not world.undecided
    assert not any(isinstance(m, Want) for m in world.sent_to_gateway)
    world.place(order("c", quantity="7"))
    assert world.book.alone.keys() == {order(a).client_order_id for a in "abc"}
    world.settle()
    assert world.stored.sequence == 0


def test_an_order_that_came_twice_goes_once():
    world = World()
    singly(world)
    world.place(order("a"))
    effects = world.core.submit(Submit((world.owned[order("a").client_order_id].intent,), ()), world.at)
    assert to_gateway(effects) == []
    assert world.book.counters.duplicates == 1


def test_members_of_a_block_in_flight_get_their_parts_and_their_ends():
    world, block = with_block()
    world.trade(block, "1.5")
    singly(world)
    world.place(order("c", quantity="4"))
    world.settle()
    assert world.owned[order("a").client_order_id].filled + world.owned[
        order("b").client_order_id
    ].filled == D(3)
    assert world.owned[order("c").client_order_id].filled == D(4)
    assert world.stored.live == ()


def test_a_block_that_never_became_durable_goes_back_too():
    world = World()
    world.place(order("a"), order("b"))
    world.wait(10)
    world.grant(LIQUIDATION)
    world.undecided.clear()
    singly(world)
    assert {m.again for m in world.delivered if isinstance(m, OrderClosed)} == {True}
    assert len(world.delivered) == 2


def test_a_step_that_is_asked_back_may_wait_in_the_gateway_which_is_asked():
    world = World()
    singly(world)
    world.place(order("a"))
    id_ = order("a").client_order_id
    asked = ReplaceStep(order("a").account_id, ETH, id_)
    assert world.core.replace(asked, world.at) == [ToGateway(asked)]
    # One that is not durable yet is given back when it comes.
    other = order("b")
    assert world.core.replace(ReplaceStep(other.account_id, ETH, other.client_order_id), world.at) == []
    effects = world.core.submit(Submit((other,), ()), world.at)
    assert told(effects)["b"].again
    assert to_gateway(effects) == []


def test_a_slot_that_is_granted_late_is_returned():
    world = World()
    world.place(order("a"))
    singly(world)
    world.slots.add(9)
    assert to_gateway(world.core.granted(Grant(LIQUIDATION, 9), world.at)) == [ReturnSlot(ETH, 9)]


# -- a bypass: nothing can be said of blocks


def bypass_of(world):
    found = Bypass(ETH, world.book)
    return found, found.begin(world.at)


def working(intent, **more):
    return WorkingOrder(intent=intent, **more)


def test_members_of_a_block_are_held_and_named_and_never_asked_for_by_their_own_ids():
    world, block = with_block()
    bypass, begun = bypass_of(world)
    assert begun == []
    resyncs = [Resync(working(world.owned[i].intent)) for i in world.open_ids()]
    effects = [e for one in resyncs for e in bypass.on(one, world.at)]
    assert to_gateway(effects) == []
    assert set(world.book.held) == set(world.open_ids())
    [text] = alarms(bypass.timer(world.at))
    for id_ in world.open_ids():
        assert id_ in text
    assert "'bulkhead restart clearing:ETHUSDT'" in text
    assert text.startswith("clearing:ETHUSDT: what becomes of these orders is unknown")
    assert bypass.timer(world.at) == [], "each is named once"
    # What is heard of the block is nothing to it; nobody is told.
    trade = world.trade(block, "1")
    for message in (Fill("clearing:ETHUSDT", block, trade), Durable(3)):
        assert bypass.on(message, world.at) == []


def test_of_many_the_first_are_named_and_the_others_counted():
    world, _ = with_block(*(order(f"a{n:02}", quantity="0.5") for n in range(NAMED_MAX + 5)))
    bypass, _ = bypass_of(world)
    for id_ in world.open_ids():
        bypass.on(Resync(working(world.owned[id_].intent)), world.at)
    [text] = alarms(bypass.timer(world.at))
    assert "and 5 more ('bulkhead clearing ETHUSDT')" in text


def test_of_as_many_as_are_named_none_is_counted():
    world, _ = with_block(*(order(f"a{n:02}", quantity="0.5") for n in range(NAMED_MAX)))
    bypass, _ = bypass_of(world)
    for id_ in world.open_ids():
        bypass.on(Resync(working(world.owned[id_].intent)), world.at)
    assert "more" not in alarms(bypass.timer(world.at))[0]


def test_a_timer_is_wished_for_once_there_is_one_to_name():
    world, _ = with_block()
    bypass, _ = bypass_of(world)
    asked = [Resync(working(world.owned[id_].intent)) for id_ in world.open_ids()]
    assert bypass.on(asked[0], world.at) == [Again(world.at.now_ms + GATHERED_MS)]
    bypass.timer(world.at)
    assert bypass.on(asked[0], world.at) == [], "it was named"
    assert bypass.on(asked[1], world.at) == [Again(world.at.now_ms + GATHERED_MS)]


def test_an_order_that_is_over_is_not_in_flight_any_more():
    world = World()
    bypass, _ = bypass_of(world)
    one = order("a")
    bypass.on(Submit((one,), ()), world.at)
    line = world.book.line(group_of(one))
    assert one.client_order_id in line.in_flight
    assert bypass.on(OrderDone(ETH, "bh-unknown-1"), world.at) == []
    bypass.on(OrderDone(ETH, one.client_order_id), world.at)
    assert not line.in_flight


def test_all_else_goes_on_one_by_one():
    world, _ = with_block()
    bypass, _ = bypass_of(world)
    limit = order("l", order_type=OrderType.LIMIT, price=D(2_000))
    effects = bypass.on(Submit((order("c"), limit, new_risk("d")), ()), world.at)
    sent = [o.account_id for m in to_gateway(effects) for o in m.orders]
    assert sorted(sent) == ["c", "d", "l"]
    assert all(m.slot == 0 for m in to_gateway(effects))
    assert to_gateway(bypass.on(Submit((order("c"),), ()), world.at)) == [], "sent twice"
    # What it sent itself may be asked for, and asked back.
    known = Resync(working(order("c")))
    assert to_gateway(bypass.on(known, world.at)) == [known]
    asked = ReplaceStep(order("c").account_id, ETH, order("c").client_order_id)
    assert to_gateway(bypass.on(asked, world.at)) == [asked]
    assert to_gateway(bypass.on(Resync(working(limit)), world.at)) == [Resync(working(limit))]
    bypass.on(OrderDone(ETH, order("c").client_order_id), world.at)
    assert order("c").client_order_id not in world.book.alone


def test_a_member_is_under_way_its_cancel_too_late_and_its_fees_no_question_for_the_exchange():
    world, _ = with_block()
    bypass, _ = bypass_of(world)
    one = order("a")
    asked = bypass.on(ReplaceStep(one.account_id, ETH, one.client_order_id), world.at)
    assert asked == [Deliver(one.account_id, StepUnderWay(one.client_order_id))]
    cancels = (
        CancelIntended(one.account_id, one.client_order_id, ETH, "user"),
        CancelIntended("z", "bh-z-1", ETH, "user"),
    )
    [submit] = to_gateway(bypass.on(Submit((), cancels), world.at))
    assert [c.client_order_id for c in submit.cancels] == ["bh-z-1"]
    assert world.book.counters.late_cancels == 1
    of_a_round = AskFees(one.account_id, one.client_order_id, member_order_id(1), ETH, (7,))
    assert bypass.on(of_a_round, world.at) == []
    of_a_trade = AskFees(one.account_id, "bh-z-1", 4_711, ETH, (7,))
    assert to_gateway(bypass.on(of_a_trade, world.at)) == [of_a_trade]


def test_what_waited_goes_back_and_a_block_that_was_not_sent_is_held_and_never_sent():
    world = World()
    world.place(order("a"), order("b"), new_risk("c"))
    world.wait(10)
    world.grant(LIQUIDATION)
    assert world.book.forming
    bypass, begun = bypass_of(world)
    assert {a: m.again for a, m in told(begun).items()} == {"c": False}
    assert set(world.book.held) == {order("a").client_order_id, order("b").client_order_id}
    assert "bh-" in alarms(bypass.timer(world.at))[0]
    # Its decision became durable all the same. An operator's restart, much later, asks for the block and does not send it.
    world._commit()
    world.apply(begun)
    assert not world.slots, "the slot is not used any more, and was not given back"
    world.now_ms += 3_600_000
    world.sent_to_gateway.clear()
    world.core = Clearing(INSTRUMENT, FIXED, world.book)
    world.load()
    assert not any(isinstance(m, Submit) for m in world.sent_to_gateway)
    [asked] = [m.order for m in world.sent_to_gateway if isinstance(m, Resync)]
    assert asked.client_order_id == world.stored.blocks[0].client_order_id
    world.settle()
    assert all(world.owned[order(a).client_order_id].ended.again for a in "ab")


def test_after_a_restart_members_are_told_and_those_that_were_in_no_block_are_asked_for():
    world, block = with_block()
    stranger = order("x")
    world.trade(block, "3")
    book = Book()  # of a process that could not read the block
    bypass = Bypass(ETH, book)
    bypass.begin(world.at)
    for intent in (*(world.owned[i].intent for i in world.open_ids()), stranger):
        assert to_gateway(bypass.on(Resync(working(intent)), world.at)) == []
    world.book = book
    world.core = Clearing(INSTRUMENT, FIXED, book)
    world.sent_to_gateway.clear()
    world.owned[stranger.client_order_id] = type(world.owned[order("a").client_order_id])(stranger)
    world.load()
    assert book.held == {}
    assert Resync(working(stranger)) in world.sent_to_gateway
    world.settle()
    assert world.owned[order("a").client_order_id].filled + world.owned[
        order("b").client_order_id
    ].filled == D(3)
    assert world.owned[stranger.client_order_id].ended.status is OrderStatus.NEVER_SENT


def test_who_may_be_a_member_depends_on_what_was_ever_read():
    one = order("a")
    book = Book()
    assert may_be_member(book, working(one)), "nothing was ever read"
    assert may_be_member(book, working(one, exchange_order_id=member_order_id(1)))
    assert may_be_member(book, working(one, exchange_order_id=member_order_id(10**9)))
    assert not may_be_member(book, working(one, exchange_order_id=8_389_765_123_456))
    assert not may_be_member(book, working(order("a", order_type=OrderType.LIMIT)))
    block = order("clearing:ETHUSDT")
    assert not may_be_member(book, working(block))
    book.was_loaded = True
    assert not may_be_member(book, working(one)), "all members are known"
    book.unbooked[1] = {one.client_order_id}
    assert may_be_member(book, working(one))
    Bypass(ETH, book).on(OrdersBooked(ETH, (one.client_order_id,)), World().at)
    assert not may_be_member(book, working(one))
    assert not may_be_member(Book(), working(one, exchange_order_id=member_order_id(MEMBERS_MAX) - 1))
    assert may_be_member(Book(), working(one, exchange_order_id=member_order_id(MEMBERS_MAX)))


def test_a_step_that_was_asked_back_before_it_came_is_given_back():
    world = World()
    one = order("a")
    world.core.replace(ReplaceStep(one.account_id, ETH, one.client_order_id), world.at)
    bypass, _ = bypass_of(world)
    effects = bypass.on(Submit((one, order("b")), ()), world.at)
    assert told(effects)["a"].again
    assert [o.account_id for m in to_gateway(effects) for o in m.orders] == ["b"]


# -- which way it serves


def test_each_time_it_fails_too_often_it_serves_in_a_simpler_way_until_an_operator_restarts_it():
    service = Service(ETH, Serves.BLOCKS)
    assert service.why == ""
    assert "orders go one by one, and blocks in flight are seen to their end" in service.fall_back("boom")
    assert (service.serves, service.why) == (Serves.SINGLY, "boom")
    means = service.fall_back("boom again")
    assert means.startswith("ETHUSDT takes no new risk, ")
    assert means.endswith("until 'bulkhead restart clearing:ETHUSDT'")
    assert service.serves is Serves.HOLDS
    assert service.fall_back("and again") == "", "there is no simpler way"
    service.restore()
    assert (service.serves, service.why) == (Serves.BLOCKS, "")


@pytest.mark.parametrize("usual", [Serves.BLOCKS, Serves.SINGLY])
def test_one_that_cannot_be_read_holds_at_once(usual):
    service = Service(ETH, usual)
    service.is_unreadable = True
    service.fall_back("no row")
    assert service.serves is Serves.HOLDS
    service.restore()
    assert (service.serves, service.is_unreadable) == (usual, False)


def test_slots_and_wants_of_before_are_no_more():
    world = World()
    world.place(order("a"))
    line = world.book.line(group_of(order()))
    assert line.wanted_ms is not None
    bypass, _ = bypass_of(world)
    assert line.wanted_ms is None
    assert to_gateway(bypass.on(Grant(LIQUIDATION, 4), world.at)) == [ReturnSlot(ETH, 4)]
