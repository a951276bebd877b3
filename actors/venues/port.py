"""What the engine needs of a venue. Each venue implements it in a folder of its own; ``registry.py`` lists them.

A venue has three sides: what the actors use (``VenueConnection``: the ports that gateway and feed declare), what
the engine does with it (``Venue``: begin, connect, watch, stop), and what people ask (``Venue.view``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from actors.core.enums import OrderType, Side, TimeInForce
from actors.core.instruments import Instrument
from actors.core.trades import Trade
from actors.core.units import Symbol
from actors.feed.port import Source
from actors.gateway.messages import Report, RequestWeight
from actors.gateway.port import Transport
from actors.runtime.io_loop import IoLoop

OnProgress = Callable[[str], None]
"""Gets a line about what takes seconds."""

OnAlarm = Callable[[str], None]
"""Gets what a person should know."""


class VenueConnection(msgspec.Struct, kw_only=True):
    """A venue as the actors use it: its rules, and the ways to it.

    ``watched`` are the symbols whose prices must be fresh. ``rate_symbols`` are those of them that are not
    traded, but give the rate of an asset that fees are taken in. An engine without a gateway needs no
    ``transport``, one without a feed no ``source``.
    """

    instruments: Mapping[Symbol, Instrument]
    watched: Sequence[Symbol] = ()
    rate_symbols: Collection[Symbol] = ()
    transport: Transport | None = None
    source: Source | None = None


class FleetExposure(msgspec.Struct, frozen=True):
    """What all accounts hold together.

    ``net`` is the quantity of each symbol that an account holds or has ordered; ``notional`` its value at the mid,
    zero without a price; ``allowed`` the notional that the accounts' limits allow them, all in the quote asset.
    """

    net: Mapping[Symbol, Decimal]
    notional: Mapping[Symbol, Decimal]
    allowed: Decimal


class SymbolView(msgspec.Struct, frozen=True):
    """One symbol on the master. Notionals in the quote asset; None where the exchange does not say."""

    symbol: Symbol
    status: str
    leverage: int | None
    margin_type: str | None
    notional_cap: Decimal | None
    held: Decimal


class MasterView(msgspec.Struct, frozen=True):
    """The master account as it is set; None is what the exchange does not tell."""

    position_mode: str
    margin_mode: str
    margin_asset: str
    can_trade: bool | None
    fee_tier: int | None
    bnb_burn: bool | None
    rules_read_s_ago: float
    symbols: list[SymbolView]


class PastOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the exchange's history has it. ``placed_ms`` is the exchange's time."""

    report: Report
    side: Side
    quantity: Decimal
    order_type: OrderType
    price: Decimal | None
    time_in_force: TimeInForce
    placed_ms: int


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that rests at the exchange; ``what`` says it in words. A conditional one has its own kind of id."""

    symbol: Symbol
    exchange_order_id: int
    client_order_id: str
    what: str


class RulesChanged(msgspec.Struct, frozen=True):
    """The venue's rules are other ones: all instruments as they are now, and which of them changed."""

    instruments: dict[Symbol, Instrument]
    changed: Collection[Symbol]


class Venue(Protocol):
    """One exchange account at one venue. Its methods block; those for people may be called from any thread."""

    instruments: dict[Symbol, Instrument]

    @property
    def watched(self) -> Sequence[Symbol]:
        """Whose prices are read: what is traded, and what fee assets are worth."""
        ...

    def begin(self, in_use: Callable[[], Collection[Symbol]], on_progress: OnProgress) -> None:
        """Read rules and settings of the master account, and set what configuration says.

        Args:
            in_use: asked for the symbols that an account holds or has an order in.
            on_progress: informed of what takes seconds.

        Raises:
            BulkheadError: why trading cannot begin.
        """
        ...

    def connect(self, loop: IoLoop) -> VenueConnection:
        """The ways to the exchange for the gateway and for the feed, whose sockets live on ``loop``."""
        ...

    def watch(self, on_rules: Callable[[RulesChanged], None]) -> None:
        """Begin to read the rules again and again; ``on_rules`` gets changes in a thread of the venue's."""
        ...

    def stop(self) -> None:
        """Stop reading."""
        ...

    def positions(self) -> dict[Symbol, Decimal]:
        """The master's positions.

        Raises:
            ExchangeUnreachable, VenueRefused, ExchangeBusy: no answer; says when to try again.
        """
        ...

    def open_orders(self) -> list[OpenOrder]:
        """Everything that rests on the master, conditional orders too, whoever placed it.

        Raises:
            ExchangeUnreachable, VenueRefused, ExchangeBusy: no answer; says when to try again.
        """
        ...

    def past_orders(self, symbol: Symbol, since_ms: int, prefix: str) -> list[PastOrder]:
        """The master's orders of a symbol since a time of the exchange's clock, of ids that begin so; oldest first.

        Raises:
            ExchangeUnreachable, VenueRefused, ExchangeBusy: no answer; says when to try again.
        """
        ...

    def past_trades(self, symbol: Symbol, since_ms: int) -> list[Trade]:
        """The master's trades of a symbol since a time of the exchange's clock, oldest first.

        Raises:
            ExchangeUnreachable, VenueRefused, ExchangeBusy: no answer; says when to try again.
        """
        ...

    def view(self, limit: int) -> MasterView:
        """The master as it is set; the symbols that the fleet holds most of come first."""
        ...

    def weight(self) -> RequestWeight:
        """Where the budget of requests stands."""
        ...

    def market_data_counts(self) -> dict[str, int]:
        """Counters of the market data since the start, by name; empty before ``connect``."""
        ...
