"""Frames of the exchange's websocket order API: requests that are signed one by one, and what an answer says. Pure.

An answer is believed as far as REST's is: only the exchange's own error body is a refusal. What cannot be read, or
contradicts itself, leaves the order's fate unknown.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from actors.venues.binance.errors import outcome_of
from actors.venues.binance.http import Answer
from actors.venues.binance.translate import RETRY_MAX_MS

PLACE, CANCEL = "order.place", "order.cancel"

METHODS: Mapping[str, tuple[str, str]] = {
    PLACE: ("POST", "/fapi/v1/order"),
    CANCEL: ("DELETE", "/fapi/v1/order"),
}
"""Methods that we use, and the REST request that each is: the same weight, the same answer."""

INTERVALS_MS = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}
MOMENT_MIN = 10**11
"""``retryAfter`` above this is a time in Unix milliseconds, below it a number of seconds."""
THROTTLED_STATUS = frozenset({418, 429})
COUNT_MAX = 10**12


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. What it holds is read later, so that nothing odd in it hides whose answer it is."""

    id: int | str | None = None
    status: msgspec.Raw = msgspec.Raw(b"0")
    result: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")
    rateLimits: msgspec.Raw = msgspec.Raw(b"[]")  # noqa: N815 - the wire's spelling, here and below


class RateCount(msgspec.Struct, frozen=True):
    """How much of one limit is used."""

    rateLimitType: str  # noqa: N815
    interval: str
    intervalNum: int  # noqa: N815
    limit: int
    count: int

    @property
    def window(self) -> tuple[str, str, int]:
        """Which limit it is."""
        return self.rateLimitType, self.interval, self.intervalNum


class RetryData(msgspec.Struct, frozen=True):
    """``data`` of a refusal for too many requests."""

    serverTime: int = 0  # noqa: N815
    retryAfter: int = 0  # noqa: N815


class OwnError(msgspec.Struct, frozen=True):
    """The exchange's own error body."""

    code: int
    msg: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class Told(msgspec.Struct, frozen=True):
    """An answer, and what it says of limits: weight used in this minute, and how long to wait (0: no need to)."""

    answer: Answer
    weight: int | None
    pause_ms: int


_frame = msgspec.json.Decoder(Frame)
_status = msgspec.json.Decoder(int)
_error = msgspec.json.Decoder(OwnError)
_retry = msgspec.json.Decoder(RetryData)
_limits = msgspec.json.Decoder(list[RateCount])
_encode = msgspec.json.Encoder().encode

EMPTY = (b"", b"null")


class Signer:
    """Signs requests with one key.

    Args:
        key: API key.
        secret: its secret.
    """

    def __init__(self, key: str, secret: str) -> None:
        self._key = key
        self._hmac = hmac.new(secret.encode(), digestmod="sha256")

    def request(
        self, id_: int, method: str, params: Mapping[str, str], timestamp_ms: int, window_ms: int
    ) -> str:
        """A frame: parameters sorted by name are signed, and integers travel as such."""
        whole: dict[str, str | int] = {
            **params,
            "apiKey": self._key,
            "recvWindow": window_ms,
            "timestamp": timestamp_ms,
        }
        signed = self._hmac.copy()
        signed.update(urlencode(sorted(whole.items())).encode())
        whole["signature"] = signed.hexdigest()
        return _encode({"id": str(id_), "method": method, "params": whole}).decode()


def can_carry(params: Mapping[str, str]) -> bool:
    """Whether the exchange documents what is signed for these parameters: how others than ASCII are is not said."""
    return all(value.isascii() for value in params.values())


def read(frame: bytes | str) -> Frame | None:
    """A frame as an answer; None if it is none."""
    try:
        return _frame.decode(frame)
    except msgspec.MsgspecError:
        return None


def told_by(frame: Frame, now_ms: int) -> Told:
    """What an answer says; ``now_ms`` is the exchange's time."""
    status = _status_of(frame)
    error, limits = _error_of(frame), _limits_of(frame)
    body, has_result = bytes(frame.error), bytes(frame.result) not in EMPTY
    code = None if error is None else error.code
    if (status == 200) == (body not in EMPTY) or has_result == (body not in EMPTY):  # noqa: PLR2004 - HTTP's
        # Neither an order nor an error, or both: it proves nothing.
        status, code = 0, None
    outcome = outcome_of(status, code)
    throttled = status in THROTTLED_STATUS
    pause_ms = _pause_ms(error, limits, now_ms) if throttled and error is not None else 0
    counts = {limit.window: limit.count for limit in limits if 0 <= limit.count <= COUNT_MAX}
    in_10s, in_1m = counts.get(("ORDERS", "SECOND", 10)), counts.get(("ORDERS", "MINUTE", 1))
    answer = Answer(
        outcome,
        body if body not in EMPTY else bytes(frame.result),
        pause_ms,
        orders_used=None if in_10s is None or in_1m is None else (in_10s, in_1m),
    )
    return Told(answer, counts.get(("REQUEST_WEIGHT", "MINUTE", 1)), pause_ms)


def _status_of(frame: Frame) -> int:
    try:
        return _status.decode(frame.status)
    except msgspec.MsgspecError:
        return 0


def _error_of(frame: Frame) -> OwnError | None:
    try:
        return _error.decode(frame.error)
    except msgspec.MsgspecError:
        return None


def _limits_of(frame: Frame) -> list[RateCount]:
    try:
        return _limits.decode(frame.rateLimits)
    except msgspec.MsgspecError:
        return []


def _pause_ms(error: OwnError, limits: list[RateCount], now_ms: int) -> int:
    """How long a refusal wants us to wait: what it says, else until the limit that is used up is reset."""
    try:
        said = _retry.decode(error.data)
    except msgspec.MsgspecError:
        said = RetryData()
    if said.retryAfter >= MOMENT_MIN:
        wait_ms = said.retryAfter - (said.serverTime if said.serverTime >= MOMENT_MIN else now_ms)
    else:
        wait_ms = said.retryAfter * 1_000
    if wait_ms <= 0:
        lengths = [
            INTERVALS_MS[limit.interval] * limit.intervalNum
            for limit in limits
            if limit.count >= limit.limit and limit.interval in INTERVALS_MS and limit.intervalNum > 0
        ]
        wait_ms = max((length - now_ms % length for length in lengths), default=1)
    return max(1, min(wait_ms, RETRY_MAX_MS))
