"""What comes of a message: facts folded in, and whatever they set off assessed with them.

A decision is a list of facts, and the new state is nothing but the old one with them folded in; the same ``fold``
makes the state on load, in replay and in tests, so what is stored can never differ from what was decided. Each stage
is a function from one ``Situation`` to the next. Order matters: losses may trip the breaker, the breaker withdraws
orders, that frees margin, and only then is liquidation judged. Nothing is sent from here: orders are facts too, and
the writer hands them on once they are durable.

Rules
1. The state in a decision is the old one with its facts folded in, and nothing else.
2. After anything that moves positions, money or limits, ``assessed`` runs every stage in order; what one
   stage finds, the next one sees: losses, breaker, liquidation, conditional orders, monitor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from actors.core.enums import AccountStatus, Breaker
from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact, PositionTakenOver
from actors.core.units import ClientOrderId, Symbol
from actors.subaccount import adl, breaker, conditionals, losses, monitor
from actors.subaccount.open_order_exposure import order_cancels, reduce_only_excess
from actors.subaccount.rejections import Rejection
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState, books_balance
from actors.subaccount.waiting import outdated


class HouseTook(msgspec.Struct, frozen=True):
    """A position that the house took instead of the exchange; ``price`` and ``fee`` in quote asset."""

    symbol: Symbol
    quantity: Decimal
    price: Decimal
    fee: Decimal


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """A command was taken and is durable. ``client_order_id`` for orders and cancels.

    ``house`` instead of an id: what was closed is too small for the exchange, and the house has it already.
    """

    client_order_id: ClientOrderId | None = None
    house: HouseTook | None = None


class Rejected(msgspec.Struct, frozen=True, tag=True):
    """A command was refused; nothing changed."""

    rejections: tuple[Rejection, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What follows from a message.

    ``now`` is the situation after it. ``resync`` names orders whose fills do not add up, so the gateway must ask
    again; ``replace`` names waiting steps that it would not decide any more as they are (``subaccount.waiting``);
    ``duplicate`` says that the message was seen before, ``stale`` that a position has no fresh price.
    """

    now: Situation
    reply: Accepted | Rejected | None = None
    resync: tuple[ClientOrderId, ...] = ()
    replace: tuple[ClientOrderId, ...] = ()
    duplicate: bool = False
    stale: bool = False

    @property
    def state(self) -> AccountState:
        """The account after it."""
        return self.now.state

    @property
    def facts(self) -> tuple[AnyFact, ...]:
        """All that was decided, in order."""
        return self.now.facts


def concluded(
    now: Situation,
    reply: Accepted | Rejected | None = None,
    *,
    resync: tuple[ClientOrderId, ...] = (),
    duplicate: bool = False,
) -> Decision:
    """The decision of a situation's facts: one more in the account's sequence if there are any.

    Raises:
        StateCorrupt: the balance would not add up.
    """
    state = now.state
    if now.facts:
        if not books_balance(state):
            raise StateCorrupt(f"{state.account_id}: the balance does not add up after {now.facts!r}")
        now = now.supposing(replace(state, sequence=state.sequence + 1))
    return Decision(now=now, reply=reply, resync=resync, replace=outdated(now), duplicate=duplicate)


def decided(now: Situation, facts: Iterable[AnyFact], reply: Accepted | Rejected | None = None) -> Decision:
    """The decision of some facts, nothing assessed.

    Raises:
        StateCorrupt: a fact does not fit, or the balance would not add up.
    """
    return concluded(now.after(facts), reply)


def refused(now: Situation, *rejections: Rejection) -> Decision:
    """The decision to do nothing, and why."""
    return concluded(now, Rejected(rejections))


def house_of(facts: list[AnyFact]) -> HouseTook | None:
    """What the house took among some facts, if anything."""
    for fact in facts:
        if isinstance(fact, PositionTakenOver):
            return HouseTook(fact.symbol, abs(fact.quantity), fact.price, fact.fee)
    return None


Stage = Callable[[Situation], Situation]


def assessed(now: Situation, facts: Sequence[AnyFact], reply: Accepted | Rejected | None = None) -> Decision:
    """The decision of some facts and of all that they set off at the present prices."""
    now = _with_streaks(now.after(facts), facts)
    given = len(now.facts)
    for stage in STAGES:
        now = stage(now)
    # A stage may close a position itself: what the house takes over.
    if any(isinstance(fact, PositionTakenOver) for fact in now.facts[given:]):
        now = adl.assess(now)
    tripped = _with_streaks(now, now.facts[given:])
    if tripped is not now:
        now = _withdrawals(tripped)
    decision = concluded(now, reply or Accepted())
    if now.state.positions and now.marks is None:
        return replace(decision, stale=True)
    return decision


def _with_streaks(now: Situation, facts: Sequence[AnyFact]) -> Situation:
    """What ``facts``, the last that were folded in, do to the breaker."""
    return now.after(breaker.streaks(now.state, facts, now.market.wall_ms)) if facts else now


def _withdrawals(now: Situation) -> Situation:
    """What may open risk rests no longer once somebody or something has stopped it."""
    state = now.state
    if not state.orders and not state.conditionals:
        return now
    stopped = state.risk.day_stopped or state.risk.breaker is Breaker.OPEN
    if stopped or state.status is AccountStatus.FROZEN:
        return now.after(conditionals.withdraw_opening(state, now.cause))
    return now.after(order_cancels(state, reduce_only_excess(state), "nothing left to reduce"))


STAGES: tuple[Stage, ...] = (
    losses.assess,
    _withdrawals,
    adl.assess,
    conditionals.assess,
    monitor.assess,
)
