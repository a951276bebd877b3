"""What the API does with an engine, without HTTP: each raises errors that name the cure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pykka

from actors.api import views
from actors.api.asking import Asking
from actors.api.awaiting import Reply
from actors.api.pools import ORDERS
from actors.api.sight import NotFound, Sight, account_state
from actors.assembly.engine import ASK_SECONDS, Engine
from actors.core.enums import AccountStatus, ConditionalKind, OrderType
from actors.core.errors import BadInput, BulkheadError
from actors.core.messages import AdjustBalance, CancelOrder, PlaceConditional, PlaceOrder, SetStatus
from actors.core.names import checked_id, checked_text, shown
from actors.core.records import NewAccount
from actors.core.units import AccountId, ClientOrderId, Symbol, parse_decimal
from actors.runtime.actor import Ref
from actors.subaccount.market import Market
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.rejections import RejectCode, Rejection
from actors.supervision.operator_log import EVERYBODY, Act
from actors.supervision.registry import account_of

LIST_MAX = 10_000
"""Orders or accounts of one request."""

SYMBOL_MAX = 40


class Operations:
    """All operations of one engine. What waits runs in the API's event loop, the rest in any thread."""

    def __init__(self, engine: Engine, sight: Sight, asking: Asking) -> None:
        self._engine, self._sight, self._asking = engine, sight, asking

    # -- sight

    def accounts(self, limit: int, offset: int) -> list[views.AccountView]:
        """Accounts in the order in which they were started."""
        market = self._sight.market()
        refs = list(self._engine.accounts.values())[offset : offset + limit]
        return [view for ref in refs if (view := self._view(ref, market)) is not None]

    def account(self, account_id: str) -> views.AccountView:
        """One account."""
        view = self._view(self.ref(account_id), self._sight.market())
        if view is None:
            raise NotFound(f"{account_id} has no state yet; 'bulkhead inspect {account_id}' shows why")
        return view

    def positions(self, account_id: str | None, limit: int) -> list[views.PositionView]:
        """Open positions of one account or of all."""
        market = self._sight.market()
        refs = [self.ref(account_id)] if account_id else list(self._engine.accounts.values())
        found: list[views.PositionView] = []
        for ref in refs:
            state = account_state(ref)
            if state is not None:
                found += views.position_views(state, market)
            if len(found) >= limit:
                break
        return found[:limit]

    # -- orders and accounts

    async def place(self, account_id: str, body: views.OrderBody, cause: str) -> Accepted | Rejected:
        """Place one order; answered when it is durable."""
        if account_id not in self._engine.accounts:
            return unknown_account(account_id)
        return await self._asking.order(self.ref(account_id), order_of(body, cause))

    async def ordered(self, ref: Ref, order: PlaceOrder) -> Accepted | Rejected:
        """What an account says to an order that was made for it; answered when it is durable."""
        return await self._asking.order(ref, order)

    async def place_many(
        self, bodies: Sequence[views.OrderBody], cause: str
    ) -> list[Accepted | Rejected | views.Failed]:
        """Place orders of many accounts at once; the answers in the same order."""
        check_length(bodies)
        # All are read before the first is placed: a bad value in one places none.
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

    async def cancel(
        self, account_id: str, client_order_id: str, cause: str
    ) -> Accepted | Rejected | views.Pending:
        """Cancel one order; at once, also while Postgres is away."""
        return await self._asking.cancel(
            self.ref(account_id), CancelOrder(ClientOrderId(client_order_id), cause)
        )

    async def adjust(
        self, account_id: str, body: views.AmountBody, who: str
    ) -> Accepted | Rejected | views.Pending:
        """Deposit or withdraw."""
        ref = self.ref(account_id)
        amount = decimal_of(body.amount, "amount")
        reason = checked_text(body.reason, "reason") or ("WITHDRAWAL" if amount < 0 else "DEPOSIT")
        act = Act(who, "balance", account_id, f"{amount} {body.reason}")
        return await self._asking.command(ref, AdjustBalance(amount, reason), act)

    async def set_status(
        self, account_id: str, status: AccountStatus, who: str
    ) -> Accepted | Rejected | views.Pending:
        """Freeze or unfreeze."""
        freezes = status is AccountStatus.FROZEN
        action = "freeze" if freezes else "unfreeze"
        message = SetStatus(status)
        act = Act(who, action, account_id, "", message, protects=freezes)
        return await self._asking.command(self.ref(account_id), message, act)

    async def create(self, bodies: Sequence[views.AccountBody], who: str) -> int:
        """Create accounts, all or none."""
        check_length(bodies)
        creation = self._engine.creation([new_account(b) for b in bodies])
        names = ", ".join(f"{body.account_id} ({body.deposit})" for body in bodies[:20])
        await self._asking.record(Act(who, "create", EVERYBODY, f"{len(bodies)}: {names}"))
        return await self._asking.store(creation)

    # -- inside

    def ref(self, account_id: str) -> Ref:
        """The actor of an account, or its guard."""
        ref = self._engine.accounts.get(AccountId(account_id))
        if ref is None:
            raise NotFound(f"there is no account {shown(account_id)}; 'bulkhead accounts' lists them")
        return ref

    def _view(self, ref: Ref, market: Market) -> views.AccountView | None:
        own = self._engine.find(account_of(ref.name)) or ref
        # A guard knows best, once it has its state; until then, what its account knew last.
        state = account_state(ref) or account_state(own)
        return (
            None if state is None else views.account_view(state, own.cell.status, own.cell.restarts, market)
        )


def _outcome(future: asyncio.Future[Any]) -> Accepted | Rejected | views.Failed:
    """What became of one order of many; another's trouble must not hide it."""
    if not future.done():
        return views.Failed(
            "TIMEOUT", "not answered in time: it may still be placed; ask for it before trying again"
        )
    try:
        found: Accepted | Rejected = future.result()
    except (BulkheadError, pykka.ActorDeadError) as error:
        return views.Failed(type(error).__name__, str(error))
    return found


def check_length(bodies: Sequence[Any]) -> None:
    """Refuse a list that is too long.

    Raises:
        BadInput: says how many are taken.
    """
    if len(bodies) > LIST_MAX:
        raise BadInput(f"{len(bodies):,} entries are too many for one request; send at most {LIST_MAX:,}")


def unknown_account(account_id: str) -> Rejected:
    """The rejection that an order for an unknown account gets."""
    text = f"there is no account {shown(account_id)}"
    return Rejected((Rejection(RejectCode.ACCOUNT_NOT_FOUND, text, shown(account_id)),))


NAMED_BY_CHECKS = {"nan": Decimal("NaN"), "inf": Decimal("Infinity"), "-inf": Decimal("-Infinity")}
"""What an order's checks refuse by name, so that it is among all that they refuse."""


def decimal_of(text: str, name: str) -> Decimal:
    """A decimal out of a request.

    Raises:
        BadInput: naming field and value.
    """
    try:
        return parse_decimal(text, name)
    except ValueError as error:
        raise BadInput(str(error)) from None


def number_of(text: str, name: str) -> Decimal:
    """A number of an order: NaN and infinities pass on to the checks, which name them with all else.

    Raises:
        BadInput: naming field and value.
    """
    known = NAMED_BY_CHECKS.get(text.lower().replace("infinity", "inf"))
    return decimal_of(text, name) if known is None else known


def order_of(body: views.OrderBody, cause: str) -> PlaceOrder | PlaceConditional:
    """A request's order as the account's command.

    Raises:
        BadInput: a field that this type of order does not take; names it.
    """

    def optional(name: str) -> Decimal | None:
        text = getattr(body, name)
        return None if text is None else number_of(text, name)

    symbol = Symbol(checked_text(body.symbol, "symbol", SYMBOL_MAX))
    waits = body.order_type.value in set(ConditionalKind)
    for name in ("price",) if waits else ("trigger_price", "callback_rate", "activation_price"):
        if getattr(body, name) is not None:
            raise BadInput(f"{name}: a {body.order_type} order takes none")
    if waits:
        return PlaceConditional(
            kind=ConditionalKind(body.order_type.value),
            symbol=symbol,
            side=body.side,
            quantity=number_of(body.quantity, "quantity"),
            trigger_price=optional("trigger_price"),
            callback_rate=optional("callback_rate"),
            activation_price=optional("activation_price"),
            reduce_only=body.reduce_only,
            leverage=optional("leverage"),
            cause=cause,
            strategy=checked_text(body.strategy, "strategy", 100),
        )
    return PlaceOrder(
        symbol=symbol,
        side=body.side,
        quantity=number_of(body.quantity, "quantity"),
        order_type=OrderType(body.order_type.value),
        price=optional("price"),
        time_in_force=body.time_in_force,
        reduce_only=body.reduce_only,
        leverage=optional("leverage"),
        cause=cause,
        strategy=checked_text(body.strategy, "strategy", 100),
    )


def new_account(body: views.AccountBody) -> NewAccount:
    """A request's account as the store wants it."""

    def optional(text: str | None, name: str) -> Decimal | None:
        return None if text is None else decimal_of(text, name)

    return NewAccount(
        account_id=AccountId(checked_id(body.account_id, "account_id")),
        name=body.name or body.account_id,
        deposit=decimal_of(body.deposit, "deposit"),
        mode=body.mode,
        maintenance_rate=decimal_of(body.maintenance_rate, "maintenance_rate"),
        max_leverage=optional(body.max_leverage, "max_leverage"),
        max_notional_per_trade=optional(body.max_notional_per_trade, "max_notional_per_trade"),
        max_total_exposure=optional(body.max_total_exposure, "max_total_exposure"),
        liquidation_threshold=optional(body.liquidation_threshold, "liquidation_threshold"),
    )
