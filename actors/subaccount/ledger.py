"""What deposits, adoption, takeovers, funding and late fees do to an account's books: the part of ``fold`` that is money.

Each function gives the state after its fact, or raises ``StateCorrupt`` for one that does not fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.core.enums import AccountStatus, Phase
from actors.core.errors import StateCorrupt
from actors.core.facts import (
    AccountAdopted,
    AdoptedPosition,
    AdoptionUndone,
    BalanceAdjusted,
    FundingPaid,
    PositionTakenOver,
)
from actors.core.fees import FeeBooked, FeeLearned, PendingFee
from actors.core.units import ZERO, Symbol, is_sane
from actors.subaccount import funding
from actors.subaccount.holdings import NOTHING, Holdings, changed
from actors.subaccount.holdings import held as held_of
from actors.subaccount.position import Position, with_position

if TYPE_CHECKING:
    from actors.subaccount.state import AccountState


def adopt(state: AccountState, fact: AccountAdopted) -> AccountState:
    """An account as the platform had it. What it held before is not ours, so no funding of that is."""
    symbols = [p.symbol for p in fact.positions]
    if len(set(symbols)) != len(symbols):
        raise StateCorrupt(f"{state.account_id}: two positions of one symbol were adopted")
    holdings: tuple[Holdings, ...] = ()
    for adopted in fact.positions:
        holdings = changed(holdings, adopted.symbol, fact.adopted_ms, NOTHING, NOTHING)
    has_ended = fact.status is AccountStatus.LIQUIDATED and not fact.positions
    return replace(
        state,
        is_undone=False,
        status=fact.status,
        mode=fact.mode,
        maintenance_rate=fact.maintenance_rate,
        below=fact.below,
        balance=fact.balance,
        deposits=fact.balance,
        positions=tuple(_adopted(state, p) for p in fact.positions),
        holdings=holdings,
        phase=Phase.LIQUIDATED if has_ended else Phase.HEALTHY,
    )


def _adopted(state: AccountState, p: AdoptedPosition) -> Position:
    if p.quantity == ZERO or p.cost <= ZERO or p.margin <= ZERO:
        raise StateCorrupt(f"{state.account_id}: {p!r} is no position")
    return Position(
        position_id=p.position_id,
        symbol=p.symbol,
        quantity=p.quantity,
        cost=p.cost,
        margin=p.margin,
        realized=ZERO,
        opened_ms=p.opened_ms,
        peak=p.quantity,
    )


def undo_adoption(state: AccountState, fact: AdoptionUndone) -> AccountState:
    """The account is none of ours any more; whoever undoes it knows that nothing was decided since."""
    if state.is_undone or (state.balance, state.symbols, state.orders) != (fact.balance, fact.symbols, ()):
        raise StateCorrupt(f"{state.account_id}: it is not as it was adopted, so that cannot be undone")
    return type(state)(
        account_id=state.account_id,
        base_limits=state.base_limits,
        limits=state.limits,
        sequence=state.sequence,
        is_undone=True,
    )


def adjust(state: AccountState, fact: BalanceAdjusted) -> AccountState:
    """Money came or went, which is neither a profit nor a loss of the day."""
    after = replace(state, balance=state.balance + fact.amount, deposits=state.deposits + fact.amount)
    if state.risk.day_start_ms == 0:
        return after
    return replace(after, risk=replace(state.risk, day_equity=state.risk.day_equity + fact.amount))


def take_over(state: AccountState, fact: PositionTakenOver) -> AccountState:
    """The house has a position, and the account has paid a fee for that, if any."""
    held = state.position(fact.symbol)
    if held is None or held.quantity != fact.quantity:
        raise StateCorrupt(f"{state.account_id}: no position of {fact.quantity} {fact.symbol} to take over")
    if held.unrealized(fact.price) != fact.realized:
        raise StateCorrupt(f"{state.account_id}: {fact.symbol} was taken over at another profit")
    if not is_sane(fact.fee) or fact.fee < ZERO:
        raise StateCorrupt(f"{state.account_id}: {fact.symbol} was taken over for a fee of {fact.fee}")
    return replace(
        state,
        positions=with_position(state.positions, fact.symbol, None),
        holdings=_taken(state, held, fact.taken_ms),
        balance=state.balance + fact.realized - fact.fee,
        realized=state.realized + fact.realized,
        fees=state.fees + fact.fee,
    )


def _taken(state: AccountState, held: Position, taken_ms: int) -> tuple[Holdings, ...]:
    if not taken_ms:
        return state.holdings
    return changed(state.holdings, held.symbol, taken_ms, held_of(held), NOTHING)


def fund(state: AccountState, fact: FundingPaid) -> AccountState:
    """Funding of what was held at a settlement, once; of a position that may be closed since."""
    due = funding.due(state, fact.symbol, fact.funding_ms)
    if due is None:
        raise StateCorrupt(
            f"{state.account_id}: funding of {fact.symbol} at {fact.funding_ms} is booked already, or not due"
        )
    if due != funding.Due(fact.funding_ms, fact.quantity, fact.position_id, fact.is_closed):
        raise StateCorrupt(
            f"{state.account_id}: funding of {fact.symbol} at {fact.funding_ms} is due of {due!r}, "
            f"not that of {fact!r}"
        )
    if fact.amount != -fact.quantity * fact.mark * fact.rate:
        raise StateCorrupt(f"{state.account_id}: funding of {fact.symbol} is not that of {fact.quantity}")
    positions = state.positions
    held = state.position(fact.symbol)
    if held is not None and not fact.is_closed:
        funded = replace(held, funding=held.funding + fact.amount)
        positions = with_position(positions, fact.symbol, funded)
    return replace(
        state,
        positions=positions,
        settled=funding.with_settled(state, fact),
        balance=state.balance + fact.amount,
        funding=state.funding + fact.amount,
    )


def learn_fee(state: AccountState, fact: FeeLearned) -> AccountState:
    """What a pending fee was taken in is known, but not what that is worth."""
    pending = _pending(state, fact.symbol, fact.trade_id)
    if pending.amount is not None:
        raise StateCorrupt(f"{state.account_id}: the fee of trade {fact.trade_id} is known already")
    known = replace(pending, asset=fact.asset, amount=fact.amount)
    return replace(state, pending_fees=tuple(known if f is pending else f for f in state.pending_fees))


def book_fee(state: AccountState, fact: FeeBooked) -> AccountState:
    """A pending fee is paid: by the account, and by the positions of its trade."""
    known, id_ = fact.pending, state.account_id
    pending = _pending(state, known.symbol, known.trade_id)
    expected = pending
    if pending.amount is None:
        expected = replace(pending, asset=known.asset, amount=known.amount)
    if known != expected:
        raise StateCorrupt(f"{id_}: {known!r} is not the fee that is pending, {pending!r}")
    if known.amount is None or fact.fee != known.amount * fact.rate:
        raise StateCorrupt(f"{id_}: a fee of {fact.fee} is not {known.amount} x {fact.rate}")
    if fact.fee != sum((share.fee for share in fact.shares), ZERO):
        raise StateCorrupt(f"{id_}: the shares of the fee of trade {known.trade_id} do not add up")
    positions = state.positions
    for share in fact.shares:
        held = state.position(known.symbol)
        is_open = held is not None and held.position_id == share.position_id
        if share.is_closed == is_open:
            raise StateCorrupt(f"{id_}: the fee of trade {known.trade_id} is that of another position")
        if held is not None and is_open:
            positions = with_position(positions, known.symbol, replace(held, fees=held.fees + share.fee))
    return replace(
        state,
        positions=positions,
        pending_fees=tuple(f for f in state.pending_fees if f is not pending),
        balance=state.balance - fact.fee,
        fees=state.fees + fact.fee,
    )


def _pending(state: AccountState, symbol: Symbol, trade_id: int) -> PendingFee:
    pending = state.pending_fee(symbol, trade_id)
    if pending is None:
        raise StateCorrupt(f"{state.account_id}: the fee of trade {trade_id} of {symbol} is not pending")
    return pending
