"""Values in requests and answers: texts with a bound, and decimals as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from actors.core.errors import BadInput
from actors.core.units import parse_decimal

LIST_MAX = 10_000
"""Orders or accounts of one request."""

ShortText = Annotated[str, msgspec.Meta(max_length=100)]
LongText = Annotated[str, msgspec.Meta(max_length=500)]


class WhyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reason of what an operator does to an account; it is kept in the audit."""

    reason: Annotated[str, msgspec.Meta(max_length=500, min_length=1)] = "asked for by an operator"


def decimal_of(text: str, name: str) -> Decimal:
    """A decimal out of a request.

    Raises:
        BadInput: it is none; names field and value.
    """
    try:
        return parse_decimal(text, name)
    except ValueError as error:
        raise BadInput(str(error)) from None


NAMED_BY_CHECKS = {"nan": Decimal("NaN"), "inf": Decimal("Infinity"), "-inf": Decimal("-Infinity")}
"""No numbers of an order, but they are passed on to its checks: the answer then names them beside all other faults."""


def number_of(text: str, name: str) -> Decimal:
    """A number of an order; NaN and infinities are left to the checks, see ``NAMED_BY_CHECKS``.

    Raises:
        BadInput: it is none; names field and value.
    """
    known = NAMED_BY_CHECKS.get(text.lower().replace("infinity", "inf"))
    return decimal_of(text, name) if known is None else known


def at_most_8(price: Decimal) -> Decimal:
    """A price with at most eight decimals; zero is 0, not 0E-8."""
    return round(price, 8) or Decimal(0)


def check_length(bodies: Sequence[Any]) -> None:
    """Refuse a list that is too long.

    Raises:
        BadInput: says how many entries are taken.
    """
    if len(bodies) > LIST_MAX:
        raise BadInput(f"{len(bodies):,} entries are too many for one request; send at most {LIST_MAX:,}")
