"""Errors over HTTP: the status code of each class of errors, and the body of the answer.

Every error is answered with ``{"error": {"code", "message"}}``. ``code`` is the name of the class of the error; the
message says what was wrong and how to correct it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pykka
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, WebSocketException
from litestar.openapi.datastructures import ResponseSpec

from actors.api.pools import RETRY_AFTER_S
from actors.api.request_errors import explain
from actors.core.errors import (
    BadInput,
    BooksWrong,
    BulkheadError,
    ExchangeBusy,
    ExchangeUnreachable,
    NotDurable,
    NotRecorded,
    OtherHistory,
    Overloaded,
    RedisRefused,
    RedisUnreachable,
    Refused,
    StoreBusy,
    StoreUnreachable,
    VenueRefused,
)
from actors.core.names import harmless

log = structlog.get_logger("api")

WEBSOCKET_CODES = 4_000
"""The code that a websocket is closed with is so much more than the HTTP status of the same error."""

ERROR_MAX = 2_000
"""Characters of a message; what a request repeats to itself is cut."""


class NotFound(BulkheadError):  # noqa: N818 - the name is the code that a client reads
    """No account, actor, order or dead letter has that name."""


class Conflict(BulkheadError):  # noqa: N818 - as above
    """Another request was first, or the present state does not allow it."""


class Starting(BulkheadError):  # noqa: N818 - as above
    """The engine has no accounts yet."""


STARTING = "the engine is starting and has not loaded its accounts; try again in some seconds"


class ErrorText(msgspec.Struct, frozen=True):
    """What was wrong and how to correct it; ``code`` is the class of the error."""

    code: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """Every error has this form."""

    error: ErrorText


STATUS_OF: tuple[tuple[type[BaseException], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (OtherHistory, 409),
    (BadInput, 400),
    (BooksWrong, 500),
    (Refused, 429),
    (StoreUnreachable, 503),
    (StoreBusy, 503),
    (Overloaded, 503),
    (NotRecorded, 503),
    (Starting, 503),
    (RedisUnreachable, 503),
    (RedisRefused, 503),
    (pykka.Timeout, 504),
    (NotDurable, 503),
    (ExchangeUnreachable, 502),
    (VenueRefused, 502),
    (ExchangeBusy, 503),
    (pykka.ActorDeadError, 409),
    (BulkheadError, 504),
)
"""The first class that fits decides; what fits none is 500, a fault of ours."""

ERRORS = {
    status: ResponseSpec(ErrorBody, description=text, generate_examples=False)
    for status, text in {
        400: "a bad value; the message names it",
        401: "no token, or a wrong one",
        403: "the token of a viewer",
        404: "no such account, actor, order or dead letter",
        405: "the path does not have this method",
        409: "another request was first, or the present state does not allow it",
        429: "too many commands wait for this account",
        502: "the exchange does not answer, or refuses",
        503: "the engine is starting, Postgres does not answer, too many requests wait (see Retry-After), or the exchange may not be asked yet",
        504: "the actor did not answer in time",
    }.items()
}
"""What every route may answer, for the OpenAPI document."""


def error_response(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The answer to a request that raised ``error``."""
    code, text, headers = type(error).__name__, str(error), {}
    if isinstance(error, HTTPException):
        status = error.status_code
        text = _explained(request, error) if error.extra else error.detail
    elif isinstance(error, RecursionError):
        status, code, text = 400, "BadInput", "the request is nested too deeply"
    else:
        status = status_of(error)
    if status == 500:  # noqa: PLR2004 - our fault, not the caller's
        log.error("request failed", error=harmless(repr(error), ERROR_MAX), exc_info=error)
    if isinstance(error, Overloaded | Starting):
        headers["retry-after"] = str(RETRY_AFTER_S)
    return Response(_body(code, text), status_code=status, headers=headers)


def refused(error: Exception) -> WebSocketException:
    """How a websocket is refused that would be an HTTP request's error; see ``api.connections.Refusals``."""
    if isinstance(error, HTTPException):
        status, text = error.status_code, error.detail
    else:
        status, text = status_of(error), str(error)
    body = _body(type(error).__name__, text)
    return WebSocketException(code=WEBSOCKET_CODES + status, detail=msgspec.json.encode(body).decode())


def status_of(error: BaseException) -> int:
    """The HTTP status of an error of ours; 500 of any other."""
    return next((status for kind, status in STATUS_OF if isinstance(error, kind)), 500)


def _body(code: str, text: str) -> dict[str, dict[str, str]]:
    return {"error": {"code": code, "message": harmless(text, ERROR_MAX)}}


def _explained(request: Request[Any, Any, Any], error: HTTPException) -> str:
    """What does not fit in a request: which field, and what would be right."""
    handler = request.scope.get("route_handler")
    field = getattr(handler, "parsed_data_field", None)
    faults = [e for e in error.extra if isinstance(e, dict)] if isinstance(error.extra, list) else []
    if not faults:
        return f"{error.detail}: {msgspec.json.encode(error.extra, enc_hook=str).decode()}"
    if (
        isinstance(error.__cause__, msgspec.ValidationError)
        and len(faults) == 1
        and faults[0]["source"] == "body"
    ):
        return explain(str(error.__cause__), field and field.annotation)
    return "; ".join(explain(str(f["message"]), None, str(f["key"])) for f in faults)
