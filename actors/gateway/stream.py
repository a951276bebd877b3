"""Whether the user stream tells what happens. Pure: times come in, in milliseconds that never go back.

A connected stream proves nothing: on a retired path, or after somebody deleted the listen key, it stays
connected and says nothing. So it is believed only while REST agrees with it.

UNPROVEN -> UP: the stream told of an order what REST says of it too.
UNPROVEN, UP -> DOWN: REST knows for ``GRACE_MS`` what the stream did not tell, of an order or of a position;
or the connection ended.
DOWN -> UNPROVEN: connected anew.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from actors.core.units import ZERO, ClientOrderId, Symbol

GRACE_MS = 5_000
"""How long the stream may lag behind REST. At the exchange it is milliseconds."""

REPORTED_MAX = 65_536
"""Orders of which it is remembered what the stream told."""

AMOUNTS_MAX = 1_000
"""Position amounts of one symbol that are remembered between two looks at all positions."""


class StreamState(StrEnum):
    """What is known of the user stream."""

    UNPROVEN = "UNPROVEN"
    """Connected; orders are asked after by REST too."""
    UP = "UP"
    """It told something that REST confirms."""
    DOWN = "DOWN"
    """Not connected, or REST knows what it did not tell."""


class Known(msgspec.Struct, frozen=True):
    """What one side knows of an order: how much of it is executed, and whether it has ended."""

    executed: Decimal
    final: bool

    def covers(self, other: Known) -> bool:
        """Whether this is at least as much as ``other``."""
        return self.executed >= other.executed and (self.final or not other.final)


class StreamProof:
    """Holds what REST and the stream say against each other."""

    def __init__(self) -> None:
        self.state = StreamState.UNPROVEN
        self.reason = ""
        self._reported: OrderedDict[ClientOrderId, Known] = OrderedDict()
        self._before: dict[ClientOrderId, Known] = {}
        self._expected: dict[ClientOrderId, tuple[Known, int]] = {}
        self._amounts: dict[Symbol, deque[Decimal]] = {}
        self._suspects: dict[Symbol, tuple[Decimal, int]] = {}
        self._has_positions = False

    def connected(self) -> None:
        """A connection stands: nothing that happened before is owed by it."""
        self.state, self.reason = StreamState.UNPROVEN, ""
        self._reported.clear()
        self._before.clear()
        self._expected.clear()
        self._amounts.clear()
        self._suspects.clear()
        self._has_positions = False

    def down(self, reason: str) -> bool:
        """The stream cannot be believed.

        Returns:
            Whether that is news.
        """
        news = self.state is not StreamState.DOWN or reason != self.reason
        self.state, self.reason = StreamState.DOWN, reason
        return news

    def stream_reported(self, id_: ClientOrderId, known: Known) -> None:
        """The stream told of an order."""
        self._reported[id_] = known
        self._reported.move_to_end(id_)
        if len(self._reported) > REPORTED_MAX:
            self._reported.popitem(last=False)
        owed = self._expected.get(id_)
        if owed is not None and known.covers(owed[0]):
            del self._expected[id_]
            self._proven()

    def rest_reported(self, id_: ClientOrderId, known: Known, now_ms: int) -> None:
        """REST told of an order: by the answer that placed it, a query, or the list of open orders."""
        told = self._reported.get(id_)
        before = self._before.get(id_)
        if told is not None and told.covers(known):
            self._proven()
        elif self.state is not StreamState.DOWN and not (before is not None and before.covers(known)):
            since_ms = self._expected[id_][1] if id_ in self._expected else now_ms
            self._expected[id_] = (known, since_ms)

    def known_before(self, id_: ClientOrderId, known: Known) -> None:
        """What was known before this connection is not owed by it, and proves nothing of it."""
        self._before[id_] = known
        told = self._reported.get(id_)
        if told is not None and told.covers(known):
            self._proven()

    def stream_reported_position(self, symbol: Symbol, amount: Decimal) -> None:
        """The stream told a position of the master."""
        self._amounts.setdefault(symbol, deque(maxlen=AMOUNTS_MAX)).append(amount)
        if symbol in self._suspects and self._suspects[symbol][0] == amount:
            del self._suspects[symbol]

    def rest_reported_positions(self, amounts: Mapping[Symbol, Decimal], now_ms: int) -> None:
        """REST told all positions of the master: what differs must be told by the stream before long."""
        if not self._has_positions:
            self._has_positions = True
            # What the stream told since it is connected may be newer than this answer.
            for symbol in {*amounts, *self._amounts}:
                told = self._amounts.setdefault(symbol, deque(maxlen=AMOUNTS_MAX))
                newer = list(told)
                told.clear()
                told.extend((amounts.get(symbol, ZERO), *newer))
            return
        for symbol in {*amounts, *self._amounts}:
            amount = amounts.get(symbol, ZERO)
            told = self._amounts.setdefault(symbol, deque([ZERO], AMOUNTS_MAX))
            if amount in told:
                newest = told[-1]
                told.clear()
                # The one that REST saw may be told late, and the newest is where the next one begins.
                told.extend((amount, newest))
            elif symbol not in self._suspects:
                self._suspects[symbol] = (amount, now_ms)

    def overdue(self, now_ms: int) -> str:
        """What REST knows for too long and the stream did not tell; empty when there is nothing."""
        if self.state is StreamState.DOWN:
            return ""
        for id_, (known, since_ms) in self._expected.items():
            if now_ms - since_ms >= GRACE_MS:
                what = "has ended" if known.final else "is accepted" if not known.executed else "has traded"
                return f"it never told that {id_} {what} ({known.executed} executed)"
        for symbol, (amount, since_ms) in self._suspects.items():
            if now_ms - since_ms >= GRACE_MS:
                return f"it never told that the master's position in {symbol} is {amount}"
        return ""

    def _proven(self) -> None:
        if self.state is StreamState.UNPROVEN:
            self.state = StreamState.UP
