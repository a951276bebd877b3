"""Plant a fault of clearing, and run simulated days until one of them fails: within how many seeds it is caught.

The days are those that the tests run, all kinds in turn: a fault that none of them catches would be caught by nobody. What no
day of a whole engine catches is tried with the small days of one symbol's clearing alone.

    python -m tests.sim.caught                      all faults, with a table for docs/clearing.md
    python -m tests.sim.caught slot 'goes on'       those whose names hold one of these
    python -m tests.sim.caught --seeds 5            so many days of each at most
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial
from itertools import zip_longest
from multiprocessing import get_context

from tests.faults import planted
from tests.patched import ROOT, import_patched
from tests.planted import FAULTS as PLANTED
from tests.sim.days import say

FAULTS = (
    "a block is sent before it is durable",
    "members hear of a round before it is durable",
    "a round's trades are given again",
    "a round is given over whole quantities, not over what is lacked",
    "new risk goes out in one block with liquidations",
    "an order that waited counts as refused",
    "a stale order is sent",
    "a slot that nobody needs is kept",
    "the slot of a block whose decision is lost is kept",
    "members of a block whose decision is lost are forgotten",
    "a member goes on waiting",
    "a block is forgotten before its members booked it",
    "a block ends before its last trades are known",
    "after kill nobody asks what became of a block",
)
"""By their names in ``tests.planted``: what would cost money, and what a day of a whole engine can see."""

CPU_SECONDS_A_DAY = 60
"""A day takes one or two; one that goes round in circles has failed."""


ALONE = 200
"""Small days of one symbol's clearing, as many as the tests run: what no whole day catches must be caught by one of them."""


class Endless(BaseException):
    """A day used more of the processor than any day does."""


def days():
    """The days that the tests run, of all kinds in turn: kind and seed."""
    from tests.sim.days import IN_TESTS

    by_kind = [[(kind, seed) for seed in seeds] for kind, seeds in IN_TESTS.items()]
    return [day for turn in zip_longest(*by_kind) for day in turn if day is not None]


def first_failing(runs):
    """How many days it took until one failed, and what was said; None if no day failed."""
    for number, run in enumerate(runs, 1):
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_A_DAY)
        try:
            run()
        except (Exception, Endless) as error:  # noqa: BLE001 - whatever it is, the day failed
            said = str(error).strip("[]'\"").removeprefix("Violation('").removesuffix("')") or repr(error)
            return number, said.splitlines()[0][:70]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def first_caught(fault, most):
    """Plant a fault for good and run days, ``most`` at most; if none fails, small ones of one symbol's clearing alone.

    Returns what ``first_failing`` says of both.
    """
    import_patched({fault.path: planted(fault)})
    from tests.clearing.play import play
    from tests.sim.days import a_day, in_silence

    in_silence()
    signal.signal(signal.SIGPROF, _endless)
    whole = first_failing([partial(a_day, seed, kind) for kind, seed in days()[:most]])
    alone = None if whole else first_failing([partial(play, seed) for seed in range(ALONE)])
    return whole, alone


def _endless(_signal, _frame):
    raise Endless("a day did not end")


def chosen(names):
    """The faults whose names hold one of these; all without any.

    Raises:
        SystemExit: there is none.
    """
    by_name = {fault.name: fault for fault in PLANTED}
    found = [by_name[name] for name in FAULTS if not names or any(part in name for part in names)]
    if not found:
        raise SystemExit(
            f"no fault's name holds {' or '.join(map(repr, names))}; there are\n" + "\n".join(FAULTS)
        )
    return found


def at_least_one(text):
    """A number of days.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, at least 1")
    return int(text)


def main(arguments=None):
    """Measure; 1 if a fault was not caught."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="parts of names; none for all")
    parser.add_argument("--seeds", type=at_least_one, default=len(days()), help="days of each fault at most")
    asked = parser.parse_args(arguments)
    os.chdir(ROOT)
    faults, missed = chosen(asked.names), 0
    say("| planted fault | caught within | of one symbol alone | by |\n|---|---|---|---|")
    with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        found = pool.imap(partial(first_caught, most=asked.seeds), faults)
        for fault, (whole, alone) in zip(faults, found, strict=True):
            missed += whole is None and alone is None
            within, by = whole or (f"not within {asked.seeds}", "")
            small, by = ("", by) if whole else alone or (f"not within {ALONE}", "")
            say(f"| {fault.name} | {within} | {small} | {by} |")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
