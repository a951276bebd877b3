"""Actor messages per second over many actors, tracing on, against stock Pykka and xoscar."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pykka

from actors.core.messages import OrderAccepted
from actors.core.units import ClientOrderId
from actors.runtime.actor import DispatchedActor, Ref
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.simulation import SeededDispatcher
from bench.common import seconds

PROCESSES = 2
START_SECONDS = 60

MESSAGE = OrderAccepted(ClientOrderId("bench"), 1)
"""Of the fills lane: never dropped and never conflated, so each one told is one handled."""


class Counter(DispatchedActor):
    """Counts."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, _message: object) -> int:
        """Count one."""
        self.count += 1
        return self.count


class Stock(pykka.ThreadingActor):
    """The same on stock Pykka."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, _message: object) -> int:
        """Count one."""
        self.count += 1
        return self.count


def run() -> None:
    """Print messages/s of ours in one thread, two threads and two processes, and of peers."""
    rows: list[tuple[str, float]] = [
        ("ours, one thread, 1,000 actors", best(lambda: one_thread(1_000, 100))),
        ("ours, one thread, 100,000 actors", best(lambda: one_thread(100_000, 5))),
        ("ours, two threads, 100,000 actors", best(lambda: two_threads(100_000, 5))),
        ("ours, two processes, 2 x 50,000 actors", best(lambda: two_processes(50_000, 10))),
    ]
    if importlib.util.find_spec("xoscar"):
        rows.append(("xoscar, one process, 1,000 actors", best(lambda: asyncio.run(xoscar(1_000, 20)))))
        rows.append(("xoscar, one process, 10,000 actors", best(lambda: asyncio.run(xoscar(10_000, 2)))))
    else:
        print("xoscar is not installed; 'make bench' installs it")
    rows.append(("stock Pykka, a thread each, 1,000 actors", best(lambda: stock(1_000, 20))))
    peer = rows[-1][1]
    for name, rate in rows:
        print(f"{name:<45}{rate:>12,.0f} messages/s{rate / peer:>8.1f}x")


def best(measure: Callable[[], float]) -> float:
    """The better of two runs."""
    return max(measure() for _ in range(2))


def one_thread(count: int, each: int) -> float:
    """Told and handled by one thread, as the router and accounts do."""
    dispatcher = SeededDispatcher("bench", SystemClock())  # type: ignore[arg-type]
    refs = [Counter.start(f"c{n}", dispatcher) for n in range(count)]
    drain(dispatcher)

    def work() -> None:
        for _ in range(each):
            for ref in refs:
                ref.tell(MESSAGE)
            drain(dispatcher)

    took = seconds(work)
    check(refs, each)
    return count * each / took


def drain(dispatcher: SeededDispatcher) -> None:
    """Run what is ready in arrival order, without the seeded dispatcher's list surgery."""
    waiting = dispatcher._waiting[:]  # noqa: SLF001 - its own benchmark
    dispatcher._waiting.clear()  # noqa: SLF001
    for cell in waiting:
        dispatcher.run_turn(cell)


def check(refs: list[Ref], each: int) -> None:
    """A rate counts only if every message was handled."""
    counters: list[tuple[str, Any]] = [(r.name, r.cell.actor) for r in refs]
    lost = [name for name, actor in counters if actor.count != each]
    if lost:
        raise RuntimeError(f"{len(lost)} actors did not handle {each} messages, {lost[0]} for one")


def two_threads(count: int, each: int) -> float:
    """Told by one thread, handled by the dispatcher's; the interpreter's lock lets one run at a time."""
    dispatcher = ThreadedDispatcher("bench")
    dispatcher.start()
    refs = [Counter.start(f"c{n}", dispatcher) for n in range(count)]

    def work() -> None:
        for _ in range(each):
            for ref in refs:
                ref.tell(MESSAGE)
        while dispatcher.stats.messages < count * (each + 1):
            time.sleep(0.001)

    took = seconds(work)
    check(refs, each)
    dispatcher.stop(5)
    return count * each / took


def two_processes(count: int, each: int) -> float:
    """Two processes at once, each as ``one_thread``: what two cores do when each hosts a shard."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.messages", str(count), str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [json.loads(child.communicate(timeout=START_SECONDS)[0]) for child in children]
    began, ended = min(a["began"] for a in answers), max(a["ended"] for a in answers)
    return float(PROCESSES * count * each / (ended - began))


def host(count: int, each: int) -> None:
    """One of the processes: ready, wait, work, say when it began and ended."""
    dispatcher = SeededDispatcher("bench", SystemClock())  # type: ignore[arg-type]
    refs = [Counter.start(f"c{n}", dispatcher) for n in range(count)]
    drain(dispatcher)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.time()
    for _ in range(each):
        for ref in refs:
            ref.tell(MESSAGE)
        drain(dispatcher)
    ended = time.time()
    check(refs, each)
    print(json.dumps({"began": began, "ended": ended}))


def stock(count: int, each: int) -> float:
    """Stock Pykka, a thread for each actor."""
    refs = [Stock.start() for _ in range(count)]

    def work() -> None:
        for _ in range(each):
            for ref in refs:
                ref.tell("x")
        for ref in refs:
            ref.ask("x", timeout=120)

    rate = count * each / seconds(work)
    for ref in refs:
        ref.stop()
    return rate


async def xoscar(count: int, each: int) -> float:
    """xoscar, all actors in one process, told one after the other."""
    import xoscar as xo  # noqa: PLC0415 - a peer, not needed otherwise

    class Peer(xo.Actor):  # type: ignore[misc]
        def __init__(self) -> None:
            self.count = 0

        def add(self, _message: str) -> int:
            self.count += 1
            return self.count

    pool = await xo.create_actor_pool("127.0.0.1", n_process=0)
    async with pool:
        address = pool.external_address
        refs = [await xo.create_actor(Peer, address=address, uid=str(n)) for n in range(count)]
        began = time.perf_counter()
        for _ in range(each):
            for ref in refs:
                await ref.add.tell("x")
        for ref in refs:
            await ref.add("x")
        return count * (each + 1) / (time.perf_counter() - began)


if __name__ == "__main__":
    host(int(sys.argv[1]), int(sys.argv[2]))
