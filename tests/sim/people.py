"""What traders and operators do in a simulated day, and what their accounts may do."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.core.enums import ConditionalKind, LiquidationMode
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
from actors.limits.model import AdlOrder, BreakerReset, MaintenanceBasis, MarkSource
from actors.subaccount.state import AccountState
from actors.supervision.messages import Quarantine, Release, RestartNow
from actors.venues.paper.instruments import LISTINGS
from tests.factories import BTC, BUY, ETH, SELL, SOL, WIDE

SYMBOLS = [BTC, ETH, SOL]

LIMITS = (
    WIDE,
    replace(WIDE, max_daily_loss=D(30), max_consecutive_errors=3),
    replace(
        WIDE, breaker_loss_percent=D("0.02"), breaker_profit_percent=D("0.05"), breaker_cooldown_seconds=4,
        breaker_reset=BreakerReset.TIMED, mark_source=MarkSource.EXIT,
    ),
    replace(WIDE, max_cumulative_loss=D(60), excessive_loss_percent=D("0.01"), position_timeout_seconds=5),
    replace(WIDE, maintenance_basis=MaintenanceBasis.MARK, max_daily_loss_percent=D("0.03"), max_orders_per_minute=6),
    replace(WIDE, mark_source=MarkSource.EXIT, max_consecutive_losses=2, breaker_cooldown_seconds=3),
    replace(WIDE, adl_order=AdlOrder.LOSERS, adl_cooldown_seconds=3),
    replace(WIDE, adl_all_below=D(6_000), maintenance_basis=MaintenanceBasis.MARK, adl_cooldown_seconds=2),
)  # fmt: skip
"""Every kind of limit that acts by itself, and every way to value a position."""


def starting(number, account_id):
    """An account of 1,000 with the limits of its number."""
    limits = LIMITS[number % len(LIMITS)]
    return AccountState(
        account_id=account_id, balance=D(1000), deposits=D(1000), limits=limits, base_limits=limits,
        maintenance_rate=D("0.02"),
    )  # fmt: skip


def somebody(world):
    return world.random.choice(list(world.accounts.values()))


def trade(world):
    """Somebody places an order, at once or for later."""
    symbol = world.random.choice(SYMBOLS)
    listing = LISTINGS[symbol]
    notional = D(world.random.randint(200, 20_000))
    quantity = listing.instrument.floor_qty(notional / listing.start_price)
    side = world.random.choice([BUY, SELL])
    tick = world.book.ticks.get(symbol)
    if world.random.random() < 0.6 or tick is None:
        somebody(world).tell(
            PlaceOrder(symbol=symbol, side=side, quantity=quantity, leverage=D(50), cause="sim")
        )
        return
    kind = world.random.choice(list(ConditionalKind))
    rises = (kind is ConditionalKind.TAKE_PROFIT_MARKET) == (side is SELL)
    trails = kind is ConditionalKind.TRAILING_STOP_MARKET
    distance = D(world.random.randint(5, 120)) / 10_000
    price = listing.instrument.tick_size * int(
        tick.mid * (1 + distance if rises else 1 - distance) / listing.instrument.tick_size
    )
    active = price if trails and world.random.random() < 0.5 else None
    if active is not None:
        active = listing.instrument.tick_size * int(
            tick.mid * (1 - distance if side is BUY else 1 + distance) / listing.instrument.tick_size
        )
    somebody(world).tell(
        PlaceConditional(
            kind=kind, symbol=symbol, side=side, quantity=quantity, trigger_price=None if trails else price,
            callback_rate=D(world.random.randint(1, 10)) / 1000 if trails else None, activation_price=active,
            reduce_only=world.random.random() < 0.5, leverage=D(50), cause="sim", strategy="sim",
        )
    )  # fmt: skip


def close(world):
    """Somebody closes a position, all of it or all but a rest that is too small for the exchange."""
    holders = [r for r in world.accounts.values() if (s := r.cell.actor.state) is not None and s.positions]
    if not holders:
        return
    ref = world.random.choice(holders)
    held = world.random.choice(ref.cell.actor.state.positions)
    instrument = LISTINGS[held.symbol].instrument
    rest = instrument.floor_qty(instrument.min_notional * D("0.9") / held.entry_price)
    quantity = abs(held.quantity)
    if world.random.random() < 0.5 and quantity > 3 * rest:
        quantity -= rest
    side = SELL if held.is_long else BUY
    ref.tell(PlaceOrder(symbol=held.symbol, side=side, quantity=quantity, reduce_only=True, cause="sim"))


def settle_funding(world):
    """The exchange settles funding of one symbol with everybody."""
    symbol = world.random.choice(SYMBOLS)
    rate = D(world.random.randint(-30, 30)) / 10_000
    mark = world.book.ticks[symbol].mid if symbol in world.book.ticks else None
    if mark is not None:
        message = ApplyFunding(symbol, rate, mark, world.clock.wall_ms())
        for ref in list(world.accounts.values()):
            ref.tell(message)


def set_something(world):
    """Somebody changes a limit, a mode, a balance or a breaker of an account."""
    somebody(world).tell(
        world.random.choice(
            [
                TripBreaker("sim"), ResetBreaker(), CloseOut("sim"), CallOff(), SetMode(LiquidationMode.INSTANT_CLOSE),
                SetMode(LiquidationMode.TAKEOVER), SetMode(LiquidationMode.ADL_30), SetLimits((("max_daily_loss", "50"),)),
                SetLimits((("max_daily_loss", None), ("mark_source", "exit"))), SetLimits((("adl_tiers", "0.5:0.2, 0.9:1"),)),
                SetLimits((("adl_tiers", None),)), Reopen("sim"), SetLimits((("adl_order", "losers"),)), AdjustBalance(D(100), "sim"), AdjustBalance(D(-50), "sim"),
            ]
        )
    )  # fmt: skip


def operate(world):
    """Somebody quarantines an account, releases one, or restarts one."""
    name = world.random.choice(list(world.accounts))
    held = name in world.registry.quarantined
    message = (
        Release(name) if held else world.random.choice([Quarantine(name), RestartNow(name, by_operator=True)])
    )
    world.actors["supervisor"].tell(message)
