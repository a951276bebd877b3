"""What becomes of an order, whatever the wire does: sent once, never guessed, closed once."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.facts import CancelIntended, OrderStatus, Purpose
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.gateway.messages import Answered, Report, ReportStatus, Submit, Trade, Traded, Verdict
from actors.gateway.orders import ASKS_MAX, FINAL_MARGIN_MS, Alarm, Deliver, Request, Stage, Tracked
from actors.gateway.protocol import GatewayCore
from actors.limits import ORDER_MAX_AGE_MS, RECV_WINDOW_MS
from actors.messages import Fill, OrderAccepted, OrderClosed, PlaceOrder
from actors.order_ids import FIXED, FleetId, Origin, StartId, client_order_id
from actors.subaccount.decide import decide
from tests.factories import BTC, BUY, ETH, SELL, account, market

T0 = 1_700_000_000_000


def made(per_10s, per_minute):
    return GatewayCore(OrderBudget(per_10s, per_minute), Fleets(FIXED))


@pytest.fixture
def core():
    return made(100, 1_000)


@pytest.fixture
def order():
    [intended] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    return intended


def submit(core, order, now=T0):
    return core.submit(Submit((order,), ()), now)


def trade(order, quantity="1", trade_id=7):
    return Trade(
        exchange_order_id=5, trade_id=trade_id, symbol=ETH, side=order.side, quantity=D(quantity), price=D(2000),
        fee=D(1), maker=False, trade_ms=T0,
    )  # fmt: skip


def report(order, status="NEW", executed="0", **changes):
    return Report(
        client_order_id=order.client_order_id, exchange_order_id=5, symbol=ETH, status=ReportStatus(status),
        executed=D(executed), **changes,
    )  # fmt: skip


def answered(order, verdict, request="place", **changes):
    return Answered(request=request, client_order_id=order.client_order_id, verdict=verdict, **changes)


def told(effects):
    return [e.message for e in effects if isinstance(e, Deliver)]


def asked(effects):
    return [e.kind for e in effects if isinstance(e, Request)]


def test_the_happy_path_ends_once_with_all_fills_before_the_close(core, order):
    assert asked(submit(core, order)) == ["place"]
    first = told(core.answered(answered(order, Verdict.OK, report=report(order)), T0))
    assert [type(m) for m in first] == [OrderAccepted]
    filled = report(order, "FILLED", "1", trade=trade(order))
    assert [type(m) for m in told(core.reported(filled, T0))] == [Fill, OrderClosed]
    assert core.tracked == {}
    assert core.reported(filled, T0) == []
    assert core.duplicates == 1


def test_an_order_is_never_sent_twice(core, order):
    submit(core, order)
    assert asked(submit(core, order)) == []
    core.answered(answered(order, Verdict.UNKNOWN), T0)
    effects = [core.tend(T0 + ms) for ms in range(0, 2_000, 100)]
    assert "place" not in [k for e in effects for k in asked(e)]


def test_unknown_is_asked_after_until_known(core, order):
    submit(core, order)
    assert asked(core.answered(answered(order, Verdict.UNKNOWN), T0)) == ["query"]
    assert core.unknown == [order.client_order_id]
    assert told(core.answered(answered(order, Verdict.UNKNOWN, "query"), T0 + 100)) == []
    assert asked(core.tend(T0 + 700)) == ["query"]
    found = core.answered(answered(order, Verdict.OK, "query", report=report(order)), T0 + 800)
    assert [type(m) for m in told(found)] == [OrderAccepted]
    assert core.unknown == []


def test_not_found_is_final_only_when_the_request_can_no_longer_be_accepted(core, order):
    submit(core, order)
    core.answered(answered(order, Verdict.UNKNOWN), T0)
    early = T0 + RECV_WINDOW_MS + FINAL_MARGIN_MS
    assert told(core.answered(answered(order, Verdict.NOT_FOUND, "query"), early)) == []
    [closed] = told(core.answered(answered(order, Verdict.NOT_FOUND, "query"), early + 1))
    assert (closed.status, closed.executed_quantity) == (OrderStatus.NEVER_SENT, D(0))


def test_a_refusal_is_final_and_carries_code_and_text(core, order):
    submit(core, order)
    [closed] = told(core.answered(answered(order, Verdict.REFUSED, code=-2019, text="no margin"), T0))
    assert (closed.status, closed.code, closed.reason) == (OrderStatus.REJECTED, -2019, "no margin")


def test_a_refusal_of_an_order_that_the_stream_knows_is_not_believed(core, order):
    submit(core, order)
    core.reported(report(order), T0)
    assert asked(core.answered(answered(order, Verdict.DUPLICATE, code=-4116), T0)) == ["query"]
    assert order.client_order_id in core.tracked


def test_the_close_waits_for_trades_that_the_stream_lost(core, order):
    submit(core, order)
    assert told(core.answered(answered(order, Verdict.OK, report=report(order, "FILLED", "1")), T0))[1:] == []
    assert asked(core.tend(T0 + 2_000)) == ["trades"]
    trades = Traded(
        client_order_id=order.client_order_id, trades=(trade(order, "0.4", 7), trade(order, "0.6", 8))
    )
    assert [type(m) for m in told(core.traded(trades, T0 + 700))] == [Fill, Fill, OrderClosed]


def test_a_trade_told_by_stream_and_by_query_is_delivered_once(core, order):
    submit(core, order)
    core.reported(report(order, "PARTIALLY_FILLED", "0.4", trade=trade(order, "0.4", 7)), T0)
    trades = Traded(
        client_order_id=order.client_order_id, trades=(trade(order, "0.4", 7), trade(order, "0.6", 8))
    )
    assert [m.trade_id for m in told(core.traded(trades, T0))] == [8]
    [closed] = told(core.reported(report(order, "FILLED", "1", trade=trade(order, "0.6", 8)), T0))
    assert closed.executed_quantity == D(1)


def test_throttling_pauses_and_sends_again_later(core, order):
    submit(core, order)
    effects = core.answered(answered(order, Verdict.THROTTLED, retry_after_ms=2_000), T0)
    assert any(isinstance(e, Alarm) for e in effects)
    assert asked(effects) == []
    assert asked(core.tend(T0 + 1_999)) == []
    assert asked(core.tend(T0 + 2_000)) == ["place"]


def test_what_never_left_is_sent_again_but_not_when_too_old(core, order):
    submit(core, order)
    core.answered(answered(order, Verdict.NOT_SENT, text="refused"), T0)
    assert asked(core.tend(T0 + 600)) == ["place"]
    core.answered(answered(order, Verdict.NOT_SENT, text="refused"), T0 + 700)
    [closed] = told(core.tend(order.decided_ms + ORDER_MAX_AGE_MS + 1))
    assert closed.status is OrderStatus.NEVER_SENT


def test_liquidations_go_before_new_risk_and_use_the_reserve(order):
    core = made(1, 100)
    urgent = replace(order, client_order_id="bh-x-2", purpose=Purpose.LIQUIDATION)
    effects = core.submit(Submit((order, urgent), ()), T0)
    assert [e.client_order_id for e in effects if isinstance(e, Request)] == ["bh-x-2"]
    assert core.queued == 1


def test_cancel_before_sending_needs_no_exchange(order):
    core = made(1, 1)
    core.budget.pause(T0 + 10_000)
    submit(core, order)
    cancel = CancelIntended(order.account_id, order.client_order_id, ETH, "")
    [closed] = told(core.submit(Submit((), (cancel,)), T0))
    assert closed.status is OrderStatus.CANCELED
    assert asked(core.tend(T0 + 10_000)) == []


def test_a_cancel_that_got_lost_is_sent_again(core, order):
    submit(core, order)
    core.answered(answered(order, Verdict.OK, report=report(order)), T0)
    cancel = CancelIntended(order.account_id, order.client_order_id, ETH, "")
    assert asked(core.submit(Submit((), (cancel,)), T0)) == ["cancel"]
    assert asked(core.answered(answered(order, Verdict.UNKNOWN, "cancel"), T0)) == ["query"]
    assert asked(core.answered(answered(order, Verdict.OK, "query", report=report(order)), T0)) == ["cancel"]
    ended = report(order, "CANCELED")
    [closed] = told(core.answered(answered(order, Verdict.OK, "cancel", report=ended), T0))
    assert closed.status is OrderStatus.CANCELED


def resting(id_, status="NEW", symbol=ETH):
    return Report(
        client_order_id=id_, exchange_order_id=2, symbol=symbol, status=ReportStatus(status), executed=D(0)
    )


def cancelled(effects):
    return [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == "cancel"]


def alarms(effects):
    return [e.text for e in effects if isinstance(e, Alarm)]


def test_recovery_asks_after_each_order_and_cancels_orphans_of_our_own_fleet_of_any_start(core, order):
    assert asked(core.recovered([Tracked(order=order)], T0)) == ["query"]
    assert core.tracked[order.client_order_id].stage is Stage.UNKNOWN
    ghost = client_order_id(FIXED, "acct-1", 99)
    ghost_of_an_earlier_start = client_order_id(replace(FIXED, start="7zzzz7"), "acct-1", 3)
    effects = core.orphans(
        [
            report(order),
            resting("web_123"),
            resting("bh-ghost-1"),
            resting(ghost),
            resting(ghost_of_an_earlier_start),
        ],
        T0,
    )
    assert cancelled(effects) == [ghost, ghost_of_an_earlier_start]
    assert [ghost in a for a in alarms(effects)] == [True, False]


def test_open_orders_that_arrive_before_our_own_are_known_cancel_none_of_ours(core, order):
    """They were read while the accounts were still being loaded: each of our own looked like an orphan."""
    ghost, another = client_order_id(FIXED, "acct-1", 99), client_order_id(OTHER, "acct-1", 1)
    assert core.orphans([report(order), resting(ghost), resting(another)], T0) == []
    effects = core.recovered([Tracked(order=order)], T0)
    assert cancelled(effects) == [ghost]
    assert [another in a for a in alarms(effects)] == [False, True]


OTHER = Origin(FleetId("0ther1"), StartId("111111"))


def test_another_fleet_s_orders_are_never_touched_and_one_alarm_names_it(core):
    core.recovered([], T0)
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
        core = GatewayCore(OrderBudget(1, 1), fleets)
        core.recovered([], T0)
        assert len(alarms(core.orphans([theirs], T0))) == 1 - life


def test_a_fleet_that_begins_to_trade_later_is_noticed_on_the_user_stream(core):
    core.recovered([], T0)
    assert len(alarms(core.reported(resting(client_order_id(OTHER, "acct-1", 1)), T0))) == 1
    assert core.strangers == 1


@pytest.mark.parametrize(
    ("status", "read", "raised"), [("NEW", True, 1), ("PARTIALLY_FILLED", True, 1), ("NEW", False, 1), ("FILLED", False, 0)]
)  # fmt: skip
def test_old_ids_that_we_do_not_know_are_another_s_but_for_late_ends(core, status, read, raised):
    core.recovered([], T0)
    old = resting("bh-0123456789abcdef-7", status)
    effects = core.orphans([old], T0) if read else core.reported(old, T0)
    assert asked(effects) == []
    assert len(alarms(effects)) == raised


def test_a_copy_of_our_database_at_work_is_an_alarm_that_stops_new_risk(core):
    core.recovered([], T0)
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
    assert asked(core.answered(answered(order, Verdict.DUPLICATE, code=-4116), T0)) == ["query"]
    theirs = replace(report(order, "FILLED", "1", trade=trade(order), side=BUY, quantity=D(1)), **other)
    effects = core.answered(answered(order, Verdict.OK, "query", report=theirs), T0)
    [closed] = told(effects)
    assert (closed.status, closed.executed_quantity, closed.code) == (OrderStatus.REJECTED, D(0), -4116)
    [alarm] = alarms(effects)
    assert order.client_order_id in alarm
    assert core.tracked == {}


def test_a_refused_duplicate_that_is_our_own_order_is_taken_as_sent(core, order):
    submit(core, order)
    core.answered(answered(order, Verdict.DUPLICATE, code=-4116), T0)
    same = report(order, side=BUY, quantity=D(1))
    effects = core.answered(answered(order, Verdict.OK, "query", report=same), T0)
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
            effects += core.answered(answered(order, Verdict.OK, way, report=theirs), T0 + n)
    assert told(effects) == []
    assert len(alarms(effects)) == 1
    assert core.unknown == [order.client_order_id]


def test_resync_redelivers_exactly_what_the_account_lacks(core, order):
    submit(core, order)
    core.reported(report(order, "PARTIALLY_FILLED", "0.4", trade=trade(order, "0.4", 7)), T0)
    core.reported(report(order, "PARTIALLY_FILLED", "0.7", trade=trade(order, "0.3", 8)), T0)
    assert asked(core.resync(Tracked(order=order, trade_ids={7}), T0)) == ["trades"]
    trades = Traded(
        client_order_id=order.client_order_id, trades=(trade(order, "0.4", 7), trade(order, "0.3", 8))
    )
    assert [m.trade_id for m in told(core.traded(trades, T0))] == [8]


def test_events_of_strangers_are_counted_and_ignored(core, order):
    assert core.reported(report(order), T0) == []
    assert core.strangers == 1


def test_an_order_that_we_believed_closed_is_asked_after_when_its_account_went_back(core, order):
    """Found by simulation: the decision on the close was not durable, so the account never closed it."""
    submit(core, order)
    core.reported(report(order, "FILLED", "1", trade=trade(order)), T0)
    assert core.tracked == {}
    assert asked(core.resync(Tracked(order=order), T0)) == ["query"]
    found = core.answered(answered(order, Verdict.OK, "query", report=report(order, "FILLED", "1")), T0)
    assert [type(m) for m in told(found)] == [OrderAccepted]
    assert asked(core.tend(T0 + 2_000)) == ["trades"]
    trades = Traded(client_order_id=order.client_order_id, trades=(trade(order),))
    assert [type(m) for m in told(core.traded(trades, T0 + 700))] == [Fill, OrderClosed]


def test_never_more_queries_at_once_than_the_bound_and_each_gets_its_turn():
    """Found by the demo: queries for hundreds of slow orders made everything slower still."""
    core = made(1_000, 1_000)
    first = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts[0]
    orders = [replace(first, client_order_id=f"bh-x-{n}") for n in range(40)]
    for o in orders:
        submit(core, o)
    effects = [e for o in orders for e in core.answered(answered(o, Verdict.UNKNOWN), T0)]
    under_way = [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == "query"]
    assert len(under_way) == ASKS_MAX
    seen = list(under_way)
    while under_way:
        id_ = under_way.pop()
        o = next(o for o in orders if o.client_order_id == id_)
        more = core.answered(answered(o, Verdict.UNKNOWN, "query"), T0)
        under_way += [e.client_order_id for e in more if isinstance(e, Request) and e.kind == "query"]
        assert len(under_way) <= ASKS_MAX
        seen += [e.client_order_id for e in more if isinstance(e, Request) and e.kind == "query"]
    assert sorted(seen) == sorted(o.client_order_id for o in orders)
