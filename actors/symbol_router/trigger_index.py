"""Which accounts must look when a price moves: heaps of prices per symbol, and those who look at every tick.

Each side of a symbol is a heap with the nearest price on top, so a tick compares with the top alone, whatever lies
below. An entry cannot be removed from the middle of a heap cheaply. So a registration gets a generation, a number that
is never used again, and an entry counts only while its generation is the account's present one (lazy deletion): one
that comes up with an older generation is dropped, and a heap with more stale entries than valid ones is rebuilt.
Registering n prices is O(n log N), a tick O(1) plus O(log N) for each entry that it crosses, memory at most twice
what is valid plus ``COMPACT_AT``.

Rules
1. A tick that crosses nothing costs two comparisons, however many accounts there are.
2. An account that was woken is not woken again before it registers, which it does after each look: it reads the newest
   prices when it looks, and its registration is held against the newest ones by rule 3, so no move in between is missed.
   (Ten thousand accounts in trouble, woken with each tick whether they came to look or not, took nine tenths of the
   thread.) ``unanswered`` names those that did not register for too long: should a wake be lost, it is repeated.
3. A registration that the present price has crossed already wakes at once.
4. Stale entries stay in the heaps until they come up or outnumber the valid ones; ``_Side`` counts those.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from actors.core.messages import RegisterTriggers, Tick, Trigger
from actors.core.units import AccountId, Symbol

COMPACT_AT = 1_000
"""Stale entries in one heap that are tolerated beyond the number of valid ones."""

_Entry = tuple[float, int, AccountId]


class _Side:
    """A heap of prices on one side of the market, nearest first.

    Prices below the market are stored negated, so that the nearest is the smallest.
    """

    __slots__ = ("heap", "living")

    def __init__(self) -> None:
        self.heap: list[_Entry] = []
        self.living = 0


class _SymbolTriggers:
    __slots__ = ("above", "above_ask", "below", "below_bid", "every_tick")

    def __init__(self) -> None:
        self.below = _Side()
        self.above = _Side()
        self.below_bid = _Side()
        self.above_ask = _Side()
        # A dict keeps the order of arrival, which a set would not repeat from run to run.
        self.every_tick: dict[AccountId, None] = {}


class TriggerIndex:
    """All accounts' triggers. ``crossed`` is the hot path."""

    def __init__(self) -> None:
        self._symbols: dict[Symbol, _SymbolTriggers] = {}
        self._generation: dict[AccountId, int] = {}
        self._registered: dict[AccountId, RegisterTriggers] = {}
        # When each account was woken that did not register since, ns; the longest ago first.
        self._woken: dict[AccountId, int] = {}
        self._next_generation = 1

    def __len__(self) -> int:
        return len(self._registered)

    def registered(self, account_id: AccountId) -> RegisterTriggers | None:
        """What the account registered last."""
        return self._registered.get(account_id)

    def crossed(self, tick: Tick) -> list[AccountId] | None:
        """Accounts that must look at this price, in a repeatable order; None when there is none."""
        entry = self._symbols.get(tick.symbol)
        if entry is None:
            return None
        mid = tick.mid_float
        below, above = entry.below.heap, entry.above.heap
        touched = bool(entry.below_bid.heap or entry.above_ask.heap)
        if (
            not (below and -below[0][0] >= mid)
            and not (above and above[0][0] <= mid)
            and not entry.every_tick
            and not touched
        ):
            return None
        woken, entry.every_tick = entry.every_tick, {}
        self._pop(entry.below, -mid, woken)
        self._pop(entry.above, mid, woken)
        if touched:
            self._pop(entry.below_bid, -float(tick.bid), woken)
            self._pop(entry.above_ask, float(tick.ask), woken)
        already, now_ns = self._woken, tick.received_ns
        found = [account_id for account_id in woken if account_id not in already]
        for account_id in found:
            already[account_id] = now_ns
        return found or None

    def unanswered(self, before_ns: int, now_ns: int) -> list[AccountId]:
        """Accounts that were woken before a time and did not register since; from now on as if woken now."""
        found = []
        for account_id, woken_ns in self._woken.items():
            if woken_ns >= before_ns:
                break
            found.append(account_id)
        for account_id in found:
            del self._woken[account_id]
            self._woken[account_id] = now_ns
        return found

    def register(self, message: RegisterTriggers, ticks: Mapping[Symbol, Tick], now_ns: int) -> bool:
        """Replace an account's triggers.

        Returns:
            Whether a present mid has crossed one already: the account must be woken, and counts as woken.
        """
        account_id = message.account_id
        self.forget(account_id)
        generation = self._next_generation
        self._next_generation += 1
        self._generation[account_id] = generation
        self._registered[account_id] = message
        for symbol in message.every_tick:
            self._symbol(symbol).every_tick[account_id] = None
        crossed = False
        for trigger in message.triggers:
            entry = self._symbol(trigger.symbol)
            side = _side(entry, trigger)
            key = -trigger.price if trigger.below else trigger.price
            heapq.heappush(side.heap, (key, generation, account_id))
            side.living += 1
            self._compact(side)
            tick = ticks.get(trigger.symbol)
            if tick is not None:
                now = tick.mid_float
                if trigger.touch:
                    now = float(tick.bid if trigger.below else tick.ask)
                crossed = crossed or (now <= trigger.price if trigger.below else now >= trigger.price)
        if crossed:
            self._woken[account_id] = now_ns
        return crossed

    def watch(self, account_id: AccountId) -> None:
        """Wake the account on the next tick of any of its symbols, whether or not it was woken before."""
        self._woken.pop(account_id, None)
        registered = self._registered.get(account_id)
        if registered is not None:
            for symbol in _symbols(registered):
                self._symbol(symbol).every_tick[account_id] = None

    def forget(self, account_id: AccountId) -> None:
        """Drop everything about an account."""
        old = self._registered.pop(account_id, None)
        self._generation.pop(account_id, None)
        self._woken.pop(account_id, None)
        if old is None:
            return
        for symbol in _symbols(old):
            self._symbol(symbol).every_tick.pop(account_id, None)
        for trigger in old.triggers:
            entry = self._symbol(trigger.symbol)
            _side(entry, trigger).living -= 1

    def size(self) -> tuple[int, int]:
        """Heap entries in all, and how many of them are valid."""
        sides = [
            side
            for s in list(self._symbols.values())
            for side in (s.below, s.above, s.below_bid, s.above_ask)
        ]
        return sum(len(side.heap) for side in sides), sum(side.living for side in sides)

    def _pop(self, side: _Side, key: float, woken: dict[AccountId, None]) -> None:
        # Valid entries stay counted until their account registers again: ``forget`` uncounts.
        heap = side.heap
        while heap and heap[0][0] <= key:
            _, generation, account_id = heapq.heappop(heap)
            if self._generation.get(account_id) == generation:
                woken[account_id] = None

    def _compact(self, side: _Side) -> None:
        if len(side.heap) <= 2 * side.living + COMPACT_AT:
            return
        side.heap = [e for e in side.heap if self._generation.get(e[2]) == e[1]]
        heapq.heapify(side.heap)

    def _symbol(self, symbol: Symbol) -> _SymbolTriggers:
        entry = self._symbols.get(symbol)
        if entry is None:
            entry = self._symbols[symbol] = _SymbolTriggers()
        return entry


def _side(entry: _SymbolTriggers, trigger: Trigger) -> _Side:
    if trigger.touch:
        return entry.below_bid if trigger.below else entry.above_ask
    return entry.below if trigger.below else entry.above


def _symbols(registered: RegisterTriggers) -> Iterable[Symbol]:
    return dict.fromkeys((*registered.every_tick, *(t.symbol for t in registered.triggers)))
