"""Which fleet the orders belong to that no durable intent of ours explains. Pure.

Rules
1. An order that rests with our own fleet's id is an orphan, of whichever start of ours: it is cancelled.
2. An order of another fleet is never touched. One alarm names that fleet; the gate stays as it is, because
   what it left resting would else stop this one for ever, and because protection must go on.
3. Another process that sends new orders with our own fleet's id runs on a copy of our database, and decides for
   the same accounts: an alarm, and no new risk until the engine is started again.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.core.order_ids import OrderName, Origin, parsed
from actors.gateway.messages import Report, ReportStatus
from actors.gateway.orders import Alarm, Effect, Request

OLDER_RELEASE = "one of a release before fleet ids"
"""Name of a fleet whose ids do not contain one."""

COPY = "copy"
"""Closes the gate, in this name, once a copy of our database was seen at work."""


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
        """For operators; callable from any thread."""
        return FleetView(self.origin.fleet, self.origin.start, dict(self.others))

    @staticmethod
    def is_of_a_fleet(report: Report) -> bool:
        """Whether an order is of a fleet at all, ours or another."""
        return parsed(report.client_order_id) is not None

    def resting(self, reports: Iterable[Report], venue_ms: int) -> list[Effect]:
        """What to do about open orders that none of ours under way explains.

        Args:
            reports: what the exchange says of them.
            venue_ms: Unix milliseconds on the exchange's clock.
        """
        effects: list[Effect] = []
        for report in reports:
            id_, name = report.client_order_id, parsed(report.client_order_id)
            if name is not None and name.fleet == self.origin.fleet:
                text = f"cancelling {id_} on {report.symbol}: it carries our fleet's id, but no intent explains it"
                cancel = Request(
                    kind="cancel", symbol=report.symbol, client_order_id=id_, timestamp_ms=venue_ms
                )
                effects += [Alarm(text), cancel]
            elif name is not None:
                effects += self._other(name, report)
        return effects

    def reported(self, report: Report) -> list[Effect]:
        """What to do when the user stream reports an order that is none of ours under way, nor ended lately."""
        name = parsed(report.client_order_id)
        # Only new orders count: of our own, and of those before the upgrade, late ends may come.
        is_new = report.status is ReportStatus.NEW
        if name is None or (not is_new and name.fleet in {"", self.origin.fleet}):
            return []
        return self._copy(name, report) if name.fleet == self.origin.fleet else self._other(name, report)

    def _copy(self, name: OrderName, report: Report) -> list[Effect]:
        if name.start == self.origin.start or self._copy_seen:
            return []
        self._copy_seen = True
        text = (
            f"another process sends orders of our own fleet {name.fleet} ({report.client_order_id} on {report.symbol}): "
            "a copy of this database is at work; no new risk; stop one of the two, then restart this one"
        )
        return [Alarm(text, closes=COPY)]

    def _other(self, name: OrderName, report: Report) -> list[Effect]:
        fleet = name.fleet or OLDER_RELEASE
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
