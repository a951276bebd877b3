"""Every statement that the store runs on each commit and load, by name. Pure data.

Explicit column lists everywhere: a platform's own columns may come in any order and number.
"""

from __future__ import annotations

from typing import LiteralString

from actors.persistence import order_rows

ACCOUNT_UPDATE: LiteralString = """
    UPDATE bulkhead.account SET sequence = %s, next_order_sequence = %s, next_position_sequence = %s,
        balance = %s, deposits = %s, realized = %s, fees = %s, funding = %s, bad_debt = %s,
        phase = %s, refusals = %s
    WHERE account_id = %s AND sequence = %s"""

FENCE: LiteralString = """
    SELECT s.shard_id FROM bulkhead.shard s
    JOIN unnest(%s::int[], %s::bigint[]) AS held (shard_id, epoch)
        ON held.shard_id = s.shard_id AND held.epoch = s.epoch
    FOR SHARE OF s"""

OWNED_ACCOUNTS: LiteralString = """
    SELECT a.account_id, a.sequence, a.next_order_sequence, a.next_position_sequence, a.balance, a.deposits,
        a.realized, a.fees, a.funding, a.bad_debt, a.phase, a.refusals
    FROM bulkhead.account a
    JOIN bulkhead.shard s ON s.shard_id = a.shard_id
    JOIN unnest(%s::text[]) AS asked (account_id) ON asked.account_id = a.account_id
    JOIN unnest(%s::int[], %s::bigint[]) AS held (shard_id, epoch)
        ON held.shard_id = s.shard_id AND held.epoch = s.epoch"""

VIRTUAL_TOTALS: LiteralString = "SELECT symbol, sum(quantity) FROM bulkhead.position GROUP BY symbol"

HOUSE_POSITIONS: LiteralString = "SELECT symbol, quantity FROM bulkhead.house_position"

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
    SELECT a.account_id, s.status, s.liquidation_mode, s.maintenance_rate::numeric, a.sequence,
        a.next_order_sequence, a.next_position_sequence, a.balance, a.deposits, a.realized, a.fees,
        a.funding, a.bad_debt, a.phase, a.refusals,
        (CASE WHEN own.id IS NULL THEN general.max_leverage ELSE own.max_leverage END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.max_notional_per_trade ELSE own.max_notional_per_trade END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.max_total_exposure ELSE own.max_total_exposure END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.liquidation_threshold ELSE own.liquidation_threshold END)::numeric,
        r.day_start_ms, r.day_equity, r.day_stopped, r.losses, r.errors, r.breaker, r.breaker_reason,
        r.breaker_until_ms, r.breaker_by_hand, r.closing_out, r.last_refusal
    FROM bulkhead.account a
    LEFT JOIN bulkhead.account_risk r ON r.account_id = a.account_id
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

_POSITIONS: LiteralString = """
    SELECT account_id, position_id, symbol, quantity, cost, margin, realized, opened_ms, peak, fees,
        funding, mae, mfe, since, strategy, alerts
    FROM bulkhead.position"""

_ORDERS: LiteralString = """
    SELECT i.account_id, i.client_order_id, i.order_sequence, i.symbol, i.side, i.order_type, i.quantity,
        i.price, i.time_in_force, i.reduce_only, i.leverage, i.margin_reserved, i.purpose, i.tier,
        i.decided_ms, i.cause, i.status, i.exchange_order_id, i.filled, i.cancel_requested,
        COALESCE((SELECT array_agg(f.trade_id ORDER BY f.trade_id) FROM bulkhead.fill f
            WHERE f.client_order_id = i.client_order_id), '{}'), i.strategy, i.reference_price
    FROM bulkhead.intent i"""

_WORKING: LiteralString = " WHERE i.status IN ('INTENDED', 'ACKNOWLEDGED')"

_BY_ACCOUNT: LiteralString = " ORDER BY account_id, opened_ms, position_id"

_CONDITIONALS: LiteralString = """
    SELECT account_id, client_order_id, order_sequence, kind, symbol, side, quantity, trigger_price,
        callback_rate, activation_price, first_extreme, extreme, due, reduce_only, leverage,
        margin_reserved, strategy, decided_ms, moment, cause, attempt, not_before_ms
    FROM bulkhead.conditional WHERE status = 'WAITING'"""

_LIMITS: LiteralString = "SELECT account_id, name, value FROM bulkhead.account_limit"

_RECENT: LiteralString = """
    SELECT account_id, symbol, decided_ms FROM bulkhead.intent
    WHERE purpose = 'USER' AND status <> 'NEVER_SENT' AND decided_ms > (extract(epoch FROM now()) * 1000)::bigint - 60000"""

_PENDING_FEES: LiteralString = """
    SELECT account_id, symbol, trade_id, client_order_id, exchange_order_id, trade_ms, quantity, price,
        closed_quantity, position_id, closed_id, asset, amount
    FROM bulkhead.pending_fee"""

_HELD: LiteralString = """
    SELECT account_id, symbol, until_ms, quantity, position_id FROM bulkhead.held_until"""

_BY_TIME: LiteralString = " ORDER BY account_id, symbol, until_ms"

_SETTLED: LiteralString = """
    SELECT account_id, symbol, funding_ms, quantity, position_id FROM bulkhead.funding WHERE kept"""

_BY_SETTLEMENT: LiteralString = " ORDER BY account_id, symbol, funding_ms"

_BY_TRADE: LiteralString = " ORDER BY account_id, trade_ms, symbol, trade_id"

_BY_SEQUENCE: LiteralString = " ORDER BY account_id, order_sequence"

LOAD_ALL: tuple[LiteralString, ...] = (
    _ACCOUNTS + " ORDER BY a.account_id",
    _POSITIONS + _BY_ACCOUNT,
    _ORDERS + _WORKING + " ORDER BY i.account_id, i.order_sequence",
    _CONDITIONALS + _BY_SEQUENCE,
    _LIMITS + " ORDER BY account_id, name",
    _RECENT + _BY_SEQUENCE,
    _PENDING_FEES + _BY_TRADE,
    _HELD + _BY_TIME,
    _SETTLED + _BY_SETTLEMENT,
)
"""Of all: accounts, open positions, working and conditional orders, own limits, last minute's orders, fees,
what was held and funded in the last day."""

# A statement that serves both all and some would be planned for neither, and read whole tables.
LOAD_SOME: tuple[LiteralString, ...] = (
    _ACCOUNTS + " WHERE a.account_id = ANY(%s) ORDER BY a.account_id",
    _POSITIONS + " WHERE account_id = ANY(%s)" + _BY_ACCOUNT,
    _ORDERS + _WORKING + " AND i.account_id = ANY(%s) ORDER BY i.account_id, i.order_sequence",
    _CONDITIONALS + " AND account_id = ANY(%s)" + _BY_SEQUENCE,
    _LIMITS + " WHERE account_id = ANY(%s) ORDER BY account_id, name",
    _RECENT + " AND account_id = ANY(%s)" + _BY_SEQUENCE,
    _PENDING_FEES + " WHERE account_id = ANY(%s)" + _BY_TRADE,
    _HELD + " WHERE account_id = ANY(%s)" + _BY_TIME,
    _SETTLED + " AND account_id = ANY(%s)" + _BY_SETTLEMENT,
)
"""The same, of some accounts; each takes the array of their ids."""

LOAD_WORKING: LiteralString = LOAD_ALL[2]

FIND_ORDER: LiteralString = _ORDERS + " WHERE i.client_order_id = %s"


RULES: LiteralString = """
    SELECT is_global, max_leverage::numeric, max_notional_per_trade::numeric, max_total_exposure::numeric,
        liquidation_threshold::numeric
    FROM risk_rules WHERE is_global OR sub_account_id = %s ORDER BY is_global, id"""
"""The platform's own rules that concern an account: its own first, then those for all."""

CLOSED_POSITIONS: LiteralString = """
    SELECT position_id, symbol, quantity, entry_price, realized, fees, funding, mae, mfe, strategy, purpose,
        opened_ms, closed_ms
    FROM bulkhead.closed_position WHERE account_id = %s"""

RECENT_ORDERS = """
    SELECT count(*) FILTER (WHERE decided_ms > now_ms - 15000), count(*)
    FROM bulkhead.intent, (SELECT (extract(epoch FROM now()) * 1000)::bigint AS now_ms) AS clock
    WHERE decided_ms > now_ms - 65000 AND status <> 'NEVER_SENT'"""
"""Orders that the exchange may still count, with five seconds for the way there."""
