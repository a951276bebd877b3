"""Facts of a symbol's clearing: what fits, and what is refused with the old state whole.

Covers: actors/clearing/state.py, actors/core/clearing_facts.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.clearing.book import Waiting, group_of
from actors.clearing.effects import Moment
from actors.clearing.fold import fold, folded
from actors.clearing.forming import formed
from actors.clearing.rounds import allocated
from actors.clearing.state import MEMBERS_MAX, ClearingState, is_member_order_id, member_order_id
from actors.core.clearing_facts import BlockEnded, BlocksForgotten, LostOrderBooked
from actors.core.enums import OrderStatus, Side
from actors.core.errors import StateCorrupt
from actors.core.order_ids import FIXED
from actors.core.units import Symbol
from tests.clearing.test_allocation import trade
from tests.clearing.world import ETH, STEP, WALL_MS, order

BLANK = ClearingState(symbol=ETH)


def block_of(*orders, state=BLANK):
    taken = [Waiting(o, WALL_MS, n, WALL_MS) for n, o in enumerate(orders)]
    return formed(state, group_of(orders[0]), taken, FIXED, Moment(0, WALL_MS))


FORMED = block_of(order("a", quantity="1"), order("b", quantity="2"))
WITH_BLOCK = fold(BLANK, FORMED)
ROUND = allocated(WITH_BLOCK.blocks[0], (trade(7, "0.3"), trade(9, "1.2")), STEP)
WITH_ROUND = fold(WITH_BLOCK, ROUND)
ENDED = BlockEnded(block=1, status=OrderStatus.EXPIRED, executed=D("1.5"))
WITH_END = fold(WITH_ROUND, ENDED)


def test_a_block_is_formed_allocated_ended_and_forgotten():
    assert (WITH_BLOCK.next_block, WITH_BLOCK.next_order_id) == (2, 3)
    [block] = WITH_ROUND.live
    assert block.executed == D("1.5")
    assert list(block.allocated().values()) == [D("0.5"), D(1)]
    assert list(block.lacks().values()) == [D("0.5"), D(1)]
    assert [t.trade_id for t in block.trades] == [7, 9]
    assert WITH_END.live == ()
    assert WITH_END.block(1).ended == ENDED
    assert fold(WITH_END, BlocksForgotten((1,))) == replace(BLANK, next_block=2, next_order_id=3)
    assert folded(BLANK, [FORMED, ROUND, ENDED]) == WITH_END


def test_members_have_order_ids_of_their_own_that_a_double_holds():
    ids = [member.order_id for member in FORMED.members]
    assert ids == [member_order_id(1), member_order_id(2)]
    assert all(int(float(id_)) == id_ for id_ in ids)


def _with_order(**changes):
    return replace(FORMED, order=replace(FORMED.order, **changes))


def _members(*members):
    return replace(FORMED, members=members)


A, B = FORMED.members
NOT_FORMED = {
    "of another symbol": _with_order(symbol=Symbol("BTCUSDT")),
    "of an account": _with_order(account_id="a"),
    "another number": _with_order(sequence=2),
    "another quantity": _with_order(quantity=D(4)),
    "no members": _members(),
    "a member twice": _members(A, replace(B, client_order_id=A.client_order_id)),
    "a member with nothing": replace(_with_order(quantity=D(1)), members=(A, replace(B, quantity=D(0)))),
    "another order id": _members(A, replace(B, order_id=B.order_id + 1)),
}


@pytest.mark.parametrize("fact", NOT_FORMED.values(), ids=NOT_FORMED)
def test_a_block_that_does_not_fit_is_refused(fact):
    with pytest.raises(StateCorrupt):
        fold(BLANK, fact)


@pytest.mark.parametrize("state", [WITH_BLOCK, WITH_END])
def test_an_order_is_in_one_block(state):
    again = block_of(order("b", quantity="2"), order("c"), state=state)
    with pytest.raises(StateCorrupt, match="already"):
        fold(state, again)


def test_other_orders_make_the_next_block():
    state = fold(WITH_END, block_of(order("c"), order("d"), state=WITH_END))
    assert [block.number for block in state.blocks] == [1, 2]
    assert state.next_order_id == 5


def _given(place, **changes):
    parts = list(ROUND.allocations)
    parts[place] = replace(parts[place], **changes)
    return replace(ROUND, allocations=tuple(parts))


def _traded(place, **changes):
    trades = list(ROUND.trades)
    trades[place] = replace(trades[place], **changes)
    return replace(ROUND, trades=tuple(trades))


FIRST, SECOND = ROUND.allocations
NOT_ALLOCATED = {
    "of an unknown block": replace(ROUND, block=2),
    "not named after its last trade": replace(ROUND, round_id=7),
    "without trades": replace(ROUND, trades=()),
    "a trade twice": replace(ROUND, trades=(*ROUND.trades, ROUND.trades[0])),
    "of another side": _traded(0, side=Side.BUY),
    "of another symbol": _traded(0, symbol=Symbol("BTCUSDT")),
    "fees of two assets": _traded(0, fee_asset="BNB"),
    "a fee that is not known": _traded(0, fee=None),
    "more quantity than traded": _given(0, quantity=D("0.6")),
    "more value than traded": _given(0, value=FIRST.value + 1),
    "another fee than taken": _given(0, fee=FIRST.fee + D("1e-12")),
    "a member twice": replace(
        ROUND, allocations=(replace(FIRST, client_order_id=SECOND.client_order_id), SECOND)
    ),
    "of a stranger": _given(0, client_order_id="bh-stranger"),
    "nothing for somebody": replace(
        ROUND, allocations=(replace(FIRST, quantity=D(0)), replace(SECOND, quantity=D("1.5")))
    ),
    "past a member's quantity": replace(
        ROUND, allocations=(replace(FIRST, quantity=D("1.4")), replace(SECOND, quantity=D("0.1")))
    ),
}


@pytest.mark.parametrize("fact", NOT_ALLOCATED.values(), ids=NOT_ALLOCATED)
def test_a_round_that_does_not_fit_is_refused(fact):
    with pytest.raises(StateCorrupt):
        fold(WITH_BLOCK, fact)


def test_a_trade_is_allocated_once():
    later = replace(ROUND, trades=(ROUND.trades[0], replace(ROUND.trades[1], trade_id=12)), round_id=12)
    with pytest.raises(StateCorrupt, match="earlier"):
        fold(WITH_ROUND, later)


def test_a_member_gets_no_more_than_its_quantity_over_all_rounds():
    later = replace(_traded(0, trade_id=11), trades=(trade(11, "1.5"),), round_id=11)
    parts = (replace(FIRST, quantity=D("1.1")), replace(SECOND, quantity=D("0.4")))
    value, fee = D(3_000), D("0.1")
    parts = (replace(parts[0], value=value, fee=fee), replace(parts[1], value=D(0), fee=D(0)))
    with pytest.raises(StateCorrupt, match="more than it lacks"):
        fold(WITH_ROUND, replace(later, allocations=parts))
    exact = (replace(parts[0], quantity=D("0.5")), replace(parts[1], quantity=D(1)))
    assert fold(WITH_ROUND, replace(later, allocations=exact)).blocks[0].executed == D(3)


@pytest.mark.parametrize(
    "fact",
    [
        replace(ENDED, block=2),
        replace(ENDED, executed=D(1)),
        replace(ENDED, status=OrderStatus.ACKNOWLEDGED),
        BlocksForgotten((1,)),
        BlocksForgotten((2,)),
    ],
)
def test_an_end_that_does_not_fit_is_refused(fact):
    with pytest.raises(StateCorrupt):
        fold(WITH_ROUND, fact)


@pytest.mark.parametrize("fact", [ENDED, replace(ROUND, trades=(trade(20, "1.5"),), round_id=20)])
def test_nothing_happens_to_a_block_after_its_end(fact):
    with pytest.raises(StateCorrupt, match="has ended"):
        fold(WITH_END, fact)


LOST = LostOrderBooked(
    block=5, client_order_id="bh-lost", exchange_order_id=trade(20, "1").exchange_order_id, symbol=ETH, side=Side.SELL,
    quantity=D(3), status=OrderStatus.EXPIRED, placed_ms=WALL_MS, trades=(trade(20, "0.5"), trade(22, "1.2")),
)  # fmt: skip


def test_the_house_has_what_a_lost_order_traded_and_no_later_block_has_its_number():
    state = fold(WITH_BLOCK, LOST)
    assert (state.lost, state.house, state.next_block) == (("bh-lost",), D("-1.7"), 6)
    assert replace(state, lost=(), house=D(0), next_block=2) == WITH_BLOCK
    buy = replace(
        LOST, side=Side.BUY, block=6, quantity=D(2), client_order_id="bh-other", trades=_bought(30, "2")
    )
    assert fold(state, buy).house == D("0.3")
    assert fold(state, buy).lost == ("bh-lost", "bh-other")
    later = block_of(order("c"), order("d"), state=state)
    assert later.order.sequence == 6
    assert fold(state, later).house == D("-1.7")


def _bought(number, quantity):
    return (replace(trade(number, quantity), side=Side.BUY),)


MEMBER = FORMED.members[0].client_order_id
NOT_LOST = {
    "of another symbol": replace(LOST, symbol=Symbol("BTCUSDT")),
    "a number that is used": replace(LOST, block=1),
    "without trades": replace(LOST, trades=()),
    "more traded than ordered": replace(LOST, quantity=D("1.6")),
    "not ended": replace(LOST, status=OrderStatus.ACKNOWLEDGED),
    "a trade twice": replace(LOST, trades=(LOST.trades[0], LOST.trades[0])),
    "a trade of nothing": replace(LOST, trades=(*LOST.trades, trade(23, "0"))),
    "a trade of another side": replace(LOST, trades=(*LOST.trades, *_bought(23, "0.1"))),
    "a trade of another symbol": replace(LOST, trades=(replace(LOST.trades[0], symbol=Symbol("BTCUSDT")),)),
    "a trade of another order": replace(LOST, trades=(replace(LOST.trades[0], exchange_order_id=1),)),
    "a trade of a round": replace(LOST, trades=(trade(9, "1.2"),)),
    "a block that is known": replace(LOST, client_order_id=FORMED.order.client_order_id),
    "a member's order": replace(LOST, client_order_id=MEMBER),
}


@pytest.mark.parametrize("fact", NOT_LOST.values(), ids=NOT_LOST)
def test_a_lost_order_that_does_not_fit_is_refused(fact):
    with pytest.raises(StateCorrupt, match="the lost order"):
        fold(WITH_ROUND, fact)


def test_a_lost_order_is_booked_once():
    again = replace(LOST, block=6, trades=(trade(40, "1"),))
    with pytest.raises(StateCorrupt, match="booked already"):
        fold(fold(BLANK, LOST), again)


@pytest.mark.parametrize("number", [1, MEMBERS_MAX])
def test_a_members_order_number_is_told_from_the_exchanges(number):
    assert is_member_order_id(member_order_id(number))
    assert not is_member_order_id(member_order_id(MEMBERS_MAX + 1))
