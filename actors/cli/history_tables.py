"""Tables of the commands about what happened."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from actors.cli.common import out as console
from actors.cli.spreadsheet import csv_text
from actors.cli.table import Sheet
from actors.cli.values import Found, day_time, price
from actors.core.order_tags import TAGS
from actors.core.units import plain
from actors.core.utc import second_of

RED = frozenset({"REFUSED", "INSUFFICIENT_BALANCE", "LIQUIDATION", "UNREADABLE"})


def history(found: Found, out: Console) -> None:
    """One line per thing that happened, newest first."""
    records = found["records"]
    has_accounts = len({r["account_id"] for r in records}) > 1
    who = ["account"] if has_accounts else []
    tags = [tag for tag in TAGS if any(r[tag] for r in records)]
    table = Sheet("time", *who, "kind", "what", "Balance", "end", "order", "cause", *tags)
    for r in records:
        amount = "" if r["amount"] is None or not Decimal(r["amount"]) else signed(r["amount"])
        table.add_row(
            day_time(r["at_ms"]),
            *([r["account_id"]] if has_accounts else []),
            Text(r["kind"], "red") if r["kind"] in RED else r["kind"],
            what(r),
            amount,
            r["end"] or r["status"],
            r["client_order_id"],
            r["cause"],
            *(r[tag] for tag in tags),
        )
    out.print(table if records else "nothing in this time; --hours or --from look further back")
    if found["next"] is not None and records:
        out.print(f"there is more: --before {found['next']}", markup=False, highlight=False)
    elif found.get("archived"):
        out.print(found["archived"], markup=False, highlight=False)


def what(record: Found) -> str:
    """A record in words."""
    quantity = "" if record["quantity"] is None else plain(Decimal(record["quantity"]))
    at = "" if record["price"] is None else f"at {price(record['price'])}"
    parts = [record["side"], quantity, record["symbol"], record["order_type"], at]
    if record["purpose"] not in {"", "USER"}:
        parts.append(record["purpose"])
    if record["fee"] is not None and Decimal(record["fee"]):
        parts.append(f"fee {plain(Decimal(record['fee']))} {record['fee_asset']}".rstrip())
    said = " ".join(p for p in parts if p)
    return "; ".join(p for p in (said, record["text"]) if p)


def signed(value: Any) -> str:
    """An amount with its sign and all its digits."""
    text = plain(Decimal(value))
    return text if text.startswith("-") else f"+{text}"


def alerts(found: Found, out: Console) -> None:
    """One line per alert or alarm, newest first."""
    for line in found:
        who = f"{line['account_id']}: " if line["account_id"] and line["source"] == "account" else ""
        out.print(
            f"{second_of(line['at_ms'])} {line['level']} {line['kind']} {who}{line['text']}",
            style="red" if line["level"] == "CRITICAL" else "",
            markup=False,
            highlight=False,
        )
    if not found:
        out.print("no alerts in this time; --hours looks further back")


def csv_of(rows: Sequence[dict[str, Any]], fields: Sequence[str]) -> None:
    """Print rows as CSV: their fields, and a time in words before those."""
    lines = ([second_of(row["at_ms"]), *(row[field] for field in fields)] for row in rows)
    console.write(csv_text([["time", *fields], *lines]))
