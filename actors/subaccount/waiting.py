"""Steps that wait for their turn to be sent: whether the account would decide otherwise by now. Pure.

A step waits until the exchange has it, or somebody said that it is under way. Until then it can be given back, and an
account that would decide otherwise asks for that; it is assessed anew when the step is back, so nothing is decided twice.

Rules
1. Prices move a little all the time, so what counts is how severe the decision is: nothing, a tier, everything. Which
   position a tier cuts, and how a quantity is rounded, follows prices too, but is no reason to give up a place in line.
2. More severe: at once, as the risk grew. So does a close-out whose account has become bankrupt, as it goes first then.
3. Less severe, or let go: only with ``RATIO_BAND`` to spare, so that a price that moves to and fro over one tier takes a
   step back once and not with each tick. What it lets stand for that is bounded: a step that waits too long is stale
   and comes back anyhow, and is then decided by the exact tiers.
4. Only while all of an account's steps wait, and none was asked for already. As soon as one is under way its end decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from actors.core.enums import OrderStatus, Purpose
from actors.core.facts import OrderIntended
from actors.core.orders import WorkingOrder
from actors.core.units import ONE, ZERO, ClientOrderId, Symbol
from actors.subaccount import adl
from actors.subaccount.margin import MarginView
from actors.subaccount.market import Market
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState

RATIO_BAND = Decimal("0.02")
"""How far below a tier the margin ratio must be before a step of that tier is asked back; as far as a warning ends."""

NOTIONAL_SHARE = Decimal("0.98")
"""So much of the notional must reach ``adl_all_below`` before a step that closes all of so little is asked back."""


def outdated(now: Situation) -> tuple[ClientOrderId, ...]:
    """The waiting steps in whose place the account would decide something else by now."""
    state = now.state
    if not all_wait(state, now.market) or (adl.came_back(state) and adl.waits(state, now.market.wall_ms)):
        return ()
    at_work = adl.steps_at_work(state)
    decided_now = {fact.client_order_id for fact in now.facts if isinstance(fact, OrderIntended)}
    if all(step.client_order_id in decided_now for step in at_work):
        return ()
    marks, view = now.marks, now.view
    if marks is None or view is None:
        return ()  # what was decided on a price stands while there is none
    rising = severity(state, marks, view)
    falling = severity(state, marks, view, band=RATIO_BAND, share=NOTIONAL_SHARE)
    found = []
    for step in at_work:
        decided = severity_of(state, step)
        goes_first = step.purpose is Purpose.CLOSE_OUT and view.is_bankrupt
        if rising > decided or falling < decided or goes_first:
            found.append(step.client_order_id)
    return tuple(found)


def all_wait(state: AccountState, market: Market) -> bool:
    """Whether steps are at work, and all of them still wait for their turn, as far as the account knows."""
    return adl.has_step(state) and all(_waits(step, market) for step in adl.steps_at_work(state))


def _waits(step: WorkingOrder, market: Market) -> bool:
    return (
        step.status is OrderStatus.INTENDED
        and step.exchange_order_id is None
        and step.client_order_id not in market.past_replacing
    )


def severity_of(state: AccountState, step: WorkingOrder) -> int:
    """How severe the decision was that a step is of: the number of its tier, or one more than there are."""
    return step.intent.tier if step.purpose is Purpose.ADL else everything(state)


def everything(state: AccountState) -> int:
    """The severity of closing all."""
    return len(state.limits.tiers()) + 1


def severity(
    state: AccountState,
    marks: Mapping[Symbol, Decimal],
    view: MarginView,
    *,
    band: Decimal = ZERO,
    share: Decimal = ONE,
) -> int:
    """How severe the decision is that an account without steps would take, 0 for none; as of ``severity_of``.

    Args:
        state: the account.
        marks: of its positions.
        view: its margin at those.
        band: what its margin ratio is taken to be above what it is.
        share: of its notional, which is taken for the whole.
    """
    if state.risk.close_out is not None or view.is_bankrupt or view.ratio + band >= ONE:
        return everything(state)
    tiers = state.limits.tiers()
    tier = adl.tier_met(tiers, view.ratio + band)
    if tier is None:
        return 0
    return everything(state) if adl.closes_all(state, marks, tier, share) else tiers.index(tier) + 1
