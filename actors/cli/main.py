"""The ``bulkhead`` command."""

from __future__ import annotations

import signal
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from actors.assembly import folder_lock
from actors.assembly.config import DEFAULT_DATA_DIR, EngineConfig, environment, load
from actors.cli import common, live, ops, orders, paper, risk, status
from actors.cli.common import DataDir, err, out
from actors.cli.hints import explained
from actors.core.errors import BulkheadError
from actors.runtime import logs

app = cyclopts.App(
    name="bulkhead",
    help="Thousands of virtual sub-accounts over one exchange master account, one actor each.",
    help_format="plaintext",
    version=lambda: f"bulkhead {version('bulkhead')}",
    error_console=err,
    error_formatter=explained,
)
db = cyclopts.App(name="db", help="The database: look at it, or make it ready.")
app.command(db)
common.register(app, paper, live, orders, risk, status, ops)
app.command(ops.deadletters)
app.command(risk.breaker)

EXIT_HALTED = 3
"""The engine could not be trusted to go on; a service manager should start it again."""

ENDING = (signal.SIGTERM, signal.SIGINT)

HALT_LOOK_SECONDS = 0.2


@app.command
def demo(
    *, keep: Annotated[bool, Parameter(negative=())] = False, accounts: int = 2_000, seconds: int = 40
) -> None:
    """Run everything for about a minute on a paper exchange: trade, crash one account, drop the market.

    Example: bulkhead demo --keep      (goes on until Ctrl-C, and says how to look inside)

    Args:
        keep: go on after the summary.
        accounts: how many accounts, 10 to 100000.
        seconds: how long to trade after everybody has a position.
    """
    from actors.cli.demo import run_demo  # noqa: PLC0415 - not needed for 'bulkhead inspect'

    sys.exit(run_demo(accounts, seconds, keep=keep))


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

    Leverage by symbol, the margin asset and all else are settings; deploy/bulkhead.toml lists them.

    Example: bulkhead run --exchange http://127.0.0.1:8790 --dsn postgresql://me@localhost/firm

    Args:
        config: a TOML file; BULKHEAD_* variables and options go before it.
        data_dir: where the embedded database, the API's address and its token are kept.
        dsn: a Postgres; without it one is run from a wheel in the data folder.
        exchange: REST base URL of the exchange.
        exchange_ws_public: base URL of public streams; known for Binance and for a paper exchange.
        exchange_ws_private: base URL of the user stream, likewise.
        exchange_ws_orders: URL for orders over a websocket, likewise; off: orders go by REST only.
        api_host: where the API listens; loopback by default.
        api_port: the API's port; 0 takes a free one.
        set_master: set the master account to one-way mode, single-asset mode and cross margin, where it is not.
        faults_allowed: let accounts be made to fail on purpose.
        log_json: log as JSON lines.
    """
    settings = load(
        config,
        environment(),
        {
            "data_dir": None if data_dir is None else str(data_dir),
            "dsn": dsn,
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
        serve(settings)


def _ended(text: str) -> None:
    """Say so; who types Ctrl-C once more has no need to, and must not spoil the exit code."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    err.print(text)


class _EndedEarly(BaseException):
    """A signal came while the engine was starting."""


def serve(settings: EngineConfig) -> None:
    """Run an engine and its API until a signal comes."""
    from actors.api.server import ApiServer  # noqa: PLC0415 - a second of imports
    from actors.assembly.engine import Engine  # noqa: PLC0415

    stop = threading.Event()
    starting = True

    def end(*_: object) -> None:
        first = not stop.is_set()
        stop.set()
        if starting and first:
            raise _EndedEarly

    for number in ENDING:
        signal.signal(number, end)
    begun: tuple[Engine, ApiServer] | None = None
    try:
        engine = Engine(settings, err.print)
        api = ApiServer(engine)
        begun = engine, api
        engine.start(api.start)
        starting = False
    except BaseException as error:
        # Ctrl-C reaches a child that the start waits for, too, and that one may fail first.
        early = stop.is_set() and isinstance(error, _EndedEarly | BulkheadError)
        if begun is not None:
            begun[1].stop()
            if early and "stop" not in begun[0].gate.closers:
                begun[0].stop()  # it had just come up
        if not early:
            raise
        _ended("stopped before it was ready; nothing is left running")
        return
    try:
        fleet = engine.fleets.origin.fleet
        out.print(f"engine ready: {len(engine.accounts)} accounts, fleet {fleet}, API at {api.address.url}")
        while not (stop.wait(HALT_LOOK_SECONDS) or engine.halted.is_set()):
            pass
    finally:
        engine.gate.close("stop")
        err.print("stopping")
        try:
            api.stop()
        finally:
            engine.stop()
        _ended("stopped")
    if engine.halted.is_set():
        err.print(f"halted: {engine.halt_reason}", style="red", markup=False)
        sys.exit(EXIT_HALTED)


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
        seed: of the positions and of the order in which actors run.
        output: also write every decision there, one JSON line each.
    """
    from actors.assembly.replay import run_replay  # noqa: PLC0415

    logs.configure(json=False, level=40)
    run_replay(list(files), accounts, seed, output, out, err)


@db.command(name="init")
def db_init(dsn: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Make an empty database ready, or add our schema beside the platform's tables.

    Example: bulkhead db init postgresql://me@localhost/firm

    Args:
        dsn: the database; the embedded one without it.
        data_dir: where the embedded one is.
    """
    _database(dsn, data_dir, make=True)


@db.command(name="check")
def db_check(dsn: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Say what a database is to us, and change nothing.

    Example: bulkhead db check postgresql://me@localhost/firm

    Args:
        dsn: the database; the embedded one without it.
        data_dir: where the embedded one is.
    """
    _database(dsn, data_dir, make=False)


def _database(dsn: str | None, data_dir: Path, *, make: bool) -> None:
    from actors.persistence import schema  # noqa: PLC0415
    from actors.persistence.connection import connect  # noqa: PLC0415
    from actors.persistence.embedded import EmbeddedPostgres  # noqa: PLC0415

    embedded = None if dsn else EmbeddedPostgres(data_dir, err.print)
    address = dsn or (embedded.start() if embedded else "")
    try:
        connection = connect(address)
        found = schema.init(connection) if make else schema.check(connection)
        connection.close()
    finally:
        if embedded:
            embedded.stop()
    meaning = {
        "EMPTY": "empty: both schemas were made" if make else "empty: 'bulkhead db init' makes it ready",
        "PLATFORM": "the platform's: schema bulkhead was added"
        if make
        else "the platform's: 'bulkhead db init' adds schema bulkhead beside its tables",
        "OLDER": "schema bulkhead was upgraded"
        if make
        else "ours, of an older version: 'bulkhead db init' upgrades it",
        "READY": "ready",
    }
    out.print(f"{found}: {meaning[found]}")


def main() -> None:
    """Entry point; errors of ours are one line on standard error and exit code 2."""
    try:
        app()
    except BulkheadError as error:
        err.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
