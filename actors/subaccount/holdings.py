"""What an account held at a time of the last day, by the trades' times at the exchange: what funding is counted on.

The exchange settles funding at whole hours (every 8, 4 or 1 of them), and tells it a minute later, or after a
restart hours later. By then the position may be closed, smaller, larger or another one.

Rules
1. A ``Change`` says what was held until a trade. What was held at a time is what the first change at or after it
   says; without one it is what is held now. A trade at the very millisecond of a settlement comes after it.
2. Of each hour (its begin included) the first ``PER_HOUR`` changes are kept, of several in one millisecond the
   first. So whole hours are exact, whatever was traded, and an account that trades all day keeps little and
   mostly nothing for a fill. Between whole hours, where only simulated exchanges settle, that is exact for the
   first ``PER_HOUR`` changes of the hour.
3. A trade that is learned late corrects every change after it.
4. The first change of an hour drops what is older than ``KEPT_MS``. Nobody is asked about more than ``TOLD_MS``.
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from actors.core.units import ZERO, Symbol
from actors.subaccount.position import Position

HOUR_MS = 3_600_000
PER_HOUR = 16
KEPT_MS = 26 * HOUR_MS
TOLD_MS = 25 * HOUR_MS
"""Settlements that are older are not booked any more: the exchange's history is asked for a day. An hour less
than what is kept, so that a wall clock that is set back finds what it asks for."""

SETTLES_WITHIN_MS = 1_000
"""Binance names a settlement's time some milliseconds after the whole hour that it is of."""

LATE_MS = 5_000
"""Funding is reported at the earliest this long after its settlement, unless that was at a whole hour."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """``quantity`` (signed) was held until ``until_ms``, in the position of that id; empty when none was."""

    until_ms: int
    quantity: Decimal
    position_id: str


class Holdings(msgspec.Struct, frozen=True, gc=False):
    """What was held of one symbol, oldest first; see the module. Never without a change."""

    symbol: Symbol
    changes: tuple[Change, ...]


class Settled(msgspec.Struct, frozen=True, gc=False):
    """Funding that was booked: of which ``quantity``, and to which position.

    The quantity is None for what was booked before version 6 of the schema, which is final.
    """

    symbol: Symbol
    funding_ms: int
    quantity: Decimal | None
    position_id: str


Held = tuple[Decimal, str]
"""Signed quantity and position id; zero and empty for nothing."""

NOTHING: Held = (ZERO, "")


def held(position: Position | None) -> Held:
    """What a position is to ``Held``."""
    return NOTHING if position is None else (position.quantity, position.position_id)


def changed(
    known: tuple[Holdings, ...], symbol: Symbol, at_ms: int, before: Held, after: Held
) -> tuple[Holdings, ...]:
    """What is known after a trade at ``at_ms`` made ``after`` of what was held; the same object if nothing is new."""
    own = of(known, symbol)
    if not own:
        made = (*known, Holdings(symbol, (Change(at_ms, *before),)))
        return pruned(tuple(sorted(made, key=lambda h: h.symbol)), at_ms)
    last = own[-1]
    if at_ms < last.until_ms:
        corrected = Holdings(symbol, _corrected(own, at_ms, before, after))
        return tuple(corrected if h.symbol == symbol else h for h in known)
    if at_ms == last.until_ms or _is_full(own, at_ms):
        return known
    longer = Holdings(symbol, (*own, Change(at_ms, *before)))
    found = tuple(longer if h.symbol == symbol else h for h in known)
    return pruned(found, at_ms) if begins_hour(longer.changes, at_ms) else found


def pruned(known: tuple[Holdings, ...], now_ms: int) -> tuple[Holdings, ...]:
    """Without what ended before ``KEPT_MS`` ago."""
    oldest, found = now_ms - KEPT_MS, []
    for own in known:
        left = tuple(c for c in own.changes if c.until_ms >= oldest)
        if left:
            found.append(Holdings(own.symbol, left))
    return tuple(found)


def of(known: tuple[Holdings, ...], symbol: Symbol) -> tuple[Change, ...]:
    """What is known of a symbol."""
    for own in known:
        if own.symbol == symbol:
            return own.changes
    return ()


def begins_hour(changes: tuple[Change, ...], at_ms: int) -> bool:
    """Whether the newest change is at ``at_ms`` and the first of its hour."""
    if not changes or changes[-1].until_ms != at_ms:
        return False
    return len(changes) == 1 or _hour(changes[-2].until_ms) != _hour(at_ms)


def held_at(known: tuple[Holdings, ...], symbol: Symbol, position: Position | None, at_ms: int) -> Held:
    """What was held of a symbol just before ``at_ms``; ``position`` is what is held now."""
    changes = of(known, symbol)
    first = _first_since(changes, at_ms)
    if first < len(changes):
        return changes[first].quantity, changes[first].position_id
    if position is None or position.opened_ms >= at_ms:
        return NOTHING
    return held(position)


def nominal_ms(funding_ms: int) -> int:
    """The time whose holdings a settlement is of: the whole hour that it follows at once, else its own."""
    late = funding_ms % HOUR_MS
    return funding_ms - late if late <= SETTLES_WITHIN_MS else funding_ms


def is_late(trade_ms: int, now_ms: int) -> bool:
    """Whether funding that is due after a trade may have been reported before the trade."""
    return now_ms - trade_ms > LATE_MS or _hour(trade_ms) != _hour(now_ms)


def is_whole_hour(at_ms: int) -> bool:
    """Whether what was held then is known exactly, whatever was traded."""
    return at_ms % HOUR_MS == 0


def _hour(at_ms: int) -> int:
    return at_ms // HOUR_MS


def _is_full(changes: tuple[Change, ...], at_ms: int) -> bool:
    return len(changes) >= PER_HOUR and _hour(changes[-PER_HOUR].until_ms) == _hour(at_ms)


def _first_since(changes: tuple[Change, ...], at_ms: int) -> int:
    return bisect_left(changes, at_ms, key=lambda c: c.until_ms)


def _corrected(own: tuple[Change, ...], at_ms: int, before: Held, after: Held) -> tuple[Change, ...]:
    """With a trade that is older than the newest change: all after it held that much more."""
    moved, id_ = after[0] - before[0], after[1] or before[1]
    at = _first_since(own, at_ms)
    older, newer = own[:at], own[at:]
    if newer[0].until_ms == at_ms:
        # What was held until then is known; what came after is not what it was.
        older, newer = own[: at + 1], own[at + 1 :]
    else:
        older = (*older, replace(newer[0], until_ms=at_ms))
    more = tuple(
        Change(c.until_ms, c.quantity + moved, c.position_id or (id_ if c.quantity + moved else ""))
        for c in newer
    )
    mine = [c for c in (*older, *more) if _hour(c.until_ms) == _hour(at_ms)]
    dropped = frozenset(c.until_ms for c in mine[PER_HOUR:])
    return tuple(c for c in (*older, *more) if c.until_ms not in dropped)
