"""Where the limits of all accounts come from: built-in < profile < TOML file < ``RISK_*`` environment.

Rules
1. An unknown name or an impossible value is refused; in a file, with the line.
2. The environment's names are the limits' own, in capitals: ``RISK_MAX_DAILY_LOSS=500``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from actors.core.errors import BadConfig
from actors.core.trading_day import DEFAULT_BEGINS, DEFAULT_ZONE, DayRule
from actors.limits.model import PROFILES, SPECS, Layer, RiskLimits, hint, merged, parse

PREFIX = "RISK_"
SETTINGS = ("profile", "day_begins", "day_zone")
"""What stands beside the limits: a profile to begin with, and when the trading day begins."""


class RiskConfig(msgspec.Struct, frozen=True):
    """The layers below every account, lowest first, and the trading day."""

    layers: tuple[Layer, ...] = ()
    day_begins: str = DEFAULT_BEGINS
    day_zone: str = DEFAULT_ZONE

    @property
    def limits(self) -> RiskLimits:
        """What an account may do that nothing else is said of."""
        return merged(self.layers)

    @property
    def day_rule(self) -> DayRule:
        """When trading days begin."""
        return DayRule(self.day_begins, self.day_zone)


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
        limits = {name: value for name, value in values.items() if name in SPECS}
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
    elif name not in SPECS:
        raise BadConfig(f"{name}: no such limit; {hint(name, (*SPECS, *SETTINGS))}")
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
