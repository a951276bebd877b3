"""Ticks per second through the real router actor, against waking every account of the symbol."""

from __future__ import annotations

from actors.core.messages import Tick, Wake
from bench.common import Fleet, seconds, ticks

TICKS = 100_000


def run() -> None:
    """Print ticks/s for growing fleets, and the fan-out's in the same run."""
    stream = ticks(TICKS + 10)[10:]
    print(f"{'accounts':>10}{'ticks/s':>12}{'wakes':>8}{'fan-out ticks/s':>18}{'ratio':>10}")
    for count in (1_000, 10_000, 100_000):
        fleet = Fleet(count)
        stats = fleet.router.cell.actor.inspect_state()["stats"]
        rate = max(len(stream) / seconds(lambda f=fleet: through(f, stream)) for _ in range(2))  # type: ignore[misc]
        few = stream[: max(3, 30_000 // count)]
        fan = max(fan_out(fleet, few) for _ in range(2))
        print(f"{count:>10,}{rate:>12,.0f}{stats.wakes:>8,}{fan:>18,.1f}{rate / fan:>9,.0f}x")


def through(fleet: Fleet, stream: list[Tick]) -> None:
    """Each tick through the router's mailbox, and whoever it wakes."""
    for tick in stream:
        fleet.tell(tick)


def fan_out(fleet: Fleet, few: list[Tick]) -> float:
    """Ticks per second when each tick wakes all accounts that hold its symbol."""
    refs = list(fleet.accounts.values())

    def all_of_them() -> None:
        for number, tick in enumerate(few):
            fleet.tell(tick)
            wake = Wake(tick.symbol, "bench")
            for ref in refs[number % 10 :: 10]:
                ref.tell(wake)
            fleet.settle()

    return len(few) / seconds(all_of_them)
