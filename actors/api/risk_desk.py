"""What people set and ask of an account's risk, without HTTP: limits, mode, breaker, emergency stop, sizes."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from actors.api import risk_views as views
from actors.api.asking import PROTECT_SECONDS, Asking
from actors.api.operations import Operations, decimal_of
from actors.api.pools import SIGHT, STOP, STORE
from actors.api.sight import NotFound, Sight, account_state
from actors.api.views import Pending
from actors.assembly.engine import EMERGENCY, Engine
from actors.core.enums import CloseOutScope, ReconsiderReason
from actors.core.errors import BadInput
from actors.core.messages import (
    CallOff,
    CloseOut,
    Message,
    Reconsider,
    Reopen,
    ResetBreaker,
    SetLimits,
    SetMode,
    SettleFee,
    TripBreaker,
)
from actors.core.names import told_text
from actors.core.units import AccountId, Symbol, plain
from actors.core.urgency import Critical
from actors.limits.model import Layer, LimitRow
from actors.persistence.loading import RULE_COLUMNS
from actors.persistence.operator_records import clean
from actors.runtime.replies import Countdown
from actors.subaccount import sizing
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.report import RiskReport, report
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState
from actors.supervision.operator_log import EVERYBODY, Act, Deed

Outcome = Accepted | Rejected | Pending

CHANGES_MAX = 200

CANCEL_LOOKS = 20
"""How often an emergency stop of everybody looks whether cancels wait for Postgres."""

MINUTES_PER_YEAR = 365 * 24 * 60
REPORT_TRADES = 10_000
"""Closed positions that a report looks back on."""

PAST_TRADES = 50
"""Closed positions of a strategy that its performance and Kelly's numbers are taken from."""


class RiskDesk:
    """See the module. Runs in the API's event loop."""

    def __init__(self, engine: Engine, sight: Sight, operations: Operations, asking: Asking) -> None:
        self._engine, self._sight, self._operations, self._asking = engine, sight, operations, asking

    def risk(self, account_id: str) -> views.RiskView:
        """Breaker, day and losses of an account."""
        return views.risk_view(self._state(account_id), self._sight.market())

    # -- limits

    async def limits(self, account_id: str) -> list[LimitRow]:
        """Every limit of an account, and where it comes from."""
        state = self._state(account_id)
        id_ = AccountId(account_id)
        rules = await STORE.ask(self._engine.reader.with_operator_records, lambda records: records.rules(id_))
        layers = list(self._engine.config.risk.layers)
        for is_global, *values in rules[:1]:
            source = "platform's rule for all" if is_global else "platform's rule of the account"
            layers.append(Layer(source, {n: plain(v) for n, v in zip(RULE_COLUMNS, values, strict=True)}))
        layers.append(Layer("account", dict(state.overrides)))
        return views.limit_rows(state.limits, layers)

    async def set_limits(self, account_id: str, body: views.LimitsBody, who: str) -> Outcome:
        """Change an account's own limits; all or none."""
        if not body.changes:
            raise BadInput('changes: name at least one limit, for example {"max_positions": "5"}')
        if len(body.changes) > CHANGES_MAX:
            raise BadInput(f"changes: {len(body.changes):,} are too many; at most {CHANGES_MAX} are taken")
        detail = ", ".join(f"{n} = {'(taken back)' if v is None else v}" for n, v in body.changes.items())
        message = SetLimits(tuple(body.changes.items()))
        return await self._command(message, Act(who, "limits", account_id, detail, message))

    async def set_mode(self, account_id: str, body: views.ModeBody, who: str) -> Outcome:
        """Another liquidation mode."""
        message = SetMode(body.mode)
        return await self._command(message, Act(who, "mode", account_id, body.mode, message))

    async def settle_fee(self, account_id: str, body: views.FeeBody, who: str) -> Outcome:
        """Book a pending fee at a rate or an amount that somebody knows."""
        rate = None if body.rate is None else decimal_of(body.rate, "rate")
        amount = None if body.amount is None else decimal_of(body.amount, "amount")
        detail = f"{body.symbol} {body.trade_id}: rate {body.rate}, amount {body.amount}"
        message = SettleFee(Symbol(body.symbol), body.trade_id, rate, amount)
        return await self._command(message, Act(who, "fee", account_id, detail))

    # -- breaker and emergency stop

    async def trip(self, account_id: str, reason: str, who: str) -> Outcome:
        """Open the breaker."""
        message = TripBreaker(told_text(reason, "reason"))
        return await self._command(
            message, Act(who, "trip", account_id, message.reason, message, protects=True)
        )

    async def reset(self, account_id: str, who: str) -> Outcome:
        """Close the breaker, if it cooled down."""
        message = ResetBreaker()
        return await self._command(message, Act(who, "reset", account_id, "", message))

    async def close_out(self, account_id: str, reason: str, who: str) -> Outcome:
        """Close everything of an account."""
        message = CloseOut(told_text(reason, "reason"))
        return await self._command(
            message, Act(who, "close-out", account_id, message.reason, message, protects=True)
        )

    async def call_off(self, account_id: str, who: str) -> Outcome:
        """Stop closing everything of an account."""
        message = CallOff()
        return await self._command(message, Act(who, "close-out called off", account_id, "", message))

    async def close_out_all(self, reason: str, who: str) -> int:
        """Close everything of everybody, and take no new risk, until it is called off, over restarts too.

        Returns:
            How many accounts were told.
        """
        told = told_text(reason, "reason")
        # Before anything that may fail: new risk stops even if neither disk nor Postgres answers.
        self._engine.gate.close(EMERGENCY)
        message = CloseOut(f"{EMERGENCY}: {told}", CloseOutScope.FLEET)
        deed = await self._asking.record(
            Act(who, "close-out of all", EVERYBODY, told, message, protects=True)
        )
        self._engine.deeds.stopped(deed, told)
        count = await STOP.run(self._tell_all, message, deed)
        self._engine.alarm(Critical(f"emergency stop of {count} accounts by {who}: {told}"))
        self._asking.later(self._cancel_at_once())
        return count

    async def call_off_all(self, who: str) -> int:
        """Stop closing everybody; what single accounts close for reasons of their own goes on.

        Returns:
            How many accounts were told.
        """
        message = CallOff(CloseOutScope.FLEET)
        deed = await self._asking.record(Act(who, "close-out of all called off", EVERYBODY, "", message))
        self._engine.deeds.called_off()
        count = await STOP.run(self._tell_all, message, deed)
        self._engine.gate.open(EMERGENCY)
        return count

    def _tell_all(self, message: CloseOut | CallOff, deed: Deed) -> int:
        refs = list(self._engine.accounts.values())
        replies = Countdown(len(refs), lambda: self._engine.deeds.settled(deed))
        dead = []
        for ref in refs:
            # Whoever is dead is named, and keeps nobody else from being told.
            if ref.is_alive():
                ref.cell.dispatcher.post(ref.cell, message, replies)
            else:
                replies.set()
                dead.append(ref.name)
        if dead:
            self._engine.alarm(
                Critical(
                    f"{deed.action}: {len(dead)} accounts have no running actor and were not told: "
                    f"{', '.join(dead[:20])}; close their positions by hand, or restart the engine"
                )
            )
        return len(refs) - len(dead)

    async def _cancel_at_once(self) -> None:
        """While Postgres is silent, cancels go out before they are durable."""
        for _ in range(CANCEL_LOOKS):
            await asyncio.sleep(PROTECT_SECONDS)
            if self._engine.store_silent_s() < PROTECT_SECONDS / 2:
                continue
            await STOP.run(lambda: [self._engine.cancel_at_once(id_) for id_ in list(self._engine.accounts)])

    async def reopen(self, account_id: str, reason: str, who: str) -> Outcome:
        """Let a LIQUIDATED account that has money trade again."""
        message = Reopen(told_text(reason, "reason"))
        return await self._command(message, Act(who, "reopen", account_id, message.reason))

    async def retry(self, account_id: str, who: str) -> bool:
        """Have a STUCK account try its liquidation again."""
        ref = self._operations.ref(account_id)
        await self._asking.record(Act(who, "retry", account_id, protects=True))
        ref.tell(Reconsider(ReconsiderReason.OPERATOR))
        return True

    # -- sizes and the past

    async def closed(
        self, account_id: str, limit: int, strategy: str | None = None
    ) -> list[views.ClosedPositionView]:
        """Closed positions, newest first."""
        self._operations.ref(account_id)
        id_, tag = AccountId(account_id), None if strategy is None else clean(strategy)
        rows = await STORE.ask(
            self._engine.reader.with_operator_records,
            lambda records: records.closed_positions(id_, limit, tag),
        )
        return [
            views.ClosedPositionView(**row, net=row["realized"] - row["fees"] + row["funding"])
            for row in rows
        ]

    async def report(self, account_id: str) -> RiskReport:
        """How an account did, and what to worry about."""
        state = self._state(account_id)
        closed = (await self.closed(account_id, REPORT_TRADES))[::-1]
        found = await SIGHT.run(report, Situation(state, self._sight.market()), closed)
        if found is None:
            raise BadInput(f"a position of {account_id} has no fresh price; a report needs one of each")
        return found

    async def size(self, account_id: str, body: views.SizeBody) -> views.SizeView:
        """How large a position should be; nothing is sent."""
        state, market = self._state(account_id), self._sight.market()
        symbol = Symbol(body.symbol)
        instrument = market.instruments.get(symbol)
        if instrument is None:
            raise BadInput(f"symbol: {body.symbol!r} is not traded here")
        equity, tick = Situation(state, market).equity, market.fresh(symbol, state.limits.price_max_age_ns)
        if equity is None or tick is None:
            raise BadInput(f"there is no fresh price of {symbol} or of a position; a size needs one")
        notional, factors, capped = await self._notional(account_id, state, body, equity)
        return views.SizeView(
            method=body.method,
            symbol=symbol,
            notional=round(notional, 8),
            quantity=instrument.floor_qty(notional / tick.mid),
            equity=equity,
            factors={name: round(value, 8) for name, value in factors.items()},
            capped=capped,
        )

    async def _notional(
        self, account_id: str, state: AccountState, body: views.SizeBody, equity: Decimal
    ) -> tuple[Decimal, dict[str, Decimal], bool]:
        if body.method is views.SizeMethod.FIXED:
            return sizing.fixed(state.limits.fixed_order_size), {}, False
        nets = [c.net for c in await self.closed(account_id, PAST_TRADES, body.strategy)]
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

    async def _command(self, message: Message, act: Act) -> Outcome:
        return await self._asking.command(self._operations.ref(act.target), message, act)

    def _state(self, account_id: str) -> AccountState:
        state = account_state(self._operations.ref(account_id))
        if state is None:
            raise NotFound(f"{account_id} has no state yet; 'bulkhead inspect {account_id}' shows why")
        return state
