"""Request pipeline of the paper exchange: faults, rate limits, API key, signature, then the endpoint. Pure."""

from __future__ import annotations

from collections.abc import Callable

from actors.venues.paper.admin import Admin
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.config import PaperConfig
from actors.venues.paper.faults import HttpFault
from actors.venues.paper.requests import (
    Params,
    check_key,
    check_signature,
    check_time,
    read_params,
    signed_payload,
)
from actors.venues.paper.routes import Route, SecurityType, routes
from actors.venues.paper.venue import PaperVenue, Reply, error_reply

HTTP_OK, HTTP_BANNED, HTTP_NOT_FOUND = 200, 418, 404
ADMIN = "/paper/"


class Endpoints:
    """All endpoints of one paper exchange. ``handle`` serves HTTP; ``dispatch`` is shared with the websocket API."""

    def __init__(self, config: PaperConfig) -> None:
        self.venue = PaperVenue(config)
        self.table = routes(self.venue)
        self.admin = Admin(self.venue)

    def handle(  # noqa: PLR0913 - the parts of a request
        self, method: str, path: str, query: str, body: bytes, key: str | None, system_ms: int
    ) -> Reply:
        """Answer one HTTP request. ``system_ms`` is the system clock; the exchange's clock may differ by a fault."""
        venue = self.venue
        now_ms = venue.clock.at(system_ms)
        if path.startswith(ADMIN):
            return self.admin.handle(method, path, key, body, system_ms)
        fault = venue.faults.next_for_request(method, path)
        if fault is None:
            return self._serve_exchange_path(method, path, query, body, key, now_ms)
        reply = (
            self._serve_exchange_path(method, path, query, body, key, now_ms) if fault.processed else Reply()
        )
        return _with_fault(reply, fault, path)

    def _serve_exchange_path(  # noqa: PLR0913 - as above
        self, method: str, path: str, query: str, body: bytes, key: str | None, now_ms: int
    ) -> Reply:
        route = self.table.get((method, path))
        if route is None:
            return error_reply(
                ExchangeRefusal(PaperCode.UNKNOWN, f"no such endpoint: {method} {path}", HTTP_NOT_FOUND)
            )
        text = body.decode("utf-8", "surrogateescape")
        params = read_params(query, text)

        def authorize() -> None:
            if route.security is SecurityType.NONE:
                return
            secret = check_key(key, self.venue.keys)
            if route.security is SecurityType.SIGNED:
                check_signature(*signed_payload(query, text), secret)
                check_time(params, now_ms)

        return self.dispatch(route, params, now_ms, authorize)

    def dispatch(self, route: Route, params: Params, now_ms: int, authorize: Callable[[], None]) -> Reply:
        """Count a request against the rate limits, authorize it, and run its handler."""
        decision = self.venue.windows.count_request(now_ms, *route.cost(params))
        if decision.status != HTTP_OK:
            code = (
                PaperCode.TOO_MANY_ORDERS if decision.limit_kind == "orders" else PaperCode.TOO_MANY_REQUESTS
            )
            text = ""
            if decision.status == HTTP_BANNED:
                text = f"Way too many requests; IP banned until {now_ms + decision.retry_after_s * 1_000}."
            reply = error_reply(ExchangeRefusal(code, text, decision.status))
            reply.headers = decision.headers
            return reply
        try:
            authorize()
            reply = route.handle(params, now_ms)
        except ExchangeRefusal as refusal:
            reply = error_reply(refusal)
        reply.headers = decision.headers
        return reply


def _with_fault(reply: Reply, fault: HttpFault, path: str) -> Reply:
    """The answer that a client sees through a faulty proxy or network. User events are published all the same."""
    if fault.kind == "reset":
        return Reply(reset=True, events=reply.events, delay_s=fault.seconds)
    headers = {"content-type": "text/html", "server": "CloudFront"}
    if fault.kind == "redirect":
        headers["location"] = f"http://127.0.0.1:9/elsewhere{path}"
    return Reply(
        status=fault.status,
        body=fault.error_page(),
        headers=headers,
        events=reply.events,
        delay_s=fault.seconds,
    )
