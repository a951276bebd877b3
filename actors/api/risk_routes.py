"""HTTP paths of an account's risk: limits, mode, breaker, emergency stop, sizes, closed positions."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, delete, get, post

from actors.api import risk_views as views
from actors.api.account_routes import ERRORS, MAY_BE_REJECTED, Limit, Outcome, answer, who
from actors.api.pools import SIGHT
from actors.api.risk_desk import RiskDesk
from actors.limits.layers import LimitRow
from actors.subaccount.report import RiskReport


class RiskRoutes(Controller):
    """Risk of one account."""

    path = "/v1/accounts/{account_id:str}"
    tags = ("risk",)

    @get("/risk", responses=ERRORS)
    async def risk(self, risk_desk: RiskDesk, account_id: str) -> views.RiskView:
        """Breaker, the day's loss, the loss since the first deposit, the account's liquidation price."""
        return await SIGHT.run(risk_desk.risk, account_id)

    @get("/limits", responses=ERRORS)
    async def limits(self, risk_desk: RiskDesk, account_id: str) -> list[LimitRow]:
        """Every limit in force, and where it comes from."""
        return await risk_desk.limits(account_id)

    @post("/limits", responses=MAY_BE_REJECTED, status_code=200)
    async def set_limits(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.LimitsBody
    ) -> Outcome:
        """Change the account's own limits, all or none; null takes one back. Acts at once."""
        return answer(await risk_desk.set_limits(account_id, data, who(request)))

    @post("/fees", responses=MAY_BE_REJECTED, status_code=200)
    async def settle_fee(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.FeeBody
    ) -> Outcome:
        """Book a pending fee by hand, when nobody will ever tell what it lacks."""
        return answer(await risk_desk.settle_fee(account_id, data, who(request)))

    @post("/mode", responses=MAY_BE_REJECTED, status_code=200)
    async def mode(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.ModeBody
    ) -> Outcome:
        """Another liquidation mode. Acts at once."""
        return answer(await risk_desk.set_mode(account_id, data, who(request)))

    @post("/breaker", responses=MAY_BE_REJECTED, status_code=200)
    async def trip(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.WhyBody
    ) -> Outcome:
        """Open the account's breaker; orders that may open risk are cancelled."""
        return answer(await risk_desk.trip(account_id, data.reason, who(request)))

    @delete("/breaker", responses=MAY_BE_REJECTED, status_code=200)
    async def reset(self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str) -> Outcome:
        """Close the account's breaker; refused while it cools down."""
        return answer(await risk_desk.reset(account_id, who(request)))

    @post("/close-out", responses=MAY_BE_REJECTED, status_code=200)
    async def close_out(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.WhyBody
    ) -> Outcome:
        """Emergency stop: open the breaker, cancel and close everything."""
        return answer(await risk_desk.close_out(account_id, data.reason, who(request)))

    @delete("/close-out", responses=MAY_BE_REJECTED, status_code=200)
    async def call_off(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str
    ) -> Outcome:
        """Call an emergency stop off; what was closed stays closed, the breaker open."""
        return answer(await risk_desk.call_off(account_id, who(request)))

    @post("/reopen", responses=MAY_BE_REJECTED, status_code=200)
    async def reopen(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.WhyBody
    ) -> Outcome:
        """Let a LIQUIDATED account that has money trade again; its breaker stays as it is."""
        return answer(await risk_desk.reopen(account_id, data.reason, who(request)))

    @post("/retry", responses=ERRORS, status_code=200)
    async def retry(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str
    ) -> dict[str, bool]:
        """Have a STUCK account try its liquidation again."""
        return {"told": await risk_desk.retry(account_id, who(request))}

    @get("/closed", responses=ERRORS)
    async def closed(
        self, risk_desk: RiskDesk, account_id: str, limit: Limit = 100, strategy: str | None = None
    ) -> list[views.ClosedPositionView]:
        """Closed positions with their worst and best moment, newest first."""
        return await risk_desk.closed(account_id, limit, strategy)

    @get("/report", responses=ERRORS)
    async def report(self, risk_desk: RiskDesk, account_id: str) -> RiskReport:
        """How the account did: drawdown, Sharpe ratio, value at risk, strategies, alerts, recommendations."""
        return await risk_desk.report(account_id)

    @post("/size", responses=ERRORS, status_code=200)
    async def size(self, risk_desk: RiskDesk, account_id: str, data: views.SizeBody) -> views.SizeView:
        """How large a position should be: fixed, dynamic or by Kelly. Nothing is sent."""
        return await risk_desk.size(account_id, data)


class FleetRoutes(Controller):
    """All accounts at once."""

    path = "/v1/close-out"
    tags = ("risk",)

    @post("", responses=ERRORS, status_code=200)
    async def close_out(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, data: views.WhyBody
    ) -> dict[str, int]:
        """Emergency stop of every account; no new risk until it is called off."""
        return {"told": await risk_desk.close_out_all(data.reason, who(request))}

    @delete("", responses=ERRORS, status_code=200)
    async def call_off(self, request: Request[Any, Any, Any], risk_desk: RiskDesk) -> dict[str, int]:
        """Call it off; each breaker is reset by itself."""
        return {"told": await risk_desk.call_off_all(who(request))}
