"""What a database holds, and how an empty one becomes ours.

Rules
1. The platform's tables are made only where there is none of them, and never changed.
2. Schema ``bulkhead`` is ours and migrated.
3. Anything else is a foreign database and is refused.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import psycopg

from actors.core.errors import ForeignDatabase
from actors.core.units import NANOS_PER_MS
from actors.persistence import carrying
from actors.persistence.connection import answers_within, lift_limits
from actors.persistence.projection import first_fill

SCRIPTS = ("bulkhead.sql", *(f"bulkhead_{version}.sql" for version in range(2, 10)))
"""Our schema's versions, each script making one from the one before."""

VERSION = len(SCRIPTS)

JOURNAL = "bulkhead_7.sql"
"""The version that needs more than its script."""

AFTER_JOURNAL = "bulkhead_7_after.sql"
"""Its second half, when what was there is kept and carried."""

FILLED_FROM_JOURNAL = "bulkhead_9.sql"
"""The version whose new tables begin with what the journal has already."""

MIGRATION_SECONDS = 3_600.0
"""How long one statement of a migration may take, on tables of any size."""

_HERE = Path(__file__).parent

REQUIRED: dict[str, frozenset[str]] = {
    "users": frozenset({"id", "username", "password_hash", "role", "status", "updated_at"}),
    "sub_accounts": frozenset(
        [
            "id",
            "user_id",
            "name",
            "type",
            "initial_balance",
            "current_balance",
            "status",
            "liquidation_mode",
            "maintenance_rate",
            "created_at",
            "updated_at",
        ]
    ),
    "virtual_positions": frozenset(
        [
            "id",
            "sub_account_id",
            "symbol",
            "side",
            "entry_price",
            "quantity",
            "notional",
            "leverage",
            "margin",
            "liquidation_price",
            "status",
            "realized_pnl",
            "babysitter_excluded",
            "taken_over",
            "taken_over_by",
            "taken_over_at",
            "opened_at",
            "closed_at",
        ]
    ),
    "trade_executions": frozenset(
        [
            "id",
            "sub_account_id",
            "position_id",
            "exchange_order_id",
            "client_order_id",
            "symbol",
            "side",
            "type",
            "price",
            "quantity",
            "notional",
            "fee",
            "realized_pnl",
            "action",
            "origin_type",
            "status",
            "signature",
            "timestamp",
        ]
    ),
    "balance_logs": frozenset(
        [
            "id",
            "sub_account_id",
            "balance_before",
            "balance_after",
            "change_amount",
            "reason",
            "trade_id",
            "timestamp",
        ]
    ),
    "pending_orders": frozenset(
        [
            "id",
            "sub_account_id",
            "symbol",
            "side",
            "type",
            "price",
            "quantity",
            "leverage",
            "exchange_order_id",
            "status",
            "created_at",
            "filled_at",
            "cancelled_at",
        ]
    ),
    "risk_rules": frozenset(
        [
            "id",
            "sub_account_id",
            "is_global",
            "max_leverage",
            "max_notional_per_trade",
            "max_total_exposure",
            "liquidation_threshold",
        ]
    ),
}


class Found(StrEnum):
    """What a database is to us."""

    EMPTY = "EMPTY"
    PLATFORM = "PLATFORM"
    OLDER = "OLDER"
    READY = "READY"


def check(connection: psycopg.Connection[Any]) -> Found:
    """Look, and change nothing.

    Raises:
        ForeignDatabase: neither empty, nor the platform's, nor ours; names what was found.
    """
    columns = _columns(connection)
    ours = _our_version(connection)
    if ours is not None and ours > VERSION:
        raise ForeignDatabase(
            f"schema bulkhead is at version {ours}, this program knows {VERSION}; use the program that made it"
        )
    platform = {table for table in columns if table in REQUIRED}
    if not platform:
        if columns:
            some = ", ".join(sorted(columns)[:5])
            raise ForeignDatabase(
                f"the database {_name(connection)} holds other tables ({some}) and none of the platform's; "
                "give a DSN of an empty database or of the platform's"
            )
        return Found.EMPTY
    faults = [
        f"{table} lacks {', '.join(sorted(needed - columns.get(table, frozenset())))}"
        for table, needed in REQUIRED.items()
        if needed - columns.get(table, frozenset())
    ]
    if faults:
        raise ForeignDatabase(
            f"the database {_name(connection)} is not the platform's: {'; '.join(faults)}; "
            "give a DSN of an empty database or of the platform's"
        )
    if ours is None:
        return Found.PLATFORM
    return Found.READY if ours == VERSION else Found.OLDER


def init(connection: psycopg.Connection[Any]) -> Found:
    """Make what is missing, in one transaction.

    Returns:
        What the database was before.

    Raises:
        ForeignDatabase: see ``check``.
    """
    with connection.transaction():
        # Two engines that start at once on one empty database must not both make it.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('bulkhead.init'))")
        found = check(connection)
        if found is Found.EMPTY:
            connection.execute(_script("platform.sql"))
        # Tables may be of any size, and some are looked through or sorted.
        with answers_within(connection, MIGRATION_SECONDS):
            for script in SCRIPTS[_our_version(connection) or 0 :]:
                lift_limits(connection)
                if script == JOURNAL:
                    _begin_journal(connection)
                else:
                    connection.execute(_script(script))
                if script == FILLED_FROM_JOURNAL:
                    first_fill.fill(connection)
    return found


def _begin_journal(connection: psycopg.Connection[Any]) -> None:
    """From tables that were overwritten to the journal; see ``carrying``."""
    is_kept = carrying.keep_tables(connection)
    connection.execute(_script(JOURNAL))
    if is_kept:
        carrying.carry(connection, time.time_ns() // NANOS_PER_MS)
    connection.execute(_script(AFTER_JOURNAL))


def _columns(connection: psycopg.Connection[Any]) -> dict[str, frozenset[str]]:
    rows = connection.execute(
        """
        SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
        WHERE table_schema = current_schema() GROUP BY table_name"""
    ).fetchall()
    return {table: frozenset(columns) for table, columns in rows}


def _our_version(connection: psycopg.Connection[Any]) -> int | None:
    row = connection.execute("SELECT to_regclass('bulkhead.migration')").fetchone()
    if row is None or row[0] is None:
        return None
    version = connection.execute("SELECT max(version) FROM bulkhead.migration").fetchone()
    return None if version is None else cast("int", version[0])


def _name(connection: psycopg.Connection[Any]) -> str:
    return connection.info.dbname


def _script(name: str) -> bytes:
    return (_HERE / name).read_bytes()
