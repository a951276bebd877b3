"""The commands of the paper exchange."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from actors.cli.app import app
from actors.cli.common import out
from actors.core.errors import BadConfig, BadInput

ROWS_MAX = 10_000_000
Several = Parameter(consume_multiple=True)


@app.command
def paper(  # noqa: PLR0913 - one per setting
    *,
    port: Annotated[int, Parameter(env_var="BULKHEAD_PAPER_PORT")] = 8790,
    seed: int = 1,
    symbols: Annotated[tuple[str, ...], Several] = (),
    extra_symbols: Annotated[tuple[str, ...], Several] = (),
    made_up_symbols: int = 0,
    ticks_per_second: int = 1_000,
    feed: Annotated[tuple[Path, ...], Several] = (),
    feed_market: Literal["um", "spot", "cm"] = "um",
    feed_end: Literal["hold", "stop", "repeat"] = "hold",
    limits: Literal["binance", "none"] = "none",
    ban_seconds: int = 120,
    wallet: str = "100000000",
    bnb: str = "0",
    bnb_burn: Annotated[bool, Parameter(negative=())] = False,
    listen_key_minutes: float = 60.0,
    latency_ms: int = 0,
) -> None:
    """Run the paper exchange: Binance USD-M's REST and websocket protocol on loopback.

    Example: bulkhead paper --port 8790 --symbols BTCUSDT ETHUSDT --limits binance

    Args:
        port: 0 chooses a free one; the addresses are printed as one JSON line. BULKHEAD_PAPER_PORT also sets it.
        seed: seed of the price generator.
        symbols: symbols to list; all ten by default.
        extra_symbols: further symbols to list: BTCUSDC, BTCUSDT_261225 (a delivery contract), NEWUSDT.
        made_up_symbols: also list this many invented symbols, MADE001USDT and so on.
        ticks_per_second: L1 updates of all symbols together.
        feed: recorded bookTicker CSV files instead of the generator.
        feed_market: market of the recordings; spot is rounded to the ticks, cm counts contracts.
        feed_end: at the end of the recordings hold the last prices, stop, or repeat them.
        limits: binance (300 orders in 10 s, 1,200 and weight 2,400 a minute, 200 open a symbol), or none.
        ban_seconds: how long a client is banned that continues after refusals.
        wallet: USDT of the master account.
        bnb: BNB of the master account.
        bnb_burn: pay commissions in BNB.
        listen_key_minutes: how long a listen key is valid.
        latency_ms: delay of every answer.
    """
    from actors.venues.paper.config import PaperConfig  # noqa: PLC0415 - a second of imports
    from actors.venues.paper.process import run as run_paper  # noqa: PLC0415

    chosen: dict[str, Any] = {"symbols": symbols} if symbols else {}
    run_paper(
        PaperConfig(
            port=port,
            seed=seed,
            extra_symbols=extra_symbols,
            made_up_symbols=made_up_symbols,
            ticks_per_second=ticks_per_second,
            feed_files=tuple(map(str, feed)),
            feed_market=feed_market,
            feed_end=feed_end,
            limits=limits,
            ban_seconds=ban_seconds,
            wallet_balance=_money("--wallet", wallet),
            bnb_balance=_money("--bnb", bnb),
            bnb_burn=bnb_burn,
            listen_key_minutes=listen_key_minutes,
            latency_ms=latency_ms,
            **chosen,
        )
    )


@app.command
def sample_recording(file: Path, *, rows: int = 20_000, seed: int = 1) -> None:
    """Write generated prices in the format of Binance's bookTicker files, for 'replay' and 'paper --feed'.

    Example: bulkhead sample-recording BTCUSDT-bookTicker-sample.csv.gz --rows 20000

    Args:
        file: the name begins with the symbol; gzip if it ends with .gz.
        rows: L1 updates, five milliseconds apart; 1 to 10000000.
        seed: seed of the price generator; the same seed writes the same file.
    """
    from actors.venues.paper.recording import (  # noqa: PLC0415
        symbol_of,
        write_recording,
    )

    if not 1 <= rows <= ROWS_MAX:
        raise BadInput(f"--rows: {rows} must be 1 to {ROWS_MAX}")
    if file.suffix not in {".csv", ".gz"}:
        raise BadInput(
            f"{file}: name it like BTCUSDT-bookTicker-sample.csv.gz; .csv and .csv.gz can be written"
        )
    symbol = symbol_of(file)
    try:
        file.open("xb").close()
    except FileExistsError:
        raise BadInput(f"{file} exists already; choose another name, or remove it") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from None
    try:
        write_recording(file, symbol, rows, seed)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    out.print(f"{rows:,} rows of {symbol} written to {file}; 'bulkhead replay {file}' plays them")


def _money(name: str, text: str) -> Decimal:
    from actors.core.units import parse_decimal  # noqa: PLC0415

    try:
        return parse_decimal(text, name)
    except ValueError as error:
        raise BadConfig(str(error)) from None
