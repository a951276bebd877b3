"""What the API does with an engine, without HTTP: each raises errors that name the cure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pykka

from actors.api import views
from actors.engine import ASK_SECONDS, Engine
from actors.errors import BadInput, BulkheadError
from actors.messages import (
    AccountStatus,
    AdjustBalance,
    CancelOrder,
    FaultOnPurpose,
    PlaceOrder,
    SetStatus,
)
from actors.persistence.messages import NewAccount
from actors.runtime.actor import Ref
from actors.runtime.tree import RestartNow
from actors.subaccount import adl, margin
from actors.subaccount.checks import Market, RejectCode, Rejection
from actors.subaccount.decide import Accepted, Rejected
from actors.subaccount.state import AccountState
from actors.symbol_router.actor import SymbolRouter
from actors.units import AccountId, ClientOrderId, Nanos, Symbol, parse_decimal

RATIO_BUCKETS = ("0.2", "0.4", "0.6", "0.8", "0.9", "0.925", "0.95", "1")


class NotFound(BulkheadError):  # noqa: N818 - reads as what it says
    """No account or actor of that name."""


class Operations:
    """All operations of one engine. Callable from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- sight

    def market(self) -> Market:
        """Prices at this moment."""
        engine = self._engine
        return Market(
            engine.book.ticks,
            engine.venue.instruments,
            Nanos(engine.clock.monotonic_ns()),
            engine.clock.wall_ms(),
            engine.gate.reduce_only,
        )

    def accounts(self, limit: int, offset: int) -> list[views.AccountView]:
        """Accounts by id."""
        market = self.market()
        refs = list(self._engine.accounts.values())[offset : offset + limit]
        return [self._view(ref, market) for ref in refs if self._state(ref) is not None]

    def account(self, account_id: str) -> views.AccountView:
        """One account."""
        ref = self._account(account_id)
        if self._state(ref) is None:
            raise NotFound(f"{account_id} has no state yet; 'bulkhead inspect {account_id}' shows why")
        return self._view(ref, self.market())

    def positions(self, account_id: str | None, limit: int) -> list[views.PositionView]:
        """Open positions of one account or of all."""
        market = self.market()
        refs = [self._account(account_id)] if account_id else list(self._engine.accounts.values())
        found: list[views.PositionView] = []
        for ref in refs:
            state = self._state(ref)
            if state is not None:
                found += views.position_views(state, market)
            if len(found) >= limit:
                break
        return found[:limit]

    def actor(self, name: str) -> views.ActorView:
        """Everything about one actor; answers also when it is stuck."""
        ref = self._actor(name)
        router = self._engine.actors["router"].cell.actor
        registered = None
        if name in self._engine.accounts and isinstance(router, SymbolRouter):
            registered = router.registered(AccountId(name))
        return views.actor_view(ref.cell.snapshot(), ref.cell.actor.inspect_state(), registered)

    def stats(self) -> dict[str, Any]:
        """Counters of the whole engine."""
        engine = self._engine
        refs = list(engine.accounts.values())
        depths = sorted(((r.cell.mailbox.depth(), r.name) for r in refs), reverse=True)[:5]
        states = [s for s in map(self._state, refs) if s is not None]
        return {
            "uptime_s": (engine.clock.monotonic_ns() - engine.started_ns) / 1e9,
            "accounts": len(refs),
            "with_positions": sum(bool(s.positions) for s in states),
            "working_orders": sum(len(s.orders) for s in states),
            "phases": Counter(s.phase for s in states),
            "actors": Counter(r.cell.status for r in refs),
            "restarts": sum(r.cell.restarts for r in refs),
            "margin_ratios": self._ratios(states),
            "deepest": [{"name": name, "depth": depth} for depth, name in depths if depth],
            "account_stats": engine.services.stats,
            "router": self._inspect("router"),
            "writer": self._inspect("writer"),
            "gateway": self._inspect("gateway"),
            "feed": {"frames": engine.feed_source.frames, "reconnects": engine.feed_source.reconnects},
            "gate_closed_by": engine.gate.closers,
            "bad_debt": sum((s.bad_debt for s in states), Decimal(0)),
            "alarms": engine.alarm_count,
        }

    # -- orders and accounts

    def place(self, account_id: str, body: views.OrderBody) -> Accepted | Rejected:
        """Place one order; answered when it is durable."""
        if account_id not in self._engine.accounts:
            return unknown_account(account_id)
        return self._ask(self._account(account_id), order_of(body))

    def place_many(self, bodies: Sequence[views.OrderBody]) -> list[Accepted | Rejected]:
        """Place orders of many accounts at once; the answers in the same order."""
        futures: list[Any] = []
        for body in bodies:
            if body.account_id is None:
                raise BadInput("each order of a list needs its account_id")
            ref = self._engine.accounts.get(AccountId(body.account_id))
            futures.append(ref.ask(order_of(body), block=False) if ref else unknown_account(body.account_id))
        return [f if isinstance(f, Rejected) else f.get(timeout=ASK_SECONDS) for f in futures]

    def cancel(self, account_id: str, client_order_id: str) -> Accepted | Rejected:
        """Cancel one order."""
        return self._ask(self._account(account_id), CancelOrder(ClientOrderId(client_order_id), "operator"))

    def adjust(self, account_id: str, body: views.AmountBody) -> Accepted | Rejected:
        """Deposit or withdraw."""
        amount = decimal_of(body.amount, "amount")
        reason = body.reason or ("DEPOSIT" if amount > 0 else "WITHDRAWAL")
        return self._ask(self._account(account_id), AdjustBalance(amount, reason))

    def set_status(self, account_id: str, status: AccountStatus) -> Accepted | Rejected:
        """Freeze or unfreeze."""
        return self._ask(self._account(account_id), SetStatus(status))

    def create(self, bodies: Sequence[views.AccountBody]) -> int:
        """Create accounts."""
        return self._engine.create_accounts([new_account(b) for b in bodies])

    # -- control

    def restart(self, name: str) -> bool:
        """Restart one actor from its durable state."""
        self._actor(name)
        if name == "supervisor":
            raise BadInput("the supervisor cannot restart itself; restart the engine")
        return bool(
            self._engine.actors["supervisor"].ask(RestartNow(name, by_operator=True), timeout=ASK_SECONDS)
        )

    def fault(self, account_id: str, body: views.FaultBody) -> None:
        """Make an account fail on purpose, where the engine allows it."""
        if not self._engine.services.faults_allowed:
            raise BadInput("faults on purpose are off; start the engine with --faults-allowed to try them")
        self._account(account_id).tell(FaultOnPurpose(body.reason))

    def dead_letters(self, name: str) -> list[dict[str, Any]]:
        """Stored dead letters of one actor, newest first."""
        self._actor(name)
        found: list[Any] = self._engine.ask_store(lambda store: store.at_desk(lambda d: d.dead_letters(name)))
        return [msgspec.structs.asdict(letter) for letter in found]

    # -- inside

    def _account(self, account_id: str) -> Ref:
        ref = self._engine.accounts.get(AccountId(account_id))
        if ref is None:
            raise NotFound(f"there is no account {account_id!r}; 'bulkhead accounts' lists them")
        return ref

    def _actor(self, name: str) -> Ref:
        ref = self._engine.find(name)
        if ref is None:
            known = ", ".join(self._engine.actors)
            raise NotFound(f"there is no actor {name!r}; give an account id or one of {known}")
        return ref

    def _inspect(self, name: str) -> Any:
        ref = self._engine.actors.get(name)
        return ref.cell.actor.inspect_state() if ref else None

    @staticmethod
    def _state(ref: Ref) -> AccountState | None:
        state = ref.cell.actor.inspect_state()
        return state if isinstance(state, AccountState) else None

    def _view(self, ref: Ref, market: Market) -> views.AccountView:
        return views.account_view(ref.cell.actor.inspect_state(), ref.cell.snapshot(limit=0), market)

    def _ratios(self, states: Sequence[AccountState]) -> dict[str, int]:
        market = self.market()
        counts: Counter[str] = Counter()
        for state in states:
            if state.positions:
                marks = adl.marks_of(state, market)
                ratio = margin.view(state, marks).ratio if marks else None
                counts[_bucket(ratio)] += 1
        return dict(counts)

    @staticmethod
    def _ask(ref: Ref, message: Any) -> Accepted | Rejected:
        try:
            answer: Accepted | Rejected = ref.ask(message, block=True, timeout=ASK_SECONDS)
        except pykka.Timeout:
            raise BulkheadError(
                f"{ref.name} did not answer in {ASK_SECONDS:.0f} s; 'bulkhead inspect {ref.name}' shows why"
            ) from None
        return answer


def _bucket(ratio: Decimal | None) -> str:
    if ratio is None:
        return "no price"
    return next((b for b in RATIO_BUCKETS if ratio < Decimal(b)), ">= 1")


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


def order_of(body: views.OrderBody) -> PlaceOrder:
    """A request's order as the account's command."""
    return PlaceOrder(
        symbol=Symbol(body.symbol),
        side=body.side,
        quantity=decimal_of(body.quantity, "quantity"),
        order_type=body.order_type,
        price=None if body.price is None else decimal_of(body.price, "price"),
        time_in_force=body.time_in_force,
        reduce_only=body.reduce_only,
        leverage=None if body.leverage is None else decimal_of(body.leverage, "leverage"),
        cause="api",
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
