"""The engine on one screen, and its worst actors live."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import show_ops, show_status
from actors.cli.common import DataDir, Json, as_json, client, live, out
from actors.core.errors import BadInput, BulkheadError

if TYPE_CHECKING:
    from actors.api.client import Client

By = Literal["depth", "age", "turn", "ratio", "restarts"]

EVERY_MIN, EVERY_MAX = 0.2, 60.0
"""Seconds between two looks of a live ``top``."""
CURSOR = 1
"""The line below the last one, where the cursor stands."""


@live
def status(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show the engine on one screen: is it open for new risk, and if not why; Postgres, exchange, accounts, alarms.

    Example: bulkhead status

    Exit code 1 says that it takes no new risk.
    """
    engine = client(data_dir)
    found: dict[str, Any] = {
        "address": {"url": engine.address.url, "pid": engine.address.pid},
        "health": engine.get("/v1/health"),
    }
    try:
        found |= {"stats": engine.get("/v1/stats"), "alarms": engine.get("/v1/alarms"), "untold": ""}
    except BulkheadError as error:
        # While it starts, or while a part of it is stuck, it still says what keeps new risk out.
        found = {"stats": None, "alarms": [], **found, "untold": str(error)}
    if json:
        as_json(found)
    else:
        show_status.status(found, out)
    if found["health"]["status"] != "ok":
        sys.exit(1)


@live
def top(  # noqa: PLR0913 - one per way to look
    *,
    by: By = "depth",
    limit: int = 20,
    once: Annotated[bool, Parameter(negative=())] = False,
    every: float = 1.0,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Show the worst actors, live: deepest mailbox, oldest message, longest turn, margin ratio, restarts.

    Example: bulkhead top --by ratio --limit 10

    In a terminal it goes on until Ctrl-C; in a pipe, and with --once or --json, it looks once.

    Args:
        by: what is worst.
        limit: how many actors.
        once: look once.
        every: seconds between two looks, 0.2 to 60.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    if not EVERY_MIN <= every <= EVERY_MAX:
        raise BadInput(f"--every: {every} must be {EVERY_MIN} to {EVERY_MAX:.0f} seconds")
    engine = client(data_dir)
    if json:
        as_json(_worst(engine, by, limit))
    elif once or not out.is_terminal or out.is_dumb_terminal:
        show_ops.top(_worst(engine, by, limit), out)
    else:
        _go_on(engine, by, limit, every)


def _worst(engine: Client, by: str, limit: int) -> Any:
    return engine.get("/v1/top", by=by, limit=limit)


def _go_on(engine: Client, by: str, limit: int, every: float) -> None:
    """Look again and again; Ctrl-C is how it ends, and no failure."""
    view = _view(_worst(engine, by, limit), by, every, out)
    try:
        with Live(view, console=out, auto_refresh=False) as screen:
            while True:
                time.sleep(every)
                screen.update(_view(_worst(engine, by, limit), by, every, out), refresh=True)
    except KeyboardInterrupt:
        return


def _view(found: Any, by: str, every: float, console: Console) -> RenderableType:
    """As many whole lines as the terminal has; a table that scrolls away could not be drawn over."""
    head = f"by {by}, every {every:g} s, {datetime.now(UTC):%H:%M:%S} UTC, Ctrl-C ends"
    lines = console.render_lines(show_ops.top_table(found), pad=False)
    room = console.height - CURSOR - 2
    body = [Text.assemble(*((s.text, s.style or "") for s in line)) for line in lines[:room]]
    more = [Text(f"{len(lines) - room} lines more in a taller terminal, or with --once", "dim")]
    return Group(Text(head, "dim"), *body, *(more if len(lines) > room else ()))
