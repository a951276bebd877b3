"""Position sizes: how large a position should be by a method of sizing. Nothing is sent."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec
from litestar import Controller, post

from actors.api.accounts import closed_positions
from actors.api.errors import ERRORS
from actors.api.noun import Context, Noun
from actors.api.values import ShortText, decimal_of
from actors.core.errors import BadInput
from actors.core.units import Symbol
from actors.subaccount import sizing
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState

MINUTES_PER_YEAR = 365 * 24 * 60

PAST_TRADES = 50
"""Closed positions of a strategy that its performance and the numbers for Kelly are taken from."""


class SizeMethod(StrEnum):
    """How a size is computed."""

    FIXED = "fixed"
    DYNAMIC = "dynamic"
    KELLY = "kelly"


class SizeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST .../size. Numbers are text; what is left out is computed from the account's closed positions.

    ``volatility`` is annualized, 0.8 for 80 %; ``win_rate``, ``average_win`` and ``average_loss`` are for Kelly.
    """

    symbol: str
    method: SizeMethod = SizeMethod.DYNAMIC
    signal_strength: str = "0.5"
    volatility: str | None = None
    strategy: ShortText = ""
    win_rate: str | None = None
    average_win: str | None = None
    average_loss: str | None = None


class SizeView(msgspec.Struct, frozen=True, kw_only=True):
    """A size: notional in quote asset, the quantity that the exchange would take, and the factors of the method."""

    method: SizeMethod
    symbol: Symbol
    notional: Decimal
    quantity: Decimal
    equity: Decimal
    factors: dict[str, Decimal]
    capped: bool


class SizeService:
    """Computes sizes from an account's state, prices and closed positions. Runs in the API's event loop."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup = context.engine, context.lookup

    async def size(self, account_id: str, body: SizeBody) -> SizeView:
        """The size of a position.

        Raises:
            BadInput: a symbol that is not traded, no fresh price, or too little known for the method; says what to give.
        """
        state, market = self._lookup.state(account_id), self._lookup.market()
        symbol = Symbol(body.symbol)
        instrument = market.instruments.get(symbol)
        if instrument is None:
            raise BadInput(f"symbol: {body.symbol!r} is not traded here")
        equity, tick = Situation(state, market).equity, market.fresh(symbol, state.limits.price_max_age_ns)
        if equity is None or tick is None:
            raise BadInput(f"there is no fresh price of {symbol} or of a position; a size needs one")
        notional, factors, capped = await self._notional(account_id, state, body, equity)
        return SizeView(
            method=body.method,
            symbol=symbol,
            notional=round(notional, 8),
            quantity=instrument.floor_qty(notional / tick.mid),
            equity=equity,
            factors={name: round(value, 8) for name, value in factors.items()},
            capped=capped,
        )

    async def _notional(
        self, account_id: str, state: AccountState, body: SizeBody, equity: Decimal
    ) -> tuple[Decimal, dict[str, Decimal], bool]:
        if body.method is SizeMethod.FIXED:
            return sizing.fixed(state.limits.fixed_order_size), {}, False
        past = await closed_positions(self._lookup, account_id, PAST_TRADES, body.strategy)
        nets = [position.net for position in past]
        if body.method is SizeMethod.KELLY:
            numbers = _kelly_numbers(body, nets)
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

    def _volatility(self, body: SizeBody) -> Decimal:
        if body.volatility is not None:
            return decimal_of(body.volatility, "volatility")
        returns = self._engine.book.returns(Symbol(body.symbol))
        if len(returns) < sizing.ATR_LOOKBACK:
            raise BadInput(
                f"volatility: only {len(returns)} minutes of {body.symbol} were seen, {sizing.ATR_LOOKBACK} are needed; "
                "give it, for example 0.8"
            )
        return sizing.annualized_volatility(returns, MINUTES_PER_YEAR)


def _kelly_numbers(body: SizeBody, nets: list[Decimal]) -> dict[str, Decimal]:
    """Win rate, average win and average loss: as given, or of the net results of closed positions."""
    given = {name: getattr(body, name) for name in ("win_rate", "average_win", "average_loss")}
    if any(value is not None for value in given.values()):
        missing = [name for name, value in given.items() if value is None]
        if missing:
            raise BadInput(
                f"{missing[0]}: Kelly needs win_rate, average_win and average_loss, or none of them"
            )
        return {name: decimal_of(str(value), name) for name, value in given.items()}
    wins, losses = [n for n in nets if n > 0], [n for n in nets if n < 0]
    if not wins or not losses:
        raise BadInput(
            f"win_rate: the strategy has {len(wins)} winning and {len(losses)} losing trades; Kelly needs both, or "
            "give win_rate, average_win and average_loss"
        )
    return {
        "win_rate": Decimal(len(wins)) / len(nets),
        "average_win": sum(wins, Decimal(0)) / len(wins),
        "average_loss": sum(losses, Decimal(0)) / len(losses),
    }


class SizeRoutes(Controller):
    """Sizes of positions."""

    path = "/v1/accounts/{account_id:str}/size"
    tags = ("risk",)

    @post(responses=ERRORS, status_code=200)
    async def size(self, sizes: SizeService, account_id: str, data: SizeBody) -> SizeView:
        """How large a position should be: fixed, dynamic or by Kelly. Nothing is sent."""
        return await sizes.size(account_id, data)


NOUN = Noun({"sizes": SizeService}, (SizeRoutes,))
