"""Questions to the store that go through the writer: each a struct with its arguments, answered by its ``run``.

They go there, and not to ``persistence.reader``, because they write, or must see all that the writer was sent before.
A new one is a struct here; nothing else has to know it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from actors.clearing.state import ClearingState
from actors.core.durability import Persist
from actors.core.errors import NotDurable
from actors.core.records import NewAccount, QuarantineRecord, Recovery
from actors.core.units import AccountId, ClientOrderId, Symbol
from actors.persistence.operator_records import DeadLetter, DeadLetterStatus, OperatorRecords
from actors.subaccount.state import AccountState

A = TypeVar("A")
T = TypeVar("T")


class StorePort(Protocol):
    """The part of ``persistence.store`` that the writer itself uses; see there."""

    def commit(self, decisions: list[Persist]) -> list[NotDurable | None]:
        """Make decisions durable."""
        ...

    def handover(self) -> Any:
        """What was committed since the last call, as ``persistence.messages.Committed``; None when that was nothing."""
        ...

    def load(self, account_ids: list[AccountId] | None) -> list[AccountState]:
        """States of some accounts, or of all."""
        ...

    def load_clearing(self, symbol: Symbol) -> tuple[ClearingState, tuple[ClientOrderId, ...]]:
        """The state of a symbol's clearing, and the members who ended in their accounts."""
        ...

    def with_operator_records(self, call: Callable[[OperatorRecords], T]) -> T:
        """Run what operators ask for."""
        ...

    def recovery(self) -> Recovery:
        """Orders without an end."""
        ...

    def renew(self) -> int | None:
        """Keep the lease."""
        ...


class QueriedStore(StorePort, Protocol):
    """What queries use besides; a simulated store is sent none."""

    unreadable: dict[AccountId, str]

    def create_accounts(self, accounts: Sequence[NewAccount], wall_ms: int) -> None:
        """Create accounts, all or none."""
        ...

    def has_created(self, account_ids: Sequence[AccountId], wall_ms: int) -> bool:
        """Whether an earlier try created all of them."""
        ...


class Query(msgspec.Struct, Generic[A], frozen=True):
    """A question to the store."""

    def run(self, store: QueriedStore) -> A:
        """Its answer; called in the writer's thread."""
        raise NotImplementedError

    def run_again(self, store: QueriedStore) -> A:
        """Its answer after a try that lost its connection: what that one wrote may be durable already."""
        return self.run(store)


class LoadAll(Query[list[AccountState]], frozen=True):
    """The states of all accounts that can be read."""

    def run(self, store: QueriedStore) -> list[AccountState]:
        """See ``Query``."""
        return store.load(None)


class OutOfService(Query[tuple[list[QuarantineRecord], dict[AccountId, str]]], frozen=True):
    """Accounts in quarantine, and those that the last load could not read, with the reason."""

    def run(self, store: QueriedStore) -> tuple[list[QuarantineRecord], dict[AccountId, str]]:
        """See ``Query``."""
        return store.with_operator_records(lambda records: records.quarantined()), dict(store.unreadable)


class FindRecovery(Query[Recovery], frozen=True):
    """What a gateway needs after a restart."""

    def run(self, store: QueriedStore) -> Recovery:
        """See ``Query``."""
        return store.recovery()


class CreateAccounts(Query[int], frozen=True):
    """Create accounts and have them started, whether or not someone still waits for the answer: how many.

    ``start`` is called with their states in the writer's thread, once they are durable.
    """

    accounts: tuple[NewAccount, ...]
    wall_ms: int
    start: Callable[[list[AccountState]], Any]

    def run(self, store: QueriedStore) -> int:
        """See ``Query``.

        Raises:
            BadInput: an id that exists, or a bad number; names it.
        """
        store.create_accounts(self.accounts, self.wall_ms)
        return self._started(store)

    def run_again(self, store: QueriedStore) -> int:
        """See ``Query``."""
        return self._started(store) if store.has_created(self._ids, self.wall_ms) else self.run(store)

    @property
    def _ids(self) -> list[AccountId]:
        return [account.account_id for account in self.accounts]

    def _started(self, store: QueriedStore) -> int:
        self.start(store.load(self._ids))
        return len(self.accounts)


class FindPoison(Query[DeadLetter | None], frozen=True):
    """The message that brought an account into quarantine; None if an operator put it there."""

    account_id: AccountId

    def run(self, store: QueriedStore) -> DeadLetter | None:
        """See ``Query``."""
        return store.with_operator_records(self._find)

    def _find(self, records: OperatorRecords) -> DeadLetter | None:
        record = next((r for r in records.quarantined() if r.account_id == self.account_id), None)
        if record is None or not record.error:
            return None
        letters = records.dead_letters(self.account_id, status=DeadLetterStatus.OPEN, limit=1)
        return letters[0] if letters and letters[0].error == record.error else None


class ResolveDeadLetter(Query[bool], frozen=True):
    """Close an open dead letter: whether it was open. ``who`` is the operator."""

    dead_letter_id: int
    status: DeadLetterStatus
    wall_ms: int
    who: str

    def run(self, store: QueriedStore) -> bool:
        """See ``Query``."""
        return store.with_operator_records(
            lambda records: records.resolve(self.dead_letter_id, self.status, self.wall_ms, self.who)
        )
