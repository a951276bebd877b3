"""What traders and operators do in a simulated day, and what their accounts may do."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.core.enums import ConditionalKind, LiquidationMode, Side
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    CallOff,
    CloseOut,
    PlaceConditional,
    PlaceOrder,
    Reopen,
    ResetBreaker,
    SetLimits,
    SetMode,
    TripBreaker,
)
from actors.core.units import AccountId, Symbol
from actors.limits.layers import differing
from actors.limits.model import AdlOrder, BreakerReset, MaintenanceBasis, MarkSource, RiskLimits
from actors.runtime.actor import Ref
from actors.subaccount.state import AccountState
from actors.supervision.messages import Quarantine, Release, RestartNow
from actors.venues.paper.instruments import LISTINGS

if TYPE_CHECKING:
    from actors.assembly.simulation.world import World

D = Decimal
BTC, ETH, SOL, BNB = Symbol("BTCUSDT"), Symbol("ETHUSDT"), Symbol("SOLUSDT"), Symbol("BNBUSDT")
SYMBOLS = [BTC, ETH, SOL]
"""What is traded."""

WIDE = RiskLimits(max_notional_per_trade=D(10**9), max_total_exposure=D(10**9))

LIMITS = (
    WIDE,
    replace(WIDE, max_daily_loss=D(30), max_consecutive_errors=3),
    replace(
        WIDE,
        breaker_loss_percent=D("0.02"),
        breaker_profit_percent=D("0.05"),
        breaker_cooldown_seconds=4,
        breaker_reset=BreakerReset.TIMED,
        mark_source=MarkSource.EXIT,
    ),
    replace(WIDE, max_cumulative_loss=D(60), excessive_loss_percent=D("0.01"), position_timeout_seconds=5),
    replace(
        WIDE,
        maintenance_basis=MaintenanceBasis.MARK,
        max_daily_loss_percent=D("0.03"),
        max_orders_per_minute=6,
    ),
    replace(WIDE, mark_source=MarkSource.EXIT, max_consecutive_losses=2, breaker_cooldown_seconds=3),
    replace(WIDE, adl_order=AdlOrder.LOSERS, adl_cooldown_seconds=3),
    replace(WIDE, adl_all_below=D(6_000), maintenance_basis=MaintenanceBasis.MARK, adl_cooldown_seconds=2),
)
"""Every kind of limit that acts by itself, and every way to value a position."""

DEPOSIT = D(1000)
LEVERAGE = D(50)
AT_ONCE = 0.6
"""How often an order is one for now; the others are conditional."""


def starting(number: int, account_id: AccountId) -> AccountState:
    """An account of 1,000 with the limits of its number."""
    limits = LIMITS[number % len(LIMITS)]
    return AccountState(
        account_id=account_id,
        balance=DEPOSIT,
        deposits=DEPOSIT,
        limits=limits,
        base_limits=limits,
        below=differing(limits),
        maintenance_rate=D("0.02"),
    )


def one_of(world: World) -> Ref:
    """One of the accounts."""
    return world.random.choice(list(world.accounts.values()))


def trade(world: World) -> None:
    """An account places an order, at once or for later."""
    symbol = world.random.choice(SYMBOLS)
    listing = LISTINGS[symbol]
    notional = D(world.random.randint(200, 20_000))
    quantity = listing.instrument.floor_qty(notional / listing.start_price)
    side = world.random.choice([Side.BUY, Side.SELL])
    tick = world.book.ticks.get(symbol)
    if world.random.random() < AT_ONCE or tick is None:
        one_of(world).tell(
            PlaceOrder(symbol=symbol, side=side, quantity=quantity, leverage=LEVERAGE, cause="sim")
        )
        return
    _place_later(world, symbol, side, quantity, tick.mid)


def crowd(world: World) -> None:
    """Several accounts, some of them twice, want to trade one symbol on one side at the same time."""
    symbol, side = world.random.choice(SYMBOLS), world.random.choice([Side.BUY, Side.SELL])
    listing = LISTINGS[symbol]
    closes = world.random.random() < 0.3  # noqa: PLR2004 - nearly a third
    for _ in range(world.random.randint(2, 12)):
        notional = D(world.random.randint(100, 4_000))
        quantity = listing.instrument.floor_qty(notional / listing.start_price)
        one_of(world).tell(
            PlaceOrder(
                symbol=symbol,
                side=side,
                quantity=quantity,
                leverage=LEVERAGE,
                cause="crowd",
                reduce_only=closes,
            )
        )


def _place_later(world: World, symbol: Symbol, side: Side, quantity: Decimal, mid: Decimal) -> None:
    step = LISTINGS[symbol].instrument.tick_size
    kind = world.random.choice(list(ConditionalKind))
    rises = (kind is ConditionalKind.TAKE_PROFIT_MARKET) == (side is Side.SELL)
    trails = kind is ConditionalKind.TRAILING_STOP_MARKET
    distance = D(world.random.randint(5, 120)) / 10_000
    price = step * int(mid * (1 + distance if rises else 1 - distance) / step)
    activates = trails and world.random.random() < 0.5  # noqa: PLR2004 - a coin
    active = step * int(mid * (1 - distance if side is Side.BUY else 1 + distance) / step)
    one_of(world).tell(
        PlaceConditional(
            kind=kind,
            symbol=symbol,
            side=side,
            quantity=quantity,
            trigger_price=None if trails else price,
            callback_rate=D(world.random.randint(1, 10)) / 1000 if trails else None,
            activation_price=active if activates else None,
            reduce_only=world.random.random() < 0.5,  # noqa: PLR2004 - a coin
            leverage=LEVERAGE,
            cause="sim",
            strategy="sim",
        )
    )


def close(world: World) -> None:
    """An account closes a position, all of it or all but a rest that is too small for the exchange."""
    found = [(r, r.cell.actor.inspect_state()) for r in world.accounts.values()]
    holders = [(r, s) for r, s in found if isinstance(s, AccountState) and s.positions]
    if not holders:
        return
    ref, state = world.random.choice(holders)
    held = world.random.choice(state.positions)
    instrument = LISTINGS[held.symbol].instrument
    rest = instrument.floor_qty(instrument.min_notional * D("0.9") / held.entry_price)
    quantity = abs(held.quantity)
    if world.random.random() < 0.5 and quantity > 3 * rest:  # noqa: PLR2004 - a coin
        quantity -= rest
    side = Side.SELL if held.is_long else Side.BUY
    ref.tell(PlaceOrder(symbol=held.symbol, side=side, quantity=quantity, reduce_only=True, cause="sim"))


def settle_funding(world: World) -> None:
    """The exchange settles funding of one symbol with all accounts."""
    symbol = world.random.choice(SYMBOLS)
    rate = D(world.random.randint(-30, 30)) / 10_000
    mark = world.book.ticks[symbol].mid if symbol in world.book.ticks else None
    if mark is not None:
        message = ApplyFunding(symbol, rate, mark, world.clock.wall_ms())
        for ref in list(world.accounts.values()):
            ref.tell(message)


SETTINGS = (
    TripBreaker("sim"),
    ResetBreaker(),
    CloseOut("sim"),
    CallOff(),
    SetMode(LiquidationMode.INSTANT_CLOSE),
    SetMode(LiquidationMode.TAKEOVER),
    SetMode(LiquidationMode.ADL_30),
    SetLimits((("max_daily_loss", "50"),)),
    SetLimits((("max_daily_loss", None), ("mark_source", "exit"))),
    SetLimits((("adl_tiers", "0.5:0.2, 0.9:1"),)),
    SetLimits((("adl_tiers", None),)),
    Reopen("sim"),
    SetLimits((("adl_order", "losers"),)),
    AdjustBalance(D(100), "sim"),
    AdjustBalance(D(-50), "sim"),
)


def set_something(world: World) -> None:
    """A limit, a mode, a balance or a breaker of an account changes."""
    one_of(world).tell(world.random.choice(SETTINGS))


def operate(world: World) -> None:
    """An operator quarantines an account, releases one, or restarts one."""
    name = world.random.choice(list(world.accounts))
    held = name in world.registry.quarantined
    message = (
        Release(name) if held else world.random.choice([Quarantine(name), RestartNow(name, by_operator=True)])
    )
    world.actors["supervisor"].tell(message)
