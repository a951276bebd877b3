"""Keeps the exchange's time: asks for it every minute, when this machine's clocks part, and when a time is refused.

I/O: asks the exchange for its time.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from actors.gateway.messages import ClockLost, ClockMeasured
from actors.runtime.actor import Ref
from actors.venues.binance import rest
from actors.venues.binance.http import SignedHttp

log = structlog.get_logger("clock")

LOOK_SECONDS = 0.5
"""How often the machine's two clocks are held against each other."""

RETRY_SECONDS = (0.25, 0.25, 0.5, 1.0, 2.0, 5.0)


class Timekeeper:
    """Runs on the loop of the requests; see the module.

    Args:
        http: whose clock it keeps.
        gateway: gets a message when the time is lost, and when it is known again.
    """

    def __init__(self, http: SignedHttp, gateway: Ref) -> None:
        self._http, self._clock, self._gateway = http, http.clock, gateway
        self._refused = asyncio.Event()
        self._lost = ""
        http.on_mistimed = self._refused.set

    async def run(self) -> None:
        """Keep the time until cancelled."""
        while True:
            self._look()
            if self._lost or self._clock.is_old():
                await self._measure()
            try:
                await asyncio.wait_for(self._refused.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    def remind(self) -> None:
        """The gateway was restarted: send it again whether the time is known."""
        if self._lost:
            self._gateway.tell(ClockLost(self._lost))

    def _look(self) -> None:
        reason = self._clock.doubt()
        if self._refused.is_set():
            reason = "the exchange refused the time of a request (-1021)"
        if reason and not self._lost:
            self._lost = reason
            self._gateway.tell(ClockLost(reason))

    async def _measure(self) -> None:
        """Ask until an answer comes that says something."""
        failures = 0
        while True:
            # It may be lost while a measurement for another reason is under way, and for as long as no answer comes.
            self._look()
            self._refused.clear()
            moved_ms = await self._ask()
            if moved_ms is not None:
                self._lost = ""
                self._gateway.tell(ClockMeasured(moved_ms))
                self._http.clock_is_measured()
                return
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    async def _ask(self) -> int | None:
        began_ns = self._clock.began()
        try:
            answer = await self._http.client().get("/fapi/v1/time")
            server = msgspec.json.decode(answer.raise_for_status().content, type=rest.ServerTime)
        except Exception as error:  # noqa: BLE001 - see below
            # Whatever it was: without a clock nothing is sent, so the asking must not end.
            log.warning("the exchange does not tell its time", error=f"{type(error).__name__}: {error}")
            return None
        return self._clock.measured(began_ns, server.serverTime)
