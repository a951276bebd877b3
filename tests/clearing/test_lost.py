"""What the journal lost with a restored backup: blocks that it does not know at all, and blocks whose later rounds it lost."""

from __future__ import annotations

import copy
import random
from decimal import Decimal as D

import pytest

from actors.clearing.actor import ClearingActor
from actors.clearing.state import ClearingState
from actors.core.clearing_facts import LostOrderBooked
from actors.core.clearing_messages import clearing_name, is_clearing
from actors.core.durability import DecisionLost, PersistFirst
from actors.core.enums import OrderStatus, OrderType, Side, TimeInForce
from actors.core.errors import StateCorrupt
from actors.core.messages import BookRecovered
from actors.core.order_ids import FIXED, Origin, StartId, client_order_id
from actors.core.trades import Trade
from actors.core.units import AccountId
from tests.assembly.test_build import Built
from tests.clearing.play import FAULTS, OFTEN
from tests.clearing.test_protocol import with_block
from tests.clearing.world import ETH, MARK, WALL_MS, World, order

EARLIER = Origin(FIXED.fleet, StartId("0000zz"))


CLEARING = clearing_name(ETH)


def trade_of(number, quantity, side=Side.SELL, **more):
    known = {
        "exchange_order_id": 900,
        "symbol": ETH,
        "price": MARK,
        "fee": D("0.01"),
        "maker": False,
        "trade_ms": 5,
    }
    return Trade(trade_id=number, side=side, quantity=D(quantity), **{**known, **more})


TRADES = trade_of(70, "0.4"), trade_of(71, "0.1")


def lost(number=1, trades=TRADES, whose=CLEARING, **more):
    """An order of an earlier start, as the exchange's history has it."""
    said = {
        "client_order_id": client_order_id(EARLIER, AccountId(whose), number), "exchange_order_id": 900, "symbol": ETH,
        "side": Side.SELL, "order_type": OrderType.MARKET, "quantity": D(1), "price": None,
        "time_in_force": TimeInForce.GTC, "status": OrderStatus.EXPIRED, "placed_ms": WALL_MS, "trades": tuple(trades),
    }  # fmt: skip
    return BookRecovered(**{**said, **more})


def test_the_house_has_it_with_the_number_that_the_block_had():
    world = World()
    [decide] = world.core.book_lost(lost(7))
    [fact] = decide.facts
    assert (decide.reply, fact.block, fact.position) == (fact, 7, D("-0.5"))
    world.apply([decide])
    world.store()
    assert (world.stored.house, world.stored.next_block) == (D("-0.5"), 8)
    world.place(order("a"), order("b"))
    world.settle()
    assert world.stored.house == D("-0.5")
    assert list(world.formed) == [8]


def test_a_number_that_was_used_since_counts_as_the_next_and_so_does_that_of_an_account_s_order():
    world, _ = with_block()
    world.apply(world.core.book_lost(lost(1)))
    world.apply(world.core.book_lost(lost(9, (trade_of(80, "1", Side.BUY),), "acct-9", side=Side.BUY)))
    assert [d.facts[0].block for d in world.undecided] == [2, 3]
    world.store(2)
    assert world.stored.house == D("0.5")
    world.settle()


@pytest.mark.parametrize("is_durable", [False, True])
@pytest.mark.parametrize("crashes", [False, True])
def test_it_is_booked_once_however_often_it_is_asked_for(is_durable, crashes):
    world = World()
    world.apply(world.core.book_lost(lost()))
    if is_durable:
        world.store()
    if crashes:
        world.crash()
    assert world.core.book_lost(lost()) == []
    world.settle()
    assert world.stored.house == D("-0.5")


def test_one_whose_decision_is_lost_is_booked_when_it_is_asked_for_again():
    world = World()
    world.apply(world.core.book_lost(lost()))
    world.refuse()
    assert world.core.book_lost(lost()) == [], "while no state is loaded nothing is decided"
    world.load()
    assert world.stored.lost == ()
    world.apply(world.core.book_lost(lost()))
    world.settle()
    assert world.stored.house == D("-0.5")


def test_what_cannot_be_true_is_refused_and_changes_nothing():
    world, _ = with_block()
    before = world.core.state
    for wrong in (
        lost(trades=()),
        lost(symbol="BTCUSDT"),
        lost(side=Side.BUY),
        lost(status=OrderStatus.ACKNOWLEDGED),
    ):
        with pytest.raises(StateCorrupt, match="the lost order"):
            world.core.book_lost(wrong)
    assert (world.core.state, len(world.undecided)) == (before, 0)
    world.settle()


# -- a block that the journal knows in part


def test_rounds_go_on_behind_those_that_the_backup_has():
    world, block = with_block()
    world.trade(block, D(1))
    world.deliver_all()
    world.wait(20)
    world.store()
    world.deliver_all()
    kept = backup(world)
    assert [len(b.rounds) for b in kept["stored"].live] == [1]
    world.trade(block, D(2))
    world.end(block)
    world.settle()
    assert [one.filled for one in world.owned.values()] == [D(1), D(2)]
    assert restored(world, kept) == {}
    assert [one.filled for one in world.owned.values()] == [D("0.333"), D("0.667")], "its durable round"
    world.settle()
    assert [one.filled for one in world.owned.values()] == [D(1), D(2)]
    assert [one.ended.status for one in world.owned.values()] == [OrderStatus.FILLED] * 2


KEPT = ("stored", "owned", "booked", "formed", "block_of", "round_ids", "block_ends", "again")


def backup(world):
    """What is durable, in clearing and accounts."""
    return {name: copy.deepcopy(getattr(world, name)) for name in KEPT}


def restored(world, kept):
    """A new process on a backup. The exchange is where it is; its orders that the backup does not know, by id."""
    for name, value in kept.items():
        setattr(world, name, copy.deepcopy(value))
    world.undecided.clear()
    world.origin = Origin(FIXED.fleet, StartId("000zzz"))
    known = {*world.owned, *(formed.order.client_order_id for formed in world.formed.values())}
    unknown = {id_: one for id_, one in world.exchange.items() if id_ not in known}
    for id_ in unknown:
        del world.exchange[id_]
    world.kill()
    return unknown


def test_after_a_restore_on_any_day_members_and_house_have_what_traded():
    lost_blocks, in_part = zip(*map(restore_on_a_day, range(60)), strict=True)
    assert sum(lost_blocks) > 30, "days that lose whole blocks"
    assert sum(in_part) > 10, "days that lose the later rounds of a block"


def restore_on_a_day(seed):
    """A day with faults, a backup, more of the day, a restore, the rest of the day."""
    dice = random.Random(seed)
    world = World()
    for until in (60, 60):
        for _ in range(until):
            dice.choice(FAULTS if dice.random() < 0.1 else OFTEN)(world, dice)
        if not world.core.is_halted and "kept" not in vars(world):
            world.kept = backup(world)
    try:
        numbers = {block.client_order_id: block.executed for block in world.kept["stored"].live}
        in_part = sum(world.exchange[i].executed > done for i, done in numbers.items() if i in world.exchange)
        unknown = restored(world, world.kept)
        blocks = {i: one for i, one in unknown.items() if is_clearing(one.order.account_id) and one.trades}
        for id_, one in blocks.items():
            trades = tuple(one.trades)
            ended = lost(
                client_order_id=id_, trades=trades, side=one.order.side, quantity=one.order.quantity,
                exchange_order_id=trades[0].exchange_order_id,
            )  # fmt: skip
            world.apply(world.core.book_lost(ended))
        for _ in range(40):
            dice.choice(OFTEN)(world, dice)
        world.settle()
        house = sum((one.executed * one.order.side.sign for one in blocks.values()), D(0))
        assert (world.stored.house, set(world.stored.lost)) == (house, set(blocks))
        assert not set(world.exchange) & set(blocks), "the id of a block is used again"
        return len(blocks), in_part
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise


# -- its actor


def actor_of(built):
    built.assembly.parts.clearing.preloaded[ETH] = ClearingState(symbol=ETH)
    ref = built.assembly.clearing_of(ETH)
    built.run()
    return ref


def started():
    built = Built()
    built.assembly.supervise()
    built.assembly.start("writer", "gateway", "router", prove=False)
    built.run()
    return built


def test_who_asks_is_answered_by_the_writer_once_it_is_durable():
    built = started()
    ref = actor_of(built)
    assert isinstance(ref.cell.actor, ClearingActor)
    answer = ref.ask(lost(), block=False)
    built.run()
    [persist] = [m for m in built.got("writer") if isinstance(m, PersistFirst)]
    [fact] = persist.facts
    assert isinstance(fact, LostOrderBooked)
    assert (persist.reply_to, persist.reply, persist.cause) == (answer, fact, "history:900")
    again = ref.ask(lost(), block=False)
    built.run()
    assert again.get(timeout=1) is None
    assert ref.ask(lost(2, (trade_of(90, "1"),)), block=False) is not None
    built.run()
    assert len([m for m in built.got("writer") if isinstance(m, PersistFirst)]) == 2
    ref.tell(DecisionLost(0, "the trade is used"))
    built.run()
    assert "the trade is used" in ref.cell.crashes[-1].error, "it goes back to what is durable"


def test_a_clearing_that_is_switched_off_is_started_for_it_and_passes_orders_on():
    built = started()
    assert clearing_name(ETH) not in built.assembly.actors
    ref = actor_of(built)
    assert built.assembly.clearing_of(ETH) is ref
    assert built.assembly.order_path(ETH) is ref
    assert not ref.cell.actor.why_simpler
    assert ref.cell.actor._core.forms is False
