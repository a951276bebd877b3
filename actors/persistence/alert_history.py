"""The alerts of one account or of all, newest first: where they are is in ``bulkhead.alert``, what they say in the journal.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from typing import Any, LiteralString

import msgspec
import psycopg

from actors.core import fact_codec
from actors.core.alarm_level import Level, level_of
from actors.core.errors import BadInput, StateCorrupt
from actors.core.units import AccountId
from actors.persistence.connection import one_moment
from actors.persistence.history import LIMIT_MAX, check_account, place_of
from actors.persistence.journal import SHARD
from actors.subaccount.alert_kinds import AlertKind, text_of
from actors.subaccount.alerts import texts_of


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. ``id`` is its place, position in the journal and number in the decision; ``at_ms`` in Unix milliseconds."""

    id: str
    at_ms: int
    account_id: str
    kind: AlertKind
    level: Level
    symbol: str
    text: str
    cause: str


def alerts(
    connection: psycopg.Connection[Any],
    account_id: AccountId | None,
    from_ms: int,
    limit: int,
    before: str | None = None,
) -> list[AlertRecord]:
    """At most so many, from a time on; ``before`` is the ``id`` of the last one, to page on.

    Raises:
        BadInput: no such account, or a limit or ``before`` that cannot be; says what would do.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise BadInput(f"limit {limit} is not between 1 and {LIMIT_MAX:,}")
    position, fact = (2**62, 0) if before is None else place_of(before)[:2]
    values: dict[str, object] = {
        "shard": SHARD,
        "account": account_id,
        "position": position,
        "fact": fact,
        "from": from_ms,
        "limit": limit,
    }
    with one_moment(connection):
        connection.execute("SET LOCAL enable_seqscan = off")
        if account_id is not None:
            check_account(connection, account_id)
        rows = connection.execute(OF_ALL if account_id is None else OF_ONE, values).fetchall()
    return [_record(*row) for row in rows]


def _record(  # noqa: PLR0913 - a row's columns
    position: int,
    number: int,
    account_id: str,
    at_ms: int,
    kind: str,
    symbol: str,
    cause: str | None,
    version: int | None,
    data: bytes | None,
) -> AlertRecord:
    text = _text(position, number, version, data)
    return AlertRecord(
        id=f"{position}-{number}",
        at_ms=at_ms,
        account_id=account_id,
        kind=AlertKind(kind),
        level=level_of(text),
        symbol=symbol,
        text=text,
        cause=cause or "",
    )


def _text(position: int, number: int, version: int | None, data: bytes | None) -> str:
    if version is None or data is None:
        return f"position {position} is not in this database's journal any more: is it archived?"
    try:
        facts = fact_codec.decode(version, bytes(data))
        return text_of(facts[number], texts_of(facts)[number])
    except (StateCorrupt, IndexError) as error:
        return f"position {position} of the journal cannot be read: {error}"


OF_ALL: LiteralString = """
    SELECT a.position, a.fact, a.account_id, a.wall_ms, a.kind, a.symbol, j.cause, j.version, j.facts
    FROM (
        SELECT * FROM bulkhead.alert
        WHERE (position, fact) < (%(position)s, %(fact)s) AND wall_ms >= %(from)s
        ORDER BY position DESC, fact DESC LIMIT %(limit)s
    ) a LEFT JOIN bulkhead.journal j ON j.shard = %(shard)s AND j.position = a.position
    ORDER BY a.position DESC, a.fact DESC"""
OF_ONE: LiteralString = """
    SELECT a.position, a.fact, a.account_id, a.wall_ms, a.kind, a.symbol, j.cause, j.version, j.facts
    FROM (
        SELECT * FROM bulkhead.alert
        WHERE account_id = %(account)s AND (position, fact) < (%(position)s, %(fact)s) AND wall_ms >= %(from)s
        ORDER BY account_id DESC, position DESC, fact DESC LIMIT %(limit)s
    ) a LEFT JOIN bulkhead.journal j ON j.shard = %(shard)s AND j.position = a.position
    ORDER BY a.position DESC, a.fact DESC"""
