"""Values of the JSON bodies that the paper exchange's own paths take. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

COUNT_MAX = 10_000
SECONDS_MAX = 86_400
OFFSET_MAX_MS = 10**12
DRIFT_MAX = 10**7
CODE_MIN = -99_999


def measure(wanted: Mapping[str, object], name: str, default: float, low: float, high: float) -> float:
    """A number of a JSON body, within bounds; NaN is outside of all.

    Raises:
        ValueError: naming the value and the bounds.
    """
    value = wanted.get(name, default)
    try:
        found = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else nan
    except (ValueError, OverflowError):
        found = nan
    if not low <= found <= high:
        raise ValueError(f"{name}: {value!r} must be a number from {low:.15g} to {high:.15g}")
    return found


def whole(wanted: Mapping[str, object], name: str, default: int, low: int, high: int) -> int:
    """A whole number of a JSON body, within bounds.

    Raises:
        ValueError: naming the value and the bounds.
    """
    found = measure(wanted, name, default, low, high)
    if found != int(found):
        raise ValueError(f"{name}: {wanted.get(name)!r} must be a whole number")
    return int(found)


def flag(wanted: Mapping[str, object], name: str, *, default: bool) -> bool:
    """A truth value of a JSON body; the text "false" is none.

    Raises:
        ValueError: naming the value.
    """
    value = wanted.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {value!r} must be true or false")  # noqa: TRY004 - bad input, as all of it
    return value


def count_of(wanted: Mapping[str, object]) -> int:
    """How often a fault happens.

    Raises:
        ValueError: naming the value and the bounds.
    """
    return whole(wanted, "count", 1, 1, COUNT_MAX)
