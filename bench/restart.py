"""Restart of one account of 100,000, with its state read from Postgres; and neighbours' latency."""

from __future__ import annotations

import statistics
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from actors.assembly.build import Runtime, Settings, build, with_stand_ins
from actors.core.order_ids import FIXED
from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.store import Store
from actors.runtime.cell import Status
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.subaccount.durability import Persist
from actors.subaccount.state import AccountState
from actors.supervision.messages import RestartNow
from actors.venues.paper.instruments import LISTINGS
from actors.venues.port import VenueConnection
from bench.common import SYMBOLS, placed_and_filled, sink, ticks

COUNT = 100_000
CHUNK = 2_000
RESTARTS = 300
WAIT_SECONDS = 10


def run() -> None:
    """Print how long a restart takes, from the operator's command to a serving account."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder)) as dsn:
        store = Store.open(dsn)
        store.acquire("bench", 600)
        states = populate(store)
        began = time.perf_counter()
        loaded = store.load(None)
        print(
            f"restore: {len(loaded):,} accounts with a position read in {time.perf_counter() - began:.2f} s"
        )
        written = next(s for s in states if s.account_id == loaded[7].account_id)
        # What was held at past settlements is kept for as long as one may come late: here times are 0.
        if loaded[7] != replace(written, holdings=()):
            raise RuntimeError("what was loaded is not what was written")
        hospital = Hospital(store, loaded)
        took = sorted(hospital.restart(n * (COUNT // RESTARTS)) for n in range(RESTARTS))
        print(
            f"restart of one of {COUNT:,}, state from Postgres: median {statistics.median(took):.2f} ms, "
            f"p99 {took[int(0.99 * RESTARTS)]:.2f} ms, worst {took[-1]:.2f} ms of {RESTARTS}"
        )
        hospital.stop()
        store.close()


def populate(store: Store) -> list[AccountState]:
    """Create accounts and open a position in each, through the store's own commits."""
    wide = Decimal(10**9)
    states: list[AccountState] = []
    for at in range(0, COUNT, CHUNK):
        new = [
            NewAccount(
                account_id=AccountId(f"acct-{n:06}"),
                name="bench",
                deposit=Decimal(200),
                max_notional_per_trade=wide,
                max_total_exposure=wide,
            )
            for n in range(at, at + CHUNK)
        ]
        store.create_accounts(new, 1)
        decisions: list[Persist] = []
        for state in store.load([a.account_id for a in new]):
            made = placed_and_filled(state, len(states) + 1)
            decisions += made
            states.append(made[-1].state)
        refused = [r for r in store.commit(decisions) if r is not None]
        if refused:
            raise refused[0]
    return states


class Hospital:
    """Accounts, router, writer and supervisor on live dispatchers over a real Postgres."""

    def __init__(self, store: Store, states: list[AccountState]) -> None:
        self.main, self.io = ThreadedDispatcher("main"), ThreadedDispatcher("writer")
        self.main.start()
        self.io.start()
        assembly = build(
            Settings(origin=FIXED),
            Runtime(main=self.main, io=self.io, alarm=print, halt=print),
            store,
            VenueConnection(instruments={s: LISTINGS[s].instrument for s in SYMBOLS}),
            with_stand_ins({"gateway": sink("gateway")}),
        )
        self.supervisor = assembly.supervise()
        assembly.start("writer", "gateway", "router")
        for tick in ticks(len(SYMBOLS)):
            assembly.actors["router"].tell(tick)
        self.refs = [assembly.start_account(state.account_id, state) for state in states]
        while self.main.backlog():
            time.sleep(0.01)

    def restart(self, number: int) -> float:
        """Restart one account as an operator does; milliseconds until it serves again."""
        ref = self.refs[number]
        actor: Any = ref.cell.actor
        expected, life = actor.state, ref.cell.restarts
        began = time.perf_counter()
        self.supervisor.tell(RestartNow(ref.name, by_operator=True))
        while ref.cell.restarts == life or ref.cell.status is not Status.RUNNING:
            if time.perf_counter() - began > WAIT_SECONDS:
                raise RuntimeError(f"{ref.name} did not come back: {ref.cell.status}")
            time.sleep(0.0001)
        took = (time.perf_counter() - began) * 1e3
        actor = ref.cell.actor
        if actor.state != expected:
            raise RuntimeError(f"{ref.name} came back with another state")
        return took

    def stop(self) -> None:
        """End the dispatchers."""
        self.main.stop(5)
        self.io.stop(5)
