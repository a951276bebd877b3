"""An account's statement of a period: what it had, what came and went, what it has; checked before anybody sees it.

What belongs to a period
    An entry belongs to the time before T when it and all entries of the account before it were booked before T. So each entry
    belongs to exactly one of two periods that meet, also where the machine's clock was set back between two entries.

What is checked
    1. The opening balance is the sum of all entries before it.
    2. Each entry's balance is the one before it and its amount.
    3. The closing balance is that of the account as its decisions are folded up to there, and, where nothing came later, of
       its row in ``bulkhead.account``.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg
from psycopg.rows import class_row

from actors.core import fact_codec
from actors.core.errors import BadInput, BooksWrong, NotKept, StoreBusy
from actors.core.facts import FillApplied
from actors.core.names import shown
from actors.core.units import ZERO, AccountId, plain
from actors.core.utc import time_of
from actors.persistence import loading
from actors.persistence.archive import tables
from actors.persistence.connection import one_moment
from actors.persistence.journal import SHARD, projected
from actors.persistence.projection.spelling import QUOTE_ASSETS
from actors.subaccount.income import Income
from actors.subaccount.state import AccountState

Connection = psycopg.Connection[Any]

ENTRIES_MAX = 50_000
"""Entries of one statement; a longer one is asked for in parts."""

FOLDED_MAX = 50_000
"""Decisions that are folded to know an account's positions in the past: it costs the engine's own thread time."""


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a balance; money in quote asset, see ``actors.subaccount.income.Entry``. ``balance`` is that after it."""

    position: int
    part: int
    at_ms: int
    income_type: Income
    amount: Decimal
    balance: Decimal
    asset: str
    asset_amount: Decimal | None
    symbol: str
    trade_id: int | None
    client_order_id: str | None
    info: str
    cause: str


class StatementTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade; ``at_ms`` is when it was booked, ``trade_ms`` when it was made. ``fee`` is None while it is not known.

    ``fee`` is in ``fee_asset``, empty for the quote asset; ``realized`` is in quote asset, without the fee.
    """

    position: int
    at_ms: int
    trade_ms: int
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    realized: Decimal
    fee: Decimal | None
    fee_asset: str
    maker: bool
    purpose: str
    trade_id: int
    client_order_id: str


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """What of one kind came and went; ``name`` is an income type, an asset or a symbol."""

    name: str
    count: int
    amount: Decimal
    of_asset: Decimal | None = None


class HeldPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position at the end of the period; ``quantity`` is signed, ``entry_price`` the average."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    opened_ms: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """opening + entries = closing. Times in Unix milliseconds, ``to_ms`` is not included; money in quote asset (``asset``).

    ``fees`` are by the asset that they were taken in: ``amount`` in quote asset, ``of_asset`` in that asset. ``positions`` is
    None where too much was decided to know them; ``fees_pending`` counts fees that are not known yet, and in no sum.
    """

    account_id: str
    from_ms: int
    to_ms: int
    asset: str
    opening: Decimal
    closing: Decimal
    sums: tuple[Sum, ...]
    fees: tuple[Sum, ...]
    funding: tuple[Sum, ...]
    entries: tuple[LedgerEntry, ...]
    trades: tuple[StatementTrade, ...]
    positions: tuple[HeldPosition, ...] | None
    fees_pending: int


class Cut(NamedTuple):
    """Where a time is: of the ledger the first position that belongs to what comes then, of the stream the first sequence."""

    position: int
    sequence: int


def statement(
    connection: Connection, account_id: AccountId, from_ms: int, to_ms: int, asset: str = ""
) -> Statement:
    """See the module. ``asset`` is the name of the quote asset, found by the symbols where it is not given.

    Raises:
        BadInput: no such account, times that are the wrong way round, or too many entries; says what would do.
        NotKept: decisions since its begin are archived.
        StoreBusy: the tables are behind the journal, and what is missing belongs to the period.
        BooksWrong: it does not add up; names the first entry that does not fit.
    """
    if from_ms >= to_ms:
        raise BadInput(
            f"a statement from {from_ms} to {to_ms} has its end before its begin: "
            "the first time must be earlier than the second"
        )
    with one_moment(connection):
        connection.execute("SET LOCAL enable_seqscan = off")
        return _statement(connection, account_id, from_ms, to_ms, asset)


def _statement(
    connection: Connection, account_id: AccountId, from_ms: int, to_ms: int, asset: str
) -> Statement:
    row = connection.execute(ACCOUNT, (account_id,)).fetchone()
    if row is None:
        raise BadInput(f"there is no account {shown(account_id)}; 'bulkhead accounts' lists them")
    archived = tables.said(connection, account_id, from_ms)
    if archived is not None:
        raise NotKept(
            f"a statement from {time_of(from_ms)} on needs what is not in the journal: {archived}, or give a later begin"
        )
    is_whole = _complete(connection, account_id, row[0], to_ms)
    begin, end = (_cut(connection, account_id, ms) for ms in (from_ms, to_ms))
    opening = _opening(connection, account_id, begin.position)
    found = _entries(connection, account_id, begin.position, end.position)
    closing = _checked(account_id, opening, found)
    if is_whole and end.position == loading.LAST and closing != row[1]:
        raise BooksWrong(
            f"{account_id}: its entries come to {plain(closing)}, and its row in bulkhead.account says {plain(row[1])}; "
            + CURE
        )
    asset = asset or _asset_of(found)
    state = _state_before(connection, account_id, end.sequence)
    if state is not None and state.balance != closing:
        last = f", the last of them {_named(found[-1])}" if found else ""
        raise BooksWrong(
            f"{account_id}: its entries come to {plain(closing)}{last}, and its decisions to {plain(state.balance)}; "
            + CURE
        )
    return Statement(
        account_id=account_id,
        from_ms=from_ms,
        to_ms=to_ms,
        asset=asset,
        opening=opening,
        closing=closing,
        sums=_sums((e.income_type, e) for e in found),
        fees=_sums((e.asset or asset, e) for e in found if e.income_type is Income.COMMISSION),
        funding=_sums((e.symbol, e) for e in found if e.income_type is Income.FUNDING_FEE),
        entries=tuple(found),
        trades=tuple(_trades(connection, account_id, begin.sequence, end.sequence)),
        positions=None if state is None else _held(state),
        fees_pending=0 if state is None else len(state.pending_fees),
    )


# -- the period


def _complete(connection: Connection, account_id: str, sequence: int, to_ms: int) -> bool:
    """See that the tables have all that belongs to the period; whether they have all that there is."""
    cursor = projected(connection) or 0
    parked = connection.execute(PARKED, (account_id,)).fetchone()
    if parked is not None:
        cursor = min(cursor, parked[2] - 1)
    missing = connection.execute(NOT_PROJECTED, (account_id, sequence, cursor)).fetchall()
    if not any(wall_ms < to_ms for (wall_ms,) in missing):
        return not missing
    if parked is not None:
        raise StoreBusy(
            f"the tables of {account_id} stopped at decision {parked[0]} ({parked[1]}); repair that, then "
            f"'bulkhead db unpark {account_id}', or ask for a time before it"
        )
    raise StoreBusy(
        f"the tables are behind the journal, and lack decisions of {account_id} that belong to this period; try again, "
        "and if no engine runs start it, which brings them up to date"
    )


def _cut(connection: Connection, account_id: str, at_ms: int) -> Cut:
    row = connection.execute(FIRST_SINCE, (account_id, at_ms)).fetchone()
    position = loading.LAST if row is None else int(row[0])
    last = connection.execute(LAST_BEFORE, (account_id, position)).fetchone()
    after = -1 if last is None else _sequence_at(connection, last[0], -1)
    before = _sequence_at(connection, position, loading.LAST)
    # Decisions without money lie between two entries.
    found = connection.execute(DECIDED_SINCE, (account_id, after, before, at_ms)).fetchone()
    return Cut(position, before if found is None else int(found[0]))


def _sequence_at(connection: Connection, position: int, otherwise: int) -> int:
    row = connection.execute(SEQUENCE_AT, (SHARD, position)).fetchone()
    return otherwise if row is None else int(row[0])


# -- what adds up


def _opening(connection: Connection, account_id: str, position: int) -> Decimal:
    row = connection.execute(LAST_BEFORE, (account_id, position)).fetchone()
    said: Decimal = ZERO if row is None else row[1]
    [(total,)] = connection.execute(SUM_BEFORE, (account_id, position)).fetchall()
    if said != total:
        wrong = connection.execute(FIRST_WRONG, (account_id, position)).fetchone()
        where = (
            ""
            if wrong is None
            else f"; the first that does not fit is at position {wrong[0]}, part {wrong[1]}"
        )
        raise BooksWrong(
            f"{account_id}: the entries before this statement come to {plain(total)}, and the last of them says "
            f"{plain(said)}{where}; {CURE}"
        )
    return said


def _entries(connection: Connection, account_id: str, first: int, end: int) -> list[LedgerEntry]:
    with connection.cursor(row_factory=class_row(LedgerEntry)) as cursor:
        rows = cursor.execute(ENTRIES, (account_id, first, end, ENTRIES_MAX + 1)).fetchall()
    if len(rows) > ENTRIES_MAX:
        raise BadInput(
            f"{account_id} has more than {ENTRIES_MAX:,} entries in this period; ask for it in shorter ones"
        )
    return [msgspec.structs.replace(row, income_type=Income(row.income_type)) for row in rows]


def _checked(account_id: str, opening: Decimal, entries: Sequence[LedgerEntry]) -> Decimal:
    """The closing balance."""
    balance = opening
    for entry in entries:
        if balance + entry.amount != entry.balance:
            raise BooksWrong(
                f"{account_id}: {plain(balance)} and the entry {_named(entry)} do not make {plain(entry.balance)}, which it "
                f"says is the balance; {CURE}"
            )
        balance = entry.balance
    return balance


def _asset_of(entries: Sequence[LedgerEntry]) -> str:
    """The quote asset that all symbols have; empty where that is not known. All accounts of an engine have one."""
    found = {quote for e in entries for quote in QUOTE_ASSETS if e.symbol.endswith(quote)}
    return found.pop() if len(found) == 1 else ""


def _named(entry: LedgerEntry) -> str:
    return f"{entry.income_type} {plain(entry.amount)} at position {entry.position}, part {entry.part}"


def _sums(named: Iterable[tuple[str, LedgerEntry]]) -> tuple[Sum, ...]:
    found: dict[str, Sum] = {}
    for name, entry in named:
        so_far = found.get(name) or Sum(name=str(name), count=0, amount=ZERO)
        of_asset = so_far.of_asset
        if entry.asset_amount is not None:
            of_asset = (of_asset or ZERO) + entry.asset_amount
        found[name] = Sum(
            name=str(name), count=so_far.count + 1, amount=so_far.amount + entry.amount, of_asset=of_asset
        )
    return tuple(found[name] for name in sorted(found))


# -- trades and positions


def _trades(connection: Connection, account_id: str, first: int, end: int) -> Iterable[StatementTrade]:
    rows = connection.execute(DECISIONS_WITH, (account_id, first, end, b'%"FillApplied"%')).fetchall()
    for position, wall_ms, version, data in rows:
        for fact in fact_codec.decode(version, data):
            if isinstance(fact, FillApplied):
                yield _trade(position, wall_ms, fact)


def _trade(position: int, wall_ms: int, fact: FillApplied) -> StatementTrade:
    trade, taken = fact.trade, fact.commission
    return StatementTrade(
        position=position,
        at_ms=wall_ms,
        trade_ms=trade.trade_ms,
        symbol=trade.symbol,
        side=trade.side,
        quantity=trade.quantity,
        price=trade.price,
        realized=fact.realized,
        fee=fact.fee if taken is None else taken.amount,
        fee_asset="" if taken is None else taken.asset,
        maker=trade.maker,
        purpose=fact.purpose,
        trade_id=trade.trade_id,
        client_order_id=fact.client_order_id,
    )


def _state_before(connection: Connection, account_id: str, sequence: int) -> AccountState | None:
    """The account before a decision; None where that is not worth the folding, or was before it began."""
    row = connection.execute(DECIDED_BEFORE, (account_id, sequence)).fetchone()
    if row is None:
        return None
    last, position = row
    snapshot = connection.execute(SNAPSHOT, (account_id,)).fetchone()
    if snapshot is not None and snapshot[0] <= last:
        return loading.states_at(connection, [account_id], position)[account_id].state
    if last > FOLDED_MAX:
        return None
    rows = connection.execute(ALL_BEFORE, (account_id, last)).fetchall()
    return loading.state_after([(*r, False) for r in rows], account_id).state


def _held(state: AccountState) -> tuple[HeldPosition, ...]:
    return tuple(
        HeldPosition(symbol=p.symbol, quantity=p.quantity, entry_price=p.entry_price, opened_ms=p.opened_ms)
        for p in sorted(state.positions, key=lambda p: p.symbol)
    )


CURE = "'bulkhead db rebuild --dry-run' shows whether our tables differ from the journal, 'bulkhead db verify' whether that was changed"

ACCOUNT: LiteralString = "SELECT sequence, balance FROM bulkhead.account WHERE account_id = %s"

NOT_PROJECTED: LiteralString = """
    SELECT wall_ms FROM bulkhead.journal WHERE stream = %s AND sequence >= %s AND position > %s"""

PARKED: LiteralString = "SELECT sequence, error, position FROM bulkhead.parked WHERE stream = %s"

FIRST_SINCE: LiteralString = """
    SELECT position FROM bulkhead.ledger WHERE account_id = %s AND wall_ms >= %s
    ORDER BY account_id, position, part LIMIT 1"""

LAST_BEFORE: LiteralString = """
    SELECT position, balance FROM bulkhead.ledger WHERE account_id = %s AND position < %s
    ORDER BY account_id DESC, position DESC, part DESC LIMIT 1"""

SUM_BEFORE: LiteralString = """
    SELECT COALESCE(sum(amount), 0) FROM bulkhead.ledger WHERE account_id = %s AND position < %s"""

FIRST_WRONG: LiteralString = """
    SELECT position, part FROM (
        SELECT position, part, balance, sum(amount) OVER (ORDER BY position, part) AS running
        FROM bulkhead.ledger WHERE account_id = %s AND position < %s
    ) l WHERE running <> balance ORDER BY position, part LIMIT 1"""

ENTRIES: LiteralString = """
    SELECT position, part, wall_ms AS at_ms, income_type, amount, balance, asset, asset_amount, symbol, trade_id,
        client_order_id, info, cause
    FROM bulkhead.ledger WHERE account_id = %s AND position >= %s AND position < %s
    ORDER BY account_id, position, part LIMIT %s"""

SEQUENCE_AT: LiteralString = "SELECT sequence FROM bulkhead.journal WHERE shard = %s AND position = %s"

DECIDED_SINCE: LiteralString = """
    SELECT sequence FROM bulkhead.journal WHERE stream = %s AND sequence > %s AND sequence < %s AND wall_ms >= %s
    ORDER BY stream, sequence LIMIT 1"""

DECIDED_BEFORE: LiteralString = """
    SELECT sequence, position FROM bulkhead.journal WHERE stream = %s AND sequence < %s
    ORDER BY stream DESC, sequence DESC LIMIT 1"""

DECISIONS_WITH: LiteralString = """
    SELECT position, wall_ms, version, facts FROM bulkhead.journal
    WHERE stream = %s AND sequence >= %s AND sequence < %s AND facts LIKE %s ORDER BY stream, sequence"""

SNAPSHOT: LiteralString = "SELECT sequence FROM bulkhead.snapshot WHERE stream = %s"

ALL_BEFORE: LiteralString = """
    SELECT sequence, version, facts, hash FROM bulkhead.journal WHERE stream = %s AND sequence <= %s
    ORDER BY stream, sequence"""
