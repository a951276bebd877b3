"""What the gateway needs of a venue. Each venue implements it; the gateway imports none."""

from __future__ import annotations

from typing import Protocol

from actors.gateway.orders import Request
from actors.runtime.actor import Ref


class Transport(Protocol):
    """What sends bytes. Each request is answered to ``gateway`` as a message, once."""

    def start(self, gateway: Ref) -> None:
        """Begin; tell ``gateway`` what arrives."""
        ...

    def request(self, request: Request) -> None:
        """Send one request; never blocks."""
        ...

    def now_ms(self) -> int:
        """Unix milliseconds on the exchange's clock."""
        ...
