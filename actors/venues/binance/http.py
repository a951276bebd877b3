"""Signed REST requests to Binance, and what became of each. Every request of the order side goes through here."""

from __future__ import annotations

import time
from collections.abc import Mapping

import httpx

from actors.gateway.messages import Verdict
from actors.limits import RECV_WINDOW_MS
from actors.venues.binance.errors import Outcome, outcome_of
from actors.venues.binance.signing import sign
from actors.venues.binance.translate import error_of, retry_after_ms

REQUEST_SECONDS = 5.0
CONNECT_SECONDS = 2.0
CONNECTIONS = 24

VERDICTS = {
    Outcome.OK: Verdict.OK,
    Outcome.REJECTED: Verdict.REFUSED,
    Outcome.UNKNOWN: Verdict.UNKNOWN,
    Outcome.RATE_LIMITED: Verdict.THROTTLED,
    Outcome.NO_SUCH_ORDER: Verdict.NOT_FOUND,
    Outcome.DUPLICATE: Verdict.DUPLICATE,
}


class SignedHttp:
    """One master account's REST connection; made on the loop that uses it.

    Args:
        base: REST base URL.
        key: API key of the master account.
        secret: its secret.
    """

    def __init__(self, base: str, key: str, secret: str) -> None:
        self._base, self._secret = base, secret
        self._headers = {"X-MBX-APIKEY": key}
        self._client: httpx.AsyncClient | None = None

    async def call(
        self, method: str, path: str, params: Mapping[str, str], timestamp_ms: int
    ) -> tuple[Verdict, bytes, int]:
        """Send one signed request.

        Returns:
            How it ended, the answer's body, and for how many milliseconds the exchange asks us to wait.
        """
        signed = sign(
            {**params, "recvWindow": str(RECV_WINDOW_MS), "timestamp": str(timestamp_ms)}, self._secret
        )
        try:
            answer = await self.client().request(method, f"{path}?{signed}")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Verdict.NOT_SENT, str(error).encode(), 0
        except httpx.HTTPError as error:
            return Verdict.UNKNOWN, f"{type(error).__name__}: {error}".encode(), 0
        code, _ = (0, "") if answer.is_success else error_of(answer.content)
        retry_ms = retry_after_ms(answer.headers.get("retry-after", ""), time.time())
        return VERDICTS[outcome_of(answer.status_code, code or None)], answer.content, retry_ms

    def client(self) -> httpx.AsyncClient:
        """The connection pool, with the key in its headers."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._base,
                headers=self._headers,
                timeout=httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS),
                limits=httpx.Limits(max_connections=CONNECTIONS + 8, max_keepalive_connections=CONNECTIONS),
            )
        return self._client
