"""Injected faults: what real exchanges, proxies and networks do, on request. Pure.

A request meets faults in this order, from the client inwards: a connection reset on accept, an HTTP fault of its path
(before or after the exchange processed it, see ``processed``), then an order fault inside the endpoint. Event and stream
faults are applied later, when user events are published. Planned faults of one kind are used first in, first out.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from actors.venues.paper.codes import PaperCode
from actors.venues.paper.json_body import (
    CODE_MIN,
    OFFSET_MAX_MS,
    SECONDS_MAX,
    read_count,
    read_flag,
    read_integer,
    read_number,
)

ORDER_FAULTS = {"lost_reply", "server_error", "reject", "delay"}
EVENT_FAULTS = {"duplicate_events", "drop_events"}
HTTP_FAULTS = {"proxy", "timeout", "redirect", "reset"}
STREAM_FAULTS = {"silent_stream"}
CONNECTION_FAULTS = {"refuse_connections"}
QUOTE_FAULTS = {"old_quotes"}

ERROR_PAGE = (
    b"<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n"
    b"<hr><center>cloudfront</center>\r\n</body>\r\n</html>\r\n"
)
ERROR_NAMES = {
    403: b"Forbidden",
    408: b"Request Timeout",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Time-out",
}


class Fault(msgspec.Struct, frozen=True):
    """A fault of one order request. ``code`` is the error code of a reject, ``seconds`` the length of a delay."""

    kind: str
    code: int = PaperCode.UNKNOWN
    seconds: float = 1.0


class HttpFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of a proxy or of the network, for one request.

    ``processed`` (``taken`` in the admin API) tells whether the exchange processes the request although its answer is
    lost. ``path`` is a prefix of the request's path. ``method`` is empty for any method, and WEBSOCKET for a websocket
    handshake.
    """

    kind: str
    status: int = 502
    processed: bool = False
    path: str = "/fapi/v1/order"
    method: str = ""
    seconds: float = 0.0

    def matches(self, method: str, path: str) -> bool:
        """Whether this fault applies to a request."""
        return path.startswith(self.path) and self.method in {"", method}

    def error_page(self) -> bytes:
        """HTML error page of a proxy."""
        name = ERROR_NAMES.get(self.status, b"Error")
        return ERROR_PAGE % (self.status, name, self.status, name)


class ExchangeClock:
    """The exchange's clock: the system clock plus an offset, which may drift."""

    def __init__(self) -> None:
        self._offset_ms = 0
        self._drift_ms_per_s = 0.0
        self._since_ms = 0

    def set(self, offset_ms: int, drift_ms_per_s: float, system_ms: int) -> None:
        """Set the offset in milliseconds, and the drift from now on in milliseconds per second."""
        self._offset_ms, self._drift_ms_per_s, self._since_ms = offset_ms, drift_ms_per_s, system_ms

    def at(self, system_ms: int) -> int:
        """Exchange time for a system time; both in Unix milliseconds."""
        if not self._drift_ms_per_s:
            return system_ms + self._offset_ms
        drifted = self._drift_ms_per_s * (system_ms - self._since_ms) / 1_000
        return system_ms + self._offset_ms + int(drifted)


class Faults:
    """Planned faults."""

    def __init__(self) -> None:
        self._orders: deque[Fault] = deque()
        self._http: list[HttpFault] = []
        self._duplicate = 0
        self._drop = 0
        self.silent_stream = False
        """User data streams stay connected but receive nothing."""
        self.quote_age_ms = 0
        """Age in milliseconds of the timestamps that quotes are published with."""
        self._refused_connections = 0

    def add(self, body: dict[str, Any]) -> None:
        """Plan ``count`` faults of a ``kind``, or switch a permanent one with ``on``.

        Raises:
            ValueError: an unknown kind or a bad value; the message names it.
        """
        kind, count = body.get("kind"), read_count(body)
        if kind in ORDER_FAULTS:
            fault = Fault(
                str(kind),
                read_integer(body, "code", PaperCode.UNKNOWN, CODE_MIN, -1),
                read_number(body, "seconds", 1.0, 0, SECONDS_MAX),
            )
            self._orders.extend([fault] * count)
        elif kind in HTTP_FAULTS:
            self._http += [self._http_fault(str(kind), body)] * count
        elif kind == "duplicate_events":
            self._duplicate += count
        elif kind == "drop_events":
            self._drop += count
        elif kind == "silent_stream":
            self.silent_stream = read_flag(body, "on", default=True)
        elif kind == "refuse_connections":
            self._refused_connections += count
        elif kind == "old_quotes":
            self.quote_age_ms = read_integer(body, "ms", 60_000, -OFFSET_MAX_MS, OFFSET_MAX_MS)
        else:
            known = sorted(
                ORDER_FAULTS | EVENT_FAULTS | HTTP_FAULTS | STREAM_FAULTS | CONNECTION_FAULTS | QUOTE_FAULTS
            )
            raise ValueError(f"kind: {kind!r} is not one of {', '.join(known)}")

    @staticmethod
    def _http_fault(kind: str, body: dict[str, Any]) -> HttpFault:
        usual = {"timeout": 408, "redirect": 307}.get(kind, 502)
        return HttpFault(
            kind=kind,
            status=read_integer(body, "status", usual, 300, 599),  # anything but success
            processed=read_flag(body, "taken", default=False),
            path=str(body.get("path", "/fapi/v1/order")),
            method=str(body.get("method", "")).upper(),
            seconds=read_number(body, "seconds", 0.0, 0, SECONDS_MAX),
        )

    def next_for_order(self) -> Fault | None:
        """Take the next planned fault for a new order, if any."""
        return self._orders.popleft() if self._orders else None

    def next_for_request(self, method: str, path: str) -> HttpFault | None:
        """Take the next planned fault that applies to a request, if any."""
        for fault in self._http:
            if fault.matches(method, path):
                self._http.remove(fault)
                return fault
        return None

    def refuses_connection(self) -> bool:
        """Whether the next connection is reset as soon as it is accepted; uses up one planned fault."""
        if self._refused_connections:
            self._refused_connections -= 1
            return True
        return False

    def copies_of_event(self) -> int:
        """How many times to send the next user event: 1, or 0 or 2 if a fault is planned."""
        if self.silent_stream:
            return 0
        if self._drop:
            self._drop -= 1
            return 0
        if self._duplicate:
            self._duplicate -= 1
            return 2
        return 1
