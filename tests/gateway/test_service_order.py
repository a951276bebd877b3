"""Who goes first is one sort key: class, then shortfall and age, and new risk in turns."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.clearing_messages import Grant, Group, Want
from actors.core.enums import OrderClass, OrderType, Purpose
from actors.core.order_messages import Submit
from actors.core.units import Symbol
from actors.gateway.messages import Answered, Outcome
from actors.gateway.orders import Place, Request, ToClearing, Tracked
from actors.gateway.send_queue import SendQueue
from actors.gateway.service_order import Turns, service_key
from tests.factories import BUY
from tests.gateway.test_protocol import T0, core_of
from tests.gateway.test_slots import USUAL

LIQUIDATION, REDUCING, NEW_RISK = OrderClass


def order_of(order_class, account_id="a1", number=1, **changes):
    return replace(
        USUAL, account_id=account_id, client_order_id=f"bh-x-{number}", reduce_only=order_class is not NEW_RISK,
        purpose=Purpose.ADL if order_class is LIQUIDATION else Purpose.USER, **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("purpose", "reduce_only", "kind", "order_class"),
    [
        (Purpose.USER, False, OrderType.MARKET, NEW_RISK),
        (Purpose.USER, True, OrderType.LIMIT, REDUCING),
        (Purpose.USER, True, OrderType.MARKET, REDUCING),
        (Purpose.ADL, True, OrderType.LIMIT, LIQUIDATION),
        (Purpose.LIQUIDATION, False, OrderType.MARKET, LIQUIDATION),
    ],
)
def test_the_class_of_an_order_is_what_it_does(purpose, reduce_only, kind, order_class):
    assert (
        replace(USUAL, purpose=purpose, reduce_only=reduce_only, order_type=kind).order_class is order_class
    )


def test_a_class_goes_before_the_next_then_shortfall_then_age_then_arrival():
    small, large = D(1), D(2)
    in_order = [
        service_key(LIQUIDATION, small, Place(9, 9), had_turn=True),
        service_key(LIQUIDATION, large, Place(5, 5)),
        service_key(LIQUIDATION, small, Place(1, 3)),
        service_key(LIQUIDATION, small, Place(1, 4)),
        service_key(LIQUIDATION, small, Place(2, 2)),
        service_key(REDUCING, large, Place(0, 6)),
        service_key(REDUCING, small, Place(0, 1)),
        service_key(NEW_RISK, small, Place(9, 9), turn=7, had_turn=True),
        service_key(NEW_RISK, small, Place(2, 7), turn=1),
        service_key(NEW_RISK, large, Place(3, 8), turn=1),
        service_key(NEW_RISK, large, Place(0, 10), turn=2),
    ]
    assert sorted(in_order) == in_order


def test_who_has_a_hundred_orders_has_one_turn_in_each_round():
    turns = Turns()
    for n in range(100):
        turns.add("crowd", Place(0, n), f"c{n}")
    for n in range(3):
        turns.add(f"a{n}", Place(5, 100 + n), f"a{n}")
    turns.add("a0", Place(6, 200), "a0-second")
    went = []
    for _ in range(7):
        went.append(turns.first()[2])
        turns.pop(served=True)
    assert went == ["c0", "a0", "a1", "a2", "c1", "a0-second", "c2"]
    # Who was served in this round, and comes back, waits for the next; who was not goes now.
    turns.add("crowd", Place(0, 300), "early")
    turns.add("a1", Place(9, 400), "a1-second")
    assert [turns.first()[2], turns.turn_of("crowd") - turns.turn_of("a1")] == ["a1-second", 1]


def test_all_who_were_served_in_a_round_wait_for_the_next_one():
    turns = Turns()
    for number, who in enumerate("abc"):
        turns.add(who, Place(5, number), who)
    turns.pop(served=True)
    turns.pop(served=True)
    turns.add("a", Place(0, 10), "a again")
    turns.add("b", Place(0, 11), "b again")
    went = []
    while (first := turns.first()) is not None:
        went.append(first[2])
        turns.pop(served=True)
    assert went == ["c", "a again", "b again"]


def test_what_leaves_unserved_used_no_turn():
    turns = Turns()
    turns.add("a", Place(0, 1), "stale")
    turns.add("b", Place(1, 2), "b")
    turns.pop(served=False)
    turns.add("a", Place(0, 3), "instead")
    assert turns.first()[2] == "instead"


KINDS = st.sampled_from(OrderClass)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("order"), KINDS, st.integers(0, 3), st.integers(0, 9), st.integers(0, 3), st.booleans()
        ),
        st.tuples(st.just("want"), KINDS, st.integers(0, 3), st.integers(0, 9), st.integers(0, 3)),
        st.tuples(st.just("serve"), st.booleans()),
        st.tuples(st.just("remove"), st.integers(0, 99)),
    ),
    max_size=60,
)


@given(STEPS)
def test_the_order_of_service_is_the_sort_key_whatever_came_and_went(steps):
    queue, tracked, served = SendQueue(), {}, []
    for number, (do, *how) in enumerate(steps):
        waiting = queue.first_of_all(1_000)
        if do == "order":
            order_class, who, since, shortfall, had_turn = how
            order = order_of(order_class, f"a{who}", number, shortfall=D(shortfall))
            one = Tracked(order=order, place=queue.new_place(since), had_turn=had_turn)
            tracked[order.client_order_id] = one
            queue.add(one)
        elif do == "want":
            order_class, who, since, shortfall = how
            group = Group(Symbol(f"S{who}"), BUY, order_class)
            queue.want(Want(group=group, orders=since % 3, shortfall=D(shortfall)), since)
        elif do == "remove":
            orders = [w.what for w in waiting if not isinstance(w.what, Group)]
            if orders:
                queue.remove(tracked[orders[how[0] % len(orders)]])
                assert len(queue) == len(waiting) - 1
        elif waiting:
            order_class = OrderClass(list(OrderClass)[waiting[0].key.rank])
            assert queue.first(order_class) == waiting[0]
            queue.pop(order_class, served=how[0])
            served.append(waiting[0].key)
            assert [w.what for w in queue.first_of_all(1_000)] == [
                w.what for w in waiting[1:]
            ] or order_class is NEW_RISK
        keys = [w.key for w in queue.first_of_all(1_000)]
        assert keys == sorted(keys)
        assert [w.key for w in queue.first_of_all(3)] == keys[:3]
        ages = {
            c: min(k.since_ms for k in keys if k.rank == rank)
            for rank, c in enumerate(OrderClass)
            if any(k.rank == rank for k in keys)
        }
        assert queue.longest_since() == ages
        assert len(set(keys)) == len(keys) == len(queue)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_nobody_has_two_turns_while_another_waits_for_the_first(arrivals):
    turns, went = Turns(), []
    for number, who in enumerate(arrivals):
        turns.add(f"a{who}", Place(0, number), number)
    while (first := turns.first()) is not None:
        went.append((first[0], arrivals[first[2]]))
        turns.pop(served=True)
    assert len(set(went)) == len(went), "one turn each in a round"
    assert went == sorted(went, key=lambda turn: turn[0]), "round by round"
    assert len(turns) == 0


ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from(["order", "want", "answer"]), st.sampled_from("ABC"), KINDS, st.integers(0, 3),
        st.integers(0, 2_500),
    ),
    max_size=50,
)  # fmt: skip


@given(ARRIVALS, st.integers(1, 4))
def test_across_symbols_nothing_goes_before_what_sorts_first(arrivals, per_10s):
    """Orders and groups of three symbols over a master that allows a few: whoever is served is the first of all."""
    core, now, waits, sent = core_of(per_10s, 1_000), T0, {}, []

    def served(effects):
        for effect in effects:
            if isinstance(effect, Request):
                key = waits.pop(effect.client_order_id)
                sent.append(effect.order)
            elif isinstance(effect, ToClearing) and isinstance(effect.message, Grant):
                key = waits.pop(effect.message.group)
                core.budget.slots.give_back(effect.message.slot)
                core.budget.take(now, LIQUIDATION)
                core.budget.answered(now)
            else:
                continue
            assert all(key <= other for other in waits.values())

    for number, (do, symbol, order_class, shortfall, wait_ms) in enumerate(arrivals):
        now += wait_ms
        served(core.check_orders(now))
        # New risk is compared by its class alone here: turns have their own tests.
        rank = list(OrderClass).index(order_class)
        key = (rank,) if order_class is NEW_RISK else (rank, -shortfall, now, number)
        if do == "order":
            order = order_of(
                order_class, f"a{number}", number, shortfall=D(shortfall), decided_ms=now,
                symbol=Symbol(symbol), order_type=OrderType.LIMIT, price=D(2_000),
            )  # fmt: skip
            waits[order.client_order_id] = key
            served(core.submit(Submit((order,), ()), now))
        elif do == "want":
            group = Group(Symbol(symbol), BUY, order_class)
            known = waits.get(group)
            since = now if known is None or order_class is NEW_RISK else known[2]
            waits[group] = (
                key if known is None or order_class is NEW_RISK else (rank, -shortfall, since, known[3])
            )
            said = Want(group=group, orders=1, shortfall=D(shortfall), since_ms=since)
            served(core.want(said, now))
        elif sent:
            order = sent.pop(0)
            refused = Answered(
                request="place", client_order_id=order.client_order_id, outcome=Outcome.REFUSED
            )
            served(core.answered(refused, now))


def test_what_could_not_be_sent_stands_where_it_stood():
    core = core_of(1, 1_000)
    first, second = (order_of(NEW_RISK, f"a{n}", n, decided_ms=T0) for n in range(2))
    resting = [replace(o, order_type=OrderType.LIMIT, price=D(2_000)) for o in (first, second)]
    core.submit(Submit(tuple(resting), ()), T0)
    unsent = Answered(request="place", client_order_id=first.client_order_id, outcome=Outcome.MISTIMED)
    core.answered(unsent, T0 + 1)
    effects = [e for ms in (10_001, 20_002) for e in core.check_orders(T0 + ms)]
    assert [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == "place"] == [
        first.client_order_id
    ]
