"""What is late, lost, told twice or refused unread: nothing is forgotten, sent twice or closed too early."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderClass, OrderStatus, OrderType, Purpose
from actors.core.facts import CancelIntended
from actors.core.messages import Fill, OrderAccepted, OrderClosed
from actors.core.order_messages import Submit
from actors.gateway.budget import OrderBudget
from actors.gateway.check_schedule import CHECKS_MIN
from actors.gateway.messages import Outcome, Surveyed, Traded
from actors.gateway.orders import (
    CLOSE_GRACE_MS,
    FINAL_MARGIN_MS,
    OVERDUE_MS,
    QUERIES_MAX,
    QUERY_EVERY_MS,
    SENT_MAX_MS,
    SURVEY_UNPROVEN_MS,
    UNPROVEN_MS,
    Deliver,
    Place,
    Request,
    Stage,
    Survey,
    Tracked,
)
from actors.gateway.send_queue import PLACE_KEPT_MS, TURN_KEPT_MS, SendQueue
from actors.gateway.stream import StreamState
from tests.factories import ETH
from tests.gateway.test_protocol import RULES, T0, answered, asked, core_of, report, submit, told, trade


def many(order, count):
    return [replace(order, client_order_id=f"bh-x-{n}") for n in range(count)]


def cancel(core, order, now_ms=T0):
    return core.submit(
        Submit((), (CancelIntended(order.account_id, order.client_order_id, ETH, ""),)), now_ms
    )


def sent(effects, kind="place"):
    return [e.client_order_id for e in effects if isinstance(e, Request) and e.kind == kind]


def working(core, order, now_ms=T0):
    submit(core, order, now_ms)
    core.answered(answered(order, Outcome.OK, report=report(order)), now_ms)


# -- questions


@pytest.mark.parametrize("found", ["trades", "nothing", "closed meanwhile"])
def test_each_answer_to_a_question_for_trades_makes_room_for_the_next_question(core, order, found):
    """Eight answers that gave no room back, and nothing would be asked after any more."""
    for number, one in enumerate(many(order, 3 * QUERIES_MAX)):
        now_ms = T0 + 10_000 * number
        submit(core, replace(one, decided_ms=now_ms), now_ms)
        core.answered(answered(one, Outcome.OK, report=report(one, "FILLED", "1")), now_ms)
        assert sent(core.check_orders(now_ms + 2_000), "trades") == [one.client_order_id]
        if found == "closed meanwhile":
            core.reported(report(one, "FILLED", "1", trade=trade(one)), now_ms + 2_050)
            assert one.client_order_id not in core.tracked
        trades = None if found == "nothing" else (trade(one),)
        core.traded(Traded(client_order_id=one.client_order_id, trades=trades), now_ms + 2_100)
        if found == "nothing":
            core.reported(report(one, "FILLED", "1", trade=trade(one)), now_ms + 2_200)
    assert core.tracked == {}


def test_answers_that_an_earlier_life_asked_for_do_not_let_more_be_asked_at_once(core, order):
    orders = many(order, 4 * QUERIES_MAX)
    for one in orders[:6]:
        core.answered(answered(one, Outcome.UNKNOWN, "query"), T0)
        core.traded(Traded(client_order_id=one.client_order_id, trades=None), T0)
    for one in orders:
        submit(core, one)
    effects = [e for one in orders for e in core.answered(answered(one, Outcome.UNKNOWN), T0)]
    assert len(sent(effects, "query")) == QUERIES_MAX


def test_a_throttled_question_does_not_send_the_order_again(core, order):
    submit(core, order)
    # Its account was restarted meanwhile, and asks what became of it.
    assert asked(core.resync(Tracked(order=order), T0 + 10)) == ["query"]
    throttled = answered(order, Outcome.THROTTLED, "query", retry_after_ms=1_000)
    effects = core.answered(throttled, T0 + 20)
    for ms in range(100, 20_000, 100):
        effects += core.check_orders(T0 + ms)
    assert sent(effects) == []
    [accepted] = told(core.answered(answered(order, Outcome.OK, report=report(order)), T0 + 20_000))
    assert isinstance(accepted, OrderAccepted)


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.NOT_SENT, Outcome.MISTIMED])
def test_a_late_refusal_of_an_order_that_works_already_does_not_send_it_again(core, order, outcome):
    """The user stream was faster than whatever stands between: the order is there."""
    submit(core, order)
    core.reported(report(order), T0 + 5)
    effects = core.answered(answered(order, outcome, retry_after_ms=1_000), T0 + 10)
    for ms in range(100, 20_000, 100):
        effects += core.check_orders(T0 + ms)
    assert sent(effects) == []
    assert core.tracked[order.client_order_id].stage is Stage.WORKING


def test_an_order_whose_answer_never_came_is_asked_after_and_not_sent_again(core, order):
    submit(core, order)
    assert asked(core.check_orders(T0 + SENT_MAX_MS)) == []
    effects = core.check_orders(T0 + SENT_MAX_MS + 1)
    assert (sent(effects), sent(effects, "query")) == ([], [order.client_order_id])
    assert core.unknown == [order.client_order_id]


# -- trades


def test_a_list_of_trades_that_lags_does_not_close_the_order_before_its_last_fill(core, order):
    submit(core, order)
    core.answered(answered(order, Outcome.OK, report=report(order, "FILLED", "1")), T0)
    assert asked(core.check_orders(T0 + 2_000)) == ["trades"]
    early = Traded(client_order_id=order.client_order_id, trades=(trade(order, "0.4", 7),))
    assert [type(m) for m in told(core.traded(early, T0 + 2_100))] == [Fill]
    assert asked(core.check_orders(T0 + 4_000)) == ["trades"]
    whole = replace(early, trades=(trade(order, "0.4", 7), trade(order, "0.6", 8)))
    fill, closed = told(core.traded(whole, T0 + 4_100))
    assert (fill.trade.trade_id, closed.executed_quantity) == (8, D(1))


def test_a_report_that_lags_does_not_close_the_order_before_its_last_fill(core, order):
    """An answer of REST may be of a moment before what the user stream told."""
    submit(core, order)
    core.reported(report(order, "PARTIALLY_FILLED", "0.4", trade=trade(order, "0.4", 7)), T0)
    core.answered(answered(order, Outcome.OK, report=report(order, "FILLED", "1")), T0 + 10)
    assert told(core.reported(report(order, "PARTIALLY_FILLED", "0.4"), T0 + 20)) == []
    assert order.client_order_id in core.tracked
    last = report(order, "FILLED", "1", trade=trade(order, "0.6", 8))
    fill, closed = told(core.reported(last, T0 + 30))
    assert (fill.trade.trade_id, closed.executed_quantity) == (8, D(1))


# -- cancels


def test_a_throttled_cancel_is_sent_again(core, order):
    working(core, order)
    assert asked(cancel(core, order)) == ["cancel"]
    core.answered(answered(order, Outcome.THROTTLED, "cancel", retry_after_ms=500), T0 + 10)
    effects = [e for ms in range(100, 5_000, 100) for e in core.check_orders(T0 + ms)]
    assert asked(effects)[0] == "query"
    found = answered(order, Outcome.OK, "query", report=report(order))
    assert asked(core.answered(found, T0 + 5_000)) == ["cancel"]


def test_a_cancel_while_the_order_is_on_its_way_is_sent_once_it_is_there(core, order):
    submit(core, order)
    assert asked(cancel(core, order, T0 + 1)) == []
    effects = core.answered(answered(order, Outcome.OK, report=report(order)), T0 + 20)
    assert asked(effects) == ["cancel"]


def test_a_cancel_while_the_order_s_fate_is_unknown_is_sent_once_it_is_found(core, order):
    submit(core, order)
    core.answered(answered(order, Outcome.UNKNOWN), T0)
    assert asked(cancel(core, order, T0 + 1)) == []
    effects = core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0 + 20)
    assert asked(effects) == ["cancel"]


def test_a_cancel_that_was_asked_for_before_a_crash_is_sent_again(core, order):
    effects = core.resume_orders([Tracked(order=order, cancel_wanted=True)], T0)
    assert effects == [Survey(T0)]
    effects = core.reported(report(order), T0 + 10)
    assert asked(effects) == ["cancel"]


def test_a_cancel_of_what_has_ended_meanwhile_is_not_sent(core, order):
    submit(core, order)
    cancel(core, order, T0 + 1)
    effects = core.answered(answered(order, Outcome.OK, report=report(order, "EXPIRED")), T0 + 20)
    assert asked(effects) == []
    [closed] = [m for m in told(effects) if isinstance(m, OrderClosed)]
    assert closed.status is OrderStatus.EXPIRED


# -- what is submitted


def test_what_stands_behind_a_duplicate_is_sent_all_the_same(core, order):
    first, second, third, fourth = many(order, 4)
    working(core, first)
    ended = report(second, "CANCELED")
    submit(core, second)
    core.reported(ended, T0)
    effects = core.submit(Submit((first, third, second, fourth), ()), T0 + 10)
    assert sent(effects) == ["bh-x-2", "bh-x-3"]
    assert core.duplicates == 2


def test_a_cancel_in_the_same_message_as_a_duplicate_is_sent(core, order):
    working(core, order)
    wish = CancelIntended(order.account_id, order.client_order_id, ETH, "")
    assert asked(core.submit(Submit((order,), (wish,)), T0 + 10)) == ["cancel"]


# -- the user stream


def test_when_the_user_stream_is_back_everything_is_asked_for_at_once(core, order):
    working(core, order)
    core.connected(T0 + 1_000)
    core.disconnected("gone")
    assert core.connected(T0 + 60_000) == [Survey(T0 + 60_000)]


def test_a_connection_right_after_a_look_at_everything_has_another_look(core, order):
    working(core, order)
    assert core.connected(T0) == [Survey(T0)]
    assert core.connected(T0 + 500) == []
    effects = [e for ms in range(500, 40_000, 100) for e in core.check_orders(T0 + ms)]
    assert [type(e) for e in effects if isinstance(e, Survey)] == [Survey]


def test_a_look_at_everything_that_is_never_answered_is_not_waited_for_for_ever(core, order):
    working(core, order)
    assert core.connected(T0) == [Survey(T0)]
    looks = [
        e
        for ms in range(0, 4 * SENT_MAX_MS, 100)
        for e in core.check_orders(T0 + ms)
        if isinstance(e, Survey)
    ]
    assert [look.asked_ms - T0 for look in looks] == [SENT_MAX_MS, 2 * SENT_MAX_MS, 3 * SENT_MAX_MS]


@pytest.mark.parametrize("kind", ["place", "query", "cancel"])
def test_an_answer_that_tells_of_another_order_says_nothing_of_this_one(core, order, kind):
    submit(core, order)
    if kind != "place":
        core.answered(answered(order, Outcome.UNKNOWN), T0)
    other = report(replace(order, client_order_id="bh-x-other"), "FILLED", "1")
    effects = core.answered(answered(order, Outcome.OK, kind, report=other), T0 + 10)
    assert told(effects) == []
    assert core.unknown == [order.client_order_id]
    if kind == "query":
        effects = core.check_orders(T0 + 2_000)
    assert asked(effects) == (["query"] if kind != "cancel" else [])


# -- how many


def test_ten_seconds_and_a_minute_have_their_own_limits():
    budget = OrderBudget.of(replace(RULES, orders_per_10s=2, orders_per_minute=5))
    budget_limits = []
    for ms in range(0, 60_000, 1_000):
        took = 0
        while budget.take(ms, OrderClass.LIQUIDATION):
            budget.answered(ms)
            took += 1
        budget_limits += [ms] * took
    assert budget_limits == [0, 0, 10_000, 10_000, 20_000]


def test_an_order_leaves_the_windows_after_whole_ten_seconds_and_a_whole_minute():
    ten = OrderBudget(1, 100)
    assert ten.take(0, OrderClass.LIQUIDATION)
    ten.answered(0)
    assert (ten.room(9_999, OrderClass.LIQUIDATION), ten.room(10_000, OrderClass.LIQUIDATION)) == (0, 1)
    assert (ten.take(9_999, OrderClass.LIQUIDATION), ten.take(10_000, OrderClass.LIQUIDATION)) == (
        False,
        True,
    )
    minute = OrderBudget(100, 1)
    assert minute.take(0, OrderClass.LIQUIDATION)
    minute.answered(0)
    assert (minute.room(59_999, OrderClass.LIQUIDATION), minute.room(60_000, OrderClass.LIQUIDATION)) == (
        0,
        1,
    )
    assert (minute.take(59_999, OrderClass.LIQUIDATION), minute.take(60_000, OrderClass.LIQUIDATION)) == (
        False,
        True,
    )


def test_an_order_that_left_the_windows_is_not_counted_as_ours_when_the_exchange_counts():
    budget = OrderBudget(10, 100)
    assert budget.take(0, OrderClass.LIQUIDATION)
    budget.answered(0)
    budget.count_used((3, 3), 10_000)
    assert budget.room(10_000, OrderClass.LIQUIDATION) == 7, (
        "all three are somebody else's: ours has left the ten seconds"
    )


@pytest.mark.parametrize(("outcome", "room"), [(Outcome.NOT_SENT, 10), (Outcome.OK, 9), (Outcome.UNKNOWN, 9)])
def test_only_the_answer_to_an_order_gives_its_place_back_and_only_what_never_left_does_not_count(
    order, outcome, room
):
    core = core_of(10, 100)
    submit(core, order)
    assert core.budget.under_way == 1
    core.answered(answered(order, Outcome.UNKNOWN, "query"), T0)
    assert core.budget.under_way == 1
    core.answered(answered(order, outcome, report=report(order) if outcome is Outcome.OK else None), T0 + 1)
    assert core.budget.under_way == 0
    assert core.budget.room(T0 + 9_000, OrderClass.LIQUIDATION) == room


# -- when it is asked again


def test_what_is_unknown_is_asked_after_twice_a_second_and_not_more_often(core, order):
    submit(core, order)
    assert asked(core.answered(answered(order, Outcome.UNKNOWN), T0)) == ["query"]
    core.answered(answered(order, Outcome.UNKNOWN, "query"), T0)
    assert asked(core.check_orders(T0 + QUERY_EVERY_MS - 1)) == []
    assert asked(core.check_orders(T0 + QUERY_EVERY_MS)) == ["query"]


def test_a_market_order_that_is_silent_is_asked_after_again_and_again(core, order):
    core.connected(T0)
    working(core, replace(order, order_type=OrderType.MARKET, price=None))
    # The stream is proven: what rests would be left to it.
    core.reported(report(order), T0)
    core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0)
    assert core.proof.state is StreamState.UP
    assert asked(core.check_orders(T0 + OVERDUE_MS - 1)) == []
    assert asked(core.check_orders(T0 + OVERDUE_MS)) == ["query"]
    core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0 + OVERDUE_MS)
    assert asked(core.check_orders(T0 + 2 * OVERDUE_MS - 1)) == []
    assert asked(core.check_orders(T0 + 2 * OVERDUE_MS)) == ["query"]


def test_a_question_of_the_moment_when_it_was_sent_proves_nothing_yet(core, order):
    core.connected(T0)
    submit(core, order)
    core.resync(Tracked(order=order), T0)
    core.answered(answered(order, Outcome.OK, report=report(order)), T0)
    core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0)
    assert asked(core.check_orders(T0 + UNPROVEN_MS)) == ["query"]


def test_a_list_of_the_moment_when_the_order_was_heard_of_counts(core, order):
    working(core, order)
    core.reported(report(order), T0 + 5)
    effects = core.surveyed(Surveyed(asked_ms=T0 + 5, orders=(), positions=None), T0 + 9)
    assert asked(effects) == ["query"]


def test_no_such_order_is_final_only_after_the_window_on_the_exchange_s_clock_too(core, order):
    core.venue_ahead_ms = 10_000
    submit(core, order)
    core.answered(answered(order, Outcome.UNKNOWN), T0)
    missing, now_ms = answered(order, Outcome.NOT_FOUND, "query"), T0 + 20_000
    # Measured anew: by the exchange's clock the window ends at this very moment.
    core.venue_ahead_ms = 10_000 + RULES.recv_window_ms + FINAL_MARGIN_MS - 20_000
    assert told(core.answered(missing, now_ms)) == []
    core.venue_ahead_ms += 1
    [closed] = told(core.answered(missing, now_ms))
    assert closed.status is OrderStatus.NEVER_SENT


def test_an_odd_status_has_everything_looked_at_unless_that_was_done_lately(core, order):
    working(core, order)
    odd = report(order, "UNKNOWN", stated="PENDING_REVIEW")
    core.connected(T0)
    core.surveyed(Surveyed(asked_ms=T0, orders=(report(order),), positions=None), T0)
    found = answered(order, Outcome.OK, "query", report=odd)
    assert [e for e in core.answered(found, T0 + SURVEY_UNPROVEN_MS - 1) if isinstance(e, Survey)] == []
    assert Survey(T0 + SURVEY_UNPROVEN_MS) in core.answered(found, T0 + SURVEY_UNPROVEN_MS)


# -- one cancel at a time


def test_a_cancel_that_is_on_its_way_is_not_sent_twice(core, order):
    submit(core, order)
    core.reported(report(order), T0)
    assert asked(cancel(core, order, T0 + 1)) == ["cancel"]
    assert asked(cancel(core, order, T0 + 2)) == []
    assert asked(core.answered(answered(order, Outcome.OK, report=report(order)), T0 + 3)) == []


def test_a_throttled_cancel_is_sent_again_with_the_next_word_of_the_order(core, order):
    working(core, order)
    assert asked(cancel(core, order)) == ["cancel"]
    core.answered(answered(order, Outcome.THROTTLED, "cancel", retry_after_ms=500), T0 + 10)
    partly = report(order, "PARTIALLY_FILLED", "0.4", trade=trade(order, "0.4", 7))
    assert asked(core.reported(partly, T0 + 20)) == ["cancel"]


# -- whose turn it is


def waited(core, order, count):
    """Liquidations that waited ten seconds and went back, where ``count`` could be sent now."""
    orders = [
        replace(o, account_id=f"a{n}", purpose=Purpose.LIQUIDATION, order_type=OrderType.MARKET, price=None)
        for n, o in enumerate(many(order, 2 * count))
    ]
    assert len(sent(core.submit(Submit(tuple(orders), ()), T0))) == count
    for _ in range(count):
        core.budget.answered(T0)
    back = [e.account_id for e in core.check_orders(T0 + 10_000) if isinstance(e, Deliver)]
    assert len(back) == count
    return orders[count:]


def fresh(order, number, now_ms):
    return replace(
        order, account_id=f"fresh-{number}", client_order_id=f"bh-y-{number}", purpose=Purpose.LIQUIDATION,
        order_type=OrderType.MARKET, price=None, decided_ms=now_ms,
    )  # fmt: skip


@pytest.mark.parametrize(("after_ms", "goes"), [(TURN_KEPT_MS, False), (TURN_KEPT_MS + 1, True)])
def test_who_comes_later_waits_for_what_is_decided_anew_but_not_for_long(order, after_ms, goes):
    core = core_of(1, 1_000)
    waited(core, order, 1)
    now_ms = T0 + 10_000 + after_ms
    assert sent(core.submit(Submit((fresh(order, 1, now_ms),), ()), now_ms)) == (["bh-y-1"] if goes else [])


def test_where_there_is_room_for_more_than_those_who_comes_later_goes_too(order):
    core = core_of(2, 1_000)
    anew = waited(core, order, 2)[0]
    now_ms = T0 + 10_010
    again = replace(anew, client_order_id="bh-x-anew", decided_ms=now_ms)
    assert sent(core.submit(Submit((again,), ()), now_ms)) == ["bh-x-anew"]
    # One place is left, and it is promised to the other one.
    assert sent(core.submit(Submit((fresh(order, 1, now_ms),), ()), now_ms)) == []
    roomy = core_of(4, 1_000)
    waited(roomy, order, 4)
    roomy.budget.set_limits(6, 1_000)
    later = [fresh(order, n, now_ms) for n in range(3)]
    assert sent(roomy.submit(Submit(tuple(later), ()), now_ms)) == ["bh-y-0", "bh-y-1"]


def test_a_place_is_kept_to_its_last_moment(order):
    waiting = SendQueue()
    waiting.reserve_place(order, Place(5, 1), 100)
    waiting.forget(100 + PLACE_KEPT_MS)
    assert waiting.reserved_place(order, 100 + PLACE_KEPT_MS) == Place(5, 1)


# -- how it is shown


def test_an_answer_is_shown_with_what_it_says_and_nothing_that_it_does_not(order):
    plain = repr(answered(order, Outcome.UNKNOWN, text="reset"))
    assert plain == f"Answered(place {order.client_order_id} UNKNOWN reset)"
    assert "Report(" in repr(answered(order, Outcome.OK, report=report(order)))


def test_a_question_at_the_very_moment_of_sending_is_repeated_once_while_the_stream_is_unproven(core, order):
    core.connected(T0)
    submit(core, order)
    assert asked(core.answered(answered(order, Outcome.UNKNOWN), T0)) == ["query"]
    core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0)
    assert asked(core.check_orders(T0 + UNPROVEN_MS)) == ["query"]
    core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0 + UNPROVEN_MS)
    assert asked(core.check_orders(T0 + 3 * UNPROVEN_MS)) == []


def test_what_is_told_of_one_of_very_many_is_looked_at_the_next_time(order):
    core = core_of(10_000, 100_000)
    core.connected(T0)
    for one in many(order, 2 * CHECKS_MIN + 200):
        working(core, one)
    core.proof.state = StreamState.UP
    for ms in range(100, 2_000, 100):
        core.check_orders(T0 + ms)
    last = core._schedule._round[0]
    [one] = [o for o in many(order, 2 * CHECKS_MIN + 200) if o.client_order_id == last]
    core.reported(report(one, "FILLED", "1"), T0 + 2_000)
    core._schedule._round = [i for i in core.tracked if i != last][: 2 * CHECKS_MIN]
    assert sent(core.check_orders(T0 + 2_000 + CLOSE_GRACE_MS), "trades") == [last]
