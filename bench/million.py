"""A million account actors in one process: memory, create rate, message rate, the longest pause."""

from __future__ import annotations

import time
from typing import Any

import psutil

from actors.core.messages import Wake
from actors.core.order_ids import FIXED
from actors.core.units import AccountId
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.gc_control import GcControl
from actors.subaccount.actor import AccountActor, AccountContext
from actors.subaccount.state import AccountState
from actors.supervision.gate import TradingGate
from actors.symbol_router.actor import SymbolRouter
from actors.symbol_router.book import PriceBook
from actors.venues.paper.instruments import LISTINGS
from bench.common import SYMBOLS, Sink, state, ticks
from bench.memory import resident

COUNT = 1_000_000
WAKES = 2_000_000
CHUNK = 1_000


def run() -> None:
    """Print the figures."""
    pauses = GcControl()
    pauses.start()
    empty = resident()
    dispatcher = ThreadedDispatcher("million")
    dispatcher.start()
    accounts: dict[AccountId, Any] = {}
    with pauses.held():
        states = [state(n) for n in range(COUNT)]
        of_states = psutil.Process().memory_info().rss - empty
        took = create(states, dispatcher, accounts)
    print(f"created {COUNT / took:,.0f} account actors/s, each from its state, with its trigger registered")
    print(f"one full collection after it, before anything is traded: {pauses.longest_ms:,.0f} ms")
    pauses.longest_ms, pauses.collections = 0.0, 0
    all_of_it = resident() - empty
    print(f"memory per account: {all_of_it / COUNT:,.0f} B, of which its state {of_states / COUNT:,.0f} B")
    print(f"{rate(list(accounts.values()), dispatcher):,.0f} wakes/s told and assessed exactly, tracing on")
    looked = time.perf_counter()
    snapshot = accounts[AccountId(f"acct-{COUNT // 2}")].cell.snapshot()
    print(
        f"one of them looked into in {(time.perf_counter() - looked) * 1e3:.2f} ms, handled {snapshot.counters.handled}"
    )
    print(
        f"longest GC pause while running: {pauses.longest_ms:,.1f} ms, {pauses.collections} full collections"
    )
    began = time.perf_counter()
    conserved = sum(r.cell.mailbox.counters().is_conserved for r in accounts.values())
    print(f"mailboxes conserved: {conserved:,} of {COUNT:,}, counted in {time.perf_counter() - began:.1f} s")
    pauses.stop()
    dispatcher.stop(10)


def create(
    states: list[AccountState], dispatcher: ThreadedDispatcher, accounts: dict[AccountId, Any]
) -> float:
    """Start all of them from their states.

    Returns:
        Seconds until all are running and registered.
    """
    book = PriceBook()
    context = AccountContext(book, {s: LISTINGS[s].instrument for s in SYMBOLS}, TradingGate(), FIXED)
    context.router = router = SymbolRouter.start("router", dispatcher, book, accounts)
    context.writer = context.gateway = Sink.start("sink", dispatcher)
    for tick in ticks(len(SYMBOLS)):
        router.tell(tick)
    quiet(dispatcher)
    began = time.perf_counter()
    for made in states:
        context.preloaded[made.account_id] = made
        accounts[made.account_id] = AccountActor.start(made.account_id, dispatcher, made.account_id, context)
    quiet(dispatcher)
    return time.perf_counter() - began


def quiet(dispatcher: ThreadedDispatcher) -> None:
    """Wait until nobody waits for a turn."""
    while dispatcher.backlog() or dispatcher.running is not None:
        time.sleep(0.01)


def rate(refs: list[Any], dispatcher: ThreadedDispatcher) -> float:
    """Wake accounts all over the fleet, and wait until all is handled."""
    before = dispatcher.stats.messages
    began = time.perf_counter()
    at = 0
    for _ in range(WAKES // CHUNK):
        for _ in range(CHUNK):
            ref = refs[at]
            at = (at + 611_953) % len(refs)
            ref.tell(Wake(ref.cell.actor.state.symbols[0], "bench"))
        while dispatcher.backlog() > 10 * CHUNK:
            time.sleep(0.0005)
    quiet(dispatcher)
    return (dispatcher.stats.messages - before) / (time.perf_counter() - began)
