"""What an account may know of the outside when it decides, and what its positions are worth there."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

import msgspec

from actors.core.instruments import Instrument
from actors.core.messages import Tick
from actors.core.order_ids import Origin
from actors.core.trading_day import ALWAYS, TradingDay
from actors.core.units import ClientOrderId, Nanos, Symbol
from actors.limits.model import MarkSource
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState


class PriceHistory(Protocol):
    """Where the mids have been: extremes since any tick, and one sample a minute."""

    @property
    def next_checkpoint(self) -> int:
        """A number that grows with every tick."""
        ...

    def extremes(self, symbol: Symbol, checkpoint: int) -> tuple[Decimal, Decimal] | None:
        """Lowest and highest mid since ``checkpoint``, the present one included; None if that is not known."""
        ...

    def correlation(self, one: Symbol, other: Symbol) -> Decimal | None:
        """Correlation of the minute returns of two symbols; None with too few of them."""
        ...

    def returns(self, symbol: Symbol) -> tuple[Decimal, ...]:
        """The last minutes' returns, oldest first."""
        ...


class Market(msgspec.Struct, frozen=True, gc=False):
    """See the module. ``day_ticks`` are the prices at the begin of ``day``, None if they are not known.

    ``origin`` is what the ids of new orders begin with, so that no decision is random. ``past_replacing`` are steps that
    wait no more, as the order path says, or that were asked back already. ``closed_symbols`` take no new risk now, and with
    ``reduce_only`` none does.
    """

    ticks: Mapping[Symbol, Tick]
    instruments: Mapping[Symbol, Instrument]
    now_ns: Nanos
    wall_ms: int
    origin: Origin
    reduce_only: bool = False
    day: TradingDay = ALWAYS
    day_ticks: Mapping[Symbol, Tick] | None = None
    price_history: PriceHistory | None = None
    past_replacing: frozenset[ClientOrderId] = frozenset()
    closed_symbols: frozenset[Symbol] = frozenset()

    def fresh(self, symbol: Symbol, max_age_ns: Nanos) -> Tick | None:
        """The symbol's L1 unless it is missing or older than ``max_age_ns``, on its way or since."""
        tick = self.ticks.get(symbol)
        if tick is None or self.now_ns - tick.received_ns + tick.delay_ns > max_age_ns:
            return None
        return tick

    @property
    def moment(self) -> int:
        """The number that ``extremes`` takes for a period that begins now."""
        return 0 if self.price_history is None else self.price_history.next_checkpoint

    def extremes(self, symbol: Symbol, moment: int) -> tuple[Decimal, Decimal] | None:
        """Lowest and highest mid since ``moment``; None if that is not known."""
        return None if self.price_history is None else self.price_history.extremes(symbol, moment)


def mark(position: Position, tick: Tick, source: MarkSource) -> Decimal:
    """What values a position: the mid, or what closing it would bring."""
    return mark_at(tick, source, is_long=position.is_long)


def mark_at(tick: Tick, source: MarkSource, *, is_long: bool) -> Decimal:
    """What values a long or a short of the tick's symbol."""
    if source is MarkSource.MID:
        return tick.mid
    return tick.bid if is_long else tick.ask


def marks_of(
    state: AccountState, market: Market, *, at_any_age: bool = False
) -> dict[Symbol, Decimal] | None:
    """Fresh marks of all the account's positions, or None when one is missing or stale.

    ``at_any_age`` takes the last known ones too.
    """
    marks: dict[Symbol, Decimal] = {}
    limits = state.limits
    oldest_ns, at_mid = market.now_ns - limits.price_max_age_ns, limits.mark_source is MarkSource.MID
    for position in state.positions:
        tick = market.ticks.get(position.symbol)
        if tick is None or (tick.received_ns - tick.delay_ns < oldest_ns and not at_any_age):
            return None
        marks[position.symbol] = tick.mid if at_mid else mark(position, tick, limits.mark_source)
    return marks
