"""How each symbol's clearing serves: as it should, or in a simpler way because it failed too often. Outlives its actors."""

from __future__ import annotations

from enum import StrEnum

from actors.core.clearing_messages import clearing_name
from actors.core.units import Symbol


class Serves(StrEnum):
    """What a clearing does with orders."""

    BLOCKS = "BLOCKS"
    """It makes blocks of them."""
    SINGLY = "SINGLY"
    """It passes them on one by one, and sees blocks to their end that were formed before."""
    HOLDS = "HOLDS"
    """It passes them on one by one; blocks of before, which it cannot read, and their members stay as they are."""


SAYS = {
    Serves.SINGLY: "orders go one by one, and blocks in flight are seen to their end",
    Serves.HOLDS: "orders go one by one, and the members of its blocks stay as they are",
}


class Service:
    """One symbol's clearing. ``why`` it serves in a simpler way than it should; empty if it does not.

    ``is_unreadable``: its durable state could not be read, so it cannot see any block to its end.
    """

    def __init__(self, symbol: Symbol, usual: Serves) -> None:
        self.symbol = symbol
        self.serves = self._usual = usual
        self.why = ""
        self.is_unreadable = False

    def fall_back(self, why: str) -> str:
        """It failed too often: from its next start on it serves in a simpler way.

        Returns:
            What that means, with the cure, for an alarm; empty if there is no simpler way.
        """
        if self.serves is Serves.HOLDS:
            return ""
        is_first = self.serves is Serves.BLOCKS and not self.is_unreadable
        self.serves = Serves.SINGLY if is_first else Serves.HOLDS
        self.why = why
        return self.means

    def restore(self) -> None:
        """An operator has it start again as it should."""
        self.serves, self.why, self.is_unreadable = self._usual, "", False

    @property
    def means(self) -> str:
        """What the way in which it serves means for orders, with the cure."""
        cure = f"'bulkhead restart {clearing_name(self.symbol)}'"
        return f"{self.symbol} takes no new risk, its {SAYS[self.serves]}, until {cure}"
