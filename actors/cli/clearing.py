"""The command about clearing: what waits to go out as one block order, and the blocks in flight."""

from __future__ import annotations

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import clearing_tables
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, path, print_answer


@app.command
def clearing(symbol: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show what waits to be sent, the block orders in flight, and how many orders may be sent now.

    Example: bulkhead clearing
             bulkhead clearing ETHUSDT

    Market orders of one symbol, side and class that wait together go to the exchange as one block order. With a symbol the
    orders that wait and the members of its blocks are named; 'bulkhead orders --waiting' has the order of service of all.

    Args:
        symbol: only this one, with its orders and members.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    engine = client(data_dir)
    if symbol is None:
        print_answer(engine.get("/v1/clearing"), clearing_tables.overview, json=json)
    else:
        print_answer(engine.get(path("clearing", symbol)), clearing_tables.of_symbol, json=json)
