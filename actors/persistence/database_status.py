"""What a database of ours holds, in numbers: schema, journal, what is made from it, and what is left out.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from typing import Any, LiteralString

import msgspec
import psycopg

from actors.persistence import carrying, schema
from actors.persistence.connection import one_moment
from actors.persistence.journal import NO_HASH, SHARD, end_of, projected
from actors.persistence.platform_changes import count_not_adopted

Connection = psycopg.Connection[Any]


class ParkedStream(msgspec.Struct, frozen=True):
    """An account whose tables stay as they were before the decision of that sequence, and why."""

    stream: str
    sequence: int
    position: int
    since_ms: int
    error: str


class DatabaseStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Of a database; sizes are bytes with indexes, ``root`` is in hex.

    ``projection_lag`` counts decisions that are in the journal and not yet in the tables made from it. ``owner`` is who
    has the lease now, empty if nobody has. ``has_version_6`` is whether the tables of version 6 are kept.
    ``not_adopted`` are accounts of the platform's that are not run here.
    """

    found: schema.Found
    version: int
    program_version: int
    fleet: str = ""
    owner: str = ""
    accounts: int = 0
    not_adopted: int = 0
    position: int = 0
    root: str = NO_HASH.hex()
    last_ms: int = 0
    journal_bytes: int = 0
    database_bytes: int = 0
    projection: int = 0
    projection_lag: int = 0
    snapshots: int = 0
    has_version_6: bool = False
    parked: tuple[ParkedStream, ...] = ()


def status(connection: Connection) -> DatabaseStatus:
    """Look, and change nothing.

    Raises:
        ForeignDatabase: see ``schema.check``.
        psycopg.Error: Postgres could not answer.
    """
    found = schema.check(connection)
    version = _one(connection, VERSION) if found in {schema.Found.OLDER, schema.Found.READY} else 0
    if found is not schema.Found.READY:
        left = 0 if found is schema.Found.EMPTY else _one(connection, "SELECT count(*) FROM sub_accounts")
        not_adopted = left if found is schema.Found.PLATFORM else 0
        return DatabaseStatus(
            found=found, version=version, program_version=schema.VERSION, not_adopted=not_adopted
        )
    with one_moment(connection):
        root, position = end_of(connection)
        projection = projected(connection) or 0
        return DatabaseStatus(
            found=found,
            version=version,
            program_version=schema.VERSION,
            fleet=_one(connection, FLEET) or "",
            owner=_one(connection, OWNER) or "",
            accounts=_one(connection, "SELECT count(*) FROM bulkhead.account"),
            not_adopted=count_not_adopted(connection),
            position=position,
            root=root.hex(),
            last_ms=_one(connection, LAST_MS, SHARD) or 0,
            journal_bytes=_one(connection, JOURNAL_BYTES),
            database_bytes=_one(connection, "SELECT pg_database_size(current_database())"),
            projection=projection,
            projection_lag=max(0, position - projection),
            snapshots=_one(connection, "SELECT count(*) FROM bulkhead.snapshot"),
            has_version_6=_one(connection, "SELECT to_regnamespace(%s)", carrying.KEPT_IN) is not None,
            parked=tuple(ParkedStream(*row) for row in connection.execute(PARKED).fetchall()),
        )


def _one(connection: Connection, query: LiteralString, *values: Any) -> Any:
    row = connection.execute(query, values).fetchone()
    return None if row is None else row[0]


VERSION: LiteralString = "SELECT max(version) FROM bulkhead.migration"

FLEET: LiteralString = "SELECT fleet_id FROM bulkhead.fleet"

OWNER: LiteralString = (
    "SELECT owner FROM bulkhead.shard WHERE lease_until > now() ORDER BY lease_until DESC LIMIT 1"
)

LAST_MS: LiteralString = """
    SELECT wall_ms FROM bulkhead.journal_commit WHERE shard = %s ORDER BY position DESC LIMIT 1"""

JOURNAL_BYTES: LiteralString = """
    SELECT pg_total_relation_size('bulkhead.journal') + pg_total_relation_size('bulkhead.journal_commit')"""

PARKED: LiteralString = (
    "SELECT stream, sequence, position, since_ms, error FROM bulkhead.parked ORDER BY position"
)
