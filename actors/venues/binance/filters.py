"""A symbol's trading rules: exchangeInfo to ``Instrument``, and its leverage brackets. Pure."""

from __future__ import annotations

from decimal import Decimal

from actors.core.instruments import Bracket, Instrument
from actors.core.units import ZERO, Symbol
from actors.venues.binance.errors import MalformedMessage
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
