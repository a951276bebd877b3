"""The writer's SQL connection: fenced commits, loads, leases.

Rules
1. A batch is one transaction; it commits whole, or is split until the bad decision stands alone.
2. Every commit proves the shards' epochs. A stale one writes nothing.
3. A decision follows the last durable one of its account, or it is refused alone, with what stands on it.
4. After a lost connection the fate of a commit is read back from the journal, never guessed.
5. A decision is durable when it is in the journal. Every other table is made from the journal, behind it.

I/O: runs SQL on a connection of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import structlog

from actors.clearing.state import ClearingState
from actors.core import fact_codec
from actors.core.clearing_messages import clearing_name
from actors.core.durability import Persist
from actors.core.errors import BadInput, Fenced, NotDurable, StateCorrupt, StoreBusy, StoreUnreachable
from actors.core.records import NewAccount, Recovery
from actors.core.units import AccountId, ClientOrderId, Symbol
from actors.limits.model import RiskLimits
from actors.persistence import fleet_loading, journal, loading, open_books, schema, sql
from actors.persistence.accounts import check_new, create, opening
from actors.persistence.connection import (
    BUSY,
    check_durability,
    connect,
    is_lost,
    lift_limits,
    one_line,
)
from actors.persistence.journal import Appended, JournalEnd, Resumed
from actors.persistence.loading import BaseLimits
from actors.persistence.messages import Committed
from actors.persistence.open_books import Books
from actors.persistence.operator_records import OperatorRecords
from actors.persistence.projection.spelling import when
from actors.persistence.shards import SHARDS
from actors.persistence.streams import symbol_of
from actors.subaccount.state import AccountState

log = structlog.get_logger("store")

TAKEOVER_TRIES = 3
T = TypeVar("T")

Append = Callable[[Sequence[Resumed]], None]
"""Appends rows in the transaction that it was given for."""


class _Doubtful(Exception):  # noqa: N818 - inside this module only
    """A decision does not follow the journal's end, which may be its own row of a commit whose answer was lost."""


class Store:
    """See the module. Not thread-safe: one thread, one store."""

    def __init__(self, dsn: str, connection: psycopg.Connection[Any], defaults: RiskLimits) -> None:
        self._dsn = dsn
        self._defaults = defaults
        self._connection = connection
        self._epochs: dict[int, int] = {}
        self._owner = ""
        self._end = JournalEnd()
        self._answers: dict[int, NotDurable | None] = {}
        self._sent: dict[int, tuple[str, int, bytes]] = {}
        self._committed: list[tuple[int, bytes, Persist]] = []
        self._is_whole = True
        self._refused: set[str] = set()
        self.root: tuple[bytes, int] = (journal.NO_HASH, 0)
        self._in_doubt = False
        self._lease_seconds = 0
        self.unreadable: dict[AccountId, str] = {}
        self.unreadable_clearings: dict[Symbol, str] = {}

    @classmethod
    def open(cls, dsn: str, defaults: RiskLimits = RiskLimits()) -> Store:  # noqa: B008 - frozen
        """Connect, and make what is missing in the database.

        Raises:
            StoreUnreachable: bad DSN, no server there, wrong password, no such database.
            ForeignDatabase: see ``schema.check``.
        """
        connection = connect(dsn)
        schema.init(connection)
        return cls(dsn, connection, defaults)

    def check_durability(self) -> str:
        """See ``connection.check_durability``."""
        return check_durability(self._connection)

    def close(self) -> None:
        """Give the lease back and disconnect."""
        try:
            if self._epochs and not self._connection.closed:
                self._connection.execute(
                    "UPDATE bulkhead.shard SET lease_until = now() WHERE owner = %s AND epoch = ANY(%s)",
                    (self._owner, list(set(self._epochs.values()))),
                )
        except psycopg.Error as error:
            log.warning("lease not given back", error=str(error))
        self._connection.close()

    # -- ownership

    def acquire(self, owner: str, lease_seconds: int) -> None:
        """Become the owner of all shards, with new epochs: older owners write no more.

        Raises:
            Fenced: another owner holds a lease that runs, or is frozen in a commit; names it.
        """
        for _ in range(TAKEOVER_TRIES):
            try:
                self._acquire(owner, lease_seconds)
            except psycopg.errors.LockNotAvailable:
                self._evict(owner)
            else:
                self._end_earlier_projection()
                return
        raise Fenced("an owner that does not answer holds this database's accounts in a commit; try again")

    def _evict(self, owner: str) -> None:
        """End connections that hold the shards' rows though every lease has run out.

        A process that is frozen inside a pipelined commit does not count as idle in a
        transaction, so no timeout of Postgres ends it.
        """
        ended = self._connection.execute(
            "SELECT pg_terminate_backend(l.pid) FROM (SELECT DISTINCT pid FROM pg_locks "
            "WHERE relation = 'bulkhead.shard'::regclass AND pid <> pg_backend_pid()) l "
            "WHERE NOT EXISTS (SELECT FROM bulkhead.shard WHERE lease_until >= now() AND owner <> %s)",
            (owner,),
        ).rowcount
        log.warning("ended connections of a frozen owner", connections=ended)

    def _end_earlier_projection(self) -> None:
        """End connections that are projecting for an earlier owner.

        One that is frozen in the middle of it would keep our projector waiting for its lock on the cursor.
        """
        ended = self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_locks WHERE granted "
            "AND relation = 'bulkhead.projection'::regclass AND mode = 'RowExclusiveLock' "
            "AND pid <> pg_backend_pid()) l"
        ).rowcount
        if ended:
            log.warning("ended the projection of an earlier owner", connections=ended)

    def _acquire(self, owner: str, lease_seconds: int) -> None:
        with self._connection.transaction():
            found = self._connection.execute(
                """
                UPDATE bulkhead.shard SET epoch = epoch + 1, owner = %(owner)s,
                    lease_until = now() + make_interval(secs => %(seconds)s)
                WHERE lease_until < now() OR owner = %(owner)s RETURNING shard_id, epoch""",
                {"owner": owner, "seconds": lease_seconds},
            ).fetchall()
            if len(found) < SHARDS:
                row = self._connection.execute(
                    "SELECT owner, extract(epoch FROM lease_until - now())::int FROM bulkhead.shard "
                    "WHERE owner <> %s ORDER BY lease_until DESC LIMIT 1",
                    (owner,),
                ).fetchone()
                other, left = row or ("another owner", 0)
                raise Fenced(f"{other} owns this database's accounts for {left} s more; stop it, or wait")
        self._owner, self._lease_seconds = owner, lease_seconds
        self._epochs = dict(found)
        # Ours from here on: nobody else moves the end.
        self._end.learn(self._connection, ())
        self.root = self._end.last

    @property
    def epoch(self) -> int:
        """Of this owner; -1 for none. All shards are acquired together, so they have the same."""
        return self._epochs.get(0, -1)

    def renew(self) -> int:
        """Keep the lease.

        Returns:
            For how many seconds from before the call.

        Raises:
            Fenced: a newer owner took over.
            StoreUnreachable: Postgres does not answer.
        """
        try:
            cursor = self._connection.execute(
                "UPDATE bulkhead.shard SET lease_until = now() + make_interval(secs => %s) "
                "FROM unnest(%s::int[], %s::bigint[]) AS held (id, held_epoch) "
                "WHERE shard_id = id AND epoch = held_epoch",
                (self._lease_seconds, list(self._epochs), list(self._epochs.values())),
            )
        except psycopg.Error as error:
            self._reconnect()
            raise StoreUnreachable(one_line(error)) from None
        if cursor.rowcount < len(self._epochs):
            raise Fenced(f"{self._owner} lost {len(self._epochs) - cursor.rowcount} shards to a newer owner")
        return self._lease_seconds

    # -- commit

    def commit(self, decisions: Sequence[Persist]) -> list[NotDurable | None]:
        """Make decisions durable.

        Returns:
            For each decision None when it is durable, else why not.

        Raises:
            StoreUnreachable: nothing is known to be lost; call again with the same decisions.
        """
        if self._in_doubt:
            self._learn_fates(decisions)
        results = self._commit(decisions)
        # A sequence says only how many decisions came before, not which: until an account is loaded again, what it
        # decided stands on the refused one, even if the number happens to fit.
        self._refused.update(d.stream for d, refusal in zip(decisions, results, strict=True) if refusal)
        self._answers.clear()
        self._sent.clear()
        self._in_doubt = False
        return results

    def _commit(self, decisions: Sequence[Persist]) -> list[NotDurable | None]:
        # What an attempt that was cut short has answered already stands.
        pending = [d for d in decisions if id(d) not in self._answers]
        if pending:
            results = self._attempt(pending)
            self._answers.update((id(d), r) for d, r in zip(pending, results, strict=True))
        return [self._answers[id(d)] for d in decisions]

    def _attempt(self, decisions: Sequence[Persist]) -> list[NotDurable | None]:
        try:
            return self._transaction(decisions)
        except Fenced as fenced:
            return [fenced] * len(decisions)
        except _Doubtful:
            # If none of them is durable, the journal's end is not of their making, and they cannot follow it.
            self._in_doubt = self._learn_fates(decisions)
            return self._commit(decisions)
        except (psycopg.Error, ValueError, ArithmeticError) as error:
            lost = isinstance(error, psycopg.Error) and is_lost(self._connection, error)
            self._end.forget()
            if lost:
                log.warning("connection lost in a commit", error=one_line(error))
                self._in_doubt = True
                self._reconnect()
            # The lost connection's commit may have landed only now, while this one waited for it.
            if self._in_doubt and self._learn_fates(decisions):
                return self._commit(decisions)
            if lost:
                raise StoreUnreachable(one_line(error)) from None
            if len(decisions) == 1:
                self._refused.add(decisions[0].stream)
                return [NotDurable(f"{decisions[0].stream}: {one_line(error)}")]
            # Order is kept: an account's later decisions do not follow if an earlier one did not land.
            middle = len(decisions) // 2
            return self._commit(decisions[:middle]) + self._commit(decisions[middle:])

    def _transaction(self, decisions: Sequence[Persist]) -> list[NotDurable | None]:
        """Write decisions in one transaction, all that can follow or none; for each why it cannot follow, else None."""
        with self._connection.transaction():
            self._fence()
            self._end.learn(self._connection, {d.stream for d in decisions})
            appended, refusals = self._end.following(decisions, self._refused)
            if self._in_doubt and any(refusals):
                raise _Doubtful
            followers = [d for d, refusal in zip(decisions, refusals, strict=True) if refusal is None]
            self._sent.update(
                (id(d), (e.stream, e.sequence, e.hash))
                for d, e in zip(followers, appended.entries, strict=True)
            )
            if appended.entries:
                journal.append(self._connection, appended, decisions[-1].wall_ms)
        self._landed(followers, appended)
        return refusals

    def _fence(self) -> None:
        """Prove, until the end of the transaction, that the shards are ours."""
        if self._connection.execute(sql.FENCE, (journal.SHARD, self.epoch)).fetchone() is None:
            raise Fenced(f"{self._owner} no longer owns the accounts that it decides for")

    def _landed(self, decisions: Sequence[Persist], appended: Appended) -> None:
        if appended.entries:
            self._end.moved(appended)
            self.root = self._end.last
        for decision, entry in zip(decisions, appended.entries, strict=True):
            self._committed.append((entry.position, entry.hash, decision))

    def handover(self) -> Committed | None:
        """What was committed since the last call, for the projector; None when that was nothing."""
        found, self._committed = self._committed, []
        is_whole, self._is_whole = self._is_whole, True
        if not is_whole:
            return Committed(0)
        if not found:
            return None
        root, position = self.root
        return Committed(
            found[0][0],
            tuple(d for _, _, d in found),
            tuple(h for _, h, _ in found),
            root if position == found[-1][0] else b"",
        )

    def _learn_fates(self, decisions: Sequence[Persist]) -> bool:
        """Find out which decisions of a lost connection's commit are durable.

        A COMMIT whose connection ends before its answer may have happened or not; sending the batch again would then
        meet the rows that it made itself, and look like a conflict. A row of the journal that has the hash which we made
        for a decision is that decision, and nothing else: the hash covers all of it and all before it. The sequence alone
        proves nothing: another decision, made on the same old state, has the same number. While the epoch is ours no
        other process writes. With another epoch the new owner may have written since, and nothing can be said: the
        answer is Fenced.

        Returns:
            Whether anything is known now that was not before.
        """
        pending = [d for d in decisions if id(d) not in self._answers]
        sent = {id(d): self._sent[id(d)] for d in pending if id(d) in self._sent}
        self._end.forget()
        try:
            with self._connection.transaction():
                self._fence()
                found = journal.durable(self._connection, sent.values()) if sent else set()
        except Fenced:
            text = (
                f"{self._owner} lost its shards while a commit was under way; whether it is durable is for the new owner "
                "to say"
            )
            self._answers.update((id(d), Fenced(text)) for d in pending)
            return True
        except psycopg.Error as error:
            self._reconnect()
            raise StoreUnreachable(one_line(error)) from None
        landed = [d for d in pending if sent.get(id(d)) in found]
        self._answers.update((id(d), None) for d in landed)
        if landed:
            self._is_whole = False
        return any(id(d) in self._answers for d in pending)

    def _reconnect(self) -> None:
        self._connection.close()
        self._connection = connect(self._dsn)

    # -- accounts

    def create_accounts(self, accounts: Sequence[NewAccount], wall_ms: int) -> None:
        """Create accounts with their first deposit, all or none.

        Raises:
            BadInput: an id that exists, or a bad number; names it.
            Fenced: another process owns the accounts.
        """
        for account in accounts:
            check_new(account)
        if not accounts:
            return
        opened = [
            (a.account_id, 0, wall_ms, "create", fact_codec.encode(opening(a, self._defaults)))
            for a in accounts
        ]
        try:
            with self._reachable(), self._connection.transaction():
                self._fence()
                self._end.learn(self._connection, [a.account_id for a in accounts])
                create(self._connection, accounts, self._defaults, wall_ms)
                appended = self._end.opening(opened)
                journal.append(self._connection, appended, wall_ms)
        except psycopg.errors.UniqueViolation as error:
            raise BadInput(f"an account of that id exists: {error.diag.message_detail}") from None
        except (StoreUnreachable, StoreBusy):
            self._end.forget()
            raise
        self._end.moved(appended)
        self.root = self._end.last
        self._is_whole = False

    def at_rest(self, call: Callable[[psycopg.Connection[Any], Append], T]) -> T:
        """Run one transaction of a command that owns the accounts while no engine runs.

        Args:
            call: gets the connection, and a function that appends facts which no actor decided.

        Raises:
            Fenced: another process owns the accounts.
            StoreUnreachable, StoreBusy: nothing is done, or not known to be.
            NotDurable: a stream is not where the rows say.
        """
        done: list[Appended] = []

        def append(rows: Sequence[Resumed]) -> None:
            self._end.learn(self._connection, [row.stream for row in rows])
            appended = self._end.resuming(rows)
            journal.append(self._connection, appended, rows[-1].wall_ms)
            done.append(appended)

        try:
            with self._reachable(), self._connection.transaction():
                self._fence()
                lift_limits(self._connection)
                answer = call(self._connection, append)
        except BaseException:
            self._end.forget()
            raise
        for appended in done:
            self._end.moved(appended)
        self.root, self._is_whole = self._end.last, self._is_whole and not done
        return answer

    def has_created(self, account_ids: Sequence[AccountId], wall_ms: int) -> bool:
        """Whether ``create_accounts`` with that ``wall_ms`` made all of them, though its connection was lost."""
        with self._reachable():
            row = self._connection.execute(
                'SELECT count(*) FROM balance_logs WHERE id = ANY(%s) AND "timestamp" = %s',
                ([f"deposit-{id_}" for id_ in account_ids], when(wall_ms)),
            ).fetchone()
        return row is not None and row[0] == len(account_ids)

    def load(self, account_ids: Sequence[AccountId] | None) -> list[AccountState]:
        """States of some accounts, or of all; of all, those that can be read (see ``unreadable``).

        Raises:
            StoreUnreachable, StoreBusy: nothing was read.
            StateCorrupt: one of some accounts cannot be read.
        """
        self._refused.difference_update(self._refused.copy() if account_ids is None else account_ids)
        base = BaseLimits(self._defaults)
        found: list[AccountState] = []
        with self._reachable():
            if account_ids is None:
                outside = self._connection.execute(sql.ALL_ACCOUNTS).fetchall()
                ids = [row[0] for row in outside]
                kept = fleet_loading.all_states(self._connection, self._dsn, ids, self._unreadable)
            else:
                outside = self._connection.execute(sql.SOME_ACCOUNTS, (list(account_ids),)).fetchall()
                kept = loading.states_of(self._connection, [row[0] for row in outside])
        for row in outside:
            known = kept.get(row[0])
            try:
                if known is not None:
                    # While our own tables are behind, what differs there may be our own.
                    platform = loading.platform_of(row[5:8]) if row[8] == known.sequence else None
                    found.append(base.merged(known.state, row[1:5], platform))
                elif row[0] not in self.unreadable:
                    loading.state_after((), row[0])  # says so
            except (StateCorrupt, ValueError, ArithmeticError) as error:
                if account_ids is not None:
                    raise
                self._unreadable(row[0], error)
        return found

    def clearing_states(self) -> dict[Symbol, ClearingState]:
        """The states of all clearings that ever formed a block and can be read (see ``unreadable_clearings``).

        Raises:
            StoreUnreachable, StoreBusy: nothing was read.
        """
        self.unreadable_clearings.clear()
        with self._reachable():
            kept = loading.clearings_of(self._connection, failed=self._unreadable_clearing)
        return {found.state.symbol: found.state for found in kept.values()}

    def load_clearing(self, symbol: Symbol) -> tuple[ClearingState, tuple[ClientOrderId, ...]]:
        """The state of a symbol's clearing, blank if it decided nothing yet, and the members who ended in their accounts.

        Raises:
            StoreUnreachable, StoreBusy: nothing was read.
            StateCorrupt: it cannot be read.
        """
        stream = clearing_name(symbol)
        self._refused.discard(stream)
        with self._reachable():
            head = self._connection.execute(journal.HEADS, ([stream],)).fetchone()
            if head is None or head[1] is None:
                return ClearingState(symbol=symbol), ()
            state = loading.clearings_of(self._connection, [stream])[stream].state
            return state, open_books.ended_members(self._connection, state)

    def _unreadable(self, stream: str, error: Exception) -> None:
        log.critical("an account cannot be read", account=stream, error=str(error))
        self.unreadable[AccountId(stream)] = str(error)

    def _unreadable_clearing(self, stream: str, error: Exception) -> None:
        log.critical("a clearing cannot be read", stream=stream, error=str(error))
        self.unreadable_clearings[symbol_of(stream)] = str(error)

    # -- what the gateway and operators read

    def recovery(self) -> Recovery:
        """Orders without an end, and how many may count at the exchange."""
        with self._reachable():
            return open_books.recovery(self._connection)

    def with_operator_records(self, call: Callable[[OperatorRecords], T]) -> T:
        """Run what operators ask for: dead letters, quarantine, audit.

        Raises:
            StoreUnreachable: Postgres does not answer.
        """
        with self._reachable():
            return call(OperatorRecords(self._connection))

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except BUSY as error:
            raise StoreBusy(f"Postgres took too long: {one_line(error)}") from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._reconnect()
            raise StoreUnreachable(one_line(error)) from None

    def books(self) -> Books:
        """Signed positions per symbol."""
        with self._reachable():
            return open_books.books(self._connection)
