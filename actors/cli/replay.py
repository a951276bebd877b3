"""The command that runs the engine over recorded prices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from actors.cli.app import app
from actors.cli.common import err, out
from actors.runtime import logs


@app.command
def replay(
    files: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    /,
    *,
    accounts: int = 20,
    seed: int = 1,
    output: Path | None = None,
) -> None:
    """Run the same engine over recorded L1, in virtual time, and print what it decided.

    Example: bulkhead replay BTCUSDT-bookTicker-2024-08-09.csv.gz --accounts 50

    The same files, accounts and seed give the same output, byte for byte.

    Args:
        files: Binance's bookTicker CSV, plain, gzip or zip; the symbol is in the file's name.
        accounts: how many accounts to open positions for.
        seed: seed of the positions and of the order in which actors run.
        output: also write every decision to this file, one JSON line each.
    """
    from actors.assembly.replay import run_replay  # noqa: PLC0415

    logs.configure(json=False, level=40)
    run_replay(list(files), accounts, seed, output, out, err)
