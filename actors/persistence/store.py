"""The writer's SQL connection: fenced commits, loads, leases.

Rules
1. A batch is one transaction; it commits whole, or is split until the bad decision stands alone.
2. Every commit proves the shards' epochs. A stale one writes nothing.
3. An account's row moves from the sequence that its first decision met, or the batch fails.
4. After a lost connection the fate of a commit is read back from sequences and epochs, never guessed.

I/O: runs SQL on a connection of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
import structlog

from actors.core.errors import BadInput, Fenced, NotDurable, StoreBusy, StoreUnreachable
from actors.core.orders import WorkingOrder
from actors.core.records import NewAccount, Recovery
from actors.core.units import AccountId, ClientOrderId, Symbol
from actors.limits.model import RiskLimits
from actors.persistence import rows, schema, sql
from actors.persistence.accounts import check_new, has_rule, rule
from actors.persistence.connection import connect, one_line
from actors.persistence.loading import Loaded, Loader, grouped, order_of
from actors.persistence.operator_records import OperatorRecords
from actors.subaccount.durability import Persist
from actors.subaccount.state import AccountState

log = structlog.get_logger("store")

TAKEOVER_TRIES = 3
BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)
"""Errors of one statement on a connection that is still good."""

T = TypeVar("T")


class _SequenceMoved(Exception):  # noqa: N818 - inside this module only
    """An account's row was not at the sequence that its decision met."""


class Store:
    """See the module. Not thread-safe: one thread, one store."""

    def __init__(self, dsn: str, connection: psycopg.Connection[Any], defaults: RiskLimits) -> None:
        self._dsn = dsn
        self._defaults = defaults
        self._connection = connection
        self._epochs: dict[int, int] = {}
        self._owner = ""
        self._answers: dict[int, NotDurable | None] = {}
        self._in_doubt = False
        self._lease_seconds = 0
        self.unreadable: dict[AccountId, str] = {}

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

    def _acquire(self, owner: str, lease_seconds: int) -> None:
        with self._connection.transaction():
            found = self._connection.execute(
                """
                UPDATE bulkhead.shard SET epoch = epoch + 1, owner = %(owner)s,
                    lease_until = now() + make_interval(secs => %(seconds)s)
                WHERE lease_until < now() OR owner = %(owner)s RETURNING shard_id, epoch""",
                {"owner": owner, "seconds": lease_seconds},
            ).fetchall()
            if len(found) < rows.SHARDS:
                row = self._connection.execute(
                    "SELECT owner, extract(epoch FROM lease_until - now())::int FROM bulkhead.shard "
                    "WHERE owner <> %s ORDER BY lease_until DESC LIMIT 1",
                    (owner,),
                ).fetchone()
                other, left = row or ("another owner", 0)
                raise Fenced(f"{other} owns this database's accounts for {left} s more; stop it, or wait")
        self._owner, self._lease_seconds = owner, lease_seconds
        self._epochs = dict(found)

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
        self._answers.clear()
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
            self._transaction(decisions)
        except Fenced as fenced:
            return [fenced] * len(decisions)
        except (psycopg.Error, _SequenceMoved, ValueError, ArithmeticError) as error:
            lost = isinstance(error, psycopg.Error) and self._is_lost(error)
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
                return [NotDurable(f"{decisions[0].account_id}: {one_line(error)}")]
            # Order is kept: an account's later decisions fail by its sequence if an earlier did.
            middle = len(decisions) // 2
            return self._commit(decisions[:middle]) + self._commit(decisions[middle:])
        return [None] * len(decisions)

    def _transaction(self, decisions: Sequence[Persist]) -> None:
        firsts: dict[AccountId, Persist] = {}
        lasts: dict[AccountId, Persist] = {}
        for decision in decisions:
            previous = lasts.get(decision.account_id)
            if previous is not None and previous.state.sequence != decision.previous_sequence:
                raise _SequenceMoved(f"{decision.account_id}: decisions do not follow each other")
            firsts.setdefault(decision.account_id, decision)
            lasts[decision.account_id] = decision
        accounts = [rows.account_row(firsts[a], lasts[a]) for a in firsts]
        grouped = rows.grouped(decisions)
        shards = sorted({rows.shard_of(a) for a in firsts})
        with self._connection.transaction(), self._connection.pipeline() as pipeline:
            cursor = self._connection.cursor()
            cursor.execute(sql.FENCE, (shards, [self._epochs.get(s, -1) for s in shards]))
            updated = self._connection.cursor()
            updated.executemany(sql.ACCOUNT_UPDATE, accounts)
            pipeline.sync()
            if len(cursor.fetchall()) < len(shards):
                raise Fenced(f"{self._owner} no longer owns the shards of {', '.join(list(firsts)[:3])}")
            if updated.rowcount != len(accounts):
                raise _SequenceMoved("an account is not at the sequence that its decision met")
            for name, parameters in grouped:
                self._connection.cursor().executemany(sql.STATEMENTS[name], parameters)
            pipeline.sync()

    def _is_lost(self, error: psycopg.Error) -> bool:
        """Whether an error is of the connection, not of a decision."""
        if isinstance(error, BUSY) and not self._connection.closed:
            return False
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return lost or self._connection.closed

    def _learn_fates(self, decisions: Sequence[Persist]) -> bool:
        """Find out which decisions of a lost connection's commit are durable.

        A COMMIT whose connection ends before its answer may have happened or not; sending the batch again would then
        meet the sequences that it made itself, and look like a conflict. While the epoch is ours no other process
        writes an account. So an account's row that equals, to the last column, what a decision made of it proves that
        decision durable, and with it all of the account before it. The sequence alone proves nothing: another decision,
        made on the same old state, has the same number. With another epoch the new owner may have written
        since, and nothing can be said: the answer is Fenced.

        Returns:
            Whether anything is known now that was not before.
        """
        pending = [d for d in decisions if id(d) not in self._answers]
        try:
            found = self._connection.execute(
                sql.OWNED_ACCOUNTS,
                (list({d.account_id for d in pending}), list(self._epochs), list(self._epochs.values())),
            ).fetchall()
        except psycopg.Error as error:
            self._reconnect()
            raise StoreUnreachable(one_line(error)) from None
        accounts = {row[0]: row[1:] for row in found}
        landed: dict[AccountId, int] = {}
        for decision in pending:
            durable = accounts.get(decision.account_id)
            if durable == rows.account_row(decision, decision)[: len(durable or ())]:
                landed[decision.account_id] = decision.state.sequence
        for decision in pending:
            if decision.account_id not in accounts:
                self._answers[id(decision)] = Fenced(
                    f"{self._owner} lost the shard of {decision.account_id} while a commit was under way; "
                    "whether it is durable is for the new owner to say"
                )
            elif decision.state.sequence <= landed.get(decision.account_id, -1):
                self._answers[id(decision)] = None
        return any(id(d) in self._answers for d in pending)

    def _reconnect(self) -> None:
        self._connection.close()
        self._connection = connect(self._dsn)

    # -- accounts

    def create_accounts(self, accounts: Sequence[NewAccount], wall_ms: int) -> None:
        """Create accounts with their first deposit, all or none.

        Raises:
            BadInput: an id that exists, or a bad number; names it.
        """
        at = rows.when(wall_ms)
        for account in accounts:
            check_new(account)
        try:
            with self._reachable(), self._connection.transaction(), self._connection.pipeline():
                cursor = self._connection.cursor()
                cursor.executemany(
                    "INSERT INTO sub_accounts (id, name, initial_balance, current_balance, liquidation_mode, "
                    "maintenance_rate, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    [
                        (a.account_id, a.name, a.deposit, a.deposit, a.mode, a.maintenance_rate, at)
                        for a in accounts
                    ],
                )
                cursor.executemany(
                    "INSERT INTO bulkhead.account (account_id, shard_id, sequence, next_order_sequence, "
                    "next_position_sequence, balance, deposits, realized, fees, funding, bad_debt, phase, refusals) "
                    "VALUES (%s, %s, 0, 1, 1, %s, %s, 0, 0, 0, 0, 'HEALTHY', 0)",
                    [(a.account_id, rows.shard_of(a.account_id), a.deposit, a.deposit) for a in accounts],
                )
                cursor.executemany(
                    "INSERT INTO balance_logs (id, sub_account_id, balance_before, balance_after, change_amount, "
                    "reason, \"timestamp\") VALUES (%s, %s, 0, %s, %s, 'DEPOSIT', %s)",
                    [(f"deposit-{a.account_id}", a.account_id, a.deposit, a.deposit, at) for a in accounts],
                )
                rules = [
                    (f"rule-{a.account_id}", a.account_id, *rule(a, self._defaults))
                    for a in accounts
                    if has_rule(a)
                ]
                if rules:
                    cursor.executemany(
                        "INSERT INTO risk_rules (id, sub_account_id, max_leverage, max_notional_per_trade, "
                        "max_total_exposure, liquidation_threshold) VALUES (%s, %s, %s, %s, %s, %s)",
                        rules,
                    )
        except psycopg.errors.UniqueViolation as error:
            raise BadInput(f"an account of that id exists: {error.diag.message_detail}") from None

    def has_created(self, account_ids: Sequence[AccountId], wall_ms: int) -> bool:
        """Whether ``create_accounts`` with that ``wall_ms`` made all of them, though its connection was lost."""
        with self._reachable():
            row = self._connection.execute(
                'SELECT count(*) FROM balance_logs WHERE id = ANY(%s) AND "timestamp" = %s',
                ([f"deposit-{id_}" for id_ in account_ids], rows.when(wall_ms)),
            ).fetchone()
        return row is not None and row[0] == len(account_ids)

    def load(self, account_ids: Sequence[AccountId] | None) -> list[AccountState]:
        """States of some accounts, or of all; of all, those that can be read (see ``unreadable``).

        Raises:
            StoreUnreachable, StoreBusy: nothing was read.
            ValueError: one of some accounts has a row that cannot be.
        """
        statements = sql.LOAD_ALL if account_ids is None else sql.LOAD_SOME
        parameters = () if account_ids is None else (list(account_ids),)
        with self._reachable(), self._connection.pipeline():
            cursors = [self._connection.execute(statement, parameters) for statement in statements]
            found, *others = (cursor.fetchall() for cursor in cursors)
        loaded, loader = Loaded(*map(grouped, others)), Loader(self._defaults)
        if account_ids is not None:
            return [loader.state_of(row, loaded) for row in found]
        states = []
        for row in found:
            try:
                states.append(loader.state_of(row, loaded))
            except (ValueError, ArithmeticError) as error:
                log.critical("an account cannot be read", account=row[0], error=str(error))
                self.unreadable[AccountId(row[0])] = str(error)
        return states

    # -- what the gateway and operators read

    def recovery(self) -> Recovery:
        """Orders without an end, and how many may count at the exchange."""
        with self._reachable():
            orders = self._connection.execute(sql.LOAD_WORKING).fetchall()
            recent = self._connection.execute(sql.RECENT_ORDERS).fetchone() or (0, 0)
        return Recovery(
            working=tuple(order_of(r) for r in orders),
            recent=(recent[0], recent[1]),
        )

    def find_order(self, client_order_id: ClientOrderId) -> WorkingOrder | None:
        """One order, working or ended."""
        with self._reachable():
            row = self._connection.execute(sql.FIND_ORDER, (client_order_id,)).fetchone()
        return None if row is None else order_of(row)

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

    def virtual_totals(self) -> dict[Symbol, Decimal]:
        """Signed sum of open positions per symbol."""
        with self._reachable():
            return dict(self._connection.execute(sql.VIRTUAL_TOTALS).fetchall())

    def house_positions(self) -> dict[Symbol, Decimal]:
        """What the house took over, per symbol."""
        with self._reachable():
            return dict(self._connection.execute(sql.HOUSE_POSITIONS).fetchall())
