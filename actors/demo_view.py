"""What the demo shows. Pure: statistics to text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

Stats = dict[str, Any]

BAR_WIDTH = 40
RATIO_ORDER = ("0.2", "0.4", "0.6", "0.8", "0.9", "0.925", "0.95", "1", ">= 1", "no price")


def rate(stats: Stats, before: Stats | None, *path: str) -> float:
    """Change per second of a counter between two looks."""
    if before is None:
        return 0.0
    seconds = stats["uptime_s"] - before["uptime_s"]
    return float(_at(stats, path) - _at(before, path)) / seconds if seconds > 0 else 0.0


def _at(stats: Stats, path: tuple[str, ...]) -> Any:
    for name in path:
        stats = stats[name]
    return stats


def line(stats: Stats, before: Stats | None, elapsed: float) -> str:
    """One line for a log."""
    accounts = stats["account_stats"]
    return (
        f"{elapsed:4.0f} s  ticks/s {rate(stats, before, 'router', 'stats', 'ticks'):6.0f}"
        f"  wakes/s {rate(stats, before, 'account_stats', 'wakes'):6.0f}"
        f"  orders {accounts['orders']:6d}  fills {accounts['fills']:6d}  ADL steps {accounts['adl_steps']:5d}"
        f"  liquidated {stats['phases'].get('LIQUIDATED', 0):4d}  restarts {stats['restarts']}"
    )


def screen(
    stats: Stats, before: Stats | None, elapsed: float, notes: list[str], worst: list[dict[str, Any]]
) -> RenderableType:
    """The live view. ``worst`` are rows of ``top``, deepest mailbox first."""
    accounts = stats["account_stats"]
    numbers = Table.grid(padding=(0, 3))
    rows = (
        (
            "ticks/s",
            f"{rate(stats, before, 'router', 'stats', 'ticks'):,.0f}",
            "orders",
            f"{accounts['orders']:,}",
        ),
        (
            "wakes/s",
            f"{rate(stats, before, 'account_stats', 'wakes'):,.0f}",
            "fills",
            f"{accounts['fills']:,}",
        ),
        (
            "commits/s",
            f"{rate(stats, before, 'writer', 'commits'):,.0f}",
            "ADL steps",
            f"{accounts['adl_steps']:,}",
        ),
        ("working orders", f"{stats['working_orders']:,}", "restarts", f"{stats['restarts']:,}"),
        ("orders queued", f"{stats['gateway']['queued']:,}", "alarms", f"{stats['alarms']:,}"),
    )
    for row in rows:
        numbers.add_row(*row)
    phases = "   ".join(f"{name.lower()} {count:,}" for name, count in sorted(stats["phases"].items()))
    deepest = ", ".join(f"{row['name']} {row['depth']}" for row in worst if row["depth"]) or "all empty"
    parts: list[RenderableType] = [
        numbers,
        Text(f"\n{phases}"),
        Text("\nmargin ratio of accounts with positions, below:"),
        histogram(stats["margin_ratios"]),
        Text(f"\ndeepest mailboxes: {deepest}"),
        *(Text(note) for note in notes[-6:]),
    ]
    title = f"bulkhead demo  {elapsed:.0f} s  {stats['accounts']:,} accounts"
    return Panel(Group(*parts), title=title, title_align="left")


def histogram(ratios: dict[str, int]) -> Text:
    """Bars of the margin-ratio distribution."""
    most = max(ratios.values(), default=1)
    lines = [
        f"{name:>8} {'█' * max(1, ratios[name] * BAR_WIDTH // most)} {ratios[name]:,}"
        for name in RATIO_ORDER
        if ratios.get(name)
    ]
    return Text("\n".join(lines))


def summary(stats: Stats, differences: list[dict[str, Any]], victim: str, out: Console) -> None:
    """What the demo ends with."""
    accounts, router = stats["account_stats"], stats["router"]["stats"]
    out.print(
        f"\nticks {router['ticks']:,}  wakes {accounts['wakes']:,}  decisions {accounts['decisions']:,}  "
        f"orders {accounts['orders']:,}  fills {accounts['fills']:,}  ADL steps {accounts['adl_steps']:,}",
        highlight=False,
    )
    out.print(
        f"liquidated {stats['phases'].get('LIQUIDATED', 0):,}  bad debt {Decimal(stats['bad_debt']):.2f} USDT  "
        f"restarts {stats['restarts']} ({victim} was crashed on purpose)  commits {stats['writer']['commits']:,}",
        highlight=False,
    )
    table = Table(
        "symbol", title="sum of accounts + house = exchange", title_justify="left", header_style="bold"
    )
    for name in ("accounts", "house", "exchange", "difference"):
        table.add_column(name, justify="right")
    for d in differences:
        table.add_row(d["symbol"], d["virtual"], d["house"], d["master"], d["difference"])
    out.print(table)
