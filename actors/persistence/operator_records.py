"""Operators' records in Postgres: dead letters, quarantine, audit, and orders by what caused them.

Writing runs in the writer's thread, on its connection; reading also on those of ``persistence.reader``.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, LiteralString

import msgspec
import psycopg
from msgspec.structs import replace
from psycopg.rows import dict_row

from actors.core.errors import BadInput, NotStarted
from actors.core.order_ids import PART_LENGTH, FleetId, Origin, StartId, parsed, part_of
from actors.core.order_tags import TAGS, OrderTags
from actors.core.orders import end_text
from actors.core.records import AuditEntry, QuarantineRecord, RecordAudit, RecordDeadLetter, RecordQuarantine
from actors.core.units import AccountId
from actors.persistence import sql


class DeadLetterStatus(StrEnum):
    """How a dead letter was resolved."""

    OPEN = "OPEN"
    REPLAYED = "REPLAYED"
    DROPPED = "DROPPED"


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that its actor could not handle. Times in Unix milliseconds."""

    dead_letter_id: int
    actor: str
    message_kind: str
    message: str
    error: str
    traceback: str
    state: str
    at_ms: int
    payload: str
    cause: str
    status: DeadLetterStatus
    resolved_ms: int | None
    resolved_by: str | None


class CausedOrder(OrderTags, frozen=True, kw_only=True):
    """An order with its cause and its end.

    ``end_code`` and ``end_reason`` are the exchange's own, or ours where it was never sent; ``end`` is status and
    both in one line, empty unless there is a reason. A conditional order has its kind as ``order_type``, and
    ``became`` is the order that it was sent as.
    """

    client_order_id: str
    account_id: AccountId
    symbol: str
    side: str
    order_type: str
    quantity: str
    filled: str
    purpose: str
    tier: int
    status: str
    decided_ms: int
    cause: str
    end_code: int | None
    end_reason: str | None
    trade_ids: list[int]
    became: str | None
    end: str = ""


DRAWS_MAX = 8
"""Tries to draw an id for a start that was not used before."""

_DEAD_LETTER_COLUMNS: LiteralString = ", ".join(DeadLetter.__struct_fields__)
_QUARANTINE_COLUMNS: LiteralString = ", ".join(QuarantineRecord.__struct_fields__)
_AUDIT_COLUMNS: LiteralString = ", ".join(AuditEntry.__struct_fields__)
_TAGS: LiteralString = ", ".join(TAGS)
_ORDER: LiteralString = f"""
    SELECT i.client_order_id, i.account_id, i.symbol, i.side, i.order_type, i.quantity::text, i.filled::text,
        i.purpose, i.tier, i.status, i.decided_ms, i.cause, i.end_code, i.end_reason,
        COALESCE((SELECT array_agg(f.trade_id ORDER BY f.trade_id) FROM bulkhead.fill f
            WHERE f.client_order_id = i.client_order_id), '{{}}') AS trade_ids, NULL AS became, {_TAGS}
    FROM bulkhead.intent i"""  # noqa: S608 - our own column names
_CONDITIONAL: LiteralString = f"""
    SELECT client_order_id, account_id, symbol, side, kind AS order_type, quantity::text, '0' AS filled,
        'USER' AS purpose, attempt AS tier, status, decided_ms, cause, NULL::integer AS end_code, end_reason,
        '{{}}'::bigint[] AS trade_ids, order_id AS became, {_TAGS}
    FROM bulkhead.conditional"""  # noqa: S608 - our own column names

HISTORY: LiteralString = _ORDER + " WHERE i.account_id = %s ORDER BY i.order_sequence DESC LIMIT %s"
HISTORY_OF_CONDITIONALS: LiteralString = (
    _CONDITIONAL + " WHERE account_id = %s ORDER BY order_sequence DESC LIMIT %s"
)


class OperatorRecords:
    """See the module. Made for each use; shares the connection of its maker."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    # -- starts

    def begin(
        self, program: str, draw: Callable[[], bytes] = lambda: secrets.token_bytes(PART_LENGTH)
    ) -> Origin:
        """Record a start of this database's fleet, and give what its orders' ids begin with.

        The start's part is drawn at random, and drawn again if it was used before: a counter would
        repeat after a backup was restored.

        Args:
            program: what starts.
            draw: makes ``PART_LENGTH`` random bytes.

        Raises:
            NotStarted: the database has no fleet, or every draw was used before.
        """
        row = self._connection.execute("SELECT fleet_id FROM bulkhead.fleet").fetchone()
        if row is None:
            raise NotStarted(
                "table bulkhead.fleet is empty; restore its row, which a migration made, from a backup"
            )
        for _ in range(DRAWS_MAX):
            start = part_of(draw())
            recorded = self._connection.execute(
                "INSERT INTO bulkhead.engine_start (start_id, program, host) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (start, program, socket.gethostname()),
            ).rowcount
            if recorded:
                return Origin(FleetId(row[0]), StartId(start))
        raise NotStarted(
            f"{DRAWS_MAX} random ids of this start were all used before; is the machine's random source broken?"
        )

    # -- dead letters

    def record_dead_letter(self, letter: RecordDeadLetter) -> None:
        """Keep a dead letter."""
        texts = (
            letter.actor, letter.message_kind, letter.message, letter.error, letter.traceback, letter.state,
            letter.payload, letter.cause,
        )  # fmt: skip
        self._connection.execute(
            "INSERT INTO bulkhead.dead_letter (actor, message_kind, message, error, traceback, state, payload, "
            "cause, at_ms, capture) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (*(clean(text) for text in texts), letter.wall_ms, letter.capture),
        )

    def dead_letters(
        self,
        actor: str | None = None,
        *,
        status: DeadLetterStatus | None = None,
        limit: int = 50,
        before: int = 0,
    ) -> list[DeadLetter]:
        """Dead letters, newest first; ``before`` an id, to page on."""
        found = self._connection.execute(
            f"SELECT {_DEAD_LETTER_COLUMNS} FROM bulkhead.dead_letter "  # noqa: S608 - our own column names
            "WHERE (%(actor)s::text IS NULL OR actor = %(actor)s) "
            "AND (%(status)s::text IS NULL OR status = %(status)s) "
            "AND (%(before)s = 0 OR dead_letter_id < %(before)s) ORDER BY dead_letter_id DESC LIMIT %(limit)s",
            {"actor": actor, "status": status, "before": before, "limit": limit},
        ).fetchall()
        return [_letter(row) for row in found]

    def dead_letter(self, dead_letter_id: int) -> DeadLetter | None:
        """One dead letter."""
        row = self._connection.execute(
            f"SELECT {_DEAD_LETTER_COLUMNS} FROM bulkhead.dead_letter WHERE dead_letter_id = %s",  # noqa: S608
            (dead_letter_id,),
        ).fetchone()
        return None if row is None else _letter(row)

    def capture_of(self, dead_letter_id: int) -> bytes:
        """What the failure of a dead letter can be repeated with; empty where that is not known."""
        row = self._connection.execute(
            "SELECT capture FROM bulkhead.dead_letter WHERE dead_letter_id = %s", (dead_letter_id,)
        ).fetchone()
        return b"" if row is None else bytes(row[0])

    def resolve(self, dead_letter_id: int, status: DeadLetterStatus, wall_ms: int, who: str) -> bool:
        """Close an open dead letter.

        Returns:
            Whether it was open until now: of two operators at once, one is late.
        """
        done = self._connection.execute(
            "UPDATE bulkhead.dead_letter SET status = %s, resolved_ms = %s, resolved_by = %s "
            "WHERE dead_letter_id = %s AND status = 'OPEN'",
            (status, wall_ms, clean(who), dead_letter_id),
        )
        return done.rowcount == 1

    # -- quarantine

    def record_quarantine(self, record: RecordQuarantine) -> None:
        """Keep that an account is out of service; the latest reason wins."""
        self._connection.execute(
            f"INSERT INTO bulkhead.quarantine ({_QUARANTINE_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s) "  # noqa: S608
            "ON CONFLICT (account_id) DO UPDATE SET since_ms = EXCLUDED.since_ms, reason = EXCLUDED.reason, "
            "error = EXCLUDED.error, traceback = EXCLUDED.traceback, state = EXCLUDED.state",
            (
                record.account_id,
                record.wall_ms,
                *(clean(t) for t in (record.reason, record.error, record.traceback, record.state)),
            ),
        )

    def lift_quarantine(self, account_id: AccountId) -> None:
        """The account is back in service."""
        self._connection.execute("DELETE FROM bulkhead.quarantine WHERE account_id = %s", (account_id,))

    def quarantined(self) -> list[QuarantineRecord]:
        """Who is out of service, by id."""
        found = self._connection.execute(
            f"SELECT {_QUARANTINE_COLUMNS} FROM bulkhead.quarantine ORDER BY account_id"  # noqa: S608
        ).fetchall()
        return [QuarantineRecord(*row) for row in found]

    # -- audit

    def record_audit(self, record: RecordAudit) -> None:
        """Keep what an operator did; once, if an earlier run may have kept it."""
        values = {
            "at": record.at_ms,
            "who": clean(record.who),
            "action": clean(record.action),
            "target": clean(record.target),
            "detail": clean(record.detail),
        }
        if (
            record.again
            and self._connection.execute(
                "SELECT FROM bulkhead.audit WHERE at_ms = %(at)s AND who = %(who)s AND action = %(action)s "
                "AND target = %(target)s",
                values,
            ).fetchone()
            is not None
        ):
            return
        self._connection.execute(
            "INSERT INTO bulkhead.audit (at_ms, who, action, target, detail) "
            "VALUES (%(at)s, %(who)s, %(action)s, %(target)s, %(detail)s)",
            values,
        )

    def audit(self, target: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """What operators did, newest first."""
        found = self._connection.execute(
            f"SELECT {_AUDIT_COLUMNS} FROM bulkhead.audit "  # noqa: S608 - our own column names
            "WHERE %(target)s::text IS NULL OR target = %(target)s ORDER BY audit_id DESC LIMIT %(limit)s",
            {"target": target, "limit": limit},
        ).fetchall()
        return [AuditEntry(*row) for row in found]

    # -- causes

    def caused(self, cause: str, limit: int = 1_000) -> list[CausedOrder]:
        """Orders that a cause set off, for example a tick's."""
        return self._orders(
            "WHERE i.cause = %s ORDER BY i.decided_ms, i.client_order_id LIMIT %s", cause, limit
        )

    def order(self, client_order_id: str) -> CausedOrder | None:
        """One order with its cause; a conditional one too."""
        found = self._orders("WHERE i.client_order_id = %s", client_order_id)
        if not found:
            found = self._caused(_CONDITIONAL + " WHERE client_order_id = %s", client_order_id)
        return found[0] if found else None

    def history(self, account_id: AccountId, limit: int = 100) -> list[CausedOrder]:
        """The last orders of an account, conditional ones too, newest first."""
        found = [
            order
            for statement in (HISTORY, HISTORY_OF_CONDITIONALS)
            for order in self._caused(statement, account_id, limit)
        ]
        found.sort(key=_sequence, reverse=True)
        return found[:limit]

    def _orders(self, where: LiteralString, *values: object) -> list[CausedOrder]:
        return self._caused(_ORDER + " " + where, *values)

    def _caused(self, statement: LiteralString, *values: object) -> list[CausedOrder]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return [_with_end(CausedOrder(**row)) for row in cursor.execute(statement, values)]

    # -- what accounts may do, and what they did

    def rules(self, account_id: AccountId) -> list[tuple[Any, ...]]:
        """The platform's rules that concern an account, its own first: is_global and ``actors.limits.layers.RULE_COLUMNS``."""
        return self._connection.execute(sql.RULES, (account_id,)).fetchall()

    def closed_positions(
        self, account_id: AccountId, limit: int, strategy: str | None = None
    ) -> list[dict[str, Any]]:
        """Closed positions, newest first, by column; of one strategy or of all."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            wanted: LiteralString = "" if strategy is None else " AND strategy = %s"
            tail: LiteralString = " ORDER BY closed_ms DESC, position_id LIMIT %s"
            values = (account_id, *(() if strategy is None else (strategy,)), limit)
            return cursor.execute(sql.CLOSED_POSITIONS + wanted + tail, values).fetchall()


def _sequence(order: CausedOrder) -> int:
    """The place of an order among its account's; its id counts to the base of 32, in an older release's to 10."""
    name = parsed(order.client_order_id)
    return -1 if name is None else name.sequence


def _with_end(order: CausedOrder) -> CausedOrder:
    if not order.end_code and not order.end_reason:
        return order
    return replace(order, end=end_text(order.status, order.end_code, order.end_reason))


def _letter(row: Sequence[Any]) -> DeadLetter:
    return msgspec.convert(dict(zip(DeadLetter.__struct_fields__, row, strict=True)), DeadLetter)


def clean(text: str) -> str:
    """Text that Postgres takes: without NUL, and without halves of surrogate pairs."""
    return text.replace("\0", "").encode(errors="replace").decode()


def wanted_status(text: str | None) -> DeadLetterStatus | None:
    """The status of a query.

    Raises:
        BadInput: no such status; names those that there are.
    """
    if text is None:
        return None
    try:
        return DeadLetterStatus(text.upper())
    except ValueError:
        known = ", ".join(DeadLetterStatus)
        raise BadInput(f"status {text!r} is none of {known}") from None
