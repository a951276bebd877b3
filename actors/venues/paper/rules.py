"""Checks of an order against a symbol's filters and price bands. Pure."""

from __future__ import annotations

from decimal import Decimal

from actors.core.enums import OrderType, Side
from actors.core.instruments import Instrument
from actors.core.units import ZERO
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.depth import DepthModel, top
from actors.venues.paper.generator import Quote
from actors.venues.paper.instruments import Band
from actors.venues.paper.orders import OrderRequest


def check_quantity(request: OrderRequest, instrument: Instrument) -> None:
    """Check quantity and price against the filters.

    Raises:
        ExchangeRefusal: with the code of the first rule that is broken.
    """
    quantity, price = request.quantity, request.price
    if quantity <= ZERO:
        raise ExchangeRefusal(PaperCode.QTY_LESS_THAN_ZERO)
    if quantity < instrument.min_qty:
        raise ExchangeRefusal(PaperCode.QTY_LESS_THAN_MIN_QTY)
    market = request.type is OrderType.MARKET
    if quantity > (instrument.market_max_qty if market else instrument.max_qty):
        raise ExchangeRefusal(PaperCode.QTY_GREATER_THAN_MAX_QTY)
    if quantity % instrument.step_size:
        raise ExchangeRefusal(PaperCode.BAD_PRECISION)
    if price is None:
        return
    if price <= ZERO:
        raise ExchangeRefusal(PaperCode.PRICE_LESS_THAN_ZERO)
    if price % instrument.tick_size:
        raise ExchangeRefusal(PaperCode.PRICE_NOT_INCREASED_BY_TICK_SIZE)


def check_notional(request: OrderRequest, instrument: Instrument, mark: Decimal) -> None:
    """Check the minimum notional; reduce-only orders are exempt.

    Raises:
        ExchangeRefusal: NOTIONAL.
    """
    notional = request.quantity * (request.price or mark)
    if notional < instrument.min_notional and not request.reduce_only:
        least = f"{instrument.min_notional:f}"
        raise ExchangeRefusal(
            PaperCode.NOTIONAL,
            f"Order's notional must be no smaller than {least} (unless you choose reduce only).",
        )


def check_band(request: OrderRequest, band: Band, mark: Decimal, quote: Quote, tick: Decimal) -> None:
    """Check the price bands (PERCENT_PRICE).

    Raises:
        ExchangeRefusal: a limit price beyond its band, or for a market order a best price beyond it.
    """
    buy = request.side is Side.BUY
    bound = mark * (band.up if buy else band.down)
    if request.price is None:
        touch = quote.ask if buy else quote.bid
        if (touch - bound) * request.side.sign > ZERO:
            raise ExchangeRefusal(PaperCode.PERCENT_PRICE)
        return
    if (request.price - bound) * request.side.sign <= ZERO:
        return
    shown = f"{bound.quantize(tick):f}"
    if buy:
        raise ExchangeRefusal(
            PaperCode.PRICE_HIGHER_THAN_MULTIPLIER_UP, f"Limit price can't be higher than {shown}."
        )
    raise ExchangeRefusal(
        PaperCode.PRICE_LOWER_THAN_MULTIPLIER_DOWN, f"Limit price can't be lower than {shown}."
    )


PRICE_MATCH_LEVELS = {"OPPONENT": (True, 1), "QUEUE": (False, 1)} | {
    f"{name}_{depth}": (name == "OPPONENT", depth) for name in ("OPPONENT", "QUEUE") for depth in (5, 10, 20)
}
"""``priceMatch`` values: whether the price is the opposite side's, and its level."""


def matched_price(kind: str, side: Side, depth: DepthModel, quote: Quote, now_ms: int) -> Decimal:
    """The price of a ``priceMatch`` order: that of a level of the book, or of the last one if there are fewer.

    Raises:
        ExchangeRefusal: an unknown value.
    """
    if kind not in PRICE_MATCH_LEVELS:
        raise ExchangeRefusal(PaperCode.INVALID_PRICE_MATCH)
    opponent, level = PRICE_MATCH_LEVELS[kind]
    bids, asks = top(depth, quote, level, now_ms)
    from_asks = (side is Side.BUY) == opponent
    levels = asks if from_asks else bids
    return levels[-1][0] if levels else (quote.ask if from_asks else quote.bid)
