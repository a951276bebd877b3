"""When all open orders and positions are asked for. Pure.

One call lists them all and costs forty times what a query of one order costs, so: one at a time, some time apart, and
every so often without a cause. Times are milliseconds that never go back.
"""

from __future__ import annotations

from actors.gateway.orders import (
    SENT_MAX_MS,
    SURVEY_APART_MS,
    SURVEY_EVERY_MS,
    SURVEY_UNPROVEN_MS,
    Effect,
    Survey,
)


class SurveySchedule:
    """Which survey is under way, when the last one was answered, and whether another one is wanted."""

    def __init__(self) -> None:
        self._since_ms: int | None = None
        self._answered_ms: int | None = None
        self._wanted = False
        self._next_ms = 0
        # A list that was requested earlier is older than what it would be compared with.
        self._lists_from_ms = 0

    def ask(self, now_ms: int) -> list[Effect]:
        """Ask now, or as soon as may be."""
        if self._is_under_way(now_ms) or now_ms < self._next_ms:
            self._wanted = True
            return []
        self._since_ms, self._wanted = now_ms, False
        self._next_ms = now_ms + SURVEY_APART_MS
        return [Survey(now_ms)]

    def ask_anew(self, now_ms: int, *, at_once: bool = False) -> list[Effect]:
        """Ask, and compare with no list of before; ``at_once``: however lately one was asked for."""
        self._lists_from_ms = now_ms
        if at_once:
            self._next_ms = now_ms
        return self.ask(now_ms)

    def answered(self, asked_ms: int, now_ms: int) -> bool:
        """A survey was answered; whether it may be compared with what is known."""
        self._since_ms, self._answered_ms = None, now_ms
        return asked_ms >= self._lists_from_ms

    def ask_if_wanted(self, now_ms: int) -> list[Effect]:
        """Ask, if it was wanted while another one was under way."""
        return self.ask(now_ms) if self._wanted else []

    def check(self, now_ms: int, *, proven: bool) -> list[Effect]:
        """Timer: ask every so often, more often while the user stream is not proven, and again without an answer."""
        every_ms = SURVEY_EVERY_MS if proven else SURVEY_UNPROVEN_MS
        is_time = self._answered_ms is not None and now_ms - self._answered_ms >= every_ms
        if self._is_under_way(now_ms):
            return []
        never_answered = self._since_ms is not None
        return self.ask(now_ms) if is_time or self._wanted or never_answered else []

    def was_answered_lately(self, now_ms: int) -> bool:
        """Whether the last list is not older than it ever is while the user stream is not proven."""
        return self._answered_ms is not None and now_ms - self._answered_ms < SURVEY_UNPROVEN_MS

    def _is_under_way(self, now_ms: int) -> bool:
        """Whether the answer may still come."""
        return self._since_ms is not None and now_ms - self._since_ms < SENT_MAX_MS
