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
from actors.api.pools import SIGHT
from actors.core.enums import AccountStatus
from actors.core.records import QuarantineRecord
from actors.persistence.operator_records import CausedOrder
from actors.subaccount.pipeline import Accepted, Rejected

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
        503: "Postgres does not answer, too many wait already (see Retry-After), or the exchange may not be asked yet",
        504: "the actor did not answer in time",
    }.items()
}
MAY_BE_REJECTED = {
    **ERRORS,
    HTTP_REJECTED: ResponseSpec(
        Rejected, description="refused, with every check that failed", generate_examples=False
    ),
    202: ResponseSpec(
        views.Pending,
        description="accepted, but Postgres does not answer: not durable yet",
        generate_examples=False,
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


Outcome = Response[Accepted | Rejected | views.Pending]


def answer(outcome: Accepted | Rejected | views.Pending) -> Outcome:
    """200, 422 with every check that failed, or 202 for what is accepted and not durable yet."""
    if isinstance(outcome, views.Pending):
        return Response(outcome, status_code=202)
    return Response(outcome, status_code=HTTP_REJECTED if isinstance(outcome, Rejected) else 200)


class AccountRoutes(Controller):
    """Accounts."""

    path = "/v1/accounts"
    tags = ("accounts",)

    @get(responses=ERRORS)
    async def accounts(
        self, ops: Operations, limit: Limit = 100, offset: Offset = 0
    ) -> list[views.AccountView]:
        """List accounts."""
        return await SIGHT.run(ops.accounts, limit, offset)

    @post(responses=ERRORS)
    async def create(
        self,
        request: Request[Any, Any, Any],
        ops: Operations,
        data: list[views.AccountBody],
    ) -> dict[str, int]:
        """Create accounts, all or none."""
        return {"created": await ops.create(data, who(request))}

    @get("/{account_id:str}", responses=ERRORS)
    async def account(self, ops: Operations, account_id: str) -> views.AccountView:
        """One account: balance, margin, positions, orders."""
        return await SIGHT.run(ops.account, account_id)

    @post("/{account_id:str}/orders", responses=MAY_BE_REJECTED, status_code=200)
    async def place(
        self, request: Request[Any, Any, Any], ops: Operations, account_id: str, data: views.OrderBody
    ) -> Outcome:
        """Place an order. Answered when it is durable; 422 with every check that failed."""
        return answer(await ops.place(account_id, data, cause(request)))

    @delete("/{account_id:str}/orders/{client_order_id:str}", responses=MAY_BE_REJECTED, status_code=200)
    async def cancel(
        self, request: Request[Any, Any, Any], ops: Operations, account_id: str, client_order_id: str
    ) -> Outcome:
        """Cancel a working order."""
        return answer(await ops.cancel(account_id, client_order_id, cause(request)))

    @post("/{account_id:str}/balance", responses=MAY_BE_REJECTED, status_code=200)
    async def balance(
        self,
        request: Request[Any, Any, Any],
        ops: Operations,
        account_id: str,
        data: views.AmountBody,
    ) -> Outcome:
        """Deposit, or withdraw with a negative amount."""
        return answer(await ops.adjust(account_id, data, who(request)))

    @post("/{account_id:str}/freeze", responses=MAY_BE_REJECTED, status_code=200)
    async def freeze(self, request: Request[Any, Any, Any], ops: Operations, account_id: str) -> Outcome:
        """No new risk; liquidation stays on."""
        return answer(await ops.set_status(account_id, AccountStatus.FROZEN, who(request)))

    @post("/{account_id:str}/unfreeze", responses=MAY_BE_REJECTED, status_code=200)
    async def unfreeze(self, request: Request[Any, Any, Any], ops: Operations, account_id: str) -> Outcome:
        """Take a freeze back."""
        return answer(await ops.set_status(account_id, AccountStatus.ACTIVE, who(request)))

    @post("/{account_id:str}/quarantine", responses=ERRORS, status_code=200)
    async def quarantine(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, account_id: str, data: views.ReasonBody
    ) -> dict[str, bool]:
        """Take an account out of service; a guard cancels its orders and watches its liquidation."""
        return {"quarantined": await desk.quarantine(account_id, data.reason, who(request))}

    @post("/{account_id:str}/release", responses=ERRORS, status_code=200)
    async def release(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, account_id: str, data: views.ReleaseBody
    ) -> views.Released:
        """Put an account back into service, and replay or drop the message that failed."""
        return await desk.release(account_id, data.poison, who(request))

    @post("/{account_id:str}/fault", responses=ERRORS, status_code=200)
    async def fault(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, account_id: str, data: views.FaultBody
    ) -> dict[str, bool]:
        """Make an account fail, if the engine was started with faults allowed."""
        await desk.fault(account_id, data, who(request))
        return {"sent": True}


class OrderRoutes(Controller):
    """Orders and positions over all accounts, and what set an order off."""

    path = "/v1"
    tags = ("orders",)

    @post("/orders", responses=ERRORS, status_code=200)
    async def place_many(
        self, request: Request[Any, Any, Any], ops: Operations, data: list[views.OrderBody]
    ) -> list[Accepted | Rejected | views.Failed]:
        """Place orders of many accounts at once; the answers in the same order."""
        return await ops.place_many(data, cause(request))

    @get("/orders/{client_order_id:str}", responses=ERRORS)
    async def order(self, desk: OperatorsDesk, client_order_id: str) -> CausedOrder:
        """One order, what set it off, and its trades."""
        return await desk.order(client_order_id)

    @get("/causes/{cause_id:str}", responses=ERRORS)
    async def caused(self, desk: OperatorsDesk, cause_id: str, limit: Limit = 1_000) -> list[CausedOrder]:
        """All orders that a cause set off: a tick (tick:BTCUSDT:512) or a request (api:...)."""
        return await desk.caused(cause_id, limit)

    @get("/positions", responses=ERRORS)
    async def positions(
        self, ops: Operations, account_id: str | None = None, limit: Limit = 100
    ) -> list[views.PositionView]:
        """Open positions of one account or of all."""
        return await SIGHT.run(ops.positions, account_id, limit)

    @get("/quarantine", responses=ERRORS)
    async def quarantined(self, desk: OperatorsDesk) -> list[QuarantineRecord]:
        """Accounts that are out of service, and why."""
        return await desk.quarantined()
