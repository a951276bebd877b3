"""What the API does with an engine, without HTTP: each raises errors that name the cure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pykka

from actors.api import awaiting, views
from actors.api.sight import NotFound, Sight, account_state
from actors.engine import ASK_SECONDS, Engine
from actors.errors import BadInput, BulkheadError
from actors.facts import AccountStatus, ConditionalKind
from actors.messages import AdjustBalance, CancelOrder, PlaceConditional, PlaceOrder, SetStatus
from actors.persistence.desk import clean
from actors.persistence.messages import NewAccount
from actors.runtime.actor import Ref
from actors.runtime.tree import account_of
from actors.subaccount.decision import Accepted, Rejected
from actors.subaccount.market import Market
from actors.subaccount.rejections import RejectCode, Rejection
from actors.units import AccountId, ClientOrderId, OrderType, Symbol, parse_decimal


class Operations:
    """All operations of one engine. Callable from any thread."""

    def __init__(self, engine: Engine, sight: Sight) -> None:
        self._engine, self._sight = engine, sight

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
        return await self._awaited(self.ref(account_id), order_of(body, cause))

    def place_many(
        self, bodies: Sequence[views.OrderBody], cause: str
    ) -> list[Accepted | Rejected | views.Failed]:
        """Place orders of many accounts at once; the answers in the same order."""
        # All are read before the first is placed: a bad value in one places none.
        for body in bodies:
            if body.account_id is None:
                raise BadInput("each order of a list needs its account_id")
        orders = [order_of(body, cause) for body in bodies]
        futures: list[Any] = []
        for body, order in zip(bodies, orders, strict=True):
            ref = self._engine.accounts.get(AccountId(body.account_id or ""))
            futures.append(ref.ask(order, block=False) if ref else unknown_account(body.account_id or ""))
        deadline = time.monotonic() + ASK_SECONDS
        return [f if isinstance(f, Rejected) else _outcome(f, deadline) for f in futures]

    async def cancel(self, account_id: str, client_order_id: str, cause: str) -> Accepted | Rejected:
        """Cancel one order."""
        return await self._awaited(self.ref(account_id), CancelOrder(ClientOrderId(client_order_id), cause))

    def adjust(self, account_id: str, body: views.AmountBody) -> Accepted | Rejected:
        """Deposit or withdraw."""
        amount = decimal_of(body.amount, "amount")
        reason = clean(body.reason) or ("WITHDRAWAL" if amount.is_signed() else "DEPOSIT")  # NaN has no order
        return self.ask(self.ref(account_id), AdjustBalance(amount, reason))

    def set_status(self, account_id: str, status: AccountStatus) -> Accepted | Rejected:
        """Freeze or unfreeze."""
        return self.ask(self.ref(account_id), SetStatus(status))

    def create(self, bodies: Sequence[views.AccountBody]) -> int:
        """Create accounts."""
        return self._engine.create_accounts([new_account(b) for b in bodies])

    # -- inside

    def ref(self, account_id: str) -> Ref:
        """The actor of an account, or its guard."""
        ref = self._engine.accounts.get(AccountId(account_id))
        if ref is None:
            raise NotFound(f"there is no account {account_id!r}; 'bulkhead accounts' lists them")
        return ref

    def _view(self, ref: Ref, market: Market) -> views.AccountView | None:
        own = self._engine.find(account_of(ref.name)) or ref
        # A guard knows best, once it has its state; until then, what its account knew last.
        state = account_state(ref) or account_state(own)
        return (
            None if state is None else views.account_view(state, own.cell.status, own.cell.restarts, market)
        )

    @staticmethod
    async def _awaited(ref: Ref, message: Any) -> Accepted | Rejected:
        answer: Accepted | Rejected = await awaiting.ask(ref, message, ASK_SECONDS)
        return answer

    @staticmethod
    def ask(ref: Ref, message: Any) -> Accepted | Rejected:
        """What an account decides about a command; answered when it is durable."""
        try:
            answer: Accepted | Rejected = ref.ask(message, block=True, timeout=ASK_SECONDS)
        except pykka.Timeout:
            raise BulkheadError(
                f"{ref.name} did not answer in {ASK_SECONDS:.0f} s; 'bulkhead inspect {ref.name}' shows why"
            ) from None
        return answer


def _outcome(future: Any, deadline: float) -> Accepted | Rejected | views.Failed:
    """What became of one order of many; another's trouble must not hide it."""
    try:
        found: Accepted | Rejected = future.get(timeout=max(0.0, deadline - time.monotonic()))
    except pykka.Timeout:
        return views.Failed(
            "TIMEOUT", "not answered in time: it may still be placed; ask for it before trying again"
        )
    except (BulkheadError, pykka.ActorDeadError) as error:
        return views.Failed(type(error).__name__, str(error))
    return found


def unknown_account(account_id: str) -> Rejected:
    """The rejection that an order for an unknown account gets."""
    text = f"there is no account {account_id!r}"
    return Rejected((Rejection(RejectCode.ACCOUNT_NOT_FOUND, text, account_id),))


def decimal_of(text: str, name: str) -> Decimal:
    """A decimal out of a request.

    Raises:
        BadInput: naming field and value. NaN and infinities pass on: the checks name them.
    """
    if text.strip().lower() in {"nan", "inf", "-inf", "infinity", "-infinity"}:
        return Decimal(text)
    try:
        return parse_decimal(text, name)
    except ValueError as error:
        raise BadInput(str(error)) from None


def order_of(body: views.OrderBody, cause: str) -> PlaceOrder | PlaceConditional:
    """A request's order as the account's command.

    Raises:
        BadInput: a field that this type of order does not take; names it.
    """

    def optional(name: str) -> Decimal | None:
        text = getattr(body, name)
        return None if text is None else decimal_of(text, name)

    waits = body.order_type.value in set(ConditionalKind)
    for name in ("price",) if waits else ("trigger_price", "callback_rate", "activation_price"):
        if getattr(body, name) is not None:
            raise BadInput(f"{name}: a {body.order_type} order takes none")
    if waits:
        return PlaceConditional(
            kind=ConditionalKind(body.order_type.value),
            symbol=Symbol(body.symbol),
            side=body.side,
            quantity=decimal_of(body.quantity, "quantity"),
            trigger_price=optional("trigger_price"),
            callback_rate=optional("callback_rate"),
            activation_price=optional("activation_price"),
            reduce_only=body.reduce_only,
            leverage=optional("leverage"),
            cause=cause,
            strategy=clean(body.strategy),
        )
    return PlaceOrder(
        symbol=Symbol(body.symbol),
        side=body.side,
        quantity=decimal_of(body.quantity, "quantity"),
        order_type=OrderType(body.order_type.value),
        price=optional("price"),
        time_in_force=body.time_in_force,
        reduce_only=body.reduce_only,
        leverage=optional("leverage"),
        cause=cause,
        strategy=clean(body.strategy),
    )


def new_account(body: views.AccountBody) -> NewAccount:
    """A request's account as the store wants it."""

    def optional(text: str | None, name: str) -> Decimal | None:
        return None if text is None else decimal_of(text, name)

    return NewAccount(
        account_id=AccountId(body.account_id),
        name=body.name or body.account_id,
        deposit=decimal_of(body.deposit, "deposit"),
        mode=body.mode,
        maintenance_rate=decimal_of(body.maintenance_rate, "maintenance_rate"),
        max_leverage=optional(body.max_leverage, "max_leverage"),
        max_notional_per_trade=optional(body.max_notional_per_trade, "max_notional_per_trade"),
        max_total_exposure=optional(body.max_total_exposure, "max_total_exposure"),
        liquidation_threshold=optional(body.liquidation_threshold, "liquidation_threshold"),
    )
