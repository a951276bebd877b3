"""``bulkhead demo``: real processes on loopback, a market drop, a crash, and the books at the end.

It starts a paper exchange and an engine as processes of their own and drives the engine over
its API, as an operator would.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.text import Text

from actors.api.client import Client, EngineError
from actors.cli import demo_view
from actors.cli.common import Terminal
from actors.core.enums import Side
from actors.core.errors import BadInput, BulkheadError
from actors.core.units import Symbol, plain
from actors.subaccount.rejections import RejectCode
from actors.venues.paper.config import PaperAddress, PaperConfig
from actors.venues.paper.instruments import LISTINGS

DATA_DIR = Path(".data") / "demo"
DEPOSIT = Decimal(200)
LEVERAGES = (3, 5, 10, 20, 25, 30, 50)
CHUNK = 200
START_SECONDS = 60.0
FILL_SECONDS = 60.0
DROP = "-0.045"
DROP_SECONDS = 4
SEED = 7
TOO_EARLY = frozenset({RejectCode.NO_PRICE, RejectCode.STALE_PRICE, RejectCode.REDUCE_ONLY_MODE})
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMITS_TEXT = {
    "binance": "with Binance's limits (300 orders in 10 s, 1,200 a minute)",
    "none": "without limits",
}
DEEPEST = 4
"""Mailboxes that the live view names."""


class Processes:
    """The demo's children; each is ended by its id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: list[subprocess.Popen[str]] = []

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start ``bulkhead`` with these arguments; its log goes to ``<name>.log``."""
        log = (self.folder / f"{name}.log").open("w")
        child = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "actors.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        log.close()
        self._children.append(child)
        return child

    def stop(self) -> None:
        """End all, newest first; those that do not end in time are killed."""
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C would leave some of them behind
        for child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(15)
            if child.poll() is None:
                child.kill()
                child.wait(5)


def run_demo(accounts: int, seconds: int, limits: str, *, keep: bool) -> int:
    """Run the demo.

    Args:
        accounts: how many.
        seconds: how long to trade after all have a position.
        limits: the paper exchange's: binance or none.
        keep: keep running after the summary, until Ctrl-C.

    Returns:
        0 when the books agree with the exchange for every symbol, else 1.

    Raises:
        BadInput: numbers out of range, or another demo is running.
    """
    if not 10 <= accounts <= 100_000:  # noqa: PLR2004 - below, nothing to see; above, hours of orders
        raise BadInput(f"--accounts: {accounts} must be 10 to 100000")
    if not 5 <= seconds <= 3_600:  # noqa: PLR2004 - the drop alone takes 4 s
        raise BadInput(f"--seconds: {seconds} must be 5 to 3600")
    out = Terminal()
    _fresh_folder()
    processes = Processes(DATA_DIR)
    for number in ENDING[1:]:  # Ctrl-C raises by itself
        signal.signal(number, _end)
    try:
        exchange = _start_exchange(processes, limits, out)
        client = _start_engine(processes, exchange, out)
        _create_accounts(client, accounts, out)
        _open_positions(client, accounts, out)
        trading = _Trading(client, exchange, accounts, seconds)
        _watch(trading, out)
        code = _summary(client, out, trading)
        if keep:
            _keep(trading.victim, out)
        return code
    finally:
        processes.stop()


def _end(number: int, _: object) -> None:
    """A closed window or a SIGTERM: exit in a way that also ends the children."""
    sys.exit(128 + number)


def _fresh_folder() -> None:
    running = DATA_DIR / "api.json"
    if running.exists():
        with contextlib.suppress(BulkheadError):
            Client(DATA_DIR).get("/v1/health")
            raise BadInput(f"another demo is running on {DATA_DIR}; end it first")
    shutil.rmtree(DATA_DIR, ignore_errors=True)
    DATA_DIR.mkdir(parents=True)


def _start_exchange(processes: Processes, limits: str, out: Console) -> PaperAddress:
    out.print(f"starting the paper exchange, {LIMITS_TEXT[limits]}")
    options = {"--port": "0", "--seed": str(SEED), "--ticks-per-second": "1000", "--limits": limits}
    child = processes.start("paper", "paper", *itertools.chain.from_iterable(options.items()))
    return msgspec.json.decode(_first_line(child, "the paper exchange"), type=PaperAddress)


def _start_engine(processes: Processes, exchange: PaperAddress, out: Console) -> Client:
    out.print("starting the engine (embedded Postgres: some seconds the first time)")
    child = processes.start(
        "engine",
        "run",
        "--data-dir",
        str(DATA_DIR),
        "--exchange",
        exchange.rest,
        "--api-port",
        "0",
        "--faults-allowed",
        "--log-json",
    )
    out.print(_first_line(child, "the engine").strip())
    return Client(DATA_DIR)


def _first_line(child: subprocess.Popen[str], what: str) -> str:
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        child.wait(START_SECONDS)
        logs = "\n".join(p.read_text()[-2_000:] for p in DATA_DIR.glob("*.log"))
        raise BulkheadError(f"{what} did not start (exit {child.returncode}):\n{logs}")
    return line


def names(accounts: int) -> list[str]:
    """The demo's account ids."""
    return [f"acct-{n}" for n in range(1, accounts + 1)]


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(items), CHUNK):
        yield items[at : at + CHUNK]


def _create_accounts(client: Client, accounts: int, out: Console) -> None:
    wide = str(DEPOSIT * 100)
    bodies = [
        {
            "account_id": name,
            "deposit": str(DEPOSIT),
            "max_notional_per_trade": wide,
            "max_total_exposure": wide,
        }
        for name in names(accounts)
    ]
    with Progress(console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("creating accounts", total=accounts)
        for chunk in _chunks(bodies):
            client.post("/v1/accounts", chunk)
            progress.advance(task, len(chunk))
    out.print(f"{accounts:,} accounts created, {DEPOSIT} USDT each")


def opening_orders(accounts: int, seed: int = SEED) -> list[dict[str, Any]]:
    """One market order per account, spread over the symbols, with a leverage of ``LEVERAGES``."""
    random = Random(seed)  # noqa: S311 - sizes of a demo
    symbols = list(LISTINGS)
    orders = []
    for number, name in enumerate(names(accounts)):
        listing = LISTINGS[symbols[number % len(symbols)]]
        instrument, leverage = listing.instrument, Decimal(random.choice(LEVERAGES))
        share = Decimal(random.randint(70, 92)) / 100
        notional = max(DEPOSIT * leverage * share, instrument.min_notional * 2)
        orders.append(
            {
                "account_id": name,
                "symbol": instrument.symbol,
                "side": random.choice((Side.BUY, Side.BUY, Side.SELL)),
                "quantity": plain(instrument.floor_qty(notional / listing.start_price)),
                "leverage": str(leverage),
            }
        )
    return orders


def _open_positions(client: Client, accounts: int, out: Console) -> None:
    began = time.monotonic()
    refused: list[Any] = []
    with Progress(console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("opening positions", total=accounts)
        for chunk in _chunks(opening_orders(accounts)):
            refused += _place_all(client, chunk)
            progress.advance(task, len(chunk))
        deadline = time.monotonic() + FILL_SECONDS + accounts / 50
        while (stats := client.get("/v1/stats"))["working_orders"] and time.monotonic() < deadline:
            time.sleep(0.25)
    took = time.monotonic() - began
    out.print(opened_line(accounts, stats["with_positions"], len(refused), took))
    if refused:
        out.print(f"first refusal: {refused[0]}", markup=False)


def opened_line(accounts: int, opened: int, refused: int, seconds: float) -> str:
    """How the opening went; under the exchange's limits an order may have waited until it was too old to be sent."""
    unfilled = accounts - opened - refused
    rest = f", {unfilled:,} not filled" if unfilled else ""
    return f"{opened:,} positions opened in {seconds:.1f} s, {refused:,} orders refused{rest}"


def _place_all(client: Client, orders: Sequence[dict[str, Any]]) -> list[Any]:
    """Place orders; those that came before the first price are placed again, for a limited time. Returns refusals."""
    deadline = time.monotonic() + START_SECONDS
    refused: list[Any] = []
    while orders:
        answers = client.post("/v1/orders", orders)
        again = time.monotonic() < deadline
        early = [too_early(answer) and again for answer in answers]
        refused += [a for a, e in zip(answers, early, strict=True) if a["type"] != "Accepted" and not e]
        orders = [order for order, e in zip(orders, early, strict=True) if e]
        if orders:
            time.sleep(0.1)
    return refused


def too_early(answer: dict[str, Any]) -> bool:
    """Whether an order was refused only because the engine has just started and the same order will soon be accepted."""
    codes = {rejection["code"] for rejection in answer.get("rejections", ())}
    return bool(codes) and codes <= TOO_EARLY


class _Trading:
    """What happens during the demo: orders all the time, a crash, a drop."""

    def __init__(self, client: Client, exchange: PaperAddress, accounts: int, seconds: int) -> None:
        self.client, self.exchange = client, exchange
        self.seconds = seconds
        self.victim = f"acct-{min(42, accounts)}"
        self.notes: list[str] = []
        self.placed = self.refused = 0
        self._random = Random(SEED)  # noqa: S311 - which account trades next
        self._names = names(accounts)
        self._done: set[str] = set()

    def step(self, elapsed: float) -> None:
        """Do what is due at this time since the start."""
        if elapsed >= self.seconds * 0.2 and self._once("crash"):
            self.client.post(f"/v1/accounts/{self.victim}/fault", {"reason": "the demo's poison message"})
            self.notes.append(f"{elapsed:4.0f} s  {self.victim} was sent a poison message")
        if elapsed >= self.seconds * 0.2 + 2 and self._once("crash seen"):
            self._report_crash(elapsed)
        if elapsed >= self.seconds * 0.45 and self._once("drop"):
            self._shock(DROP)
            self.notes.append(f"{elapsed:4.0f} s  the market drops by {DROP[1:]} over {DROP_SECONDS} s")
        self._trade()

    def _once(self, name: str) -> bool:
        if name in self._done:
            return False
        self._done.add(name)
        return True

    def _report_crash(self, elapsed: float) -> None:
        snapshot = self.client.get(f"/v1/actors/{self.victim}")["snapshot"]
        crash = snapshot["crashes"][-1]["error"].partition(":")[0] if snapshot["crashes"] else "no crash"
        self.notes.append(
            f"{elapsed:4.0f} s  {self.victim}: {crash}, restarts {snapshot['restarts']}, now {snapshot['status']}"
        )

    def _shock(self, fraction: str) -> None:
        httpx.post(
            f"{self.exchange.rest}/paper/shock",
            json={"symbol": "*", "fraction": fraction, "seconds": DROP_SECONDS},
            headers={"X-MBX-APIKEY": PaperConfig().api_key},
            timeout=5,
        ).raise_for_status()

    def _trade(self) -> None:
        orders = [self._small_order() for _ in range(20)]
        try:
            answers = self.client.post("/v1/orders", orders)
        except EngineError as error:
            self.notes.append(f"orders failed: {error}")
            return
        self.placed += sum(a["type"] == "Accepted" for a in answers)
        self.refused += sum(a["type"] != "Accepted" for a in answers)

    def _small_order(self) -> dict[str, Any]:
        listing = LISTINGS[Symbol(self._random.choice(list(LISTINGS)))]
        instrument = listing.instrument
        quantity = instrument.ceil_qty(instrument.min_notional * Decimal("1.3") / listing.start_price)
        return {
            "account_id": self._random.choice(self._names),
            "symbol": instrument.symbol,
            "side": self._random.choice((Side.BUY, Side.SELL)),
            "quantity": plain(quantity),
            "leverage": "20",
        }


def _watch(trading: _Trading, out: Console) -> None:
    began = time.monotonic()
    before: dict[str, Any] | None = None
    last_line = 0.0
    screen = out.is_terminal and not out.is_dumb_terminal
    with Live(console=out, refresh_per_second=4, transient=not screen) as live:
        while (elapsed := time.monotonic() - began) < trading.seconds:
            trading.step(elapsed)
            stats = trading.client.get("/v1/stats")
            if screen:
                worst = trading.client.get("/v1/top", by="depth", limit=DEEPEST)
                view = demo_view.screen(
                    stats, before, elapsed, trading.notes, worst, width=out.width, height=out.height
                )
                live.update(view, refresh=True)
            elif elapsed - last_line >= 2:  # noqa: PLR2004 - a log line each two seconds
                last_line = elapsed
                out.print(demo_view.line(stats, before, elapsed), highlight=False)
            before = stats
            time.sleep(0.8)


def _summary(client: Client, out: Console, trading: _Trading) -> int:
    deadline = time.monotonic() + 20
    while client.get("/v1/stats")["working_orders"] and time.monotonic() < deadline:
        time.sleep(0.25)
    stats = client.get("/v1/stats")
    differences = client.get("/v1/reconciliation", settle_seconds=10)
    if not out.is_terminal or out.is_dumb_terminal:
        for note in trading.notes:
            out.print(note, markup=False, highlight=False)
    demo_view.summary(stats, differences, trading.victim, out)
    alarms = client.get("/v1/alarms")
    for alarm in alarms[-5:]:
        out.print(f"alarm: {alarm['text']}", markup=False)
    agrees = all(Decimal(d["difference"]) == 0 for d in differences)
    out.print(
        Text("the books agree with the exchange", "green") if agrees else Text("the books differ", "red")
    )
    return 0 if agrees else 1


def _keep(account: str, out: Console) -> None:
    here = f"--data-dir {os.path.relpath(DATA_DIR)}"
    found = shutil.which("bulkhead")
    program = (
        "bulkhead" if found else shlex.quote(os.path.relpath(Path(sys.executable).with_name("bulkhead")))
    )
    out.print("\nthe engine keeps running; look inside from another terminal, end with Ctrl-C:")
    for command in (
        "accounts",
        f"inspect {account}",
        f"mailbox {account}",
        f"restart {account}",
        "positions",
        "alarms",
    ):
        out.print(f"  {program} {command} {here}", highlight=False, soft_wrap=True)  # stays one line to copy
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)
