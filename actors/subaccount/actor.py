"""One account's actor: lets ``decide`` decide, and hands the outcome on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from actors.core.clearing_messages import ReplaceStep, StepUnderWay
from actors.core.constants import FEE_ASK_FIRST, FEE_ASK_MAX, ORDER_WAIT_MAX, RECORDED_DECISIONS
from actors.core.durability import DecisionLost, Persist
from actors.core.enums import Purpose, ReconsiderReason
from actors.core.errors import NotDurable, StateLost
from actors.core.facts import AnyFact, ConditionalPlaced, FillApplied, OrderIntended
from actors.core.fees import PendingFee
from actors.core.instruments import Instrument
from actors.core.messages import (
    AskFunding,
    FaultOnPurpose,
    PlaceConditional,
    PlaceOrder,
    PlatformKnown,
    Reconsider,
    RegisterTriggers,
    Tick,
    Wake,
)
from actors.core.order_ids import Origin
from actors.core.order_messages import Resync
from actors.core.orders import WorkingOrder
from actors.core.units import NANOS_PER_MS, AccountId, ClientOrderId, Nanos, Symbol
from actors.limits.layers import differing
from actors.runtime.actor import DispatchedActor, Ref
from actors.runtime.cell import CrashReport
from actors.subaccount import adl, capture, fees, holdings, monitor
from actors.subaccount.alerts import alerts_of
from actors.subaccount.decide import decide, refused_in_quarantine, withdraw
from actors.subaccount.durability import AccountLoaded, LoadAccount
from actors.subaccount.market import Market, PriceHistory
from actors.subaccount.pipeline import Accepted, Decision, Rejected
from actors.subaccount.recording import Action, Recorded, Recorder, Watch, fail_on_purpose, inputs_of
from actors.subaccount.rejections import RejectCode, Rejection
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState
from actors.subaccount.triggers import Triggers, triggers
from actors.subaccount.waiting import outdated
from actors.supervision.gate import TradingGate
from actors.symbol_router.book import PriceBook

log = structlog.get_logger("account")

TIMER_MAX_MS = 86_400_000
"""A timer looks again after a day at the latest, whatever it waits for."""


class AccountStats(msgspec.Struct):
    """Counters over all accounts of one dispatcher; its thread alone writes them."""

    wakes: int = 0
    decisions: int = 0
    orders: int = 0
    adl_steps: int = 0
    rejected: int = 0
    fills: int = 0
    duplicates: int = 0
    stale: int = 0


WhoHearsOfRejections = Callable[[AccountId, Any, Sequence[Rejection], int, str], None]
"""Called with account, refused command, every reason, Unix milliseconds and cause; must not wait."""


def _nobody(
    _account: AccountId, _command: Any, _why: Sequence[Rejection], _wall_ms: int, _cause: str
) -> None:
    """Where no audit is kept."""


class AccountContext:
    """What all accounts of an engine share. ``preloaded`` holds states read in bulk at start.

    ``origin`` is what the ids of their orders begin with; it stays when one of them is restarted. ``order_path`` is who
    is asked about an order of a symbol: the symbol's clearing, or the gateway where there is none.
    """

    def __init__(
        self, book: PriceBook, instruments: Mapping[Symbol, Instrument], gate: TradingGate, origin: Origin
    ) -> None:
        self.book = book
        self.instruments = instruments
        self.gate = gate
        self.origin = origin
        self.writer: Ref
        self.router: Ref
        self.gateway: Ref
        self.order_path: Callable[[Symbol], Ref] = lambda _: self.gateway
        self.feed: Ref | None = None
        self.preloaded: dict[AccountId, AccountState] = {}
        self.stats = AccountStats()
        self.recorder = Recorder(RECORDED_DECISIONS)
        self.watch = Watch()
        self.program = ""
        self.faults_allowed = False
        self.alarm: Callable[[str], None] = lambda text: log.warning("alarm", text=text)
        self.rejected: WhoHearsOfRejections = _nobody


class AccountActor(DispatchedActor):
    """See the module. Its ``state`` is replaced whole, after a handler returned.

    A ``guard`` stands in for an account in quarantine, from durable state and with an empty
    mailbox: it cancels what the account has resting, goes on to liquidate it when it must, and
    refuses everything else.
    """

    def __init__(self, account_id: AccountId, context: AccountContext, *, guard: bool = False) -> None:
        super().__init__()
        self._is_guard = guard
        self.account_id = account_id
        self.state: AccountState | None = None
        self._context = context
        self._registered: Triggers | None = None
        self._deadline_ms: int | None = None
        self._retry_ms = 0
        self._early: tuple[tuple[Any, Any], ...] = ()
        self._fees_asked: tuple[PendingFee, ...] = ()
        self._fees_wait: Nanos = FEE_ASK_FIRST
        self._fees_timer = False
        self._past_replacing: frozenset[ClientOrderId] = frozenset()
        self.failed: Recorded | None = None

    def on_start(self) -> None:
        """Take the preloaded state, or have the writer load it."""
        # Preloaded accounts start with the engine, when all of them get the last day's funding.
        preloaded = self._context.preloaded.pop(self.account_id, None)
        if preloaded is not None:
            self._loaded(preloaded)
            return
        self.hold()
        self._context.writer.tell(LoadAccount(self.account_id, self.actor_ref, self._cell.restarts))

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        if isinstance(message, AccountLoaded):
            if message.incarnation != self._cell.restarts:
                return None  # asked for by an earlier incarnation, and older than what this one asked for
            if message.state is None:
                raise StateLost(message.reason)
            if self.state is None:
                state = self._loaded(message.state)
                self.unhold()
                self._ask_funding_of_all(message.state)
                if self._is_guard:
                    # No order of the account may open anything while its own actor decides nothing.
                    look = Reconsider(ReconsiderReason.QUARANTINE)
                    now = Situation(state, self._watched_market(), look.reason.value)
                    self._carry_out(state, withdraw(now), look, Action.WITHDRAW)
            return None
        if isinstance(message, DecisionLost):
            if message.incarnation == self._cell.restarts:
                raise NotDurable(message.reason)
            return None
        if self.state is None:
            # Control messages overtake the load; they are posted again once the state is there.
            self._early += ((message, self.defer_reply()),)
            return None
        if self._is_guard and refused_in_quarantine(message):
            text = f"{self.account_id} is in quarantine; 'bulkhead inspect {self.account_id}' says why"
            return self._refused(message, Rejection(RejectCode.ACCOUNT_QUARANTINED, text))
        if isinstance(message, FaultOnPurpose):
            hang_until_ns = self._cell.dispatcher.now_ns() + message.hang_ms * NANOS_PER_MS
            while self._cell.dispatcher.now_ns() < hang_until_ns:
                pass
            self.failed = Recorded(before=self.state, message=message, inputs=None)
            fail_on_purpose(message)
        if isinstance(message, PlaceOrder | PlaceConditional) and self._waited_ns() > ORDER_WAIT_MAX:
            text = f"the order waited {self._waited_ns() // NANOS_PER_MS} ms in the mailbox; place it again"
            return self._refused(message, Rejection(RejectCode.TOO_LATE, text))
        return self._decide(self.state, message)

    def _refused(self, message: Any, why: Rejection) -> Rejected:
        """A command that is not even looked at."""
        wall_ms = self._cell.dispatcher.clock.wall_ms()
        self._context.stats.rejected += 1
        self._context.rejected(self.account_id, message, (why,), wall_ms, str(getattr(message, "cause", "")))
        return Rejected((why,))

    def _waited_ns(self) -> int:
        letter = self._cell.busy_with
        return 0 if letter is None else self._cell.dispatcher.now_ns() - letter[2]

    def inspect_state(self) -> Any:
        """The account's state."""
        return self.state

    def evidence(self, message: Any, report: CrashReport) -> bytes:
        """The failed decision as a capture; nothing if the failure was not one of a decision."""
        failed = self.failed
        if failed is None or failed.message is not message:
            return b""
        decision = capture.captured(failed, report.error, report.traceback)
        return capture.encode(
            capture.Capture(
                account=self.account_id,
                made_ms=report.wall_ms,
                program=self._context.program,
                decisions=(decision,),
            )
        )

    def market(self) -> Market:
        """What the account may know now."""
        book = self._context.book
        return self._market(book.ticks, self._context.instruments, book.day_ticks, book)

    def _watched_market(self) -> Market:
        """The same for one decision, which notes what it reads of it."""
        book, watch = self._context.book, self._context.watch
        watch.over(book.ticks, self._context.instruments, book.day_ticks, book)
        return self._market(watch.ticks, watch.instruments, watch.day_ticks, watch.history)

    def _market(
        self,
        ticks: Mapping[Symbol, Tick],
        instruments: Mapping[Symbol, Instrument],
        day_ticks: Mapping[Symbol, Tick] | None,
        history: PriceHistory,
    ) -> Market:
        context, clock = self._context, self._cell.dispatcher.clock
        return Market(
            ticks,
            instruments,
            Nanos(clock.monotonic_ns()),
            clock.wall_ms(),
            context.origin,
            context.gate.reduce_only or self._cell.mailbox.congested or self._is_guard,
            context.book.day,
            day_ticks,
            history,
            self._past_replacing,
            context.gate.closed_symbols,
        )

    def _loaded(self, loaded: AccountState) -> AccountState:
        state = self.state = loaded if loaded.platform is None else replace(loaded, platform=None)
        now = Situation(state, self.market())
        self._register(triggers(now), force=True)
        self._replace_steps(state, outdated(now))
        self._await_deadline(state)
        self._await_retry(state)
        self._pursue_fees(state)
        if loaded.platform is not None or state.below != differing(state.base_limits):
            # In front of all else: what came from outside is a decision of its own.
            self._cell.dispatcher.post(self._cell, loaded.platform or PlatformKnown(), None)
        early, self._early = self._early, ()
        for message, future in early:
            self._cell.dispatcher.post(self._cell, message, future)
        for order in state.orders:
            self._resync(order)
        return state

    def _decide(self, state: AccountState, message: Any) -> Accepted | Rejected | None:
        if isinstance(message, StepUnderWay):
            self._step_under_way(state, message.client_order_id)
            return None
        stats = self._context.stats
        market = self._watched_market()
        stats.wakes += isinstance(message, Wake)
        if isinstance(message, Reconsider):
            # The router may be a new one that knows nothing of us, and a timer may have come too early.
            self._registered = None
            self._deadline_ms = None
            if message == self._fees_look:
                self._fees_timer, self._fees_asked = False, ()
            elif message.reason is ReconsiderReason.BACKOFF:
                self._retry_ms = 0
        try:
            return self._carry_out(state, decide(state, message, market), message)
        except BaseException:
            self.failed = Recorded(before=state, message=message, inputs=inputs_of(market))
            raise

    def _carry_out(
        self, state: AccountState, decision: Decision, message: Any, action: Action = Action.DECIDE
    ) -> Accepted | Rejected | None:
        stats, is_wake = self._context.stats, isinstance(message, Wake)
        stats.duplicates += decision.duplicate
        stats.stale += decision.stale
        if isinstance(decision.reply, Rejected):
            stats.rejected += 1
            now = decision.now
            self._context.rejected(
                self.account_id, message, decision.reply.rejections, now.market.wall_ms, now.cause
            )
        # All that may raise comes before the first effect: a crash leaves nothing half done.
        found = triggers(decision.now)
        self._context.recorder.keep(decision, state, message, action)
        reply = self._persist(state, decision) if decision.facts else decision.reply
        self.state = decision.state
        self._await_deadline(decision.state)
        self._await_retry(decision.state)
        self._pursue_fees(decision.state)
        for id_ in decision.resync:
            order = decision.state.order(id_)
            if order is not None:
                self._resync(order)
        self._replace_steps(decision.state, decision.replace)
        if is_wake or decision.facts or decision.replace or self._registered is None:
            self._register(found, force=is_wake)
        return reply

    def _persist(self, before: AccountState, decision: Decision) -> Accepted | Rejected | None:
        market = decision.now.market
        self._context.stats.decisions += 1
        future = self.defer_reply()
        self._context.writer.tell(
            Persist(
                stream=self.account_id,
                previous_sequence=before.sequence,
                facts=decision.facts,
                state=decision.state,
                wall_ms=market.wall_ms,
                incarnation=self._cell.restarts,
                reply_to=future,
                reply=decision.reply,
                cause=decision.now.cause,
            )
        )
        for fact in decision.facts:
            self._count(fact)
            if isinstance(fact, ConditionalPlaced):
                self._context.book.checkpoint(fact.symbol)
            elif isinstance(fact, FillApplied):
                trade = fact.trade
                # No tick can come in between: router and accounts share a thread.
                self._context.book.checkpoint(trade.symbol)
                if holdings.is_late(trade.trade_ms, market.wall_ms):
                    self._ask_funding(trade.symbol, trade.trade_ms)
        for text in alerts_of(self.account_id, decision.facts):
            self._context.alarm(text)
        return decision.reply if future is None else None

    def _resync(self, order: WorkingOrder) -> None:
        self._context.order_path(order.symbol).tell(Resync(order))

    def _replace_steps(self, state: AccountState, steps: Sequence[ClientOrderId]) -> None:
        """Ask for waiting steps back, each once; and remember nothing of those that are no more."""
        for order in state.orders:
            if order.client_order_id in steps:
                asked = ReplaceStep(self.account_id, order.symbol, order.client_order_id)
                self._context.order_path(order.symbol).tell(asked)
        if steps or self._past_replacing:
            at_work = frozenset(order.client_order_id for order in state.orders)
            self._past_replacing = at_work & {*self._past_replacing, *steps}

    def _step_under_way(self, state: AccountState, id_: ClientOrderId) -> None:
        """Its end decides from now on, and no price: what it is asked for is known to nobody after a restart."""
        if state.order(id_) is not None and id_ not in self._past_replacing:
            self._past_replacing |= {id_}
            self._register(triggers(Situation(state, self.market())), force=False)

    def _await_deadline(self, state: AccountState) -> None:
        """Have a timer look at the next position that becomes too old."""
        deadline = monitor.next_deadline_ms(state)
        if deadline is None or deadline == self._deadline_ms:
            return
        self._deadline_ms = deadline
        wait_ms = min(max(0, deadline - self._cell.dispatcher.clock.wall_ms()) + 1, TIMER_MAX_MS)
        self._cell.dispatcher.after(
            Nanos(wait_ms * NANOS_PER_MS), self._cell, Reconsider(ReconsiderReason.DEADLINE)
        )

    def _await_retry(self, state: AccountState) -> None:
        """Have a timer look again when the wait before the next step is over."""
        if not state.retry_at_ms or state.retry_at_ms == self._retry_ms:
            return
        self._retry_ms = state.retry_at_ms
        wall_ms = self._cell.dispatcher.clock.wall_ms()
        wait_ms = state.retry_at_ms - wall_ms if adl.waits(state, wall_ms) else 0
        wait = Nanos(min(wait_ms, TIMER_MAX_MS) * NANOS_PER_MS)
        self._cell.dispatcher.after(wait, self._cell, Reconsider(ReconsiderReason.BACKOFF))

    @property
    def _fees_look(self) -> Reconsider:
        return Reconsider(ReconsiderReason.FEES, self._cell.restarts)

    def _pursue_fees(self, state: AccountState) -> None:
        """Ask for what pending fees lack, and have a timer ask again until they are booked."""
        pending = state.pending_fees
        if not pending:
            if self._fees_asked:
                self._fees_wait, self._fees_asked = FEE_ASK_FIRST, ()
            return
        if pending is not self._fees_asked:
            known = set(self._fees_asked)
            self._ask_fees([fee for fee in pending if fee not in known])
            self._fees_asked = pending
        if not self._fees_timer:
            self._fees_timer = True
            self._cell.dispatcher.after(self._fees_wait, self._cell, self._fees_look)
            before, self._fees_wait = self._fees_wait, Nanos(min(self._fees_wait * 2, FEE_ASK_MAX))
            untold = [fee for fee in pending if fee.amount is None]
            if untold and before < self._fees_wait == FEE_ASK_MAX:
                self._context.alarm(
                    f"{self.account_id}: the exchange has not reported the fee of trade {untold[0].trade_id} of "
                    f"{untold[0].symbol} and {len(untold) - 1} more; they are asked for until it does"
                )

    def _ask_fees(self, new: list[PendingFee]) -> None:
        trades, rates = fees.questions(self.account_id, new, self._context.instruments)
        for question in trades:
            self._context.order_path(question.symbol).tell(question)
        if self._context.feed is not None:
            for asked in rates:
                self._context.feed.tell(asked)

    def _ask_funding(self, symbol: Symbol, since_ms: int) -> None:
        """Have settlements reported again: what was held then is known better than when they were."""
        if self._context.feed is not None:
            self._context.feed.tell(AskFunding(self.account_id, symbol, since_ms))

    def _ask_funding_of_all(self, state: AccountState) -> None:
        if state.positions or state.holdings:
            self._ask_funding(Symbol(""), 0)

    def _count(self, fact: AnyFact) -> None:
        stats = self._context.stats
        if isinstance(fact, OrderIntended):
            stats.orders += 1
            stats.adl_steps += fact.purpose is not Purpose.USER
        elif isinstance(fact, FillApplied):
            stats.fills += 1

    def _register(self, found: Triggers, *, force: bool) -> None:
        if found == self._registered and not force:
            return
        self._registered = found
        self._context.router.tell(RegisterTriggers(self.account_id, found.prices, found.every_tick))
