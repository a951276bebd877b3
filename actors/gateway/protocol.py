"""The gateway's decisions: what becomes of each order between intent and last fill. Pure.

QUEUED -> SENT -> WORKING -> final; SENT or WORKING -> UNKNOWN -> (asked) -> WORKING or final.

Rules
1. An order is sent once. When its fate is unknown it is asked after, never sent again.
2. "No such order" is final only when the signed request can no longer be accepted: its
   timestamp plus ``RECV_WINDOW_MS`` has passed. The transport signs with the timestamp given
   here, however late it sends.
3. ``OrderClosed`` goes to the account only after all trades of the order went before it.
4. Each trade is delivered once; the account has the last word on duplicates all the same.
5. Every method returns effects in order; nothing is done here.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from actors.facts import CancelIntended, OrderStatus
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets, Strays
from actors.gateway.messages import Answered, Report, ReportStatus, Submit, Trade, Traded, Verdict
from actors.gateway.orders import (
    ASKS_MAX,
    CLOSE_GRACE_MS,
    FINAL_MARGIN_MS,
    IN_FLIGHT_MAX,
    QUERY_EVERY_MS,
    REMEMBERED_FINALS,
    SENT_MAX_MS,
    UNREACHABLE_PAUSE_MS,
    Alarm,
    Deliver,
    Effect,
    Request,
    Stage,
    Tracked,
    is_urgent,
)
from actors.limits import ORDER_MAX_AGE_MS, RECV_WINDOW_MS
from actors.messages import Fill, OrderAccepted, OrderClosed
from actors.units import ZERO, ClientOrderId


class GatewayCore:
    """All orders under way. Times are Unix milliseconds on the exchange's clock."""

    def __init__(self, budget: OrderBudget, fleets: Fleets) -> None:
        self.budget = budget
        self.fleets = fleets
        self._strays = Strays(fleets)
        self.tracked: dict[ClientOrderId, Tracked] = {}
        self._urgent: deque[ClientOrderId] = deque()
        self._normal: deque[ClientOrderId] = deque()
        self._finals: OrderedDict[ClientOrderId, None] = OrderedDict()
        self.in_flight = 0
        self._asks: deque[tuple[ClientOrderId, str]] = deque()
        self._asks_in_flight = 0
        self.stream_up = True
        self.sent = 0
        self.duplicates = 0
        self.strangers = 0

    @property
    def queued(self) -> int:
        """Orders that wait for budget."""
        return len(self._urgent) + len(self._normal)

    @property
    def unknown(self) -> list[ClientOrderId]:
        """Orders whose fate is unknown."""
        # Copied in one go: people look from other threads.
        return [id_ for id_, t in list(self.tracked.items()) if t.stage is Stage.UNKNOWN]

    # -- from inside

    def submit(self, message: Submit, now_ms: int) -> list[Effect]:
        """Queue durable orders and cancels, and send what the budget allows."""
        for order in message.orders:
            if order.client_order_id in self.tracked or order.client_order_id in self._finals:
                self.duplicates += 1
                continue
            self.tracked[order.client_order_id] = Tracked(order=order)
            queue = self._urgent if is_urgent(order) else self._normal
            queue.append(order.client_order_id)
        effects: list[Effect] = []
        for cancel in message.cancels:
            effects += self._cancel(cancel, now_ms)
        return effects + self._pump(now_ms)

    def adopt(self, tracked: Iterable[Tracked], now_ms: int) -> list[Effect]:
        """Take over orders of an earlier life: each of unknown fate, each asked after."""
        effects: list[Effect] = []
        for known in tracked:
            if known.order.client_order_id in self.tracked:
                continue
            known.stage = Stage.UNKNOWN
            known.signed_ms = now_ms
            self.tracked[known.order.client_order_id] = known
            effects += self._ask(known, now_ms)
        return effects

    def resync(self, known: Tracked, now_ms: int) -> list[Effect]:
        """An account says what it knows of an order: ask the exchange, deliver what it lacks."""
        id_ = known.order.client_order_id
        tracked = self.tracked.get(id_)
        if tracked is None:
            # We believed it closed, but the account went back to before it heard of that.
            self._finals.pop(id_, None)
            return self.adopt([known], now_ms)
        if tracked.stage is Stage.QUEUED:
            return []
        tracked.trade_ids &= known.trade_ids
        tracked.recount = True
        return self._ask(tracked, now_ms, "query" if tracked.exchange_order_id is None else "trades")

    def recovered(self, tracked: Iterable[Tracked], now_ms: int) -> list[Effect]:
        """Adopt all that no end is known of; only now it can be said who else there was."""
        return self.adopt(tracked, now_ms) + self._strays.recovered(self._is_known, now_ms)

    def orphans(self, reports: Iterable[Report], now_ms: int) -> list[Effect]:
        """Cancel open orders of our own fleet that no durable intent explains; tell of other fleets."""
        return [e for r in reports for e in self._strays.seen(r, self._is_known, now_ms, resting=True)]

    def _is_known(self, id_: ClientOrderId) -> bool:
        return id_ in self.tracked or id_ in self._finals

    def resync_all(self, now_ms: int) -> list[Effect]:
        """The user stream was away: ask after everything that works."""
        effects: list[Effect] = []
        for tracked in self.tracked.values():
            if tracked.stage in {Stage.WORKING, Stage.UNKNOWN}:
                effects += self._ask(tracked, now_ms)
        return effects

    def tend(self, now_ms: int) -> list[Effect]:
        """Timer: ask after unknown orders, fetch missing trades, send what waits."""
        effects: list[Effect] = []
        for tracked in list(self.tracked.values()):
            if tracked.asking or now_ms - tracked.asked_ms < QUERY_EVERY_MS:
                continue
            if tracked.stage is Stage.SENT and now_ms - tracked.signed_ms > SENT_MAX_MS:
                tracked.stage = Stage.UNKNOWN  # nobody answered; whatever became of it, ask
            if tracked.stage is Stage.UNKNOWN or tracked.is_overdue(now_ms, stream_up=self.stream_up):
                effects += self._ask(tracked, now_ms)
            elif tracked.lacks_trades and now_ms - tracked.asked_ms >= CLOSE_GRACE_MS:
                effects += self._ask(tracked, now_ms, "trades")
        return effects + self._pump(now_ms)

    # -- from the exchange

    def answered(self, message: Answered, now_ms: int) -> list[Effect]:
        """A place, cancel or query ended."""
        tracked = self.tracked.get(message.client_order_id)
        if message.request == "place":
            self.in_flight -= 1
        if message.request == "query":
            self._asks_in_flight -= 1
        if tracked is None:
            return self._pump(now_ms)
        if message.request == "query":
            tracked.asking = False
        if message.request == "cancel":
            tracked.cancelling = False
        effects: list[Effect] = []
        if message.verdict is Verdict.OK and message.report is not None:
            effects += self._take_report(tracked, message.report, now_ms)
        elif message.verdict is Verdict.THROTTLED:
            effects += self._throttled(tracked, message, now_ms)
        elif message.request == "place":
            effects += self._placed_badly(tracked, message, now_ms)
        elif message.request == "query" and message.verdict is Verdict.NOT_FOUND:
            effects += self._not_found(tracked, now_ms)
        elif message.request == "cancel":
            # Refused: the order filled or ended meanwhile. Else the cancel may not have arrived.
            tracked.cancel_wanted = message.verdict is not Verdict.REFUSED
            effects += self._ask(tracked, now_ms)
        return effects + self._pump(now_ms)

    def reported(self, report: Report, now_ms: int) -> list[Effect]:
        """The user stream told about an order."""
        tracked = self.tracked.get(report.client_order_id)
        if tracked is None:
            if report.client_order_id in self._finals:
                self.duplicates += 1
            else:
                self.strangers += 1
            return self._strays.seen(report, self._is_known, now_ms, resting=False)
        return self._take_report(tracked, report, now_ms)

    def traded(self, message: Traded, now_ms: int) -> list[Effect]:
        """The trades of one order, whole."""
        tracked = self.tracked.get(message.client_order_id)
        self._asks_in_flight -= 1
        effects = self._pump_asks(now_ms)
        if tracked is None:
            return effects
        tracked.asking = False
        if message.trades is None:
            return effects
        for trade in sorted(message.trades, key=lambda t: t.trade_id):
            effects += self._deliver(tracked, trade, count=False)
        tracked.recount = False
        tracked.delivered = sum((t.quantity for t in message.trades), ZERO)
        tracked.executed = max(tracked.executed, tracked.delivered)
        return effects + self._maybe_close(tracked, now_ms)

    # -- inside

    def _take_report(self, tracked: Tracked, report: Report, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        order = tracked.order
        if not tracked.is_told_of(report):
            return tracked.impostor(report) + (self._close(tracked) if tracked.duplicate_code else [])
        if tracked.stage is not Stage.WORKING:
            tracked.stage = Stage.WORKING
        tracked.exchange_order_id = report.exchange_order_id
        if not tracked.accepted_told and report.status is not ReportStatus.REJECTED:
            tracked.accepted_told = True
            accepted = OrderAccepted(order.client_order_id, report.exchange_order_id, order.cause)
            effects.append(Deliver(order.account_id, accepted))
        if report.trade is not None:
            effects += self._deliver(tracked, report.trade, count=True)
        tracked.executed = max(tracked.executed, report.executed)
        if report.status.is_final and tracked.final is None:
            tracked.final = OrderStatus(report.status.value)
            tracked.asked_ms = now_ms
        if tracked.cancel_wanted and not report.status.is_final:
            effects += self._send_cancel(tracked, now_ms)
        return effects + self._maybe_close(tracked, now_ms)

    def _deliver(self, tracked: Tracked, trade: Trade, *, count: bool) -> list[Effect]:
        if trade.trade_id in tracked.trade_ids:
            self.duplicates += count
            return []
        tracked.trade_ids.add(trade.trade_id)
        if count:
            tracked.delivered += trade.quantity
        order = tracked.order
        fill = Fill(
            account_id=order.account_id,
            client_order_id=order.client_order_id,
            exchange_order_id=trade.exchange_order_id,
            trade_id=trade.trade_id,
            symbol=trade.symbol,
            side=trade.side,
            quantity=trade.quantity,
            price=trade.price,
            fee=trade.fee,
            maker=trade.maker,
            trade_ms=trade.trade_ms,
            cause=order.cause,
        )
        return [Deliver(order.account_id, fill)]

    def _maybe_close(self, tracked: Tracked, now_ms: int) -> list[Effect]:
        if tracked.final is None:
            return []
        if tracked.recount or tracked.delivered < tracked.executed:
            tracked.asked_ms = tracked.asked_ms or now_ms
            return []
        return self._close(tracked)

    def _close(self, tracked: Tracked) -> list[Effect]:
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
        )
        return [Deliver(order.account_id, closed)]

    def _placed_badly(self, tracked: Tracked, message: Answered, now_ms: int) -> list[Effect]:
        if message.verdict is Verdict.NOT_SENT:
            self.budget.pause(now_ms + UNREACHABLE_PAUSE_MS)
            self._requeue(tracked)
            return [Alarm(f"the exchange cannot be reached: {message.text}")]
        if message.verdict is Verdict.DUPLICATE and tracked.stage is Stage.SENT:
            tracked.duplicate_code = message.code  # what is open there says whether it is ours
        if message.verdict is Verdict.REFUSED:
            if tracked.stage is Stage.WORKING:
                # The user stream knows the order already: a refusal of a duplicate id, say.
                return self._ask(tracked, now_ms)
            tracked.final, tracked.code, tracked.reason = OrderStatus.REJECTED, message.code, message.text
            return self._close(tracked)
        if tracked.stage is Stage.SENT:
            tracked.stage = Stage.UNKNOWN
        return self._ask(tracked, now_ms)

    def _not_found(self, tracked: Tracked, now_ms: int) -> list[Effect]:
        if tracked.stage is Stage.WORKING:
            return []
        if now_ms <= tracked.signed_ms + RECV_WINDOW_MS + FINAL_MARGIN_MS:
            return []
        return self._never_sent(tracked, "the exchange never got it, and can no longer accept it")

    def _never_sent(self, tracked: Tracked, reason: str) -> list[Effect]:
        tracked.final, tracked.reason = OrderStatus.NEVER_SENT, reason
        return self._close(tracked)

    def _throttled(self, tracked: Tracked, message: Answered, now_ms: int) -> list[Effect]:
        self.budget.pause(now_ms + max(message.retry_after_ms, 1_000))
        if message.request == "place" and tracked.stage is Stage.SENT:
            # A throttled request was not executed: the exchange says so before it reads it.
            self._requeue(tracked)
        if message.request == "cancel":
            tracked.cancel_wanted = True
        return [Alarm(f"the exchange throttles us for {message.retry_after_ms} ms: {message.text}")]

    def _requeue(self, tracked: Tracked) -> None:
        tracked.stage = Stage.QUEUED
        queue = self._urgent if is_urgent(tracked.order) else self._normal
        queue.appendleft(tracked.order.client_order_id)

    def _cancel(self, cancel: CancelIntended, now_ms: int) -> list[Effect]:
        tracked = self.tracked.get(cancel.client_order_id)
        if tracked is None:
            return []
        tracked.cancel_wanted = True
        if tracked.stage is Stage.QUEUED:
            tracked.final, tracked.reason = OrderStatus.CANCELED, "cancelled before it was sent"
            return self._close(tracked)
        if tracked.stage is Stage.WORKING:
            return self._send_cancel(tracked, now_ms)
        return []

    def _send_cancel(self, tracked: Tracked, now_ms: int) -> list[Effect]:
        if tracked.cancelling or tracked.final is not None:
            return []
        tracked.cancelling = True
        tracked.cancel_wanted = False
        return [self._request("cancel", tracked, now_ms)]

    def _ask(self, tracked: Tracked, now_ms: int, kind: str = "query") -> list[Effect]:
        """Ask after an order, or for its trades, as soon as not too many are asked after."""
        if tracked.asking:
            return []
        tracked.asking = True
        tracked.asked_ms = now_ms
        self._asks.append((tracked.order.client_order_id, kind))
        return self._pump_asks(now_ms)

    def _pump_asks(self, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        while self._asks and self._asks_in_flight < ASKS_MAX:
            id_, kind = self._asks.popleft()
            tracked = self.tracked.get(id_)
            if tracked is not None:
                tracked.asked_ms = now_ms
                self._asks_in_flight += 1
                effects.append(self._request(kind, tracked, now_ms))
        return effects

    def _pump(self, now_ms: int) -> list[Effect]:
        effects = self._pump_asks(now_ms)
        for queue, reducing in ((self._urgent, True), (self._normal, False)):
            while queue and self.in_flight < IN_FLIGHT_MAX:
                tracked = self.tracked.get(queue[0])
                if tracked is None or tracked.stage is not Stage.QUEUED:
                    queue.popleft()
                    continue
                if now_ms - tracked.order.decided_ms > ORDER_MAX_AGE_MS:
                    queue.popleft()
                    effects += self._never_sent(tracked, "it waited too long to be sent")
                    continue
                if not self.budget.take(now_ms, reducing=reducing):
                    break
                queue.popleft()
                tracked.stage = Stage.SENT
                tracked.signed_ms = now_ms
                self.in_flight += 1
                self.sent += 1
                effects.append(self._request("place", tracked, now_ms))
        return effects

    def _request(self, kind: str, tracked: Tracked, now_ms: int) -> Request:
        return Request(
            kind=kind,
            symbol=tracked.order.symbol,
            client_order_id=tracked.order.client_order_id,
            order=tracked.order,
            exchange_order_id=tracked.exchange_order_id,
            timestamp_ms=now_ms,
        )
