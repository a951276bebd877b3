"""Recorded L1: written and read the same, and every bad line is named.

Covers: actors/venues/paper/generator.py, actors/venues/paper/instruments.py
"""

from __future__ import annotations

import gzip
import zipfile
from decimal import Decimal as D

import pytest

from actors.core.errors import BadInput
from actors.venues.paper.recording import HEADER, merged, read_rows, symbol_of, write_recording
from tests.factories import BTC, ETH


def test_what_is_written_is_read_and_repeats(tmp_path):
    one, two = tmp_path / "ETHUSDT-bookTicker-1.csv.gz", tmp_path / "ETHUSDT-bookTicker-2.csv"
    write_recording(one, ETH, 500, seed=3)
    write_recording(two, ETH, 500, seed=3)
    rows = list(read_rows(one))
    assert rows == list(read_rows(two))
    assert len(rows) == 500
    assert all(D(0) < r.bid < r.ask for r in rows)
    assert gzip.decompress(one.read_bytes()).decode().splitlines()[0] == ",".join(HEADER)


def test_a_zip_holds_one_csv(tmp_path):
    plain = tmp_path / "ETHUSDT-bookTicker-1.csv"
    write_recording(plain, ETH, 10, seed=1)
    packed = tmp_path / "ETHUSDT-bookTicker-1.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(plain, "ETHUSDT-bookTicker-1.csv")
    assert list(read_rows(packed)) == list(read_rows(plain))


def test_files_are_merged_by_time(tmp_path):
    paths = [tmp_path / "BTCUSDT-bookTicker-1.csv", tmp_path / "ETHUSDT-bookTicker-1.csv"]
    for path, symbol in zip(paths, (BTC, ETH), strict=True):
        write_recording(path, symbol, 100, seed=1)
    rows = list(merged(paths))
    assert [r.event_ms for r in rows] == sorted(r.event_ms for r in rows)
    assert {r.symbol for r in rows[:2]} == {BTC, ETH}


GOOD = "1,100.1,1,100.2,1,5,5"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("1,100.1,1,100.2,1,5", "6 columns"),
        ("1,NaN,1,100.2,1,5,5", "best_bid_price: 'NaN' is not a finite"),
        ("1,abc,1,100.2,1,5,5", "best_bid_price: 'abc'"),
        ("1,100.3,1,100.2,1,5,5", "are not a valid market"),
        ("1,0,1,100.2,1,5,5", "are not a valid market"),
        ("1,100.1,-1,100.2,1,5,5", "is negative"),
        ("x,100.1,1,100.2,1,5,5", "invalid literal"),
        ("2,100.1,1,100.2,1,4,4", "time goes back"),
    ],
)
def test_a_bad_line_is_named_with_file_and_number(line, text, tmp_path):
    path = tmp_path / "ETHUSDT-bookTicker-1.csv"
    path.write_text(f"{','.join(HEADER)}\n{GOOD}\n{line}\n")
    with pytest.raises(BadInput, match=text) as caught:
        list(read_rows(path))
    assert f"{path}:3" in str(caught.value)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(BadInput, match="name it like"):
        symbol_of(tmp_path / "prices.csv")
    with pytest.raises(BadInput, match="cannot be read"):
        list(read_rows(tmp_path / "ETHUSDT-bookTicker-none.csv"))
    broken = tmp_path / "ETHUSDT-bookTicker-1.csv.gz"
    broken.write_bytes(b"not gzip")
    with pytest.raises(BadInput, match="cannot be read"):
        list(read_rows(broken))
    with pytest.raises(BadInput, match="not listed"):
        write_recording(tmp_path / "x.csv", "NOPEUSDT", 1, 1)
