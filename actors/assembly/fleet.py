"""All accounts together: what they hold, which symbols are in use, and who must look again when rules change."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

import pykka

from actors.clearing.actor import ClearingActor
from actors.clearing.state import ClearingState
from actors.core.clearing_messages import is_clearing
from actors.core.enums import ReconsiderReason
from actors.core.messages import Reconsider, Tick
from actors.core.units import ZERO, AccountId, Symbol
from actors.persistence.store import Store
from actors.runtime.actor import Ref
from actors.subaccount.state import AccountState
from actors.venues.port import FleetExposure


def states_of(accounts: Mapping[AccountId, Ref]) -> list[AccountState]:
    """The present states of those that have one. Callable from any thread."""
    found = (ref.cell.actor.inspect_state() for ref in list(accounts.values()))
    return [state for state in found if isinstance(state, AccountState)]


def states_of_all(
    accounts: Mapping[AccountId, Ref], quarantined: Mapping[AccountId, Ref]
) -> list[AccountState]:
    """The present states, of one in quarantine its guard's, or its own last one while the guard has none."""
    known = {state.account_id: state for state in states_of(quarantined)}
    known |= {state.account_id: state for state in states_of(accounts)}
    return list(known.values())


def clearing_states_of(
    actors: Mapping[str, Ref], known: Mapping[Symbol, ClearingState]
) -> list[ClearingState]:
    """The present states of all clearings; ``known`` has those of a start, which stand where none is served any more."""
    found = dict(known)
    for name in filter(is_clearing, list(actors)):
        actor = actors[name].cell.actor
        state = actor.inspect_decided() if isinstance(actor, ClearingActor) else None
        if state is not None:
            found[state.symbol] = state
    return list(found.values())


def exposure_of(states: Iterable[AccountState], ticks: Mapping[Symbol, Tick]) -> FleetExposure:
    """Add accounts up; ``ticks`` give the mids that notionals are taken at."""
    net: dict[Symbol, Decimal] = {}
    allowed = ZERO
    for state in states:
        limits = state.limits
        allowed += min(limits.max_total_exposure, limits.max_position_notional or limits.max_total_exposure)
        for position in state.positions:
            net[position.symbol] = net.get(position.symbol, ZERO) + position.quantity
        for order in state.orders:
            net.setdefault(order.symbol, ZERO)
    notional = {s: abs(quantity) * tick.mid for s, quantity in net.items() if (tick := ticks.get(s))}
    return FleetExposure(net, notional, allowed)


def symbols_in_use(store: Store) -> set[Symbol]:
    """Symbols that an account or the house holds, or has an order in.

    Raises:
        StoreUnreachable: Postgres does not answer.
    """
    ordered = (known.intent.symbol for known in store.recovery().working)
    virtual, house, in_flight = store.books()
    return {*virtual, *house, *in_flight, *ordered}


def reconsider_holders(accounts: Mapping[AccountId, Ref], changed: Collection[Symbol]) -> None:
    """Have the accounts that hold one of these symbols look again: their triggers follow from its rules."""
    for state in states_of(accounts):
        if any(p.symbol in changed for p in state.positions):
            with contextlib.suppress(pykka.ActorDeadError):
                accounts[state.account_id].tell(Reconsider(ReconsiderReason.RULES))
