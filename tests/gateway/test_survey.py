"""Everything at once: what the list of open orders and positions tells, and statuses that nobody knows.

Covers: actors/gateway/survey_schedule.py
"""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.core.enums import OrderStatus
from actors.core.facts import CancelIntended
from actors.core.messages import OrderAccepted, OrderClosed
from actors.core.order_messages import Submit
from actors.gateway.messages import Answered, MasterChanged, Outcome, Surveyed, Traded
from actors.gateway.orders import (
    FINAL_MARGIN_MS,
    SURVEY_APART_MS,
    SURVEY_EVERY_MS,
    SURVEY_UNPROVEN_MS,
    UNPROVEN_MS,
    Alarm,
    RenewStream,
    Stage,
    Survey,
    Tracked,
)
from actors.gateway.stream import GRACE_MS, StreamState
from tests.factories import ETH
from tests.gateway.test_protocol import (
    GHOST,
    RULES,
    T0,
    answered,
    asked,
    report,
    submit,
    told,
    trade,
)

LATER = T0 + 1_000


def alarms(effects):
    return [e.text for e in effects if isinstance(e, Alarm)]


def surveyed(core, asked_ms, orders=(), positions=None, now_ms=LATER):
    return core.surveyed(Surveyed(asked_ms=asked_ms, orders=orders, positions=positions), now_ms)


def working(core, order, now_ms=T0):
    submit(core, order, now_ms)
    core.answered(answered(order, Outcome.OK, report=report(order)), now_ms)
    return core.tracked[order.client_order_id]


def test_recovery_asks_once_for_all_that_rest_and_singly_only_for_what_is_missing(core, order):
    resting = [replace(order, client_order_id=f"bh-x-{n}") for n in range(2_400)]
    effects = core.resume_orders([Tracked(order=o) for o in resting], T0)
    assert effects == [Survey(T0)]
    # Nothing is asked singly while the answer is on its way.
    assert asked(core.check_orders(T0 + 900)) == []
    effects = surveyed(core, T0, tuple(report(o) for o in resting[:-1]))
    assert asked(effects) == ["query"]
    assert core.unknown == [resting[-1].client_order_id]
    assert len([m for m in told(effects) if isinstance(m, OrderAccepted)]) == 2_399


def test_when_the_list_cannot_be_had_each_is_asked_singly(core, order):
    core.resume_orders([Tracked(order=order)], T0)
    assert surveyed(core, T0, None) == []
    assert asked(core.check_orders(LATER)) == ["query"]


def test_orphans_are_looked_for_only_once_the_orders_of_the_last_life_are_known(core, order):
    ghost = report(replace(order, client_order_id=GHOST))
    core.connected(T0)
    assert asked(surveyed(core, T0, (ghost,))) == []
    core.resume_orders([Tracked(order=order)], T0)
    effects = surveyed(core, T0, (ghost, report(order)))
    assert asked(effects) == ["cancel"]
    assert asked(surveyed(core, T0, (ghost, report(order)))) == []


def test_an_order_that_ended_unheard_is_found_and_the_silent_stream_replaced(core, order):
    working(core, order)
    core.connected(T0)
    core.reported(report(order), T0)
    surveyed(core, T0 + 1, (report(order),), now_ms=T0 + 2)
    assert core.proof.state is StreamState.UP
    effects = surveyed(core, LATER, (), now_ms=LATER + 10)
    assert asked(effects) == ["query"]
    ended = report(order, "FILLED", "1")
    core.answered(answered(order, Outcome.OK, "query", report=ended), LATER + 20)
    assert asked(core.check_orders(LATER + 20 + 1_500)) == ["trades"]
    found = Traded(client_order_id=order.client_order_id, trades=(trade(order),))
    assert [type(m) for m in told(core.traded(found, LATER + 1_600))][-1] is OrderClosed
    effects = core.check_orders(LATER + 20 + GRACE_MS)
    assert RenewStream() in effects
    assert "silent: it never reported that" in alarms(effects)[0]
    assert core.proof.state is StreamState.DOWN
    assert RenewStream() not in core.check_orders(LATER + 30 + GRACE_MS)
    core.connected(LATER + 7_000)
    assert core.proof.state is StreamState.UNPROVEN


def test_what_happened_while_nobody_listened_is_not_held_against_the_new_connection(core, order):
    working(core, order)
    core.connected(LATER)
    surveyed(core, LATER, (report(order, "PARTIALLY_FILLED", "0.4"),), now_ms=LATER + 10)
    effects = core.check_orders(LATER + 10 * GRACE_MS)
    assert RenewStream() not in effects
    assert core.proof.state is StreamState.UNPROVEN


def test_a_list_that_is_older_than_what_was_heard_says_nothing(core, order):
    working(core, order, LATER)
    assert asked(surveyed(core, T0, (), now_ms=LATER + 5)) == []


def test_while_the_stream_is_unproven_each_order_is_asked_after_once(core, order):
    core.connected(T0)
    working(core, order)
    assert asked(core.check_orders(T0 + UNPROVEN_MS - 1)) == []
    assert asked(core.check_orders(T0 + UNPROVEN_MS)) == ["query"]
    core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0 + UNPROVEN_MS)
    assert asked(core.check_orders(T0 + 4_000)) == []


def test_once_proven_what_rests_is_left_to_the_stream(core, order):
    core.connected(T0)
    submit(core, order)
    core.reported(report(order), T0)
    core.answered(answered(order, Outcome.OK, report=report(order)), T0)
    assert core.proof.state is StreamState.UP
    assert asked(core.check_orders(T0 + 4_000)) == []


def test_everything_is_asked_for_now_and_then_more_often_while_unproven(core, order):
    core.connected(T0)
    surveyed(core, T0, (), {}, now_ms=T0)
    assert Survey(T0 + SURVEY_UNPROVEN_MS) in core.check_orders(T0 + SURVEY_UNPROVEN_MS)
    # One at a time.
    assert core.check_orders(T0 + 2 * SURVEY_UNPROVEN_MS) == []
    surveyed(core, T0 + SURVEY_UNPROVEN_MS, (), {}, now_ms=T0 + 6_000)
    submit(core, order, T0 + 6_000)
    core.reported(report(order), T0 + 6_000)
    core.answered(answered(order, Outcome.OK, report=report(order)), T0 + 6_000)
    assert core.check_orders(T0 + 6_000 + SURVEY_EVERY_MS - 1) == []
    assert core.check_orders(T0 + 6_000 + SURVEY_EVERY_MS) == [Survey(T0 + 6_000 + SURVEY_EVERY_MS)]


def test_a_position_that_nobody_told_of_replaces_the_stream(core):
    core.connected(T0)
    surveyed(core, T0, (), {ETH: D(1)}, now_ms=T0)
    core.master_changed(MasterChanged("ORDER", (), ((ETH, D(2)),)))
    surveyed(core, T0, (), {ETH: D(2)}, now_ms=T0 + 1)
    assert core.check_orders(T0 + 1 + GRACE_MS - 1) == []
    surveyed(core, T0, (), {ETH: D(7)}, now_ms=T0 + 2)
    effects = core.check_orders(T0 + 2 + GRACE_MS)
    assert RenewStream() in effects
    assert "position in ETHUSDT is 7" in alarms(effects)[0]


def test_a_status_that_nobody_knows_is_an_alarm_and_a_question(core, order):
    working(core, order)
    odd = report(order, "UNKNOWN", stated="PENDING_REVIEW")
    effects = core.reported(odd, LATER)
    assert asked(effects) == ["query"]
    assert "PENDING_REVIEW, a status that is not known here" in alarms(effects)[0]
    assert alarms(core.reported(odd, LATER)) == []
    # The query says the same, so the list of open orders must tell whether it still works.
    effects = core.answered(answered(order, Outcome.OK, "query", report=odd), LATER + 10)
    assert Survey(LATER + 10) in effects
    assert surveyed(core, LATER + 10, (odd,), now_ms=LATER + 20) == []
    assert core.answered(answered(order, Outcome.OK, "query", report=odd), LATER + 30) == []
    later = LATER + 20 + SURVEY_EVERY_MS
    assert core.check_orders(later) == [Survey(later)]
    assert asked(surveyed(core, later, (), now_ms=later + 10)) == ["query"]
    # Gone from the list, and what a question says of it since is all that happened to it.
    [closed] = told(core.answered(answered(order, Outcome.OK, "query", report=odd), later + 20))
    assert (closed.status, closed.executed_quantity) == (OrderStatus.EXPIRED, D(0))
    assert "PENDING_REVIEW, and no longer lists it" in closed.reason


def test_an_odd_status_that_lasts_costs_no_look_at_everything_of_its_own(core, order):
    """Each look costs 45 of 2,400 weights a minute; one that leads to the next uses up all."""
    working(core, order)
    odd = report(order, "UNKNOWN", stated="PENDING_REVIEW")
    core.reported(odd, LATER)
    found = core.answered(answered(order, Outcome.OK, "query", report=odd), LATER)
    looks, queries, waits = 0, 0, []
    for now in range(LATER, LATER + 60_000, 100):
        found += core.check_orders(now)
        looks += sum(isinstance(e, Survey) for e in found)
        queries += len(asked(found))
        waits, found = found, []
        for effect in waits:
            if isinstance(effect, Survey):
                found += surveyed(core, effect.asked_ms, (odd,), now_ms=now + 50)
        if asked(waits):
            found += core.answered(answered(order, Outcome.OK, "query", report=odd), now + 50)
    assert 2 <= looks <= 60_000 // SURVEY_UNPROVEN_MS + 1
    assert queries <= 2


def test_an_odd_status_after_a_cancel_is_cleared_up_soon(core, order):
    """An emergency stop waits for it."""
    working(core, order)
    odd = report(order, "UNKNOWN", stated="PENDING_REVIEW")
    core.reported(odd, LATER)
    core.answered(answered(order, Outcome.OK, "query", report=odd), LATER)
    surveyed(core, LATER, (odd,), now_ms=LATER + 10)
    core.submit(Submit((), (CancelIntended(order.account_id, order.client_order_id, ETH, ""),)), LATER + 20)
    core.answered(answered(order, Outcome.OK, "cancel", report=odd), LATER + 30)
    due = LATER + SURVEY_APART_MS
    assert Survey(due - 1) not in core.check_orders(due - 1)
    assert Survey(due) in core.check_orders(due)
    assert asked(surveyed(core, due, (), now_ms=due + 10)) == ["query"]
    [closed] = told(core.answered(answered(order, Outcome.OK, "query", report=odd), due + 20))
    assert closed.status is OrderStatus.EXPIRED


def test_what_fills_unheard_under_an_odd_status_is_not_taken_for_expired_without_it(core, order):
    working(core, order)
    odd = report(order, "UNKNOWN", stated="PENDING_REVIEW")
    core.reported(odd, LATER)
    core.answered(answered(order, Outcome.OK, "query", report=odd), LATER)
    surveyed(core, LATER + 10, (), now_ms=LATER + 20)
    gone = report(order, "UNKNOWN", "1", stated="PENDING_REVIEW")
    effects = core.answered(answered(order, Outcome.OK, "query", report=gone), LATER + 30)
    assert told(effects) == []
    late = LATER + 60_000
    assert asked(core.check_orders(late)) == ["trades"]


def test_an_order_with_an_odd_status_can_be_cancelled(core, order):
    working(core, order)
    core.reported(report(order, "UNKNOWN", stated="PENDING_REVIEW"), LATER)
    cancel = CancelIntended(order.account_id, order.client_order_id, ETH, "")
    assert asked(core.submit(Submit((), (cancel,)), LATER)) == ["cancel"]
    [closed] = told(
        core.answered(answered(order, Outcome.OK, "cancel", report=report(order, "CANCELED")), LATER)
    )
    assert closed.status is OrderStatus.CANCELED


def test_an_odd_status_that_becomes_a_known_one_goes_on_as_ever(core, order):
    working(core, order)
    core.reported(report(order, "UNKNOWN", stated="PENDING_REVIEW"), LATER)
    filled = report(order, "FILLED", "1", trade=trade(order), stated="FILLED")
    assert isinstance(told(core.reported(filled, LATER))[-1], OrderClosed)


def test_the_exchanges_reason_goes_to_the_account(core, order):
    working(core, order)
    ended = report(order, "EXPIRED", stated="EXPIRED_IN_MATCH", reason="self-trade prevention")
    [closed] = told(core.reported(ended, LATER))
    assert (closed.status, closed.reason) == (OrderStatus.EXPIRED, "self-trade prevention")


def test_an_event_that_cannot_be_read_has_everything_asked_for(core):
    effects = core.unreadable("o.z: NaN", T0)
    assert Survey(T0) in effects
    assert "NaN" in alarms(effects)[0]


def test_nothing_is_sent_while_the_exchanges_time_is_unknown(core, order):
    core.send_policy.clock_lost = "a step"
    assert asked(submit(core, order)) == []
    assert core.queued == 1
    core.send_policy.clock_lost = ""
    assert asked(core.check_orders(T0 + 100)) == ["place"]


def test_an_order_whose_time_was_refused_is_signed_anew_and_sent_again(core, order):
    core.venue_ahead_ms = 5_000
    submit(core, order)
    effects = core.answered(answered(order, Outcome.MISTIMED, code=-1021), T0 + 50)
    core.venue_ahead_ms = 1_000
    effects += core.check_orders(T0 + 100)
    assert asked(effects) == ["place"]
    assert core.tracked[order.client_order_id].stage is Stage.SENT
    assert core.tracked[order.client_order_id].signed_venue_ms in {T0 + 5_050, T0 + 1_100}


def test_no_such_order_is_judged_by_both_clocks(core, order):
    """The exchange's clock may have been believed too far ahead, or too far behind, when it was signed."""
    core.venue_ahead_ms = 10_000
    submit(core, order)
    core.answered(answered(order, Outcome.UNKNOWN), T0)
    missing = answered(order, Outcome.NOT_FOUND, "query")
    long_after = T0 + RULES.recv_window_ms + RULES.future_tolerance_ms + FINAL_MARGIN_MS + 1
    core.venue_ahead_ms = 8_000  # measured anew: the request was signed two seconds ahead
    assert told(core.answered(missing, long_after - 2)) == []
    core.venue_ahead_ms = 0
    assert told(core.answered(missing, long_after)) == []
    core.venue_ahead_ms = 8_000
    core.send_policy.clock_lost = "a step"
    assert told(core.answered(missing, long_after + 5_000)) == []
    core.send_policy.clock_lost = ""
    [closed] = told(core.answered(missing, long_after + 5_000))
    assert closed.status is OrderStatus.NEVER_SENT


def test_an_answer_that_was_cut_off_is_unknown_and_asked_after(core, order):
    submit(core, order)
    cut = Answered(
        request="place", client_order_id=order.client_order_id, outcome=Outcome.UNKNOWN, text="reset", cut_off=True
    )  # fmt: skip
    effects = core.answered(cut, T0)
    assert asked(effects) == ["query"]
    assert alarms(effects) == ["the exchange cannot be reached: reset"]
    core.answered(answered(order, Outcome.OK, "query", report=report(order)), T0 + 10)
    assert core.tracked[order.client_order_id].stage is Stage.WORKING


def looks(core, respond, until_ms, effects=()):
    """How often everything is asked for until then, with each survey answered after 20 ms."""
    count, waiting = 0, None
    for now_ms in range(LATER, until_ms, 10):
        effects = [*effects, *(core.check_orders(now_ms) if now_ms % 100 == 0 else [])]
        if waiting is not None and now_ms - waiting >= 20:
            asked_ms, waiting = waiting, None
            effects += surveyed(core, asked_ms, respond, now_ms=now_ms)
        if now_ms % 50 == 0:
            effects += core.unreadable("garbage", now_ms) if not respond else []
        later = []
        for effect in effects:
            if isinstance(effect, Survey):
                count, waiting = count + 1, effect.asked_ms
            elif asked([effect]) == ["query"]:
                later += core.answered(answered_by(effect.order, respond), now_ms)
        effects = later
    return count


def answered_by(order, respond):
    return answered(order, Outcome.OK, "query", report=respond[0])


def test_an_odd_order_that_rests_does_not_spend_the_weight_on_surveys(core, order):
    working(core, order)
    odd = report(order, "UNKNOWN", stated="PENDING_REVIEW")
    effects = core.reported(odd, LATER)
    # 45 weights each: the limit of 2,400 is for all there is.
    assert 4 <= looks(core, (odd,), LATER + 60_000, effects) <= 30


def test_a_stream_of_garbage_does_not_spend_the_weight_on_surveys(core):
    core.connected(LATER)
    assert 10 <= looks(core, (), LATER + 60_000) <= 30


def test_an_odd_order_that_traded_on_between_the_question_and_the_list_loses_no_fill(core, order):
    working(core, order)
    odd = report(order, "UNKNOWN", stated="PENDING_REVIEW")
    core.reported(odd, LATER)
    core.answered(answered(order, Outcome.OK, "query", report=odd), LATER + 10)
    # The stream is silent. It traded 0.4 after that answer, and is gone from the list.
    effects = surveyed(core, LATER + 20, (), now_ms=LATER + 30)
    assert told(effects) == []
    assert asked(effects) == ["query"]
    ended = report(order, "UNKNOWN", "0.4", stated="PENDING_REVIEW")
    effects = core.answered(answered(order, Outcome.OK, "query", report=ended), LATER + 40)
    assert told(effects) == []
    assert asked(core.check_orders(LATER + 40 + 4_000)) == ["trades"]
    trades = Traded(client_order_id=order.client_order_id, trades=(trade(order, "0.4"),))
    [fill, closed] = told(core.traded(trades, LATER + 4_100))
    assert (fill.trade.quantity, closed.status, closed.executed_quantity) == (
        D("0.4"),
        OrderStatus.EXPIRED,
        D("0.4"),
    )


def test_a_list_asked_for_before_the_connection_is_not_where_it_begins(core, order):
    working(core, order)
    surveyed(core, T0 + 1, (report(order),), {ETH: D(1)}, now_ms=T0 + 2)
    core.connected(LATER)
    # Asked for before; what happened in between nobody could hear.
    old = core.surveyed(
        Surveyed(asked_ms=LATER - 10, orders=(report(order),), positions={ETH: D(1)}), LATER + 5
    )
    assert Survey in [type(e) for e in [*old, *core.check_orders(LATER + 2_500)]]
    partly = report(order, "PARTIALLY_FILLED", "0.4")
    surveyed(core, LATER + 2_500, (partly,), {ETH: D("1.4")}, now_ms=LATER + 2_510)
    assert RenewStream() not in core.check_orders(LATER + 2_510 + GRACE_MS)


def test_alarms_of_one_kind_do_not_flood(core, order):
    texts = []
    for n in range(1_000):
        texts += alarms(core.unreadable(f"garbage {n}", LATER + n))
        hand = replace(report(order), client_order_id=f"hand-{n}")
        texts += alarms(core.reported(hand, LATER + n))
        message = answered(order, Outcome.THROTTLED, "query", retry_after_ms=60_000 - n, text="wait")
        core.submit(Submit((replace(order, client_order_id=f"bh-x-{n}"),), ()), LATER + n)
        texts += alarms(core.answered(replace(message, client_order_id=f"bh-x-{n}"), LATER + n))
    assert 3 <= len(texts) <= 45
    # A minute later they speak again, and say how many were kept back.
    [text] = alarms(core.unreadable("garbage again", LATER + 70_000))
    assert "garbage again" in text
    assert "990 more" in text
