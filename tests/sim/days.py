"""Simulated days of clearing, of four kinds. As a program it runs many, outside of the tests:

    nice -n 19 python -m tests.sim.days --seeds 1000 --first 10000 > days.log

A day is its kind and its seed, and is repeated by them: ``python -m tests.sim.days --kind kills --first 10017 --seeds 1``.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback

import structlog

from actors.assembly.simulation.people import SYMBOLS
from actors.assembly.simulation.world import World
from actors.core.clearing_messages import is_clearing

IN_TESTS = {
    "faults": range(100, 118),
    "kills": range(200, 218),
    "one by one": (*range(300, 304), 10_278),
    "out of service": range(400, 410),
}
"""The seeds of each kind that the tests run."""

KINDS = tuple(IN_TESTS)
SECONDS = 24
"""Of market in a day."""

KILL_EVERY = 5
GIVE_UP_EVERY = 8
SWITCHED_ON, BROKEN = 0.5, 0.3


def a_day(seed, kind, seconds=SECONDS):
    """A day of a kind, to its end with everything at rest; returns its world, which was checked.

    Raises:
        Violation: what does not hold.
    """
    world = World(seed, clearing=kind != "one by one")
    for second in range(seconds):
        if second == seconds // 2:
            world.generator.shock(None, -0.03 if seed % 2 else 0.03, 3)
        if kind != "faults" and second % KILL_EVERY == 3:
            world.dies_in = world.random.randrange(400)
            if kind == "out of service":
                world.clearing = world.random.random() < SWITCHED_ON
                world.store.unreadable_clearings = _unreadable(world)
        if kind == "out of service" and second % GIVE_UP_EVERY == KILL_EVERY:
            _give_up(world)
        world.second()
    if kind == "out of service":
        world.clearing, world.store.unreadable_clearings = True, set()
        world.kill()
    world.calm()
    world.check_quiet()
    return world


def say(text):
    """A line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def in_silence():
    """Log nothing."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50),
        logger_factory=structlog.ReturnLoggerFactory(),
    )


def _unreadable(world):
    """The clearings that cannot be read until the next time: mostly none."""
    return {world.random.choice(SYMBOLS)} if world.random.random() < BROKEN else set()


def _give_up(world):
    """A clearing gets more messages that it cannot handle than it may fail."""
    names = [name for name in world.actors if is_clearing(name)]
    if names:
        name = world.random.choice(names)
        for _ in range(8):
            world.actors[name].tell("no such message")


def main(arguments=None):
    """Run days; 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=10_000, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many; the kinds in turn")
    parser.add_argument("--kind", choices=KINDS, help="only this kind")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of market in a day")
    asked = parser.parse_args(arguments)
    in_silence()
    failed, began = [], time.monotonic()
    for number in range(asked.seeds):
        seed, kind = asked.first + number, asked.kind or KINDS[number % len(KINDS)]
        try:
            a_day(seed, kind, asked.seconds)
        except Exception:  # noqa: BLE001 - whatever it is, the other days go on
            failed.append((seed, kind))
            say(f"FAILED --kind '{kind}' --first {seed}\n{traceback.format_exc(limit=-4)}")
        if number % 50 == 49:
            say(f"{number + 1:,} days, {len(failed)} failed, {time.monotonic() - began:,.0f} s")
    say(f"{asked.seeds:,} days of {asked.seconds} s, {len(failed)} failed: {failed}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
