"""Hashes of states: equal for equal states, another one for any that differs; one of a fleet does not depend on order.

Covers: actors/subaccount/state_codec.py
"""

from __future__ import annotations

import hashlib
import random
from decimal import Decimal as D

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import ConditionalKind, OrderType, Phase
from actors.core.messages import AdjustBalance, CloseOut, PlaceConditional, PlaceOrder, SetLimits, Wake
from actors.core.units import AccountId
from actors.subaccount import state_codec
from actors.subaccount.fleet_hash import fleet_hash, fleet_hash_of
from actors.subaccount.state_codec import state_hash
from tests.factories import BUY, ETH, SELL, account, market, position
from tests.persistence.authors import Author


def as_defined(state):
    """The hash by its definition: the JSON values of what is kept, without those that are empty, zero or false."""

    def bare(value):
        if isinstance(value, dict):
            inner = {name: bare(v) for name, v in value.items()}
            return {name: v for name, v in inner.items() if v not in (None, "", False, 0, "0", [], {})}
        return [bare(v) for v in value] if isinstance(value, list) else value

    kept = msgspec.json.decode(state_codec.encode(state))
    return hashlib.blake2b(msgspec.json.encode(bare(kept), order="sorted"), digest_size=16).hexdigest()


def stop_order(price):
    return PlaceConditional(
        kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=SELL, quantity=D("0.1"), trigger_price=D(price)
    )


STEPS = st.lists(
    st.one_of(
        st.builds(lambda n: ("trade", BUY, D(n) / 100), st.integers(1, 50)),
        st.builds(lambda n: ("trade", SELL, D(n) / 100), st.integers(1, 50)),
        st.builds(AdjustBalance, st.decimals(1, 100, places=2), st.just("DEPOSIT")),
        st.builds(stop_order, st.integers(1_500, 1_900)),
        st.just(SetLimits((("max_daily_loss", "50"), ("max_orders_per_minute", "9")))),
        st.just(Wake(ETH, "t")),
        st.just(CloseOut("t")),
        st.just(PlaceOrder(symbol=ETH, side=BUY, quantity=D(1), order_type=OrderType.LIMIT, price=D(1900))),
    ),
    max_size=8,
)


@given(STEPS)
def test_a_hash_is_what_its_definition_says_and_is_the_same_after_the_state_was_kept_and_read(steps):
    author = Author(account())
    for step in steps:
        author.trade(step[1], step[2]) if isinstance(step, tuple) else author.decide(step, market())
    state = author.state
    assert state_hash(state) == as_defined(state)
    again = state_codec.decode(state_codec.VERSION, state_codec.encode(state))
    assert state_hash(again) == state_hash(state)


def test_each_part_of_a_state_counts():
    author = Author(account(positions=[position()]))
    author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D(1), order_type=OrderType.LIMIT, price=D(1900)))
    state = author.state
    others = [
        replace(state, balance=D("1000.01")),
        replace(state, phase=Phase.WARNING),
        replace(state, sequence=state.sequence + 1),
        replace(state, orders=()),
        replace(state, positions=[replace(state.positions[0], cost=D(2001))]),
        replace(state, risk=replace(state.risk, losses=1)),
        replace(state, overrides=(("max_positions", "3"),)),
    ]
    assert len({state_hash(s) for s in [state, *others]}) == 1 + len(others)


def test_a_fleet_s_hash_counts_every_account_once_and_no_order():
    fleet = [replace(account(), account_id=AccountId(f"a-{n}"), balance=D(n)) for n in range(20)]
    shuffled = random.Random(1).sample(fleet, len(fleet))
    found = fleet_hash(fleet)
    assert found == fleet_hash(shuffled)
    assert found == fleet_hash_of((s.account_id, state_hash(s)) for s in shuffled)
    exchanged = [
        replace(fleet[0], account_id=AccountId("a-1")),
        replace(fleet[1], account_id=AccountId("a-0")),
    ]
    others = [fleet[1:], [*fleet, fleet[0]], [*exchanged, *fleet[2:]], []]
    assert len({found, *map(fleet_hash, others)}) == 1 + len(others)
