"""What people and platforms are told of an account: one vocabulary for drop copy, Redis stream and audit. Pure.

Rules
1. An event is made of one fact of one row of the journal, so only what is durable has one, and it is always made the same.
2. Its id is ``POSITION-PART``: the row's position in the journal, and the number of the fact in the row, from 0. No
   release numbers them otherwise, a fact that says nothing to anybody outside keeps its number, and ids grow.
3. A kind that has several actions says which in ``action``. Fields are only added.
4. Amounts are text, without exponent; times are Unix milliseconds; what is not known, or does not apply, is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol, assert_never, cast

from actors.core.clearing_facts import ClearingFact, LostOrderBooked
from actors.core.clearing_messages import is_clearing
from actors.core.durability import StreamFacts
from actors.core.enums import Purpose
from actors.core.errors import BadInput
from actors.core.facts import (
    AccountAdopted,
    AccountCarried,
    AccountFact,
    AccountOpened,
    AdoptionUndone,
    AnyFact,
    BadDebtRecorded,
    BalanceAdjusted,
    BreakerChanged,
    CancelIntended,
    CloseOutBegan,
    CloseOutEnded,
    ConditionalDue,
    ConditionalEnded,
    ConditionalFact,
    ConditionalPlaced,
    DayBegan,
    DayEnded,
    DayStopped,
    FillApplied,
    FirstFact,
    FundingPaid,
    LimitsBelowChanged,
    LimitsChanged,
    MaintenanceRateChanged,
    ModeChanged,
    MoneyFact,
    OrderAcknowledged,
    OrderEnded,
    OrderFact,
    OrderIntended,
    PhaseChanged,
    PositionAlerted,
    PositionClosed,
    PositionFact,
    PositionTakenOver,
    RiskFact,
    StatusChanged,
    TrailMoved,
)
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.order_tags import TAGS
from actors.core.units import ZERO, AccountId

POSITION_MAX = 2**63 - 1
"""What a position of the journal can be at most: Postgres's bigint."""


class EventKind(StrEnum):
    """Kinds of events, as they are spoken."""

    ORDER = "ORDER"
    ORDER_ACKNOWLEDGED = "ORDER_ACKNOWLEDGED"
    FILL = "FILL"
    ORDER_ENDED = "ORDER_ENDED"
    CANCEL = "CANCEL"
    CONDITIONAL = "CONDITIONAL"
    POSITION_CLOSED = "POSITION_CLOSED"
    LIQUIDATION = "LIQUIDATION"
    BREACH = "BREACH"
    BALANCE = "BALANCE"
    FUNDING = "FUNDING"
    FEE = "FEE"
    LIMITS = "LIMITS"
    STATUS = "STATUS"
    CLOSE_OUT = "CLOSE_OUT"
    HOUSE = "HOUSE"
    """The house took something that was no account's."""
    UNREADABLE = "UNREADABLE"
    """A row of the journal that this release cannot read; ``fault`` says why."""


Field = str | int | None
"""The value of a field; a bool is one of them."""

Fields = Mapping[str, Field]

Told = tuple[EventKind, Fields]


class EventId(NamedTuple):
    """Where an event stands; they compare as their order is."""

    position: int
    part: int

    def __str__(self) -> str:
        return f"{self.position}-{self.part}"


ALL_PARTS = POSITION_MAX
"""Stands for the last part of a row when an id is a place to go on from: the whole row was read."""


class Event(NamedTuple):
    """Something that happened to an account, as it is told outside."""

    id: EventId
    account: AccountId
    wall_ms: int
    cause: str
    kind: EventKind
    fields: Fields

    @property
    def position(self) -> int:
        """Of its row in the journal."""
        return self.id.position

    def flat(self) -> dict[str, Field]:
        """All of it in one level, as JSON has it."""
        return {
            "id": str(self.id),
            "position": self.id.position,
            "account": self.account,
            "wall_ms": self.wall_ms,
            "cause": self.cause,
            "kind": self.kind.value,
            **self.fields,
        }


class Row(Protocol):
    """A decoded row of the journal, as ``persistence.tail.Decided`` is. One with a ``fault`` has no facts."""

    @property
    def position(self) -> int:
        """In the journal, from 1."""

    @property
    def stream(self) -> str:
        """Who decided."""

    @property
    def wall_ms(self) -> int:
        """When, in Unix milliseconds."""

    @property
    def cause(self) -> str:
        """Why."""

    @property
    def facts(self) -> StreamFacts:
        """What."""

    @property
    def fault(self) -> str:
        """Why the row cannot be read; empty for nearly all."""


def events_of(row: Row) -> tuple[Event, ...]:
    """The events of one row, in order. A clearing's facts are no account's: only what the house has by them makes an event."""
    if is_clearing(row.stream):
        return _of_clearing(row)
    account = AccountId(row.stream)
    if row.fault:
        id_ = EventId(row.position, 0)
        return (Event(id_, account, row.wall_ms, row.cause, EventKind.UNREADABLE, {"fault": row.fault}),)
    found: list[Event] = []
    for part, fact in enumerate(cast("tuple[AnyFact, ...]", row.facts)):
        kind, fields = _told(fact)
        found.append(Event(EventId(row.position, part), account, row.wall_ms, row.cause, kind, fields))
    return tuple(found)


def _of_clearing(row: Row) -> tuple[Event, ...]:
    stream = AccountId(row.stream)
    facts = enumerate(cast("tuple[ClearingFact, ...]", row.facts))
    return tuple(
        Event(EventId(row.position, part), stream, row.wall_ms, row.cause, EventKind.HOUSE, _lost(fact))
        for part, fact in facts
        if isinstance(fact, LostOrderBooked)
    )


def _lost(fact: LostOrderBooked) -> Fields:
    return {
        "action": "LOST_ORDER",
        "client_order_id": fact.client_order_id,
        "exchange_order_id": fact.exchange_order_id,
        "symbol": fact.symbol,
        "side": fact.side.value,
        "quantity": _amount(fact.executed),
        "value": _amount(sum((trade.value for trade in fact.trades), ZERO)),
        "trades": len(fact.trades),
        "placed_ms": fact.placed_ms,
    }


def event_id(text: str) -> EventId:
    """The place that a text names: ``POSITION`` (behind that whole row) or ``POSITION-PART`` (behind that event).

    Raises:
        BadInput: it names none; says what would.
    """
    first, dash, second = text.partition("-")
    position = _number(first)
    part = _number(second) if dash else ALL_PARTS
    if position is None or part is None:
        raise BadInput(
            f"{text[:80]!r} is no place in the journal; give the id of the last event that was read, for example 4711-0, "
            "or a position, for example 4711; 0 is the begin"
        )
    return EventId(position, part)


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(POSITION_MAX))):
        return None
    value = int(text)
    return value if value <= POSITION_MAX else None


def _told(fact: AnyFact) -> Told:
    if isinstance(fact, OrderFact):
        return _of_order(fact)
    if isinstance(fact, ConditionalFact):
        return _of_conditional(fact)
    if isinstance(fact, RiskFact):
        return _of_risk(fact)
    if isinstance(fact, MoneyFact):
        return _of_money(fact)
    if isinstance(fact, PositionFact):
        return _of_position(fact)
    if isinstance(fact, AccountFact):
        return _of_account(fact)
    if isinstance(fact, FirstFact):
        return _of_first(fact)
    assert_never(fact)


def _of_order(fact: OrderFact) -> Told:
    match fact:
        case OrderIntended():
            return _intended(fact)
        case CancelIntended():
            return EventKind.CANCEL, {"client_order_id": fact.client_order_id, "symbol": fact.symbol}
        case OrderAcknowledged():
            return EventKind.ORDER_ACKNOWLEDGED, {
                "client_order_id": fact.client_order_id,
                "exchange_order_id": fact.exchange_order_id,
            }
        case FillApplied():
            return EventKind.FILL, _fill(fact)
        case OrderEnded():
            return EventKind.ORDER_ENDED, {
                "client_order_id": fact.client_order_id,
                "status": fact.status.value,
                "code": fact.code,
                "reason": fact.reason,
            }
        case _:
            assert_never(fact)


def _intended(fact: OrderIntended) -> Told:
    order: Fields = {
        "client_order_id": fact.client_order_id,
        "symbol": fact.symbol,
        "side": fact.side.value,
        "type": fact.order_type.value,
        "quantity": _amount(fact.quantity),
        "price": _optional(fact.price),
        "time_in_force": fact.time_in_force.value,
        "reduce_only": fact.reduce_only,
        "leverage": _amount(fact.leverage),
        "purpose": fact.purpose.value,
        "tier": fact.tier,
        "decided_ms": fact.decided_ms,
        "conditional_id": fact.conditional_id,
        "attempt": fact.attempt,
        **{tag: getattr(fact, tag) for tag in TAGS},
    }
    match fact.purpose:
        case Purpose.USER | Purpose.CLOSE_OUT:
            return EventKind.ORDER, order
        case Purpose.ADL | Purpose.LIQUIDATION:
            return EventKind.LIQUIDATION, {"action": "ORDER", **order}
        case _:
            assert_never(fact.purpose)


def _fill(fact: FillApplied) -> Fields:
    trade, taken = fact.trade, fact.commission
    return {
        "client_order_id": fact.client_order_id,
        "exchange_order_id": trade.exchange_order_id,
        "trade_id": trade.trade_id,
        "symbol": trade.symbol,
        "side": trade.side.value,
        "quantity": _amount(trade.quantity),
        "price": _amount(trade.price),
        "quote_quantity": _optional(trade.quote_quantity),
        "maker": trade.maker,
        "trade_ms": trade.trade_ms,
        "fee": _amount(fact.fee),
        "fee_asset": (taken.asset or None) if taken else None,
        "fee_amount": _optional(taken.amount) if taken else None,
        "fee_rate": _optional(taken.rate) if taken else None,
        "closed_quantity": _amount(fact.closed_quantity),
        "realized": _amount(fact.realized),
        "purpose": fact.purpose.value,
        "tier": fact.tier,
        "type": fact.order_type.value,
    }


def _of_conditional(fact: ConditionalFact) -> Told:
    fields: Fields
    match fact:
        case ConditionalPlaced():
            fields = {
                "action": "PLACED",
                "type": fact.kind.value,
                "symbol": fact.symbol,
                "side": fact.side.value,
                "quantity": _amount(fact.quantity),
                "trigger_price": _optional(fact.trigger_price),
                "callback_rate": _optional(fact.callback_rate),
                "activation_price": _optional(fact.activation_price),
                "reduce_only": fact.reduce_only,
                "leverage": _amount(fact.leverage),
                "decided_ms": fact.decided_ms,
                "attempt": fact.attempt,
                **{tag: getattr(fact, tag) for tag in TAGS},
            }
        case TrailMoved():
            fields = {"action": "TRAIL_MOVED", "extreme": _amount(fact.extreme)}
        case ConditionalDue():
            fields = {"action": "DUE"}
        case ConditionalEnded():
            fields = {
                "action": "ENDED",
                "status": fact.status.value,
                "reason": fact.reason,
                "order_id": fact.order_id,
            }
        case _:
            assert_never(fact)
    return EventKind.CONDITIONAL, {"client_order_id": fact.client_order_id, **fields}


def _of_risk(fact: RiskFact) -> Told:
    match fact:
        case DayBegan():
            return EventKind.STATUS, {
                "action": "DAY_BEGAN",
                "start_ms": fact.start_ms,
                "equity": _amount(fact.equity),
            }
        case DayEnded():
            return EventKind.STATUS, {"action": "DAY_ENDED"}
        case DayStopped():
            return EventKind.BREACH, {
                "action": "DAY_STOPPED",
                "value": _amount(fact.loss),
                "limit": _amount(fact.limit),
            }
        case BreakerChanged():
            return EventKind.BREACH, {
                "action": "BREAKER",
                "breaker": fact.breaker.value,
                "reason": fact.reason,
                "until_ms": fact.until_ms,
                "by_hand": fact.by_hand,
            }
        case CloseOutBegan():
            return EventKind.CLOSE_OUT, {"action": "BEGAN", "reason": fact.reason, "scope": fact.scope.name}
        case CloseOutEnded():
            return EventKind.CLOSE_OUT, {"action": "ENDED"}
        case _:
            assert_never(fact)


def _of_money(fact: MoneyFact) -> Told:
    match fact:
        case BalanceAdjusted():
            return EventKind.BALANCE, {
                "action": "ADJUSTED",
                "amount": _amount(fact.amount),
                "reason": fact.reason,
            }
        case BadDebtRecorded():
            return EventKind.BALANCE, {"action": "BAD_DEBT", "amount": _amount(fact.amount)}
        case FundingPaid():
            return EventKind.FUNDING, {
                "symbol": fact.symbol,
                "rate": _amount(fact.rate),
                "mark": _amount(fact.mark),
                "amount": _amount(fact.amount),
                "funding_ms": fact.funding_ms,
                "quantity": _amount(fact.quantity),
                "position_id": fact.position_id,
            }
        case FeeLearned():
            return EventKind.FEE, {
                "action": "LEARNED",
                "symbol": fact.symbol,
                "trade_id": fact.trade_id,
                "fee_asset": fact.asset,
                "fee_amount": _amount(fact.amount),
            }
        case FeeBooked():
            fee = fact.pending
            return EventKind.FEE, {
                "action": "BOOKED",
                "symbol": fee.symbol,
                "trade_id": fee.trade_id,
                "client_order_id": fee.client_order_id,
                "fee_asset": fee.asset or None,
                "fee_amount": _optional(fee.amount),
                "fee_rate": _amount(fact.rate),
                "fee_rate_ms": fact.rate_ms,
                "fee": _amount(fact.fee),
            }
        case _:
            assert_never(fact)


def _of_position(fact: PositionFact) -> Told:
    match fact:
        case PositionTakenOver():
            return EventKind.LIQUIDATION, {
                "action": "TAKEN_OVER",
                "symbol": fact.symbol,
                "quantity": _amount(fact.quantity),
                "price": _amount(fact.price),
                "realized": _amount(fact.realized),
                "fee": _amount(fact.fee),
                "taken_ms": fact.taken_ms,
            }
        case PositionClosed():
            return EventKind.POSITION_CLOSED, {
                "position_id": fact.position_id,
                "symbol": fact.symbol,
                "quantity": _amount(fact.quantity),
                "entry_price": _amount(fact.entry_price),
                "realized": _amount(fact.realized),
                "fees": _amount(fact.fees),
                "funding": _amount(fact.funding),
                "mae": _amount(fact.mae),
                "mfe": _amount(fact.mfe),
                "strategy": fact.strategy,
                "purpose": fact.purpose.value,
                "opened_ms": fact.opened_ms,
                "closed_ms": fact.closed_ms,
            }
        case PositionAlerted():
            return EventKind.BREACH, {
                "action": "POSITION",
                "symbol": fact.symbol,
                "alert": fact.alert.value,
                "value": _amount(fact.value),
                "limit": _amount(fact.limit),
            }
        case _:
            assert_never(fact)


def _of_account(fact: AccountFact) -> Told:
    match fact:
        case PhaseChanged():
            return EventKind.BREACH, {
                "action": "PHASE",
                "phase": fact.phase.value,
                "refusals": fact.refusals,
                "retry_at_ms": fact.retry_at_ms,
            }
        case StatusChanged():
            return EventKind.STATUS, {"action": "STATUS", "status": fact.status.value}
        case ModeChanged():
            return EventKind.STATUS, {"action": "MODE", "mode": fact.mode.value}
        case LimitsChanged():
            return EventKind.LIMITS, {"action": "OWN", **{f"limit.{n}": value for n, value in fact.changes}}
        case LimitsBelowChanged():
            return EventKind.LIMITS, {"action": "BELOW", **{f"limit.{n}": value for n, value in fact.below}}
        case MaintenanceRateChanged():
            return EventKind.LIMITS, {"action": "MAINTENANCE_RATE", "rate": _amount(fact.rate)}
        case AdoptionUndone():
            return EventKind.STATUS, {"action": "ADOPTION_UNDONE", "balance": _amount(fact.balance)}
        case _:
            assert_never(fact)


def _of_first(fact: FirstFact) -> Told:
    match fact:
        case AccountOpened():
            return EventKind.STATUS, {
                "action": "OPENED",
                "mode": fact.mode.value,
                "rate": _amount(fact.maintenance_rate),
                **{f"limit.{name}": value for name, value in fact.below},
            }
        case AccountCarried():
            return EventKind.STATUS, {"action": "CARRIED", "version": fact.version}
        case AccountAdopted():
            return EventKind.STATUS, {
                "action": "ADOPTED",
                "status": fact.status.value,
                "mode": fact.mode.value,
                "rate": _amount(fact.maintenance_rate),
                "balance": _amount(fact.balance),
                **{f"position.{held.symbol}": _amount(held.quantity) for held in fact.positions},
                **{f"limit.{name}": value for name, value in fact.below},
            }
        case _:
            assert_never(fact)


def _amount(value: Decimal) -> str:
    return format(value, "f")


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
