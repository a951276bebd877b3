"""Durable decisions per second: through the store, through the writer's mailbox, and with a projector that keeps up."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from msgspec.structs import replace

from actors.core.constants import WRITER_BATCH_FIRST
from actors.core.durability import Persist
from actors.core.units import NANOS_PER_SECOND, Nanos
from actors.persistence import batch_size
from actors.persistence.actor import Writer
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.projection.actor import Projector
from actors.persistence.projection.store import Projection
from actors.persistence.store import Store
from actors.runtime.actor import Ref
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.supervision.gate import TradingGate
from bench.common import Sink
from bench.trading import Trader, in_turn, traders

FEW, MANY = 1_000, 100_000
TRADES = 20_000
ALONE = 300
ON_THEIR_WAY = 4_000
"""Decisions that wait in the writer's mailbox at most, as when accounts decide faster than it writes."""

LAG_SECONDS = 1.0
SUSTAINED_SECONDS = 10.0
TOLD_AT_ONCE = 512
WAIT_SECONDS = 60
SHOWN = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")


def run() -> None:
    """Print decisions/s and the time of a commit, for few accounts and for many."""
    for count in (FEW, MANY):
        with (
            tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder,
            EmbeddedPostgres(Path(folder)) as dsn,
        ):
            store = Store.open(dsn)
            store.acquire("bench", 600)
            if count == FEW:
                print("Postgres: " + ", ".join(f"{name} {_shown(store, name)}" for name in SHOWN))
            found = traders(store, count)
            store.handover()
            with collector_held():
                print(f"{count:,} accounts; load of the machine {psutil.getloadavg()[0]:.1f}")
                _through_the_store(store, found)
                _through_the_writer(store, dsn, found)


@contextmanager
def collector_held() -> Iterator[None]:
    """As the engine does: what is there stays, and is not looked at by Python's collector."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _shown(store: Store, name: str) -> str:
    row = store._connection.execute(f"SHOW {name}").fetchone()  # noqa: SLF001
    return str(row[0]) if row else ""


def _decisions(found: Sequence[Trader], trades: int) -> list[Persist]:
    # Accounts that were idle for long: the ends of their streams are not in memory, nor are pages of indexes.
    step = max(1, len(found) // trades)
    return [decision for made in in_turn(found[::step], trades) for decision in made]


def _through_the_store(store: Store, found: Sequence[Trader]) -> None:
    decisions = _decisions(found, TRADES)
    alone, rest = decisions[:ALONE], decisions[ALONE:]
    each = _timed(store, alone, adaptive=False)
    backend = psutil.Process(store._connection.info.backend_pid)  # noqa: SLF001 - the bench's own
    ours, theirs = time.process_time(), sum(backend.cpu_times()[:2])
    took = _timed(store, rest, adaptive=True)
    ours, theirs = time.process_time() - ours, sum(backend.cpu_times()[:2]) - theirs
    rate, rate_alone = len(rest) / sum(took), len(alone) / sum(each)
    print(f"  store, a commit each:     {rate_alone:>8,.0f} durable decisions/s, commit {_spread(each)}")
    print(
        f"  store, adaptive batches:  {rate:>8,.0f} durable decisions/s, commit {_spread(took)}, "
        f"{len(rest) // len(took)} a batch, {rate / rate_alone:.0f}x a commit each\n"
        f"    processor a decision: {ours / len(rest) * 1e6:.1f} us ours, {theirs / len(rest) * 1e6:.1f} us Postgres'"
    )


def _timed(store: Store, decisions: Sequence[Persist], *, adaptive: bool) -> list[float]:
    """Seconds of each commit."""
    took: list[float] = []
    size, at = WRITER_BATCH_FIRST if adaptive else 1, 0
    while at < len(decisions):
        batch = decisions[at : at + size]
        began = time.perf_counter_ns()
        refused = store.commit(batch)
        ended = time.perf_counter_ns()
        if any(refused):
            raise RuntimeError(f"refused: {refused}")
        store.handover()
        took.append((ended - began) / NANOS_PER_SECOND)
        at += len(batch)
        if adaptive:
            size = batch_size.following(size, len(batch), Nanos(ended - began))
    return took


def _spread(seconds: Sequence[float]) -> str:
    found = sorted(s * 1e3 for s in seconds)
    return f"p50 {statistics.median(found):.1f} ms, p99 {found[int(len(found) * 0.99)]:.1f} ms"


class Replies:
    """Counts what became durable; stands in for the future of every decision."""

    def __init__(self) -> None:
        self.count = 0
        self.refused: list[Any] = []

    def set(self, _reply: object) -> None:
        """Durable."""
        self.count += 1

    def set_exception(self, info: Any) -> None:
        """Not durable."""
        self.refused.append(info[1])
        self.count += 1

    def wait(self, count: int) -> None:
        """Until so many are answered."""
        until = time.monotonic() + WAIT_SECONDS
        while self.count < count:
            if self.refused or time.monotonic() > until:
                raise RuntimeError(f"{self.count:,} of {count:,} answered; refused: {self.refused[:1]}")
            time.sleep(0.0005)


def _through_the_writer(store: Store, dsn: str, found: Sequence[Trader]) -> None:
    """The store closes at the end."""
    dispatchers = [ThreadedDispatcher(name) for name in ("main", "writer", "projector")]
    main, io, projecting = dispatchers
    for dispatcher in dispatchers:
        dispatcher.start()
    try:
        actors: dict[str, Ref] = {"gateway": Sink.start("gateway", main)}
        gate = TradingGate()
        writer = Writer.start("writer", io, store, {}, gate, deque(), actors)
        replies = Replies()
        decisions = _answered(_decisions(found, TRADES), replies)
        began = time.perf_counter()
        _tell(writer, decisions, replies)
        rate = len(decisions) / (time.perf_counter() - began)
        print(f"  writer's mailbox:         {rate:>8,.0f} durable decisions/s, each answered")
        projector = Projector.start("projector", projecting, Projection(dsn), gate, print)
        began = time.perf_counter()
        _until(projector, lambda stats: stats.last > 0 and stats.behind == 0)
        rate = _stats(projector).projected / (time.perf_counter() - began)
        print(f"  projector, from behind:   {rate:>8,.0f} decisions/s read from the journal and projected")
        actors["projector"] = projector
        rate, worst = _sustained(writer, projector, found)
        print(
            f"  with a projector:         {rate:>8,.0f} durable decisions/s sustained for {SUSTAINED_SECONDS:.0f} s, "
            f"lag at most {worst:.2f} s"
        )
        for ref in (projector, writer):
            ref.stop()
    finally:
        for dispatcher in reversed(dispatchers):
            dispatcher.stop(10)
        store.close()


def _answered(decisions: Sequence[Persist], replies: Replies) -> list[Persist]:
    return [replace(decision, reply_to=replies) for decision in decisions]


def _tell(writer: Ref, decisions: Sequence[Persist], replies: Replies, told: int = 0) -> None:
    """Tell them all, and wait for all answers; ``told`` were told before."""
    for number, decision in enumerate(decisions, told):
        if number % TOLD_AT_ONCE == 0 and number > ON_THEIR_WAY:
            replies.wait(number - ON_THEIR_WAY)
        writer.tell(decision)
    replies.wait(told + len(decisions))


def _stats(projector: Ref) -> Any:
    actor: Any = projector.cell.actor
    return actor.inspect_state()


def _until(projector: Ref, reached: Any) -> None:
    until = time.monotonic() + WAIT_SECONDS * 5
    while not reached(_stats(projector)):
        if time.monotonic() > until:
            raise RuntimeError(f"the projector stands at {_stats(projector)}")
        time.sleep(0.01)


def _sustained(writer: Ref, projector: Ref, found: Sequence[Trader]) -> tuple[float, float]:
    """The highest rate at which the oldest decision that is not projected stays younger than the limit.

    At first as many are told as are projected; if that went over the limit, four fifths of it, and so on.

    Returns:
        Decisions projected per second, and the greatest age in seconds.
    """
    most = float("inf")
    while True:
        rate, worst = _paced(writer, projector, _decisions(found, TRADES * 2), most)
        if worst < LAG_SECONDS:
            return rate, worst
        most = min(rate, most) * 0.8


def _paced(writer: Ref, projector: Ref, decisions: Sequence[Persist], most: float) -> tuple[float, float]:
    replies = Replies()
    waiting = deque(_answered(decisions, replies))
    told, worst, before = 0, 0.0, _stats(projector).position
    began = now = time.perf_counter()
    while waiting and now - began < SUSTAINED_SECONDS:
        time.sleep(0.001)
        now = time.perf_counter()
        age_ms = _stats(projector).age_ms
        worst = max(worst, age_ms / 1e3)
        is_ahead = told - replies.count > ON_THEIR_WAY or told > most * (now - began)
        if is_ahead or (most == float("inf") and age_ms > LAG_SECONDS * 1e3 / 2):
            continue
        for _ in range(min(TOLD_AT_ONCE, len(waiting))):
            writer.tell(waiting.popleft())
            told += 1
    took, after = now - began, _stats(projector).position
    # What was not told yet goes in behind the clock: an account's next decisions stand on it.
    _tell(writer, list(waiting), replies, told)
    _until(projector, lambda stats: stats.behind == 0)
    return (after - before) / took, worst
