"""The gateway's actor: what it hands to its transport, and when it does not."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from msgspec.structs import replace

from actors.core.clearing_messages import (
    GatewayStarted,
    Grant,
    Group,
    OrderDone,
    ReplaceStep,
    ReturnSlot,
    StepUnderWay,
    Want,
    clearing_name,
)
from actors.core.enums import OrderClass, OrderStatus, OrderType
from actors.core.facts import CancelIntended
from actors.core.messages import Fill, OrderAccepted, OrderClosed, PlaceOrder
from actors.core.order_ids import FIXED
from actors.core.order_messages import AskFees, Recover, Resync, Submit
from actors.core.orders import WorkingOrder
from actors.core.records import Recovery
from actors.core.trades import Trade
from actors.core.units import NANOS_PER_MS
from actors.gateway.actor import CLOCK_MOVED_MS, TIMER_EVERY, Gateway
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.gateway.messages import (
    Answered,
    ClockLost,
    ClockMeasured,
    LimitsLearned,
    MasterWarned,
    Outcome,
    Reported,
    Traded,
    Unreadable,
    UserStreamConnected,
    UserStreamDown,
)
from actors.gateway.orders import Request
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.subaccount.decide import decide
from actors.supervision.gate import TradingGate
from tests.factories import BUY, ETH, account, market
from tests.gateway.test_protocol import RULES, answered, report, trade
from tests.gateway.test_slots import block_of
from tests.sink import Sink


class Wire:
    """A transport that keeps what it was given; tests answer by hand."""

    rules = replace(RULES, orders_per_10s=7, orders_per_minute=11)

    def __init__(self, clock):
        self.clock, self.given, self.gateways = clock, [], []

    def start(self, gateway):
        self.gateways.append(gateway)

    def request(self, request):
        self.given.append(request)

    def survey(self, asked_ms):
        self.given.append(("survey", asked_ms))

    def history(self, symbol, since_ms, asked_ms):
        self.given.append(("history", symbol, since_ms, asked_ms))

    def renew_stream(self):
        self.given.append("renew")

    def weight(self):
        return None

    def orders_go_by(self):
        return "a list"

    def now_ms(self):
        return self.clock.monotonic_ns() // NANOS_PER_MS + 70

    def kinds(self):
        return [g.kind for g in self.given if isinstance(g, Request)]


class Bench:
    def __init__(self):
        self.dispatcher = SeededDispatcher("t", VirtualClock())
        self.gate, self.alarms = TradingGate(), []
        self.wire = Wire(self.dispatcher.clock)
        self.account = Sink.start("acct-1", self.dispatcher)
        self.accounts = {"acct-1": self.account}
        self.actors, self.kept_elsewhere = {}, set()
        self.ref = Gateway.start(
            "gateway", self.dispatcher, self.wire, self.accounts, self.gate, Fleets(FIXED),
            OrderBudget.of(self.wire.rules), self.alarms.append, self.actors,
            lambda order: order.client_order_id in self.kept_elsewhere,
        )  # fmt: skip
        self.dispatcher.run_until_quiet()

    def starts_clearing(self, symbol=ETH):
        name = clearing_name(symbol)
        self.actors[name] = Sink.start(name, self.dispatcher)
        self.dispatcher.run_until_quiet()
        return self.actors[name]

    def tell(self, *messages):
        for message in messages:
            self.ref.tell(message)
        self.dispatcher.run_until_quiet()

    def run(self, ms):
        self.dispatcher.run_until(self.dispatcher.clock.monotonic_ns() + ms * NANOS_PER_MS)

    @property
    def status(self):
        return self.ref.cell.actor.inspect_state()

    def told(self):
        return [type(m) for m in self.account.cell.actor.got]


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def order():
    [intended] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    return replace(intended, decided_ms=0, order_type=OrderType.LIMIT, price=D(2_000))


def cancel_of(order):
    return Submit((), (CancelIntended(order.account_id, order.client_order_id, ETH, ""),))


# -- the lease


def test_no_order_leaves_after_the_lease_ran_out_and_it_is_not_taken_for_sent(bench, order):
    bench.gate.extend_lease(bench.dispatcher.clock.monotonic_ns() + 500 * NANOS_PER_MS)
    first, second = order, replace(order, client_order_id="bh-x-2")
    bench.tell(Submit((first,), ()))
    assert bench.wire.kinds() == ["place"]
    bench.run(500)
    bench.tell(Submit((second,), ()))
    bench.run(5_000)
    assert bench.wire.kinds() == ["place"]
    assert bench.status.queued == 1, "it waits: nobody may say that it was sent"
    assert any("the lease on the database has run out" in a for a in bench.alarms)
    # Postgres is back: it goes, once.
    bench.gate.extend_lease(bench.dispatcher.clock.monotonic_ns() + 60_000 * NANOS_PER_MS)
    bench.run(20_000)
    assert [r.client_order_id for r in bench.wire.given if isinstance(r, Request) and r.kind == "place"] == [
        first.client_order_id,
        "bh-x-2",
    ]


def test_cancels_and_questions_leave_without_a_lease(bench, order):
    bench.tell(Submit((order,), ()), Answered(
        request="place", client_order_id=order.client_order_id, outcome=Outcome.OK, report=report(order)
    ))  # fmt: skip
    bench.gate.extend_lease(bench.dispatcher.clock.monotonic_ns() - 1)
    bench.tell(cancel_of(order))
    assert bench.wire.kinds() == ["place", "cancel"]
    bench.tell(answered(order, Outcome.UNKNOWN, "cancel"))
    assert bench.wire.kinds() == ["place", "cancel", "query"]


def test_nothing_is_sent_once_the_engine_halted(bench, order):
    bench.gate.halt()
    bench.tell(Submit((order,), ()))
    bench.run(5_000)
    assert bench.wire.kinds() == []


# -- limits


def test_limits_are_those_of_the_venue_and_then_those_that_it_tells(bench):
    assert (bench.status.room_reducing, bench.status.room_new_risk) == (7, 6)
    bench.tell(LimitsLearned(orders_per_10s=3, orders_per_minute=100))
    assert bench.status.room_reducing == 3
    bench.tell(Recover(Recovery(working=(), recent=(0, 88))))
    assert bench.status.room_reducing == 2, "a minute's limit is its own"
    assert bench.status.room_liquidations == 3, "a tenth of it is theirs alone"


def test_what_an_earlier_life_sent_counts(bench):
    bench.tell(Recover(Recovery(working=(), recent=(5, 6))))
    assert bench.status.room_reducing == 2


# -- clearing


def test_a_grant_goes_to_the_symbol_s_clearing_and_a_block_s_events_come_there(bench):
    clearing = bench.starts_clearing()
    group = Group(ETH, BUY, OrderClass.NEW_RISK)
    bench.tell(Want(group=group, orders=2, since_ms=0))
    [grant] = clearing.cell.actor.got
    assert grant == Grant(group, 1)
    block = block_of(group, 1)
    bench.tell(Submit((block,), (), grant.slot))
    assert bench.wire.kinds() == ["place"]
    bench.tell(Reported(report(block, "FILLED", "1", trade=trade(block))))
    assert [type(m) for m in clearing.cell.actor.got[1:]] == [OrderAccepted, Fill, OrderClosed]
    assert bench.told() == []
    assert bench.alarms == []


def test_a_grant_that_nobody_takes_is_given_to_the_next_one(bench):
    bench.tell(LimitsLearned(orders_per_10s=1, orders_per_minute=100))
    clearing = bench.starts_clearing()
    gone, group = Group("BTCUSDT", BUY, OrderClass.LIQUIDATION), Group(ETH, BUY, OrderClass.LIQUIDATION)
    bench.tell(Want(group=gone, orders=1), Want(group=group, orders=1))
    assert [(g.group, g.slot) for g in clearing.cell.actor.got] == [(group, 2)]
    bench.tell(ReturnSlot(ETH, 2))
    assert bench.status.room_liquidations == 1


def test_the_end_of_an_account_s_market_order_is_told_to_its_clearing_if_there_is_one(bench, order):
    at_market = replace(order, order_type=OrderType.MARKET, price=None)
    bench.tell(Submit((at_market,), ()), answered(at_market, Outcome.REFUSED))
    assert bench.told() == [OrderClosed]
    assert bench.alarms == []
    clearing = bench.starts_clearing()
    again = replace(at_market, client_order_id="bh-x-2")
    bench.tell(Submit((again,), ()), answered(again, Outcome.REFUSED))
    assert clearing.cell.actor.got == [OrderDone(ETH, again.client_order_id)]


def test_a_step_that_was_sent_is_under_way_and_its_account_is_told_so(bench, order):
    bench.tell(Submit((order,), ()), ReplaceStep("acct-1", ETH, order.client_order_id))
    assert bench.told() == [StepUnderWay]


def test_a_new_life_holds_no_slot_and_has_every_clearing_say_again_what_waits(bench):
    clearing = bench.starts_clearing()
    bench.tell(Want(group=Group(ETH, BUY, OrderClass.LIQUIDATION), orders=2))
    assert bench.status.room_liquidations == 6
    bench.dispatcher.restart(bench.ref.cell)
    bench.dispatcher.run_until_quiet()
    assert clearing.cell.actor.got[1:] == [GatewayStarted()]
    assert bench.status.room_liquidations == 7
    # A block that became durable meanwhile is not lost.
    block = block_of(Group(ETH, BUY, OrderClass.LIQUIDATION), 1)
    bench.tell(Submit((block,), (), 1))
    assert bench.wire.kinds() == ["place"]


def test_what_waits_in_a_clearing_is_not_asked_after(bench, order):
    waits, unknown = (replace(order, client_order_id=f"bh-x-{n}") for n in range(2))
    bench.kept_elsewhere.add(waits.client_order_id)
    working = tuple(WorkingOrder(intent=one) for one in (waits, unknown))
    bench.tell(Recover(Recovery(working=working)))
    assert bench.status.unknown == (unknown.client_order_id,)
    # It comes with its slot when its turn has come.
    bench.tell(Submit((waits,), ()))
    assert bench.wire.kinds() == ["place"]


# -- time, and who may be believed


def test_requests_are_signed_with_the_exchange_s_time(bench, order):
    bench.tell(Submit((order,), ()))
    [request] = bench.wire.given
    assert request.timestamp_ms == bench.wire.now_ms()


def test_without_the_exchange_s_time_nothing_is_sent_and_no_new_risk_is_taken(bench, order):
    bench.tell(ClockLost("a step"), ClockLost("another"))
    bench.tell(Submit((order,), ()))
    bench.run(1_000)
    assert bench.wire.kinds() == []
    assert bench.gate.closers == ("exchange clock",)
    assert len(bench.alarms) == 1
    bench.tell(ClockMeasured(0))
    bench.run(200)
    assert bench.wire.kinds() == ["place"]
    assert bench.gate.closers == ()
    assert len(bench.alarms) == 2
    bench.tell(ClockMeasured(CLOCK_MOVED_MS), ClockMeasured(-CLOCK_MOVED_MS))
    assert len(bench.alarms) == 2, "that much it may move"
    bench.tell(ClockMeasured(-CLOCK_MOVED_MS - 1))
    assert f"{-CLOCK_MOVED_MS - 1} ms" in bench.alarms[2]


def test_without_the_user_stream_no_new_risk_is_taken(bench):
    bench.tell(UserStreamConnected())
    assert bench.wire.given == [("survey", bench.dispatcher.clock.monotonic_ns() // NANOS_PER_MS)]
    bench.tell(UserStreamDown("gone"))
    assert bench.gate.closers == ("user stream",)
    assert bench.alarms == ["user stream down: gone"]
    bench.tell(UserStreamConnected())
    assert bench.gate.closers == ()


def test_what_cannot_be_read_has_everything_asked_for_and_a_warning_is_told(bench):
    bench.tell(Unreadable("garbage"), MasterWarned("somebody changed the leverage"))
    assert [g[0] for g in bench.wire.given] == ["survey"]
    assert any("garbage" in alarm for alarm in bench.alarms)
    assert "somebody changed the leverage" in bench.alarms


# -- to the accounts


def test_fills_go_to_their_account_and_an_alarm_says_who_is_not_there(bench, order):
    filled = report(order, "FILLED", "1", trade=trade(order))
    bench.tell(Submit((order,), ()), Reported(filled))
    [_, fill] = got = bench.account.cell.actor.got
    assert [type(m) for m in got] == [OrderAccepted, Fill]
    assert fill.end.status is OrderStatus.FILLED
    other = replace(order, client_order_id="bh-x-2")
    bench.dispatcher.stop_cell(bench.account.cell)
    bench.tell(Submit((other,), ()), Reported(report(other)))
    assert any("acct-1 is not running, but has OrderAccepted" in a for a in bench.alarms)


def test_trades_that_were_asked_for_their_fees_are_no_fills(bench, order):
    told = Trade(
        exchange_order_id=5, trade_id=7, symbol=ETH, side=BUY, quantity=D(1), price=D(2000), fee=D("0.1"), maker=False,
        trade_ms=1, fee_asset="BNB",
    )  # fmt: skip
    bench.tell(AskFees("acct-1", order.client_order_id, 5, ETH, (7,)))
    assert bench.wire.kinds() == ["fees"]
    bench.tell(Traded(client_order_id=order.client_order_id, trades=(told,), request="fees"))
    assert [t.__name__ for t in bench.told()] == ["FeeKnown"]


def test_a_cancel_that_a_crash_of_the_engine_cut_short_is_sent_again(bench, order):
    known = WorkingOrder(
        intent=order, status=OrderStatus.ACKNOWLEDGED, exchange_order_id=5, filled=D(0), trade_ids=(), cancel_requested=True
    )  # fmt: skip
    bench.tell(Recover(Recovery(working=(known,), recent=(0, 0))))
    bench.tell(Reported(report(order)))
    assert bench.wire.kinds() == ["cancel"]
    assert bench.told() == [], "it was told of the acceptance in its earlier life"


def test_what_an_account_knows_already_is_not_told_again(bench, order):
    bench.tell(Resync(WorkingOrder(intent=order, exchange_order_id=5, filled=D("0.4"), trade_ids=(7,))))
    assert bench.wire.kinds() == ["query"]
    found = report(order, "FILLED", "1")
    bench.tell(answered(order, Outcome.OK, "query", report=found))
    bench.run(3_000)
    assert bench.wire.kinds() == ["query", "trades"]
    trades = (trade(order, "0.4", 7), trade(order, "0.6", 8))
    bench.tell(Traded(client_order_id=order.client_order_id, trades=trades))
    assert [type(m) for m in bench.account.cell.actor.got] == [Fill]
    assert bench.account.cell.actor.got[0].end is not None


def test_the_timers_of_an_earlier_life_do_nothing(bench):
    def timers():
        return len(bench.dispatcher._timers)

    assert timers() == 1
    bench.dispatcher.restart(bench.ref.cell)
    bench.run(10 * TIMER_EVERY // NANOS_PER_MS)
    assert timers() == 1
    assert len(bench.wire.gateways) == 2


def test_a_message_that_it_does_not_understand_is_a_fault_of_who_sent_it(bench):
    failed = []
    bench.dispatcher.on_crash = lambda cell, report, error: failed.append(error)
    bench.tell(OrderAccepted("bh-x", 5))
    [error] = failed
    assert "OrderAccepted" in str(error)


def test_the_status_names_foreign_orders_as_every_release_has(bench, order):
    bench.tell(Reported(report(order)))
    status = msgspec.json.decode(msgspec.json.encode(bench.status))
    assert status["strangers"] == 1
