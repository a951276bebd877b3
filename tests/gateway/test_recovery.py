"""Many orders of an earlier life are looked up in pages, and none is called never sent that might be there."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import OrderStatus, OrderType, Purpose
from actors.core.messages import Fill, OrderAccepted, OrderClosed
from actors.core.order_ids import FIXED
from actors.core.order_messages import Recover
from actors.core.orders import WorkingOrder
from actors.core.records import Recovery
from actors.core.units import NANOS_PER_SECOND
from actors.gateway.actor import Gateway
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.gateway.messages import HistoryListed, Outcome, Surveyed
from actors.gateway.orders import FINAL_MARGIN_MS, Deliver, History, Request, Tracked
from actors.gateway.recovery import ANSWER_MAX_MS, BEFORE_MS, HANDFUL, LAG_MS, OLDEST_MS, RecoveringCore
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.supervision.gate import TradingGate
from actors.venues.paper.generator import Quote
from actors.venues.paper.in_process import InProcessExchange
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import OrderRequest
from tests.factories import BUY, ETH, INSTRUMENTS
from tests.gateway.test_protocol import RULES, T0, answered, report, trade
from tests.gateway.test_slots import USUAL
from tests.sink import Sink

LATE = T0 + RULES.recv_window_ms + RULES.future_tolerance_ms + FINAL_MARGIN_MS + LAG_MS
"""When the second history is asked for."""


def core_of():
    return RecoveringCore(OrderBudget(300, 1_200), RULES, Fleets(FIXED))


def orders_of(count, **changes):
    return [
        replace(
            USUAL, account_id=f"a{n}", client_order_id=f"bh-x-{n:03}", decided_ms=T0 - 1_000 + n, reduce_only=True,
            purpose=Purpose.LIQUIDATION, **changes,
        )
        for n in range(count)
    ]  # fmt: skip


def resumed(core, orders, open_ones=()):
    core.resume_orders([Tracked(order=o) for o in orders], T0)
    listed = tuple(report(o) for o in open_ones)
    return core.surveyed(Surveyed(asked_ms=T0, orders=listed, positions=None), T0)


def queried(effects):
    return [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == "query"]


def closed(effects):
    return {
        e.account_id: e.message
        for e in effects
        if isinstance(e, Deliver) and isinstance(e.message, OrderClosed)
    }


def history(core, reports=(), trades=(), asked_ms=T0):
    listed = HistoryListed(symbol=ETH, asked_ms=asked_ms, orders=tuple(reports), trades=tuple(trades))
    return core.history_listed(listed, asked_ms + 50)


def not_found(core, id_, now_ms=LATE):
    return core.answered(answered(replace(USUAL, client_order_id=id_), Outcome.NOT_FOUND, "query"), now_ms)


def test_a_handful_is_queried_one_by_one_and_more_by_one_question():
    few = core_of()
    assert queried(resumed(few, orders_of(HANDFUL))) == [o.client_order_id for o in orders_of(8)]
    many, orders = core_of(), orders_of(HANDFUL + 1)
    many.wall_ahead_ms, many.venue_ahead_ms = 0, 700
    effects = resumed(many, orders)
    assert effects == [History(ETH, orders[0].decided_ms + 700 - BEFORE_MS, T0)]
    assert queried(many.check_orders(T0 + 5_000)) == [], "they wait for its answer"


def test_what_is_listed_is_booked_from_the_pages():
    core, orders = core_of(), orders_of(40)
    resumed(core, orders, open_ones=orders[:1])
    reports = [replace(report(o, "FILLED", "1"), exchange_order_id=100 + n) for n, o in enumerate(orders)][1:]
    trades = [replace(trade(o, trade_id=n), exchange_order_id=100 + n) for n, o in enumerate(orders)][1:]
    effects = history(core, reports, trades)
    assert not any(isinstance(e, Request) for e in effects)
    for one in orders[1:]:
        told = [type(e.message) for e in effects if isinstance(e, Deliver) and e.account_id == one.account_id]
        assert told == [OrderAccepted, Fill, OrderClosed]
    assert list(core.tracked) == [orders[0].client_order_id]


def test_trades_that_the_pages_lack_are_asked_for_by_order():
    core, orders = core_of(), orders_of(HANDFUL + 2)
    resumed(core, orders)
    effects = history(core, [report(o, "FILLED", "1") for o in orders[:1]], [])
    assert closed(effects) == {}
    asked = [e for e in core.check_orders(T0 + 2_000) if isinstance(e, Request)]
    assert [(e.kind, e.client_order_id) for e in asked] == [("trades", "bh-x-000")]


def until_again(core, answers=lambda _id, _now: [], effects=()):
    """The time until the second history is asked for; what is queried meanwhile."""
    asked, again = [], []
    for now in range(T0 + 100, LATE + 100, 100):
        effects = [*effects, *core.check_orders(now)]
        again += [(now, e) for e in effects if isinstance(e, History)]
        while ids := queried(effects):
            asked += ids
            effects = [e for id_ in ids for e in answers(id_, now)]
        effects = []
    return asked, again


def test_what_the_history_lacks_is_queried_and_a_second_history_ends_what_is_left():
    core, orders = core_of(), orders_of(100)
    orders[50] = replace(orders[50], shortfall=D(9))
    resumed(core, orders)
    assert history(core) == [], "no answer would be final yet"
    asked, again = until_again(core)
    assert asked[:2] == ["bh-x-050", "bh-x-000"], "who would have been sent first before others"
    assert again == [(LATE, History(ETH, orders[0].decided_ms - BEFORE_MS, LATE))]
    ends = closed(history(core, asked_ms=LATE))
    assert {(m.status, m.waited) for m in ends.values()} == {(OrderStatus.NEVER_SENT, False)}
    assert (len(ends), core.tracked) == (100, {})


@pytest.mark.parametrize("seen_by", ["query", "stream", "history"])
def test_a_history_that_lags_behind_ends_nothing(seen_by):
    """One order that the first history lacked is there, so others may be too."""
    core, orders = core_of(), orders_of(30)
    resumed(core, orders)
    history(core)
    there = report(orders[7])
    if seen_by == "query":
        core.answered(answered(orders[7], Outcome.OK, "query", report=there), T0 + 1_000)
    if seen_by == "stream":
        core.reported(there, T0 + 1_000)
    _, again = until_again(core)
    assert bool(again) == (seen_by == "history")
    assert closed(history(core, [there], asked_ms=LATE)) == {}
    assert len(core.tracked) == 30
    for one in orders[:7] + orders[8:]:
        core.answered(answered(one, Outcome.NOT_FOUND, "query"), LATE + 200)
    assert list(core.tracked) == [orders[7].client_order_id], "all others were queried"


def test_nothing_ends_by_a_history_that_was_asked_for_too_early():
    core, orders = core_of(), orders_of(30)
    resumed(core, orders)
    history(core)
    assert history(core) == [], "it came twice"
    assert closed(history(core, asked_ms=LATE - 1)) == {}
    assert len(core.tracked) == 30


def test_a_handful_that_is_left_is_not_looked_up_again():
    core, orders = core_of(), orders_of(30)
    resumed(core, orders)
    first = history(core)

    def answers(id_, now):
        return not_found(core, id_, now) if id_ != orders[3].client_order_id else []

    asked, again = until_again(core, answers, first)
    assert again == []
    assert set(asked) | {"bh-x-003"} == {o.client_order_id for o in orders}


@pytest.mark.parametrize("said", [None, "fails"])
def test_without_a_history_in_time_all_are_queried_one_by_one(said):
    core, orders, asked = core_of(), orders_of(30), []
    resumed(core, orders)
    effects = []
    if said == "fails":
        failed = HistoryListed(symbol=ETH, asked_ms=T0, orders=None, trades=None)
        effects = core.history_listed(failed, T0 + 10)
        assert queried(effects)
    for now in range(T0, T0 + 2 * ANSWER_MAX_MS, 500):
        effects += core.check_orders(now)
        while ids := queried(effects):
            assert said == "fails" or now >= T0 + ANSWER_MAX_MS
            asked += ids
            effects = [e for id_ in ids for e in not_found(core, id_, now)]
        effects = []
    assert set(asked) == {o.client_order_id for o in orders}
    assert core.tracked == {}


def test_an_order_that_the_exchange_acknowledged_is_never_missing():
    core, orders = core_of(), orders_of(30)
    known = [Tracked(order=o, exchange_order_id=77 if n == 3 else None) for n, o in enumerate(orders)]
    core.resume_orders(known, T0)
    core.surveyed(Surveyed(asked_ms=T0, orders=(), positions=None), T0)
    history(core)
    until_again(core)
    history(core, asked_ms=LATE)
    assert list(core.tracked) == ["bh-x-003"], "it is queried until something is known of it"


def test_an_old_order_does_not_make_the_history_long():
    core, orders = core_of(), orders_of(30)
    orders[0] = replace(orders[0], decided_ms=T0 - OLDEST_MS)
    effects = resumed(core, orders)
    assert queried(effects) == ["bh-x-000"]
    assert [e.since_ms for e in effects if isinstance(e, History)] == [orders[1].decided_ms - BEFORE_MS]


def test_a_history_that_nobody_asked_for_changes_nothing():
    assert history(core_of()) == []


@given(
    st.lists(st.sampled_from(["filled", "never", "lagging"]), min_size=HANDFUL + 1, max_size=40),
    st.integers(0, LAG_MS), st.integers(1, 30),
)  # fmt: skip
def test_whatever_a_history_lacks_for_a_while_each_order_ends_as_it_did(fates, lag_ms, per_step):
    """``lagging``: the exchange has it, and its history shows it only that long after the restart."""
    core, orders = core_of(), orders_of(len(fates))
    number_of = {o.client_order_id: n for n, o in enumerate(orders)}
    ends, now = {}, T0

    def filled(number):
        one = replace(trade(orders[number], trade_id=number), exchange_order_id=number)
        return replace(report(orders[number], "FILLED", "1"), exchange_order_id=number), one

    def served(request):
        if isinstance(request, History):
            shown = [
                n for n, f in enumerate(fates) if f == "filled" or (f == "lagging" and now > T0 + lag_ms)
            ]
            found = [filled(n) for n in shown]
            reports, trades = tuple(r for r, _ in found), tuple(t for _, t in found)
            told = HistoryListed(symbol=ETH, asked_ms=request.asked_ms, orders=reports, trades=trades)
            return core.history_listed(told, now)
        number = number_of[request.client_order_id]
        if fates[number] == "never":
            return not_found(core, request.client_order_id, now)
        said, one = filled(number)
        return core.answered(
            answered(orders[number], Outcome.OK, "query", report=replace(said, trade=one)), now
        )

    waiting = resumed(core, orders)
    while core.tracked and now < T0 + 120_000:
        now += 100
        waiting += core.check_orders(now)
        ends.update(closed(waiting))
        requests = [e for e in waiting if isinstance(e, Request | History)]
        waiting = requests[per_step:] + [e for one in requests[:per_step] for e in served(one)]
    ends.update(closed(waiting))
    assert {a: (m.status, m.executed_quantity) for a, m in ends.items()} == {
        o.account_id: (OrderStatus.NEVER_SENT, D(0)) if f == "never" else (OrderStatus.FILLED, D(1))
        for o, f in zip(orders, fates, strict=True)
    }


class Counting(InProcessExchange):
    """The paper exchange in this process, and what it was asked."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def request(self, request):
        self.asked.append(request.kind)
        super().request(request)

    def history(self, symbol, since_ms, asked_ms):
        self.asked.append("history")
        super().history(symbol, since_ms, asked_ms)


def test_a_gateway_over_the_paper_exchange_learns_all_fates_from_two_histories():
    dispatcher = SeededDispatcher("t", VirtualClock())
    dispatcher.run_until(1_000 * NANOS_PER_SECOND)
    wire = Counting(Exchange({ETH: INSTRUMENTS[ETH]}, D(10) ** 9), dispatcher, 50)
    now_ms = wire.now_ms()
    wire.exchange.on_quote(Quote(ETH, D(2_000), D(500), D(2_001), D(500)), now_ms)
    orders = [replace(o, decided_ms=now_ms - 500, side=BUY, reduce_only=False) for o in orders_of(600)]
    for order in orders[:300]:
        wire.exchange.place(
            OrderRequest(
                symbol=ETH, side=BUY, type=OrderType.MARKET, quantity=order.quantity,
                client_order_id=order.client_order_id,
            ),
            now_ms - 400,
        )  # fmt: skip
    accounts = {o.account_id: Sink.start(o.account_id, dispatcher) for o in orders}
    gateway = Gateway.start(
        "gateway", dispatcher, wire, accounts, TradingGate(), Fleets(FIXED), OrderBudget.of(wire.rules), print
    )
    gateway.tell(Recover(Recovery(working=tuple(WorkingOrder(intent=o) for o in orders))))
    dispatcher.run_until(1_040 * NANOS_PER_SECOND)
    ends = [accounts[o.account_id].cell.actor.got[-1] for o in orders]
    assert {m.end.status for m in ends[:300]} == {OrderStatus.FILLED}
    assert {m.status for m in ends[300:]} == {OrderStatus.NEVER_SENT}
    filled = [type(m) for m in accounts["a7"].cell.actor.got]
    assert filled == [OrderAccepted, Fill]
    assert wire.asked[0] == "history"
    assert wire.asked.count("trades") == 0
    assert wire.asked.count("query") <= 300, "those that are not there, each once"
