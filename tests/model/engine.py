"""The engine's side of a comparison: the account as ``actors.subaccount`` decides it, and how it is asked."""

from __future__ import annotations

from decimal import Decimal as D

from actors.core import messages
from actors.core.enums import (
    AccountStatus,
    ConditionalKind,
    LiquidationMode,
    OrderStatus,
    OrderType,
    ReconsiderReason,
    Side,
)
from actors.core.facts import CancelIntended, ConditionalPlaced, OrderIntended
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    CancelOrder,
    CloseOut,
    Fill,
    OrderAccepted,
    OrderClosed,
    PlaceConditional,
    PlaceOrder,
    Reconsider,
    SetMode,
    SetStatus,
    Tick,
    Wake,
)
from actors.core.order_ids import FIXED
from actors.core.trades import Trade
from actors.core.units import AccountId, Nanos, Symbol
from actors.limits.layers import differing, merge
from actors.limits.model import LIMITS, RiskLimits
from actors.subaccount.decide import decide
from actors.subaccount.market import Market
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.state import AccountState
from tests.model.account import Ask
from tests.model.terms import Quote, Terms

ACCOUNT = AccountId("acct-1")


def limits_of(terms: Terms) -> RiskLimits:
    """The engine's limits for some terms; what this engine has no name for is left out."""
    values = {
        "max_leverage": str(terms.max_leverage),
        "max_notional_per_trade": f"{terms.max_notional:f}",
        "max_total_exposure": f"{terms.max_exposure:f}",
        "margin_usage_limit": str(terms.usage),
        "maintenance_basis": terms.basis,
        "mark_source": terms.mark_source,
        "adl_tiers": ", ".join(f"{ratio}:{fraction}" for ratio, fraction in terms.tiers),
        "max_price_deviation": "off",
        "taker_fee_rate": str(terms.taker_fee),
        "adl_order": "losers" if terms.losers_first else "largest",
        "adl_cooldown_seconds": str(terms.cooldown_s) if terms.cooldown_s else "off",
        "adl_all_below": "off" if terms.all_below is None else f"{terms.all_below:f}",
    }
    return merge(RiskLimits(), {name: value for name, value in values.items() if name in LIMITS})


class Engine:
    """One account of the engine, and the messages that it is told. ``ids`` are its order ids by the model's numbers."""

    def __init__(self, terms: Terms, balance: D):
        limits = limits_of(terms)
        self.rules = {Symbol(s): rule for s, rule in terms.rules.items()}
        self.state = AccountState(
            account_id=ACCOUNT, balance=balance, deposits=balance, limits=limits, base_limits=limits,
            below=differing(limits),
            maintenance_rate=terms.rate, mode=LiquidationMode(terms.mode),
        )  # fmt: skip
        self.ids: dict[int, str] = {}
        self.past_replacing: frozenset[str] = frozenset()
        self.decision = None

    def told(self, message, quotes: dict[str, Quote], unknown: set[str], now_ns: int, wall_ms: int):
        """Let it decide, with the rules of some symbols ``unknown``."""
        ticks = {Symbol(s): tick_of(s, quote) for s, quote in quotes.items()}
        rules = {s: rule for s, rule in self.rules.items() if s not in unknown}
        market = Market(ticks, rules, Nanos(now_ns), wall_ms, FIXED, past_replacing=self.past_replacing)
        self.decision = decide(self.state, message, market)
        self.state = self.decision.state
        self.past_replacing |= {*self.decision.replace}
        return self.decision

    def of(self, kind):
        """The facts of one kind that followed from the last message."""
        return [f for f in self.decision.facts if isinstance(f, kind)]

    def codes(self) -> frozenset[str] | None:
        """Why the last command was refused, or None."""
        reply = self.decision.reply
        if isinstance(reply, Rejected):
            return frozenset(r.code.value for r in reply.rejections)
        assert reply is None or isinstance(reply, Accepted)
        return None

    def intended(self) -> list[OrderIntended]:
        """Orders that followed."""
        return self.of(OrderIntended)

    def stops(self) -> list[ConditionalPlaced]:
        """Orders that wait for a price from now on."""
        return self.of(ConditionalPlaced)

    def cancelled(self) -> list[str]:
        """Orders that it asked to cancel, by id."""
        return [f.client_order_id for f in self.of(CancelIntended)]

    def position(self, symbol: str):
        """What it holds."""
        return self.state.position(Symbol(symbol))


def tick_of(symbol: str, quote: Quote) -> Tick:
    """A quote as the engine is told of it."""
    much = D(10) ** 6
    mid = float(quote.mid)
    return Tick(Symbol(symbol), quote.bid, much, quote.ask, much, quote.at_ns, 1, Nanos(quote.at_ns), mid)


def order_of(ask: Ask) -> PlaceOrder:
    """What the owner asks for."""
    return PlaceOrder(
        symbol=Symbol(ask.symbol), side=Side(ask.side), quantity=ask.quantity, price=ask.price,
        order_type=OrderType.MARKET if ask.price is None else OrderType.LIMIT,
        reduce_only=ask.reduce_only, leverage=ask.leverage,
    )  # fmt: skip


def stop_of(ask: Ask, trigger: D, *, below: bool) -> PlaceConditional:
    """A stop or a take-profit, as the side says."""
    stop = below == (ask.side == "SELL")
    return PlaceConditional(
        kind=ConditionalKind.STOP_MARKET if stop else ConditionalKind.TAKE_PROFIT_MARKET,
        symbol=Symbol(ask.symbol), side=Side(ask.side), quantity=ask.quantity, trigger_price=trigger, reduce_only=True,
    )  # fmt: skip


def fill_of(id_: str, order, quantity: D, price: D, fee: D, trade_id: int, trade_ms: int) -> Fill:
    """One trade of an order."""
    trade = Trade(
        exchange_order_id=1000 + order.number, trade_id=trade_id, symbol=Symbol(order.symbol), side=Side(order.side),
        quantity=quantity, price=price, fee=fee, maker=False, trade_ms=trade_ms,
    )  # fmt: skip
    return Fill(ACCOUNT, id_, trade)


def accepted(id_: str, number: int) -> OrderAccepted:
    """The exchange has it."""
    return OrderAccepted(id_, 1000 + number)


def closed(id_: str, status: str, executed: D) -> OrderClosed:
    """Nothing more comes of it."""
    refused = status == "REJECTED"
    return OrderClosed(
        id_, OrderStatus(status), executed, -2019 if refused else 0, "no margin" if refused else ""
    )


def given_back(id_: str) -> OrderClosed:
    """It waited for its turn, and was not sent."""
    return OrderClosed(id_, OrderStatus.NEVER_SENT, D(0), waited=True, again=True)


def wake(symbol: str) -> Wake:
    """The router says that a price moved."""
    return Wake(Symbol(symbol), "price")


def reconsider(cause: str) -> Reconsider:
    """A timer, or an operator."""
    return Reconsider(ReconsiderReason(cause))


def cash(amount: D) -> AdjustBalance:
    """Deposit or withdrawal."""
    return AdjustBalance(amount, "test")


def funding(symbol: str, rate: D, mark: D, ms: int) -> ApplyFunding:
    """A settlement."""
    return ApplyFunding(Symbol(symbol), rate, mark, ms)


def mode(value: str) -> SetMode:
    """Another liquidation mode."""
    return SetMode(LiquidationMode(value))


def status(value: str) -> SetStatus:
    """Freeze, unfreeze."""
    return SetStatus(AccountStatus(value))


def cancel(id_: str) -> CancelOrder:
    """The owner takes an order back."""
    return CancelOrder(id_)


def close_out() -> CloseOut:
    """Emergency stop."""
    return CloseOut("test")


def reopen():
    """The operator's message that gives a liquidated account back; None in an engine without it."""
    kind = getattr(messages, "Reopen", None)
    return None if kind is None else kind("test")
