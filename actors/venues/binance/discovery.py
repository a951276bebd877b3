"""What is asked of Binance once, at start: rules, limits, clock, leverage brackets, the master's positions."""

from __future__ import annotations

import time
from decimal import Decimal

import httpx
import msgspec
import structlog
from msgspec.structs import replace

from actors.errors import ExchangeUnreachable
from actors.units import Bracket, Instrument, Symbol
from actors.venues.binance import rest
from actors.venues.binance.clock import ExchangeClock
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.filters import brackets_of, instrument_of
from actors.venues.binance.signing import sign

log = structlog.get_logger("discovery")

REQUEST_SECONDS = 5.0
CLOCK_TRIES = 5


class Venue(msgspec.Struct, frozen=True):
    """What the exchange says of itself: rules, order limits, and its time.

    ``rate_symbols`` are listed and not among the ``instruments``: what a fee asset is worth, and not traded.
    """

    instruments: dict[Symbol, Instrument]
    orders_per_10s: int
    orders_per_minute: int
    clock: ExchangeClock
    rate_symbols: tuple[Symbol, ...] = ()

    @property
    def watched(self) -> list[Symbol]:
        """Whose prices are read: what is traded, and what fee assets are worth."""
        return [*self.instruments, *self.rate_symbols]


def discover(
    base: str, wanted: tuple[str, ...], key: str = "", secret: str = "", fee_assets: tuple[str, ...] = ()
) -> Venue:
    """Read the exchange's rules, limits and clock; with a key, leverage brackets too.

    Raises:
        ExchangeUnreachable: no usable answer; names the address and the cure.
        MalformedMessage: rules that cannot be used.
    """
    try:
        with httpx.Client(base_url=base, timeout=REQUEST_SECONDS) as client:
            clock = _clock(client)
            content = client.get("/fapi/v1/exchangeInfo").raise_for_status().content
            info = msgspec.json.decode(content, type=rest.ExchangeInfo)
            brackets = _brackets(client, key, secret, clock) if key else {}
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        raise ExchangeUnreachable(
            f"{base} does not answer as an exchange ({type(error).__name__}: {error}); "
            "is it running? 'bulkhead paper' starts one for trying out"
        ) from None
    listed = {Symbol(s.symbol): s for s in info.symbols if s.status == "TRADING"}
    missing = [s for s in wanted if s not in listed]
    if missing:
        raise MalformedMessage(f"the exchange does not list {', '.join(missing)}")
    chosen = [Symbol(s) for s in wanted] or list(listed)
    limits = {(r.interval, r.intervalNum): r.limit for r in info.rateLimits if r.rateLimitType == "ORDERS"}
    quotes = {listed[s].quoteAsset for s in chosen}
    rates = {Symbol(asset + quote) for asset in fee_assets for quote in quotes}
    return Venue(
        {s: replace(instrument_of(listed[s]), brackets=brackets.get(s, ())) for s in chosen},
        limits.get(("SECOND", 10), 300),
        limits.get(("MINUTE", 1), 1200),
        clock,
        tuple(sorted(s for s in rates if s in listed and s not in chosen)),
    )


def _clock(client: httpx.Client) -> ExchangeClock:
    """The exchange's time, measured.

    Raises:
        httpx.HTTPError: no answer, or each took too long to say anything.
    """
    clock = ExchangeClock(time.monotonic_ns, time.time_ns)
    for _ in range(CLOCK_TRIES):
        began_ns = clock.began()
        answer = client.get("/fapi/v1/time").raise_for_status()
        if (
            clock.measured(began_ns, msgspec.json.decode(answer.content, type=rest.ServerTime).serverTime)
            is not None
        ):
            return clock
    raise httpx.ReadTimeout(f"{CLOCK_TRIES} answers in a row took longer than a second")


def _brackets(
    client: httpx.Client, key: str, secret: str, clock: ExchangeClock
) -> dict[Symbol, tuple[Bracket, ...]]:
    """Leverage brackets by symbol; none where the exchange does not tell them to this key.

    Raises:
        MalformedMessage: brackets that cannot be.
    """
    query = sign({"recvWindow": "5000", "timestamp": str(clock.now_ms())}, secret)
    answer = client.get(f"/fapi/v1/leverageBracket?{query}", headers={"X-MBX-APIKEY": key})
    if not answer.is_success:
        # Accounts that need them are refused new risk; nobody else needs them.
        log.warning("leverage brackets not told", status=answer.status_code, answer=answer.text[:200])
        return {}
    found = msgspec.json.decode(answer.content, type=list[rest.LeverageBracket])
    return {Symbol(b.symbol): brackets_of(b) for b in found}


def master_positions(base: str, key: str, secret: str, clock: ExchangeClock) -> dict[Symbol, Decimal]:
    """The master account's signed positions that are not zero.

    Raises:
        ExchangeUnreachable: no usable answer.
    """
    query = sign({"recvWindow": "5000", "timestamp": str(clock.now_ms())}, secret)
    try:
        answer = httpx.get(
            f"{base}/fapi/v2/positionRisk?{query}", headers={"X-MBX-APIKEY": key}, timeout=REQUEST_SECONDS
        ).raise_for_status()
        positions = msgspec.json.decode(answer.content, type=list[rest.PositionRisk])
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        raise ExchangeUnreachable(f"{base}: positions cannot be read: {error}") from None
    return {Symbol(p.symbol): p.positionAmt for p in positions if p.positionAmt}
