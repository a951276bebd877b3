"""What seeds 000 to 002 say of events, snapshots, audit, history and alerts, line by line, each with the test that holds it.

A row is the seed, what it says, the tests, and, where the product decided otherwise, why. This file only proves that the
tests are there; they prove the claims.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

REDIS = "tests/persistence/redis/test_seed_000.py"
HISTORY = "tests/e2e/test_history.py"
AUDIT = "tests/e2e/test_audit.py"
LIFE = "tests/subaccount/test_seed_001.py"
STORE = "tests/persistence/test_store.py"

AS_SAID = ""

CLAIMS: list[tuple[str, str, tuple[str, ...], str]] = [
    # Seed 000: RiskEngine + PositionBook.
    (
        "000", "price-service: price cascade (WS -> Redis -> REST)",
        (f"{REDIS}::test_the_cascade_of_prices",
         "tests/persistence/redis/test_prices.py::test_the_exchanges_price_goes_before_redis_and_an_old_one_is_none"),
        "REST goes before Redis, whose price is shown and never decided by: who can write to Redis could else liquidate",
    ),
    (
        "000", "load_positions: all OPEN positions from the database at the start",
        (f"{STORE}::test_what_is_loaded_equals_what_was_folded",), AS_SAID,
    ),
    (
        "000", "on_order_fill 1 to 3: opening or closing, a position in the database, PnL, update",
        (f"{STORE}::test_the_platform_s_tables_tell_the_same_story",
         "tests/subaccount/test_seed_000.py::test_a_fill_opens_and_a_fill_closes_with_a_delta_on_the_balance"), AS_SAID,
    ),
    (
        "000", "on_order_fill 4: a flip is closed and opened in one transaction",
        ("tests/subaccount/test_seed_000.py::test_a_flip_closes_and_opens_in_one_decision",), AS_SAID,
    ),
    (
        "000", "on_order_fill 5: the balance by deltas, never set",
        (f"{REDIS}::test_5_the_balance_moves_by_deltas_and_7_the_snapshot_follows_each_fill",
         "tests/persistence/projection/test_ledger.py::test_the_sum_of_entries_is_the_balance_after_each_decision_of_every_scene"),
        AS_SAID,
    ),
    (
        "000", "on_order_fill 6: publish position_updated / position_closed",
        (f"{REDIS}::test_6_position_updated_and_position_closed_are_published",
         "tests/persistence/redis/test_entries.py::test_each_event_of_the_platform_has_the_references_fields"), AS_SAID,
    ),
    (
        "000", "on_order_fill 7: write the risk snapshot to Redis",
        (f"{REDIS}::test_5_the_balance_moves_by_deltas_and_7_the_snapshot_follows_each_fill",), AS_SAID,
    ),
    (
        "000", "on_price_tick 1 to 4: mark, unrealized PnL, ratio, liquidation",
        ("tests/subaccount/test_seed_000.py::test_a_tick_moves_mark_profit_and_ratio_and_liquidates_on_a_breach",), AS_SAID,
    ),
    (
        "000", "on_price_tick 5: write the risk snapshot on every L1 update",
        (f"{REDIS}::test_on_price_tick_5_the_snapshot_moves_with_the_price",
         "tests/persistence/redis/test_schedule.py::test_never_twice_within_a_second_and_the_last_change_is_never_lost"),
        "at most once a second for each account, the newest one: 20 a second for 10,000 accounts would be read by nobody",
    ),
    (
        "000", "the snapshot is used for GET /margin at a cold start",
        (f"{REDIS}::test_the_snapshot_is_what_a_cold_start_shows",
         "tests/e2e/test_redis.py::test_while_an_engine_starts_an_account_is_shown_as_redis_has_it"), AS_SAID,
    ),
    (
        "000", "on_account_update: external position closes are reconciled",
        ("tests/assembly/test_reconciliation.py",),
        "a difference is an alarm and closes nobody's position: on a netted account it says nothing about whose it is",
    ),
    (
        "000", "get_account_snapshot: its keys, and those of its positions",
        (f"{REDIS}::test_get_account_snapshot_has_what_the_seed_returns",
         "tests/persistence/redis/test_snapshots.py::test_it_has_both_groups_of_the_references_keys_and_no_others"), AS_SAID,
    ),
    (
        "000", "the snapshot is carried in each event",
        (f"{REDIS}::test_6_position_updated_and_position_closed_are_published",
         "tests/persistence/redis/test_publisher.py::test_killed_and_started_again_under_load_it_has_what_one_has_that_was_never_away"),
        "an event has newBalance and no equity: it is made again from the journal, which has no prices; the snapshot is beside it",
    ),
    (
        "000", "snapshot key and its 120 s, price key and its 30 s",
        (f"{REDIS}::test_a_price_is_kept_under_the_platforms_key_for_30_seconds",
         "tests/persistence/redis/test_snapshots.py::test_its_key",
         "tests/e2e/test_redis.py::test_snapshots_and_prices_of_what_is_held"), AS_SAID,
    ),
    (
        "000", "trade_signature: a SHA-256 of what makes a trade",
        ("tests/subaccount/test_seed_000.py::test_trade_signature_is_a_sha_256_of_what_makes_a_trade",), AS_SAID,
    ),
    (
        "000", "do not create the platform's tables; map to those that there are",
        ("tests/persistence/adoption/test_adopting.py::test_a_dry_run_changes_nothing_not_even_our_schema",
         "tests/e2e/test_schema.py"), AS_SAID,
    ),
    (
        "000", "orphan recovery: exchange orders that match no state are cancelled at the start",
        ("tests/e2e/test_backup.py::test_a_dump_taken_under_load_is_started_against_the_same_exchange_and_ends_with_equal_books",),
        "algo states are facts in the journal and not in Redis, so nothing is cleaned up there",
    ),
    # Seed 001: Position and Risk Management System.
    ("001", "audit: immutable append-only files, one a day", (
        f"{AUDIT}::test_what_the_seeds_claim_is_in_the_audit", f"{AUDIT}::test_stopped_it_says_so_and_a_flipped_byte_is_found",
    ), "a file is called audit/2025-02-11.jsonl, and not audit-2025-02-11.jsonl"),
    *(
        ("001", f"audit, events logged: {what}", (f"{AUDIT}::test_what_the_seeds_claim_is_in_the_audit",), AS_SAID)
        for what in (
            "order submissions", "order fills", "order cancellations", "position updates", "position closes",
            "risk rejections", "circuit breaker trips", "errors",
        )
    ),
    ("001", "audit entry: timestamp, type, symbol, side, quantity, price, order_id", (
        f"{AUDIT}::test_what_the_seeds_claim_is_in_the_audit", "tests/persistence/audit/test_line.py",
    ), "as time, kind and data; amounts are text, as a JSON number of money loses digits"),
    ("001", "all risk rejections logged", (
        f"{HISTORY}::test_what_the_seeds_say_of_history", "tests/persistence/audit/test_rejections.py",
    ), "in full up to a rate; above it their number by account"),
    ("001", "positions are tracked from fills, not by polling: open, increase, decrease, flip", (
        f"{LIFE}::test_the_lifecycle_of_a_position",
    ), AS_SAID),
    ("001", "a closed position is moved to the closed positions", (
        f"{LIFE}::test_4_close_moves_it_to_the_closed_positions", f"{HISTORY}::test_what_the_seeds_say_of_history",
    ), AS_SAID),
    ("001", "MAE and MFE, full audit trail of a position", (
        f"{LIFE}::test_the_tracker_s_example", f"{AUDIT}::test_what_the_seeds_claim_is_in_the_audit",
    ), AS_SAID),
    ("001", "no float for money", (
        "tests/core/test_events.py::test_amounts_have_no_exponent_and_lose_no_digit",
    ), AS_SAID),
    ("001", "daily P&L for a learning loop", (
        "tests/persistence/test_statement.py::test_rows_add_up_to_the_difference_of_balances_for_any_cut_in_time",
    ), "a statement of any period; no learning loop"),
    # Seed 002: Order Risk Manager.
    ("002", "balance checks: fail, with details", (
        f"{HISTORY}::test_what_the_seeds_say_of_history", f"{AUDIT}::test_what_the_seeds_claim_is_in_the_audit",
    ), "one that passes is the order itself, with the margin that it reserved; it is no entry of its own"),
    ("002", "order placements: all attempts recorded", (
        f"{AUDIT}::test_what_the_seeds_claim_is_in_the_audit", f"{HISTORY}::test_what_the_seeds_say_of_history",
    ), AS_SAID),
    ("002", "rollback events, and a rollback that fails: manual intervention", (
        "tests/e2e/test_audit.py::test_what_the_seeds_claim_is_in_the_audit",
    ), "orders of two exchanges that stand or fall together are not made yet: there is one exchange, so nothing to roll back"),
    ("002", "insufficient balance: to the history, for the CLI, with --hours 24, as a table", (
        f"{HISTORY}::test_what_the_seeds_say_of_history",
        f"{HISTORY}::test_a_history_is_newest_first_and_its_formats_say_the_same",
        "tests/persistence/test_history.py::test_a_refused_order_is_named_with_what_it_was_and_the_exchange_s_words",
    ), "bulkhead history --kind insufficient-balance; a table unless --json or --csv, so there is no --format-type"),
    ("002", "position limit violations: clear error messages", (
        f"{AUDIT}::test_what_the_seeds_claim_is_in_the_audit",
        "tests/subaccount/test_seeds_002_to_004.py::test_002_maximum_positions_limit_reached_2_of_2",
    ), AS_SAID),
    ("002", "record_order_placed, record_position_error, record_insufficient_balance", (
        f"{HISTORY}::test_what_the_seeds_say_of_history",
    ), AS_SAID),
    ("002", "alerts: proactive warnings in real time", (
        "tests/persistence/test_history.py::test_alerts_say_what_operators_were_told_by_account_and_time",
        "tests/subaccount/test_alert_kinds.py::test_what_operators_are_told_of_is_kept_with_the_same_words",
        "tests/subaccount/test_monitor.py",
    ), AS_SAID),
]  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim[0]}: {claim[1]}")
def test_each_claim_names_tests_that_are_there(claim):
    _, _, tests, _ = claim
    assert tests
    for test in tests:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or name in names, test


def test_no_claim_stands_twice():
    assert len({claim[:2] for claim in CLAIMS}) == len(CLAIMS)
