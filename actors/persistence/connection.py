"""Connecting to Postgres, with our time limits and without a password in any error."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path
from typing import Any

import psycopg

from actors.errors import StoreUnreachable

CONNECT_SECONDS = 5
PLANS = "-c enable_seqscan=off -c jit=off"
"""Rows are found by index where there is one, whatever Postgres believes of tables that were empty when it looked: a
plan is made once, and an account's few rows must not cost a table. What reads whole tables still does."""

SETTINGS = (
    f"{PLANS} -c statement_timeout=10000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=2000"
)
"""Statements end after ten seconds, waits for a lock and idle transactions after two."""


def connect(dsn: str) -> psycopg.Connection[Any]:
    """Connect with our time limits.

    Raises:
        StoreUnreachable: bad DSN, nobody there, wrong password, no such database.
    """
    try:
        return psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            options=SETTINGS,
            application_name="bulkhead",
        )
    except psycopg.ProgrammingError as error:
        raise StoreUnreachable(
            f"the DSN cannot be read ({one_line(error)}); it should look like postgresql://user@host:5432/name"
        ) from None
    except psycopg.OperationalError as error:
        raise StoreUnreachable(f"Postgres cannot be reached: {one_line(error)}") from None


def one_line(error: BaseException) -> str:
    """An error's text without line breaks, at most 500 characters."""
    return " ".join(str(error).split())[:500]


def owner_of(data_dir: Path) -> str:
    """Who we are to the database: the same after a crash, so that our own lease is no wait."""
    path = data_dir / "owner"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}")
    return path.read_text().strip()
