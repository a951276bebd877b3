"""HTTP paths of an account's owner: the last orders with their ends, and closing what is held."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, get, post

from actors.api.account_routes import ERRORS, Limit, cause
from actors.api.closing import CloseBody, Closed, closing_orders
from actors.api.desk import OperatorsDesk
from actors.api.operations import Operations
from actors.api.sight import NotFound, account_state
from actors.assembly.engine import Engine
from actors.persistence.operator_records import CausedOrder


class OwnerRoutes(Controller):
    """What an owner asks and does beside single orders."""

    path = "/v1/accounts/{account_id:str}"
    tags = ("orders",)

    @get("/history", responses=ERRORS)
    async def history(
        self, ops: Operations, desk: OperatorsDesk, account_id: str, limit: Limit = 100
    ) -> list[CausedOrder]:
        """The account's last orders, conditional ones too, newest first: what became of each, and why."""
        ops.ref(account_id)
        return await desk.history(account_id, limit)

    @post("/close", responses=ERRORS, status_code=200)
    async def close(
        self,
        request: Request[Any, Any, Any],
        engine: Engine,
        ops: Operations,
        account_id: str,
        data: CloseBody,
    ) -> list[Closed]:
        """Close positions with reducing market orders of the owner; each answered when it is durable."""
        ref = ops.ref(account_id)
        state = account_state(ref)
        if state is None:
            raise NotFound(f"{account_id} has no state yet; 'bulkhead inspect {account_id}' shows why")
        wanted = None if data.symbol is None else data.symbol.upper()
        orders = closing_orders(state, wanted, engine.context.instruments, cause(request))
        return [
            Closed(symbol=o.symbol, side=o.side, quantity=o.quantity, answer=await ops.ordered(ref, o))
            for o in orders
        ]
