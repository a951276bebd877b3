"""What is done about orders that wait: slots are wanted for them, they are passed on, or given back unsent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from actors.clearing.book import Book, Waiting
from actors.clearing.effects import Deliver, Effect, Moment, ToGateway
from actors.core.clearing_messages import Group, Want
from actors.core.enums import OrderClass, OrderStatus
from actors.core.instruments import Instrument
from actors.core.messages import OrderClosed
from actors.core.order_messages import Submit
from actors.core.units import ZERO


def wants(book: Book, instrument: Instrument, at: Moment) -> list[Effect]:
    """Want slots for the groups whose time has come, and take back the wants of those that wait no more."""
    effects: list[Effect] = []
    for group, line in book.lines.items():
        if not line.waiting and line.wanted_ms is not None:
            line.wanted_ms = None
            effects.append(ToGateway(Want(group=group, orders=0)))
        due_ms = line.due_ms(group.order_class, instrument.min_notional, at)
        if due_ms is not None and due_ms <= at.now_ms:
            line.wanted_ms = at.now_ms
            effects.append(ToGateway(_want(group, line.waiting.values())))
    return effects


def _want(group: Group, waiting: Iterable[Waiting]) -> Want:
    ones = list(waiting)
    shortfall = sum((one.order.shortfall for one in ones), ZERO)
    return Want(
        group=group, orders=len(ones), shortfall=shortfall, since_ms=min(one.since_ms for one in ones)
    )


def passed_on(book: Book, at: Moment) -> list[Effect]:
    """All orders that wait go on as they are: the gateway has them wait for their turn."""
    going = [(group, one) for group, line in book.lines.items() for one in line.waiting.values()]
    if not going:
        return []
    book.leave([one for _, one in going])
    book.counters.alone += len(going)
    for group, one in going:
        book.alone[one.order.client_order_id] = group
        book.line(group).in_flight[one.order.client_order_id] = at.now_ms
    return [ToGateway(Submit(tuple(one.order for _, one in going), ()))]


def all_given_back(book: Book, at: Moment) -> list[Effect]:
    """Nothing waits here any more: what reduces is decided again by its accounts, what opens risk ends unsent."""
    effects: list[Effect] = []
    for group, line in list(book.lines.items()):
        again = group.order_class is not OrderClass.NEW_RISK
        effects += given_back(book, list(line.waiting.values()), at, again=again)
    return effects


def given_back(book: Book, leaving: Sequence[Waiting], at: Moment, *, again: bool) -> list[Effect]:
    """These orders were never sent; with ``again`` their accounts decide again, and keep their places."""
    book.leave(leaving)
    book.counters.given_back += len(leaving)
    effects: list[Effect] = []
    for one in leaving:
        order = one.order
        if again:
            book.keep_place(order.account_id, order.cause, one.since_ms, at.now_ms)
        waited_ms = max(0, at.wall_ms - one.since_ms)
        reason = f"it waited {Decimal(waited_ms) / 1_000:.1f} s for its turn to be sent"
        closed = OrderClosed(
            order.client_order_id,
            OrderStatus.NEVER_SENT,
            ZERO,
            reason=f"{reason}; {'decided anew' if again else 'that is too old to be sent'}",
            cause=order.cause,
            waited=True,
            again=again,
        )
        effects.append(Deliver(order.account_id, closed))
    return effects


def withdrawn(book: Book, waiting: Waiting) -> Effect:
    """An account cancels an order that waits."""
    book.leave([waiting])
    order = waiting.order
    reason = "cancelled before it was sent"
    closed = OrderClosed(order.client_order_id, OrderStatus.CANCELED, ZERO, reason=reason, cause=order.cause)
    return Deliver(order.account_id, closed)
