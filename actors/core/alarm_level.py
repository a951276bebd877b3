"""How urgent an alarm is, as the code that raises it says: ``alarm(Critical("..."))``. A plain text is a warning."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How urgent an alarm is."""

    INFO = "INFO"
    """Something ended well, or is good to know."""
    WARNING = "WARNING"
    """Look at it today."""
    CRITICAL = "CRITICAL"
    """Risk is not looked after as it should be, or new risk is stopped: look at it now."""


class Critical(str):
    """The text of an alarm that a human must look at now."""

    __slots__ = ()


class Info(str):
    """The text of an alarm that something ended well."""

    __slots__ = ()


def level_of(text: str) -> Level:
    """The level that a text was raised with."""
    if isinstance(text, Critical):
        return Level.CRITICAL
    return Level.INFO if isinstance(text, Info) else Level.WARNING
