"""Rows of schema version 6 to states, for the migration to the journal alone. Pure.

Until version 6 a state was spread over tables that were overwritten. ``LOAD`` reads them, in the order of ``Loaded``.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, LiteralString, NamedTuple

from actors.core.enums import (
    AccountStatus,
    Alert,
    Breaker,
    CloseOutScope,
    ConditionalKind,
    LiquidationMode,
    OrderStatus,
    OrderType,
    Phase,
    Purpose,
    Side,
    TimeInForce,
)
from actors.core.errors import BadConfig
from actors.core.facts import CloseOutBegan, ConditionalPlaced, OrderIntended
from actors.core.fees import PendingFee
from actors.core.orders import ConditionalOrder, WorkingOrder, conditional_of
from actors.core.units import AccountId, ClientOrderId, Symbol
from actors.limits.layers import differing, merge, with_rule
from actors.limits.model import RiskLimits
from actors.subaccount.holdings import Change, Holdings, Settled
from actors.subaccount.position import Position
from actors.subaccount.risk_state import INITIAL_RISK_STATE, RiskState
from actors.subaccount.state import AccountState

Row = tuple[Any, ...]


_ACCOUNTS: LiteralString = """
    SELECT a.account_id, s.status, s.liquidation_mode, s.maintenance_rate::numeric, a.sequence,
        a.next_order_sequence, a.next_position_sequence, a.balance, a.deposits, a.realized, a.fees,
        a.funding, a.bad_debt, a.phase, a.refusals,
        (CASE WHEN own.id IS NULL THEN general.max_leverage ELSE own.max_leverage END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.max_notional_per_trade ELSE own.max_notional_per_trade END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.max_total_exposure ELSE own.max_total_exposure END)::numeric,
        (CASE WHEN own.id IS NULL THEN general.liquidation_threshold ELSE own.liquidation_threshold END)::numeric,
        r.day_start_ms, r.day_equity, r.day_stopped, r.losses, r.errors, r.breaker, r.breaker_reason,
        r.breaker_until_ms, r.breaker_by_hand, r.closing_out, r.last_refusal
    FROM bulkhead.account a
    LEFT JOIN bulkhead.account_risk r ON r.account_id = a.account_id
    JOIN sub_accounts s ON s.id = a.account_id
    LEFT JOIN LATERAL (
        SELECT id, max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold
        FROM risk_rules WHERE sub_account_id = a.account_id ORDER BY id LIMIT 1
    ) own ON true
    LEFT JOIN (
        -- Found before it is sorted: else every account's own rule is read to come to it by its id.
        WITH rules AS MATERIALIZED (
            SELECT id, max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold
            FROM risk_rules WHERE is_global
        )
        SELECT max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold
        FROM rules ORDER BY id LIMIT 1
    ) general ON true"""

_POSITIONS: LiteralString = """
    SELECT account_id, position_id, symbol, quantity, cost, margin, realized, opened_ms, peak, fees,
        funding, mae, mfe, since, strategy, alerts
    FROM bulkhead.position"""

_ORDERS: LiteralString = """
    SELECT i.account_id, i.client_order_id, i.order_sequence, i.symbol, i.side, i.order_type, i.quantity,
        i.price, i.time_in_force, i.reduce_only, i.leverage, i.margin_reserved, i.purpose, i.tier,
        i.decided_ms, i.cause, i.status, i.exchange_order_id, i.filled, i.cancel_requested,
        COALESCE((SELECT array_agg(f.trade_id ORDER BY f.trade_id) FROM bulkhead.fill f
            WHERE f.client_order_id = i.client_order_id), '{}'), i.strategy, i.reference_price
    FROM bulkhead.intent i"""

_WORKING: LiteralString = " WHERE i.status IN ('INTENDED', 'ACKNOWLEDGED')"

_BY_ACCOUNT: LiteralString = " ORDER BY account_id, opened_ms, position_id"

_CONDITIONALS: LiteralString = """
    SELECT account_id, client_order_id, order_sequence, kind, symbol, side, quantity, trigger_price,
        callback_rate, activation_price, first_extreme, extreme, due, reduce_only, leverage,
        margin_reserved, strategy, decided_ms, moment, cause, attempt, not_before_ms
    FROM bulkhead.conditional WHERE status = 'WAITING'"""

_LIMITS: LiteralString = "SELECT account_id, name, value FROM bulkhead.account_limit"

_RECENT: LiteralString = """
    SELECT account_id, symbol, decided_ms FROM bulkhead.intent
    WHERE purpose = 'USER' AND status <> 'NEVER_SENT' AND decided_ms > (extract(epoch FROM now()) * 1000)::bigint - 60000"""

_PENDING_FEES: LiteralString = """
    SELECT account_id, symbol, trade_id, client_order_id, exchange_order_id, trade_ms, quantity, price,
        closed_quantity, position_id, closed_id, asset, amount
    FROM bulkhead.pending_fee"""

_HELD: LiteralString = """
    SELECT account_id, symbol, until_ms, quantity, position_id FROM bulkhead.held_until"""

_BY_TIME: LiteralString = " ORDER BY account_id, symbol, until_ms"

_SETTLED: LiteralString = """
    SELECT account_id, symbol, funding_ms, quantity, position_id FROM bulkhead.funding WHERE kept"""

_BY_SETTLEMENT: LiteralString = " ORDER BY account_id, symbol, funding_ms"

_BY_TRADE: LiteralString = " ORDER BY account_id, trade_ms, symbol, trade_id"

_BY_SEQUENCE: LiteralString = " ORDER BY account_id, order_sequence"

LOAD: tuple[LiteralString, ...] = (
    _ACCOUNTS + " ORDER BY a.account_id",
    _POSITIONS + _BY_ACCOUNT,
    _ORDERS + _WORKING + " ORDER BY i.account_id, i.order_sequence",
    _CONDITIONALS + _BY_SEQUENCE,
    _LIMITS + " ORDER BY account_id, name",
    _RECENT + _BY_SEQUENCE,
    _PENDING_FEES + _BY_TRADE,
    _HELD + _BY_TIME,
    _SETTLED + _BY_SETTLEMENT,
)
"""Of all: accounts, open positions, working and conditional orders, own limits, last minute's orders, fees,
what was held and funded in the last day."""


class Loaded(NamedTuple):
    """All but the accounts' own rows, by account id; in the order of ``LOAD``."""

    positions: dict[str, list[Row]]
    orders: dict[str, list[Row]]
    conditionals: dict[str, list[Row]]
    limits: dict[str, list[Row]]
    recent: dict[str, list[Row]]
    pending_fees: dict[str, list[Row]]
    held: dict[str, list[Row]]
    settled: dict[str, list[Row]]


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Sorted rows by their first column."""
    return {key: list(group) for key, group in groupby(rows, key=lambda row: row[0])}


class Loader:
    """Makes states of rows.

    Args:
        defaults: the limits of accounts that have neither a rule of the platform nor limits of their own.
    """

    def __init__(self, defaults: RiskLimits) -> None:
        self._defaults = defaults
        # Accounts of equal limits share one object of them.
        self._limits: dict[Row, RiskLimits] = {}

    def state_of(self, row: Row, loaded: Loaded) -> AccountState:
        """An account out of its row of accounts and its other rows.

        Raises:
            ValueError, ArithmeticError: a value that cannot be.
        """
        account_id = AccountId(row[0])
        base = self.base(row[15:19])
        own = tuple((name, value) for _, name, value in loaded.limits.get(account_id, ()))
        limits = base
        if own:
            limits = self._own(base, own)
        recent = loaded.recent.get(account_id, ())
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
            limits=limits,
            base_limits=base,
            below=differing(base),
            overrides=own,
            positions=tuple(_position(r) for r in loaded.positions.get(account_id, ())),
            orders=tuple(order_of(r) for r in loaded.orders.get(account_id, ())),
            conditionals=tuple(_conditional(r) for r in loaded.conditionals.get(account_id, ())),
            pending_fees=tuple(_pending_fee(r) for r in loaded.pending_fees.get(account_id, ())),
            holdings=_holdings(loaded.held.get(account_id, ())),
            settled=_settled(loaded.settled.get(account_id, ())),
            risk=_risk(row[19:30], tuple((Symbol(r[1]), r[2]) for r in recent)),
        )

    def _own(self, base: RiskLimits, own: tuple[tuple[str, str], ...]) -> RiskLimits:
        found = self._limits.get((base, own))
        if found is None:
            try:
                found = self._limits[base, own] = merge(base, dict(own))
            except BadConfig as error:
                raise ValueError(str(error)) from None
        return found

    def base(self, rule: Row) -> RiskLimits:
        """What lies below an account's own limits, with the platform's rule for it, if it has one."""
        found = self._limits.get(rule)
        if found is None:
            found = self._limits[rule] = with_rule(self._defaults, rule)
        return found


def _risk(row: Row, recent: tuple[tuple[Symbol, int], ...]) -> RiskState:
    if row[0] is None:
        return RiskState(recent=recent) if recent else INITIAL_RISK_STATE
    return RiskState(
        day_start_ms=row[0],
        day_equity=row[1],
        day_stopped=row[2],
        losses=row[3],
        errors=row[4],
        breaker=Breaker(row[5]),
        breaker_reason=row[6],
        breaker_until_ms=row[7],
        breaker_by_hand=row[8],
        close_out=CloseOutBegan(row[9], CloseOutScope.of_reason(row[9])) if row[9] else None,
        last_refusal=row[10],
        recent=recent,
    )


def order_of(row: Row) -> WorkingOrder:
    """A row of orders, with what is known of its end: the gateway takes over from it."""
    purpose, cause = Purpose(row[12]), row[15]
    is_own = purpose is Purpose.USER
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
        purpose=purpose,
        tier=0 if is_own else row[13],
        decided_ms=row[14],
        cause=cause,
        strategy=row[21],
        reference_price=row[22],
        attempt=row[13] if is_own else 0,
        conditional_id=conditional_of(cause) if is_own else None,
    )
    return WorkingOrder(
        intent=intended,
        status=OrderStatus(row[16]),
        filled=row[18],
        exchange_order_id=row[17],
        trade_ids=tuple(row[20]),
        cancel_requested=row[19],
    )


def _position(row: Row) -> Position:
    return Position(
        position_id=row[1],
        symbol=Symbol(row[2]),
        quantity=row[3],
        cost=row[4],
        margin=row[5],
        realized=row[6],
        opened_ms=row[7],
        peak=row[8],
        fees=row[9],
        funding=row[10],
        mae=row[11],
        mfe=row[12],
        since=row[13],
        strategy=row[14],
        alerts=tuple(Alert(a) for a in row[15].split(",") if a),
    )


def _pending_fee(row: Row) -> PendingFee:
    return PendingFee(
        symbol=Symbol(row[1]),
        trade_id=row[2],
        client_order_id=ClientOrderId(row[3]),
        exchange_order_id=row[4],
        trade_ms=row[5],
        quantity=row[6],
        price=row[7],
        closed_quantity=row[8],
        position_id=row[9],
        closed_id=row[10],
        asset=row[11],
        amount=row[12],
    )


def _holdings(rows: Iterable[Row]) -> tuple[Holdings, ...]:
    # By the symbols' code points, as ``fold`` has them, and not by the database's collation.
    by_symbol = {symbol: list(own) for symbol, own in groupby(rows, key=lambda row: row[1])}
    return tuple(
        Holdings(Symbol(symbol), tuple(Change(*row[2:]) for row in by_symbol[symbol]))
        for symbol in sorted(by_symbol)
    )


def _settled(rows: Iterable[Row]) -> tuple[Settled, ...]:
    found = [Settled(Symbol(row[1]), *row[2:]) for row in rows]
    return tuple(sorted(found, key=lambda s: (s.symbol, s.funding_ms)))


def _conditional(row: Row) -> ConditionalOrder:
    placed = ConditionalPlaced(
        account_id=AccountId(row[0]),
        client_order_id=ClientOrderId(row[1]),
        sequence=row[2],
        kind=ConditionalKind(row[3]),
        symbol=Symbol(row[4]),
        side=Side(row[5]),
        quantity=row[6],
        trigger_price=row[7],
        callback_rate=row[8],
        activation_price=row[9],
        extreme=row[10],
        reduce_only=row[13],
        leverage=row[14],
        margin_reserved=row[15],
        strategy=row[16],
        decided_ms=row[17],
        moment=row[18],
        cause=row[19],
        attempt=row[20],
        not_before_ms=row[21],
    )
    return ConditionalOrder(placed=placed, extreme=row[11], due=row[12])
