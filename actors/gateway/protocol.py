"""The gateway's decisions: what becomes of each order between intent and last fill. Pure.

QUEUED -> SENT -> WORKING -> final; SENT or WORKING -> UNKNOWN -> (queried) -> WORKING or final.

Why UNKNOWN is a state. Between "the request left" and "the answer arrived" anything may have happened: a time-out, a
connection that was cut, a 5xx (each venue says which answers are final) say nothing of the order. Taken as refused, it
may fill all the same, and the account would hold a position that it knows nothing of; sent again, it may fill twice. So
its margin stays reserved and the exchange is queried by client order id until it answers, or until it can no longer
accept the request (rule 2).

Rules
1. An order is sent once. When its fate is unknown it is queried, never sent again.
2. "No such order" is final only when the signed request can no longer be accepted, however long it took and
   whatever our clock believed: the venue's window has passed on the exchange's clock since its timestamp, and on
   ours since it was signed. The transport signs with the timestamp given here, however late it sends.
3. ``OrderClosed`` goes to the account only after all trades of the order went before it.
4. Each trade is delivered once; the account has the last word on duplicates all the same.
5. The user stream is relied on as long as REST agrees with it (``gateway.stream``).
6. Every method returns effects in order; nothing is done here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from actors.core.clearing_messages import Grant, OrderDone, ReplaceStep, StepUnderWay, Want, is_clearing
from actors.core.enums import OrderStatus, OrderType
from actors.core.facts import CancelIntended
from actors.core.messages import Fill, OrderAccepted, OrderClosed
from actors.core.order_messages import Submit
from actors.core.safe_copy import pairs
from actors.core.trades import Trade
from actors.core.units import ZERO, ClientOrderId
from actors.gateway.alarm_limiter import AlarmLimiter
from actors.gateway.budget import OrderBudget
from actors.gateway.check_schedule import CheckSchedule
from actors.gateway.fleets import Fleets
from actors.gateway.foreign_orders import ForeignOrders, account_update
from actors.gateway.messages import (
    Answered,
    MasterChanged,
    Outcome,
    Report,
    ReportStatus,
    Surveyed,
    Traded,
)
from actors.gateway.orders import (
    CLOSE_GRACE_MS,
    FINAL_MARGIN_MS,
    QUERY_EVERY_MS,
    REMEMBERED_FINALS,
    SENT_MAX_MS,
    Alarm,
    Deliver,
    Effect,
    RenewStream,
    Request,
    Stage,
    ToClearing,
    Tracked,
    VenueRules,
)
from actors.gateway.queries import Queries
from actors.gateway.send_policy import SendPolicy, SlotGranted, WaitedTooLong
from actors.gateway.stream import Known, StreamProof, StreamState
from actors.gateway.survey_schedule import SurveySchedule


class GatewayCore:
    """All orders under way. Times are milliseconds that never go back, whatever the wall clock does.

    Before each call, ``venue_ahead_ms`` and ``wall_ahead_ms`` say how far the exchange's clock and the wall
    clock are ahead of them.
    """

    def __init__(self, budget: OrderBudget, rules: VenueRules, fleets: Fleets) -> None:
        self.budget = budget
        self.fleets = fleets
        self._recovered = False
        self.send_policy = SendPolicy(budget)
        self._rules = rules
        self.venue_ahead_ms = self.wall_ahead_ms = 0
        self.tracked: dict[ClientOrderId, Tracked] = {}
        self._finals: OrderedDict[ClientOrderId, None] = OrderedDict()
        self._queries = Queries()
        self.proof = StreamProof()
        self._surveys = SurveySchedule()
        self._alarms = AlarmLimiter()
        self._schedule = CheckSchedule()
        self._orphans_wanted = False
        self._foreign_orders = ForeignOrders()
        self.lost = 0
        self.duplicates = 0
        self.foreign = 0

    @property
    def queued(self) -> int:
        """Orders that wait for budget."""
        return len(self.send_policy)

    @property
    def unknown(self) -> list[ClientOrderId]:
        """Orders whose fate is unknown."""
        # Copied in one step: other threads read it.
        return [t.order.client_order_id for t in list(self.tracked.values()) if t.stage is Stage.UNKNOWN]

    # -- from inside

    def submit(self, message: Submit, now_ms: int) -> list[Effect]:
        """Queue durable orders and cancels, and send what the budget allows; an order with a slot goes at once."""
        effects: list[Effect] = []
        slot = message.slot
        for order in message.orders:
            if order.client_order_id in self.tracked or order.client_order_id in self._finals:
                self.duplicates += 1
                continue
            # How long it took to be made durable counts as waiting too.
            age_ms = max(0, now_ms + self.wall_ahead_ms - order.decided_ms)
            tracked = Tracked(order=order, queued_ms=now_ms - age_ms)
            self.tracked[order.client_order_id] = tracked
            given, slot = slot, 0
            if given and self.send_policy.use_slot(tracked, given, now_ms):
                effects.append(self._send(tracked, now_ms))
            else:
                self.send_policy.queue(tracked, now_ms)
                if self.send_policy.was_asked_back(order.client_order_id):
                    effects += self._give_back(tracked, now_ms)
        if slot:
            self.budget.slots.give_back(slot)
        for cancel in message.cancels:
            effects += self._cancel(cancel, now_ms)
        return effects + self._send_due(now_ms)

    def want(self, message: Want, now_ms: int) -> list[Effect]:
        """A clearing says what waits in a group, and is granted a slot when that is first and the budget allows."""
        self.send_policy.want(message, now_ms + self.wall_ahead_ms, now_ms)
        return self._send_due(now_ms)

    def slot_returned(self, slot: int, now_ms: int) -> list[Effect]:
        """A clearing sends nothing with a slot: the next one may have it."""
        self.budget.slots.give_back(slot)
        return self._send_due(now_ms)

    def replace_step(self, message: ReplaceStep, now_ms: int) -> list[Effect]:
        """An account would decide otherwise by now: an order that still waits here, or is not durable yet, goes back to it."""
        id_ = message.client_order_id
        tracked = self.tracked.get(id_)
        if tracked is None and id_ not in self._finals:
            self.send_policy.ask_back(id_, now_ms)
            return []
        if tracked is None or tracked.stage is not Stage.QUEUED:
            return [Deliver(message.account_id, StepUnderWay(id_))]
        return self._give_back(tracked, now_ms) + self._send_due(now_ms)

    def resume_orders(self, tracked: Iterable[Tracked], now_ms: int) -> list[Effect]:
        """Take over orders of an earlier run, each of unknown fate: one question for all that are open.

        What the answer does not list is queried singly.
        """
        for known in tracked:
            if known.order.client_order_id not in self.tracked:
                self._track_unknown(known, now_ms)
                known.awaits_survey = True
        self._recovered = self._orphans_wanted = True
        return self._surveys.ask_anew(now_ms, at_once=True)

    def resync(self, known: Tracked, now_ms: int) -> list[Effect]:
        """An account says what it knows of an order: query the exchange, deliver what it lacks."""
        id_ = known.order.client_order_id
        tracked = self._find(id_)
        if tracked is None:
            # It was closed here, but the account has gone back to a state before that.
            self._finals.pop(id_, None)
            self._track_unknown(known, now_ms)
            return self._query(known, now_ms)
        if tracked.stage is Stage.QUEUED:
            return []
        tracked.trade_ids &= known.trade_ids
        tracked.recount = True
        return self._query(tracked, now_ms, "query" if tracked.exchange_order_id is None else "trades")

    def orphans(self, reports: Iterable[Report], now_ms: int) -> list[Effect]:
        """Cancel open orders of our own fleet that no durable intent explains; alarms of other fleets."""
        unexplained = [
            r
            for r in reports
            if r.client_order_id not in self.tracked and r.client_order_id not in self._finals
        ]
        return self.fleets.resting(unexplained, now_ms + self.venue_ahead_ms)

    def check_orders(self, now_ms: int) -> list[Effect]:
        """Timer: query unknown orders, fetch missing trades, survey, check the user stream, send what waits."""
        effects: list[Effect] = []
        proven = self.proof.state is StreamState.UP
        for id_ in self._schedule.due(self.tracked):
            tracked = self.tracked.get(id_)
            if tracked is None or tracked.is_idle(proven=proven):
                self._schedule.mark_idle(id_)
                continue
            self._schedule.mark_active(id_)
            if now_ms - tracked.asked_ms < QUERY_EVERY_MS:
                continue
            if tracked.stage is Stage.SENT and now_ms - tracked.signed_ms > SENT_MAX_MS:
                self._fate_unknown(tracked)  # no answer came; whatever became of it, query
            if tracked.stage is Stage.UNKNOWN or tracked.is_overdue(now_ms, proven=proven):
                effects += self._query(tracked, now_ms)
            elif tracked.lacks_trades and now_ms - tracked.asked_ms >= CLOSE_GRACE_MS:
                effects += self._query(tracked, now_ms, "trades")
        self.send_policy.expire(now_ms)
        return effects + self._check_stream(now_ms) + self._send_due(now_ms)

    # -- the user stream, and surveys

    def connected(self, now_ms: int) -> list[Effect]:
        """The user stream is connected: a survey finds what it missed; it is not expected to report that itself."""
        self.proof.connected()
        for tracked in self.tracked.values():
            tracked.predates_stream = True
        return self._surveys.ask_anew(now_ms)

    def disconnected(self, reason: str) -> list[Effect]:
        """The user stream is gone."""
        return [Alarm(f"user stream down: {reason}")] if self.proof.down(reason) else []

    def unreadable(self, text: str, now_ms: int) -> list[Effect]:
        """An event of the user stream cannot be read: it may have been about any order."""
        said = self._alarms.alarm("unreadable", f"an event of the user stream cannot be read: {text}", now_ms)
        return [*said, *self._surveys.ask(now_ms)]

    def master_changed(self, message: MasterChanged) -> list[Effect]:
        """The user stream reported balances or positions of the master."""
        for symbol, amount in message.positions:
            self.proof.stream_reported_position(symbol, amount)
        text = account_update(message.reason, message.balances, message.positions)
        return [Alarm(text)] if text else []

    def surveyed(self, message: Surveyed, now_ms: int) -> list[Effect]:
        """All open orders and positions: what is listed works, what is missing is queried."""
        if not self._surveys.answered(message.asked_ms, now_ms):
            return self._surveys.ask(now_ms)
        effects: list[Effect] = []
        if message.orders is not None:
            effects += self._compare(message.orders, message.asked_ms, now_ms)
            if self._orphans_wanted:
                self._orphans_wanted = False
                effects += self.orphans(message.orders, now_ms)
        if message.positions is not None:
            self.proof.rest_reported_positions(message.positions, now_ms)
        for id_, tracked in self.tracked.items():
            if tracked.awaits_survey:
                tracked.awaits_survey = False
                self._schedule.mark_active(id_)
        return effects + self._surveys.ask_if_wanted(now_ms)

    def _compare(self, reports: Iterable[Report], asked_ms: int, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        missing: list[Tracked] = []
        listed = {report.client_order_id: report for report in reports}
        for id_, tracked in pairs(self.tracked):
            if tracked.stage not in {Stage.WORKING, Stage.UNKNOWN} or tracked.final is not None:
                continue
            if max(tracked.heard_ms, tracked.signed_ms) > asked_ms and not tracked.awaits_survey:
                continue  # what we know of it is newer than the list
            found = listed.get(id_)
            tracked.unlisted_ms = now_ms if found is None else 0
            if found is not None:
                effects += self._take_report(tracked, found, now_ms, rest=True, listed=True)
            else:
                missing.append(tracked)
        return effects + self._ask_after(missing, now_ms)

    def _ask_after(self, missing: Sequence[Tracked], now_ms: int) -> list[Effect]:
        """Orders that are not open: each is queried."""
        return [e for tracked in missing for e in self._query(tracked, now_ms)]

    def _check_stream(self, now_ms: int) -> list[Effect]:
        """Reconnect a stream that lacks what REST knows, and survey every so often."""
        reason = self.proof.overdue(now_ms)
        if reason and self.proof.down(reason):
            return [Alarm(f"the user stream is silent: {reason}; reconnecting it"), RenewStream()]
        return self._surveys.check(now_ms, proven=self.proof.state is StreamState.UP)

    # -- from the exchange

    def answered(self, message: Answered, now_ms: int) -> list[Effect]:
        """A place, cancel or query ended."""
        tracked = self._find(message.client_order_id)
        message = message.of_its_order()
        effects: list[Effect] = []
        if self.send_policy.backs_off(message, now_ms):
            effects.append(Alarm(f"the exchange cannot be reached: {message.text}"))
        if message.request == "place":
            self.send_policy.answered(message, now_ms)
        if message.request == "query":
            self._queries.answered(message.client_order_id)
        if tracked is None:
            return effects + self._send_due(now_ms)
        if message.request == "query":
            tracked.query_pending = False
        if message.request == "cancel":
            tracked.cancelling = False
        if message.outcome is Outcome.OK and message.report is not None:
            effects += self._take_report(tracked, message.report, now_ms, rest=True)
        elif message.outcome is Outcome.THROTTLED:
            effects += self._throttled(tracked, message, now_ms)
        elif message.request == "place":
            effects += self._place_failed(tracked, message, now_ms)
        elif message.request == "query" and message.outcome is Outcome.NOT_FOUND:
            effects += self._not_found(tracked, now_ms)
        elif message.request == "cancel":
            # Refused: the order filled or ended meanwhile. Else the cancel may not have arrived.
            tracked.cancel_wanted = message.outcome is not Outcome.REFUSED
            effects += self._query(tracked, now_ms)
        return effects + self._send_due(now_ms)

    def reported(self, report: Report, now_ms: int) -> list[Effect]:
        """The user stream reported an order."""
        tracked = self._find(report.client_order_id)
        if tracked is not None:
            return self._take_report(tracked, report, now_ms, rest=False)
        if report.client_order_id in self._finals:
            self.proof.stream_reported(report.client_order_id, Known(report.executed, report.status.is_final))
            self.duplicates += 1
            return []
        self.foreign += 1
        if self.fleets.is_of_a_fleet(report):
            return self.fleets.reported(report) if self._recovered else []
        text = self._foreign_orders.reported(report)
        # Limited by kind, so that trades by hand do not hold back alarms of the exchange's own orders.
        return [*self._alarms.alarm(text.partition(":")[0], text, now_ms)] if text else []

    def traded(self, message: Traded, now_ms: int) -> list[Effect]:
        """The trades of one order, whole."""
        tracked = self._find(message.client_order_id)
        self._queries.answered(message.client_order_id)
        effects = self._send_queries(now_ms)
        if tracked is None:
            return effects
        tracked.query_pending = False
        if message.trades is None:
            return effects
        return effects + self._take_trades(tracked, message.trades, now_ms)

    # -- inside

    def _give_back(self, tracked: Tracked, now_ms: int) -> list[Effect]:
        """An order that waits goes back to its account, which decides again."""
        self.send_policy.give_back(tracked, now_ms)
        tracked.final, tracked.reason = OrderStatus.NEVER_SENT, "its account decides anew"
        return self._close(tracked, waited=True, again=True)

    def _take_trades(self, tracked: Tracked, trades: Sequence[Trade], now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        for trade in sorted(trades, key=lambda t: t.trade_id):
            effects += self._deliver(tracked, trade, count=False)
        tracked.recount = False
        tracked.delivered = sum((t.quantity for t in trades), ZERO)
        tracked.executed = max(tracked.executed, tracked.delivered)
        return effects + self._maybe_close(tracked, now_ms)

    def _find(self, id_: ClientOrderId) -> Tracked | None:
        """An order that something is known of now; the timer checks it again."""
        tracked = self.tracked.get(id_)
        if tracked is not None:
            self._schedule.mark_active(id_)
        return tracked

    def _take_report(
        self, tracked: Tracked, report: Report, now_ms: int, *, rest: bool, listed: bool = False
    ) -> list[Effect]:
        effects: list[Effect] = []
        order = tracked.order
        if not tracked.matches(report):
            return tracked.id_conflict(report) + (self._close(tracked) if tracked.duplicate_code else [])
        tracked.stage = Stage.WORKING
        tracked.heard_ms = now_ms
        tracked.exchange_order_id = report.exchange_order_id
        self._compare_with_stream(tracked, Known(report.executed, report.status.is_final), now_ms, rest=rest)
        if not tracked.acceptance_delivered and report.status is not ReportStatus.REJECTED:
            tracked.acceptance_delivered = True
            accepted = OrderAccepted(order.client_order_id, report.exchange_order_id, order.cause)
            effects.append(Deliver(order.account_id, accepted))
        if report.trade is not None:
            effects += self._deliver(tracked, report.trade, count=True)
        tracked.executed = max(tracked.executed, report.executed)
        if report.status.is_final and tracked.final is None:
            tracked.final, tracked.reason = OrderStatus(report.status.value), report.reason
            tracked.asked_ms = now_ms
        effects += self._unknown_status(tracked, report, now_ms, rest=rest, listed=listed)
        if tracked.cancel_wanted and not report.status.is_final:
            effects += self._send_cancel(tracked, now_ms)
        return effects + self._maybe_close(tracked, now_ms)

    def _compare_with_stream(self, tracked: Tracked, known: Known, now_ms: int, *, rest: bool) -> None:
        """Compare what REST and the stream know of an order."""
        id_ = tracked.order.client_order_id
        if not rest:
            self.proof.stream_reported(id_, known)
        elif tracked.predates_stream:
            tracked.predates_stream = False
            self.proof.known_before(id_, known)
        else:
            self.proof.rest_reported(id_, known, now_ms)

    def _unknown_status(
        self, tracked: Tracked, report: Report, now_ms: int, *, rest: bool, listed: bool
    ) -> list[Effect]:
        """A status that is not known here says nothing of what becomes of the order; query until one is."""
        if report.status is not ReportStatus.UNKNOWN:
            tracked.stated = ""
            return []
        effects: list[Effect] = []
        if tracked.stated != report.stated:
            tracked.stated = report.stated
            text = f"{report.client_order_id} of {tracked.order.account_id}: the exchange calls it {report.stated}"
            text += ", a status that is not known here; it is queried until it has one that is"
            effects += self._alarms.alarm("odd", text, now_ms)
        if tracked.final is not None or listed:
            return effects
        if not rest:
            return effects + self._query(tracked, now_ms)
        if tracked.unlisted_ms and tracked.asked_ms >= tracked.unlisted_ms:
            # No longer open when it was queried: nothing more happens to it, and this is all that did.
            tracked.final = OrderStatus.EXPIRED
            tracked.reason = f"the exchange calls it {tracked.stated}, and no longer lists it as open"
            return effects
        # If a query says the same, only the list of open orders shows whether it still works. That is fetched every
        # few seconds only: the list costs forty times what a query costs.
        recent = self._surveys.was_answered_lately(now_ms)
        # If it was cancelled, its end is waited for, by an emergency stop perhaps.
        return effects if recent and not tracked.cancel_sent else effects + self._surveys.ask(now_ms)

    def _deliver(self, tracked: Tracked, trade: Trade, *, count: bool) -> list[Effect]:
        if trade.trade_id in tracked.trade_ids:
            self.duplicates += count
            return []
        tracked.trade_ids.add(trade.trade_id)
        if count:
            tracked.delivered += trade.quantity
        order = tracked.order
        fill = Fill(order.account_id, order.client_order_id, trade, order.cause)
        return [Deliver(order.account_id, fill)]

    def _maybe_close(self, tracked: Tracked, now_ms: int) -> list[Effect]:
        if tracked.final is None:
            return []
        if tracked.recount or tracked.delivered < tracked.executed:
            tracked.asked_ms = tracked.asked_ms or now_ms
            return []
        return self._close(tracked)

    def _close(self, tracked: Tracked, *, waited: bool = False, again: bool = False) -> list[Effect]:
        order = tracked.order
        del self.tracked[order.client_order_id]
        self._finals[order.client_order_id] = None
        if len(self._finals) > REMEMBERED_FINALS:
            self._finals.popitem(last=False)
        status = tracked.final or OrderStatus.REJECTED
        closed = OrderClosed(
            order.client_order_id,
            status,
            tracked.executed,
            tracked.code,
            tracked.reason,
            order.cause,
            waited=waited,
            again=again,
        )
        effects: list[Effect] = [Deliver(order.account_id, closed)]
        if order.order_type is OrderType.MARKET and not is_clearing(order.account_id):
            effects.append(ToClearing(order.symbol, OrderDone(order.symbol, order.client_order_id)))
        return effects

    def _place_failed(self, tracked: Tracked, message: Answered, now_ms: int) -> list[Effect]:
        if message.outcome in {Outcome.NOT_SENT, Outcome.MISTIMED}:
            return self._requeue(tracked) if tracked.stage is Stage.SENT else []
        if message.outcome is Outcome.DUPLICATE and tracked.stage is Stage.SENT:
            tracked.duplicate_code = message.code  # what is open there shows whether it is ours
        if message.outcome is Outcome.REFUSED:
            if tracked.stage is Stage.WORKING:
                # The user stream knows the order already: a refusal of a duplicate id, say.
                return self._query(tracked, now_ms)
            tracked.final, tracked.code, tracked.reason = OrderStatus.REJECTED, message.code, message.text
            return self._close(tracked)
        if tracked.stage is Stage.SENT:
            self._fate_unknown(tracked)
        return self._query(tracked, now_ms)

    def _requeue(self, tracked: Tracked) -> list[Effect]:
        """It surely never reached the exchange: it waits again, unless its account has cancelled it."""
        if not tracked.cancel_wanted:
            self.send_policy.requeue(tracked)
            return []
        return self._cancelled_here(tracked)

    def _cancelled_here(self, tracked: Tracked) -> list[Effect]:
        """It was cancelled before the exchange had it: that is no refusal."""
        tracked.final, tracked.reason = OrderStatus.CANCELED, "cancelled before it was sent"
        return self._close(tracked, waited=True)

    def _not_found(self, tracked: Tracked, now_ms: int) -> list[Effect]:
        rules = self._rules
        if tracked.stage is Stage.WORKING or self.send_policy.clock_lost:
            return []
        window_ms = rules.recv_window_ms + FINAL_MARGIN_MS
        if now_ms + self.venue_ahead_ms <= tracked.signed_venue_ms + window_ms:
            return []
        # A request signed ahead of the exchange's clock is honoured for that much longer.
        if now_ms <= tracked.signed_ms + window_ms + rules.future_tolerance_ms:
            return []
        tracked.final = OrderStatus.NEVER_SENT
        tracked.reason = "the exchange never got it, and can no longer accept it"
        again = tracked.returns_to_waiting
        return self._close(tracked, waited=again, again=again)

    def _waited_too_long(self, tracked: Tracked, now_ms: int, *, again: bool) -> list[Effect]:
        """It waited here too long: nothing stale is sent, and the exchange has not refused it."""
        text = f"it waited {(now_ms - tracked.place.since_ms) / 1_000:.1f} s for its turn to be sent"
        tracked.final = OrderStatus.NEVER_SENT
        tracked.reason = f"{text}; {'decided anew' if again else 'that is too old to be sent'}"
        return self._close(tracked, waited=True, again=again)

    def _fate_unknown(self, tracked: Tracked) -> None:
        tracked.stage = Stage.UNKNOWN
        self.lost += 1

    def _track_unknown(self, known: Tracked, now_ms: int) -> None:
        """An order of an earlier run: it may have been signed just before."""
        known.stage = Stage.UNKNOWN
        known.signed_ms, known.signed_venue_ms = now_ms, now_ms + self.venue_ahead_ms
        known.predates_stream = known.of_earlier_life = True
        self.tracked[known.order.client_order_id] = known
        self._schedule.mark_active(known.order.client_order_id)

    def _throttled(self, tracked: Tracked, message: Answered, now_ms: int) -> list[Effect]:
        self.budget.pause(now_ms + max(message.retry_after_ms, 1_000))
        text = f"the exchange throttles us for {message.retry_after_ms} ms: {message.text}"
        effects: list[Effect] = [*self._alarms.alarm("throttled", text, now_ms)]
        if message.request == "place" and tracked.stage is Stage.SENT:
            # A throttled request was not executed: the exchange says so before it reads it.
            effects += self._requeue(tracked)
        if message.request == "cancel":
            tracked.cancel_wanted = True
        return effects

    def _cancel(self, cancel: CancelIntended, now_ms: int) -> list[Effect]:
        tracked = self._find(cancel.client_order_id)
        if tracked is None:
            return []
        tracked.cancel_wanted = True
        if tracked.stage is Stage.QUEUED:
            self.send_policy.withdraw(tracked)
            return self._cancelled_here(tracked)
        if tracked.stage is Stage.WORKING:
            return self._send_cancel(tracked, now_ms)
        return []

    def _send_cancel(self, tracked: Tracked, now_ms: int) -> list[Effect]:
        if tracked.cancelling or tracked.final is not None:
            return []
        tracked.cancelling = tracked.cancel_sent = True
        tracked.cancel_wanted = False
        return [self._request("cancel", tracked, now_ms)]

    def _query(self, tracked: Tracked, now_ms: int, kind: str = "query") -> list[Effect]:
        """Query an order, or its trades, once fewer than ``QUERIES_MAX`` are under way."""
        self._queries.ask(tracked, kind, now_ms)
        return self._send_queries(now_ms)

    def _send_queries(self, now_ms: int) -> list[Effect]:
        return [
            self._request(kind, tracked, now_ms) for kind, tracked in self._queries.due(self.tracked, now_ms)
        ]

    def _send_due(self, now_ms: int) -> list[Effect]:
        effects = self._send_queries(now_ms)
        for due in self.send_policy.due(self.tracked, now_ms):
            if isinstance(due, SlotGranted):
                grant = Grant(due.group, due.slot, due.interval_ms)
                effects.append(ToClearing(due.group.symbol, grant))
            elif isinstance(due, WaitedTooLong):
                effects += self._waited_too_long(due.tracked, now_ms, again=due.again)
            else:
                effects.append(self._send(due.tracked, now_ms))
        return effects

    def _send(self, tracked: Tracked, now_ms: int) -> Request:
        tracked.stage = Stage.SENT
        self._schedule.mark_active(tracked.order.client_order_id)
        tracked.signed_ms, tracked.signed_venue_ms = now_ms, now_ms + self.venue_ahead_ms
        return self._request("place", tracked, now_ms)

    def _request(self, kind: str, tracked: Tracked, now_ms: int) -> Request:
        return Request(
            kind=kind,
            symbol=tracked.order.symbol,
            client_order_id=tracked.order.client_order_id,
            order=tracked.order,
            exchange_order_id=tracked.exchange_order_id,
            timestamp_ms=now_ms + self.venue_ahead_ms,
        )
