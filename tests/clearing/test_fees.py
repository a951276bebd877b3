"""Fees that the exchange told late: before a round they are waited for, after it each member gets its share."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.clearing.book import group_of
from actors.clearing.effects import Deliver, ToGateway
from actors.clearing.fees import WITHOUT_FEE_KEPT
from actors.core.messages import FeeKnown, Fill
from actors.core.order_messages import AskFees
from tests.clearing.world import World, order
from tests.factories import ETH


def world_with_block(*quantities):
    world = World()
    world.place(*(order(f"a{n}", quantity=q) for n, q in enumerate(quantities)))
    world.wait(10)
    world.grant(group_of(order()))
    world.store()
    return world, list(world.exchange)[-1]


def told(world):
    return [m for m in world.delivered if isinstance(m, Fill)]


def test_a_trade_without_fee_waits_for_it_and_the_others_do_not():
    world, block = world_with_block("1", "2")
    world.trade(block, "0.9", fee=None)
    world.trade(block, "0.6", fee="0.3")
    world.to_core = type(world.to_core)(m for m in world.to_core if isinstance(m, Fill))
    world.deliver()
    [asked] = [m for m in world.sent_to_gateway if isinstance(m, AskFees)]
    assert (asked.account_id, asked.client_order_id, asked.trade_ids) == ("clearing:ETHUSDT", block, (103,))
    world.to_core.clear()
    world.apply(world.core.filled(Fill("clearing:ETHUSDT", block, world.exchange[block].trades[1]), world.at))
    world.wait(20)
    world.store()
    assert [(f.trade.trade_id, f.trade.quantity, f.trade.fee) for f in told(world)] == [
        (106, D("0.2"), D("0.1")),
        (106, D("0.4"), D("0.2")),
    ]
    world.fee(block, 103, "0.6")
    world.store()
    assert [(f.trade.trade_id, f.trade.fee) for f in told(world)[2:]] == [(103, D("0.2")), (103, D("0.4"))]
    world.settle()


def test_a_trade_that_is_told_again_with_its_fee_waits_no_more():
    world, block = world_with_block("1", "2")
    trade = world.trade(block, "0.9", fee=None)
    world.deliver()
    world.to_core.clear()
    for fee in (None, D("0.3"), D("0.6")):
        again = Fill("clearing:ETHUSDT", block, replace(trade, fee=fee))
        world.apply(world.core.filled(again, world.at))
    world.exchange[block].trades[0] = replace(trade, fee=D("0.3"))
    world.wait(20)
    world.store()
    assert [f.trade.fee for f in told(world)] == [D("0.1"), D("0.2")]
    world.settle()


def test_after_two_seconds_it_counts_without_fee_and_each_member_gets_its_share_when_it_asks():
    world, block = world_with_block("1", "2")
    trade = world.trade(block, "0.9", fee=None)
    world.deliver()
    world.to_core.clear()
    world.wait(1_999)
    assert not world.undecided
    world.wait(1)
    world.store()
    assert [(f.trade.fee, f.trade.quantity) for f in told(world)] == [(None, D("0.3")), (None, D("0.6"))]
    first, second = (f.client_order_id for f in told(world))
    asking = AskFees("a0", first, 1, ETH, (trade.trade_id,))
    [question] = world.core.ask_fees(asking)
    assert isinstance(question, ToGateway)
    assert question.message.client_order_id == block
    assert question.message.trade_ids == (trade.trade_id,)
    known = FeeKnown(ETH, trade.trade_id, D("0.03"), "BNB")
    [share] = world.core.fee_known(known, world.at)
    assert share == Deliver("a0", FeeKnown(ETH, trade.trade_id, D("0.01"), "BNB", "userTrades"))
    [share] = world.core.ask_fees(AskFees("a1", second, 1, ETH, (trade.trade_id,)))
    assert share == Deliver("a1", FeeKnown(ETH, trade.trade_id, D("0.02"), "BNB", "userTrades"))
    assert world.core.fee_known(known, world.at) == []


def test_a_question_about_an_order_that_went_alone_goes_on_to_the_gateway():
    question = AskFees("a", "bh-any", 5, ETH, (1,))
    assert World().core.ask_fees(question) == [ToGateway(question)]


def test_of_blocks_whose_fee_is_not_known_the_last_ones_are_remembered():
    world = World()
    for n in range(WITHOUT_FEE_KEPT + 3):
        world.place(order("a", 2 * n + 1), order("b", 2 * n + 2))
        world.wait(10)
        world.grant(group_of(order()))
        world.store()
        block = list(world.exchange)[-1]
        world.trade(block, "2", fee=None)
        world.end(block)
        world.deliver()
        world.to_core = type(world.to_core)(
            m for m in world.to_core if not (isinstance(m, tuple) and m[0] == "fee")
        )
        world.deliver_all()
        world.wait(2_000)
        world.store()
        world.deliver_all()
    assert (
        len(world.stored.blocks) == WITHOUT_FEE_KEPT + 1
    )  # the last one is forgotten with the next decision
    assert world.stored.blocks[-1].number == WITHOUT_FEE_KEPT + 3
