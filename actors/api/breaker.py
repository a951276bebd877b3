"""One account's circuit breaker: open it, close it, and the losses and refusals that open it by themselves."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from litestar import Controller, Response, delete, get, post

from actors.api.answers import OUTCOMES, Outcome, outcome_response
from actors.api.errors import ERRORS
from actors.api.noun import Context, Noun
from actors.api.parameters import HttpRequest, who
from actors.api.pools import INSPECT
from actors.api.values import WhyBody, at_most_8
from actors.core.enums import Breaker
from actors.core.fees import PendingFee
from actors.core.messages import ResetBreaker, TripBreaker
from actors.core.names import told_text
from actors.core.units import Symbol
from actors.subaccount import losses, margin
from actors.subaccount.market import Market
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState
from actors.supervision.operator_log import OperatorAction


class RiskView(msgspec.Struct, frozen=True, kw_only=True):
    """What stops an account from trading, or is about to; money in quote asset.

    ``day_loss`` is negative for a profit, None without prices; ``liquidation_symbol`` and
    ``liquidation_price`` are those of the largest position. ``last_refusal`` names the last order that the
    exchange refused, with its code and text; ``pending_fees`` are of trades whose fee is not booked yet.
    """

    breaker: Breaker
    breaker_reason: str
    breaker_until_ms: int
    closing_out: str
    last_refusal: str
    pending_fees: list[PendingFee]
    consecutive_losses: int
    consecutive_errors: int
    day_start_ms: int
    day_equity: Decimal
    day_loss: Decimal | None
    day_stopped: bool
    cumulative_loss: Decimal | None
    liquidation_symbol: Symbol | None
    liquidation_price: Decimal | None


class BreakerService:
    """Opens and closes the breaker of an account. ``risk`` may run in any thread, the rest in the API's event loop."""

    def __init__(self, context: Context) -> None:
        self._lookup, self._asker = context.lookup, context.asker

    def risk(self, account_id: str) -> RiskView:
        """The account's breaker, its losses, and its liquidation price."""
        return risk_view(self._lookup.state(account_id), self._lookup.market())

    async def trip(self, account_id: str, reason: str, who: str) -> Outcome:
        """Open the breaker."""
        message = TripBreaker(told_text(reason, "reason"))
        act = OperatorAction(who, "trip", account_id, message.reason, message, protects=True)
        return await self._asker.command(message, act)

    async def reset(self, account_id: str, who: str) -> Outcome:
        """Close the breaker; the account refuses while it cools down."""
        message = ResetBreaker()
        act = OperatorAction(who, "reset", account_id, "", message)
        return await self._asker.command(message, act)


def risk_view(state: AccountState, market: Market) -> RiskView:
    """An account's risk as the API shows it."""
    now, risk = Situation(state, market), state.risk
    marks, equity = now.marks, now.equity
    liquidation = (
        None if marks is None else margin.account_liquidation_price(state, marks, market.instruments)
    )
    return RiskView(
        breaker=risk.breaker,
        breaker_reason=risk.breaker_reason,
        breaker_until_ms=risk.breaker_until_ms,
        closing_out=risk.close_out_reason,
        last_refusal=risk.last_refusal,
        pending_fees=list(state.pending_fees),
        consecutive_losses=risk.losses,
        consecutive_errors=risk.errors,
        day_start_ms=risk.day_start_ms,
        day_equity=risk.day_equity,
        day_loss=None if equity is None else losses.daily(state, equity),
        day_stopped=risk.day_stopped,
        cumulative_loss=None if equity is None else losses.cumulative(state, equity),
        liquidation_symbol=liquidation[0] if liquidation else None,
        liquidation_price=at_most_8(liquidation[1]) if liquidation else None,
    )


class BreakerRoutes(Controller):
    """The breaker of one account."""

    path = "/v1/accounts/{account_id:str}"
    tags = ("risk",)

    @get("/risk", responses=ERRORS)
    async def risk(self, breaker: BreakerService, account_id: str) -> RiskView:
        """Breaker, the day's loss, the loss since the first deposit, the account's liquidation price."""
        return await INSPECT.run(breaker.risk, account_id)

    @post("/breaker", responses=OUTCOMES, status_code=200)
    async def trip(
        self, request: HttpRequest, breaker: BreakerService, account_id: str, data: WhyBody
    ) -> Response[Outcome]:
        """Open the account's breaker; orders that may open risk are cancelled."""
        return outcome_response(await breaker.trip(account_id, data.reason, who(request)))

    @delete("/breaker", responses=OUTCOMES, status_code=200)
    async def reset(
        self, request: HttpRequest, breaker: BreakerService, account_id: str
    ) -> Response[Outcome]:
        """Close the account's breaker; refused while it cools down."""
        return outcome_response(await breaker.reset(account_id, who(request)))


NOUN = Noun({"breaker": BreakerService}, (BreakerRoutes,))
