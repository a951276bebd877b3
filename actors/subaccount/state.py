"""What one account is, and the only function that changes it.

Rules
1. ``fold(state, fact)`` builds every new state: live, on restart, in replay and in tests.
2. A fact that does not fit raises ``StateCorrupt`` and leaves the old state whole.
3. balance = deposits + realized - fees + funding + bad debt, exactly, after every fold.
4. ``settle`` is the only place that knows how a fill changes a position.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from actors.errors import StateCorrupt
from actors.limits import CLIENT_ORDER_ID_PREFIX, RiskLimits
from actors.messages import (
    AccountStatus,
    AnyFact,
    BadDebtRecorded,
    BalanceAdjusted,
    CancelIntended,
    FillApplied,
    OrderAcknowledged,
    OrderEnded,
    OrderIntended,
    OrderStatus,
    Phase,
    PhaseChanged,
    PositionTakenOver,
    Purpose,
    StatusChanged,
)
from actors.units import (
    ENTRY_QUANTUM,
    ZERO,
    AccountId,
    ClientOrderId,
    Nanos,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
    quantize_price,
)


class LiquidationMode(StrEnum):
    """What happens at the first tier: tiers, all at once, or the house takes over."""

    ADL_30 = "ADL_30"
    INSTANT_CLOSE = "INSTANT_CLOSE"
    TAKEOVER = "TAKEOVER"


class Position(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One open position. ``quantity`` is signed (long > 0) and never zero.

    ``entry_price`` is the quantity-weighted average of the opening fills; ``margin`` the
    initial margin in quote asset; ``realized`` what partial closes brought so far.
    """

    position_id: str
    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal
    margin: Decimal
    realized: Decimal
    opened_ms: int

    @property
    def notional(self) -> Decimal:
        """Entry notional, in quote asset: |quantity| x entry price."""
        return abs(self.quantity) * self.entry_price

    @property
    def leverage(self) -> Decimal:
        """Entry notional / initial margin."""
        return self.notional / self.margin

    def unrealized(self, mark: Decimal) -> Decimal:
        """Profit at ``mark``, in quote asset: quantity x (mark - entry)."""
        return self.quantity * (mark - self.entry_price)


class WorkingOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order that is not final yet, with the trades of it that are booked."""

    client_order_id: ClientOrderId
    sequence: int
    symbol: Symbol
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    reduce_only: bool
    leverage: Decimal
    margin_reserved: Decimal
    purpose: Purpose
    tier: int
    decided_ms: int
    status: OrderStatus = OrderStatus.INTENDED
    exchange_order_id: int | None = None
    filled: Decimal = ZERO
    trade_ids: tuple[int, ...] = ()
    cancel_requested: bool = False

    @property
    def remaining(self) -> Decimal:
        """Quantity that has not traded."""
        return self.quantity - self.filled

    @property
    def held_margin(self) -> Decimal:
        """Reserved margin of the part that has not traded, in quote asset."""
        if self.filled == ZERO:
            return self.margin_reserved
        return self.margin_reserved * self.remaining / self.quantity


class AccountState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything that an account knows. ``sequence`` counts its durable decisions."""

    account_id: AccountId
    status: AccountStatus = AccountStatus.ACTIVE
    mode: LiquidationMode = LiquidationMode.ADL_30
    maintenance_rate: Decimal = Decimal("0.005")
    limits: RiskLimits = RiskLimits()
    sequence: int = 0
    next_order_sequence: int = 1
    next_position_sequence: int = 1
    balance: Decimal = ZERO
    deposits: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    bad_debt: Decimal = ZERO
    positions: tuple[Position, ...] = ()
    orders: tuple[WorkingOrder, ...] = ()
    phase: Phase = Phase.HEALTHY
    refusals: int = 0
    retry_at_ns: Nanos = Nanos(0)

    def position(self, symbol: Symbol) -> Position | None:
        """The open position in ``symbol``, if any."""
        for position in self.positions:
            if position.symbol == symbol:
                return position
        return None

    def order(self, client_order_id: ClientOrderId) -> WorkingOrder | None:
        """The working order of that id, if any."""
        for order in self.orders:
            if order.client_order_id == client_order_id:
                return order
        return None

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """Symbols of the open positions."""
        return tuple(p.symbol for p in self.positions)


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What a fill does to a position: the position after it, and what was realized."""

    position: Position | None
    closed_quantity: Decimal
    realized: Decimal
    opened_new: bool


def client_order_id(account_id: AccountId, sequence: int) -> ClientOrderId:
    """The deterministic client order id of an account's ``sequence``-th order.

    Shape: prefix, 16 hex digits of BLAKE2b(account id), sequence; at most 36 characters,
    which is the exchange's limit.
    """
    digest = hashlib.blake2b(account_id.encode(), digest_size=8).hexdigest()
    return ClientOrderId(f"{CLIENT_ORDER_ID_PREFIX}-{digest}-{sequence}")


def position_id(account_id: AccountId, sequence: int) -> str:
    """The deterministic id of an account's ``sequence``-th position, in UUID shape."""
    h = hashlib.blake2b(f"{account_id}:{sequence}".encode(), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def settle(state: AccountState, fill: FillApplied, leverage: Decimal) -> Settlement:
    """Apply one fill to the account's position in its symbol, netted, one way.

    realized = closed quantity x (price - entry) x sign of the position, fees excluded.
    A fill against the position reduces it first; what is left over opens the other side.
    """
    signed = fill.quantity * fill.side.sign
    held = state.position(fill.symbol)
    if held is None:
        return Settlement(_opened(state, fill, signed, leverage), ZERO, ZERO, opened_new=True)
    if (held.quantity > 0) == (signed > 0):
        return Settlement(_added(held, fill, signed, leverage), ZERO, ZERO, opened_new=False)
    closed = min(abs(held.quantity), fill.quantity)
    sign = 1 if held.quantity > 0 else -1
    realized = closed * (fill.price - held.entry_price) * sign
    left = held.quantity + signed
    if left == ZERO:
        return Settlement(None, closed, realized, opened_new=False)
    if (left > 0) == (held.quantity > 0):
        return Settlement(_reduced(held, left, realized), closed, realized, opened_new=False)
    return Settlement(_opened(state, fill, left, leverage), closed, realized, opened_new=True)


def fold(state: AccountState, fact: AnyFact) -> AccountState:
    """The state after ``fact``.

    Raises:
        StateCorrupt: the fact does not fit the state, or names another account.
    """
    match fact:
        case FillApplied():
            return _fold_fill(state, fact)
        case OrderIntended():
            return _fold_intended(state, fact)
        case OrderAcknowledged():
            order = _order(state, fact.client_order_id)
            return _with_order(
                state,
                replace(order, status=OrderStatus.ACKNOWLEDGED, exchange_order_id=fact.exchange_order_id),
            )
        case CancelIntended():
            order = _order(state, fact.client_order_id)
            return _with_order(state, replace(order, cancel_requested=True))
        case OrderEnded():
            order = _order(state, fact.client_order_id)
            return replace(state, orders=tuple(o for o in state.orders if o is not order))
        case BalanceAdjusted():
            return replace(state, balance=state.balance + fact.amount, deposits=state.deposits + fact.amount)
        case PositionTakenOver():
            return _fold_takeover(state, fact)
        case PhaseChanged():
            return replace(state, phase=fact.phase, refusals=fact.refusals, retry_at_ns=fact.retry_at_ns)
        case StatusChanged():
            return replace(state, status=fact.status)
        case BadDebtRecorded():
            return replace(state, balance=state.balance + fact.amount, bad_debt=state.bad_debt + fact.amount)


def books_balance(state: AccountState) -> bool:
    """Whether balance = deposits + realized - fees + funding + bad debt."""
    return state.balance == (state.deposits + state.realized - state.fees + state.funding + state.bad_debt)


def _opened(state: AccountState, fill: FillApplied, signed: Decimal, leverage: Decimal) -> Position:
    return Position(
        position_id=position_id(state.account_id, state.next_position_sequence),
        symbol=fill.symbol,
        quantity=signed,
        entry_price=quantize_price(fill.price),
        margin=_margin(abs(signed) * fill.price, leverage),
        realized=ZERO,
        opened_ms=fill.trade_ms,
    )


def _added(held: Position, fill: FillApplied, signed: Decimal, leverage: Decimal) -> Position:
    # Margin adds up: taking over the new order's leverage for the whole position, as the
    # platform does, would let an add free margin.
    quantity = held.quantity + signed
    cost = held.notional + fill.quantity * fill.price
    return replace(
        held,
        quantity=quantity,
        entry_price=quantize_price(cost / abs(quantity)),
        margin=held.margin + _margin(fill.quantity * fill.price, leverage),
    )


def _reduced(held: Position, left: Decimal, realized: Decimal) -> Position:
    margin = (held.margin * left / held.quantity).quantize(ENTRY_QUANTUM)
    return replace(held, quantity=left, margin=margin, realized=held.realized + realized)


def _margin(notional: Decimal, leverage: Decimal) -> Decimal:
    return (notional / leverage).quantize(ENTRY_QUANTUM)


def _fold_intended(state: AccountState, fact: OrderIntended) -> AccountState:
    if fact.account_id != state.account_id:
        raise StateCorrupt(f"{state.account_id}: an order of {fact.account_id} arrived")
    if fact.sequence != state.next_order_sequence:
        raise StateCorrupt(
            f"{state.account_id}: order {fact.sequence} does not follow {state.next_order_sequence - 1}"
        )
    order = WorkingOrder(
        client_order_id=fact.client_order_id,
        sequence=fact.sequence,
        symbol=fact.symbol,
        side=fact.side,
        order_type=fact.order_type,
        quantity=fact.quantity,
        price=fact.price,
        time_in_force=fact.time_in_force,
        reduce_only=fact.reduce_only,
        leverage=fact.leverage,
        margin_reserved=fact.margin_reserved,
        purpose=fact.purpose,
        tier=fact.tier,
        decided_ms=fact.decided_ms,
    )
    return replace(state, orders=(*state.orders, order), next_order_sequence=fact.sequence + 1)


def _fold_fill(state: AccountState, fact: FillApplied) -> AccountState:
    order = _order(state, fact.client_order_id)
    if fact.trade_id in order.trade_ids:
        raise StateCorrupt(f"{state.account_id}: trade {fact.trade_id} of {fact.symbol} is booked already")
    if fact.quantity <= 0 or fact.quantity > order.remaining:
        raise StateCorrupt(
            f"{state.account_id}: a fill of {fact.quantity} does not fit the {order.remaining} "
            f"that {order.client_order_id} has left"
        )
    settlement = settle(state, fact, order.leverage)
    if (settlement.closed_quantity, settlement.realized) != (fact.closed_quantity, fact.realized):
        raise StateCorrupt(f"{state.account_id}: trade {fact.trade_id} was settled on another position")
    state = _with_order(
        state,
        replace(
            order,
            filled=order.filled + fact.quantity,
            trade_ids=(*order.trade_ids, fact.trade_id),
            exchange_order_id=fact.exchange_order_id,
        ),
    )
    return replace(
        state,
        positions=_with_position(state.positions, fact.symbol, settlement.position),
        next_position_sequence=state.next_position_sequence + settlement.opened_new,
        balance=state.balance + fact.realized - fact.fee,
        realized=state.realized + fact.realized,
        fees=state.fees + fact.fee,
    )


def _fold_takeover(state: AccountState, fact: PositionTakenOver) -> AccountState:
    held = state.position(fact.symbol)
    if held is None or held.quantity != fact.quantity:
        raise StateCorrupt(f"{state.account_id}: no position of {fact.quantity} {fact.symbol} to take over")
    if held.unrealized(fact.price) != fact.realized:
        raise StateCorrupt(f"{state.account_id}: {fact.symbol} was taken over at another profit")
    return replace(
        state,
        positions=_with_position(state.positions, fact.symbol, None),
        balance=state.balance + fact.realized,
        realized=state.realized + fact.realized,
    )


def _order(state: AccountState, client_order_id_: ClientOrderId) -> WorkingOrder:
    order = state.order(client_order_id_)
    if order is None:
        raise StateCorrupt(f"{state.account_id}: {client_order_id_} is not a working order")
    return order


def _with_order(state: AccountState, order: WorkingOrder) -> AccountState:
    return replace(
        state,
        orders=tuple(order if o.client_order_id == order.client_order_id else o for o in state.orders),
    )


def _with_position(
    positions: tuple[Position, ...], symbol: Symbol, position: Position | None
) -> tuple[Position, ...]:
    if position is None:
        return tuple(p for p in positions if p.symbol != symbol)
    if any(p.symbol == symbol for p in positions):
        return tuple(position if p.symbol == symbol else p for p in positions)
    return (*positions, position)
