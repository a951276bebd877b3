"""Small builders that tests share: instruments, ticks, accounts in a given condition."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.core.enums import Side
from actors.core.messages import Fill, Tick
from actors.core.order_ids import FIXED
from actors.core.trades import Trade
from actors.core.units import AccountId, Nanos, Symbol
from actors.limits.layers import differing
from actors.limits.model import RiskLimits
from actors.subaccount import triggers as trigger_prices
from actors.subaccount.decide import decide
from actors.subaccount.market import Market
from actors.subaccount.open_order_exposure import order_exposures
from actors.subaccount.position import Position
from actors.subaccount.pretrade import checks
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState
from actors.venues.paper.instruments import LISTINGS

BTC, ETH, SOL, BNB = Symbol("BTCUSDT"), Symbol("ETHUSDT"), Symbol("SOLUSDT"), Symbol("BNBUSDT")
INSTRUMENTS = {s: listing.instrument for s, listing in LISTINGS.items()}
WIDE = RiskLimits(max_notional_per_trade=D(10**9), max_total_exposure=D(10**9))


def tick(symbol=ETH, mid="2000", spread="0", received_ns=0, update_id=1, event_ms=1, delay_ns=0):
    half = D(spread) / 2
    bid, ask = D(mid) - half, D(mid) + half
    return Tick(
        symbol,
        bid,
        D(10),
        ask,
        D(10),
        update_id,
        event_ms,
        Nanos(received_ns),
        (float(bid) + float(ask)) * 0.5,
        Nanos(delay_ns),
    )


WALL_MS = 1_700_000_000_000


def market(marks=None, now_ns=0, received_ns=0, *, reduce_only=False, spread="0", wall_ms=None, **more):
    """Prices at one moment; ``more`` are further fields of ``Market``."""
    marks = {ETH: "2000"} if marks is None else marks
    ticks = {s: tick(s, m, spread=spread, received_ns=received_ns) for s, m in marks.items()}
    wall_ms = WALL_MS + now_ns // 1_000_000 if wall_ms is None else wall_ms
    return Market(
        ticks,
        more.pop("instruments", INSTRUMENTS),
        Nanos(now_ns),
        wall_ms,
        more.pop("origin", FIXED),
        reduce_only,
        **more,
    )


def position(symbol=ETH, quantity="1", entry="2000", leverage="10", number=1):
    quantity, entry = D(quantity), D(entry)
    return Position(
        position_id=f"p{number}-{symbol}",
        symbol=symbol,
        quantity=quantity,
        cost=abs(quantity) * entry,
        margin=abs(quantity) * entry / D(leverage),
        realized=D(0),
        opened_ms=1,
    )


def account(balance="1000", positions=(), limits=WIDE, **changes):
    state = AccountState(
        account_id=AccountId("acct-1"),
        balance=D(balance),
        deposits=D(balance),
        limits=limits,
        base_limits=limits,
        below=differing(limits),
    )
    return replace(state, positions=tuple(positions), **changes)


def fill_of(order, quantity=None, price="2000", trade_id=1, fee="0", account_id="acct-1", **more):
    """A trade of an order; a ``fee`` of None was not told, ``more`` are further fields of ``Trade``."""
    cause = more.pop("cause", "")
    trade = Trade(
        exchange_order_id=100 + order.sequence,
        trade_id=trade_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity if quantity is None else D(quantity),
        price=D(price),
        fee=None if fee is None else D(fee),
        maker=False,
        trade_ms=more.pop("trade_ms", 5),
        **more,
    )
    return Fill(AccountId(account_id), order.client_order_id, trade, cause)


def held_margin(state):
    """What the account's own orders hold, at any marks."""
    return sum((c.margin for c in order_exposures(state)), D(0))


def check(state, order, at):
    """What the pre-trade checks say of an order."""
    return checks.check(Situation(state, at), order)


def triggers(state, at):
    """What an account registers with the router."""
    return trigger_prices.triggers(Situation(state, at))


def run(state, message, at=None):
    """Decide and return the state after."""
    return decide(state, message, at or market()).state


BUY, SELL = Side.BUY, Side.SELL
