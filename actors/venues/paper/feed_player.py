"""Recordings as the paper exchange's market: opened and checked at the start, played in their own time.

I/O: reads files and waits until a row is due.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from actors.core.errors import BadConfig, BadInput
from actors.core.instruments import Instrument
from actors.core.units import Symbol
from actors.venues.paper.generator import Quote
from actors.venues.paper.recording import Row, merged, symbol_of

HOLD_SECONDS = 1.0
WAIT_LEAST_S = 0.01


class FeedEnded(BadInput):
    """The recordings are over and the configuration says to stop then."""


class FeedPlayer:
    """Plays files.

    Args:
        files: bookTicker CSV files.
        market: of what market they are.
        end: what to do when they are over: hold, stop or repeat.
        instruments: what the exchange lists.
        say: told when a recording has ended.

    Raises:
        BadInput: a file that cannot be used; names file, line and value.
        BadConfig: a recording of a symbol that is not listed.
    """

    def __init__(
        self,
        files: tuple[str, ...],
        market: str,
        end: str,
        instruments: Mapping[Symbol, Instrument],
        say: Callable[[str], None],
    ) -> None:
        self._paths, self._market, self._end = [Path(f) for f in files], market, end
        self._instruments, self._say = instruments, say
        self.symbols = {symbol_of(p, market) for p in self._paths}
        for path in self._paths:
            if symbol_of(path, market) not in instruments:
                raise BadConfig(f"{path}: {symbol_of(path, market)} is not listed; add it to --symbols")
        self.state = "playing"
        self._last: dict[Symbol, Row] = {}
        self._rows = self._open()
        self._first = next(self._rows)

    def _open(self) -> Iterator[Row]:
        for path in self._paths:
            # Each alone first: an empty file beside good ones would go unnoticed.
            if next(merged([path], self._market, self._instruments), None) is None:
                raise BadInput(f"{path}: holds no rows; give a recording that does, or leave it out")
        return merged(self._paths, self._market, self._instruments)

    def first(self) -> Quote:
        """The first L1, for before anybody is let in."""
        return _quote(self._first)

    async def play(self, publish: Callable[[Quote], None]) -> None:
        """Publish all rows in their own time; then hold, repeat, or stop.

        Raises:
            BadInput: a bad line, by file, number and value; or the end, where it means to stop.
        """
        while True:
            count = await self._play_once(publish)
            names = ", ".join(str(p) for p in self._paths)
            if self._end == "stop":
                raise FeedEnded(f"{names}: ended after {count} rows; --feed-end hold or repeat goes on")
            if self._end == "hold":
                self.state = "ended"
                self._say(f"{names}: ended after {count} rows; going on with the last prices")
                await self._hold(publish)
            self._say(f"{names}: ended after {count} rows; beginning anew")
            self._rows = self._open()
            self._first = next(self._rows)

    async def _play_once(self, publish: Callable[[Quote], None]) -> int:
        began, first_ms, count = time.monotonic(), self._first.event_ms, 0
        row: Row | None = self._first
        while row is not None:
            wait = (row.event_ms - first_ms) / 1e3 - (time.monotonic() - began)
            if wait > WAIT_LEAST_S:
                await asyncio.sleep(wait)
            publish(_quote(row))
            self._last[row.symbol] = row
            count += 1
            row = next(self._rows, None)
        return count

    async def _hold(self, publish: Callable[[Quote], None]) -> None:
        while True:
            await asyncio.sleep(HOLD_SECONDS)
            for row in self._last.values():
                publish(_quote(row))


def _quote(row: Row) -> Quote:
    return Quote(row.symbol, row.bid, row.bid_qty, row.ask, row.ask_qty)
