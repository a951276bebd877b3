"""Every statement that the store runs on each commit and load, by name. Pure data.

Explicit column lists everywhere: a platform's own columns may come in any order and number.
"""

from __future__ import annotations

from typing import LiteralString

from actors.persistence import order_rows

FENCE: LiteralString = """
    SELECT s.shard_id FROM bulkhead.shard s
    JOIN unnest(%s::int[], %s::bigint[]) AS held (shard_id, epoch)
        ON held.shard_id = s.shard_id AND held.epoch = s.epoch
    FOR SHARE OF s"""

STATEMENTS: dict[str, LiteralString] = {
    "intent_insert": order_rows.insert("bulkhead.intent", order_rows.INTENT),
    "intent_cancel": "UPDATE bulkhead.intent SET cancel_requested = true WHERE client_order_id = %s",
    "intent_acknowledged": """
        UPDATE bulkhead.intent SET status = 'ACKNOWLEDGED', exchange_order_id = %s
        WHERE client_order_id = %s""",
    "intent_ended": """
        UPDATE bulkhead.intent SET status = %s, end_code = %s, end_reason = %s
        WHERE client_order_id = %s""",
    "intent_filled": """
        UPDATE bulkhead.intent SET filled = filled + %s, exchange_order_id = %s
        WHERE client_order_id = %s""",
    "fill_insert": """
        INSERT INTO bulkhead.fill (exchange, symbol, trade_id, client_order_id, account_id,
            exchange_order_id, side, quantity, price, fee, maker, trade_ms, closed_quantity, realized,
            fee_asset, fee_amount, fee_rate, fee_rate_ms)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
    "fill_fee": """
        UPDATE bulkhead.fill SET fee = %s, fee_asset = %s, fee_amount = %s, fee_rate = %s, fee_rate_ms = %s
        WHERE exchange = %s AND symbol = %s AND trade_id = %s""",
    "pending_fee_insert": """
        INSERT INTO bulkhead.pending_fee (account_id, exchange, symbol, trade_id, client_order_id,
            exchange_order_id, trade_ms, quantity, price, closed_quantity, position_id, closed_id, asset, amount)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
    "pending_fee_learned": """
        UPDATE bulkhead.pending_fee SET asset = %s, amount = %s
        WHERE exchange = %s AND symbol = %s AND trade_id = %s""",
    "pending_fee_delete": """
        DELETE FROM bulkhead.pending_fee WHERE exchange = %s AND symbol = %s AND trade_id = %s""",
    "position_delete": "DELETE FROM bulkhead.position WHERE account_id = %s AND symbol = %s",
    "position_upsert": """
        INSERT INTO bulkhead.position (position_id, account_id, symbol, quantity, cost, margin,
            realized, opened_ms, peak, fees, funding, mae, mfe, since, strategy, alerts)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (position_id) DO UPDATE SET quantity = EXCLUDED.quantity,
            cost = EXCLUDED.cost, margin = EXCLUDED.margin, realized = EXCLUDED.realized,
            peak = EXCLUDED.peak, fees = EXCLUDED.fees, funding = EXCLUDED.funding, mae = EXCLUDED.mae,
            mfe = EXCLUDED.mfe, since = EXCLUDED.since, alerts = EXCLUDED.alerts""",
    "closed_position_insert": """
        INSERT INTO bulkhead.closed_position (position_id, account_id, symbol, quantity, entry_price,
            realized, fees, funding, mae, mfe, strategy, purpose, opened_ms, closed_ms)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
    "closed_position_fee": "UPDATE bulkhead.closed_position SET fees = fees + %s WHERE position_id = %s",
    "closed_position_funding": """
        UPDATE bulkhead.closed_position SET funding = funding + %s WHERE position_id = %s""",
    "funding_insert": """
        INSERT INTO bulkhead.funding (account_id, symbol, funding_ms, rate, mark, amount, quantity, position_id,
            kept)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, true)
        ON CONFLICT (account_id, symbol, funding_ms) DO UPDATE SET amount = funding.amount + EXCLUDED.amount,
            quantity = funding.quantity + EXCLUDED.quantity, position_id = EXCLUDED.position_id, kept = true""",
    "funding_forget": """
        UPDATE bulkhead.funding SET kept = false WHERE account_id = %s AND kept AND funding_ms < %s""",
    "held_clear": "DELETE FROM bulkhead.held_until WHERE account_id = %s",
    "held_forget": "DELETE FROM bulkhead.held_until WHERE account_id = %s AND until_ms < %s",
    "held_upsert": """
        INSERT INTO bulkhead.held_until (account_id, symbol, until_ms, quantity, position_id)
        VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (account_id, symbol, until_ms) DO UPDATE SET quantity = EXCLUDED.quantity,
            position_id = EXCLUDED.position_id""",
    "risk_upsert": """
        INSERT INTO bulkhead.account_risk (account_id, day_start_ms, day_equity, day_stopped, losses,
            errors, breaker, breaker_reason, breaker_until_ms, breaker_by_hand, closing_out, last_refusal)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (account_id) DO UPDATE SET day_start_ms = EXCLUDED.day_start_ms,
            day_equity = EXCLUDED.day_equity, day_stopped = EXCLUDED.day_stopped,
            losses = EXCLUDED.losses, errors = EXCLUDED.errors, breaker = EXCLUDED.breaker,
            breaker_reason = EXCLUDED.breaker_reason, breaker_until_ms = EXCLUDED.breaker_until_ms,
            breaker_by_hand = EXCLUDED.breaker_by_hand, closing_out = EXCLUDED.closing_out,
            last_refusal = EXCLUDED.last_refusal""",
    "limit_set": """
        INSERT INTO bulkhead.account_limit (account_id, name, value, set_ms) VALUES (%s, %s, %s, %s)
        ON CONFLICT (account_id, name) DO UPDATE SET value = EXCLUDED.value, set_ms = EXCLUDED.set_ms""",
    "limit_unset": "DELETE FROM bulkhead.account_limit WHERE account_id = %s AND name = %s",
    "mode": "UPDATE sub_accounts SET liquidation_mode = %s, updated_at = %s WHERE id = %s",
    "conditional_insert": order_rows.insert("bulkhead.conditional", order_rows.CONDITIONAL),
    "conditional_moved": "UPDATE bulkhead.conditional SET extreme = %s WHERE client_order_id = %s",
    "conditional_due": "UPDATE bulkhead.conditional SET due = true WHERE client_order_id = %s",
    "conditional_ended": """
        UPDATE bulkhead.conditional SET status = %s, end_reason = %s, order_id = %s
        WHERE client_order_id = %s""",
    "house_add": """
        INSERT INTO bulkhead.house_position (symbol, quantity) VALUES (%s, %s)
        ON CONFLICT (symbol) DO UPDATE SET quantity = house_position.quantity + EXCLUDED.quantity""",
    "platform_position_close": """
        UPDATE virtual_positions SET status = %s, taken_over = %s,
            realized_pnl = COALESCE(realized_pnl, 0) + %s, closed_at = %s, taken_over_by = %s,
            taken_over_at = %s
        WHERE sub_account_id = %s AND symbol = %s AND status = 'OPEN'""",
    "platform_position_upsert": """
        INSERT INTO virtual_positions (id, sub_account_id, symbol, side, entry_price, quantity, notional,
            leverage, margin, liquidation_price, realized_pnl, opened_at, babysitter_excluded)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, true)
        ON CONFLICT (id) DO UPDATE SET entry_price = EXCLUDED.entry_price, quantity = EXCLUDED.quantity,
            notional = EXCLUDED.notional, leverage = EXCLUDED.leverage, margin = EXCLUDED.margin,
            liquidation_price = EXCLUDED.liquidation_price, realized_pnl = EXCLUDED.realized_pnl""",
    "trade_insert": """
        INSERT INTO trade_executions (id, sub_account_id, exchange_order_id, client_order_id, symbol,
            side, type, price, quantity, notional, fee, realized_pnl, action, origin_type, signature,
            "timestamp")
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'API', %s, %s)""",
    "trade_fee": "UPDATE trade_executions SET fee = fee + %s WHERE id = %s",
    "balance_log": """
        INSERT INTO balance_logs (id, sub_account_id, balance_before, balance_after, change_amount,
            reason, trade_id, "timestamp")
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
    "balance_delta": """
        UPDATE sub_accounts SET current_balance = current_balance + %s, updated_at = %s WHERE id = %s""",
    "status": "UPDATE sub_accounts SET status = %s, updated_at = %s WHERE id = %s",
    "pending_insert": """
        INSERT INTO pending_orders (id, sub_account_id, symbol, side, type, price, quantity, leverage,
            created_at)
        VALUES (%s, %s, %s, %s, 'LIMIT', %s, %s, %s, %s)""",
    "pending_acknowledged": "UPDATE pending_orders SET exchange_order_id = %s WHERE id = %s",
    "pending_ended": """
        UPDATE pending_orders SET status = %s, filled_at = %s, cancelled_at = %s WHERE id = %s""",
}

TABLE_ORDER = (
    ("intent_insert", "intent_cancel", "intent_acknowledged"),
    ("fill_insert", "fill_fee"),
    ("pending_fee_insert", "pending_fee_learned", "pending_fee_delete"),
    ("intent_filled",),
    ("intent_ended",),
    ("position_delete", "position_upsert"),
    ("platform_position_close", "platform_position_upsert"),
    ("trade_insert", "trade_fee"),
    ("balance_log",),
    ("balance_delta",),
    ("status",),
    ("mode",),
    ("house_add",),
    ("closed_position_insert", "closed_position_fee", "closed_position_funding"),
    ("funding_insert", "funding_forget"),
    ("held_clear", "held_forget", "held_upsert"),
    ("risk_upsert",),
    ("limit_set", "limit_unset"),
    ("conditional_insert", "conditional_moved", "conditional_due", "conditional_ended"),
    ("pending_insert", "pending_acknowledged", "pending_ended"),
)
"""Statements of one group keep their order; groups may be run one after the other."""

_ACCOUNTS: LiteralString = """
    SELECT a.account_id,
        (CASE WHEN own.id IS NULL THEN general.max_leverage ELSE own.max_leverage END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.max_notional_per_trade ELSE own.max_notional_per_trade END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.max_total_exposure ELSE own.max_total_exposure END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.liquidation_threshold ELSE own.liquidation_threshold END)::numeric,
        CASE WHEN s.status <> a.platform_status THEN s.status END,
        CASE WHEN s.liquidation_mode <> a.platform_mode THEN s.liquidation_mode END,
        CASE WHEN s.maintenance_rate::numeric <> a.platform_rate THEN s.maintenance_rate::numeric END
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
"""Of each account: its id, the platform's four limits for it, and what the platform changed since we wrote its row."""

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
