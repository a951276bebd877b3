"""The clients that are too heavy for CI, each once against a paper exchange: ``make clients``."""

from __future__ import annotations

import sys

from tests.clients.running import HEAVY, run_script
from tests.e2e.processes import KEY, SECRET, Paper


def main():
    failed = 0
    for script in ("freqtrade_bot.py", "python_binance.py"):
        paper = Paper(limits="none")
        try:
            address = paper.address.rest, paper.address.websocket, KEY, SECRET
            report = run_script(script, *address, environment=HEAVY, seconds=600)
        finally:
            paper.stop()
        failed += len(report["failed"])
        sys.stdout.write(f"{script}: {len(report['passed'])} passed, {len(report['failed'])} failed\n")
        for name, why in report["failed"].items():
            sys.stdout.write(f"-- {name}\n{why}\n")
        for said in report["complaints"]:
            sys.stdout.write(f"   {said}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
