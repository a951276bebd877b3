"""Recorded L1 in the layout of Binance's public daily bookTicker files; plain, gzip or zip.

update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time

Spot and COIN-M files have the same layout. Where the symbol's rules are known: rows of ``um`` (USD-M) must be
multiples of its tick and step size; rows of ``spot`` are rounded to them, away from the mid price; quantities of ``cm``
are contracts, which are converted to the base asset at the bid and the ask.

I/O: reads and writes files.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from pathlib import Path
from random import Random
from typing import TextIO

import msgspec

from actors.core.errors import BadInput
from actors.core.instruments import Instrument
from actors.core.units import ZERO, Symbol, parse_decimal, round_to
from actors.venues.paper.generator import Generator
from actors.venues.paper.instruments import LISTINGS

HEADER = (
    "update_id",
    "best_bid_price",
    "best_bid_qty",
    "best_ask_price",
    "best_ask_qty",
    "transaction_time",
    "event_time",
)

GENERATED_START_MS = 1_723_161_600_000
GENERATED_STEP_MS = 5


class Row(msgspec.Struct, frozen=True, gc=False):
    """One recorded L1; times in Unix milliseconds."""

    event_ms: int
    symbol: Symbol
    update_id: int
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    mid_float: float


_COIN_MARGINED = re.compile(r"([A-Z0-9]+)USD_(PERP|\d{6})")
CONTRACT_USD = {"BTC": Decimal(100)}
CONTRACT_USD_OTHERS = Decimal(10)
"""Notional of one COIN-M contract, in USD."""


def symbol_of(path: Path, market: str = "um") -> Symbol:
    """The symbol at the start of a file's name; for a COIN-M file the USD-M symbol that it is played as.

    Raises:
        BadInput: the name does not start like ``BTCUSDT-bookTicker-``, or does not fit the market.
    """
    name, mark, _ = path.name.partition("-bookTicker")
    coin = _COIN_MARGINED.fullmatch(name.upper())
    if mark and coin and market == "cm":
        return Symbol(f"{coin[1]}USDT")
    if mark and coin:
        raise BadInput(
            f"{path}: {name} is a COIN-M recording, with quantities in contracts; 'bulkhead paper --feed-market cm' reads it"
        )
    if not mark or not re.fullmatch(r"[A-Za-z0-9]+(_\d{6})?", name):
        raise BadInput(f"{path}: name it like BTCUSDT-bookTicker-2024-08-09.csv, so its symbol is known")
    if market == "cm":
        raise BadInput(f"{path}: {name} is not a COIN-M symbol like BTCUSD_PERP; leave --feed-market out")
    return Symbol(name.upper())


def read_rows(
    path: Path, market: str = "um", instruments: Mapping[Symbol, Instrument] | None = None
) -> Iterator[Row]:
    """Read and check the rows of one file.

    Args:
        path: the file.
        market: market of the file: um, spot or cm.
        instruments: trading rules to check against; by default those of the paper exchange.

    Raises:
        BadInput: missing file, wrong columns, a price that is not positive, a crossed book, time that goes back, or
            a price or size that breaks the symbol's rules. The message names file, line and value.
    """
    symbol = symbol_of(path, market)
    rules = _default_rules(symbol) if instruments is None else instruments.get(symbol)
    try:
        with _open(path) as text:
            for number, row in _rows(path, symbol, csv.reader(text)):
                yield row if rules is None else _fit_to_rules(path, number, row, market, rules)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: not a CSV text file: {error}") from None


def _default_rules(symbol: Symbol) -> Instrument | None:
    listing = LISTINGS.get(symbol)
    return None if listing is None else listing.instrument


def _fit_to_rules(path: Path, number: int, row: Row, market: str, rules: Instrument) -> Row:
    """Check a row against a symbol's rules, or convert it to them. Raises BadInput for a bad row."""
    tick, step = rules.tick_size, rules.step_size
    if market == "um":
        for value, increment, what in (
            (row.bid, tick, "price"),
            (row.ask, tick, "price"),
            (row.bid_qty, step, "size"),
            (row.ask_qty, step, "size"),
        ):
            if value % increment:
                raise BadInput(
                    f"{path}:{number}: {what} {value} is not a multiple of {row.symbol}'s {increment}; "
                    "is this a spot recording? 'bulkhead paper --feed-market spot' rounds it"
                )
        return row
    bid, ask = round_to(row.bid, tick, ROUND_DOWN), round_to(row.ask, tick, ROUND_UP)
    bid_qty, ask_qty = row.bid_qty, row.ask_qty
    if market == "cm":
        worth = CONTRACT_USD.get(rules.base_asset, CONTRACT_USD_OTHERS)
        bid_qty, ask_qty = bid_qty * worth / row.bid, ask_qty * worth / row.ask
    if bid <= ZERO:
        raise BadInput(f"{path}:{number}: price {row.bid} is below {row.symbol}'s tick {tick}")
    sizes = (round_to(q, step, ROUND_DOWN) for q in (bid_qty, ask_qty))
    mid = (float(bid) + float(ask)) * 0.5
    return Row(row.event_ms, row.symbol, row.update_id, bid, next(sizes), ask, next(sizes), mid)


def merged(
    paths: list[Path], market: str = "um", instruments: Mapping[Symbol, Instrument] | None = None
) -> Iterator[Row]:
    """Rows of several files, merged by event time; ties in the order of ``paths``."""
    files = (read_rows(path, market, instruments) for path in paths)
    return heapq.merge(*files, key=lambda row: row.event_ms)


def write_recording(path: Path, symbol: Symbol, rows: int, seed: int) -> None:
    """Write ``rows`` generated quotes, reproducible by seed; gzip if the name ends in ``.gz``.

    Raises:
        BadInput: a symbol that is not listed.
    """
    listing = LISTINGS.get(symbol)
    if listing is None:
        raise BadInput(f"{symbol}: not listed; known are {', '.join(LISTINGS)}")
    generator = Generator([listing], Random(seed), 1000 / GENERATED_STEP_MS)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        for number in range(rows):
            quote = generator.next(symbol)
            at = GENERATED_START_MS + number * GENERATED_STEP_MS
            writer.writerow((number + 1, quote.bid, quote.bid_qty, quote.ask, quote.ask_qty, at, at))


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        names = [n for n in archive.namelist() if n.endswith(".csv")]
        if len(names) != 1:
            raise BadInput(f"{path}: holds {len(names)} CSV files, expected one")
        return io.TextIOWrapper(archive.open(names[0]), encoding="utf-8", newline="")
    return path.open("r", encoding="utf-8", newline="")


def _rows(path: Path, symbol: Symbol, lines: Iterator[list[str]]) -> Iterator[tuple[int, Row]]:
    last_ms = 0
    for number, line in enumerate(lines, start=1):
        if number == 1 and tuple(line) == HEADER:
            continue
        row = _row(path, number, symbol, line)
        if row.event_ms < last_ms:
            raise BadInput(f"{path}:{number}: time goes back from {last_ms} to {row.event_ms}")
        last_ms = row.event_ms
        yield number, row


def _row(path: Path, number: int, symbol: Symbol, line: list[str]) -> Row:
    if len(line) != len(HEADER):
        raise BadInput(f"{path}:{number}: {len(line)} columns, expected {len(HEADER)}: {','.join(HEADER)}")
    try:
        bid, bid_qty, ask, ask_qty = (
            parse_decimal(text, name) for text, name in zip(line[1:5], HEADER[1:5], strict=True)
        )
        update_id, event_ms = int(line[0]), int(line[6])
    except ValueError as error:
        raise BadInput(f"{path}:{number}: {error}") from None
    if not ZERO < bid <= ask:
        raise BadInput(f"{path}:{number}: bid {bid} and ask {ask} are not a valid market")
    if bid_qty < ZERO or ask_qty < ZERO:
        raise BadInput(f"{path}:{number}: a quantity is negative: {bid_qty}, {ask_qty}")
    mid = (float(line[1]) + float(line[3])) * 0.5
    return Row(event_ms, symbol, update_id, bid, bid_qty, ask, ask_qty, mid)
