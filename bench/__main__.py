"""``python -m bench [name ...]``: run all benchmarks, or those named."""

from __future__ import annotations

import platform
import sys

from actors.runtime import logs
from bench import (
    clearing,
    commits,
    flow,
    isolation,
    latency,
    memory,
    messages,
    million,
    restart,
    router,
    single,
    symbols,
)

ALL = {
    "memory": memory.run,
    "messages": messages.run,
    "router": router.run,
    "commits": commits.run,
    "isolation": isolation.run,
    "restart": restart.run,
    "million": million.run,
    "symbols": symbols.run,
    "latency": latency.run,
    "clearing": clearing.run,
    "flow": flow.run,
    "single": single.run,
}


def main() -> int:
    """Run benchmarks."""
    logs.configure(json=False, level=50)
    names = sys.argv[1:] or list(ALL)
    unknown = [n for n in names if n not in ALL]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    print(
        f"Python {platform.python_version()}, {platform.machine()}; best of some runs, one machine, one run"
    )
    for name in names:
        print(f"\n## {name}")
        ALL[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
