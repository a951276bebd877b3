"""What a command to an account is answered with: done, refused with every failed check, or not durable yet."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from actors.api.address import HTTP_REJECTED
from actors.api.errors import ERRORS
from actors.subaccount.pipeline import Accepted, Rejected

HTTP_PENDING = 202


class Pending(msgspec.Struct, frozen=True, tag=True):
    """Accepted, but not durable yet, because Postgres does not answer; the message says what that means."""

    message: str


Outcome = Accepted | Rejected | Pending

OUTCOMES = {
    **ERRORS,
    HTTP_REJECTED: ResponseSpec(
        Rejected, description="refused, with every check that failed", generate_examples=False
    ),
    HTTP_PENDING: ResponseSpec(
        Pending,
        description="accepted, but Postgres does not answer: not durable yet",
        generate_examples=False,
    ),
}
"""What a route that commands an account may answer beside 200, for the OpenAPI document."""


def outcome_response(outcome: Outcome) -> Response[Outcome]:
    """200, 422 with every check that failed, or 202 for what is accepted and not durable yet."""
    if isinstance(outcome, Pending):
        return Response(outcome, status_code=HTTP_PENDING)
    return Response(outcome, status_code=HTTP_REJECTED if isinstance(outcome, Rejected) else 200)


def plain_json(value: Any) -> Response[Any]:
    """JSON of any object; what JSON has no form for is shown as text."""
    return Response(msgspec.json.encode(value, enc_hook=str), media_type="application/json")
