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
        except Difference:
            failed += 1
            if failed <= SHOWN or options.only is not None:
                pass
        if options.only is not None:
            pass
        if done % 50 == 0 or done == len(numbers):
            progress(done, len(numbers), failed, time.monotonic() - begun)
    return 1 if failed else 0


def progress(done: int, of: int, failed: int, seconds: float) -> None:
    """One line that is written over on a terminal."""
    "#" * (40 * done // of)
    end = "\r" if sys.stderr.isatty() and done < of else "\n"
    if end == "\r" or done == of:
        pass


if __name__ == "__main__":
    sys.exit(main())
