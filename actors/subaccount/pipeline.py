"""What comes of a message: facts folded in, and whatever they set off assessed with them.

Rules
1. The state in a decision is the old one with its facts folded in, and nothing else.
2. After anything that moves positions, money or limits, ``assessed`` runs every stage in order; what one
   stage finds, the next one sees: losses, breaker, liquidation, conditional orders, monitor.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from actors.core.enums import AccountStatus, Breaker
from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact, PositionTakenOver
from actors.core.units import ClientOrderId, Symbol
from actors.subaccount import adl, breaker, conditionals, losses, monitor
from actors.subaccount.market import Market, marks_of
from actors.subaccount.open_order_exposure import cancels, surplus
from actors.subaccount.rejections import Rejection
from actors.subaccount.state import AccountState, books_balance, folded


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

    ``resync`` names orders whose fills do not add up, so the gateway must ask again;
    ``duplicate`` says that the message was seen before.
    """

    state: AccountState
    facts: tuple[AnyFact, ...] = ()
    reply: Accepted | Rejected | None = None
    resync: tuple[ClientOrderId, ...] = ()
    duplicate: bool = False
    stale: bool = False


def decided(state: AccountState, facts: list[AnyFact], reply: Accepted | Rejected | None = None) -> Decision:
    """The decision of some facts, nothing assessed.

    Raises:
        StateCorrupt: a fact does not fit, or the balance would not add up.
    """
    if not facts:
        return Decision(state=state, reply=reply)
    after = folded(state, facts)
    if not books_balance(after):
        raise StateCorrupt(f"{state.account_id}: the balance does not add up after {facts!r}")
    after = replace(after, sequence=state.sequence + 1)
    return Decision(state=after, facts=tuple(facts), reply=reply)


def refused(state: AccountState, *rejections: Rejection) -> Decision:
    """The decision to do nothing, and why."""
    return Decision(state=state, reply=Rejected(rejections))


def house_of(facts: list[AnyFact]) -> HouseTook | None:
    """What the house took among some facts, if anything."""
    for fact in facts:
        if isinstance(fact, PositionTakenOver):
            return HouseTook(fact.symbol, abs(fact.quantity), fact.price, fact.fee)
    return None


Stage = Callable[[AccountState, Market, str], list[AnyFact]]


def assessed(
    state: AccountState,
    facts: list[AnyFact],
    market: Market,
    cause: str,
    reply: Accepted | Rejected | None = None,
) -> Decision:
    """The decision of some facts and of all that they set off at the present prices."""
    facts = list(facts)
    after = folded(state, facts)
    found = breaker.streaks(after, facts, market.wall_ms) if facts else []
    if found:
        facts += found
        after = folded(after, found)
    given = len(facts)
    for stage in STAGES:
        found = stage(after, market, cause)
        if found:
            facts += found
            after = folded(after, found)
    # A stage may close a position itself: what the house takes over.
    if any(isinstance(fact, PositionTakenOver) for fact in facts[given:]):
        found = adl.assess(after, market, cause)
        facts += found
        after = folded(after, found)
    found = breaker.streaks(after, facts[given:], market.wall_ms) if len(facts) > given else []
    if found:
        after = folded(after, found)
        facts += found + _withdrawals(after, market, cause)
    decision = decided(state, facts, reply or Accepted())
    if after.positions and marks_of(after, market) is None:
        return replace(decision, stale=True)
    return decision


def _losses(state: AccountState, market: Market, _cause: str) -> list[AnyFact]:
    return losses.assess(state, market)


def _withdrawals(state: AccountState, _market: Market, cause: str) -> list[AnyFact]:
    """What may open risk rests no longer once somebody or something has stopped it."""
    if not state.orders and not state.conditionals:
        return []
    stopped = state.risk.day_stopped or state.risk.breaker is Breaker.OPEN
    if stopped or state.status is AccountStatus.FROZEN:
        return conditionals.withdraw_opening(state, cause)
    return cancels(state, surplus(state), "nothing left to reduce")


STAGES: tuple[Stage, ...] = (
    _losses,
    _withdrawals,
    adl.assess,
    conditionals.assess,
    monitor.assess,
)
