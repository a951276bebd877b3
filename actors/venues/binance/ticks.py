"""The exchange's L1 messages to ``Tick``. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from actors.core.messages import ApplyFunding, Tick
from actors.core.units import ZERO, Nanos, Symbol, is_sane
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.rest import BookTicker, FundingRate
from actors.venues.binance.streams import BookTickerEvent

PUNCTUAL = Nanos(0)


def tick_of_event(event: BookTickerEvent, received_ns: Nanos, delay_ns: Nanos = PUNCTUAL) -> Tick:
    """A stream event that was ``delay_ns`` old when it came.

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
    return Tick(Symbol(event.s), bid, bid_qty, ask, ask_qty, event.u, event.E, received_ns, mid, delay_ns)


def tick_of_answer(ticker: BookTicker, asked_ns: Nanos, received_ns: Nanos) -> Tick:
    """A REST answer: surely true when it was asked for, however long ago the symbol's last change was.

    Raises:
        MalformedMessage: as above.
    """
    t = ticker
    _check(t.symbol, t.bidPrice, t.bidQty, t.askPrice, t.askQty)
    mid = (float(t.bidPrice) + float(t.askPrice)) * 0.5
    return Tick(
        Symbol(t.symbol),
        t.bidPrice,
        t.bidQty,
        t.askPrice,
        t.askQty,
        t.lastUpdateId,
        t.time,
        received_ns,
        mid,
        Nanos(received_ns - asked_ns),
        by_rest=True,
    )


def event_time(event: BookTickerEvent) -> int:
    """When the book changed, Unix milliseconds; when the frame was made, if it does not say; 0 if neither."""
    return event.T if 0 < event.T <= event.E else event.E


def _check(symbol: str, bid: Decimal, bid_qty: Decimal, ask: Decimal, ask_qty: Decimal) -> None:
    if not (bid.is_finite() and ask.is_finite() and ZERO < bid <= ask):
        raise MalformedMessage(f"{symbol}: bid {bid} and ask {ask} make no market")
    if not (bid_qty.is_finite() and ask_qty.is_finite() and bid_qty >= ZERO and ask_qty >= ZERO):
        raise MalformedMessage(f"{symbol}: sizes {bid_qty} and {ask_qty} cannot be")


def funding_of(rate: FundingRate) -> ApplyFunding:
    """A settled funding rate as the message to each account.

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
