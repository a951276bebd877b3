"""The gateway: carries out what ``RecoveringCore`` decides, over a transport."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from actors.core.clearing_messages import (
    GatewayStarted,
    Grant,
    ReplaceStep,
    ReturnSlot,
    Want,
    clearing_name,
    is_clearing,
)
from actors.core.enums import OrderClass
from actors.core.messages import Message, with_ends
from actors.core.order_messages import AskFees, Recover, Resync, Submit
from actors.core.orders import WorkingOrder
from actors.core.records import Recovery
from actors.core.safe_copy import keys
from actors.core.units import NANOS_PER_MS, AccountId, Nanos
from actors.gateway.budget import OrderBudget
from actors.gateway.fees import FeeQuestions
from actors.gateway.fleets import Fleets
from actors.gateway.messages import (
    Answered,
    ClockLost,
    ClockMeasured,
    HistoryListed,
    LimitsLearned,
    MasterChanged,
    MasterWarned,
    Outcome,
    Reported,
    RequestWeight,
    Surveyed,
    TimerFired,
    Traded,
    Unreadable,
    UserStreamConnected,
    UserStreamDown,
)
from actors.gateway.orders import (
    Alarm,
    Deliver,
    Effect,
    History,
    RenewStream,
    Request,
    Survey,
    ToClearing,
    Tracked,
)
from actors.gateway.port import Transport
from actors.gateway.recovery import RecoveringCore
from actors.gateway.slots import SlotCounts
from actors.gateway.stream import StreamState
from actors.gateway.waiting import WaitingList
from actors.runtime.actor import DispatchedActor, Ref
from actors.supervision.gate import TradingGate

log = structlog.get_logger("gateway")

TIMER_EVERY = Nanos(100 * NANOS_PER_MS)

CLOCK_MOVED_MS = 500
"""An alarm is raised when the exchange's clock was further than this from what we believed."""


class GatewayStatus(msgspec.Struct, frozen=True):
    """What an operator sees of the gateway. ``lost`` counts orders whose answer left their fate unknown."""

    tracked: int
    queued: int
    in_flight: int
    unknown: tuple[str, ...]
    sent: int
    lost: int
    duplicates: int
    foreign: int = msgspec.field(name="strangers")
    room_liquidations: int
    room_reducing: int
    room_new_risk: int
    paused_until_ms: int
    waiting: WaitingList
    slots: SlotCounts
    stream: StreamState
    stream_reason: str
    clock_lost: str
    fleet: str
    start: str
    other_fleets: tuple[str, ...]
    weight: RequestWeight | None
    orders_go_by: str


class Gateway(DispatchedActor):
    """See the module.

    Args:
        transport: live, or the paper exchange in-process for replay.
        accounts: refs by account id.
        gate: says whether this process may still send orders.
        fleets: our own and the others seen; outlives a crash of this actor.
        budget: what may be sent when; outlives it too, for the exchange goes on counting.
        on_alarm: where alarms go, and are logged; without it they are logged here.
        actors: refs of the engine's own actors by name, the symbols' clearing among them.
        kept_elsewhere: whether only its symbol's clearing knows what becomes of an order, which must not be queried.
    """

    GOES_FIRST = True

    def __init__(  # noqa: PLR0913 - its neighbours, and what outlives it
        self,
        transport: Transport,
        accounts: Mapping[AccountId, Ref],
        gate: TradingGate,
        fleets: Fleets,
        budget: OrderBudget,
        on_alarm: Callable[[str], None] | None = None,
        actors: Mapping[str, Ref] = MappingProxyType({}),
        kept_elsewhere: Callable[[WorkingOrder], bool] = lambda _order: False,
    ) -> None:
        super().__init__()
        self._gate = gate
        self._transport = transport
        self._accounts = accounts
        self._on_alarm = on_alarm
        self._actors = actors
        self._kept_elsewhere = kept_elsewhere
        self._core = RecoveringCore(budget, transport.rules, fleets)
        self._fees = FeeQuestions()

    def on_start(self) -> None:
        """Begin to send and to listen; what an earlier life granted and was asked for is forgotten."""
        self._core.budget.slots.take_back_all()
        for name in keys(self._actors):
            if is_clearing(name):
                self._actors[name].tell(GatewayStarted())
        self._transport.start(self.actor_ref)
        self._set_timer()

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        core, now_ms = self._core, self._now_ms()
        match message:
            case Submit():
                effects = core.submit(message, now_ms)
            case Answered():
                effects = core.answered(message, now_ms)
            case Reported():
                effects = core.reported(message.report, now_ms)
            case Traded(request="fees"):
                effects = self._fees.answered(message, now_ms)
            case Traded():
                effects = core.traded(message, now_ms)
            case AskFees():
                effects = self._fees.queue(message, now_ms)
            case Want() | ReturnSlot() | ReplaceStep():
                effects = self._on_what_waits(message, now_ms)
            case Resync():
                effects = core.resync(_tracked(message.order), now_ms)
            case Recover():
                effects = self._recover(message.recovery, now_ms)
            case Surveyed() | HistoryListed():
                effects = self._listed(message, now_ms)
            case TimerFired():
                effects = self._timer_fired(message.incarnation, now_ms)
            case _:
                effects = self._on_exchange_state(message, now_ms)
        self._carry_out(effects)
        self._update_gate()

    def _recover(self, recovery: Recovery, now_ms: int) -> list[Effect]:
        """Orders of an earlier life: what a clearing keeps, which outlived it, was not sent or is not known by its own id."""
        self._core.budget.count_used(recovery.recent, now_ms)
        working = [o for o in recovery.working if not self._kept_elsewhere(o)]
        return self._core.resume_orders(map(_tracked, working), now_ms)

    def _listed(self, message: Surveyed | HistoryListed, now_ms: int) -> list[Effect]:
        """Many orders at once: all that are open, or a symbol's since some time."""
        if isinstance(message, Surveyed):
            return self._core.surveyed(message, now_ms)
        return self._core.history_listed(message, now_ms)

    def _on_what_waits(self, message: Want | ReturnSlot | ReplaceStep, now_ms: int) -> list[Effect]:
        """News of what has not been sent yet."""
        match message:
            case Want():
                return self._core.want(message, now_ms)
            case ReturnSlot():
                return self._core.slot_returned(message.slot, now_ms)
            case ReplaceStep():
                return self._core.replace_step(message, now_ms)

    def _on_exchange_state(self, message: Any, now_ms: int) -> list[Effect]:
        """News of the exchange itself, of the master account, of the user stream and of the time."""
        core = self._core
        match message:
            case LimitsLearned():
                core.budget.set_limits(message.orders_per_10s, message.orders_per_minute)
                return []
            case UserStreamConnected():
                return core.connected(now_ms)
            case UserStreamDown():
                return core.disconnected(message.reason)
            case Unreadable():
                return core.unreadable(message.text, now_ms)
            case MasterChanged():
                return core.master_changed(message)
            case MasterWarned():
                return [Alarm(message.text)]
            case ClockLost():
                return self._clock_lost(message.reason)
            case ClockMeasured():
                return self._clock_measured(message.moved_ms)
            case _:
                raise TypeError(f"the gateway does not understand {type(message).__name__}")

    def inspect_state(self) -> Any:
        """Counts, budget and unknown orders."""
        core, now_ms = self._core, self._monotonic_ms()
        return GatewayStatus(
            tracked=len(core.tracked),
            queued=core.queued,
            in_flight=core.budget.under_way,
            unknown=tuple(core.unknown[:100]),
            sent=core.send_policy.sent,
            lost=core.lost,
            duplicates=core.duplicates,
            foreign=core.foreign,
            room_liquidations=core.budget.room(now_ms, OrderClass.LIQUIDATION),
            room_reducing=core.budget.room(now_ms, OrderClass.REDUCING),
            room_new_risk=core.budget.room(now_ms, OrderClass.NEW_RISK),
            paused_until_ms=core.budget.paused_until_ms,
            waiting=core.send_policy.waiting(core.tracked, now_ms, core.wall_ahead_ms),
            slots=core.budget.slots.counts(),
            stream=core.proof.state,
            stream_reason=core.proof.reason,
            clock_lost=core.send_policy.clock_lost,
            fleet=core.fleets.origin.fleet,
            start=core.fleets.origin.start,
            other_fleets=keys(core.fleets.others),
            weight=self._transport.weight(),
            orders_go_by=self._transport.orders_go_by(),
        )

    def _now_ms(self) -> int:
        """The gateway's own time, which never goes back; and how far the other clocks are ahead of it."""
        now_ms = self._monotonic_ms()
        self._core.venue_ahead_ms = self._transport.now_ms() - now_ms
        self._core.wall_ahead_ms = self._cell.dispatcher.clock.wall_ms() - now_ms
        return now_ms

    def _monotonic_ms(self) -> int:
        return self._cell.dispatcher.clock.monotonic_ns() // NANOS_PER_MS

    def _clock_lost(self, reason: str) -> list[Effect]:
        if self._core.send_policy.clock_lost:
            return []
        self._core.send_policy.clock_lost = reason
        return [Alarm(f"nothing is sent until the exchange's clock is measured: {reason}")]

    def _clock_measured(self, moved_ms: int) -> list[Effect]:
        was_lost, self._core.send_policy.clock_lost = self._core.send_policy.clock_lost, ""
        if was_lost or abs(moved_ms) > CLOCK_MOVED_MS:
            return [
                Alarm(f"the exchange's clock is measured again; it was {moved_ms} ms from what was believed")
            ]
        return []

    def _update_gate(self) -> None:
        """New risk only while the exchange's time is known and the stream that reports fills is not down."""
        core = self._core
        (self._gate.close if core.send_policy.clock_lost else self._gate.open)("exchange clock")
        down = core.proof.state is StreamState.DOWN
        (self._gate.close if down else self._gate.open)("user stream")

    def _timer_fired(self, incarnation: int, now_ms: int) -> list[Effect]:
        if incarnation != self._cell.restarts:
            return []  # a timer of an earlier incarnation
        self._set_timer()
        return self._core.check_orders(now_ms)

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        delivered: list[tuple[AccountId, Message]] = []
        for effect in effects:
            match effect:
                case Request():
                    self._request(effect)
                case Survey():
                    self._transport.survey(effect.asked_ms)
                case History():
                    self._transport.history(effect.symbol, effect.since_ms, effect.asked_ms)
                case RenewStream():
                    self._transport.renew_stream()
                case Deliver():
                    if is_clearing(effect.account_id):
                        self._tell_owner(effect.account_id, effect.message)
                    else:
                        delivered.append((effect.account_id, effect.message))
                case ToClearing():
                    self._tell_clearing(effect)
                case Alarm():
                    self._alarm(effect.text)
                    if effect.closes:
                        self._gate.close(effect.closes)
        for account_id, message in with_ends(delivered):
            self._tell_owner(account_id, message)

    def _tell_owner(self, owner: AccountId, message: Message) -> None:
        ref = self._accounts.get(owner) or self._actors.get(owner)
        if ref is None or not ref.is_alive():
            self._alarm(f"{owner} is not running, but has {message!r}")
        else:
            ref.tell(message)

    def _tell_clearing(self, effect: ToClearing) -> None:
        ref = self._actors.get(clearing_name(effect.symbol))
        if ref is not None and ref.is_alive():
            ref.tell(effect.message)
        elif isinstance(effect.message, Grant):
            # It said what it wants, and stopped since.
            self.actor_ref.tell(ReturnSlot(effect.symbol, effect.message.slot))

    def _request(self, request: Request) -> None:
        if request.kind != "place" or self._gate.may_send(self._cell.dispatcher.clock.monotonic_ns()):
            self._transport.request(request)
            return
        text = "the lease on the database has run out"
        self.actor_ref.tell(
            Answered(
                request="place",
                client_order_id=request.client_order_id,
                outcome=Outcome.NOT_SENT,
                text=text,
            )
        )

    def _alarm(self, text: str) -> None:
        if self._on_alarm is None:
            log.warning("alarm", text=text)
        else:
            self._on_alarm(text)  # which logs it

    def _set_timer(self) -> None:
        self._cell.dispatcher.after(TIMER_EVERY, self._cell, TimerFired(self._cell.restarts))


def _tracked(known: WorkingOrder) -> Tracked:
    """An order as its account or the database knows it, which the gateway takes over."""
    return Tracked(
        order=known.intent,
        exchange_order_id=known.exchange_order_id,
        executed=known.filled,
        delivered=known.filled,
        trade_ids=set(known.trade_ids),
        acceptance_delivered=known.exchange_order_id is not None,
        cancel_wanted=known.cancel_requested,
    )
