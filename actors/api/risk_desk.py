"""What people set and ask of an account's risk, without HTTP: limits, mode, breaker, emergency stop, sizes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.api import risk_views as views
from actors.api.desk import OperatorsDesk
from actors.api.operations import Operations, decimal_of
from actors.api.sight import NotFound, Sight, account_state
from actors.engine import Engine
from actors.errors import BadInput
from actors.messages import (
    CallOff,
    CloseOut,
    Reconsider,
    Reopen,
    ResetBreaker,
    SetLimits,
    SetMode,
    SettleFee,
    TripBreaker,
)
from actors.persistence.desk import clean
from actors.persistence.loading import RULE_COLUMNS
from actors.risk_limits import Layer, LimitRow
from actors.subaccount import margin, sizing
from actors.subaccount.decision import Accepted, Rejected
from actors.subaccount.report import RiskReport, report
from actors.subaccount.state import AccountState
from actors.units import AccountId, Symbol, plain

EMERGENCY = "emergency stop of all"
MINUTES_PER_YEAR = 365 * 24 * 60
REPORT_TRADES = 10_000
"""Closed positions that a report looks back on."""

PAST_TRADES = 50
"""Closed positions of a strategy that its performance and Kelly's numbers are taken from."""


class RiskDesk:
    """See the module. Callable from any thread."""

    def __init__(self, engine: Engine, sight: Sight, desk: OperatorsDesk, operations: Operations) -> None:
        self._engine, self._sight, self._desk, self._operations = engine, sight, desk, operations

    def risk(self, account_id: str) -> views.RiskView:
        """Breaker, day and losses of an account."""
        return views.risk_view(self._state(account_id), self._sight.market())

    # -- limits

    def limits(self, account_id: str) -> list[LimitRow]:
        """Every limit of an account, and where it comes from."""
        state = self._state(account_id)
        id_ = AccountId(account_id)
        rules = self._engine.ask_store(lambda store: store.at_desk(lambda desk: desk.rules(id_)))
        layers = list(self._engine.config.risk.layers)
        for is_global, *values in rules[:1]:
            source = "platform's rule for all" if is_global else "platform's rule of the account"
            layers.append(Layer(source, {n: plain(v) for n, v in zip(RULE_COLUMNS, values, strict=True)}))
        layers.append(Layer("account", dict(state.overrides)))
        return views.limit_rows(state.limits, layers)

    def set_limits(self, account_id: str, body: views.LimitsBody, who: str) -> Accepted | Rejected:
        """Change an account's own limits; all or none."""
        if not body.changes:
            raise BadInput('changes: name at least one limit, for example {"max_positions": "5"}')
        detail = ", ".join(f"{n} = {'(taken back)' if v is None else v}" for n, v in body.changes.items())
        return self._command(account_id, SetLimits(tuple(body.changes.items())), who, "limits", detail)

    def set_mode(self, account_id: str, body: views.ModeBody, who: str) -> Accepted | Rejected:
        """Another liquidation mode."""
        return self._command(account_id, SetMode(body.mode), who, "mode", body.mode)

    def settle_fee(self, account_id: str, body: views.FeeBody, who: str) -> Accepted | Rejected:
        """Book a pending fee at a rate or an amount that somebody knows."""
        rate = None if body.rate is None else decimal_of(body.rate, "rate")
        amount = None if body.amount is None else decimal_of(body.amount, "amount")
        detail = f"{body.symbol} {body.trade_id}: rate {body.rate}, amount {body.amount}"
        message = SettleFee(Symbol(body.symbol), body.trade_id, rate, amount)
        return self._command(account_id, message, who, "fee", detail)

    # -- breaker and emergency stop

    def trip(self, account_id: str, reason: str, who: str) -> Accepted | Rejected:
        """Open the breaker."""
        return self._command(account_id, TripBreaker(_told(reason)), who, "trip", reason)

    def reset(self, account_id: str, who: str) -> Accepted | Rejected:
        """Close the breaker, if it cooled down."""
        return self._command(account_id, ResetBreaker(), who, "reset")

    def close_out(self, account_id: str, reason: str, who: str) -> Accepted | Rejected:
        """Close everything of an account."""
        return self._command(account_id, CloseOut(_told(reason)), who, "close-out", reason)

    def call_off(self, account_id: str, who: str) -> Accepted | Rejected:
        """Stop closing everything of an account."""
        return self._command(account_id, CallOff(), who, "close-out called off")

    def close_out_all(self, reason: str, who: str) -> int:
        """Close everything of everybody, and take no new risk.

        Returns:
            How many accounts were told.
        """
        told = _told(reason)
        # Before anything that may fail: new risk stops even if Postgres is away.
        self._engine.gate.close(EMERGENCY)
        count = self._tell_all(CloseOut(f"{EMERGENCY}: {told}"), who, "close-out of all", told)
        self._engine.alarm(f"emergency stop of {count} accounts by {who}: {told}")
        return count

    def call_off_all(self, who: str) -> int:
        """Stop closing everybody; what single accounts close for reasons of their own goes on.

        Returns:
            How many accounts were told.
        """
        count = self._tell_all(CallOff(EMERGENCY), who, "close-out of all called off", "")
        self._engine.gate.open(EMERGENCY)
        return count

    def _tell_all(self, message: CloseOut | CallOff, who: str, action: str, detail: str) -> int:
        self._desk.audit(who, action, "accounts", detail)
        refs = list(self._engine.accounts.values())
        for ref in refs:
            ref.tell(message)
        return len(refs)

    def reopen(self, account_id: str, reason: str, who: str) -> Accepted | Rejected:
        """Let a LIQUIDATED account that has money trade again."""
        told = _told(reason)
        return self._command(account_id, Reopen(told), who, "reopen", told)

    def retry(self, account_id: str, who: str) -> bool:
        """Have a STUCK account try its liquidation again."""
        ref = self._operations.ref(account_id)
        self._desk.audit(who, "retry", account_id)
        ref.tell(Reconsider("operator"))
        return True

    # -- sizes and the past

    def closed(
        self, account_id: str, limit: int, strategy: str | None = None
    ) -> list[views.ClosedPositionView]:
        """Closed positions, newest first."""
        self._operations.ref(account_id)
        id_, tag = AccountId(account_id), None if strategy is None else clean(strategy)
        rows = self._engine.ask_store(
            lambda store: store.at_desk(lambda desk: desk.closed_positions(id_, limit, tag))
        )
        return [
            views.ClosedPositionView(**row, net=row["realized"] - row["fees"] + row["funding"])
            for row in rows
        ]

    def report(self, account_id: str) -> RiskReport:
        """How an account did, and what to worry about."""
        state = self._state(account_id)
        closed = self.closed(account_id, REPORT_TRADES)[::-1]
        found = report(state, self._sight.market(), closed)
        if found is None:
            raise BadInput(f"a position of {account_id} has no fresh price; a report needs one of each")
        return found

    def size(self, account_id: str, body: views.SizeBody) -> views.SizeView:
        """How large a position should be; nothing is sent."""
        state, market = self._state(account_id), self._sight.market()
        symbol = Symbol(body.symbol)
        instrument = market.instruments.get(symbol)
        if instrument is None:
            raise BadInput(f"symbol: {body.symbol!r} is not traded here")
        equity, tick = margin.equity(state, market), market.fresh(symbol, state.limits.price_max_age_ns)
        if equity is None or tick is None:
            raise BadInput(f"there is no fresh price of {symbol} or of a position; a size needs one")
        notional, factors, capped = self._notional(account_id, state, body, equity)
        return views.SizeView(
            method=body.method,
            symbol=symbol,
            notional=round(notional, 8),
            quantity=instrument.floor_qty(notional / tick.mid),
            equity=equity,
            factors={name: round(value, 8) for name, value in factors.items()},
            capped=capped,
        )

    def _notional(
        self, account_id: str, state: AccountState, body: views.SizeBody, equity: Decimal
    ) -> tuple[Decimal, dict[str, Decimal], bool]:
        if body.method is views.SizeMethod.FIXED:
            return sizing.fixed(state.limits.fixed_order_size), {}, False
        nets = [c.net for c in self.closed(account_id, PAST_TRADES, body.strategy)]
        if body.method is views.SizeMethod.KELLY:
            numbers = self._kelly_numbers(body, nets)
            fraction = sizing.half_kelly(*numbers.values())
            return max(Decimal(0), fraction * equity), {**numbers, "fraction": fraction}, False
        size = sizing.dynamic(
            equity,
            decimal_of(body.signal_strength, "signal_strength"),
            self._volatility(body),
            sizing.performance_multiplier(nets),
            state.limits.max_position_percent,
        )
        factors = {
            "base": size.base,
            "signal_multiplier": size.signal_multiplier,
            "volatility_multiplier": size.volatility_multiplier,
            "performance_multiplier": size.performance_multiplier,
        }
        return size.notional, factors, size.capped

    def _volatility(self, body: views.SizeBody) -> Decimal:
        if body.volatility is not None:
            return decimal_of(body.volatility, "volatility")
        returns = self._engine.book.returns(Symbol(body.symbol))
        if len(returns) < sizing.ATR_LOOKBACK:
            raise BadInput(
                f"volatility: only {len(returns)} minutes of {body.symbol} were seen, {sizing.ATR_LOOKBACK} are needed; "
                "give it, for example 0.8"
            )
        return sizing.annualized_volatility(returns, MINUTES_PER_YEAR)

    @staticmethod
    def _kelly_numbers(body: views.SizeBody, nets: list[Decimal]) -> dict[str, Decimal]:
        given = {name: getattr(body, name) for name in ("win_rate", "average_win", "average_loss")}
        if any(value is not None for value in given.values()):
            missing = [name for name, value in given.items() if value is None]
            if missing:
                raise BadInput(
                    f"{missing[0]}: Kelly needs win_rate, average_win and average_loss, or none of them"
                )
            return {name: decimal_of(str(value), name) for name, value in given.items()}
        wins, losses_ = [n for n in nets if n > 0], [n for n in nets if n < 0]
        if not wins or not losses_:
            raise BadInput(
                f"win_rate: the strategy has {len(wins)} winning and {len(losses_)} losing trades; Kelly needs both, or "
                "give win_rate, average_win and average_loss"
            )
        return {
            "win_rate": Decimal(len(wins)) / len(nets),
            "average_win": sum(wins, Decimal(0)) / len(wins),
            "average_loss": sum(losses_, Decimal(0)) / len(losses_),
        }

    # -- inside

    def _command(
        self, account_id: str, message: Any, who: str, action: str, detail: str = ""
    ) -> Accepted | Rejected:
        ref = self._operations.ref(account_id)
        self._desk.audit(who, action, account_id, clean(detail))
        return self._operations.ask(ref, message)

    def _state(self, account_id: str) -> AccountState:
        state = account_state(self._operations.ref(account_id))
        if state is None:
            raise NotFound(f"{account_id} has no state yet; 'bulkhead inspect {account_id}' shows why")
        return state


def _told(reason: str) -> str:
    """A reason that can be kept.

    Raises:
        BadInput: nothing is left of it.
    """
    told = clean(reason).strip()
    if not told:
        raise BadInput(f"reason: {reason!r} says nothing; give one")
    return told
