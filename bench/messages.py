"""Actor messages per second over many actors, tracing on, against stock Pykka threads."""

from __future__ import annotations

import pykka

from actors.messages import Wake
from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.simulation import SeededDispatcher
from actors.units import Symbol
from bench.common import seconds


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
    """Print messages/s: sender and worker on one thread, on two, and stock Pykka's."""
    rows: list[tuple[str, float]] = []
    for count, each in ((1_000, 100), (100_000, 5)):
        for name, measure in (("one thread", one_thread), ("two threads", two_threads)):
            rows.append((f"ours, {name}, {count:,} actors", max(measure(count, each) for _ in range(2))))
    rows.append(("stock Pykka, a thread each, 1,000 actors", max(stock(1_000, 20) for _ in range(2))))
    peer = rows[-1][1]
    for name, rate in rows:
        print(f"{name:<45}{rate:>12,.0f} messages/s{rate / peer:>8.1f}x")


def one_thread(count: int, each: int) -> float:
    """Told and handled by one thread, as the router and accounts do."""
    clock = SystemClock()
    dispatcher = SeededDispatcher("bench", clock)  # type: ignore[arg-type]
    refs = [Counter.start(f"c{n}", dispatcher) for n in range(count)]
    drain(dispatcher)
    message = Wake(Symbol("BTCUSDT"), "bench")

    def work() -> None:
        for _ in range(each):
            for ref in refs:
                ref.tell(message)
            drain(dispatcher)

    return count * each / seconds(work)


def drain(dispatcher: SeededDispatcher) -> None:
    """Run what is ready in arrival order, without the seeded dispatcher's list surgery."""
    waiting, dispatcher._waiting = dispatcher._waiting, []  # noqa: SLF001 - its own benchmark
    for cell in waiting:
        dispatcher.run_turn(cell)


def two_threads(count: int, each: int) -> float:
    """Told by one thread, handled by the dispatcher's."""
    dispatcher = ThreadedDispatcher("bench")
    dispatcher.start()
    refs = [Counter.start(f"c{n}", dispatcher) for n in range(count)]

    def work() -> None:
        for _ in range(each):
            for ref in refs:
                ref.tell("x")
        refs[-1].ask("x", timeout=120)

    rate = count * each / seconds(work)
    dispatcher.stop(5)
    return rate


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
