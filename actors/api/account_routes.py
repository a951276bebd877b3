"""HTTP paths of accounts: list, create, orders, money, freeze, quarantine."""

from __future__ import annotations

import random
from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from actors.api import views
from actors.api.address import HTTP_REJECTED
from actors.api.desk import BIGINT_MAX, OperatorsDesk
from actors.api.operations import Operations
from actors.facts import AccountStatus
from actors.persistence.desk import CausedOrder
from actors.persistence.messages import QuarantineRecord
from actors.subaccount.decision import Accepted, Rejected

PAGE_MAX = 10_000

ERRORS = {
    status: ResponseSpec(views.ErrorBody, description=text, generate_examples=False)
    for status, text in {
        400: "a bad value; the message names it",
        401: "no token, or a wrong one",
        403: "a viewer's token",
        404: "no such account, actor, order or dead letter",
        405: "not a method of this path",
        409: "somebody else was first, or it is not the time for it",
        429: "too many commands wait for this account",
        502: "the exchange does not answer, or says no",
        503: "Postgres does not answer, or the exchange may not be asked again yet",
        504: "the actor did not answer in time",
    }.items()
}
MAY_BE_REJECTED = {
    **ERRORS,
    HTTP_REJECTED: ResponseSpec(
        Rejected, description="refused, with every check that failed", generate_examples=False
    ),
}

Limit = Annotated[int, Parameter(ge=1, le=PAGE_MAX)]
Offset = Annotated[int, Parameter(ge=0, le=BIGINT_MAX)]


def who(request: Request[Any, Any, Any]) -> str:
    """The name of the token that a request came with."""
    return str(request.user.name)


def cause(request: Request[Any, Any, Any]) -> str:
    """What the orders of this request are caused by: found again by ``GET /v1/causes/...``."""
    return f"api:{who(request)}:{random.getrandbits(48):012x}"


def answer(outcome: Accepted | Rejected) -> Response[Accepted | Rejected]:
    """200, or 422 with every check that failed."""
    return Response(outcome, status_code=HTTP_REJECTED if isinstance(outcome, Rejected) else 200)


class AccountRoutes(Controller):
    """Accounts."""

    path = "/v1/accounts"
    tags = ("accounts",)

    @get(sync_to_thread=True, responses=ERRORS)
    def accounts(self, ops: Operations, limit: Limit = 100, offset: Offset = 0) -> list[views.AccountView]:
        """List accounts."""
        return ops.accounts(limit, offset)

    @post(sync_to_thread=True, responses=ERRORS)
    def create(
        self,
        request: Request[Any, Any, Any],
        ops: Operations,
        desk: OperatorsDesk,
        data: list[views.AccountBody],
    ) -> dict[str, int]:
        """Create accounts, all or none."""
        names = ", ".join(f"{body.account_id} ({body.deposit})" for body in data[:20])
        desk.audit(who(request), "create", "accounts", f"{len(data)}: {names}")
        return {"created": ops.create(data)}

    @get("/{account_id:str}", sync_to_thread=True, responses=ERRORS)
    def account(self, ops: Operations, account_id: str) -> views.AccountView:
        """One account: balance, margin, positions, orders."""
        return ops.account(account_id)

    @post("/{account_id:str}/orders", responses=MAY_BE_REJECTED, status_code=200)
    async def place(
        self, request: Request[Any, Any, Any], ops: Operations, account_id: str, data: views.OrderBody
    ) -> Response[Accepted | Rejected]:
        """Place an order. Answered when it is durable; 422 with every check that failed."""
        return answer(await ops.place(account_id, data, cause(request)))

    @delete("/{account_id:str}/orders/{client_order_id:str}", responses=MAY_BE_REJECTED, status_code=200)
    async def cancel(
        self, request: Request[Any, Any, Any], ops: Operations, account_id: str, client_order_id: str
    ) -> Response[Accepted | Rejected]:
        """Cancel a working order."""
        return answer(await ops.cancel(account_id, client_order_id, cause(request)))

    @post("/{account_id:str}/balance", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def balance(
        self,
        request: Request[Any, Any, Any],
        ops: Operations,
        desk: OperatorsDesk,
        account_id: str,
        data: views.AmountBody,
    ) -> Response[Accepted | Rejected]:
        """Deposit, or withdraw with a negative amount."""
        ops.account(account_id)
        desk.audit(who(request), "balance", account_id, f"{data.amount} {data.reason}")
        return answer(ops.adjust(account_id, data))

    @post("/{account_id:str}/freeze", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def freeze(
        self, request: Request[Any, Any, Any], ops: Operations, desk: OperatorsDesk, account_id: str
    ) -> Response[Accepted | Rejected]:
        """No new risk; liquidation stays on."""
        ops.account(account_id)
        desk.audit(who(request), "freeze", account_id)
        return answer(ops.set_status(account_id, AccountStatus.FROZEN))

    @post("/{account_id:str}/unfreeze", sync_to_thread=True, responses=MAY_BE_REJECTED, status_code=200)
    def unfreeze(
        self, request: Request[Any, Any, Any], ops: Operations, desk: OperatorsDesk, account_id: str
    ) -> Response[Accepted | Rejected]:
        """Take a freeze back."""
        ops.account(account_id)
        desk.audit(who(request), "unfreeze", account_id)
        return answer(ops.set_status(account_id, AccountStatus.ACTIVE))

    @post("/{account_id:str}/quarantine", sync_to_thread=True, responses=ERRORS, status_code=200)
    def quarantine(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, account_id: str, data: views.ReasonBody
    ) -> dict[str, bool]:
        """Take an account out of service; a guard cancels its orders and watches its liquidation."""
        return {"quarantined": desk.quarantine(account_id, data.reason, who(request))}

    @post("/{account_id:str}/release", sync_to_thread=True, responses=ERRORS, status_code=200)
    def release(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, account_id: str, data: views.ReleaseBody
    ) -> views.Released:
        """Put an account back into service, and replay or drop the message that failed."""
        return desk.release(account_id, data.poison, who(request))

    @post("/{account_id:str}/fault", sync_to_thread=True, responses=ERRORS, status_code=200)
    def fault(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, account_id: str, data: views.FaultBody
    ) -> dict[str, bool]:
        """Make an account fail, if the engine was started with faults allowed."""
        desk.fault(account_id, data, who(request))
        return {"sent": True}


class OrderRoutes(Controller):
    """Orders and positions over all accounts, and what set an order off."""

    path = "/v1"
    tags = ("orders",)

    @post("/orders", sync_to_thread=True, responses=ERRORS, status_code=200)
    def place_many(
        self, request: Request[Any, Any, Any], ops: Operations, data: list[views.OrderBody]
    ) -> list[Accepted | Rejected | views.Failed]:
        """Place orders of many accounts at once; the answers in the same order."""
        return ops.place_many(data, cause(request))

    @get("/orders/{client_order_id:str}", sync_to_thread=True, responses=ERRORS)
    def order(self, desk: OperatorsDesk, client_order_id: str) -> CausedOrder:
        """One order, what set it off, and its trades."""
        return desk.order(client_order_id)

    @get("/causes/{cause_id:str}", sync_to_thread=True, responses=ERRORS)
    def caused(self, desk: OperatorsDesk, cause_id: str, limit: Limit = 1_000) -> list[CausedOrder]:
        """All orders that a cause set off: a tick (tick:BTCUSDT:512) or a request (api:...)."""
        return desk.caused(cause_id, limit)

    @get("/positions", sync_to_thread=True, responses=ERRORS)
    def positions(
        self, ops: Operations, account_id: str | None = None, limit: Limit = 100
    ) -> list[views.PositionView]:
        """Open positions of one account or of all."""
        return ops.positions(account_id, limit)

    @get("/quarantine", sync_to_thread=True, responses=ERRORS)
    def quarantined(self, desk: OperatorsDesk) -> list[QuarantineRecord]:
        """Accounts that are out of service, and why."""
        return desk.quarantined()
