"""What operators read of Postgres, on connections of its own that may only read.

The writer's connection is for money: a query on it would wait behind every commit, and every commit behind the
query.

I/O: asks Postgres on connections of its own.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from actors.core.errors import StoreBusy, StoreUnreachable
from actors.persistence import open_books
from actors.persistence.connection import BUSY, connect, one_line
from actors.persistence.journal import last_position, projected
from actors.persistence.open_books import Books
from actors.persistence.operator_records import OperatorRecords

T = TypeVar("T")

PROJECTED_WITHIN_S = 0.5
"""How long a question waits for tables that are behind the journal; normally they are some milliseconds behind."""

LOOK_S = 0.005


class Reader:
    """See the module. Callable from any thread; as many connections as threads ask at once.

    Args:
        dsn: the writer's database.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._idle: queue.SimpleQueue[psycopg.Connection[Any]] = queue.SimpleQueue()
        self._closed = False

    def ask(self, call: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Run one question.

        Raises:
            StoreUnreachable: Postgres does not answer.
            StoreBusy: it is there, but this question took too long.
        """
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            return self._ask(connect(self._dsn, read_only=True), call)
        try:
            return self._ask(connection, call)
        except StoreUnreachable:
            # It may have been lost long ago, while it was idle.
            return self._ask(connect(self._dsn, read_only=True), call)

    def with_operator_records(self, call: Callable[[OperatorRecords], T]) -> T:
        """Read dead letters, quarantine, audit and the past of accounts; see ``ask``.

        What was acknowledged before is in the answer, unless the tables are further behind than is worth waiting for.
        """
        return self.with_tables(lambda connection: call(OperatorRecords(connection)))

    def with_tables(self, call: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Read any table, as ``with_operator_records`` does."""
        return self.ask(lambda connection: call(_caught_up(connection)))

    def books(self) -> Books:
        """Signed positions per symbol."""
        return self.ask(open_books.books)

    def close(self) -> None:
        """Disconnect; a question that is under way ends by itself."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _ask(self, connection: psycopg.Connection[Any], call: Callable[[psycopg.Connection[Any]], T]) -> T:
        try:
            found = call(connection)
        except BUSY as error:
            self._give_back(connection)
            raise StoreBusy(f"Postgres took too long: {one_line(error)}") from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            connection.close()
            raise StoreUnreachable(one_line(error)) from None
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        return found

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        if self._closed or connection.closed:
            connection.close()
        else:
            self._idle.put(connection)


def _caught_up(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Wait, a little, until the tables have what is durable now."""
    last, deadline = last_position(connection), time.monotonic() + PROJECTED_WITHIN_S
    while (projected(connection) or 0) < last and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return connection
