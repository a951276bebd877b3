"""Connecting to Postgres, with our time limits and without a password in any error.

I/O: opens connections to Postgres.
"""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, TypeVar
from urllib.parse import unquote

import psycopg
from psycopg.abc import PQGen

from actors.core.errors import BadConfig, StoreUnreachable

CONNECT_SECONDS = 5
PLANS = "-c enable_seqscan=off -c jit=off"
"""Rows are found by index where there is one, whatever Postgres believes of tables that were empty when it looked: a
plan is made once, and an account's few rows must not cost a table. What reads whole tables still does."""

SETTINGS = (
    f"{PLANS} -c statement_timeout=10000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=2000"
)
"""Statements end after ten seconds, waits for a lock and idle transactions after two."""


WAIT_FOR_DISK: LiteralString = """
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"""
"""An order is sent once its COMMIT is answered, so that answer must come after the disk's, whatever the database, the role
or the server have as their default. What waits for a standby too stays as it is."""

READ_ONLY = "-c default_transaction_read_only=on -c statement_timeout=8000 -c lock_timeout=2000"
"""What people ask writes nothing, and ends before they have gone."""

ANSWER_SECONDS = 30.0
"""How long we wait for a server that says nothing at all: its own limits are shorter, so it is frozen or cut off."""

READ_SECONDS = 12.0
"""The same for what people ask."""

DSN_LOOKS_LIKE = "postgresql://user@host:5432/name"

BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)
"""Errors of one statement on a connection that is still good."""

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that never waits for ever: a frozen server keeps none of its own time limits."""

    answer_seconds = ANSWER_SECONDS

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """See ``psycopg.Connection``; a server that does not answer counts as a lost connection.

        Raises:
            psycopg.OperationalError: it did not answer in time; the connection is closed.
        """
        try:
            return super().wait(gen, interval=interval, timeout=timeout or self.answer_seconds)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 - it has no public name
            # At once, and without a word to the server: a rollback would wait as long again.
            self.close()
            raise psycopg.OperationalError(
                f"Postgres did not answer within {self.answer_seconds:.0f} s"
            ) from None


def connect(dsn: str, *, read_only: bool = False) -> psycopg.Connection[Any]:
    """Connect with our time limits.

    Raises:
        StoreUnreachable: bad DSN, no server there, wrong password, no such database.
    """
    try:
        connection = BoundedConnection.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            options=READ_ONLY if read_only else SETTINGS,
            application_name="bulkhead-reader" if read_only else "bulkhead",
        )
        if read_only:
            connection.answer_seconds = READ_SECONDS
        else:
            connection.execute(WAIT_FOR_DISK)
        return connection  # noqa: TRY300
    except psycopg.ProgrammingError:
        # libpq quotes what it cannot read, with the password that may be in it.
        raise StoreUnreachable(
            f"the DSN cannot be read{_fault_of(dsn)}; it should look like {DSN_LOOKS_LIKE}"
        ) from None
    except psycopg.OperationalError as error:
        raise StoreUnreachable(
            f"Postgres cannot be reached: {without_secrets(one_line(error), dsn)}"
        ) from None


def check_durability(connection: psycopg.Connection[Any]) -> str:
    """See whether what the server calls committed outlives a crash of its machine.

    Returns:
        What an operator must know; empty when there is nothing.

    Raises:
        BadConfig: the server does not wait for its disk at all; says what to set.
    """
    [(fsync, full_pages)] = connection.execute(
        "SELECT current_setting('fsync'), current_setting('full_page_writes')"
    ).fetchall()
    if fsync == "off":
        raise BadConfig(
            "Postgres runs with fsync = off: when its machine crashes, decisions are lost whose orders are at the exchange; "
            "set fsync = on in its postgresql.conf, reload it, and start again"
        )
    if full_pages == "off":
        return (
            "Postgres runs with full_page_writes = off: when its machine crashes, pages may be left half written, unless "
            "the file system prevents that, as ZFS does; else set full_page_writes = on in its postgresql.conf"
        )
    return ""


def _fault_of(dsn: str) -> str:
    """What is wrong with a DSN, without a word of it."""
    if "://" in dsn or "=" in dsn.split("//", 1)[0]:
        return ""
    if "//" in dsn:
        return " (a colon is missing before //)"
    return " (there is no :// and no name=value in it)"


def without_secrets(text: str, dsn: str) -> str:
    """A text with every part of a DSN's password taken out, however the DSN was misread."""
    secrets = {value.strip("'") for value in re.findall(r"password\s*=\s*('[^']*'|[^\s&]+)", dsn)}
    userinfo = dsn.split("//", 1)[-1].rpartition("@")[0]
    _user, _, rest = userinfo.partition(":")
    secrets |= {rest, *re.split(r"[@:/?#]", rest)}
    for secret in sorted({*secrets, *map(unquote, secrets)}, key=len, reverse=True):
        if len(secret) > 1:
            text = text.replace(secret, "***")
    return text


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


def is_lost(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """Whether an error is of the connection, not of what it was asked."""
    if connection.closed:
        return True
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not isinstance(
        error, BUSY
    )


@contextmanager
def one_moment(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A transaction that sees one moment, and writes nothing."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


@contextmanager
def answers_within(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Wait so long for one answer of the server, for statements on tables of any size."""
    if not isinstance(connection, BoundedConnection):
        yield
        return
    before, connection.answer_seconds = connection.answer_seconds, seconds
    try:
        yield
    finally:
        connection.answer_seconds = before


def lift_limits(connection: psycopg.Connection[Any]) -> None:
    """No limit of the server's on the rest of the transaction: neither on a statement nor on the time between two."""
    connection.execute("SET LOCAL statement_timeout = 0")
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
