"""``bulkhead`` on a machine whose wall clock somebody sets: SIGUSR1 an hour forward, SIGUSR2 two hours back."""

from __future__ import annotations

import signal
import time

HOUR_NS = 3_600 * 10**9


class Wall:
    """Python's wall clock, a step aside."""

    def __init__(self):
        self.true_ns, self.step_ns = time.time_ns, 0
        time.time_ns = lambda: self.true_ns() + self.step_ns
        time.time = lambda: (self.true_ns() + self.step_ns) / 1e9
        signal.signal(signal.SIGUSR1, lambda *_: self.step(HOUR_NS))
        signal.signal(signal.SIGUSR2, lambda *_: self.step(-2 * HOUR_NS))

    def step(self, by_ns):
        self.step_ns += by_ns


if __name__ == "__main__":
    Wall()
    from actors.cli.main import main

    main()
