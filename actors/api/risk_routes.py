"""HTTP paths of an account's risk: limits, mode, breaker, emergency stop, sizes, closed positions."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, delete, get, post

from actors.api import risk_views as views
from actors.api.account_routes import ERRORS, MAY_BE_REJECTED, Limit, answer, who
from actors.api.risk_desk import RiskDesk
from actors.risk_limits import LimitRow
from actors.subaccount.decision import Accepted, Rejected
from actors.subaccount.report import RiskReport

Outcome = Response[Accepted | Rejected]


class RiskRoutes(Controller):
    """Risk of one account."""

    path = "/v1/accounts/{account_id:str}"
    tags = ("risk",)

    @get("/risk", sync_to_thread=True, responses=ERRORS)
    def risk(self, risk_desk: RiskDesk, account_id: str) -> views.RiskView:
        """Breaker, the day's loss, the loss since the first deposit, the account's liquidation price."""
        return risk_desk.risk(account_id)

    @get("/limits", sync_to_thread=True, responses=ERRORS)
    def limits(self, risk_desk: RiskDesk, account_id: str) -> list[LimitRow]:
        """Every limit in force, and where it comes from."""
        return risk_desk.limits(account_id)

    @post("/limits", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def set_limits(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.LimitsBody
    ) -> Outcome:
        """Change the account's own limits, all or none; null takes one back. Acts at once."""
        return answer(risk_desk.set_limits(account_id, data, who(request)))

    @post("/fees", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def settle_fee(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.FeeBody
    ) -> Outcome:
        """Book a pending fee by hand, when nobody will ever tell what it lacks."""
        return answer(risk_desk.settle_fee(account_id, data, who(request)))

    @post("/mode", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def mode(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.ModeBody
    ) -> Outcome:
        """Another liquidation mode. Acts at once."""
        return answer(risk_desk.set_mode(account_id, data, who(request)))

    @post("/breaker", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def trip(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.WhyBody
    ) -> Outcome:
        """Open the account's breaker; orders that may open risk are cancelled."""
        return answer(risk_desk.trip(account_id, data.reason, who(request)))

    @delete("/breaker", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def reset(self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str) -> Outcome:
        """Close the account's breaker; refused while it cools down."""
        return answer(risk_desk.reset(account_id, who(request)))

    @post("/close-out", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def close_out(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.WhyBody
    ) -> Outcome:
        """Emergency stop: open the breaker, cancel and close everything."""
        return answer(risk_desk.close_out(account_id, data.reason, who(request)))

    @delete("/close-out", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def call_off(self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str) -> Outcome:
        """Call an emergency stop off; what was closed stays closed, the breaker open."""
        return answer(risk_desk.call_off(account_id, who(request)))

    @post("/reopen", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def reopen(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str, data: views.WhyBody
    ) -> Outcome:
        """Let a LIQUIDATED account that has money trade again; its breaker stays as it is."""
        return answer(risk_desk.reopen(account_id, data.reason, who(request)))

    @post("/retry", sync_to_thread=True, responses=ERRORS, status_code=200)
    def retry(self, request: Request[Any, Any, Any], risk_desk: RiskDesk, account_id: str) -> dict[str, bool]:
        """Have a STUCK account try its liquidation again."""
        return {"told": risk_desk.retry(account_id, who(request))}

    @get("/closed", sync_to_thread=True, responses=ERRORS)
    def closed(
        self, risk_desk: RiskDesk, account_id: str, limit: Limit = 100, strategy: str | None = None
    ) -> list[views.ClosedPositionView]:
        """Closed positions with their worst and best moment, newest first."""
        return risk_desk.closed(account_id, limit, strategy)

    @get("/report", sync_to_thread=True, responses=ERRORS)
    def report(self, risk_desk: RiskDesk, account_id: str) -> RiskReport:
        """How the account did: drawdown, Sharpe ratio, value at risk, strategies, alerts, recommendations."""
        return risk_desk.report(account_id)

    @post("/size", sync_to_thread=True, responses=ERRORS, status_code=200)
    def size(self, risk_desk: RiskDesk, account_id: str, data: views.SizeBody) -> views.SizeView:
        """How large a position should be: fixed, dynamic or by Kelly. Nothing is sent."""
        return risk_desk.size(account_id, data)


class FleetRoutes(Controller):
    """All accounts at once."""

    path = "/v1/close-out"
    tags = ("risk",)

    @post("", sync_to_thread=True, responses=ERRORS, status_code=200)
    def close_out(
        self, request: Request[Any, Any, Any], risk_desk: RiskDesk, data: views.WhyBody
    ) -> dict[str, int]:
        """Emergency stop of every account; no new risk until it is called off."""
        return {"told": risk_desk.close_out_all(data.reason, who(request))}

    @delete("", sync_to_thread=True, responses=ERRORS, status_code=200)
    def call_off(self, request: Request[Any, Any, Any], risk_desk: RiskDesk) -> dict[str, int]:
        """Call it off; each breaker is reset by itself."""
        return {"told": risk_desk.call_off_all(who(request))}
