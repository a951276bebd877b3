"""The writer: makes decisions durable in groups, then forwards and answers them.

Rules
1. First in, first out, loads included: a restarted account reads all that it wrote before.
2. No order is forwarded, to its symbol's clearing or to the gateway, and no request answered, before the commit.
3. When Postgres is away everything waits, and the gate lets no new risk in.
4. A decision with a requester, or with orders, is written at once. One that only records what happened at the
   exchange waits ``GATHER`` for more of them: an order's acceptance, trade and end come close together.

The fate of a lost commit. Postgres can be lost after it was sent COMMIT and before it answered: the decisions are durable
or not, and neither may be assumed. Taken as failed, orders that are durable would never be sent, and their accounts
would decide again; taken as done, orders would be sent that a restart knows nothing of. So the batch keeps its place
at the head of ``_waiting``, nothing behind it is served, and ``Store.commit`` is called again with the same decisions
until it has read from the accounts' rows which of them are durable (``Store._learn_fates``). Only then come
forwarding and answers. ``_waiting`` outlives a crash of this actor, so its next instance goes on at the same place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec
import pykka
import structlog

from actors.clearing.durability import ClearingLoaded, LoadClearing
from actors.clearing.state import ClearingState
from actors.core.alarm_level import Critical
from actors.core.clearing_facts import BlockFormed
from actors.core.clearing_messages import Durable, OrdersBooked, clearing_name, is_clearing
from actors.core.constants import HANDED_WAITING, WRITER_BATCH_FIRST, WRITER_WAITING_HIGH, WRITER_WAITING_LOW
from actors.core.durability import DecisionLost, Persist
from actors.core.errors import Fenced, NotDurable, StoreBusy, StoreUnreachable
from actors.core.facts import CancelIntended, OrderEnded, OrderIntended
from actors.core.messages import Lane, Message
from actors.core.order_messages import Recover, Submit
from actors.core.orders import is_recovered
from actors.core.records import (
    LiftQuarantine,
    LoadRecovery,
    RecordAudit,
    RecordDeadLetter,
    RecordQuarantine,
)
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, AccountId, ClientOrderId, Nanos, Symbol
from actors.persistence import batch_size
from actors.persistence.messages import AskStore
from actors.persistence.queries import QueriedStore, StorePort
from actors.persistence.tail import JournalTail
from actors.runtime.actor import DispatchedActor, Ref
from actors.subaccount.durability import AccountLoaded, LoadAccount
from actors.supervision.gate import TradingGate

log = structlog.get_logger("writer")

RETRY_FIRST = Nanos(100 * NANOS_PER_MS)
RETRY_MAX = Nanos(5_000 * NANOS_PER_MS)
BUSY_WAIT = Nanos(1_000 * NANOS_PER_MS)
LEASE_MARGIN_SECONDS = 1
"""Sending stops this long before the lease ends, so that nothing is on its way when it does."""

RENEW_EVERY = Nanos(1_000 * NANOS_PER_MS)


GATHER = Nanos(4 * NANOS_PER_MS)
"""How long exchange events wait for more of them: less than a commit takes."""


Record = RecordDeadLetter | RecordQuarantine | LiftQuarantine | RecordAudit


class Question(msgspec.Struct, gc=False):
    """A question and the future of its answer; both outlive a crash of the writer.

    One that was begun is brought to its end, however late: it may have been done.
    """

    asked: AskStore
    future: Any
    is_begun: bool = False


Waiting = Persist | LoadAccount | LoadClearing | LoadRecovery | Question | Record

GATEWAY = "gateway"

AWAY_KEY = "postgres is away"


class Retry(Message, frozen=True, gc=False):
    """The writer's own timer: Postgres may be back."""

    LANE = Lane.CONTROL


class Gathered(Message, frozen=True, gc=False):
    """The writer's own timer: write what was gathered."""

    LANE = Lane.CONTROL


class Renew(Message, frozen=True, gc=False):
    """The writer's own timer: keep the shards' lease."""

    LANE = Lane.CONTROL

    incarnation: int


class WriterStats(msgspec.Struct):
    """Counters since the start; only the writer writes them."""

    decisions: int = 0
    commits: int = 0
    refused: int = 0
    dead_letters: int = 0
    waiting: int = 0
    is_down: bool = False
    last_commit_ms: float = 0.0
    asking_since_ns: int = 0
    """When the statement that is under way began, on the monotonic clock; 0 between two."""


class Writer(DispatchedActor):
    """See the module.

    Args:
        store: an open store, used from this actor's thread only.
        accounts: refs by account id.
        gate: closed for new risk while too much waits.
        waiting: what is not written yet; outlives a crash of this actor.
        actors: refs by name, of which it uses the gateway, the clearing of each symbol that has one, and the projector.
        alarm: called with a text and a key when Postgres is away.
        over: called with the key when it is back.
        members: orders in blocks that have not ended in their accounts, with their symbol; outlives a crash of this actor.
            What is not in it, of a block whose clearing runs on, is asked for until that is loaded again.
        tail: told of what is durable; None where nobody reads on.
    """

    def __init__(  # noqa: PLR0913 - one per neighbour
        self,
        store: StorePort,
        accounts: Mapping[AccountId, Ref],
        gate: TradingGate,
        waiting: deque[Waiting],
        actors: Mapping[str, Ref],
        alarm: Callable[[str, str], None] = lambda _text, _key: None,
        over: Callable[[str], None] = lambda _key: None,
        members: dict[ClientOrderId, Symbol] | None = None,
        tail: JournalTail | None = None,
    ) -> None:
        super().__init__()
        self._tail = tail
        self._alarm, self._over = alarm, over
        self._store = store
        self._accounts = accounts
        self._gate = gate
        self._waiting = waiting
        self._actors = actors
        self._members: dict[ClientOrderId, Symbol] = {} if members is None else members
        self._retry_ns = RETRY_FIRST
        self._is_urgent = self._gathers = False
        self._away = False
        self._batch_size = WRITER_BATCH_FIRST
        self.stats = WriterStats()

    def on_start(self) -> None:
        """Begin to keep the lease."""
        self._renew()
        if not self._away:
            self._over(AWAY_KEY)  # of an earlier incarnation of this actor

    def handle(self, message: Any) -> Any:
        """Handle one message, and write when no more wait behind it."""
        reply = super().handle(message)
        is_due = len(self._waiting) >= self._batch_size or self._cell.mailbox.depth() == 0
        if self._waiting and is_due and not self.stats.is_down:
            if self._is_urgent or len(self._waiting) >= self._batch_size:
                self._write()
            elif not self._gathers:
                self._gathers = True
                self._cell.dispatcher.after(GATHER, self._cell, Gathered())
        return reply

    def on_receive(self, message: Any) -> Any:
        """Queue one message."""
        match message:
            case (
                Persist()
                | LoadAccount()
                | LoadClearing()
                | LoadRecovery()
                | RecordDeadLetter()
                | RecordQuarantine()
                | LiftQuarantine()
                | RecordAudit()
            ):
                self._waiting.append(message)
                self._is_urgent = self._is_urgent or _is_urgent(message)
            case AskStore():
                self._waiting.append(Question(message, self.defer_reply()))
                self._is_urgent = True
            case Gathered():
                self._gathers, self._is_urgent = False, True
            case Retry():
                self.stats.is_down = False
                self._write()
            case Renew():
                if message.incarnation == self._cell.restarts:
                    self._renew()  # the timers of an earlier incarnation go on
            case _:
                raise TypeError(f"the writer does not understand {type(message).__name__}")
        self._update_gate()

    def on_stop(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._write()
        for item in self._waiting:
            if isinstance(item, Question) and item.future is not None:
                gone = NotDurable("the engine stops; nothing was done")
                item.future.set_exception((type(gone), gone, None))

    def inspect_state(self) -> Any:
        """Counters."""
        return self.stats

    def _update_gate(self) -> None:
        waiting = self.stats.waiting = len(self._waiting)
        if waiting > WRITER_WAITING_HIGH:
            self._gate.close("writer")
        elif waiting < WRITER_WAITING_LOW and not self.stats.is_down and not self._away:
            self._gate.open("writer")

    def _write(self) -> None:
        now_ns = self._cell.dispatcher.clock.monotonic_ns
        is_reachable = False
        try:
            while self._waiting:
                self.stats.asking_since_ns = now_ns()
                if isinstance(self._waiting[0], Persist):
                    self._write_decisions()
                else:
                    self._serve_first()
                is_reachable = True
        except StoreUnreachable as away:
            self._went_down(away)
        else:
            self._retry_ns = RETRY_FIRST
            self._is_urgent = False
            if is_reachable:
                self._came_back()
        finally:
            self.stats.asking_since_ns = 0
        self._update_gate()

    def _serve_first(self) -> None:
        item = self._waiting[0]
        try:
            self._serve(item)
        except StoreBusy as busy:
            # Another session holds a lock, or it takes too long: that must not keep all others waiting.
            log.warning("postponed", item=type(item).__name__, error=str(busy))
            self._cell.dispatcher.after(BUSY_WAIT, self._cell, item)
        self._waiting.popleft()

    def _write_decisions(self) -> None:
        batch: list[Persist] = []
        for item in self._waiting:
            if not isinstance(item, Persist) or len(batch) == self._batch_size:
                break
            batch.append(item)
        began_ns = self._cell.dispatcher.clock.monotonic_ns()
        results = self._store.commit(batch)
        took_ns = self._cell.dispatcher.clock.monotonic_ns() - began_ns
        for _ in batch:
            self._waiting.popleft()
        left = len(self._waiting) + self._cell.mailbox.depth()
        self._batch_size = batch_size.following(self._batch_size, len(batch), Nanos(took_ns), left)
        self.stats.commits += 1
        self.stats.last_commit_ms = took_ns / NANOS_PER_MS
        durable = [d for d, refusal in zip(batch, results, strict=True) if refusal is None]
        self.stats.decisions += len(durable)
        # First of all: if the writer fails after this line, what was committed is known to who sends it.
        self._forward(durable)
        for decision, refusal in zip(batch, results, strict=True):
            if refusal is not None:
                self._lost(decision, refusal)
            elif decision.reply_to is not None:
                decision.reply_to.set(decision.reply)
        self._hand_over()
        for refusal in results:
            if isinstance(refusal, Fenced):
                raise refusal  # the supervisor halts the engine

    def _forward(self, durable: Iterable[Persist]) -> None:
        """Send what accounts ordered to whoever sends it on, and tell each clearing how far it is durable.

        A block order is not sent from here: its clearing does that when it knows that it is durable.
        """
        sent: dict[str, tuple[list[OrderIntended], list[CancelIntended]]] = {}
        ends: dict[str, int] = {}
        booked: dict[Symbol, list[ClientOrderId]] = {}
        for decision in durable:
            if is_clearing(decision.stream):
                ends[decision.stream] = decision.state.sequence
                self._know_members(decision)
                continue
            for fact in decision.facts:
                # One that was learned from the exchange has been there already, and must never be sent again.
                if isinstance(fact, OrderIntended) and not is_recovered(fact):
                    sent.setdefault(self._sender_of(fact.symbol), ([], []))[0].append(fact)
                elif isinstance(fact, CancelIntended):
                    sent.setdefault(self._sender_of(fact.symbol), ([], []))[1].append(fact)
                elif isinstance(fact, OrderEnded) and fact.client_order_id in self._members:
                    symbol = self._members.pop(fact.client_order_id)
                    booked.setdefault(symbol, []).append(fact.client_order_id)
        for name, (orders, cancels) in sent.items():
            submit = Submit(tuple(orders), tuple(cancels))
            try:
                self._actors[name].tell(submit)
            except pykka.ActorDeadError:
                if name == GATEWAY:
                    raise
                self._actors[GATEWAY].tell(submit)
        for stream, sequence in ends.items():
            self._tell_clearing(stream, Durable(sequence))
        for symbol, ids in booked.items():
            self._tell_clearing(clearing_name(symbol), OrdersBooked(symbol, tuple(ids)))

    def _know_members(self, decision: Persist) -> None:
        for fact in decision.facts:
            if isinstance(fact, BlockFormed):
                symbol = fact.order.symbol
                self._members.update((member.client_order_id, symbol) for member in fact.members)

    def _sender_of(self, symbol: Symbol) -> str:
        name = clearing_name(symbol)
        return name if name in self._actors else GATEWAY

    def _tell_clearing(self, stream: str, message: Message) -> None:
        ref = self._actors.get(stream)
        if ref is not None:
            with suppress(pykka.ActorDeadError):
                ref.tell(message)

    def _hand_over(self) -> None:
        """Tell who reads on, and have the projector make its tables; what they miss they read from the journal."""
        committed = self._store.handover()
        if committed is not None and self._tail is not None:
            self._tail.handed(committed)
        projector = self._actors.get("projector")
        # One that does not come to read keeps no more in its mailbox; it finds the rest in the journal.
        if (
            committed is not None
            and projector is not None
            and projector.cell.mailbox.depth() < HANDED_WAITING
        ):
            with suppress(pykka.ActorDeadError):
                projector.tell(committed)

    def _fenced(self, fenced: Fenced) -> None:
        self._gate.halt()
        self._gate.close("fenced")
        log.critical("another engine owns the accounts; this one must be stopped", error=str(fenced))
        text = f"another engine owns the accounts; this one must be stopped: {fenced}"
        self._alarm(Critical(text), "fenced")

    def _lost(self, decision: Persist, refusal: NotDurable) -> None:
        self.stats.refused += 1
        if isinstance(refusal, Fenced):
            self._fenced(refusal)
        log.error("decision refused", stream=decision.stream, error=str(refusal))
        if decision.reply_to is not None:
            decision.reply_to.set_exception((type(refusal), refusal, None))
        lost = DecisionLost(decision.incarnation, str(refusal))
        if is_clearing(decision.stream):
            self._tell_clearing(decision.stream, lost)
            return
        ref = self._accounts.get(AccountId(decision.stream))
        if ref is not None:
            with suppress(pykka.ActorDeadError):
                ref.tell(lost)

    def _serve(self, item: Any) -> None:
        if isinstance(item, LoadAccount):
            self._load(item)
        elif isinstance(item, LoadClearing):
            self._load_clearing(item)
        elif isinstance(item, LoadRecovery):
            self._actors[GATEWAY].tell(Recover(self._store.recovery()))
        elif isinstance(item, Record):
            self._record(item)
        else:
            self._answer(item)

    def _load(self, item: LoadAccount) -> None:
        try:
            states = self._store.load([item.account_id])
            found = states[0] if states else None
            reason = "" if found else f"{item.account_id} is not in the database"
        except (StoreUnreachable, StoreBusy):
            raise
        except Exception as error:
            # A row that cannot be read puts one account out of service, not the writer.
            log.exception("an account cannot be read", account=item.account_id)
            found, reason = None, f"{item.account_id} cannot be read from the database: {error}"
        with suppress(pykka.ActorDeadError):
            item.asker.tell(AccountLoaded(found, item.incarnation, reason))

    def _load_clearing(self, item: LoadClearing) -> None:
        found: ClearingState | None = None
        booked: tuple[ClientOrderId, ...] = ()
        reason = ""
        try:
            found, booked = self._store.load_clearing(item.symbol)
        except (StoreUnreachable, StoreBusy):
            raise
        except Exception as error:
            log.exception("a clearing cannot be read", symbol=item.symbol)
            reason = f"the clearing of {item.symbol} cannot be read from the database: {error}"
        else:
            members = {m.client_order_id for block in found.blocks for m in block.members}
            self._members.update((id_, item.symbol) for id_ in members.difference(booked))
        with suppress(pykka.ActorDeadError):
            item.asker.tell(ClearingLoaded(found, item.incarnation, reason))
            if booked:
                item.asker.tell(OrdersBooked(item.symbol, booked))

    def _record(self, item: Record) -> None:
        try:
            self._store.with_operator_records(lambda records: _recorded(records, item))
        except (StoreUnreachable, StoreBusy):
            raise
        except Exception:
            # What is recorded for operators must never stand in the way of money.
            log.exception("not recorded", item=repr(item)[:1000])
        else:
            self.stats.dead_letters += isinstance(item, RecordDeadLetter)
            if isinstance(item, RecordAudit):
                item.stored()

    def _answer(self, item: Question) -> None:
        found: Any = None
        error: Exception | None = None
        try:
            if not item.is_begun and 0 < item.asked.begin_by_ns < self._cell.dispatcher.now_ns():
                error = NotDurable("Postgres was away for too long; nothing was done, try again")
            else:
                query, was_begun, item.is_begun = item.asked.query, item.is_begun, True
                store = cast("QueriedStore", self._store)
                found = query.run_again(store) if was_begun else query.run(store)
                self._hand_over()
        except StoreUnreachable:
            raise
        except Exception as raised:  # noqa: BLE001 - it is for the asker, StoreBusy too, not for the supervisor
            error = raised
        if item.future is not None and error is not None:
            item.future.set_exception((type(error), error, error.__traceback__))
        elif item.future is not None:
            item.future.set(found)

    def _went_down(self, away: StoreUnreachable) -> None:
        self.stats.is_down = True
        self._gate.close("writer")
        self._cell.dispatcher.after(self._retry_ns, self._cell, Retry())
        self._retry_ns = Nanos(min(self._retry_ns * 2, RETRY_MAX))
        log.error("postgres is away", error=str(away), waiting=len(self._waiting))
        self._alarm_away(away)

    def _alarm_away(self, away: StoreUnreachable) -> None:
        self._gate.close("writer")
        if not self._away:
            self._away = True
            text = f"Postgres is away ({away}): no new risk, and no order is sent until it is back"
            self._alarm(Critical(text), AWAY_KEY)

    def _came_back(self) -> None:
        if self._away:
            self._away = False
            self._over(AWAY_KEY)

    def _renew(self) -> None:
        clock = self._cell.dispatcher.clock
        before_ns = self.stats.asking_since_ns = clock.monotonic_ns()
        try:
            seconds = self._store.renew()
            if seconds is not None:
                self._gate.extend_lease(before_ns + (seconds - LEASE_MARGIN_SECONDS) * NANOS_PER_SECOND)
            if not self.stats.is_down:  # on a full disk the lease can be kept, and nothing else written
                self._came_back()
        except StoreUnreachable as away:
            log.warning("lease not renewed", error=str(away))
            self._alarm_away(away)
        except Fenced as fenced:
            self._fenced(fenced)
            raise  # the supervisor halts the engine
        finally:
            self._cell.dispatcher.after(RENEW_EVERY, self._cell, Renew(self._cell.restarts))
            self.stats.asking_since_ns = 0


def _is_urgent(item: Waiting) -> bool:
    """Whether a requester waits for it, or orders or fills follow from it."""
    if not isinstance(item, Persist) or item.reply_to is not None:
        return True
    if is_clearing(item.stream):
        return True
    return any(isinstance(fact, OrderIntended | CancelIntended) for fact in item.facts)


def _recorded(records: Any, item: Record) -> None:
    if isinstance(item, RecordDeadLetter):
        records.record_dead_letter(item)
    elif isinstance(item, RecordQuarantine):
        records.record_quarantine(item)
    elif isinstance(item, RecordAudit):
        records.record_audit(item)
    else:
        records.lift_quarantine(item.account_id)
