"""What became of many orders of an earlier life at once, from the history of their symbol. Pure.

After kill -9 thousands may be of unknown fate: what waited here, and was never sent, above all. Queried one by one at 2,400
a minute their accounts would not be liquidated for minutes. The exchange lists a thousand orders of a symbol for the price
of five queries.

Rules
1. More than ``HANDFUL`` orders of a symbol that are not open are looked up in its history, orders and trades. What is
   listed is taken as a query's answer is; trades that are missing are asked for order by order, as ever.
2. A history says nothing final of an order that is not in it: it may lag behind. What it lacks is queried one by one as
   soon as the exchange can accept none of them any more, before which no answer would be final; who would have been sent
   first before others.
3. A second history, ``LAG_MS`` after that, ends what is left and not in that one either. Not so if one that the first one lacked turned out to be there: then the history does lag, and all are queried.
4. Without a history in time all are queried one by one. An order that is too old is at once; one that the exchange has
   acknowledged is not missing, whatever a history lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.core.safe_copy import pairs
from actors.core.trades import Trade
from actors.core.units import ClientOrderId, Symbol
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.gateway.messages import HistoryListed, Report
from actors.gateway.orders import FINAL_MARGIN_MS, Effect, History, Stage, Tracked, VenueRules
from actors.gateway.protocol import GatewayCore
from actors.gateway.service_order import RANK

HANDFUL = 20
"""So many orders of a symbol are queried one by one: they weigh as much as two histories of a page of orders and of trades."""

BEFORE_MS = 60_000
"""The history begins so long before the oldest order was decided: clocks differ."""

OLDEST_MS = 3_600_000
"""Orders decided longer ago are queried one by one: they would make the history long."""

ANSWER_MAX_MS = 30_000
"""How long a history is waited for."""

LAG_MS = 10_000
"""How far a history may lag behind."""


class _Lookup(msgspec.Struct):
    """A symbol's history: when it was asked for, for which orders, and those that a first one lacked."""

    asked_ms: int
    since_ms: int
    orders: list[ClientOrderId]
    singly_ms: int = 0
    again_ms: int = 0
    missing: set[ClientOrderId] = msgspec.field(default_factory=set)


class RecoveringCore(GatewayCore):
    """All orders under way, those of earlier lives looked up in pages. As of ``GatewayCore``."""

    def __init__(self, budget: OrderBudget, rules: VenueRules, fleets: Fleets) -> None:
        super().__init__(budget, rules, fleets)
        self._lookups: dict[Symbol, _Lookup] = {}
        self._final_after_ms = rules.recv_window_ms + rules.future_tolerance_ms + FINAL_MARGIN_MS

    def check_orders(self, now_ms: int) -> list[Effect]:
        """Timer: as ever, and wait no longer for histories that are overdue; ask for the second ones."""
        effects: list[Effect] = []
        for symbol, lookup in pairs(self._lookups):
            if lookup.singly_ms and now_ms > lookup.singly_ms:
                lookup.singly_ms = 0
                effects += self._query_all(lookup.orders, now_ms)
            elif lookup.again_ms and now_ms >= lookup.again_ms:
                lookup.again_ms, lookup.asked_ms = 0, now_ms
                effects += self._ask_again(symbol, lookup)
            elif not lookup.again_ms and now_ms - lookup.asked_ms >= ANSWER_MAX_MS:
                del self._lookups[symbol]
                effects += self._query_all(lookup.orders, now_ms)
        return effects + super().check_orders(now_ms)

    def history_listed(self, message: HistoryListed, now_ms: int) -> list[Effect]:
        """A symbol's orders and trades since those that were asked for."""
        lookup = self._lookups.get(message.symbol)
        if lookup is None or lookup.asked_ms != message.asked_ms or lookup.again_ms:
            return []
        del self._lookups[message.symbol]
        if message.orders is None or message.trades is None:
            return self._query_all(lookup.orders, now_ms)
        effects: list[Effect] = []
        listed = {report.client_order_id: report for report in message.orders}
        trades: dict[int, list[Trade]] = {}
        for trade in message.trades:
            trades.setdefault(trade.exchange_order_id, []).append(trade)
        unknown = self._unknown(lookup.orders)
        for tracked in unknown:
            report = listed.get(tracked.order.client_order_id)
            if report is not None:
                effects += self._found(tracked, report, trades.get(report.exchange_order_id, []), now_ms)
        missing = [t for t in unknown if t.order.client_order_id not in listed]
        if not lookup.missing:
            return effects + self._query_missing(message.symbol, lookup, missing, now_ms)
        if lookup.missing.isdisjoint(listed):
            effects += [e for t in missing if t.exchange_order_id is None for e in self._not_found(t, now_ms)]
        return effects

    def _ask_after(self, missing: Sequence[Tracked], now_ms: int) -> list[Effect]:
        """Orders that are not open: by their symbol's history when they are many, else one by one."""
        effects: list[Effect] = []
        by_symbol: dict[Symbol, list[Tracked]] = {}
        oldest_ms = now_ms + self.wall_ahead_ms - OLDEST_MS
        for tracked in missing:
            order = tracked.order
            if tracked.stage is Stage.UNKNOWN and tracked.of_earlier_life and order.decided_ms > oldest_ms:
                by_symbol.setdefault(order.symbol, []).append(tracked)
            else:
                effects += self._query(tracked, now_ms)
        for symbol, orders in by_symbol.items():
            if symbol in self._lookups:
                continue
            if len(orders) <= HANDFUL:
                effects += [e for tracked in orders for e in self._query(tracked, now_ms)]
                continue
            decided_ms = min(t.order.decided_ms for t in orders)
            since_ms = decided_ms - self.wall_ahead_ms + self.venue_ahead_ms - BEFORE_MS
            self._lookups[symbol] = _Lookup(now_ms, since_ms, [t.order.client_order_id for t in orders])
            for tracked in orders:
                tracked.awaits_history = True
            effects.append(History(symbol, since_ms, now_ms))
        return effects

    def _take_report(
        self, tracked: Tracked, report: Report, now_ms: int, *, rest: bool, listed: bool = False
    ) -> list[Effect]:
        effects = super()._take_report(tracked, report, now_ms, rest=rest, listed=listed)
        symbol = tracked.order.symbol
        lookup = self._lookups.get(symbol)
        if lookup is not None and tracked.order.client_order_id in lookup.missing:
            # It is there, so the history lags.
            del self._lookups[symbol]
            effects += self._query_all(
                [t.order.client_order_id for t in self._unknown(lookup.orders)], now_ms
            )
        return effects

    def _ask_again(self, symbol: Symbol, lookup: _Lookup) -> list[Effect]:
        if len(self._unknown(lookup.orders)) > HANDFUL:
            return [History(symbol, lookup.since_ms, lookup.asked_ms)]
        del self._lookups[symbol]
        return []

    def _found(self, tracked: Tracked, report: Report, trades: Sequence[Trade], now_ms: int) -> list[Effect]:
        tracked.awaits_history = False
        self._schedule.mark_active(tracked.order.client_order_id)
        effects = self._take_report(tracked, report, now_ms, rest=True)
        if trades and tracked.order.client_order_id in self.tracked:
            effects += self._take_trades(tracked, trades, now_ms)
        return effects

    def _query_missing(
        self, symbol: Symbol, lookup: _Lookup, missing: list[Tracked], now_ms: int
    ) -> list[Effect]:
        """What a first history lacks is queried, who would have been sent first before others."""
        missing.sort(key=lambda t: (RANK[t.order.order_class], -t.order.shortfall, t.order.decided_ms))
        ids = [t.order.client_order_id for t in missing]
        if len(ids) <= HANDFUL:
            return self._query_all(ids, now_ms)
        lookup.orders, lookup.missing = ids, set(ids)
        lookup.singly_ms = lookup.asked_ms + self._final_after_ms
        lookup.again_ms = lookup.singly_ms + LAG_MS
        self._lookups[symbol] = lookup
        # The exchange had one that it has acknowledged, so it is not missing.
        return self._query_all(
            [t.order.client_order_id for t in missing if t.exchange_order_id is not None], now_ms
        )

    def _unknown(self, ids: Iterable[ClientOrderId]) -> list[Tracked]:
        """Those whose fate is still unknown."""
        known = [self.tracked[id_] for id_ in ids if id_ in self.tracked]
        return [t for t in known if t.stage is Stage.UNKNOWN]

    def _query_all(self, ids: Iterable[ClientOrderId], now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        for id_ in ids:
            tracked = self.tracked.get(id_)
            if tracked is not None:
                tracked.awaits_history = False
                self._schedule.mark_active(id_)
                effects += self._query(tracked, now_ms)
        return effects
