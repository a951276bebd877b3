"""Faults that the paper exchange can be told to show, as real exchanges and networks do unasked. Pure."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from actors.venues.paper.bodies import CODE_MIN, OFFSET_MAX_MS, SECONDS_MAX, count_of, flag, measure, whole
from actors.venues.paper.codes import PaperCode

ORDER_FAULTS = {"lost_reply", "server_error", "reject", "delay"}
EVENT_FAULTS = {"duplicate_events", "drop_events"}
HTTP_FAULTS = {"proxy", "timeout", "redirect", "reset"}
SWITCHES = {"silent_stream"}
COUNTED = {"refuse_connections"}
AGED = {"old_quotes"}

PAGE = (
    b"<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n"
    b"<hr><center>cloudfront</center>\r\n</body>\r\n</html>\r\n"
)
PAGES = {
    403: b"Forbidden",
    408: b"Request Timeout",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Time-out",
}


class Fault(msgspec.Struct, frozen=True):
    """One fault for one order: ``kind``, error ``code`` for rejects, ``seconds`` for delays."""

    kind: str
    code: int = PaperCode.UNKNOWN
    seconds: float = 1.0


class HttpFault(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between client and exchange spoils one request.

    ``taken`` says whether the exchange handled the request all the same. ``path`` is what a request's
    path must begin with, ``method`` its method, empty for any; of a websocket that is opened it is WEBSOCKET.
    """

    kind: str
    status: int = 502
    taken: bool = False
    path: str = "/fapi/v1/order"
    method: str = ""
    seconds: float = 0.0

    def meets(self, method: str, path: str) -> bool:
        """Whether a request is one that this spoils."""
        return path.startswith(self.path) and self.method in {"", method}

    def page(self) -> bytes:
        """What the proxy shows."""
        name = PAGES.get(self.status, b"Error")
        return PAGE % (self.status, name, self.status, name)


class ExchangeClock:
    """The exchange's own clock: ahead of the machine's by an offset that may grow."""

    def __init__(self) -> None:
        self._offset_ms = 0
        self._drift_ms_per_s = 0.0
        self._since_ms = 0

    def set(self, offset_ms: int, drift_ms_per_s: float, machine_ms: int) -> None:
        """Step to an offset, and drift on from there."""
        self._offset_ms, self._drift_ms_per_s, self._since_ms = offset_ms, drift_ms_per_s, machine_ms

    def at(self, machine_ms: int) -> int:
        """What it shows when the machine's clock shows ``machine_ms``."""
        if not self._drift_ms_per_s:
            return machine_ms + self._offset_ms
        drifted = self._drift_ms_per_s * (machine_ms - self._since_ms) / 1_000
        return machine_ms + self._offset_ms + int(drifted)


class Faults:
    """What is still to go wrong."""

    def __init__(self) -> None:
        self._orders: deque[Fault] = deque()
        self._http: list[HttpFault] = []
        self._duplicate = 0
        self._drop = 0
        self.silent_stream = False
        """User streams stay connected and are told nothing."""
        self.quote_age_ms = 0
        """How old the time is that L1 is told with."""
        self._refused_connections = 0

    def add(self, wanted: dict[str, Any]) -> None:
        """Plan ``count`` faults of a ``kind``, or switch one with ``on``.

        Raises:
            ValueError: an unknown kind or a bad number, named.
        """
        kind, count = wanted.get("kind"), count_of(wanted)
        if kind in ORDER_FAULTS:
            fault = Fault(
                str(kind),
                whole(wanted, "code", PaperCode.UNKNOWN, CODE_MIN, -1),
                measure(wanted, "seconds", 1.0, 0, SECONDS_MAX),
            )
            self._orders.extend([fault] * count)
        elif kind in HTTP_FAULTS:
            self._http += [self._http_fault(str(kind), wanted)] * count
        elif kind == "duplicate_events":
            self._duplicate += count
        elif kind == "drop_events":
            self._drop += count
        elif kind == "silent_stream":
            self.silent_stream = flag(wanted, "on", default=True)
        elif kind == "refuse_connections":
            self._refused_connections += count
        elif kind == "old_quotes":
            self.quote_age_ms = whole(wanted, "ms", 60_000, -OFFSET_MAX_MS, OFFSET_MAX_MS)
        else:
            known = sorted(ORDER_FAULTS | EVENT_FAULTS | HTTP_FAULTS | SWITCHES | COUNTED | AGED)
            raise ValueError(f"kind: {kind!r} is none of {', '.join(known)}")

    @staticmethod
    def _http_fault(kind: str, wanted: dict[str, Any]) -> HttpFault:
        usual = {"timeout": 408, "redirect": 307}.get(kind, 502)
        return HttpFault(
            kind=kind,
            status=whole(wanted, "status", usual, 300, 599),  # what is no success
            taken=flag(wanted, "taken", default=False),
            path=str(wanted.get("path", "/fapi/v1/order")),
            method=str(wanted.get("method", "")).upper(),
            seconds=measure(wanted, "seconds", 0.0, 0, SECONDS_MAX),
        )

    def for_order(self) -> Fault | None:
        """The fault for the order at hand, if one is planned."""
        return self._orders.popleft() if self._orders else None

    def for_request(self, method: str, path: str) -> HttpFault | None:
        """The fault for the request at hand, if one is planned."""
        for fault in self._http:
            if fault.meets(method, path):
                self._http.remove(fault)
                return fault
        return None

    def refuses_connection(self) -> bool:
        """Whether the connection at hand is reset as soon as it is accepted."""
        if self._refused_connections:
            self._refused_connections -= 1
            return True
        return False

    def copies_of_event(self) -> int:
        """How often the event at hand is sent: 1, or 0 or 2 when a fault is planned."""
        if self.silent_stream:
            return 0
        if self._drop:
            self._drop -= 1
            return 0
        if self._duplicate:
            self._duplicate -= 1
            return 2
        return 1
