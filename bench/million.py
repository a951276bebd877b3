"""A million account actors in one process: memory, create rate, message rate, the longest pause."""

from __future__ import annotations

import time
from typing import Any

import psutil

from actors.assembly.build import Runtime, Settings, build, with_stand_ins
from actors.core.messages import Wake
from actors.core.order_ids import FIXED
from actors.core.units import AccountId
from actors.runtime.actor import Ref
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.gc_control import GcControl
from actors.subaccount.state import AccountState
from actors.venues.paper.instruments import LISTINGS
from actors.venues.port import VenueConnection
from bench.common import SYMBOLS, sink, state, ticks
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
    with pauses.held():
        states = [state(n) for n in range(COUNT)]
        of_states = psutil.Process().memory_info().rss - empty
        accounts, took = create(states, dispatcher)
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


def create(states: list[AccountState], dispatcher: ThreadedDispatcher) -> tuple[dict[AccountId, Ref], float]:
    """Start all of them from their states.

    Returns:
        The accounts, and seconds until all are running and registered.
    """
    assembly = build(
        Settings(origin=FIXED),
        Runtime(main=dispatcher, io=dispatcher),
        None,
        VenueConnection(instruments={s: LISTINGS[s].instrument for s in SYMBOLS}),
        with_stand_ins({"writer": sink("writer"), "gateway": sink("gateway")}),
    )
    assembly.start("writer", "gateway", "router")
    router = assembly.actors["router"]
    for tick in ticks(len(SYMBOLS)):
        router.tell(tick)
    quiet(dispatcher)
    began = time.perf_counter()
    assembly.start_accounts(states)
    quiet(dispatcher)
    return assembly.accounts, time.perf_counter() - began


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
