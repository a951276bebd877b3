"""Commands about the engine as a whole: run it, its status, alarms, books, emergency stop."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from actors.assembly import folder_lock
from actors.assembly.config import DEFAULT_DATA_DIR, environment, load
from actors.cli import engine_tables, serving
from actors.cli.app import app
from actors.cli.common import (
    DataDir,
    Json,
    client,
    given,
    out,
    path,
    print_answer,
    print_done,
    print_json,
    print_outcome,
)
from actors.core.errors import BadInput, BulkheadError
from actors.runtime import logs


@app.command
def run(  # noqa: PLR0913 - one per setting
    *,
    config: Path | None = None,
    data_dir: Path | None = None,
    dsn: str | None = None,
    exchange: str | None = None,
    exchange_ws_public: str | None = None,
    exchange_ws_private: str | None = None,
    exchange_ws_orders: str | None = None,
    api_host: str | None = None,
    api_port: int | None = None,
    set_master: Annotated[bool | None, Parameter(negative=())] = None,
    faults_allowed: Annotated[bool | None, Parameter(negative=())] = None,
    log_json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Run the engine until Ctrl-C or SIGTERM.

    Leverage by symbol, the margin asset and all other settings are in the TOML file; deploy/bulkhead.toml lists them.

    Example: bulkhead run --exchange http://127.0.0.1:8790 --dsn postgresql://me@localhost/firm

    Args:
        config: a TOML file; BULKHEAD_* variables and options override it.
        data_dir: folder of the embedded database, the API's address and its token.
        dsn: DSN of a Postgres; without it an embedded Postgres runs in the data folder.
        exchange: REST base URL of the exchange.
        exchange_ws_public: base URL of public streams; found out for Binance and for a paper exchange.
        exchange_ws_private: base URL of the user stream, likewise.
        exchange_ws_orders: URL for orders over a websocket, likewise; off: orders go by REST only.
        api_host: where the API listens; loopback by default.
        api_port: the API's port; 0 takes a free one.
        set_master: set the master account to one-way mode, single-asset mode and cross margin, where it is not.
        faults_allowed: allow test faults, which make accounts fail on purpose.
        log_json: log as JSON lines.
    """
    settings = load(
        config,
        environment(),
        {
            "data_dir": None if data_dir is None else str(data_dir),
            "dsn": given(dsn),
            "exchange": exchange,
            "exchange_ws_public": exchange_ws_public,
            "exchange_ws_private": exchange_ws_private,
            "exchange_ws_orders": exchange_ws_orders,
            "api_host": api_host,
            "api_port": api_port,
            "set_master": set_master or None,
            "faults_allowed": faults_allowed or None,
        },
    )
    logs.write_apart()
    logs.configure(json=log_json)
    with folder_lock.held(Path(settings.data_dir)):
        serving.serve(settings)


@app.command
def status(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show the engine on one screen: is it open for new risk, and if not why; Postgres, exchange, accounts, alarms.

    Example: bulkhead status

    Exit code 1 means that it takes no new risk.
    """
    engine = client(data_dir)
    found: dict[str, Any] = {
        "address": {"url": engine.address.url, "pid": engine.address.pid},
        "health": engine.get("/v1/health"),
    }
    try:
        found |= {"stats": engine.get("/v1/stats"), "alarms": engine.get("/v1/alarms"), "untold": ""}
    except BulkheadError as error:
        # While it starts, or while a part of it is stuck, health still says what blocks new risk.
        found = {"stats": None, "alarms": [], **found, "untold": str(error)}
    if json:
        print_json(found)
    else:
        engine_tables.status(found, out)
    if found["health"]["status"] != "ok":
        sys.exit(1)


@app.command
def stats(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = True) -> None:  # noqa: ARG001 - the only format
    """Print the engine's counters as JSON.

    Example: bulkhead stats
    """
    print_json(client(data_dir).get("/v1/stats"))


@app.command
def alarms(
    *,
    all: Annotated[bool, Parameter("--all", negative=())] = False,  # noqa: A002 - its name on the command line
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """List unacknowledged alarms, the newest last; they are kept across restarts.

    Example: bulkhead alarms

    Args:
        all: also alarms that were acknowledged since the start.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    print_answer(client(data_dir).get("/v1/alarms", unacknowledged=not all), engine_tables.alarms, json=json)


@app.command
def ack(
    numbers: Annotated[tuple[int, ...], Parameter(consume_multiple=True)],
    /,
    *,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Acknowledge alarms: you have seen them. If the cause occurs again, a new alarm is raised.

    Example: bulkhead ack 7 9

    Args:
        numbers: as 'bulkhead alarms' shows them.
        data_dir: the engine's data folder.
        json: print the answers as JSON.
    """
    engine = client(data_dir)
    for number in numbers:
        answer = engine.post(path("alarms", number, "ack"))
        print_done(answer, f"alarm {number} acknowledged: {answer['text']}", json=json)


@app.command
def master(*, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 20, json: Json = False) -> None:
    """Show the master account's settings: modes, leverage by symbol, and how much the fleet may hold and holds.

    Example: bulkhead master --limit 5

    Args:
        data_dir: the engine's data folder.
        limit: show at most this many symbols; those with the largest positions come first.
        json: print the answer as JSON.
    """
    print_answer(client(data_dir).get("/v1/master", limit=limit), engine_tables.master, json=json)


@app.command
def reconcile(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Compare the accounts' positions with the exchange's, per symbol; exit 1 if they differ.

    Example: bulkhead reconcile
    """
    found = client(data_dir).get("/v1/reconciliation", settle_seconds=5)
    print_answer(found, engine_tables.reconciliation, json=json)
    if any(Decimal(d["difference"]) for d in found):
        sys.exit(1)


@app.command
def emergency_stop(  # noqa: PLR0913 - one per option
    account: str | None = None,
    *,
    everybody: Annotated[bool, Parameter(negative=())] = False,
    call_off: Annotated[bool, Parameter(negative=())] = False,
    reason: str = "asked for by an operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Cancel and close everything, of one account or of all; breakers open, balances stay.

    Example: bulkhead emergency-stop acct-42 --reason "wrong strategy"
             bulkhead emergency-stop --everybody
             bulkhead emergency-stop acct-42 --call-off

    Args:
        account: the account to stop.
        everybody: stop all accounts; no new risk until it is called off.
        call_off: stop closing; what is closed stays closed, breakers stay open.
        reason: for the audit and the alarm.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    if (account is None) != everybody:
        raise BadInput("name an account, or give --everybody; not both")
    address = "/v1/close-out" if account is None else path("accounts", account, "close-out")
    engine = client(data_dir)
    answer = engine.delete(address) if call_off else engine.post(address, {"reason": reason})
    done = "called off" if call_off else "everything is being cancelled and closed"
    if account is None:
        print_done(answer, f"{answer['told']} accounts: {done}", json=json)
    else:
        print_outcome(answer, f"{account}: {done}", json=json)
