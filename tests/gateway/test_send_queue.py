"""Who waits for the exchange's limits goes in the order of waiting, and nothing stale is sent.

Covers: actors/gateway/send_policy.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.constants import ORDER_MAX_AGE_MS
from actors.core.enums import OrderClass, OrderStatus, OrderType, Purpose
from actors.core.facts import CancelIntended
from actors.core.messages import PlaceOrder
from actors.core.order_ids import FIXED
from actors.core.order_messages import Submit
from actors.gateway.budget import ANSWER_MAX_MS, OrderBudget
from actors.gateway.fleets import Fleets
from actors.gateway.messages import Answered, Outcome
from actors.gateway.orders import IN_FLIGHT_MAX, Deliver, Place, Request
from actors.gateway.protocol import GatewayCore
from actors.gateway.send_queue import PLACE_KEPT_MS, STALE_MS, TURN_KEPT_MS, SendQueue
from actors.gateway.service_order import service_key
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, account, market
from tests.gateway.test_protocol import RULES, T0, core_of


@pytest.fixture(scope="module")
def order():
    [intended] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    return replace(intended, decided_ms=T0)


def many(order, count, **changes):
    return [replace(order, account_id=f"a{n}", client_order_id=f"bh-x-{n}", **changes) for n in range(count)]


def sent(effects):
    return [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == "place"]


def closed(effects):
    return {e.account_id: e.message for e in effects if isinstance(e, Deliver)}


def submit(core, orders, now_ms):
    return core.submit(Submit(tuple(orders), ()), now_ms)


def test_what_waited_two_seconds_goes_back_and_its_successor_keeps_the_place(order):
    core = core_of(1, 1_000)
    orders = many(order, 3, purpose=Purpose.LIQUIDATION, reduce_only=True)
    assert sent(submit(core, orders, T0)) == ["bh-x-0"]
    core.budget.answered(T0)
    # Nothing goes back while nothing could be sent: it would only be stale once more.
    assert core.check_orders(T0 + 9_999) == []
    effects = core.check_orders(T0 + 10_000)
    assert sent(effects) == []
    [(account_id, message)] = closed(effects).items()
    assert (account_id, message.status, message.waited, message.again) == (
        "a1", OrderStatus.NEVER_SENT, True, True,
    )  # fmt: skip
    assert "waited 10.0 s" in message.reason
    # Its turn is kept: nobody from behind is sent meanwhile.
    assert core.check_orders(T0 + 10_001) == []
    anew = replace(orders[1], client_order_id="bh-x-anew", decided_ms=T0 + 10_010)
    late = replace(orders[1], account_id="a9", client_order_id="bh-x-late", decided_ms=T0 + 10_010)
    effects = submit(core, [late, anew], T0 + 10_010)
    assert sent(effects) == ["bh-x-anew"]


def test_a_limit_order_says_itself_what_it_accepts_and_is_sent_as_it_is(order):
    core = core_of(1, 1_000)
    resting = many(order, 2, order_type=OrderType.LIMIT, price=D(2_000))
    core.budget.take(T0, OrderClass.LIQUIDATION)
    core.budget.answered(T0)
    assert sent(submit(core, resting[:1], T0)) == []
    assert sent(core.check_orders(T0 + 10_000)) == ["bh-x-0"]


def test_new_risk_ends_when_it_waited_too_long_and_nobody_refused_it(order):
    core = core_of(1, 1_000)
    core.budget.pause(T0 + ORDER_MAX_AGE_MS + 1)
    submit(core, many(order, 1), T0)
    assert core.check_orders(T0 + ORDER_MAX_AGE_MS) == []
    [message] = closed(core.check_orders(T0 + ORDER_MAX_AGE_MS + 1)).values()
    assert (message.waited, message.again) == (True, False)
    assert "too old to be sent" in message.reason


def test_what_reduces_never_ends_by_waiting(order):
    core = core_of(1, 1_000)
    core.budget.pause(T0 + 10 * ORDER_MAX_AGE_MS)
    submit(core, many(order, 1, purpose=Purpose.ADL, reduce_only=True), T0)
    assert core.check_orders(T0 + 10 * ORDER_MAX_AGE_MS - 1) == []
    [message] = closed(core.check_orders(T0 + 10 * ORDER_MAX_AGE_MS)).values()
    assert message.again


def test_how_long_it_took_to_be_durable_is_waiting_too(order):
    core = core_of()
    effects = submit(core, many(order, 1), T0 + STALE_MS)
    assert sent(effects) == []
    assert closed(effects)["a0"].again
    # A wall clock that went back makes nothing older.
    core = core_of()
    core.wall_ahead_ms = -3_600_000
    assert sent(submit(core, many(order, 1), T0 + STALE_MS)) == ["bh-x-0"]


def test_a_place_is_kept_for_a_while_and_for_the_same_cause_only(order):
    kept, waiting = Place(5, 1), SendQueue()
    waiting.reserve_place(order, kept, 100)
    assert waiting.reserved_place(replace(order, cause="another"), 100) is None
    assert waiting.reserved_place(replace(order, account_id="another"), 100) is None
    assert waiting.reserved_place(order, 100 + PLACE_KEPT_MS) == kept
    assert waiting.reserved_place(order, 101) is None
    waiting.reserve_place(order, kept, 100)
    assert waiting.reserved_place(order, 101 + PLACE_KEPT_MS) is None
    waiting.reserve_place(order, kept, 100)
    waiting.forget(101 + PLACE_KEPT_MS)
    assert waiting.reserved_place(order, 100) is None


def test_what_is_decided_anew_is_sent_however_long_it_took_to_be_durable(order):
    """Postgres takes four seconds for each commit: a decision must not be stale for ever."""
    core = core_of()
    first, again = many(order, 1), replace(order, account_id="a0", client_order_id="bh-x-again")
    assert closed(submit(core, first, T0 + 4_000))["a0"].again
    late = replace(again, decided_ms=T0 + 4_000)
    assert sent(submit(core, [late], T0 + 8_000)) == ["bh-x-again"]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=60))
def test_all_liquidations_are_sent_in_the_end_and_each_fresh(arrivals):
    """Accounts decide anew as soon as they are told; whatever arrives when, none is lost or sent stale."""
    [first] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    core, now_ms, number = core_of(5, 60), T0, 0
    owed, went = set(), []
    decided = {}

    def place(account_id):
        nonlocal number
        number += 1
        new = replace(
            first, account_id=account_id, client_order_id=f"bh-x-{number}", decided_ms=now_ms,
            purpose=Purpose.LIQUIDATION, reduce_only=True,
        )  # fmt: skip
        decided[new.client_order_id] = now_ms
        return take(submit(core, [new], now_ms))

    def take(effects):
        for effect in effects:
            if isinstance(effect, Request) and effect.kind == "place":
                assert now_ms - decided[effect.client_order_id] < STALE_MS
                went.append(effect.order.account_id)
                core.budget.answered(now_ms)
            if isinstance(effect, Deliver):
                place(effect.account_id)

    for n, wait_ms in enumerate(arrivals):
        now_ms += wait_ms
        owed.add(f"a{n}")
        place(f"a{n}")
    while len(went) < len(owed) and now_ms < T0 + 600_000:
        now_ms += 100
        take(core.check_orders(now_ms))
    assert sorted(went) == sorted(owed)
    assert went == sorted(went, key=lambda a: int(a[1:]))


def test_connections_that_are_cut_hold_sending_back_longer_each_time(order):
    core = core_of()
    resting = many(order, 7, order_type=OrderType.LIMIT, price=D(2_000))
    now_ms, pauses = T0, []
    for one in resting:
        submit(core, [one], now_ms)
        cut = Answered(
            request="place", client_order_id=one.client_order_id, outcome=Outcome.UNKNOWN, cut_off=True, text="reset"
        )  # fmt: skip
        effects = core.answered(cut, now_ms)
        pauses.append(core.budget.paused_until_ms - now_ms)
        assert [e.kind for e in effects if isinstance(e, Request)] == ["query"]
        assert sent(effects) == []
        now_ms = core.budget.paused_until_ms
        core.check_orders(now_ms)
    assert pauses[:5] == [500, 1_000, 2_000, 4_000, 8_000]
    assert max(pauses) == 8_000


def test_a_life_that_ended_with_all_places_under_way_stops_nobody_for_ever(order):
    budget = OrderBudget(300, 1_200)
    for _ in range(IN_FLIGHT_MAX):
        assert budget.take(T0, OrderClass.LIQUIDATION)
    # They were taken, and the actor crashed before any was handed on: no answer will come.
    core = GatewayCore(budget, RULES, Fleets(FIXED))
    [late] = many(order, 1, order_type=OrderType.LIMIT, price=D(2_000), decided_ms=T0 + 50_000)
    assert sent(submit(core, [late], T0 + 50_000)) == []
    assert sent(core.check_orders(T0 + ANSWER_MAX_MS + 100)) == ["bh-x-0"]


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.MISTIMED, Outcome.THROTTLED])
def test_an_order_that_was_cancelled_under_way_and_never_got_there_is_not_sent_again(order, outcome):
    core = core_of()
    submit(core, [order], T0)
    cancel = CancelIntended(order.account_id, order.client_order_id, ETH, "")
    core.submit(Submit((), (cancel,)), T0 + 1)
    answer = Answered(
        request="place", client_order_id=order.client_order_id, outcome=outcome, retry_after_ms=10
    )
    effects = core.answered(answer, T0 + 2)
    [message] = closed(effects).values()
    assert (message.status, message.executed_quantity) == (OrderStatus.CANCELED, D(0))
    assert [s for ms in range(0, 10_000, 100) for s in sent(core.check_orders(T0 + ms))] == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["keep", "take", "ask"]), st.integers(0, 5), st.integers(0, 120)),
        max_size=60,
    )
)
def test_the_slots_of_those_that_are_decided_anew_are_those_kept_a_moment_ago(order, steps):
    waiting, now, kept = SendQueue(), 0, []
    mine = [replace(order, account_id=f"a{n}", cause=f"c{n}") for n in range(6)]
    for do, who, gap in steps:
        now += gap
        if do == "keep":
            place = waiting.new_place(now % 7)
            waiting.reserve_place(mine[who], place, now)
            kept.append((who, place, now))
        elif do == "take":
            found = waiting.reserved_place(mine[who], now)
            expected = next((k for k in kept if k[0] == who), None)
            assert found == (expected[1] if expected else None)
            kept = [k for k in kept if k is not expected]
        asked = Place(3, 10)
        fresh = [p for _, p, at in kept if now - at <= TURN_KEPT_MS]
        key = service_key(order.order_class, order.shortfall, asked)
        assert waiting.expected_before(key, now) == sum(p < asked for p in fresh)
