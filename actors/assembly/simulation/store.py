"""The store's contract without Postgres: the durable truth that a simulated day is checked on.

It keeps what Postgres keeps, the journal's rows as bytes and snapshots, and loads an account as the real store does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from actors.assembly.simulation.violation import must
from actors.clearing.state import ClearingState
from actors.core.clearing_facts import BlockFormed, ClearingFact, RoundAllocated
from actors.core.clearing_messages import clearing_name, is_clearing
from actors.core.durability import Persist
from actors.core.enums import OrderClass, OrderStatus, Purpose, Side
from actors.core.errors import NotDurable, StateCorrupt, StoreUnreachable
from actors.core.facts import AnyFact, FillApplied, OrderEnded, OrderIntended, PositionTakenOver
from actors.core.fees import FeeBooked
from actors.core.orders import WorkingOrder
from actors.core.records import QuarantineRecord, RecordDeadLetter, RecordQuarantine, Recovery
from actors.core.units import AccountId, ClientOrderId, Symbol
from actors.persistence.journal import NO_HASH, JournalEnd
from actors.persistence.loading import Row, state_after, state_of_rows
from actors.persistence.streams import CLEARINGS, StreamState, kind_of
from actors.subaccount.state import AccountState, with_limits

AWAY = 0.05
"""How often the store is away when it is asked for something."""

POISON = 0.01
"""How often a decision cannot be stored."""


UNREADABLE = "its row of sequence 1 in bulkhead.journal: broken"
"""What is said of a clearing that cannot be read."""

STALE_MS = 2_000
"""How old a decision may be that trades at any price; said without the code that is checked."""

SNAPSHOT_EVERY = 7
"""Decisions of an account between two snapshots: few, so that loads have both snapshots and tails of any length."""


class SimulatedStore:
    """Keeps decisions in memory by the real store's rules: chained rows, each intent and trade once.

    ``durable`` has the accounts, ``clearings`` the symbols' clearings by stream. ``members`` says which order is in which
    block; ``sent`` are the orders that went out to the exchange, ``asked_for`` those that a process left which died: nobody knows
    of them what the exchange has. ``trades`` are those of the exchange, each
    with the account's fill that booked it or the round that shared it out; ``parts`` the fills of rounds, by symbol, round
    and the member's client order id. Those of ``unreadable_clearings`` cannot be read for as long as they are in it.

    Args:
        states: the accounts at the begin.
        random: of its faults.
        faults: whether it has any.
    """

    def __init__(self, states: list[AccountState], random: Random, *, faults: bool) -> None:
        self.durable = {s.account_id: s for s in states}
        self.clearings: dict[str, ClearingState] = {}
        self.unreadable_clearings: set[Symbol] = set()
        self.rows: dict[str, list[Row]] = {
            s.account_id: [_snapshot(s.account_id, s, NO_HASH)] for s in states
        }
        self.intents: dict[str, OrderIntended] = {}
        self.members: dict[str, ClientOrderId] = {}
        self.sent: set[str] = set()
        self.asked_for: set[str] = set()
        self._unsent: set[tuple[AccountId, str]] = set()
        self.trades: dict[tuple[Symbol, int], FillApplied | RoundAllocated] = {}
        self.parts: dict[tuple[Symbol, int, ClientOrderId], FillApplied] = {}
        self.rounds: list[tuple[str, RoundAllocated]] = []
        self.late_fees: dict[tuple[Symbol, int, ClientOrderId], FeeBooked] = {}
        self.taken: list[tuple[AccountId, PositionTakenOver]] = []
        self.dead: list[RecordDeadLetter] = []
        self.quarantined: dict[AccountId, RecordQuarantine | QuarantineRecord] = {}
        self.faults = faults
        self._random = random
        self._refused: set[str] = set()
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
        stream = decision.stream
        appended, [refusal] = self._end.following([decision], self._refused)
        if refusal is None and self.faults and self._random.random() < POISON:
            refusal = NotDurable("simulated poison row")
        if refusal is not None:
            self._refused.add(stream)
            return refusal
        [entry] = appended.entries
        kind = kind_of(stream)
        facts = kind.facts(entry.version, entry.facts)
        before = self.durable.get(AccountId(stream)) or self.clearings.get(stream) or kind.blank(stream)
        state = kind.after(before, facts, entry.sequence)
        for fact in facts:
            self._note(stream, fact)
        if isinstance(before, AccountState):
            self._check_counted(before, state, facts)
        must(state == decision.state, "the durable state differs from that of who decided")
        must(kind.hash_of(state) == kind.hash_of(decision.state), "equal states have different hashes")
        self._end.moved(appended)
        if is_clearing(stream):
            self.clearings[stream] = state
        else:
            self.durable[AccountId(stream)] = state
        rows = self.rows.setdefault(stream, [])
        rows.append((entry.sequence, entry.version, entry.facts, entry.hash, False))
        if len(rows) > SNAPSHOT_EVERY:
            self.rows[stream] = [_snapshot(stream, state, entry.hash)]
        return None

    def _note(self, stream: str, fact: AnyFact | ClearingFact) -> None:
        match fact:
            case OrderIntended():
                self._note_intent(fact)
            case BlockFormed():
                self._note_block(fact)
            case RoundAllocated():
                for trade in fact.trades:
                    self._note_trade(trade.symbol, trade.trade_id, fact)
                self.rounds.append((stream, fact))
            case FillApplied():
                self._note_fill(fact)
            case OrderEnded(status=OrderStatus.NEVER_SENT):
                order = self.intents[fact.client_order_id]
                self._unsent.add((order.account_id, order.cause))
            case PositionTakenOver():
                self.taken.append((AccountId(stream), fact))
            case FeeBooked():
                pending = fact.pending
                key = pending.symbol, pending.trade_id, pending.client_order_id
                must(key not in self.late_fees, "a fee twice")
                known = key in self.parts or key[:2] in self.trades
                must(known, "a fee of no trade")
                self.late_fees[key] = fact
            case _:
                pass

    def _note_intent(self, order: OrderIntended) -> None:
        must(order.client_order_id not in self.intents, "an intent twice")
        self.intents[order.client_order_id] = order

    def _note_block(self, fact: BlockFormed) -> None:
        block = fact.order
        self._note_intent(block)
        for member in fact.members:
            intent = self.intents.get(member.client_order_id)
            must(intent is not None, "a member without an intent")
            if intent is None:
                continue
            must(intent.account_id == member.account_id, "a member whose intent is of another account")
            must(member.client_order_id not in self.members, "a member of two blocks")
            must(_group(intent) == _group(block), "a member of another symbol, side or class than its block")
            # What is decided again keeps its cause, and is as fresh as when it arrived.
            is_again = (intent.account_id, intent.cause) in self._unsent
            must(is_again or block.decided_ms - intent.decided_ms <= STALE_MS, "a member that is stale")
            self.members[member.client_order_id] = block.client_order_id

    def _check_counted(self, before: AccountState, state: AccountState, facts: Iterable[object]) -> None:
        """Waiting is no answer of the exchange: only what went to it may count against an account."""
        if state.refusals <= before.refusals and state.unsent <= before.unsent:
            return
        ended = [fact.client_order_id for fact in facts if isinstance(fact, OrderEnded)]
        must(
            any({id_, self.members.get(id_)} & (self.sent | self.asked_for) for id_ in ended),
            "an order that never went out counts as refused",
        )

    def _note_trade(self, symbol: Symbol, trade_id: int, fact: FillApplied | RoundAllocated) -> None:
        must((symbol, trade_id) not in self.trades, "a trade twice")
        self.trades[symbol, trade_id] = fact

    def _note_fill(self, fact: FillApplied) -> None:
        trade = fact.trade
        if trade.quote_quantity is None:
            self._note_trade(trade.symbol, trade.trade_id, fact)
            return
        key = trade.symbol, trade.trade_id, fact.client_order_id
        must(key not in self.parts, "a member's part of a round twice")
        round_ = self.trades.get(key[:2])
        is_round = isinstance(round_, RoundAllocated) and round_.round_id == trade.trade_id
        must(is_round, "a part of a round that is not durable")
        given = [
            (part.quantity, part.value)
            for part in (round_.allocations if isinstance(round_, RoundAllocated) else ())
            if part.client_order_id == fact.client_order_id
        ]
        must(given == [(trade.quantity, trade.value)], "a member booked another part than it was given")
        self.parts[key] = fact

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

    def clearing_states(self) -> dict[Symbol, ClearingState]:
        """The durable states of all clearings that ever formed a block and can be read."""
        found = {state.symbol: state for state in self.clearings.values()}
        return {symbol: state for symbol, state in found.items() if symbol not in self.unreadable_clearings}

    def load_clearing(self, symbol: Symbol) -> tuple[ClearingState, tuple[ClientOrderId, ...]]:
        """A clearing's durable state, and the members who ended in their accounts."""
        stream = clearing_name(symbol)
        self._refused.discard(stream)
        if symbol in self.unreadable_clearings:
            raise StateCorrupt(f"{stream}: {UNREADABLE}")
        if stream not in self.clearings:
            return ClearingState(symbol=symbol), ()
        state = state_of_rows(CLEARINGS, self.rows[stream], stream).state
        must(state == self.clearings[stream], "what is loaded differs from what was folded")
        working = self._working()
        members = (m.client_order_id for block in state.blocks for m in block.members)
        return state, tuple(id_ for id_ in members if id_ not in working)

    def _working(self) -> dict[ClientOrderId, WorkingOrder]:
        return {o.client_order_id: o for s in self.durable.values() for o in s.orders}

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
        """All orders that are not final at the exchange: a block is one, its members are none."""
        blocks = [block for state in self.clearing_states().values() for block in state.blocks]
        members = {member.client_order_id for block in blocks for member in block.members}
        own = [order for id_, order in self._working().items() if id_ not in members]
        return Recovery(working=(*own, *(block.working() for block in blocks if block.ended is None)))


def _group(order: OrderIntended) -> tuple[Symbol, Side, OrderClass]:
    """What must be the same of all members of a block; said without the code that is checked."""
    is_step = order.purpose is not Purpose.USER
    by_class = OrderClass.REDUCING if order.reduce_only else OrderClass.NEW_RISK
    return order.symbol, order.side, OrderClass.LIQUIDATION if is_step else by_class


def _snapshot(stream: str, state: StreamState, row_hash: bytes) -> Row:
    kind = kind_of(stream)
    return state.sequence, kind.version, kind.encode(state), row_hash, True
