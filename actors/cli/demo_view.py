"""What the demo shows. Pure: statistics to text."""

from __future__ import annotations

from decimal import Decimal
from textwrap import wrap
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from actors.cli import engine_tables

Stats = dict[str, Any]

BAR_WIDTH = 40
BAR_LABELS = 24
"""Cells beside a bar: its bucket, its count, the frame."""
PAIRS_WIDE, PAIRS_NARROW = 3, 2
"""Counters on one line."""
WIDE = 70
"""From so many columns on, three of them fit."""
NOTES_MAX = 6
FRAME = 4
"""What the frame and its air take of the width, in cells."""
CURSOR_AND_FRAME = 3
"""And of the height, with the line where the cursor stands."""
TALL = 32
"""From so many lines on, there is air between the parts."""
RATIO_ORDER = ("0.2", "0.4", "0.6", "0.8", "0.9", "0.925", "0.95", "1", ">= 1", "no price")


def rate(stats: Stats, before: Stats | None, *path: str) -> float:
    """Change per second of a counter between two statistics."""
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


def screen(  # noqa: PLR0913 - what is shown, and the size of the terminal
    stats: Stats,
    before: Stats | None,
    elapsed: float,
    notes: list[str],
    worst: list[dict[str, Any]],
    *,
    width: int = 80,
    height: int = 40,
) -> RenderableType:
    """The live view; it fits a terminal of 80 by 24.

    Args:
        stats: the engine's counters.
        before: the counters of the previous refresh.
        elapsed: seconds since trading began.
        notes: what happened, oldest first.
        worst: rows of ``top``, deepest mailbox first.
        width: of the terminal, in cells.
        height: of the terminal, in lines; one is left for the cursor.
    """
    numbers = _counters(stats, before, PAIRS_WIDE if width >= WIDE else PAIRS_NARROW)
    phases = "   ".join(f"{name.lower()} {count:,}" for name, count in sorted(stats["phases"].items()))
    deepest = ", ".join(f"{row['name']} {row['depth']}" for row in worst if row["depth"]) or "all empty"
    bars = histogram(stats["margin_ratios"], max(1, min(BAR_WIDTH, width - BAR_LABELS)))
    said = (
        phases,
        "margin ratio of accounts with positions, below:",
        f"deepest mailboxes: {deepest}",
    )
    air = "\n" if height >= TALL else ""
    inner = width - FRAME
    room = height - CURSOR_AND_FRAME - numbers.row_count - bars.plain.count("\n") - 1
    room -= sum(_lines(text, inner) + len(air) for text in said) + len(air)
    parts: list[RenderableType] = [numbers, *(Text(air + text) for text in said[:2]), bars]
    parts.append(Text(f"{air}{said[2]}{air}"))
    parts += [Text(note) for note in _latest(notes, inner, room)]
    title = f"bulkhead demo  {elapsed:.0f} s  {stats['accounts']:,} accounts"
    return Panel(Group(*parts), title=title, title_align="left")


def _lines(text: str, width: int) -> int:
    """How many lines a text takes, in a column of ``width`` cells."""
    return max(1, len(wrap(text, max(1, width), break_on_hyphens=False)))


def _latest(notes: list[str], width: int, room: int) -> list[str]:
    """The last notes that fit into ``room`` lines, at least one and at most ``NOTES_MAX``."""
    shown: list[str] = []
    for note in reversed(notes[-NOTES_MAX:]):
        room -= _lines(note, width)
        if room < 0 and shown:
            break
        shown.insert(0, note)
    return shown


def _counters(stats: Stats, before: Stats | None, pairs: int) -> Table:
    accounts = stats["account_stats"]
    shown = (
        ("ticks/s", rate(stats, before, "router", "stats", "ticks")),
        ("orders", accounts["orders"]),
        ("working orders", stats["working_orders"]),
        ("wakes/s", rate(stats, before, "account_stats", "wakes")),
        ("fills", accounts["fills"]),
        ("orders queued", stats["gateway"]["queued"]),
        ("commits/s", rate(stats, before, "writer", "commits")),
        ("ADL steps", accounts["adl_steps"]),
        ("restarts", stats["restarts"]),
        ("alarms", stats["alarms"]),
        ("liquidated", stats["phases"].get("LIQUIDATED", 0)),
        ("orders refused", accounts["rejected"]),
    )
    numbers = Table.grid(padding=(0, 3 if pairs == PAIRS_WIDE else 1))
    for at in range(0, len(shown), pairs):
        numbers.add_row(*(cell for name, value in shown[at : at + pairs] for cell in (name, f"{value:,.0f}")))
    return numbers


def histogram(ratios: dict[str, int], width: int = BAR_WIDTH) -> Text:
    """Bars of the margin-ratio distribution, the longest ``width`` cells."""
    most = max(ratios.values(), default=1)
    lines = [
        f"{name:>8} {'█' * max(1, ratios[name] * width // most)} {ratios[name]:,}"
        for name in RATIO_ORDER
        if ratios.get(name)
    ]
    return Text("\n".join(lines) or "    none")


def sent_line(stats: Stats) -> str:
    """How many orders the exchange got for the orders that accounts decided."""
    decided, sent = stats["account_stats"]["orders"], stats["gateway"]["sent"]
    rate = f"{1_000 * sent / decided:,.0f}" if decided else "0"
    return f"exchange orders sent per thousand decided {rate} ({sent:,} for {decided:,})"


def summary(stats: Stats, differences: list[dict[str, Any]], victim: str, out: Console) -> None:
    """The counters and the books at the end of the demo."""
    accounts, router = stats["account_stats"], stats["router"]["stats"]
    traded = (
        f"ticks {router['ticks']:,}  wakes {accounts['wakes']:,}  decisions {accounts['decisions']:,}  "
        f"orders {accounts['orders']:,}  fills {accounts['fills']:,}"
    )
    lost = (
        f"ADL steps {accounts['adl_steps']:,}  liquidated {stats['phases'].get('LIQUIDATED', 0):,}  "
        f"bad debt {Decimal(stats['bad_debt']):.2f} USDT  commits {stats['writer']['commits']:,}"
    )
    out.print(f"\n{traded}\n{lost}\n{sent_line(stats)}", highlight=False)
    out.print(f"restarts {stats['restarts']} ({victim} was crashed on purpose)\n", highlight=False)
    engine_tables.reconciliation(differences, out)
