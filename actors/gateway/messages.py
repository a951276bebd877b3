"""Messages to the gateway: of its transport, and of its own timer. Those of accounts and writer: ``core.order_messages``."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from actors.core.enums import Side
from actors.core.messages import Lane, Message
from actors.core.trades import Trade
from actors.core.units import ClientOrderId, Symbol


class ReportStatus(StrEnum):
    """What a venue's order status means; each venue translates its own."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    """A status that is not known here: nothing follows from it but that the order must be queried."""

    @property
    def is_final(self) -> bool:
        """Whether the exchange will do nothing more with the order."""
        return self not in {ReportStatus.NEW, ReportStatus.PARTIALLY_FILLED, ReportStatus.UNKNOWN}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchange says of one order: in an answer, a query's result or the user stream.

    ``stated`` is the status as the exchange spells it, ``reason`` why the order ended, as far as it says.
    ``side`` and ``quantity`` are those of the order; None where the exchange does not say.
    """

    client_order_id: ClientOrderId
    exchange_order_id: int
    symbol: Symbol
    status: ReportStatus
    executed: Decimal
    trade: Trade | None = None
    stated: str = ""
    reason: str = ""
    side: Side | None = None
    quantity: Decimal | None = None


class Outcome(StrEnum):
    """How a request ended. DUPLICATE: refused, because an order of that client order id is open."""

    OK = "OK"
    REFUSED = "REFUSED"
    DUPLICATE = "DUPLICATE"
    UNKNOWN = "UNKNOWN"
    NOT_FOUND = "NOT_FOUND"
    NOT_SENT = "NOT_SENT"
    THROTTLED = "THROTTLED"
    MISTIMED = "MISTIMED"
    """Refused unread: the time it was signed with is not the exchange's."""


class Answered(Message, frozen=True, kw_only=True, gc=False):
    """Transport to gateway: how a place, cancel or query of one order ended.

    ``retry_after_ms`` comes with THROTTLED; NOT_SENT means that no byte left this machine; ``cut_off``
    that the connection ended without any answer; ``orders_used`` how many orders the exchange counts in ten seconds
    and in a minute.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    request: str
    client_order_id: ClientOrderId
    outcome: Outcome
    report: Report | None = None
    code: int = 0
    text: str = ""
    retry_after_ms: int = 0

    def __repr__(self) -> str:
        # A trace cuts long lines, and the reason is what they are read for.
        code = f" {self.code}" if self.code else ""
        why = f"{self.outcome}{code} {self.text}".rstrip()
        report = "" if self.report is None else f", {self.report!r}"
        return f"Answered({self.request} {self.client_order_id} {why}{report})"

    cut_off: bool = False
    orders_used: tuple[int, int] | None = None

    def of_its_order(self) -> Answered:
        """It; if it is about another order than was asked for, it says nothing of this one, which is then queried."""
        report = self.report
        if report is None or report.client_order_id == self.client_order_id:
            return self
        text = f"an answer about {report.client_order_id}"
        return replace(self, outcome=Outcome.UNKNOWN, report=None, text=text)


class Traded(Message, frozen=True, kw_only=True, gc=False):
    """Transport to gateway: the trades of one order, or nothing when the query failed.

    ``request`` is the kind that asked, trades or fees.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    client_order_id: ClientOrderId
    trades: tuple[Trade, ...] | None
    request: str = "trades"


class Reported(Message, frozen=True, gc=False):
    """Transport to gateway: an ORDER_TRADE_UPDATE of the user stream."""

    LANE: ClassVar[Lane] = Lane.FILLS

    report: Report


class Surveyed(Message, frozen=True, kw_only=True, gc=False):
    """Transport to gateway: all open orders and positions of the master; None where the request failed.

    ``asked_ms`` is when it was requested, on the gateway's clock: what arrived since is newer.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    asked_ms: int
    orders: tuple[Report, ...] | None
    positions: dict[Symbol, Decimal] | None


class HistoryListed(Message, frozen=True, kw_only=True, gc=False):
    """Transport to gateway: all orders and trades of a symbol since the time that was asked for; None where that failed.

    ``asked_ms`` is when it was requested, on the gateway's clock.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    asked_ms: int
    orders: tuple[Report, ...] | None
    trades: tuple[Trade, ...] | None


class UserStreamConnected(Message, frozen=True, gc=False):
    """The user stream is connected (again): events may have been missed before, and may be from now on."""

    LANE: ClassVar[Lane] = Lane.CONTROL


class UserStreamDown(Message, frozen=True, gc=False):
    """The user stream is gone; reports come from queries until it is back."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    reason: str


class Unreadable(Message, frozen=True, gc=False):
    """An event of the user stream that could not be read: whatever it said must be queried."""

    LANE: ClassVar[Lane] = Lane.FILLS

    text: str


class MasterChanged(Message, frozen=True, gc=False):
    """The user stream reported balances or positions of the master: ``reason`` as the exchange spells it.

    ``balances`` are changes other than profit and commission, by asset; ``positions`` signed amounts.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    reason: str
    balances: tuple[tuple[str, Decimal], ...]
    positions: tuple[tuple[Symbol, Decimal], ...]


class MasterWarned(Message, frozen=True, gc=False):
    """The exchange warns about the master account, or its settings were changed."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    text: str


class ClockLost(Message, frozen=True, gc=False):
    """What we believe to be the exchange's time may be wrong: nothing may be signed until it is measured."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    reason: str


class ClockMeasured(Message, frozen=True, gc=False):
    """The exchange's time is known again; it was ``moved_ms`` from what we believed."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    moved_ms: int


class LimitsLearned(Message, frozen=True, kw_only=True, gc=False):
    """The exchange's order limits, from exchangeInfo."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    orders_per_10s: int
    orders_per_minute: int


class RequestWeight(msgspec.Struct, frozen=True):
    """A venue's budget of requests in this minute: ours and others' weight, and how many requests wait or were refused."""

    used: int
    limit: int
    by_others: int
    waiting: int
    refused: int
    paused_ms: int


class TimerFired(Message, frozen=True, gc=False):
    """The gateway's own timer: query unknown orders, send what the budget allows."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    incarnation: int
