"""Tables of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console

from actors.cli.table import Sheet
from actors.core.units import plain

Found = Any


def short(value: Any, digits: int = 2) -> str:
    """A number with its thousands apart."""
    if value is None:
        return "no price"
    return f"{Decimal(value):,.{digits}f}"


def brief(text: str, length: int) -> str:
    """A text of at most so many characters; a longer one ends after a word, with how much there is more."""
    if len(text) <= length:
        return text
    kept = text[: length + 1].rpartition(" ")[0] or text[:length]
    return f"{kept} ... ({len(text) - len(kept):,} characters more)"


def price(value: Any) -> str:
    """A price with up to five decimals, and at least the cents."""
    whole, _, cents = short(value, 5).partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2}" if cents else whole


def order_text(order: Found) -> str:
    """What an order is to do, in one line."""
    at = "" if order["price"] is None else f" at {price(order['price'])}"
    return f"{order['side']} {order['quantity']} {order['symbol']} {order['order_type']}{at}"


def conditional_text(order: Found) -> str:
    """What an order that waits for a price is to do, in one line."""
    parts = [f"{order['side']} {order['quantity']} {order['symbol']} {order['kind']}"]
    if order["trigger_price"] is not None:
        parts.append(f"at {price(order['trigger_price'])}")
    if order["callback_rate"] is not None:
        parts.append(f"trailing by {plain(Decimal(order['callback_rate']))}")
    if order["activation_price"] is not None:
        parts.append(f"from {price(order['activation_price'])}")
    return " ".join([*parts, "reduce-only"] if order["reduce_only"] else parts)


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
            short(a["balance"]),
            short(a["equity"]),
            short(a["available"]),
            short(a["margin_ratio"], 4),
            str(len(a["positions"])),
            str(a["restarts"]),
        )
    out.print(table)


def positions(found: Found, out: Console, *, of_one: bool = False) -> None:
    """One line per position; of one account, without its name."""
    columns = ("account", "symbol", "Quantity", "Entry", "Mark", "Unrealized", "Liquidation", "Notional")
    table = Sheet(*columns[of_one:], "Leverage", "Margin")
    for p in found:
        row = (
            p["account_id"],
            p["symbol"],
            p["quantity"],
            price(p["entry_price"]),
            price(p["mark"]),
            short(p["unrealized"]),
            liquidation(p["liquidation_price"]),
            short(p["notional"]),
            short(p["leverage"], 1),
            short(p["margin"]),
        )
        table.add_row(*row[of_one:])
    out.print(table if found else "no positions")


def liquidation(value: Any) -> str:
    """A liquidation price; none where the equity covers a fall to zero."""
    return "none" if value is not None and not Decimal(value) else price(value)


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
