"""What one account is. ``subaccount.fold`` alone changes it, by facts.

``limits`` is ``base_limits`` (all that lies below the account) with ``overrides`` over it, always. Both, and ``platform``,
come from outside: no fact makes them, so they are neither kept nor in the state's hash.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from actors.core.enums import AccountStatus, LiquidationMode, Phase
from actors.core.fees import PendingFee
from actors.core.messages import PlatformKnown
from actors.core.orders import ConditionalOrder, WorkingOrder
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol
from actors.limits.layers import merge
from actors.limits.model import RiskLimits
from actors.subaccount.holdings import Holdings, Settled
from actors.subaccount.position import Position
from actors.subaccount.risk_state import INITIAL_RISK_STATE, RiskState


class AccountState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything that an account knows. ``sequence`` counts its durable decisions.

    ``below`` is what it knew of ``base_limits`` when it last decided on them: those that differ from the built-in ones,
    as names and texts. ``platform`` is what the platform has changed meanwhile; both only differ, or are there, between
    loading and the first decision. ``is_undone``: its adoption was undone, so it is the platform's and nothing of ours.
    """

    account_id: AccountId
    status: AccountStatus = AccountStatus.ACTIVE
    mode: LiquidationMode = LiquidationMode.ADL_30
    maintenance_rate: Decimal = Decimal("0.005")
    limits: RiskLimits = RiskLimits()
    base_limits: RiskLimits = RiskLimits()
    overrides: tuple[tuple[str, str], ...] = ()
    below: tuple[tuple[str, str], ...] = ()
    platform: PlatformKnown | None = None
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
    conditionals: tuple[ConditionalOrder, ...] = ()
    phase: Phase = Phase.HEALTHY
    refusals: int = 0
    unsent: int = 0
    retry_at_ms: int = 0
    risk: RiskState = INITIAL_RISK_STATE
    pending_fees: tuple[PendingFee, ...] = ()
    holdings: tuple[Holdings, ...] = ()
    settled: tuple[Settled, ...] = ()
    is_undone: bool = False

    def position(self, symbol: Symbol) -> Position | None:
        """The open position in ``symbol``, if any."""
        for position in self.positions:
            if position.symbol == symbol:
                return position
        return None

    def order(self, client_order_id: ClientOrderId) -> WorkingOrder | None:
        """The working order of that id, if any; the newest are asked for most."""
        for order in reversed(self.orders):
            if order.intent.client_order_id == client_order_id:
                return order
        return None

    def conditional(self, client_order_id: ClientOrderId) -> ConditionalOrder | None:
        """The conditional order of that id, if any."""
        for order in self.conditionals:
            if order.client_order_id == client_order_id:
                return order
        return None

    def pending_fee(self, symbol: Symbol, trade_id: int) -> PendingFee | None:
        """The fee of a trade that is not booked yet, if it is one."""
        for fee in self.pending_fees:
            if (fee.symbol, fee.trade_id) == (symbol, trade_id):
                return fee
        return None

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """Symbols of the open positions."""
        return tuple(p.symbol for p in self.positions)


def books_balance(state: AccountState) -> bool:
    """Whether balance = deposits + realized - fees + funding + bad debt."""
    return state.balance == (state.deposits + state.realized - state.fees + state.funding + state.bad_debt)


def with_limits(
    state: AccountState, base: RiskLimits, overrides: tuple[tuple[str, str], ...]
) -> AccountState:
    """The account with other limits below it, or others of its own.

    Raises:
        BadConfig: an override that cannot be.
    """
    return replace(state, base_limits=base, overrides=overrides, limits=merge(base, dict(overrides)))
