"""Values of limits as text, and back. TOML, environment, rows of the database and HTTP all come through here.

An error names the limit, the bad value and what would do; the caller puts the source in front (a file with its
line, a variable, a layer).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from actors.core.errors import BadConfig
from actors.core.units import ONE, ZERO, parse_decimal, plain
from actors.limits.model import LIMITS, SEED_TIERS, AdlTier, Unit

OFF = "off"

SECONDS_MAX = 10 * 365 * 86_400
"""Ten years; a cooldown beyond that is a typing mistake, and its end no time that a database knows."""

_LEAST = {Unit.LEVERAGE: ONE, Unit.COUNT: ONE, Unit.SECONDS: ONE}


def parse(name: str, text: object) -> Any:
    """The value of limit ``name`` out of text.

    Raises:
        BadConfig: no such limit, or a value that it cannot have; names both and the cure.
    """
    limit = LIMITS.get(name)
    if limit is None:
        raise BadConfig(f"{name}: no such limit; {hint(name, LIMITS)}")
    text = str(text).strip()
    if text.lower() == OFF:
        if not limit.optional:
            needed = "a number (" + limit.unit + ")" if limit.choice is None else limit.range
            raise BadConfig(f"{name}: cannot be switched off; give {needed}")
        return None
    if limit.choice is not None:
        if text not in {c.value for c in limit.choice}:
            raise BadConfig(f"{name}: {text!r} is none of {', '.join(c.value for c in limit.choice)}")
        return limit.choice(text)
    if limit.unit is Unit.TIERS:
        return _tiers(name, text)
    value = _number(name, text)
    if value < _LEAST.get(limit.unit, ZERO) or value == ZERO or (limit.unit is Unit.RATIO and value > ONE):
        raise BadConfig(f"{name}: {text} cannot be; it is a {limit.unit}")
    if limit.unit is Unit.SECONDS and value > SECONDS_MAX:
        raise BadConfig(f"{name}: {text} cannot be; it is at most {SECONDS_MAX} seconds, ten years")
    if limit.unit in {Unit.COUNT, Unit.SECONDS}:
        if value != value.to_integral_value():
            raise BadConfig(f"{name}: {text} must be a whole number")
        return int(value)
    return value


def shown(value: Any) -> str:
    """A limit's value as text that ``parse`` reads back."""
    if value is None:
        return OFF
    if isinstance(value, tuple):
        return ", ".join(f"{plain(t.margin_ratio)}:{plain(t.fraction)}" for t in value)
    return plain(value) if isinstance(value, Decimal) else str(value)


def hint(name: str, known: Iterable[str]) -> str:
    """What may have been meant by an unknown name, or all that there is."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"


def _number(name: str, text: str) -> Decimal:
    try:
        return parse_decimal(text, name)
    except ValueError as error:
        raise BadConfig(str(error)) from None


def _tiers(name: str, text: str) -> tuple[AdlTier, ...]:
    tiers = []
    for pair in text.split(","):
        ratio, colon, fraction = (part.strip() for part in pair.partition(":"))
        if not colon:
            raise BadConfig(
                f"{name}: {pair.strip()!r} is not ratio:fraction, for example {shown(SEED_TIERS[:1])}"
            )
        tiers.append(AdlTier(_number(name, ratio), _number(name, fraction)))
    for tier in tiers:
        if not (ZERO < tier.margin_ratio <= ONE and ZERO < tier.fraction <= ONE):
            raise BadConfig(
                f"{name}: {shown((tier,))} cannot be; ratio and fraction are above 0 and at most 1"
            )
    if any(b.margin_ratio <= a.margin_ratio or b.fraction < a.fraction for a, b in pairwise(tiers)):
        raise BadConfig(f"{name}: {text!r} must rise: a higher margin ratio closes no less")
    return tuple(tiers)
