"""Some accounts' lives and a clearing's, which between them have every kind of fact: what a release's golden journal is written of.

They are for writing the journal of a new release. What is written stays as it is, so a change here changes no golden journal.
"""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
from msgspec.structs import replace

from actors.clearing.state_codec import state_hash as clearing_hash
from actors.core.clearing_facts import BlocksForgotten
from actors.core.enums import (
    AccountStatus,
    ConditionalKind,
    LiquidationMode,
    OrderStatus,
    OrderType,
    ReconsiderReason,
)
from actors.core.facts import (
    AccountAdopted,
    AccountCarried,
    AccountOpened,
    AdoptedPosition,
    AdoptionUndone,
    BalanceAdjusted,
)
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    CallOff,
    CancelOrder,
    CloseOut,
    FeeKnown,
    OrderAccepted,
    OrderClosed,
    PlaceConditional,
    PlaceOrder,
    PlatformKnown,
    RateKnown,
    Reconsider,
    Reopen,
    ResetBreaker,
    SetLimits,
    Wake,
)
from actors.core.trading_day import TradingDay
from actors.core.units import AccountId
from actors.limits.layers import differing
from actors.subaccount import state_codec
from actors.subaccount.decide import decide
from actors.subaccount.fold import folded
from actors.subaccount.pipeline import Rejected
from actors.subaccount.state import AccountState
from actors.subaccount.state_codec import state_hash
from actors.symbol_router.book import PriceBook
from tests.factories import BNB, BTC, BUY, ETH, SELL, WALL_MS, WIDE, fill_of, market, tick
from tests.persistence.blocks import Blocks

SECOND = 1_000_000_000


class Scene:
    """One account; ``rows`` has sequence, facts and the hash of the account after it for all that it decided."""

    def __init__(self, stream):
        self.book, self.now_ns, self.trade_id, self.day_ms = PriceBook(), SECOND, 0, WALL_MS - 3_600_000
        self.state = AccountState(account_id=AccountId(stream), base_limits=WIDE, limits=WIDE)
        self.rows = []

    @property
    def stream(self):
        return self.state.account_id

    def begin(self, sequence, *facts):
        self.state = replace(folded(self.state, facts), sequence=sequence)
        self.rows.append((sequence, facts, state_hash(self.state)))
        return self

    def opened(self, deposit, mode=LiquidationMode.ADL_30, rate="0.005"):
        return self.begin(
            0, AccountOpened(mode, D(rate), differing(WIDE)), BalanceAdjusted(D(deposit), "DEPOSIT")
        )

    @property
    def wall_ms(self):
        return WALL_MS + self.now_ns // 1_000_000

    def take(self, message):
        self.now_ns += SECOND // 4
        day = TradingDay(self.day_ms, self.day_ms + 86_400_000)
        ticks = {s: replace(t, received_ns=self.now_ns) for s, t in self.book.ticks.items()}
        seen = market({}, now_ns=self.now_ns, day=day, price_history=self.book)
        decision = decide(self.state, message, replace(seen, ticks=ticks))
        assert not isinstance(decision.reply, Rejected), decision.reply
        if decision.facts:
            self.rows.append((decision.state.sequence, decision.facts, state_hash(decision.state)))
        self.state = decision.state
        return decision

    def price(self, symbol, mid):
        self.book.apply(tick(symbol, mid, spread="0.02", update_id=self.now_ns, received_ns=self.now_ns))
        return self.take(Wake(symbol, f"tick:{symbol}"))

    def order(self, side, quantity, symbol=ETH, **more):
        self.take(
            PlaceOrder(symbol=symbol, side=side, quantity=D(quantity), leverage=D(20), cause="api", **more)
        )
        return self.state.orders[-1]

    def filled(self, order, price, quantity=None, fee="0.05", **more):
        self.trade_id += 1
        quantity = order.remaining if quantity is None else quantity
        fill = fill_of(
            order, quantity, price, self.trade_id, fee, self.state.account_id, trade_ms=self.wall_ms, **more
        )
        self.book.checkpoint(order.symbol)
        return self.take(fill)

    def ended(self, order, status=OrderStatus.FILLED, code=0, reason="", **more):
        left = self.state.order(order.client_order_id)
        if left is not None:
            return self.take(OrderClosed(order.client_order_id, status, left.filled, code, reason, **more))
        return None

    def traded(self, side, quantity, price, symbol=ETH, **more):
        order = self.order(side, quantity, symbol)
        self.take(OrderAccepted(order.client_order_id, 100 + order.sequence, "stream"))
        self.filled(order, price, **more)
        self.ended(order)

    def stop(self, kind, side, quantity, trigger=None, **more):
        self.take(
            PlaceConditional(
                kind=kind, symbol=ETH, side=side, quantity=D(quantity), leverage=D(20),
                trigger_price=None if trigger is None else D(trigger), cause="api", **more,
            )
        )  # fmt: skip
        return self.state.conditionals[-1]


def trader():
    """Opens, adds, closes in parts, flips, is funded, pays fees in BNB, cancels."""
    scene = Scene("golden-trader").opened("10000.50")
    scene.price(ETH, "2000")
    scene.price(BTC, "60000.1")
    scene.traded(BUY, "1.003", "2000.17")
    scene.price(ETH, "1990.31")
    scene.traded(BUY, "2.001", "1990.33")
    scene.price(ETH, "2010.77")
    scene.traded(SELL, "1.001", "2010.71")
    scene.traded(SELL, "0.102", "2011.13", fee="-0.003")
    scene.take(ApplyFunding(ETH, D("0.000123"), D("2003.37"), WALL_MS + 60_000, "funding"))
    scene.traded(SELL, "2.5", "2009.99", fee="0.7")
    resting = scene.order(SELL, "0.1", BTC, order_type=OrderType.LIMIT, price=D(60500))
    scene.take(OrderAccepted(resting.client_order_id, 900, "stream"))
    scene.take(CancelOrder(resting.client_order_id, "api"))
    scene.ended(resting, OrderStatus.CANCELED)
    # The fee is taken in BNB: not said yet, then said without a rate, then with one.
    order = scene.order(BUY, "1")
    scene.filled(order, "2009.5", quantity=D("0.6"), fee=None)
    scene.filled(order, "2009.7", quantity=D("0.4"), fee="0.0011", fee_asset="BNB")
    scene.ended(order)
    scene.take(FeeKnown(ETH, scene.trade_id - 1, D("0.0017"), "BNB", "asked"))
    scene.take(RateKnown(BNB, WALL_MS, WALL_MS + 60_000, D("612.35"), "asked"))
    scene.price(BNB, "613")
    scene.traded(SELL, "0.1", "2010", fee="0.0002", fee_asset="BNB")
    scene.take(AdjustBalance(D("-100.25"), "WITHDRAWAL"))
    return scene


def stopper():
    """Stops, take-profits and trailing stops: placed, moved, due, fired, refused, called off."""
    scene = Scene("golden-stopper").opened("5000")
    scene.price(ETH, "2000")
    scene.traded(BUY, "1", "2000")
    trail = ConditionalKind.TRAILING_STOP_MARKET
    trailing = scene.stop(
        trail, SELL, "0.5", callback_rate=D("0.02"), activation_price=D(2020), reduce_only=True
    )
    scene.price(ETH, "2021.5")
    scene.price(ETH, "2060.5")
    scene.price(ETH, "2010")
    [order] = scene.state.orders
    assert order.intent.conditional_id == trailing.client_order_id
    scene.filled(order, "2009.9")
    scene.ended(order)
    # A take-profit rests at the exchange, and makes way for the stop.
    resting = scene.order(SELL, "0.5", order_type=OrderType.LIMIT, price=D(2100), reduce_only=True)
    stop = scene.stop(ConditionalKind.STOP_MARKET, SELL, "0.5", "1950", reduce_only=True)
    scene.price(ETH, "1949")
    scene.ended(resting, OrderStatus.CANCELED)
    order = scene.state.orders[-1]
    assert order.intent.conditional_id == stop.client_order_id
    # The exchange refuses it; it is sent again after a wait.
    scene.ended(order, OrderStatus.REJECTED, -1003, "too many requests")
    scene.now_ns += SECOND
    scene.take(Reconsider(ReconsiderReason.DEADLINE))
    scene.filled(scene.state.orders[-1], "1948")
    scene.ended(scene.state.orders[-1])
    opening = scene.stop(ConditionalKind.STOP_MARKET, BUY, "0.2", "2200")
    scene.take(CancelOrder(opening.client_order_id, "api"))
    return scene


def limited():
    """Limits of its own, a day that begins, stops and ends, a breaker, what the platform changes."""
    scene = Scene("golden-limited").opened("1000")
    scene.price(ETH, "2000")
    own = {"max_daily_loss": "20", "max_consecutive_losses": "2", "breaker_cooldown_seconds": "60", "excessive_loss_percent": "0.01"}  # fmt: skip
    scene.take(SetLimits(tuple(own.items())))
    scene.traded(BUY, "0.5", "2000")
    scene.price(ETH, "1970")
    scene.price(ETH, "1950")
    scene.traded(SELL, "0.5", "1950")
    scene.day_ms += 86_400_000
    scene.price(ETH, "1951")
    scene.traded(BUY, "0.5", "1951")
    scene.traded(SELL, "0.5", "1950")
    scene.now_ns += 120 * SECOND
    scene.take(ResetBreaker())
    order = scene.order(BUY, "0.5")
    scene.ended(order, OrderStatus.REJECTED, -2019, "Margin is insufficient.")
    scene.take(SetLimits((("max_daily_loss", None), ("max_positions", "off"))))
    scene.state = replace(scene.state, base_limits=replace(WIDE, max_leverage=D("12.5"), max_positions=3))
    scene.take(PlatformKnown(AccountStatus.FROZEN, LiquidationMode.INSTANT_CLOSE, D("0.0065")))
    return scene


def liquidated():
    """Deleveraged in steps, refused, liquidated with a loss beyond its balance, reopened."""
    scene = Scene("golden-liquidated").opened("400", rate="0.02")
    scene.price(ETH, "2000")
    scene.traded(BUY, "3", "2000")
    scene.price(ETH, "1910")
    [order] = scene.state.orders
    scene.ended(order, OrderStatus.EXPIRED, -2010, "no liquidity")
    scene.now_ns += SECOND
    scene.take(Reconsider(ReconsiderReason.BACKOFF))
    [order] = scene.state.orders
    scene.filled(order, "1909.3")
    scene.ended(order)
    scene.price(ETH, "1700")
    for order in scene.state.orders:
        scene.filled(order, "1699.1")
        scene.ended(order)
    scene.take(AdjustBalance(D(50), "DEPOSIT"))
    scene.take(Reopen("golden"))
    return scene


def taken_over():
    """The house takes its positions; what follows a close-out."""
    scene = Scene("golden-taken-over").opened("500", LiquidationMode.TAKEOVER, "0.02")
    scene.price(ETH, "2000")
    scene.price(BTC, "60000")
    scene.traded(BUY, "2", "2000")
    scene.traded(SELL, "0.01", "60000", BTC)
    scene.take(CloseOut("golden"))
    scene.take(CallOff())
    for order in scene.state.orders:
        scene.filled(order, {ETH: "1999", BTC: "60011"}[order.symbol], quantity=order.quantity / 2)
        scene.ended(order, OrderStatus.EXPIRED, 0, "rest expired")
    scene.now_ns += 1_800 * SECOND
    scene.take(ResetBreaker())
    scene.price(ETH, "1520")
    return scene


def carried():
    """Older than its journal: begins with its state then."""
    before = Scene("golden-carried").opened("2000")
    before.price(ETH, "2000")
    before.traded(BUY, "1", "2000")
    before.order(SELL, "0.3", order_type=OrderType.LIMIT, price=D(2050))
    before.stop(ConditionalKind.STOP_MARKET, SELL, "0.5", "1900", reduce_only=True)
    state = before.state
    scene = Scene("golden-carried")
    scene.book, scene.now_ns, scene.trade_id = before.book, before.now_ns, before.trade_id
    scene.begin(state.sequence, AccountCarried(state_codec.VERSION, msgspec.Raw(state_codec.encode(state))))
    scene.filled(scene.state.orders[0], "2050")
    scene.ended(scene.state.orders[0])
    scene.price(ETH, "1899")
    scene.take(CloseOut("golden"))
    while scene.state.orders:
        order = scene.state.orders[0]
        scene.filled(order, "1898.5")
        scene.ended(order)
    return scene


def adopted():
    """The platform's, taken over, given back and taken over again; then the platform books a deposit, and a position closes."""
    held = AdoptedPosition(
        position_id="5f0c", symbol=ETH, quantity=D("0.15"), entry_price=D("2000.17"), cost=D("300.0255"),
        leverage=D(20), margin=D("15.001275"), opened_ms=WALL_MS - 7_200_000,
    )  # fmt: skip
    fact = AccountAdopted(
        status=AccountStatus.ACTIVE, mode=LiquidationMode.ADL_30, maintenance_rate=D("0.005"), balance=D("1000.1"),
        adopted_ms=WALL_MS - 60_000, positions=(held,), below=differing(WIDE),
    )  # fmt: skip
    scene = Scene("golden-adopted").begin(0, fact)
    scene.begin(1, AdoptionUndone(fact.balance, (ETH,)))
    scene.begin(2, fact)
    scene.price(ETH, "2001")
    scene.take(PlatformKnown(adjustment=D("50.5"), sequence=scene.state.sequence))
    scene.take(ApplyFunding(ETH, D("0.0001"), D(2000), WALL_MS - 120_000, "funding"))
    scene.take(ApplyFunding(ETH, D("0.0001"), D(2000), WALL_MS - 30_000, "funding"))
    scene.traded(SELL, "0.15", "2003.1")
    return scene


def member():
    """Its orders were in blocks: it books parts of rounds, at what they cost."""
    scene = Scene("golden-member").opened("10000")
    scene.price(ETH, "2000")
    order = scene.order(BUY, "0.9")
    scene.filled(order, "2000.333333333333", "0.6", quote_quantity=D("1200.2"))
    scene.filled(scene.state.orders[0], "2000.5", "0.3", fee=None, quote_quantity=D("600.15"))
    scene.ended(scene.state.orders[0])
    order = scene.order(SELL, "0.9")
    scene.filled(order, "2001.1", quote_quantity=D("1800.99"))
    scene.ended(order)
    return scene


class Cleared:
    """A symbol's clearing, as ``Scene`` is an account."""

    def __init__(self, author):
        self.stream, self.state = author.stream, author.state
        self.rows = [(d.state.sequence, d.facts, clearing_hash(d.state)) for d in author.batch]


def cleared():
    """Blocks in rounds with fees in several assets and one that is not told; refused, never sent, ended in part, forgotten."""
    author = Blocks()
    first = author.form([("golden-a", "a-1", "0.6"), ("golden-b", "b-1", "0.30")])
    author.round(first, [(7, "0.3", "2000.01"), (9, "0.15", "2000.01")], [("a-1", "0.30"), ("b-1", "0.15")])
    second = author.form([("golden-c", "c-1", "1.5")], side=SELL)
    author.round(
        first, [(12, "0.15", "2000.5")], [("a-1", "0.1"), ("b-1", "0.05")], fee="0.00021", fee_asset="BNB"
    )
    author.end(second, 0, OrderStatus.REJECTED, -2019, "Margin is insufficient.")
    author.round(first, [(13, "0.3", "2001")], [("a-1", "0.2"), ("b-1", "0.1")], fee=None)
    author.end(first, "0.9")
    author.note(BlocksForgotten((2,)), *blocks_of(author, ("golden-d", "d-1", "0.2")))
    third = author.state.blocks[-1].formed
    author.end(third, 0, OrderStatus.NEVER_SENT, 0, "the engine was stopped")
    author.forget(1)
    last = author.form([("golden-d", "d-2", "0.2"), ("golden-e", "e-1", "0.1")])
    author.round(last, [(20, "0.1", "1999.99")], [("d-2", "0.1")])
    author.end(last, "0.1", OrderStatus.EXPIRED, 0, "no more depth")
    author.form([("golden-e", "e-2", "0.7")])
    author.lost("bh-golden-lost", [(31, "0.2", "2000"), (32, "0.100", "2000.5")], quantity="0.5", side=SELL)
    author.lost("bh-golden-lost-too", [(33, "0.1", "1999")], fee=None)
    return Cleared(author)


def blocks_of(author, *orders):
    """The facts of a block that is formed in the same decision as others."""
    other = Blocks(author.symbol)
    other.state = author.state
    other.form(orders)
    return other.batch[0].facts


SCENES = (trader, stopper, limited, liquidated, taken_over, carried, adopted, member, cleared)
