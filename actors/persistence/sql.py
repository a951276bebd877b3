"""Statements that the store runs on each commit and load. Pure data.

Explicit column lists everywhere: a platform's own columns may come in any order and number.
"""

from __future__ import annotations

from typing import LiteralString

FENCE: LiteralString = """
    SELECT shard_id FROM bulkhead.shard WHERE shard_id = %s AND epoch = %s FOR SHARE"""
"""One shard stands for all: they are taken in one statement, all or none, which waits for this lock. To lock each cost a
tenth of a large commit."""

_ACCOUNTS: LiteralString = """
    SELECT a.account_id,
        (CASE WHEN own.id IS NULL THEN general.max_leverage ELSE own.max_leverage END)::numeric::text,
        (CASE WHEN own.id IS NULL THEN general.max_notional_per_trade ELSE own.max_notional_per_trade END)::numeric::text,
        (CASE WHEN own.id IS NULL THEN general.max_total_exposure ELSE own.max_total_exposure END)::numeric::text,
        (CASE WHEN own.id IS NULL THEN general.liquidation_threshold ELSE own.liquidation_threshold END)::numeric::text,
        CASE WHEN s.status <> a.platform_status THEN s.status END,
        CASE WHEN s.liquidation_mode <> a.platform_mode THEN s.liquidation_mode END,
        CASE WHEN s.maintenance_rate::numeric <> a.platform_rate THEN s.maintenance_rate::numeric END,
        a.sequence
    FROM bulkhead.account a
    JOIN sub_accounts s ON s.id = a.account_id
    LEFT JOIN LATERAL (
        SELECT id, max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold
        FROM risk_rules WHERE sub_account_id = a.account_id ORDER BY id LIMIT 1
    ) own ON true
    LEFT JOIN (
        -- Found before it is sorted: else every account's own rule is read to come to it by its id.
        WITH rules AS MATERIALIZED (
            SELECT id, max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold
            FROM risk_rules WHERE is_global
        )
        SELECT max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold
        FROM rules ORDER BY id LIMIT 1
    ) general ON true"""

ALL_ACCOUNTS: LiteralString = _ACCOUNTS + " ORDER BY a.account_id"
"""Of each account: its id, the platform's four limits for it (as text, which costs a third), what the platform changed
since we wrote its row, and up to which decision our tables are."""

# A statement that serves both all and some would be planned for neither, and read whole tables.
SOME_ACCOUNTS: LiteralString = _ACCOUNTS + " WHERE a.account_id = ANY(%s) ORDER BY a.account_id"

RULES: LiteralString = """
    SELECT is_global, max_leverage::numeric, max_notional_per_trade::numeric, max_total_exposure::numeric,
        liquidation_threshold::numeric
    FROM risk_rules WHERE is_global OR sub_account_id = %s ORDER BY is_global, id"""
"""The platform's own rules that concern an account: its own first, then those for all."""

CLOSED_POSITIONS: LiteralString = """
    SELECT position_id, symbol, quantity, entry_price, realized, fees, funding, mae, mfe, strategy, purpose,
        opened_ms, closed_ms
    FROM bulkhead.closed_position WHERE account_id = %s"""

HAS_ACCOUNT: LiteralString = "SELECT FROM bulkhead.account WHERE account_id = %s"
