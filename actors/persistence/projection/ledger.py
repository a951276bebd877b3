"""What is projected of money: each change of a balance as an entry of the ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from actors.core.facts import AnyFact
from actors.core.units import ZERO, plain
from actors.persistence import journal
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.tables import Table
from actors.subaccount.income import Entry, entries

LEDGER = Table(
    "bulkhead.ledger",
    ("position", "part"),
    """position part account_id wall_ms income_type amount balance asset asset_amount symbol trade_id client_order_id
    info cause""",
)


def project(batch: Batch, decided: Decided) -> None:
    """The entries of one decision; what the balance was before follows from what it is after."""
    found = entries(decided.facts)
    if not found:
        return
    state, rows = decided.state, batch.of(LEDGER)
    balance = state.balance - sum((entry.amount for entry in found), ZERO)
    of_it = (decided.position, state.account_id, decided.wall_ms, decided.cause)
    for key, values in _rows(*of_it, balance, found):
        rows.insert(*key, **values)


def _rows(  # noqa: PLR0913 - what a row has of its decision
    position: int, account_id: str, wall_ms: int, cause: str, balance: Decimal, found: Iterable[Entry]
) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    for part, entry in enumerate(found):
        balance += entry.amount
        yield (
            (position, part),
            {
                "account_id": account_id,
                "wall_ms": wall_ms,
                "income_type": entry.income,
                "amount": _short(entry.amount),
                "balance": _short(balance),
                "asset": entry.asset,
                "asset_amount": None if entry.asset_amount is None else _short(entry.asset_amount),
                "symbol": entry.symbol,
                "trade_id": entry.trade_id,
                "client_order_id": entry.client_order_id,
                "info": entry.info,
                "cause": cause,
            },
        )


def _short(value: Decimal) -> Decimal:
    """Without trailing zeros: the same row, whatever zeros were added to a balance on the way."""
    return Decimal(plain(value))


def rows_of(
    entry: journal.Entry, facts: Iterable[AnyFact], balances: dict[str, Decimal]
) -> Iterator[Sequence[Any]]:
    """The columns of the entries of a row of the journal; ``balances`` are those of all accounts so far.

    No state is folded: a balance is the sum of its entries.
    """
    found = entries(facts)
    before = balances.get(entry.stream, ZERO)
    of_it = (entry.position, entry.stream, entry.wall_ms, entry.cause)
    for key, values in _rows(*of_it, before, found):
        row = {**dict(zip(LEDGER.key, key, strict=True)), **values}
        yield [row[column] for column in LEDGER.columns]
    if found:
        balances[entry.stream] = before + sum((e.amount for e in found), ZERO)
