"""``bulkhead`` under a collector that begins all the time and lets other threads in when it does.

Whatever one thread reads of what another one changes is then changed in the middle of it sooner or later.
"""

from __future__ import annotations

import sys

from actors.runtime import gc_control

GENERATIONS = (50, 2, 2)
SWITCH_SECONDS = 1e-6


if __name__ == "__main__":
    from actors.cli.main import main

    gc_control.GENERATIONS = GENERATIONS
    sys.setswitchinterval(SWITCH_SECONDS)
    main()
