"""Commands about actors: look inside one, follow it, find the worst, restart it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import actors_tables, time_travel
from actors.cli.app import app
from actors.cli.common import (
    Archive,
    DataDir,
    Json,
    client,
    out,
    path,
    print_answer,
    print_done,
    print_json,
    print_json_line,
)
from actors.cli.time_travel import At
from actors.core.errors import BadInput

if TYPE_CHECKING:
    from actors.api.client import Client

By = Literal["depth", "age", "turn", "ratio", "restarts"]

EVERY_MIN, EVERY_MAX = 0.2, 60.0
"""Seconds between two refreshes of a live ``top``."""

CURSOR = 1
"""The line below the last one, where the cursor stands."""


@app.command
def inspect(  # noqa: PLR0913 - one per option
    actor: str,
    *,
    limits: Annotated[bool, Parameter(negative=())] = False,
    limit: int = 20,
    at: At | None = None,
    dsn: str | None = None,
    archive: Archive = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Look inside one actor without stopping it: positions, mailbox, crashes, triggers, last messages, state.

    Example: bulkhead inspect acct-42
             bulkhead inspect acct-42 --at 2026-11-22T09:30
             bulkhead inspect acct-42 --at -15m

    Works also while the actor is stuck, crashed or in quarantine, and for gateway, writer, router. With --at it shows an
    account as it was, folded from the journal; that needs no engine.

    Args:
        actor: an account, or gateway, writer, router, feed, supervisor.
        limits: show the account's limits, too; 'bulkhead limits' says where each comes from.
        limit: show at most this many waiting messages.
        at: a time in UTC or -15m, a position of the journal, or #SEQUENCE of the account.
        dsn: with --at, read this database itself, not through an engine.
        archive: with that, folder of archived files; by default archive in the data folder.
        data_dir: the engine's data folder.
        json: print the whole answer as JSON.
    """
    if at is not None:
        time_travel.show_past(actor, at, dsn, data_dir, archive, limits=limits, json=json)
        return
    if dsn is not None:
        raise BadInput("--dsn is for --at: what a live actor does is not in a database")
    engine = client(data_dir)
    found = engine.get(path("actors", actor), limit=limit)
    if json:
        print_json(found)
        return
    state = found["guarded_state"] or found["state"]
    of_account = isinstance(state, dict) and "phase" in state
    account = engine.get(path("accounts", actor)) if of_account else None
    actors_tables.actor(found, account, out, limits=limits)


@app.command
def mailbox(
    actor: str, *, limit: int = 100, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Show the messages that wait in one actor's mailbox: lane, kind, age, cause.

    Example: bulkhead mailbox acct-42
    """
    print_answer(
        client(data_dir).get(path("actors", actor), limit=limit)["snapshot"],
        actors_tables.mailbox,
        json=json,
    )


@app.command
def trace(  # noqa: PLR0913 - one per bound of the trace
    actor: str,
    *,
    follow: Annotated[bool, Parameter(negative=())] = False,
    seconds: int = 60,
    rate: int = 50,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Show the last messages of one actor, or follow them live.

    Example: bulkhead trace acct-42 --follow --seconds 30

    Args:
        actor: an account, or gateway, writer, router, feed, supervisor.
        follow: print each message as it is handled, until the time is up or Ctrl-C.
        seconds: how long to follow.
        rate: at most this many messages a second; the others are only counted.
        data_dir: the engine's data folder.
        json: one JSON object per line.
    """
    engine = client(data_dir)
    if not follow:
        print_answer(engine.get(path("actors", actor))["snapshot"]["trace"], actors_tables.trace, json=json)
        return
    for entry in engine.stream(path("actors", actor, "trace"), seconds=seconds, rate=rate):
        if json:
            print_json_line(entry)
        else:
            actors_tables.followed(entry, out)


@app.command
def tree(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show the supervision tree, and every account that is not running.

    Example: bulkhead tree
    """
    print_answer(client(data_dir).get("/v1/tree"), actors_tables.tree, json=json)


@app.command
def top(  # noqa: PLR0913 - one per option
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

    In a terminal it refreshes until Ctrl-C; in a pipe, and with --once or --json, it prints once.

    Args:
        by: sort by this, worst first.
        limit: show at most this many actors.
        once: print once.
        every: seconds between two refreshes, 0.2 to 60.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    if not EVERY_MIN <= every <= EVERY_MAX:
        raise BadInput(f"--every: {every} must be {EVERY_MIN} to {EVERY_MAX:.0f} seconds")
    engine = client(data_dir)
    if json:
        print_json(_worst(engine, by, limit))
    elif once or not out.is_terminal or out.is_dumb_terminal:
        actors_tables.top(_worst(engine, by, limit), out)
    else:
        _refresh(engine, by, limit, every)


def _worst(engine: Client, by: str, limit: int) -> Any:
    return engine.get("/v1/top", by=by, limit=limit)


def _refresh(engine: Client, by: str, limit: int, every: float) -> None:
    """Refresh until Ctrl-C, which is its normal end and no failure."""
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
    lines = console.render_lines(actors_tables.top_table(found), pad=False)
    room = console.height - CURSOR - 2
    body = [Text.assemble(*((s.text, s.style or "") for s in line)) for line in lines[:room]]
    more = [Text(f"{len(lines) - room} lines more in a taller terminal, or with --once", "dim")]
    return Group(Text(head, "dim"), *body, *(more if len(lines) > room else ()))


@app.command
def crashes(
    actor: str | None = None, *, limit: int = 20, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """List the latest crashes, of one actor or of all.

    Example: bulkhead crashes acct-42
    """
    print_answer(
        client(data_dir).get("/v1/crashes", actor=actor, limit=limit), actors_tables.crashes, json=json
    )


@app.command
def stuck(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """List turns that the watchdog caught past their deadline, with their stack.

    Example: bulkhead stuck
    """
    print_answer(client(data_dir).get("/v1/stuck"), actors_tables.stuck, json=json)


@app.command
def restart(actor: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Restart one actor from its durable state; its mailbox is kept, other actors are not affected.

    Example: bulkhead restart acct-42
    """
    answer = client(data_dir).post(path("actors", actor, "restart"))
    print_done(answer, f"{actor}: {'restarting' if answer['restarted'] else 'not restarted'}", json=json)
