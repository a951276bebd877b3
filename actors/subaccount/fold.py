"""The only function that changes an account.

Rules
1. ``fold(state, fact)`` builds every new state: live, on restart, in replay and in tests.
2. A fact that does not fit raises ``StateCorrupt`` and leaves the old state whole.
3. balance = deposits + realized - fees + funding + bad debt, exactly, after every fold.
4. What comes out depends on the state's facts alone: not on limits, which another release or another configuration
   may have other ones of, nor on how numbers are rounded, as facts carry what came out. Streaks are counted whether they are limited or not; whoever reads one looks at the limit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from operator import itemgetter
from typing import Any, assert_never

from msgspec.structs import replace

from actors.core.constants import ORDER_RATE_WINDOW_MS
from actors.core.enums import Breaker, OrderStatus, Purpose
from actors.core.errors import BadConfig, StateCorrupt
from actors.core.facts import (
    AccountAdopted,
    AccountCarried,
    AccountFact,
    AccountOpened,
    AdoptionUndone,
    AnyFact,
    BadDebtRecorded,
    BalanceAdjusted,
    BreakerChanged,
    CancelIntended,
    CloseOutBegan,
    CloseOutEnded,
    ConditionalDue,
    ConditionalEnded,
    ConditionalFact,
    ConditionalPlaced,
    DayBegan,
    DayEnded,
    DayStopped,
    FillApplied,
    FirstFact,
    FundingPaid,
    LimitsBelowChanged,
    LimitsChanged,
    MaintenanceRateChanged,
    ModeChanged,
    MoneyFact,
    OrderAcknowledged,
    OrderEnded,
    OrderFact,
    OrderIntended,
    PhaseChanged,
    PositionAlerted,
    PositionClosed,
    PositionFact,
    PositionTakenOver,
    RiskFact,
    StatusChanged,
    TrailMoved,
)
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.orders import ConditionalOrder, WorkingOrder, end_text, is_recovered, is_refusal
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol
from actors.subaccount import ledger, state_codec
from actors.subaccount.holdings import changed
from actors.subaccount.holdings import held as held_of
from actors.subaccount.position import (
    Position,
    closed_by,
    filled,
    pending_of,
    position_id,
    with_position,
)
from actors.subaccount.risk_state import Recent
from actors.subaccount.state import AccountState, with_limits


def fold(state: AccountState, fact: AnyFact) -> AccountState:
    """The state after ``fact``.

    Raises:
        StateCorrupt: the fact does not fit the state, or names another account.
    """
    if isinstance(fact, OrderFact):
        return _fold_order(state, fact)
    if isinstance(fact, ConditionalFact):
        return _fold_conditional(state, fact)
    if isinstance(fact, PositionFact):
        return _fold_position(state, fact)
    if isinstance(fact, AccountFact):
        return _fold_account(state, fact)
    if isinstance(fact, MoneyFact):
        return _fold_money(state, fact)
    if isinstance(fact, RiskFact):
        return _fold_risk(state, fact)
    if isinstance(fact, FirstFact):
        return _fold_first(state, fact)
    assert_never(fact)


def _fold_first(state: AccountState, fact: FirstFact) -> AccountState:
    """The begin of an account's facts; ``state`` is a blank one, with the account's id."""
    if not _is_blank(state) and not (state.is_undone and isinstance(fact, AccountAdopted)):
        raise StateCorrupt(f"{state.account_id}: it began already, and does not begin again")
    match fact:
        case AccountOpened():
            return replace(state, mode=fact.mode, maintenance_rate=fact.maintenance_rate, below=fact.below)
        case AccountCarried():
            carried = state_codec.decode(fact.version, fact.state, state.base_limits)
            if carried.account_id != state.account_id:
                raise StateCorrupt(f"{state.account_id}: the state of {carried.account_id} was carried over")
            return carried
        case AccountAdopted():
            return ledger.adopt(state, fact)
        case _:
            assert_never(fact)


def _is_blank(state: AccountState) -> bool:
    return state == AccountState(
        account_id=state.account_id, base_limits=state.base_limits, limits=state.limits
    )


def _fold_order(state: AccountState, fact: OrderFact) -> AccountState:
    match fact:
        case FillApplied():
            return _fold_fill(state, fact)
        case OrderIntended():
            return _fold_intended(state, fact)
        case OrderAcknowledged():
            return _fold_acknowledged(state, fact)
        case CancelIntended():
            order = _order(state, fact.client_order_id)
            return replace(
                state, orders=_exchanged(state.orders, order, replace(order, cancel_requested=True))
            )
        case OrderEnded():
            return _fold_ended(state, fact)
        case _:
            assert_never(fact)


def _fold_acknowledged(state: AccountState, fact: OrderAcknowledged) -> AccountState:
    order = _order(state, fact.client_order_id)
    acknowledged = replace(order, status=OrderStatus.ACKNOWLEDGED, exchange_order_id=fact.exchange_order_id)
    return _succeeded(replace(state, orders=_exchanged(state.orders, order, acknowledged)))


def _fold_conditional(state: AccountState, fact: ConditionalFact) -> AccountState:
    match fact:
        case ConditionalPlaced():
            return _fold_placed(state, fact)
        case TrailMoved():
            return _with_conditional(state, fact.client_order_id, extreme=fact.extreme)
        case ConditionalDue():
            return _with_conditional(state, fact.client_order_id, due=True)
        case ConditionalEnded():
            ended = _conditional(state, fact.client_order_id)
            return replace(state, conditionals=tuple(c for c in state.conditionals if c is not ended))
        case _:
            assert_never(fact)


def _fold_risk(state: AccountState, fact: RiskFact) -> AccountState:
    match fact:
        case DayBegan():
            return _with_risk(state, day_start_ms=fact.start_ms, day_equity=fact.equity, day_stopped=False)
        case DayEnded():
            return _with_risk(state, day_start_ms=0, day_equity=ZERO, day_stopped=False)
        case DayStopped():
            return _with_risk(state, day_stopped=True)
        case BreakerChanged():
            return _fold_breaker(state, fact)
        case CloseOutBegan():
            return _with_risk(state, close_out=fact)
        case CloseOutEnded():
            return _with_risk(state, close_out=None)
        case _:
            assert_never(fact)


def _fold_account(state: AccountState, fact: AccountFact) -> AccountState:
    match fact:
        case PhaseChanged():
            return replace(
                state,
                phase=fact.phase,
                refusals=fact.refusals,
                retry_at_ms=fact.retry_at_ms,
                unsent=fact.unsent,
            )
        case StatusChanged():
            return replace(state, status=fact.status)
        case ModeChanged():
            return replace(state, mode=fact.mode)
        case LimitsChanged():
            return _fold_limits(state, fact)
        case LimitsBelowChanged():
            return replace(state, below=fact.below)
        case MaintenanceRateChanged():
            return replace(state, maintenance_rate=fact.rate)
        case AdoptionUndone():
            return ledger.undo_adoption(state, fact)
        case _:
            assert_never(fact)


def _fold_money(state: AccountState, fact: MoneyFact) -> AccountState:
    match fact:
        case BalanceAdjusted():
            return ledger.adjust(state, fact)
        case FundingPaid():
            return ledger.fund(state, fact)
        case FeeLearned():
            return ledger.learn_fee(state, fact)
        case FeeBooked():
            return ledger.book_fee(state, fact)
        case BadDebtRecorded():
            return replace(state, balance=state.balance + fact.amount, bad_debt=state.bad_debt + fact.amount)
        case _:
            assert_never(fact)


def _fold_position(state: AccountState, fact: PositionFact) -> AccountState:
    match fact:
        case PositionTakenOver():
            return ledger.take_over(state, fact)
        case PositionClosed():
            if fact.net == ZERO:
                return state
            return _with_risk(state, losses=state.risk.losses + 1 if fact.net < ZERO else 0)
        case PositionAlerted():
            held = _position(state, fact.symbol)
            alerted = replace(held, alerts=(*held.alerts, fact.alert))
            return replace(state, positions=with_position(state.positions, fact.symbol, alerted))
        case _:
            assert_never(fact)


def folded(state: AccountState, facts: Iterable[AnyFact]) -> AccountState:
    """The state after all ``facts``, in order."""
    for fact in facts:
        state = _OFTEN.get(type(fact), fold)(state, fact)
    return state


def _succeeded(state: AccountState) -> AccountState:
    return state if state.risk.errors == 0 else _with_risk(state, errors=0)


def _with_risk(state: AccountState, **changes: object) -> AccountState:
    if all(getattr(state.risk, name) == value for name, value in changes.items()):
        return state
    return replace(state, risk=replace(state.risk, **changes))


def _next_sequence(
    state: AccountState, account_id: AccountId, sequence: int, *, may_skip: bool = False
) -> int:
    if account_id != state.account_id:
        raise StateCorrupt(f"{state.account_id}: an order of {account_id} arrived")
    is_next = sequence >= state.next_order_sequence if may_skip else sequence == state.next_order_sequence
    if not is_next:
        raise StateCorrupt(
            f"{state.account_id}: order {sequence} does not follow {state.next_order_sequence - 1}"
        )
    return sequence + 1


def _fold_intended(state: AccountState, fact: OrderIntended) -> AccountState:
    # Between orders that were learned from the exchange may be some that never traded.
    following = _next_sequence(state, fact.account_id, fact.sequence, may_skip=is_recovered(fact))
    risk = state.risk
    if fact.purpose is Purpose.USER:
        risk = replace(risk, recent=_counted(risk.recent, fact))
    orders = (*state.orders, WorkingOrder(intent=fact))
    return replace(state, orders=orders, next_order_sequence=following, risk=risk)


_SENT_MS = itemgetter(1)


def _counted(recent: Recent, sent: OrderIntended) -> Recent:
    """The account's own orders of the last minute with one more, by time; what is older is cut off in front."""
    at_ms, one = sent.decided_ms, (sent.symbol, sent.decided_ms)
    if recent and recent[0][1] <= at_ms - ORDER_RATE_WINDOW_MS:
        recent = recent[bisect_right(recent, at_ms - ORDER_RATE_WINDOW_MS, key=_SENT_MS) :]
    if not recent or recent[-1][1] <= at_ms:
        return (*recent, one)
    # A clock was set back.
    at = bisect_right(recent, at_ms, key=_SENT_MS)
    return (*recent[:at], one, *recent[at:])


def _uncounted(state: AccountState, order: WorkingOrder) -> AccountState:
    """What was never sent is none of the orders of the last minute."""
    recent, sent = state.risk.recent, (order.symbol, order.intent.decided_ms)
    first = bisect_left(recent, order.intent.decided_ms, key=_SENT_MS)
    for at in range(first, len(recent)):
        if recent[at] == sent:
            return replace(state, risk=replace(state.risk, recent=recent[:at] + recent[at + 1 :]))
        if recent[at][1] > order.intent.decided_ms:
            break
    return state


def _fold_placed(state: AccountState, fact: ConditionalPlaced) -> AccountState:
    following = _next_sequence(state, fact.account_id, fact.sequence)
    waiting = ConditionalOrder(placed=fact, extreme=fact.extreme)
    return replace(state, conditionals=(*state.conditionals, waiting), next_order_sequence=following)


def _fold_ended(state: AccountState, fact: OrderEnded) -> AccountState:
    order = _order(state, fact.client_order_id)
    left = replace(state, orders=_exchanged(state.orders, order))
    if fact.status is OrderStatus.NEVER_SENT:
        left = _uncounted(left, order)
    if not is_refusal(fact):
        return left
    counts = order.purpose is Purpose.USER and fact.status is OrderStatus.REJECTED
    why = f"{fact.client_order_id} {end_text(fact.status, fact.code, fact.reason)}"
    return _with_risk(left, errors=state.risk.errors + counts, last_refusal=why)


def _fold_fill(state: AccountState, fact: FillApplied) -> AccountState:
    trade = fact.trade
    order = _order(state, fact.client_order_id)
    if trade.trade_id in order.trade_ids:
        raise StateCorrupt(f"{state.account_id}: trade {trade.trade_id} of {trade.symbol} is booked already")
    if trade.quantity <= 0 or trade.quantity > order.remaining:
        raise StateCorrupt(
            f"{state.account_id}: a fill of {trade.quantity} does not fit the {order.remaining} "
            f"that {order.client_order_id} has left"
        )
    held = state.position(trade.symbol)
    closed = closed_by(held, trade)
    opens = held is None or abs(held.quantity) == closed < trade.quantity
    new_id = position_id(state.account_id, state.next_position_sequence) if opens else ""
    after = filled(held, fact, new_id, order.intent.strategy)
    if not _fits(held, after, fact, closed):
        raise StateCorrupt(f"{state.account_id}: trade {trade.trade_id} was settled on another position")
    booked = replace(
        order,
        filled=order.filled + trade.quantity,
        trade_ids=(*order.trade_ids, trade.trade_id),
        exchange_order_id=trade.exchange_order_id,
    )
    if order.intent.purpose is Purpose.USER:
        state = _succeeded(state)
    pending_fees = state.pending_fees
    pending = pending_of(fact, held, after)
    if pending is not None:
        if fact.fee != ZERO:
            raise StateCorrupt(f"{state.account_id}: the fee of trade {trade.trade_id} is pending and booked")
        pending_fees = (*pending_fees, pending)
    return replace(
        state,
        orders=_exchanged(state.orders, order, booked),
        pending_fees=pending_fees,
        positions=with_position(state.positions, trade.symbol, after),
        holdings=changed(state.holdings, trade.symbol, trade.trade_ms, held_of(held), held_of(after)),
        next_position_sequence=state.next_position_sequence + opens,
        balance=state.balance + fact.realized - fact.fee,
        realized=state.realized + fact.realized,
        fees=state.fees + fact.fee,
    )


def _fits(held: Position | None, after: Position | None, fact: FillApplied, closed: Decimal) -> bool:
    """Whether a fill was decided on the position that is held: by what is exact, however parts of a cost are rounded.

    What was realized is what the closed part brought less the cost that left with it.
    """
    if fact.closed_quantity != closed:
        return False
    if held is None or closed == ZERO:
        return fact.realized == ZERO
    is_same = after is not None and after.position_id == held.position_id
    cost = held.cost - fact.cost if is_same else held.cost
    trade = fact.trade
    if trade.quote_quantity is None:
        brought = closed * trade.price
    else:
        # The fact says how its value was divided: what opened the other side is that position's cost.
        brought = trade.value if is_same or after is None else trade.value - fact.cost
    return fact.realized == (brought - cost) * (1 if held.is_long else -1)


def _fold_breaker(state: AccountState, fact: BreakerChanged) -> AccountState:
    closes = fact.breaker is not Breaker.OPEN
    return _with_risk(
        state,
        breaker=fact.breaker,
        breaker_reason=fact.reason,
        breaker_until_ms=fact.until_ms,
        breaker_by_hand=fact.by_hand,
        losses=0 if closes else state.risk.losses,
        errors=0 if closes else state.risk.errors,
    )


def _fold_limits(state: AccountState, fact: LimitsChanged) -> AccountState:
    own = dict(state.overrides)
    for name, text in fact.changes:
        if text is None:
            own.pop(name, None)
        else:
            own[name] = text
    try:
        return with_limits(state, state.base_limits, tuple(sorted(own.items())))
    except BadConfig as error:
        raise StateCorrupt(f"{state.account_id}: its own limits cannot be read: {error}") from None


def _order(state: AccountState, client_order_id_: ClientOrderId) -> WorkingOrder:
    order = state.order(client_order_id_)
    if order is None:
        raise StateCorrupt(f"{state.account_id}: {client_order_id_} is not a working order")
    return order


def _conditional(state: AccountState, client_order_id_: ClientOrderId) -> ConditionalOrder:
    order = state.conditional(client_order_id_)
    if order is None:
        raise StateCorrupt(f"{state.account_id}: {client_order_id_} is not a conditional order")
    return order


def _with_conditional(state: AccountState, id_: ClientOrderId, **changes: object) -> AccountState:
    waiting = _conditional(state, id_)
    changed = replace(waiting, **changes)
    return replace(state, conditionals=tuple(changed if c is waiting else c for c in state.conditionals))


def _position(state: AccountState, symbol: Symbol) -> Position:
    position = state.position(symbol)
    if position is None:
        raise StateCorrupt(f"{state.account_id}: there is no position in {symbol}")
    return position


def _exchanged(
    orders: tuple[WorkingOrder, ...], old: WorkingOrder, new: WorkingOrder | None = None
) -> tuple[WorkingOrder, ...]:
    """With ``new`` in the place of ``old``, which is one of them; without ``old`` if there is none."""
    if orders[-1] is old:  # nearly always
        return orders[:-1] if new is None else (*orders[:-1], new)
    for at, order in enumerate(orders):  # noqa: B007 - a generator costs several times as much
        if order is old:
            break
    return orders[:at] + orders[at + 1 :] if new is None else (*orders[:at], new, *orders[at + 1 :])


_OFTEN: Mapping[type[AnyFact], Callable[[AccountState, Any], AccountState]] = {
    OrderIntended: _fold_intended,
    OrderAcknowledged: _fold_acknowledged,
    FillApplied: _fold_fill,
    OrderEnded: _fold_ended,
}
"""What nearly all facts are, found without a row of isinstance checks, which would cost as much as the folding."""
