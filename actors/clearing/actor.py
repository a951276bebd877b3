"""One symbol's clearing: lets ``Clearing`` decide, and hands the outcome on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import pykka
import structlog

from actors.clearing.book import Book
from actors.clearing.bypass import Bypass, may_be_member
from actors.clearing.durability import ClearingLoaded, LoadClearing
from actors.clearing.effects import Again, Alarm, Decide, Deliver, Effect, Moment, ToGateway
from actors.clearing.protocol import Clearing
from actors.clearing.service import Serves, Service
from actors.clearing.state import Block, ClearingState
from actors.clearing.view import WaitingOrder, view, waiting_orders
from actors.core.clearing_messages import (
    Durable,
    GatewayStarted,
    Grant,
    Group,
    OrderDone,
    OrdersBooked,
    ReplaceStep,
    clearing_name,
)
from actors.core.durability import DecisionLost, PersistFirst
from actors.core.enums import Side
from actors.core.errors import NotDurable, StateLost
from actors.core.instruments import Instrument
from actors.core.messages import (
    BookRecovered,
    FeeKnown,
    Fill,
    Lane,
    Message,
    OrderAccepted,
    OrderClosed,
    with_ends,
)
from actors.core.order_ids import Origin
from actors.core.order_messages import AskFees, Resync, Submit
from actors.core.orders import WorkingOrder
from actors.core.units import NANOS_PER_MS, AccountId, Nanos, Symbol
from actors.runtime.actor import DispatchedActor, Ref
from actors.runtime.cell import Status
from actors.symbol_router.book import PriceBook

log = structlog.get_logger("clearing")

PRICE_MAX_AGE_NS = 10_000 * NANOS_PER_MS
"""An older price says nothing of what a block is worth, nor of the depth."""


class TimerDue(Message, frozen=True, gc=False):
    """The clearing's own timer."""

    LANE = Lane.CONTROL

    incarnation: int


class ClearingContext:
    """What the clearing of all symbols shares. What they remember without storing it outlives a crash of their actors here.

    Args:
        actors: refs by name, of which they use writer and gateway.
        accounts: refs by account id.
        instruments: the exchange's rules, as they are now.
        prices: the L1 of all symbols.
        origin: what the ids of all orders begin with.
        split_at_depth: at how many times the quantity at the best price a block is split; 0 for never.
        alarm: called with a text.
        usual: how a symbol's clearing serves that never failed.
    """

    def __init__(  # noqa: PLR0913 - its neighbours
        self,
        actors: Mapping[str, Ref],
        accounts: Mapping[AccountId, Ref],
        instruments: Callable[[], Mapping[Symbol, Instrument]],
        prices: PriceBook,
        origin: Origin,
        split_at_depth: int,
        alarm: Callable[[str], None],
        usual: Serves = Serves.BLOCKS,
    ) -> None:
        self.actors, self.accounts, self.instruments = actors, accounts, instruments
        self.prices, self.origin, self.split_at_depth, self.alarm = prices, origin, split_at_depth, alarm
        self.preloaded: dict[Symbol, ClearingState] = {}
        self.books: dict[Symbol, Book] = {}
        self._usual = usual
        self._services: dict[Symbol, Service] = {}

    def service(self, symbol: Symbol) -> Service:
        """How a symbol's clearing serves."""
        return self._services.setdefault(symbol, Service(symbol, self._usual))

    def book(self, symbol: Symbol) -> Book:
        """What a symbol's clearing remembers."""
        return self.books.setdefault(symbol, Book())

    def keeps(self, order: WorkingOrder) -> bool:
        """Whether a symbol's clearing alone knows what becomes of an order, and the exchange must not be asked for it.

        It waits there, it is in a block that is not sent; or it may be in one that nobody can read.
        """
        symbol = order.intent.symbol
        book = self.books.get(symbol)
        if book is not None and book.is_unsent(order.client_order_id):
            return True
        service = self._services.get(symbol)
        if service is None or service.serves is not Serves.HOLDS:
            return False
        return may_be_member(self.book(symbol), order)


class ClearingActor(DispatchedActor):
    """See the module. What it decides stands in ``Clearing``; its state is replaced whole, and its book outlives it."""

    GOES_FIRST = True

    def __init__(self, symbol: Symbol, context: ClearingContext) -> None:
        super().__init__()
        self.symbol = symbol
        self._context = context
        self._service = context.service(symbol)
        self._core: Clearing | None = None
        self._bypass: Bypass | None = None
        self._timer_ms: int | None = None

    def on_start(self) -> None:
        """Take the preloaded state, or have the writer load it; without any, hold what is in blocks."""
        if self._service.serves is Serves.HOLDS:
            self._bypass = Bypass(self.symbol, self._context.book(self.symbol))
            self._show_service()
            self._carry_out(self._bypass.begin(self._moment()))
            return
        preloaded = self._context.preloaded.pop(self.symbol, None)
        if preloaded is not None:
            self._loaded(preloaded)
            self._show_service()
            return
        self.hold()
        self._writer.tell(LoadClearing(self.symbol, self.actor_ref, self._cell.restarts))

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        if self._bypass is not None:
            self._carry_out(self._bypassed(self._bypass, message))
            return None
        if isinstance(message, ClearingLoaded):
            if message.incarnation == self._cell.restarts and self._core is None:
                if message.state is None:
                    self._service.is_unreadable = True
                    raise StateLost(message.reason)
                self._loaded(message.state)
                self.unhold()
                self._show_service()
            return None
        if isinstance(message, DecisionLost):
            if message.incarnation == self._cell.restarts:
                raise NotDurable(message.reason)
            return None
        if self._core is None:
            # A control message that overtook the load; what it would change is not there yet.
            return None
        self._carry_out(self._decide(self._core, message))
        return None

    def inspect_decided(self) -> ClearingState | None:
        """Its state as of its last decision; None while it is not loaded."""
        return None if self._core is None else self._core.state

    def inspect_state(self) -> Any:
        """What waits, what is under way, and what was done."""
        core = self._core
        return None if core is None else view(core.state, core.book, self._moment())

    def inspect_orders(self) -> dict[Group, tuple[WaitingOrder, ...]]:
        """All orders that wait, each group's in the order in which they go out. Callable from any thread."""
        core = self._core
        return {} if core is None else waiting_orders(core.book, self._moment())

    def inspect_blocks(self) -> tuple[Block, ...]:
        """Blocks that have not ended, with their members. Callable from any thread."""
        core = self._core
        return () if core is None else core.state.live

    def inspect_held(self) -> tuple[WorkingOrder, ...]:
        """Orders of which nobody can say what becomes of them. Callable from any thread."""
        return tuple(list(self._context.book(self.symbol).held.values()))  # noqa: C414 - copied in one step

    @property
    def why_simpler(self) -> str:
        """Why it serves in a simpler way than it should; empty if it does not."""
        return self._service.why

    def _show_service(self) -> None:
        if self._service.why:
            self._cell.status = Status.BYPASSED

    def _bypassed(self, bypass: Bypass, message: Any) -> list[Effect]:
        at = self._moment()
        if not isinstance(message, TimerDue):
            return bypass.on(message, at)
        if message.incarnation != self._cell.restarts:
            return []  # a timer of an earlier incarnation
        self._timer_ms = None
        return bypass.timer(at)

    def _loaded(self, state: ClearingState) -> None:
        context = self._context
        forms = self._service.serves is Serves.BLOCKS
        book = context.book(self.symbol)
        core = Clearing(context.instruments()[self.symbol], context.origin, book, forms=forms)
        effects = core.loaded(state, self._moment())
        self._core = core
        self._carry_out(effects)

    def _decide(self, core: Clearing, message: Any) -> Iterable[Effect]:
        instrument = self._context.instruments().get(self.symbol)
        if instrument is not None:
            core.instrument = instrument  # the exchange's rules may be other ones now
        at = self._moment(message.group.side if isinstance(message, Grant) else None)
        match message:
            case Submit():
                return core.submit(message, at)
            case Durable():
                return core.durable(message.sequence, at)
            case Grant():
                return core.granted(message, at)
            case Resync():
                return core.resync(message)
            case ReplaceStep():
                return core.replace(message, at)
            case OrdersBooked():
                return core.booked(message.client_order_ids)
            case AskFees():
                return core.ask_fees(message)
            case GatewayStarted():
                return core.gateway_started(at)
            case TimerDue():
                if message.incarnation != self._cell.restarts:
                    return ()  # a timer of an earlier incarnation
                self._timer_ms = None
                return core.timer(at)
            case _:
                return _exchange_event(core, message, at)

    def _moment(self, side: Side | None = None) -> Moment:
        """The present moment; with the depth for orders of a side, if blocks are split by it."""
        dispatcher, context = self._cell.dispatcher, self._context
        now_ns, mark, depth = dispatcher.clock.monotonic_ns(), None, None
        tick = context.prices.ticks.get(self.symbol)
        if tick is not None and now_ns - tick.received_ns + tick.delay_ns <= PRICE_MAX_AGE_NS:
            mark = tick.mid
            if side is not None and context.split_at_depth:
                depth = context.split_at_depth * (tick.ask_qty if side is Side.BUY else tick.bid_qty)
        wall_ms = dispatcher.clock.wall_ms()
        return Moment(now_ns // NANOS_PER_MS, wall_ms, mark, depth, dispatcher.is_crowded())

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        gateway = self._context.actors.get("gateway")
        delivered: list[tuple[AccountId, Message]] = []
        for effect in effects:
            match effect:
                case Decide():
                    self._persist(effect)
                case ToGateway():
                    if gateway is not None:
                        gateway.tell(effect.message)
                case Deliver():
                    delivered.append((effect.account_id, effect.message))
                case Again():
                    self._set_timer(effect.at_ms)
                case Alarm():
                    self._context.alarm(effect.text)
        for account_id, message in with_ends(delivered):
            self._deliver(account_id, message)

    def _persist(self, decided: Decide) -> None:
        self._writer.tell(
            PersistFirst(
                stream=clearing_name(self.symbol),
                previous_sequence=decided.previous_sequence,
                facts=decided.facts,
                state=decided.state,
                wall_ms=self._cell.dispatcher.clock.wall_ms(),
                incarnation=self._cell.restarts,
                reply_to=None if decided.reply is None else self.defer_reply(),
                reply=decided.reply,
                cause="" if decided.reply is None else f"history:{decided.reply.exchange_order_id}",
            )
        )

    def _deliver(self, account_id: AccountId, message: Message) -> None:
        ref = self._context.accounts.get(account_id)
        if ref is None or not ref.is_alive():
            self._context.alarm(f"{account_id} is not running, but has {message!r}")
            return
        with suppress(pykka.ActorDeadError):
            ref.tell(message)

    def _set_timer(self, at_ms: int) -> None:
        """One timer at a time, the earliest; the others are wished for again when it fires."""
        if self._timer_ms is not None and self._timer_ms <= at_ms:
            return
        self._timer_ms = at_ms
        wait_ms = max(1, at_ms - self._cell.dispatcher.clock.monotonic_ns() // NANOS_PER_MS)
        due = TimerDue(self._cell.restarts)
        self._cell.dispatcher.after(Nanos(wait_ms * NANOS_PER_MS), self._cell, due)

    @property
    def _writer(self) -> Ref:
        return self._context.actors["writer"]


def _exchange_event(core: Clearing, message: Any, at: Moment) -> Iterable[Effect]:
    """What the gateway says of a block, and of an order that went alone; and the exchange's history of one that was lost."""
    match message:
        case Fill():
            return core.filled(message, at)
        case OrderAccepted():
            return core.accepted(message, at)
        case OrderClosed():
            return core.closed(message, at)
        case FeeKnown():
            return core.fee_known(message, at)
        case OrderDone():
            return core.done(message, at)
        case BookRecovered():
            return core.book_lost(message)
        case _:
            raise TypeError(f"a clearing does not understand {type(message).__name__}")
