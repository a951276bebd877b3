"""The trading day: from one local time to the next, whatever daylight saving does in between. Pure.

A day has 23, 24 or 25 hours. A begin that the clock jumps over is taken at the old offset; one that comes
twice, the first time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from actors.core.errors import BadConfig

DEFAULT_BEGINS = "08:00"
DEFAULT_ZONE = "America/New_York"
"""Seed 003: the day's loss is counted from zero at 8 in the morning, US Eastern."""


class TradingDay(msgspec.Struct, frozen=True):
    """One trading day, in Unix milliseconds; ``end_ms`` is the next one's begin."""

    start_ms: int
    end_ms: int


ALWAYS = TradingDay(0, 1 << 62)
"""A day without end, for who counts no days."""


class DayRule:
    """When trading days begin.

    Args:
        begins: local time, HH:MM.
        zone: IANA name of the time zone.

    Raises:
        BadConfig: neither can be read; names it.
    """

    def __init__(self, begins: str = DEFAULT_BEGINS, zone: str = DEFAULT_ZONE) -> None:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", begins):
            raise BadConfig(f"day_begins: {begins!r} is not a time of day from 00:00 to 23:59")
        try:
            self._zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BadConfig(
                f"day_zone: there is no time zone {zone!r}; give an IANA name such as America/New_York or UTC"
            ) from None
        self._begins = time.fromisoformat(begins)

    def day_of(self, wall_ms: int) -> TradingDay:
        """The trading day that a time, in Unix milliseconds, lies in."""
        local = datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone(self._zone)
        date = local.date() + timedelta(days=1)
        end = self._begin_ms(date.toordinal())
        while True:
            start = self._begin_ms(date.toordinal() - 1)
            if start <= wall_ms:
                return TradingDay(start, end)
            date, end = date - timedelta(days=1), start

    def _begin_ms(self, ordinal: int) -> int:
        day = datetime.fromordinal(ordinal).date()
        begin = datetime.combine(day, self._begins, self._zone)
        return int(begin.timestamp() * 1000)
