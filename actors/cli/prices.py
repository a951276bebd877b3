"""The command about prices: the best that is known of each symbol, where it came from and how old it is."""

from __future__ import annotations

from rich.console import Console

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, print_answer
from actors.cli.table import Sheet
from actors.cli.values import Found, price

SOURCES = {
    "WS": "the exchange's stream",
    "REST": "the exchange, asked",
    "REDIS": "Redis; only shown",
    None: "none is young enough",
}


@app.command
def prices(
    symbol: str | None = None, *, limit: int = 100, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Show the price of each symbol, where it came from and how old it is.

    Example: bulkhead prices BTCUSDT

    The exchange's stream goes before what the exchange answered when it was asked, and that before what stands in Redis,
    which is only shown: no order is checked with it and nothing is liquidated by it.

    Args:
        symbol: only this one.
        limit: at most so many.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    print_answer(client(data_dir).get("/v1/prices", symbol=symbol, limit=limit), table, json=json)


def table(found: Found, out: Console) -> None:
    """One line per symbol."""
    sheet = Sheet("symbol", "Price", "from", "Age s")
    for one in found:
        age = "" if one["age_ms"] is None else f"{one['age_ms'] / 1_000:,.1f}"
        sheet.add_row(one["symbol"], price(one["mark"]), SOURCES[one["source"]], age)
    out.print(sheet if found else "no symbols")
