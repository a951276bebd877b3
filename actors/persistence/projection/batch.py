"""What a batch of decisions writes, gathered; and in which order it is written.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import LiteralString

from actors.core.units import ZERO, AccountId
from actors.persistence.projection import balances
from actors.persistence.projection.balances import ACCOUNT, LOG, Change, Foreign, Move
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.tables import TABLES, Connection, Rows, Table


class Batch:
    """See the module.

    Args:
        is_rebuilt: our own tables are made once more: what concerns the platform's is left out.
    """

    def __init__(self, *, is_rebuilt: bool = False) -> None:
        self._is_rebuilt = is_rebuilt
        self._rows: dict[Table, Rows] = {}
        self._changes: dict[AccountId, Change] = {}
        self._moves: list[Move] = []
        self._remembered: dict[AccountId, None] = {}
        self._number = 0

    def of(self, table: Table) -> Rows:
        """What is written to a table."""
        found = self._rows.get(table)
        if found is None:
            found = self._rows[table] = Rows(table)
        return found

    def balance(self, amount: Decimal, reason: str, trade_id: str | None = None) -> None:
        """The present fact changes the account's balance; ``reason`` in the platform's words."""
        if amount != ZERO:
            self._moves.append(Move(self._number, amount, reason, trade_id))

    def remember(self, account_id: AccountId) -> None:
        """The account's status or mode on the platform is written: what then stands there is ours."""
        self._remembered[account_id] = None

    def begin(self, number: int) -> None:
        """The next fact of a decision comes, which stands there in it."""
        self._number = number

    def end(self, decided: Decided) -> None:
        """All facts of a decision came."""
        moves, self._moves = self._moves, []
        change = balances.log(self.of(LOG), decided, moves)
        if change is None:
            return
        earlier = self._changes.get(change.account_id)
        if earlier is not None:
            change.before = earlier.before
        self._changes[change.account_id] = change

    def write(self, connection: Connection) -> list[Foreign]:
        """Write everything, in the caller's transaction; balances that the platform changed beside us."""
        foreign: list[Foreign] = []
        if self._changes and not self._is_rebuilt:
            foreign = balances.write(connection, self.of(ACCOUNT), self._changes.values())
        for table in TABLES:
            rows = self._rows.get(table)
            if rows is not None and (table.is_ours or not self._is_rebuilt):
                rows.write(connection)
        if self._remembered and not self._is_rebuilt:
            connection.execute(REMEMBER, (list(self._remembered),))
        return foreign


def tables_of_ours() -> Sequence[Table]:
    """Tables that can be made from the journal once more."""
    return [table for table in TABLES if table.is_ours]


REMEMBER: LiteralString = """
    UPDATE bulkhead.account a SET platform_status = s.status, platform_mode = s.liquidation_mode,
        platform_rate = s.maintenance_rate::numeric
    FROM sub_accounts s WHERE s.id = a.account_id AND a.account_id = ANY(%s)"""
