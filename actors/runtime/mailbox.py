"""A mailbox with lanes, and the counters that prove that it loses nothing.

Rules
1. Lanes are served control > fills > commands > market, but after ``HIGHER_LANE_RUN``
   messages in a row a waiting lower lane gets its turn; lower lanes take turns at that.
2. The market lane conflates: a newer message replaces an older one of the same key.
   Fills and control are never refused; commands are bounded and refused when full.
3. accepted = handled + conflated + dead-lettered + queued + in hand (being handled), at any time.
4. ``close`` and ``put`` exclude each other: nothing lands in a closed mailbox.
5. Above the high mark a mailbox is congested until it is below the low mark.

An envelope is a plain tuple and a short lane a plain list: a million mailboxes receive often
and hold little.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum
from typing import Final

import msgspec

from actors.core.constants import COMMANDS_MAX, HIGHER_LANE_RUN, MAILBOX_HIGH, MAILBOX_LOW
from actors.core.errors import Refused
from actors.core.messages import Lane
from actors.runtime.envelope import Envelope, lane_of

_NOTHING: Final = -1
_CONTROL: Final = int(Lane.CONTROL)
_FILLS: Final = int(Lane.FILLS)
_COMMANDS: Final = int(Lane.COMMANDS)
_MARKET: Final = int(Lane.MARKET)

_LIST_MAX: Final = 64
"""Above this, taking from the front of a list costs more than a deque does."""

Queue = list[Envelope] | deque[Envelope]


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


_LOWEST_LANE = {Serving.ALL: _MARKET, Serving.CONTROL_ONLY: _CONTROL, Serving.NOTHING: _NOTHING}


class Mailbox:
    """The waiting messages of one actor. Thread-safe; empty lanes take no memory."""

    __slots__ = (
        "_closed",
        "_commands",
        "_control",
        "_fills",
        "_higher_in_a_row",
        "_last_lower_lane",
        "_lock",
        "_lowest_served",
        "_market",
        "accepted",
        "conflated",
        "congested",
        "dead_lettered",
        "handled",
        "in_hand",
        "refused",
        "scheduled",
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: Queue | None = None
        self._fills: Queue | None = None
        self._commands: Queue | None = None
        self._market: dict[object, Envelope] | None = None
        self._lowest_served = _MARKET
        self._higher_in_a_row = 0
        self._last_lower_lane = 0
        self._closed = False
        self.congested = False
        self.scheduled = False
        self.accepted = 0
        self.handled = 0
        self.conflated = 0
        self.dead_lettered = 0
        self.refused = 0
        self.in_hand = 0

    def put(self, envelope: Envelope) -> bool:  # noqa: PLR0912 - a helper per lane would cost each message a call
        """Take a message in.

        Returns:
            Whether the actor must now be scheduled (it was idle and may serve this lane).

        Raises:
            Refused: the commands lane is full; nothing was taken in.
            BrokenPipeError: the mailbox is closed.
        """
        message = envelope[0]
        try:
            lane = message.LANE
        except AttributeError:
            lane = lane_of(message)
        # 'with' costs twice as much, and this runs for each message.
        self._lock.acquire()
        try:
            if self._closed:
                raise BrokenPipeError
            if lane == _MARKET:
                waiting = self._market
                if waiting is None:
                    self._market = {message.symbol: envelope}
                else:
                    if message.symbol in waiting:
                        self.conflated += 1
                    waiting[message.symbol] = envelope
            elif lane == _FILLS:
                if self._fills is None:
                    self._fills = [envelope]
                else:
                    self._fills = _appended(self._fills, envelope)
                    if len(self._fills) >= MAILBOX_HIGH:
                        self.congested = True
            elif lane == _CONTROL:
                if self._control is None:
                    self._control = [envelope]
                else:
                    self._control = _appended(self._control, envelope)
            elif self._commands is None:
                self._commands = [envelope]
            elif len(self._commands) < COMMANDS_MAX:
                self._commands = _appended(self._commands, envelope)
            else:
                self.refused += 1
                raise Refused(
                    f"{COMMANDS_MAX} commands wait already; send the next one when some are answered"
                )
            self.accepted += 1
            if self.scheduled or lane > self._lowest_served:
                return False
            self.scheduled = True
            return True
        finally:
            self._lock.release()

    def restart_with(self, envelope: Envelope) -> bool:
        """Put ``envelope`` ahead of everything and serve the control lane only.

        Returns:
            Whether the actor must now be scheduled.
        """
        with self._lock:
            if self._closed:
                return False
            self._control = [envelope, *(self._control or ())]
            self.accepted += 1
            self._lowest_served = _CONTROL
            if self.scheduled:
                return False
            self.scheduled = True
            return True

    def take(self, handled: bool = False) -> Envelope | None:  # noqa: FBT001, FBT002 - a keyword costs 40 ns
        """Hand out the next message, or end the turn when no served lane has one.

        Strict priority starves: a lane that is never empty keeps all lower ones waiting for ever. So
        ``_higher_in_a_row`` counts messages in a row, and after ``HIGHER_LANE_RUN`` of them one message of a lane below
        the highest that waits is served, those lanes in rotation. A lower lane so gets at least one message in
        ``HIGHER_LANE_RUN`` + 1, shared with at most two others, and a higher one loses no more than that. Messages of
        the market lane, the lowest, do not count.

        Args:
            handled: whether the message that was handed out before is handled with this.
        """
        self._lock.acquire()
        try:
            if handled:
                self.handled += 1
                self.in_hand = 0
            lowest = self._lowest_served
            if self._higher_in_a_row >= HIGHER_LANE_RUN and lowest == _MARKET:
                self._higher_in_a_row = 0
                envelope = self._take_lower()
                if envelope is not None:
                    self.in_hand = 1
                    return envelope
            if self._control is not None and lowest >= _CONTROL:
                envelope = self._take_control(self._control)
            elif lowest != _MARKET:
                envelope = None
            elif self._fills is not None:
                envelope = self._take_fill(self._fills)
            elif self._commands is not None:
                envelope = self._take_command(self._commands)
            elif self._market is not None:
                self._higher_in_a_row = -1  # it is the lowest lane, so none is starving below it
                envelope = self._take_market(self._market)
            else:
                envelope = None
            if envelope is None:
                self.scheduled = False
                self._higher_in_a_row = 0
                return None
            self._higher_in_a_row += 1
            self.in_hand = 1
            return envelope
        finally:
            self._lock.release()

    def _take_lower(self) -> Envelope | None:
        """One message of a lane that waits behind a higher one; such lanes take turns."""
        lanes = (self._control, self._fills, self._commands, self._market)
        waiting = [n for n, lane in enumerate(lanes) if lane][1:]
        if not waiting:
            return None
        chosen = next((n for n in waiting if n > self._last_lower_lane), waiting[0])
        self._last_lower_lane = chosen
        if chosen == _FILLS and self._fills is not None:
            return self._take_fill(self._fills)
        if chosen == _COMMANDS and self._commands is not None:
            return self._take_command(self._commands)
        return self._take_market(self._market) if self._market is not None else None

    # An empty lane is None: a deque holds 600 bytes, which a million idle actors must not.

    def _take_control(self, lane: Queue) -> Envelope:
        if len(lane) == 1:
            self._control = None
            return lane[0]
        return _first(lane)

    def _take_fill(self, lane: Queue) -> Envelope:
        if self.congested and len(lane) <= MAILBOX_LOW:
            self.congested = False
        if len(lane) == 1:
            self._fills = None
            return lane[0]
        return _first(lane)

    def _take_command(self, lane: Queue) -> Envelope:
        if len(lane) == 1:
            self._commands = None
            return lane[0]
        return _first(lane)

    def _take_market(self, lane: dict[object, Envelope]) -> Envelope:
        envelope = lane.pop(next(iter(lane)))
        if not lane:
            self._market = None
        return envelope

    def settle(self, *, handled: bool) -> None:
        """Account for the message that was handed out: handled, or set aside as a dead letter."""
        with self._lock:
            if handled:
                self.handled += 1
            else:
                self.dead_lettered += 1
            self.in_hand = 0

    def rest(self, *, handled: bool = False) -> bool:
        """End a turn though messages may wait; with ``handled``, account for the one that was handed out.

        Returns:
            Whether served messages wait, so the actor must be scheduled again.
        """
        with self._lock:
            if handled:
                self.handled += 1
                self.in_hand = 0
            self.scheduled = self._has_served()
            return self.scheduled

    def serve(self, serving: Serving) -> bool:
        """Change which lanes are given out.

        Returns:
            Whether the actor must now be scheduled.
        """
        with self._lock:
            self._lowest_served = _LOWEST_LANE[serving]
            if self.scheduled or not self._has_served():
                return False
            self.scheduled = True
            return True

    def close(self) -> list[Envelope]:
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

    def waiting(self) -> list[Envelope]:
        """What waits, in lane order, copied in one go."""
        with self._lock:
            return self._all()

    def oldest_ns(self) -> int | None:
        """When the message that waits longest arrived, or None when nothing waits."""
        if not (self._control or self._fills or self._commands or self._market):
            return None
        with self._lock:
            fronts = [lane[0][2] for lane in (self._control, self._fills, self._commands) if lane]
            if self._market:
                fronts.append(min(envelope[2] for envelope in self._market.values()))
            return min(fronts, default=None)

    def _depth(self) -> int:
        lanes = (self._control, self._fills, self._commands, self._market)
        return sum(len(lane) for lane in lanes if lane)

    def _all(self) -> list[Envelope]:
        left: list[Envelope] = []
        for lane in (self._control, self._fills, self._commands):
            if lane:
                left.extend(lane)
        if self._market:
            left.extend(self._market.values())
        return left

    def _has_served(self) -> bool:
        if self._lowest_served == _NOTHING:
            return False
        if self._control:
            return True
        return self._lowest_served == _MARKET and bool(self._fills or self._commands or self._market)


def _appended(lane: Queue, envelope: Envelope) -> Queue:
    if len(lane) >= _LIST_MAX and isinstance(lane, list):
        lane = deque(lane)
    lane.append(envelope)
    return lane


def _first(lane: Queue) -> Envelope:
    return lane.pop(0) if isinstance(lane, list) else lane.popleft()
