"""Where an account's limits come from; a later layer wins.

1. Of all accounts (``read``): built-in < profile < TOML file < ``RISK_*`` environment.
2. The platform's rule row (``with_rule``), for all accounts or for this one.
3. The account's own (``merge``), as an operator sets them.

An unknown name or an impossible value is refused; in a file, with the line. The environment's names are the
limits' own, in capitals: ``RISK_MAX_DAILY_LOSS=500``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.core.errors import BadConfig
from actors.core.trading_day import DEFAULT_BEGINS, DEFAULT_ZONE, DayRule
from actors.core.units import ONE, ZERO, plain
from actors.limits.model import LIMITS, RiskLimits
from actors.limits.parse import hint, parse, shown
from actors.limits.profiles import PROFILES

PREFIX = "RISK_"
SETTINGS = ("profile", "day_begins", "day_zone")
"""What stands beside the limits: a profile to begin with, and when the trading day begins."""


RULE_COLUMNS = ("max_leverage", "max_notional_per_trade", "max_total_exposure", "liquidation_threshold")
"""The columns of the platform's ``risk_rules``, which are limits of ours by the same name."""


class Layer(msgspec.Struct, frozen=True):
    """Values of one source, as text."""

    source: str
    values: Mapping[str, str]


class LimitRow(msgspec.Struct, frozen=True):
    """One line of ``bulkhead limits``; ``source`` is the layer that the value comes from."""

    name: str
    value: str
    source: str
    unit: str
    text: str


class RiskConfig(msgspec.Struct, frozen=True):
    """The layers below every account, lowest first, and the trading day."""

    layers: tuple[Layer, ...] = ()
    day_begins: str = DEFAULT_BEGINS
    day_zone: str = DEFAULT_ZONE

    @property
    def limits(self) -> RiskLimits:
        """The limits of an account that has no rule row and none of its own."""
        return merged(self.layers)

    @property
    def day_rule(self) -> DayRule:
        """When trading days begin."""
        return DayRule(self.day_begins, self.day_zone)


def merge(base: RiskLimits, values: Mapping[str, str]) -> RiskLimits:
    """``base`` with ``values`` over it.

    Raises:
        BadConfig: see ``parse``.
    """
    if not values:
        return base
    return replace(base, **{name: parse(name, text) for name, text in values.items()})


def differing(limits: RiskLimits) -> tuple[tuple[str, str], ...]:
    """The limits that differ from the built-in ones, as names and texts, by name."""
    known = _DIFFERING.get(id(limits))
    if known is not None:
        return known[1]
    # Most are the very object that the default is.
    found = tuple(
        (name, shown(value))
        for name, value, default in zip(_NAMES, _VALUES(limits), _BUILT_IN, strict=True)
        if value is not default and value != default
    )
    if len(_DIFFERING) >= DIFFERING_KNOWN:
        _DIFFERING.clear()
    _DIFFERING[id(limits)] = limits, found
    return found


DIFFERING_KNOWN = 64
"""So many limits are remembered with what differs in them: each account that is loaded compares, and most share one object."""

_NAMES = tuple(sorted(LIMITS))
_VALUES = attrgetter(*_NAMES)
_BUILT_IN = _VALUES(RiskLimits())
# By identity, which holds as long as the object is kept here.
_DIFFERING: dict[int, tuple[RiskLimits, tuple[tuple[str, str], ...]]] = {}


def merged(layers: Sequence[Layer]) -> RiskLimits:
    """All layers over the built-in limits, the last one on top.

    Raises:
        BadConfig: naming the source too.
    """
    limits = RiskLimits()
    for layer in layers:
        try:
            limits = merge(limits, layer.values)
        except BadConfig as error:
            raise BadConfig(f"{layer.source}: {error}") from None
    return limits


def with_rule(base: RiskLimits, row: Sequence[Decimal | None]) -> RiskLimits:
    """``base`` with a row of the platform's ``risk_rules`` over it; None in ``row`` leaves what is below.

    The values are taken as they are: a platform that sets a notional of 0 means that nothing may be opened.
    """
    values = {name: value for name, value in zip(RULE_COLUMNS, row, strict=True) if value is not None}
    threshold = values.get("liquidation_threshold")
    if threshold is not None and not ZERO < threshold <= ONE:
        # The platform's own reading of a threshold that cannot be.
        values["liquidation_threshold"] = RiskLimits().liquidation_threshold
    return replace(base, **values)


def rule_layer(row: Sequence[Decimal], *, is_global: bool) -> Layer:
    """A row of the platform's ``risk_rules`` as a layer, to show where a limit comes from."""
    source = "platform's rule for all" if is_global else "platform's rule of the account"
    return Layer(source, {name: plain(value) for name, value in zip(RULE_COLUMNS, row, strict=True)})


def read(
    table: Mapping[str, Any], environment: Mapping[str, str], file: str = "", text: str = ""
) -> RiskConfig:
    """Merge the ``[risk]`` table of a file and the environment.

    Args:
        table: names and values; numbers as text or ``Decimal``.
        environment: of the process.
        file: the file's name, for errors and for ``bulkhead limits``.
        text: the file's text, to find lines in.

    Raises:
        BadConfig: naming the source, the line in a file, the bad value and the cure.
    """
    own = _table(table, file, text)
    variables = _variables(environment)
    settings = {**own, **variables}
    layers = []
    profile = settings.get("profile", "")
    if profile:
        layers.append(Layer(f"profile {profile}", PROFILES[profile]))
    for source, values in ((file, own), ("environment", variables)):
        limits = {name: value for name, value in values.items() if name in LIMITS}
        if limits:
            layers.append(Layer(source, limits))
    return RiskConfig(
        tuple(layers), settings.get("day_begins", DEFAULT_BEGINS), settings.get("day_zone", DEFAULT_ZONE)
    )


def _table(table: Mapping[str, Any], file: str, text: str) -> dict[str, str]:
    found = {}
    for name, value in table.items():
        try:
            found[name] = _checked(name, value)
        except BadConfig as error:
            raise BadConfig(f"{file}:{_line_of(name, text)}: [risk] {error}") from None
    return found


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for variable, value in environment.items():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            try:
                found[name] = _checked(name, value)
            except BadConfig as error:
                raise BadConfig(f"{variable}: {error}") from None
    return found


def _checked(name: str, value: Any) -> str:
    if isinstance(value, bool | dict | list):
        raise BadConfig(f"{name}: {value!r} is not a number or a text")
    text = str(value)
    if name == "profile":
        if text not in PROFILES:
            raise BadConfig(f"profile: there is no {text!r}; known are {', '.join(sorted(PROFILES))}")
    elif name == "day_begins":
        DayRule(begins=text)
    elif name == "day_zone":
        DayRule(zone=text)
    elif name not in LIMITS:
        raise BadConfig(f"{name}: no such limit; {hint(name, (*LIMITS, *SETTINGS))}")
    else:
        parse(name, text)
    return text


def _line_of(name: str, text: str) -> int:
    in_risk = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("["):
            in_risk = line.strip().replace(" ", "") == "[risk]"
        elif in_risk and re.match(rf"""\s*["']?{re.escape(name)}["']?\s*=""", line):
            return number
    return 1
