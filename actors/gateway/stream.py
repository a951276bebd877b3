"""Whether the user stream reports what happens. Pure: times come in, in milliseconds that never go back.

A connected stream proves nothing: on a retired path, or after its listen key was deleted, it stays connected and is
silent, which looks like a quiet market. So it is tested against REST, a second, independent source: what one of them
knows of an order or of a position of the master, the other must know too, within ``GRACE_MS``.

UNPROVEN -> UP: the stream reported of an order what REST says of it too.
UNPROVEN, UP -> DOWN: REST has known for ``GRACE_MS`` what the stream did not report; or the connection ended.
DOWN -> UNPROVEN: connected again.

UNPROVEN and UP let new risk in, DOWN does not (its fills would be learned late). While it is not UP each order is queried
by REST as well. What happened before a connection is not expected of it and proves nothing.
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
"""Orders of which it is remembered what the stream reported."""

AMOUNTS_MAX = 1_000
"""Position amounts of one symbol that are remembered between two surveys."""


class StreamState(StrEnum):
    """What is known of the user stream."""

    UNPROVEN = "UNPROVEN"
    """Connected; orders are queried by REST too."""
    UP = "UP"
    """It reported something that REST confirms."""
    DOWN = "DOWN"
    """Not connected, or REST knows what it did not report."""


class Known(msgspec.Struct, frozen=True):
    """What one side knows of an order: how much of it is executed, and whether it has ended."""

    executed: Decimal
    final: bool

    def covers(self, other: Known) -> bool:
        """Whether this is at least as much as ``other``."""
        return self.executed >= other.executed and (self.final or not other.final)


class StreamProof:
    """Compares what REST and the stream say."""

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
        """A connection stands: nothing that happened before is expected of it."""
        self.state, self.reason = StreamState.UNPROVEN, ""
        self._reported.clear()
        self._before.clear()
        self._expected.clear()
        self._amounts.clear()
        self._suspects.clear()
        self._has_positions = False

    def down(self, reason: str) -> bool:
        """The stream is not reliable.

        Returns:
            Whether that is news.
        """
        news = self.state is not StreamState.DOWN or reason != self.reason
        self.state, self.reason = StreamState.DOWN, reason
        return news

    def stream_reported(self, id_: ClientOrderId, known: Known) -> None:
        """The stream reported an order."""
        self._reported[id_] = known
        self._reported.move_to_end(id_)
        if len(self._reported) > REPORTED_MAX:
            self._reported.popitem(last=False)
        owed = self._expected.get(id_)
        if owed is not None and known.covers(owed[0]):
            del self._expected[id_]
            self._proven()

    def rest_reported(self, id_: ClientOrderId, known: Known, now_ms: int) -> None:
        """REST reported an order: by the answer that placed it, a query, or the list of open orders."""
        reported = self._reported.get(id_)
        before = self._before.get(id_)
        if reported is not None and reported.covers(known):
            self._proven()
        elif self.state is not StreamState.DOWN and not (before is not None and before.covers(known)):
            since_ms = self._expected[id_][1] if id_ in self._expected else now_ms
            self._expected[id_] = (known, since_ms)

    def known_before(self, id_: ClientOrderId, known: Known) -> None:
        """What was known before this connection is not expected of it, and proves nothing of it."""
        self._before[id_] = known
        reported = self._reported.get(id_)
        if reported is not None and reported.covers(known):
            self._proven()

    def stream_reported_position(self, symbol: Symbol, amount: Decimal) -> None:
        """The stream reported a position of the master."""
        self._amounts.setdefault(symbol, deque(maxlen=AMOUNTS_MAX)).append(amount)
        if symbol in self._suspects and self._suspects[symbol][0] == amount:
            del self._suspects[symbol]

    def rest_reported_positions(self, amounts: Mapping[Symbol, Decimal], now_ms: int) -> None:
        """REST reported all positions of the master: what differs must come from the stream within ``GRACE_MS``."""
        if not self._has_positions:
            self._has_positions = True
            # What the stream reported since it is connected may be newer than this answer.
            for symbol in {*amounts, *self._amounts}:
                reported = self._amounts.setdefault(symbol, deque(maxlen=AMOUNTS_MAX))
                newer = list(reported)
                reported.clear()
                reported.extend((amounts.get(symbol, ZERO), *newer))
            return
        for symbol in {*amounts, *self._amounts}:
            amount = amounts.get(symbol, ZERO)
            reported = self._amounts.setdefault(symbol, deque([ZERO], AMOUNTS_MAX))
            if amount in reported:
                newest = reported[-1]
                reported.clear()
                # The one that REST saw may be reported late, and the newest is where the next one begins.
                reported.extend((amount, newest))
            elif symbol not in self._suspects:
                self._suspects[symbol] = (amount, now_ms)

    def overdue(self, now_ms: int) -> str:
        """What REST has known for too long and the stream did not report; empty when there is nothing."""
        if self.state is StreamState.DOWN:
            return ""
        for id_, (known, since_ms) in self._expected.items():
            if now_ms - since_ms >= GRACE_MS:
                what = "has ended" if known.final else "is accepted" if not known.executed else "has traded"
                return f"it never reported that {id_} {what} ({known.executed} executed)"
        for symbol, (amount, since_ms) in self._suspects.items():
            if now_ms - since_ms >= GRACE_MS:
                return f"it never reported that the master's position in {symbol} is {amount}"
        return ""

    def _proven(self) -> None:
        if self.state is StreamState.UNPROVEN:
            self.state = StreamState.UP
