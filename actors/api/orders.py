"""Orders: place, cancel, close positions, look at an order's fate and at what caused it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pykka
from litestar import Controller, Response, delete, get, post

from actors.api.answers import OUTCOMES, Outcome, outcome_response
from actors.api.awaiting import Reply
from actors.api.errors import ERRORS, NotFound
from actors.api.lookup import account_state, no_state
from actors.api.noun import Context, Noun
from actors.api.order_views import CloseBody, Closed, Failed, OrderBody, closing_orders, order_of
from actors.api.parameters import HttpRequest, Limit, new_cause
from actors.api.pools import ORDERS
from actors.api.values import check_length
from actors.assembly.store_questions import ASK_SECONDS
from actors.core.errors import BadInput, BulkheadError
from actors.core.messages import CancelOrder
from actors.core.names import shown
from actors.core.units import AccountId, ClientOrderId
from actors.persistence.operator_records import CausedOrder, clean
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.rejections import RejectCode, Rejection


class OrderService:
    """Asks accounts for orders, and reads their fate from Postgres. Runs in the API's event loop."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup, self._asker = context.engine, context.lookup, context.asker

    # -- commands

    async def place(self, account_id: str, body: OrderBody, cause: str) -> Accepted | Rejected:
        """Place one order; answered when it is durable."""
        if account_id not in self._engine.accounts:
            return unknown_account(account_id)
        return await self._asker.order(self._lookup.account(account_id), order_of(body, cause))

    async def place_many(self, bodies: Sequence[OrderBody], cause: str) -> list[Accepted | Rejected | Failed]:
        """Place orders of many accounts at once; the answers are in the order of the requests."""
        check_length(bodies)
        # All are checked before the first is placed: if one has a bad value, none is placed.
        for body in bodies:
            if body.account_id is None:
                raise BadInput("each order of a list needs its account_id")
        orders = [order_of(body, cause) for body in bodies]
        with ORDERS.taken_for(len(orders)):
            waiting: list[Reply | Rejected] = []
            for body, order in zip(bodies, orders, strict=True):
                ref = self._engine.accounts.get(AccountId(body.account_id or ""))
                if ref is None:
                    waiting.append(unknown_account(body.account_id or ""))
                    continue
                reply = Reply()
                ref.cell.dispatcher.post(ref.cell, order, reply)
                waiting.append(reply)
            futures = [w.awaited for w in waiting if isinstance(w, Reply)]
            if futures:
                await asyncio.wait(futures, timeout=ASK_SECONDS)
            return [w if isinstance(w, Rejected) else _outcome(w.awaited) for w in waiting]

    async def cancel(self, account_id: str, client_order_id: str, cause: str) -> Outcome:
        """Cancel one order; at once, also while Postgres is away."""
        return await self._asker.cancel(
            self._lookup.account(account_id), CancelOrder(ClientOrderId(client_order_id), cause)
        )

    async def close(self, account_id: str, symbol: str | None, cause: str) -> list[Closed]:
        """Close one position or all with reducing market orders; each answered when it is durable."""
        # Ref and state of the same actor: a guard may take an account's place between two look-ups.
        ref = self._lookup.account(account_id)
        state = account_state(ref)
        if state is None:
            raise no_state(account_id)
        wanted = None if symbol is None else symbol.upper()
        orders = closing_orders(state, wanted, self._engine.context.instruments, cause)
        return [
            Closed(symbol=o.symbol, side=o.side, quantity=o.quantity, answer=await self._asker.order(ref, o))
            for o in orders
        ]

    # -- records

    async def order(self, client_order_id: str) -> CausedOrder:
        """One order with its cause and its trades."""
        id_ = clean(client_order_id)
        found = await self._lookup.read(lambda records: records.order(id_))
        if found is None:
            raise NotFound(f"there is no order {shown(client_order_id)}")
        return found

    async def caused(self, cause: str, limit: int) -> list[CausedOrder]:
        """All orders of one cause."""
        wanted = clean(cause)
        return await self._lookup.read(lambda records: records.caused(wanted, limit))

    async def history(self, account_id: str, limit: int) -> list[CausedOrder]:
        """An account's last orders, newest first."""
        self._lookup.account(account_id)
        return await self._lookup.read(lambda records: records.history(AccountId(account_id), limit))


def unknown_account(account_id: str) -> Rejected:
    """The rejection that an order for an unknown account gets."""
    text = f"there is no account {shown(account_id)}"
    return Rejected((Rejection(RejectCode.ACCOUNT_NOT_FOUND, text, shown(account_id)),))


def _outcome(future: asyncio.Future[Any]) -> Accepted | Rejected | Failed:
    """The outcome of one order of many; a fault of one must not hide the outcomes of the others."""
    if not future.done():
        return Failed(
            "TIMEOUT", "not answered in time: it may still be placed; ask for it before trying again"
        )
    try:
        found: Accepted | Rejected = future.result()
    except (BulkheadError, pykka.ActorDeadError) as error:
        return Failed(type(error).__name__, str(error))
    return found


class AccountOrderRoutes(Controller):
    """Orders of one account."""

    path = "/v1/accounts/{account_id:str}/orders"
    tags = ("accounts",)

    @post(responses=OUTCOMES, status_code=200)
    async def place(
        self, request: HttpRequest, orders: OrderService, account_id: str, data: OrderBody
    ) -> Response[Outcome]:
        """Place an order. Answered when it is durable; 422 with every check that failed."""
        return outcome_response(await orders.place(account_id, data, new_cause(request)))

    @delete("/{client_order_id:str}", responses=OUTCOMES, status_code=200)
    async def cancel(
        self, request: HttpRequest, orders: OrderService, account_id: str, client_order_id: str
    ) -> Response[Outcome]:
        """Cancel a working order."""
        return outcome_response(await orders.cancel(account_id, client_order_id, new_cause(request)))


class OwnerRoutes(Controller):
    """What the owner of an account asks and does beside single orders."""

    path = "/v1/accounts/{account_id:str}"
    tags = ("orders",)

    @get("/history", responses=ERRORS)
    async def history(self, orders: OrderService, account_id: str, limit: Limit = 100) -> list[CausedOrder]:
        """The account's last orders, conditional ones too, newest first: what became of each, and why."""
        return await orders.history(account_id, limit)

    @post("/close", responses=ERRORS, status_code=200)
    async def close(
        self, request: HttpRequest, orders: OrderService, account_id: str, data: CloseBody
    ) -> list[Closed]:
        """Close positions with reducing market orders of the owner; each answered when it is durable."""
        return await orders.close(account_id, data.symbol, new_cause(request))


class OrderRoutes(Controller):
    """Orders of all accounts, and what caused them."""

    path = "/v1"
    tags = ("orders",)

    @post("/orders", responses=ERRORS, status_code=200)
    async def place_many(
        self, request: HttpRequest, orders: OrderService, data: list[OrderBody]
    ) -> list[Accepted | Rejected | Failed]:
        """Place orders of many accounts at once; the answers in the same order."""
        return await orders.place_many(data, new_cause(request))

    @get("/orders/{client_order_id:str}", responses=ERRORS)
    async def order(self, orders: OrderService, client_order_id: str) -> CausedOrder:
        """One order, what caused it, and its trades."""
        return await orders.order(client_order_id)

    @get("/causes/{cause_id:str}", responses=ERRORS)
    async def caused(self, orders: OrderService, cause_id: str, limit: Limit = 1_000) -> list[CausedOrder]:
        """All orders of one cause: a tick (tick:BTCUSDT:512) or a request (api:...)."""
        return await orders.caused(cause_id, limit)


NOUN = Noun({"orders": OrderService}, (AccountOrderRoutes, OwnerRoutes, OrderRoutes))
