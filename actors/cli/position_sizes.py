"""The command that calculates position sizes."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from rich.console import Console

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, path, print_answer
from actors.cli.values import Found, number
from actors.core.units import plain


@app.command
def size(  # noqa: PLR0913 - one per factor
    account: str,
    symbol: str,
    *,
    method: Literal["dynamic", "kelly", "fixed"] = "dynamic",
    signal: str = "0.5",
    volatility: str | None = None,
    strategy: str = "",
    win_rate: str | None = None,
    average_win: str | None = None,
    average_loss: str | None = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Calculate a position size from the signal and past trades. No order is sent.

    Example: bulkhead size acct-42 BTCUSDT --signal 0.8 --volatility 0.6
             bulkhead size acct-42 BTCUSDT --method kelly --win-rate 0.55 --average-win 120 --average-loss 100

    Args:
        account: its equity, limits and past trades are used.
        symbol: for example BTCUSDT.
        method: dynamic (2 % by signal, volatility and performance), kelly (half of it), fixed.
        signal: strength of the signal, 0 to 1.
        volatility: annualized, 0.6 for 60 %; by default measured by the engine from prices of each minute.
        strategy: take performance and Kelly's numbers from trades of this strategy only.
        win_rate: share of winning trades, for kelly.
        average_win: quote asset, for kelly.
        average_loss: quote asset, for kelly.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    body = {
        "symbol": symbol.upper(),
        "method": method,
        "signal_strength": signal,
        "volatility": volatility,
        "strategy": strategy,
        "win_rate": win_rate,
        "average_win": average_win,
        "average_loss": average_loss,
    }
    print_answer(client(data_dir).post(path("accounts", account, "size"), body), size_table, json=json)


def size_table(found: Found, out: Console) -> None:
    """The size and its factors."""
    notional, equity = number(found["notional"]), number(found["equity"])
    out.print(f"{found['quantity']} {found['symbol']}  (notional {notional}, equity {equity})")
    for name, value in found["factors"].items():
        out.print(f"  {name.replace('_', ' ')}: {plain(Decimal(value))}")
    if found["capped"]:
        out.print("  capped at the account's share per position")
