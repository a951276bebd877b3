"""Plant each fault of a list, one at a time, and see the tests fail that must catch it.

``python -m tests.faults`` runs it; CI too. A fault that no test notices, whose tests are gone, or that does not apply
any more fails the run: then the list is to be brought up to date, or the test to be written.

    python -m tests.faults                 all
    python -m tests.faults lease 'by hand' those whose names hold one of these
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.patched import ROOT, End, Try, ends, import_patched, in_sample, last_commit, shared_postgres
from tests.planted import FAULTS, Fault

SECONDS_EACH = 120

WRONG = {
    End.ALIVE: "no test catches it",
    End.BROKEN: "its tests cannot be run",
    End.TIMED_OUT: "its tests did not end",
}


def planted(fault: Fault) -> str:
    """The file's text with the fault in it.

    Raises:
        ValueError: it does not apply; says why.
    """
    text = (ROOT / fault.path).read_text(encoding="utf-8")
    count = text.count(fault.before)
    if count != 1:
        raise ValueError(
            f"its text stands {count} times in {fault.path}, not once; bring tests/planted.py up to date"
        )
    changed = text.replace(fault.before, fault.after)
    compile(changed, fault.path, "exec")
    return changed


def tries_of(faults: list[Fault]) -> tuple[list[Try], list[str]]:
    """What to try, and what is wrong before anything is tried."""
    tries, wrong = [], []
    for fault in faults:
        try:
            tries.append(Try(fault, partial(import_patched, {fault.path: planted(fault)}), fault.tests))
        except (ValueError, SyntaxError, OSError) as error:
            wrong.append(f"{fault.name}: {error}")
    return tries, wrong


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="parts of names; none for all")
    parser.add_argument("--one-of", type=int, default=1, help="try one of so many, chosen by the last commit")
    arguments = parser.parse_args()
    if arguments.one_of < 1:
        parser.error(f"--one-of {arguments.one_of} must be at least 1")
    os.chdir(ROOT)
    names, seed = arguments.names, last_commit()
    chosen = [
        f
        for f in FAULTS
        if (not names or any(n in f.name for n in names)) and in_sample(f"{seed}:{f.name}", arguments.one_of)
    ]
    began = time.monotonic()
    tries, wrong = tries_of(chosen)
    for line in wrong:
        print(line)
    tests = {test for one in tries for test in one.tests}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, shared_postgres(tests, Path(folder)):
        for one, end in ends(tries, at_once=os.cpu_count() or 1, seconds=SECONDS_EACH):
            if end is not End.NOTICED:
                wrong.append(f"{one.what.name}: {WRONG[end]} ({one.what.path}; {', '.join(one.what.tests)})")
                print(wrong[-1], flush=True)
    print(f"{len(chosen)} planted faults, {len(wrong)} not caught, {time.monotonic() - began:.0f} s")
    return 1 if wrong or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
