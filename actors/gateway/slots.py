"""Slots: the right to send one order, given to a symbol's clearing before it forms that order. Pure.

Rules
1. A slot is one order's worth of the budget from when it is granted, and is used once, for an order of its group.
2. granted = used + returned + expired + held, always.
3. A slot that is not used for ``SLOT_UNUSED_MS`` is taken back: a clearing that crashed, or whose block does not become
   durable, holds no one else up.
4. Numbers are never given again, so a slot of before a restart of the gateway is never taken for another one.

Times are milliseconds that never go back.
"""

from __future__ import annotations

import msgspec

from actors.core.clearing_messages import Group
from actors.core.safe_copy import pairs

SLOT_UNUSED_MS = 5_000
"""How long a slot may be held; a commit takes milliseconds."""


class SlotCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all slots."""

    granted: int
    used: int
    returned: int
    expired: int
    held: int


class Slots:
    """All slots of a gateway, of all its lives."""

    def __init__(self) -> None:
        self.granted = self.used = self.returned = self.expired = 0
        self._held: dict[int, tuple[Group, int]] = {}  # in the order in which they were granted

    def __len__(self) -> int:
        """Slots that are held."""
        return len(self._held)

    def grant(self, group: Group, now_ms: int) -> int:
        """A new slot, never 0."""
        self.granted += 1
        self._held[self.granted] = (group, now_ms)
        return self.granted

    def use(self, slot: int, group: Group) -> bool:
        """An order is sent with a slot; whether that was held for its group."""
        if slot not in self._held or self._held[slot][0] != group:
            return False
        del self._held[slot]
        self.used += 1
        return True

    def holder(self, slot: int) -> Group | None:
        """For whom a slot is held."""
        held = self._held.get(slot)
        return None if held is None else held[0]

    def give_back(self, slot: int) -> bool:
        """Nothing is sent with a slot; whether it was held."""
        if self._held.pop(slot, None) is None:
            return False
        self.returned += 1
        return True

    def expire(self, now_ms: int) -> None:
        """Take back what was not used in time."""
        for slot, (_, granted_ms) in pairs(self._held):
            if now_ms - granted_ms < SLOT_UNUSED_MS:
                return
            del self._held[slot]
            self.expired += 1

    def take_back_all(self) -> None:
        """A new life of the gateway: who held a slot says again what waits."""
        self.expired += len(self._held)
        self._held.clear()

    def counts(self) -> SlotCounts:
        """For operators. Callable from any thread."""
        return SlotCounts(
            granted=self.granted, used=self.used, returned=self.returned, expired=self.expired, held=len(self)
        )

    def held(self) -> list[tuple[int, Group]]:
        """Those that are held, longest first. Callable from any thread."""
        return [(slot, group) for slot, (group, _) in pairs(self._held)]
