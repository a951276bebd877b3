"""Blocking requests to Binance, at the start and for operators. Each ends in an answer or a clear error.

I/O: sends HTTP requests and waits for the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import httpx
import msgspec

from actors.core.errors import ExchangeBusy, ExchangeUnreachable, VenueRefused
from actors.core.units import NANOS_PER_MS
from actors.venues.binance.errors import Code
from actors.venues.binance.signing import sign
from actors.venues.binance.throttle import OverBudget, Terms, Throttle, throttled_sync
from actors.venues.binance.translate import error_of
from actors.venues.binance.weight import Urgency

REQUEST_SECONDS = 5.0
SIGNED_FOR_MS = "5000"
TRIES = 3
RETRY_SECONDS = 0.5
"""A request whose time was refused is signed again, this often and this much later."""

CURES = {
    Code.REJECTED_MBX_KEY: "check api_key, that the key may trade futures, and that it allows this address",
    Code.BAD_API_KEY_FMT: "api_key is not one of the exchange; check BULKHEAD_API_KEY",
    Code.INVALID_SIGNATURE: "api_secret does not belong to api_key; check BULKHEAD_API_SECRET",
    Code.INVALID_TIMESTAMP: "the clock of this machine is off; synchronize it",
}
"""What to do about an error, where that does not depend on what was asked."""

Answer = TypeVar("Answer")

NOTHING: Mapping[str, str] = {}


class Asker:
    """Asks one exchange. Thread-safe.

    Args:
        base: REST base URL.
        key: API key of the master account.
        secret: its secret.
        throttle: the budget of request weight.
    """

    def __init__(self, base: str, key: str, secret: str, throttle: Throttle) -> None:
        self.base, self.has_key = base, bool(key)
        self._secret, self._throttle = secret, throttle
        # Signed with the exchange's clock, once that is known.
        self.now_ms: Callable[[], int] = lambda: time.time_ns() // NANOS_PER_MS
        self._client = httpx.Client(
            base_url=base,
            headers={"X-MBX-APIKEY": key} if key else {},
            timeout=REQUEST_SECONDS,
            transport=throttled_sync(throttle, Urgency.ORDERS),
        )

    def get(self, path: str, kind: type[Answer], urgency: Urgency = Urgency.ORDERS) -> Answer:
        """A public question.

        Raises:
            ExchangeUnreachable: no usable answer; names the path and what came.
            ExchangeBusy: not asked, because of our own budget; says when to try again.
            VenueRefused: the exchange says no; names its code, and the cure where there is one.
        """
        return self._decoded(path, self._send("GET", path, NOTHING, urgency), kind)

    def signed(
        self,
        method: str,
        path: str,
        kind: type[Answer],
        urgency: Urgency = Urgency.ORDERS,
        params: Mapping[str, str] = NOTHING,
    ) -> Answer:
        """A question or a command in the name of the master account.

        Raises:
            ExchangeUnreachable, VenueRefused: as ``get``.
        """
        for left in reversed(range(TRIES)):
            try:
                return self._decoded(path, self._send(method, path, params, urgency, sign_it=True), kind)
            except VenueRefused as error:
                if error.code != Code.INVALID_TIMESTAMP or not left:
                    raise
                # The order side measures the exchange's clock meanwhile, if it was that.
                time.sleep(RETRY_SECONDS)
        raise AssertionError("the last try answers or raises")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(
        self, method: str, path: str, params: Mapping[str, str], urgency: Urgency, *, sign_it: bool = False
    ) -> bytes:
        query: Mapping[str, str] | None
        try:
            # Signed when its turn has come: a signature grows stale in line.
            ticket = self._throttle.admit_sync(Terms.of(method, path, params, urgency))
            url, query = path, params
            if sign_it:
                stamped = {**params, "recvWindow": SIGNED_FOR_MS, "timestamp": str(self.now_ms())}
                url, query = f"{path}?{sign(stamped, self._secret)}", None
            answer = self._client.request(method, url, params=query, extensions={"ticket": ticket})
        except OverBudget as error:
            raise ExchangeBusy(f"the exchange was not asked for {path}: {error}") from None
        except httpx.HTTPError as error:
            raise ExchangeUnreachable(
                f"{self.base} does not answer as an exchange ({path}: {type(error).__name__}: {error}); "
                "is it running? 'bulkhead paper' starts one for trying out"
            ) from None
        if answer.is_success:
            return answer.content
        code, text = error_of(answer.content)
        if not code:
            raise ExchangeUnreachable(
                f"{self.base} does not answer {path} as an exchange: HTTP {answer.status_code}, {text!r}"
            )
        cure = CURES.get(Code(code)) if code in set(Code) else None
        raise VenueRefused(f"{method} {path}: {code} {text}" + (f"; {cure}" if cure else ""), code)

    def _decoded(self, path: str, content: bytes, kind: type[Answer]) -> Answer:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as error:
            raise ExchangeUnreachable(
                f"{self.base} does not answer {path} as an exchange: {error}: {content[:200]!r}"
            ) from None
