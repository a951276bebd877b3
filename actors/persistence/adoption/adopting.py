"""Adoption on a database: what the platform has, who else works there, and the rows that are written.

Nothing of the platform's is written. Beside the facts in the journal an account gets its row in ``bulkhead.account``, as one
that is created here does; its positions are projected into ours under the platform's own ids, so that what happens next
changes *its* rows.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from actors.core import fact_codec
from actors.core.errors import BadInput, NotKept, StateCorrupt
from actors.core.facts import AccountAdopted, AdoptionUndone
from actors.core.units import AccountId
from actors.core.utc import second_of
from actors.limits.layers import differing
from actors.limits.model import RiskLimits
from actors.persistence.adoption.figures import AccountRow, PendingRow, PositionRow, unix_ms
from actors.persistence.adoption.plan import Adoption, Below, Refusal
from actors.persistence.archive import tables
from actors.persistence.connection import BUSY
from actors.persistence.journal import Resumed
from actors.persistence.loading import BaseLimits
from actors.persistence.shards import shard_of

Connection = psycopg.Connection[Any]

QUIET_SECONDS = 60
"""The platform counts as stopped when it has written nothing of an account for so long: its own cycles are 30 s and 60 s."""

NAMED = 5
"""So many examples stand in one error."""

CAUSE, CAUSE_OF_UNDOING = "adopt", "adoption undone"

TIMES = (
    ("sub_accounts", "updated_at"),
    ("virtual_positions", "opened_at"),
    ("virtual_positions", "closed_at"),
    ("trade_executions", "timestamp"),
    ("balance_logs", "timestamp"),
    ("pending_orders", "created_at"),
    ("pending_orders", "filled_at"),
    ("pending_orders", "cancelled_at"),
)
"""When the platform wrote something of an account; all are columns that we write, too."""

BOT_SWITCHES = ("enabled", "babysitter_enabled")
"""Columns of ``bot_configs``: the grid bot, and the one that takes profits."""

WRITABLE_TIMES = frozenset(
    {"timestamp without time zone", "timestamp with time zone", "text", "character varying"}
)


class Found(NamedTuple):
    """What the platform has: the accounts that are asked for and their OPEN positions, and how many accounts are not.

    ``pending`` are the PENDING orders of these accounts.
    """

    accounts: list[AccountRow]
    positions: list[PositionRow]
    left: int
    pending: list[PendingRow]


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was adopted, as the journal has it; ``why_not`` is why that cannot be undone, empty if it can.

    ``fact`` is None where the adoption itself is archived; such an account has decided something since.
    """

    account_id: AccountId
    fact: AccountAdopted | None
    sequence: int
    why_not: str = ""


def below_of(defaults: RiskLimits) -> Below:
    """The limits that lie below an account, by the platform's rule for it."""
    base = BaseLimits(defaults)
    return lambda rule: differing(base.of(rule))


# -- looking


def find(connection: Connection, wanted: Collection[str], *, is_ours: bool) -> Found:
    """Accounts of the platform's that are not run here.

    Args:
        connection: in a transaction that sees one moment.
        wanted: their ids; empty for all of them.
        is_ours: whether the database has our schema yet.

    Raises:
        BadInput: no such account, or one that is run here already; a column that cannot be written.
    """
    _check_times(connection)
    if is_ours and wanted:
        ours = connection.execute(OURS_OF, (list(wanted),)).fetchall()
        if ours:
            raise BadInput(f"{_some([row[0] for row in ours])}: run here already; leave them out")
    query = ACCOUNTS.format(NOT_OURS if is_ours else sql.SQL(""))
    rows = connection.execute(query).fetchall()
    known = {row[0] for row in rows}
    missing = sorted(set(wanted) - known)
    if missing:
        raise BadInput(f"the platform has no account {_some(missing)}")
    chosen = [row for row in rows if not wanted or row[0] in wanted]
    ids = [row[0] for row in chosen]
    bots = _bots(connection, ids)
    accounts = [
        AccountRow._make((*row[:6], tuple(row[6:10]), row[10], tuple(bots.get(row[0], ())))) for row in chosen
    ]
    pending = [PendingRow(*row) for row in connection.execute(PENDING, (ids,)).fetchall()]
    positions = [PositionRow(*row) for row in connection.execute(POSITIONS, (ids,)).fetchall()]
    return Found(accounts, positions, len(rows) - len(chosen), pending)


def _bots(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """By account, the switches of its bot that are on; a platform may have none of the table, or of its columns."""
    found: dict[str, list[str]] = {}
    for switch in BOT_SWITCHES:
        row = connection.execute(TYPE_OF, ("bot_configs", switch)).fetchone()
        if row is not None and row[0] == "boolean":
            query = BOTS_ON.format(switch=sql.Identifier(switch))
            for (account_id,) in connection.execute(query, (list(ids),)).fetchall():
                found.setdefault(account_id, []).append(switch)
    return found


def at_work(connection: Connection, found: Found, beside: Collection[str] = ()) -> list[str]:
    """Signs that something else works these accounts now, each as a sentence; empty for none.

    Args:
        connection: of ours.
        found: the accounts.
        beside: names of programs (``application_name``) whose connections mean nothing, like a monitor's.
    """
    told = [
        f"{count} other connections to this database from {name or 'a program without a name'} (user {user}); if it is "
        f"harmless, as a monitor is, say --beside {name or repr('')}"
        for name, user, count in connection.execute(CLIENTS).fetchall()
        if name not in beside
    ]
    ids = [row.account_id for row in found.accounts]
    now = connection.execute("SELECT clock_timestamp()").fetchone()
    since = _ms(now[0]) - QUIET_SECONDS * 1_000 if now else 0
    latest: dict[str, tuple[int, str]] = {}
    for table, column in TIMES:
        for account_id, text in _last_times(connection, table, column, ids):
            at = unix_ms(text, f"{table}.{column} of {account_id}")
            if at > latest.get(account_id, (since, ""))[0]:
                latest[account_id] = at, f"{table}.{column}"
    recent = [f"{id_} ({where} {second_of(at)})" for id_, (at, where) in sorted(latest.items())]
    if recent:
        told.append(f"written less than {QUIET_SECONDS} s ago: {_some(recent)}")
    return told


def _last_times(
    connection: Connection, table: str, column: str, ids: Sequence[str]
) -> Iterator[tuple[str, str]]:
    key = "id" if table == "sub_accounts" else "sub_account_id"
    names = {"key": sql.Identifier(key), "column": sql.Identifier(column), "table": sql.Identifier(table)}
    yield from connection.execute(LAST_TIMES.format(**names), (list(ids),)).fetchall()


def _check_times(connection: Connection) -> None:
    """Refuse columns of times whose kind neither we nor Postgres would write a time into."""
    for table, column in TIMES:
        row = connection.execute(TYPE_OF, (table, column)).fetchone()
        if row is not None and row[0] not in WRITABLE_TIMES:
            raise BadInput(
                f"{table}.{column} is of type {row[0]}, and what happens here is written there as a time: change it to "
                "timestamp(3) with the platform's own tools first"
            )


# -- writing


def lock(connection: Connection) -> None:
    """Keep everybody from writing what is read, until the end of the transaction.

    Raises:
        BadInput: somebody is writing there.
    """
    try:
        connection.execute(LOCK)
    except BUSY:
        raise BadInput(
            "another session is writing to the platform's tables; stop the platform, and whoever else works there"
        ) from None


def rows_of(connection: Connection, adoptions: Sequence[Adoption], wall_ms: int) -> list[Resumed]:
    """The journal's rows of an adoption.

    Raises:
        BadInput: an account has decisions here though it is not run here.
    """
    ids = [adoption.account_id for adoption in adoptions]
    lasts = {stream: row for stream, *row in connection.execute(LAST_ROWS, (ids,)).fetchall()}
    _not_archived(tables.streams(connection, [id_ for id_ in ids if id_ not in lasts]))
    found = []
    for adoption in adoptions:
        last = lasts.get(adoption.account_id)
        if last is not None and not isinstance(_only(last[1], bytes(last[2])), AdoptionUndone):
            raise BadInput(
                f"{adoption.account_id} has decisions in the journal, and no row in bulkhead.account; 'bulkhead db rebuild' "
                "makes that anew"
            )
        previous = None if last is None else int(last[0])
        found.append(Resumed(adoption.account_id, previous, wall_ms, CAUSE, (adoption.fact,)))
    return found


def write(connection: Connection, adoptions: Sequence[Adoption], rows: Sequence[Resumed]) -> None:
    """The rows of ours that stand beside the facts; what the platform has stays as it is."""
    sequences = {row.stream: 0 if row.last is None else row.last + 1 for row in rows}
    for adoption in adoptions:
        id_, balance = adoption.account_id, adoption.fact.balance
        values = (shard_of(id_), sequences[id_], balance, balance, id_)
        if connection.execute(INSERT_ACCOUNT, values).rowcount != 1:
            raise BadInput(f"{id_} is not on the platform any more")


# -- the way back


def adopted(connection: Connection, wanted: Collection[str]) -> list[Adopted]:
    """Accounts that were adopted, those that are wanted or all, with what stands against undoing that.

    Raises:
        BadInput: one that was never adopted, or is not run here.
        NotKept: all of one is archived, and it may have decided nothing since it was adopted.
    """
    ids = [row[0] for row in connection.execute(OUR_ACCOUNTS).fetchall()]
    missing = sorted(set(wanted) - set(ids))
    if missing:
        raise BadInput(f"{_some(missing)}: not run here; 'bulkhead db status' counts what is not adopted")
    ids = [id_ for id_ in ids if not wanted or id_ in wanted]
    archived = tables.streams(connection, ids)
    _not_archived(
        name
        for name, old in archived.items()
        if (name in wanted or old.first_sequence == old.sequence)
        and old.first_cause == CAUSE
        and connection.execute(HAS_ROWS, (name,)).fetchone() is None
    )
    found, never = [], []
    for stream, sequence, version, facts, cause, wall_ms, *first in connection.execute(
        LAST_AND_ADOPTED, (CAUSE, ids)
    ).fetchall():
        last = _only(version, bytes(facts))
        began = None if first[0] is None else _only(first[0], bytes(first[1]))
        if isinstance(last, AccountAdopted):
            found.append(Adopted(account_id=AccountId(stream), fact=last, sequence=int(sequence)))
        elif isinstance(began, AccountAdopted) or (
            stream in archived and archived[stream].first_cause == CAUSE
        ):
            why = f"it decided something at {second_of(wall_ms)} (decision {sequence}, cause {cause!r}), so it stays here"
            fact = began if isinstance(began, AccountAdopted) else None
            found.append(
                Adopted(account_id=AccountId(stream), fact=fact, sequence=int(sequence), why_not=why)
            )
        else:
            never.append(stream)
    if wanted and never:
        raise BadInput(f"{_some(never)}: not adopted, but created here")
    return found


def _not_archived(names: Iterable[str]) -> None:
    gone = sorted(names)
    if gone:
        raise NotKept(f"{_some(gone)}: all that was decided is archived; {tables.CURE}")


def undoing(found: Sequence[Adopted], wall_ms: int) -> list[Resumed]:
    """The journal's rows that undo adoptions."""
    return [
        Resumed(
            one.account_id,
            one.sequence,
            wall_ms,
            CAUSE_OF_UNDOING,
            (AdoptionUndone(one.fact.balance, tuple(p.symbol for p in one.fact.positions)),),
        )
        for one in found
        if one.fact is not None
    ]


def erase(connection: Connection, account_ids: Sequence[AccountId]) -> None:
    """Take out the rows of ours that stand beside the facts."""
    for statement in ERASE:
        connection.execute(statement, (list(account_ids),))


def refusals(found: Sequence[Adopted]) -> list[Refusal]:
    """Those that cannot be undone, by name."""
    return [Refusal(account_id=o.account_id, symbol="", why=o.why_not) for o in found if o.why_not]


def _only(version: int, data: bytes) -> object:
    """The first fact of a row; None where it cannot be read."""
    try:
        return fact_codec.decode(version, data)[0]
    except (StateCorrupt, IndexError):
        return None


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1_000)


# Numbers as text: of a double the shortest decimal that is that double.
ACCOUNTS = sql.SQL("""
    SELECT s.id, s.name, s.status, s.liquidation_mode, s.maintenance_rate::text, s.current_balance::text,
        (CASE WHEN own.id IS NULL THEN general.max_leverage ELSE own.max_leverage END)::numeric::text,
        (CASE WHEN own.id IS NULL THEN general.max_notional_per_trade ELSE own.max_notional_per_trade END)::numeric::text,
        (CASE WHEN own.id IS NULL THEN general.max_total_exposure ELSE own.max_total_exposure END)::numeric::text,
        (CASE WHEN own.id IS NULL THEN general.liquidation_threshold ELSE own.liquidation_threshold END)::numeric::text,
        (SELECT count(*) FROM pending_orders o WHERE o.sub_account_id = s.id AND o.status = 'PENDING')
    FROM sub_accounts s
    LEFT JOIN LATERAL (
        SELECT id, max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold
        FROM risk_rules WHERE sub_account_id = s.id ORDER BY id LIMIT 1
    ) own ON true
    LEFT JOIN (
        SELECT max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold
        FROM risk_rules WHERE is_global ORDER BY id LIMIT 1
    ) general ON true
    {} ORDER BY s.id""")
"""The rule of an account is found as ``persistence.sql`` finds it when the account is loaded."""

NOT_OURS = sql.SQL("WHERE NOT EXISTS (SELECT FROM bulkhead.account a WHERE a.account_id = s.id)")

OURS_OF: LiteralString = (
    "SELECT account_id FROM bulkhead.account WHERE account_id = ANY(%s) ORDER BY account_id"
)

OUR_ACCOUNTS: LiteralString = "SELECT account_id FROM bulkhead.account ORDER BY account_id"

POSITIONS: LiteralString = """
    SELECT id, sub_account_id, symbol, side, entry_price::text, quantity::text, notional::text, leverage::text,
        margin::text, opened_at::text
    FROM virtual_positions WHERE status = 'OPEN' AND sub_account_id = ANY(%s) ORDER BY sub_account_id, symbol, id"""

PENDING: LiteralString = """
    SELECT id, sub_account_id, symbol, side, quantity::text, price::text, exchange_order_id
    FROM pending_orders WHERE status = 'PENDING' AND sub_account_id = ANY(%s) ORDER BY sub_account_id, id"""

BOTS_ON = sql.SQL(
    "SELECT sub_account_id FROM bot_configs WHERE {switch} AND sub_account_id = ANY(%s) ORDER BY sub_account_id"
)

TYPE_OF: LiteralString = """
    SELECT data_type FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = %s AND column_name = %s"""

CLIENTS: LiteralString = """
    SELECT COALESCE(application_name, ''), usename, count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        AND COALESCE(application_name, '') NOT IN ('bulkhead', 'bulkhead-reader')
    GROUP BY 1, 2 ORDER BY 1, 2"""
"""Our own are fenced by the lease."""

LAST_TIMES = sql.SQL("""
    SELECT {key}, max(replace({column}::text, 'T', ' ')) FROM {table} WHERE {key} = ANY(%s) AND {column} IS NOT NULL GROUP BY 1""")

LOCK: LiteralString = "LOCK TABLE sub_accounts, virtual_positions, trade_executions, balance_logs, pending_orders, risk_rules IN SHARE MODE"

HAS_ROWS: LiteralString = "SELECT FROM bulkhead.journal WHERE stream = %s LIMIT 1"

LAST_ROWS: LiteralString = """
    SELECT DISTINCT ON (stream) stream, sequence, version, facts FROM bulkhead.journal WHERE stream = ANY(%s)
    ORDER BY stream, sequence DESC"""

LAST_AND_ADOPTED: LiteralString = """
    SELECT DISTINCT ON (j.stream) j.stream, j.sequence, j.version, j.facts, j.cause, j.wall_ms, a.version, a.facts
    FROM bulkhead.journal j
    LEFT JOIN LATERAL (
        SELECT version, facts FROM bulkhead.journal WHERE stream = j.stream AND cause = %s ORDER BY sequence DESC LIMIT 1
    ) a ON true
    WHERE j.stream = ANY(%s) ORDER BY j.stream, j.sequence DESC"""

INSERT_ACCOUNT: LiteralString = """
    INSERT INTO bulkhead.account (account_id, shard_id, sequence, next_order_sequence, next_position_sequence, balance,
        deposits, realized, fees, funding, bad_debt, phase, refusals, platform_balance, platform_status, platform_mode,
        platform_rate)
    SELECT s.id, %s, %s, 1, 1, %s, %s, 0, 0, 0, 0, 'HEALTHY', 0, s.current_balance::numeric, s.status,
        s.liquidation_mode, s.maintenance_rate::numeric
    FROM sub_accounts s WHERE s.id = %s"""

ERASE: tuple[LiteralString, ...] = (
    "DELETE FROM bulkhead.position WHERE account_id = ANY(%s)",
    "DELETE FROM bulkhead.account_risk WHERE account_id = ANY(%s)",
    "DELETE FROM bulkhead.account WHERE account_id = ANY(%s)",
)
