"""What the paper exchange can be told. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.errors import BadConfig
from actors.units import Symbol
from actors.venues.paper.instruments import LISTINGS


class PaperConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``ticks_per_second`` counts all symbols together. ``feed_files`` replace the generator."""

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    symbols: tuple[Symbol, ...] = tuple(LISTINGS)
    ticks_per_second: int = 1_000
    feed_files: tuple[str, ...] = ()
    wallet_balance: Decimal = Decimal(100_000_000)
    taker_fee: Decimal = Decimal("0.0005")
    maker_fee: Decimal = Decimal("0.0002")
    market_sweep: bool = True
    api_key: str = "paper"
    api_secret: str = "paper-secret"  # noqa: S105 - published on purpose
    orders_per_10s: int = 6_000
    orders_per_minute: int = 30_000
    weight_per_minute: int = 120_000
    latency_ms: int = 0

    def __post_init__(self) -> None:
        unknown = [s for s in self.symbols if s not in LISTINGS]
        if unknown or not self.symbols:
            raise BadConfig(
                f"symbols: {', '.join(unknown) or 'none'} not listed; known are {', '.join(LISTINGS)}"
            )
        if self.ticks_per_second < 1:
            raise BadConfig(f"ticks_per_second: {self.ticks_per_second} must be at least 1")
        if min(self.orders_per_10s, self.orders_per_minute, self.weight_per_minute) < 1:
            raise BadConfig("rate limits must be at least 1")
        if self.latency_ms < 0:
            raise BadConfig(f"latency_ms: {self.latency_ms} must not be negative")


class PaperAddress(msgspec.Struct, frozen=True):
    """Where a started paper exchange listens."""

    rest: str
    websocket: str
