"""Prices: the best that is known of each symbol now, where it came from and how old it is."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from litestar import Controller, get

from actors.api.errors import ERRORS, NotFound
from actors.api.noun import Context, Noun
from actors.api.parameters import Limit, Offset
from actors.api.pools import INSPECT
from actors.core.names import shown
from actors.core.units import Nanos, Symbol
from actors.persistence.redis.prices import PriceSource, seen


class PriceView(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol's price, in quote asset.

    ``source``: ``WS``, the exchange's stream; ``REST``, the exchange was asked; ``REDIS``, the cache that engine and platform
    share, which is shown and never decided by; None where no price is young enough, and ``mark`` is None then. ``age_ms`` is
    that of the price, or of the last one that the exchange gave.
    """

    symbol: Symbol
    mark: Decimal | None
    source: PriceSource | None
    age_ms: int | None


class PriceService:
    """Looks at prices; callable from any thread."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup = context.engine, context.lookup

    def prices(self, symbol: str | None, limit: int, offset: int) -> list[PriceView]:
        """The prices of one symbol or of all, by symbol.

        Raises:
            NotFound: a symbol that is not traded here.
        """
        market = self._lookup.market()
        if symbol is not None and Symbol(symbol) not in market.instruments:
            raise NotFound(
                f"symbol {shown(symbol)} is not traded here; 'bulkhead prices' lists those that are"
            )
        wanted = (
            [Symbol(symbol)] if symbol is not None else sorted(market.instruments)[offset : offset + limit]
        )
        max_age_ns: Nanos = self._engine.base_limits.price_max_age_ns
        found: list[PriceView] = []
        for name in wanted:
            price = seen(name, market, max_age_ns, self._engine.redis.price)
            found.append(PriceView(symbol=name, mark=price.mark, source=price.source, age_ms=price.age_ms))
        return found


class PriceRoutes(Controller):
    """Prices."""

    path = "/v1/prices"
    tags = ("orders",)

    @get(responses=ERRORS)
    async def prices(
        self, prices: PriceService, symbol: str | None = None, limit: Limit = 100, offset: Offset = 0
    ) -> list[PriceView]:
        """The best price of each symbol, where it came from and how old it is."""
        return await INSPECT.run(prices.prices, symbol, limit, offset)


NOUN = Noun({"prices": PriceService}, (PriceRoutes,))
