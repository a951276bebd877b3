"""Where Binance listens: for REST, for public streams, for the user stream, and for orders over a websocket. Pure.

Since April 2026 streams are routed: L1 is sent on ``/public``, an account's events on ``/private``. On
any other path the connection is accepted and nothing is sent.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from actors.core.errors import BadConfig

STREAM_HOSTS = {
    "fapi.binance.com": "wss://fstream.binance.com",
    "testnet.binancefuture.com": "wss://fstream.binancefuture.com",
    "demo-fapi.binance.com": "wss://fstream.binancefuture.com",
}
"""REST hosts whose streams' host is known."""

ORDER_API = "/ws-fapi/v1"
ORDER_HOSTS = {
    "fapi.binance.com": "wss://ws-fapi.binance.com",
    "testnet.binancefuture.com": "wss://testnet.binancefuture.com",
    "demo-fapi.binance.com": "wss://testnet.binancefuture.com",
}
"""REST hosts where it is known who takes orders over a websocket."""

OFF = "off"
"""Given instead of an address: orders go by REST only."""


class Addresses(msgspec.Struct, frozen=True):
    """Base URLs, without a slash at the end. ``orders`` is whole, and empty where orders go by REST only."""

    rest: str
    public: str
    private: str
    orders: str = ""


def addresses(rest: str, public: str = "", private: str = "", orders: str = "") -> Addresses:
    """All bases; what is not given follows from the REST host, if that is a known one.

    A loopback host is a paper exchange, which has everything on one port.

    Raises:
        BadConfig: an address that cannot be one, or a stream base that must be given; names the setting.
    """
    parts = urlsplit(_checked("exchange", rest, ("http", "https")))
    host = parts.hostname or ""
    streams = STREAM_HOSTS.get(host, "")
    if _is_loopback(host):
        streams = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
    found = {}
    for name, given in (("public", public), ("private", private)):
        setting = f"exchange_ws_{name}"
        if not given and not streams:
            raise BadConfig(
                f"{setting}: must be set, because the streams of {host} are not known; at Binance it is "
                f"{STREAM_HOSTS['fapi.binance.com']}/{name}"
            )
        base = _checked(setting, given, ("ws", "wss")) if given else f"{streams}/{name}"
        found[name] = _routed(setting, base, name)
    if not orders:
        orders_host = streams if _is_loopback(host) else ORDER_HOSTS.get(host, "")
        orders = f"{orders_host}{ORDER_API}" if orders_host else OFF
    if orders != OFF:
        orders = _checked("exchange_ws_orders", orders, ("ws", "wss"))
    return Addresses(rest.rstrip("/"), **found, orders="" if orders == OFF else orders)


def _checked(setting: str, address: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(address)
    try:
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False  # a port that is no number, or out of range
    if not usable:
        raise BadConfig(f"{setting}: {address!r} is not a {' or '.join(f'{s}://' for s in schemes)} address")
    return address.rstrip("/")


def _routed(setting: str, base: str, name: str) -> str:
    last = base.rpartition("/")[2]
    other = "private" if name == "public" else "public"
    if last in {"ws", "stream", other}:
        raise BadConfig(
            f"{setting}: {base!r} ends with /{last}; give the base that /ws and /stream come after, "
            f"for example {STREAM_HOSTS['fapi.binance.com']}/{name}"
        )
    return base


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
