"""Tables of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from actors.cli_table import Sheet
from actors.units import plain

Found = Any


def _short(value: Any, digits: int = 2) -> str:
    if value is None:
        return "no price"
    return f"{float(value):,.{digits}f}"


def brief(text: str, length: int) -> str:
    """A text of at most so many characters; a longer one ends after a word, with how much there is more."""
    if len(text) <= length:
        return text
    kept = text[: length + 1].rpartition(" ")[0] or text[:length]
    return f"{kept} ... ({len(text) - len(kept):,} characters more)"


def price(value: Any) -> str:
    """A price with up to five decimals, and at least the cents."""
    whole, _, cents = _short(value, 5).partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2}" if cents else whole


def accounts(found: Found, out: Console) -> None:
    """One line per account."""
    table = Sheet(
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
    table = Sheet(
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
            price(p["entry_price"]),
            price(p["mark"]),
            _short(p["notional"]),
            _short(p["leverage"], 1),
            _short(p["margin"]),
            _short(p["unrealized"]),
            price(p["liquidation_price"]),
        )
    out.print(table)


def actor(found: Found, out: Console) -> None:
    """Everything about one actor."""
    snapshot = found["snapshot"]
    counters = snapshot["counters"]
    out.print(
        Text.assemble(
            (snapshot["name"], "bold"),
            f"  {snapshot['kind']}  {snapshot['status']}  restarts {snapshot['restarts']}",
        )
    )
    out.print(
        "messages: " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counters.items())
    )
    if snapshot["busy_with"]:
        busy = snapshot["busy_with"]
        out.print(Text(f"in hand: {busy['kind']} for {busy['age_ms']:.1f} ms", "yellow"))
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
        text = f"in quarantine; {guard['name']} stands in for it and is {guard['status']}"
        out.print(Text(text, "yellow"))
    trace(snapshot["trace"], out)
    for crash in snapshot["crashes"]:
        out.print(Text.assemble(("crash", "red"), f" {day_time(crash['wall_ms'])} {crash['error']}"))
        out.print(f"  poison message: {crash['message']}", markup=False)
        out.print(crash["traceback"], markup=False, highlight=False)


def trace(found: Found, out: Console) -> None:
    """The last messages of an actor, oldest first."""
    table = Sheet("last messages", "Age ms", "Took us", "cause", "content")
    for t in found:
        table.add_row(t["kind"], f"{t['age_ms']:,.1f}", f"{t['took_us']:,.1f}", t["cause"], t["content"])
    out.print(table)


def mailbox(found: Found, out: Console) -> None:
    """What waits in a mailbox."""
    table = Sheet("lane", "kind", "Age ms", "cause", "content", title=f"mailbox of {found['name']}")
    for m in found["mailbox"]:
        table.add_row(m["lane"], m["kind"], f"{m['age_ms']:,.1f}", m["cause"], m["content"])
    queued = found["counters"]["queued"]
    out.print(table if found["mailbox"] else Text(f"\nmailbox of {found['name']}: empty"))
    if queued > len(found["mailbox"]):
        out.print(f"... and {queued - len(found['mailbox'])} more")


def alarms(found: Found, out: Console) -> None:
    """One line per alarm: number, when last, how urgent, how often, what."""
    for alarm in found:
        often = (
            f" ({alarm['count']:,} times since {day_time(alarm['first_ms'])})" if alarm["count"] > 1 else ""
        )
        over = f" (over since {day_time(alarm['over_ms'])})" if alarm["over_ms"] else ""
        seen = f" (acknowledged by {alarm['acknowledged_by']})" if alarm["acknowledged_by"] else ""
        out.print(
            f"{alarm['alarm_id']} {day_time(alarm['at_ms'])} {alarm['level']} {alarm['text']}{often}{over}{seen}",
            style="red" if alarm["level"] == "CRITICAL" else "",
            markup=False,
            highlight=False,
        )
    if not found:
        out.print("no alarms")


def reconciliation(found: Found, out: Console) -> None:
    """One line per symbol."""
    table = Sheet("symbol", "Accounts", "House", "Exchange", "Difference")
    for d in found:
        sums = (plain(Decimal(d[name])) for name in ("virtual", "house", "master", "difference"))
        table.add_row(d["symbol"], *sums)
    out.print(table)
    differ = [d["symbol"] for d in found if Decimal(d["difference"])]
    if differ:
        out.print(f"accounts + house differ from the exchange in {', '.join(differ)}", style="red")
    else:
        out.print("accounts + house = exchange, for every symbol", style="green")


def day_time(unix_ms: int) -> str:
    """Date and time, UTC."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
