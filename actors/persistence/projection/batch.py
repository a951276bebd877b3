"""What a batch of decisions writes, gathered; and in which order it is written.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from decimal import Decimal

from actors.core.units import ZERO, AccountId
from actors.persistence.projection import balances
from actors.persistence.projection.balances import ACCOUNT, LOG, SUB_ACCOUNT, Change, Foreign, Move
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.tables import OURS, TABLES, Connection, Rows, Table


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
        self._number = 0

    def of(self, table: Table) -> Rows:
        """What is written to a table."""
        found = self._rows.get(table)
        if found is None:
            found = self._rows[table] = Rows(table)
        return found

    def balance(
        self, amount: Decimal, reason: str, trade_id: str | None = None, *, by_platform: bool = False
    ) -> None:
        """The present fact changes the account's balance; ``reason`` in the platform's words.

        ``by_platform``: it wrote that itself already.
        """
        if amount != ZERO:
            self._moves.append(Move(self._number, amount, reason, trade_id, by_platform))

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
            change.booked += earlier.booked
        # It is written after the balance is.
        self.of(SUB_ACCOUNT).amend(change.account_id, updated_at=change.at)
        self._changes[change.account_id] = change

    def write(self, connection: Connection) -> list[Foreign]:
        """Write everything, in the caller's transaction; balances that the platform changed beside us."""
        foreign: list[Foreign] = []
        if self._changes and not self._is_rebuilt:
            foreign = balances.write(connection, self.of(ACCOUNT), self._changes.values())
        written = [t for t in TABLES if t in self._rows and (t.is_ours or not self._is_rebuilt)]
        # What refers to others goes before them, and comes behind them.
        for table in reversed(written):
            self._rows[table].delete(connection)
        for table in written:
            self._rows[table].write(connection)
        return foreign


def names_of_ours() -> list[str]:
    """Tables that can be made from the journal once more, without their schema."""
    return sorted({table.name.removeprefix(OURS) for table in TABLES if table.is_ours})
