"""The store's contract without Postgres: the durable truth that a simulated day is checked on.

It keeps what Postgres keeps, the journal's rows as bytes and snapshots, and loads accounts and clearings as the real store
does.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

from msgspec.structs import replace

from actors.assembly.simulation.violation import must
from actors.clearing.state import ClearingState
from actors.core import fact_codec
from actors.core.clearing_facts import Allocation, BlockFormed, ClearingFact, RoundAllocated
from actors.core.clearing_messages import clearing_name, is_clearing
from actors.core.durability import Persist
from actors.core.errors import NotDurable, StoreUnreachable
from actors.core.facts import AnyFact, FillApplied, OrderIntended, PositionTakenOver
from actors.core.fees import FeeBooked
from actors.core.records import QuarantineRecord, RecordDeadLetter, RecordQuarantine, Recovery
from actors.core.units import AccountId, ClientOrderId, Symbol
from actors.persistence.journal import NO_HASH, Entry, JournalEnd
from actors.persistence.loading import Row, state_after, state_of_rows
from actors.persistence.open_books import working_block
from actors.persistence.streams import CLEARINGS, symbol_of
from actors.subaccount import state_codec
from actors.subaccount.fold import fold
from actors.subaccount.state import AccountState, with_limits
from actors.subaccount.state_codec import state_hash

AWAY = 0.05
"""How often the store is away when it is asked for something."""

POISON = 0.01
"""How often a decision cannot be stored."""


SNAPSHOT_EVERY = 7
"""Decisions of a stream between two snapshots: few, so that loads have both snapshots and tails of any length."""


class SimulatedStore:
    """Keeps decisions in memory by the real store's rules: chained rows, each intent and trade once.

    ``intents`` are the orders that may be sent, of accounts and of blocks; ``trades`` are those of the exchange that an account
    booked by itself, ``rounds`` those that a round was made of, and ``parts`` what members booked of rounds.

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
        self.clearings: dict[Symbol, ClearingState] = {}
        self.rounds: dict[tuple[Symbol, int], RoundAllocated] = {}
        self.parts: dict[tuple[Symbol, int, str], FillApplied] = {}
        self.late_parts: dict[tuple[Symbol, int, str], FeeBooked] = {}
        self.taken: list[tuple[AccountId, PositionTakenOver]] = []
        self.dead: list[RecordDeadLetter] = []
        self.quarantined: dict[AccountId, RecordQuarantine | QuarantineRecord] = {}
        self.faults = faults
        self._random = random
        self._refused: set[str] = set()
        self._clearing_rows: dict[str, list[Row]] = {}
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
        appended, [refusal] = self._end.following([decision], self._refused)
        if refusal is None and self.faults and self._random.random() < POISON:
            refusal = NotDurable("simulated poison row")
        if refusal is not None:
            self._refused.add(decision.stream)
            return refusal
        [entry] = appended.entries
        if is_clearing(decision.stream):
            self._cleared(decision, entry)
        else:
            self._booked(decision, entry)
        self._end.moved(appended)
        return None

    def _cleared(self, decision: Persist, entry: Entry) -> None:
        symbol = symbol_of(entry.stream)
        state = self.clearings.get(symbol, CLEARINGS.blank(entry.stream))
        facts = CLEARINGS.facts(entry.version, entry.facts)
        state = CLEARINGS.after(state, facts, entry.sequence)
        for fact in facts:
            self._note_clearing(symbol, fact)
        must(state == decision.state, "the durable state differs from the clearing's own")
        must(
            CLEARINGS.hash_of(state) == CLEARINGS.hash_of(cast("ClearingState", decision.state)),
            "equal states have different hashes",
        )
        self.clearings[symbol] = state
        rows = self._clearing_rows.setdefault(entry.stream, [])
        rows.append((entry.sequence, entry.version, entry.facts, entry.hash, False))
        if len(rows) > SNAPSHOT_EVERY:
            kept = (entry.sequence, CLEARINGS.version, CLEARINGS.encode(state), entry.hash, True)
            self._clearing_rows[entry.stream] = [kept]

    def _note_clearing(self, symbol: Symbol, fact: ClearingFact) -> None:
        if isinstance(fact, BlockFormed):
            order = fact.order
            must(order.client_order_id not in self.intents, "a block twice")
            for member in fact.members:
                intent = self.intents.get(member.client_order_id)
                must(intent is not None, "a member whose order is not durable")
                must(
                    intent is not None and intent.account_id == member.account_id,
                    "a member of another account",
                )
            self.intents[order.client_order_id] = order
        if isinstance(fact, RoundAllocated):
            for trade in fact.trades:
                key = symbol, trade.trade_id
                must(key not in self.trades and key not in self.rounds, "a trade twice")
                self.rounds[key] = fact

    def _booked(self, decision: Persist, entry: Entry) -> None:
        id_ = AccountId(decision.stream)
        state = self.durable[id_]
        for fact in fact_codec.decode(entry.version, entry.facts):
            state = fold(state, fact)
            self._note(id_, fact)
        state = replace(state, sequence=entry.sequence)
        must(state == decision.state, "the durable state differs from the account's own")
        must(
            state_hash(state) == state_hash(cast("AccountState", decision.state)),
            "equal states have different hashes",
        )
        self.durable[id_] = state
        self.rows[id_].append((entry.sequence, entry.version, entry.facts, entry.hash, False))
        if len(self.rows[id_]) > SNAPSHOT_EVERY:
            self.rows[id_] = [_snapshot(state, entry.hash)]

    def _note(self, account_id: AccountId, fact: AnyFact) -> None:
        if isinstance(fact, OrderIntended):
            must(fact.client_order_id not in self.intents, "an intent twice")
            self.intents[fact.client_order_id] = fact
        if isinstance(fact, FillApplied):
            self._note_fill(fact)
        if isinstance(fact, PositionTakenOver):
            self.taken.append((account_id, fact))
        if isinstance(fact, FeeBooked):
            self._note_fee(fact)

    def _note_fill(self, fact: FillApplied) -> None:
        key = fact.trade.symbol, fact.trade.trade_id
        if fact.trade.quote_quantity is None:
            must(key not in self.trades and key not in self.rounds, "a trade twice")
            self.trades[key] = fact
            return
        part = (*key, fact.client_order_id)
        must(part not in self.parts, "a part of a round twice")
        given = self._allocation(key, fact.client_order_id)
        must(given is not None, "a part of a round that is not durable, or none of its member's")
        if given is not None:
            must(
                (given.quantity, given.value) == (fact.trade.quantity, fact.trade.value),
                "a member booked another part than it was given",
            )
        self.parts[part] = fact

    def _allocation(self, key: tuple[Symbol, int], member: str) -> Allocation | None:
        round_ = self.rounds.get(key)
        if round_ is None or round_.round_id != key[1]:
            return None
        return next((part for part in round_.allocations if part.client_order_id == member), None)

    def _note_fee(self, fact: FeeBooked) -> None:
        known = fact.pending
        traded, part = (known.symbol, known.trade_id), (known.symbol, known.trade_id, known.client_order_id)
        if part in self.parts:
            must(part not in self.late_parts, "a fee of a part twice")
            self.late_parts[part] = fact
            return
        must(traded in self.trades and traded not in self.late_fees, "a fee twice, or of no trade")
        self.late_fees[traded] = fact

    def load(self, account_ids: list[AccountId] | None) -> list[Any]:
        """The durable states, from snapshots and the rows behind them."""
        ids = list(self.durable) if account_ids is None else account_ids
        self._refused.difference_update(ids)
        return [self._loaded(id_) for id_ in ids]

    def load_clearing(self, symbol: Symbol) -> tuple[ClearingState, tuple[ClientOrderId, ...]]:
        """The durable state of a clearing, blank if it decided nothing, and the members who ended in their accounts."""
        stream = clearing_name(symbol)
        self._refused.discard(stream)
        rows = self._clearing_rows.get(stream)
        if rows is None:
            return CLEARINGS.blank(stream), ()
        state = state_of_rows(CLEARINGS, rows, stream).state
        must(state == self.clearings[symbol], "what is loaded differs from what was folded")
        members = [member for block in state.blocks for member in block.members]
        ended = (
            m.client_order_id for m in members if self.durable[m.account_id].order(m.client_order_id) is None
        )
        return state, tuple(ended)

    def clearing_states(self) -> dict[Symbol, ClearingState]:
        """Of all that ever formed a block."""
        return dict(self.clearings)

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
        """All orders that are not final; of a block's members the block."""
        blocks = [block for symbol in sorted(self.clearings) for block in self.clearings[symbol].blocks]
        members = {member.client_order_id for block in blocks for member in block.members}
        own = (o for s in self.durable.values() for o in s.orders if o.client_order_id not in members)
        return Recovery(working=(*own, *(working_block(b) for b in blocks if b.ended is None)))


def _snapshot(state: AccountState, row_hash: bytes) -> Row:
    return state.sequence, state_codec.VERSION, state_codec.encode(state), row_hash, True
