"""What all clearings have waiting and under way, in sums: for metrics and for the engine on one screen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from actors.clearing.view import ClearingView
from actors.core.enums import OrderClass


class ClearingTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all symbols; ``waiting`` and ``oldest_ms`` by class.

    ``waiting`` counts orders of accounts that wait in their symbol's clearing. ``troubled`` are names of clearings that are
    not running. ``counters`` are of this run of the process.
    """

    clearing: str
    symbols: int
    troubled: tuple[str, ...]
    waiting: dict[str, int]
    oldest_ms: dict[str, int]
    blocks_in_flight: int
    alone_in_flight: int
    not_durable: int
    counters: dict[str, int]


def totals(setting: str, views: Mapping[str, ClearingView | None], troubled: Iterable[str]) -> ClearingTotals:
    """Sums of what each clearing shows of itself, by its name."""
    waiting = {order_class.value: 0 for order_class in OrderClass}
    oldest_ms = dict(waiting)

    counters = Counter[str]()
    seen = [view for view in views.values() if view is not None]
    for view in seen:
        counters.update(view.counters)
        for group in view.groups:
            if group.orders:
                waiting[group.order_class] += group.orders
                oldest_ms[group.order_class] = max(oldest_ms[group.order_class], group.oldest_ms)
    return ClearingTotals(
        clearing=setting,
        symbols=len(views),
        troubled=tuple(sorted(troubled)),
        waiting=waiting,
        oldest_ms=oldest_ms,
        blocks_in_flight=sum(len(view.blocks) for view in seen),
        alone_in_flight=sum(view.alone for view in seen),
        not_durable=sum(view.not_durable for view in seen),
        counters=dict(counters),
    )
