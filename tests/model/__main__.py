"""Sequences against the engine: ``python -m tests.model --sequences 20000 --seed 1``.

A sequence that differs is printed with the command that repeats it alone.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.model.compare import Difference
from tests.model.sequence import EVENTS, Sequence

SHOWN = 10
BAR = 40


def main() -> int:
    """Run them; 1 when one differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--sequences", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"events in each (default {EVENTS})")
    parser.add_argument("--only", type=int, help="this one alone, with all its events")
    options = parser.parse_args()
    numbers = range(options.sequences) if options.only is None else [options.only]
    failed, begun = 0, time.monotonic()
    for done, number in enumerate(numbers, 1):
        sequence = Sequence(f"{options.seed}:{number}")
        try:
            sequence.play(options.events)
        except Difference as difference:
            failed += 1
            if failed <= SHOWN:
                print(f"\n{difference}\n  python -m tests.model --seed {options.seed} --only {number}")
        if options.only is not None:
            print("\n".join([str(sequence.terms), *sequence.log]))
        if done % 50 == 0 or done == len(numbers):
            progress(done, len(numbers), failed, time.monotonic() - begun)
    return 1 if failed else 0


def progress(done: int, of: int, failed: int, seconds: float) -> None:
    """One line that is written over on a terminal, and a line for each tenth elsewhere."""
    line = f"[{'#' * (BAR * done // of):<{BAR}}] {done} of {of}, {failed} differ, {seconds:.0f} s"
    if sys.stderr.isatty():
        print(line, end="\n" if done == of else "\r", file=sys.stderr, flush=True)
    elif done == of or done % max(of // 10, 1) == 0:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nstopped")
