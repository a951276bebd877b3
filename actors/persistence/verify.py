"""Whether a journal is what the engine wrote, and whether it makes what the tables behind it say.

Everything is read in one transaction that sees one moment and writes nothing, so an engine may go on meanwhile. Rows come
through cursors of the server: what stays in memory is the end of each stream, and one account's state at a time.

Rules
1. The first fault ends the check, and names its row (see ``verify_chain``).
2. A chain that is right proves what was written; folding it proves that it can be read, and that snapshots and trade keys
   say the same. Only roots that were written down elsewhere prove that its end is not missing.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg

from actors.core.units import AccountId
from actors.persistence import journal
from actors.persistence.archive.verifying import Archived
from actors.persistence.connection import answers_within, lift_limits, one_moment
from actors.persistence.journal import SHARD, Entry
from actors.persistence.loading import clearings_of, states_of
from actors.persistence.streams import CLEARINGS
from actors.persistence.verify_chain import Chain, Commit, Fault, Found, Wrong
from actors.persistence.verify_states import ROWS_A_TIME, States, number
from actors.subaccount.fleet_hash import fleet_hash_of
from actors.subaccount.state_codec import state_hash
from actors.supervision.journal_roots import JournalRoot, binding

Connection = psycopg.Connection[Any]
Progress = Callable[[str, int, int], None]
"""Informed of the step, and of how many of its rows are done, of how many."""

ANSWER_SECONDS = 600.0
"""How long one statement may take: the first row of a sorted table of any size."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was found up to the fault, or to the end. ``root`` and ``fleet_hash`` are in hex.

    ``fleet_hash`` is empty where not everything was folded. ``known_roots`` is how many roots from elsewhere were compared.
    """

    ok: bool
    rows: int
    commits: int
    streams: int
    clearings: int
    trades: int
    snapshots: int
    known_roots: int
    position: int
    root: str
    fleet_hash: str
    fault: Fault | None
    archived: int = 0
    """Rows up to this position are in archived files."""
    archived_read: bool = True
    """Whether those were verified, too."""


class Hashes(NamedTuple):
    """The states of all accounts and clearings after the last row: of the fleet, and of each its sequence and hash, by id."""

    fleet_hash: str
    position: int
    root: str
    accounts: list[tuple[AccountId, int, str]]
    clearings: list[tuple[str, int, str]]


def verify(  # noqa: PLR0913 - one per option
    connection: Connection,
    *,
    folds: bool = True,
    roots: Sequence[JournalRoot] = (),
    folder: Path | None = None,
    reads_archive: bool = True,
    progress: Progress = lambda _step, _done, _total: None,
) -> Report:
    """Check a database of our schema's present version.

    Args:
        connection: in no transaction.
        folds: also fold every account, and compare snapshots and trade keys.
        roots: what this machine wrote down of its journals, oldest first; see ``supervision.journal_roots``.
        folder: of the archived files; None where nobody knows it.
        reads_archive: verify those files, too; without, the check begins behind them with what the database knows of them.
        progress: see there.

    Raises:
        psycopg.Error: Postgres could not answer.
    """
    with _at_leisure(connection):
        known = {root.position: root.journal_root for root in binding(roots, fleet_of(connection))}
        known.pop(0, None)
        total = number(connection, TOTAL, SHARD)
        old = Archived(connection, folder, reads=reads_archive)
        states = States(
            connection, lambda rows: progress("accounts", rows, total), old.streams, is_whole=reads_archive
        )
        fault = old.verify(known, states if folds else None, lambda rows: progress("archived", rows, total))
        chain = Chain(
            known,
            lambda stream, sequence: _position_of(connection, stream, sequence),
            lambda rows: progress("chain", rows, total),
            old.begin,
        )
        try:
            if fault is None:
                _walk(connection, chain)
        except Found as found:
            fault = found.fault
        if fault is None and folds:
            fault = states.fold()
        fault = fault or _ahead(connection, chain.position)
    return Report(
        ok=fault is None,
        rows=chain.position,
        commits=chain.commits + old.commits,
        streams=chain.streams,
        clearings=chain.clearings,
        trades=states.trades,
        snapshots=states.snapshots,
        known_roots=len(known),
        position=chain.position,
        root=chain.root.hex(),
        fleet_hash=fleet_hash_of(states.hashes) if folds and fault is None else "",
        fault=fault,
        archived=old.end.position,
        archived_read=reads_archive,
    )


def hashes(connection: Connection, progress: Progress = lambda _step, _done, _total: None) -> Hashes:
    """The hash of each account and clearing and of the fleet, folded from snapshots and what is behind them.

    Args:
        connection: in no transaction.
        progress: see there.

    Raises:
        StateCorrupt: an account cannot be read; names it.
        psycopg.Error: Postgres could not answer.
    """
    found: list[tuple[AccountId, int, str]] = []
    with _at_leisure(connection):
        root, position = journal.end_of(connection)
        ids = [row[0] for row in connection.execute(ACCOUNTS).fetchall()]
        for begin in range(0, len(ids), ROWS_A_TIME):
            kept = states_of(connection, ids[begin : begin + ROWS_A_TIME])
            found += [(AccountId(id_), k.sequence, state_hash(k.state)) for id_, k in kept.items()]
            progress("accounts", len(found), len(ids))
        clearings = [
            (stream, k.sequence, CLEARINGS.hash_of(k.state)) for stream, k in clearings_of(connection).items()
        ]
    found.sort()
    return Hashes(
        fleet_hash_of((stream, hash_) for stream, _, hash_ in [*found, *clearings]),
        position,
        root.hex() if position else "",
        found,
        sorted(clearings),
    )


def fleet_of(connection: Connection) -> str:
    """The database's id, which its backups have too; empty if it lost it."""
    row = connection.execute("SELECT fleet_id FROM bulkhead.fleet").fetchone()
    return "" if row is None else str(row[0])


@contextmanager
def _at_leisure(connection: Connection) -> Iterator[None]:
    """One moment, however long it takes to look at it, or what is done between two statements."""
    with answers_within(connection, ANSWER_SECONDS), one_moment(connection):
        lift_limits(connection)
        yield


def _walk(connection: Connection, chain: Chain) -> None:
    with (
        connection.cursor("journal_rows", binary=True) as rows,
        connection.cursor("journal_commits", binary=True) as commits,
    ):
        rows.itersize = commits.itersize = ROWS_A_TIME
        rows.execute(journal.BY_POSITION, (SHARD,))
        commits.execute(COMMITS, (SHARD, chain.position))
        chain.walk((Entry(*row) for row in rows), (Commit(*row) for row in commits))


def _position_of(connection: Connection, stream: str, sequence: int) -> int | None:
    row = connection.execute(POSITION_OF, (stream, sequence)).fetchone()
    return None if row is None else int(row[0])


def _ahead(connection: Connection, last: int) -> Fault | None:
    """Whether something was made of rows that the journal does not have."""
    position = journal.projected(connection) or 0
    if position > last:
        text = f"the projection is at position {position}, and the journal ends at {last}"
        return Fault(wrong=Wrong.PROJECTION, text=text)
    return None


TOTAL: LiteralString = "SELECT COALESCE(max(position), 0) FROM bulkhead.journal WHERE shard = %s"

COMMITS: LiteralString = """
    SELECT position, rows, root FROM bulkhead.journal_commit WHERE shard = %s AND position > %s ORDER BY position"""
"""Without the last commit of each archived file, which stays."""

POSITION_OF: LiteralString = "SELECT position FROM bulkhead.journal WHERE stream = %s AND sequence = %s"

ACCOUNTS: LiteralString = """
    SELECT a.account_id FROM bulkhead.account a
    WHERE EXISTS (SELECT FROM bulkhead.journal j WHERE j.stream = a.account_id)
        OR EXISTS (SELECT FROM bulkhead.archived_stream o WHERE o.stream = a.account_id) ORDER BY a.account_id"""
