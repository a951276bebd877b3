"""Each invariant of a simulated day is seen to fail: on a day whose truth was tampered with.

Covers: actors/assembly/simulation/checks.py, actors/assembly/simulation/store.py
Covers: actors/assembly/simulation/violation.py, actors/assembly/simulation/wire.py
"""

from __future__ import annotations

from decimal import Decimal as D
from random import Random

import pytest
from msgspec.structs import replace

from actors.assembly.simulation.checks import LEAKED, check_slots
from actors.assembly.simulation.store import STALE_MS, SimulatedStore
from actors.assembly.simulation.violation import Violation
from actors.assembly.simulation.world import World
from actors.clearing.book import Waiting, group_of
from actors.clearing.effects import Moment
from actors.clearing.forming import formed
from actors.clearing.state import ClearingState
from actors.core.durability import Persist
from actors.core.enums import OrderStatus, Phase
from actors.core.errors import NotDurable
from actors.core.facts import OrderEnded
from actors.core.order_ids import FIXED
from actors.gateway.orders import Request
from actors.subaccount.state import AccountState
from tests.clearing.world import ETH, WALL_MS, new_risk, order


@pytest.fixture(scope="module")
def quiet():
    """A day at rest; each test puts back what it changes."""
    world = World(3, faults=False)
    for _ in range(6):
        world.second()
    world.calm()
    world.check_quiet()
    assert world.store.trades
    return world


def holder(world):
    return next(i for i, s in world.store.durable.items() if s.positions)


def test_a_trade_that_is_not_booked_is_found(quiet, monkeypatch):
    monkeypatch.setattr(quiet.store, "trades", dict(list(quiet.store.trades.items())[1:]))
    with pytest.raises(Violation, match="a trade of the exchange is not booked"):
        quiet.check_quiet()


def test_a_position_that_the_master_does_not_have_is_found(quiet, monkeypatch):
    id_ = holder(quiet)
    symbol = quiet.store.durable[id_].positions[0].symbol
    held = quiet.exchange.positions[symbol]
    monkeypatch.setattr(held, "amount", held.amount + 1)
    with pytest.raises(Violation, match=f"{symbol}: the books differ"):
        quiet.check_quiet()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"balance": D(1)}, "differs from the store"),
        ({"positions": (), "balance": D(-1)}, "a loss beyond the balance is bad debt"),
        ({"positions": (), "phase": Phase.STUCK}, "is STUCK"),
    ],
)
def test_an_account_that_is_not_as_it_must_be_is_found(quiet, changes, text, monkeypatch):
    id_ = holder(quiet)
    actor, state = quiet.accounts[id_].cell.actor, quiet.store.durable[id_]
    monkeypatch.setattr(actor, "state", replace(actor.state, **changes))
    if "positions" in changes:
        monkeypatch.setitem(quiet.store.durable, id_, replace(state, **changes))
    with pytest.raises(Violation, match=text):
        quiet.check_quiet()


def test_a_balance_that_its_facts_do_not_explain_is_found_after_the_turn(quiet, monkeypatch):
    cell = quiet.accounts[holder(quiet)].cell
    monkeypatch.setattr(cell.actor, "state", replace(cell.actor.state, balance=D(1)))
    with pytest.raises(Violation):
        quiet.dispatcher.after_turn(cell)


def decision(world, **changes):
    """A decision of nothing, by an account that is right in all else."""
    state = world.store.durable["acct-0"]
    made = Persist(
        stream="acct-0", previous_sequence=state.sequence, facts=(), wall_ms=0,
        state=replace(state, sequence=state.sequence + 1),
    )  # fmt: skip
    return replace(made, **changes)


def test_the_store_refuses_a_decision_after_one_that_it_does_not_have(quiet):
    sequence = quiet.store.durable["acct-0"].sequence
    [refusal] = quiet.store.commit([decision(quiet, previous_sequence=sequence + 1)])
    assert isinstance(refusal, NotDurable)
    assert quiet.store.durable["acct-0"].sequence == sequence


def test_the_store_finds_an_intent_that_comes_twice_and_a_state_that_its_facts_do_not_make(quiet):
    intent = next(iter(quiet.store.intents.values()))
    with pytest.raises(Violation, match="an intent twice"):
        quiet.store._note(intent.account_id, intent)
    [state] = quiet.store.load(["acct-0"])
    other = replace(state, balance=D(5), sequence=state.sequence + 1)
    with pytest.raises(Violation, match="differs from that of who decided"):
        quiet.store.commit([decision(quiet, state=other)])
    quiet.store.durable["acct-0"] = other
    with pytest.raises(Violation, match="what is loaded differs"):
        quiet.store.load(["acct-0"])
    quiet.store.durable["acct-0"] = state


def test_the_wire_finds_an_order_that_is_not_durable_and_a_cancel_of_what_is_not_open(quiet):
    order = Request(kind="place", symbol="ETHUSDT", client_order_id="bh-none", timestamp_ms=0)
    with pytest.raises(Violation, match="sent before it was durable"):
        quiet.wire.request(order)
    with pytest.raises(Violation, match="cancelled as an orphan"):
        quiet.wire.request(replace(order, kind="cancel"))


def store_with(*intents):
    store = SimulatedStore([], Random(1), faults=False)
    for intent in intents:
        store._note(intent.account_id, intent)
    return store


def block(*intents, later_ms=0):
    at = Moment(0, WALL_MS + later_ms)
    waiting = [Waiting(one, WALL_MS, number, WALL_MS) for number, one in enumerate(intents)]
    return formed(ClearingState(symbol=ETH), group_of(intents[0]), waiting, FIXED, at)


def test_a_block_of_two_classes_is_found():
    members = order("a"), new_risk("b")
    with pytest.raises(Violation, match="another symbol, side or class"):
        store_with(*members)._note("clearing:ETHUSDT", block(*members))


def test_a_stale_member_is_found_unless_it_was_decided_again():
    members = order("a"), order("b")
    with pytest.raises(Violation, match="a member that is stale"):
        store_with(*members)._note("clearing:ETHUSDT", block(*members, later_ms=STALE_MS + 1))
    store_with(*members)._note("clearing:ETHUSDT", block(*members, later_ms=STALE_MS))
    store = store_with(*members)
    for one in members:
        store._note(one.account_id, OrderEnded(one.client_order_id, OrderStatus.NEVER_SENT, 0, ""))
    store._note("clearing:ETHUSDT", block(*members, later_ms=STALE_MS + 1))


@pytest.mark.parametrize("counts", [{"refusals": 1}, {"unsent": 1}])
def test_an_order_that_never_went_out_counts_for_nothing(counts):
    one = order("a")
    store, before = store_with(one), AccountState(account_id=one.account_id)
    ended = OrderEnded(one.client_order_id, OrderStatus.NEVER_SENT, 0, "")
    with pytest.raises(Violation, match="counts as refused"):
        store._check_counted(before, replace(before, **counts), [ended])
    store.sent.add(one.client_order_id)
    store._check_counted(before, replace(before, **counts), [ended])


def test_a_slot_that_nobody_uses_is_found(quiet):
    slots = quiet.actors["gateway"].cell.actor._core.budget.slots
    assert check_slots(quiet, 2) == 0
    slot = slots.grant(group_of(order("a")), 0)
    assert [check_slots(quiet, idle) for idle in range(LEAKED - 1)] == [1, 2]
    with pytest.raises(Violation, match="1 slots are held, and 0 blocks"):
        check_slots(quiet, LEAKED - 1)
    slots.give_back(slot)
