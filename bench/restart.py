"""Restore of 100,000 accounts from snapshots and the journal behind them, and restart of one of them."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from actors.assembly.build import Assembly, Runtime, Settings, build, with_stand_ins
from actors.core.enums import Side
from actors.core.order_ids import FIXED
from actors.persistence import fleet_loading
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.store import Store
from actors.runtime.cell import Status
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.gc_control import GcControl
from actors.subaccount import state_codec
from actors.subaccount.state import AccountState
from actors.supervision.messages import RestartNow
from actors.venues.paper.instruments import LISTINGS
from actors.venues.port import VenueConnection
from bench.common import SYMBOLS, sink, ticks
from bench.trading import Trader, commit, traders

COUNT = 100_000
CHUNK = 2_000
TAIL = (Side.BUY, Side.SELL)
"""Two trades of four facts each: of more, and of a part of the position."""

RESTARTS = 300
LOADS = 3
WAIT_SECONDS = 10
WORKING_PRICE = Decimal(1990)

SNAPSHOTS = "COPY bulkhead.snapshot (stream, sequence, hash, version, state) FROM STDIN (FORMAT BINARY)"
SNAPSHOT_TYPES = ("text", "int8", "bytea", "int2", "bytea")


def run() -> None:
    """Print how long a restore takes, and a restart from the operator's command to a serving account."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder)) as dsn:
        store = Store.open(dsn)
        store.acquire("bench", 600)
        written = populate(store)
        collector = GcControl()
        with collector.held():
            _restore(store, workers=0)
            loaded = _restore(store)
            # What an account has below it, its limits of other layers, is not written.
            if [state_codec.state_hash(s) for s in loaded[::97]] != [
                state_codec.state_hash(s) for s in written[::97]
            ]:
                raise RuntimeError("what was loaded is not what was written")
            began = time.perf_counter()
            engine = Engine(store, loaded)
            print(f"started: {COUNT:,} accounts, triggers registered, in {time.perf_counter() - began:.2f} s")
        took = sorted(engine.restart(n * (COUNT // RESTARTS)) for n in range(RESTARTS))
        print(
            f"restart of one of {COUNT:,}, state from Postgres: median {statistics.median(took):.2f} ms, "
            f"p99 {took[int(0.99 * RESTARTS)]:.2f} ms, worst {took[-1]:.2f} ms of {RESTARTS}"
        )
        engine.stop()
        store.close()


def populate(store: Store) -> list[AccountState]:
    """Accounts with a position, a working order and a snapshot, and a tail of two trades behind that."""
    found = traders(store, COUNT)
    for at in range(0, COUNT, CHUNK):
        some = found[at : at + CHUNK]
        for trader in some:
            trader.trade()
            trader.place(Side.BUY, WORKING_PRICE)
        _commit(store, some)
        _save(store, some)
        for trader in some:
            for side in TAIL:
                trader.trade(side)
        _commit(store, some)
    return [trader.state for trader in found]


def _commit(store: Store, some: Sequence[Trader]) -> None:
    commit(store, [decision for trader in some for decision in trader.take()])


def _save(store: Store, some: Sequence[Trader]) -> None:
    """Snapshots, as the projector writes them."""
    connection = store._connection  # noqa: SLF001 - the bench's own
    heads = connection.execute(
        "SELECT DISTINCT ON (stream) stream, hash FROM bulkhead.journal WHERE stream = ANY(%s) "
        "ORDER BY stream, sequence DESC",
        ([trader.state.account_id for trader in some],),
    ).fetchall()
    hashes = dict(heads)
    with connection.cursor() as cursor, cursor.copy(SNAPSHOTS) as copy:
        copy.set_types(SNAPSHOT_TYPES)
        for trader in some:
            s = trader.state
            row = (s.account_id, s.sequence, hashes[s.account_id], state_codec.VERSION, state_codec.encode(s))
            copy.write_row(row)


def _restore(store: Store, workers: int = fleet_loading.WORKERS_MAX) -> list[AccountState]:
    """As the engine's start loads all, some times: the first one finds Postgres' pages where filling left them."""
    with patch.object(fleet_loading, "WORKERS_MAX", workers):
        postmaster = psutil.Process(store._connection.info.backend_pid).parent()  # noqa: SLF001 - the bench's own
        took, ours, theirs = [], [], []
        loaded: list[AccountState] = []
        for _ in range(LOADS):
            loaded = []
            before, before_pg = _processor(psutil.Process()), _processor(postmaster)
            began = time.perf_counter()
            loaded = store.load(None)
            took.append(time.perf_counter() - began)
            ours.append(_processor(psutil.Process()) - before)
            theirs.append(_processor(postmaster) - before_pg)
    if len(loaded) != COUNT:
        raise RuntimeError(
            f"{len(loaded)} of {COUNT} accounts were loaded: {list(store.unreadable.items())[:1]}"
        )
    best = took.index(min(took))
    print(
        f"restore {'by this process alone' if not workers else 'with workers'}: {COUNT:,} accounts with a position, a "
        f"working order and a tail of {4 * len(TAIL)} facts read in {took[best]:.2f} s, best of {LOADS} (first "
        f"{took[0]:.2f} s; processor {ours[best]:.2f} s ours, {theirs[best]:.2f} s Postgres'; {os.cpu_count()} cores, "
        f"load {psutil.getloadavg()[0]:.1f})"
    )
    return loaded


def _processor(process: psutil.Process | None) -> float:
    """Seconds of a processor that it and its children have used, those that ended too."""
    if process is None:
        return 0.0
    with process.oneshot():
        used: float = sum(process.cpu_times()[:4])
    for child in process.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            used += sum(child.cpu_times()[:2])
    return used


class Engine:
    """Accounts, router, writer and supervisor on live dispatchers over a real Postgres."""

    def __init__(self, store: Store, states: list[AccountState]) -> None:
        self.main, self.io = ThreadedDispatcher("main"), ThreadedDispatcher("writer")
        self.main.start()
        self.io.start()
        assembly: Assembly = build(
            Settings(origin=FIXED),
            Runtime(main=self.main, io=self.io, alarm=print, halt=print),
            store,
            VenueConnection(instruments={s: LISTINGS[s].instrument for s in SYMBOLS}),
            with_stand_ins({"gateway": sink("gateway"), "projector": sink("projector")}),
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
