"""The store's contract without Postgres: the durable truth that a simulated day is checked on.

It keeps what Postgres keeps, the journal's rows as bytes and snapshots, and loads an account as the real store does.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

from msgspec.structs import replace

from actors.assembly.simulation.violation import must
from actors.core import fact_codec
from actors.core.durability import Persist
from actors.core.errors import NotDurable, StoreUnreachable
from actors.core.facts import AnyFact, FillApplied, OrderIntended, PositionTakenOver
from actors.core.fees import FeeBooked
from actors.core.records import QuarantineRecord, RecordDeadLetter, RecordQuarantine, Recovery
from actors.core.units import AccountId, Symbol
from actors.persistence.journal import NO_HASH, JournalEnd
from actors.persistence.loading import Row, state_after
from actors.subaccount import state_codec
from actors.subaccount.fold import fold
from actors.subaccount.state import AccountState, with_limits
from actors.subaccount.state_codec import state_hash

AWAY = 0.05
"""How often the store is away when it is asked for something."""

POISON = 0.01
"""How often a decision cannot be stored."""


SNAPSHOT_EVERY = 7
"""Decisions of an account between two snapshots: few, so that loads have both snapshots and tails of any length."""


class SimulatedStore:
    """Keeps decisions in memory by the real store's rules: chained rows, each intent and trade once.

    Args:
        states: the accounts at the begin.
        random: of its faults.
        faults: whether it has any.
    """

    def __init__(self, states: list[AccountState], random: Random, *, faults: bool) -> None:
        self.durable = {s.account_id: s for s in states}
        self.rows = {s.account_id: [_snapshot(s, NO_HASH)] for s in states}
        self.intents: dict[str, OrderIntended] = {}
        self.trades: dict[tuple[Symbol, int], FillApplied] = {}
        self.late_fees: dict[tuple[Symbol, int], FeeBooked] = {}
        self.taken: list[tuple[AccountId, PositionTakenOver]] = []
        self.dead: list[RecordDeadLetter] = []
        self.quarantined: dict[AccountId, RecordQuarantine | QuarantineRecord] = {}
        self.faults = faults
        self._random = random
        self._refused: set[AccountId] = set()
        self._end = JournalEnd.of_empty_journal()
        self._end.moved(self._end.opening([(s.account_id, s.sequence, 0, "", b"[]") for s in states]))

    def commit(self, decisions: list[Persist]) -> list[NotDurable | None]:
        """Make decisions durable, each or not at all.

        Raises:
            StoreUnreachable: it is away.
            Violation: a decision that no correct engine makes.
        """
        if self.faults and self._random.random() < AWAY:
            raise StoreUnreachable("simulated")
        return [self._committed(decision) for decision in decisions]

    def _committed(self, decision: Persist) -> NotDurable | None:
        id_ = AccountId(decision.stream)
        state = self.durable[id_]
        appended, [refusal] = self._end.following([decision], self._refused)
        if refusal is None and self.faults and self._random.random() < POISON:
            refusal = NotDurable("simulated poison row")
        if refusal is not None:
            self._refused.add(id_)
            return refusal
        [entry] = appended.entries
        for fact in fact_codec.decode(entry.version, entry.facts):
            state = fold(state, fact)
            self._note(id_, fact)
        state = replace(state, sequence=entry.sequence)
        must(state == decision.state, "the durable state differs from the account's own")
        must(
            state_hash(state) == state_hash(cast("AccountState", decision.state)),
            "equal states have different hashes",
        )
        self._end.moved(appended)
        self.durable[id_] = state
        self.rows[id_].append((entry.sequence, entry.version, entry.facts, entry.hash, False))
        if len(self.rows[id_]) > SNAPSHOT_EVERY:
            self.rows[id_] = [_snapshot(state, entry.hash)]
        return None

    def _note(self, account_id: AccountId, fact: AnyFact) -> None:
        if isinstance(fact, OrderIntended):
            must(fact.client_order_id not in self.intents, "an intent twice")
            self.intents[fact.client_order_id] = fact
        if isinstance(fact, FillApplied):
            key = fact.trade.symbol, fact.trade.trade_id
            must(key not in self.trades, "a trade twice")
            self.trades[key] = fact
        if isinstance(fact, PositionTakenOver):
            self.taken.append((account_id, fact))
        if isinstance(fact, FeeBooked):
            traded = fact.pending.symbol, fact.pending.trade_id
            must(traded in self.trades and traded not in self.late_fees, "a fee twice, or of no trade")
            self.late_fees[traded] = fact

    def load(self, account_ids: list[AccountId] | None) -> list[Any]:
        """The durable states, from snapshots and the rows behind them."""
        ids = list(self.durable) if account_ids is None else account_ids
        self._refused.difference_update(ids)
        return [self._loaded(id_) for id_ in ids]

    def _loaded(self, id_: AccountId) -> AccountState:
        durable, kept = self.durable[id_], state_after(self.rows[id_], id_)
        state = with_limits(kept.state, durable.base_limits, kept.state.overrides)
        must(state == durable, "what is loaded differs from what was folded")
        return state

    def handover(self) -> None:
        """There are no tables to be made."""

    def with_operator_records(self, call: Callable[[Any], Any]) -> Any:
        """Run a call on the records of operators, which are kept here too."""
        if self.faults and self._random.random() < AWAY:
            raise StoreUnreachable("simulated")
        return call(self)

    def record_dead_letter(self, letter: RecordDeadLetter) -> None:
        """Keep a dead letter."""
        self.dead.append(letter)

    def record_quarantine(self, record: RecordQuarantine) -> None:
        """Keep that an account is in quarantine."""
        self.quarantined[record.account_id] = record

    def lift_quarantine(self, account_id: AccountId) -> None:
        """Forget it."""
        self.quarantined.pop(account_id, None)

    def renew(self) -> int | None:
        """There is no lease."""
        return None

    def recovery(self) -> Recovery:
        """All orders that are not final."""
        return Recovery(working=tuple(o for s in self.durable.values() for o in s.orders))


def _snapshot(state: AccountState, row_hash: bytes) -> Row:
    return state.sequence, state_codec.VERSION, state_codec.encode(state), row_hash, True
