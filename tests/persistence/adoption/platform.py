"""A database as the platform leaves one: its drift, money in doubles, times as text; and rows in it."""

from __future__ import annotations

import psycopg

from actors.persistence import schema

LONG_AGO = "2026-02-17 04:10:00"

DRIFT = """
    ALTER TABLE users DROP COLUMN current_challenge;
    ALTER TABLE sub_accounts ADD COLUMN binance_api_key text, ADD COLUMN binance_secret text;
    ALTER TABLE sub_accounts ADD COLUMN nickname text NOT NULL DEFAULT 'none';
    CREATE TABLE bot_configs (id text PRIMARY KEY, sub_account_id text UNIQUE REFERENCES sub_accounts (id),
        enabled boolean NOT NULL DEFAULT false, max_notional double precision NOT NULL DEFAULT 50);
    CREATE TABLE webauthn_credentials (id text PRIMARY KEY, user_id text REFERENCES users (id), counter int DEFAULT 0);
    DROP INDEX pending_orders_exchange_order_id_idx"""
"""What a live database may have more or less than ``platform.sql``; see section 1.1 of the reference."""


def make(dsn, *, text_times=True):
    """The platform's tables in an empty database."""
    script = (schema._HERE / "platform.sql").read_text().replace("numeric", "double precision")
    if text_times:
        script = script.replace(
            "timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP", "text NOT NULL DEFAULT now()::text"
        )
        script = script.replace("timestamp(3)", "text")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(script)
        connection.execute(DRIFT)
        connection.execute(
            "INSERT INTO users (id, username, password_hash, updated_at) VALUES ('u1', 'ann', 'x', %s)",
            (LONG_AGO,),
        )


def run(dsn, statement, *values):
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def account(dsn, id_, balance=1000.0, **more):
    row = {
        "id": id_, "user_id": "u1", "name": f"name of {id_}", "initial_balance": balance, "current_balance": balance,
        "status": "ACTIVE", "liquidation_mode": "ADL_30", "maintenance_rate": 0.005, "binance_api_key": "k",
        "created_at": LONG_AGO, "updated_at": LONG_AGO, **more,
    }  # fmt: skip
    insert(dsn, "sub_accounts", row)


def position(dsn, id_, account_id, quantity, price, symbol="ETH/USDT:USDT", leverage=20.0, **more):
    """An OPEN position, its figures worked out in doubles; ``quantity`` is signed."""
    size = abs(float(quantity))
    row = {
        "id": id_, "sub_account_id": account_id, "symbol": symbol, "side": "LONG" if float(quantity) > 0 else "SHORT",
        "entry_price": float(price), "quantity": size, "notional": float(price) * size, "leverage": leverage,
        "margin": float(price) * size / leverage, "liquidation_price": 0.0, "opened_at": LONG_AGO, **more,
    }  # fmt: skip
    insert(dsn, "virtual_positions", row)
    opened = {
        "id": f"t-{id_}", "sub_account_id": account_id, "position_id": id_, "symbol": symbol, "side": "BUY",
        "type": "MARKET", "price": float(price), "quantity": size, "notional": float(price) * size, "fee": 0.35,
        "action": "OPEN", "signature": "f" * 64, "timestamp": LONG_AGO,
    }  # fmt: skip
    insert(dsn, "trade_executions", opened)


def insert(dsn, table, row):
    names = ", ".join(f'"{name}"' for name in row)
    values = ", ".join(["%s"] * len(row))
    run(dsn, f"INSERT INTO {table} ({names}) VALUES ({values})".encode(), *row.values())


def catalogue(dsn):
    """Every object of the platform's schema: columns with types and defaults, constraints, indexes."""
    columns = run(
        dsn,
        "SELECT c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
        "pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
        "WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 ORDER BY 1, a.attnum",
    )
    constraints = run(
        dsn,
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    )
    indexes = run(dsn, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
    triggers = run(dsn, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
    return columns, constraints, indexes, triggers


def dump(dsn):
    """Every row of the platform's, as text, by table."""
    tables = [
        r[0] for r in run(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    ]
    return {t: sorted(r[0] for r in run(dsn, f'SELECT t::text FROM "{t}" t'.encode())) for t in tables}
