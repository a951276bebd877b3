"""What is asked of Binance before the first order: rules, limits, clock, leverage brackets; and its positions.

I/O: asks the exchange when the engine starts.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from decimal import Decimal

import msgspec
import structlog

from actors.core.errors import ExchangeUnreachable, VenueRefused
from actors.core.instruments import TRADING, Instrument
from actors.core.units import Symbol, plain
from actors.venues.binance import rest
from actors.venues.binance.asking import Asker
from actors.venues.binance.clock import ExchangeClock
from actors.venues.binance.errors import Code
from actors.venues.binance.listing import select, with_brackets
from actors.venues.binance.rules import RULES
from actors.venues.binance.weight import DEFAULT_LIMIT, Urgency
from actors.venues.port import OpenOrder

log = structlog.get_logger("discovery")

CLOCK_TRIES = 5


KEY_TROUBLE = frozenset({Code.REJECTED_MBX_KEY, Code.BAD_API_KEY_FMT, Code.INVALID_SIGNATURE})


class VenueRules(msgspec.Struct, frozen=True):
    """What the exchange says of itself: rules, limits, and its time; ``notices`` are for humans.

    ``rate_symbols`` are listed and not among the ``instruments``: what a fee asset is worth, and not traded.
    """

    instruments: dict[Symbol, Instrument]
    orders_per_10s: int
    orders_per_minute: int
    clock: ExchangeClock
    rate_symbols: tuple[Symbol, ...] = ()
    weight_per_minute: int = DEFAULT_LIMIT
    notices: tuple[str, ...] = ()

    @property
    def watched(self) -> list[Symbol]:
        """Whose prices are read: what is traded, and what fee assets are worth."""
        return [*self.instruments, *self.rate_symbols]


def discover(
    asker: Asker,
    wanted: Collection[str],
    held: Collection[str] = (),
    asset: str = "USDT",
    fee_assets: Collection[str] = (),
) -> VenueRules:
    """Read the exchange's rules, limits and clock; with a key, leverage brackets too.

    Args:
        asker: asks the exchange; signs with its clock afterwards.
        wanted: symbols that settings name; empty for all that are traded.
        held: symbols of open positions and orders.
        asset: quote and margin asset of all accounts.
        fee_assets: whose prices are read even if they are not traded.

    Raises:
        ExchangeUnreachable: no usable answer; names the address and the cure.
        VenueRefused: the exchange refuses the key.
        MalformedMessage: rules that cannot be used, or a wanted symbol that cannot be traded here.
    """
    clock = _clock(asker)
    asker.now_ms = clock.now_ms
    info = asker.get("/fapi/v1/exchangeInfo", rest.ExchangeInfo)
    chosen = select(info.symbols, wanted, held, asset)
    instruments, notices = listed_with_brackets(asker, chosen.instruments)
    limits = {(r.rateLimitType, r.interval, r.intervalNum): r.limit for r in info.rateLimits}
    traded = {i.symbol for i in info.symbols if i.status == TRADING}
    rates = sorted(
        Symbol(a + asset) for a in fee_assets if a + asset in traded and a + asset not in instruments
    )
    return VenueRules(
        instruments,
        limits.get(("ORDERS", "SECOND", 10), RULES.orders_per_10s),
        limits.get(("ORDERS", "MINUTE", 1), RULES.orders_per_minute),
        clock,
        tuple(rates),
        limits.get(("REQUEST_WEIGHT", "MINUTE", 1), DEFAULT_LIMIT),
        (*chosen.notices, *notices),
    )


def _clock(asker: Asker) -> ExchangeClock:
    """The exchange's time, measured.

    Raises:
        ExchangeUnreachable: no answer, or each took too long to say anything.
    """
    clock = ExchangeClock(time.monotonic_ns, time.time_ns)
    for _ in range(CLOCK_TRIES):
        began_ns = clock.began()
        if clock.measured(began_ns, asker.get("/fapi/v1/time", rest.ServerTime).serverTime) is not None:
            return clock
    raise ExchangeUnreachable(f"{asker.base}: {CLOCK_TRIES} answers in a row took longer than a second")


def listed_with_brackets(
    asker: Asker, instruments: dict[Symbol, Instrument], urgency: Urgency = Urgency.ORDERS
) -> tuple[dict[Symbol, Instrument], tuple[str, ...]]:
    """Instruments with their leverage brackets, which the exchange gives to the holder of a key only.

    Raises:
        ExchangeUnreachable: no usable answer.
        VenueRefused: the key is not good.
    """
    if not asker.has_key:
        return instruments, ()
    try:
        found = asker.signed("GET", "/fapi/v1/leverageBracket", list[rest.LeverageBracket], urgency)
    except VenueRefused as error:
        if error.code in KEY_TROUBLE:
            raise
        # Accounts that need them are refused new risk; no others need them.
        log.warning("leverage brackets not told", error=str(error))
        return instruments, (f"leverage brackets not told: {error}",)
    return with_brackets(instruments, found)


def master_positions(asker: Asker, urgency: Urgency = Urgency.PEOPLE) -> dict[Symbol, Decimal]:
    """The master account's signed positions that are not zero.

    Raises:
        ExchangeUnreachable, VenueRefused: no usable answer.
    """
    positions = asker.signed("GET", "/fapi/v2/positionRisk", list[rest.PositionRisk], urgency)
    return {Symbol(p.symbol): p.positionAmt for p in positions if p.positionAmt}


def master_orders(asker: Asker, urgency: Urgency = Urgency.PEOPLE) -> list[OpenOrder]:
    """Everything that rests on the master account, whoever placed it.

    Raises:
        ExchangeUnreachable, VenueRefused: no usable answer.
    """
    orders = asker.signed("GET", "/fapi/v1/openOrders", list[rest.Order], urgency)
    conditionals = asker.signed("GET", "/fapi/v1/openAlgoOrders", list[rest.AlgoOrder], urgency)
    return [
        *(
            OpenOrder(
                symbol=Symbol(o.symbol),
                exchange_order_id=o.orderId,
                client_order_id=o.clientOrderId,
                what=f"{o.type} {o.side} {plain(o.origQty - o.executedQty)} at {plain(o.price)}",
            )
            for o in orders
        ),
        *(
            OpenOrder(
                symbol=Symbol(o.symbol),
                exchange_order_id=o.algoId,
                client_order_id=o.clientAlgoId,
                what=f"conditional {o.side} {plain(o.quantity)}",
            )
            for o in conditionals
        ),
    ]
