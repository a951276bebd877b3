"""A mailbox with lanes, and the counters that prove that it loses nothing.

Rules
1. Lanes are served control > fills > commands > market, but after ``HIGHER_LANE_RUN``
   messages in a row a waiting lower lane gets its turn.
2. The market lane conflates: a newer message replaces an older one of the same key.
   Fills and control are never refused; commands are bounded and refused when full.
3. accepted = handled + conflated + dead-lettered + queued + in hand, at any time.
4. ``close`` and ``put`` exclude each other: nothing lands in a closed mailbox.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum
from typing import Any, Final

import msgspec
from pykka.messages import _ActorStop

from actors.errors import Refused
from actors.limits import COMMANDS_MAX, HIGHER_LANE_RUN
from actors.messages import Lane

_NOTHING: Final = -1


class Letter:
    """A message in a mailbox: Pykka's envelope, and when it arrived."""

    __slots__ = ("at_ns", "message", "reply_to")

    def __init__(self, message: Any, reply_to: Any, at_ns: int) -> None:
        self.message = message
        self.reply_to = reply_to
        self.at_ns = at_ns


class QueuedMessage(msgspec.Struct, frozen=True):
    """What an operator sees of one waiting message."""

    lane: str
    kind: str
    age_ms: float
    cause: str
    content: str


class Counters(msgspec.Struct, frozen=True):
    """The conservation account of a mailbox."""

    accepted: int
    handled: int
    conflated: int
    dead_lettered: int
    refused: int
    queued: int
    in_hand: int

    @property
    def is_conserved(self) -> bool:
        """Whether no message is missing."""
        return self.accepted == (
            self.handled + self.conflated + self.dead_lettered + self.queued + self.in_hand
        )


class Serving(StrEnum):
    """Which lanes a mailbox gives out."""

    ALL = "ALL"
    CONTROL_ONLY = "CONTROL_ONLY"
    NOTHING = "NOTHING"


_LOWEST_LANE = {Serving.ALL: Lane.MARKET, Serving.CONTROL_ONLY: Lane.CONTROL, Serving.NOTHING: _NOTHING}


class Mailbox:
    """The waiting messages of one actor. Thread-safe; empty lanes take no memory."""

    __slots__ = (
        "_closed",
        "_commands",
        "_control",
        "_fills",
        "_lock",
        "_lowest",
        "_market",
        "_run",
        "accepted",
        "conflated",
        "dead_lettered",
        "handled",
        "in_hand",
        "refused",
        "scheduled",
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: deque[Letter] | None = None
        self._fills: deque[Letter] | None = None
        self._commands: deque[Letter] | None = None
        self._market: dict[object, Letter] | None = None
        self._lowest: int = Lane.MARKET
        self._run = 0
        self._closed = False
        self.scheduled = False
        self.accepted = 0
        self.handled = 0
        self.conflated = 0
        self.dead_lettered = 0
        self.refused = 0
        self.in_hand = 0

    def put(self, letter: Letter) -> bool:
        """Take a message in.

        Returns:
            Whether the actor must now be scheduled (it was idle and may serve this lane).

        Raises:
            Refused: the commands lane is full.
            BrokenPipeError: the mailbox is closed.
        """
        message = letter.message
        lane = lane_of(message)
        with self._lock:
            if self._closed:
                raise BrokenPipeError
            if lane == Lane.MARKET:
                self._put_market(message, letter)
            elif lane == Lane.FILLS:
                if self._fills is None:
                    self._fills = deque()
                self._fills.append(letter)
            elif lane == Lane.CONTROL:
                if self._control is None:
                    self._control = deque()
                self._control.append(letter)
            else:
                if self._commands is None:
                    self._commands = deque()
                elif len(self._commands) >= COMMANDS_MAX:
                    self.refused += 1
                    raise Refused(
                        f"{COMMANDS_MAX} commands wait already; send the next one when some are answered"
                    )
                self._commands.append(letter)
            self.accepted += 1
            if self.scheduled or lane > self._lowest:
                return False
            self.scheduled = True
            return True

    def _put_market(self, message: Any, letter: Letter) -> None:
        key = message.conflation_key
        if key is None:
            key = letter
        waiting = self._market
        if waiting is None:
            self._market = {key: letter}
            return
        if key in waiting:
            self.conflated += 1
        waiting[key] = letter

    def restart_with(self, letter: Letter) -> bool:
        """Put ``letter`` ahead of everything and serve the control lane only.

        Returns:
            Whether the actor must now be scheduled.
        """
        with self._lock:
            if self._closed:
                return False
            if self._control is None:
                self._control = deque()
            self._control.appendleft(letter)
            self.accepted += 1
            self._lowest = Lane.CONTROL
            if self.scheduled:
                return False
            self.scheduled = True
            return True

    def take(self) -> Letter | None:
        """Hand out the next message, or None when no served lane has one."""
        with self._lock:
            lowest = self._lowest
            if lowest == _NOTHING:
                return None
            letter = self._take_lower() if self._run >= HIGHER_LANE_RUN and lowest != Lane.CONTROL else None
            if letter is None:
                letter = self._take_highest(lowest)
                if letter is None:
                    return None
                self._run += 1
            else:
                self._run = 0
            self.in_hand = 1
            return letter

    def _take_highest(self, lowest: int) -> Letter | None:
        if self._control:
            return self._control.popleft()
        if lowest == Lane.CONTROL:
            return None
        if self._fills:
            return self._fills.popleft()
        if self._commands:
            return self._commands.popleft()
        market = self._market
        if market:
            letter = market.pop(next(iter(market)))
            if not market:
                self._market = None
            self._run = -1  # nothing waits above, so no lane is starving
            return letter
        return None

    def _take_lower(self) -> Letter | None:
        market = self._market
        if market:
            letter = market.pop(next(iter(market)))
            if not market:
                self._market = None
            return letter
        if self._commands and (self._control or self._fills):
            return self._commands.popleft()
        if self._fills and self._control:
            return self._fills.popleft()
        return None

    def settle(self, *, handled: bool) -> None:
        """Account for the message in hand: handled, or set aside as a dead letter."""
        with self._lock:
            if handled:
                self.handled += 1
            else:
                self.dead_lettered += 1
            self.in_hand = 0

    def rest(self) -> bool:
        """End a turn.

        Returns:
            Whether served messages wait, so the actor must be scheduled again.
        """
        with self._lock:
            more = self._has_served()
            self.scheduled = more
            if not more:
                self._shrink()
            return more

    def serve(self, serving: Serving) -> bool:
        """Change which lanes are given out.

        Returns:
            Whether the actor must now be scheduled.
        """
        with self._lock:
            self._lowest = _LOWEST_LANE[serving]
            if self.scheduled or not self._has_served():
                return False
            self.scheduled = True
            return True

    def close(self) -> list[Letter]:
        """Refuse everything from now on, and hand back what waited, as dead letters."""
        with self._lock:
            self._closed = True
            left = self._all()
            self.dead_lettered += len(left)
            self._control = self._fills = self._commands = self._market = None
            return left

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def counters(self) -> Counters:
        """A consistent copy of the counters."""
        with self._lock:
            return Counters(
                accepted=self.accepted,
                handled=self.handled,
                conflated=self.conflated,
                dead_lettered=self.dead_lettered,
                refused=self.refused,
                queued=self._depth(),
                in_hand=self.in_hand,
            )

    def depth(self) -> int:
        """How many messages wait."""
        with self._lock:
            return self._depth()

    def waiting(self) -> list[Letter]:
        """What waits, in lane order, copied in one go."""
        with self._lock:
            return self._all()

    def _depth(self) -> int:
        lanes = (self._control, self._fills, self._commands, self._market)
        return sum(len(lane) for lane in lanes if lane)

    def _all(self) -> list[Letter]:
        left: list[Letter] = []
        for lane in (self._control, self._fills, self._commands):
            if lane:
                left.extend(lane)
        if self._market:
            left.extend(self._market.values())
        return left

    def _has_served(self) -> bool:
        if self._lowest == _NOTHING:
            return False
        if self._control:
            return True
        return self._lowest == Lane.MARKET and bool(self._fills or self._commands or self._market)

    def _shrink(self) -> None:
        # An empty deque holds 600 bytes; a million idle accounts must not.
        if self._control is not None and not self._control:
            self._control = None
        if self._fills is not None and not self._fills:
            self._fills = None
        if self._commands is not None and not self._commands:
            self._commands = None


def lane_of(message: Any) -> Lane:
    """The lane of any message: ours say it, Pykka's stop is control, the rest are commands."""
    lane: Lane | None = getattr(message, "LANE", None)
    if lane is not None:
        return lane
    return Lane.CONTROL if isinstance(message, _ActorStop) else Lane.COMMANDS


def describe(letter: Letter, now_ns: int, width: int = 200) -> QueuedMessage:
    """What an operator sees of a waiting message; ``content`` is cut at ``width`` characters."""
    message = letter.message
    return QueuedMessage(
        lane=lane_of(message).name.lower(),
        kind=type(message).__name__,
        age_ms=max(0, now_ns - letter.at_ns) / 1e6,
        cause=str(getattr(message, "cause", "")),
        content=repr(message)[:width],
    )
