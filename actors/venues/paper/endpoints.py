"""The door of the paper exchange: limits, keys, signatures, faults in between, then the path's own work."""

from __future__ import annotations

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
    signed_text,
)
from actors.venues.paper.routes import Door, Route, routes
from actors.venues.paper.venue import PaperVenue, Reply, refused

HTTP_OK, HTTP_BANNED, HTTP_NOT_FOUND = 200, 418, 404
ADMIN = "/paper/"


class Endpoints:
    """All paths of one paper exchange. ``handle`` is the door for HTTP, ``serve`` for everybody who was let in."""

    def __init__(self, config: PaperConfig) -> None:
        self.venue = PaperVenue(config)
        self.table = routes(self.venue)
        self.admin = Admin(self.venue)

    def handle(  # noqa: PLR0913 - a request has that many parts
        self, method: str, path: str, query: str, body: bytes, key: str | None, machine_ms: int
    ) -> Reply:
        """Answer one request; ``machine_ms`` is the machine's clock, the exchange's own may differ."""
        venue = self.venue
        now_ms = venue.clock.at(machine_ms)
        if path.startswith(ADMIN):
            return self.admin.handle(method, path, key, body, machine_ms)
        fault = venue.faults.for_request(method, path)
        if fault is None:
            return self._served(method, path, query, body, key, now_ms)
        reply = self._served(method, path, query, body, key, now_ms) if fault.taken else Reply()
        return _spoiled(reply, fault, path)

    def _served(  # noqa: PLR0913 - as above
        self, method: str, path: str, query: str, body: bytes, key: str | None, now_ms: int
    ) -> Reply:
        route = self.table.get((method, path))
        if route is None:
            return refused(
                ExchangeRefusal(PaperCode.UNKNOWN, f"no such endpoint: {method} {path}", HTTP_NOT_FOUND)
            )
        text = body.decode("utf-8", "surrogateescape")
        params = read_params(query, text)

        def check() -> None:
            if route.door is Door.PUBLIC:
                return
            secret = check_key(key, self.venue.keys)
            if route.door is Door.SIGNED:
                check_signature(*signed_text(query, text), secret)
                check_time(params, now_ms)

        return self.serve(route, params, now_ms, check)

    def serve(self, route: Route, params: Params, now_ms: int, check: object = None) -> Reply:
        """Count a request, let ``check`` refuse it, and do what it asks for."""
        taken = self.venue.windows.take(now_ms, *route.cost(params))
        if taken.status != HTTP_OK:
            code = PaperCode.TOO_MANY_ORDERS if taken.by == "orders" else PaperCode.TOO_MANY_REQUESTS
            said = ""
            if taken.status == HTTP_BANNED:
                said = f"Way too many requests; IP banned until {now_ms + taken.retry_after_s * 1_000}."
            reply = refused(ExchangeRefusal(code, said, taken.status))
            reply.headers = taken.headers
            return reply
        try:
            if callable(check):
                check()
            reply = route.handle(params, now_ms)
        except ExchangeRefusal as refusal:
            reply = refused(refusal)
        reply.headers = taken.headers
        return reply


def _spoiled(reply: Reply, fault: HttpFault, path: str) -> Reply:
    """What a client sees of an answer when something stands in between; events are told all the same."""
    if fault.kind == "reset":
        return Reply(reset=True, events=reply.events, delay_s=fault.seconds)
    headers = {"content-type": "text/html", "server": "CloudFront"}
    if fault.kind == "redirect":
        headers["location"] = f"http://127.0.0.1:9/elsewhere{path}"
    return Reply(
        status=fault.status, body=fault.page(), headers=headers, events=reply.events, delay_s=fault.seconds
    )
