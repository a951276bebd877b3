"""Recorded L1 in the layout of Binance's public daily bookTicker files; plain, gzip or zip.

update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TextIO

import msgspec

from actors.errors import BadInput
from actors.units import ZERO, Symbol, parse_decimal
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


def symbol_of(path: Path) -> Symbol:
    """The symbol that a file's name begins with.

    Raises:
        BadInput: the name does not begin like ``BTCUSDT-bookTicker-``.
    """
    symbol, mark, _ = path.name.partition("-bookTicker")
    if not mark or not symbol.isalnum():
        raise BadInput(f"{path}: name it like BTCUSDT-bookTicker-2024-08-09.csv, so its symbol is known")
    return Symbol(symbol.upper())


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of one file, checked.

    Raises:
        BadInput: naming file, line and value: missing file, wrong columns, a price that is not
            positive, a crossed book, or time that goes back.
    """
    symbol = symbol_of(path)
    try:
        with _open(path) as text:
            yield from _rows(path, symbol, csv.reader(text))
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: not a CSV text file: {error}") from None


def merged(paths: list[Path]) -> Iterator[Row]:
    """Rows of several files, by event time; ties by the order of ``paths``."""
    return heapq.merge(*map(read_rows, paths), key=lambda row: row.event_ms)


def write_recording(path: Path, symbol: Symbol, rows: int, seed: int) -> None:
    """Write ``rows`` generated L1 updates, the same for the same seed; gzip if named ``.gz``.

    Raises:
        BadInput: a symbol that the paper exchange does not list.
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
            raise BadInput(f"{path}: holds {len(names)} CSV files, one is wanted")
        return io.TextIOWrapper(archive.open(names[0]), encoding="utf-8", newline="")
    return path.open("r", encoding="utf-8", newline="")


def _rows(path: Path, symbol: Symbol, lines: Iterator[list[str]]) -> Iterator[Row]:
    last_ms = 0
    for number, line in enumerate(lines, start=1):
        if number == 1 and tuple(line) == HEADER:
            continue
        row = _row(path, number, symbol, line)
        if row.event_ms < last_ms:
            raise BadInput(f"{path}:{number}: time goes back from {last_ms} to {row.event_ms}")
        last_ms = row.event_ms
        yield row


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
        raise BadInput(f"{path}:{number}: bid {bid} and ask {ask} make no market")
    if bid_qty < ZERO or ask_qty < ZERO:
        raise BadInput(f"{path}:{number}: a quantity is below zero: {bid_qty}, {ask_qty}")
    mid = (float(line[1]) + float(line[3])) * 0.5
    return Row(event_ms, symbol, update_id, bid, bid_qty, ask, ask_qty, mid)
