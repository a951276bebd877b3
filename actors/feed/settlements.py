"""Settled funding of the last day, for accounts that must get it again. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from actors.core.messages import ApplyFunding, AskFunding
from actors.core.units import Symbol

KEPT_MS = 25 * 3_600_000
"""Of a symbol, what is older than its newest settlement by more is no longer booked by an account."""


class Settlements:
    """The settlements of each symbol."""

    def __init__(self) -> None:
        self._known: dict[Symbol, dict[int, ApplyFunding]] = {}

    def note(self, funding: ApplyFunding) -> None:
        """It was settled."""
        known = self._known.setdefault(funding.symbol, {})
        known[funding.funding_ms] = funding
        oldest = max(known) - KEPT_MS
        for at_ms in [at_ms for at_ms in known if at_ms < oldest]:
            del known[at_ms]

    def since(self, asked: AskFunding) -> Iterator[ApplyFunding]:
        """What an account asks for, oldest first."""
        for symbol in (asked.symbol,) if asked.symbol else tuple(self._known):
            for at_ms, funding in sorted(self._known.get(symbol, {}).items()):
                if at_ms > asked.since_ms:
                    yield funding
