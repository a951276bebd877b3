"""What the gateway needs of a venue. Each venue implements it; the gateway imports none."""

from __future__ import annotations

from typing import Protocol

from actors.core.units import Symbol
from actors.gateway.messages import RequestWeight
from actors.gateway.orders import Request, VenueRules
from actors.runtime.actor import Ref


class Transport(Protocol):
    """Sends requests. Each is answered to ``gateway`` as a message, once."""

    rules: VenueRules

    def start(self, gateway: Ref) -> None:
        """Begin; send to ``gateway`` what arrives."""
        ...

    def request(self, request: Request) -> None:
        """Send one request; never blocks."""
        ...

    def survey(self, asked_ms: int) -> None:
        """Ask for all open orders and positions of the master; answered as ``Surveyed`` with ``asked_ms``."""
        ...

    def history(self, symbol: Symbol, since_ms: int, asked_ms: int) -> None:
        """Ask for all orders and trades of a symbol since then, in Unix milliseconds on the exchange's clock.

        Answered as ``HistoryListed`` with ``asked_ms``: whole, or with None.
        """
        ...

    def renew_stream(self) -> None:
        """Reconnect the user stream, so that a key that was deleted is replaced."""
        ...

    def weight(self) -> RequestWeight | None:
        """Where the venue's budget of request weight stands; None for a venue without one."""
        ...

    def orders_go_by(self) -> str:
        """The connection that an order would take now, for operators."""
        ...

    def now_ms(self) -> int:
        """Unix milliseconds on the exchange's clock."""
        ...
