"""Configuration of the paper exchange. Pure."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import msgspec

from actors.core.errors import BadConfig
from actors.core.units import ZERO, Symbol
from actors.venues.paper.instruments import LISTINGS, Listing, listing_for
from actors.venues.paper.limits import PROFILES, Limits

CHOICES: dict[str, Collection[str]] = {
    "limits": PROFILES,
    "feed_market": ("um", "spot", "cm"),
    "feed_end": ("hold", "stop", "repeat"),
}
PORT_MAX = 65_535
MADE_UP_MAX = 1_000


class PaperConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one paper exchange.

    ``ticks_per_second`` is the total of all symbols. ``feed_files`` replace the price generator.

    ``extra_symbols`` are listed in addition to ``symbols``, for example BTCUSDC, BTCUSDT_261225 or NEWUSDT.
    ``made_up_symbols`` is a number of further symbols with generated names. ``limits`` names a profile; the three
    rate limits override it where they are given. ``feed_market`` is the market of the recordings. ``feed_end`` is
    the action at their end: hold the last price, stop the process, or repeat.

    Raises:
        BadConfig: a value out of range; the message names it.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    symbols: tuple[Symbol, ...] = tuple(LISTINGS)
    extra_symbols: tuple[str, ...] = ()
    made_up_symbols: int = 0
    ticks_per_second: int = 1_000
    feed_files: tuple[str, ...] = ()
    feed_market: str = "um"
    feed_end: str = "hold"
    wallet_balance: Decimal = Decimal(100_000_000)
    bnb_balance: Decimal = ZERO
    bnb_burn: bool = False
    taker_fee: Decimal = Decimal("0.0005")
    maker_fee: Decimal = Decimal("0.0002")
    api_key: str = "paper"
    api_secret: str = "paper-secret"  # noqa: S105 - published on purpose
    limits: str = "none"
    orders_per_10s: int | None = None
    orders_per_minute: int | None = None
    weight_per_minute: int | None = None
    ban_after: int = 50
    ban_seconds: int = 120
    listen_key_minutes: float = 60.0
    latency_ms: int = 0

    def __post_init__(self) -> None:
        unknown = [s for s in self.symbols if s not in LISTINGS]
        if unknown or not self.symbols:
            raise BadConfig(
                f"symbols: {', '.join(unknown) or 'none'} not listed; known are {', '.join(LISTINGS)}"
            )
        if not 0 <= self.port <= PORT_MAX:
            raise BadConfig(f"port: {self.port} is not a port; give 1 to {PORT_MAX}, or 0 for a free one")
        if self.ticks_per_second < 1:
            raise BadConfig(f"ticks_per_second: {self.ticks_per_second} must be at least 1")
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise BadConfig(f"{name}: {value!r} is not one of {', '.join(choices)}")
        given = [
            n for n in (self.weight_per_minute, self.orders_per_10s, self.orders_per_minute) if n is not None
        ]
        if given and min(given) < 1:
            raise BadConfig("rate limits must be at least 1")
        if self.ban_after < 1 or self.ban_seconds < 1:
            raise BadConfig(f"ban: after {self.ban_after} for {self.ban_seconds} s; both must be at least 1")
        if self.latency_ms < 0:
            raise BadConfig(f"latency_ms: {self.latency_ms} must not be negative")
        if self.listen_key_minutes <= 0:
            raise BadConfig(f"listen_key_minutes: {self.listen_key_minutes} must be above 0")
        if not 0 <= self.made_up_symbols <= MADE_UP_MAX:
            raise BadConfig(f"made_up_symbols: {self.made_up_symbols} must be 0 to {MADE_UP_MAX}")
        if min(self.wallet_balance, self.bnb_balance) < 0:
            raise BadConfig(
                f"wallet: {self.wallet_balance} USDT and {self.bnb_balance} BNB must not be negative"
            )
        listings(self)

    @property
    def rate_limits(self) -> Limits:
        """The profile of ``limits`` with the overrides applied."""
        chosen = {
            name: value
            for name in ("weight_per_minute", "orders_per_10s", "orders_per_minute")
            if (value := getattr(self, name)) is not None
        }
        return msgspec.structs.replace(PROFILES[self.limits], **chosen)


def listings(config: PaperConfig) -> dict[Symbol, Listing]:
    """Listings of all configured symbols.

    Raises:
        BadConfig: a malformed symbol; the message names it.
    """
    found = {s: LISTINGS[s] for s in config.symbols}
    try:
        for name in config.extra_symbols:
            found[Symbol(name)] = listing_for(name)
    except ValueError as error:
        raise BadConfig(f"extra_symbols: {error}") from None
    for number in range(1, config.made_up_symbols + 1):
        found[Symbol(f"MADE{number:03d}USDT")] = listing_for(f"MADE{number:03d}USDT")
    return found


class PaperAddress(msgspec.Struct, frozen=True):
    """Base URLs of a running paper exchange."""

    rest: str
    websocket: str
