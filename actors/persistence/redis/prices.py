"""The price cache that engine and platform share: ``pms:price:{symbol}``. Pure.

Each of them writes what it sees, and either may read what the other wrote. A price from here is only ever *shown* or counted
into a snapshot; no order is checked with it and nothing is liquidated by it: it is somebody else's word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from actors.core.messages import Tick
from actors.core.units import NANOS_PER_MS, ZERO, Nanos, Symbol, is_sane
from actors.persistence.projection.spelling import platform_symbol
from actors.subaccount.market import Market
from actors.subaccount.state import AccountState

TTL_S = 30
"""How long the platform keeps a price."""

EVERY_S = 0.5
"""A symbol's price is written so often at most."""

MAX_AGE_MS = 10_000
"""An older one is none (the platform's ``getFreshPrice``)."""

AHEAD_MAX_MS = 2_000
"""A price from a clock that is further ahead of ours is none: its age is not known."""

PREFIX = "pms:price:"

SOURCE = "bulkhead"
"""Who wrote it; the platform's programs say ``js`` and ``py``."""


class StoredPrice(msgspec.Struct, frozen=True, gc=False):
    """As it is stored. ``ts``: Unix milliseconds at which it was true."""

    mark: Decimal
    ts: int
    source: str = ""


class PriceSource(StrEnum):
    """Where a price came from."""

    WS = "WS"
    """The exchange's stream."""
    REST = "REST"
    """The exchange was asked, as its stream had nothing young enough."""
    REDIS = "REDIS"
    """The cache that engine and platform share."""


class SeenPrice(msgspec.Struct, frozen=True, gc=False):
    """The best price of a symbol that is known now. ``mark`` and ``source`` are None where none is young enough.

    ``age_ms`` is that of the price, or of the last one that the exchange gave; None if it never gave one.
    """

    mark: Decimal | None
    source: PriceSource | None
    age_ms: int | None


Others = Callable[[Symbol], StoredPrice | None]
"""A young price of somebody else's."""


def nobody(_symbol: Symbol) -> StoredPrice | None:
    """There are no others."""
    return None


ENCODER = msgspec.json.Encoder(decimal_format="number")
DECODER = msgspec.json.Decoder(StoredPrice)


def key_of(symbol: Symbol) -> str:
    """``pms:price:{symbol}``, in the platform's spelling: ``pms:price:BTC/USDT:USDT``."""
    return f"{PREFIX}{platform_symbol(symbol)}"


def encode(tick: Tick, now_ns: Nanos, wall_ms: int) -> bytes:
    """A tick's mid, with the time at which it was true."""
    age_ms = (now_ns - tick.received_ns + tick.delay_ns) // NANOS_PER_MS
    return ENCODER.encode(StoredPrice(tick.mid, wall_ms - max(0, age_ms), SOURCE))


def decode(text: bytes | None, wall_ms: int) -> StoredPrice | None:
    """A stored price, if it is one and young enough; whatever else stands there is no price."""
    if text is None:
        return None
    try:
        found = DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    is_price = is_sane(found.mark) and found.mark > ZERO
    return found if is_price and -AHEAD_MAX_MS <= wall_ms - found.ts < MAX_AGE_MS else None


class Published:
    """Which ticks were written, so that each is written once, at most every ``EVERY_S`` a symbol."""

    def __init__(self) -> None:
        self._ticks: dict[Symbol, Tick] = {}
        self._next_s = 0.0

    def due(self, ticks: Mapping[Symbol, Tick], now_s: float) -> Iterator[Tick]:
        """The ticks that are to be written now: the newest of each symbol that has a new one."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + EVERY_S
        for symbol, tick in ticks.items():
            if self._ticks.get(symbol) is not tick:
                yield tick

    def wrote(self, tick: Tick) -> None:
        """Redis has it."""
        self._ticks[tick.symbol] = tick

    def forget(self) -> None:
        """Redis may be another one now, or have been emptied: all are to be written again."""
        self._ticks.clear()
        self._next_s = 0.0


def seen(symbol: Symbol, market: Market, max_age_ns: Nanos, others: Others) -> SeenPrice:
    """The cascade: what the exchange gave goes before what stands in Redis, and an old price is none."""
    tick = market.fresh(symbol, max_age_ns)
    if tick is not None:
        source = PriceSource.REST if tick.by_rest else PriceSource.WS
        return SeenPrice(tick.mid, source, _age_ms(tick, market))
    price = others(symbol)
    if price is not None:
        return SeenPrice(price.mark, PriceSource.REDIS, max(0, market.wall_ms - price.ts))
    last = market.ticks.get(symbol)
    return SeenPrice(None, None, None if last is None else _age_ms(last, market))


def to_look_at(state: AccountState, market: Market, others: Others) -> Market:
    """The market in front of an account, with others' prices where the exchange gave none. Never to decide by."""
    found: dict[Symbol, Tick] = {}
    for symbol in state.symbols:
        if market.fresh(symbol, state.limits.price_max_age_ns) is None:
            price = others(symbol)
            if price is not None:
                found[symbol] = _tick_of(symbol, price, market)
    if not found:
        return market
    own = {symbol: tick for symbol in state.symbols if (tick := market.ticks.get(symbol)) is not None}
    return replace(market, ticks={**own, **found})


def _tick_of(symbol: Symbol, price: StoredPrice, market: Market) -> Tick:
    received_ns = Nanos(market.now_ns - max(0, market.wall_ms - price.ts) * NANOS_PER_MS)
    return Tick(symbol, price.mark, ZERO, price.mark, ZERO, 0, price.ts, received_ns, float(price.mark))


def _age_ms(tick: Tick, market: Market) -> int:
    return max(0, market.now_ns - tick.received_ns + tick.delay_ns) // NANOS_PER_MS
