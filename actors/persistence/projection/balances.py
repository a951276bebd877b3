"""Balances on the platform: its log of changes, and its own column, by compare-and-set on what we wrote last.

The platform may change a balance beside us. That change is kept: what we add is added to what stands there, and the
difference to what we remember stays until a fact of the account books it (``BalanceAdjusted.by_platform``); who asks for
that, or raises the alarm, is the platform watch (``assembly/platform_watch.py``).

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg

from actors.core.units import ZERO, AccountId
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.row_ids import row_id
from actors.persistence.projection.tables import Rows, Table

ACCOUNT = Table(
    "bulkhead.account",
    ("account_id",),
    """account_id shard_id sequence next_order_sequence next_position_sequence balance deposits realized fees
    funding bad_debt phase refusals platform_balance""",
    conflict={"platform_balance": "COALESCE(EXCLUDED.platform_balance, t.platform_balance)"},
)
"""An account's own row; ``accounts.py`` writes all of it but what stands on the platform."""

SUB_ACCOUNT = Table("sub_accounts", ("id",), "id status liquidation_mode updated_at")
"""The account's row on the platform, but for its balance; whoever creates accounts makes it."""

LOG = Table(
    "balance_logs",
    ("id",),
    'id sub_account_id balance_before balance_after change_amount reason trade_id "timestamp"',
)

TOLERANCE = Decimal("1e-8")
"""Part of a balance by which a platform's column may differ from what was written there: it may be double precision."""


class Move(NamedTuple):
    """One change of a balance: the fact's place in its decision, and the trade that it is of, if any."""

    number: int
    amount: Decimal
    reason: str
    trade_id: str | None
    by_platform: bool = False


class Change(msgspec.Struct):
    """What a batch makes of one account's balance: from ``before`` to ``after``, in quote asset.

    ``booked`` of that the platform had written itself.
    """

    account_id: AccountId
    before: Decimal
    after: Decimal
    at: datetime
    booked: Decimal = ZERO


class Foreign(NamedTuple):
    """A balance that somebody else changed: what we had written, and what was found."""

    account_id: AccountId
    written: Decimal
    found: Decimal


def log(rows: Rows, decided: Decided, moves: Iterable[Move]) -> Change | None:
    """The log of one decision's changes; what they make together, None when there were none."""
    found = list(moves)
    if not found:
        return None
    state = decided.state
    before = first = state.balance - sum((m.amount for m in found), ZERO)
    for move in found:
        after = before + move.amount
        if move.by_platform:
            before = after
            continue
        rows.insert(
            row_id("log", state.account_id, decided.sequence, move.number),
            sub_account_id=state.account_id,
            balance_before=before,
            balance_after=after,
            change_amount=move.amount,
            reason=move.reason,
            trade_id=move.trade_id,
            **{'"timestamp"': decided.at},
        )
        before = after
    booked = sum((m.amount for m in found if m.by_platform), ZERO)
    if before == first and booked == ZERO:
        return None
    return Change(state.account_id, first, before, decided.at, booked)


def write(connection: psycopg.Connection[Any], accounts: Rows, changes: Iterable[Change]) -> list[Foreign]:
    """Bring balances on the platform up to date, and remember in ``accounts`` what then stands there.

    Returns:
        Those that the platform changed itself since we wrote them last.
    """
    rows = msgspec.json.encode(list(changes)).decode()
    foreign = []
    for row in connection.execute(COMPARE_AND_SET, {"changes": rows, "tolerance": TOLERANCE}).fetchall():
        account_id, stands, written, found, is_foreign = row
        accounts.change(account_id, platform_balance=stands)
        if is_foreign:
            foreign.append(Foreign(AccountId(account_id), written, found))
    return foreign


# Without a balance that we remember there is nothing to compare with. Where what we wrote last is still there, and is what
# the account had before, the new balance is written as it is, so that no rounding of the column adds up. What the platform
# changed stays a difference between the two until it is booked; then the row has it already.
COMPARE_AND_SET: LiteralString = """
    WITH due AS (
        SELECT s.id, s.current_balance::numeric AS found, a.platform_balance + x.booked AS written,
            x.before + x.booked AS before, x.after, x.after - x.before - x.booked AS own, x.at, s.current_balance AS as_it_is,
            %(tolerance)s * greatest(abs(s.current_balance::numeric), abs(a.platform_balance), 1) AS tolerance
        FROM json_to_recordset(%(changes)s)
            AS x (account_id text, before numeric, after numeric, at timestamp, booked numeric)
        JOIN sub_accounts s ON s.id = x.account_id
        JOIN bulkhead.account a ON a.account_id = x.account_id
        FOR UPDATE OF s
    )
    UPDATE sub_accounts s SET updated_at = due.at, current_balance = CASE
        WHEN own = 0 THEN due.as_it_is
        WHEN abs(found - written) <= tolerance AND abs(written - before) <= tolerance THEN after
        ELSE found + own END
    FROM due WHERE s.id = due.id
    RETURNING s.id, CASE WHEN abs(found - written) > tolerance THEN written + own ELSE s.current_balance::numeric END,
        written, found, COALESCE(abs(found - written) > tolerance, false)"""
