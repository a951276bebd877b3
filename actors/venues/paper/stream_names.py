"""Parsing of websocket paths and stream names; which route carries which stream. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import msgspec

from actors.core.units import Symbol
from actors.venues.paper.market import INTERVALS

PUBLIC, MARKET, PRIVATE, UNROUTED, ORDER_API = "public", "market", "private", "", "ws-fapi"
ROUTES = (PUBLIC, MARKET, PRIVATE)

_UPDATE_MS = {"100ms": 100, "250ms": 250, "500ms": 500, "1s": 1_000, "3s": 3_000}
_KIND = re.compile(r"(?P<kind>[A-Za-z]+?)(?P<arg>_[0-9a-zA-Z]+|\d+)?(?:@(?P<every>\w+))?")
_DEFAULT_MS = {
    "bookTicker": 0,
    "depth": 250,
    "aggTrade": 0,
    "trade": 0,
    "markPrice": 3_000,
    "kline": 250,
    "ticker": 1_000,
    "miniTicker": 1_000,
    "forceOrder": 0,
    "contractInfo": 0,
}
_ON_PUBLIC = frozenset({"bookTicker", "depth", "trade"})
_ALL_SYMBOLS = {
    "!bookTicker": "bookTicker",
    "!ticker@arr": "ticker",
    "!miniTicker@arr": "miniTicker",
    "!markPrice@arr": "markPrice",
    "!markPrice@arr@1s": "markPrice",
    "!forceOrder@arr": "forceOrder",
    "!contractInfo": "contractInfo",
}
DEPTHS = frozenset({5, 10, 20})


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A market stream. ``update_ms`` is the update interval, 0 for an event-driven stream. No ``symbol``: all."""

    name: str
    symbol: Symbol | None
    kind: str
    interval: str = ""
    levels: int = 0
    update_ms: int = 0

    @property
    def route(self) -> str:
        """The route that carries it."""
        return PUBLIC if self.kind in _ON_PUBLIC else MARKET


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed websocket path: route, stream names, listen key and user event filter."""

    route: str
    combined: bool = False
    names: tuple[str, ...] = ()
    listen_key: str = ""
    events: frozenset[str] = frozenset()


def parse_stream(name: str) -> Stream | None:
    """Parse a stream name; None if it is not valid."""
    if name in _ALL_SYMBOLS:
        kind = _ALL_SYMBOLS[name]
        speed_ms = 1_000 if name.endswith("@1s") else _DEFAULT_MS[kind]
        return Stream(name=name, symbol=None, kind=kind, update_ms=speed_ms)
    symbol, mark, rest = name.partition("@")
    found = _KIND.fullmatch(rest)
    # Binance accepts symbols in lower case only.
    if not mark or symbol != symbol.lower() or found is None or found["kind"] not in _DEFAULT_MS:
        return None
    kind = str(found["kind"])
    arg = str(found["arg"] or "")
    speed = str(found["every"] or "")
    if speed and speed not in _UPDATE_MS:
        return None
    interval = arg.removeprefix("_") if kind == "kline" else ""
    levels = int(arg) if arg.isdigit() else 0
    if kind == "kline":
        fits = interval in INTERVALS
    elif kind == "depth":
        fits = not arg or levels in DEPTHS
    else:
        fits = not arg
    if not fits:
        return None
    return Stream(
        name=name,
        symbol=Symbol(symbol.upper()),
        kind=kind,
        interval=interval,
        levels=levels,
        update_ms=_UPDATE_MS[speed] if speed and _DEFAULT_MS[kind] else _DEFAULT_MS[kind],
    )


def parse_target(path: str, query: str) -> Target | None:
    """Parse a websocket path; None if it is not valid.

    A path without a route carries public streams only: a listen key there is accepted and receives nothing.
    """
    if path == "/ws-fapi/v1":
        return Target(route=ORDER_API)
    first = path.split("/")[1] if path.startswith("/") else ""
    route = first if first in ROUTES else UNROUTED
    rest = path.removeprefix(f"/{route}") if route else path
    params = dict(parse_qsl(query))
    key = params.get("listenKey", "") if route == PRIVATE else ""
    events = frozenset(e for e in params.get("events", "").split("/") if e)
    if rest == "/stream":
        names = tuple(n for n in params.get("streams", "").split("/") if n)
        return Target(route=route, combined=True, names=names, listen_key=key, events=events)
    if rest == "/ws" or rest.startswith("/ws/"):
        names = tuple(n for n in rest.removeprefix("/ws").split("/") if n)
        return Target(route=route, names=names, listen_key=key, events=events)
    return None
