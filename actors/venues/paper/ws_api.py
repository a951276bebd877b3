"""Websocket API of the exchange (``/ws-fapi/v1``): each method maps to a REST path. Pure; the time is an argument.

An HTTP fault planned for one of these paths applies here too: the connection is reset, or the answer is a proxy's error
page.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.endpoints import Endpoints
from actors.venues.paper.faults import HttpFault
from actors.venues.paper.requests import check_key, check_signature, check_time
from actors.venues.paper.routes import SecurityType
from actors.venues.paper.user_events import PaperEvent
from actors.venues.paper.venue import Reply

ID_MAX = 36
HTTP_OK = 200
THROTTLED = frozenset({418, 429})

METHODS: dict[str, tuple[str, str]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.status": ("GET", "/fapi/v2/account"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
    "ticker.price": ("GET", "/fapi/v2/ticker/price"),
    "ping": ("GET", "/fapi/v1/ping"),
    "time": ("GET", "/fapi/v1/time"),
}


class WsAnswer(msgspec.Struct, kw_only=True):
    """An answer frame, the user events to publish before it, and a delay in seconds."""

    frame: bytes
    events: list[PaperEvent] = []
    delay_s: float = 0.0
    reset: bool = False
    """Fault: reset the connection instead of answering."""


class WsApi:
    """Websocket API.

    Args:
        endpoints: the endpoints that serve the requests.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def handle(self, text: str, system_ms: int) -> WsAnswer:
        """Answer one request frame."""
        venue = self._endpoints.venue
        now_ms = venue.clock.at(system_ms)
        id_: Any = None
        try:
            request = msgspec.json.decode(text, type=dict[str, Any])
            id_, method = request.get("id"), request.get("method")
            params = {k: as_text(v) for k, v in dict(request.get("params") or {}).items() if v is not None}
        except (msgspec.MsgspecError, TypeError, ValueError):
            return self._error_answer(
                id_, ExchangeRefusal(PaperCode.ILLEGAL_CHARS, "The frame is no request."), now_ms
            )
        if not _is_id(id_):
            refusal = ExchangeRefusal(PaperCode.ILLEGAL_CHARS, "Illegal characters found in parameter 'id'.")
            return self._error_answer(None, refusal, now_ms)
        if method not in METHODS:
            refusal = ExchangeRefusal(PaperCode.UNKNOWN, f"no such method: {method}", 404)
            return self._error_answer(id_, refusal, now_ms)
        fault = venue.faults.next_for_request(*METHODS[method])
        if fault is not None and not fault.processed:
            return _with_fault(WsAnswer(frame=b"", delay_s=fault.seconds), fault, id_)
        reply_frame = self._serve(id_, method, params, now_ms)
        return reply_frame if fault is None else _with_fault(reply_frame, fault, id_)

    def _serve(self, id_: Any, method: str, params: dict[str, str], now_ms: int) -> WsAnswer:
        venue, route = self._endpoints.venue, self._endpoints.table[METHODS[method]]

        def authorize() -> None:
            if route.security is SecurityType.NONE:
                return
            secret = check_key(params.get("apiKey"), venue.keys)
            if route.security is SecurityType.SIGNED:
                signed = "&".join(f"{k}={params[k]}" for k in sorted(params) if k != "signature")
                check_signature(signed, params.get("signature", ""), secret)
                check_time(params, now_ms)

        reply = self._endpoints.dispatch(route, params, now_ms, authorize)
        good = reply.status == HTTP_OK
        frame = msgspec.json.encode(
            {
                "id": id_,
                "status": reply.status,
                "result" if good else "error": msgspec.Raw(_with_retry(reply, now_ms)),
                "rateLimits": self._rate_limits(now_ms),
            }
        )
        return WsAnswer(frame=frame, events=reply.events, delay_s=reply.delay_s)

    def _error_answer(self, id_: Any, refusal: ExchangeRefusal, now_ms: int) -> WsAnswer:
        error = {"code": int(refusal.code), "msg": refusal.text}
        frame = {"id": id_, "status": refusal.status, "error": error, "rateLimits": self._rate_limits(now_ms)}
        return WsAnswer(frame=msgspec.json.encode(frame))

    def _rate_limits(self, now_ms: int) -> list[dict[str, Any]]:
        windows = self._endpoints.venue.windows
        weight, in_10s, in_minute = windows.counts(now_ms)
        limits = windows.limits
        rows = (
            ("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute, weight),
            ("ORDERS", "SECOND", 10, limits.orders_per_10s, in_10s),
            ("ORDERS", "MINUTE", 1, limits.orders_per_minute, in_minute),
        )
        names = ("rateLimitType", "interval", "intervalNum", "limit", "count")
        return [dict(zip(names, row, strict=True)) for row in rows]


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= ID_MAX
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _with_retry(reply: Reply, now_ms: int) -> bytes:
    """The body of an answer; for a rate limit error with the time of the next allowed request."""
    wait_s = int(reply.headers.get("retry-after", "0"))
    if reply.status not in THROTTLED or not wait_s:
        return reply.body
    data = {"serverTime": now_ms, "retryAfter": now_ms + wait_s * 1_000}
    return msgspec.json.encode({**msgspec.json.decode(reply.body), "data": data})


def _with_fault(reply_frame: WsAnswer, fault: HttpFault, id_: Any) -> WsAnswer:
    """The answer that a client sees through a faulty network. User events are published all the same."""
    reply_frame.delay_s = fault.seconds
    if fault.kind == "reset":
        reply_frame.reset = True
        return reply_frame
    page = {"id": id_, "status": fault.status, "error": {"page": fault.error_page().decode()}}
    reply_frame.frame = msgspec.json.encode(page)
    return reply_frame


def as_text(value: Any) -> str:
    """A parameter as text, in the form that is signed."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
