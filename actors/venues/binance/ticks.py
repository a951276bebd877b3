"""The exchange's L1 messages to ``Tick``. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from actors.messages import ApplyFunding, Tick
from actors.units import ZERO, Nanos, Symbol, is_sane
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.rest import BookTicker, FundingRate
from actors.venues.binance.streams import BookTickerEvent


def tick_of_event(event: BookTickerEvent, received_ns: Nanos) -> Tick:
    """A stream event.

    Raises:
        MalformedMessage: a price that is no positive number, or a crossed book.
    """
    try:
        bid, ask = Decimal(event.b), Decimal(event.a)
        bid_qty, ask_qty = Decimal(event.B), Decimal(event.A)
    except InvalidOperation:
        raise MalformedMessage(f"{event.s}: {event.b!r} / {event.a!r} are not prices") from None
    _check(event.s, bid, bid_qty, ask, ask_qty)
    mid = (float(event.b) + float(event.a)) * 0.5
    return Tick(Symbol(event.s), bid, bid_qty, ask, ask_qty, event.u, event.E, received_ns, mid)


def tick_of_answer(ticker: BookTicker, received_ns: Nanos) -> Tick:
    """A REST answer.

    Raises:
        MalformedMessage: as above.
    """
    t = ticker
    _check(t.symbol, t.bidPrice, t.bidQty, t.askPrice, t.askQty)
    mid = (float(t.bidPrice) + float(t.askPrice)) * 0.5
    return Tick(
        Symbol(t.symbol), t.bidPrice, t.bidQty, t.askPrice, t.askQty, t.lastUpdateId, t.time, received_ns, mid
    )


def _check(symbol: str, bid: Decimal, bid_qty: Decimal, ask: Decimal, ask_qty: Decimal) -> None:
    if not (bid.is_finite() and ask.is_finite() and ZERO < bid <= ask):
        raise MalformedMessage(f"{symbol}: bid {bid} and ask {ask} make no market")
    if not (bid_qty.is_finite() and ask_qty.is_finite() and bid_qty >= ZERO and ask_qty >= ZERO):
        raise MalformedMessage(f"{symbol}: sizes {bid_qty} and {ask_qty} cannot be")


def funding_of(rate: FundingRate) -> ApplyFunding:
    """A settled funding rate as what each account is told.

    Raises:
        MalformedMessage: the mark is missing or no price, or the rate no number.
    """
    try:
        mark = Decimal(rate.markPrice)
    except InvalidOperation:
        raise MalformedMessage(
            f"fundingRate: {rate.symbol} at {rate.fundingTime} has no mark: {rate.markPrice!r}"
        ) from None
    if not is_sane(mark) or mark <= ZERO or not is_sane(rate.fundingRate) or abs(rate.fundingRate) > 1:
        raise MalformedMessage(
            f"fundingRate: {rate.symbol} at {rate.fundingTime}: {rate.fundingRate} of {mark}"
        )
    cause = f"funding:{rate.symbol}:{rate.fundingTime}"
    return ApplyFunding(Symbol(rate.symbol), rate.fundingRate, mark, rate.fundingTime, cause)
