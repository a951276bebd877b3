"""What services look up: actors, states, prices, and records in Postgres. Nothing here waits for an actor.

A state is read from the actor's own attribute while the actor may be at work. That is safe because states are
immutable and replaced as a whole (``actors/core/safe_copy.py`` says more), and it is why an account that is stuck can
still be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from actors.api.errors import NotFound
from actors.api.pools import STORE
from actors.assembly.engine import Engine
from actors.core.clearing_messages import is_clearing
from actors.core.names import shown
from actors.core.units import AccountId, Nanos
from actors.persistence.operator_records import OperatorRecords
from actors.runtime.actor import Ref
from actors.subaccount.market import Market
from actors.subaccount.state import AccountState

T = TypeVar("T")


class Lookup:
    """Looks things up in one engine. Callable from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- actors

    def actor(self, name: str) -> Ref:
        """The actor of a name; of an account in quarantine its own one, not its guard.

        Raises:
            NotFound: names the actors of the engine.
        """
        ref = self._engine.find(name)
        if ref is None:
            # Of a symbol's clearing there are hundreds.
            known = ", ".join(n for n in list(self._engine.actors) if not is_clearing(n))
            raise NotFound(f"there is no actor {shown(name)}; give an account id or one of {known}")
        return ref

    def all_actors(self) -> list[Ref]:
        """All actors, each once; guards are not among them."""
        return [*self._engine.registry.own_actors(), *list(self._engine.actors.values())]

    def instance(self, name: str) -> Any:
        """The present instance of one of the engine's own actors; None while it starts or stops."""
        ref = self._engine.actors.get(name)
        return ref.cell.actor if ref else None

    def inspect(self, name: str) -> Any:
        """What one of the engine's own actors shows of itself; None while it starts or stops."""
        actor = self.instance(name)
        return actor.inspect_state() if actor else None

    # -- accounts

    def account(self, account_id: str) -> Ref:
        """The actor that answers for an account: its own, or its guard while it is in quarantine.

        Raises:
            NotFound: there is no such account.
        """
        ref = self._engine.accounts.get(AccountId(account_id))
        if ref is None:
            raise NotFound(f"there is no account {shown(account_id)}; 'bulkhead accounts' lists them")
        return ref

    def state(self, account_id: str) -> AccountState:
        """An account's state.

        Raises:
            NotFound: there is no such account, or its state is not loaded.
        """
        state = account_state(self.account(account_id))
        if state is None:
            raise no_state(account_id)
        return state

    def market(self) -> Market:
        """Prices and rules as they are now, in the form that an account decides by."""
        engine = self._engine
        return Market(
            engine.book.ticks,
            engine.venue.instruments,
            Nanos(engine.clock.monotonic_ns()),
            engine.clock.wall_ms(),
            engine.context.origin,
            engine.gate.reduce_only,
            engine.book.day,
            engine.book.day_ticks,
            engine.book,
            closed_symbols=engine.gate.closed_symbols,
        )

    # -- Postgres

    async def read(self, question: Callable[[OperatorRecords], T]) -> T:
        """Read records, in a thread of the pool for Postgres, on a read-only connection.

        Raises:
            Overloaded: too many questions wait.
            StoreUnreachable: no answer in time.
        """
        return await STORE.ask(self._engine.reader.with_operator_records, question)

    async def read_tables(self, question: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Read tables and journal; see ``read``."""
        return await STORE.ask(self._engine.reader.with_tables, question)


def account_state(ref: Ref) -> AccountState | None:
    """The state of an account's actor; None when it is not loaded, or the actor is not an account's."""
    state = ref.cell.actor.inspect_state()
    return state if isinstance(state, AccountState) else None


def no_state(account_id: str) -> NotFound:
    """The error for an account whose actor has not loaded its state."""
    return NotFound(f"{account_id} has no state yet; 'bulkhead inspect {account_id}' shows why")
