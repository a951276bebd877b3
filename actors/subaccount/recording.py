"""What a decision read of the outside, kept so that it can be made again elsewhere. Pure.

A decision follows from the account's state, the message and the market. States and messages never change once they are
made; a market does. So an account decides through ``Watch``, which notes each price and rule that is read, and from
what was noted ``market_of`` makes a market in which the same decision is made again, byte for byte.

Rules
1. What was not read is not kept. Who reads more from a market that was made again gets ``InputMissing``, never a guess.
2. Notes are in memory only, bounded for the whole engine and for each account (``Recorder``). Facts in the journal are
   what was decided; this says why.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec.structs import replace

from actors.core.errors import FaultInjected, InputMissing
from actors.core.facts import AnyFact
from actors.core.instruments import Instrument
from actors.core.messages import FaultOnPurpose, Tick
from actors.core.order_ids import Origin
from actors.core.trading_day import TradingDay
from actors.core.units import AccountId, ClientOrderId, Nanos, Symbol
from actors.subaccount.decide import decide, withdraw
from actors.subaccount.market import Market, PriceHistory
from actors.subaccount.pipeline import Accepted, Decision, Rejected
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState
from actors.subaccount.triggers import triggers

T = TypeVar("T")
V = TypeVar("V")

RECORDED_OF_ONE = 16
"""Decisions that are kept of one account: twice what its trace shows."""


class Action(StrEnum):
    """What an account did with a message."""

    DECIDE = "DECIDE"
    WITHDRAW = "WITHDRAW"
    """A guard took over and cancelled what the account had resting."""


class Extremes(msgspec.Struct, frozen=True, gc=False):
    """Lowest and highest mid of a symbol since a moment; None where that was not known."""

    symbol: Symbol
    moment: int
    range: tuple[Decimal, Decimal] | None


class Correlation(msgspec.Struct, frozen=True, gc=False):
    """Of the minute returns of two symbols; None where there were too few."""

    one: Symbol
    other: Symbol
    value: Decimal | None


class Inputs(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a decision read of the market. In mappings, None stands for what was asked for and not there.

    ``symbols`` are all symbols with rules, if the decision went through them. ``day_ticks`` is None while the prices at
    the begin of the trading day were not known. Other fields are as in ``Market``.
    """

    now_ns: Nanos
    wall_ms: int
    origin: Origin
    reduce_only: bool
    day: TradingDay
    past_replacing: frozenset[ClientOrderId] = frozenset()
    closed_symbols: frozenset[Symbol] = frozenset()
    ticks: dict[Symbol, Tick | None] = {}
    instruments: dict[Symbol, Instrument | None] = {}
    symbols: tuple[Symbol, ...] | None = None
    day_ticks: dict[Symbol, Tick | None] | None = None
    has_history: bool = False
    moment: int | None = None
    extremes: tuple[Extremes, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    returns: dict[Symbol, tuple[Decimal, ...]] = {}


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One decision. ``inputs`` is None where nothing of the market could be read: a fault on purpose.

    ``facts`` and ``reply`` are what came of it; neither when it failed.
    """

    before: AccountState
    message: Any
    inputs: Inputs | None
    action: Action = Action.DECIDE
    facts: tuple[AnyFact, ...] = ()
    reply: Accepted | Rejected | None = None


# -- noting


class Reads(Mapping[Symbol, T]):
    """A mapping that notes what is read of another one."""

    __slots__ = ("_of", "is_walked", "seen")

    def __init__(self, of: Mapping[Symbol, T]) -> None:
        self._of = of
        self.seen: dict[Symbol, T | None] = {}
        self.is_walked = False

    def over(self, of: Mapping[Symbol, T]) -> None:
        """Forget what was noted, and read ``of`` from now on."""
        self._of = of
        self.seen = {}
        self.is_walked = False

    def get(self, key: Symbol, default: Any = None) -> Any:
        """As of any mapping."""
        found = self.seen[key] = self._of.get(key)
        return default if found is None else found

    def __getitem__(self, key: Symbol) -> T:
        found = self.seen[key] = self._of.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return self.get(key) is not None  # type: ignore[arg-type]  # asked for symbols only

    def __iter__(self) -> Iterator[Symbol]:
        self.is_walked = True
        return iter(list(self._of))

    def __len__(self) -> int:
        self.is_walked = True
        return len(self._of)

    def names(self) -> tuple[Symbol, ...] | None:
        """All keys, if they were gone through."""
        return tuple(self._of) if self.is_walked else None


class _NoHistory:
    """Knows nothing, for a watch that watches nothing yet."""

    next_checkpoint = 0

    def extremes(self, symbol: Symbol, checkpoint: int) -> tuple[Decimal, Decimal] | None:
        """See ``PriceHistory``."""
        del symbol, checkpoint
        return None

    def correlation(self, one: Symbol, other: Symbol) -> Decimal | None:
        """See ``PriceHistory``."""
        del one, other
        return None

    def returns(self, symbol: Symbol) -> tuple[Decimal, ...]:
        """See ``PriceHistory``."""
        del symbol
        return ()


NO_HISTORY: PriceHistory = _NoHistory()


class HistoryReads:
    """A price history that notes what is asked of another one."""

    __slots__ = ("_of", "correlations", "moment", "ranges", "series")

    def __init__(self, of: PriceHistory) -> None:
        self._of = of
        self.moment: int | None = None
        self.ranges: dict[tuple[Symbol, int], tuple[Decimal, Decimal] | None] = {}
        self.correlations: dict[tuple[Symbol, Symbol], Decimal | None] = {}
        self.series: dict[Symbol, tuple[Decimal, ...]] = {}

    def over(self, of: PriceHistory) -> None:
        """Forget what was noted, and ask ``of`` from now on."""
        self._of = of
        self.moment = None
        if self.ranges or self.correlations or self.series:
            self.ranges, self.correlations, self.series = {}, {}, {}

    @property
    def next_checkpoint(self) -> int:
        """See ``PriceHistory``."""
        found = self.moment = self._of.next_checkpoint
        return found

    def extremes(self, symbol: Symbol, checkpoint: int) -> tuple[Decimal, Decimal] | None:
        """See ``PriceHistory``."""
        found = self.ranges[symbol, checkpoint] = self._of.extremes(symbol, checkpoint)
        return found

    def correlation(self, one: Symbol, other: Symbol) -> Decimal | None:
        """See ``PriceHistory``."""
        found = self.correlations[one, other] = self._of.correlation(one, other)
        return found

    def returns(self, symbol: Symbol) -> tuple[Decimal, ...]:
        """See ``PriceHistory``."""
        found = self.series[symbol] = self._of.returns(symbol)
        return found


class Watch:
    """The mappings through which accounts of one thread read, one decision at a time.

    They are the same objects for each decision: to make them anew costs a tenth of a decision that decides nothing. So
    ``inputs_of`` is asked before the next one.
    """

    def __init__(self) -> None:
        self.ticks: Reads[Tick] = Reads({})
        self.instruments: Reads[Instrument] = Reads({})
        self._day: Reads[Tick] = Reads({})
        self.day_ticks: Reads[Tick] | None = None
        self.history = HistoryReads(NO_HISTORY)

    def over(
        self,
        ticks: Mapping[Symbol, Tick],
        instruments: Mapping[Symbol, Instrument],
        day_ticks: Mapping[Symbol, Tick] | None,
        history: PriceHistory,
    ) -> None:
        """Forget what was noted, and read these from now on."""
        self.ticks.over(ticks)
        self.instruments.over(instruments)
        self.history.over(history)
        if day_ticks is None:
            self.day_ticks = None
        else:
            self._day.over(day_ticks)
            self.day_ticks = self._day


def watched(market: Market) -> Market:
    """The market, noting what is read of it; for one decision outside an account's actor."""
    watch = Watch()
    watch.over(market.ticks, market.instruments, market.day_ticks, market.price_history or NO_HISTORY)
    return replace(
        market,
        ticks=watch.ticks,
        instruments=watch.instruments,
        day_ticks=watch.day_ticks,
        price_history=None if market.price_history is None else watch.history,
    )


def inputs_of(market: Market) -> Inputs | None:
    """What was read of a market that is watched; None of any other."""
    ticks, rules, day, history = market.ticks, market.instruments, market.day_ticks, market.price_history
    if not isinstance(ticks, Reads) or not isinstance(rules, Reads):
        return None
    found = Inputs(
        now_ns=market.now_ns,
        wall_ms=market.wall_ms,
        origin=market.origin,
        reduce_only=market.reduce_only,
        day=market.day,
        past_replacing=market.past_replacing,
        closed_symbols=market.closed_symbols,
        ticks=ticks.seen,
        instruments=rules.seen,
        symbols=rules.names(),
        day_ticks=day.seen if isinstance(day, Reads) else None,
        has_history=isinstance(history, HistoryReads),
    )
    if not isinstance(history, HistoryReads) or (
        history.moment is None and not (history.ranges or history.correlations or history.series)
    ):
        return found
    return replace(
        found,
        moment=history.moment,
        extremes=tuple(Extremes(s, at, seen) for (s, at), seen in history.ranges.items()),
        correlations=tuple(Correlation(a, b, seen) for (a, b), seen in history.correlations.items()),
        returns=history.series,
    )


# -- making it again


class OnlyRecorded(Mapping[Symbol, V]):
    """A mapping that knows what was read, and refuses everything else.

    Args:
        what: it holds, for the error.
        seen: what was read; None for what was not there.
        names: all its keys, if they were gone through.
    """

    def __init__(
        self, what: str, seen: Mapping[Symbol, V | None], names: tuple[Symbol, ...] | None = None
    ) -> None:
        self._what, self._seen, self._names = what, seen, names

    def get(self, key: Symbol, default: Any = None) -> Any:
        """As of any mapping."""
        try:
            found = self._seen[key]
        except KeyError:
            if self._names is None or key in self._names:
                _refuse(f"the {self._what} of {key}")
            found = None
        return default if found is None else found

    def __getitem__(self, key: Symbol) -> V:
        found: V | None = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return self.get(key) is not None  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Symbol]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> tuple[Symbol, ...]:
        return (
            self._names
            if self._names is not None
            else _refuse(f"all symbols of which there is a {self._what}")
        )


class RecordedHistory:
    """A price history that knows what was asked."""

    def __init__(self, inputs: Inputs) -> None:
        self._moment = inputs.moment
        self._ranges = {(seen.symbol, seen.moment): seen.range for seen in inputs.extremes}
        self._correlations = {(seen.one, seen.other): seen.value for seen in inputs.correlations}
        self._returns = inputs.returns

    @property
    def next_checkpoint(self) -> int:
        """See ``PriceHistory``."""
        return _refuse("the present moment") if self._moment is None else self._moment

    def extremes(self, symbol: Symbol, checkpoint: int) -> tuple[Decimal, Decimal] | None:
        """See ``PriceHistory``."""
        if (symbol, checkpoint) not in self._ranges:
            _refuse(f"the range of {symbol} since {checkpoint}")
        return self._ranges[symbol, checkpoint]

    def correlation(self, one: Symbol, other: Symbol) -> Decimal | None:
        """See ``PriceHistory``."""
        if (one, other) not in self._correlations:
            _refuse(f"the correlation of {one} and {other}")
        return self._correlations[one, other]

    def returns(self, symbol: Symbol) -> tuple[Decimal, ...]:
        """See ``PriceHistory``."""
        return self._returns[symbol] if symbol in self._returns else _refuse(f"the returns of {symbol}")


def _refuse(what: str) -> NoReturn:
    raise InputMissing(
        f"{what} is not among the recorded inputs: this program reads what the recorded decision did not"
    )


def market_of(inputs: Inputs) -> Market:
    """The market of recorded inputs. Reading anything else of it raises ``InputMissing``."""
    day: Mapping[Symbol, Tick] | None = None
    if inputs.day_ticks is not None:
        day = OnlyRecorded("price at the begin of the day", inputs.day_ticks)
    return Market(
        OnlyRecorded("price", inputs.ticks),
        OnlyRecorded("rules", inputs.instruments, inputs.symbols),
        inputs.now_ns,
        inputs.wall_ms,
        inputs.origin,
        inputs.reduce_only,
        inputs.day,
        day,
        RecordedHistory(inputs) if inputs.has_history else None,
        inputs.past_replacing,
        inputs.closed_symbols,
    )


def decide_again(state: AccountState, message: Any, inputs: Inputs | None, action: Action) -> Decision:
    """Make a recorded decision again, as the account's actor makes it.

    Raises:
        InputMissing: it asks for what was not recorded.
        Exception: what the decision itself raises.
    """
    if isinstance(message, FaultOnPurpose):
        fail_on_purpose(message)
    if inputs is None:
        _refuse("the market")
    return decide_in(market_of(inputs), state, message, action)


def decide_in(market: Market, state: AccountState, message: Any, action: Action = Action.DECIDE) -> Decision:
    """Make a decision with all that it reads, as an account's actor does: its triggers are of it, and may fail too.

    Raises:
        Exception: what the decision raises.
    """
    if action is Action.WITHDRAW:
        decision = withdraw(Situation(state, market, message.reason.value))
    else:
        decision = decide(state, message, market)
    triggers(decision.now)
    return decision


def fail_on_purpose(message: FaultOnPurpose) -> NoReturn:
    """Do what a planted poison is for.

    Raises:
        FaultInjected: always.
    """
    raise FaultInjected(message.reason)


# -- keeping


class Recorder:
    """The last decisions of each account: those that decided something, and orders that were refused.

    What a wake or a repeated message leaves as it was is not kept. One dispatcher's thread keeps, any thread looks.

    Args:
        most: so many are kept in all; of whom decided longest ago, all are forgotten first. 0 keeps nothing.
        of_one: so many are kept of one account.
    """

    def __init__(self, most: int, of_one: int = RECORDED_OF_ONE) -> None:
        self.most, self._of_one = most, of_one
        self.count = 0
        self._of: dict[AccountId, deque[Recorded]] = {}

    def keep(self, decision: Decision, before: AccountState, message: Any, action: Action) -> None:
        """Keep a decision that was made through a ``Watch``, if it is worth it."""
        if not self.most or not (decision.facts or isinstance(decision.reply, Rejected)):
            return
        inputs = inputs_of(decision.now.market)
        id_ = before.account_id
        ring = self._of.pop(id_, None)
        if ring is None:
            ring = deque(maxlen=self._of_one)
        self._of[id_] = ring  # behind all others now
        self.count += len(ring) < self._of_one
        ring.append(
            Recorded(
                before=before,
                message=message,
                inputs=inputs,
                action=action,
                facts=decision.facts,
                reply=decision.reply,
            )
        )
        while self.count > self.most:
            oldest = next(iter(self._of))
            self.count -= len(self._of.pop(oldest))

    def of(self, account_id: AccountId) -> list[Recorded]:
        """What is kept of an account, oldest first."""
        ring = self._of.get(account_id)
        return [] if ring is None else list(ring.copy())
