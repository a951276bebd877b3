"""``bulkhead`` whose paper exchange counts no request weight.

A start costs weight, and twenty starts in a minute more than Binance allows: each engine would wait for the next minute,
as it should, and a run would take hours.
"""

from __future__ import annotations

from actors.venues.paper.limits import RateWindows

counted = RateWindows.count_request


def uncounted(self, now_ms, weight, orders):
    return counted(self, now_ms, 0, orders)


if __name__ == "__main__":
    RateWindows.count_request = uncounted
    from actors.cli.main import main

    main()
