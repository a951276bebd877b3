"""Recorded market data: files are opened and checked at start, then played at their recorded pace.

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
WAIT_MIN_S = 0.01


class FeedEnded(BadInput):
    """The recordings have ended, and the configuration says to stop then."""


class FeedPlayer:
    """Plays files.

    Args:
        files: bookTicker CSV files.
        market: market of the files: um, spot or cm.
        end: action at the end of the files: hold, stop or repeat.
        instruments: symbols that the exchange lists.
        notify: called with a message when the recordings have ended.

    Raises:
        BadInput: an unusable file; the message names file, line and value.
        BadConfig: a recording of a symbol that is not listed.
    """

    def __init__(
        self,
        files: tuple[str, ...],
        market: str,
        end: str,
        instruments: Mapping[Symbol, Instrument],
        notify: Callable[[str], None],
    ) -> None:
        self._paths, self._market, self._end = [Path(f) for f in files], market, end
        self._instruments, self._notify = instruments, notify
        self.symbols = {symbol_of(p, market) for p in self._paths}
        for path in self._paths:
            if symbol_of(path, market) not in instruments:
                raise BadConfig(f"{path}: {symbol_of(path, market)} is not listed; add it to --symbols")
        self.state = "playing"
        self._last: dict[Symbol, Row] = {}
        self._rows = self._open()
        self._first_row = next(self._rows)

    def _open(self) -> Iterator[Row]:
        for path in self._paths:
            # Check each file alone first: merging would hide an empty file.
            if next(merged([path], self._market, self._instruments), None) is None:
                raise BadInput(f"{path}: contains no rows; use a recording with rows, or leave it out")
        return merged(self._paths, self._market, self._instruments)

    def first_quote(self) -> Quote:
        """The first quote, published before the server accepts connections."""
        return _quote(self._first_row)

    async def play(self, publish: Callable[[Quote], None]) -> None:
        """Publish all rows at their recorded pace; then hold, repeat or stop.

        Raises:
            BadInput: a bad line; the message names file, line number and value.
            FeedEnded: the files have ended, and ``end`` is stop.
        """
        while True:
            count = await self._play_once(publish)
            names = ", ".join(str(p) for p in self._paths)
            if self._end == "stop":
                raise FeedEnded(f"{names}: ended after {count} rows; --feed-end hold or repeat goes on")
            if self._end == "hold":
                self.state = "ended"
                self._notify(f"{names}: ended after {count} rows; the last prices are repeated")
                await self._hold(publish)
            self._notify(f"{names}: ended after {count} rows; starting again")
            self._rows = self._open()
            self._first_row = next(self._rows)

    async def _play_once(self, publish: Callable[[Quote], None]) -> int:
        began, first_ms, count = time.monotonic(), self._first_row.event_ms, 0
        row: Row | None = self._first_row
        while row is not None:
            wait = (row.event_ms - first_ms) / 1e3 - (time.monotonic() - began)
            if wait > WAIT_MIN_S:
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
