"""Faults that somebody might make one day, each with the tests that must catch it (``python -m tests.faults``)."""

from __future__ import annotations

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """``before`` stands once in the file at ``path``; with ``after`` in its place the tests must fail."""

    name: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]


ARCHIVE = "tests/persistence/archive/"
PROTOCOL = "actors/gateway/protocol.py"
GATEWAY = "actors/gateway/actor.py"
SURVEYS = "actors/gateway/survey_schedule.py"
QUERIES = "actors/gateway/queries.py"
BUDGET = "actors/gateway/budget.py"
HTTP = "actors/venues/binance/http.py"
ORDERS = "actors/venues/binance/orders.py"
TRANSLATE = "actors/venues/binance/translate.py"
WRITER = "actors/persistence/actor.py"
MONEY_ROWS = "actors/persistence/projection/money.py"
ACCOUNT = "actors/subaccount/actor.py"
ADL = "actors/subaccount/adl.py"
EXCHANGE_EVENTS = "actors/subaccount/exchange_events.py"
POSITION = "actors/subaccount/position.py"
ACCOUNT_TRIGGERS = "actors/subaccount/triggers.py"
ORDER_ROWS = "actors/persistence/projection/orders.py"
POSITION_ROWS = "actors/persistence/projection/positions.py"
TRADE_ROWS = "actors/persistence/projection/trades.py"
PROJECTION = "actors/persistence/projection/store.py"
PROJECTOR = "actors/persistence/projection/actor.py"
BALANCES = "actors/persistence/projection/balances.py"
DISPATCHER = "actors/runtime/dispatcher.py"
MAILBOX = "actors/runtime/mailbox.py"
QUARANTINE = "actors/supervision/quarantine.py"
SUPERVISOR_CONTEXT = "actors/supervision/context.py"
TRIGGERS = "actors/symbol_router/trigger_index.py"
BOOK = "actors/symbol_router/book.py"
FEED = "actors/feed/actor.py"
RECONCILIATION = "actors/assembly/reconciliation.py"
DEPTH = "actors/venues/paper/depth.py"
MATCHING = "actors/venues/paper/matching.py"
ENGINE = "actors/assembly/engine.py"

ADOPTION = "tests/persistence/adoption/"
FRAMES = "actors/venues/binance/order_frames.py"
SOCKET = "actors/venues/binance/order_socket.py"
LOOKS = "actors/gateway/check_schedule.py"
WAITING = "actors/gateway/send_queue.py"
SLOTS = "actors/gateway/slots.py"
RECOVERY = "actors/gateway/recovery.py"
SERVICE_ORDER = "actors/gateway/service_order.py"
CONNECTION = "actors/persistence/connection.py"
STORE = "actors/persistence/store.py"
JOURNAL = "actors/persistence/journal.py"
OPEN_BOOKS = "actors/persistence/open_books.py"

OVER_SOCKET = ("tests/venues/binance/test_order_socket.py",)
FRAMED = ("tests/venues/binance/test_order_frames.py",)
HALTS = ("tests/test_halts.py",)
LOGS = ("tests/runtime/test_logs.py",)
LATE = ("tests/gateway/test_lost_and_late.py",)
ACTOR = ("tests/gateway/test_actor.py",)
RECOVERED = ("tests/gateway/test_recovery.py",)
SLOTS_TESTS = ("tests/gateway/test_slots.py",)
SERVED_FIRST = ("tests/gateway/test_service_order.py",)
HTTP_TESTS = ("tests/venues/binance/test_http.py",)
BATCHES = ("tests/venues/binance/test_batches.py",)
LEASE = ("tests/persistence/test_lease.py",)
CLEARING_ROWS = ("tests/persistence/test_clearing_rows.py",)
CLEARING_STREAMS = ("tests/persistence/test_clearing_streams.py",)
STORED = ("tests/persistence/test_store.py", "tests/persistence/test_lost_connections.py")
CONNECTED = ("tests/persistence/test_connection.py",)
DROP_COPIES = "tests/api/test_drop_copy.py::test_"
ROWS_TESTS = "tests/persistence/test_rows.py::"
PROJECTED = "tests/persistence/projection/test_store.py::"
TRANSLATED = ("tests/venues/binance/test_translate.py",)
SERVED = ("tests/runtime/test_dispatcher.py",)
PARKED = ("tests/test_quarantine.py",)
TOUCH = (
    "tests/symbol_router/test_trigger_index.py::test_what_touches_is_held_against_its_own_side_of_the_market",
)
FED = ("tests/feed/test_actor.py",)
COMPARED = ("tests/assembly/test_reconciliation.py",)

CHAIN = "actors/persistence/verify_chain.py"
CHAINED = ("tests/persistence/test_verify_chain.py",)
VERIFIED = ("tests/persistence/test_verify.py",)
ENDS = "actors/assembly/journal_ends.py"
ENDED = ("tests/assembly/test_journal_ends.py",)

CLEARING = "actors/clearing/protocol.py"
ROUNDS = "actors/clearing/rounds.py"
FORMING = "actors/clearing/forming.py"
BLOCKS = "actors/clearing/book.py"
CLEARED = ("tests/clearing/test_protocol.py",)
CLEARING_DAYS = ("tests/clearing/test_days.py",)
BYPASSED = ("tests/clearing/test_bypass.py",)
OUT_OF_SERVICE = ("tests/sim/test_clearing_out_of_service.py",)
EVERY_STEP = ("tests/clearing/test_every_step.py",)

DEPTH_TESTS = ("tests/venues/paper/test_depth.py",)

FAULTS = (
    Fault(
        "an order takes nothing out of the book",
        MATCHING,
        "            self.book.take(request.symbol, request.side, level, quantity, now_ms)\n",
        "",
        DEPTH_TESTS,
    ),
    Fault(
        "the book refills above its normal size",
        DEPTH,
        "        return self.quantity * _share_missing(passed)",
        "        return self.quantity * (2 * _share_missing(passed) - 1)",
        DEPTH_TESTS,
    ),
    Fault(
        "a level is taken at the price of the touch",
        MATCHING,
        "self.trade(order, quantity, level.price, now_ms, maker=False)",
        "self.trade(order, quantity, touch, now_ms, maker=False)",
        DEPTH_TESTS,
    ),
    Fault(
        "an order that a websocket lost goes by REST",
        ORDERS,
        "        if answer is not None:\n            return answer\n        return await self._http.place(",
        "        if answer is not None and not answer.cut_off:\n            return answer\n"
        "        return await self._http.place(",
        OVER_SOCKET,
    ),
    Fault(
        "a mistimed order goes by REST",
        ORDERS,
        "        if answer is not None:\n            return answer\n        return await self._http.place(",
        "        if answer is not None and answer.outcome is not Outcome.MISTIMED:\n            return answer\n"
        "        return await self._http.place(",
        OVER_SOCKET,
    ),
    Fault(
        "what no answer came to in time was not sent",
        SOCKET,
        "return Answer(Outcome.UNKNOWN, text.encode())",
        "return Answer(Outcome.NOT_SENT, text.encode())",
        OVER_SOCKET,
    ),
    Fault(
        "what a connection that ended left was not sent",
        SOCKET,
        "                Outcome.UNKNOWN, b",
        "                Outcome.NOT_SENT, b",
        OVER_SOCKET,
    ),
    Fault(
        "a connection that left a request unanswered takes more",
        SOCKET,
        "            connection.retire(text, failed=True)\n",
        "",
        OVER_SOCKET,
    ),
    Fault(
        "a connection that is given up is cut under what waits on it",
        SOCKET,
        "if self.retired and not self.pending:",
        "if self.retired:",
        OVER_SOCKET,
    ),
    Fault(
        "a refusal for too many on the websocket pauses nobody else",
        SOCKET,
        "self._throttle.settled(ticket, told.weight, told.pause_ms)",
        "self._throttle.settled(ticket, told.weight)",
        OVER_SOCKET,
    ),
    Fault(
        "the weight that the websocket tells is not learned",
        SOCKET,
        "self._throttle.settled(ticket, told.weight, told.pause_ms)",
        "self._throttle.settled(ticket, None, told.pause_ms)",
        OVER_SOCKET,
    ),
    Fault(
        "a dead websocket is not noticed",
        SOCKET,
        "            ping_interval=PING_SECONDS,\n",
        "            ping_interval=None,\n",
        OVER_SOCKET,
    ),
    Fault(
        "a proxy's answer on the websocket is final",
        FRAMES,
        "    if (status == 200) == (body not in EMPTY) or has_result == (body not in EMPTY):",
        "    if code is None and not has_result:\n        code = -2010\n    if has_result == (body not in EMPTY):",
        FRAMED,
    ),
    Fault(
        "order and error at once count as the order",
        FRAMES,
        "(status == 200) == (body not in EMPTY) or has_result == (body not in EMPTY)",
        "(status == 200) == (not has_result)",
        FRAMED,
    ),
    Fault(
        "the timer never comes to an order that was missed",
        LOOKS,
        "others = [self._round.pop() for _ in range(count)]",
        "others: list[ClientOrderId] = []",
        ("tests/gateway/test_check_schedule.py",),
    ),
    Fault(
        "a slot that nobody uses is never taken back",
        SLOTS,
        "            if now_ms - granted_ms < SLOT_UNUSED_MS:\n",
        "            if granted_ms:\n",
        SLOTS_TESTS,
    ),
    Fault(
        "a slot is used as often as one likes",
        SLOTS,
        "        del self._held[slot]\n        self.used += 1\n",
        "        self.used += 1\n",
        SLOTS_TESTS,
    ),
    Fault(
        "a slot is used for an order of another class",
        SLOTS,
        "if slot not in self._held or self._held[slot][0] != group:",
        "if slot not in self._held:",
        SLOTS_TESTS,
    ),
    Fault(
        "a slot that is held does not count in the windows",
        BUDGET,
        "        return len(self._under_way) + len(self.slots)\n",
        "        return len(self._under_way)\n",
        SLOTS_TESTS,
    ),
    Fault(
        "a slot of an order that is known already is never given back",
        PROTOCOL,
        "        if slot:\n            self.budget.slots.give_back(slot)\n",
        "",
        SLOTS_TESTS,
    ),
    Fault(
        "slots outlive the gateway that granted them",
        GATEWAY,
        "        self._core.budget.slots.take_back_all()\n",
        "",
        ACTOR,
    ),
    Fault(
        "new risk goes before liquidations",
        "actors/gateway/send_policy.py",
        "        for order_class in OrderClass:\n            yield from",
        "        for order_class in reversed(OrderClass):\n            yield from",
        SERVED_FIRST,
    ),
    Fault(
        "the largest shortfall goes last",
        SERVICE_ORDER,
        "ZERO if by_turns else -shortfall",
        "ZERO if by_turns else shortfall",
        SERVED_FIRST,
    ),
    Fault(
        "who sends a hundred orders has a hundred turns in a round",
        SERVICE_ORDER,
        "            self._served.add(participant)\n",
        "",
        SERVED_FIRST,
    ),
    Fault(
        "the first of a crowd use up the window",
        BUDGET,
        "            if left > 0 and used >= burst:\n",
        "            if left > 10**9 and used >= burst:\n",
        ("tests/gateway/test_pacing.py",),
    ),
    Fault(
        "a step that is cancelled while it waits is counted as refused",
        PROTOCOL,
        '"cancelled before it was sent"\n        return self._close(tracked, waited=True)\n',
        '"cancelled before it was sent"\n        return self._close(tracked)\n',
        SLOTS_TESTS,
    ),
    Fault(
        "what waits in a clearing is queried, and then never sent",
        GATEWAY,
        "[o for o in recovery.working if not self._kept_elsewhere(o)]",
        "list(recovery.working)",
        ACTOR,
    ),
    Fault(
        "new risk of an earlier life is decided again",
        "actors/gateway/orders.py",
        "reduces = order.order_class is OrderClass.REDUCING and order.order_type is OrderType.MARKET",
        "reduces = order.order_type is OrderType.MARKET",
        SLOTS_TESTS,
    ),
    Fault(
        "what the first history lacks is never sent",
        RECOVERY,
        "        if not lookup.missing:\n",
        "        if len(lookup.missing) > 10**9:\n",
        RECOVERED,
    ),
    Fault(
        "a history that lags behind ends orders that are there",
        RECOVERY,
        "        if lookup.missing.isdisjoint(listed):\n",
        "        if lookup.missing:\n",
        RECOVERED,
    ),
    Fault(
        "an order that the exchange acknowledged is missing in a history",
        RECOVERY,
        "for t in missing if t.exchange_order_id is None for e",
        "for t in missing for e",
        RECOVERED,
    ),
    Fault(
        "a history that never comes is waited for for ever",
        RECOVERY,
        "elif not lookup.again_ms and now_ms - lookup.asked_ms >= ANSWER_MAX_MS:",
        "elif not lookup.again_ms and now_ms < lookup.asked_ms:",
        RECOVERED,
    ),
    Fault(
        "a turn is kept for ever for who is decided anew",
        WAITING,
        "while self._expected_ends and self._expected_ends[0][0] < now_ms:",
        "while False:",
        ("tests/gateway/test_send_queue.py",),
    ),
    Fault(
        "an order waits for more to be written with it",
        WRITER,
        "    return any(isinstance(fact, OrderIntended | CancelIntended) for fact in item.facts)\n",
        "    return False\n",
        ("tests/persistence/test_gathering.py",),
    ),
    Fault(
        "who asked waits for more to be written with it",
        WRITER,
        "    if not isinstance(item, Persist) or item.reply_to is not None:\n",
        "    if not isinstance(item, Persist):\n",
        ("tests/persistence/test_gathering.py",),
    ),
    Fault(
        "Postgres plans by what it believed of empty tables",
        CONNECTION,
        "-c enable_seqscan=off ",
        "",
        ("tests/persistence/test_plans.py",),
    ),
    Fault(
        "a trades answer never frees its slot",
        PROTOCOL,
        "        self._queries.answered(message.client_order_id)\n        effects = self._send_queries(now_ms)\n",
        "        effects = self._send_queries(now_ms)\n",
        LATE,
    ),
    Fault(
        "a query answer never frees its slot",
        PROTOCOL,
        '        if message.request == "query":\n            self._queries.answered(message.client_order_id)\n',
        "",
        (
            "tests/gateway/test_protocol.py::test_never_more_queries_at_once_than_the_bound_and_each_gets_its_turn",
        ),
    ),
    Fault(
        "a throttled query puts a sent order back",
        PROTOCOL,
        'if message.request == "place" and tracked.stage is Stage.SENT:\n            # A throttled',
        "if tracked.stage is Stage.SENT:\n            # A throttled",
        LATE,
    ),
    Fault(
        "a throttled place puts an order back that works already",
        PROTOCOL,
        'if message.request == "place" and tracked.stage is Stage.SENT:\n            # A throttled',
        'if message.request == "place":\n            # A throttled',
        LATE,
    ),
    Fault(
        "a lagging trades answer lowers executed",
        PROTOCOL,
        "tracked.executed = max(tracked.executed, tracked.delivered)",
        "tracked.executed = tracked.delivered",
        LATE,
    ),
    Fault(
        "an old report lowers executed",
        PROTOCOL,
        "tracked.executed = max(tracked.executed, report.executed)",
        "tracked.executed = report.executed",
        LATE,
    ),
    Fault(
        "a cancel is forgotten after a 429",
        PROTOCOL,
        '        if message.request == "cancel":\n            tracked.cancel_wanted = True\n        return effects',
        "        return effects",
        LATE,
    ),
    Fault(
        "a cancel is forgotten while the order is SENT",
        PROTOCOL,
        "        tracked.cancel_wanted = True\n        if tracked.stage is Stage.QUEUED:",
        "        tracked.cancel_wanted = tracked.stage is not Stage.SENT\n        if tracked.stage is Stage.QUEUED:",
        LATE,
    ),
    Fault(
        "a cancel is forgotten while the order is UNKNOWN",
        PROTOCOL,
        "        tracked.cancel_wanted = True\n        if tracked.stage is Stage.QUEUED:",
        "        tracked.cancel_wanted = tracked.stage is not Stage.UNKNOWN\n        if tracked.stage is Stage.QUEUED:",
        LATE,
    ),
    Fault(
        "a cancel asked for before a crash is forgotten",
        GATEWAY,
        "        cancel_wanted=known.cancel_requested,\n",
        "",
        ACTOR,
    ),
    Fault(
        "one duplicate drops those behind it",
        PROTOCOL,
        "                self.duplicates += 1\n                continue\n",
        "                self.duplicates += 1\n                break\n",
        LATE,
    ),
    Fault(
        "learned limits are swapped",
        GATEWAY,
        "core.budget.set_limits(message.orders_per_10s, message.orders_per_minute)",
        "core.budget.set_limits(message.orders_per_minute, message.orders_per_10s)",
        ACTOR,
    ),
    Fault(
        "a venue's limits are swapped",
        BUDGET,
        "cls(rules.orders_per_10s, rules.orders_per_minute)",
        "cls(rules.orders_per_minute, rules.orders_per_10s)",
        LATE,
    ),
    Fault(
        "told limits are swapped",
        ORDERS,
        "LimitsLearned(orders_per_10s=venue.orders_per_10s, orders_per_minute=venue.orders_per_minute)",
        "LimitsLearned(orders_per_10s=venue.orders_per_minute, orders_per_minute=venue.orders_per_10s)",
        BATCHES,
    ),
    Fault(
        "discovered limits are swapped",
        "actors/venues/binance/discovery.py",
        '        limits.get(("ORDERS", "SECOND", 10), RULES.orders_per_10s),\n        limits.get(("ORDERS", "MINUTE", 1), RULES.orders_per_minute),\n',
        '        limits.get(("ORDERS", "MINUTE", 1), RULES.orders_per_minute),\n        limits.get(("ORDERS", "SECOND", 10), RULES.orders_per_10s),\n',
        ("tests/venues/binance/test_asking.py",),
    ),
    Fault(
        "windows are swapped", BUDGET, "WINDOWS_MS = (10_000, 60_000)", "WINDOWS_MS = (60_000, 10_000)", LATE
    ),
    Fault(
        "a minute has 50 seconds",
        BUDGET,
        "WINDOWS_MS = (10_000, 60_000)",
        "WINDOWS_MS = (10_000, 50_000)",
        LATE,
    ),
    Fault(
        "ten seconds are nine", BUDGET, "WINDOWS_MS = (10_000, 60_000)", "WINDOWS_MS = (9_000, 60_000)", LATE
    ),
    Fault(
        "a read time-out is taken for not sent",
        HTTP,
        "except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:",
        "except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ReadTimeout) as error:",
        HTTP_TESTS,
    ),
    Fault(
        "a connection that was cut is taken for not sent",
        HTTP,
        "except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:",
        "except (httpx.TransportError,) as error:",
        HTTP_TESTS,
    ),
    Fault(
        "orders are sent after the lease ran out",
        GATEWAY,
        'if request.kind != "place" or self._gate.may_send(self._cell.dispatcher.clock.monotonic_ns()):',
        "if request.kind:",
        ACTOR,
    ),
    Fault(
        "cancels end with the lease",
        GATEWAY,
        'if request.kind != "place" or self._gate.may_send(self._cell.dispatcher.clock.monotonic_ns()):',
        "if self._gate.may_send(self._cell.dispatcher.clock.monotonic_ns()):",
        ACTOR,
    ),
    Fault(
        "a lease does not end",
        "actors/supervision/gate.py",
        "self._lease_until_ns is None or now_ns < self._lease_until_ns",
        "True",
        ("tests/supervision/test_gate.py",),
    ),
    Fault(
        "the user stream is back and nothing is asked for",
        PROTOCOL,
        "            tracked.predates_stream = True\n        return self._surveys.ask_anew(now_ms)",
        "            tracked.predates_stream = True\n        return []",
        LATE,
    ),
    Fault(
        "trades of zero or less are taken",
        TRANSLATE,
        "if sane(value) <= 0:",
        "if sane(value) == 7:",
        TRANSLATED,
    ),
    Fault("trades of zero are taken", TRANSLATE, "if sane(value) <= 0:", "if sane(value) < 0:", TRANSLATED),
    Fault("trades of NaN are taken", TRANSLATE, "if sane(value) <= 0:", "if value <= 0:", TRANSLATED),
    Fault(
        "a lease is never renewed after one failed try",
        WRITER,
        "        finally:\n            self._cell.dispatcher.after(RENEW_EVERY",
        "        else:\n            self._cell.dispatcher.after(RENEW_EVERY",
        LEASE,
    ),
    Fault(
        "a lease is counted from after the answer",
        WRITER,
        "self._gate.extend_lease(before_ns + (seconds",
        "self._gate.extend_lease(clock.monotonic_ns() + (seconds",
        LEASE,
    ),
    Fault(
        "a lease is used to its last moment", WRITER, "(seconds - LEASE_MARGIN_SECONDS)", "(seconds)", LEASE
    ),
    Fault(
        "two projectors project the same",
        PROJECTION,
        "execute(MOVE, asked).rowcount != 1",
        "execute(MOVE, asked).rowcount > 1",
        (PROJECTED + "test_two_projectors_do_not_project_twice",),
    ),
    Fault(
        "an account that is left out is projected on",
        PROJECTION,
        "wanted = self._not_parked(connection, decisions)",
        "wanted = list(decisions)",
        (
            PROJECTED
            + "test_one_bad_decision_leaves_out_its_account_alone_and_a_release_projects_what_it_missed",
        ),
    ),
    Fault(
        "what the platform paid in is overwritten",
        BALANCES,
        "ELSE found + own END",
        "ELSE after END",
        (
            PROJECTED
            + "test_what_the_platform_changed_of_a_balance_stays_and_is_a_difference_until_it_is_booked",
        ),
    ),
    Fault(
        "what is handed over is taken with a gap in it",
        PROJECTOR,
        "follows = not self._handed or self._handed[-1].position + 1 == committed.first",
        "follows = True",
        ("tests/persistence/projection/test_actor.py",),
    ),
    Fault(
        "a rebuild writes the platform's rows once more",
        "actors/persistence/projection/batch.py",
        "if t in self._rows and (t.is_ours or not self._is_rebuilt)]",
        "if t in self._rows]",
        ("tests/persistence/projection/test_rebuild.py",),
    ),
    Fault(
        "a liquidation is logged as a trade",
        MONEY_ROWS,
        'reason = "LIQUIDATION" if fact.purpose',
        'reason = "TRADE_PNL" if fact.purpose',
        (ROWS_TESTS + "test_a_liquidation_is_called_so_wherever_it_is_read",),
    ),
    Fault(
        "deleveraging is logged as a trade",
        MONEY_ROWS,
        'reason = f"ADL_TIER{fact.tier}"',
        'reason = "TRADE_PNL"',
        (ROWS_TESTS + "test_deleveraging_is_called_so_with_its_tier",),
    ),
    Fault(
        "deleveraging is logged without its tier",
        MONEY_ROWS,
        'reason = f"ADL_TIER{fact.tier}"',
        'reason = "ADL_TIER0"',
        (ROWS_TESTS + "test_deleveraging_is_called_so_with_its_tier",),
    ),
    Fault(
        "a close-out is logged as a trade",
        MONEY_ROWS,
        'reason = "CLOSE_OUT"',
        'reason = "TRADE_PNL"',
        (ROWS_TESTS + "test_a_close_out_is_called_so_wherever_it_is_read",),
    ),
    Fault(
        "funding is logged as a trade",
        MONEY_ROWS,
        'fact.amount, "FUNDING")',
        'fact.amount, "TRADE_PNL")',
        (ROWS_TESTS + "test_profit_deposits_and_funding_have_their_reasons",),
    ),
    Fault(
        "bad debt is logged as a trade",
        MONEY_ROWS,
        'fact.amount, "BAD_DEBT")',
        'fact.amount, "TRADE_PNL")',
        (ROWS_TESTS + "test_a_liquidation_is_called_so_wherever_it_is_read",),
    ),
    Fault(
        "a take-over is logged as a trade",
        POSITION_ROWS,
        'batch.balance(fact.realized - fact.fee, "ADMIN_TAKEOVER")',
        'batch.balance(fact.realized - fact.fee, "TRADE_PNL")',
        (ROWS_TESTS + "test_what_the_house_takes_over_is_flagged_with_who_and_when",),
    ),
    Fault(
        "a later fee is logged as a trade",
        MONEY_ROWS,
        'batch.balance(-fact.fee, "FEE",',
        'batch.balance(-fact.fee, "TRADE_PNL",',
        ("tests/persistence/test_fee_rows.py::test_a_pending_fee_survives_and_is_booked_in_every_table",),
    ),
    Fault(
        "filled and cancelled times are swapped",
        ORDER_ROWS,
        "filled_at=decided.at if filled else None",
        "filled_at=None if filled else decided.at",
        (ROWS_TESTS + "test_a_resting_order_ends_at_its_own_time_and_at_no_other",),
    ),
    Fault(
        "an expired order is stored as cancelled",
        ORDER_ROWS,
        'else "EXPIRED" if fact.status is OrderStatus.EXPIRED else',
        'else "CANCELLED" if fact.status is OrderStatus.EXPIRED else',
        (ROWS_TESTS + "test_a_resting_order_ends_at_its_own_time_and_at_no_other",),
    ),
    Fault(
        "a partial close ends the platform's position",
        POSITION_ROWS,
        "(held is None or fact.trade.quantity > fact.closed_quantity)",
        "True",
        (ROWS_TESTS + "test_a_partial_close_leaves_the_position_open_with_what_it_realized",),
    ),
    Fault(
        "a flip leaves the platform's old position open",
        POSITION_ROWS,
        "(held is None or fact.trade.quantity > fact.closed_quantity)",
        "held is None",
        (ROWS_TESTS + "test_a_flip_closes_one_position_and_opens_another",),
    ),
    Fault(
        "what was closed is stored as taken over",
        POSITION_ROWS,
        '"taken_over": taken_at is not None',
        '"taken_over": True',
        (ROWS_TESTS + "test_a_partial_close_leaves_the_position_open_with_what_it_realized",),
    ),
    Fault(
        "what was taken over is not flagged",
        POSITION_ROWS,
        '"taken_over": taken_at is not None',
        '"taken_over": False',
        (ROWS_TESTS + "test_what_the_house_takes_over_is_flagged_with_who_and_when",),
    ),
    Fault(
        "the house takes nothing over",
        POSITION_ROWS,
        "            batch.of(HOUSE_POSITION).put(fact.symbol, quantity=fact.quantity)\n",
        "",
        (ROWS_TESTS + "test_what_the_house_takes_over_is_flagged_with_who_and_when",),
    ),
    Fault(
        "a liquidated position is stored as closed",
        TRADE_ROWS,
        'return "LIQUIDATE", "LIQUIDATED"',
        'return "LIQUIDATE", "CLOSED"',
        (ROWS_TESTS + "test_a_liquidation_is_called_so_wherever_it_is_read",),
    ),
    Fault(
        "a liquidating trade is stored as a close",
        TRADE_ROWS,
        'return "LIQUIDATE", "LIQUIDATED"',
        'return "CLOSE", "LIQUIDATED"',
        (ROWS_TESTS + "test_a_liquidation_is_called_so_wherever_it_is_read",),
    ),
    Fault(
        "a held actor serves control messages",
        DISPATCHER,
        "        cell.mailbox.serve(Serving.NOTHING)\n        cell.status = Status.CRASHED\n\n",
        "        cell.mailbox.serve(Serving.CONTROL_ONLY)\n        cell.status = Status.CRASHED\n\n",
        SERVED,
    ),
    Fault(
        "a quarantined actor serves control messages",
        DISPATCHER,
        "        cell.mailbox.serve(Serving.NOTHING)\n        cell.status = Status.QUARANTINED\n",
        "        cell.mailbox.serve(Serving.CONTROL_ONLY)\n        cell.status = Status.QUARANTINED\n",
        SERVED,
    ),
    Fault(
        "a crashed actor serves control messages",
        DISPATCHER,
        "        cell.status = Status.CRASHED\n        cell.mailbox.serve(Serving.NOTHING)\n",
        "        cell.status = Status.CRASHED\n        cell.mailbox.serve(Serving.CONTROL_ONLY)\n",
        SERVED,
    ),
    Fault(
        "a restart drops waiting fills",
        MAILBOX,
        "            self._control = [envelope, *(self._control or ())]\n",
        "            self._control, self._fills = [envelope, *(self._control or ())], None\n",
        SERVED,
    ),
    Fault(
        "a restart drops waiting control messages",
        MAILBOX,
        "            self._control = [envelope, *(self._control or ())]\n",
        "            self._control = [envelope]\n",
        SERVED,
    ),
    Fault(
        "a second quarantine parks the guard, by hand",
        QUARANTINE,
        "        if ref is None or id_ in registry.quarantined:\n            return False\n        ref.cell.dispatcher.quarantine",
        "        if ref is None:\n            return False\n        ref.cell.dispatcher.quarantine",
        PARKED,
    ),
    Fault(
        "a second quarantine parks the guard as the account",
        QUARANTINE,
        "        if id_ in registry.quarantined:\n            return\n        self._parking.forget(id_)",
        "        self._parking.forget(id_)",
        PARKED,
    ),
    Fault(
        "a late guard replaces a released account",
        QUARANTINE,
        "        if own is None or registry.accounts[id_].cell is not own.cell:\n            return\n        guard = registry.accounts[id_] = registry.start_guard",
        "        guard = registry.accounts[id_] = registry.start_guard",
        PARKED,
    ),
    Fault(
        "touch triggers compare the wrong side at registration",
        TRIGGERS,
        "now = float(tick.bid if trigger.below else tick.ask)",
        "now = float(tick.ask if trigger.below else tick.bid)",
        TOUCH,
    ),
    Fault(
        "touch triggers compare the mid at registration",
        TRIGGERS,
        "                if trigger.touch:\n                    now = float(tick.bid if trigger.below else tick.ask)\n",
        "",
        TOUCH,
    ),
    Fault(
        "touch triggers compare the wrong side at a tick",
        TRIGGERS,
        "self._pop(entry.below_bid, -float(tick.bid), woken)",
        "self._pop(entry.below_bid, -float(tick.ask), woken)",
        TOUCH,
    ),
    Fault(
        "an older price is accepted",
        BOOK,
        "return tick.event_ms > known.event_ms",
        "return True",
        ("tests/symbol_router/test_trigger_index.py::test_the_book_never_goes_back_in_time",),
    ),
    Fault(
        "an older price is accepted from REST",
        BOOK,
        "if known is not None and not tick.update_id and tick.event_ms >= known.event_ms:",
        "if known is not None and not tick.update_id:",
        (
            "tests/symbol_router/test_trigger_index.py::test_an_answer_of_rest_without_a_number_is_as_old_as_its_time",
        ),
    ),
    Fault("REST is asked at three times the age", FEED, "self._max_age_ns // 3", "self._max_age_ns * 3", FED),
    Fault(
        "settle time is ignored",
        RECONCILIATION,
        "deadline = time.monotonic() + settle_seconds",
        "deadline = time.monotonic()",
        COMPARED,
    ),
    Fault(
        "only what we hold is compared",
        RECONCILIATION,
        "{*books.virtual, *books.house, *books.in_flight, *master, *listed}",
        "{*books.virtual, *books.house, *books.in_flight, *listed}",
        COMPARED,
    ),
    Fault(
        "the house is left out",
        RECONCILIATION,
        "return self.master - self.virtual - self.house",
        "return self.master - self.virtual",
        COMPARED,
    ),
    # What these found in the code as it was, and what was cured with them.
    Fault(
        "answers of a batch are taken in the order of the questions",
        ORDERS,
        '    if all(name in {"", id_} for name, id_ in zip(named_ids, ids, strict=True)):\n        return parts\n',
        "    return parts\n",
        BATCHES,
    ),
    Fault(
        "an answer about another order is taken",
        "actors/gateway/messages.py",
        "        if report is None or report.client_order_id == self.client_order_id:\n            return self\n",
        "        return self\n",
        LATE,
    ),
    Fault(
        "answers that an earlier run asked for make room for more",
        QUERIES,
        "len(self._sent) < QUERIES_MAX",
        "len(self._sent) < 2 * QUERIES_MAX",
        LATE,
    ),
    Fault(
        "a look at everything is waited for for ever",
        SURVEYS,
        "is_time or self._wanted or never_answered else []",
        "is_time or self._wanted else []",
        LATE,
    ),
    Fault(
        "what an opening trade changed names a trade that there is not",
        MONEY_ROWS,
        "    leg = int(fact.closed_quantity == ZERO)\n    batch.balance(fact.realized",
        "    leg = 0\n    batch.balance(fact.realized",
        (ROWS_TESTS + "test_what_a_trade_changed_names_a_trade_that_there_is",),
    ),
    Fault(
        "a halt is told of before it is set",
        ENGINE,
        '            self.halted.set()\n            log.critical("the engine halts", reason=reason)\n',
        '            log.critical("the engine halts", reason=reason)\n            self.halted.set()\n',
        HALTS,
    ),
    Fault(
        "a stop ends at the first part that fails",
        ENGINE,
        "            try:\n                step()\n            except Exception:\n",
        "            try:\n                step()\n            except BulkheadError:\n",
        HALTS,
    ),
    Fault(
        "the supervisor raises the alarm before it halts",
        SUPERVISOR_CONTEXT,
        '        self.registry.halt(reason)\n        self.registry.alarm(Critical(f"the engine halts: {reason}"))\n',
        '        self.registry.alarm(Critical(f"the engine halts: {reason}"))\n        self.registry.halt(reason)\n',
        HALTS,
    ),
    Fault(
        "a dead Postgres stays dead",
        "actors/persistence/caretaker.py",
        "            database.revive()\n",
        "            pass\n",
        ("tests/persistence/test_caretaker.py",),
    ),
    Fault(
        "two engines share a data folder",
        "actors/assembly/folder_lock.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        ("tests/assembly/test_folder_lock.py",),
    ),
    Fault(
        "log lines without room are not counted",
        "actors/runtime/logs.py",
        '            if self._waiting + cost > self._bytes_max:\n                self._dropped += max(1, data.count(b"\\n"))\n',
        "            if self._waiting + cost > self._bytes_max:\n",
        LOGS,
    ),
    Fault(
        "log lines that cannot be written are not counted",
        "actors/runtime/logs.py",
        '                if error:\n                    self._dropped += max(1, data.count(b"\\n"))\n',
        "",
        LOGS,
    ),
    Fault(
        "a secret is logged",
        "actors/runtime/logs.py",
        "            redact,\n            structlog.processors.format_exc_info",
        "            structlog.processors.format_exc_info",
        LOGS,
    ),
    Fault(
        "a tap that ended takes a new follower's away",
        "actors/runtime/cell.py",
        "            if self.tap is tap:\n",
        "            if self.tap is not None:\n",
        ("tests/runtime/test_tap.py",),
    ),
    Fault(
        "a guard is taken for its account",
        "actors/supervision/registry.py",
        "            if found is None or not is_guard(found.name):\n",
        "            if found is None or found is not None:\n",
        PARKED,
    ),
    Fault(
        "a commit does not prove its epoch",
        STORE,
        "            self._fence()\n            self._end.learn(self._connection, {d.stream",
        "            self._end.learn(self._connection, {d.stream",
        STORED,
    ),
    Fault(
        "whatever a lost connection had in hand counts as durable",
        STORE,
        "landed = [d for d in pending if sent.get(id(d)) in found]",
        "landed = list(pending)",
        STORED,
    ),
    Fault(
        "orders are forwarded before their commit",
        WRITER,
        "        results = self._store.commit(batch)\n",
        "        early = tuple(f for d in batch for f in d.facts if isinstance(f, OrderIntended))\n"
        '        self._actors["gateway"].tell(Submit(early, ()))\n'
        "        results = self._store.commit(batch)\n",
        ("tests/persistence/test_actor.py",),
    ),
    Fault(
        "a commit need not wait for the disk",
        CONNECTION,
        "            connection.execute(WAIT_FOR_DISK)\n",
        "            pass\n",
        CONNECTED,
    ),
    Fault(
        "a server that never waits for its disk will do",
        CONNECTION,
        'if fsync == "off":',
        'if fsync == "never":',
        CONNECTED,
    ),
    Fault(
        "a check of the journal does not look at hashes of rows",
        CHAIN,
        "return row.sequence == head.sequence + 1 and row.hash == _hash_of(row, head.hash)",
        "return row.sequence == head.sequence + 1",
        CHAINED,
    ),
    Fault(
        "a check of the journal does not look at roots",
        CHAIN,
        "        if not is_right:\n",
        "        if False:\n",
        CHAINED,
    ),
    Fault(
        "a check of the journal forgets what this machine knows of its end",
        CHAIN,
        "if self._known:  # what is left of it",
        "if not self.position:  # what is left of it",
        CHAINED,
    ),
    Fault(
        "a snapshot that says something else than the journal is passed over",
        "actors/persistence/verify_states.py",
        "        if kept != made:\n",
        "        if False:\n",
        VERIFIED,
    ),
    Fault(
        "a trade without its key is passed over",
        "actors/persistence/verify_states.py",
        "        for key in map(TradeKey._make, lacking):\n",
        "        for key in map(TradeKey._make, []):\n",
        VERIFIED,
    ),
    Fault(
        "an engine starts on a journal that ends too early",
        ENDS,
        "    check(roots, fleet_of(connection), end_of(connection), root_at)\n",
        "    del roots, root_at\n",
        ENDED,
    ),
    Fault(
        "what an operator accepts is not in the audit",
        ENDS,
        '        operator_log.begin(OperatorAction(who, ACCEPT, "database", detail))[1].result(STOP_SECONDS)\n',
        "        del who, detail\n",
        ENDED,
    ),
    Fault(
        "a stale owner's projector goes on",
        "actors/persistence/projection/store.py",
        "        AND (%(epoch)s::bigint IS NULL OR EXISTS (",
        "        AND (%(epoch)s::bigint IS NULL OR true OR EXISTS (",
        ("tests/persistence/projection/test_successor.py",),
    ),
    Fault(
        "a block is sent before it is durable",
        CLEARING,
        "        effects = self._decide([fact], folded(self.state, [fact]), [], forming=forming)\n",
        "        effects = self._decide([fact], folded(self.state, [fact]), [], forming=forming)\n        effects.append(ToGateway(Submit((fact.order,), (), grant.slot)))\n",
        CLEARING_DAYS,
    ),
    Fault(
        "members hear of a round before it is durable",
        CLEARING,
        "        effects = self._decide(facts, state, told, ended=number if ends else None)\n",
        "        effects = [*self._decide(facts, state, [], ended=number if ends else None), *told]\n",
        CLEARING_DAYS,
    ),
    Fault(
        "a round's trades are given again",
        CLEARING,
        "            heard.decide(trades)\n",
        "            del trades\n",
        CLEARING_DAYS,
    ),
    Fault(
        "a trade may be allocated twice",
        "actors/clearing/fold.py",
        "    if again := set(ids).intersection(",
        "    if again := set[int]().intersection(",
        ("tests/clearing/test_fold.py",),
    ),
    Fault(
        "a round is given over whole quantities, not over what is lacked",
        ROUNDS,
        "allocate(block.lacks(), trades, step)",
        "allocate({m.client_order_id: m.quantity for m in block.members}, trades, step)",
        CLEARING_DAYS,
    ),
    Fault(
        "a member may get more than its quantity",
        "actors/clearing/fold.py",
        "part.quantity > lacks.pop(part.client_order_id, ZERO)",
        "part.client_order_id not in lacks",
        ("tests/clearing/test_fold.py",),
    ),
    Fault(
        "what is left of a round goes to the first in the list",
        "actors/clearing/allocation.py",
        "        remainders.sort()\n",
        "",
        ("tests/clearing/test_allocation.py",),
    ),
    Fault(
        "new risk goes out in one block with liquidations",
        BLOCKS,
        "    return Group(order.symbol, order.side, order.order_class)",
        "    return Group(order.symbol, order.side, OrderClass.LIQUIDATION)",
        CLEARING_DAYS,
    ),
    Fault(
        "a slot that nobody needs is kept",
        CLEARING,
        "            return [returned, *self._next(at)]\n",
        "            return self._next(at)\n",
        CLEARED,
    ),
    Fault(
        "the slot of a block whose decision is lost is kept",
        CLEARING,
        "        if forming.slot:\n            effects.append(",
        "        if not forming.slot:\n            effects.append(",
        CLEARED,
    ),
    Fault(
        "a slot of a gateway that is gone is used",
        CLEARING,
        "            forming.slot = 0\n",
        "            del forming\n",
        CLEARED,
    ),
    Fault(
        "an order that waited counts as refused",
        "actors/clearing/waiting.py",
        "            waited=True,\n",
        "            waited=False,\n",
        CLEARED,
    ),
    Fault(
        "members of a block whose decision is lost are forgotten",
        CLEARING,
        "            self.book.returns(waiting, at.now_ms)\n            if",
        "            if",
        CLEARING_DAYS,
    ),
    Fault(
        "a member goes on waiting",
        CLEARING,
        "        book.leave(chosen.taken)\n",
        "",
        CLEARING_DAYS,
    ),
    Fault(
        "a block is forgotten before its members booked it",
        CLEARING,
        " and not book.unbooked[b.number]",
        "",
        CLEARING_DAYS,
    ),
    Fault(
        "a stale order is sent",
        FORMING,
        "at.wall_ms - one.fresh_ms > STALE_MS",
        "at.wall_ms - one.fresh_ms > 10 * STALE_MS",
        CLEARED,
    ),
    Fault(
        "a block ends before its last trades are known",
        ROUNDS,
        "closed is not None and heard.executed == closed.executed_quantity",
        "closed is not None",
        CLEARING_DAYS,
    ),
    Fault(
        "members of a block that was never sent are told that it was",
        ROUNDS,
        "waited=again, again=again)",
        "waited=False, again=False)",
        CLEARED,
    ),
    Fault(
        "a crashed actor's members never hear what it had not told",
        CLEARING,
        "        if book.was_loaded or book.was_bypassed:\n",
        "        if not book.was_loaded:\n",
        CLEARED,
    ),
    Fault(
        "a member of a block that nobody can read is asked for by its own id",
        "actors/clearing/bypass.py",
        "    if book.was_loaded:\n        return False\n",
        "    return False\n",
        BYPASSED,
    ),
    Fault(
        "the gateway asks after the members of a block that nobody can read",
        "actors/clearing/actor.py",
        "        return may_be_member(self.book(symbol), order)\n",
        "        return False\n",
        OUT_OF_SERVICE,
    ),
    Fault(
        "a block that was not sent when its clearing failed is sent an hour later",
        "actors/clearing/bypass.py",
        "        book.forming.clear()\n        book.pending.clear()\n",
        "",
        BYPASSED,
    ),
    Fault(
        "what waited in a clearing that is bypassed hangs",
        "actors/clearing/bypass.py",
        "[*effects, *all_given_back(book, at), *self._gathered(at)]",
        "[*effects, *self._gathered(at)]",
        BYPASSED,
    ),
    Fault(
        "a clearing that is bypassed still forms blocks",
        "actors/clearing/actor.py",
        "forms = self._service.serves is Serves.BLOCKS",
        "forms = True",
        OUT_OF_SERVICE,
    ),
    Fault(
        "a clearing closes the gate for all symbols",
        "actors/supervision/gate.py",
        "self.reduce_only = len(self._closers) > len(symbols)",
        "self.reduce_only = bool(self._closers)",
        OUT_OF_SERVICE,
    ),
    Fault(
        "an operator's restart leaves a clearing as it is",
        "supervisor.py",
        "            spec.fallback.restore()\n",
        "            pass\n",
        OUT_OF_SERVICE,
    ),
    Fault(
        "switched off, a clearing forgets the blocks of an earlier run",
        "actors/assembly/build.py",
        "symbols = [s for s in symbols if s in known_blocks or s in unreadable]",
        "symbols = []",
        OUT_OF_SERVICE,
    ),
    Fault(
        "a clearing that cannot be read starts blank",
        "actors/assembly/build.py",
        "without = [s for s in symbols if s not in known_blocks and s not in unreadable]",
        "without = [s for s in symbols if s not in known_blocks]",
        OUT_OF_SERVICE,
    ),
    Fault(
        "a step that was asked back before it reached the gateway waits there",
        "actors/gateway/protocol.py",
        "                if self.send_policy.was_asked_back(order.client_order_id):\n",
        "                if False:\n",
        ("tests/gateway/test_slots.py",),
    ),
    Fault(
        "after kill nobody asks what became of a block",
        CLEARING,
        "                open_blocks.append(block)\n",
        "",
        EVERY_STEP,
    ),
    Fault(
        "a block whose decision was durable all the same is not sent",
        CLEARING,
        "        released = self._released(state.sequence, at)\n",
        "        released = self._released(0, at)\n",
        CLEARED,
    ),
    Fault(
        "a step that the exchange never got counts as refused",
        ADL,
        "return refused(state, wall_ms) if status.is_refusal else never_sent(state, wall_ms)",
        "return refused(state, wall_ms)",
        ("tests/subaccount/test_never_sent.py",),
    ),
    Fault(
        "a step that waited here counts as refused",
        EXCHANGE_EVENTS,
        "    if message.waited:\n",
        "    if message.waited and order.purpose is Purpose.USER:\n",
        ("tests/subaccount/test_unsent_orders.py",),
    ),
    Fault(
        "a waiting step keeps no triggers",
        ACCOUNT_TRIGGERS,
        "    may_replace = waiting.all_wait(",
        "    may_replace = False and waiting.all_wait(",
        ("tests/subaccount/test_triggers.py",),
    ),
    Fault(
        "a position gets a second step while its first one works",
        ADL,
        "        if position.symbol in covered:\n            continue\n",
        "",
        ("tests/subaccount/test_waiting.py",),
    ),
    Fault(
        "a waiting step is asked back with every tick",
        ACCOUNT,
        "at_work & {*self._past_replacing, *steps}",
        "at_work & self._past_replacing",
        ("tests/subaccount/test_actor.py",),
    ),
    Fault(
        "a part of a round is booked at its rounded price",
        POSITION,
        "brought, opened = trade.divided(closed)",
        "brought, opened = closed * trade.price, (trade.quantity - closed) * trade.price",
        ("tests/subaccount/test_parts.py",),
    ),
    Fault(
        "a round's trades may be used once more",
        JOURNAL,
        '            found += [TradeKey(trade.symbol, trade.trade_id, "") for trade in fact.trades]\n',
        "            pass\n",
        CLEARING_ROWS,
    ),
    Fault(
        "a member may book a round twice",
        JOURNAL,
        '            member = "" if trade.quote_quantity is None else fact.client_order_id\n',
        '            member = "" if trade.quote_quantity is None else f"{fact.client_order_id}{len(facts)}{id(fact)}"\n',
        CLEARING_ROWS,
    ),
    Fault(
        "members of a round take each other's key",
        JOURNAL,
        '            member = "" if trade.quote_quantity is None else fact.client_order_id\n',
        '            member = ""\n',
        CLEARING_ROWS,
    ),
    Fault(
        "a clearing's stream may begin anywhere",
        JOURNAL,
        "                head = START\n",
        "                head = Head(decision.previous_sequence, NO_HASH)\n",
        CLEARING_ROWS,
    ),
    Fault(
        "members of a block are working orders after a restart",
        OPEN_BOOKS,
        "if order.client_order_id not in members]\n    sent",
        "if order]\n    sent",
        CLEARING_STREAMS,
    ),
    Fault(
        "what a member has not booked belongs to nobody",
        OPEN_BOOKS,
        "    in_flight = _in_flight(connection)\n",
        "    in_flight: Positions = {}\n",
        CLEARING_STREAMS,
    ),
    Fault(
        "a block and each of its members count as orders of the last minute",
        OPEN_BOOKS,
        "            AND NOT EXISTS (SELECT FROM bulkhead.block_member m WHERE m.client_order_id = i.client_order_id)\n",
        "",
        CLEARING_STREAMS,
    ),
    Fault(
        "a clearing is told that a refused decision is durable",
        WRITER,
        "        self._forward(durable)\n",
        "        self._forward(batch)\n",
        ("tests/persistence/test_actor.py",),
    ),
    Fault(
        "an order goes past its symbol's clearing",
        WRITER,
        "        return name if name in self._actors else GATEWAY\n",
        "        return GATEWAY\n",
        ("tests/persistence/test_actor.py",),
    ),
    Fault(
        "a clearing forgets members who have not booked the end",
        WRITER,
        "            self._members.update((id_, item.symbol) for id_ in members.difference(booked))\n",
        "            booked = tuple(members)\n",
        ("tests/persistence/test_actor.py",),
    ),
    Fault(
        "a simulated member may book what it was not given",
        "actors/assembly/simulation/store.py",
        '        must(given == [(trade.quantity, trade.value)], "a member booked another part than it was given")\n',
        "",
        ("tests/sim/test_clearing_store.py",),
    ),
    Fault(
        "an order that was learned from the exchange is sent again",
        WRITER,
        " and not is_recovered(fact)",
        "",
        ("tests/persistence/test_actor.py",),
    ),
    Fault(
        "an order that was learned from the exchange looks like one to send",
        "actors/subaccount/exchange_events.py",
        'cause=f"{RECOVERED_FROM}{message.exchange_order_id}"',
        "cause=now.cause",
        ("tests/subaccount/test_recovered_orders.py",),
    ),
    Fault(
        "lost orders are guessed between accounts that share a hash",
        "actors/assembly/lost_orders.py",
        "    if len(owner) > 1:\n",
        "    if len(owner) > 2:\n",
        ("tests/assembly/test_lost_orders.py",),
    ),
    Fault(
        "a lost order is booked with the trades that the exchange happens to name",
        "actors/assembly/lost_orders.py",
        " != order.report.executed:",
        " > order.report.executed:",
        ("tests/assembly/test_lost_orders.py",),
    ),
    Fault(
        "the trades of a lost order claim no keys",
        "actors/persistence/journal.py",
        "isinstance(fact, RoundAllocated | LostOrderBooked)",
        "isinstance(fact, RoundAllocated)",
        ("tests/persistence/test_lost_blocks.py",),
    ),
    Fault(
        "what the house has of a lost order counts only once it is projected",
        OPEN_BOOKS,
        "house[fact.symbol] = house.get(fact.symbol, ZERO) + fact.position\n",
        "pass\n",
        ("tests/persistence/test_lost_blocks.py",),
    ),
    Fault(
        "a lost order that the house has is not known",
        OPEN_BOOKS,
        "    known |= {fact.client_order_id for fact in facts if isinstance(fact, LostOrderBooked)}\n",
        "",
        ("tests/persistence/test_lost_blocks.py",),
    ),
    Fault(
        "the house books a lost order each time that it is asked",
        "actors/clearing/lost.py",
        "    if message.client_order_id in state.lost:\n",
        "    if not message.trades:\n",
        ("tests/clearing/test_lost.py",),
    ),
    Fault(
        "a lost order of an account that does not run is the house's",
        "actors/assembly/lost_orders.py",
        ", *reader.ask(open_books.account_ids)}",
        "}",
        ("tests/assembly/test_lost_orders.py",),
    ),
    Fault(
        "a later block gets the number of a lost one",
        "actors/clearing/fold.py",
        "        next_block=fact.block + 1,\n        lost=",
        "        lost=",
        ("tests/clearing/test_fold.py", "tests/clearing/test_lost.py"),
    ),
    Fault(
        "what could not be booked is never looked for again",
        "actors/assembly/lost_orders.py",
        "    if ends.operator_log is None or not is_done:\n",
        "    if ends.operator_log is None:\n",
        ("tests/assembly/test_lost_orders.py",),
    ),
    Fault(
        "only the newest page of the past is read",
        "actors/venues/binance/history.py",
        "    if len(rows) < ROWS_MAX:\n",
        "    if rows:\n",
        ("tests/venues/binance/test_history.py",),
    ),
    Fault(
        "a snapshot leaves out a zero whose text is another",
        "actors/subaccount/state_codec.py",
        " or str(value) not in _EMPTY_TEXTS",
        "",
        ("tests/subaccount/test_state_codec.py",),
    ),
    Fault(
        "who reads on is not told of what was committed",
        WRITER,
        "            self._tail.handed(committed)\n",
        "            pass\n",
        ("tests/persistence/test_actor.py",),
    ),
    Fault(
        "a slot of the tail that is in use again is taken for the older row",
        "actors/persistence/tail.py",
        "if row is None or row.position != position:",
        "if row is None:",
        (
            "tests/persistence/test_tail.py::test_a_slot_that_the_writer_has_used_again_is_no_row_of_an_older_position",
        ),
    ),
    Fault(
        "an account's events go to who asked for another's",
        "actors/api/drop_copy.py",
        "return is_kind and (not self.accounts or line.account in self.accounts)",
        "return is_kind",
        (f"{DROP_COPIES}only_the_accounts_and_kinds_that_are_asked_for",),
    ),
    Fault(
        "the event that a client goes on behind is sent again",
        "actors/api/drop_copy.py",
        "if line.id > reader.after and",
        "if line.id >= reader.after and",
        (f"{DROP_COPIES}it_goes_on_behind_an_event_and_marks_what_may_have_been_sent_before",),
    ),
    Fault(
        "what an earlier connection may have sent is not marked",
        "actors/api/drop_copy.py",
        "ends[line.id.position > last]",
        "ends[line.id.position >= last]",
        (f"{DROP_COPIES}a_message_has_not_too_many_events_and_marks_each_by_its_position",),
    ),
    Fault(
        "a client of a drop copy gives an event that comes again",
        "actors/api/drop_copy_client.py",
        "id_ <= self._last:",
        "id_ < self._last:",
        ("tests/api/test_drop_copy_client.py::test_what_comes_again_is_left_out",),
    ),
    Fault(
        "a websocket whose client does not read stays",
        "actors/api/connections.py",
        "        self._late = self.loop.call_later(SOCKET_SECONDS, self._close_slow)\n",
        "",
        (f"{DROP_COPIES}a_slow_reader_is_cut_off_and_slows_nobody",),
    ),
    Fault(
        "a symbol that is closed for new risk is not recorded with a decision",
        "actors/subaccount/recording.py",
        "        closed_symbols=market.closed_symbols,\n",
        "",
        ("tests/subaccount/test_recording.py::test_no_field_of_a_market_is_forgotten",),
    ),
    Fault(
        "a rerun takes what was not recorded for what is not there",
        "actors/subaccount/recording.py",
        "if self._names is None or key in self._names:",
        "if False:",
        ("tests/subaccount/test_recording.py::test_anything_else_is_refused_by_name",),
    ),
    Fault(
        "a rerun decides at another clock than the recorded decision",
        "actors/subaccount/recording.py",
        "        now_ns=market.now_ns,\n",
        "        now_ns=Nanos(0),\n",
        ("tests/sim/test_rerun.py",),
    ),
    Fault(
        "a rerun does not compare facts",
        "actors/assembly/rerun.py",
        "if facts != bytes(recorded.facts):",
        "if False:",
        ("tests/assembly/test_rerun.py::test_the_first_fact_and_field_that_differ_are_named",),
    ),
    Fault(
        "a failure leaves the evidence of an earlier one",
        ACCOUNT,
        "if failed is None or failed.message is not message:",
        "if failed is None:",
        (
            "tests/subaccount/test_actor.py::test_a_failed_decision_leaves_what_it_was_made_of_and_another_failure_nothing",
        ),
    ),
    Fault(
        "the hash of a capture is not compared",
        "actors/subaccount/capture.py",
        "if _hash(body) != fields[2]:",
        "if False:",
        ("tests/subaccount/test_capture.py::test_a_flipped_byte_anywhere_is_found",),
    ),
    Fault(
        "a past that was changed is folded",
        "actors/persistence/past.py",
        "if row_hash(previous_hash, *fields) != row.hash:",
        "if False:",
        ("tests/persistence/test_past.py::test_a_past_that_was_changed_is_an_error_and_no_answer",),
    ),
    Fault(
        "a past state is folded from a snapshot that is too new",
        "actors/persistence/past.py",
        "WHERE stream = %s AND sequence <= %s ORDER BY sequence DESC LIMIT 1",
        "WHERE stream = %s AND sequence >= %s ORDER BY sequence DESC LIMIT 1",
        (
            "tests/persistence/test_past.py::test_a_snapshot_shortens_the_fold_and_one_that_is_too_new_is_left",
        ),
    ),
    Fault(
        "a clock that was set back begins a day once more",
        PROJECTION,
        "day > newest.get(stream, self._days.get(stream, -1))",
        "day != newest.get(stream, self._days.get(stream, -1))",
        ("tests/persistence/projection/test_days.py",),
    ),
    Fault(
        "rows are deleted though their file was not read back",
        "actors/persistence/archive/writing.py",
        "    verified(files.Archive(folder, [made.file]), made.file, Chain(begin=made.begin))",
        "    del made",
        (
            ARCHIVE
            + "test_faults.py::test_what_was_not_written_as_it_was_meant_is_noticed_before_a_row_is_deleted",
        ),
    ),
    Fault(
        "an archived file has its name before it is on the disk",
        "actors/persistence/archive/folder.py",
        "            os.fsync(file.fileno())\n",
        "",
        (
            ARCHIVE
            + "test_faults.py::test_a_file_is_on_the_disk_before_it_has_its_name_and_both_before_a_row_is_deleted",
        ),
    ),
    Fault(
        "rows are archived that the tables do not have",
        "actors/persistence/archive/plan.py",
        "if position < last:",
        "if position < 0:",
        (ARCHIVE + "test_faults.py::test_what_stands_in_the_way_is_named",),
    ),
    Fault(
        "a row of later times is archived with an earlier commit",
        "actors/persistence/archive/plan.py",
        "        if late is not None:",
        "        if late is not None and not late:",
        (ARCHIVE + "test_faults.py::test_a_row_of_a_clock_that_was_ahead_is_not_archived_before_its_time",),
    ),
    Fault(
        "a snapshot stays older than what is archived",
        "actors/persistence/archive/writing.py",
        "        cursor.executemany(PUT_SNAPSHOT, [_snapshot(s) for s in made.streams.values()])\n",
        "",
        (ARCHIVE + "test_readers.py",),
    ),
    Fault(
        "a stream all of whose rows are archived begins once more",
        "actors/persistence/journal.py",
        "COALESCE(last.sequence, old.sequence)",
        "last.sequence",
        (ARCHIVE + "test_readers.py",),
    ),
    Fault(
        "an account is adopted though its sums are not the exchange's",
        "actors/persistence/adoption/plan.py",
        "if q + ours.get(s, ZERO) != master.get(s, ZERO)}",
        "if s not in master}",
        (ADOPTION + "test_plan.py",),
    ),
    Fault(
        "what depends on a refused account is adopted",
        "actors/persistence/adoption/plan.py",
        "        kept = left\n",
        "        return left, refusals\n",
        (ADOPTION + "test_plan.py::test_what_is_left_of_a_plan_always_adds_up",),
    ),
    Fault(
        "an adoption is undone after a decision",
        "actors/persistence/adoption/adopting.py",
        "        if isinstance(last, AccountAdopted):",
        "        if isinstance(began, AccountAdopted):",
        (ADOPTION + "test_adopting.py::test_an_adoption_is_undone_and_made_again_until_the_first_decision",),
    ),
    Fault(
        "accounts are adopted while somebody writes them",
        "actors/assembly/adoption.py",
        "        adopting.lock(connection)\n",
        "",
        (ADOPTION + "test_adopting.py::test_who_works_these_accounts_is_named_and_nothing_is_done",),
    ),
    Fault(
        "a change of the platform's is booked on any state",
        "actors/subaccount/commands.py",
        "    if message.sequence not in {None, now.state.sequence}:",
        "    if message.sequence is Ellipsis:",
        (
            "tests/subaccount/test_commands.py::test_what_the_platform_booked_is_booked_once_on_the_state_that_was_compared",
        ),
    ),
    Fault(
        "what the platform booked is logged there once more",
        BALANCES,
        "        if move.by_platform:",
        "        if move is None:",
        (
            PROJECTED
            + "test_what_the_platform_changed_of_a_balance_stays_and_is_a_difference_until_it_is_booked",
        ),
    ),
    Fault(
        "funding from before an adoption is booked",
        "actors/subaccount/ledger.py",
        "        holdings = changed(holdings, adopted.symbol, fact.adopted_ms, NOTHING, NOTHING)",
        "        holdings = ()",
        (ADOPTION + "test_plan.py::test_funding_from_before_an_adoption_is_none_of_ours",),
    ),
    Fault(
        "an emptied stream in Redis goes on as if nothing were missing",
        "actors/persistence/redis/event_stream.py",
        "nomkstream=self._is_there,",
        "nomkstream=False,",
        ("tests/persistence/redis/test_refusals.py",),
    ),
    Fault(
        "a snapshot that Redis refused is forgotten",
        "actors/persistence/redis/publisher.py",
        "                for id_ in due:\n                    schedule.changed(id_, now_s)\n",
        "",
        ("tests/persistence/redis/test_refusals.py",),
    ),
    # What people read: ledger, drop copy, Redis, audit, adoption.
    Fault(
        "a takeover's fee is an income",
        "actors/subaccount/income.py",
        'Entry(Income.COMMISSION, -fact.fee, "TAKEN_OVER", fact.symbol)',
        'Entry(Income.COMMISSION, fact.fee, "TAKEN_OVER", fact.symbol)',
        ("tests/persistence/projection/test_ledger.py",),
    ),
    Fault(
        "an entry of the ledger has the balance before it",
        "actors/persistence/projection/ledger.py",
        "        balance += entry.amount\n        yield (",
        "        yield (",
        ("tests/persistence/projection/test_ledger.py",),
    ),
    Fault(
        "a statement's entries are printed though they do not add up",
        "actors/persistence/statement.py",
        "        if balance + entry.amount != entry.balance:",
        "        if balance is None:",
        ("tests/persistence/test_statement.py",),
    ),
    Fault(
        "rows that are not kept any more are passed over in silence",
        "actors/persistence/tail.py",
        "        if rows and rows[0].position != after + 1:",
        "        if rows and rows[0].position <= after:",
        ("tests/persistence/test_tail.py", "tests/api/test_drop_copy.py"),
    ),
    Fault(
        "any commit at a position is the one that was read",
        "actors/persistence/journal.py",
        "return root == mark.root or",
        "return root is not None or",
        ("tests/persistence/test_other_history.py",),
    ),
    Fault(
        "what was read of rows that are archived now is another history",
        "actors/persistence/journal.py",
        "(root is None and mark.position < first)",
        "False",
        (ARCHIVE + "test_readers.py::test_what_was_read_of_archived_rows_is_no_other_history",),
    ),
    Fault(
        "a stream begins with rows that are archived",
        "actors/persistence/redis/event_stream.py",
        "max(end - self._depth, journal.first() - 1)",
        "max(0, end - self._depth)",
        (
            ARCHIVE
            + "test_readers.py::test_a_redis_stream_begins_with_the_oldest_row_and_one_that_ends_before_it_waits_for_the_files",
        ),
    ),
    Fault(
        "a drop copy goes on in another history",
        "actors/api/drop_copy.py",
        "                    await JOURNAL.ask(self._tail.check, list(asked.marks))\n",
        "                    pass\n",
        ("tests/api/test_drop_copy.py",),
    ),
    Fault(
        "the event that a client has is sent again",
        "actors/api/drop_copy.py",
        "if line.id > reader.after and reader.asked.wants(line)",
        "if line.id >= reader.after and reader.asked.wants(line)",
        ("tests/api/test_drop_copy.py",),
    ),
    Fault(
        "the stream in Redis goes on after a restore",
        "actors/persistence/redis/event_stream.py",
        "            return mark == journal.common([mark])\n        found",
        "            return True\n        found",
        ("tests/persistence/test_other_history.py", "tests/persistence/redis/test_refusals.py"),
    ),
    Fault(
        "an order that rests at the exchange counts as gone",
        "actors/persistence/adoption/plan.py",
        "order.exchange_order_id in self._resting",
        "order.exchange_order_id not in self._resting",
        (ADOPTION + "test_plan.py",),
    ),
    Fault(
        "somebody else's resting order is no reason not to adopt",
        "actors/assembly/adoption.py",
        "if not (is_ours and o.client_order_id.startswith(ours))",
        "if not (is_ours or o.client_order_id.startswith(ours))",
        (ADOPTION + "test_adopting.py",),
    ),
    Fault(
        "of an account's decisions more are kept in memory than the engine may",
        "actors/subaccount/recording.py",
        "        self.count += len(ring) < self._of_one\n",
        "",
        ("tests/subaccount/test_recording.py",),
    ),
)
