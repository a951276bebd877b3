"""A symbol's trading rules: exchangeInfo to ``Instrument``, and an order against them. Pure."""

from __future__ import annotations

from decimal import Decimal

from actors.core.enums import OrderType
from actors.core.instruments import Bracket, Instrument
from actors.core.units import ZERO, Symbol
from actors.venues.binance.errors import Code, MalformedMessage
from actors.venues.binance.rest import Filter, LeverageBracket, SymbolInfo
from actors.venues.binance.rules import CALLBACK_RATES


def instrument_of(info: SymbolInfo) -> Instrument:
    """The trading rules of one symbol.

    Raises:
        MalformedMessage: a filter or a field of one is missing, or an increment is not positive.
    """
    filters = {f.filterType: f for f in info.filters}

    def value(kind: str, field: str) -> Decimal:
        found = getattr(filters.get(kind, Filter(filterType=kind)), field)
        if found is None or not found.is_finite() or found < ZERO:
            raise MalformedMessage(f"exchangeInfo: {info.symbol} has no usable {kind}.{field}: {found}")
        return Decimal(found)

    instrument = Instrument(
        symbol=Symbol(info.symbol),
        base_asset=info.baseAsset,
        quote_asset=info.quoteAsset,
        tick_size=value("PRICE_FILTER", "tickSize"),
        step_size=value("LOT_SIZE", "stepSize"),
        min_qty=value("LOT_SIZE", "minQty"),
        max_qty=value("LOT_SIZE", "maxQty"),
        market_max_qty=value("MARKET_LOT_SIZE", "maxQty"),
        min_notional=value("MIN_NOTIONAL", "notional"),
        callback_min=CALLBACK_RATES[0],
        callback_max=CALLBACK_RATES[1],
        status=info.status,
    )
    if ZERO in {instrument.tick_size, instrument.step_size}:
        raise MalformedMessage(f"exchangeInfo: {info.symbol} has a tick or step of zero")
    return instrument


def brackets_of(answer: LeverageBracket) -> tuple[Bracket, ...]:
    """A symbol's leverage brackets, lowest first.

    Raises:
        MalformedMessage: they leave a gap or jump, or a rate is no share; names symbol and bracket.
    """
    found: list[Bracket] = []
    for entry in sorted(answer.brackets, key=lambda b: b.notionalFloor):
        last = found[-1] if found else None
        begins = entry.notionalFloor == (ZERO if last is None else last.notional_cap)
        # Maintenance margin must not jump where two brackets meet; the exchange rounds to cents at the most.
        jump = ZERO
        if last is not None:
            jump = entry.notionalFloor * (entry.maintMarginRatio - last.rate) - (entry.cum - last.cumulative)
        if (
            not begins
            or entry.notionalCap <= entry.notionalFloor
            or abs(jump) > 1
            or not 0 < entry.maintMarginRatio < 1
        ):
            raise MalformedMessage(
                f"leverageBracket: bracket {entry.bracket} of {answer.symbol} does not fit: {entry}"
            )
        found.append(
            Bracket(
                notional_floor=entry.notionalFloor,
                notional_cap=entry.notionalCap,
                rate=entry.maintMarginRatio,
                cumulative=entry.cum,
                max_leverage=entry.initialLeverage,
            )
        )
    return tuple(found)


def info_of(instrument: Instrument) -> SymbolInfo:
    """The other way round, for the paper exchange and for ``/fapi`` per account."""
    lot = {"stepSize": instrument.step_size, "minQty": instrument.min_qty}
    return SymbolInfo(
        symbol=instrument.symbol,
        baseAsset=instrument.base_asset,
        quoteAsset=instrument.quote_asset,
        filters=(
            Filter(
                filterType="PRICE_FILTER",
                tickSize=instrument.tick_size,
                minPrice=instrument.tick_size,
                maxPrice=Decimal(10_000_000),
            ),
            Filter(filterType="LOT_SIZE", maxQty=instrument.max_qty, **lot),
            Filter(filterType="MARKET_LOT_SIZE", maxQty=instrument.market_max_qty, **lot),
            Filter(filterType="MIN_NOTIONAL", notional=instrument.min_notional),
        ),
    )


def check_order(
    instrument: Instrument,
    order_type: OrderType,
    quantity: Decimal,
    price: Decimal | None,
    reference_price: Decimal,
    *,
    reduce_only: bool,
) -> Code | None:
    """The first rule that an order breaks, as the exchange's error code.

    ``reference_price`` stands in for a market order's price in the notional.
    """
    if not quantity.is_finite() or quantity <= ZERO:
        return Code.QTY_LESS_THAN_ZERO
    if quantity < instrument.min_qty:
        return Code.QTY_LESS_THAN_MIN_QTY
    market = order_type is OrderType.MARKET
    if quantity > (instrument.market_max_qty if market else instrument.max_qty):
        return Code.QTY_GREATER_THAN_MAX_QTY
    if not instrument.is_on_step(quantity):
        return Code.BAD_PRECISION
    if price is not None:
        if not price.is_finite() or price <= ZERO:
            return Code.PRICE_LESS_THAN_ZERO
        if not instrument.is_on_tick(price):
            return Code.PRICE_NOT_INCREASED_BY_TICK_SIZE
    notional = quantity * (reference_price if price is None else price)
    if notional < instrument.min_notional and not reduce_only:
        return Code.MIN_NOTIONAL
    return None
