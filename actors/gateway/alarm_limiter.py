"""Alarms that may come by the thousand: a few of each kind are raised, the rest is counted. Pure."""

from __future__ import annotations

from actors.gateway.orders import Alarm

ALARMS_MAX = 10
"""Alarms of one kind that are raised within ``WINDOW_MS``."""

WINDOW_MS = 60_000


class AlarmLimiter:
    """Times are milliseconds that never go back."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, int, int]] = {}

    def alarm(self, kind: str, text: str, now_ms: int) -> list[Alarm]:
        """The alarm, unless too many of its kind were raised; the next one says how many were left out."""
        began_ms, said, kept_back = self._windows.get(kind, (now_ms, 0, 0))
        if now_ms - began_ms >= WINDOW_MS:
            began_ms, said = now_ms, 0
        if said >= ALARMS_MAX:
            self._windows[kind] = (began_ms, said, kept_back + 1)
            return []
        self._windows[kind] = (began_ms, said + 1, 0)
        return [Alarm(f"{text} (and {kept_back} more of this kind before it)" if kept_back else text)]
