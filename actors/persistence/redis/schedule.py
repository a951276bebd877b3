"""Which account's snapshot is written when, and how much of a core all of this may take. Pure; the time is passed in."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from actors.core.messages import Tick
from actors.core.safe_copy import pairs
from actors.core.units import AccountId, Symbol
from actors.persistence.redis.snapshots import TTL_S
from actors.subaccount.state import AccountState

EVERY_S = 1.0
"""An account's snapshot is written so often at most; what changed meanwhile is in the next one."""

AGAIN_S = TTL_S / 3
"""One that would be the same is written again after so long, while the account holds something."""

LOOKED_AT_ONCE = 500

SHARE = 0.15
"""Of one core's time, for everything that is made for Redis beside events: with more accounts than that is enough for, each
one's snapshot is written less often."""

SAVED_S = 0.05
"""So much unused time is kept for what comes."""


class Written(NamedTuple):
    """What an account's last snapshot was made of, and when."""

    at_s: float
    state: AccountState
    ticks: tuple[Tick | None, ...]


class SnapshotSchedule:
    """Says whose snapshot is due: at once when its account decided something, in rounds when prices moved."""

    def __init__(self) -> None:
        self._written: dict[AccountId, Written] = {}
        self._heap: list[tuple[float, AccountId]] = []
        self._waiting: set[AccountId] = set()
        self._round: Iterator[AccountId] = iter(())
        self._began_s = 0.0
        self.rests = True
        """Whether the round is over, and the next one has not begun."""
        self.round_s = 0.0
        """How long the last round over all accounts took."""

    def changed(self, id_: AccountId, now_s: float) -> None:
        """The account decided something."""
        if id_ not in self._waiting:
            last = self._written.get(id_)
            self._waiting.add(id_)
            heapq.heappush(self._heap, (now_s if last is None else max(now_s, last.at_s + EVERY_S), id_))

    def again(self, now_s: float) -> None:
        """Redis may have lost all: what would still be in it is to be written again."""
        for id_, written in pairs(self._written):
            if now_s - written.at_s < TTL_S:
                self._written[id_] = written._replace(at_s=now_s - EVERY_S)
                self.changed(id_, now_s)
            else:
                del self._written[id_]
        self._round = iter(())
        self._began_s = now_s - EVERY_S

    def due(
        self,
        states: Mapping[AccountId, AccountState],
        ticks: Mapping[Symbol, Tick],
        now_s: float,
        limit: int,
        *,
        is_last: bool = False,
    ) -> list[AccountId]:
        """The next accounts whose snapshot is to be written, those that decided something first.

        Args:
            states: of all accounts.
            ticks: the present prices.
            now_s: on the monotonic clock.
            limit: so many at most.
            is_last: nothing is written after this: those that decided something, now, and no others.
        """
        found: list[AccountId] = []
        while self._heap and len(found) < limit and (is_last or self._heap[0][0] <= now_s):
            id_ = heapq.heappop(self._heap)[1]
            self._waiting.discard(id_)
            found.append(id_)
        decided = set(found)
        self.rests = is_last
        for _ in range(0 if is_last else LOOKED_AT_ONCE):
            if len(found) >= limit:
                break
            next_id = next(self._round, None)
            if next_id is None:
                self.rests = True
                if now_s - self._began_s < EVERY_S:
                    break
                self.round_s, self._began_s = now_s - self._began_s, now_s
                self._round, self.rests = iter(list(states)), False
                continue
            state = states.get(next_id)
            is_told = next_id in self._waiting or next_id in decided
            if state is not None and not is_told and self._moved(state, ticks, now_s):
                found.append(next_id)
        return found

    def wrote(self, state: AccountState, ticks: Mapping[Symbol, Tick], now_s: float) -> None:
        """Redis has it."""
        self._written[state.account_id] = Written(now_s, state, _ticks_of(state, ticks))

    def next_s(self, now_s: float) -> float:
        """How long nobody who decided something is due."""
        return max(0.0, self._heap[0][0] - now_s) if self._heap else EVERY_S

    def _moved(self, state: AccountState, ticks: Mapping[Symbol, Tick], now_s: float) -> bool:
        if not state.positions:
            return False
        last = self._written.get(state.account_id)
        if last is None:
            return True
        age_s = now_s - last.at_s
        if age_s < EVERY_S:
            return False
        now = _ticks_of(state, ticks)
        is_same = last.state is state and all(a is b for a, b in zip(last.ticks, now, strict=True))
        return not is_same or age_s >= AGAIN_S


def _ticks_of(state: AccountState, ticks: Mapping[Symbol, Tick]) -> tuple[Tick | None, ...]:
    return tuple(ticks.get(p.symbol) for p in state.positions)


class Share:
    """A part of one core's time: what was spent is earned back before more is."""

    def __init__(self, share: float = SHARE, saved_s: float = SAVED_S) -> None:
        self._share, self._saved_s = share, saved_s
        self._left_s, self._at_s = saved_s, 0.0

    def is_open(self, now_s: float) -> bool:
        """Whether there is some left."""
        self._left_s = min(self._saved_s, self._left_s + (now_s - self._at_s) * self._share)
        self._at_s = now_s
        return self._left_s > 0

    def spend(self, seconds: float) -> None:
        """Processor time that was used."""
        self._left_s -= seconds

    @property
    def wait_s(self) -> float:
        """How long until there is some again."""
        return max(0.0, -self._left_s / self._share)
