"""The feed: subscribes to L1, refreshes stale symbols by REST, passes on settled funding and past rates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from actors.core.messages import ApplyFunding, AskFunding, AskRate, Lane, Message, RateKnown
from actors.core.safe_copy import keys
from actors.core.units import NANOS_PER_MS, AccountId, Nanos, Symbol
from actors.feed.port import Source
from actors.feed.rates import MinuteRate, Rates
from actors.feed.settlements import Settlements
from actors.runtime.actor import DispatchedActor, Ref
from actors.symbol_router.book import PriceBook

ACCOUNTS_AT_ONCE = 500
"""Accounts that are sent a funding in one turn."""

WATCH_EVERY = Nanos(500 * NANOS_PER_MS)


class Watch(Message, frozen=True, gc=False):
    """The feed's own timer."""

    LANE = Lane.CONTROL

    incarnation: int


class FundingLeft(Message, frozen=True, gc=False):
    """The feed to itself: these accounts are still to be sent a funding."""

    LANE = Lane.COMMANDS

    funding: ApplyFunding
    accounts: tuple[AccountId, ...]


class Listed(Message, frozen=True, gc=False):
    """The engine to the feed: these are the symbols now."""

    LANE = Lane.CONTROL

    symbols: tuple[Symbol, ...]


NAMED_AT_ONCE = 5
"""Symbols that an alarm names; 'bulkhead inspect feed' has all."""


class Feed(DispatchedActor):
    """See the module.

    Args:
        source: where L1 comes from.
        router: who gets it.
        book: whose ages are watched.
        symbols: what must be fresh.
        max_age_ns: when an account stops using a price; asked for again at a third of that.
        on_alarm: called once when symbols become stale, and once when they are back.
        accounts: refs by account id; each is sent every settled funding.
        rate_symbols: those of the symbols that are not traded, but give the rate of a fee asset.
    """

    def __init__(  # noqa: PLR0913 - what it watches, and its neighbours
        self,
        source: Source,
        router: Ref,
        book: PriceBook,
        symbols: Sequence[Symbol],
        max_age_ns: Nanos,
        on_alarm: Callable[[str], None],
        accounts: Mapping[AccountId, Ref],
        rate_symbols: Collection[Symbol] = (),
    ) -> None:
        super().__init__()
        self._source, self._router, self._book, self._symbols = source, router, book, list(symbols)
        self._max_age_ns, self._on_alarm = max_age_ns, on_alarm
        self._accounts = accounts
        self._stale: set[Symbol] = set()
        self._rate_symbols = frozenset(rate_symbols)
        self._rates = Rates()
        self._settlements = Settlements()

    def on_start(self) -> None:
        """Begin to read and to watch."""
        self._source.start(self._router, self.actor_ref)
        self._later()

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        if isinstance(message, ApplyFunding):
            # To all: an account without a position now may have had one then. Copied in one step: others add to them.
            self._settlements.note(message)
            self._send_funding(FundingLeft(message, keys(self._accounts)))
            return
        if isinstance(message, AskFunding):
            for funding in self._settlements.since(message):
                self._tell_account(message.account_id, funding)
            return
        if isinstance(message, FundingLeft):
            self._send_funding(message)
            return
        if isinstance(message, Listed):
            self._source.subscribe([s for s in message.symbols if s not in self._symbols])
            self._symbols = list(message.symbols)
            return
        if isinstance(message, AskRate):
            self._ask_rate(message)
            return
        if isinstance(message, MinuteRate):
            known, accounts = self._rates.answered(message)
            if known is not None:
                for account_id in accounts:
                    self._tell_account(account_id, known)
            return
        if not isinstance(message, Watch):
            raise TypeError(f"the feed does not understand {type(message).__name__}")
        if message.incarnation != self._cell.restarts:
            return  # of an earlier incarnation, whose timers go on
        now_ns = Nanos(self._cell.dispatcher.clock.monotonic_ns())
        ages = {s: self._book.age_ns(s, now_ns) for s in self._symbols}
        old = [s for s, age in ages.items() if age is None or age > self._max_age_ns // 3]
        if old:
            self._source.refresh(old, self._router)
        self._alarm_stale({s for s, age in ages.items() if age is None or age > self._max_age_ns})
        self._later()

    def inspect_state(self) -> Any:
        """Stale symbols."""
        return {
            "symbols": len(self._symbols),
            "stale": sorted(self._stale),
            "rates_asked": self._rates.waiting,
        }

    def _alarm_stale(self, stale: set[Symbol]) -> None:
        traded, rates = stale - self._rate_symbols, stale & self._rate_symbols
        before = self._stale
        self._alarm(rates - before, "stale: fees in its asset are booked when it is known again")
        self._alarm(traded - before, "stale: no new risk in it, and no liquidation either")
        self._alarm(before - stale, "fresh again")
        self._stale = stale

    def _alarm(self, symbols: set[Symbol], what: str) -> None:
        """One alarm, however many symbols: they all go when the way to the exchange does."""
        names: list[str] = sorted(symbols)
        if len(names) > NAMED_AT_ONCE:
            names = [*names[:NAMED_AT_ONCE], f"{len(names) - NAMED_AT_ONCE} more symbols"]
        if names:
            self._on_alarm(
                f"the price of {' and '.join(filter(None, [', '.join(names[:-1]), names[-1]]))} is {what}"
            )

    def _ask_rate(self, message: AskRate) -> None:
        found = self._rates.want(message)
        if isinstance(found, RateKnown):
            self._tell_account(message.account_id, found)
        elif found is not None:
            self._source.rate(*found, self.actor_ref)

    def _tell_account(self, account_id: AccountId, message: ApplyFunding | RateKnown) -> None:
        ref = self._accounts.get(account_id)
        if ref is not None and ref.is_alive():
            ref.tell(message)

    def _send_funding(self, message: FundingLeft) -> None:
        # Some at a time: all at once would keep ticks and fills waiting.
        for account_id in message.accounts[:ACCOUNTS_AT_ONCE]:
            self._tell_account(account_id, message.funding)
        if len(message.accounts) > ACCOUNTS_AT_ONCE:
            self.actor_ref.tell(FundingLeft(message.funding, message.accounts[ACCOUNTS_AT_ONCE:]))

    def _later(self) -> None:
        self._cell.dispatcher.after(WATCH_EVERY, self._cell, Watch(self._cell.restarts))
