"""Typed values of the admin endpoints' JSON bodies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

COUNT_MAX = 10_000
SECONDS_MAX = 86_400
OFFSET_MAX_MS = 10**12
DRIFT_MAX = 10**7
CODE_MIN = -99_999


def read_number(body: Mapping[str, object], name: str, default: float, low: float, high: float) -> float:
    """Read a number within bounds. NaN is rejected.

    Raises:
        ValueError: naming the value and the bounds.
    """
    value = body.get(name, default)
    try:
        found = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else nan
    except (ValueError, OverflowError):
        found = nan
    if not low <= found <= high:
        raise ValueError(f"{name}: {value!r} must be a number from {low:.15g} to {high:.15g}")
    return found


def read_integer(body: Mapping[str, object], name: str, default: int, low: int, high: int) -> int:
    """Read an integer within bounds.

    Raises:
        ValueError: naming the value and the bounds.
    """
    found = read_number(body, name, default, low, high)
    if found != int(found):
        raise ValueError(f"{name}: {body.get(name)!r} must be an integer")
    return int(found)


def read_flag(body: Mapping[str, object], name: str, *, default: bool) -> bool:
    """Read a boolean. The text "false" is rejected.

    Raises:
        ValueError: naming the value.
    """
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {value!r} must be true or false")  # noqa: TRY004 - bad input, like all others here
    return value


def read_count(body: Mapping[str, object]) -> int:
    """Read ``count``: how many times a fault happens.

    Raises:
        ValueError: naming the value and the bounds.
    """
    return read_integer(body, "count", 1, 1, COUNT_MAX)
