"""A fleet near its limits, a drop of 4.5 % in 4 s, and the exchange's limits: what it costs, and how long it takes.

Real processes for each column: a paper exchange, an engine, and a Postgres. The accounts are opened long without limits;
then the exchange takes the column's limits and the engine starts again, which reads them; the drop begins when the orders that
opened have left the exchange's windows. The seed is the same for all, so
accounts and positions are; prices are to the noise of some ticks, since the exchange runs on the clock of the wall. What
happened is read from the journal afterwards. Run it on a machine that does nothing else: without limits and without
clearing, the processors are the limit.

    python -m bench.clearing --accounts 2000 --limits none binance --clearing off on --symbols 10 --seconds 60
    python -m bench.clearing --accounts 10000 --symbols 1 --drop 0.07 --drop-seconds 0      (all by one tick)
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx
import msgspec
import psycopg

from actors.api.client import Client
from actors.core.enums import Phase, Purpose
from actors.core.units import Symbol, plain
from actors.persistence.embedded import EmbeddedPostgres
from actors.venues.paper.config import PaperConfig
from actors.venues.paper.instruments import LISTINGS

ACCOUNTS = (2_000, 10_000)
LIMITS = ("none", "binance")
CLEARING = ("off", "on")
"""The columns of a run that names none."""

SEED = 7
DEPOSIT = Decimal(200)
LEVERAGES = (20, 25, 30, 50)
DROP, DROP_SECONDS = 0.045, 4.0
SECONDS = 60.0
"""How long a column may take to become calm, from the begin of the drop."""

CALM_SECONDS = 2.0
START_SECONDS, OPEN_SECONDS = 60.0, 300.0
WINDOWS_SECONDS = 15.0
MINUTE_SECONDS = 61.0
FULL_ROOM = 300
"""Orders in ten seconds at Binance."""

CHUNK = 200
PAGE = 500
GOAL_RATIO, GOAL_USDT = Decimal(2), Decimal("0.1")
GOAL_ORDERS = 1.5
GOAL_COVER_SECONDS = 1.0
GOAL_ONE_TICK = 10
"""Orders besides splits when one price breaches everybody at once in one symbol."""
LABEL, COLUMN = 32, 12
NOT_CALM = frozenset({Phase.REDUCING, Phase.LIQUIDATING, Phase.STUCK})
RISK = frozenset({Purpose.ADL, Purpose.LIQUIDATION})


class Case(NamedTuple):
    """One column."""

    accounts: int
    limits: str
    clearing: str
    symbols: int = len(LISTINGS)
    seconds: float = SECONDS
    drop: float = DROP
    drop_seconds: float = DROP_SECONDS


class Row(NamedTuple):
    """A decision in the journal: when it was made and committed, and its facts as plain data."""

    stream: str
    wall_ms: int
    committed_ms: int
    facts: Sequence[dict[str, Any]]


@dataclass
class Measured:
    """What the journal says of a drop; times in milliseconds."""

    breached: set[str] = field(default_factory=set)
    liquidated: set[str] = field(default_factory=set)
    bad_debt: Decimal = Decimal(0)
    covered_after: list[int] = field(default_factory=list)
    """From the decision of a step to the first trade of the order that did it."""
    uncovered: int = 0
    """Steps without a trade at the end."""
    steps: int = 0
    own_orders: int = 0
    """Orders of steps that traded as orders of their own."""
    block_orders: int = 0
    first_breach_ms: int = 0
    last_calm_ms: int = 0
    first_trade_ms: int = 0
    last_fill_ms: int = 0
    """When the last fill of a step was committed."""

    @property
    def risk_orders(self) -> int:
        """Exchange orders that liquidated."""
        return self.own_orders + self.block_orders


@dataclass
class Outcome:
    """A column's figures."""

    case: Case
    measured: Measured
    exchange_orders: int
    depth_share: Decimal
    """What the orders paid beyond the price of L1, as a share of their notional."""
    shortfall: Decimal
    """Equity below zero of the accounts that were not calm at the end."""
    not_calm: int
    splits: int
    """Orders more than one, as a block was more than the exchange takes at once."""
    differing: int
    """Symbols whose books differ from the exchange's ten seconds later; orders that are still under way make some."""
    opened: int

    @property
    def lost_each(self) -> Decimal:
        """Bad debt for each liquidated account, those that were not done included."""
        lost = self.measured.bad_debt + self.shortfall
        return lost / max(1, len(self.measured.liquidated) + self.not_calm)


# -- what happened, from the journal


class _Steps:
    """The steps of accounts that have no trade yet, each since its first decision.

    A step that waited too long is given back and decided again: that is the same step, and its time goes on. One that its
    account no longer needs, because it is calm again, is none.
    """

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self._since: dict[tuple[str, str], int] = {}
        self._symbols: dict[str, str] = {}
        self.traded: set[str] = set()

    def decided(self, stream: str, wall_ms: int, order: dict[str, Any]) -> None:
        self._measured.steps += 1
        self._symbols[order["client_order_id"]] = order["symbol"]
        self._since.setdefault((stream, order["symbol"]), wall_ms)

    def trade(self, stream: str, fill: dict[str, Any]) -> bool:
        """Whether it is one of a step."""
        id_, at_ms = fill["client_order_id"], fill["trade"]["trade_ms"]
        if id_ not in self._symbols:
            return False
        self._measured.first_trade_ms = min(at_ms, self._measured.first_trade_ms or at_ms)
        since = None if id_ in self.traded else self._since.pop((stream, self._symbols[id_]), None)
        self.traded.add(id_)
        if since is not None:
            self._measured.covered_after.append(at_ms - since)
        return True

    def calm(self, stream: str) -> None:
        for key in [k for k in self._since if k[0] == stream]:
            del self._since[key]

    def __len__(self) -> int:
        return len(self._since)


def measure(rows: Iterable[Row]) -> Measured:
    """What happened, from the decisions since the drop began, in their order."""
    found = Measured()
    steps = _Steps(found)
    in_blocks: set[str] = set()
    for stream, wall_ms, committed_ms, facts in rows:
        for fact in facts:
            match fact["fact"]:
                case "OrderIntended" if fact["purpose"] in RISK:
                    steps.decided(stream, wall_ms, fact)
                case "FillApplied":
                    if steps.trade(stream, fact):
                        found.last_fill_ms = committed_ms
                case "BlockFormed":
                    in_blocks.update(member["client_order_id"] for member in fact["members"])
                    found.block_orders += fact["order"]["purpose"] in RISK
                case "PhaseChanged":
                    _phase(found, steps, stream, wall_ms, Phase(fact["phase"]))
                case "BadDebtRecorded":
                    found.bad_debt += Decimal(fact["amount"])
    found.own_orders = len(steps.traded - in_blocks)
    found.uncovered = len(steps)
    return found


def _phase(found: Measured, steps: _Steps, stream: str, wall_ms: int, phase: Phase) -> None:
    if phase in NOT_CALM:
        found.breached.add(stream)
        found.first_breach_ms = found.first_breach_ms or wall_ms
        return
    steps.calm(stream)
    if stream in found.breached:
        found.last_calm_ms = wall_ms
    if phase is Phase.LIQUIDATED:
        found.liquidated.add(stream)


def read_journal(dsn: str, since_ms: int, until_ms: int) -> Iterator[Row]:
    """Decisions of a span of time, in their order."""
    query = (
        "SELECT j.stream, j.wall_ms, (SELECT c.wall_ms FROM bulkhead.journal_commit c WHERE c.shard = j.shard AND "
        "c.position >= j.position ORDER BY c.position LIMIT 1), j.facts FROM bulkhead.journal j "
        "WHERE j.wall_ms BETWEEN %s AND %s ORDER BY j.position"
    )
    with psycopg.connect(dsn) as connection, connection.cursor("journal") as cursor:
        cursor.execute(query, (since_ms, until_ms))
        for stream, wall_ms, committed_ms, facts in cursor:
            yield Row(stream, wall_ms, committed_ms, msgspec.json.decode(facts))


# -- the processes


class Running:
    """One column's exchange and engine; the caller ends them. ``limits`` are those that the exchange begins with."""

    def __init__(self, case: Case, folder: Path, dsn: str, limits: str = "none") -> None:
        self.case, self.folder, self._dsn = case, folder, dsn
        self._children: list[subprocess.Popen[str]] = []
        self.symbols = list(LISTINGS)[: case.symbols]
        arguments = ["--port", "0", "--seed", str(SEED), "--limits", limits, "--symbols", *self.symbols]
        self._paper = httpx.Client(
            base_url=json.loads(self._started("paper", *arguments))["rest"],
            headers={"X-MBX-APIKEY": PaperConfig().api_key},
            timeout=30,
        )
        self.start_engine()

    def _started(self, *arguments: str) -> str:
        with (self.folder / f"{arguments[0]}.log").open("a") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "actors.cli", *arguments],
                env=os.environ | {"BULKHEAD_CLEARING": self.case.clearing},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._children.append(child)
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            said = (self.folder / f"{arguments[0]}.log").read_text()[-2_000:]
            raise RuntimeError(f"{arguments[0]} ended with {child.wait(10)}: {said}")
        return line

    def start_engine(self) -> None:
        """Start the engine, and wait until it takes new risk."""
        options = {
            "--data-dir": str(self.folder),
            "--dsn": self._dsn,
            "--exchange": str(self._paper.base_url),
        }
        self._started("run", "--api-port", "0", "--log-json", *itertools.chain.from_iterable(options.items()))
        self.client = Client(self.folder)
        deadline = time.monotonic() + START_SECONDS
        while (health := self.client.get("/v1/health"))["status"] != "ok":
            if time.monotonic() > deadline:
                raise RuntimeError(f"the engine takes no new risk: {health}")
            time.sleep(0.1)

    def wait_for_empty_windows(self) -> None:
        """Until what opened the positions has left the exchange's windows: a day begins with all of its limits."""
        if self.case.limits == "none":
            return
        # The engine counts what the exchange told it as of now, and shows the scarcer window only.
        time.sleep(MINUTE_SECONDS)
        deadline = time.monotonic() + WINDOWS_SECONDS
        while (room := self._room()) < FULL_ROOM and time.monotonic() < deadline:
            time.sleep(1)
        if room < FULL_ROOM:
            raise RuntimeError(
                f"the exchange has room for {room} orders only, {MINUTE_SECONDS + WINDOWS_SECONDS:.0f} s after the last one"
            )

    def _room(self) -> int:
        room: int = self.client.get("/v1/actors/gateway")["state"]["room_liquidations"]
        return room

    def stop_engine(self) -> None:
        """End the engine, and wait for it."""
        engine = self._children.pop()
        engine.terminate()
        engine.wait(30)

    def stop(self) -> None:
        """End all, newest first; what does not end in time is killed."""
        for child in reversed(self._children):
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(15)
            if child.poll() is None:
                child.kill()

    def exchange(self, path: str, **body: Any) -> Any:
        """Ask the exchange, or tell it something."""
        answer = self._paper.post(f"/paper/{path}", json=body) if body else self._paper.get(f"/paper/{path}")
        answer.raise_for_status()
        return answer.json()

    def open_positions(self) -> int:
        """A long position for each account; how many have one."""
        for some in _chunks(accounts(self.case.accounts)):
            self.client.post("/v1/accounts", some)
        deadline = time.monotonic() + OPEN_SECONDS
        missing: Sequence[dict[str, str]] = opening_orders(self.case.accounts, self.symbols)
        while missing and time.monotonic() < deadline:
            for some in _chunks(missing):
                # What is refused (a busy engine takes no new risk for moments), or waits until it is too old, comes again.
                self.client.post("/v1/orders", some)
                self._wait_for_orders(CHUNK, deadline)
            self._wait_for_orders(0, deadline)
            opened = {view["account_id"] for view in self.views() if view["positions"]}
            missing = [order for order in missing if order["account_id"] not in opened]
        return self.case.accounts - len(missing)

    def _wait_for_orders(self, most: int, deadline: float) -> None:
        """Until at most so many orders are under way."""
        while self.client.get("/v1/stats")["working_orders"] > most and time.monotonic() < deadline:
            time.sleep(0.05)

    def views(self) -> Iterator[dict[str, Any]]:
        """All accounts."""
        for offset in range(0, self.case.accounts, PAGE):
            yield from self.client.get("/v1/accounts", limit=PAGE, offset=offset)

    def wait_until_calm(self) -> Counter[str]:
        """Until nobody is being liquidated for a while, or the time is over; accounts by phase."""
        deadline, calm_since = time.monotonic() + self.case.seconds, 0.0
        time.sleep(self.case.drop_seconds)
        while True:
            stats, now = self.client.get("/v1/stats"), time.monotonic()
            busy = stats["working_orders"] + sum(stats["phases"].get(p, 0) for p in NOT_CALM)
            calm_since = 0.0 if busy else calm_since or now
            if now > deadline or (calm_since and now - calm_since > CALM_SECONDS):
                return Counter(stats["phases"])
            time.sleep(1)

    def splits(self) -> int:
        """Blocks so far that the exchange's maximum quantity split; 0 without clearing."""
        found: int = self.client.get("/v1/stats")["clearing"]["counters"].get("splits", 0)
        return found

    def shortfall(self) -> Decimal:
        """Equity below zero of accounts that are not calm."""
        late = (view for view in self.views() if view["phase"] in NOT_CALM and view["equity"] is not None)
        return sum((max(Decimal(0), -Decimal(view["equity"])) for view in late), Decimal(0))


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(items), CHUNK):
        yield items[at : at + CHUNK]


def accounts(count: int) -> list[dict[str, str]]:
    """Accounts with limits that do not matter here."""
    wide = str(DEPOSIT * 100)
    return [
        {
            "account_id": f"acct-{n}",
            "deposit": str(DEPOSIT),
            "max_notional_per_trade": wide,
            "max_total_exposure": wide,
        }
        for n in range(count)
    ]


def opening_orders(count: int, symbols: Sequence[Symbol]) -> list[dict[str, str]]:
    """A market order to buy for each account, of 70 to 92 % of what its leverage allows."""
    random = Random(SEED)
    orders = []
    for number in range(count):
        listing = LISTINGS[symbols[number % len(symbols)]]
        leverage, share = random.choice(LEVERAGES), Decimal(random.randint(70, 92)) / 100
        quantity = listing.instrument.floor_qty(DEPOSIT * leverage * share / listing.start_price)
        orders.append(
            {
                "account_id": f"acct-{number}",
                "symbol": listing.instrument.symbol,
                "side": "BUY",
                "quantity": plain(quantity),
                "leverage": str(leverage),
            }
        )
    return orders


def column(case: Case) -> Outcome:
    """Run one column."""
    with (
        tempfile.TemporaryDirectory() as name,
        EmbeddedPostgres(Path(name)) as dsn,
        contextlib.ExitStack() as last,
    ):
        running = Running(case, Path(name), dsn)
        last.callback(running.stop)
        opened = running.open_positions()
        running.stop_engine()
        running.exchange("limits", profile=case.limits)
        running.start_engine()
        running.wait_for_empty_windows()
        before, splits = running.exchange("state"), running.splits()
        began_ms = time.time_ns() // 1_000_000
        running.exchange("shock", symbol="*", fraction=str(-case.drop), seconds=case.drop_seconds)
        phases = running.wait_until_calm()
        ended_ms = time.time_ns() // 1_000_000
        not_calm = sum(phases[p] for p in NOT_CALM)
        shortfall = running.shortfall() if not_calm else Decimal(0)
        after, splits = running.exchange("state"), running.splits() - splits
        books = running.client.get("/v1/reconciliation", settle_seconds=10)
        running.stop_engine()
        return Outcome(
            case=case,
            measured=measure(read_journal(dsn, began_ms, ended_ms)),
            exchange_orders=after["orders"] - before["orders"],
            depth_share=_change(before, after, "paid_for_depth")
            / max(Decimal(1), _change(before, after, "taken")),
            shortfall=shortfall,
            not_calm=not_calm,
            splits=splits,
            differing=sum(Decimal(b["difference"]) != 0 for b in books),
            opened=opened,
        )


def _change(before: dict[str, Any], after: dict[str, Any], name: str) -> Decimal:
    return Decimal(after[name]) - Decimal(before[name])


# -- the report


def percentile(values: Sequence[int], share: float) -> float:
    """A percentile of milliseconds, in seconds; 0 of none."""
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))] / 1_000 if ordered else 0.0


def figures(outcome: Outcome) -> list[tuple[str, str]]:
    """A column's lines: label and text."""
    case, m = outcome.case, outcome.measured
    calm = (m.last_calm_ms - m.first_breach_ms) / 1_000 if m.first_breach_ms else 0.0
    return [
        ("accounts", f"{case.accounts:,}"),
        ("exchange's limits", case.limits),
        ("clearing", case.clearing),
        ("symbols", str(case.symbols)),
        ("prices fall", f"{case.drop:.1%}, {case.drop_seconds:g} s"),
        ("positions opened", f"{outcome.opened:,}"),
        ("accounts that had to reduce", f"{len(m.breached):,}"),
        ("accounts liquidated", f"{len(m.liquidated):,}"),
        ("  not done at the end", f"{outcome.not_calm:,}"),
        ("bad debt, USDT", f"{m.bad_debt:,.2f}"),
        ("  to come, of those not done", f"{outcome.shortfall:,.2f}"),
        ("  per liquidated account", f"{outcome.lost_each:,.2f}"),
        ("decision to covering order, p50", f"{percentile(m.covered_after, 0.5):.2f} s"),
        ("  p99", f"{percentile(m.covered_after, 0.99):.2f} s"),
        ("  max", f"{percentile(m.covered_after, 1.0):.2f} s"),
        ("  without a trade at the end", f"{m.uncovered:,}"),
        ("first breach to last calm", f"> {case.seconds:.0f} s" if outcome.not_calm else f"{calm:.1f} s"),
        ("first trade to last durable fill", f"{(m.last_fill_ms - m.first_trade_ms) / 1_000:.2f} s"),
        ("steps decided", f"{m.steps:,}"),
        ("orders that the exchange got", f"{outcome.exchange_orders:,}"),
        ("  of them liquidating", f"{m.risk_orders:,}"),
        ("  of these blocks", f"{m.block_orders:,}"),
        ("  of these split at the maximum", f"{outcome.splits:,}"),
        ("paid for depth, basis points", f"{outcome.depth_share * 10_000:.1f}"),
        ("symbols whose books differ", str(outcome.differing)),
    ]


def table(outcomes: Sequence[Outcome]) -> str:
    """The columns side by side; four of them take 80 cells."""
    columns = [figures(outcome) for outcome in outcomes]
    return "\n".join(
        f"{cells[0][0]:<{LABEL}}" + "".join(f"{text:>{COLUMN}}" for _, text in cells)
        for cells in zip(*columns, strict=True)
    )


def verdicts(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The comparisons that issue 14 asks for, where both of their columns are there."""
    by_case = {o.case[:3]: o for o in outcomes}
    for (count, limits, clearing), found in by_case.items():
        without = by_case.get((count, "none", clearing))
        if limits != "none" and without is not None:
            goal = GOAL_RATIO * without.lost_each + GOAL_USDT
            yield (
                f"{count:,} accounts, clearing {clearing}: bad debt per liquidated account {found.lost_each:.2f} with "
                f"limits, {without.lost_each:.2f} without; at most {goal:.2f}: {_met(found.lost_each <= goal)}"
            )
    for found in outcomes:
        case, m = found.case, found.measured
        if case.clearing == "off":
            continue
        name, late = f"{case.accounts:,} accounts, limits {case.limits}", percentile(m.covered_after, 0.99)
        ok = late <= GOAL_COVER_SECONDS and not m.uncovered
        yield f"{name}: decision to covering order p99 {late:.2f} s; at most {GOAL_COVER_SECONDS:g} s: {_met(ok)}"
        if case.symbols == 1 and case.drop_seconds == 0:
            besides = m.risk_orders - found.splits
            ok = besides <= GOAL_ONE_TICK
            yield f"{name}: {besides} orders besides splits; at most {GOAL_ONE_TICK}: {_met(ok)}"
    for clearing in dict.fromkeys(o.case.clearing for o in outcomes):
        counts = sorted(o.case.accounts for o in outcomes if o.case[1:3] == ("binance", clearing))
        if len(counts) > 1:
            few, many = (
                by_case[n, "binance", clearing].measured.risk_orders for n in (counts[0], counts[-1])
            )
            ratio = many / max(1, few)
            yield (
                f"clearing {clearing}: {many:,} orders at {counts[-1]:,} accounts, {few:,} at {counts[0]:,}: "
                f"{ratio:.1f} times; at most {GOAL_ORDERS}: {_met(ratio <= GOAL_ORDERS)}"
            )


def _met(ok: bool) -> str:  # noqa: FBT001 - a word for it
    return "met" if ok else "missed"


def report(cases: Iterable[Case]) -> None:
    """Run columns and print them."""
    outcomes = []
    for case in cases:
        began = time.monotonic()
        outcomes.append(column(case))
        took = time.monotonic() - began
        print(
            f"{case.accounts:,} accounts, limits {case.limits}, clearing {case.clearing}: {took:.0f} s, "
            f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors",
            file=sys.stderr,
        )
    shown = 4
    for at in range(0, len(outcomes), shown):
        print(table(outcomes[at : at + shown]), end="\n\n")
    print("\n".join(verdicts(outcomes)))


def cases(
    counts: Sequence[int] = ACCOUNTS,
    limits: Sequence[str] = LIMITS,
    clearing: Sequence[str] = CLEARING,
    **same: Any,
) -> list[Case]:
    """The columns of a run, those to compare beside each other; ``same`` are the other fields of all of them."""
    return [Case(n, a, c, **same) for c in clearing for n in counts for a in limits]


def run() -> None:
    """Print the default columns."""
    report(cases())


def main() -> None:
    """Print the columns that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--accounts", type=int, nargs="+", default=ACCOUNTS)
    parser.add_argument("--limits", choices=("none", "binance"), nargs="+", default=LIMITS)
    parser.add_argument("--clearing", choices=("off", "on"), nargs="+", default=CLEARING)
    parser.add_argument("--symbols", type=int, choices=range(1, len(LISTINGS) + 1), default=len(LISTINGS))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--drop", type=float, default=DROP, help="share of the price")
    parser.add_argument("--drop-seconds", type=float, default=DROP_SECONDS)
    axes = vars(parser.parse_args())
    report(cases(axes.pop("accounts"), axes.pop("limits"), axes.pop("clearing"), **axes))


if __name__ == "__main__":
    main()
