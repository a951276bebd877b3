"""More market orders than the exchange's limits allow one by one: is any refused, and how long do they take?

1,000 accounts send two market orders a minute each, to buy and to sell in turn, spread evenly: 2,000 a minute over a master
account that may send 1,200. Real processes as in ``bench.clearing``, with Binance's limits, a column with clearing and one
without. An order is accepted when its decision is durable, which is what the answer over HTTP says.

    python -m bench.flow --accounts 1000 --seconds 120 --clearing off on
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.api.client import Client
from actors.core.enums import OrderStatus, Purpose
from actors.core.units import Symbol, plain
from actors.persistence.embedded import EmbeddedPostgres
from actors.venues.paper.instruments import LISTINGS
from bench.clearing import CLEARING, Case, Row, Running, accounts, percentile, read_journal

ACCOUNTS = 1_000
PER_MINUTE = 2
"""Orders of each account."""

SECONDS = 120.0
DRAIN_SECONDS = 45.0
"""How long what is under way at the end may take; an order that waits for 30 s ends."""

STEP_SECONDS = 0.1
LEVERAGE = "10"
LABEL, COLUMN = 32, 12


@dataclass
class Flow:
    """What became of the orders; times in milliseconds."""

    accepted: int = 0
    filled: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    """Orders without a fill, by status."""
    took: list[int] = field(default_factory=list)
    """From the commit of the order to the commit of its first fill."""


@dataclass
class Column:
    """One column's figures."""

    clearing: str
    flow: Flow
    refused: int
    state: dict[str, Any]
    """The exchange's own counts."""
    orders: int


def follow(rows: Iterable[Row]) -> Flow:
    """What became of accounts' own orders, from the journal.

    An order that waited too long for the exchange's limits is given back and decided again: its end and the next order
    stand in one decision, and count as one order since the first.
    """
    flow = Flow()
    began: dict[str, int] = {}
    done: set[str] = set()
    for row in rows:
        given_back: list[int] = []
        for fact in row.facts:
            id_ = fact.get("client_order_id", "")
            match fact["fact"]:
                case "OrderIntended" if fact["purpose"] == Purpose.USER and not row.stream.startswith(
                    "clearing:"
                ):
                    flow.accepted += not given_back
                    flow.ended[OrderStatus.NEVER_SENT] -= bool(given_back)
                    began[id_] = given_back.pop(0) if given_back else row.committed_ms
                case "FillApplied" if id_ in began and id_ not in done:
                    done.add(id_)
                    flow.took.append(row.committed_ms - began[id_])
                case "OrderEnded" if (
                    id_ in began and id_ not in done and fact["status"] != OrderStatus.FILLED
                ):
                    flow.ended[fact["status"]] += 1
                    if fact["status"] == OrderStatus.NEVER_SENT:
                        given_back.append(began[id_])
    flow.filled = len(done)
    flow.ended = +flow.ended
    return flow


def orders(count: int) -> list[dict[str, str]]:
    """One order to buy for each account, a little more than the exchange's minimum."""
    symbols = list(LISTINGS)
    found = []
    for number in range(count):
        listing = LISTINGS[Symbol(symbols[number % len(symbols)])]
        least = listing.instrument.min_notional * Decimal("1.3")
        found.append(
            {
                "account_id": f"acct-{number}",
                "symbol": listing.instrument.symbol,
                "side": "BUY",
                "quantity": plain(listing.instrument.ceil_qty(least / listing.start_price)),
                "leverage": LEVERAGE,
            }
        )
    return found


def send(client: Client, count: int, seconds: float) -> int:
    """Send orders at an even rate for a time, of each account in turn; how many were refused at once."""
    rate = count * PER_MINUTE / 60
    buys = orders(count)
    began, sent, refused = time.monotonic(), 0, 0
    while (elapsed := time.monotonic() - began) < seconds:
        due = int(elapsed * rate)
        some = []
        for number in range(sent, due):
            # Each account buys, and sells the same in its next turn.
            side = "SELL" if number // count % 2 else "BUY"
            some.append(buys[number % count] | {"side": side})
        if some:
            refused += sum(answer["type"] != "Accepted" for answer in client.post("/v1/orders", some))
        sent = due
        time.sleep(STEP_SECONDS)
    return refused


def column(clearing: str, count: int, seconds: float) -> Column:
    """Run one column."""
    with (
        tempfile.TemporaryDirectory() as name,
        EmbeddedPostgres(Path(name)) as dsn,
        contextlib.ExitStack() as last,
    ):
        running = Running(Case(count, "binance", clearing), Path(name), dsn, "binance")
        last.callback(running.stop)
        bodies = accounts(count)
        for at in range(0, count, 200):
            running.client.post("/v1/accounts", bodies[at : at + 200])
        time.sleep(1)
        before, began_ms = running.exchange("state"), time.time_ns() // 1_000_000
        refused = send(running.client, count, seconds)
        deadline = time.monotonic() + DRAIN_SECONDS
        while running.client.get("/v1/stats")["working_orders"] and time.monotonic() < deadline:
            time.sleep(0.25)
        state = running.exchange("state")
        running.stop_engine()
        flow = follow(read_journal(dsn, began_ms, time.time_ns() // 1_000_000))
        return Column(clearing, flow, refused, state, state["orders"] - before["orders"])


def figures(found: Column) -> list[tuple[str, str]]:
    """A column's lines: label and text."""
    flow, state = found.flow, found.state
    ended = ", ".join(f"{n:,} {status}" for status, n in sorted(flow.ended.items())) or "0"
    return [
        ("clearing", found.clearing),
        ("orders accepted", f"{flow.accepted:,}"),
        ("  refused at once", f"{found.refused:,}"),
        ("  ended without a fill", ended),
        ("  filled", f"{flow.filled:,}"),
        ("acceptance to fill, p50", f"{percentile(flow.took, 0.5):.2f} s"),
        ("  p99", f"{percentile(flow.took, 0.99):.2f} s"),
        ("  max", f"{percentile(flow.took, 1.0):.2f} s"),
        ("orders that the exchange got", f"{found.orders:,}"),
        ("  per thousand accepted", f"{1_000 * found.orders / max(1, flow.accepted):,.0f}"),
        ("  most in 10 s (300)", f"{state['most_orders_in_10s']:,}"),
        ("  most in a minute (1,200)", f"{state['most_orders_in_a_minute']:,}"),
        ("  refused by its limits", f"{state['rejected_orders']:,}"),
    ]


def report(columns: Sequence[Column]) -> str:
    """The columns side by side."""
    width = max(COLUMN, *(len(text) + 2 for found in columns for _, text in figures(found)))
    return "\n".join(
        f"{cells[0][0]:<{LABEL}}" + "".join(f"{text:>{width}}" for _, text in cells)
        for cells in zip(*map(figures, columns), strict=True)
    )


def columns(clearing: Sequence[str], count: int, seconds: float) -> Iterator[Column]:
    """Run the columns."""
    for state in clearing:
        print(f"{count:,} accounts, {PER_MINUTE} orders a minute each, clearing {state}", file=sys.stderr)
        yield column(state, count, seconds)


def run() -> None:
    """Print the default columns."""
    print(report(list(columns(CLEARING, ACCOUNTS, SECONDS))))


def main() -> None:
    """Print the columns that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--clearing", choices=("off", "on"), nargs="+", default=CLEARING)
    given = parser.parse_args()
    print(report(list(columns(given.clearing, given.accounts, given.seconds))))


if __name__ == "__main__":
    main()
