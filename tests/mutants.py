"""Flip every comparison of the code that money depends on, one at a time, and see a test fail each time.

``make mutants`` runs it; CI too. Each comparison is tried at its edge (< as <=) and the other way round (< as >=).
A mutant that no test notices is a rule that nobody checks. What is listed in ``EQUIVALENT`` cannot be noticed, with
the reason.

    python -m tests.mutants                     a sample by the last commit: a third of the decisions, a twelfth of what
                                                carries them out, a fortieth of what people read
    python -m tests.mutants --all               all
    python -m tests.mutants pretrade            all of some: modules of the decisions by their names,
    python -m tests.mutants gateway supervisor  others by file or folder
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import msgspec

from tests.patched import (
    ROOT,
    End,
    Try,
    ends,
    import_everything,
    import_patched,
    in_sample,
    last_commit,
    shared_postgres,
    swap_functions,
)

SUITES = {
    "pretrade/checks": [
        "pretrade/test_checks",
        "test_dust",
        "test_after_fill",
        "pretrade/test_limits_together",
        "test_conditionals",
        "test_open_order_exposure",
        "test_seed_000",
        "test_decide",
    ],
    "pretrade/order_checks": [
        "test_open_order_exposure",
        "pretrade/test_checks",
        "test_dust",
        "test_conditionals",
        "test_seed_000",
        "test_decide",
        "test_steps",
    ],
    "pretrade/near_symbols": ["pretrade/test_near_symbols"],
    "pretrade/proposed_order": [
        "pretrade/test_limit_checks",
        "pretrade/test_checks",
        "test_after_fill",
        "pretrade/test_limits_together",
    ],
    "pretrade/limit_checks": [
        "pretrade/test_limit_checks",
        "test_after_fill",
        "pretrade/test_limits_together",
        "pretrade/test_checks",
        "test_seed_001",
        "test_conditionals",
    ],
    "pretrade/value_at_risk": ["pretrade/test_limit_checks"],
    "steps": ["test_steps", "test_dust", "test_adl"],
    "dust": ["test_dust"],
    "after_fill": ["test_after_fill"],
    "situation": ["test_situation"],
    "pipeline": [
        "test_situation",
        "test_breaker",
        "test_open_order_exposure",
        "test_dust",
        "test_protection",
    ],
    "commands": [
        "test_commands",
        "test_steps",
        "test_after_fill",
        "test_breaker",
        "test_fees",
        "test_losses",
    ],
    "adl": [
        "test_adl",
        "test_steps",
        "test_bad_debt",
        "test_dust",
        "test_seed_000",
        "test_losses",
        "test_conditionals",
        "test_decide",
        "test_books",
        "test_fees",
        "test_never_sent",
        "test_waiting",
    ],
    "waiting": ["test_waiting"],
    "losses": ["test_losses", "test_seeds_002_to_004", "pretrade/test_limit_checks", "test_breaker"],
    "breaker": ["test_breaker", "test_seeds_002_to_004"],
    "conditionals": [
        "test_conditionals",
        "test_protection",
        "test_breaker",
        "test_unsent_orders",
        "test_never_sent",
    ],
    "unsent_orders": ["test_unsent_orders"],
    "monitor": ["test_monitor"],
    "margin": ["test_margin", "test_steps", "test_adl", "test_after_fill"],
    "open_order_exposure": [
        "test_open_order_exposure",
        "test_protection",
        "test_breaker",
        "test_conditionals",
    ],
    "sizing": ["test_seeds_002_to_004"],
    "report": ["test_report"],
    "fees": ["test_fees", "test_ledger"],
    "holdings": ["test_holdings", "test_funding", "test_actor"],
    "funding": ["test_funding", "test_exchange_events"],
    "fold": [
        "test_fold",
        "test_state",
        "test_breaker",
        "test_refusals",
        "test_parts",
        "test_recovered_orders",
    ],
    "position": ["test_fold", "test_position", "test_cost", "test_fees", "test_ledger", "test_parts"],
    "ledger": [
        "test_ledger",
        "test_funding",
        "test_fees",
        "test_exchange_events",
        "test_losses",
        "test_adl",
        "test_state",
    ],
}
"""Decisions of ``actors/subaccount``: which tests of ``tests/subaccount`` are to notice, quickest first."""

GATEWAY = (
    "tests/gateway/test_protocol.py",
    "tests/gateway/test_lost_and_late.py",
    "tests/gateway/test_survey.py",
    "tests/gateway/test_send_queue.py",
    "tests/gateway/test_actor.py",
    "tests/gateway/test_fleets.py",
    "tests/gateway/test_slots.py",
)
CLEARED = ("tests/clearing/test_protocol.py",)
BYPASSED = ("tests/clearing/test_bypass.py",)
CLEARING_STREAMS = "tests/persistence/test_clearing_streams.py"
LIVE_BLOCK = f"{CLEARING_STREAMS}::test_a_live_block_is_known_with_what_was_allocated_of_it"
LOADED_CLEARING = (
    f"{CLEARING_STREAMS}::test_a_clearing_is_loaded_with_the_members_that_nobody_asks_for_any_more"
)
FOLDED = ("tests/persistence/test_store.py::test_what_is_loaded_equals_what_was_folded",)
AUDITED = ("tests/persistence/audit/test_append.py", "tests/persistence/audit/test_chain.py")
SUPERVISED = ("tests/test_quarantine.py", "tests/test_restarts.py", "tests/test_supervisor.py")

OTHERS: dict[str, tuple[str, ...]] = {
    "actors/clearing/allocation.py": ("tests/clearing/test_allocation.py",),
    "actors/clearing/book.py": CLEARED,
    "actors/clearing/bypass.py": BYPASSED,
    "actors/clearing/fees.py": ("tests/clearing/test_fees.py",),
    "actors/clearing/fold.py": ("tests/clearing/test_fold.py",),
    "actors/clearing/forming.py": CLEARED,
    "actors/clearing/lost.py": ("tests/clearing/test_lost.py",),
    "actors/clearing/protocol.py": (
        *CLEARED,
        "tests/clearing/test_fees.py",
        "tests/clearing/test_lost.py",
        "tests/clearing/test_bypass.py",
        "tests/clearing/test_days.py",
    ),
    "actors/clearing/rounds.py": (*CLEARED, "tests/clearing/test_fees.py", "tests/clearing/test_days.py"),
    "actors/clearing/state.py": ("tests/clearing/test_fold.py",),
    "actors/clearing/service.py": BYPASSED,
    "actors/clearing/waiting.py": (*CLEARED, *BYPASSED),
    "actors/gateway/actor.py": ("tests/gateway/test_actor.py",),
    "actors/gateway/budget.py": (
        "tests/gateway/test_budget.py",
        "tests/gateway/test_lost_and_late.py",
        "tests/gateway/test_slots.py",
        "tests/gateway/test_pacing.py",
    ),
    "actors/gateway/pacing.py": ("tests/gateway/test_pacing.py", "tests/gateway/test_waiting.py"),
    "actors/gateway/fees.py": ("tests/gateway/test_fees.py",),
    "actors/gateway/fleets.py": ("tests/gateway/test_fleets.py",),
    "actors/gateway/check_schedule.py": ("tests/gateway/test_check_schedule.py", *GATEWAY),
    "actors/gateway/messages.py": ("tests/gateway/test_protocol.py", "tests/gateway/test_lost_and_late.py"),
    "actors/gateway/orders.py": (*GATEWAY, "tests/gateway/test_check_schedule.py"),
    "actors/gateway/protocol.py": GATEWAY,
    "actors/gateway/queries.py": ("tests/gateway/test_protocol.py", "tests/gateway/test_lost_and_late.py"),
    "actors/gateway/alarm_limiter.py": ("tests/gateway/test_alarm_limiter.py",),
    "actors/gateway/send_policy.py": (
        "tests/gateway/test_send_queue.py",
        "tests/gateway/test_lost_and_late.py",
        "tests/gateway/test_survey.py",
        "tests/gateway/test_slots.py",
    ),
    "actors/gateway/service_order.py": (
        "tests/gateway/test_service_order.py",
        "tests/gateway/test_waiting.py",
    ),
    "actors/gateway/slots.py": ("tests/gateway/test_slots.py",),
    "actors/gateway/recovery.py": ("tests/gateway/test_recovery.py",),
    "actors/gateway/waiting.py": ("tests/gateway/test_waiting.py",),
    "actors/gateway/survey_schedule.py": (
        "tests/gateway/test_survey.py",
        "tests/gateway/test_lost_and_late.py",
    ),
    "actors/gateway/foreign_orders.py": ("tests/gateway/test_foreign_orders.py",),
    "actors/gateway/stream.py": ("tests/gateway/test_stream.py", "tests/gateway/test_survey.py"),
    "actors/gateway/send_queue.py": (
        "tests/gateway/test_service_order.py",
        "tests/gateway/test_send_queue.py",
        "tests/gateway/test_lost_and_late.py",
    ),
    "actors/assembly/lost_orders.py": ("tests/assembly/test_lost_orders.py",),
    "actors/venues/binance/history.py": ("tests/venues/binance/test_history.py",),
    "actors/persistence/batch_size.py": ("tests/persistence/test_batch_size.py",),
    "actors/persistence/journal.py": ("tests/persistence/test_journal.py",),
    "actors/persistence/open_books.py": (
        "tests/persistence/test_open_books.py",
        LIVE_BLOCK,
        LOADED_CLEARING,
    ),
    "actors/persistence/actor.py": (
        "tests/persistence/test_actor.py",
        "tests/persistence/test_lease.py",
        "tests/persistence/test_waiting.py",
        "tests/persistence/test_gathering.py",
    ),
    "actors/persistence/projection/money.py": (
        "tests/persistence/test_rows.py",
        "tests/persistence/test_fee_rows.py",
    ),
    "actors/core/orders.py": (
        "tests/subaccount/test_open_order_exposure.py",
        "tests/subaccount/test_refusals.py",
    ),
    "actors/persistence/loading.py": (
        "tests/persistence/test_loading.py",
        "tests/persistence/test_risk_rows.py",
        LIVE_BLOCK,
        *FOLDED,
    ),
    "actors/persistence/projection/orders.py": ("tests/persistence/test_rows.py",),
    "actors/persistence/projection/positions.py": (
        "tests/persistence/test_rows.py",
        "tests/persistence/projection/test_store.py",
    ),
    "actors/persistence/projection/trades.py": (
        "tests/persistence/test_rows.py",
        "tests/persistence/test_fee_rows.py",
    ),
    "actors/supervision/correlation.py": (
        "tests/supervision/test_correlation.py",
        "tests/test_supervisor.py",
    ),
    "actors/runtime/dispatcher.py": (
        "tests/runtime/test_dispatcher.py",
        "tests/runtime/test_ready_queues.py",
        "tests/runtime/test_actor.py",
        "tests/runtime/test_simulation.py",
    ),
    "actors/supervision/gate.py": ("tests/supervision/test_gate.py",),
    "actors/runtime/mailbox.py": ("tests/runtime/test_mailbox.py", "tests/runtime/test_dispatcher.py"),
    "actors/supervision/policy.py": ("tests/supervision/test_policy.py",),
    "actors/supervision/strategy.py": ("tests/supervision/test_strategy.py",),
    "actors/supervision/registry.py": (
        "tests/supervision/test_registry.py",
        "tests/test_supervisor.py",
        "tests/test_quarantine.py",
    ),
    "actors/supervision/parking.py": SUPERVISED,
    "actors/supervision/quarantine.py": SUPERVISED,
    "actors/supervision/restarts.py": SUPERVISED,
    "actors/supervision/settling.py": SUPERVISED,
    "supervisor.py": (*SUPERVISED, "tests/assembly/test_build.py"),
    "actors/symbol_router/actor.py": ("tests/symbol_router/test_actor.py",),
    "actors/symbol_router/book.py": (
        "tests/symbol_router/test_trigger_index.py",
        "tests/symbol_router/test_book.py",
        "tests/symbol_router/test_extremes.py",
    ),
    "actors/symbol_router/extremes.py": ("tests/symbol_router/test_extremes.py",),
    "actors/symbol_router/price_history.py": ("tests/symbol_router/test_price_history.py",),
    "actors/symbol_router/trigger_index.py": ("tests/symbol_router/test_trigger_index.py",),
    "actors/feed/actor.py": ("tests/feed/test_actor.py",),
    "actors/feed/rates.py": ("tests/feed/test_rates.py",),
    "actors/assembly/reconciliation.py": ("tests/assembly/test_reconciliation.py",),
    "actors/venues/binance/errors.py": ("tests/venues/binance/test_errors.py",),
    "actors/venues/binance/translate.py": ("tests/venues/binance/test_translate.py",),
}
"""What stands between a decision and the exchange or the database, and between a price and a decision."""

READ: dict[str, tuple[str, ...]] = {
    "actors/core/events.py": ("tests/core/test_events.py",),
    "actors/core/journal_marks.py": ("tests/core/test_journal_marks.py",),
    "actors/subaccount/income.py": ("tests/persistence/projection/test_ledger.py",),
    "actors/subaccount/recording.py": (
        "tests/subaccount/test_recording.py",
        "tests/subaccount/test_capture.py",
        "tests/assembly/test_rerun.py",
        "tests/sim/test_rerun.py",
    ),
    "actors/persistence/tail.py": (
        "tests/persistence/test_tail.py",
        "tests/persistence/test_other_history.py",
        "tests/api/test_drop_copy.py",
    ),
    "actors/persistence/projection/ledger.py": ("tests/persistence/projection/test_ledger.py",),
    "actors/persistence/adoption/figures.py": ("tests/persistence/adoption/test_figures.py",),
    "actors/persistence/adoption/plan.py": ("tests/persistence/adoption/test_plan.py",),
    "actors/persistence/audit/rejections.py": ("tests/persistence/audit/test_rejections.py",),
    "actors/persistence/adoption/adopting.py": ("tests/persistence/adoption/test_adopting.py",),
    "actors/assembly/adoption.py": ("tests/persistence/adoption/test_adopting.py",),
    "actors/persistence/audit/against_journal.py": ("tests/persistence/audit/test_against_journal.py",),
    "actors/persistence/audit/append.py": ("tests/persistence/audit/test_append.py",),
    "actors/persistence/audit/chain.py": ("tests/persistence/audit/test_chain.py",),
    "actors/persistence/audit/files.py": AUDITED,
    "actors/persistence/audit/line.py": ("tests/persistence/audit/test_line.py",),
    "actors/persistence/audit/progress.py": AUDITED,
    "actors/persistence/audit/records.py": ("tests/persistence/audit/test_trail.py",),
    "actors/persistence/audit/search.py": ("tests/persistence/audit/test_search.py",),
    "actors/persistence/audit/trail.py": ("tests/persistence/audit/test_trail.py",),
    "actors/persistence/audit/upkeep.py": (*AUDITED, "tests/persistence/audit/test_trail.py"),
    "actors/persistence/audit/verify.py": ("tests/persistence/audit/test_chain.py",),
    "actors/persistence/history.py": (
        "tests/persistence/test_history.py",
        "tests/persistence/test_refused_commands.py",
    ),
    "actors/persistence/history_records.py": ("tests/persistence/test_history_records.py",),
    "actors/persistence/refused_commands.py": ("tests/persistence/test_refused_commands.py",),
    "actors/persistence/statement.py": ("tests/persistence/test_statement.py",),
    "actors/persistence/verify_chain.py": ("tests/persistence/test_verify_chain.py",),
    "actors/persistence/projection/actor.py": ("tests/persistence/projection/test_actor.py",),
    "actors/persistence/redis/address.py": ("tests/persistence/redis/test_address.py",),
    "actors/persistence/redis/connection.py": ("tests/persistence/redis/test_reading.py",),
    "actors/persistence/redis/entries.py": ("tests/persistence/redis/test_entries.py",),
    "actors/persistence/redis/event_stream.py": ("tests/persistence/redis/test_event_stream.py",),
    "actors/persistence/redis/platform_events.py": ("tests/persistence/redis/test_entries.py",),
    "actors/persistence/redis/prices.py": ("tests/persistence/redis/test_prices.py",),
    "actors/persistence/redis/publisher.py": ("tests/persistence/redis/test_turns.py",),
    "actors/persistence/redis/reading.py": ("tests/persistence/redis/test_reading.py",),
    "actors/persistence/redis/schedule.py": ("tests/persistence/redis/test_schedule.py",),
    "actors/persistence/redis/snapshots.py": ("tests/persistence/redis/test_snapshots.py",),
    "actors/persistence/redis/states.py": ("tests/persistence/redis/test_states.py",),
}
"""What people and platforms read, and what checks it: ledger, history, statement, drop copy, Redis, audit, adoption, journal."""

EDGE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
REVERSE = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip

CLOCK = "time.monotonic()"
"""A comparison with it is not tried at its edge, which is one nanosecond that no test can hit."""

EDGE_OF_NEAR = "so far from each other the Decimals are in the floats' order"
AWAY = "so many wait only while Postgres is away, and then the gate is shut for that"
SPEED = "a list and a deque hold the same; what differs is memory and speed"
BOUND = "a bound on memory: one more or less of what is remembered long enough"
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "persistence/adoption/figures",
        "value.adjusted() < DIGITS_MAX",
        "value.adjusted() <= DIGITS_MAX",
    ): "a number of so many digits is refused, rounded or not",
    (
        "persistence/adoption/figures",
        "abs(found - quantity) <= quantity * STEP_NOISE",
        "abs(found - quantity) < quantity * STEP_NOISE",
    ): "no quantity misses a multiple of its step by exactly that part",
    (
        "persistence/redis/entries",
        "len(self._ids) > self._most + self._most // 4 + 1",
        "len(self._ids) >= self._most + self._most // 4 + 1",
    ): BOUND,
    (
        "persistence/redis/platform_events",
        "quantity > ZERO",
        "quantity >= ZERO",
    ): "a position of nothing is none",
    (
        "persistence/redis/publisher",
        "now_s < part.not_before_s",
        "now_s <= part.not_before_s",
    ): "the very nanosecond",
    (
        "persistence/redis/publisher",
        "now_s < self._next_try_s",
        "now_s <= self._next_try_s",
    ): "the very nanosecond",
    (
        "persistence/redis/publisher",
        "now_s - self._asked_s >= MISSING_EVERY_S",
        "now_s - self._asked_s > MISSING_EVERY_S",
    ): "the very nanosecond",
    (
        "persistence/audit/against_journal",
        "len(self._roots) >= ROOTS_AT_ONCE",
        "len(self._roots) > ROOTS_AT_ONCE",
    ): BOUND,
    (
        "persistence/audit/against_journal",
        "id_ <= self._from",
        "id_ < self._from",
    ): "what is compared begins behind a whole row, or behind a line of an earlier file",
    ("persistence/audit/files", "told > CHUNK", "told >= CHUNK"): "progress is told one byte earlier",
    (
        "persistence/audit/trail",
        "self._tail.position > self._read_to",
        "self._tail.position >= self._read_to",
    ): "one more look, which finds that there is no more",
    (
        "persistence/projection/actor",
        "last <= self.stats.last",
        "last < self.stats.last",
    ): "the same position waits since the time that it is marked with already",
    (
        "persistence/projection/actor",
        "len(self._marks) >= MARKS_MAX",
        "len(self._marks) > MARKS_MAX",
    ): BOUND,
    ("clearing/allocation", "total < ZERO", "total <= ZERO"): "nothing has no sign",
    (
        "runtime/dispatcher",
        "waited > stats.lag_ns",
        "waited >= stats.lag_ns",
    ): "the same number is set again",
    (
        "gateway/send_policy",
        "now_ms >= self.budget.paused_until_ms",
        "now_ms > self.budget.paused_until_ms",
    ): "in the one millisecond in which the pause ends the order is queued, and goes in the same call",
    (
        "gateway/recovery",
        "now_ms - lookup.asked_ms >= ANSWER_MAX_MS",
        "now_ms - lookup.asked_ms > ANSWER_MAX_MS",
    ): "a millisecond of a wait of half a minute",
    (
        "gateway/recovery",
        "len(self._unknown(lookup.orders)) > HANDFUL",
        "len(self._unknown(lookup.orders)) >= HANDFUL",
    ): "a second history for one order fewer finds the same fates",
    (
        "gateway/recovery",
        "len(ids) <= HANDFUL",
        "len(ids) < HANDFUL",
    ): "twenty are queried singly or looked up once more: the same fates",
    (
        "gateway/recovery",
        "now_ms > lookup.singly_ms",
        "now_ms >= lookup.singly_ms",
    ): "a millisecond beyond the exchange's window and a margin of half a second",
    (
        "persistence/projection/trades",
        "(known.symbol, known.trade_id) == (fact.symbol, fact.trade_id)",
        "(known.symbol, known.trade_id) != (fact.symbol, fact.trade_id)",
    ): "no decision learns a commission and books it; the table would only refuse one that did",
    ("clearing/fold", "t.fee is None", "t.fee is not None"): "as many kinds of trades either way round",
    (
        "clearing/rounds",
        "trade.fee is None",
        "trade.fee is not None",
    ): "the same groups of trades either way round",
    ("commands", "amount < ZERO", "amount <= ZERO"): "an amount of zero was refused before",
    ("commands", "amount > ZERO", "amount >= ZERO"): "an amount of zero was refused before",
    ("margin", "quantity > ZERO", "quantity >= ZERO"): "a position of nothing is none",
    ("position", "self.quantity > 0", "self.quantity >= 0"): "a position of nothing is none",
    ("position", "quantity > ZERO", "quantity >= ZERO"): "a position of nothing is none, and returned before",
    (
        "position",
        "abs(quantity) > abs(held.peak)",
        "abs(quantity) >= abs(held.peak)",
    ): "the peak again is the peak",
    ("fold", "fact.net < ZERO", "fact.net <= ZERO"): "a trade that brought nothing was left out before",
    ("fold", "recent[-1][1] <= at_ms", "recent[-1][1] < at_ms"): "the same place is found by bisecting",
    (
        "margin",
        "self.equity <= ZERO",
        "self.equity < ZERO",
    ): "the ratio is 1 there, which closes everything as well",
    (
        "margin",
        "bracket.notional_floor <= abs(q) * price < bracket.notional_cap",
        "bracket.notional_floor <= abs(q) * price <= bracket.notional_cap",
    ): "at the edge of two brackets both give the same price",
    (
        "gateway/protocol",
        "len(self._finals) > REMEMBERED_FINALS",
        "len(self._finals) >= REMEMBERED_FINALS",
    ): BOUND,
    (
        "symbol_router/extremes",
        "price >= self._highs[-1].price * (1.0 - NEAR)",
        "price > self._highs[-1].price * (1.0 - NEAR)",
    ): EDGE_OF_NEAR,
    (
        "symbol_router/extremes",
        "price <= self._lows[-1].price * (1.0 + NEAR)",
        "price < self._lows[-1].price * (1.0 + NEAR)",
    ): EDGE_OF_NEAR,
    (
        "symbol_router/extremes",
        "stack[-1].last_checkpoint < number",
        "stack[-1].last_checkpoint <= number",
    ): "a second checkpoint of one number is absorbed by the first",
    (
        "symbol_router/trigger_index",
        "len(side.heap) <= 2 * side.living + COMPACT_AT",
        "len(side.heap) < 2 * side.living + COMPACT_AT",
    ): "what is old is thrown out one entry earlier or later",
    (
        "feed/actor",
        "len(message.accounts) > ACCOUNTS_AT_ONCE",
        "len(message.accounts) >= ACCOUNTS_AT_ONCE",
    ): "an empty batch follows",
    ("persistence/actor", "waiting > WRITER_WAITING_HIGH", "waiting >= WRITER_WAITING_HIGH"): AWAY,
    ("persistence/actor", "waiting < WRITER_WAITING_LOW", "waiting <= WRITER_WAITING_LOW"): AWAY,
    (
        "persistence/actor",
        "len(self._waiting) >= self._batch_size",
        "len(self._waiting) > self._batch_size",
    ): "a batch is written one message later, and holds as many",
    ("persistence/projection/positions", "p.quantity > 0", "p.quantity >= 0"): "no position is of nothing",
    (
        "persistence/projection/orders",
        "fact.side.sign > 0",
        "fact.side.sign >= 0",
    ): "a side's sign is 1 or -1",
    ("feed/rates", "len(self._known) > KNOWN_MAX", "len(self._known) >= KNOWN_MAX"): BOUND,
    ("runtime/mailbox", "len(lane) >= _LIST_MAX", "len(lane) > _LIST_MAX"): SPEED,
    ("runtime/mailbox", "len(lane) >= _LIST_MAX", "len(lane) < _LIST_MAX"): SPEED,
    ("gateway/foreign_orders", "len(self._seen) > REMEMBERED", "len(self._seen) >= REMEMBERED"): BOUND,
    ("gateway/stream", "len(self._reported) > REPORTED_MAX", "len(self._reported) >= REPORTED_MAX"): BOUND,
    (
        "gateway/send_policy",
        "before > 0",
        "before >= 0",
    ): "with nobody before it and no room, the budget says no as well",
    (
        "supervision/restarts",
        "context.now_ns() < check.until_ns",
        "context.now_ns() <= check.until_ns",
    ): "one more look, a few milliseconds later",
    (
        "runtime/dispatcher",
        "took > cell.slowest_ns",
        "took >= cell.slowest_ns",
    ): "the same figure is written again",
    (
        "runtime/dispatcher",
        "sys.getswitchinterval() > SWITCH_INTERVAL_SECONDS",
        "sys.getswitchinterval() >= SWITCH_INTERVAL_SECONDS",
    ): "the same interval is set again",
}
"""Module, comparison, what it becomes: why nothing can tell them apart."""

SECONDS_EACH = 120

ONE_OF_DECISIONS = 3
ONE_OF_OTHERS = 12
ONE_OF_READ = 40
"""Without --all, one mutant of so many is tried; which, the last commit decides."""


class Mutant(msgspec.Struct, frozen=True):
    """The ``number``-th operator of a file, turned into another; ``within`` a function, or at import."""

    path: str
    number: int
    kind: str
    line: int
    before: str
    after: str
    within: bool


def name_of(path: str) -> str:
    """How a file is called here: ``margin``, ``gateway/protocol``, ``supervisor``."""
    return path.removeprefix("actors/").removeprefix("subaccount/").removesuffix(".py")


def suites() -> dict[str, tuple[str, ...]]:
    """All files, with the tests that are to notice."""
    decisions = {
        f"actors/subaccount/{module}.py": tuple(f"tests/subaccount/{test}.py" for test in tests)
        for module, tests in SUITES.items()
    }
    return decisions | OTHERS | READ


def operators(tree):
    """Every comparison operator of a module in order: the node and its index there."""
    return [
        (node, i) for node in ast.walk(tree) if isinstance(node, ast.Compare) for i in range(len(node.ops))
    ]


def within_functions(tree):
    """All nodes that run when a function does, and not at import."""
    functions = (f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef))
    return {inner for f in functions for statement in f.body for inner in ast.walk(statement)}


def mutants_of(path, *, with_equivalent=False):
    """All mutants of a file that can be noticed."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    inside, found = within_functions(tree), []
    for number, (node, i) in enumerate(operators(tree)):
        for kind, table in (("edge", EDGE), ("reverse", REVERSE)):
            becomes = table.get(type(node.ops[i]))
            before, original = ast.unparse(node), node.ops[i]
            if becomes is None or (table is EDGE and CLOCK in before):
                continue
            node.ops[i] = becomes()
            after, node.ops[i] = ast.unparse(node), original
            if with_equivalent or (name_of(path), before, after) not in EQUIVALENT:
                found.append(Mutant(path, number, kind, node.lineno, before, after, node in inside))
    return found


def plant(mutant):
    """Change our modules: in a process of its own."""
    tree = ast.parse((ROOT / mutant.path).read_text(encoding="utf-8"))
    node, i = operators(tree)[mutant.number]
    node.ops[i] = (EDGE if mutant.kind == "edge" else REVERSE)[type(node.ops[i])]()
    if mutant.within:
        swap_functions(mutant.path, tree)
    else:
        import_patched({mutant.path: tree})


def is_chosen(mutant, seed):
    """Whether a mutant is in the sample of a seed."""
    one_of = (
        ONE_OF_OTHERS if mutant.path in OTHERS else ONE_OF_READ if mutant.path in READ else ONE_OF_DECISIONS
    )
    return in_sample(f"{seed}:{mutant.path}:{mutant.number}:{mutant.kind}", one_of)


def chosen(arguments) -> list[Mutant]:
    """The mutants that were asked for.

    Raises:
        SystemExit: a name that is none.
    """
    found: list[Mutant] = []
    for name in arguments.modules:
        paths = [p for p in suites() if name_of(p) == name or name_of(p).startswith(f"{name}/")]
        if not paths:
            raise SystemExit(f"{name!r} is no file here; there are {', '.join(map(name_of, suites()))}")
        found += [m for p in paths for m in mutants_of(p)]
    if arguments.modules:
        return found
    return [m for p in suites() for m in mutants_of(p) if arguments.all or is_chosen(m, arguments.seed)]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", help=", ".join(map(name_of, suites())))
    parser.add_argument("--all", action="store_true", help="all mutants, not a sample of them")
    parser.add_argument(
        "--seed", default=last_commit(), help="chooses the sample; by default the last commit"
    )
    arguments = parser.parse_args()
    os.chdir(ROOT)
    wanted, tests = chosen(arguments), suites()
    used = sorted({test for mutant in wanted for test in tests[mutant.path]})
    if not (arguments.all or arguments.modules):
        print(f"sample of {arguments.seed}")
    began, alive = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, shared_postgres(used, Path(folder)):
        import_everything(used)
        tries = (Try(mutant, partial(plant, mutant), tests[mutant.path]) for mutant in wanted)
        for done, (one, end) in enumerate(ends(tries, at_once=os.cpu_count() or 1, seconds=SECONDS_EACH), 1):
            mutant = one.what
            if end is End.ALIVE:
                alive += 1
                print(
                    f"\r{mutant.path}:{mutant.line}: {mutant.before}  ->  {mutant.after}: nobody noticed",
                    flush=True,
                )
            if sys.stdout.isatty() or done % 100 == 0:
                end_of_line = "" if sys.stdout.isatty() else "\n"
                print(f"\r{done} of {len(wanted)} mutants, {alive} alive", end=end_of_line, flush=True)
    print(f"\r{len(wanted)} mutants, {alive} alive, {time.monotonic() - began:.0f} s")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
