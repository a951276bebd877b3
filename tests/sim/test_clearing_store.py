"""The simulated store keeps clearing by the real one's rules, and finds what no correct engine makes.

Covers: actors/assembly/simulation/store.py
"""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from actors.assembly.simulation.store import SimulatedStore
from actors.assembly.simulation.violation import Violation
from actors.clearing.state import ClearingState
from actors.core.enums import OrderStatus
from actors.core.messages import OrderAccepted, OrderClosed, PlaceOrder
from tests.factories import BTC, BUY, ETH, D, account
from tests.persistence.authors import Author
from tests.persistence.blocks import Blocks, fill_of_round


class Scene:
    """Two accounts with an order each, in a block of which a round traded."""

    def __init__(self):
        states = [account(account_id=f"acct-{n}") for n in (1, 2)]
        self.store = SimulatedStore(states, Random("clearing"), faults=False)
        self.authors = [Author(state) for state in states]
        self.clearing = Blocks()
        for author in self.authors:
            author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20)))
            self.commit(author)
        self.ids = [a.state.orders[0].client_order_id for a in self.authors]
        orders = [(a.state.account_id, id_, "0.1") for a, id_ in zip(self.authors, self.ids, strict=True)]
        self.formed = self.clearing.form(orders)
        parts = [(id_, "0.05") for id_ in self.ids]
        self.round = self.clearing.round(self.formed, [(7, "0.06", "2000"), (9, "0.04", "2000")], parts)

    def commit(self, author):
        batch, author.batch = author.batch, []
        return self.store.commit(batch)

    def book(self, number, round_=None, **changes):
        author, id_ = self.authors[number], self.ids[number]
        fill = fill_of_round(self.formed, round_ or self.round, id_)
        author.decide(replace(fill, trade=replace(fill.trade, **changes)))
        return self.commit(author)


@pytest.fixture
def scene():
    return Scene()


def test_a_block_may_be_sent_when_it_is_durable_and_counts_instead_of_its_members(scene):
    store, block = scene.store, scene.formed.order
    assert {o.client_order_id for o in store.recovery().working} == set(scene.ids)
    assert block.client_order_id not in store.intents
    assert scene.commit(scene.clearing) == [None, None]
    assert store.intents[block.client_order_id] == block
    [working] = store.recovery().working
    assert (working.intent, working.filled, working.trade_ids) == (block, D("0.10"), (7, 9))


def test_it_is_loaded_from_snapshot_and_rows_with_the_members_that_ended(scene):
    store, clearing = scene.store, scene.clearing
    assert store.load_clearing(ETH) == (ClearingState(symbol=ETH), ())
    scene.commit(clearing)
    for number in range(20):  # so that there is a snapshot, and rows behind it
        if number == 0:
            clearing.end(scene.formed, "0.10", OrderStatus.EXPIRED)
        else:
            clearing.forget()
        scene.commit(clearing)
    scene.book(0)
    author = scene.authors[0]
    author.decide(OrderClosed(scene.ids[0], OrderStatus.EXPIRED, D("0.05")))
    scene.commit(author)
    state, booked = store.load_clearing(ETH)
    assert (state, booked) == (clearing.state, (scene.ids[0],))
    assert store.load_clearing(BTC) == (ClearingState(symbol=BTC), ())


def test_a_decision_after_a_refused_one_is_refused_until_it_is_loaded_again(scene):
    first, second = scene.clearing.batch
    assert "does not follow" in str(scene.store.commit([second])[0])
    assert "refused" in str(scene.store.commit([first])[0])
    scene.store.load_clearing(ETH)
    assert scene.store.commit([first, second]) == [None, None]


def test_each_trade_is_used_once_and_each_member_books_its_own_part_once(scene):
    scene.commit(scene.clearing)
    assert scene.book(0) == [None]
    assert scene.store.trades == {(ETH, 7): scene.round, (ETH, 9): scene.round}
    assert scene.store.rounds == [("clearing:ETHUSDT", scene.round)]
    assert set(scene.store.parts) == {(ETH, 9, scene.ids[0])}
    with pytest.raises(Violation, match="part of a round twice"):
        scene.store._note("acct-1", scene.store.parts[ETH, 9, scene.ids[0]])
    with pytest.raises(Violation, match="a trade twice"):
        scene.store._note("clearing:ETHUSDT", scene.round)
    author = scene.authors[1]
    author.decide(OrderAccepted(scene.ids[1], 51))
    with pytest.raises(Violation, match="a trade twice"):
        scene.book(1, quote_quantity=None)


def test_a_part_before_its_round_is_durable_or_another_one_than_was_given_is_found(scene):
    with pytest.raises(Violation, match="a part of a round that is not durable"):
        scene.book(0)
    scene = Scene()
    scene.commit(scene.clearing)
    with pytest.raises(Violation, match="another part than it was given"):
        scene.book(0, quantity=D("0.06"))
    scene = Scene()
    scene.commit(scene.clearing)
    with pytest.raises(Violation, match="a part of a round that is not durable"):
        scene.book(0, trade_id=7)


def test_a_block_of_orders_that_are_not_durable_or_another_account_s_is_found(scene):
    clearing = scene.clearing = Blocks()
    clearing.form([("acct-1", "nobody", "0.1")])
    with pytest.raises(Violation, match="without an intent"):
        scene.commit(clearing)
    scene = Scene()
    clearing = scene.clearing = Blocks()
    clearing.form([("acct-2", scene.ids[0], "0.1")])
    with pytest.raises(Violation, match="of another account"):
        scene.commit(clearing)


def test_a_state_that_its_facts_do_not_make_is_found(scene):
    first, _ = scene.clearing.batch
    with pytest.raises(Violation, match="differs from that of who decided"):
        scene.store.commit([replace(first, state=replace(first.state, next_block=9))])
