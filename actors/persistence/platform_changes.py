"""What the platform changed beside us: its rows compared with what we wrote there last, at one moment.

Nothing there says reliably when a row changed (risk_rules have no time at all, and whoever edits a row by hand sets none),
so all of them are compared, inside Postgres: only differences come over. What we write there and what we remember of it
are written in one transaction, so a difference is never of our own making.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

import psycopg

from actors.core.units import AccountId
from actors.persistence import sql
from actors.persistence.connection import one_moment
from actors.persistence.projection.balances import TOLERANCE

Connection = psycopg.Connection[Any]

AT_ONCE = 200
"""So many accounts that differ are looked at in one look, and so many positions; the others come in the next."""

NAMED = 5


class AccountChange(NamedTuple):
    """An account whose row differs from what we know; None is equal. ``sequence`` is the decision up to which that counts.

    ``balance`` is what was added there or taken off. ``is_gone``: the row was deleted.
    """

    account_id: AccountId
    sequence: int
    status: str | None
    mode: str | None
    rate: Decimal | None
    balance: Decimal | None
    is_gone: bool


class PositionChange(NamedTuple):
    """An OPEN row of an account of ours that is not ours, or one of ours that is not as we left it."""

    account_id: AccountId
    symbol: str
    text: str


class Changes(NamedTuple):
    """All that differs. ``rules`` is a digest of the platform's rules."""

    accounts: list[AccountChange]
    positions: list[PositionChange]
    not_adopted: int
    names: list[str]
    rules: str


def look(connection: Connection) -> Changes:
    """Compare, and change nothing."""
    with one_moment(connection):
        asked = {"tolerance": TOLERANCE, "limit": AT_ONCE}
        accounts = [AccountChange(*row) for row in connection.execute(ACCOUNTS, asked).fetchall()]
        positions = [PositionChange(*row) for row in connection.execute(POSITIONS, asked).fetchall()]
        [(count,)] = connection.execute(COUNT_NOT_ADOPTED).fetchall()
        names = connection.execute(NOT_ADOPTED, (NAMED,)).fetchall() if count else []
        [(rules,)] = connection.execute(RULES).fetchall()
    return Changes(accounts, positions, int(count), [row[0] for row in names], rules or "")


def rules_of_all(connection: Connection) -> list[tuple[AccountId, tuple[str | None, ...]]]:
    """The platform's rule for each account of ours, as texts."""
    return [(AccountId(row[0]), tuple(row[1:5])) for row in connection.execute(sql.ALL_ACCOUNTS).fetchall()]


def count_not_adopted(connection: Connection) -> int:
    """How many accounts the platform has that are not run here."""
    [(count,)] = connection.execute(COUNT_NOT_ADOPTED).fetchall()
    return int(count)


# A parked account's rows are behind on purpose.
ACCOUNTS: LiteralString = """
    WITH compared AS (
        SELECT a.account_id, a.sequence, s.id IS NULL AS is_gone,
            CASE WHEN s.status <> a.platform_status THEN s.status END AS status,
            CASE WHEN s.liquidation_mode <> a.platform_mode THEN s.liquidation_mode END AS mode,
            CASE WHEN s.maintenance_rate::numeric <> a.platform_rate THEN s.maintenance_rate::numeric END AS rate,
            CASE WHEN abs(s.current_balance::numeric - a.platform_balance)
                > %(tolerance)s * greatest(abs(s.current_balance::numeric), abs(a.platform_balance), 1)
                THEN s.current_balance::numeric - a.platform_balance END AS balance
        FROM bulkhead.account a LEFT JOIN sub_accounts s ON s.id = a.account_id
        WHERE NOT EXISTS (SELECT FROM bulkhead.parked p WHERE p.stream = a.account_id)
    )
    SELECT account_id, sequence, status, mode, rate, balance, is_gone FROM compared
    WHERE is_gone OR status IS NOT NULL OR mode IS NOT NULL OR rate IS NOT NULL OR balance IS NOT NULL
    ORDER BY random() LIMIT %(limit)s"""
"""In any order: some that cannot be booked must not stand before all others for ever."""

POSITIONS: LiteralString = """
    SELECT v.sub_account_id, v.symbol, 'OPEN row ' || v.id || ', which is none of ours'
    FROM virtual_positions v JOIN bulkhead.account a ON a.account_id = v.sub_account_id
    WHERE v.status = 'OPEN' AND NOT EXISTS (SELECT FROM bulkhead.position p WHERE p.position_id = v.id)
        AND NOT EXISTS (SELECT FROM bulkhead.parked p WHERE p.stream = v.sub_account_id)
    UNION ALL
    SELECT p.account_id, p.symbol, 'row ' || p.position_id || CASE
        WHEN v.id IS NULL THEN ' was deleted'
        WHEN v.status <> 'OPEN' THEN ' was set to ' || v.status
        ELSE ' was set to a quantity of ' || v.quantity || ', and we have ' || abs(p.quantity) END
    FROM bulkhead.position p LEFT JOIN virtual_positions v ON v.id = p.position_id
    WHERE (v.id IS NULL OR v.status <> 'OPEN'
            OR abs(v.quantity::numeric - abs(p.quantity)) > %(tolerance)s * greatest(abs(p.quantity), 1))
        AND NOT EXISTS (SELECT FROM bulkhead.parked k WHERE k.stream = p.account_id)
    LIMIT %(limit)s"""

COUNT_NOT_ADOPTED: LiteralString = """
    SELECT count(*) FROM sub_accounts s WHERE NOT EXISTS (SELECT FROM bulkhead.account a WHERE a.account_id = s.id)"""

NOT_ADOPTED: LiteralString = """
    SELECT s.id FROM sub_accounts s WHERE NOT EXISTS (SELECT FROM bulkhead.account a WHERE a.account_id = s.id)
    ORDER BY s.id LIMIT %s"""

RULES: LiteralString = """
    SELECT md5(string_agg(concat_ws('|', id, sub_account_id, is_global, max_leverage, max_notional_per_trade,
        max_total_exposure, liquidation_threshold), ',' ORDER BY id)) FROM risk_rules"""
