"""Whose an order is that nobody here knows, and what is done about it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderStatus
from actors.core.messages import Fill, OrderAccepted, OrderClosed, PlaceOrder
from actors.core.order_ids import FIXED, FleetId, Origin, StartId, client_order_id
from actors.gateway.fleets import Fleets
from actors.gateway.messages import Outcome, Report, ReportStatus, Surveyed
from actors.gateway.orders import Alarm, Request, Tracked
from actors.subaccount.decide import decide
from tests.factories import BTC, BUY, ETH, SELL, account, market
from tests.gateway.test_protocol import T0, answered, asked, core_of, report, submit, told, trade


@pytest.fixture
def order():
    [intended] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    return intended


def resting(id_, status="NEW", symbol=ETH):
    return Report(
        client_order_id=id_, exchange_order_id=2, symbol=symbol, status=ReportStatus(status), executed=D(0)
    )


def cancelled(effects):
    return [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == "cancel"]


def alarms(effects):
    return [e.text for e in effects if isinstance(e, Alarm)]


def test_orphans_of_our_own_fleet_of_whichever_start_are_cancelled_and_nothing_else(core, order):
    ghosts = [client_order_id(o, "acct-1", 99) for o in (FIXED, replace(FIXED, start="7zzzz7"))]
    ended = replace(order, client_order_id=client_order_id(FIXED, "acct-1", 77))
    submit(core, ended)
    core.reported(report(ended, "CANCELED"), T0)
    core.venue_ahead_ms = 70
    core.resume_orders([Tracked(order=order)], T0)
    listed = [resting(i) for i in (*ghosts, "web_123", "bh-ghost-1", ended.client_order_id)]
    effects = core.surveyed(Surveyed(asked_ms=T0, orders=(*listed, report(order)), positions=None), T0 + 5)
    assert cancelled(effects) == ghosts
    assert {e.timestamp_ms for e in effects if isinstance(e, Request)} == {T0 + 75}
    assert [sum(g in a for g in ghosts) for a in alarms(effects)] == [1, 1]


def test_until_our_own_orders_are_known_nothing_is_said_of_ours_nor_of_what_may_be(core):
    earlier = client_order_id(replace(FIXED, start="zzzzzz"), "acct-1", 3)
    for id_ in (earlier, "bh-0123456789abcdef-7"):
        assert core.reported(resting(id_), T0) == []
    core.resume_orders([], T0)
    for id_ in (earlier, "bh-0123456789abcdef-7"):
        assert len(core.reported(resting(id_), T0)) == 1


OTHER = Origin(FleetId("0ther1"), StartId("111111"))


def test_another_fleet_s_orders_are_never_touched_and_one_alarm_names_it(core):
    core.resume_orders([], T0)
    theirs = [resting(client_order_id(OTHER, "acct-1", n)) for n in range(3)]
    restarted = [resting(client_order_id(replace(OTHER, start="222222"), "acct-1", n)) for n in range(3)]
    effects = core.orphans(theirs, T0) + core.reported(theirs[0], T0) + core.orphans(restarted, T0)
    assert asked(effects) == []
    [alarm] = alarms(effects)
    assert "0ther1" in alarm
    assert theirs[0].client_order_id in alarm
    third = resting(client_order_id(replace(OTHER, fleet="th3rd1"), "acct-1", 0))
    assert ["th3rd1" in a for a in alarms(core.reported(third, T0))] == [True]
    assert core.fleets.view().others == {
        "0ther1": theirs[0].client_order_id,
        "th3rd1": third.client_order_id,
    }


def test_the_alarm_is_not_raised_again_by_the_gateway_s_next_life():
    fleets, theirs = Fleets(FIXED), resting(client_order_id(OTHER, "acct-1", 1))
    for life in range(2):
        core = core_of(fleets=fleets)
        core.resume_orders([], T0)
        assert len(alarms(core.orphans([theirs], T0))) == 1 - life


def test_a_fleet_that_begins_to_trade_later_is_noticed_on_the_user_stream(core):
    core.resume_orders([], T0)
    assert len(alarms(core.reported(resting(client_order_id(OTHER, "acct-1", 1)), T0))) == 1
    assert core.foreign == 1


@pytest.mark.parametrize(
    ("status", "read", "raised"), [("NEW", True, 1), ("PARTIALLY_FILLED", True, 1), ("NEW", False, 1), ("FILLED", False, 0)]
)  # fmt: skip
def test_old_ids_that_we_do_not_know_are_another_s_but_for_late_ends(core, status, read, raised):
    core.resume_orders([], T0)
    old = resting("bh-0123456789abcdef-7", status)
    effects = core.orphans([old], T0) if read else core.reported(old, T0)
    assert asked(effects) == []
    assert len(alarms(effects)) == raised


def test_a_copy_of_our_database_at_work_is_an_alarm_that_stops_new_risk(core):
    core.resume_orders([], T0)
    earlier = replace(FIXED, start="zzzzzz")
    late_end = resting(client_order_id(earlier, "acct-1", 1), "CANCELED")
    assert core.reported(late_end, T0) == []
    new = [resting(client_order_id(earlier, "acct-1", n)) for n in (2, 3)]
    [alarm] = core.reported(new[0], T0) + core.reported(new[1], T0)
    assert alarm.closes == "copy"
    assert new[0].client_order_id in alarm.text


IMPOSTORS = [{"side": SELL}, {"quantity": D(2)}, {"symbol": BTC}]


@pytest.mark.parametrize("other", IMPOSTORS)
def test_a_refused_duplicate_whose_id_is_another_order_s_is_never_booked(core, order, other):
    submit(core, order)
    assert asked(core.answered(answered(order, Outcome.DUPLICATE, code=-4116), T0)) == ["query"]
    theirs = replace(report(order, "FILLED", "1", trade=trade(order), side=BUY, quantity=D(1)), **other)
    effects = core.answered(answered(order, Outcome.OK, "query", report=theirs), T0)
    [closed] = told(effects)
    assert (closed.status, closed.executed_quantity, closed.code) == (OrderStatus.REJECTED, D(0), -4116)
    [alarm] = alarms(effects)
    assert order.client_order_id in alarm
    assert core.tracked == {}


def test_a_refused_duplicate_that_is_our_own_order_is_taken_as_sent(core, order):
    submit(core, order)
    core.answered(answered(order, Outcome.DUPLICATE, code=-4116), T0)
    same = report(order, side=BUY, quantity=D(1))
    effects = core.answered(answered(order, Outcome.OK, "query", report=same), T0)
    assert [type(m) for m in told(effects)] == [OrderAccepted]
    filled = report(order, "FILLED", "1", trade=trade(order), side=BUY, quantity=D(1))
    assert [(type(m), getattr(m, "code", 0)) for m in told(core.reported(filled, T0))] == [
        (Fill, 0),
        (OrderClosed, 0),
    ]


@pytest.mark.parametrize("other", IMPOSTORS)
@pytest.mark.parametrize("way", ["place", "query", "stream"])
def test_whatever_tells_of_another_order_under_our_id_is_an_alarm_once_and_never_booked(
    core, order, way, other
):
    submit(core, order)
    theirs = replace(report(order, "FILLED", "1", trade=trade(order), side=BUY, quantity=D(1)), **other)
    effects = []
    for n in range(3):
        if way == "stream":
            effects += core.reported(theirs, T0 + n)
        else:
            effects += core.answered(answered(order, Outcome.OK, way, report=theirs), T0 + n)
    assert told(effects) == []
    assert len(alarms(effects)) == 1
    assert core.unknown == [order.client_order_id]
