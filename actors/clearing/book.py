"""What a symbol's clearing remembers between two messages and need not keep: what waits and what is under way.

It outlives a crash of the actor and is lost with the process. After that accounts say themselves what they have
(``Resync``), and the gateway asks the exchange about the blocks that ``clearing.state`` has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from actors.clearing.effects import Effect, Moment
from actors.clearing.fees import FeeShares
from actors.core.clearing_messages import Group
from actors.core.enums import OrderClass
from actors.core.facts import OrderIntended
from actors.core.messages import OrderClosed
from actors.core.orders import WorkingOrder
from actors.core.trades import Trade
from actors.core.units import ZERO, AccountId, ClientOrderId

QUIET_MS = 60
"""A crowd that keeps arriving is held back until nothing arrived for so long,"""

CROWD_MAX_MS = 200
"""and at most for so long since the first. For so long, too, a block below the minimum notional waits for company.

Shorter is slower: with 10 and 100 ms a crowd in ten symbols uses up the exchange's windows within two seconds, and the rest of
it waits for seconds (``bench clearing``, 2,000 accounts: 5 USDT of bad debt each; with these two 0.04).
"""

CROWD_FEW = 100
"""A crowd of no more is held no longer than that while slots are plentiful: their wait costs market risk. At a leverage of 50, and a
drop of 1 % a second, what lies between a liquidation and bad debt is 400 ms (``bench clearing``, 2,000 accounts: held for 600 ms
from 38 orders on, 0.5 USDT of bad debt each; so, 0.01)."""

MEMBER_MS = 2
"""How much longer a crowd may be held for each order beyond those: a tick that breaches thousands makes them decide for seconds, as
fast as the processor can, and they are a handful of orders (10,000 of one symbol: 5)."""

CROWD_MOST_MS = 600
"""However many arrive: with what it takes to be sent, and to trade, a decision is covered within a second."""

CROWDED_MS = 400
"""How long any crowd may be held while so many accounts wait for the processor that the rest of it is not even decided yet. Without it
10,000 accounts send 236 to 304 orders (``bench clearing``), with it 177, and are covered sooner."""

INTERVAL_KEPT_MS = 2_000
"""For how long the gateway's word counts how far apart slots should be; while a crowd lasts, each slot brings a new one."""

QUIET_SHARE = 4
"""Of the time that a crowd may be held, a crowd of many may be quiet for a quarter: it arrives by commits, not evenly."""

IN_FLIGHT_MAX_MS = 1_000
"""An order at the exchange whose end is not known for longer does not hold the next one back."""

WANT_AGAIN_MS = 1_000
"""How often a want is said again, with what waits by then."""

PLACE_KEPT_MS = 60_000
"""How long a place is kept for what is decided instead; longer than Postgres may take to make that durable."""


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """An order that waits. ``since_ms`` is its place, ``number`` breaks ties; it is as fresh as of ``fresh_ms``, Unix time all."""

    order: OrderIntended
    since_ms: int
    number: int
    fresh_ms: int


class Line(msgspec.Struct):
    """A group's orders: those that wait, and when those in flight were sent (None: not sent yet).

    ``first_ms`` and ``last_ms`` are the first and the last arrival of the present crowd; ``is_crowd`` that there was
    company. ``wanted_ms`` is when a slot was wanted last, None when none is. ``interval_ms`` is what the last grant said, and
    counts for crowds that begin before ``interval_until_ms``. ``is_split`` says that the rest of a block that
    the exchange's maximum quantity split waits.
    """

    waiting: dict[ClientOrderId, Waiting] = msgspec.field(default_factory=dict)
    in_flight: dict[ClientOrderId, int | None] = msgspec.field(default_factory=dict)
    first_ms: int = 0
    last_ms: int = 0
    is_crowd: bool = False
    is_split: bool = False
    wanted_ms: int | None = None
    interval_ms: int = 0
    interval_until_ms: int = 0
    quantity: Decimal = ZERO

    def add(self, waiting: Waiting, now_ms: int) -> None:
        """An order arrives, or comes back."""
        if not self.waiting:
            self.first_ms, self.is_crowd = now_ms, bool(self.in_flight)
        else:
            self.is_crowd = True
        self.last_ms = now_ms
        self.waiting[waiting.order.client_order_id] = waiting
        self.quantity += waiting.order.quantity

    def remove(self, waiting: Waiting) -> None:
        """An order leaves."""
        del self.waiting[waiting.order.client_order_id]
        self.quantity -= waiting.order.quantity
        if not self.waiting:
            self.is_split = False

    def granted(self, interval_ms: int, now_ms: int) -> None:
        """It has a slot, and knows how far apart its slots should be."""
        self.wanted_ms = None
        self.interval_ms, self.interval_until_ms = interval_ms, now_ms + INTERVAL_KEPT_MS

    def due_ms(self, order_class: OrderClass, min_notional: Decimal, at: Moment) -> int | None:
        """When a slot is to be wanted; None: not before something else happens."""
        if not self.waiting:
            return None
        if self.wanted_ms is not None:
            return self.wanted_ms + WANT_AGAIN_MS
        if self.is_split:
            return at.now_ms
        due_ms = self.first_ms
        if self.is_crowd:
            interval_ms = self.interval_ms if self.first_ms < self.interval_until_ms else 0
            most_ms = hold_ms(len(self.waiting), interval_ms, is_crowded=at.is_crowded)
            due_ms = min(self.last_ms + max(QUIET_MS, most_ms // QUIET_SHARE), self.first_ms + most_ms)
        for sent_ms in self.in_flight.values():
            if sent_ms is None:
                return None
            due_ms = max(due_ms, sent_ms + IN_FLIGHT_MAX_MS)
        # The exchange asks no minimum of what only reduces.
        if (
            order_class is OrderClass.NEW_RISK
            and at.mark is not None
            and self.quantity * at.mark < min_notional
        ):
            due_ms = max(due_ms, self.first_ms + CROWD_MAX_MS)
        return due_ms


class Forming(msgspec.Struct):
    """A block that is decided and not durable yet; it is sent with ``slot`` (0: none is held) once it is.

    ``cancelled`` are members whose cancel arrived meanwhile: too late, unless the decision is lost.
    """

    order: OrderIntended
    group: Group
    slot: int
    members: dict[ClientOrderId, Waiting]
    cancelled: set[ClientOrderId] = msgspec.field(default_factory=set)


class Pending(msgspec.Struct):
    """A decision that is not durable yet, and what may only be done when it is.

    ``forming``, ``ended`` and ``forgotten`` are the blocks that it forms, ends and forgets.
    """

    sequence: int
    effects: list[Effect]
    forming: Forming | None = None
    ended: int | None = None
    forgotten: tuple[int, ...] = ()


class Heard(msgspec.Struct):
    """What was heard of a block that has not ended durably.

    ``pool`` are trades that no round has yet, by id, each with the time it was heard; ``decided`` those of rounds that may not
    be durable. ``known`` are the ids of all trades, ``executed`` is their quantity. ``closed`` is the exchange's last word;
    ``since`` are its members' places.
    """

    pool: dict[int, tuple[Trade, int]] = msgspec.field(default_factory=dict)
    decided: dict[int, tuple[Trade, int]] = msgspec.field(default_factory=dict)
    known: set[int] = msgspec.field(default_factory=set)
    executed: Decimal = ZERO
    exchange_order_id: int | None = None
    accepted_ms: int | None = None
    acceptance_told: bool = False
    closed: OrderClosed | None = None
    since: dict[ClientOrderId, int] = msgspec.field(default_factory=dict)

    def add(self, trade: Trade, now_ms: int) -> None:
        """A trade that was not known."""
        self.known.add(trade.trade_id)
        self.executed += trade.quantity
        self.pool[trade.trade_id] = (trade, now_ms)

    def decide(self, trades: Iterable[Trade]) -> None:
        """A round has these trades."""
        for trade in trades:
            self.decided[trade.trade_id] = self.pool.pop(trade.trade_id)

    def loaded(self, allocated: Iterable[Trade]) -> None:
        """The durable rounds have these trades, and no others."""
        heard = {**self.decided, **self.pool}
        self.decided, self.pool, self.known, self.executed = {}, {}, set(), ZERO
        for trade in allocated:
            heard.pop(trade.trade_id, None)
            self.known.add(trade.trade_id)
            self.executed += trade.quantity
        for trade, heard_ms in heard.values():
            self.add(trade, heard_ms)


class Counters(msgspec.Struct):
    """What a symbol's clearing did since the process started, for people."""

    blocks: int = 0
    members: int = 0
    rounds: int = 0
    splits: int = 0
    alone: int = 0
    late_cancels: int = 0
    given_back: int = 0
    duplicates: int = 0


class Book:
    """The volatile side of one symbol's clearing. Nothing here raises."""

    def __init__(self) -> None:
        self.lines: dict[Group, Line] = {}
        self.where: dict[ClientOrderId, Group] = {}
        self.alone: dict[ClientOrderId, Group] = {}
        self.unwanted: dict[ClientOrderId, int] = {}
        """Steps that were asked back before they arrived (they are being made durable), and when."""
        self.forming: dict[int, Forming] = {}
        self.pending: deque[Pending] = deque()
        self.heard: dict[int, Heard] = {}
        self.unbooked: dict[int, set[ClientOrderId]] = {}
        self.counters = Counters()
        self.fees = FeeShares()
        self.was_loaded = False
        """Whether a state was loaded in this process: from then on all members of blocks are known here."""
        self.held: dict[ClientOrderId, WorkingOrder] = {}
        """Orders that are or may be in a block, as their accounts know them, while nobody can say what becomes of it."""
        self.was_bypassed = False
        self._places: dict[tuple[AccountId, str], list[tuple[int, int]]] = {}
        self._number = 0

    def line(self, group: Group) -> Line:
        """The line of a group."""
        found = self.lines.get(group)
        if found is None:
            found = self.lines[group] = Line()
        return found

    def waiting(self, client_order_id: ClientOrderId) -> Waiting | None:
        """An order that waits, by its id."""
        group = self.where.get(client_order_id)
        return None if group is None else self.lines[group].waiting[client_order_id]

    def is_unsent(self, client_order_id: ClientOrderId) -> bool:
        """Whether an order waits, or is in a block that is not durable yet: the exchange cannot have it."""
        if client_order_id in self.where:
            return True
        return any(client_order_id in forming.members for forming in list(self.forming.values()))

    def arrives(self, order: OrderIntended, at: Moment) -> None:
        """An order begins to wait, at the place that is kept for it, if there is one."""
        self._number += 1
        kept_ms = self._kept_place(order, at.now_ms)
        # Decided again already: if even that took long to be durable, the next one would too.
        since_ms, fresh_ms = (
            (order.decided_ms, order.decided_ms) if kept_ms is None else (kept_ms, at.wall_ms)
        )
        self.returns(Waiting(order, since_ms, self._number, fresh_ms), at.now_ms)

    def returns(self, waiting: Waiting, now_ms: int) -> None:
        """An order waits again, where it stood."""
        group = group_of(waiting.order)
        self.line(group).add(waiting, now_ms)
        self.where[waiting.order.client_order_id] = group

    def leave(self, leaving: Iterable[Waiting]) -> None:
        """These orders wait no more."""
        for waiting in leaving:
            self.lines[self.where.pop(waiting.order.client_order_id)].remove(waiting)

    def keep_place(self, account_id: AccountId, cause: str, since_ms: int, now_ms: int) -> None:
        """What an account decides instead, for the same cause, stands where its order stood."""
        self._places.setdefault((account_id, cause), []).append((since_ms, now_ms))

    def _kept_place(self, order: OrderIntended, now_ms: int) -> int | None:
        key = (order.account_id, order.cause)
        places = self._places.get(key, [])
        while places:
            since_ms, kept_ms = places.pop(0)
            if not places:
                del self._places[key]
            if now_ms - kept_ms <= PLACE_KEPT_MS:
                return since_ms
        return None

    def forget_places(self, now_ms: int) -> None:
        """Keep no place for accounts that decided otherwise, and expect no order that does not come."""
        for id_ in [i for i, asked_ms in self.unwanted.items() if now_ms - asked_ms > PLACE_KEPT_MS]:
            del self.unwanted[id_]
        for key in [k for k, places in self._places.items() if now_ms - places[-1][1] > PLACE_KEPT_MS]:
            del self._places[key]


def hold_ms(orders: int, interval_ms: int = 0, *, is_crowded: bool = False) -> int:
    """For how many milliseconds a crowd of so many orders may be held while it keeps arriving.

    What a longer hold saves is an order; what it costs is the market's move for all who wait. So it grows where orders are
    scarce (``interval_ms`` is the gateway's word for that), with a crowd of hundreds, which one order serves as well as two, and
    where accounts wait to decide what belongs to the same crowd.
    """
    crowd_ms = CROWD_MAX_MS + MEMBER_MS * max(0, orders - CROWD_FEW)
    return min(CROWD_MOST_MS, max(crowd_ms, interval_ms, CROWDED_MS if is_crowded else 0))


def group_of(order: OrderIntended) -> Group:
    """The group that an order waits in."""
    return Group(order.symbol, order.side, order.order_class)
