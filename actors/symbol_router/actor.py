"""The symbol router: keeps the price book and wakes the accounts whose triggers are crossed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, assert_never

import msgspec

from actors.core.messages import LoseTriggers, RegisterTriggers, Tick, Wake
from actors.core.trading_day import ALWAYS, DayRule
from actors.core.units import NANOS_PER_MS, AccountId, Nanos
from actors.runtime.actor import DispatchedActor, Ref
from actors.symbol_router.book import PriceBook
from actors.symbol_router.price_history import SAMPLE_EVERY
from actors.symbol_router.trigger_index import TriggerIndex

RouterMessage = Tick | RegisterTriggers | LoseTriggers


CHORE_EVERY = Nanos(50 * NANOS_PER_MS)
"""How often the clock is read; a trading day begins at most this late."""

WAKE_AGAIN = Nanos(1_000 * NANOS_PER_MS)
"""After how long an account is woken again that did not register since: it is busy, or, what should not be, a wake was lost."""

WAKE_AGAIN_IN_CROWD = Nanos(5_000 * NANOS_PER_MS)
"""The same while a crowd waits for its turns: its wakes are in their mailboxes, and to say them all again each second took 2 to 7 %
of the interpreter."""

DAY_WAKES = 20
"""Accounts that are woken for a new trading day with each tick."""


class RouterStats(msgspec.Struct):
    """Counters since the start; only the router writes them."""

    ticks: int = 0
    old_ticks: int = 0
    wakes: int = 0
    registrations: int = 0


class SymbolRouter(DispatchedActor):
    """See the module.

    Args:
        book: shared with the accounts, which only read it.
        accounts: refs by account id; the supervisor adds to it.
        day_rule: when trading days begin; without it there is one day without end.
    """

    GOES_FIRST = True

    def __init__(
        self, book: PriceBook, accounts: Mapping[AccountId, Ref], day_rule: DayRule | None = None
    ) -> None:
        super().__init__()
        self._book = book
        self._accounts = accounts
        self._index = TriggerIndex()
        self._day_rule = day_rule
        self._next_chore_ns = 0
        self._next_sample_ns = 0
        self._day_wakes: Iterator[AccountId] = iter(())
        self.stats = RouterStats()
        # lags[n]: ticks that were handled less than 2**n ns after they were received.
        self.lags = [0] * 64
        self.lags_sum_ns = 0

    def on_receive(self, message: RouterMessage) -> Any:
        """Handle one message."""
        if isinstance(message, Tick):
            self._on_tick(message)
        elif isinstance(message, RegisterTriggers):
            self._on_register(message)
        elif isinstance(message, LoseTriggers):
            self._index.watch(message.account_id)
        else:
            assert_never(message)

    def inspect_state(self) -> Any:
        """Counters, and how many triggers are held."""
        entries, living = self._index.size()
        return {"stats": self.stats, "accounts": len(self._index), "entries": entries, "living": living}

    def registered(self, account_id: AccountId) -> RegisterTriggers | None:
        """What an account registered last; read by ``inspect``."""
        return self._index.registered(account_id)

    def _on_tick(self, tick: Tick) -> None:
        stats = self.stats
        stats.ticks += 1
        lag_ns = self._cell.dispatcher.turn_began_ns - tick.received_ns
        lag_ns = max(lag_ns, 0)
        self.lags[lag_ns.bit_length()] += 1
        self.lags_sum_ns += lag_ns
        if tick.received_ns >= self._next_chore_ns:
            self._chores(tick)
        if not self._book.apply(tick):
            stats.old_ticks += 1
            return
        symbol = tick.symbol
        woken = self._index.crossed(tick)
        if woken is not None:
            wake = Wake(symbol, f"tick:{symbol}:{tick.update_id}")
            for account_id in woken:
                self._wake(account_id, wake)

    def _on_register(self, message: RegisterTriggers) -> None:
        self.stats.registrations += 1
        if self._index.register(message, self._book.ticks, self._cell.dispatcher.turn_began_ns):
            symbol = message.triggers[0].symbol
            self._wake(message.account_id, Wake(symbol, f"register:{symbol}"))

    def _chores(self, tick: Tick) -> None:
        """What is due by the clock, before the first tick after it: a sample, wakes once more, a new day and wakes for it."""
        now_ns = tick.received_ns
        if now_ns >= self._next_sample_ns:
            self._book.history.sample(self._book.ticks)
            self._next_sample_ns = now_ns + SAMPLE_EVERY
        self._next_chore_ns = now_ns + CHORE_EVERY
        wait_ns = WAKE_AGAIN_IN_CROWD if self._cell.dispatcher.is_crowded() else WAKE_AGAIN
        for account_id in self._index.unanswered(now_ns - wait_ns, now_ns):
            self._wake(account_id, Wake(tick.symbol, f"again:{tick.symbol}"))
        if self._day_rule is not None:
            wall_ms, day = self._cell.dispatcher.clock.wall_ms(), self._book.day
            if day is ALWAYS or wall_ms >= day.end_ms:
                self._book.begin_day(self._day_rule.day_of(wall_ms), seen=day is not ALWAYS)
                self._day_wakes = iter(list(self._accounts))
        due = list(islice(self._day_wakes, DAY_WAKES))
        for account_id in due:
            self._wake(account_id, Wake(tick.symbol, f"day:{self._book.day.start_ms}"))
        if len(due) == DAY_WAKES:
            # All at once would keep liquidations waiting.
            self._next_chore_ns = 0

    def _wake(self, account_id: AccountId, wake: Wake) -> None:
        ref = self._accounts.get(account_id)
        if ref is None or not ref.is_alive():
            self._index.forget(account_id)
            return
        self.stats.wakes += 1
        ref.tell(wake)
