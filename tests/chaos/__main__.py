"""Kill, freeze and cut a trading engine and its Postgres, and compare the books: ``python -m tests.chaos --cycles 200``."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.chaos.run import Run


def main() -> int:
    """Run it; 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--cycles", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, help="of all choices (default: another one each time)")
    parser.add_argument("--accounts", type=int, default=40, help="how many trade (default 40)")
    parser.add_argument("--keep", action="store_true", help="keep the data folder also when all is well")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    folder, began = Path(tempfile.mkdtemp(prefix="chaos-")), time.monotonic()
    again = (
        f"python -m tests.chaos --cycles {options.cycles} --seed {seed} --accounts {options.accounts} --keep"
    )
    print(f"seed {seed}; data and logs in {folder}", flush=True)
    run = None
    try:
        run = Run(folder, seed, options.cycles, options.accounts, report=_progress)
        run.play()
    except Exception:  # noqa: BLE001 - whatever it was, how to repeat it is printed
        traceback.print_exc()
        where = run.under_way if run is not None else "the start"
        print(f"\nFAILED in {where} after {time.monotonic() - began:.0f} s")
        print(f"again: {again}")
        print(
            "       (the same choices; processes run as fast as the machine lets them, so not the same run)"
        )
        print(
            f"data and logs: {folder}, engines' logs in {folder / 'logs'}, Postgres' in {folder / 'postgres' / 'log'}"
        )
        return 1
    for name, figure in run.figures().items():
        print(f"{name}: {figure}")
    print(f"all invariants held, {time.monotonic() - began:.0f} s, seed {seed}")
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _progress(line):
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
