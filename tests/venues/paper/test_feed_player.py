"""Playing recordings: clear errors for unusable files, and a message at the end."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import subprocess
import sys
from decimal import Decimal as D
from pathlib import Path

import pytest

from actors.core.errors import BadConfig, BadInput
from actors.venues.paper.feed_player import FeedEnded, FeedPlayer
from actors.venues.paper.recording import HEADER, write_recording
from tests.factories import BTC, ETH, INSTRUMENTS

ROOT = Path(__file__).parents[3]
GOOD = ["1,2000.00,1.000,2000.10,1.000,5,5", "2,2001.00,1.000,2001.10,1.000,15,15"]


def recording(folder, name="ETHUSDT-bookTicker-1.csv", lines=GOOD):
    path = folder / name
    path.write_text("\n".join([",".join(HEADER), *lines]) + "\n")
    return str(path)


def player(*files, market="um", end="stop", notify=lambda _: None):
    return FeedPlayer(files, market, end, INSTRUMENTS, notify)


def play(made, most=10**6):
    quotes = []

    async def run():
        def publish(quote):
            quotes.append(quote)
            if len(quotes) >= most:
                raise StopAsyncIteration

        await made.play(publish)

    with pytest.raises((FeedEnded, RuntimeError, StopAsyncIteration)) as caught:
        asyncio.run(run())
    return quotes, caught.value


def test_all_rows_are_played_and_the_end_is_reported(tmp_path):
    path = recording(tmp_path)
    quotes, error = play(player(path))
    assert [str(q.bid) for q in quotes] == ["2000.00", "2001.00"]
    assert f"{path}: ended after 2 rows" in str(error)


def test_it_repeats_or_holds_the_last_price(tmp_path, monkeypatch):
    path, messages = recording(tmp_path), []
    quotes, _ = play(player(path, end="repeat", notify=messages.append), most=5)
    assert [str(q.bid) for q in quotes] == ["2000.00", "2001.00", "2000.00", "2001.00", "2000.00"]
    assert "starting again" in messages[0]
    monkeypatch.setattr("actors.venues.paper.feed_player.HOLD_SECONDS", 0.01)
    holding = player(path, end="hold", notify=messages.append)
    quotes, _ = play(holding, most=4)
    assert [str(q.bid) for q in quotes] == ["2000.00", "2001.00", "2001.00", "2001.00"]
    assert (holding.state, "the last prices are repeated" in messages[-1]) == ("ended", True)


@pytest.mark.parametrize(
    ("name", "lines", "market", "text"),
    [
        ("ETHUSDT-bookTicker-1.csv", [], "um", "contains no rows"),
        (
            "ETHUSDT-bookTicker-1.csv",
            ["1,2000.005,1,2000.10,1,5,5"],
            "um",
            ":2: price 2000.005 is not a multiple",
        ),
        (
            "ETHUSDT-bookTicker-1.csv",
            ["1,2000.00,1.00055,2000.10,1,5,5"],
            "um",
            ":2: size 1.00055 is not a multiple",
        ),
        ("ETHUSD_PERP-bookTicker-1.csv", GOOD, "um", "ETHUSD_PERP is a COIN-M recording"),
        ("ETHUSD_PERP-bookTicker-1.csv", GOOD, "spot", "ETHUSD_PERP is a COIN-M recording"),
        ("ETHUSDT-bookTicker-1.csv", GOOD, "cm", "ETHUSDT is not a COIN-M symbol"),
    ],
)
def test_what_cannot_be_played_is_named_at_the_start(tmp_path, name, lines, market, text):
    path = recording(tmp_path, name, lines)
    with pytest.raises(BadInput, match=text) as caught:
        player(path, market=market)
    assert path in str(caught.value)


def test_a_recording_of_an_unlisted_symbol_is_named(tmp_path):
    with pytest.raises(BadConfig, match="NOPEUSDT is not listed"):
        player(recording(tmp_path, "NOPEUSDT-bookTicker-1.csv"))


def test_spot_and_coin_margined_recordings_are_read_with_their_market(tmp_path):
    spot = recording(tmp_path, "BTCUSDT-bookTicker-1.csv", ["1,60000.03,1.23456,60000.04,0.00001,5,5"])
    with pytest.raises(BadInput, match="--feed-market spot"):
        player(spot)
    [quote], _ = play(player(spot, market="spot"))
    assert [str(v) for v in (quote.bid, quote.bid_qty, quote.ask, quote.ask_qty)] == [
        "60000.00", "1.234", "60000.10", "0.000",
    ]  # fmt: skip
    coin = recording(tmp_path, "BTCUSD_PERP-bookTicker-1.csv", ["1,50000.0,1000,50000.1,500,5,5"])
    [quote], _ = play(player(coin, market="cm"))
    assert (quote.symbol, quote.bid_qty, quote.ask_qty) == (BTC, D(2), D("0.999"))


class Command:
    """``bulkhead paper`` as a process."""

    def __init__(self, *arguments):
        self.child = subprocess.Popen(
            [sys.executable, "-m", "actors.cli", "paper", *map(str, arguments)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "COLUMNS": "400"},
        )  # fmt: skip

    def ended(self):
        out, errors = self.child.communicate(timeout=60)
        return self.child.returncode, out, errors


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--port", "70000"), "port: 70000 is not a port; give 1 to 65535, or 0 for a free one"),
        (("--port", "-1"), "port: -1 is not a port"),
        (("--port", "0", "--feed", "none-bookTicker-1.csv"), "NONE is not listed"),
        (("--port", "0", "--wallet", "much"), "--wallet: 'much'"),
        (("--port", "0", "--extra-symbols", "nope"), "'nope' is not a symbol"),
    ],
)
def test_bad_arguments_end_with_a_clear_line(arguments, text):
    code, out, errors = Command(*arguments).ended()
    assert (code, out) == (2, "")
    assert text in errors
    assert "Traceback" not in errors


def test_a_port_in_use_is_named_with_the_cure():
    first = Command("--port", "0")
    try:
        port = first.child.stdout.readline().split('"rest":"http://127.0.0.1:')[1].split('"')[0]
        code, out, errors = Command("--port", port).ended()
        assert (code, out) == (2, "")
        assert f"port {port} on 127.0.0.1 is not available" in errors
        assert "--port" in errors
        assert "Traceback" not in errors
    finally:
        first.child.send_signal(signal.SIGTERM)
        assert first.ended()[0] == 0


def test_a_bad_line_stops_the_process_and_so_does_the_end_with_stop(tmp_path):
    bad = recording(tmp_path, lines=[*GOOD, "3,2002.00,1.000,2001.10,1.000,25,25"])
    for arguments, text in (
        (("--feed", bad), f"{bad}:4: bid 2002.00 and ask 2001.10 are not a valid market"),
        (
            ("--feed", recording(tmp_path, "BTCUSDT-bookTicker-1.csv", [GOOD[0]]), "--feed-end", "stop"),
            "ended after 1 rows",
        ),
    ):
        code, out, errors = Command("--port", "0", *arguments).ended()
        assert (code, '"rest"' in out) == (2, True)
        assert text in errors
        assert "Traceback" not in errors


def test_a_generated_recording_keeps_the_rules(tmp_path):
    path = tmp_path / "ETHUSDT-bookTicker-1.csv.gz"
    write_recording(path, ETH, 50, seed=2)
    assert gzip.decompress(path.read_bytes())
    made = player(str(path))
    assert made.symbols == {ETH}
