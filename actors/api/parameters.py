"""Parameters that routes of several nouns take: how much of a list, and who asks."""

from __future__ import annotations

import random
from typing import Annotated, Any

from litestar import Request
from litestar.params import Parameter

CAPTURE_TYPE = "application/x-bulkhead-capture"
"""The media type of the files that ``bulkhead rerun`` reads."""

PAGE_MAX = 10_000
BIGINT_MAX = 2**63 - 1
"""The largest integer that Postgres takes as an id."""

Limit = Annotated[int, Parameter(ge=1, le=PAGE_MAX)]
Offset = Annotated[int, Parameter(ge=0, le=BIGINT_MAX)]
HttpRequest = Request[Any, Any, Any]


def who(request: HttpRequest) -> str:
    """The name of the token that a request came with."""
    return str(request.user.name)


def new_cause(request: HttpRequest) -> str:
    """A new cause id for the orders of one request: found again by ``GET /v1/causes/...``."""
    return f"api:{who(request)}:{random.getrandbits(48):012x}"
