"""One line of a history, made of one fact. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never, get_args

from msgspec.structs import replace

from actors.core.enums import ConditionalStatus, OrderStatus, Purpose
from actors.core.errors import BadInput
from actors.core.facts import (
    AccountAdopted,
    AccountCarried,
    AccountOpened,
    AdoptionUndone,
    AnyFact,
    BadDebtRecorded,
    BalanceAdjusted,
    CancelIntended,
    ConditionalDue,
    ConditionalEnded,
    ConditionalPlaced,
    FillApplied,
    FundingPaid,
    LimitsBelowChanged,
    LimitsChanged,
    MaintenanceRateChanged,
    ModeChanged,
    OrderAcknowledged,
    OrderEnded,
    OrderIntended,
    PhaseChanged,
    PositionAlerted,
    PositionClosed,
    PositionTakenOver,
    RiskFact,
    StatusChanged,
    TrailMoved,
)
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.names import shown
from actors.core.order_tags import TAGS, OrderTags
from actors.core.orders import end_text
from actors.core.units import plain
from actors.subaccount.alert_kinds import alert_of, text_of
from actors.subaccount.alerts import texts_of
from actors.subaccount.income import entries

MARGIN_INSUFFICIENT = -2019
"""Binance's code for an order that the master account has not the margin for."""

NO_MARGIN = " margin, available "
"""Words of our own check of an order's margin; a conditional order's end keeps them, and no code."""


class HistoryKind(StrEnum):
    """What a line is of."""

    ORDER = "ORDER"
    """An order was decided, or one that waits for a price; with what became of it since."""
    REFUSED = "REFUSED"
    """The exchange refused an order or ended it by itself, or a waiting order was refused when its price came."""
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    """The same for want of money or margin; whoever asks for REFUSED gets these too."""
    FILL = "FILL"
    CLOSE = "CLOSE"
    """A position is gone."""
    LIQUIDATION = "LIQUIDATION"
    """A step of a liquidation, its phases, and what the house took over."""
    FUNDING = "FUNDING"
    BALANCE = "BALANCE"
    """A deposit, a withdrawal, bad debt, a fee that was booked after its trade, the begin of an account."""
    UNREADABLE = "UNREADABLE"
    """A row of the journal that this release cannot read."""


class Record(OrderTags, frozen=True, kw_only=True):
    """One line; an order has what its owner said of it. Times in Unix milliseconds, money in quote asset unless ``fee_asset`` says otherwise.

    ``id`` is its place, position in the journal and number in the decision. ``amount`` is what it did to the balance.
    ``end`` is what became of an order, or why it was refused; ``text`` says what no other field does.
    """

    id: str
    at_ms: int
    account_id: str
    kind: HistoryKind
    symbol: str = ""
    side: str = ""
    order_type: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    realized: Decimal | None = None
    fee: Decimal | None = None
    fee_asset: str = ""
    purpose: str = ""
    status: str = ""
    end: str = ""
    text: str = ""
    client_order_id: str = ""
    trade_id: int | None = None
    cause: str = ""

    @classmethod
    def unreadable(cls, position: int, account_id: str, at_ms: int, cause: str, text: str) -> Record:
        """The line of a row that cannot be read."""
        return cls(
            id=f"{position}-0",
            at_ms=at_ms,
            account_id=account_id,
            kind=HistoryKind.UNREADABLE,
            cause=cause,
            text=text,
        )

    @property
    def part(self) -> int:
        """Its number in the decision."""
        return int(self.id.partition("-")[2])

    @property
    def kinds(self) -> frozenset[HistoryKind]:
        """All kinds that it is found by."""
        return _ALSO.get(self.kind) or frozenset({self.kind})

    @property
    def needs_order(self) -> bool:
        """Whether the row of its order says more."""
        return self.kind in _OF_ORDERS and bool(self.client_order_id)

    def with_order(self, row: Mapping[str, Any]) -> Record:
        """With what the row of its order says: what it was, and, of one that was decided, what became of it."""
        what = {n: row[n] for n in ("symbol", "side", "order_type", "quantity", "price", "purpose")}
        if self.kind in REFUSALS:
            return replace(self, **what)
        end = end_text(row["status"], row["end_code"], row["end_reason"])
        return replace(self, **what, status=row["status"], end=end if end != row["status"] else "")


REFUSALS = frozenset({HistoryKind.REFUSED, HistoryKind.INSUFFICIENT_BALANCE})
_OF_ORDERS = REFUSALS | {HistoryKind.ORDER, HistoryKind.LIQUIDATION}
_ALSO = {HistoryKind.INSUFFICIENT_BALANCE: REFUSALS}

UntoldFact = (
    CancelIntended | OrderAcknowledged | TrailMoved | ConditionalDue | RiskFact | FeeLearned | PositionAlerted
    | StatusChanged | LimitsChanged | LimitsBelowChanged | MaintenanceRateChanged | ModeChanged
)  # fmt: skip
"""Those that are no line by themselves; some are alerts."""

BalanceFact = (
    BalanceAdjusted | BadDebtRecorded | FeeBooked | AccountOpened | AccountCarried | AccountAdopted | AdoptionUndone
)  # fmt: skip

_FACTS: Mapping[HistoryKind, tuple[type[AnyFact], ...]] = {
    HistoryKind.ORDER: (OrderIntended, ConditionalPlaced),
    HistoryKind.REFUSED: (OrderEnded, ConditionalEnded),
    HistoryKind.INSUFFICIENT_BALANCE: (OrderEnded, ConditionalEnded),
    HistoryKind.FILL: (FillApplied,),
    HistoryKind.CLOSE: (PositionClosed,),
    HistoryKind.LIQUIDATION: (OrderIntended, PhaseChanged, PositionTakenOver),
    HistoryKind.FUNDING: (FundingPaid,),
    HistoryKind.BALANCE: get_args(BalanceFact),
    HistoryKind.UNREADABLE: (),
}
"""Which facts make lines of a kind."""


def kinds_of(texts: Iterable[str]) -> frozenset[HistoryKind]:
    """Kinds by name, as people type them.

    Raises:
        BadInput: there is no such kind; names those that there are.
    """
    found = set()
    for text in texts:
        name = text.upper().replace("-", "_")
        if name not in _KINDS_BY_NAME:
            raise BadInput(f"kind: there is no {shown(text)}; there are {', '.join(HistoryKind)}")
        found.add(HistoryKind(name))
    return frozenset(found)


_KINDS_BY_NAME = frozenset(HistoryKind)


def facts_of(kinds: Collection[HistoryKind]) -> list[str]:
    """The names of the facts that make lines of these kinds, of all where there are none."""
    wanted = kinds or frozenset(HistoryKind)
    return sorted({fact.__name__ for kind in wanted for fact in _FACTS[kind]})


def records_of(
    position: int, account_id: str, at_ms: int, cause: str, facts: Sequence[AnyFact]
) -> list[Record]:
    """The lines of one decision, in its order."""
    said = texts_of(facts)
    found = []
    for number, fact in enumerate(facts):
        values = _values(fact, said[number])
        if values is not None:
            id_ = f"{position}-{number}"
            found.append(Record(id=id_, at_ms=at_ms, account_id=account_id, cause=cause, **values))
    return found


def _values(fact: AnyFact, said: str) -> dict[str, Any] | None:
    """What a fact says in a history; None for most."""
    match fact:
        case OrderIntended():
            return _of_order(fact)
        case ConditionalPlaced():
            return _of_conditional(fact)
        case OrderEnded():
            return _of_end(fact)
        case ConditionalEnded():
            return _of_conditional_end(fact)
        case FillApplied():
            return _of_fill(fact)
        case PositionClosed():
            return {
                "kind": HistoryKind.CLOSE, "symbol": fact.symbol, "quantity": fact.quantity, "price": fact.entry_price,
                "realized": fact.realized, "fee": fact.fees, "purpose": fact.purpose.value,
                "text": f"net {plain(fact.net)}, funding {plain(fact.funding)}",
            }  # fmt: skip
        case PositionTakenOver():
            return {
                "kind": HistoryKind.LIQUIDATION, "symbol": fact.symbol, "quantity": fact.quantity, "price": fact.price,
                "realized": fact.realized, "fee": fact.fee, "amount": fact.realized - fact.fee, "text": text_of(fact, said),
            }  # fmt: skip
        case PhaseChanged():
            is_news = alert_of(fact) is not None
            return {"kind": HistoryKind.LIQUIDATION, "text": text_of(fact, said)} if is_news else None
        case FundingPaid():
            return {
                "kind": HistoryKind.FUNDING, "symbol": fact.symbol, "quantity": fact.quantity, "price": fact.mark,
                "amount": fact.amount, "text": f"rate {plain(fact.rate)}",
            }  # fmt: skip
        case (
            BalanceAdjusted()
            | BadDebtRecorded()
            | FeeBooked()
            | AccountOpened()
            | AccountCarried()
            | AccountAdopted()
            | AdoptionUndone()
        ):
            return _of_balance(fact)
        case _ if isinstance(fact, UntoldFact):
            return None
        case _:
            assert_never(fact)


def _of_balance(fact: BalanceFact) -> dict[str, Any]:
    """Its amount is that of its entry in the ledger, and none where it has none."""
    entry = next(iter(entries([fact])), None)
    found = {"kind": HistoryKind.BALANCE, "amount": None if entry is None else entry.amount}
    match fact:
        case BalanceAdjusted():
            return {**found, "text": fact.reason}
        case BadDebtRecorded():
            return {**found, "text": "bad debt: the house bears it"}
        case FeeBooked():
            fee = fact.pending
            return {
                **found, "symbol": fee.symbol, "fee": fee.amount, "fee_asset": fee.asset, "trade_id": fee.trade_id,
                "client_order_id": fee.client_order_id, "text": "fee booked after its trade",
            }  # fmt: skip
        case AccountOpened():
            return {**found, "text": "account opened"}
        case AccountCarried():
            return {**found, "text": "older than the journal: what it had"}
        case AccountAdopted():
            return {**found, "text": f"adopted from the platform with {len(fact.positions)} open positions"}
        case AdoptionUndone():
            return {**found, "text": "adoption undone: the account is the platform's again"}
        case _:
            assert_never(fact)


def _of_order(fact: OrderIntended) -> dict[str, Any]:
    is_step = fact.purpose in {Purpose.ADL, Purpose.LIQUIDATION}
    return {
        "kind": HistoryKind.LIQUIDATION if is_step else HistoryKind.ORDER,
        "symbol": fact.symbol,
        "side": fact.side.value,
        "order_type": fact.order_type.value,
        "quantity": fact.quantity,
        "price": fact.price,
        "purpose": fact.purpose.value,
        "text": f"tier {fact.tier}" if fact.tier else "",
        **{tag: getattr(fact, tag) for tag in TAGS},
        "client_order_id": fact.client_order_id,
    }


def _of_conditional(fact: ConditionalPlaced) -> dict[str, Any]:
    return {
        "kind": HistoryKind.ORDER,
        "symbol": fact.symbol,
        "side": fact.side.value,
        "order_type": fact.kind.value,
        "quantity": fact.quantity,
        "price": fact.trigger_price,
        "purpose": Purpose.USER.value,
        "text": f"trailing by {plain(fact.callback_rate)}" if fact.callback_rate is not None else "",
        **{tag: getattr(fact, tag) for tag in TAGS},
        "client_order_id": fact.client_order_id,
    }


def _of_end(fact: OrderEnded) -> dict[str, Any] | None:
    """An order that the exchange did not take, or that was never sent for a reason."""
    if not (fact.status.is_refusal or (fact.status is OrderStatus.NEVER_SENT and fact.reason)):
        return None
    poor = fact.code == MARGIN_INSUFFICIENT
    return {
        "kind": HistoryKind.INSUFFICIENT_BALANCE if poor else HistoryKind.REFUSED,
        "status": fact.status.value,
        "end": end_text(fact.status, fact.code, fact.reason),
        "client_order_id": fact.client_order_id,
    }


def _of_conditional_end(fact: ConditionalEnded) -> dict[str, Any] | None:
    if fact.status is not ConditionalStatus.REJECTED:
        return None
    poor = NO_MARGIN in fact.reason
    return {
        "kind": HistoryKind.INSUFFICIENT_BALANCE if poor else HistoryKind.REFUSED,
        "status": fact.status.value,
        "end": end_text(fact.status, None, fact.reason),
        "client_order_id": fact.client_order_id,
    }


def _of_fill(fact: FillApplied) -> dict[str, Any]:
    trade, taken = fact.trade, fact.commission
    return {
        "kind": HistoryKind.FILL,
        "symbol": trade.symbol,
        "side": trade.side.value,
        "order_type": fact.order_type.value,
        "quantity": trade.quantity,
        "price": trade.price,
        "amount": fact.realized - fact.fee,
        "realized": fact.realized,
        "fee": fact.fee if taken is None else taken.amount,
        "fee_asset": "" if taken is None else taken.asset,
        "purpose": fact.purpose.value,
        "client_order_id": fact.client_order_id,
        "trade_id": trade.trade_id,
    }
