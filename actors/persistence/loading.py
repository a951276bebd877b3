"""States from snapshots and the journal behind them, folded: the only way from the database to an account.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import chain
from typing import Any, Generic, LiteralString, NamedTuple

import psycopg
from msgspec.structs import replace

from actors.clearing.state import ClearingState
from actors.core import fact_codec
from actors.core.clearing_messages import is_clearing
from actors.core.enums import AccountStatus, LiquidationMode
from actors.core.errors import BadConfig, StateCorrupt
from actors.core.facts import begins
from actors.core.messages import PlatformKnown
from actors.core.units import ONE, ZERO, AccountId
from actors.limits.layers import merge, with_rule
from actors.limits.model import RiskLimits
from actors.persistence.journal import HASH_BYTES
from actors.persistence.streams import ACCOUNTS, CLEARINGS, Kind, S
from actors.subaccount import state_codec
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState

Connection = psycopg.Connection[Any]
Row = tuple[Any, ...]


class KeptOf(NamedTuple, Generic[S]):
    """A state as the journal has it, after the decision of that sequence, whose row has that hash."""

    state: S
    sequence: int
    hash: bytes


Kept = KeptOf[AccountState]
KeptClearing = KeptOf[ClearingState]
AnyKept = Kept | KeptClearing


class BaseLimits:
    """The limits below an account: the defaults, with the platform's rule for it over them. Equal ones are one object.

    Args:
        defaults: of accounts that the platform has no rule for.
    """

    def __init__(self, defaults: RiskLimits) -> None:
        self._defaults = defaults
        self._known: dict[Row, RiskLimits] = {}

    def of(self, rule: Sequence[str | None]) -> RiskLimits:
        """With a row of rules over the defaults; numbers as text, as a fleet has few rows and many accounts.

        Raises:
            ArithmeticError: a number that is none.
        """
        texts = tuple(rule)
        found = self._known.get(texts)
        if found is None:
            numbers = tuple(None if text is None else Decimal(text) for text in texts)
            limits = with_rule(self._defaults, numbers)
            found = self._known[texts] = self._known.setdefault(numbers, limits)
        return found

    def merged(
        self, state: AccountState, rule: Sequence[str | None], platform: PlatformKnown | None = None
    ) -> AccountState:
        """An account with what lies below it now, and with what the platform changed of it.

        Raises:
            StateCorrupt: a limit of its own that cannot be any more.
        """
        base, own = self.of(rule), state.overrides
        limits = base
        if own:
            try:
                limits = self._known[base, own] = self._known.get((base, own)) or merge(base, dict(own))
            except BadConfig as error:
                raise StateCorrupt(f"{state.account_id}: {error}") from None
        return replace(state, base_limits=base, limits=limits, platform=platform)


def state_after(rows: Sequence[Row], stream: str) -> Kept:
    """An account's state; see ``state_of_rows``."""
    return state_of_rows(ACCOUNTS, rows, stream)


def state_of_rows(kind: Kind[S], rows: Sequence[Row], stream: str) -> KeptOf[S]:
    """The state of a stream, of its snapshot and of the rows behind that.

    Args:
        kind: of the stream.
        rows: sequence, version, facts (or the snapshot's state), hash, and whether it is the snapshot; in any order.
        stream: the account's id, or the clearing's name.

    Raises:
        StateCorrupt: no row at all, a row that is missing or cannot be read, or a fact that does not fit.
    """
    state, sequence, hash_ = kind.blank(stream), -1, b""
    for number, version, data, row_hash, is_snapshot in sorted(rows):
        if is_snapshot:
            try:
                state = kind.decode(version, data)
            except StateCorrupt as error:
                raise StateCorrupt(f"{stream}: its row in bulkhead.snapshot: {error}") from None
            if state.sequence != number or kind.stream_of(state) != stream or sequence >= 0:
                raise StateCorrupt(
                    f"{stream}: its snapshot is of {kind.stream_of(state)} at {state.sequence}"
                )
        else:
            if sequence >= 0 and number != sequence + 1:
                raise StateCorrupt(f"{stream}: decision {number} in the journal does not follow {sequence}")
            try:
                facts = kind.facts(version, data)
            except StateCorrupt as error:
                raise StateCorrupt(
                    f"{stream}: its row of sequence {number} in bulkhead.journal: {error}"
                ) from None
            if sequence < 0 and not kind.begins(number, facts):
                raise StateCorrupt(f"{stream}: its first row in the journal is missing")
            state = kind.after(state, facts, number)
        sequence, hash_ = number, row_hash
    if sequence < 0:
        raise StateCorrupt(f"{stream}: the journal has no fact of it")
    return KeptOf(state, sequence, hash_)


def platform_of(row: Row) -> PlatformKnown | None:
    """What the platform changed of an account since we wrote its row: status, mode and maintenance rate, None unchanged.

    Raises:
        ValueError: a status or mode that there is not, or a rate that cannot be.
    """
    status, mode, rate = row
    if status is None and mode is None and rate is None:
        return None
    if rate is not None and not ZERO < rate < ONE:
        raise ValueError(f"a maintenance rate of {rate}, which must be between 0 and 1")
    return PlatformKnown(
        None if status is None else AccountStatus(status),
        None if mode is None else LiquidationMode(mode),
        rate,
    )


Failed = Callable[[str, Exception], None]
"""Informed of a stream that cannot be read, and why."""


def _raise(_stream: str, error: Exception) -> None:
    raise error


def states_of(connection: Connection, streams: Sequence[str], failed: Failed = _raise) -> dict[str, Kept]:
    """The states of some streams up to their last decision; no limits below.

    Raises:
        StateCorrupt: a stream cannot be read, unless ``failed`` takes it.
    """
    return states_at(connection, streams, LAST, failed)


def states_at(
    connection: Connection, streams: Sequence[str], position: int, failed: Failed = _raise
) -> dict[str, Kept]:
    """The states of some streams up to a position (inclusive), which their snapshots are not ahead of; no limits below.

    Raises:
        StateCorrupt: a stream cannot be read, unless ``failed`` takes it.
    """
    return _at(ACCOUNTS, connection, streams, position, failed)


def clearings_at(
    connection: Connection, streams: Sequence[str], position: int, failed: Failed = _raise
) -> dict[str, KeptClearing]:
    """As ``states_at``, of clearings.

    Raises:
        StateCorrupt: see there.
    """
    return _at(CLEARINGS, connection, streams, position, failed)


def any_at(
    connection: Connection, streams: Sequence[str], position: int, failed: Failed = _raise
) -> tuple[dict[str, Kept], dict[str, KeptClearing]]:
    """``states_at`` and ``clearings_at`` of streams of both kinds.

    Raises:
        StateCorrupt: see there.
    """
    clearings = [stream for stream in streams if is_clearing(stream)]
    if not clearings:
        return states_at(connection, streams, position, failed), {}
    accounts = [stream for stream in streams if not is_clearing(stream)]
    return (
        states_at(connection, accounts, position, failed) if accounts else {},
        clearings_at(connection, clearings, position, failed),
    )


def clearings_of(
    connection: Connection, streams: Sequence[str] | None = None, failed: Failed = _raise
) -> dict[str, KeptClearing]:
    """The states of some clearings, or of all that ever formed a block, up to their last decision.

    Raises:
        StateCorrupt: see ``states_at``.
    """
    if streams is None:
        streams = [row[0] for row in connection.execute(CLEARING_STREAMS).fetchall()]
    return clearings_at(connection, streams, LAST, failed) if streams else {}


def _at(
    kind: Kind[S], connection: Connection, streams: Sequence[str], position: int, failed: Failed
) -> dict[str, KeptOf[S]]:
    wanted = list(streams)
    rows = connection.execute(STREAMS, {"streams": wanted, "last": position})
    return _folded(kind, wanted, rows, failed)


def add_usual(connection: Connection, streams: Sequence[str], found: dict[str, Kept]) -> None:
    """Add the states of accounts to ``found``, as ``states_of`` gives them, in much less time.

    But of none whose rows are not as they nearly always are: ``states_of`` says what is wrong with them.
    """
    with connection.cursor(binary=True) as cursor:
        for stream, *row in cursor.execute(WHOLE, {"streams": list(streams)}).fetchall():
            with suppress(StateCorrupt, ValueError, ArithmeticError, TypeError):
                kept = _whole(stream, *row)
                if kept is not None:
                    found[stream] = kept


def _whole(  # noqa: PLR0913 - a row's columns
    stream: str,
    sequence: int | None,
    version: int,
    data: bytes,
    hash_: bytes,
    rows: int,
    first: int,
    last: int,
    facts_version: int | None,
    facts: bytes,
    hashes: bytes,
) -> Kept | None:
    """The state of a row of ``WHOLE``; None for what ``state_after`` has to look at.

    A stream's sequences are unique and those of the tail lie behind the snapshot, so their number and the last one tell
    whether one is missing.
    """
    is_opening = sequence is None
    if sequence is None:
        state, sequence = AccountState(account_id=AccountId(stream)), first - 1
    else:
        state = state_codec.decode(version, data)
        if state.sequence != sequence or state.account_id != stream:
            return None
        if not rows:
            return KeptOf(state, sequence, hash_)
    if facts_version is None or last - sequence != rows or len(hashes) != rows * HASH_BYTES:
        return None
    decisions = fact_codec.decode_lines(facts_version, facts)
    if len(decisions) != rows or (is_opening and not begins(decisions[0])):
        return None
    state = folded(state, chain.from_iterable(decisions))
    return KeptOf(replace(state, sequence=last), last, hashes[-HASH_BYTES:])


def _folded(
    kind: Kind[S], streams: Iterable[str], rows: Iterable[Row], failed: Failed
) -> dict[str, KeptOf[S]]:
    by_stream: dict[str, list[Row]] = {stream: [] for stream in streams}
    for stream, *row in rows:
        by_stream.setdefault(stream, []).append(tuple(row))
    found: dict[str, KeptOf[S]] = {}
    for stream, own in by_stream.items():
        try:
            found[stream] = state_of_rows(kind, own, stream)
        except (StateCorrupt, ValueError, ArithmeticError, TypeError) as error:
            failed(stream, error)
    return found


LAST = 2**62
"""A position behind all."""

# Snapshot and tail in one statement: between two, the projector could move the one past the other.
STREAMS: LiteralString = """
    SELECT stream, sequence, version, state, hash, true FROM bulkhead.snapshot WHERE stream = ANY(%(streams)s)
    UNION ALL
    SELECT asked.stream, t.sequence, t.version, t.facts, t.hash, false
    FROM unnest(%(streams)s::text[]) AS asked (stream)
    LEFT JOIN bulkhead.snapshot s ON s.stream = asked.stream
    JOIN LATERAL (
        SELECT sequence, version, facts, hash, position FROM bulkhead.journal j
        WHERE j.stream = asked.stream AND j.sequence > COALESCE(s.sequence, -1)
    ) t ON t.position <= %(last)s"""

CLEARING_STREAMS: LiteralString = """
    SELECT stream FROM bulkhead.journal WHERE sequence = 1 AND starts_with(stream, 'clearing:')
    UNION SELECT stream FROM bulkhead.snapshot WHERE starts_with(stream, 'clearing:') ORDER BY stream"""
"""Each has its first row in an index of its own; one whose first row is lost may have a snapshot."""

# A row for each account. Snapshot and tail are looked up account by account, whatever Postgres believes of its tables: as
# joins they would be found by reading all snapshots and the whole journal, which grows for ever. One line for each
# decision: JSON has none inside.
WHOLE: LiteralString = r"""
    SELECT a.account_id, s.sequence, s.version, s.state, s.hash, t.rows, t.first, t.last, t.version, t.facts, t.hashes
    FROM unnest(%(streams)s::text[]) AS a (account_id)
    LEFT JOIN LATERAL (
        SELECT sequence, version, state, hash FROM bulkhead.snapshot WHERE stream = a.account_id OFFSET 0
    ) s ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS rows, min(sequence) AS first, max(sequence) AS last,
            CASE WHEN min(version) = max(version) THEN min(version) END AS version,
            string_agg(facts, '\x0a'::bytea) AS facts, string_agg(hash, ''::bytea) AS hashes
        FROM (
            SELECT sequence, version, facts, hash FROM bulkhead.journal j
            WHERE j.stream = a.account_id AND j.sequence > COALESCE(s.sequence, -1) ORDER BY j.sequence
        ) o
    ) t"""
