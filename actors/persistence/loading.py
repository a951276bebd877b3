"""Rows to states: the way back from ``persistence.rows``. Pure.

The order of columns is that of ``persistence.sql``: change both together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.limits import RiskLimits
from actors.messages import AccountStatus, OrderIntended, OrderStatus, Phase, Purpose
from actors.persistence.messages import KnownOrder
from actors.subaccount.state import AccountState, LiquidationMode, Position, WorkingOrder
from actors.units import AccountId, ClientOrderId, Nanos, OrderType, Side, Symbol, TimeInForce

Row = tuple[Any, ...]


class Loaded(NamedTuple):
    """Rows of positions and orders by account id."""

    positions: dict[str, list[Row]]
    orders: dict[str, list[Row]]


def state_of(row: Row, loaded: Loaded, price_max_age_ns: Nanos) -> AccountState:
    """An account out of its row of accounts and its other rows."""
    account_id = AccountId(row[0])
    return AccountState(
        account_id=account_id,
        status=AccountStatus(row[1]),
        mode=LiquidationMode(row[2]),
        maintenance_rate=row[3],
        sequence=row[4],
        next_order_sequence=row[5],
        next_position_sequence=row[6],
        balance=row[7],
        deposits=row[8],
        realized=row[9],
        fees=row[10],
        funding=row[11],
        bad_debt=row[12],
        phase=Phase(row[13]),
        refusals=row[14],
        limits=_limits(row[15:19], price_max_age_ns),
        positions=tuple(_position(r) for r in loaded.positions.get(account_id, ())),
        orders=tuple(_order(r) for r in loaded.orders.get(account_id, ())),
    )


def known_order(row: Row) -> KnownOrder:
    """A row of orders as the gateway wants it."""
    intended = OrderIntended(
        account_id=AccountId(row[0]),
        sequence=row[2],
        client_order_id=ClientOrderId(row[1]),
        symbol=Symbol(row[3]),
        side=Side(row[4]),
        order_type=OrderType(row[5]),
        quantity=row[6],
        price=row[7],
        time_in_force=TimeInForce(row[8]),
        reduce_only=row[9],
        leverage=row[10],
        margin_reserved=row[11],
        purpose=Purpose(row[12]),
        tier=row[13],
        decided_ms=row[14],
        cause=row[15],
    )
    return KnownOrder(
        order=intended,
        status=OrderStatus(row[16]),
        filled=row[18],
        exchange_order_id=row[17],
        trade_ids=tuple(row[20]),
        cancel_requested=row[19],
    )


def _limits(row: Row, price_max_age_ns: Nanos) -> RiskLimits:
    if row[0] is None:
        return RiskLimits(price_max_age_ns=price_max_age_ns)
    return RiskLimits(
        max_leverage=row[0],
        max_notional_per_trade=row[1],
        max_total_exposure=row[2],
        liquidation_threshold=row[3],
        price_max_age_ns=price_max_age_ns,
    )


def _position(row: Row) -> Position:
    return Position(
        position_id=row[1],
        symbol=Symbol(row[2]),
        quantity=row[3],
        entry_price=row[4],
        margin=row[5],
        realized=row[6],
        opened_ms=row[7],
    )


def _order(row: Row) -> WorkingOrder:
    known = known_order(row)
    order = known.order
    return WorkingOrder(
        client_order_id=order.client_order_id,
        sequence=order.sequence,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        leverage=order.leverage,
        margin_reserved=order.margin_reserved,
        purpose=order.purpose,
        tier=order.tier,
        decided_ms=order.decided_ms,
        status=known.status,
        exchange_order_id=known.exchange_order_id,
        filled=known.filled,
        trade_ids=known.trade_ids,
        cancel_requested=known.cancel_requested,
    )
