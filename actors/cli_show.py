"""Tables of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

Found = Any


def table_of(*columns: str, title: str | None = None) -> Table:
    """An empty table; columns that begin with a capital are of numbers."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        left = column[0].islower()
        table.add_column(column.lower(), justify="left" if left else "right", overflow="fold")
    return table


def _short(value: Any, digits: int = 2) -> str:
    if value is None:
        return "no price"
    return f"{float(value):,.{digits}f}"


def accounts(found: Found, out: Console) -> None:
    """One line per account."""
    table = table_of(
        "account",
        "status",
        "phase",
        "actor",
        "Balance",
        "Equity",
        "Available",
        "Ratio",
        "Positions",
        "Restarts",
    )
    for a in found:
        table.add_row(
            a["account_id"],
            a["status"],
            a["phase"],
            a["actor"],
            _short(a["balance"]),
            _short(a["equity"]),
            _short(a["available"]),
            _short(a["margin_ratio"], 4),
            str(len(a["positions"])),
            str(a["restarts"]),
        )
    out.print(table)


def positions(found: Found, out: Console) -> None:
    """One line per position."""
    table = table_of(
        "account",
        "symbol",
        "Quantity",
        "Entry",
        "Mark",
        "Notional",
        "Leverage",
        "Margin",
        "Unrealized",
        "Liquidation",
    )
    for p in found:
        table.add_row(
            p["account_id"],
            p["symbol"],
            p["quantity"],
            _short(p["entry_price"], 5),
            _short(p["mark"], 5),
            _short(p["notional"]),
            _short(p["leverage"], 1),
            _short(p["margin"]),
            _short(p["unrealized"]),
            _short(p["liquidation_price"], 5),
        )
    out.print(table)


def actor(found: Found, out: Console) -> None:
    """Everything about one actor."""
    snapshot = found["snapshot"]
    counters = snapshot["counters"]
    out.print(
        f"[bold]{snapshot['name']}[/bold]  {snapshot['kind']}  {snapshot['status']}  restarts {snapshot['restarts']}"
    )
    out.print("messages: " + ", ".join(f"{name} {count}" for name, count in counters.items()))
    if snapshot["busy_with"]:
        busy = snapshot["busy_with"]
        out.print(f"[yellow]in hand: {busy['kind']} for {busy['age_ms']:.1f} ms[/yellow]")
    out.print("\n[bold]state[/bold]")
    out.print(msgspec.json.format(msgspec.json.encode(found["state"])).decode(), markup=False)
    if found["triggers"] is not None:
        prices = ", ".join(
            f"{t['symbol']} {'<=' if t['below'] else '>='} {t['price']:.8g}" for t in found["triggers"]
        )
        out.print(f"\n[bold]triggers[/bold] {prices or 'none'}")
        if found["every_tick"]:
            out.print(f"woken on every tick of {', '.join(found['every_tick'])}")
    mailbox(snapshot, out)
    if found["guard"] is not None:
        guard = found["guard"]
        out.print(
            f"[yellow]in quarantine; {guard['name']} stands in for it and is {guard['status']}[/yellow]"
        )
    trace(snapshot["trace"], out)
    for crash in snapshot["crashes"]:
        out.print(f"[red]crash[/red] {day_time(crash['wall_ms'])} {crash['error']}", highlight=False)
        out.print(f"  poison message: {crash['message']}", markup=False)
        out.print(crash["traceback"], markup=False, highlight=False)


def trace(found: Found, out: Console) -> None:
    """The last messages of an actor, oldest first."""
    table = table_of("last messages", "Age ms", "Took us", "cause", "content")
    for t in found:
        table.add_row(
            t["kind"], f"{t['age_ms']:,.1f}", f"{t['took_us']:,.1f}", t["cause"], t["content"][:100]
        )
    out.print(table)


def mailbox(found: Found, out: Console) -> None:
    """What waits in a mailbox."""
    table = table_of("lane", "kind", "Age ms", "cause", "content", title=f"mailbox of {found['name']}")
    for m in found["mailbox"]:
        table.add_row(m["lane"], m["kind"], f"{m['age_ms']:,.1f}", m["cause"], m["content"][:100])
    queued = found["counters"]["queued"]
    out.print(table if found["mailbox"] else f"\nmailbox of {found['name']}: empty")
    if queued > len(found["mailbox"]):
        out.print(f"... and {queued - len(found['mailbox'])} more")


def alarms(found: Found, out: Console) -> None:
    """One line per alarm."""
    for alarm in found:
        out.print(f"{day_time(alarm['at_ms'])} {alarm['text']}", markup=False, highlight=False)
    if not found:
        out.print("no alarms")


def reconciliation(found: Found, out: Console) -> None:
    """One line per symbol."""
    table = table_of(
        "symbol", "Virtual", "House", "Exchange", "Difference", title="sum of accounts + house = exchange"
    )
    for d in found:
        table.add_row(d["symbol"], d["virtual"], d["house"], d["master"], d["difference"])
    out.print(table)


def day_time(unix_ms: int) -> str:
    """Date and time, UTC."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
