"""What clearing costs an order that has no company: the same single orders with clearing on and off, in turn.

Two engines run beside each other, each with its own paper exchange and its own Postgres, one with clearing and one
without. Every order goes to one of them and then to the other, the first of the two by turns, so that what else the
machine does meets both. Nothing else is under way when an order is sent.

    python -m bench.single --orders 1000
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.persistence.embedded import EmbeddedPostgres
from bench.clearing import CLEARING, Case, Row, Running, accounts, percentile, read_journal
from bench.flow import orders

ACCOUNTS = 20
ORDERS = 600
WARM_UP = 40
"""Orders before the measured ones: connections, leverage at the exchange, caches."""

FILL_SECONDS = 10.0
PAUSE_SECONDS = 0.01
LABEL, COLUMN = 44, 12


@dataclass
class Times:
    """Milliseconds of each order."""

    answered: list[float] = field(default_factory=list)
    """From the request to the answer that it is accepted, which is when it is durable."""

    traded: list[int] = field(default_factory=list)
    """From the commit of its decision to its trade at the exchange."""

    filled: list[int] = field(default_factory=list)
    """From the commit of its decision to the commit of its fill."""


def follow(rows: Iterable[Row], times: Times) -> None:
    """Read from the journal when each order was durable, was traded, and when its fill was durable."""
    began: dict[str, int] = {}
    for row in rows:
        for fact in row.facts:
            if row.stream.startswith("clearing:"):
                continue
            if fact["fact"] == "OrderIntended":
                began[fact["client_order_id"]] = row.committed_ms
            elif fact["fact"] == "FillApplied" and fact["client_order_id"] in began:
                since = began.pop(fact["client_order_id"])
                times.traded.append(fact["trade"]["trade_ms"] - since)
                times.filled.append(row.committed_ms - since)


class Side:
    """One engine, with or without clearing."""

    def __init__(self, clearing: str, folder: Path, dsn: str) -> None:
        self.clearing, self.times, self._dsn = clearing, Times(), dsn
        self.running = Running(Case(ACCOUNTS, "none", clearing), folder, dsn)
        self._began_ms = 0

    def open_accounts(self) -> None:
        """Make those that trade."""
        self.running.client.post("/v1/accounts", accounts(ACCOUNTS))

    def begin(self) -> None:
        """What comes from now on is measured."""
        self.times, self._began_ms = Times(), time.time_ns() // 1_000_000

    def order(self, order: dict[str, str]) -> None:
        """Send one, and wait until it is traded.

        Raises:
            RuntimeError: it is refused, or not traded in time.
        """
        began = time.perf_counter()
        [answer] = self.running.client.post("/v1/orders", [order])
        self.times.answered.append((time.perf_counter() - began) * 1_000)
        if answer["type"] != "Accepted":
            raise RuntimeError(f"clearing {self.clearing}: {order} is refused: {answer}")
        deadline = time.monotonic() + FILL_SECONDS
        while self.running.client.get("/v1/stats")["working_orders"]:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"clearing {self.clearing}: {order} has no fill after {FILL_SECONDS:.0f} s"
                )
            time.sleep(PAUSE_SECONDS)

    def finish(self) -> None:
        """End the engine and read what it wrote."""
        self.running.stop_engine()
        follow(read_journal(self._dsn, self._began_ms, time.time_ns() // 1_000_000), self.times)


def in_turn(sides: Sequence[Side], count: int) -> None:
    """Send so many orders to each side, one at a time."""
    buys = orders(ACCOUNTS)
    for number in range(count):
        order = buys[number % ACCOUNTS] | {"side": "SELL" if number // ACCOUNTS % 2 else "BUY"}
        for side in sides if number % 2 else reversed(sides):
            side.order(order)


def measure(count: int) -> list[Side]:
    """Both sides in one run."""
    with contextlib.ExitStack() as last:
        sides = []
        for clearing in CLEARING:
            folder = Path(last.enter_context(tempfile.TemporaryDirectory()))
            dsn = last.enter_context(EmbeddedPostgres(folder))
            side = Side(clearing, folder, dsn)
            last.callback(side.running.stop)
            sides.append(side)
        for side in sides:
            side.open_accounts()
        in_turn(sides, WARM_UP)
        for side in sides:
            side.begin()
        in_turn(sides, count)
        for side in sides:
            side.finish()
        return sides


def report(sides: Sequence[Side]) -> str:
    """Both beside each other, in milliseconds."""
    lines: list[tuple[str, ...]] = [
        ("clearing", *(side.clearing for side in sides)),
        ("orders with a fill", *(f"{len(side.times.filled):,}" for side in sides)),
    ]
    names: dict[str, Any] = {
        "accepted over HTTP": lambda t: t.answered,
        "decision durable to trade at the exchange": lambda t: t.traded,
        "decision durable to fill durable": lambda t: t.filled,
    }
    for name, values in names.items():
        for share in (0.5, 0.99):
            cells = (f"{percentile(values(side.times), share) * 1_000:.1f} ms" for side in sides)
            lines.append((f"{name}, p{share * 100:.0f}", *cells))
    return "\n".join(
        f"{label:<{LABEL}}" + "".join(f"{c:>{COLUMN}}" for c in cells) for label, *cells in lines
    )


def run() -> None:
    """Print the default run."""
    print(report(measure(ORDERS)))


def main() -> None:
    """Print a run of as many orders as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=ORDERS)
    count = parser.parse_args().orders
    print(f"{count:,} orders to each of two engines, one at a time", file=sys.stderr)
    print(report(measure(count)))


if __name__ == "__main__":
    main()
