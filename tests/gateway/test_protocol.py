"""What becomes of an order, whatever the wire does: sent once, never guessed, closed once.

Covers: actors/core/enums.py, actors/gateway/messages.py, actors/gateway/orders.py, actors/gateway/port.py
Covers: actors/gateway/queries.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.constants import ORDER_MAX_AGE_MS
from actors.core.enums import OrderStatus, Purpose
from actors.core.facts import CancelIntended
from actors.core.messages import Fill, OrderAccepted, OrderClosed, PlaceOrder
from actors.core.order_ids import FIXED, client_order_id
from actors.core.order_messages import Submit
from actors.core.trades import Trade
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.gateway.messages import Answered, Outcome, Report, ReportStatus, Traded
from actors.gateway.orders import (
    FINAL_MARGIN_MS,
    QUERIES_MAX,
    Alarm,
    Deliver,
    Request,
    Stage,
    Survey,
    Tracked,
    VenueRules,
)
from actors.gateway.protocol import GatewayCore
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, account, market

T0 = 1_700_000_000_000
GHOST = client_order_id(FIXED, "acct-1", 999)
RULES = VenueRules(
    recv_window_ms=2_000, future_tolerance_ms=1_000, orders_per_10s=300, orders_per_minute=1_200
)


def core_of(per_10s=100, per_minute=1_000, fleets=None):
    return GatewayCore(OrderBudget(per_10s, per_minute), RULES, Fleets(FIXED) if fleets is None else fleets)


@pytest.fixture
def order():
    [intended] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    return replace(intended, decided_ms=T0)


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


def answered(order, outcome, request="place", **changes):
    return Answered(request=request, client_order_id=order.client_order_id, outcome=outcome, **changes)


def told(effects):
    return [e.message for e in effects if isinstance(e, Deliver)]


def asked(effects):
    return [e.kind for e in effects if isinstance(e, Request)]


def test_the_happy_path_ends_once_with_all_fills_before_the_close(core, order):
    assert asked(submit(core, order)) == ["place"]
    first = told(core.answered(answered(order, Outcome.OK, report=report(order)), T0))
    assert [type(m) for m in first] == [OrderAccepted]
    filled = report(order, "FILLED", "1", trade=trade(order))
    assert [type(m) for m in told(core.reported(filled, T0))] == [Fill, OrderClosed]
    assert core.tracked == {}
    assert core.reported(filled, T0) == []
    assert core.duplicates == 1


def test_an_order_is_never_sent_twice(core, order):
    submit(core, order)
    assert asked(submit(core, order)) == []
    core.answered(answered(order, Outcome.UNKNOWN), T0)
    effects = [core.check_orders(T0 + ms) for ms in range(0, 2_000, 100)]
    assert "place" not in [k for e in effects for k in asked(e)]


def test_unknown_is_asked_after_until_known(core, order):
    submit(core, order)
    assert asked(core.answered(answered(order, Outcome.UNKNOWN), T0)) == ["query"]
    assert core.unknown == [order.client_order_id]
    assert told(core.answered(answered(order, Outcome.UNKNOWN, "query"), T0 + 100)) == []
    assert asked(core.check_orders(T0 + 700)) == ["query"]
    found = core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0 + 800)
    assert [type(m) for m in told(found)] == [OrderAccepted]
    assert core.unknown == []


def test_not_found_is_final_only_when_the_request_can_no_longer_be_accepted(core, order):
    submit(core, order)
    core.answered(answered(order, Outcome.UNKNOWN), T0)
    early = T0 + RULES.recv_window_ms + RULES.future_tolerance_ms + FINAL_MARGIN_MS
    assert told(core.answered(answered(order, Outcome.NOT_FOUND, "query"), early)) == []
    [closed] = told(core.answered(answered(order, Outcome.NOT_FOUND, "query"), early + 1))
    assert (closed.status, closed.executed_quantity) == (OrderStatus.NEVER_SENT, D(0))


def test_a_refusal_is_final_and_carries_code_and_text(core, order):
    submit(core, order)
    [closed] = told(core.answered(answered(order, Outcome.REFUSED, code=-2019, text="no margin"), T0))
    assert (closed.status, closed.code, closed.reason) == (OrderStatus.REJECTED, -2019, "no margin")


def test_a_refusal_of_an_order_that_the_stream_knows_is_not_believed(core, order):
    submit(core, order)
    core.reported(report(order), T0)
    assert asked(core.answered(answered(order, Outcome.DUPLICATE, code=-4116), T0)) == ["query"]
    assert order.client_order_id in core.tracked


def test_the_close_waits_for_trades_that_the_stream_lost(core, order):
    submit(core, order)
    assert told(core.answered(answered(order, Outcome.OK, report=report(order, "FILLED", "1")), T0))[1:] == []
    assert asked(core.check_orders(T0 + 2_000)) == ["trades"]
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
    assert [m.trade.trade_id for m in told(core.traded(trades, T0))] == [8]
    [closed] = told(core.reported(report(order, "FILLED", "1", trade=trade(order, "0.6", 8)), T0))
    assert closed.executed_quantity == D(1)


def test_throttling_pauses_and_sends_again_later(core, order):
    submit(core, order)
    effects = core.answered(answered(order, Outcome.THROTTLED, retry_after_ms=1_500), T0)
    assert any(isinstance(e, Alarm) for e in effects)
    assert asked(effects) == []
    assert asked(core.check_orders(T0 + 1_499)) == []
    assert asked(core.check_orders(T0 + 1_500)) == ["place"]


def test_what_never_left_is_sent_again_but_not_when_too_old(core, order):
    submit(core, order)
    core.answered(answered(order, Outcome.NOT_SENT, text="refused"), T0)
    assert asked(core.check_orders(T0 + 600)) == ["place"]
    core.answered(answered(order, Outcome.NOT_SENT, text="refused"), T0 + 700)
    [closed] = told(core.check_orders(order.decided_ms + ORDER_MAX_AGE_MS + 1))
    assert closed.status is OrderStatus.NEVER_SENT


def test_liquidations_go_before_new_risk_and_use_the_reserve(order):
    core = core_of(1, 100)
    urgent = replace(order, client_order_id="bh-x-2", purpose=Purpose.LIQUIDATION)
    effects = core.submit(Submit((order, urgent), ()), T0)
    assert [e.client_order_id for e in effects if isinstance(e, Request)] == ["bh-x-2"]
    assert core.queued == 1


def test_cancel_before_sending_needs_no_exchange(order):
    core = core_of(1, 1)
    core.budget.pause(T0 + 10_000)
    submit(core, order)
    cancel = CancelIntended(order.account_id, order.client_order_id, ETH, "")
    [closed] = told(core.submit(Submit((), (cancel,)), T0))
    assert closed.status is OrderStatus.CANCELED
    assert asked(core.check_orders(T0 + 10_000)) == []


def test_a_cancel_that_got_lost_is_sent_again(core, order):
    submit(core, order)
    core.answered(answered(order, Outcome.OK, report=report(order)), T0)
    cancel = CancelIntended(order.account_id, order.client_order_id, ETH, "")
    assert asked(core.submit(Submit((), (cancel,)), T0)) == ["cancel"]
    assert asked(core.answered(answered(order, Outcome.UNKNOWN, "cancel"), T0)) == ["query"]
    assert asked(core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0)) == ["cancel"]
    ended = report(order, "CANCELED")
    [closed] = told(core.answered(answered(order, Outcome.OK, "cancel", report=ended), T0))
    assert closed.status is OrderStatus.CANCELED


def test_recovery_asks_after_each_order_and_cancels_orphans(core, order):
    assert core.resume_orders([Tracked(order=order)], T0) == [Survey(T0)]
    assert core.tracked[order.client_order_id].stage is Stage.UNKNOWN
    orphan = report(order)
    stranger = Report(
        client_order_id="web_123", exchange_order_id=1, symbol=ETH, status=ReportStatus.NEW, executed=D(0)
    )
    ghost = Report(
        client_order_id=GHOST, exchange_order_id=2, symbol=ETH, status=ReportStatus.NEW, executed=D(0)
    )
    effects = core.orphans([orphan, stranger, ghost], T0)
    assert [(e.kind, e.client_order_id) for e in effects if isinstance(e, Request)] == [("cancel", GHOST)]


def test_resync_redelivers_exactly_what_the_account_lacks(core, order):
    submit(core, order)
    core.reported(report(order, "PARTIALLY_FILLED", "0.4", trade=trade(order, "0.4", 7)), T0)
    core.reported(report(order, "PARTIALLY_FILLED", "0.7", trade=trade(order, "0.3", 8)), T0)
    assert asked(core.resync(Tracked(order=order, trade_ids={7}), T0)) == ["trades"]
    trades = Traded(
        client_order_id=order.client_order_id, trades=(trade(order, "0.4", 7), trade(order, "0.3", 8))
    )
    assert [m.trade.trade_id for m in told(core.traded(trades, T0))] == [8]


def test_an_order_that_is_nobodys_is_told_once_and_touches_nobody(core, order):
    theirs = replace(order, client_order_id="web_0123456789")
    [alarm] = core.reported(report(theirs), T0)
    assert "web_0123456789" in alarm.text
    assert core.reported(report(theirs), T0) == []
    assert core.foreign == 2


def test_an_order_that_we_believed_closed_is_asked_after_when_its_account_went_back(core, order):
    """Found by simulation: the decision on the close was not durable, so the account never closed it."""
    submit(core, order)
    core.reported(report(order, "FILLED", "1", trade=trade(order)), T0)
    assert core.tracked == {}
    assert asked(core.resync(Tracked(order=order), T0)) == ["query"]
    found = core.answered(answered(order, Outcome.OK, "query", report=report(order, "FILLED", "1")), T0)
    assert [type(m) for m in told(found)] == [OrderAccepted]
    assert asked(core.check_orders(T0 + 2_000)) == ["trades"]
    trades = Traded(client_order_id=order.client_order_id, trades=(trade(order),))
    assert [type(m) for m in told(core.traded(trades, T0 + 700))] == [Fill, OrderClosed]


def test_never_more_queries_at_once_than_the_bound_and_each_gets_its_turn():
    """Found by the demo: queries for hundreds of slow orders made everything slower still."""
    core = core_of(1_000, 1_000)
    first = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts[0]
    orders = [replace(first, client_order_id=f"bh-x-{n}") for n in range(40)]
    for o in orders:
        submit(core, o)
    effects = [e for o in orders for e in core.answered(answered(o, Outcome.UNKNOWN), T0)]
    under_way = [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == "query"]
    assert len(under_way) == QUERIES_MAX
    seen = list(under_way)
    while under_way:
        id_ = under_way.pop()
        o = next(o for o in orders if o.client_order_id == id_)
        more = core.answered(answered(o, Outcome.UNKNOWN, "query"), T0)
        under_way += [e.client_order_id for e in more if isinstance(e, Request) and e.kind == "query"]
        assert len(under_way) <= QUERIES_MAX
        seen += [e.client_order_id for e in more if isinstance(e, Request) and e.kind == "query"]
    assert sorted(seen) == sorted(o.client_order_id for o in orders)
