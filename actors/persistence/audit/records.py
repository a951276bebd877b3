"""What the audit reads of the database beside the journal's rows: roots, operators' actions, dead letters, quarantines.

Each is written by the writer alone, in order, and stays, so whoever knows the last one that was read misses none.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

from actors.core.names import harmless
from actors.persistence.audit.line import Content, Kind
from actors.persistence.audit.progress import Cursor
from actors.persistence.journal import SHARD

Connection = psycopg.Connection[Any]

AT_ONCE = 200
TEXT_MAX = 2_000
"""Characters of an error that a line repeats; the dead letter itself is in the database."""

ROOT_UP_TO: LiteralString = """
    SELECT position, root FROM bulkhead.journal_commit WHERE shard = %s AND position <= %s
    ORDER BY position DESC LIMIT 1"""

LAST_NUMBERS: LiteralString = """
    SELECT COALESCE((SELECT max(audit_id) FROM bulkhead.audit), 0),
        COALESCE((SELECT max(dead_letter_id) FROM bulkhead.dead_letter), 0)"""

ACTIONS: LiteralString = """
    SELECT audit_id, at_ms, who, action, target, detail FROM bulkhead.audit WHERE audit_id > %s
    ORDER BY audit_id LIMIT %s"""
LETTERS: LiteralString = """
    SELECT dead_letter_id, at_ms, actor, message_kind, message, error, cause FROM bulkhead.dead_letter
    WHERE dead_letter_id > %s ORDER BY dead_letter_id LIMIT %s"""
QUARANTINES: LiteralString = """
    SELECT account_id, since_ms, reason, error FROM bulkhead.quarantine WHERE (since_ms, account_id) > (%s, %s)
    ORDER BY since_ms, account_id LIMIT %s"""


def root_up_to(connection: Connection, position: int) -> tuple[int, str] | None:
    """The last commit that ends at a position or before it: that position, and the root in hex."""
    row = connection.execute(ROOT_UP_TO, (SHARD, position)).fetchone()
    return None if row is None else (int(row[0]), bytes(row[1]).hex())


def last_numbers(connection: Connection) -> tuple[int, int]:
    """The last number of an operator's action, and of a dead letter; 0 where there is none."""
    row = connection.execute(LAST_NUMBERS).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def since(connection: Connection, cursor: Cursor) -> list[Content]:
    """Lines of what was recorded behind a cursor; at most some of each kind at once."""
    return [
        *map(_action, connection.execute(ACTIONS, (cursor.operator, AT_ONCE)).fetchall()),
        *map(_letter, connection.execute(LETTERS, (cursor.dead_letter, AT_ONCE)).fetchall()),
        *map(
            _quarantine,
            connection.execute(QUARANTINES, (cursor.quarantine_ms, cursor.quarantine, AT_ONCE)).fetchall(),
        ),
    ]


def _action(row: Any) -> Content:
    audit_id, at_ms, who, action, target, detail = row
    data = {"audit_id": audit_id, "who": who, "action": action, "target": target, "detail": detail}
    return Content(wall_ms=at_ms, kind=Kind.OPERATOR, data=data)


def _letter(row: Any) -> Content:
    id_, at_ms, actor, kind, message, error, cause = row
    data = {
        "dead_letter_id": id_,
        "actor": actor,
        "message_kind": kind,
        "message": harmless(message, TEXT_MAX),
        "error": harmless(error, TEXT_MAX),
    }
    return Content(wall_ms=at_ms, kind=Kind.DEAD_LETTER, cause=cause, data=data)


def _quarantine(row: Any) -> Content:
    account, since_ms, reason, error = row
    data = {"account": account, "since_ms": since_ms, "reason": reason, "error": harmless(error, TEXT_MAX)}
    return Content(wall_ms=since_ms, kind=Kind.QUARANTINE, account=account, data=data)
