"""What is durable of an account, as its rows are followed: never ahead of the journal, and its actor's own object where it can be."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from actors.core.enums import LiquidationMode
from actors.core.facts import AccountOpened, BalanceAdjusted, FillApplied, OrderEnded
from actors.core.messages import AdjustBalance, PlaceOrder
from actors.core.units import AccountId
from actors.limits.model import RiskLimits
from actors.persistence.redis.states import DurableStates
from actors.persistence.tail import Decided
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, WIDE, D, account, fill_of, market

ID = AccountId("acct-1")
OPENED = (AccountOpened(LiquidationMode.ADL_30, D("0.005")), BalanceAdjusted(D(1000), "DEPOSIT"))


def row(sequence, facts):
    return Decided(sequence + 10, ID, sequence, 5, "test", tuple(facts))


@pytest.fixture
def life():
    """An account's states, and the rows between them: a deposit, an order, its fill, a deposit."""
    states, rows = [replace(account("1000"), sequence=4)], []

    def told(message):
        made = decide(states[-1], message, market())
        states.append(made.state)
        rows.append(row(made.state.sequence, made.facts))

    told(AdjustBalance(D(5), "DEPOSIT"))
    told(PlaceOrder(symbol=ETH, side=BUY, quantity=D(1), leverage=D(10)))
    told(fill_of(states[-1].orders[-1], fee="0.5"))
    told(AdjustBalance(D(5), "DEPOSIT"))
    assert [r.sequence for r in rows] == [5, 6, 7, 8]
    return states, rows


def begun(states, live=None):
    found = DurableStates(lambda _id: live[0] if live else None)
    found.begin(states)
    return found


def nothing(row):
    return [None] * (len(row.facts) + 1)


def test_where_the_actor_is_at_the_row_its_own_state_is_the_durable_one(life):
    states, rows = life
    live = [states[1]]
    durable = begun(states[:1], live)
    assert durable.follow(rows[0]) == nothing(rows[0]), "no event needs what was between"
    assert durable.known[ID] is states[1]


def test_of_a_fill_the_states_between_its_facts_are_told_and_the_actors_own_is_kept(life):
    states, rows = life
    live = [states[3]]
    durable = begun(states[2:3], live)
    steps = durable.follow(rows[2])
    assert isinstance(rows[2].facts[0], FillApplied)
    assert steps[0] is states[2]
    assert steps[1].position(ETH).quantity == 1
    assert len(steps) == len(rows[2].facts) + 1
    assert durable.known[ID] is states[3]


def test_where_the_actor_is_ahead_or_gone_rows_are_folded_as_it_did(life):
    states, rows = life
    for live in (None, [states[-1]]):
        durable = begun(states[:1], live)
        for number, one in enumerate(rows[:3]):
            steps = durable.follow(one)
            assert None not in steps
            assert durable.known[ID] == states[number + 1]
            assert durable.known[ID].sequence == one.sequence


def test_what_was_known_before_it_was_read_changes_nothing(life):
    states, rows = life
    durable = begun(states[2:3])
    for one in rows[:2]:
        assert durable.follow(one) == nothing(one)
        assert durable.known[ID] is states[2]


def test_what_does_not_lead_on_is_forgotten_until_the_actor_is_there(life):
    states, rows = life
    live = [None]
    durable = begun(states[:1], live)
    assert durable.follow(rows[1]) == nothing(rows[1])
    assert ID not in durable.known
    live[0] = states[-1]
    assert durable.follow(rows[2]) == nothing(rows[2])
    assert ID not in durable.known, "the actor is ahead"
    assert durable.follow(rows[3]) == nothing(rows[3])
    assert durable.known[ID] is states[-1]
    # A fill that does not follow: the states between are not known, and the actor's own is.
    live[0] = states[3]
    durable = begun(states[:1], live)
    assert durable.follow(rows[2]) == nothing(rows[2])
    assert durable.known[ID] is states[3]


def test_facts_that_cannot_be_folded_are_not_followed(life):
    states, _ = life
    corrupt = row(5, (OrderEnded("nobody's", "FILLED", 0, ""), *life[1][2].facts))
    durable = begun(states[:1])
    assert durable.follow(corrupt) == nothing(corrupt)
    assert ID not in durable.known
    live = [replace(states[1], sequence=5)]
    durable = begun(states[:1], live)
    assert durable.follow(corrupt) == nothing(corrupt)
    assert durable.known[ID] is live[0]


def test_a_new_account_begins_with_the_limits_that_its_actor_has_below_it():
    first = row(0, OPENED)
    durable = begun([])
    assert durable.follow(first)[-1].balance == 1000
    assert durable.known[ID].limits == RiskLimits()
    later = [replace(account("1000", limits=WIDE), sequence=3)]
    durable = begun([], later)
    durable.follow(first)
    assert (durable.known[ID].limits, durable.known[ID].base_limits) == (WIDE, WIDE)
    assert durable.known[ID].sequence == 0
