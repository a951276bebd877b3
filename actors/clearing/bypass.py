"""Stands in for a symbol's clearing whose state cannot be read, or that fails whatever it does. Pure.

It decides nothing and reads no durable state, so little can go wrong with it. Every order goes on to the gateway by itself.

Rules
1. What becomes of a block's members nobody knows here, so nobody is told anything of them: they stay as they are, by name in
   an alarm, until a clearing that can read its state tells them. Asked for by their own ids, the exchange would say that it
   never had them.
2. Whoever may be a member is treated as one.
3. Nothing that waited is kept waiting: what reduces is decided again, what opens risk ends unsent.
4. A block that is durable and was not sent is not sent later on: its price is long gone by then.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.clearing.book import Book
from actors.clearing.effects import Again, Alarm, Deliver, Effect, Moment, ToGateway
from actors.clearing.state import is_member_order_id
from actors.clearing.waiting import all_given_back, given_back, passed_on
from actors.core.alarm_level import Critical
from actors.core.clearing_messages import (
    Grant,
    OrderDone,
    OrdersBooked,
    ReplaceStep,
    ReturnSlot,
    StepUnderWay,
    clearing_name,
    is_clearing,
)
from actors.core.enums import OrderType
from actors.core.messages import Message
from actors.core.order_messages import AskFees, Resync, Submit
from actors.core.orders import WorkingOrder
from actors.core.safe_copy import pairs
from actors.core.units import ClientOrderId, Symbol

NAMED_MAX = 20
"""So many orders are named in one alarm; 'bulkhead clearing SYMBOL' names all."""

GATHERED_MS = 500
"""Orders that are held are gathered for so long before an alarm names them."""


class Bypass:
    """One symbol's. What it remembers is in ``book``, which outlives it."""

    def __init__(self, symbol: Symbol, book: Book) -> None:
        self._symbol = symbol
        self._book = book
        self._named: set[ClientOrderId] = set()

    def begin(self, at: Moment) -> list[Effect]:
        """Take over: nothing waits any more, and what was being decided is not done any more."""
        book = self._book
        book.was_bypassed = True
        effects: list[Effect] = [
            ToGateway(ReturnSlot(self._symbol, forming.slot))
            for forming in book.forming.values()
            if forming.slot
        ]
        for forming in book.forming.values():
            for waiting in forming.members.values():
                self._hold(WorkingOrder(intent=waiting.order))
        book.forming.clear()
        book.pending.clear()
        for line in book.lines.values():
            line.wanted_ms = None
        return [*effects, *all_given_back(book, at), *self._gathered(at)]

    def on(self, message: Message, at: Moment) -> list[Effect]:
        """Handle one message; what it does not know is about a block, and of no use here."""
        match message:
            case Submit():
                return self._submit(message, at)
            case Resync():
                return self._resync(message, at)
            case ReplaceStep():
                if self._is_held(message.client_order_id):
                    return [Deliver(message.account_id, StepUnderWay(message.client_order_id))]
                return [ToGateway(message)]
            case AskFees():
                # A member's trades are rounds: the exchange has other trades of such numbers.
                return [] if is_member_order_id(message.exchange_order_id) else [ToGateway(message)]
            case Grant():
                return [ToGateway(ReturnSlot(message.group.symbol, message.slot))]
            case OrderDone():
                group = self._book.alone.pop(message.client_order_id, None)
                if group is not None:
                    self._book.line(group).in_flight.pop(message.client_order_id, None)
            case OrdersBooked():
                for ids in self._book.unbooked.values():
                    ids.difference_update(message.client_order_ids)
            case _:
                pass
        return []

    def timer(self, _at: Moment) -> list[Effect]:
        """Name those that are held and were not named yet."""
        new = [order for id_, order in pairs(self._book.held) if id_ not in self._named]
        self._named.update(order.client_order_id for order in new)
        return [Alarm(self._alarm(new))] if new else []

    def _alarm(self, orders: Sequence[WorkingOrder]) -> str:
        name = clearing_name(self._symbol)
        named = ", ".join(f"{o.client_order_id} of {o.intent.account_id}" for o in orders[:NAMED_MAX])
        rest = len(orders) - NAMED_MAX
        more = f" and {rest:,} more ('bulkhead clearing {self._symbol}')" if rest > 0 else ""
        return Critical(
            f"{name}: what becomes of these orders is unknown, as they are in a block order or may be: {named}{more}. "
            f"They stay as they are until 'bulkhead restart {name}'"
        )

    def _submit(self, message: Submit, at: Moment) -> list[Effect]:
        book = self._book
        through = []
        for order in message.orders:
            id_ = order.client_order_id
            if order.order_type is not OrderType.MARKET:
                through.append(order)
            elif id_ in book.alone or self._is_held(id_):
                book.counters.duplicates += 1
            else:
                book.arrives(order, at)
        asked = [one for o in message.orders if (one := book.waiting(o.client_order_id)) is not None]
        asked = [one for one in asked if book.unwanted.pop(one.order.client_order_id, None) is not None]
        effects = given_back(book, asked, at, again=True)
        onward = tuple(c for c in message.cancels if not self._is_held(c.client_order_id))
        book.counters.late_cancels += len(message.cancels) - len(onward)
        if through or onward:
            effects.insert(0, ToGateway(Submit(tuple(through), onward)))
        return effects + passed_on(book, at)

    def _resync(self, message: Resync, at: Moment) -> list[Effect]:
        if not may_be_member(self._book, message.order):
            return [ToGateway(message)]
        self._hold(message.order)
        return self._gathered(at)

    def _hold(self, order: WorkingOrder) -> None:
        self._book.held[order.client_order_id] = order

    def _gathered(self, at: Moment) -> list[Effect]:
        is_new = any(id_ not in self._named for id_ in self._book.held)
        return [Again(at.now_ms + GATHERED_MS)] if is_new else []

    def _is_held(self, id_: ClientOrderId) -> bool:
        return id_ in self._book.held or _is_member(self._book, id_)


def may_be_member(book: Book, order: WorkingOrder) -> bool:
    """Whether an order is in a block, or may be as far as is known here: then the exchange says nothing of it by its own id."""
    id_ = order.client_order_id
    if order.intent.order_type is not OrderType.MARKET or is_clearing(order.intent.account_id):
        return False
    if id_ in book.alone:
        return False
    if _is_member(book, id_) or id_ in book.held:
        return True
    if book.was_loaded:
        return False
    return order.exchange_order_id is None or is_member_order_id(order.exchange_order_id)


def _is_member(book: Book, id_: ClientOrderId) -> bool:
    # Copied in one step: the gateway asks from another actor, and people from another thread.
    return any(id_ in ids for ids in list(book.unbooked.values()))
