"""Whose orders those are that no durable intent of ours explains. Pure.

Rules
1. An order that rests with our own fleet's id is an orphan, of whichever start of ours: it is cancelled.
2. An order of another fleet is never touched. One alarm names that fleet; the gate stays as it is, because
   what it left resting would else stop us for ever, and because what protects must go on.
3. Somebody who sends new orders with our own fleet's id runs a copy of our database, and decides for the
   same accounts: an alarm, and no new risk until the engine is started again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from actors.gateway.messages import Report, ReportStatus
from actors.gateway.orders import REMEMBERED_FINALS, Alarm, Effect, Request
from actors.order_ids import OrderName, Origin, parsed
from actors.units import ClientOrderId

OLDER_RELEASE = "one of a release before fleet ids"
"""How another fleet is called whose ids do not name it."""

COPY = "copy"
"""Who keeps the gate shut once a copy of our database was seen at work."""


class FleetView(msgspec.Struct, frozen=True):
    """What an operator sees: our fleet, this start, and an order of each other fleet."""

    fleet: str
    start: str
    others: dict[str, str]


class Fleets:
    """Our own fleet and the others seen since the start; outlives a crash of the gateway's actor.

    Args:
        origin: what our own ids begin with.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.others: dict[str, str] = {}
        self._copy_seen = False

    def view(self) -> FleetView:
        """For people, who look from other threads."""
        return FleetView(self.origin.fleet, self.origin.start, self.others.copy())

    def stray(self, report: Report, now_ms: int, *, resting: bool) -> list[Effect]:
        """What to do about an order that is none of ours under way.

        Args:
            report: what the exchange says of it.
            now_ms: Unix milliseconds on the exchange's clock.
            resting: whether it was read from the open orders; else the user stream told of it.
        """
        name = parsed(report.client_order_id)
        if name is None:
            return []
        if name.fleet == self.origin.fleet:
            return self._own(report, name, now_ms, resting=resting)
        if not name.fleet and not resting and report.status is not ReportStatus.NEW:
            return []  # maybe the late end of an order of our own, from before the upgrade
        return self._other(name.fleet or OLDER_RELEASE, report)

    def _own(self, report: Report, name: OrderName, now_ms: int, *, resting: bool) -> list[Effect]:
        id_ = report.client_order_id
        if resting:
            return [
                Alarm(
                    f"cancelling {id_} on {report.symbol}: it carries our fleet's id, but no intent explains it"
                ),
                Request(kind="cancel", symbol=report.symbol, client_order_id=id_, timestamp_ms=now_ms),
            ]
        is_new = report.status is ReportStatus.NEW and name.start != self.origin.start
        if not is_new or self._copy_seen:
            return []
        self._copy_seen = True
        text = (
            f"somebody else sends orders of our own fleet {name.fleet} ({id_} on {report.symbol}): a copy of this "
            "database is at work; no new risk; stop one of the two, then restart this one"
        )
        return [Alarm(text, closes=COPY)]

    def _other(self, fleet: str, report: Report) -> list[Effect]:
        if fleet in self.others:
            return []
        self.others[fleet] = report.client_order_id
        return [
            Alarm(
                f"another fleet, {fleet}, has orders on this master account ({report.client_order_id} on "
                f"{report.symbol}); we are {self.origin.fleet}. Order budget, leverage and books are shared, which "
                "is not supported for trading: stop one of the two. Neither cancels the other's orders"
            )
        ]


class Strays:
    """Orders that nobody here knows, of one life of the gateway.

    Until that life has been told what is under way, its own orders look like anybody's: what is seen
    before is kept, and judged then.
    """

    def __init__(self, fleets: Fleets) -> None:
        self._fleets = fleets
        self._early: deque[tuple[Report, bool]] | None = deque(maxlen=REMEMBERED_FINALS)

    def seen(
        self, report: Report, is_known: Callable[[ClientOrderId], bool], now_ms: int, *, resting: bool
    ) -> list[Effect]:
        """Somebody's order was seen; see ``Fleets.stray``."""
        if self._early is not None:
            self._early.append((report, resting))
            return []
        if is_known(report.client_order_id):
            return []
        return self._fleets.stray(report, now_ms, resting=resting)

    def recovered(self, is_known: Callable[[ClientOrderId], bool], now_ms: int) -> list[Effect]:
        """All that is under way is known now: judge what was seen before."""
        early, self._early = self._early or (), None
        return [e for report, resting in early for e in self.seen(report, is_known, now_ms, resting=resting)]
