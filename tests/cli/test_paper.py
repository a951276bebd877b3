"""Commands of the paper exchange: their settings, and a recording of generated prices."""

from __future__ import annotations

from decimal import Decimal as D

import pytest


@pytest.fixture
def configured(monkeypatch):
    seen = []
    monkeypatch.setattr("actors.venues.paper.process.run", seen.append)
    return seen


def test_its_options_are_the_configuration(cli, configured):
    assert (
        cli(
            "paper --port 0 --symbols BTCUSDT ETHUSDT --limits binance --wallet 500.5 --bnb 2 --bnb-burn --feed-end stop"
        ).code
        == 0
    )
    [config] = configured
    assert (config.port, config.symbols, config.limits) == (0, ("BTCUSDT", "ETHUSDT"), "binance")
    assert (config.wallet_balance, config.bnb_balance, config.bnb_burn) == (D("500.5"), D(2), True)
    assert config.feed_end == "stop"


@pytest.mark.parametrize(("option", "value"), [("--wallet", "x"), ("--bnb", "1_000")])
def test_an_amount_that_is_no_number_is_named(option, value, cli, configured):
    shown = cli(f"paper {option} {value}")
    assert shown.code == 2
    assert option in shown.err
    assert configured == []


def test_a_recording_is_written_once(cli, tmp_path):
    file = tmp_path / "BTCUSDT-bookTicker-sample.csv"
    shown = cli(f"sample-recording {file} --rows 20")
    assert shown.code == 0, shown.err
    assert shown.out.startswith("20 rows of BTCUSDT written to ")
    assert len(file.read_text().splitlines()) in {20, 21}, "and a head line at most"
    again = cli(f"sample-recording {file} --rows 20")
    assert (again.code, "exists already; choose another name" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("name", "rows", "text"),
    [
        ("BTCUSDT-bookTicker-1.csv", "0", "--rows: 0 must be 1 to 10000000"),
        ("BTCUSDT-bookTicker-1.zip", "5", "name it like BTCUSDT-bookTicker-sample.csv.gz"),
        ("nowhere/BTCUSDT-bookTicker-1.csv", "5", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_no_file(name, rows, text, cli, tmp_path):
    shown = cli(f"sample-recording {tmp_path / name} --rows {rows}")
    assert (shown.code, text in shown.err) == (2, True), shown.err
    assert list(tmp_path.iterdir()) == []
